//! Tables that describe media: columns of file names become columns of the files.
//!
//! `file_name` becomes the column of the folder's kind, `x_file_name` the column `x`; `file_names` and `x_file_names` are
//! lists of such. The same holds for fields of structs, also in lists. Names are relative to the folder of the table.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, GenericListArray, OffsetSizeTrait, RecordBatch, StructArray};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema};
use belvedere_domain::data_files::{FolderKind, Reader, ResolvedConfig};
use belvedere_domain::features::Dtype;
use belvedere_domain::{Feature, Features};

use super::media::{self, MediaBuilder};
use super::{Archive, Folder, TABLE_BYTES, TABLE_ROWS};
use crate::decompress::{Place, zip};
use crate::error::{EngineError, ErrorKind};
use crate::features_arrow::features_of;
use crate::read::{Agreement, TableStream, csv, json, parquet};
use crate::source::SourceFile;

/// Reads tables of a config that describe its media.
#[derive(Debug)]
pub(super) struct Described {
    /// The config without parameters: those of the folder are not those of its tables.
    config: ResolvedConfig,
    agreement: Arc<Agreement>,
}

/// Where the files are that a table names.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// In the repository.
    Repository,
    /// In the archive that the table lies in.
    Archive(SourceFile, Arc<HashMap<String, zip::Member>>),
}

/// A table before its names are replaced: where the files are, the rows, and the path of the table.
pub(super) type Raw = (Origin, Box<dyn TableStream>, String);

impl Described {
    pub(super) fn new(config: &ResolvedConfig) -> Self {
        let config = ResolvedConfig {
            parameters: indexmap::IndexMap::new(),
            reader_features: None,
            declared_features: None,
            splits: indexmap::IndexMap::new(),
            ..config.clone()
        };
        Self { config, agreement: Arc::default() }
    }

    /// The rows of a table of the repository.
    pub(super) fn open(&self, folder: &Arc<Folder>, file: &SourceFile) -> Result<Box<dyn TableStream>, EngineError> {
        let raw = (Origin::Repository, self.raw(folder, file)?, file.path.clone());
        Ok(Box::new(Rows { folder: Arc::clone(folder), raw: vec![raw].into_iter(), current: None, done: 0 }))
    }

    /// The rows of the tables in an archive.
    pub(super) fn open_members(
        &self,
        folder: &Arc<Folder>,
        archive: &Archive,
    ) -> Result<Box<dyn TableStream>, EngineError> {
        let raw = self.raw_members(folder, archive)?.into_iter();
        Ok(Box::new(Rows { folder: Arc::clone(folder), raw, current: None, done: 0 }))
    }

    /// A table of the repository as it is.
    pub(super) fn raw(&self, folder: &Folder, file: &SourceFile) -> Result<Box<dyn TableStream>, EngineError> {
        let stream = match extension(&file.path) {
            "parquet" => parquet::open(&ResolvedConfig { reader: Reader::Parquet, ..self.config.clone() }, file),
            other => self.text(folder, &Place::file(file), other),
        };
        stream.map_err(|error| error.in_file(&file.path))
    }

    /// The tables of an archive as they are.
    pub(super) fn raw_members(&self, folder: &Folder, archive: &Archive) -> Result<Vec<Raw>, EngineError> {
        let members = archive.media.iter().map(|member| (member.name.clone(), member.clone())).collect();
        let origin = Origin::Archive(archive.file.clone(), Arc::new(members));
        let open = |member: &zip::Member| {
            let place = Place::member(&archive.file, member.clone());
            let stream = self.text(folder, &place, extension(&member.name));
            Ok((origin.clone(), stream.map_err(|error| error.in_file(&place.path()))?, place.path()))
        };
        archive.metadata.iter().map(open).collect()
    }

    fn text(&self, folder: &Folder, place: &Place, extension: &str) -> Result<Box<dyn TableStream>, EngineError> {
        match extension {
            "csv" => csv::open(&ResolvedConfig { reader: Reader::Csv, ..self.config.clone() }, place, folder.limits),
            "jsonl" => {
                let config = ResolvedConfig { reader: Reader::Json, ..self.config.clone() };
                json::open(&config, place, folder.limits, Arc::clone(&self.agreement))
            }
            _ => {
                let message = "tables that describe media are csv or jsonl, or parquet outside of archives";
                Err(EngineError::new(ErrorKind::Unreadable, message))
            }
        }
    }
}

