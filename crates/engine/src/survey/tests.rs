use belvedere_domain::SplitName;
use serde_json::json;

use super::*;
use crate::call::Convert;
use crate::read::testing::{Folder, config};
use crate::write::WriteOptions;

struct Files {
    folder: Folder,
    call: Survey,
}

impl Files {
    fn of(reader: Reader, files: &[(&str, &str)]) -> Self {
        let folder = Folder::new();
        let mut config = config(reader, &json!({}));
        let files: Vec<SourceFile> = files.iter().map(|(name, content)| folder.file(name, content)).collect();
        let paths = files.iter().map(|file| file.path.clone()).collect();
        config.splits = [(SplitName::new("train").unwrap(), paths)].into_iter().collect();
        Self { folder, call: Survey { config, files } }
    }

    fn survey(&self) -> Surveyed {
        survey(&self.call, &FooterCache::default(), &Task::default()).unwrap()
    }

    /// The rows as they are stored, converted by the schema of the survey.
    fn rows(&self) -> String {
        let config = self.call.config.clone().joined(self.survey().features);
        let output = tempfile::tempdir().unwrap();
        let call = Convert {
            config,
            files: self.call.files.clone(),
            output: output.path().to_owned(),
            repository: String::new(),
            max_split_bytes: None,
            content_ids: HashMap::new(),
            segments: Vec::new(),
        };
        let footers = FooterCache::default();
        let converted = crate::convert::convert(&call, WriteOptions::default(), &footers).unwrap();
        let mut text = String::new();
        for file in &converted.splits[0].files {
            let path = output.path().join(&file.path);
            let file = std::fs::File::open(path).unwrap();
            let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
            let tables: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
            text.push_str(&crate::read::testing::show(&tables));
        }
        text
    }
}

fn report(surveyed: &Surveyed) -> String {
    let report = &surveyed.report;
    let mut lines = vec![format!("{} of {} alike", report.alike, report.files)];
    for column in &report.columns {
        lines.push(format!("{}: {} {:?}, missing in {}", column.name, column.kind, column.types, column.missing));
    }
    for file in &report.differing {
        for difference in &file.differences {
            let told = |kind: &Option<String>| kind.clone().unwrap_or_else(|| "nothing".to_owned());
            lines.push(format!(
                "{} line {:?}: {} is {}, not {}",
                file.file,
                difference.line,
                difference.column,
                told(&difference.found),
                told(&difference.expected)
            ));
        }
    }
    lines.extend(report.advice.clone());
    lines.join("\n")
}

