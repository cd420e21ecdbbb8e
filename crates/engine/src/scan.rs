//! The Parquet files of a split as one sequence of row groups: read by columns, in parallel, or gathered row by row.

mod batches;
mod fields;
mod gather;
mod parallel;
mod texts;

use parquet::arrow::arrow_reader::RowSelection;
use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::RowGroupMetaData;

use std::sync::Arc;

use belvedere_domain::Features;

use crate::call::ParquetFile;
use crate::error::{EngineError, ErrorKind};
use crate::footers::{self, Footer, FooterCache};
use crate::ranges::{Ranges, unreadable};

pub(crate) use batches::{Batches, MAX_FETCH};
pub(crate) use fields::{FieldPath, child};
pub(crate) use gather::selection;
pub(crate) use parallel::{for_each, for_each_group};

/// Largest number of rows that tables should have.
const MAX_TABLE_ROWS: u64 = 8_192;

/// The files of a split, opened.
pub(crate) struct SplitTable {
    files: Vec<OpenFile>,
    features: Features,
    groups: Vec<Group>,
    num_rows: u64,
}

struct OpenFile {
    path: String,
    ranges: Ranges,
    footer: Arc<Footer>,
    /// For each feature the top-level column of the file, if it has it.
    columns: Vec<Option<usize>>,
}

/// A row group of a split.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Group {
    /// Position of its file in the split.
    pub(crate) file: usize,
    /// Position in the file.
    pub(crate) row_group: usize,
    /// Its first row, counted from 0 in the split.
    pub(crate) first_row: u64,
    /// Number of its rows.
    pub(crate) num_rows: usize,
}

impl SplitTable {
    /// Opens all files and reads their footers, those not at hand.
    ///
    /// # Errors
    /// [`Empty`](ErrorKind::Empty) without files, [`SchemaMismatch`](ErrorKind::SchemaMismatch) when a file has columns
    /// that the features lack, [`Changed`](ErrorKind::Changed) when a file is not the one that was listed; those of
    /// opening and reading.
    pub(crate) fn open(
        files: &[ParquetFile],
        features: Option<&Features>,
        cache: &FooterCache,
    ) -> Result<Self, EngineError> {
        let features = cache.features(features, files)?;
        let mut table = Self { files: Vec::with_capacity(files.len()), features, groups: Vec::new(), num_rows: 0 };
        for file in files {
            let (ranges, footer) = cache.open(&file.file)?;
            footers::check_num_rows(&footer, file.num_rows, &file.file.path)?;
            table.push(file.file.path.clone(), ranges, footer)?;
        }
        Ok(table)
    }

    fn push(&mut self, path: String, ranges: Ranges, footer: Arc<Footer>) -> Result<(), EngineError> {
        let fields = footer.arrow.schema().fields();
        if let Some(extra) = fields.iter().find(|field| self.features.get(field.name()).is_none()) {
            let message = "the file has a column that the features of the split do not tell";
            let error = EngineError::new(ErrorKind::SchemaMismatch, message);
            return Err(error.in_column(extra.name()).in_file(&path));
        }
        let position = |name: &str| fields.iter().position(|field| field.name() == name);
        let columns = self.features.iter().map(|(name, _)| position(name)).collect();
        for (row_group, metadata) in footer.metadata().row_groups().iter().enumerate() {
            let num_rows = metadata.num_rows().unsigned_abs();
            let count = usize::try_from(num_rows).unwrap_or(usize::MAX);
            self.groups.push(Group { file: self.files.len(), row_group, first_row: self.num_rows, num_rows: count });
            self.num_rows += num_rows;
        }
        self.files.push(OpenFile { path, ranges, footer, columns });
        Ok(())
    }

    /// What the rows are shown as.
    pub(crate) fn features(&self) -> &Features {
        &self.features
    }

    /// Rows of all files.
    pub(crate) fn num_rows(&self) -> u64 {
        self.num_rows
    }

    /// The row groups of all files in order. Some may be empty.
    pub(crate) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The footer of the file that holds a group.
    pub(crate) fn footer(&self, group: &Group) -> &Footer {
        &self.files[group.file].footer
    }

    /// The footer of a group.
    pub(crate) fn metadata(&self, group: &Group) -> &RowGroupMetaData {
        self.footer(group).metadata().row_group(group.row_group)
    }

    /// The path of the file that holds a group, for messages.
    pub(crate) fn path(&self, group: &Group) -> &str {
        &self.files[group.file].path
    }

    /// The top-level column of the file of a group that holds a feature; `None` if the file lacks it.
    pub(crate) fn column_in_file(&self, group: &Group, feature: usize) -> Option<usize> {
        self.files[group.file].columns[feature]
    }

    /// The Bloom filter of a leaf column of a group, if the file has one.
    ///
    /// # Errors
    /// [`Unreadable`](ErrorKind::Unreadable) naming the file.
    pub(crate) fn bloom_filter(&self, group: &Group, leaf: usize) -> Result<Option<Sbbf>, EngineError> {
        let file = &self.files[group.file];
        Sbbf::read_from_column_chunk(self.metadata(group).column(leaf), &file.ranges)
            .map_err(|error| unreadable(error).in_file(&file.path))
    }

    /// Rows of a group whose chosen columns take so many bytes before compression, about; from 1 to 8,192.
    pub(crate) fn rows_within(&self, group: &Group, columns: &[usize], bytes: u64) -> usize {
        let roots: Vec<usize> = columns.iter().filter_map(|&column| self.column_in_file(group, column)).collect();
        let descriptor = self.footer(group).metadata().file_metadata().schema_descr();
        let leaves = self.metadata(group).columns().iter().enumerate();
        let chosen = leaves.filter(|(leaf, _)| roots.contains(&descriptor.get_column_root_idx(*leaf)));
        let all: u64 = chosen.map(|(_, column)| column.uncompressed_size().unsigned_abs()).sum();
        // Values that repeat are small in the file and not in memory: one byte for each is the least to reckon with.
        let row_bytes = (all / (group.num_rows as u64).max(1)).max(columns.len() as u64).max(1);
        (bytes / row_bytes).clamp(1, MAX_TABLE_ROWS) as usize
    }

    /// Compressed bytes of a feature in all files.
    pub(crate) fn column_bytes(&self, feature: usize) -> u64 {
        let in_file = |file: &OpenFile| {
            let Some(column) = file.columns[feature] else { return 0 };
            let metadata = file.footer.metadata();
            let schema = metadata.file_metadata().schema_descr();
            let leaves = (0..schema.num_columns()).filter(|&leaf| schema.get_column_root_idx(leaf) == column);
            let bytes = |leaf| metadata.row_groups().iter().map(move |group| group.column(leaf).byte_range().1);
            leaves.flat_map(bytes).sum()
        };
        self.files.iter().map(in_file).sum()
    }

    /// Tables of at most `batch_rows` rows with some columns of a group: `columns` are positions in the features,
    /// ascending. They come in the storage of their features; columns that the file lacks are null. With a selection,
    /// which counts from the first row of the group, only the pages that hold the rows are read.
    ///
    /// # Errors
    /// [`Unreadable`](ErrorKind::Unreadable) naming the file.
    pub(crate) fn read(
        &self,
        group: &Group,
        columns: &[usize],
        rows: Option<RowSelection>,
        batch_rows: usize,
    ) -> Result<Batches<'_>, EngineError> {
        Batches::open(self, group, columns, rows, batch_rows)
    }
}

#[cfg(test)]
mod tests;
