use std::path::Path;
use std::sync::Arc;

use ::arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, ListArray, ListBuilder, RecordBatch, StringArray,
    StringBuilder,
};
use ::arrow::compute::concat_batches;
use ::arrow::datatypes::Int32Type;
use ::arrow::ipc::reader::StreamReader;
use ::parquet::arrow::ArrowWriter;
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ::parquet::file::properties::WriterProperties;
use bytes::Bytes;
use serde_json::{Value as JsonValue, json};

use super::*;
use crate::call::{MediaRules, MediaTarget, ParquetFile, Texts, WantedRows};
use crate::error::ErrorKind;
use crate::features_arrow::{features_of, to_schema};
use crate::source::SourceFile;
use crate::write::{SplitWriter, WriteOptions};

/// What the columns of the tests are.
fn features() -> Features {
    let value = |dtype: &str| json!({"dtype": dtype, "_type": "Value"});
    Features::from_json(&json!({
        "n": value("int64"),
        "text": value("string"),
        "weight": value("float64"),
        "ok": value("bool"),
        "day": value("date32"),
        "parts": {"feature": value("int32"), "_type": "List"},
        "kind": {"names": ["a", "b"], "_type": "ClassLabel"},
    }))
    .unwrap()
}

/// Rows `start..end`; the texts hold everything that needs care.
fn table(start: i64, end: i64) -> RecordBatch {
    let text = |n: i64| match n % 5 {
        0 => None,
        1 => Some(String::new()),
        2 => Some(format!("say \"{n}\", twice\r\n")),
        3 => Some(format!("=SUM(A{n})")),
        _ => Some(format!("Zürich 漢字 {n}")),
    };
    let weight = |n: i64| match n % 7 {
        0 => None,
        1 => Some(f64::NAN),
        2 => Some(f64::NEG_INFINITY),
        _ => Some(n as f64 / 4.0),
    };
    let parts = (start..end).map(|n| (n % 3 != 0).then(|| (0..n as i32 % 3).map(Some).collect::<Vec<_>>()));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(start..end)),
        Arc::new(StringArray::from_iter((start..end).map(text))),
        Arc::new(Float64Array::from_iter((start..end).map(weight))),
        Arc::new(BooleanArray::from_iter((start..end).map(|n| (n % 4 != 0).then_some(n % 2 == 0)))),
        Arc::new(Date32Array::from_iter_values((start..end).map(|n| n as i32))),
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(parts)),
        Arc::new(Int64Array::from_iter_values((start..end).map(|n| n % 2))),
    ];
    RecordBatch::try_new(to_schema(&features(), false), columns).unwrap()
}

fn listed(folder: &Path, path: &Path, num_rows: u64) -> ParquetFile {
    let local_path = folder.join(path);
    let size = std::fs::metadata(&local_path).unwrap().len();
    let path = path.to_string_lossy().into_owned();
    ParquetFile { file: SourceFile { path, local_path, size, identity: None }, num_rows }
}

/// Three files of 700 rows each, in row groups of 300.
fn ours(folder: &Path) -> Vec<ParquetFile> {
    let options = WriteOptions { max_shard_bytes: 1, max_row_group_rows: 300, ..WriteOptions::default() };
    let mut writer = SplitWriter::new(folder, "train", &features(), options);
    for file in 0..3 {
        writer.write(&table(file * 700, file * 700 + 700), 8).unwrap();
    }
    let written = writer.finish().unwrap();
    written.iter().map(|file| listed(folder, &file.path, file.num_rows)).collect()
}

/// One file of 2,100 rows in one row group without page index, with a dictionary.
fn foreign(folder: &Path) -> Vec<ParquetFile> {
    let properties = WriterProperties::builder().set_offset_index_disabled(true).build();
    let path = folder.join("foreign.parquet");
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, to_schema(&features(), true), Some(properties)).unwrap();
    writer.write(&table(0, 2100).with_schema(to_schema(&features(), true)).unwrap()).unwrap();
    writer.close().unwrap();
    vec![listed(folder, Path::new("foreign.parquet"), 2100)]
}

