use std::path::Path;

use belvedere_domain::ConfigName;
use belvedere_domain::data_files::{Reader, ResolvedConfig};
use indexmap::IndexMap;
use serde_json::json;

use super::*;
use crate::call::{MediaRules, MediaTarget, PageOfRows, ParquetFile, Rows};
use crate::rows::rows;

/// A folder of files, of csv unless told otherwise, and its conversions.
struct Case {
    reader: Reader,
    folder: tempfile::TempDir,
    splits: IndexMap<SplitName, Vec<String>>,
    declared: Option<Features>,
    files: Vec<SourceFile>,
    content_ids: HashMap<String, String>,
    conversions: usize,
}

impl Case {
    fn new() -> Self {
        Self {
            reader: Reader::Csv,
            folder: tempfile::tempdir().unwrap(),
            splits: IndexMap::new(),
            declared: None,
            files: Vec::new(),
            content_ids: HashMap::new(),
            conversions: 0,
        }
    }

    /// Adds a file to a split.
    fn file(mut self, split: &str, path: &str, content: impl AsRef<[u8]>) -> Self {
        let content = content.as_ref();
        self.splits.entry(SplitName::new(split).unwrap()).or_default().push(path.to_owned());
        let local_path = self.folder.path().join(path);
        std::fs::write(&local_path, content).unwrap();
        self.files.push(SourceFile { path: path.to_owned(), local_path, size: content.len() as u64, identity: None });
        self.content_ids.insert(path.to_owned(), format!("content of {}", String::from_utf8_lossy(content)));
        self
    }

    /// Makes reading a file fail: it can only be copied.
    fn break_file(&mut self, path: &str) {
        std::fs::remove_file(self.folder.path().join(path)).unwrap();
    }

    fn remove_file(&mut self, split: &str, path: &str) {
        self.splits[&SplitName::new(split).unwrap()].retain(|kept| kept != path);
    }

    fn call(&mut self, segments: Vec<Segment>) -> Convert {
        self.conversions += 1;
        Convert {
            config: ResolvedConfig {
                name: ConfigName::new("default").unwrap(),
                reader: self.reader,
                parameters: IndexMap::new(),
                reader_features: None,
                declared_features: self.declared.clone(),
                declared_splits: None,
                declared_texts: IndexMap::new(),
                splits: self.splits.clone(),
            },
            files: self.files.clone(),
            output: self.folder.path().join(format!("output-{}", self.conversions)),
            repository: "hf://datasets/d@r".into(),
            max_split_bytes: None,
            content_ids: self.content_ids.clone(),
            segments,
        }
    }

    fn convert(&mut self, segments: Vec<Segment>) -> Result<Finished, EngineError> {
        let call = self.call(segments);
        let converted = convert(&call, WriteOptions::default(), &FooterCache::default())?;
        Ok(Finished { output: call.output, converted })
    }
}

/// A finished conversion.
struct Finished {
    output: std::path::PathBuf,
    converted: Converted,
}

impl Finished {
    /// Its segments, as the next conversion is given them.
    fn segments(&self) -> Vec<Segment> {
        let placed = |segment: &Segment| Segment {
            file: SourceFile { local_path: self.output.join(&segment.file.local_path), ..segment.file.clone() },
            ..segment.clone()
        };
        self.converted.segments.iter().map(placed).collect()
    }

    fn rows(&self, split: &str) -> Vec<String> {
        let split = self.converted.splits.iter().find(|found| found.split.as_str() == split).unwrap();
        page(&self.output, split, &self.converted.features).rows.iter().map(|row| row.get().to_owned()).collect()
    }
}

