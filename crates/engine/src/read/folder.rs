//! Folders of media: every file is a row, or every row of a table that names files.
//!
//! Files of the repository are never opened here: a cell holds their path, and whoever shows it looks. What lies in
//! zip archives has no path of its own, so its bytes go into the cells. Labels and columns are decided once, over all
//! splits, before the first row. Parameters: `drop_labels`, `drop_metadata`, `metadata_filenames`.

mod described;
mod labels;
mod media;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema};
use belvedere_domain::data_files::{FolderKind, FolderRole, ResolvedConfig};
use belvedere_domain::{Feature, Features};

use self::described::{Described, Origin};
use self::labels::Labels;
use self::media::MediaBuilder;
use super::parameters::{Parameters, bad};
use super::{ReadLimits, TableStream};
use crate::decompress::zip;
use crate::error::{EngineError, ErrorKind};
use crate::source::SourceFile;

/// Rows of a table, as the reference library writes media.
const TABLE_ROWS: usize = 100;
/// A table ends early when its cells hold this many bytes.
const TABLE_BYTES: u64 = 32 << 20;
/// Rows of a row group whose cells hold bytes.
const EMBEDDED_ROWS: usize = 100;
/// The same for videos, as the reference has it.
const EMBEDDED_VIDEO_ROWS: usize = 1_000;
const LABEL: &str = "label";

/// What is known of a config before its rows are read.
#[derive(Debug)]
pub(super) struct Folder {
    kind: FolderKind,
    /// `hf://datasets/<dataset>@<revision>`.
    repository: String,
    metadata_filenames: Vec<String>,
    limits: ReadLimits,
    archives: HashMap<String, Archive>,
    /// The rows are those of tables that name files.
    described: bool,
    has_labels: bool,
    features: Features,
    tables: Described,
}

/// A zip archive: its media and the tables that describe them.
#[derive(Debug)]
struct Archive {
    file: SourceFile,
    /// In order of their names.
    media: Vec<zip::Member>,
    metadata: Vec<zip::Member>,
}

