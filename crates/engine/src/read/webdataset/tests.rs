use belvedere_domain::Features;
use belvedere_domain::data_files::Reader;
use serde_json::json;

use super::*;
use crate::read::tar::tests::tar;
use crate::read::testing::{Folder, config, read, show, tables};

fn shown(members: &[(&str, &[u8])]) -> String {
    read(Reader::Webdataset, &json!({}), "a.tar", tar(members))
}

/// A `.npy` file of a type and a shape.
fn npy(descr: &str, order: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
}

#[test]
fn neighbours_with_the_same_name_are_a_row() {
    let members: [(&str, &[u8]); 7] = [
        ("d/a.txt", b"one"),
        ("d/a.cls", b"3"),
        ("d/.hidden.txt", b"x"),
        ("d/__pycache__.txt", b"x"),
        ("d/nodot", b"x"),
        ("d/b.txt", "zw\u{f6}".as_bytes()),
        ("d/b.cls", b" 4\n"),
    ];
    insta::assert_snapshot!(shown(&members), @r"
    txt: string, cls: int64, __key__: string, __url__: string
    one | 3 | d/a | /a.tar
    zwö | 4 | d/b | /a.tar
    ");
}

#[test]
fn the_last_part_of_a_name_tells_the_type() {
    use std::io::Write;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"packed").unwrap();
    let gzip = gzip.finish().unwrap();
    let floats: Vec<u8> = [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0].iter().flat_map(|number| number.to_le_bytes()).collect();
    let matrix = npy("<f4", "False", "(2, 3)", &floats);
    let members: [(&str, &[u8]); 6] = [
        ("a.seg.json", br#"{"id": 1, "tags": ["x"]}"#),
        ("a.note.txt.gz", &gzip),
        ("a.m.npy", &matrix),
        ("a.jpg", b"picture"),
        ("a.wav", b"sound"),
        ("a.weights", b"\x01"),
    ];
    insta::assert_snapshot!(shown(&members), @r"
    seg.json: {id: int64, tags: [string]}, note.txt.gz: string, m.npy: [[float32]], jpg: {bytes: binary, path: string}, wav: {bytes: binary, path: string}, weights: binary, __key__: string, __url__: string
    {id: 1, tags: [x]} | packed | [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]] | {bytes: 70696374757265, path: a.jpg} | {bytes: 736f756e64, path: a.wav} | 01 | a | /a.tar
    ");
}

#[test]
fn arrays_of_numpy_are_nested_lists() {
    let array = |descr, order, shape, data: &[u8]| match npy::array(&npy(descr, order, shape, data)) {
        Ok(value) => {
            let feature = loose::feature_of(&[&value]);
            let column = loose::column(&feature, &[&value]).unwrap();
            let schema = to_schema(&Features::new([("x".to_owned(), feature)]), false);
            show(&[RecordBatch::try_new(schema, vec![column]).unwrap()])
        }
        Err(error) => format!("{error}\n"),
    };
    let text: Vec<u8> = "hi\0yo!".chars().flat_map(|letter| u32::from(letter).to_le_bytes()).collect();
    let shown = [
        array("<i2", "True", "(2, 3)", &[0, 0, 3, 0, 1, 0, 4, 0, 2, 0, 5, 0]),
        array(">i2", "False", "(2,)", &[1, 0, 0, 1]),
        array("<i8", "False", "()", &7_i64.to_le_bytes()),
        array("|b1", "False", "(2,)", &[1, 0]),
        array("<U3", "False", "(2,)", &text),
        array("<f8", "False", "(1000000000000, 0)", b""),
        array("<f8", "False", "(3,)", b"short"),
        array("|O", "False", "(1,)", &[0; 8]),
    ];
    insta::assert_snapshot!(shown.concat(), @r"
    x: [[int16]]
    [[0, 1, 2], [3, 4, 5]]
    x: [int16]
    [256, 1]
    x: int64
    7
    x: [bool]
    [true, false]
    x: [string]
    [hi, yo!]
    its shape [1000000000000, 0] holds nothing
    its shape [3] needs more than the 5 bytes that are there
    the type `|O` is unknown
    ");
}

#[test]
fn later_rows_may_lack_fields_and_have_others() {
    let mut members: Vec<(String, &[u8])> = Vec::new();
    for row in 0..5 {
        members.extend([(format!("{row}.txt"), &b"t"[..]), (format!("{row}.json"), br#"{"a": 1}"#)]);
    }
    members.extend([("5.json".to_owned(), &br#"{"a": 2, "b": 3}"#[..]), ("5.extra".to_owned(), b"x")]);
    let members: Vec<(&str, &[u8])> = members.iter().map(|(name, content)| (name.as_str(), *content)).collect();
    let shown = shown(&members);
    assert_eq!(shown.lines().last(), Some("null | {a: 2} | 5 | /a.tar"), "{shown}");
}

#[test]
fn later_files_and_declared_features_follow_the_columns_that_are_known() {
    let folder = Folder::new();
    let files =
        [folder.file("a.tar", tar(&[("a.cls", b"1")])), folder.file("b.tar", tar(&[("b.cls", b"2"), ("b.x", b"")]))];
    let reader = crate::read::ConfigReader::prepared(
        config(Reader::Webdataset, &json!({})),
        ReadLimits::default(),
        "hf://datasets/d@r",
        &std::collections::HashMap::new(),
    )
    .unwrap();
    let tables: Vec<RecordBatch> =
        files.iter().map(|file| reader.open(file).unwrap().next_table().unwrap().unwrap()).collect();
    insta::assert_snapshot!(show(&tables), @r"
    cls: int64, __key__: string, __url__: string
    1 | a | hf://datasets/d@r/a.tar
    cls: int64, __key__: string, __url__: string
    2 | b | hf://datasets/d@r/b.tar
    ");
    let declared = json!({"cls": {"names": ["no", "yes"], "_type": "ClassLabel"}});
    insta::assert_snapshot!(read(Reader::Webdataset, &json!({"features": declared}), "a.tar", tar(&[("a.cls", b"1")])), @r"
    cls: int64
    1
    ");
}

#[test]
fn mistakes_are_told_with_the_member() {
    let errors = [
        shown(&[("a.txt", b"\xff")]),
        shown(&[("a.cls", b"cat")]),
        shown(&[("a.json", b"{")]),
        shown(&[("a.npy", b"PK")]),
        shown(&[("a.txt.gz", b"not gzip")]),
        shown(&[("a.txt", b"x"), ("a.txt", b"y")]),
        shown(&[("a.jpg", b"x"), ("b.png", b"y")]),
    ];
    insta::assert_snapshot!(errors.join("\n"), @r#"
    Unreadable: a.tar/a.txt: not valid UTF-8 from byte 0 on; store it as UTF-8, or under a name like `.bin`
    Unreadable: a.tar/a.cls: expected an integer, found "cat"; store other texts under a name like `.txt`
    Unreadable: a.tar/a.json: invalid JSON: EOF while parsing an object at line 1 column 1; write it again
    Unreadable: a.tar/a.npy: unreadable npy file: it does not begin like one; save it with `numpy.save`
    Unreadable: a.tar/a.txt.gz: damaged compressed data: unexpected end of file; compress it again
    Unreadable: a.tar: the row "a" has two files that end with ".txt"; give every row a name of its own
    Unreadable: a.tar: the first rows must have the same files: "a" has .jpg, "b" has .png; files of a row follow one another and share their name up to the first dot
    "#);
    let mut members: Vec<(String, Vec<u8>)> = (0..6).map(|row| (format!("{row}.json"), b"[1]".to_vec())).collect();
    members.push(("late.json".to_owned(), b"\"text\"".to_vec()));
    let members: Vec<(&str, &[u8])> = members.iter().map(|(name, content)| (name.as_str(), &content[..])).collect();
    insta::assert_snapshot!(shown(&members), @r#"Incompatible: a.tar/late.json, column "json": values of type string cannot become list"#);
}

#[test]
fn members_beyond_the_limit_are_refused() {
    let folder = Folder::new();
    let file = folder.file("a.tar", tar(&[("a.txt", &[b'x'; 2000])]));
    let limits = ReadLimits { max_record_bytes: 1000, ..ReadLimits::default() };
    let error = tables(&config(Reader::Webdataset, &json!({})), limits, &file).unwrap_err();
    assert_eq!(error.to_string(), "a.tar/a.txt: this member takes 2000 bytes, more than the 1000 of a single record");
}
