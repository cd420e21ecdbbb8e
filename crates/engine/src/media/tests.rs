use std::path::Path;

use ::image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use belvedere_domain::features::Media;
use serde_json::{Value as JsonValue, json};

use super::*;
use crate::call::MediaRules;

const REPOSITORY: &str = "hf://datasets/acme/birds@{dataset_git_revision}";

fn target(directory: &Path, linked_files: Vec<SourceFile>) -> MediaTarget {
    MediaTarget {
        directory: directory.to_owned(),
        url_prefix: "http://localhost/assets/acme/birds/--/{dataset_git_revision}/--/default/train".to_owned(),
        resolve_prefix: "https://hub/datasets/acme/birds/resolve/{dataset_git_revision}".to_owned(),
        repository: REPOSITORY.to_owned(),
        linked_files: Some(linked_files),
        rules: MediaRules { strict: true, any_revision: false },
    }
}

/// The cell for one stored value, and the assets it needs.
fn cell(
    target: &MediaTarget,
    feature: &Feature,
    cell: MediaCell<'_>,
    place: &Place<'_>,
) -> Result<(JsonValue, Vec<PathBuf>), EngineError> {
    let mut store = MediaStore::new(target);
    let mut out = String::new();
    store.write(&mut out, feature, cell, place)?;
    Ok((serde_json::from_str(&out).expect("valid JSON"), store.into_assets()?))
}

fn top(column: &str) -> Place<'_> {
    Place { row: 7, column, path: Vec::new() }
}

fn image() -> Feature {
    Feature::Image(Media::default())
}

fn embedded(bytes: &[u8]) -> MediaCell<'_> {
    MediaCell { bytes: Some(bytes), path: None }
}

fn at(path: &str) -> MediaCell<'_> {
    MediaCell { bytes: None, path: Some(path) }
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).expect("encodable");
    bytes.into_inner()
}

fn red(width: u32, height: u32) -> DynamicImage {
    RgbImage::from_pixel(width, height, Rgb([200, 0, 0])).into()
}

#[test]
fn images_without_alpha_become_jpg() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let target = target(folder.path(), Vec::new());
    for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::WebP] {
        let bytes = encoded(&red(12, 9), format);
        let (json, assets) = cell(&target, &image(), embedded(&bytes), &top("photo")).expect("decodable");
        let src = "http://localhost/assets/acme/birds/--/{dataset_git_revision}/--/default/train/7/photo/image.jpg";
        assert_eq!(json, json!({"src": src, "height": 9, "width": 12}), "{format:?}");
        assert_eq!(assets, [PathBuf::from("7/photo/image.jpg")]);
        let stored = ::image::open(folder.path().join("7/photo/image.jpg")).expect("stored");
        assert_eq!((stored.width(), stored.height()), (12, 9));
    }
}

#[test]
fn jpg_is_stored_untouched() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let bytes = encoded(&red(5, 4), ImageFormat::Jpeg);
    cell(&target(folder.path(), Vec::new()), &image(), embedded(&bytes), &top("c")).expect("decodable");
    assert_eq!(std::fs::read(folder.path().join("7/c/image.jpg")).expect("stored"), bytes);
}

#[test]
fn what_jpg_cannot_hold_becomes_png() {
    let alpha = encoded(&DynamicImage::new_rgba8(3, 2), ImageFormat::Png);
    let deep = encoded(&DynamicImage::new_luma16(3, 2), ImageFormat::Png);
    let gif = encoded(&red(3, 2), ImageFormat::Gif);
    for bytes in [alpha, deep, gif] {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (json, _) =
            cell(&target(folder.path(), Vec::new()), &image(), embedded(&bytes), &top("c")).expect("decodable");
        assert!(json["src"].as_str().is_some_and(|src| src.ends_with("/7/c/image.png")), "{json}");
        assert!(::image::open(folder.path().join("7/c/image.png")).is_ok());
    }
}

#[test]
fn a_mode_converts() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let mode = |mode: &str| {
        let attributes = serde_json::Map::from_iter([("mode".to_owned(), JsonValue::from(mode))]);
        Feature::Image(Media { attributes })
    };
    let rgba = encoded(&DynamicImage::new_rgba8(3, 2), ImageFormat::Png);
    let target = target(folder.path(), Vec::new());
    let (json, _) = cell(&target, &mode("RGB"), embedded(&rgba), &top("rgb")).expect("decodable");
    assert!(json["src"].as_str().is_some_and(|src| src.ends_with("rgb/image.jpg")));
    cell(&target, &mode("L"), embedded(&rgba), &top("gray")).expect("decodable");
    assert!(matches!(::image::open(folder.path().join("7/gray/image.jpg")), Ok(DynamicImage::ImageLuma8(_))));
}

