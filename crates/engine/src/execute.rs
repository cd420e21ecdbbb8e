//! The one entry: a call in, its reply out.

use std::sync::LazyLock;

use crate::call::{Call, Reply};
use crate::cell::cell;
use crate::compare::compare;
use crate::convert::convert;
use crate::error::{EngineError, ErrorKind};
use crate::export::{export, texts};
use crate::filter::filter;
use crate::footers::FooterCache;
use crate::head::head;
use crate::inspect::inspect;
use crate::relayout;
use crate::rows::rows;
use crate::search;
use crate::statistics::statistics;
use crate::survey::survey;
use crate::task::Task;
use crate::write::WriteOptions;

/// Footers of the files that this process has read, for all calls.
static FOOTERS: LazyLock<FooterCache> = LazyLock::new(FooterCache::default);

/// Does what a call asks. Footers of Parquet files are kept from one call to the next, in bounded memory.
///
/// # Errors
/// [`EngineError`] of the kinds that the module of the call documents. Panics are the caller's business: run calls on
/// foreign files in a child.
pub fn execute(call: Call, task: &Task) -> Result<Reply, EngineError> {
    execute_with(&call, &FOOTERS, task)
}

/// As [`execute`], with a cache of the caller's.
///
/// # Errors
/// As [`execute`].
pub fn execute_with(call: &Call, footers: &FooterCache, task: &Task) -> Result<Reply, EngineError> {
    task.check()?;
    answer(call, footers, task).map_err(EngineError::with_way_out)
}

fn answer(call: &Call, footers: &FooterCache, task: &Task) -> Result<Reply, EngineError> {
    match call {
        Call::Convert(call) => convert(call, WriteOptions::default(), footers).map(Reply::Convert),
        Call::Survey(call) => survey(call, footers, task).map(|surveyed| Reply::Survey(Box::new(surveyed))),
        Call::Inspect(call) => inspect(call, footers).map(Reply::Inspect),
        Call::Head(call) => head(call).map(Reply::Head),
        Call::Rows(call) => rows(call, footers).map(Reply::Rows),
        Call::Filter(call) => filter(call, footers, task).map(Reply::Filter),
        Call::Export(call) => export(call, footers, task).map(Reply::Export),
        Call::Texts(call) => texts(call, footers, task).map(Reply::Texts),
        Call::Cell(call) => cell(call, footers, task).map(Reply::Cell),
        Call::Compare(call) => compare(call, footers, task).map(|compared| Reply::Compare(Box::new(compared))),
        Call::DuckdbIndex(_) => Err(not_built("duckdb")),
        Call::Search(call) => search::search(call, footers, task).map(Reply::Search),
        Call::BuildSearchIndex(call) => search::build(call, footers, task).map(Reply::BuildSearchIndex),
        Call::Footers(call) => relayout::facts(call, footers).map(Reply::Footers),
        Call::Relayout(call) => relayout::relayout(call, WriteOptions::default(), footers).map(Reply::Relayout),
        Call::Statistics(call) => statistics(call, footers, task).map(Reply::Statistics),
        Call::SqlTables(_) | Call::Sql(_) => Err(not_built("sql")),
    }
}

