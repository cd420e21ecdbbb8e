//! Media cells: images, sounds, videos and documents become files that an answer links to.
//!
//! Bytes are stored under [`MediaTarget::directory`]; files of the repository are linked to, never copied (documents
//! excepted). Nothing else is ever opened: a path without scheme is shown as null, any other one is an error. A cell that
//! cannot be shown says why, in a field `error` beside the usual ones, unless the rules are strict.
//!
//! Left out for want of decoders: of sounds only plain samples are converted to wav (the reference converts all rare
//! formats; here the others keep their own), documents have no thumbnail.

mod heads;
mod image;
pub(crate) mod measure;
mod pcm;
mod sniff;

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use belvedere_domain::Feature;
use bytes::Bytes;

use crate::call::MediaTarget;
use crate::error::{EngineError, ErrorKind, Needed, WantedFile};
use crate::json_text;
use crate::source::{LocalFile, ReadRanges, SourceFile};

/// Where a cell stands.
pub(crate) struct Place<'a> {
    /// Row of the split, from 0.
    pub(crate) row: u64,
    /// Top-level column.
    pub(crate) column: &'a str,
    /// The way from the column to the cell; empty for top-level cells.
    pub(crate) path: Vec<Step<'a>>,
}

/// A step into a nested value.
#[derive(Clone, Copy)]
pub(crate) enum Step<'a> {
    /// Item of a list, from 0.
    Index(usize),
    /// Field of a struct.
    Key(&'a str),
}

/// What is stored for a cell.
pub(crate) struct MediaCell<'a> {
    /// The content, if it is not empty.
    pub(crate) bytes: Option<&'a [u8]>,
    /// Where the content was or is.
    pub(crate) path: Option<&'a str>,
}

/// Stores media and writes the cells that refer to them.
pub(crate) struct MediaStore<'a> {
    target: &'a MediaTarget,
    /// Files of the repository by path; built for the first cell that refers to one.
    linked: OnceCell<HashMap<&'a str, &'a SourceFile>>,
    /// Paths of files that are needed and were not looked for.
    wanted: RefCell<Vec<WantedFile>>,
    assets: Vec<PathBuf>,
}

/// Content of a cell, by where it comes from.
#[derive(Clone)]
enum Content<'a> {
    Embedded(&'a [u8]),
    /// A file of the repository.
    Linked {
        url: String,
        path: &'a str,
    },
}

impl<'a> MediaStore<'a> {
    /// A store that has written nothing yet.
    pub(crate) fn new(target: &'a MediaTarget) -> Self {
        Self { target, linked: OnceCell::new(), wanted: RefCell::default(), assets: Vec::new() }
    }

    /// The files behind the cells written so far, relative to the directory of the target.
    ///
    /// # Errors
    /// [`FilesWanted`](ErrorKind::FilesWanted) when some cells need files of the repository that were not looked for.
    pub(crate) fn into_assets(self) -> Result<Vec<PathBuf>, EngineError> {
        let wanted = self.wanted.into_inner();
        if wanted.is_empty() { Ok(self.assets) } else { Err(EngineError::wanting(wanted)) }
    }

    /// Appends the cell of a media feature.
    ///
    /// # Errors
    /// [`Cell`](ErrorKind::Cell) with the column when the content cannot be understood or its path not be followed,
    /// [`Io`](ErrorKind::Io) when a file cannot be written.
    pub(crate) fn write(
        &mut self,
        out: &mut String,
        feature: &Feature,
        cell: MediaCell<'_>,
        place: &Place<'_>,
    ) -> Result<(), EngineError> {
        let content = match (cell.bytes, cell.path) {
            (Some(bytes), _) => Ok(Content::Embedded(bytes)),
            (None, Some(path)) if path.contains("://") => self.link(path),
            (None, _) => {
                out.push_str("null");
                return Ok(());
            }
        };
        let start = out.len();
        let link = content.as_ref().ok().cloned();
        let written = content.and_then(|content| match feature {
            Feature::Image(media) => {
                let mode = media.attributes.get("mode").and_then(|mode| mode.as_str());
                self.image(out, content, mode, place)
            }
            Feature::Audio(_) => self.audio(out, content, cell.path, place),
            Feature::Video(_) => self.video(out, content, cell.path, place),
            _ => self.document(out, content, place),
        });
        match written {
            // The page is made again when the file is known.
            Err(error) if error.kind == ErrorKind::FilesWanted => {
                out.truncate(start);
                out.push_str("null");
                Ok(())
            }
            Err(error) if error.kind == ErrorKind::Cell && !self.target.rules.strict => {
                out.truncate(start);
                broken(out, feature, link.as_ref(), &error);
                Ok(())
            }
            other => other.map_err(|error| error.in_column(place.column)),
        }
    }

