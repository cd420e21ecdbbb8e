use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use belvedere_domain::data_files::Reader;
use belvedere_domain::{Feature, Features};
use serde_json::json;

use crate::ErrorKind;
use crate::features_arrow::{features_of, to_schema};
use crate::read::testing::{Folder, config, show, tables};
use crate::read::{ConfigReader, ReadLimits};

fn parquet(rows: i64) -> (Features, Vec<u8>) {
    let names = ["no".to_owned(), "yes".to_owned()];
    let features = Features::new([
        ("label".to_owned(), Feature::ClassLabel { names: names.into() }),
        ("text".to_owned(), Feature::string()),
    ]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new((0..rows).map(|row| row % 2).collect::<Int64Array>()),
        Arc::new((0..rows).map(|row| Some(format!("t{row}"))).collect::<StringArray>()),
    ];
    let batch = RecordBatch::try_new(to_schema(&features, true), columns).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    (features, bytes)
}

#[test]
fn batches_carry_the_features_of_the_file() {
    let (features, bytes) = parquet(2_500);
    let folder = Folder::new();
    let file = folder.file("a.parquet", bytes);
    let tables = tables(&config(Reader::Parquet, &json!({})), ReadLimits::default(), &file).unwrap();
    assert_eq!(tables.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [1_000, 1_000, 500]);
    assert_eq!(features_of(&tables[2].schema()).unwrap(), features);
}

#[test]
fn columns_are_kept_in_the_order_asked() {
    let folder = Folder::new();
    let file = folder.file("a.parquet", parquet(2).1);
    let read = |parameters| tables(&config(Reader::Parquet, &parameters), ReadLimits::default(), &file);
    assert_eq!(show(&read(json!({"columns": ["text"]})).unwrap()), "text: string\nt0\nt1\n");
    assert_eq!(
        show(&read(json!({"columns": ["text", "label"], "batch_size": 1})).unwrap()[1..]),
        "text: string, label: ClassLabel\nt1 | 1\n"
    );
    let error = read(json!({"columns": ["nothing"]})).unwrap_err();
    assert_eq!(error.to_string(), "a.parquet, column \"nothing\": parameter `columns`: the file has no such column");
}

#[test]
fn the_end_counts_as_all_bytes_and_damage_is_an_error() {
    let folder = Folder::new();
    let bytes = parquet(5_000).1;
    let file = folder.file("a.parquet", &bytes);
    let mut stream = ConfigReader::new(config(Reader::Parquet, &json!({})), ReadLimits::default()).open(&file).unwrap();
    while stream.next_table().unwrap().is_some() {}
    assert_eq!(stream.bytes_consumed(), file.size);
    let cut = folder.file("b.parquet", &bytes[..bytes.len() / 2]);
    let error = tables(&config(Reader::Parquet, &json!({})), ReadLimits::default(), &cut).unwrap_err();
    assert_eq!((error.kind, error.file.as_deref()), (ErrorKind::Unreadable, Some("b.parquet")));
}
