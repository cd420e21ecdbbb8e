//! Limits of single steps of the processing graph.

use std::path::PathBuf;

use crate::config::Described::Worker2023;
use crate::config::Fate::{Built, Later, Read};
use crate::config::table::section;
use crate::config::types::{SchemaChoice, Secret, SizeLimit, StatisticsRules};

section! {
    /// The step `dataset-config-names`.
    ConfigNames = "config_names" {
        /// Most configs of a dataset; more is the error `DatasetWithTooManyConfigsError`.
        max_number: u32 = "4000" { fate: Read("dataset-config-names"), min: Some(1.0) },
        /// Most configs for which the first step of a dataset answers in place of `dataset-config-names`.
        max_number_for_init: u32 = "10" { fate: Read("dataset-init") },
    }
}

section! {
    /// The step `config-split-names`.
    SplitNames = "split_names" {
        /// Most splits of a config; more is the error `DatasetWithTooManySplitsError`.
        max_number: u32 = "30" { fate: Read("config-split-names"), min: Some(1.0) },
    }
}

section! {
    /// The step `split-first-rows`.
    FirstRows = "first_rows" {
        /// Largest size of the answer of `/first-rows`. Cells are truncated and rows left out to stay below.
        max_bytes: u64 = "1_000_000" {
            fate: Read("split-first-rows"),
            unit: "bytes",
            min: Some(1.0),
            aliases: &["FIRST_ROWS_ROWS_MAX_BYTES"],
            described: &[Worker2023],
        },
        /// Most rows in the answer.
        max_number: u32 = "100" { fate: Read("split-first-rows"), min: Some(1.0), described: &[Worker2023] },
        /// Cells are truncated to no less than this.
        min_cell_bytes: u64 = "100" {
            fate: Read("split-first-rows"),
            unit: "bytes",
            aliases: &["FIRST_ROWS_CELL_MIN_BYTES"],
            described: &[Worker2023],
        },
        /// Fewest rows in the answer, if the split has them: before that, cells are truncated rather than rows left out.
        min_number: u32 = "10" { fate: Read("split-first-rows"), described: &[Worker2023] },
        /// Most columns; more is the error `TooManyColumnsError`.
        columns_max_number: u32 = "1000" { fate: Read("split-first-rows"), min: Some(1.0), described: &[Worker2023] },
    }
}

section! {
    /// The step `config-parquet-and-info`.
    ParquetAndInfo = "parquet_and_info" {
        /// Most data of a split that is converted to Parquet, as bytes of its tables in memory; the rest is left out and
        /// the answers say `partial`. `auto`: no limit for files of this machine, 100,000,000 for those of a remote Hub.
        max_dataset_size_bytes: SizeLimit = "auto" {
            fate: Read("config-parquet-and-info"),
            unit: "bytes",
            reference: Some("100_000_000"),
            why: "files of one's own are read as far as they go",
            described: &[Worker2023],
        },
        /// Branch that holds the converted files, as it appears in their URLs.
        target_revision: String = "refs/convert/parquet" {
            fate: Read("config-parquet-and-info"),
            described: &[Worker2023],
        },
        /// URL of a converted file after the address of the Hub; the three `%s` are dataset, revision and file.
        url_template: String = "/datasets/%s/resolve/%s/%s" {
            fate: Read("config-parquet-and-info"),
            described: &[Worker2023],
        },
        /// Message of the commit that adds converted files to a remote Hub.
        commit_message: String = "Update parquet files" {
            fate: Read("commits to a remote Hub"),
            described: &[Worker2023],
        },
        /// Branch of a dataset on a remote Hub that is converted. A folder has one state only.
        source_revision: String = "main" { fate: Read("datasets of a remote Hub"), described: &[Worker2023] },
        /// Configs of Parquet files with a larger row group, before compression, are converted like files of any other
        /// format: the published files then are ours, and `parquet_and_info.max_dataset_size_bytes` may cut them. Under
        /// `COMPAT=reference` only the first row group of each of the first five files is looked at. `auto`, as
        /// `unlimited`, publishes such files as they are; pages of rows are read from private copies all the same
        /// (`parquet_layout.max_bytes`).
        max_row_group_byte_size_for_copy: SizeLimit = "unlimited" {
            fate: Read("config-parquet-and-info"),
            unit: "bytes",
            why: "the description of 2023 has 100,000,000; since November 2025 the reference converts no Parquet file",
            described: &[Worker2023],
        },
        /// What becomes of the files of a config whose columns or types differ, where its entry under `configs` in README.md has no
        /// `schema`. `strict`: the first file decides, and one that differs is an error. `union`: one schema holds them all, and
        /// `/info` tells which file differs where.
        schema: SchemaChoice = "strict" { fate: Read("config-parquet-and-info") },
    }
}

