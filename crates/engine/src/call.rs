//! The calls: what can be asked of files, as plain data that crosses a process boundary as JSON.

mod cell;
mod duckdb_index;
mod sql;
mod statistics;
mod survey;
mod texts;

use std::collections::HashMap;
use std::path::PathBuf;

use belvedere_domain::data_files::ResolvedConfig;
use belvedere_domain::{Features, SplitName};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::compare::Compared;
pub use crate::search::call::{BuildSearchIndex, RowMatch, Search, SearchIndexBuilt, SearchPage, TextMatch};
use crate::source::SourceFile;

pub use cell::{Cell, CellValue, Extent};
pub use duckdb_index::{DuckdbIndex, DuckdbIndexed};
pub use sql::{Sql, SqlName, SqlPlan, SqlResult, SqlTable, SqlTableList, SqlTables};
pub use statistics::{SelectedRows, SplitStatistics, Statistics};
pub use survey::{ColumnReport, Difference, FileReport, SchemaReport, Survey, Surveyed};
pub use texts::{TextPage, Texts};

/// One piece of work on files.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// Read the files of a config and write them as Parquet.
    Convert(Convert),
    /// Find out how the files of a config differ.
    Survey(Survey),
    /// Describe files that already are Parquet, from their footers.
    Inspect(Inspect),
    /// The first rows of a split, straight from its source files.
    Head(Head),
    /// A page of rows of Parquet files.
    Rows(Rows),
    /// The rows of Parquet files that match a condition, in some order.
    Filter(Filter),
    /// A piece of many rows in some format.
    Export(Export),
    /// The texts of some rows, without anything else.
    Texts(Texts),
    /// The whole value of one cell.
    Cell(Cell),
    /// How two splits differ.
    Compare(Compare),
    /// A DuckDB file of a split. Only in programs that come with DuckDB.
    DuckdbIndex(DuckdbIndex),
    /// The rows of Parquet files that match a text.
    Search(Search),
    /// Build the index that a search is quick by.
    BuildSearchIndex(BuildSearchIndex),
    /// What the footers of Parquet files tell about their rows and layout.
    Footers(Footers),
    /// Write a Parquet file once more, in the layout of ours.
    Relayout(Relayout),
    /// Figures of every column of a split.
    Statistics(Statistics),
    /// The tables that a query in SQL names. Only in programs that come with a query engine.
    SqlTables(SqlTables),
    /// The first rows of the result of a query in SQL. Only in programs that come with a query engine.
    Sql(Sql),
}

impl Call {
    /// The files without which the call cannot be carried out.
    pub fn files(&self) -> Vec<&SourceFile> {
        fn of(files: &[ParquetFile]) -> Vec<&SourceFile> {
            files.iter().map(|file| &file.file).collect()
        }
        match self {
            Self::Convert(Convert { files, .. })
            | Self::Survey(Survey { files, .. })
            | Self::Inspect(Inspect { files, .. })
            | Self::Footers(Footers { files }) => files.iter().collect(),
            Self::Head(call) => call.files.iter().chain(&call.schema_files).collect(),
            Self::Rows(Rows { files, .. })
            | Self::Filter(Filter { files, .. })
            | Self::Export(Export { files, .. })
            | Self::Texts(Texts { files, .. })
            | Self::Cell(Cell { files, .. })
            | Self::DuckdbIndex(DuckdbIndex { files, .. })
            | Self::Search(Search { files, .. })
            | Self::BuildSearchIndex(BuildSearchIndex { files, .. })
            | Self::Statistics(Statistics { files, .. }) => of(files),
            Self::Compare(call) => [of(&call.left.files), of(&call.right.files)].concat(),
            Self::Relayout(call) => vec![&call.file],
            Self::SqlTables(_) => Vec::new(),
            Self::Sql(call) => call.tables.iter().flat_map(|table| of(&table.files)).collect(),
        }
    }

    /// Where media cells go, if the call shows cells.
    pub fn media_mut(&mut self) -> Option<&mut MediaTarget> {
        match self {
            Self::Head(Head { media, .. })
            | Self::Rows(Rows { media, .. })
            | Self::Export(Export { media, .. })
            | Self::Cell(Cell { media, .. })
            | Self::Search(Search { media, .. }) => Some(media),
            _ => None,
        }
    }

    /// Files that only make the call cheaper.
    pub fn optional_files(&self) -> Vec<&SourceFile> {
        match self {
            Self::Convert(call) => call.segments.iter().map(|segment| &segment.file).collect(),
            Self::Search(call) => call.index.iter().collect(),
            _ => Vec::new(),
        }
    }
}

