//! Sounds whose samples are plain numbers, in containers that browsers do not play, as wav: AIFF, AU and CAF.
//!
//! Only the order of bytes changes, and the sign of samples of 8 bits. Sources: Apple's AIFF-C draft of 1991 and Core Audio
//! Format specification 1.0, the Audio File Format of NeXT and Sun, and ITU-T G.711 for µ-law.

/// Larger files keep their own format: they would have to be in memory as a whole.
pub(super) const MAX_BYTES: u64 = 256 << 20;

/// How samples are stored.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Coding {
    /// Integers of so many bytes, with sign.
    Signed(usize),
    /// Integers of one byte, without sign.
    Unsigned,
    /// Floats of so many bytes.
    Float(usize),
    /// Logarithms in one byte.
    MuLaw,
}

/// A sound and where its samples are.
struct Sound<'a> {
    rate: u32,
    channels: u16,
    coding: Coding,
    little_endian: bool,
    samples: &'a [u8],
}

/// True if a file of that name may be one of these.
pub(super) fn is_named(path: &str) -> bool {
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
    matches!(extension.as_str(), "aiff" | "aif" | "aifc" | "au" | "snd" | "caf")
}

/// The sound as a wav file; `None` if it is none of these, is compressed, or is damaged.
pub(super) fn to_wav(bytes: &[u8]) -> Option<Vec<u8>> {
    let sound = match bytes {
        [b'F', b'O', b'R', b'M', _, _, _, _, b'A', b'I', b'F', b'F' | b'C', ..] => aiff(bytes)?,
        [b'.', b's', b'n', b'd', ..] => au(bytes)?,
        [b'c', b'a', b'f', b'f', ..] => caf(bytes)?,
        _ => return None,
    };
    wav(&sound)
}

fn big(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(length)?)?;
    Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn rate(rate: f64) -> Option<u32> {
    (rate >= 1.0 && rate <= f64::from(u32::MAX)).then_some(rate.round() as u32)
}

fn aiff(bytes: &[u8]) -> Option<Sound<'_>> {
    let is_plain = bytes[11] == b'F';
    let (mut at, mut common, mut samples) = (12_usize, None, None);
    while let (Some(name), Some(size)) = (bytes.get(at..at + 4), big(bytes, at + 4, 4)) {
        let start = at + 8;
        let size = usize::try_from(size).ok()?;
        let content = &bytes[start..start.saturating_add(size).min(bytes.len())];
        match name {
            b"COMM" => common = Some(content),
            b"SSND" => {
                let skipped = usize::try_from(big(content, 0, 4)?).ok()?.checked_add(8)?;
                samples = content.get(skipped..);
            }
            _ => {}
        }
        at = start.checked_add(size)?.checked_add(size % 2)?;
    }
    let (common, samples) = (common?, samples?);
    let width = usize::try_from(big(common, 6, 2)?.div_ceil(8)).ok()?;
    let compression = if is_plain { b"NONE" } else { common.get(18..22)? };
    let (coding, little_endian) = match compression {
        b"NONE" | b"twos" => (Coding::Signed(width), false),
        b"sowt" => (Coding::Signed(width), true),
        b"raw " => (Coding::Unsigned, false),
        b"fl32" | b"FL32" => (Coding::Float(4), false),
        b"fl64" | b"FL64" => (Coding::Float(8), false),
        b"ulaw" | b"ULAW" => (Coding::MuLaw, false),
        _ => return None,
    };
    // An 80-bit float: exponent with sign, then a mantissa with its leading one.
    let exponent = (big(common, 8, 2)? & 0x7fff) as i32 - 16_383 - 63;
    let rate = rate(big(common, 10, 8)? as f64 * 2_f64.powi(exponent))?;
    Some(Sound { rate, channels: u16::try_from(big(common, 0, 2)?).ok()?, coding, little_endian, samples })
}

fn au(bytes: &[u8]) -> Option<Sound<'_>> {
    let coding = match big(bytes, 12, 4)? {
        1 => Coding::MuLaw,
        bytes @ 2..=5 => Coding::Signed(bytes as usize - 1),
        6 => Coding::Float(4),
        7 => Coding::Float(8),
        _ => return None,
    };
    let samples = bytes.get(usize::try_from(big(bytes, 4, 4)?).ok()?..)?;
    // The longest stands for a length that was not known.
    let length = usize::try_from(big(bytes, 8, 4)?).ok()?.min(samples.len());
    Some(Sound {
        rate: u32::try_from(big(bytes, 16, 4)?).ok()?,
        channels: u16::try_from(big(bytes, 20, 4)?).ok()?,
        coding,
        little_endian: false,
        samples: &samples[..length],
    })
}

