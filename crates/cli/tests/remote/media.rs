//! Folders of media: they are measured by the beginnings of their files.

use serde_json::{Value as Json, json};

use crate::Bed;
use crate::common::Server;

/// Bytes that come with the first spot of a file.
const GRAIN: u64 = 64 << 10;

/// The figures of the one column of a split.
fn figures(server: &Server, dataset: &str) -> Json {
    let (status, told) = server.ready(&format!("/statistics?dataset={dataset}&config=default&split=train"));
    assert_eq!(status, 200, "{told}");
    told["statistics"][0]["column_statistics"].clone()
}

/// The head of a PNG of so many pixels in a row, and bytes that are no image.
fn png(width: u32, size: usize) -> Vec<u8> {
    let mut header = b"IHDR".to_vec();
    header.extend(width.to_be_bytes());
    header.extend(2_u32.to_be_bytes());
    header.extend([8, 2, 0, 0, 0]);
    let mut checked = flate2::Crc::new();
    checked.update(&header);
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    bytes.extend(&header);
    bytes.extend(checked.sum().to_be_bytes());
    bytes.extend(u32::try_from(size).unwrap().to_be_bytes());
    bytes.extend(b"IDAT");
    // No two files are the same.
    bytes.resize(size, u8::try_from(width % 251).unwrap());
    bytes
}

/// The same of a gray JPEG, with so many bytes of remarks before its size.
fn jpeg(width: u16, remarks: usize, size: usize) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xd8];
    for length in std::iter::repeat_n(50_000, remarks / 50_000) {
        bytes.extend([0xff, 0xfe]);
        bytes.extend(u16::try_from(length + 2).unwrap().to_be_bytes());
        bytes.resize(bytes.len() + length, b'.');
    }
    bytes.extend([0xff, 0xc0, 0, 11, 8, 0, 3]);
    bytes.extend(width.to_be_bytes());
    bytes.extend([1, 1, 0x11, 0, 0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0]);
    bytes.resize(size, 0x55);
    bytes
}

/// A sound of 8,000 samples in a second, of two bytes each.
fn wav(seconds: usize) -> Vec<u8> {
    let size = u32::try_from(seconds * 16_000).unwrap();
    let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data".to_vec();
    bytes.extend(size.to_le_bytes());
    bytes.resize(bytes.len() + size as usize, u8::try_from(seconds).unwrap());
    bytes
}

#[test]
fn images_are_measured_by_the_beginnings_of_their_files() {
    let bed = Bed::new();
    let mut files: Vec<(String, Vec<u8>)> =
        (0..12).map(|number| (format!("{number:02}.png"), png(10 + number, 300_000))).collect();
    // A header that is longer than what comes first.
    files.push(("long.jpg".to_owned(), jpeg(50, 100_000, 600_000)));
    // Too small for parts.
    files.push(("small.png".to_owned(), png(2, 90_000)));
    let put: Vec<(&str, &[u8])> = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
    bed.hub.put("ana/pictures", &put);
    let server = bed.serve();
    let told = figures(&server, "ana/pictures");
    assert_eq!((&told["min"], &told["max"], &told["nan_count"]), (&json!(2), &json!(50), &json!(0)), "{told}");
    let mean = (f64::from((10..22).sum::<u32>()) + 52.0) / 14.0;
    assert!(told["mean"].as_f64().is_some_and(|told| (told - mean).abs() < 1e-4), "{told}");
    let (_, rows) = server.ready("/first-rows?dataset=ana/pictures&config=default&split=train");
    let widths: Vec<u64> =
        rows["rows"].as_array().unwrap().iter().map(|row| row["row"]["image"]["width"].as_u64().unwrap()).collect();
    assert_eq!(widths, (10..22).chain([50, 2]).collect::<Vec<u64>>());
    // One call for each image and one more for the long header, whoever asked for its size.
    let calls = bed.hub.asked("GET /large/");
    assert_eq!(calls.len(), 15, "{calls:#?}");
    assert_eq!(bed.hub.sent_bytes(), 12 * GRAIN + 4 * GRAIN + 90_000);
    // Whoever wants an image itself gets all of it.
    let own = crate::reading::bytes(
        &format!("http://{}", server.address),
        &format!("/datasets/ana/pictures/resolve/{}/03.png", commit_of(&server)),
        "",
    );
    assert!(own == files[3].1, "{} bytes", own.len());
}

/// The revision that is served.
fn commit_of(server: &Server) -> String {
    let (_, head, _) = crate::reading::asked(server, "GET", "/splits?dataset=ana/pictures", "", "");
    head.lines().find_map(|line| line.strip_prefix("x-revision: ")).unwrap().to_owned()
}

#[test]
fn sounds_come_as_a_whole_only_where_nothing_less_tells_their_duration() {
    let bed = Bed::new();
    // 44,100 Hz, 128 kbit/s, mono: frames of 417 bytes and 1,152 samples, whose number is nowhere told.
    let mut frame = vec![0; 417];
    frame[..4].copy_from_slice(&[0xff, 0xfb, 0x90, 0xc0]);
    let mp3 = frame.repeat(1_000);
    // An Ogg file tells its rate at the beginning and its samples at the end.
    let mut ogg = b"OggS\0\x02\0\0\0\0\0\0\0\0..............OpusHead\x01\x01\0\0".to_vec();
    ogg.resize(1_000_000, b'.');
    ogg.extend(b"OggS\0\x04");
    ogg.extend((48_000_u64 * 60).to_le_bytes());
    let (one, two) = (wav(20), wav(30));
    let files: [(&str, &[u8]); 4] = [("a.wav", &one), ("b.wav", &two), ("c.mp3", &mp3), ("d.ogg", &ogg)];
    bed.hub.put("ana/sounds", &files);
    let server = bed.serve();
    let told = figures(&server, "ana/sounds");
    assert_eq!((&told["min"], &told["max"], &told["nan_count"]), (&json!(20.0), &json!(60.0), &json!(0)), "{told}");
    let counted = (0..1_000).map(|_| 1152.0 / 44_100.0).sum::<f64>();
    let mean = (20.0 + 30.0 + 60.0 + counted) / 4.0;
    assert!(told["mean"].as_f64().is_some_and(|told| (told - mean).abs() < 1e-4), "{told}");
    // The last 128 KiB of an Ogg file, which lie in as many grains.
    let size = ogg.len() as u64;
    let tail = size - (size - 2 * GRAIN) / GRAIN * GRAIN;
    assert_eq!(bed.hub.sent_bytes(), 4 * GRAIN + mp3.len() as u64 + tail);
    assert_eq!(bed.hub.asked("GET /large/").len(), 6);
}