#[test]
fn broken_images_name_the_column() {
    let folder = tempfile::tempdir().expect("temporary folder");
    for bytes in [&b"not an image"[..], b"\x89PNG\r\n\x1a\nbroken"] {
        let error = cell(&target(folder.path(), Vec::new()), &image(), embedded(bytes), &top("c")).expect_err("broken");
        assert_eq!((error.kind, error.column.as_deref()), (ErrorKind::Cell, Some("c")));
    }
}

#[test]
fn an_image_of_too_many_pixels_is_refused_before_it_is_decoded() {
    let mut png = encoded(&red(1, 1), ImageFormat::Png);
    png[16..24].copy_from_slice(&[0, 0, 0x80, 0, 0, 0, 0x80, 0]);
    // The header's checksum has to fit for the decoder to look further.
    let checksum = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&checksum.to_be_bytes());
    let folder = tempfile::tempdir().expect("temporary folder");
    let error = cell(&target(folder.path(), Vec::new()), &image(), embedded(&png), &top("c")).expect_err("too large");
    assert!(error.message.contains("32768 × 32768"), "{error}");
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

#[test]
fn sounds_are_stored_as_they_are() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let target = target(folder.path(), Vec::new());
    let audio = Feature::Audio(Media::default());
    let (json, assets) = cell(&target, &audio, embedded(b"RIFF\0\0\0\0WAVEfmt "), &top("a")).expect("known");
    assert_eq!(assets, [PathBuf::from("7/a/audio.wav")]);
    assert_eq!(json[0]["type"], "audio/wav");
    let named = MediaCell { bytes: Some(b"anything"), path: Some("x.FLAC") };
    let (json, _) = cell(&target, &audio, named, &top("a")).expect("known");
    assert_eq!(json[0]["type"], "audio/flac");
    assert!(cell(&target, &audio, embedded(b"anything"), &top("a")).is_err());
}

#[test]
fn sounds_of_plain_samples_become_wav_in_cells_and_in_files() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let sound = b".snd\0\0\0\x18\0\0\0\x04\0\0\0\x03\0\0\x1f\x40\0\0\0\x01\x01\x02\x03\x04";
    let file = folder.path().join("a.au");
    std::fs::write(&file, sound).expect("written");
    let file = SourceFile { path: "x/a.au".into(), local_path: file, size: sound.len() as u64, identity: None };
    let target = target(folder.path(), vec![file]);
    let audio = Feature::Audio(Media::default());
    let linked = format!("{REPOSITORY}/x/a.au");
    for stored in [embedded(sound), at(&linked)] {
        let (json, assets) = cell(&target, &audio, stored, &top("a")).expect("known");
        assert_eq!((json[0]["type"].as_str(), &assets[..]), (Some("audio/wav"), &[PathBuf::from("7/a/audio.wav")][..]));
        let wav = std::fs::read(folder.path().join("7/a/audio.wav")).expect("stored");
        assert_eq!(wav[44..], [2, 1, 4, 3]);
        std::fs::remove_file(folder.path().join("7/a/audio.wav")).expect("stored");
    }
}

#[test]
fn cells_that_cannot_be_shown_say_why_unless_the_rules_are_strict() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let mut target = target(folder.path(), Vec::new());
    target.rules.strict = false;
    let missing = format!("{REPOSITORY}/gone.bin");
    for feature in
        [image(), Feature::Audio(Media::default()), Feature::Video(Media::default()), Feature::Pdf(Media::default())]
    {
        let (json, assets) = cell(&target, &feature, at(&missing), &top("c")).expect("told in the cell");
        let cell = if json.is_array() { &json[0] } else { &json };
        assert_eq!(cell["error"], "the file `gone.bin` is not in the dataset at this revision");
        assert!(cell["src"].as_str().is_some_and(|src| src.ends_with("/gone.bin")), "{cell}");
        assert_eq!(assets, Vec::<PathBuf>::new());
    }
    for stored in ["https://example.com/a.png", "zip://a.png::train.zip", "hf://datasets/other/birds@main/a.png"] {
        let (json, _) = cell(&target, &image(), at(stored), &top("c")).expect("told in the cell");
        assert!(json["src"].is_null() && json["error"].is_string(), "{json}");
    }
}

#[test]
fn files_that_were_not_looked_for_are_asked_for_all_at_once() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let target = MediaTarget { linked_files: None, ..target(folder.path(), Vec::new()) };
    let mut store = MediaStore::new(&target);
    let mut out = String::new();
    for name in ["b.png", "a.png"] {
        let path = format!("{REPOSITORY}/{name}");
        store.write(&mut out, &image(), at(&path), &top("c")).expect("asked for later");
    }
    let error = store.into_assets().expect_err("nothing can be shown");
    let wanted = ["b.png", "a.png"].map(|path| WantedFile { path: path.to_owned(), needed: Needed::Head });
    assert_eq!((error.kind, error.wanted), (ErrorKind::FilesWanted, wanted.to_vec()));
}

