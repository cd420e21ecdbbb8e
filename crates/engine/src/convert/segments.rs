//! Segments: which row groups hold the rows of which input file, so that the next conversion can copy them.
//!
//! A segment's key says everything that its bytes depend on: content of the input, reader, parameters, schema. The
//! first file with rows of a config without declared features decides the schema, so its key is of another kind: when
//! such a segment is found for the first file of the next conversion, the schema is known without reading anything.

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use belvedere_domain::Features;
use sha2::{Digest, Sha256};

use crate::call::{Convert, Segment};
use crate::footers::{Footer, FooterCache};
use crate::ranges::Ranges;
use crate::read::rows_name_files;
use crate::source::SourceFile;
use crate::write::WrittenRun;

/// Changes when files of the same rows and schema would be laid out or counted in another way.
const LAYOUT_VERSION: u32 = 1;

/// How a file stands to the schema.
#[derive(Clone, Copy)]
enum Role {
    /// It was cast to the schema.
    Follows,
    /// It fixed the schema.
    Defines,
}

/// Makes the keys of one conversion.
pub(super) struct SegmentKeys {
    content_ids: HashMap<String, String>,
    /// Hash of reader and parameters.
    base: Sha256,
    declared: bool,
    /// Labels follow from where an archive lies.
    placed: bool,
    /// Cells name the file that they come from, by the reader or by what it found.
    by_path: bool,
}

impl SegmentKeys {
    pub(super) fn new(call: &Convert) -> Self {
        let config = &call.config;
        let mut base = Sha256::new();
        part(&mut base, &LAYOUT_VERSION.to_string());
        part(&mut base, config.reader.as_str());
        part(&mut base, &serde_json::Value::from_iter(config.parameters.clone()).to_string());
        part(
            &mut base,
            &config.reader_features.as_ref().map(|features| features.to_json().to_string()).unwrap_or_default(),
        );
        let declared = config.declared_features.is_some();
        part(&mut base, if declared { "declared" } else { "inferred" });
        let placed = config.reader.folder().is_some();
        let by_path = config.reader.names_files();
        if by_path {
            part(&mut base, &call.repository);
        }
        Self { content_ids: call.content_ids.clone(), base, declared, placed, by_path }
    }

    /// The key of a file converted to these features; `first` if no rows came before it. `None` when its content is
    /// not known.
    pub(super) fn of(&self, file: &SourceFile, features: &Features, first: bool) -> Option<String> {
        self.key(file, features, if first && !self.declared { Role::Defines } else { Role::Follows })
    }

    /// SHA-256 of a file's content, if known.
    pub(super) fn content_id(&self, file: &SourceFile) -> Option<&str> {
        self.content_ids.get(&file.path).map(String::as_str)
    }

    fn key(&self, file: &SourceFile, features: &Features, role: Role) -> Option<String> {
        let mut hash = self.base.clone();
        part(&mut hash, self.content_id(file)?);
        if self.by_path || rows_name_files(features) {
            part(&mut hash, &file.path);
        }
        // It tells the compression.
        part(&mut hash, file.path.rsplit_once('.').map_or("", |(_, extension)| extension));
        if self.placed {
            part(&mut hash, file.path.rsplit_once('/').map_or("", |(folder, _)| folder));
        }
        part(
            &mut hash,
            match role {
                Role::Follows => "follows",
                Role::Defines => "defines",
            },
        );
        part(&mut hash, &features.to_json().to_string());
        Some(hex::encode(hash.finalize()))
    }
}

fn part(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_le_bytes());
    hash.update(text.as_bytes());
}

/// Segments of earlier conversions.
pub(super) struct Earlier<'a> {
    by_key: HashMap<&'a str, Vec<&'a Segment>>,
    footers: &'a FooterCache,
    /// The different schemas among them, read when first needed.
    schemas: Option<Vec<Features>>,
}

/// A file that need not be converted again.
pub(super) struct Found {
    pub(super) key: String,
    pub(super) features: Features,
    pub(super) parts: Vec<Part>,
}

/// Row groups to copy.
pub(super) struct Part {
    pub(super) file: Ranges,
    pub(super) footer: Arc<Footer>,
    pub(super) row_groups: Range<usize>,
    pub(super) num_rows: u64,
    pub(super) num_bytes: u64,
}

impl Found {
    pub(super) fn num_bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.num_bytes).sum()
    }
}

impl<'a> Earlier<'a> {
    pub(super) fn new(segments: &'a [Segment], footers: &'a FooterCache) -> Self {
        let mut by_key: HashMap<&str, Vec<&Segment>> = HashMap::new();
        for segment in segments {
            by_key.entry(segment.key.as_str()).or_default().push(segment);
        }
        Self { by_key, footers, schemas: None }
    }

