//! Seconds of sounds and videos, from the headers of their containers.

use super::Content;
use crate::error::{EngineError, ErrorKind};

/// Bytes at the end of an Ogg file in which its last page begins: a page has at most 65,307.
const OGG_TAIL: u64 = 128 << 10;
/// Bytes at the start of a Matroska file in which its duration stands: first those in which it mostly does.
const MATROSKA_HEADS: [u64; 2] = [64 << 10, 1 << 20];
/// Bytes of the first frame of an MPEG stream that hold what its encoder wrote down.
const MPEG_FRAME: u64 = 1 << 10;
/// Containers in a file that are looked at before it is given up.
const MAX_CHUNKS: usize = 10_000;
/// Bytes of a stream without a header that are scanned for frames.
const MAX_SCANNED: u64 = 256 << 20;

/// The duration of a sound or a video.
///
/// # Errors
/// [`Cell`](ErrorKind::Cell) when the format is unknown or tells no duration.
pub(crate) fn seconds(content: &Content<'_>) -> Result<f64, EngineError> {
    let head = content.bytes(0..64)?;
    let found = match &*head {
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => wav(content)?,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', b' ', ..] => avi(content)?,
        [b'F', b'O', b'R', b'M', _, _, _, _, b'A', b'I', b'F', b'F' | b'C', ..] => aiff(content)?,
        [b'f', b'L', b'a', b'C', ..] => flac(&head),
        [b'.', b's', b'n', b'd', ..] => au(&head, content.size()),
        [b'O', b'g', b'g', b'S', ..] => ogg(content)?,
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => mp4(content)?,
        [0x1a, 0x45, 0xdf, 0xa3, ..] => matroska(content)?,
        [0xff, second, ..] if second & 0xf6 == 0xf0 => adts(content)?,
        [b'I', b'D', b'3', ..] | [0xff, ..] => mpeg_audio(content)?,
        _ => None,
    };
    let seconds = found.filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
    seconds.ok_or_else(|| EngineError::new(ErrorKind::Cell, "the duration of this sound or video cannot be told"))
}

