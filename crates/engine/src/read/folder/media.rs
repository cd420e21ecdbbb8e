//! Columns of media cells: `{bytes, path}`.

use std::io::Read;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder, StringArray, StringBuilder, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Fields};
use belvedere_domain::Feature;
use belvedere_domain::data_files::FolderKind;
use belvedere_domain::features::Media;

use crate::decompress::zip;
use crate::error::{EngineError, ErrorKind};
use crate::source::SourceFile;

/// The type of a column of such files.
pub(super) fn feature(kind: FolderKind) -> Feature {
    match kind {
        FolderKind::Image => Feature::Image(Media::default()),
        FolderKind::Audio => Feature::Audio(Media::default()),
        FolderKind::Video => Feature::Video(Media::default()),
        FolderKind::Pdf => Feature::Pdf(Media::default()),
    }
}

/// The storage of all of them.
pub(super) fn fields() -> Fields {
    Fields::from(vec![Field::new("bytes", DataType::Binary, true), Field::new("path", DataType::Utf8, true)])
}

/// A column of texts.
pub(super) fn texts<'t>(texts: impl Iterator<Item = Option<&'t str>>) -> ArrayRef {
    Arc::new(texts.collect::<StringArray>())
}

/// Makes a column, cell by cell.
#[derive(Default)]
pub(super) struct MediaBuilder {
    bytes: BinaryBuilder,
    path: StringBuilder,
    valid: Vec<bool>,
    num_bytes: u64,
}

impl MediaBuilder {
    /// Bytes in the cells so far.
    pub(super) fn num_bytes(&self) -> u64 {
        self.num_bytes
    }

    /// A cell without anything.
    pub(super) fn null(&mut self) {
        self.bytes.append_null();
        self.path.append_null();
        self.valid.push(false);
    }

    /// A file of the repository.
    pub(super) fn link(&mut self, repository: &str, path: &str) {
        self.bytes.append_null();
        self.path.append_value(format!("{repository}/{path}"));
        self.valid.push(true);
    }

    /// A member of an archive. One that is damaged or larger than `max_bytes` becomes a path that tells where it was
    /// to be found, so that the others can be read.
    pub(super) fn embed(
        &mut self,
        archive: &SourceFile,
        member: &zip::Member,
        max_bytes: usize,
    ) -> Result<(), EngineError> {
        let content = if member.size() > max_bytes as u64 { None } else { content(archive, member)? };
        match content {
            Some(content) => {
                self.num_bytes += content.len() as u64;
                self.bytes.append_value(content);
                self.path.append_value(&member.name);
                self.valid.push(true);
            }
            None => self.missing(archive, &member.name),
        }
        Ok(())
    }

    /// What should be in an archive and cannot be had.
    pub(super) fn missing(&mut self, archive: &SourceFile, name: &str) {
        self.bytes.append_null();
        self.path.append_value(format!("zip://{name}::{}", archive.path));
        self.valid.push(true);
    }

    /// The column.
    pub(super) fn finish(mut self) -> Result<ArrayRef, EngineError> {
        let children: Vec<ArrayRef> = vec![Arc::new(self.bytes.finish()), Arc::new(self.path.finish())];
        let nulls = NullBuffer::from(self.valid);
        let nulls = (nulls.null_count() > 0).then_some(nulls);
        let column = StructArray::try_new(fields(), children, nulls);
        Ok(Arc::new(column.map_err(|error| EngineError::new(ErrorKind::Internal, error))?))
    }
}

/// The bytes of a member; `None` when they are damaged.
fn content(archive: &SourceFile, member: &zip::Member) -> Result<Option<Vec<u8>>, EngineError> {
    let mut content = Vec::with_capacity(usize::try_from(member.size()).unwrap_or(0));
    let read = |content: &mut Vec<u8>| {
        let (mut reader, _) = zip::open(archive, member)?;
        reader.read_to_end(content).map_err(|error| match error.get_ref() {
            Some(inner) if inner.is::<EngineError>() => EngineError::from(error),
            _ => EngineError::new(ErrorKind::Unreadable, error),
        })
    };
    match read(&mut content) {
        Ok(_) => Ok(Some(content)),
        Err(error) if error.kind == ErrorKind::Unreadable => Ok(None),
        Err(error) => Err(error.in_file(&archive.path)),
    }
}