section! {
    /// The step `config-parquet-layout`: private copies of Parquet files whose own layout makes pages of rows slow (one
    /// large row group, no page index, large dictionaries). Queries read the copies; what is listed and sent stays the
    /// original.
    ParquetLayout = "parquet_layout" {
        /// Most room for all copies together. Datasets that come when it is full are read from their originals. When it
        /// is made smaller, the oldest copies go. 0: no copies, and those there are go.
        max_bytes: u64 = "20_000_000_000" { fate: Read("config-parquet-layout and maintenance"), unit: "bytes" },
    }
}

section! {
    /// Footers of Parquet files, of which a page of rows is found.
    ParquetMetadata = "parquet_metadata" {
        /// Directory for copies of footers. Unset: `parquet-metadata` in the state directory.
        storage_directory: Option<PathBuf> = "" { fate: Later("copies of the footers of remote files") },
        /// Footers fetched at the same time.
        max_parallelism: u32 = "16" { fate: Later("copies of the footers of remote files"), min: Some(1.0) },
    }
}

section! {
    /// Pages of rows from Parquet files.
    RowsIndex = "rows_index" {
        /// Largest amount of data that is loaded for one page; more is the error `TooBigContentError`.
        max_arrow_data_in_memory: u64 = "300_000_000" {
            fate: Read("split-first-rows and /rows"),
            unit: "bytes",
            min: Some(1.0),
        },
    }
}

section! {
    /// The step `split-descriptive-statistics`.
    DescriptiveStatistics = "descriptive_statistics" {
        /// Directory for values that do not fit into memory while statistics are computed. Unset: `statistics` in the state
        /// directory.
        cache_directory: Option<PathBuf> = "" { fate: Read("split-descriptive-statistics"), described: &[Worker2023] },
        /// Most data of a split that statistics are computed of; the rest is left out and the answer says `partial`.
        /// `auto`: no limit for files of this machine, 100,000,000 for those of a remote Hub.
        max_split_size_bytes: SizeLimit = "auto" {
            fate: Read("split-descriptive-statistics"),
            unit: "bytes",
            reference: Some("100_000_000"),
            why: "as for `parquet_and_info.max_dataset_size_bytes`",
            aliases: &["DESCRIPTIVE_STATISTICS_MAX_PARQUET_SIZE_BYTES"],
            described: &[Worker2023],
        },
        /// Number of bins of a histogram.
        histogram_num_bins: u32 = "10" {
            fate: Read("split-descriptive-statistics"),
            min: Some(1.0),
            max: Some(10_000.0),
            described: &[Worker2023],
        },
        /// Most distinct values of a text column, null counting as one, for which their frequencies are told; with more, the
        /// lengths of its texts are. The reference of today has rules of its own, see `rules`.
        max_num_string_labels: u32 = "30" {
            fate: Read("split-descriptive-statistics"),
            min: Some(0.0),
            max: Some(100_000.0),
        },
        /// Whose rules hold. `seed`: those described in 2023: few texts are labels, texts that look like dates stay texts,
        /// `n_unique` counts what occurs, the last bin of whole numbers holds the greatest one alone; columns of further types,
        /// nested values and details are told besides. `reference`: those of today's reference, and nothing besides.
        rules: StatisticsRules = "seed" {
            fate: Read("split-descriptive-statistics"),
            reference: Some("reference"),
            why: "the description of 2023 is ours; the reference has changed since",
        },
        /// Most memory for gathered values; what is beyond it is written to the directory.
        max_memory_bytes: u64 = "134_217_728" {
            fate: Read("split-descriptive-statistics"),
            unit: "bytes",
            min: Some(1_048_576.0),
        },
    }
}