/// What the rows of a split are read from, one after the other.
#[derive(Debug)]
pub(crate) enum Input<'a> {
    /// A file.
    File(&'a SourceFile),
    /// Files that become rows by their paths alone.
    Listing(Vec<&'a str>),
}

impl Folder {
    /// Decides labels and columns of all splits. `files` are at least the [opened](ResolvedConfig::opened_paths) ones.
    ///
    /// # Errors
    /// [`Unreadable`](ErrorKind::Unreadable) when an archive or the first table cannot be understood, or names no
    /// files; [`Parameter`](ErrorKind::Parameter).
    pub(super) fn open(
        kind: FolderKind,
        config: &ResolvedConfig,
        repository: &str,
        files: &HashMap<&str, &SourceFile>,
        limits: ReadLimits,
    ) -> Result<Self, EngineError> {
        let drop_labels = choice(config, "drop_labels")?;
        let drop_metadata = choice(config, "drop_metadata")? == Some(true);
        let mut folder = Self {
            kind,
            repository: repository.trim_end_matches('/').to_owned(),
            metadata_filenames: config.metadata_filenames(),
            limits,
            archives: HashMap::new(),
            described: false,
            has_labels: false,
            features: Features::default(),
            tables: Described::new(config),
        };
        let mut labels = Labels::default();
        // The first table decides the columns; a table inside of an archive only if there is no other.
        let (mut tables, mut inner_tables) = (Vec::new(), Vec::new());
        for (number, paths) in config.splits.values().enumerate() {
            for path in paths {
                match folder.role(path) {
                    FolderRole::Media => labels.add(number, path),
                    FolderRole::Metadata => tables.push(path.as_str()),
                    FolderRole::Archive => {
                        let file = files.get(path.as_str()).ok_or_else(|| crate::inspect::not_listed(path))?;
                        let archive = folder.look_into(file)?;
                        archive.media.iter().for_each(|member| labels.add(number, &placed(path, &member.name)));
                        inner_tables.extend((!archive.metadata.is_empty()).then_some(path.as_str()));
                        folder.archives.insert(path.clone(), archive);
                    }
                    FolderRole::Other => {}
                }
            }
        }
        let found = !tables.is_empty() || !inner_tables.is_empty();
        folder.described = found && !drop_metadata;
        if folder.described {
            one_format(&tables)?;
            folder.features = folder.described_features(&tables, &inner_tables, files)?;
            return Ok(folder);
        }
        let declared = config.declared_features.as_ref().or(config.reader_features.as_ref());
        // Tables that describe the media say more than the names of folders, even when they are not wanted.
        let unwanted = found && drop_labels != Some(false);
        let names = labels.names(drop_labels).filter(|_| !unwanted);
        folder.has_labels = names.is_some() && declared.is_none_or(|features| features.get(LABEL).is_some());
        let label = names.filter(|_| folder.has_labels).map(|names| (LABEL.to_owned(), Feature::ClassLabel { names }));
        let media = (kind.column().to_owned(), media::feature(kind));
        folder.features = Features::new(std::iter::once(media).chain(label));
        Ok(folder)
    }

    /// The columns of every split, unless others are declared.
    pub(super) fn features(&self) -> &Features {
        &self.features
    }

    /// Rows that a row group may have, if cells hold bytes.
    pub(super) fn row_group_rows(&self) -> Option<usize> {
        let rows = if self.kind == FolderKind::Video { EMBEDDED_VIDEO_ROWS } else { EMBEDDED_ROWS };
        (!self.archives.is_empty()).then_some(rows)
    }

    /// What the rows of a split are read from: tables where there are some, else the files themselves, archives last.
    pub(super) fn inputs<'a>(
        &self,
        paths: &'a [String],
        files: &HashMap<&str, &'a SourceFile>,
    ) -> Result<Vec<Input<'a>>, EngineError> {
        let with = |role: FolderRole| paths.iter().map(String::as_str).filter(move |path| self.role(path) == role);
        let file = |path| files.get(path).copied().map(Input::File).ok_or_else(|| crate::inspect::not_listed(path));
        if self.described {
            let mut tables: Vec<&str> = with(FolderRole::Metadata).collect();
            tables.sort_unstable();
            let inside = |path: &&str| self.archives.get(*path).is_some_and(|archive| !archive.metadata.is_empty());
            tables.extend(with(FolderRole::Archive).filter(inside));
            if !tables.is_empty() {
                return tables.into_iter().map(file).collect();
            }
        }
        let listing: Vec<&str> = with(FolderRole::Media).collect();
        let listing = (!listing.is_empty()).then_some(Ok(Input::Listing(listing)));
        listing.into_iter().chain(with(FolderRole::Archive).map(file)).collect()
    }

    /// The rows of a file of [`inputs`](Self::inputs).
    pub(super) fn rows_of_file(self: &Arc<Self>, file: &SourceFile) -> Result<Box<dyn TableStream>, EngineError> {
        match self.archives.get(&file.path) {
            None => self.tables.open(self, file),
            Some(archive) if self.described && !archive.metadata.is_empty() => self.tables.open_members(self, archive),
            Some(archive) => Ok(Box::new(Members {
                folder: Arc::clone(self),
                file: archive.file.clone(),
                members: archive.media.clone().into_iter(),
                consumed: 0,
            })),
        }
    }

    /// The rows of files by their paths alone.
    pub(super) fn rows_of_paths(self: &Arc<Self>, paths: &[&str]) -> Box<dyn TableStream> {
        let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        Box::new(Listing { folder: Arc::clone(self), paths: paths.into_iter() })
    }

    fn role(&self, path: &str) -> FolderRole {
        self.kind.role(path, &self.metadata_filenames)
    }

    fn look_into(&self, file: &SourceFile) -> Result<Archive, EngineError> {
        let mut archive = Archive { file: file.clone(), media: Vec::new(), metadata: Vec::new() };
        for member in zip::members(file)? {
            match self.role(&member.name) {
                FolderRole::Media => archive.media.push(member),
                FolderRole::Metadata => archive.metadata.push(member),
                FolderRole::Archive | FolderRole::Other => {}
            }
        }
        Ok(archive)
    }

    /// The columns that the first table with rows tells.
    fn described_features(
        &self,
        tables: &[&str],
        inner_tables: &[&str],
        files: &HashMap<&str, &SourceFile>,
    ) -> Result<Features, EngineError> {
        let mut without_rows = None;
        let plain = tables.iter().map(|path| {
            let file = files.get(path).copied().ok_or_else(|| crate::inspect::not_listed(path))?;
            Ok(vec![(Origin::Repository, self.tables.raw(self, file)?, (*path).to_owned())])
        });
        let inner = inner_tables.iter().map(|path| self.tables.raw_members(self, &self.archives[*path]));
        for streams in plain.chain(inner) {
            for (_, mut stream, path) in streams? {
                let table = stream.next_table().map_err(|error: EngineError| error.in_file(&path))?;
                let Some(table) = table else { continue };
                let features = described::features(self.kind, &table).map_err(|error| error.in_file(&path))?;
                if table.num_rows() > 0 {
                    return Ok(features);
                }
                without_rows.get_or_insert(features);
            }
        }
        without_rows
            .ok_or_else(|| EngineError::new(ErrorKind::Unreadable, "the files that describe the media are empty"))
    }

    /// The label of a file.
    fn label<'p>(&self, path: &'p str) -> Option<&'p str> {
        self.has_labels.then(|| labels::parent_name(path))
    }

    fn table(&self, media: ArrayRef, labels: Option<ArrayRef>) -> Result<RecordBatch, EngineError> {
        let mut fields = vec![Field::new(self.kind.column(), media.data_type().clone(), true)];
        let mut columns = vec![media];
        if let Some(labels) = labels {
            fields.push(Field::new(LABEL, labels.data_type().clone(), true));
            columns.push(labels);
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
            .map_err(|error| EngineError::new(ErrorKind::Internal, error))
    }
}