fn page(output: &Path, split: &ConvertedSplit, features: &Features) -> PageOfRows {
    let file = |written: &crate::call::WrittenFile| ParquetFile {
        file: SourceFile {
            path: written.path.to_string_lossy().into_owned(),
            local_path: output.join(&written.path),
            size: written.size,
            identity: None,
        },
        num_rows: written.num_rows,
    };
    let call = Rows {
        files: split.files.iter().map(file).collect(),
        features: Some(features.clone()),
        offset: 0,
        length: usize::MAX,
        max_read_bytes: u64::MAX,
        max_columns: None,
        media: MediaTarget {
            directory: "/nonexistent".into(),
            url_prefix: String::new(),
            resolve_prefix: String::new(),
            repository: "hf://".into(),
            linked_files: Some(Vec::new()),
            rules: MediaRules::default(),
        },
    };
    rows(&call, &FooterCache::default()).unwrap()
}

#[test]
fn splits_and_files_keep_their_order() {
    let mut case = Case::new()
        .file("train", "a.csv", "x,y\n1,one\n2,two\n")
        .file("train", "b.csv", "x,y\n3,three\n")
        .file("test", "c.csv", "y,x\nfour,4\n");
    let done = case.convert(Vec::new()).unwrap();
    let splits: Vec<_> = done
        .converted
        .splits
        .iter()
        .map(|split| (split.split.as_str(), split.num_examples, &split.shard_lengths[..]))
        .collect();
    assert_eq!(splits, [("train", 3, &[3][..]), ("test", 1, &[1][..])]);
    assert_eq!(done.rows("train"), [r#"{"x":1,"y":"one"}"#, r#"{"x":2,"y":"two"}"#, r#"{"x":3,"y":"three"}"#]);
    assert_eq!(done.rows("test"), [r#"{"x":4,"y":"four"}"#]);
    // Two integers and the offsets and bytes of two texts; then one of each.
    assert_eq!(done.converted.splits[0].num_bytes, (16 + 8 + 6) + (8 + 4 + 5));
    assert!(!done.converted.partial);
}

#[test]
fn declared_features_are_the_schema() {
    let mut case = Case::new().file("train", "a.csv", "x\n1\n2\n");
    case.declared = Some(
        Features::from_json(&json!({
            "x": {"dtype": "string", "_type": "Value"},
            "gone": {"dtype": "int8", "_type": "Value"},
        }))
        .unwrap(),
    );
    let done = case.convert(Vec::new()).unwrap();
    assert_eq!(done.rows("train"), [r#"{"x":"1","gone":null}"#, r#"{"x":"2","gone":null}"#]);
}

#[test]
fn a_split_over_the_limit_is_partial_and_estimated() {
    let rows = |count: usize| format!("x\n{}", "12345\n".repeat(count));
    let mut case = Case::new()
        .file("train", "a.csv", rows(1_000))
        .file("train", "b.csv", rows(1_000))
        .file("train", "c.csv", rows(2_000))
        .file("test", "d.csv", rows(10));
    let mut call = case.call(Vec::new());
    call.max_split_bytes = Some(16_000);
    let converted = convert(&call, WriteOptions::default(), &FooterCache::default()).unwrap();
    assert!(converted.partial);
    let train = &converted.splits[0];
    assert_eq!((train.num_examples, train.num_bytes), (2_000, 16_000));
    let estimate = train.estimate.unwrap();
    assert_eq!(estimate.download_size, 6_002 + 6_002 + 12_002);
    assert!((3_990..=4_010).contains(&estimate.num_examples), "{estimate:?}");
    assert_eq!(converted.splits[1].estimate, None);
    assert_eq!(converted.segments.iter().filter(|segment| segment.num_rows == 1_000).count(), 2);
}

#[test]
fn a_split_without_rows_is_an_empty_file_of_the_same_schema() {
    let mut case = Case::new().file("train", "a.csv", "x\n").file("test", "b.csv", "x\n5\n");
    let done = case.convert(Vec::new()).unwrap();
    assert_eq!(done.converted.features.to_json(), json!({"x": {"dtype": "int64", "_type": "Value"}}));
    assert_eq!(done.rows("train"), Vec::<String>::new());
    assert_eq!(done.converted.splits[0].files.len(), 1);
    assert_eq!(done.rows("test"), [r#"{"x":5}"#]);
}

#[test]
fn errors_name_the_file() {
    let mut case = Case::new().file("train", "a.csv", "x\n1\n").file("train", "b.csv", "x,y\n1,2\n");
    let error = case.convert(Vec::new()).err().unwrap();
    assert_eq!((error.kind, error.file.as_deref()), (ErrorKind::ColumnsMismatch, Some("b.csv")));
    let mut case = Case::new().file("train", "a.csv", "x\n1\n").file("train", "b.csv", "x\nword\n");
    let error = case.convert(Vec::new()).err().unwrap();
    assert_eq!((error.kind, error.file.as_deref()), (ErrorKind::Incompatible, Some("b.csv")));
}

#[test]
fn column_names_have_a_limit() {
    let mut case = Case::new().file("train", "a.csv", format!("{}\n1\n", "x".repeat(501)));
    assert_eq!(case.convert(Vec::new()).err().unwrap().kind, ErrorKind::TooLongColumnName);
    let mut case = Case::new().file("train", "a.csv", format!("{}\n1\n", "é".repeat(500)));
    assert!(case.convert(Vec::new()).is_ok());
}

#[test]
fn unchanged_files_are_copied_not_read() {
    let mut case = Case::new().file("train", "a.csv", "x\n1\n2\n").file("train", "b.csv", "x\n3.0\n");
    let first = case.convert(Vec::new()).unwrap();
    assert_eq!(first.converted.segments.len(), 2);
    case = case.file("train", "c.csv", "x\n4\n");
    case.break_file("a.csv");
    case.break_file("b.csv");
    let second = case.convert(first.segments()).unwrap();
    assert_eq!(second.rows("train"), [1, 2, 3, 4].map(|x| format!(r#"{{"x":{x}}}"#)));
    let split = &second.converted.splits[0];
    assert_eq!((split.num_examples, split.num_bytes), (4, 32));
    // And the copy of a copy: everything is known now.
    case.break_file("c.csv");
    let third = case.convert(second.segments()).unwrap();
    assert_eq!(third.rows("train"), second.rows("train"));
    assert_eq!(third.converted.features, second.converted.features);
}

#[test]
fn a_file_that_was_cast_does_not_decide_the_schema_later() {
    let mut case = Case::new().file("train", "a.csv", "x\n1\n").file("train", "b.csv", "x\n3.0\n");
    let first = case.convert(Vec::new()).unwrap();
    assert_eq!(first.rows("train")[1], r#"{"x":3}"#);
    // Alone, the second file is a column of decimals.
    case.remove_file("train", "a.csv");
    let second = case.convert(first.segments()).unwrap();
    assert_eq!(second.rows("train"), [r#"{"x":3.0}"#]);
}

#[test]
fn other_parameters_content_or_schema_are_converted_again() {
    let mut case = Case::new().file("train", "a.csv", "x\n1\n");
    let first = case.convert(Vec::new()).unwrap();
    case.break_file("a.csv");
    let again = |change: &dyn Fn(&mut Convert), case: &mut Case| {
        let mut call = case.call(first.segments());
        change(&mut call);
        convert(&call, WriteOptions::default(), &FooterCache::default()).is_ok()
    };
    assert!(again(&|_| (), &mut case));
    assert!(!again(&|call| drop(call.config.parameters.insert("sep".into(), json!(";"))), &mut case));
    assert!(!again(&|call| drop(call.content_ids.insert("a.csv".into(), "other".into())), &mut case));
    assert!(!again(&|call| call.content_ids.clear(), &mut case));
    let declared = Features::from_json(&json!({"x": {"dtype": "int64", "_type": "Value"}})).unwrap();
    assert!(!again(&|call| call.config.declared_features = Some(declared.clone()), &mut case));
}

#[test]
fn segments_that_are_gone_or_damaged_are_converted_again() {
    let mut case = Case::new().file("train", "a.csv", "x\n1\n");
    let first = case.convert(Vec::new()).unwrap();
    let mut wrong_rows = first.segments();
    wrong_rows[0].num_rows = 9;
    let mut gone = first.segments();
    gone[0].file.local_path.push("gone");
    let mut beyond = first.segments();
    beyond[0].row_groups = 5;
    let mut incomplete = first.segments();
    incomplete[0].parts = 2;
    for segments in [wrong_rows, gone, beyond, incomplete] {
        assert_eq!(case.convert(segments).unwrap().rows("train"), [r#"{"x":1}"#]);
    }
}

#[test]
fn an_input_spread_over_several_files_is_copied_whole() {
    let content = format!("x\n{}", (0..30_000).map(|n| format!("{n}\n")).collect::<String>());
    let mut case = Case::new().file("train", "a.csv", &content);
    let call = case.call(Vec::new());
    let options = WriteOptions { max_shard_bytes: 80_000, ..WriteOptions::default() };
    let converted = convert(&call, options, &FooterCache::default()).unwrap();
    assert_eq!(converted.splits[0].shard_lengths, [10_000, 10_000, 10_000]);
    let parts: Vec<_> =
        converted.segments.iter().map(|segment| (segment.part, segment.parts, segment.num_bytes)).collect();
    assert_eq!(parts, [(0, 3, 80_000), (1, 3, 80_000), (2, 3, 80_000)]);
    let first = Finished { output: call.output, converted };
    case.break_file("a.csv");
    let second = case.convert(first.segments()).unwrap();
    assert_eq!(second.converted.splits[0].shard_lengths, [30_000]);
    assert_eq!(second.rows("train"), first.rows("train"));
}

#[test]
fn media_are_counted_by_their_paths_and_not_read() {
    let mut case = Case { reader: Reader::ImageFolder, ..Case::new() };
    case = case.file("train", "a.png", "").file("train", "b.png", "");
    case.files.clear();
    let done = case.convert(Vec::new()).unwrap();
    let split = &done.converted.splits[0];
    // Two paths of 23 letters and their offsets; two offsets and a bitmap of bytes that are not there.
    assert_eq!((split.num_examples, split.num_bytes), (2, 2 * 23 + 2 * 4 + 2 * 4 + 1));
    assert!(done.converted.segments.is_empty(), "there is no file to copy rows of");
}

#[test]
fn archives_of_media_have_small_row_groups_and_are_copied_when_others_come() {
    let names: Vec<String> = (0..150).map(|number| format!("{number:03}.png")).collect();
    let members: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "image")).collect();
    let mut case = Case { reader: Reader::ImageFolder, ..Case::new() };
    case = case.file("train", "a.zip", crate::read::testing::zip(&members));
    let first = case.convert(Vec::new()).unwrap();
    let written = &first.converted.splits[0].files[0];
    let file = SourceFile {
        path: "0000.parquet".to_owned(),
        local_path: first.output.join(&written.path),
        size: written.size,
        identity: None,
    };
    let (_, footer) = FooterCache::default().open(&file).unwrap();
    let rows: Vec<i64> =
        footer.metadata().row_groups().iter().map(parquet::file::metadata::RowGroupMetaData::num_rows).collect();
    assert_eq!(rows, [100, 50]);

    let mut case = case.file("train", "b.png", "");
    case.files.retain(|file| file.path != "b.png");
    // Its directory is read once more, its members are not.
    let archive = case.folder.path().join("a.zip");
    let damaged = std::fs::read(&archive).unwrap().into_iter().map(|byte| if byte == b'g' { b'G' } else { byte });
    std::fs::write(&archive, damaged.collect::<Vec<u8>>()).unwrap();
    let second = case.convert(first.segments()).unwrap();
    assert_eq!(second.converted.splits[0].num_examples, 151);
    let again = second.converted.segments.iter().map(|segment| segment.num_rows).sum::<u64>();
    assert_eq!(again, 150);
    let rows = second.rows("train");
    assert!(rows[1].contains("not an image of a known format"), "the bytes of before, not damaged ones: {}", rows[1]);
}