section! {
    /// The step `split-duckdb-index`: DuckDB files of splits, for those who query them with a DuckDB of their own.
    DuckdbIndex = "duckdb_index" {
        /// Directory that files are written in before they are kept. Unset: that of all jobs.
        cache_directory: Option<PathBuf> = "" {
            fate: Built("duckdb", "split-duckdb-index"),
            described: &[Worker2023],
        },
        /// Message of the commit that adds an index to a remote Hub.
        commit_message: String = "Update duckdb index file" {
            fate: Built("duckdb", "commits to a remote Hub"),
            described: &[Worker2023],
        },
        /// Token for that commit; files of this machine need none. Unset: `committer.hf_token`.
        committer_hf_token: Option<Secret> = "" {
            fate: Built("duckdb", "commits to a remote Hub"),
            described: &[Worker2023],
        },
        /// Parquet files of a split are taken in order until they hold more than this before compression; the rest is
        /// left out and the file is called `partial-index.duckdb`. `auto`: no limit for files of this machine,
        /// 100,000,000 for those of a remote Hub.
        max_dataset_size_bytes: SizeLimit = "auto" {
            fate: Built("duckdb", "split-duckdb-index"),
            unit: "bytes",
            reference: Some("100_000_000"),
            why: "as for `parquet_and_info.max_dataset_size_bytes`",
            aliases: &["DUCKDB_INDEX_MAX_SPLIT_SIZE_BYTES"],
            described: &[Worker2023],
        },
        /// Branch that holds the indexes, as it appears in their URLs.
        target_revision: String = "refs/convert/parquet" {
            fate: Built("duckdb", "split-duckdb-index and /datasets"),
            described: &[Worker2023],
        },
        /// URL of an index after the address of the Hub; the three `%s` are dataset, revision and file.
        url_template: String = "/datasets/%s/resolve/%s/%s" {
            fate: Built("duckdb", "split-duckdb-index"),
            described: &[Worker2023],
        },
        /// Directory of the extensions of DuckDB: `fts.duckdb_extension` in it, or in `VERSION/PLATFORM` below it as
        /// DuckDB lays them out. Without that file the indexes have no full-text index, and say so.
        extensions_directory: Option<PathBuf> = "" {
            fate: Built("duckdb", "split-duckdb-index"),
            described: &[Worker2023],
        },
    }
}

section! {
    /// Full-text search, and the step `split-search-index` that makes it quick. Without an index a search reads the texts of
    /// the split and gives the same answer.
    SearchIndex = "search_index" {
        /// Build indexes. Those built before stay in use.
        enabled: bool = "true" { fate: Read("split-search-index") },
        /// Splits whose Parquet files hold more than this have no index.
        max_split_size_bytes: SizeLimit = "unlimited" { fate: Read("split-search-index"), unit: "bytes" },
        /// Memory for building an index, about; the reading of the Parquet files comes on top.
        memory_bytes: u64 = "67_108_864" {
            fate: Read("split-search-index"),
            unit: "bytes",
            min: Some(16_777_216.0),
            max: Some(68_719_476_736.0),
        },
        /// Longest time that a search may read texts while there is no index. Beyond it the answer is an error that says
        /// whether an index is on its way.
        max_scan_seconds: u32 = "10" { fate: Read("serve and api"), unit: "seconds", max: Some(3600.0) },
    }
}