fn extension(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(_, extension)| extension)
}

/// The columns that a table tells, with files in place of their names.
pub(super) fn features(kind: FolderKind, table: &RecordBatch) -> Result<Features, EngineError> {
    let mut found = false;
    let features = replaced(kind, &features_of(&table.schema())?, &mut found)?;
    if !found {
        let columns: Vec<String> =
            table.schema().fields().iter().map(|field| format!("\"{}\"", field.name())).collect();
        let message = format!(
            "no column names the files: there must be a column `file_name`, `…_file_name`, `file_names` or \
             `…_file_names` of texts; it has {}",
            columns.join(", ")
        );
        return Err(EngineError::new(ErrorKind::Unreadable, message));
    }
    Ok(features)
}

fn replaced(kind: FolderKind, features: &Features, found: &mut bool) -> Result<Features, EngineError> {
    let mut columns: Vec<(String, Feature)> = Vec::with_capacity(features.len());
    for (name, feature) in features {
        let is_text = |feature: &Feature| matches!(feature, Feature::Value(Dtype::String | Dtype::LargeString));
        let (new_name, feature) = match (target(kind, name), feature) {
            (Some(Target { name, many: false }), feature) if is_text(feature) => {
                *found = true;
                (name, media::feature(kind))
            }
            (Some(Target { name, many: true }), Feature::List { feature, length: None }) if is_text(feature) => {
                *found = true;
                (name, Feature::list(media::feature(kind)))
            }
            (_, Feature::Struct(fields)) => (name.clone(), Feature::Struct(replaced(kind, fields, found)?)),
            (_, Feature::List { feature, length }) if let Feature::Struct(fields) = feature.as_ref() => {
                let items = Box::new(Feature::Struct(replaced(kind, fields, found)?));
                (name.clone(), Feature::List { feature: items, length: *length })
            }
            (_, feature) => (name.clone(), feature.clone()),
        };
        if columns.iter().any(|(known, _)| *known == new_name) {
            let message = format!("two columns would be called `{new_name}`, which stands for the files; rename one");
            return Err(EngineError::new(ErrorKind::Unreadable, message).in_column(name));
        }
        columns.push((new_name, feature));
    }
    Ok(Features::new(columns))
}

/// What a column of names becomes.
struct Target {
    name: String,
    /// A list of files.
    many: bool,
}

fn target(kind: FolderKind, name: &str) -> Option<Target> {
    match name {
        "file_name" => return Some(Target { name: kind.column().to_owned(), many: false }),
        "file_names" => return Some(Target { name: format!("{}s", kind.column()), many: true }),
        _ => {}
    }
    let one = name.strip_suffix("_file_name").map(|stem| (stem, false));
    let (stem, many) = one.or_else(|| name.strip_suffix("_file_names").map(|stem| (stem, true)))?;
    let base = if many { format!("{}s", kind.column()) } else { kind.column().to_owned() };
    Some(Target { name: if stem.is_empty() { base } else { stem.to_owned() }, many })
}

/// Rows of tables, one table after the other.
struct Rows {
    folder: Arc<Folder>,
    raw: std::vec::IntoIter<Raw>,
    current: Option<Current>,
    /// Stored bytes of the tables that are done.
    done: u64,
}

struct Current {
    origin: Origin,
    stream: Box<dyn TableStream>,
    path: String,
    /// A table whose rows are given piece by piece.
    rest: Option<RecordBatch>,
}

impl TableStream for Rows {
    fn next_table(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        loop {
            if self.current.is_none() {
                let Some((origin, stream, path)) = self.raw.next() else { return Ok(None) };
                self.current = Some(Current { origin, stream, path, rest: None });
            }
            let Some(current) = &mut self.current else { return Ok(None) };
            let table = current.next(&self.folder).map_err(|error| error.in_file(&current.path))?;
            if table.is_some() {
                return Ok(table);
            }
            self.done += current.stream.bytes_consumed();
            self.current = None;
        }
    }

