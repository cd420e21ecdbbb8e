//! Compressed files as streams of their content, by the last extension of their name.
//!
//! Memory is bounded by the window of the format (at most 128 MiB); concatenated members are read one after the
//! other, as the usual tools write and read them.

pub(crate) mod zip;

use std::io::{self, BufRead, BufReader, Cursor, Read};

use crate::error::{EngineError, ErrorKind};
use crate::source::{LocalFile, Progress, Sequential, SourceFile};

/// Largest window or dictionary that a decoder may ask for, as a power of two.
const MAX_WINDOW_LOG: u32 = 27;
const BUFFER: usize = 256 << 10;

/// How a file is compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the variants are the names of the formats")]
pub enum Compression {
    None,
    Gzip,
    Bzip2,
    Lz4,
    Xz,
    Zstd,
    /// An archive: its members are read one after the other.
    Zip,
}

impl Compression {
    /// The compression that the last extension of a path tells.
    pub fn of(path: &str) -> Self {
        match path.rsplit_once('.').map(|(_, extension)| extension) {
            Some("gz" | "gzip") => Self::Gzip,
            Some("bz2") => Self::Bzip2,
            Some("lz4") => Self::Lz4,
            Some("xz") => Self::Xz,
            Some("zst" | "zstd") => Self::Zstd,
            Some("zip") => Self::Zip,
            _ => Self::None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::None => "no",
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Lz4 => "lz4",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Zip => "zip",
        }
    }
}

/// The content of a file, and how much of the stored file it took so far.
pub struct Content {
    /// The decompressed bytes. Errors carry an [`EngineError`] that names the file.
    pub reader: Box<dyn Read + Send>,
    /// Stored (compressed) bytes taken so far.
    pub progress: Progress,
}

/// A file, or a member of an archive.
#[derive(Clone, Debug)]
pub struct Place {
    file: SourceFile,
    member: Option<zip::Member>,
}

impl Place {
    /// A whole file.
    pub fn file(file: &SourceFile) -> Self {
        Self { file: file.clone(), member: None }
    }

    /// A member of an archive.
    pub(crate) fn member(file: &SourceFile, member: zip::Member) -> Self {
        Self { file: file.clone(), member: Some(member) }
    }

    /// What errors call it: the path of the file, and of the member inside.
    pub fn path(&self) -> String {
        match &self.member {
            None => self.file.path.clone(),
            Some(member) => format!("{}/{}", self.file.path, member.name),
        }
    }
}

/// Opens a file and decompresses it by its name.
///
/// # Errors
/// Those of [`LocalFile::open`]; damage shows while reading.
pub fn open(place: &Place) -> Result<Content, EngineError> {
    let source = &place.file;
    if let Some(member) = &place.member {
        let (inner, progress) = zip::open(source, member)?;
        let reader = Box::new(Decoded { inner, compression: Compression::Zip, path: place.path() });
        return Ok(Content { reader, progress });
    }
    let stored = Sequential::new(LocalFile::open(source)?);
    let progress = stored.progress();
    let compression = Compression::of(&source.path);
    if matches!(compression, Compression::None | Compression::Zip) {
        return Ok(Content { reader: Box::new(stored), progress });
    }
    let inner = decoder(compression, BufReader::with_capacity(BUFFER, stored))
        .map_err(|error| EngineError::from(error).in_file(&source.path))?;
    let reader = Box::new(Decoded { inner, compression, path: source.path.clone() });
    Ok(Content { reader, progress })
}

/// Unpacks what begins like compressed data, whatever its name says.
pub(crate) fn by_content(mut content: Content, path: &str) -> Result<Content, EngineError> {
    let mut start = [0; 6];
    let mut length = 0;
    while length < start.len() {
        match content.reader.read(&mut start[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    let compression = match start[..length] {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [b'B', b'Z', b'h', ..] => Compression::Bzip2,
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Compression::Xz,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
        _ => Compression::None,
    };
    let whole = Cursor::new(start[..length].to_vec()).chain(content.reader);
    if compression == Compression::None {
        return Ok(Content { reader: Box::new(whole), progress: content.progress });
    }
    let inner = decoder(compression, BufReader::with_capacity(BUFFER, whole))
        .map_err(|error| EngineError::from(error).in_file(path))?;
    let reader = Box::new(Decoded { inner, compression, path: path.to_owned() });
    Ok(Content { reader, progress: content.progress })
}

/// The content of compressed bytes. Errors do not name a file.
pub(crate) fn decoder(
    compression: Compression,
    stored: impl BufRead + Send + 'static,
) -> io::Result<Box<dyn Read + Send>> {
    Ok(match compression {
        // Archives are opened member by member; as a whole they are bytes.
        Compression::None | Compression::Zip => Box::new(stored),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(stored)),
        Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(stored)),
        Compression::Lz4 => Box::new(Lz4Frames { frame: lz4_flex::frame::FrameDecoder::new(stored) }),
        Compression::Xz => {
            let memory = 2_u64 << MAX_WINDOW_LOG;
            let stream = liblzma::stream::Stream::new_stream_decoder(memory, liblzma::stream::CONCATENATED)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(stored, stream))
        }
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(stored)?;
            decoder.window_log_max(MAX_WINDOW_LOG)?;
            Box::new(decoder)
        }
    })
}