/// A parameter that is true, false or not given.
fn choice(config: &ResolvedConfig, name: &str) -> Result<Option<bool>, EngineError> {
    let value = Parameters(&config.parameters).get(name);
    value.map(|value| value.as_bool().ok_or_else(|| bad(name, value, "true or false"))).transpose()
}

/// Where a member of an archive would lie if the archive were unpacked beside itself.
fn placed(archive: &str, member: &str) -> String {
    match archive.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/{member}"),
        None => member.to_owned(),
    }
}

/// All tables must have one format.
fn one_format(tables: &[&str]) -> Result<(), EngineError> {
    let extension = |path: &str| path.rsplit_once('.').map_or_else(String::new, |(_, extension)| extension.to_owned());
    let Some(first) = tables.first() else { return Ok(()) };
    match tables.iter().find(|path| extension(path) != extension(first)) {
        None => Ok(()),
        Some(other) => {
            let message = format!("it describes media as `{first}` does, in another format; keep one format for both");
            Err(EngineError::new(ErrorKind::Unreadable, message).in_file(other))
        }
    }
}

/// Files of the repository as rows.
struct Listing {
    folder: Arc<Folder>,
    paths: std::vec::IntoIter<String>,
}

impl TableStream for Listing {
    fn next_table(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        let paths: Vec<String> = self.paths.by_ref().take(TABLE_ROWS).collect();
        if paths.is_empty() {
            return Ok(None);
        }
        let mut media = MediaBuilder::default();
        paths.iter().for_each(|path| media.link(&self.folder.repository, path));
        let labels = self.folder.has_labels.then(|| media::texts(paths.iter().map(|path| self.folder.label(path))));
        self.folder.table(media.finish()?, labels).map(Some)
    }

    fn bytes_consumed(&self) -> u64 {
        0
    }
}

/// Members of an archive as rows.
struct Members {
    folder: Arc<Folder>,
    file: SourceFile,
    members: std::vec::IntoIter<zip::Member>,
    /// Stored bytes of the members so far.
    consumed: u64,
}

impl TableStream for Members {
    fn next_table(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        let (mut media, mut paths) = (MediaBuilder::default(), Vec::new());
        while paths.len() < TABLE_ROWS
            && media.num_bytes() < TABLE_BYTES
            && let Some(member) = self.members.next()
        {
            media.embed(&self.file, &member, self.folder.limits.max_record_bytes)?;
            self.consumed += member.stored_size();
            paths.push(placed(&self.file.path, &member.name));
        }
        if paths.is_empty() {
            self.consumed = self.file.size;
            return Ok(None);
        }
        let labels = self.folder.has_labels.then(|| media::texts(paths.iter().map(|path| self.folder.label(path))));
        self.folder.table(media.finish()?, labels).map(Some)
    }

    fn bytes_consumed(&self) -> u64 {
        self.consumed.min(self.file.size)
    }
}

#[cfg(test)]
mod tests;