fn call(files: Vec<ParquetFile>, format: Format, rows: WantedRows) -> Export {
    let media = MediaTarget {
        directory: "/nonexistent".into(),
        url_prefix: String::new(),
        resolve_prefix: String::new(),
        repository: "hf://datasets/d@r".into(),
        linked_files: Some(Vec::new()),
        rules: MediaRules::default(),
    };
    let (max_bytes, max_rows) = (1 << 20, 100_000);
    Export { files, features: None, columns: Vec::new(), rows, format, begins: true, max_bytes, max_rows, media }
}

fn all() -> WantedRows {
    WantedRows::Range { offset: 0, length: u64::MAX }
}

/// Asks for pieces until there are no more rows.
fn pieces(mut call: Export) -> Vec<Exported> {
    let mut pieces = Vec::new();
    loop {
        let piece = export(&call, &FooterCache::default(), &Task::new(2)).unwrap();
        let done = piece.num_rows;
        if done == 0 && !pieces.is_empty() {
            return pieces;
        }
        pieces.push(piece);
        call.begins = false;
        match &mut call.rows {
            WantedRows::Range { offset, length } => (*offset, *length) = (*offset + done, *length - done),
            WantedRows::Listed(rows) => drop(rows.drain(..done as usize)),
        }
    }
}

fn text(pieces: &[Exported]) -> String {
    let text = |piece: &Exported| match &piece.piece {
        Piece::Text(text) => text.clone(),
        other => panic!("a text was asked for: {other:?}"),
    };
    pieces.iter().map(text).collect()
}

fn bytes(piece: &Exported) -> Bytes {
    match &piece.piece {
        Piece::Bytes(bytes) => bytes.clone(),
        other => panic!("bytes were asked for: {other:?}"),
    }
}

fn arrow_of(pieces: &[Exported]) -> (RecordBatch, usize) {
    let mut stream: Vec<u8> = pieces.iter().flat_map(bytes).collect();
    stream.extend(END_OF_STREAM);
    let reader = StreamReader::try_new(stream.as_slice(), None).unwrap();
    let schema = reader.schema();
    let tables: Vec<_> = reader.map(Result::unwrap).collect();
    (concat_batches(&schema, &tables).unwrap(), tables.len())
}

fn parquet_of(pieces: &[Exported]) -> (RecordBatch, usize) {
    let mut join = ParquetJoin::default();
    let mut file: Vec<u8> = pieces.iter().flat_map(|piece| join.push(bytes(piece)).unwrap()).collect();
    file.extend(join.finish().unwrap());
    let builder = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file)).unwrap();
    let (schema, groups) = (Arc::clone(builder.schema()), builder.metadata().num_row_groups());
    let tables: Vec<_> = builder.build().unwrap().map(Result::unwrap).collect();
    (concat_batches(&schema, &tables).unwrap(), groups)
}

fn columns(table: &RecordBatch) -> Vec<JsonValue> {
    let features = features_of(table.schema_ref()).unwrap();
    let lines = json::Lines::new(&features, &call(Vec::new(), Format::Json, all()).media).text_of(table);
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

impl json::Lines<'_> {
    fn text_of(mut self, table: &RecordBatch) -> String {
        self.push(table, &(0..table.num_rows() as u64).collect::<Vec<_>>()).unwrap();
        match Box::new(self).finish().unwrap() {
            Piece::Text(text) => text,
            _ => unreachable!("lines are text"),
        }
    }
}

#[test]
fn every_format_gives_the_same_rows_however_they_are_cut() {
    let folder = tempfile::tempdir().unwrap();
    let expected = columns(&table(0, 2100));
    for files in [ours(folder.path()), foreign(folder.path())] {
        for max_bytes in [4_000, 20_000, 1 << 20] {
            let pieces = |format| pieces(Export { max_bytes, ..call(files.clone(), format, all()) });
            let lines = text(&pieces(Format::Ndjson));
            assert_eq!(
                lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<JsonValue>>(),
                expected
            );
            let rows = pieces(Format::Json).into_iter().flat_map(|piece| match piece.piece {
                Piece::Rows(rows) => rows,
                _ => panic!("rows were asked for"),
            });
            assert_eq!(rows.map(|row| row.get().to_owned() + "\n").collect::<String>(), lines);
            assert_eq!(columns(&arrow_of(&pieces(Format::Arrow)).0), expected);
            assert_eq!(columns(&parquet_of(&pieces(Format::Parquet)).0), expected);
        }
    }
}

