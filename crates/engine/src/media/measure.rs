//! How large media are, without decoding them: widths of images, seconds of sounds and videos.

mod duration;

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{BufRead, Cursor, Seek};
use std::ops::Range;

use image::ImageReader;

use super::heads::ask_header;
use crate::error::{EngineError, ErrorKind};
use crate::ranges::Ranges;
use crate::source::{LocalFile, ReadRanges, SourceFile};

pub(crate) use duration::seconds;

/// Where the content of media cells is.
pub(crate) struct Media<'a> {
    repository: &'a str,
    files: HashMap<&'a str, &'a SourceFile>,
    strict: bool,
}

/// The content of one cell.
pub(crate) enum Content<'a> {
    /// In the cell.
    Embedded(&'a [u8]),
    /// In a file of the repository.
    File(Ranges),
}

impl<'a> Media<'a> {
    /// Cells may refer to these files, by paths that begin with `hf://datasets/<dataset>@`, whatever the revision.
    /// `strict`: one that cannot be understood spoils the column.
    pub(crate) fn new(repository: &'a str, files: &'a [SourceFile], strict: bool) -> Self {
        Self { repository, files: files.iter().map(|file| (file.path.as_str(), file)).collect(), strict }
    }

    /// True if a cell that cannot be understood spoils its column.
    pub(crate) fn is_strict(&self) -> bool {
        self.strict
    }

    /// The content of a cell; `None` when it has neither content nor the path of a file.
    ///
    /// # Errors
    /// [`Cell`](ErrorKind::Cell) for a path that leads out of the dataset or to a file that it does not have.
    pub(crate) fn content<'c>(
        &self,
        bytes: Option<&'c [u8]>,
        path: Option<&str>,
    ) -> Result<Option<Content<'c>>, EngineError> {
        let path = match (bytes, path) {
            (Some(bytes), _) => return Ok(Some(Content::Embedded(bytes))),
            (None, Some(path)) if path.contains("://") => path,
            (None, _) => return Ok(None),
        };
        // The files are those of the revision that is read, whatever revision a path was written at.
        let inside = super::inside(self.repository, path, true);
        let file = inside.and_then(|inside| self.files.get(inside));
        match file {
            Some(file) => Ok(Some(Content::File(Ranges::new(LocalFile::open(file)?.in_spots())))),
            None => {
                Err(EngineError::new(ErrorKind::Cell, format!("`{path}` is not a file of this dataset's revision")))
            }
        }
    }
}

impl Content<'_> {
    /// Number of bytes.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Embedded(bytes) => bytes.len() as u64,
            Self::File(file) => file.size(),
        }
    }

    /// The bytes of a range, as far as there are any.
    fn bytes(&self, range: Range<u64>) -> Result<Cow<'_, [u8]>, EngineError> {
        let (start, end) = (range.start.min(self.size()), range.end.min(self.size()));
        match self {
            Self::Embedded(bytes) => {
                // Within the bytes, so within the address space.
                Ok(Cow::Borrowed(&bytes[start as usize..(end as usize).max(start as usize)]))
            }
            Self::File(file) => {
                let mut read = file.read_ranges(std::slice::from_ref(&(start..end.max(start))))?;
                Ok(Cow::Owned(read.pop().unwrap_or_default().to_vec()))
            }
        }
    }
}

/// Width of an image in pixels, as stored: a remark of the camera about its orientation does not change it.
///
/// # Errors
/// [`Cell`](ErrorKind::Cell) when it is not an image of a known format.
pub(crate) fn image_width(content: &Content<'_>) -> Result<u32, EngineError> {
    image_size(content).map(|(width, _)| width)
}

/// Width and height of an image in pixels, as stored.
///
/// # Errors
/// As [`image_width`].
pub(crate) fn image_size(content: &Content<'_>) -> Result<(u32, u32), EngineError> {
    match content {
        Content::Embedded(bytes) => size_in(Cursor::new(*bytes)),
        Content::File(file) => ask_header(file, size_in),
    }
}

fn size_in(header: impl BufRead + Seek) -> Result<(u32, u32), EngineError> {
    let size = ImageReader::new(header).with_guessed_format()?.into_dimensions();
    size.map_err(|error| EngineError::new(ErrorKind::Cell, format!("the image cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_taken_from_the_cell_or_from_a_file_of_the_repository() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.bin"), b"12345").unwrap();
        let file =
            SourceFile { path: "x/a.bin".into(), local_path: folder.path().join("a.bin"), size: 5, identity: None };
        let files = [file];
        let media = Media::new("hf://datasets/d@r", &files, true);
        let linked = media.content(None, Some("hf://datasets/d@r/x/a.bin")).unwrap().unwrap();
        assert_eq!((linked.size(), &*linked.bytes(3..9).unwrap()), (5, &b"45"[..]));
        let cell = media.content(Some(b"123"), Some("hf://datasets/d@r/x/a.bin")).unwrap().unwrap();
        assert_eq!((cell.size(), &*cell.bytes(7..9).unwrap()), (3, &b""[..]));
        assert!(media.content(None, Some("a.bin")).unwrap().is_none());
        for path in ["hf://datasets/d@r/x/../../a", "https://example.com/a", "hf://datasets/other@r/x/a.bin"] {
            assert_eq!(media.content(None, Some(path)).err().unwrap().kind, ErrorKind::Cell, "{path}");
        }
    }

    #[test]
    fn widths_come_from_headers() {
        // The head of a PNG of 7 × 3 pixels.
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x07\0\0\0\x03\x08\x02\0\0\0".to_vec();
        let mut crc = flate2::Crc::new();
        crc.update(&png[12..]);
        png.extend(crc.sum().to_be_bytes());
        png.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
        assert_eq!(image_width(&Content::Embedded(&png)).unwrap(), 7);
        assert_eq!(image_size(&Content::Embedded(&png)).unwrap(), (7, 3));
        assert_eq!(image_width(&Content::Embedded(b"no image")).unwrap_err().kind, ErrorKind::Cell);
    }
}