/// The answer to the call of the same name.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "named like the calls")]
pub enum Reply {
    Convert(Converted),
    Survey(Box<Surveyed>),
    Inspect(Inspected),
    Head(PageOfRows),
    Rows(PageOfRows),
    Filter(Filtered),
    Export(Exported),
    Texts(TextPage),
    Cell(CellValue),
    Compare(Box<Compared>),
    Footers(FooterList),
    DuckdbIndex(DuckdbIndexed),
    Search(SearchPage),
    BuildSearchIndex(SearchIndexBuilt),
    Relayout(Relaid),
    Statistics(SplitStatistics),
    SqlTables(SqlTableList),
    Sql(SqlResult),
}

/// See [`Call::Convert`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Convert {
    /// What to read and how.
    pub config: ResolvedConfig,
    /// The files behind `config.splits`, by path.
    pub files: Vec<SourceFile>,
    /// Directory that the Parquet files are written to, as `<split>/NNNN.parquet`.
    pub output: PathBuf,
    /// `hf://datasets/<dataset>@<revision>`: prefix of paths to repository files.
    pub repository: String,
    /// Stop feeding a split once its tables hold this many bytes in memory; `None`: no limit.
    pub max_split_bytes: Option<u64>,
    /// SHA-256 of the content of input files, by path. Files without one are always converted.
    #[serde(default)]
    pub content_ids: HashMap<String, String>,
    /// Parts of earlier conversions that may be copied instead of converted again.
    pub segments: Vec<Segment>,
}

/// Row groups of an earlier conversion that hold the rows of one input file, or a part of them where the input was
/// spread over several Parquet files.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Segment {
    /// SHA-256 over input content, reader, parameters and schema, in hexadecimal.
    pub key: String,
    /// SHA-256 of the content of the input, in hexadecimal.
    pub content_id: String,
    /// Which part of the input this is, from 0.
    pub part: usize,
    /// Number of parts.
    pub parts: usize,
    /// The Parquet file that holds it.
    pub file: SourceFile,
    /// First row group of the input in that file.
    pub first_row_group: usize,
    /// Number of its row groups.
    pub row_groups: usize,
    /// Number of its rows.
    pub num_rows: u64,
    /// Bytes of its tables in memory.
    pub num_bytes: u64,
}

/// See [`Call::Convert`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Converted {
    /// The schema of all splits, or of none when nothing was read.
    pub features: Features,
    /// The splits in order.
    pub splits: Vec<ConvertedSplit>,
    /// At least one split reached the limit.
    pub partial: bool,
    /// Where each input file ended up; the `file` paths are relative to the output.
    pub segments: Vec<Segment>,
}

/// One split, written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConvertedSplit {
    /// Its name.
    pub split: SplitName,
    /// Bytes of its tables in memory.
    pub num_bytes: u64,
    /// Number of rows.
    pub num_examples: u64,
    /// Rows per Parquet file.
    pub shard_lengths: Vec<u64>,
    /// The Parquet files in order, relative to the output.
    pub files: Vec<WrittenFile>,
    /// What the whole split would hold, when the limit cut it.
    pub estimate: Option<Estimate>,
}

/// A Parquet file that was written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WrittenFile {
    /// Path relative to the output of the call.
    pub path: PathBuf,
    /// Size in bytes.
    pub size: u64,
    /// Number of rows.
    pub num_rows: u64,
}

/// Extrapolated from what was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Estimate {
    /// Size in bytes of the source files.
    pub download_size: u64,
    /// Bytes of all its tables in memory.
    pub num_bytes: u64,
    /// Number of all its rows.
    pub num_examples: u64,
}

/// See [`Call::Inspect`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Inspect {
    /// The config, whose reader is [`Reader::Parquet`](belvedere_domain::data_files::Reader::Parquet).
    pub config: ResolvedConfig,
    /// The files behind `config.splits`, by path.
    pub files: Vec<SourceFile>,
}

/// See [`Call::Inspect`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Inspected {
    /// Declared features, or those of the first file.
    pub features: Features,
    /// The splits in order.
    pub splits: Vec<InspectedSplit>,
    /// Uncompressed bytes of the largest row group of all files.
    pub largest_row_group_bytes: u64,
    /// Of the first row groups of the first five files, the largest: what the reference looks at.
    pub sampled_row_group_bytes: u64,
}