#[test]
fn rows_by_number_come_in_the_order_asked() {
    let folder = tempfile::tempdir().unwrap();
    let rows = vec![2099, 0, 1, 700, 0, 1399, 1400];
    let expected: Vec<JsonValue> = columns(&table(0, 2100));
    let expected: Vec<&JsonValue> = rows.iter().map(|&row| &expected[row as usize]).collect();
    for files in [ours(folder.path()), foreign(folder.path())] {
        for max_rows in [2, 1000] {
            let call = Export { max_rows, ..call(files.clone(), Format::Arrow, WantedRows::Listed(rows.clone())) };
            assert_eq!(columns(&arrow_of(&pieces(call)).0).iter().collect::<Vec<_>>(), expected);
        }
    }
}

#[test]
fn a_range_reads_only_the_files_that_hold_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = ours(folder.path());
    std::fs::remove_file(&files[1].file.local_path).unwrap();
    files[1].file.path = "gone".into();
    for (offset, rows) in [(0, 700), (690, 10), (1400, 700), (5000, 0)] {
        let mut call = call(files.clone(), Format::Ndjson, WantedRows::Range { offset, length: rows.max(1) });
        call.features = Some(features());
        let pieces = pieces(call);
        assert_eq!(text(&pieces).lines().count() as u64, rows);
        assert_eq!(pieces[0].num_rows_total, 2100);
    }
    let over = call(files, Format::Ndjson, WantedRows::Range { offset: 699, length: 2 });
    assert_eq!(export(&over, &FooterCache::default(), &Task::new(1)).unwrap_err().kind, ErrorKind::Changed);
}

#[test]
fn csv_quotes_what_it_must_and_tells_nulls_from_empty_texts() {
    let folder = tempfile::tempdir().unwrap();
    let call = call(ours(folder.path()), Format::Csv, WantedRows::Range { offset: 0, length: 5 });
    insta::assert_snapshot!(text(&pieces(call)).replace("\r\n", "⏎\n"), @r#"
    n,text,weight,ok,day,parts,kind⏎
    0,,,,1970-01-01,,0⏎
    1,"",NaN,false,1970-01-02,[0],1⏎
    2,"say ""2"", twice⏎
    ",-Infinity,true,1970-01-03,"[0,1]",0⏎
    3,=SUM(A3),0.75,false,1970-01-04,,1⏎
    4,Zürich 漢字 4,1.0,,1970-01-05,[0],0⏎
    "#);
}

#[test]
fn a_null_in_the_only_column_is_still_a_row_of_csv() {
    let folder = tempfile::tempdir().unwrap();
    let mut call = call(ours(folder.path()), Format::Csv, WantedRows::Range { offset: 0, length: 3 });
    call.columns = vec!["weight".into()];
    assert_eq!(text(&pieces(call)), "weight\r\n\"\"\r\nNaN\r\n-Infinity\r\n");
}

#[test]
fn columns_are_given_in_the_order_asked() {
    let folder = tempfile::tempdir().unwrap();
    let asked = |format| Export {
        columns: vec!["kind,n".into()],
        ..call(ours(folder.path()), format, WantedRows::Range { offset: 699, length: 2 })
    };
    assert_eq!(text(&pieces(asked(Format::Ndjson))), "{\"kind\":1,\"n\":699}\n{\"kind\":0,\"n\":700}\n");
    assert_eq!(text(&pieces(asked(Format::Csv))), "kind,n\r\n1,699\r\n0,700\r\n");
    for table in [arrow_of(&pieces(asked(Format::Arrow))).0, parquet_of(&pieces(asked(Format::Parquet))).0] {
        let told = features_of(table.schema_ref()).unwrap();
        assert_eq!(told, columns::project(&features(), &[6, 0]));
        assert_eq!(table.num_rows(), 2);
    }
    let unknown = Export { columns: vec!["m".into()], ..asked(Format::Csv) };
    let error = export(&unknown, &FooterCache::default(), &Task::new(1)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Parameter);
}

#[test]
fn without_rows_there_is_still_a_schema() {
    let folder = tempfile::tempdir().unwrap();
    let none = |format| pieces(call(ours(folder.path()), format, WantedRows::Range { offset: 2100, length: 10 }));
    assert_eq!(text(&none(Format::Csv)), "n,text,weight,ok,day,parts,kind\r\n");
    assert_eq!(text(&none(Format::Ndjson)), "");
    for (table, parts) in [arrow_of(&none(Format::Arrow)), parquet_of(&none(Format::Parquet))] {
        assert_eq!((table.num_rows(), parts), (0, 0));
        assert_eq!(features_of(table.schema_ref()).unwrap(), features());
    }
}

#[test]
fn nobody_waiting_ends_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let task = Task::new(1);
    task.cancel();
    for rows in [all(), WantedRows::Listed(vec![1])] {
        let call = call(ours(folder.path()), Format::Csv, rows);
        assert_eq!(export(&call, &FooterCache::default(), &task).unwrap_err().kind, ErrorKind::Cancelled);
    }
}