/// Gives errors of a decoder the name of the file.
struct Decoded {
    inner: Box<dyn Read + Send>,
    compression: Compression,
    path: String,
}

impl Read for Decoded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).map_err(|error| {
            if error.get_ref().and_then(|inner| inner.downcast_ref::<EngineError>()).is_some() {
                return error;
            }
            let what = match error.kind() {
                io::ErrorKind::UnexpectedEof => "the data end too early".to_owned(),
                _ => error.to_string(),
            };
            let message = format!("damaged {} file: {what}; compress or upload it again", self.compression.name());
            io::Error::other(EngineError::new(ErrorKind::Unreadable, message).in_file(&self.path))
        })
    }
}

/// Frames one after the other, where the decoder itself stops after each.
struct Lz4Frames<R: Read> {
    frame: lz4_flex::frame::FrameDecoder<R>,
}

impl<R: BufRead> Read for Lz4Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let length = self.frame.read(buffer)?;
            // After the end of a frame, reading again starts the next one.
            if length > 0 || buffer.is_empty() || self.frame.get_mut().fill_buf()?.is_empty() {
                return Ok(length);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn bzip2(data: &[u8]) -> Vec<u8> {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn xz(data: &[u8]) -> Vec<u8> {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn lz4(data: &[u8]) -> Vec<u8> {
        let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(data: &[u8]) -> Vec<u8> {
        zstd::stream::encode_all(data, 1).unwrap()
    }

    fn content(name: &str, stored: &[u8]) -> Result<Vec<u8>, EngineError> {
        let folder = tempfile::tempdir().unwrap();
        let local_path = folder.path().join("stored");
        std::fs::write(&local_path, stored).unwrap();
        let source = SourceFile { path: name.into(), local_path, size: stored.len() as u64, identity: None };
        let mut content = open(&Place::file(&source))?;
        let mut bytes = Vec::new();
        content.reader.read_to_end(&mut bytes)?;
        assert_eq!(content.progress.bytes(), stored.len() as u64);
        Ok(bytes)
    }

    #[test]
    fn every_extension_is_decompressed_member_after_member() {
        for (name, encode) in [
            ("a.csv.gz", gzip as fn(&[u8]) -> Vec<u8>),
            ("a.csv.gzip", gzip),
            ("a.csv.bz2", bzip2),
            ("a.csv.xz", xz),
            ("a.csv.lz4", lz4),
            ("a.csv.zst", zstd),
            ("a.csv.zstd", zstd),
        ] {
            let stored = [encode(b"a,b\n"), encode(&b"1,2\n".repeat(20_000))].concat();
            let expected = [&b"a,b\n"[..], &b"1,2\n".repeat(20_000)].concat();
            assert_eq!(content(name, &stored).as_deref(), Ok(expected.as_slice()), "{name}");
        }
        assert_eq!(content("a.csv", b"a,b").as_deref(), Ok(&b"a,b"[..]));
    }

    #[test]
    fn truncation_and_garbage_are_errors_that_name_the_file() {
        let data: Vec<u8> = (0..20_000_u32).flat_map(|n| (n.wrapping_mul(2_654_435_761)).to_le_bytes()).collect();
        for (name, encode) in
            [("a.gz", gzip as fn(&[u8]) -> Vec<u8>), ("a.bz2", bzip2), ("a.xz", xz), ("a.lz4", lz4), ("a.zst", zstd)]
        {
            let stored = encode(&data);
            let error = content(name, &stored[..stored.len() / 2]).unwrap_err();
            assert_eq!((error.kind, error.file.as_deref()), (ErrorKind::Unreadable, Some(name)), "{error}");
            let error = content(name, &[&stored[..], b"garbage!"].concat()).unwrap_err();
            assert_eq!((error.kind, error.file.as_deref()), (ErrorKind::Unreadable, Some(name)), "{error}");
        }
    }
}