/// The program that carries out calls takes these itself, if it can.
fn not_built(feature: &str) -> EngineError {
    let message = format!("this program was built without the cargo feature `{feature}`");
    EngineError::new(ErrorKind::NotBuilt, message)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, RecordBatch};
    use belvedere_domain::data_files::{Reader, ResolvedConfig};
    use belvedere_domain::{ConfigName, Features, SplitName};
    use serde_json::json;

    use super::*;
    use crate::call::{Footers, Inspect, MediaRules, MediaTarget, ParquetFile, Rows};
    use crate::features_arrow::to_schema;
    use crate::source::SourceFile;
    use crate::write::SplitWriter;

    fn parquet(folder: &std::path::Path, name: &str, rows: i64) -> SourceFile {
        let features = Features::from_json(&json!({"n": {"dtype": "int64", "_type": "Value"}})).unwrap();
        let numbers = Arc::new(Int64Array::from_iter_values(0..rows));
        let table = RecordBatch::try_new(to_schema(&features, false), vec![numbers]).unwrap();
        let mut writer = SplitWriter::new(folder, name, &features, WriteOptions::default());
        writer.write(&table, 8).unwrap();
        let written = &writer.finish().unwrap()[0];
        SourceFile { path: name.to_owned(), local_path: folder.join(&written.path), size: written.size, identity: None }
    }

    fn config(splits: &[(&str, &[&str])]) -> ResolvedConfig {
        let paths = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
        ResolvedConfig {
            name: ConfigName::new("default").unwrap(),
            reader: Reader::Parquet,
            parameters: Default::default(),
            reader_features: None,
            declared_features: None,
            declared_splits: None,
            declared_texts: Default::default(),
            splits: splits.iter().map(|(split, files)| (SplitName::new(*split).unwrap(), paths(files))).collect(),
        }
    }

    #[test]
    fn calls_and_replies_cross_a_process_boundary_as_json() {
        let folder = tempfile::tempdir().unwrap();
        let call = Call::Rows(Rows {
            files: vec![ParquetFile { file: parquet(folder.path(), "a", 3), num_rows: 3 }],
            features: None,
            offset: 1,
            length: 1,
            max_read_bytes: 1_000_000,
            max_columns: None,
            media: MediaTarget {
                directory: "/nonexistent".into(),
                url_prefix: String::new(),
                resolve_prefix: String::new(),
                repository: "hf://datasets/d@r".into(),
                linked_files: Some(Vec::new()),
                rules: MediaRules::default(),
            },
        });
        let sent: Call = serde_json::from_str(&serde_json::to_string(&call).unwrap()).unwrap();
        let reply = serde_json::to_string(&execute(sent, &Task::default()).unwrap()).unwrap();
        assert_eq!(
            reply,
            r#"{"rows":{"features":{"n":{"dtype":"int64","_type":"Value"}},"rows":[{"n":1}],"num_rows_total":3,"more":true,"assets":[]}}"#
        );
        let Reply::Rows(page) = serde_json::from_str(&reply).unwrap() else { panic!("a page") };
        assert_eq!(page.rows[0].get(), r#"{"n":1}"#);
    }

    #[test]
    fn parquet_splits_are_described_from_their_footers() {
        let folder = tempfile::tempdir().unwrap();
        let files =
            vec![parquet(folder.path(), "a", 3), parquet(folder.path(), "b", 2), parquet(folder.path(), "c", 1)];
        let call = Inspect { config: config(&[("train", &["b", "a"]), ("test", &["c"])]), files: files.clone() };
        let Reply::Inspect(found) = execute(Call::Inspect(call), &Task::default()).unwrap() else {
            panic!("a description")
        };
        let rows: Vec<_> = found.splits.iter().map(|split| (split.num_examples, split.num_rows.clone())).collect();
        assert_eq!(rows, [(5, vec![2, 3]), (1, vec![1])]);
        assert_eq!(found.features.len(), 1);
        let Reply::Footers(footers) = execute(Call::Footers(Footers { files }), &Task::default()).unwrap() else {
            panic!("footers")
        };
        assert_eq!(
            footers.files.iter().map(|file| (file.num_rows, file.poor)).collect::<Vec<_>>(),
            [(3, false), (2, false), (1, false)]
        );
    }

    #[test]
    fn the_largest_row_group_is_told_of_all_files_and_of_a_sample() {
        let folder = tempfile::tempdir().unwrap();
        let rows = [10, 10, 400, 10, 10, 9_000];
        let names: Vec<String> = (0..rows.len()).map(|index| format!("f{index}")).collect();
        let files: Vec<_> = names.iter().zip(rows).map(|(name, rows)| parquet(folder.path(), name, rows)).collect();
        let paths: Vec<&str> = names.iter().map(String::as_str).collect();
        let call = Inspect { config: config(&[("train", &paths)]), files };
        let Reply::Inspect(found) = execute(Call::Inspect(call), &Task::default()).unwrap() else {
            panic!("a description")
        };
        // Eight bytes for each number, and what pages take besides.
        assert!((3_200..4_000).contains(&found.sampled_row_group_bytes), "{}", found.sampled_row_group_bytes);
        assert!((72_000..80_000).contains(&found.largest_row_group_bytes), "{}", found.largest_row_group_bytes);
    }

    #[test]
    fn a_split_without_files_is_empty_and_an_unlisted_file_is_a_bug() {
        let call = |splits: &[(&str, &[&str])]| Call::Inspect(Inspect { config: config(splits), files: Vec::new() });
        assert_eq!(execute(call(&[("train", &[])]), &Task::default()).unwrap_err().kind, ErrorKind::Empty);
        assert_eq!(execute(call(&[]), &Task::default()).unwrap_err().kind, ErrorKind::Empty);
        assert_eq!(execute(call(&[("train", &["a"])]), &Task::default()).unwrap_err().kind, ErrorKind::Internal);
    }
}