/// One split of Parquet files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InspectedSplit {
    /// Its name.
    pub split: SplitName,
    /// Uncompressed bytes of its row groups.
    pub num_bytes: u64,
    /// Number of rows.
    pub num_examples: u64,
    /// Rows per file, in order.
    pub num_rows: Vec<u64>,
}

/// See [`Call::Head`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Head {
    /// What to read and how.
    pub config: ResolvedConfig,
    /// The split.
    pub split: SplitName,
    /// The files of that split in order.
    pub files: Vec<SourceFile>,
    /// The files of the config's first split when that is another one: they decide the types, as in a conversion.
    pub schema_files: Vec<SourceFile>,
    /// Rows wanted. The answer tells whether there are more.
    pub max_rows: usize,
    /// Refuse more columns than this.
    pub max_columns: usize,
    /// `hf://datasets/<dataset>@<revision>` with the revision placeholder.
    pub repository: String,
    /// Where media cells go.
    pub media: MediaTarget,
}

/// See [`Call::Rows`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rows {
    /// The Parquet files of a split in order, with their numbers of rows.
    pub files: Vec<ParquetFile>,
    /// The features that the rows are shown as; `None`: those of the first file.
    pub features: Option<Features>,
    /// First row, from 0 in the split.
    pub offset: u64,
    /// Rows wanted.
    pub length: usize,
    /// Largest number of bytes fetched by one read.
    pub max_read_bytes: u64,
    /// Refuse more columns than this; `None`: any number.
    pub max_columns: Option<usize>,
    /// Where media cells go.
    pub media: MediaTarget,
}

/// See [`Call::Filter`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Filter {
    /// The Parquet files of a split in order, with their numbers of rows.
    pub files: Vec<ParquetFile>,
    /// The features of the split; `None`: those of the first file.
    pub features: Option<Features>,
    /// What is asked.
    pub query: QueryText,
    /// First of the matching rows that are listed, from 0.
    pub offset: u64,
    /// Matching rows that are listed, at most.
    pub length: usize,
    /// What it may cost.
    pub budget: Budget,
}

/// A condition and an order as they were written.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct QueryText {
    /// The condition; `None`: every row matches.
    pub condition: Option<String>,
    /// The keys of order; `None`: the order of the split.
    pub order: Option<String>,
    /// Accept only what the reference implementation accepts.
    pub reference: bool,
}

/// What a query may cost.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Budget {
    /// Seconds.
    pub max_seconds: f64,
    /// Bytes of memory for what is kept between row groups.
    pub max_memory_bytes: usize,
    /// Rows looked at, after those that statistics rule out; `None`: any number.
    pub max_rows: Option<u64>,
}

/// See [`Call::Filter`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Filtered {
    /// Numbers, in the split, of the rows listed, the first one first.
    pub rows: Vec<u64>,
    /// How many rows match in all.
    pub count: u64,
}

/// A Parquet file of a split.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ParquetFile {
    /// The file.
    pub file: SourceFile,
    /// Its number of rows.
    pub num_rows: u64,
}

/// Where the files behind media cells are written, and how cells refer to them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct MediaTarget {
    /// Directory for `<row>/<column>/<file>`, percent-encoded as in URLs.
    pub directory: PathBuf,
    /// What URLs start with; the same relative path follows.
    pub url_prefix: String,
    /// `<endpoint>/datasets/<dataset>/resolve/<revision placeholder>`: prefix of links to repository files.
    pub resolve_prefix: String,
    /// The `hf://datasets/<dataset>@<revision>` of this dataset: other paths are not followed.
    pub repository: String,
    /// Files of the repository that cells refer to; images, documents and some sounds are read, others only have to be
    /// among them. `None`: not looked for yet, so cells that refer to some end the call with [`FilesWanted`](crate::ErrorKind::FilesWanted).
    #[serde(default)]
    pub linked_files: Option<Vec<SourceFile>>,
    /// How paths are followed, and what becomes of cells that cannot be shown.
    #[serde(default)]
    pub rules: MediaRules,
}

/// How paths in media cells are followed, and what becomes of cells that cannot be shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct MediaRules {
    /// As the reference has it: a cell that cannot be shown ends the call, and only files that have to be read are looked
    /// for. Otherwise such a cell says what is wrong with it.
    pub strict: bool,
    /// The cells were written by us, at a revision in which the files were the same: its name does not matter.
    pub any_revision: bool,
}