    /// What the stored bytes of a cell are, as in `Content-Type`: what browsers may show, else anonymous bytes.
    pub(crate) fn type_of(&self, feature: &Feature, cell: &MediaCell<'_>) -> &'static str {
        let bytes = cell.bytes.unwrap_or_default();
        match feature {
            Feature::Image(_) => image::media_type(bytes),
            Feature::Audio(_) => {
                let kind = sniff::audio_by_content(bytes).or_else(|| cell.path.and_then(sniff::audio_by_name));
                kind.map(|kind| kind.media_type)
            }
            Feature::Video(_) => sniff::video_media_type(bytes),
            _ => sniff::is_pdf(bytes).then_some("application/pdf"),
        }
        .unwrap_or("application/octet-stream")
    }

    /// The link of a cell without bytes; `None` when it leads nowhere.
    ///
    /// # Errors
    /// [`Cell`](ErrorKind::Cell) for a path outside of the repository.
    pub(crate) fn url_of(&self, cell: &MediaCell<'_>) -> Result<Option<String>, EngineError> {
        match cell.path.filter(|path| path.contains("://")).map(|path| self.link(path)).transpose()? {
            Some(Content::Linked { url, .. }) => Ok(Some(url)),
            _ => Ok(None),
        }
    }

    /// Width and height of an image in pixels as shown, from its header; `None` when there is none or it cannot be
    /// understood.
    pub(crate) fn image_size(&self, cell: &MediaCell<'_>) -> Option<(u32, u32)> {
        let size = match (cell.bytes, cell.path) {
            (Some(bytes), _) => image::size_of(bytes).ok()?,
            (None, Some(path)) if path.contains("://") => match self.link(path).ok()? {
                Content::Linked { path, .. } => image::look_at(self.linked(path, Needed::Head).ok()?).ok()?.size,
                Content::Embedded(_) => return None,
            },
            (None, _) => return None,
        };
        Some((size.width, size.height))
    }

    fn image(
        &mut self,
        out: &mut String,
        content: Content<'_>,
        mode: Option<&str>,
        place: &Place<'_>,
    ) -> Result<(), EngineError> {
        let (url, size) = match content {
            Content::Embedded(bytes) => {
                let encoded = image::for_browsers(bytes, mode, None)?;
                (self.store("image", encoded.extension, &encoded.bytes, place)?, encoded.size)
            }
            Content::Linked { url, path } => {
                let file = self.linked(path, Needed::Head)?;
                let image::Told { size, stored_size, shown, format } = image::look_at(file)?;
                if self.target.rules.strict {
                    // The reference does not turn what it only links to.
                    (url, stored_size)
                } else if shown {
                    (url, size)
                } else {
                    let bytes = read_whole(file)?;
                    let encoded =
                        image::for_browsers(&bytes, mode, Some(format)).map_err(|error| error.in_file(path))?;
                    (self.store("image", encoded.extension, &encoded.bytes, place)?, encoded.size)
                }
            }
        };
        out.push_str("{\"src\":");
        json_text::string(out, &url);
        out.push_str(",\"height\":");
        json_text::integer(out, size.height);
        out.push_str(",\"width\":");
        json_text::integer(out, size.width);
        out.push('}');
        Ok(())
    }

    fn audio(
        &mut self,
        out: &mut String,
        content: Content<'_>,
        path: Option<&str>,
        place: &Place<'_>,
    ) -> Result<(), EngineError> {
        let named = path.and_then(sniff::audio_by_name);
        let unknown = || EngineError::new(ErrorKind::Cell, "unknown audio format; store wav, mp3, opus or flac");
        let (url, kind) = match content {
            Content::Embedded(bytes) => match pcm::to_wav(bytes) {
                Some(wav) => (self.store("audio", sniff::WAV.extension, &wav, place)?, sniff::WAV),
                None => {
                    let kind = named.or_else(|| sniff::audio_by_content(bytes)).ok_or_else(unknown)?;
                    (self.store("audio", kind.extension, bytes, place)?, kind)
                }
            },
            Content::Linked { url, path } => {
                let wav = match pcm::is_named(path) {
                    true => {
                        let file = self.linked(path, Needed::Whole)?;
                        if file.size <= pcm::MAX_BYTES { pcm::to_wav(&read_whole(file)?) } else { None }
                    }
                    false => {
                        self.must_be_there(path)?;
                        None
                    }
                };
                match wav {
                    Some(wav) => (self.store("audio", sniff::WAV.extension, &wav, place)?, sniff::WAV),
                    None => (url, named.ok_or_else(unknown)?),
                }
            }
        };
        out.push_str("[{\"src\":");
        json_text::string(out, &url);
        out.push_str(",\"type\":");
        json_text::string(out, kind.media_type);
        out.push_str("}]");
        Ok(())
    }

    fn video(
        &mut self,
        out: &mut String,
        content: Content<'_>,
        path: Option<&str>,
        place: &Place<'_>,
    ) -> Result<(), EngineError> {
        let url = match content {
            Content::Embedded(bytes) => {
                let extension =
                    path.and_then(sniff::extension).unwrap_or_else(|| sniff::video_by_content(bytes).into());
                self.store("video", &extension, bytes, place)?
            }
            Content::Linked { url, path } => {
                self.must_be_there(path)?;
                url
            }
        };
        out.push_str("{\"src\":");
        json_text::string(out, &url);
        out.push('}');
        Ok(())
    }

    fn document(&mut self, out: &mut String, content: Content<'_>, place: &Place<'_>) -> Result<(), EngineError> {
        let read;
        let bytes = match content {
            Content::Embedded(bytes) => bytes,
            Content::Linked { path, .. } => {
                read = read_whole(self.linked(path, Needed::Whole)?)?;
                &read
            }
        };
        if !sniff::is_pdf(bytes) {
            return Err(EngineError::new(ErrorKind::Cell, "not a PDF document: `%PDF` is missing at its start"));
        }
        let url = self.store("document", ".pdf", bytes, place)?;
        out.push_str("{\"src\":");
        json_text::string(out, &url);
        out.push_str(",\"size_bytes\":");
        json_text::integer(out, bytes.len());
        out.push('}');
        Ok(())
    }

    /// Writes an asset unless it is there already, and returns its URL. An asset appears whole or not at all.
    fn store(&mut self, stem: &str, extension: &str, bytes: &[u8], place: &Place<'_>) -> Result<String, EngineError> {
        let folder = format!("{}/{}", place.row, quote_column(place.column));
        let name = format!("{stem}{}{extension}", suffix(&place.path));
        let relative = format!("{folder}/{name}");
        let file = self.target.directory.join(&relative);
        if !file.try_exists()? {
            let folder = self.target.directory.join(&folder);
            std::fs::create_dir_all(&folder)?;
            let mut temporary =
                tempfile::Builder::new().permissions(Permissions::from_mode(0o644)).tempfile_in(&folder)?;
            std::io::Write::write_all(&mut temporary, bytes)?;
            temporary.persist(&file).map_err(|error| error.error)?;
        }
        self.assets.push(PathBuf::from(&relative));
        Ok(format!("{}/{relative}", self.target.url_prefix.trim_end_matches('/')))
    }

    /// The link to a file of the repository.
    fn link<'p>(&self, path: &'p str) -> Result<Content<'p>, EngineError> {
        if let Some((member, archive)) = path.strip_prefix("zip://").and_then(|path| path.split_once("::")) {
            let message =
                format!("`{member}` cannot be had from the archive `{archive}`: it is missing, damaged or too large");
            return Err(EngineError::new(ErrorKind::Cell, message));
        }
        match inside(&self.target.repository, path, self.target.rules.any_revision) {
            Some(inside) if !inside.contains("://") && inside.split('/').all(|part| part != ".." && part != ".") => {
                let prefix = self.target.resolve_prefix.trim_end_matches('/');
                Ok(Content::Linked { url: format!("{prefix}/{}", quote(inside)), path: inside })
            }
            _ => {
                Err(EngineError::new(ErrorKind::Cell, format!("`{path}` is outside of this dataset and not followed")))
            }
        }
    }

    /// A file that is only linked to is not opened, but it has to exist.
    fn must_be_there(&self, path: &str) -> Result<(), EngineError> {
        if self.target.rules.strict { Ok(()) } else { self.linked(path, Needed::Existence).map(drop) }
    }

    /// A file of the repository.
    fn linked(&self, path: &str, needed: Needed) -> Result<&'a SourceFile, EngineError> {
        let Some(files) = &self.target.linked_files else {
            let wanted = WantedFile { path: path.to_owned(), needed };
            self.wanted.borrow_mut().push(wanted.clone());
            return Err(EngineError::wanting(vec![wanted]));
        };
        let by_path = || files.iter().map(|file| (file.path.as_str(), file)).collect();
        self.linked.get_or_init(by_path).get(path).copied().ok_or_else(|| {
            EngineError::new(ErrorKind::Cell, format!("the file `{path}` is not in the dataset at this revision"))
        })
    }
}