fn caf(bytes: &[u8]) -> Option<Sound<'_>> {
    const IS_FLOAT: u64 = 1;
    const IS_LITTLE_ENDIAN: u64 = 2;
    let (mut at, mut description) = (8_usize, None);
    loop {
        let name = bytes.get(at..at.checked_add(4)?)?;
        // Minus one: up to the end.
        let size = usize::try_from(big(bytes, at + 4, 8)?).unwrap_or(usize::MAX);
        let start = at + 12;
        let content = bytes.get(start..start.saturating_add(size).min(bytes.len()))?;
        match name {
            b"desc" => description = Some(content),
            b"data" => {
                let description = description?;
                if description.get(8..12)? != b"lpcm" {
                    return None;
                }
                let flags = big(description, 12, 4)?;
                let width = usize::try_from(big(description, 28, 4)?.div_ceil(8)).ok()?;
                let coding = if flags & IS_FLOAT != 0 { Coding::Float(width) } else { Coding::Signed(width) };
                return Some(Sound {
                    rate: rate(f64::from_bits(big(description, 0, 8)?))?,
                    channels: u16::try_from(big(description, 24, 4)?).ok()?,
                    coding,
                    little_endian: flags & IS_LITTLE_ENDIAN != 0,
                    // After the number of edits.
                    samples: content.get(4..)?,
                });
            }
            _ => {}
        }
        at = start.checked_add(size)?;
    }
}

