//! Small files of media, made here: formats whose bytes are easily written down.

/// A white image of 24 bits per pixel.
pub(super) fn bmp(width: u32, height: u32) -> Vec<u8> {
    let row = (width * 3).next_multiple_of(4);
    let mut file = bmp_head(width, height);
    file.extend(vec![0xff; (row * height) as usize]);
    file
}

/// The head of such an image alone.
pub(super) fn bmp_head(width: u32, height: u32) -> Vec<u8> {
    let size = 54_u32.saturating_add((width * 3).next_multiple_of(4).saturating_mul(height));
    let mut head = b"BM".to_vec();
    head.extend(size.to_le_bytes());
    head.extend([0; 4]);
    for number in [54, 40, width, height] {
        head.extend(number.to_le_bytes());
    }
    head.extend([1, 0, 24, 0]);
    head.extend([0; 24]);
    head
}

/// A black image.
pub(super) fn ppm(width: usize, height: usize) -> Vec<u8> {
    let mut file = format!("P6 {width} {height} 255\n").into_bytes();
    file.extend(vec![0; 3 * width * height]);
    file
}

/// A chunk of a PNG file.
fn chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let body = [&kind[..], content].concat();
    let mut chunk = u32::try_from(content.len()).unwrap().to_be_bytes().to_vec();
    chunk.extend(&body);
    chunk.extend(crc32(&body).to_be_bytes());
    chunk
}

/// The head of a PNG file, and the start of its data.
pub(super) fn png_head(width: u32, height: u32) -> Vec<u8> {
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    let data = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast()).finish().unwrap();
    let head = [&size[..], &[8, 2, 0, 0, 0]].concat();
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(b"IHDR", &head), chunk(b"IDAT", &data), chunk(b"IEND", &[])].concat()
}

/// Silence of 16 bits.
pub(super) fn wav(rate: u32, channels: u16, frames: u32) -> Vec<u8> {
    let size = frames * u32::from(channels) * 2;
    let mut file = wav_head(rate, channels, size);
    file.extend(vec![0; size as usize]);
    file
}

/// The head of a file that claims so many bytes of sound.
pub(super) fn wav_head(rate: u32, channels: u16, size: u32) -> Vec<u8> {
    let mut head = b"RIFF".to_vec();
    head.extend(size.saturating_add(36).to_le_bytes());
    head.extend(b"WAVEfmt \x10\0\0\0\x01\0");
    head.extend(channels.to_le_bytes());
    head.extend(rate.to_le_bytes());
    head.extend(rate.wrapping_mul(u32::from(channels) * 2).to_le_bytes());
    head.extend((channels * 2).to_le_bytes());
    head.extend([16, 0]);
    head.extend(b"data");
    head.extend(size.to_le_bytes());
    head
}

/// The start of a video.
pub(super) fn mp4() -> Vec<u8> {
    b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2".to_vec()
}

/// A document of one empty page.
pub(super) fn pdf() -> Vec<u8> {
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n\
      3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
        .to_vec()
}

/// An archive of members that are stored as they are.
pub(super) fn zip(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in members {
        let size = u32::try_from(content.len()).unwrap().to_le_bytes();
        let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        common.extend(crc32(content).to_le_bytes());
        common.extend([size, size].concat());
        common.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        common.extend([0, 0]);
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(u32::try_from(archive.len()).unwrap().to_le_bytes());
        directory.extend(name.as_bytes());
        archive.extend(b"PK\x03\x04");
        archive.extend(&common);
        archive.extend(name.as_bytes());
        archive.extend(content);
    }
    let (at, length) = (u32::try_from(archive.len()).unwrap(), u32::try_from(directory.len()).unwrap());
    archive.extend(directory);
    archive.extend(b"PK\x05\x06\0\0\0\0");
    let count = u16::try_from(members.len()).unwrap().to_le_bytes();
    archive.extend([count, count].concat());
    archive.extend(length.to_le_bytes());
    archive.extend(at.to_le_bytes());
    archive.extend([0, 0]);
    archive
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}