#[test]
fn paths_of_other_revisions_are_followed_where_we_wrote_them() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let mut target = target(folder.path(), Vec::new());
    let path = "hf://datasets/acme/birds@0123456789/x/clip.mp4";
    let video = Feature::Video(Media::default());
    assert!(cell(&target, &video, at(path), &top("v")).is_err());
    target.rules.any_revision = true;
    let (json, _) = cell(&target, &video, at(path), &top("v")).expect("linked");
    assert_eq!(json["src"], "https://hub/datasets/acme/birds/resolve/{dataset_git_revision}/x/clip.mp4");
}

#[test]
fn videos_and_documents_are_stored_as_they_are() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let target = target(folder.path(), Vec::new());
    let named = MediaCell { bytes: Some(b"bytes"), path: Some("clip.mkv") };
    let (json, assets) = cell(&target, &Feature::Video(Media::default()), named, &top("v")).expect("stored");
    assert_eq!(assets, [PathBuf::from("7/v/video.mkv")]);
    assert_eq!(json.as_object().map(serde_json::Map::len), Some(1));
    let pdf = Feature::Pdf(Media::default());
    let (json, assets) = cell(&target, &pdf, embedded(b"%PDF-1.7 rest"), &top("p")).expect("stored");
    assert_eq!((json["size_bytes"].as_u64(), &assets[..]), (Some(13), &[PathBuf::from("7/p/document.pdf")][..]));
    assert!(cell(&target, &pdf, embedded(b"no document"), &top("p")).is_err());
}

#[test]
fn files_of_the_repository_are_linked() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let local_path = folder.path().join("blob");
    let bytes = encoded(&red(20, 10), ImageFormat::Png);
    std::fs::write(&local_path, &bytes).expect("written");
    let file = SourceFile { path: "a b/ü.png".to_owned(), local_path, size: bytes.len() as u64, identity: None };
    let target = target(folder.path(), vec![file]);
    let (json, assets) = cell(&target, &image(), at(&format!("{REPOSITORY}/a b/ü.png")), &top("c")).expect("linked");
    let src = "https://hub/datasets/acme/birds/resolve/{dataset_git_revision}/a%20b/%C3%BC.png";
    assert_eq!(json, json!({"src": src, "height": 10, "width": 20}));
    assert!(assets.is_empty());
    let sound = at("hf://datasets/acme/birds@{dataset_git_revision}/x.mp3");
    let (json, _) = cell(&target, &Feature::Audio(Media::default()), sound, &top("c")).expect("linked");
    assert_eq!(json[0]["type"], "audio/mpeg");
}

#[test]
fn other_paths_are_never_followed() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let target = target(folder.path(), Vec::new());
    for path in [
        "hf://datasets/other/one@main/a.png",
        "https://example.org/a.png",
        "zip://a.png::hf://datasets/acme/birds@{dataset_git_revision}/a.zip",
        "hf://datasets/acme/birds@{dataset_git_revision}/../../secret.png",
        "hf://datasets/acme/birds@{dataset_git_revision}/not-there.png",
    ] {
        let error = cell(&target, &image(), at(path), &top("c")).expect_err(path);
        assert_eq!(error.kind, ErrorKind::Cell, "{path}");
    }
    for path in ["a.png", "/etc/passwd", ""] {
        assert_eq!(cell(&target, &image(), at(path), &top("c")).expect("null").0, JsonValue::Null, "{path}");
    }
}

#[test]
fn an_asset_that_is_there_is_kept() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let target = target(folder.path(), Vec::new());
    let pdf = Feature::Pdf(Media::default());
    cell(&target, &pdf, embedded(b"%PDF first"), &top("p")).expect("stored");
    let (_, assets) = cell(&target, &pdf, embedded(b"%PDF later"), &top("p")).expect("stored");
    assert_eq!(assets.len(), 1);
    assert_eq!(std::fs::read(folder.path().join("7/p/document.pdf")).expect("stored"), b"%PDF first");
    let names = std::fs::read_dir(folder.path().join("7/p")).expect("folder").count();
    assert_eq!(names, 1, "no temporary file is left");
}

#[test]
fn nested_cells_get_names_of_their_own() {
    let nested = |path| Place { row: 0, column: "c", path };
    assert_eq!(suffix(&nested(vec![]).path), "");
    assert_eq!(suffix(&nested(vec![Step::Index(0)]).path), "-1d100e9");
    assert_eq!(suffix(&nested(vec![Step::Index(0), Step::Key("a")]).path), "-82401da");
    assert_eq!(suffix(&nested(vec![Step::Key("b")]).path), "-41b015f");
    assert_eq!(ascii_json("é\"🦀"), r#""\u00e9\"\ud83e\udd80""#);
}

#[test]
fn columns_are_quoted_and_cannot_leave_the_directory() {
    assert_eq!(quote_column("a b/ü"), "a%20b/%C3%BC");
    assert_eq!(quote_column("../../x"), "%2E%2E/%2E%2E/x");
    assert_eq!(quote_column("/x"), "%00/x");
    assert_eq!(quote_column("a..b"), "a..b");
}