#[test]
fn csv_files_with_other_columns_and_types_are_joined() {
    let files = Files::of(
        Reader::Csv,
        &[
            ("a.csv", "id,n,t\n007,1,x\n8,2,y\n"),
            ("b.csv", "id,n,extra\n9,2.5,true\n10,,false\n"),
            ("c.csv", "id,n,t\n\"11\",3,z\n\"with\nbreak\",4,z\n013,5,z\n"),
            ("d.csv", "id,n,t\n14,6,q\n"),
        ],
    );
    insta::assert_snapshot!(report(&files.survey()), @r#"
    2 of 4 alike
    id: string {"int64": 3, "string": 1}, missing in 0
    n: float64 {"int64": 3, "float64": 1}, missing in 0
    t: string {"string": 3}, missing in 1
    extra: bool {"bool": 1}, missing in 3
    b.csv line Some(2): n is float64, not int64
    b.csv line Some(2): extra is bool, not nothing
    b.csv line None: t is nothing, not string
    c.csv line Some(3): id is string, not int64
    column "id": int64 in 3 and string in 1 of the files, served as string; to have int64, mend c.csv, line 3, or declare its type under `features` of the config
    column "n": int64 in 3 and float64 in 1 of the files, served as float64; to have int64, mend b.csv, line 2, or declare its type under `features` of the config
    column "t": served as string, null in 1 that lack it; b.csv is the first that differs: rename its columns, or give it a config of its own
    column "extra": served as bool, null in 3 that lack it; b.csv is the first that differs: rename its columns, or give it a config of its own
    "#);
    insta::assert_snapshot!(files.rows(), @r"
    id: string, n: float64, t: string, extra: bool
    007 | 1.0 | x | null
    8 | 2.0 | y | null
    9 | 2.5 | null | true
    10 | null | null | false
    11 | 3.0 | z | null
    with
    break | 4.0 | z | null
    013 | 5.0 | z | null
    14 | 6.0 | q | null
    ");
}

#[test]
fn whole_numbers_with_gaps_are_no_difference() {
    let files = Files::of(Reader::Csv, &[("a.csv", "n\n1\n2\n"), ("b.csv", "n,m\n3,1\n,2\n")]);
    let surveyed = files.survey();
    assert_eq!(surveyed.report.columns[0].kind, "int64");
    assert_eq!(surveyed.report.differing[0].differences.len(), 1, "{:?}", surveyed.report);
}

#[test]
fn numbers_that_floats_cannot_hold_stay_text() {
    let files = Files::of(Reader::Csv, &[("a.csv", "n\n9007199254740993\n"), ("b.csv", "n\n0.5\n")]);
    assert_eq!(files.survey().report.columns[0].kind, "string");
    insta::assert_snapshot!(files.rows(), @r"
    n: string
    9007199254740993
    0.5
    ");
}

#[test]
fn json_lines_are_joined_with_the_line_that_differs() {
    let files = Files::of(
        Reader::Json,
        &[
            ("a.jsonl", "{\"a\": 1, \"o\": {\"x\": 1}}\n{\"a\": 2, \"o\": {\"x\": 2}}\n"),
            (
                "b.jsonl",
                "{\"a\": null, \"o\": {\"x\": 1, \"y\": \"b\"}}\n\n{\"a\": \"three\", \"o\": {\"x\": 1, \"y\": null}}\n",
            ),
            ("c.jsonl", "{\"a\": null, \"o\": null}\n{\"a\": \"three\", \"o\": null}\n"),
            ("d.jsonl", "{\"a\": [1], \"o\": {\"x\": 5}, \"late\": true}\n"),
        ],
    );
    insta::assert_snapshot!(report(&files.survey()), @r#"
    1 of 4 alike
    a: json {"int64": 1, "string": 2, "list<int64>": 1}, missing in 0
    o: struct<x: int64, y: string> {"struct<x: int64>": 3, "struct<x: int64, y: string>": 1}, missing in 0
    late: bool {"bool": 1}, missing in 3
    b.jsonl line None: a is string, not int64
    b.jsonl line None: o is struct<x: int64, y: string>, not struct<x: int64>
    c.jsonl line Some(2): a is string, not int64
    d.jsonl line Some(1): a is list<int64>, not int64
    d.jsonl line Some(1): late is bool, not nothing
    column "a": int64 in 1 and string in 2 and list<int64> in 1 of the files, served as json; to have int64, mend b.jsonl, or declare its type under `features` of the config
    column "o": struct<x: int64> in 3 and struct<x: int64, y: string> in 1 of the files, served as struct<x: int64, y: string>; to have struct<x: int64>, mend b.jsonl, or declare its type under `features` of the config
    column "late": served as bool, null in 3 that lack it; d.jsonl is the first that differs: rename its columns, or give it a config of its own
    "#);
    insta::assert_snapshot!(files.rows(), @r#"
    a: Json, o: {x: int64, y: string}, late: bool
    1 | {x: 1, y: null} | null
    2 | {x: 2, y: null} | null
    null | {x: 1, y: b} | null
    "three" | {x: 1, y: null} | null
    null | null | null
    "three" | null | null
    [1] | {x: 5, y: null} | true
    "#);
}

#[test]
fn files_that_agree_have_nothing_to_report() {
    let files = Files::of(Reader::Csv, &[("a.csv", "n\n1\n"), ("b.csv", "n\n2\n"), ("c.csv", "n\n")]);
    insta::assert_snapshot!(report(&files.survey()), @"
    2 of 2 alike
    n: int64 {\"int64\": 2}, missing in 0
    ");
    drop(files.folder);
}

#[test]
fn files_without_rows_still_tell_columns() {
    let files = Files::of(Reader::Csv, &[("a.csv", "n,m\n"), ("b.csv", "n,m\n")]);
    let surveyed = files.survey();
    assert_eq!((surveyed.features.len(), surveyed.report.files), (2, 0));
    let empty = Files::of(Reader::Json, &[("a.jsonl", "")]);
    let error = survey(&empty.call, &FooterCache::default(), &Task::default()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Empty);
}