fn wav(sound: &Sound<'_>) -> Option<Vec<u8>> {
    let stored = match sound.coding {
        Coding::Signed(width @ 1..=4) | Coding::Float(width @ (4 | 8)) => width,
        Coding::Unsigned | Coding::MuLaw => 1,
        _ => return None,
    };
    let width = if sound.coding == Coding::MuLaw { 2 } else { stored };
    let frame = stored.checked_mul(usize::from(sound.channels)).filter(|frame| *frame > 0)?;
    // A frame that is cut off is dropped.
    let samples = &sound.samples[..sound.samples.len() / frame * frame];
    let size = u32::try_from(samples.len() / stored * width).ok().filter(|size| *size <= u32::MAX - 36)?;
    let block = u16::try_from(width * usize::from(sound.channels)).ok()?;
    let is_float = matches!(sound.coding, Coding::Float(_));
    let mut wav = Vec::with_capacity(44 + size as usize);
    wav.extend(b"RIFF");
    wav.extend((36 + size).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0");
    wav.extend(if is_float { 3_u16 } else { 1 }.to_le_bytes());
    wav.extend(sound.channels.to_le_bytes());
    wav.extend(sound.rate.to_le_bytes());
    wav.extend(sound.rate.saturating_mul(u32::from(block)).to_le_bytes());
    wav.extend(block.to_le_bytes());
    wav.extend((8 * width as u16).to_le_bytes());
    wav.extend(b"data");
    wav.extend(size.to_le_bytes());
    match (sound.coding, sound.little_endian) {
        (Coding::MuLaw, _) => samples.iter().for_each(|byte| wav.extend(mu_law(*byte).to_le_bytes())),
        // Samples of one byte have no sign in wav files, and those of more have one.
        (Coding::Signed(1), _) => wav.extend(samples.iter().map(|byte| byte ^ 0x80)),
        (Coding::Unsigned, _) | (_, true) => wav.extend(samples),
        (_, false) => samples.chunks_exact(stored).for_each(|sample| wav.extend(sample.iter().rev())),
    }
    Some(wav)
}

/// G.711, table 2a.
fn mu_law(byte: u8) -> i16 {
    let byte = !byte;
    let magnitude = ((i16::from(byte & 0x0f) << 3) + 0x84) << ((byte & 0x70) >> 4);
    if byte & 0x80 == 0 { magnitude - 0x84 } else { 0x84 - magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Channels, rate, bits and samples of a wav file.
    fn told(wav: &[u8]) -> (u16, u32, u16, &[u8]) {
        assert_eq!((&wav[..4], &wav[8..16], &wav[36..40]), (&b"RIFF"[..], &b"WAVEfmt "[..], &b"data"[..]));
        let number = |at: usize| u32::from_le_bytes(wav[at..at + 4].try_into().unwrap());
        assert_eq!(number(40) as usize, wav.len() - 44);
        assert_eq!(number(4) as usize, wav.len() - 8);
        (wav[22].into(), number(24), wav[34].into(), &wav[44..])
    }

    fn aiff(kind: &[u8; 4], bits: u8, compression: &[u8], samples: &[u8]) -> Vec<u8> {
        let mut common = vec![0, 2, 0, 0, 0, 1, 0, bits];
        // 8,000 = 1.953125 × 2¹².
        common.extend([0x40, 0x0b, 0xfa, 0, 0, 0, 0, 0, 0, 0]);
        common.extend(compression);
        let chunk = |name: &[u8], content: &[u8]| {
            let size = u32::try_from(content.len()).unwrap().to_be_bytes();
            [name, &size, content, &vec![0; content.len() % 2]].concat()
        };
        let sound = chunk(b"SSND", &[&[0; 8], samples].concat());
        [&b"FORM\0\0\0\0"[..], kind, &chunk(b"COMM", &common), &chunk(b"NAME", b"odd"), &sound].concat()
    }

    #[test]
    fn aiff_samples_change_their_order_of_bytes() {
        let wav = to_wav(&aiff(b"AIFF", 16, b"", &[1, 2, 3, 4, 5])).unwrap();
        assert_eq!(told(&wav), (2, 8_000, 16, &[2, 1, 4, 3][..]));
        let wav = to_wav(&aiff(b"AIFC", 16, b"sowt", &[1, 2, 3, 4])).unwrap();
        assert_eq!(told(&wav), (2, 8_000, 16, &[1, 2, 3, 4][..]));
        let wav = to_wav(&aiff(b"AIFF", 8, b"", &[0x80, 0x7f])).unwrap();
        assert_eq!(told(&wav), (2, 8_000, 8, &[0, 0xff][..]));
        assert_eq!(to_wav(&aiff(b"AIFC", 16, b"ima4", &[1, 2, 3, 4])), None);
    }

    #[test]
    fn au_files_of_unknown_length_end_with_the_file() {
        let head =
            |coding: u8| [&b".snd\0\0\0\x18\xff\xff\xff\xff\0\0\0"[..], &[coding], b"\0\0\x1f\x40\0\0\0\x01"].concat();
        let wav = to_wav(&[&head(3)[..], &[1, 2, 3, 4]].concat()).unwrap();
        assert_eq!(told(&wav), (1, 8_000, 16, &[2, 1, 4, 3][..]));
        let wav = to_wav(&[&head(1)[..], &[0xff, 0x00, 0x80]].concat()).unwrap();
        let loudest = [0_i16, -32_124, 32_124].map(i16::to_le_bytes).concat();
        assert_eq!(told(&wav), (1, 8_000, 16, &loudest[..]));
        assert_eq!(to_wav(&head(23)), None);
    }

    #[test]
    fn caf_files_tell_their_order_of_bytes() {
        let caf = |format: &[u8; 4], flags: u8| {
            let description = [
                &8_000_f64.to_be_bytes()[..],
                format,
                &[0, 0, 0, flags],
                &[0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 16],
            ]
            .concat();
            let head = [&b"caff\0\x01\0\0desc"[..], &32_u64.to_be_bytes(), &description].concat();
            [&head[..], b"free", &3_u64.to_be_bytes(), b"...data", &u64::MAX.to_be_bytes(), &[0, 0, 0, 0, 1, 2]]
                .concat()
        };
        assert_eq!(told(&to_wav(&caf(b"lpcm", 0)).unwrap()), (1, 8_000, 16, &[2, 1][..]));
        assert_eq!(told(&to_wav(&caf(b"lpcm", 2)).unwrap()), (1, 8_000, 16, &[1, 2][..]));
        assert_eq!(to_wav(&caf(b"alac", 0)), None);
    }

    #[test]
    fn whatever_is_cut_off_is_refused_or_shorter() {
        let whole = aiff(b"AIFF", 16, b"", &[1, 2, 3, 4]);
        for length in 0..whole.len() {
            if let Some(wav) = to_wav(&whole[..length]) {
                assert!(wav.len() <= 48);
            }
        }
        let no_channel = [&b".snd\0\0\0\x18\0\0\0\x04\0\0\0\x03\0\0\x1f\x40\0\0\0\0"[..], &[0; 4]].concat();
        assert_eq!(to_wav(&no_channel), None);
    }
}
