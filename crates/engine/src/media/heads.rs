//! The headers of image files, without the images.

use std::io::BufReader;
use std::ops::Range;

use bytes::Bytes;

use crate::error::{EngineError, ErrorKind};
use crate::ranges::{RangeReader, Ranges};
use crate::source::ReadRanges;

/// Bytes of a JPEG file that are tried before the whole file: its decoder takes in all it is given before it looks at anything.
const JPEG_HEADS: [u64; 3] = [64 << 10, 256 << 10, 1 << 20];

/// Asks the header of an image. Decoders read what they need; the one of JPEG is given the beginning of the file, then more
/// of it, as long as it does not understand that. Its header ends before the image begins, so what it understands is
/// what the whole file would tell.
///
/// # Errors
/// Those of `ask` for the whole file, and any but [`Cell`](ErrorKind::Cell) at once.
pub(super) fn ask_header<T>(
    file: &Ranges,
    ask: impl Fn(BufReader<RangeReader>) -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    let magic = file.read_ranges(std::slice::from_ref(&(0..file.size().min(3))))?;
    if magic.first().is_some_and(|magic| magic[..] == [0xff, 0xd8, 0xff]) {
        for size in JPEG_HEADS.into_iter().filter(|size| *size < file.size()) {
            // At once: of a file that is not on this machine, each piece would be a call.
            let mut head = file.read_ranges(std::slice::from_ref(&(0..size)))?;
            let head = Ranges::new(Head(head.pop().unwrap_or_default()));
            match ask(BufReader::new(head.reader_at(0))) {
                Err(error) if error.kind == ErrorKind::Cell => {}
                answer => return answer,
            }
        }
    }
    ask(BufReader::new(file.reader_at(0)))
}

/// The beginning of a file, as if it were all of it.
struct Head(Bytes);

impl ReadRanges for Head {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, EngineError> {
        // Nobody asks for more than there is, so all of them are within the address space.
        let part = |range: &Range<u64>| self.0.slice(range.start as usize..range.end as usize);
        Ok(ranges.iter().map(part).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::{Arc, Mutex};

    use image::ImageReader;

    use super::*;

    /// Bytes in memory, and how far they were read.
    struct Watched {
        bytes: Vec<u8>,
        reach: Arc<Mutex<u64>>,
    }

    impl ReadRanges for Watched {
        fn size(&self) -> u64 {
            self.bytes.len() as u64
        }

        fn read_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, EngineError> {
            let mut reach = self.reach.lock().unwrap();
            let bytes = ranges.iter().map(|range| {
                *reach = range.end.max(*reach);
                Bytes::copy_from_slice(&self.bytes[range.start as usize..range.end as usize])
            });
            Ok(bytes.collect())
        }
    }

    /// The size of an image, and how many of its bytes that took.
    fn size_of(bytes: Vec<u8>) -> (Option<(u32, u32)>, u64) {
        let reach = Arc::new(Mutex::new(0));
        let file = Ranges::new(Watched { bytes, reach: Arc::clone(&reach) });
        let size = ask_header(&file, |reader| {
            let size = ImageReader::new(reader).with_guessed_format()?.into_dimensions();
            size.map_err(|error| EngineError::new(ErrorKind::Cell, error))
        });
        (size.ok(), *reach.lock().unwrap())
    }

    /// A gray JPEG with so many bytes of remarks before its size, and a megabyte and more of something after its header.
    fn jpeg(remarks: usize) -> Vec<u8> {
        let mut bytes = vec![0xff, 0xd8];
        let mut left = remarks;
        while left > 0 {
            let length = left.min(60_000);
            bytes.extend([0xff, 0xfe]);
            bytes.extend((length as u16 + 2).to_be_bytes());
            bytes.extend(std::iter::repeat_n(b'.', length));
            left -= length;
        }
        // 8 bits, 3 rows of 7 pixels, one component.
        bytes.extend([0xff, 0xc0, 0, 11, 8, 0, 3, 0, 7, 1, 1, 0x11, 0]);
        bytes.extend([0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0]);
        bytes.resize(bytes.len() + (3 << 20), 0x55);
        bytes.extend([0xff, 0xd9]);
        bytes
    }

    #[test]
    fn of_a_jpeg_no_more_is_read_than_its_header_takes() {
        assert_eq!(size_of(jpeg(0)), (Some((7, 3)), 64 << 10));
        assert_eq!(size_of(jpeg(100_000)), (Some((7, 3)), 256 << 10));
        assert_eq!(size_of(jpeg(400_000)), (Some((7, 3)), 1 << 20));
        let long = jpeg(2_000_000);
        let size = long.len() as u64;
        assert_eq!(size_of(long), (Some((7, 3)), size));
        let mut damaged = jpeg(0);
        damaged.truncate(15);
        assert_eq!(size_of(damaged).0, None);
    }

    #[test]
    fn other_formats_read_what_they_need() {
        let mut bmp = Vec::new();
        image::DynamicImage::new_rgb8(900, 500)
            .write_to(&mut std::io::Cursor::new(&mut bmp), image::ImageFormat::Bmp)
            .unwrap();
        let (size, read) = size_of(bmp);
        assert!(size == Some((900, 500)) && read < 20_000, "{size:?} {read}");
        assert_eq!(size_of(Vec::new()).0, None);
        assert_eq!(size_of(b"text".to_vec()).0, None);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_not_read_again() {
        struct Away(Arc<Mutex<u32>>);
        impl ReadRanges for Away {
            fn size(&self) -> u64 {
                1 << 30
            }
            fn read_ranges(&self, _: &[Range<u64>]) -> Result<Vec<Bytes>, EngineError> {
                *self.0.lock().unwrap() += 1;
                Err(EngineError::new(ErrorKind::Away, "the Hub is away"))
            }
        }
        let asked = Arc::new(Mutex::new(0));
        let error = ask_header(&Ranges::new(Away(Arc::clone(&asked))), |mut reader| {
            Ok(reader.read_to_end(&mut Vec::new()).map(drop)?)
        });
        assert_eq!((error.unwrap_err().kind, *asked.lock().unwrap()), (ErrorKind::Away, 1));
    }
}
