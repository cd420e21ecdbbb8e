use belvedere_domain::data_files::Reader;
use serde_json::{Value as JsonValue, json};

use crate::read::testing::{Folder, config, read, show, tables};
use crate::read::{ConfigReader, ReadLimits};

fn csv(content: impl AsRef<[u8]>) -> String {
    read(Reader::Csv, &json!({}), "data.csv", content)
}

fn csv_with(parameters: JsonValue, content: impl AsRef<[u8]>) -> String {
    read(Reader::Csv, &parameters, "data.csv", content)
}

#[test]
fn each_column_takes_the_narrowest_type() {
    let content = "i,f,b,s,d,z,x,p\n1,1.5,True,a,2024-01-31,007,0x10,+5\n-2,1e3,false,b,2024-02-01, 8 ,1,6\n";
    insta::assert_snapshot!(csv(content), @r"
    i: int64, f: float64, b: bool, s: string, d: string, z: int64, x: string, p: int64
    1 | 1.5 | true | a | 2024-01-31 | 7 | 0x10 | 5
    -2 | 1000.0 | false | b | 2024-02-01 | 8 | 1 | 6
    ");
}

#[test]
fn missing_values_make_integers_floats_and_keep_booleans() {
    let content = "i,b,s,all\n1,TRUE,x,\n,n/a,<NA>,NULL\n3,FALSE,None,nan\n";
    insta::assert_snapshot!(csv(content), @r"
    i: float64, b: bool, s: string, all: float64
    1.0 | true | x | null
    null | null | null | null
    3.0 | false | null | null
    ");
}

#[test]
fn integers_beyond_64_bits_become_unsigned_or_text() {
    insta::assert_snapshot!(csv("a\n18446744073709551615\n1\n"), @r"
    a: uint64
    18446744073709551615
    1
    ");
    insta::assert_snapshot!(csv("a\n9223372036854775808\n-1\n"), @r"
    a: string
    9223372036854775808
    -1
    ");
    insta::assert_snapshot!(csv("a\n18446744073709551616\n"), @r"
    a: string
    18446744073709551616
    ");
    insta::assert_snapshot!(csv("a,b\n18446744073709551615,1\n,1\n"), @r"
    a: string, b: int64
    18446744073709551615 | 1
     | 1
    ");
    insta::assert_snapshot!(csv("a,b\n18446744073709551616,1\n,1\n"), @r"
    a: string, b: int64
    18446744073709551616 | 1
    null | 1
    ");
    insta::assert_snapshot!(csv("a\n9223372036854775808\n1.5\n"), @r"
    a: float64
    9.223372036854776e18
    1.5
    ");
    insta::assert_snapshot!(csv("a\n-9223372036854775808\n9223372036854775807\n"), @r"
    a: int64
    -9223372036854775808
    9223372036854775807
    ");
}

#[test]
fn floats_are_correctly_rounded_and_too_large_ones_are_text() {
    let content = "a,b,c,d,e\n.5,5.,1E+5,-Infinity,1e400\n1.e2,-0.0,0.1234567890123456789,INF,1\n";
    insta::assert_snapshot!(csv(content), @r"
    a: float64, b: float64, c: float64, d: float64, e: string
    0.5 | 5.0 | 100000.0 | -inf | 1e400
    100.0 | -0.0 | 0.12345678901234568 | inf | 1
    ");
    insta::assert_snapshot!(csv("a,b,c,d\n1e, inf,1_0,.\n"), @r"
    a: string, b: string, c: string, d: string
    1e |  inf | 1_0 | .
    ");
}

#[test]
fn quotes_line_ends_blank_lines_and_the_mark_are_understood() {
    let content = "\u{feff}\"a\",b\r\n\r\n \t\n\"x\ny\",\"say \"\"hi\"\"\"\r  z ,w";
    insta::assert_snapshot!(csv(content), @r#"
    a: string, b: string
    x
    y | say "hi"
      z  | w
    "#);
}

#[test]
fn names_are_made_unique_and_never_empty() {
    insta::assert_snapshot!(csv("a,a,a.1,,b,\n1,2,3,4,5,6\n"), @r"
    a: int64, a.2: int64, a.1: int64, Unnamed: 3: int64, b: int64, Unnamed: 5: int64
    1 | 2 | 3 | 4 | 5 | 6
    ");
    insta::assert_snapshot!(csv("Unnamed: 1,\n1,2\n"), @r"
    Unnamed: 1: int64, Unnamed: 1.1: int64
    1 | 2
    ");
    insta::assert_snapshot!(csv("Unnamed: 0,\n1,2\n"), @r"
    Unnamed: 0: int64, Unnamed: 1: int64
    1 | 2
    ");
}

#[test]
fn a_first_row_wider_than_the_header_shifts_the_names() {
    insta::assert_snapshot!(csv("a,b\n1,2,3\n4,5,6\n"), @r"
    a: int64, b: int64, __index_level_0__: int64
    2 | 3 | 1
    5 | 6 | 4
    ");
    insta::assert_snapshot!(csv("a,b\nx,1,2,\ny,3\n"), @r"
    a: float64, b: float64, __index_level_0__: string, __index_level_1__: int64
    2.0 | null | x | 1
    null | null | y | 3
    ");
}

#[test]
fn short_rows_are_filled_and_long_rows_are_errors_with_their_line() {
    insta::assert_snapshot!(csv("a,b,c\n1\n2,3\n"), @r"
    a: int64, b: float64, c: float64
    1 | null | null
    2 | 3.0 | null
    ");
    insta::assert_snapshot!(csv("a,b\n\"1\n1\",2\n\n\n1,2,3\n"), @"Unreadable: data.csv, line 6: expected 2 fields, found 3; quote fields that hold the separator, or skip such lines with `on_bad_lines: skip`");
}

#[test]
fn files_without_rows_or_names() {
    insta::assert_snapshot!(csv("a,b\n"), @"a: null, b: null");
    insta::assert_snapshot!(csv("a,b"), @"a: null, b: null");
    insta::assert_snapshot!(csv(""), @"Unreadable: data.csv: the file is empty: it has no header and no row; fill it, or leave it out");
    insta::assert_snapshot!(csv("\n\n \n"), @"Unreadable: data.csv: the file is empty: it has no header and no row; fill it, or leave it out");
    insta::assert_snapshot!(csv_with(json!({"header": null}), ""), @"Unreadable: data.csv: the file is empty: it has no row; fill it, or leave it out");
}

#[test]
fn errors_name_file_and_line() {
    insta::assert_snapshot!(csv("a,b\n1,2\n3,\"4\n5,6\n"), @"Unreadable: data.csv, line 3: a quote is opened here and never closed; close it, or set `quoting: 3` if quotes mean nothing");
    insta::assert_snapshot!(csv(b"a,b\n1,2\n3,\xff\n"), @"Unreadable: data.csv, line 3: from byte 3 (0xFF) of this line on, the text is not valid in UTF-8; store it in UTF-8, or name its encoding with the parameter `encoding`, as in `encoding: latin-1`");
    let small = ReadLimits { max_record_bytes: 1000, ..ReadLimits::default() };
    let file = Folder::new();
    let long = file.file("long.csv", format!("a\n1\n\"{}", "x\n".repeat(2_000_000)));
    let error = tables(&config(Reader::Csv, &json!({})), small, &long).unwrap_err();
    insta::assert_snapshot!(error, @"long.csv, line 3: a single record is longer than 1000 bytes");
}

#[test]
fn batches_are_typed_on_their_own() {
    let rows: String = (0..10_000).map(|n| format!("{n}\n")).collect();
    let folder = Folder::new();
    let file = folder.file("data.csv", format!("a\n{rows}x\n"));
    let tables = tables(&config(Reader::Csv, &json!({})), ReadLimits::default(), &file).unwrap();
    let types: Vec<_> =
        tables.iter().map(|table| (table.num_rows(), table.column(0).data_type().to_string())).collect();
    assert_eq!(types, [(10_000, "Int64".to_owned()), (1, "Utf8".to_owned())]);
}

#[test]
fn first_batch_comes_without_reading_the_rest() {
    let folder = Folder::new();
    let file = folder.file("data.csv", format!("a,b\n{}", "1,some text\n".repeat(1_000_000)));
    let mut stream = ConfigReader::new(config(Reader::Csv, &json!({})), ReadLimits::default()).open(&file).unwrap();
    assert_eq!(stream.next_table().unwrap().unwrap().num_rows(), 10_000);
    assert!(stream.bytes_consumed() < file.size / 4);
}

#[test]
fn batches_and_pieces_do_not_change_what_is_read() {
    let row = "1,\"multi\r\nline \"\"é\"\"\",\r\n2,plain,x\n";
    let content = format!("a,b,c\n{}", row.repeat(60_000));
    let folder = Folder::new();
    let file = folder.file("data.csv", &content);
    let large = tables(&config(Reader::Csv, &json!({"chunksize": 120_000})), ReadLimits::default(), &file).unwrap();
    let small = tables(&config(Reader::Csv, &json!({"chunksize": 777})), ReadLimits::default(), &file).unwrap();
    let joined = arrow::compute::concat_batches(&small[0].schema(), &small).unwrap();
    assert_eq!(large.len(), 1);
    assert_eq!(joined, large[0]);
    assert_eq!(show(&[large[0].slice(119_998, 2)]), show(&[large[0].slice(0, 2)]));
}

#[test]
fn header_and_names_parameters() {
    insta::assert_snapshot!(csv_with(json!({"header": null}), "1,2\n3,4\n"), @r"
    0: int64, 1: int64
    1 | 2
    3 | 4
    ");
    insta::assert_snapshot!(csv_with(json!({"names": ["x", "y"]}), "1,2\n3,4\n"), @r"
    x: int64, y: int64
    1 | 2
    3 | 4
    ");
    insta::assert_snapshot!(csv_with(json!({"column_names": ["x", "y"], "header": 0}), "a,b\n3,4\n"), @r"
    x: int64, y: int64
    3 | 4
    ");
    insta::assert_snapshot!(csv_with(json!({"names": ["a", "b"]}), "1,2,3\n3,4,5\n"), @r"
    a: int64, b: int64, __index_level_0__: int64
    2 | 3 | 1
    4 | 5 | 3
    ");
    insta::assert_snapshot!(csv_with(json!({"names": ["a", "b", "c"]}), "1,2\n"), @r"
    a: int64, b: int64, c: float64
    1 | 2 | null
    ");
    insta::assert_snapshot!(csv_with(json!({"header": 1}), "x\n\na,b\n1,2\n"), @r"
    a: int64, b: int64
    1 | 2
    ");
    insta::assert_snapshot!(csv_with(json!({"skiprows": 2}), "x\ny\na,b\n1,2\n"), @r"
    a: int64, b: int64
    1 | 2
    ");
    insta::assert_snapshot!(csv_with(json!({"skiprows": [1]}), "a\n1\nx\n"), @r"
    a: string
    x
    ");
    insta::assert_snapshot!(csv_with(json!({"nrows": 1}), "a,b\n1,2\nx,y\n"), @r"
    a: int64, b: int64
    1 | 2
    ");
}

#[test]
fn columns_can_be_chosen_and_moved() {
    insta::assert_snapshot!(csv_with(json!({"usecols": ["c", "a"]}), "a,b,c\n1,2,3\n4,5,6,7\n"), @r"
    a: int64, c: int64
    1 | 3
    4 | 6
    ");
    insta::assert_snapshot!(csv_with(json!({"usecols": [2, 0]}), "a,b,c\n1,2,3\n"), @r"
    a: int64, c: int64
    1 | 3
    ");
    insta::assert_snapshot!(csv_with(json!({"index_col": 0}), "a,b,c\n1,2,3\n"), @r"
    b: int64, c: int64, a: int64
    2 | 3 | 1
    ");
    insta::assert_snapshot!(csv_with(json!({"index_col": ["b", "a"]}), "a,b,c\n1,2,3\n"), @r"
    c: int64, b: int64, a: int64
    3 | 2 | 1
    ");
    insta::assert_snapshot!(csv_with(json!({"index_col": false}), "a,b\n1,2,3\n"), @r"
    a: int64, b: int64
    1 | 2
    ");
    insta::assert_snapshot!(csv_with(json!({"usecols": ["z"]}), "a,b\n1,2\n"), @r#"Parameter: data.csv: parameter `usecols`: there is no column "z""#);
}

#[test]
fn dialect_parameters() {
    insta::assert_snapshot!(csv_with(json!({"sep": ";", "decimal": ","}), "a;b\n1,5;2\n"), @r"
    a: float64, b: int64
    1.5 | 2
    ");
    insta::assert_snapshot!(csv_with(json!({"delimiter": "\t"}), "a\tb\n1\t2\n"), @r"
    a: int64, b: int64
    1 | 2
    ");
    insta::assert_snapshot!(csv_with(json!({"sep": "\\s+"}), "a b\n1   2\n"), @r"
    a: int64, b: int64
    1 | 2
    ");
    insta::assert_snapshot!(csv_with(json!({"thousands": ","}), "a,b\n\"1,000\",\"1,234.5\"\n"), @r"
    a: int64, b: float64
    1000 | 1234.5
    ");
    insta::assert_snapshot!(csv_with(json!({"quotechar": "'"}), "a,b\n'x,y',2\n"), @r"
    a: string, b: int64
    x,y | 2
    ");
    insta::assert_snapshot!(csv_with(json!({"quoting": 3}), "a,b\n\"x,2\n"), @r#"
    a: string, b: int64
    "x | 2
    "#);
    insta::assert_snapshot!(csv_with(json!({"comment": "#"}), "a,b\n1,2#x\n#foo\n3,4\n"), @r"
    a: int64, b: int64
    1 | 2
    3 | 4
    ");
    insta::assert_snapshot!(csv_with(json!({"skipinitialspace": true}), "a, b\n1, 2\n x, \"q\"\n"), @r"
    a: string, b: string
    1 | 2
    x | q
    ");
    insta::assert_snapshot!(csv_with(json!({"skip_blank_lines": false}), "a,b\n\n1,2\n"), @r"
    a: float64, b: float64
    null | null
    1.0 | 2.0
    ");
    insta::assert_snapshot!(csv_with(json!({"on_bad_lines": "skip"}), "a,b\n1,2\n3,4,5\n6,7\n"), @r"
    a: int64, b: int64
    1 | 2
    6 | 7
    ");
}

#[test]
fn value_parameters() {
    insta::assert_snapshot!(csv_with(json!({"na_values": -999}), "a,b,c\n-999,x,1.5\n1,-999,-999.0\n"), @r"
    a: float64, b: string, c: float64
    null | x | 1.5
    1.0 | null | null
    ");
    insta::assert_snapshot!(csv_with(json!({"keep_default_na": false, "na_values": ["x"]}), "a,b\nNA,x\n1,\n"), @r"
    a: string, b: string
    NA | null
    1 |
    ");
    insta::assert_snapshot!(csv_with(json!({"na_filter": false}), "a,b\n,x\n1,NA\n"), @r"
    a: string, b: string
     | x
    1 | NA
    ");
    insta::assert_snapshot!(csv_with(json!({"true_values": ["yes"], "false_values": "no"}), "a\nyes\nno\n"), @r"
    a: bool
    true
    false
    ");
    insta::assert_snapshot!(csv_with(json!({"encoding": "latin-1"}), b"a\ncaf\xe9\n"), @r"
    a: string
    café
    ");
    insta::assert_snapshot!(csv_with(json!({"encoding_errors": "replace"}), b"a\nx\xff\n"), @r"
    a: string
    x�
    ");
}

#[test]
fn features_keep_the_text_of_text_columns() {
    let features = json!({"a": {"dtype": "string", "_type": "Value"}, "b": {"dtype": "int8", "_type": "Value"}});
    insta::assert_snapshot!(csv_with(json!({"features": features}), "a,b\n01,02\n,3\n"), @r"
    a: string, b: int64
    01 | 2
    null | 3
    ");
}

#[test]
fn bad_parameters_are_named() {
    for (parameters, message) in [
        (json!({"sep": "ab"}), "parameter `sep`: expected one ASCII character or `\\s+`, found \"ab\""),
        (
            json!({"header": "first"}),
            "parameter `header`: expected a line number from 0, or null when the file has no header, found \"first\"",
        ),
        (
            json!({"skipfooter": 2}),
            "parameter `skipfooter`: expected nothing: this parameter is not supported, remove it, found 2",
        ),
        (
            json!({"on_bad_lines": "boom"}),
            "parameter `on_bad_lines`: expected one of `error`, `warn`, `skip`, found \"boom\"",
        ),
        (json!({"quotechar": "ab"}), "parameter `quotechar`: expected one ASCII character, found \"ab\""),
        (json!({"nrows": -1}), "parameter `nrows`: expected a number from 0, found -1"),
    ] {
        assert_eq!(csv_with(parameters, "a\n1\n"), format!("Parameter: data.csv: {message}"));
    }
    assert_eq!(csv_with(json!({"low_memory": true, "engine": "c"}), "a\n1\n"), "a: int64\n1\n");
}

fn utf_16(text: &str, order: fn(u16) -> [u8; 2]) -> Vec<u8> {
    std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(order).collect()
}

#[test]
fn the_mark_of_utf_16_is_believed() {
    let text = "name,n\nM\u{fc}nchen,1\n\u{1f600},2\n";
    let expected = "name: string, n: int64\nM\u{fc}nchen | 1\n\u{1f600} | 2\n";
    assert_eq!(csv(utf_16(text, u16::to_le_bytes)), expected);
    assert_eq!(csv(utf_16(text, u16::to_be_bytes)), expected);
    assert_eq!(csv_with(json!({"encoding": "utf-16"}), utf_16(text, u16::to_be_bytes)), expected);
    assert_eq!(csv([b"\xef\xbb\xbf", text.as_bytes()].concat()), expected, "and that of UTF-8");
    let mut cut = utf_16(text, u16::to_le_bytes);
    cut.pop();
    insta::assert_snapshot!(csv(cut), @"Unreadable: data.csv, line 3: from byte 7 of this line on, the text is not valid in its encoding; store it in UTF-8, or name its encoding with the parameter `encoding`, as in `encoding: latin-1`");
    insta::assert_snapshot!(csv(b"\xff\xfe\0\0a\0\0\0"), @"Unreadable: data.csv, line 1: the text is in UTF-32; store it in UTF-8");
}