#[test]
fn pieces_cross_a_process_boundary() {
    let folder = tempfile::tempdir().unwrap();
    let call = call(ours(folder.path()), Format::Arrow, WantedRows::Range { offset: 3, length: 4 });
    let call: Export = serde_json::from_str(&serde_json::to_string(&call).unwrap()).unwrap();
    let piece = export(&call, &FooterCache::default(), &Task::new(1)).unwrap();
    let sent: Exported = serde_json::from_str(&serde_json::to_string(&piece).unwrap()).unwrap();
    assert_eq!(bytes(&sent), bytes(&piece));
}

fn texts_of(files: &[ParquetFile], change: impl FnOnce(&mut Texts)) -> Result<Vec<Vec<String>>, EngineError> {
    let mut call = Texts {
        files: files.to_vec(),
        features: None,
        columns: vec!["text".to_owned()],
        offset: 698,
        length: 5,
        max_characters: 100,
        max_bytes: 1 << 20,
    };
    change(&mut call);
    texts(&call, &FooterCache::default(), &Task::default()).map(|page| page.rows)
}

#[test]
fn texts_come_by_row_and_column_across_files() {
    let folder = tempfile::tempdir().unwrap();
    for files in [ours(folder.path()), foreign(folder.path())] {
        let rows = texts_of(&files, |call| call.columns = vec!["kind".to_owned(), "text".to_owned()]).unwrap();
        let expected = ["=SUM(A698)", "Zürich 漢字 699", "", "", "say \"702\", twice\r\n"];
        assert_eq!(rows, expected.map(|text| vec![String::new(), text.to_owned()]));
        let rows = texts_of(&files, |call| call.max_characters = 8).unwrap();
        assert_eq!(rows[..2], [["=SUM(A69"], ["Zürich 漢"]]);
        // A page ends early rather than grow, but never without a row.
        let rows = texts_of(&files, |call| (call.offset, call.length, call.max_bytes) = (0, 2100, 1)).unwrap();
        assert!((1..300).contains(&rows.len()), "{}", rows.len());
        let refused = texts_of(&files, |call| call.columns = vec!["words".to_owned()]).unwrap_err();
        assert_eq!((refused.kind, refused.to_string().contains("words")), (ErrorKind::Parameter, true));
    }
}

#[test]
fn strings_inside_of_a_cell_stand_one_below_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let features =
        Features::from_json(&json!({"tags": {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"}}));
    let features = features.unwrap();
    let mut tags = ListBuilder::new(StringBuilder::new());
    tags.append_value([Some("red"), None, Some("über")]);
    tags.append_null();
    let table = RecordBatch::try_new(to_schema(&features, false), vec![Arc::new(tags.finish())]).unwrap();
    let mut writer = SplitWriter::new(folder.path(), "train", &features, WriteOptions::default());
    writer.write(&table, 8).unwrap();
    let files: Vec<_> =
        writer.finish().unwrap().iter().map(|file| listed(folder.path(), &file.path, file.num_rows)).collect();
    let rows = |max| {
        texts_of(&files, |call| {
            (call.columns, call.offset, call.max_characters) = (vec!["tags".to_owned()], 0, max);
        })
    };
    assert_eq!(rows(100).unwrap(), [["red\nüber"], [""]]);
    assert_eq!(rows(5).unwrap(), [["red\nü"], [""]]);
    assert_eq!(rows(2).unwrap(), [["re"], [""]]);
}
