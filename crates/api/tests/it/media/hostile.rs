//! Media made to harm: sizes that no machine has memory for, headers that lie, pages dressed as images.

use belvedere_testing::{TestApp, show_headers};
use insta::assert_snapshot;
use serde_json::json;

use super::files::{bmp, bmp_head, png_head, wav, wav_head, zip};
use super::{FIRST_ROWS, ROWS, STATISTICS};

/// Images that claim to be huge, in formats that are told by a few bytes.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let gif = [&b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x02"[..], &[0xff; 64]].concat();
    // Start of image, a frame of 65,535 × 65,535 pixels, a scan.
    let jpeg =
        b"\xff\xd8\xff\xc0\0\x0b\x08\xff\xff\xff\xff\x01\x01\x11\0\xff\xda\0\x08\x01\x01\0\0\x3f\0\0\xff\xd9".to_vec();
    // Little-endian, one directory: width, height, bits, one strip.
    let mut tiff = b"II*\0\x08\0\0\0\x07\0".to_vec();
    for (tag, kind, value) in [
        (256_u16, 4_u16, 100_000_u32),
        (257, 4, 100_000),
        (258, 3, 8),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (279, 4, 10),
    ] {
        tiff.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
        tiff.extend([1_u32.to_le_bytes(), value.to_le_bytes()].concat());
    }
    tiff.extend([0; 4]);
    let webp = [&b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff"[..], &[0; 8]].concat();
    vec![
        ("a.png", png_head(100_000, 100_000)),
        ("b.gif", gif),
        ("c.jpg", jpeg),
        ("d.tif", tiff),
        ("e.webp", webp),
        ("f.bmp", bmp_head(100_000, 100_000)),
        ("g.ppm", b"P6 100000 100000 255\n".to_vec()),
    ]
}

/// e105 | an image claims to have more pixels than any memory holds (PNG, GIF, JPEG, TIFF, WebP, BMP, PPM), as a file or in an archive | it is not decoded: its cell says why, all other cells are there
#[tokio::test]
async fn e105_images_that_claim_to_be_huge_are_not_decoded() {
    let app = TestApp::new().await;
    for (name, content) in bombs() {
        app.write(&format!("files/{name}"), content);
    }
    app.write("files/z.bmp", bmp(3, 2));
    let mut members = bombs();
    members.push(("z.bmp", bmp(3, 2)));
    app.write("archive/train.zip", zip(&members));
    app.settle().await;
    for dataset in ["files", "archive"] {
        for page in [FIRST_ROWS, ROWS] {
            let answer = app.get(&page.replace("local/data", &format!("local/{dataset}"))).await;
            assert_eq!(answer.status, 200, "{dataset}: {}", answer.text());
            let rows = answer.json()["rows"].as_array().unwrap().clone();
            assert_eq!(rows.len(), 8);
            for row in &rows[..7] {
                let cell = &row["row"]["image"];
                let error = cell["error"].as_str().unwrap_or_else(|| panic!("{dataset}: {cell} is not refused"));
                assert!(error.contains("pixels") || error.contains("decoded"), "{error}");
                assert!(cell["width"].is_null() && cell["height"].is_null());
            }
            assert_eq!(rows[7]["row"]["image"]["width"], 3);
        }
    }
}

/// e105 | a page of HTML is dressed as an image | it is served as the image that its name says, never as a page: `nosniff`, and a policy that lets nothing run
#[tokio::test]
async fn e105_a_page_dressed_as_an_image_stays_one() {
    let app = TestApp::new().await;
    app.write("data/a.gif", b"GIF89a/*<html><script>alert(1)</script>*/");
    app.write("data/b.svg.png", "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>");
    app.write("data/c.html", "<script>alert(1)</script>");
    app.write("data/d.bmp", bmp(1, 1));
    app.settle().await;
    for (name, kind) in [("a.gif", "image/gif"), ("b.svg.png", "image/png"), ("c.html", "application/octet-stream")] {
        let file = app.get(&format!("/datasets/local/data/resolve/main/{name}")).await;
        assert_eq!((file.status, file.header("content-type")), (200, Some(kind)));
        assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(file.header("content-security-policy"), Some("default-src 'none'; sandbox"));
    }
    let rows = app.get(ROWS).await.json()["rows"].as_array().unwrap().clone();
    assert!(rows[1]["row"]["image"]["error"].is_string(), "{}", rows[1]);
    assert_eq!(rows[2]["row"]["image"]["width"], 1);
}

/// e106 | sounds whose headers lie: more bytes than there are, no channel, a billion samples a second, noise in place of MP3, an empty file | they are linked as they are; durations follow from what is there, and those that cannot be told count as nulls in `/statistics`, with `unreadable_count`
#[tokio::test]
async fn e106_sounds_with_lying_headers_spoil_no_page_and_no_figures() {
    let app = TestApp::new().await;
    app.write("data/good.wav", wav(8_000, 1, 8_000));
    let mut longer = wav_head(8_000, 1, u32::MAX);
    longer.extend([0; 8_000]);
    app.write("data/longer.wav", longer);
    app.write("data/mute.wav", wav_head(8_000, 0, 100));
    app.write("data/fast.wav", wav(1_000_000_000, 1, 1_000));
    app.write("data/noise.mp3", [0x55; 5_000]);
    app.write("data/none.wav", "");
    app.settle().await;
    for page in [FIRST_ROWS, ROWS] {
        let rows = app.get(page).await.json()["rows"].as_array().unwrap().clone();
        assert_eq!(rows.len(), 6);
        assert!(rows.iter().all(|row| row["row"]["audio"][0]["src"].is_string()));
    }
    let answer = app.get(STATISTICS).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let figures = answer.json()["statistics"][0].clone();
    assert_eq!(figures["details"]["unreadable_count"], 3, "{figures}");
    assert_eq!(figures["column_statistics"]["max"], json!(1.0), "the longer one has half a second");
}

/// e112 | folders of media with nothing in them: files of no bytes, hidden files only | each empty file says what is wrong with it; a dataset of hidden files only answers `EmptyDatasetError`
#[tokio::test]
async fn e112_empty_and_hidden_media_are_told_apart() {
    let app = TestApp::new().await;
    for name in ["a.png", "b.jpg", "c.gif"] {
        app.write(&format!("data/{name}"), "");
    }
    app.write("hidden/.a.png", "");
    app.settle().await;
    let rows = app.get(ROWS).await.json()["rows"].as_array().unwrap().clone();
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|row| row["row"]["image"]["error"].is_string()), "{rows:?}");
    let hidden = app.get("/splits?dataset=local/hidden").await;
    assert_eq!(hidden.header("x-error-code"), Some("EmptyDatasetError"), "{}", hidden.text());
    let head = app.get("/datasets/local/data/resolve/main/a.png").await;
    assert_snapshot!(show_headers(&head).lines().next().unwrap(), @"200");
}