    /// What was made of a file. `features` is the schema if it is known; `first`: no rows came before the file.
    pub(super) fn find(
        &mut self,
        keys: &SegmentKeys,
        file: &SourceFile,
        features: Option<&Features>,
        first: bool,
    ) -> Option<Found> {
        if self.by_key.is_empty() {
            return None;
        }
        match features {
            Some(features) => [Role::Follows, Role::Defines].into_iter().find_map(|role| {
                let key = keys.key(file, features, role)?;
                self.usable(&key, features)
            }),
            // Only a file that fixed the schema before fixes it again.
            None if first => {
                let schemas = self.schemas();
                schemas.iter().find_map(|features| {
                    let key = keys.key(file, features, Role::Defines)?;
                    self.usable(&key, features)
                })
            }
            None => None,
        }
    }

    fn schemas(&mut self) -> Vec<Features> {
        if self.schemas.is_none() {
            let mut schemas: Vec<Features> = Vec::new();
            let mut seen: Vec<&PathBuf> = Vec::new();
            for segment in self.by_key.values().flatten() {
                if seen.contains(&&segment.file.local_path) {
                    continue;
                }
                seen.push(&segment.file.local_path);
                if let Ok((_, footer)) = self.footers.open(&segment.file)
                    && let Some(features) = footer.told_features()
                    && !schemas.contains(features)
                {
                    schemas.push(features.clone());
                }
            }
            self.schemas = Some(schemas);
        }
        self.schemas.clone().unwrap_or_default()
    }

    /// All parts of a segment, if each is still what it was. Otherwise the input is simply converted again.
    fn usable(&self, key: &str, features: &Features) -> Option<Found> {
        // The same content may be there several times; one copy is enough.
        let mut parts: Vec<&Segment> = self.by_key.get(key)?.clone();
        parts.sort_by_key(|segment| segment.part);
        parts.dedup_by_key(|segment| segment.part);
        let count = parts.first()?.parts;
        if parts.len() != count || parts.iter().enumerate().any(|(index, part)| part.part != index) {
            return None;
        }
        let open = |segment: &&Segment| {
            let (file, footer) = self.footers.open(&segment.file).ok()?;
            let row_groups = segment.first_row_group..segment.first_row_group.checked_add(segment.row_groups)?;
            let metadata = footer.metadata();
            let stored = metadata.row_groups().get(row_groups.clone())?;
            let num_rows: u64 = stored.iter().map(|group| group.num_rows().unsigned_abs()).sum();
            let same = num_rows == segment.num_rows
                && !row_groups.is_empty()
                && metadata.offset_index().is_some()
                && footer.told_features() == Some(features);
            same.then(|| Part { file, footer: Arc::clone(&footer), row_groups, num_rows, num_bytes: segment.num_bytes })
        };
        let parts = parts.iter().map(open).collect::<Option<Vec<_>>>()?;
        Some(Found { key: key.to_owned(), features: features.clone(), parts })
    }
}

/// Gathers where the rows of one input go.
pub(super) struct Recorder {
    key: String,
    runs: Vec<(WrittenRun, u64, u64)>,
    /// Rows and bytes since the last run.
    num_rows: u64,
    num_bytes: u64,
}

impl Recorder {
    pub(super) fn new(key: String) -> Self {
        Self { key, runs: Vec::new(), num_rows: 0, num_bytes: 0 }
    }

    pub(super) fn with_key(mut self, key: String) -> Self {
        self.key = key;
        self
    }

    /// A table was written.
    pub(super) fn add(&mut self, num_rows: u64, num_bytes: u64) {
        self.num_rows += num_rows;
        self.num_bytes += num_bytes;
    }

    /// What was written until now lies in one run of row groups.
    pub(super) fn push(&mut self, run: Option<WrittenRun>) {
        if let Some(run) = run {
            self.runs.push((run, std::mem::take(&mut self.num_rows), std::mem::take(&mut self.num_bytes)));
        }
    }

    pub(super) fn finish(self, content_id: &str) -> impl Iterator<Item = Segment> {
        let parts = self.runs.len();
        let key = self.key;
        self.runs.into_iter().enumerate().map(move |(part, (run, num_rows, num_bytes))| Segment {
            key: key.clone(),
            content_id: content_id.to_owned(),
            part,
            parts,
            file: SourceFile {
                path: run.path.to_string_lossy().into_owned(),
                local_path: run.path,
                size: 0,
                identity: None,
            },
            first_row_group: run.first_row_group,
            row_groups: run.row_groups,
            num_rows,
            num_bytes,
        })
    }
}