    fn bytes_consumed(&self) -> u64 {
        self.done + self.current.as_ref().map_or(0, |current| current.stream.bytes_consumed())
    }
}

impl Current {
    fn next(&mut self, folder: &Folder) -> Result<Option<RecordBatch>, EngineError> {
        let table = match self.rest.take() {
            Some(rest) => rest,
            None => match self.stream.next_table()? {
                Some(table) => table,
                None => return Ok(None),
            },
        };
        let names = Names { folder, origin: &self.origin, base: base_of(&self.path, &self.origin) };
        if table.num_rows() == 0 {
            return names.replace(&table).map(Some);
        }
        if matches!(self.origin, Origin::Repository) {
            let rows = table.num_rows().min(TABLE_ROWS);
            self.rest = (rows < table.num_rows()).then(|| table.slice(rows, table.num_rows() - rows));
            return names.replace(&table.slice(0, rows)).map(Some);
        }
        // Row by row, since each brings the bytes of its files.
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while rows.len() < table.num_rows().min(TABLE_ROWS) && bytes < TABLE_BYTES {
            let row = names.replace(&table.slice(rows.len(), 1))?;
            bytes += crate::nbytes::of_table(&row);
            rows.push(row);
        }
        self.rest = (rows.len() < table.num_rows()).then(|| table.slice(rows.len(), table.num_rows() - rows.len()));
        let schema = rows[0].schema();
        concat_batches(&schema, &rows).map(Some).map_err(|error| EngineError::new(ErrorKind::Internal, error))
    }
}

/// The folder that names in a table are relative to: in the repository or in the archive.
fn base_of(path: &str, origin: &Origin) -> String {
    let inside = match origin {
        Origin::Repository => path,
        Origin::Archive(file, _) => path.strip_prefix(&file.path).map_or(path, |rest| rest.trim_start_matches('/')),
    };
    inside.rsplit_once('/').map_or_else(String::new, |(folder, _)| folder.to_owned())
}

/// Replaces names by files.
struct Names<'f> {
    folder: &'f Folder,
    origin: &'f Origin,
    base: String,
}

