use arrow::array::AsArray;
use belvedere_domain::data_files::Reader;
use serde_json::{Value as JsonValue, json};

use crate::read::ReadLimits;
use crate::read::testing::{Folder, config, tables};

fn rows(parameters: &JsonValue, content: impl AsRef<[u8]>) -> Vec<String> {
    let folder = Folder::new();
    let file = folder.file("a.txt", content);
    let tables = tables(&config(Reader::Text, parameters), ReadLimits::default(), &file).unwrap();
    tables.iter().flat_map(|table| table.column(0).as_string::<i32>().iter().flatten().map(str::to_owned)).collect()
}

#[test]
fn a_row_is_a_line_whatever_ends_it() {
    assert_eq!(rows(&json!({}), "a\r\nb\rc\n\n d \n"), ["a", "b", "c", "", " d "]);
    assert_eq!(rows(&json!({}), "a\nb"), ["a", "b"]);
    assert_eq!(rows(&json!({"keep_linebreaks": true}), "a\r\nb"), ["a\n", "b"]);
    assert!(rows(&json!({}), "").is_empty());
}

#[test]
fn a_row_can_be_a_paragraph_or_a_document() {
    let content = "a\nb\n\n\nc\n\n\n\nd\r\n";
    assert_eq!(rows(&json!({"sample_by": "paragraph"}), content), ["a\nb", "\nc", "d\n"]);
    assert_eq!(rows(&json!({"sample_by": "document"}), content), ["a\nb\n\n\nc\n\n\n\nd\n"]);
    assert_eq!(rows(&json!({"sample_by": "document"}), ""), [""]);
}

#[test]
fn long_files_come_in_pieces_without_losing_anything() {
    let lines: Vec<String> = (0..130_000).map(|n| format!("line {n} é{}", "-".repeat(80))).collect();
    for line_end in ["\n", "\r\n", "\r"] {
        assert_eq!(rows(&json!({}), lines.join(line_end)), lines);
    }
    assert_eq!(rows(&json!({"sample_by": "paragraph"}), lines.join("\n\n")), lines);
}

#[test]
fn features_rename_the_column_and_encodings_are_decoded() {
    let features = json!({"line": {"dtype": "string", "_type": "Value"}});
    let folder = Folder::new();
    let file = folder.file("a.txt", b"caf\xe9");
    let parameters = json!({"features": features, "encoding": "latin-1"});
    let tables = tables(&config(Reader::Text, &parameters), ReadLimits::default(), &file).unwrap();
    assert_eq!(tables[0].schema().field(0).name(), "line");
    assert_eq!(tables[0].column(0).as_string::<i32>().value(0), "café");
}

#[test]
fn a_row_that_never_ends_is_an_error() {
    let limits = ReadLimits { max_record_bytes: 1 << 20, ..ReadLimits::default() };
    let folder = Folder::new();
    let file = folder.file("a.txt", "x".repeat(12 << 20));
    let error = tables(&config(Reader::Text, &json!({})), limits, &file).unwrap_err();
    insta::assert_snapshot!(error, @"a.txt, line 1: a single row of text is longer than 1048576 bytes");
}

#[test]
fn lines_of_utf_16_are_text_too() {
    let bytes: Vec<u8> = "\u{feff}a\r\nb".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(rows(&json!({}), bytes), ["a", "b"]);
}

#[test]
fn an_xml_file_is_one_text() {
    let shown = crate::read::testing::read(Reader::Xml, &json!({}), "a.xml", "<a>\r\n<b/></a>\n");
    assert_eq!(shown, "xml: string\n<a>\n<b/></a>\n\n");
}