/// Rows as JSON, in the order asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PageOfRows {
    /// The features they are shown as.
    pub features: Features,
    /// Each row as one JSON object.
    pub rows: Vec<Box<RawValue>>,
    /// Rows of the whole split; `None` when the source was not read to its end.
    pub num_rows_total: Option<u64>,
    /// There are rows after these.
    pub more: bool,
    /// Files behind the media cells, written now or before, relative to [`MediaTarget::directory`].
    pub assets: Vec<PathBuf>,
}

/// See [`Call::Export`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Export {
    /// The Parquet files of a split in order, with their numbers of rows.
    pub files: Vec<ParquetFile>,
    /// The features of the split; `None`: those of the first file.
    pub features: Option<Features>,
    /// Columns to give, in order: names, or names with commas between them. Empty: all.
    pub columns: Vec<String>,
    /// The rows that are still to be given.
    pub rows: WantedRows,
    /// The format.
    pub format: Format,
    /// This is the first piece: with the header, the schema.
    pub begins: bool,
    /// The piece ends with the table that reaches so many bytes.
    pub max_bytes: usize,
    /// The piece has at most so many rows.
    pub max_rows: usize,
    /// Where media cells go, in formats of text.
    pub media: MediaTarget,
}

/// Rows of a split.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WantedRows {
    /// Rows that follow each other; those beyond the end do not count.
    Range {
        /// The first, from 0.
        offset: u64,
        /// Their number.
        length: u64,
    },
    /// Rows by number, in this order.
    Listed(Vec<u64>),
}

/// How rows are given.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Each row as a JSON object.
    Json,
    /// One JSON object per line.
    Ndjson,
    /// RFC 4180, with a header.
    Csv,
    /// Messages of an Arrow IPC stream. The reader needs an end mark after the last piece.
    Arrow,
    /// A Parquet file for each piece, to be joined.
    Parquet,
}

/// See [`Call::Export`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Exported {
    /// The features of the columns given.
    pub features: Features,
    /// The bytes.
    pub piece: Piece,
    /// Number of rows in the piece; 0 when there are no more.
    pub num_rows: u64,
    /// Rows of the whole split.
    pub num_rows_total: u64,
}

/// A part of an answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Piece {
    /// [`Format::Json`].
    Rows(Vec<Box<RawValue>>),
    /// [`Format::Ndjson`] and [`Format::Csv`].
    Text(String),
    /// [`Format::Arrow`] and [`Format::Parquet`].
    Bytes(#[serde(with = "base64_bytes")] Bytes),
}

/// See [`Call::Compare`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Compare {
    /// What is compared with.
    pub left: SplitOf,
    /// What is compared.
    pub right: SplitOf,
    /// The columns that identify a row: names, or names with commas between them. Empty: a row is the same or another.
    pub key: Vec<String>,
    /// The columns whose values are looked for in both. Empty: all but the key.
    pub columns: Vec<String>,
    /// Directory for what memory does not hold.
    pub scratch: PathBuf,
}

/// A split to be compared.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SplitOf {
    /// Its Parquet files in order, with their numbers of rows.
    pub files: Vec<ParquetFile>,
    /// Its features; `None`: those of the first file.
    pub features: Option<Features>,
}

/// See [`Call::Footers`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Footers {
    /// The files.
    pub files: Vec<SourceFile>,
}

/// See [`Call::Footers`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FooterList {
    /// For each file, in order.
    pub files: Vec<FooterFacts>,
}

/// What one footer tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FooterFacts {
    /// Number of rows.
    pub num_rows: u64,
    /// A page of rows costs much more than it would in our layout.
    pub poor: bool,
    /// Whether its pages were cut where the content says.
    pub chunks: Chunks,
}

/// Whether the pages of a Parquet file were cut where their content says (content-defined chunking).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Chunks {
    /// The file says so.
    Noted,
    /// Its pages differ in size as such pages do: in at least half of the columns by more than 5 %.
    Likely,
    /// Neither.
    None,
}

/// See [`Call::Relayout`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Relayout {
    /// A Parquet file.
    pub file: SourceFile,
    /// Directory for the copy.
    pub output: PathBuf,
    /// The copy is given up when it takes more bytes than this.
    pub max_bytes: u64,
}

/// See [`Call::Relayout`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relaid {
    /// The copy: the same rows under the same schema.
    Written(WrittenFile),
    /// There is no copy, for it would take more than the bytes allowed.
    TooBig,
    /// There is no copy.
    Left {
        /// Why, as a lower-case fragment.
        reason: String,
    },
}

/// Bytes as text, since calls cross the pipe as JSON.
mod base64_bytes {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        STANDARD.decode(text.as_bytes()).map(Bytes::from).map_err(serde::de::Error::custom)
    }
}