impl Names<'_> {
    fn replace(&self, table: &RecordBatch) -> Result<RecordBatch, EngineError> {
        let schema = table.schema();
        let (fields, columns) = self.fields(schema.fields(), table.columns())?;
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(table.num_rows()));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
            .map_err(|error| EngineError::new(ErrorKind::Internal, error))
    }

    fn fields(&self, fields: &Fields, columns: &[ArrayRef]) -> Result<(Fields, Vec<ArrayRef>), EngineError> {
        let (mut new_fields, mut new_columns) = (Vec::new(), Vec::new());
        for (field, column) in fields.iter().zip(columns) {
            let (name, column) = self.column(field, column).map_err(|error| error.in_column(field.name()))?;
            let new = match column.data_type() == field.data_type() && name == *field.name() {
                true => Arc::clone(field),
                false => Arc::new(Field::new(name, column.data_type().clone(), true)),
            };
            new_fields.push(new);
            new_columns.push(column);
        }
        Ok((new_fields.into(), new_columns))
    }

    fn column(&self, field: &FieldRef, column: &ArrayRef) -> Result<(String, ArrayRef), EngineError> {
        let is_text = |field: &Field| {
            matches!(field.data_type(), DataType::Utf8 | DataType::LargeUtf8) && field.extension_type_name().is_none()
        };
        let same = || (field.name().clone(), Arc::clone(column));
        Ok(match (target(self.folder.kind, field.name()), field.data_type()) {
            (Some(Target { name, many: false }), _) if is_text(field) => (name, self.files(column)?),
            (Some(Target { name, many: true }), DataType::List(item)) if is_text(item) => {
                (name, self.items(column.as_list::<i32>(), |values| self.files(values))?)
            }
            (Some(Target { name, many: true }), DataType::LargeList(item)) if is_text(item) => {
                (name, self.items(column.as_list::<i64>(), |values| self.files(values))?)
            }
            (_, DataType::Struct(_)) => (field.name().clone(), self.structs(column)?),
            (_, DataType::List(item)) if matches!(item.data_type(), DataType::Struct(_)) => {
                (field.name().clone(), self.items(column.as_list::<i32>(), |values| self.structs(values))?)
            }
            _ => same(),
        })
    }

    fn structs(&self, column: &ArrayRef) -> Result<ArrayRef, EngineError> {
        let structs = column.as_struct();
        let (fields, columns) = self.fields(structs.fields(), structs.columns())?;
        if fields.is_empty() {
            return Ok(Arc::clone(column));
        }
        let made = StructArray::try_new(fields, columns, structs.nulls().cloned());
        made.map(|made| Arc::new(made) as ArrayRef).map_err(|error| EngineError::new(ErrorKind::Internal, error))
    }

    /// A list with other items.
    fn items<O: OffsetSizeTrait>(
        &self,
        list: &GenericListArray<O>,
        items: impl Fn(&ArrayRef) -> Result<ArrayRef, EngineError>,
    ) -> Result<ArrayRef, EngineError> {
        // The items of a part of a list are a part of its items.
        let first = list.value_offsets().first().map_or(0, |offset| offset.as_usize());
        let last = list.value_offsets().last().map_or(0, |offset| offset.as_usize());
        let values = items(&list.values().slice(first, last - first))?;
        let offsets = arrow::buffer::OffsetBuffer::from_lengths(list.offsets().lengths());
        let item = Arc::new(Field::new_list_field(values.data_type().clone(), true));
        let made = GenericListArray::<O>::try_new(item, offsets, values, list.nulls().cloned());
        made.map(|made| Arc::new(made) as ArrayRef).map_err(|error| EngineError::new(ErrorKind::Internal, error))
    }

    /// The files that names stand for.
    fn files(&self, names: &ArrayRef) -> Result<ArrayRef, EngineError> {
        let names = cast(names, &DataType::Utf8).map_err(|error| EngineError::new(ErrorKind::Internal, error))?;
        let mut media = MediaBuilder::default();
        for name in names.as_string::<i32>() {
            let Some(name) = name else {
                media.null();
                continue;
            };
            let path = within(&self.base, name).ok_or_else(|| {
                let message = format!(
                    "`{name}` leads out of the folder of this table; names of files are relative to it, without `..`, \
                     a slash at the start or `://`"
                );
                EngineError::new(ErrorKind::Unreadable, message)
            })?;
            match self.origin {
                Origin::Repository => media.link(&self.folder.repository, &path),
                Origin::Archive(archive, members) => match members.get(&path) {
                    Some(member) => media.embed(archive, member, self.folder.limits.max_record_bytes)?,
                    None => media.missing(archive, &path),
                },
            }
        }
        media.finish()
    }
}

/// A relative path below a folder, without dots; `None` if it leads out.
fn within(base: &str, name: &str) -> Option<String> {
    if name.contains("://") || name.starts_with(['/', '\\']) {
        return None;
    }
    let name = name.replace('\\', "/");
    let mut parts: Vec<&str> = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    let below = parts.join("/");
    (!below.is_empty()).then(|| if base.is_empty() { below.clone() } else { format!("{base}/{below}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_below_their_folder() {
        assert_eq!(within("train", "a.png").as_deref(), Some("train/a.png"));
        assert_eq!(within("", "./x//y/../a.png").as_deref(), Some("x/a.png"));
        assert_eq!(within("train", r"x\a.png").as_deref(), Some("train/x/a.png"));
        for bad in ["../a.png", "x/../../a.png", "/etc/passwd", "file:///etc/passwd", r"\\host\a", "", ".", ".."] {
            assert_eq!(within("train", bad), None, "{bad}");
        }
    }

    #[test]
    fn columns_of_names_tell_their_targets() {
        let target = |name: &str| target(FolderKind::Audio, name).map(|target| (target.name, target.many));
        assert_eq!(target("file_name"), Some(("audio".to_owned(), false)));
        assert_eq!(target("mask_file_name"), Some(("mask".to_owned(), false)));
        assert_eq!(target("file_names"), Some(("audios".to_owned(), true)));
        assert_eq!(target("frames_file_names"), Some(("frames".to_owned(), true)));
        assert_eq!(target("filename"), None);
        assert_eq!(target("profile_name"), None);
    }
}