/// The path inside the repository that a URL of it tells. `any_revision`: whatever revision it names.
fn inside<'p>(repository: &str, url: &'p str, any_revision: bool) -> Option<&'p str> {
    let exact = || url.strip_prefix(repository)?.strip_prefix('/');
    let lenient = || {
        let (dataset, _) = repository.rsplit_once('@')?;
        let (_, inside) = url.strip_prefix(dataset)?.strip_prefix('@')?.split_once('/')?;
        Some(inside)
    };
    if any_revision { lenient() } else { exact() }
}

/// A cell that says what is wrong with it; a link to the file stays.
fn broken(out: &mut String, feature: &Feature, content: Option<&Content<'_>>, error: &EngineError) {
    let (open, empty, close) = match feature {
        Feature::Image(_) => ("{", ",\"height\":null,\"width\":null", "}"),
        Feature::Audio(_) => ("[{", ",\"type\":null", "}]"),
        Feature::Pdf(_) => ("{", ",\"size_bytes\":null", "}"),
        _ => ("{", "", "}"),
    };
    out.push_str(open);
    out.push_str("\"src\":");
    match content {
        Some(Content::Linked { url, .. }) => json_text::string(out, url),
        _ => out.push_str("null"),
    }
    out.push_str(empty);
    out.push_str(",\"error\":");
    json_text::string(out, &error.to_string());
    out.push_str(close);
}