/// An unsigned integer in the order of networks.
fn big(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

/// An unsigned integer, least byte first.
fn little(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

/// Chunks of RIFF and AIFF files: four letters, a size, the content, padded to an even length. The visitor stops the walk
/// by returning something.
fn chunks<T>(
    content: &Content<'_>,
    size_of: fn(&[u8]) -> u64,
    mut visit: impl FnMut(&[u8], u64, u64) -> Result<Option<T>, EngineError>,
) -> Result<Option<T>, EngineError> {
    let mut at = 12;
    for _ in 0..MAX_CHUNKS {
        let head = content.bytes(at..at + 8)?;
        let Some((name, size)) = head.split_at_checked(4).filter(|(_, size)| size.len() == 4) else { return Ok(None) };
        let size = size_of(size);
        if let Some(found) = visit(name, at + 8, size)? {
            return Ok(Some(found));
        }
        at = at.saturating_add(8 + size + size % 2);
    }
    Ok(None)
}

fn wav(content: &Content<'_>) -> Result<Option<f64>, EngineError> {
    let mut bytes_per_second = 0;
    chunks(content, little, |name, start, size| {
        if name == b"fmt " {
            let format = content.bytes(start..start + 16)?;
            let Some([rate, block]) =
                format.get(4..8).map(little).zip(format.get(12..14).map(little)).map(<[u64; 2]>::from)
            else {
                return Ok(None);
            };
            // Compressed formats tell their bytes per second; for the others it follows from the block.
            let plain = format.first().is_some_and(|kind| matches!(kind, 1 | 3 | 0xfe));
            bytes_per_second = if plain { rate * block } else { little(&format[8..12]) };
        }
        // A stream of unknown length claims the longest.
        let there = size.min(content.size().saturating_sub(start));
        Ok((name == b"data" && bytes_per_second > 0).then(|| there as f64 / bytes_per_second as f64))
    })
}

fn avi(content: &Content<'_>) -> Result<Option<f64>, EngineError> {
    let head = content.bytes(0..256)?;
    let Some(at) = memchr::memmem::find(&head, b"avih") else { return Ok(None) };
    let field = |index: usize| head.get(at + 8 + 4 * index..at + 12 + 4 * index).map(little);
    Ok(field(0).zip(field(4)).map(|(microseconds, frames)| microseconds as f64 * frames as f64 / 1e6))
}

fn aiff(content: &Content<'_>) -> Result<Option<f64>, EngineError> {
    chunks(content, big, |name, start, _| {
        if name != b"COMM" {
            return Ok(None);
        }
        let common = content.bytes(start..start + 18)?;
        let Some(rate) = common.get(8..18) else { return Ok(None) };
        // An 80-bit float: exponent with sign, then a mantissa with its leading one.
        let exponent = (big(&rate[..2]) & 0x7fff) as i32 - 16_383 - 63;
        let rate = big(&rate[2..]) as f64 * 2_f64.powi(exponent);
        Ok(Some(big(&common[2..6]) as f64 / rate))
    })
}

fn au(head: &[u8], file_size: u64) -> Option<f64> {
    let field = |index: usize| head.get(4 * index..4 * index + 4).map(big);
    let bytes = match field(3)? {
        1 | 27 => 1,
        coding @ 2..=5 => coding - 1,
        6 => 4,
        7 => 8,
        _ => return None,
    };
    // The longest stands for a length that was not known.
    let there = field(2)?.min(file_size.saturating_sub(field(1)?));
    let bytes_per_second = field(4)?.checked_mul(field(5)?)?.checked_mul(bytes)?;
    (bytes_per_second > 0).then(|| there as f64 / bytes_per_second as f64)
}

fn flac(head: &[u8]) -> Option<f64> {
    // The first block of metadata tells the stream.
    let info = head.get(8..42)?;
    let rate = big(&info[10..13]) >> 4;
    let samples = (u64::from(info[13]) & 0x0f) << 32 | big(&info[14..18]);
    (rate > 0 && samples > 0).then(|| samples as f64 / rate as f64)
}

fn ogg(content: &Content<'_>) -> Result<Option<f64>, EngineError> {
    let head = content.bytes(0..512)?;
    let find = |name: &[u8]| memchr::memmem::find(&head, name);
    let (rate, skipped) = if let Some(at) = find(b"OpusHead") {
        (48_000, head.get(at + 10..at + 12).map_or(0, little))
    } else if let Some(at) = find(b"\x01vorbis") {
        (head.get(at + 12..at + 16).map_or(0, little), 0)
    } else {
        return Ok(None);
    };
    let size = content.size();
    let tail = content.bytes(size.saturating_sub(OGG_TAIL)..size)?;
    let position = memchr::memmem::rfind(&tail, b"OggS").and_then(|at| tail.get(at + 6..at + 14)).map(little);
    Ok(position.filter(|_| rate > 0).map(|position| position.saturating_sub(skipped) as f64 / rate as f64))
}

/// MP4, M4A and MOV: the movie header inside of the box `moov`.
fn mp4(content: &Content<'_>) -> Result<Option<f64>, EngineError> {
    let mut within = 0..content.size();
    for _ in 0..MAX_CHUNKS {
        let head = content.bytes(within.start..within.start + 32)?;
        if head.len() < 8 || within.is_empty() {
            return Ok(None);
        }
        let (size, header) = match big(&head[..4]) {
            0 => (within.end - within.start, 8),
            1 => (head.get(8..16).map_or(0, big), 16),
            size => (size, 8),
        };
        if size < header {
            return Ok(None);
        }
        match &head[4..8] {
            b"moov" => within = within.start + header..within.end.min(within.start.saturating_add(size)),
            b"mvhd" => {
                let fields = content.bytes(within.start + header..within.start + header + 32)?;
                let wide = fields.first() == Some(&1);
                let (scale, duration) = if wide { (20..24, 24..32) } else { (12..16, 16..20) };
                let field = |range| fields.get(range).map(big);
                let told = field(scale).zip(field(duration)).filter(|(scale, _)| *scale > 0);
                return Ok(told.map(|(scale, duration)| duration as f64 / scale as f64));
            }
            _ => within.start = within.start.saturating_add(size),
        }
    }
    Ok(None)
}

/// Matroska and WebM: `Duration` and `TimestampScale` of the element `Info`.
fn matroska(content: &Content<'_>) -> Result<Option<f64>, EngineError> {
    for size in MATROSKA_HEADS {
        if let Some(seconds) = matroska_duration(&content.bytes(0..size)?) {
            return Ok(Some(seconds));
        }
    }
    Ok(None)
}

fn matroska_duration(head: &[u8]) -> Option<f64> {
    let info = &head[memchr::memmem::find(head, &[0x15, 0x49, 0xa9, 0x66])?..];
    let scale = memchr::memmem::find(info, &[0x2a, 0xd7, 0xb1, 0x83]).and_then(|at| info.get(at + 4..at + 7));
    let scale = scale.map_or(1_000_000, big) as f64;
    let at = memchr::memmem::find(info, &[0x44, 0x89])?;
    let duration = match info.get(at + 2) {
        Some(0x84) => info.get(at + 3..at + 7).map(|bits| f64::from(f32::from_bits(big(bits) as u32))),
        Some(0x88) => info.get(at + 3..at + 11).map(|bits| f64::from_bits(big(bits))),
        _ => None,
    };
    duration.map(|duration| duration * scale / 1e9)
}

/// Raw AAC: frames of 1,024 samples.
fn adts(content: &Content<'_>) -> Result<Option<f64>, EngineError> {
    const RATES: [u32; 13] =
        [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
    let bytes = content.bytes(0..MAX_SCANNED)?;
    let Some(&rate) = RATES.get(usize::from(bytes[2] >> 2 & 0x0f)) else { return Ok(None) };
    let (mut at, mut frames) = (0, 0_u64);
    while let Some([0xff, second, _, third, fourth, fifth, ..]) = bytes.get(at..) {
        let length = usize::from(third & 3) << 11 | usize::from(*fourth) << 3 | usize::from(*fifth >> 5);
        if second & 0xf6 != 0xf0 || length < 7 {
            break;
        }
        at += length;
        frames += 1;
    }
    Ok(Some(frames as f64 * 1024.0 / f64::from(rate)))
}

/// A frame of MPEG audio.
struct Frame {
    length: usize,
    samples: u32,
    rate: u32,
    /// Where a header of the encoder stands, if the frame holds one.
    side: usize,
}

/// MP1 to MP3: the number of frames that the encoder wrote down, else they are counted.
fn mpeg_audio(content: &Content<'_>) -> Result<Option<f64>, EngineError> {
    let start = match &*content.bytes(0..10)? {
        // Seven bits of each byte, after which the tag is over.
        [b'I', b'D', b'3', _, _, _, a, b, c, d] => {
            10 + [a, b, c, d].iter().fold(0, |size, byte| size << 7 | u64::from(**byte & 0x7f))
        }
        _ => 0,
    };
    // All of a file is not asked for where its first frame tells the rest.
    let body = content.bytes(start..start + MPEG_FRAME)?;
    let Some(first) = frame(&body) else { return Ok(None) };
    if let Some(frames) = told_frames(&body, &first) {
        return Ok(Some(frames as f64 * f64::from(first.samples) / f64::from(first.rate)));
    }
    let bytes = content.bytes(start..MAX_SCANNED.max(start))?;
    let (mut at, mut seconds) = (0, 0.0);
    while let Some(frame) = bytes.get(at..).and_then(frame) {
        seconds += f64::from(frame.samples) / f64::from(frame.rate);
        at += frame.length;
    }
    Ok(Some(seconds))
}

/// The number of frames that stands in the first one.
fn told_frames(body: &[u8], first: &Frame) -> Option<u64> {
    let told = match body.get(first.side..).unwrap_or_default() {
        told @ ([b'X', b'i', b'n', b'g', ..] | [b'I', b'n', b'f', b'o', ..])
            if told.get(7).is_some_and(|flags| flags & 1 == 1) =>
        {
            told.get(8..12)
        }
        _ => body.get(36..).filter(|told| told.starts_with(b"VBRI")).and_then(|told| told.get(14..18)),
    };
    told.map(big).filter(|frames| *frames > 0)
}

fn frame(bytes: &[u8]) -> Option<Frame> {
    const RATES: [u32; 3] = [44_100, 48_000, 32_000];
    const FIRST: [[u32; 15]; 3] = [
        [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
        [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
        [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    ];
    const SECOND: [[u32; 15]; 2] = [
        [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
        [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
    ];
    let [0xff, a, b, c, ..] = bytes else { return None };
    let (version, layer) = (a >> 3 & 3, 4_u8.checked_sub(a >> 1 & 3).filter(|layer| *layer < 4)?);
    if a & 0xe0 != 0xe0 || version == 1 {
        return None;
    }
    let is_first = version == 3;
    let rate = RATES.get(usize::from(b >> 2 & 3))? / [4, 1, 2, 1][usize::from(version)];
    let kilobits = match is_first {
        true => FIRST[usize::from(layer - 1)].get(usize::from(b >> 4))?,
        false => SECOND[usize::from(layer > 1)].get(usize::from(b >> 4))?,
    };
    let padding = u32::from(b >> 1 & 1);
    let samples = match (layer, is_first) {
        (1, _) => 384,
        (3, false) => 576,
        _ => 1152,
    };
    let length = match layer {
        1 => (12_000 * kilobits / rate + padding) * 4,
        _ => samples / 8 * 1_000 * kilobits / rate + padding,
    };
    let side = match (is_first, c >> 6 == 3) {
        (true, false) => 36,
        (true, true) | (false, false) => 21,
        (false, true) => 13,
    };
    (length > 4).then_some(Frame { length: length as usize, samples, rate, side })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Option<f64> {
        seconds(&Content::Embedded(bytes)).ok()
    }

    fn wav(rate: u32, frames: u32, told: u32) -> Vec<u8> {
        let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
        bytes.extend(rate.to_le_bytes());
        bytes.extend((rate * 2).to_le_bytes());
        bytes.extend(b"\x02\0\x10\0LIST\x03\0\0\0abc\0data");
        bytes.extend(told.to_le_bytes());
        bytes.resize(bytes.len() + 2 * frames as usize, 0);
        bytes
    }

    #[test]
    fn wav_files_tell_their_length_or_are_as_long_as_they_are() {
        assert_eq!(of(&wav(8_000, 2_000, 4_000)), Some(0.25));
        assert_eq!(of(&wav(8_000, 2_000, u32::MAX)), Some(0.25));
        assert_eq!(of(b"RIFF\0\0\0\0WAVEfmt "), None);
    }

    #[test]
    fn flac_files_tell_their_samples() {
        let mut bytes = b"fLaC\0\0\0\x22".to_vec();
        bytes.extend([0; 10]);
        // 20 bits of rate (44,100), 3 of channels, 5 of depth, 36 of samples (66,150).
        bytes.extend([0x0a, 0xc4, 0x42, 0xf0, 0x00, 0x01, 0x02, 0x66]);
        bytes.extend([0; 16]);
        assert_eq!(of(&bytes), Some(1.5));
    }

    #[test]
    fn au_files_are_as_long_as_they_are() {
        let head = |rate: [u8; 4]| {
            let channels = [0, 0, 0, 2];
            [&b".snd\0\0\0\x18\xff\xff\xff\xff\0\0\0\x03"[..], &rate, &channels, &[0; 16_000]].concat()
        };
        assert_eq!(of(&head([0, 0, 0x1f, 0x40])), Some(0.5));
        assert_eq!(of(&head([0; 4])), None);
    }

    #[test]
    fn mp3_frames_are_counted_unless_their_number_is_told() {
        // 44,100 Hz, 128 kbit/s, mono: 417 bytes of 1,152 samples.
        let mut frame = vec![0; 417];
        frame[..4].copy_from_slice(&[0xff, 0xfb, 0x90, 0xc0]);
        let ten = frame.repeat(10);
        assert_eq!(of(&ten), Some((0..10).map(|_| 1152.0 / 44_100.0).sum()));
        let mut tagged = b"ID3\x04\0\0\0\0\0\x05hello".to_vec();
        frame[21..33].copy_from_slice(b"Xing\0\0\0\x01\0\0\x01\0");
        tagged.extend(&frame);
        assert_eq!(of(&tagged), Some(256.0 * 1152.0 / 44_100.0));
    }

    #[test]
    fn movies_tell_their_duration_wherever_their_header_stands() {
        let mut bytes = b"\0\0\0\x0cftypisom\0\0\0\x0amdat..\0\0\0\x2cmoov\0\0\0\x24mvhd".to_vec();
        bytes.extend([0; 12]);
        bytes.extend(1_000_u32.to_be_bytes());
        bytes.extend(2_500_u32.to_be_bytes());
        bytes.extend([0; 8]);
        assert_eq!(of(&bytes), Some(2.5));
    }

    #[test]
    fn matroska_tells_its_duration_in_ticks() {
        let mut bytes = vec![0x1a, 0x45, 0xdf, 0xa3, 0x80, 0x15, 0x49, 0xa9, 0x66, 0x90];
        bytes.extend([0x2a, 0xd7, 0xb1, 0x83, 0x0f, 0x42, 0x40, 0x44, 0x89, 0x84]);
        bytes.extend(3_200_f32.to_be_bytes());
        assert_eq!(of(&bytes), Some(3.2));
    }

    #[test]
    fn opus_counts_from_after_its_lead_in() {
        let mut bytes = b"OggS\0\x02\0\0\0\0\0\0\0\0..............OpusHead\x01\x01\x38\x01".to_vec();
        bytes.extend(b"......OggS\0\x04");
        bytes.extend((48_000_u64 * 2 + 0x138).to_le_bytes());
        assert_eq!(of(&bytes), Some(2.0));
    }

    #[test]
    fn aiff_and_avi_tell_frames_and_rate() {
        let mut bytes = b"FORM\0\0\0\0AIFFCOMM\0\0\0\x12\0\x01".to_vec();
        bytes.extend(4_000_u32.to_be_bytes());
        // 8,000 = 1.953125 × 2¹².
        bytes.extend([0, 16, 0x40, 0x0b, 0xfa, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(of(&bytes), Some(0.5));
        let mut bytes = b"RIFF\0\0\0\0AVI LIST\0\0\0\0hdrlavih\x38\0\0\0".to_vec();
        for field in [40_000_u32, 0, 0, 0, 50] {
            bytes.extend(field.to_le_bytes());
        }
        assert_eq!(of(&bytes), Some(2.0));
    }

    #[test]
    fn what_is_damaged_or_unknown_is_refused() {
        for bytes in [&b""[..], b"text", b"\xff\xfb", b"\0\0\0\0ftyp", b"fLaC", b"OggS", b"\xff\xf1\x50"] {
            assert_eq!(of(bytes).filter(|seconds| *seconds > 0.0), None, "{bytes:?}");
        }
    }
}
