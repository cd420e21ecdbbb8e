use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Int32Type, Schema};
use arrow::ipc::writer::{FileWriter, StreamWriter};
use belvedere_domain::data_files::Reader;
use serde_json::json;

use crate::ErrorKind;
use crate::nbytes;
use crate::read::testing::{Folder, config, show, tables};
use crate::read::{ConfigReader, ReadLimits};

fn batch() -> RecordBatch {
    let words: DictionaryArray<Int32Type> = ["x", "y", "x"].into_iter().collect();
    RecordBatch::try_from_iter([
        ("i", Arc::new(Int64Array::from(vec![Some(1), None, Some(3)])) as ArrayRef),
        ("s", Arc::new(StringArray::from(vec!["a", "b", "é"]))),
        ("d", Arc::new(words)),
    ])
    .unwrap()
}

fn stream_format(batches: &[RecordBatch]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new(&mut bytes, &batches[0].schema()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    drop(writer);
    bytes
}

fn file_format(batches: &[RecordBatch]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = FileWriter::try_new(&mut bytes, &batches[0].schema()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    drop(writer);
    bytes
}

#[test]
fn stream_and_file_format_read_alike() {
    let folder = Folder::new();
    let batches = [batch(), batch().slice(1, 2)];
    let expected = "i: int64, s: string, d: string\n1 | a | x\nnull | b | y\n3 | é | x\n\
                    i: int64, s: string, d: string\nnull | b | y\n3 | é | x\n";
    for (name, content) in [("a.arrow", stream_format(&batches)), ("b.arrow", file_format(&batches))] {
        let file = folder.file(name, content);
        let tables = tables(&config(Reader::Arrow, &json!({})), ReadLimits::default(), &file).unwrap();
        assert_eq!(show(&tables), expected, "{name}");
    }
}

#[test]
fn the_first_schema_holds_for_all_files() {
    let folder = Folder::new();
    let first = folder.file("a.arrow", stream_format(&[batch()]));
    let other = RecordBatch::try_from_iter([
        ("s", Arc::new(Int64Array::from(vec![7])) as ArrayRef),
        ("i", Arc::new(Int64Array::from(vec![8])) as ArrayRef),
    ]);
    let second = folder.file("b.arrow", file_format(&[other.unwrap()]));
    let reader = ConfigReader::new(config(Reader::Arrow, &json!({})), ReadLimits::default());
    let mut fitter = reader.fitter();
    let mut fit = |file| fitter.fit(reader.open(file).unwrap().next_table().unwrap().unwrap());
    let fitted = fit(&first).unwrap();
    // Texts from a dictionary carry a bitmap, as in the reference.
    assert_eq!(nbytes::of_table(&fitted), (1 + 24) + (12 + 4) + (1 + 12 + 3));
    assert_eq!(show(&[fit(&second).unwrap()]), "i: int64, s: string, d: string\n8 | 7 | null\n");
    let extra = RecordBatch::try_from_iter([("z", Arc::new(Int64Array::from(vec![7])) as ArrayRef)]).unwrap();
    let third = folder.file("c.arrow", stream_format(&[extra]));
    assert_eq!(fit(&third).unwrap_err().kind, ErrorKind::Incompatible);
}

#[test]
fn damaged_files_are_errors_and_allocate_nothing() {
    let folder = Folder::new();
    let (stream, file) = (stream_format(&[batch()]), file_format(&[batch()]));
    let mut huge = stream.clone();
    huge[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    let read = |name: &str, content: &[u8]| {
        let file = folder.file(name, content);
        tables(&config(Reader::Arrow, &json!({})), ReadLimits::default(), &file).unwrap_err()
    };
    let errors = [
        read("empty.arrow", b""),
        read("text.arrow", b"a,b\n1,2\n"),
        read("huge.arrow", &huge),
        read("cut-stream.arrow", &stream[..stream.len() / 2]),
        read("cut-file.arrow", &file[..file.len() / 2]),
    ];
    assert!(errors.iter().all(|error| error.kind == ErrorKind::Unreadable));
    insta::assert_snapshot!(errors.map(|error| error.to_string()).join("\n"), @r"
    empty.arrow: the file is empty
    text.arrow: damaged Arrow data: a message is longer than the file; is it an Arrow file?
    huge.arrow: damaged Arrow data: a message is longer than the file; is it an Arrow file?
    cut-stream.arrow: damaged Arrow data: a message is cut off
    cut-file.arrow: damaged Arrow data: the footer is cut off
    ");
}

#[test]
fn a_file_without_batches_still_tells_its_features() {
    let folder = Folder::new();
    let schema = Schema::clone(&batch().schema());
    let file = folder.file("a.arrow", stream_format(&[RecordBatch::new_empty(Arc::new(schema))]));
    let reader = ConfigReader::new(config(Reader::Arrow, &json!({})), ReadLimits::default());
    let mut fitter = reader.fitter();
    let table = reader.open(&file).unwrap().next_table().unwrap().unwrap();
    assert_eq!(fitter.fit(table).unwrap().num_rows(), 0);
    assert_eq!(fitter.features().unwrap().len(), 3);
}