fn read_whole(file: &SourceFile) -> Result<Bytes, EngineError> {
    let mut ranges = LocalFile::open(file)?.read_ranges(std::slice::from_ref(&(0..file.size)))?;
    Ok(ranges.pop().unwrap_or_default())
}

/// A column name as directories below the row: percent-encoded, with no way out of the directory.
fn quote_column(column: &str) -> String {
    let quoted = quote(column);
    if !quoted.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        return quoted;
    }
    let safe = |part: &str| match part {
        "" => "%00".to_owned(),
        dots @ ("." | "..") => dots.replace('.', "%2E"),
        other => other.to_owned(),
    };
    quoted.split('/').map(safe).collect::<Vec<_>>().join("/")
}

/// Percent-encodes everything but letters, digits, `_.-~` and `/`.
fn quote(text: &str) -> String {
    use std::fmt::Write;
    let mut quoted = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' | b'/' => quoted.push(char::from(byte)),
            other => {
                let _ = write!(quoted, "%{other:02X}");
            }
        }
    }
    quoted
}

/// `-` and the Adler-32 checksum of the path as a JSON array, so that the cells of a nested column get names of their
/// own; nothing for top-level cells.
fn suffix(path: &[Step<'_>]) -> String {
    if path.is_empty() {
        return String::new();
    }
    let step = |step: &Step<'_>| match step {
        Step::Index(index) => index.to_string(),
        Step::Key(key) => ascii_json(key),
    };
    let array = format!("[{}]", path.iter().map(step).collect::<Vec<_>>().join(", "));
    format!("-{:x}", adler32(array.as_bytes()))
}

/// A JSON string with everything beyond ASCII escaped.
fn ascii_json(text: &str) -> String {
    use std::fmt::Write;
    let mut json = String::new();
    json_text::string(&mut json, text);
    let mut ascii = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            // The only control character that the shared writer leaves as it is.
            '\u{7f}' => ascii.push(character),
            ascii_character if ascii_character.is_ascii() => ascii.push(ascii_character),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    let _ = write!(ascii, "\\u{unit:04x}");
                }
            }
        }
    }
    ascii
}

/// RFC 1950, section 8.2.
fn adler32(bytes: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    let (a, b) = bytes.iter().fold((1, 0), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % MODULUS;
        (a, (b + a) % MODULUS)
    });
    b << 16 | a
}

#[cfg(test)]
mod tests;
