use arrow::array::{Array, AsArray};
use belvedere_domain::data_files::Reader;
use serde_json::{Value as JsonValue, json};

use crate::read::testing::{Folder, config, read, show, tables};
use crate::read::{ConfigReader, ReadLimits};

fn jsonl(content: impl AsRef<[u8]>) -> String {
    read(Reader::Json, &json!({}), "data.jsonl", content)
}

fn json_with(parameters: JsonValue, content: impl AsRef<[u8]>) -> String {
    read(Reader::Json, &parameters, "data.json", content)
}

#[test]
fn each_column_takes_the_type_of_its_values() {
    let content = r#"{"i":1,"f":1,"b":true,"s":"x","n":null,"e":"","l":[1,2],"o":{"a":1,"b":"x"}}
{"i":-2,"f":2.5,"b":null,"s":"y","n":null,"e":null,"l":[],"o":{"b":null,"a":2}}
{"i":null,"f":1e3,"b":false,"s":"2020","n":null,"l":null,"o":null,"late":[]}
"#;
    insta::assert_snapshot!(jsonl(content), @r"
    i: int64, f: float64, b: bool, s: string, n: null, e: string, l: [int64], o: {a: int64, b: string}, late: [null]
    1 | 1.0 | true | x | null |  | [1, 2] | {a: 1, b: x} | null
    -2 | 2.5 | null | y | null | null | [] | {a: 2, b: null} | null
    null | 1000.0 | false | 2020 | null | null | null | null | []
    ");
}

#[test]
fn integers_beyond_64_bits_make_floats() {
    insta::assert_snapshot!(jsonl("{\"a\":9223372036854775807}\n{\"a\":-9223372036854775808}\n"), @r"
    a: int64
    9223372036854775807
    -9223372036854775808
    ");
    insta::assert_snapshot!(jsonl("{\"a\":9223372036854775808}\n{\"a\":1}\n"), @r"
    a: float64
    9.223372036854776e18
    1.0
    ");
    insta::assert_snapshot!(jsonl("{\"a\":NaN,\"b\":-Infinity,\"c\":Inf}\n"), @r"
    a: float64, b: float64, c: float64
    NaN | -inf | inf
    ");
}

#[test]
fn dates_become_timestamps_only_if_all_texts_are() {
    insta::assert_snapshot!(jsonl("{\"a\":\"2020-01-01\",\"b\":\"2020-01-01\"}\n{\"a\":\"2020-01-01 12:30Z\",\"b\":\"soon\"}\n{\"a\":null}\n"), @r"
    a: timestamp[s], b: string
    2020-01-01T00:00:00 | 2020-01-01
    2020-01-01T12:30:00 | soon
    null | null
    ");
}

#[test]
fn mixed_values_become_json() {
    let content = r#"{"v":1,"w":true}
{"v":"a/é","w":1}
{"v":"2"}
{"v":[1, 2.50]}
{"v":{"k":"v", "x": null}}
{"v":null}
"#;
    insta::assert_snapshot!(jsonl(content), @r#"
    v: Json, w: Json
    1 | true
    "a\/\u00e9" | 1
    2 | null
    [1,2.5] | null
    {"k":"v","x":null} | null
    null | null
    "#);
    insta::assert_snapshot!(jsonl("{\"l\":[1,\"a\"]}\n{\"l\":null}\n"), @r#"
    l: [Json]
    [1, "a"]
    null
    "#);
}

#[test]
fn objects_that_differ_in_keys_become_json() {
    insta::assert_snapshot!(jsonl("{\"o\":{\"a\":1},\"p\":{}}\n{\"o\":{\"b\":1},\"p\":{}}\n"), @r#"
    o: Json, p: Json
    {"a":1} | {}
    {"b":1} | {}
    "#);
    insta::assert_snapshot!(jsonl("{\"l\":[{\"a\":1},{\"a\":1,\"b\":2}]}\n"), @r#"
    l: [Json]
    [{"a":1}, {"a":1,"b":2}]
    "#);
    insta::assert_snapshot!(jsonl("{\"i\":1}\n{\"x\":1,\"o\":{\"p\":[{\"a\":1},{\"b\":2}]}}\n"), @r#"
    i: int64, o: {p: [Json]}, x: int64
    1 | null | null
    null | {p: [{"a":1}, {"b":2}]} | 1
    "#);
    // Where lines and objects are not the same, keys are joined.
    insta::assert_snapshot!(jsonl("{\"o\":{\"a\":1}}\n\n{\"o\":{\"b\":1}}\n"), @r"
    o: {a: int64, b: int64}
    {a: 1, b: null}
    {a: null, b: 1}
    ");
}

#[test]
fn a_file_can_be_an_array_or_one_object() {
    insta::assert_snapshot!(jsonl("\u{feff} [ {\"a\": 1},\n {\"b\": \"x\"} ]\n"), @r"
    a: int64, b: string
    1 | null
    null | x
    ");
    insta::assert_snapshot!(jsonl("[\"a\", null, \"b\"]"), @r"
    text: string
    a
    null
    b
    ");
    insta::assert_snapshot!(jsonl("[[1], [2, 3]]"), @r"
    text: [int64]
    [1]
    [2, 3]
    ");
    insta::assert_snapshot!(jsonl("{\n \"data\": [1, 2],\n \"version\": \"1\"\n}\n"), @r"
    data: [int64], version: string
    [1, 2] | 1
    ");
    insta::assert_snapshot!(jsonl("{\"a\":1} {\"a\":2}\n{\"a\":\n3}"), @r"
    a: int64
    1
    2
    3
    ");
    insta::assert_snapshot!(jsonl("{}\n{}\n"), @"");
    insta::assert_snapshot!(jsonl("[]"), @"");
    insta::assert_snapshot!(jsonl(""), @"");
}

#[test]
fn a_field_of_an_object_can_hold_the_rows() {
    let content = "{\"version\": 1.5, \"meta\": {\"data\": []}, \"data\": [{\"a\": 1}, {\"a\": 2}], \"rest\": oops";
    insta::assert_snapshot!(json_with(json!({"field": "data"}), content), @r"
    a: int64
    1
    2
    ");
    insta::assert_snapshot!(json_with(json!({"field": "nothing"}), "{\"a\": [1]}"), @r#"Parameter: data.json: parameter `field`: the file is no object with a list under the key "nothing""#);
    insta::assert_snapshot!(json_with(json!({"field": "a"}), "{\"a\": 1}"), @r#"Parameter: data.json: parameter `field`: the file is no object with a list under the key "a""#);
}

#[test]
fn errors_name_file_and_line() {
    insta::assert_snapshot!(jsonl("{\"a\":1}\n{\"a\":}\n"), @"Unreadable: data.jsonl, line 2: invalid JSON: expected a JSON value, found `}`; correct it there, or write the file again");
    insta::assert_snapshot!(jsonl("{\"a\":1}\n{\"a\":1,\"a\":2}\n"), @r#"Unreadable: data.jsonl, line 2: invalid JSON: the key "a" stands twice in one object; correct it there, or write the file again"#);
    insta::assert_snapshot!(jsonl("{\"a\":1}\n{\"a\":2\n"), @"Unreadable: data.jsonl, line 2: the file ends inside the JSON value that starts here; if it was cut off, upload it again");
    insta::assert_snapshot!(jsonl("1\n2\n"), @"Unreadable: data.jsonl, line 1: invalid JSON: expected an object: every line must hold one; correct it there, or write the file again");
    insta::assert_snapshot!(jsonl("[1]\n[2]\n"), @"Unreadable: data.jsonl, line 2: invalid JSON: text after the end of the array; correct it there, or write the file again");
    insta::assert_snapshot!(jsonl("[{\"a\":1},\n{\"a\":2},"), @"Unreadable: data.jsonl, line 2: the file ends inside the JSON value that starts here; if it was cut off, upload it again");
    insta::assert_snapshot!(jsonl("[{\"a\":1},\n2]"), @"Unreadable: data.jsonl, line 2: invalid JSON: expected an object like the first item of the array; correct it there, or write the file again");
    insta::assert_snapshot!(jsonl("{\"a\":\"x\ny\"}\n"), @"Unreadable: data.jsonl, line 1: invalid JSON: a line break or control character inside a text; write it as an escape");
    insta::assert_snapshot!(jsonl("{\"a\":\"\\ud800\"}\n"), @"Unreadable: data.jsonl, line 1: invalid JSON: half of a surrogate pair stands alone; correct it there, or write the file again");
    insta::assert_snapshot!(jsonl("{\"a\":01}\n"), @"Unreadable: data.jsonl, line 1: invalid JSON: a number goes on in a way that is no JSON; correct it there, or write the file again");
    insta::assert_snapshot!(jsonl("{\"a\":[1,]}\n"), @"Unreadable: data.jsonl, line 1: invalid JSON: a comma without a value after it; correct it there, or write the file again");
    insta::assert_snapshot!(jsonl(b"{\"a\":\"\xff\"}\n"), @"Unreadable: data.jsonl, line 1: from byte 7 (0xFF) of this line on, the text is not valid in UTF-8; store it in UTF-8, or name its encoding with the parameter `encoding`, as in `encoding: latin-1`");
}

#[test]
fn deep_nesting_is_an_error_not_a_crash() {
    let deep = format!("{{\"a\":{}{}}}\n", "[".repeat(100_000), "]".repeat(100_000));
    insta::assert_snapshot!(jsonl(&deep), @"Unreadable: data.jsonl, line 1: invalid JSON: values are nested deeper than 512 levels; correct it there, or write the file again");
    insta::assert_snapshot!(jsonl(format!("[{deep}]")), @"Unreadable: data.jsonl, line 1: invalid JSON: values are nested deeper than 512 levels; correct it there, or write the file again");
    let objects = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    insta::assert_snapshot!(jsonl(objects), @"Unreadable: data.jsonl, line 1: invalid JSON: values are nested deeper than 512 levels; correct it there, or write the file again");
}

#[test]
fn too_many_different_keys_are_an_error() {
    let lines: String = (0..20_000).map(|n| format!("{{\"k{n}\":1}}\n")).collect();
    insta::assert_snapshot!(jsonl(lines), @"Unreadable: data.jsonl: the objects have too many different keys to be columns; keep them as texts or lists instead");
}

#[test]
fn escapes_are_resolved() {
    let folder = Folder::new();
    let file = folder.file("a.jsonl", r#"{"\u0061\n":"\"\\\/\b\f\r\t\u00e9\ud83d\ude00"}"#);
    let tables = tables(&config(Reader::Json, &json!({})), ReadLimits::default(), &file).unwrap();
    assert_eq!(tables[0].schema().field(0).name(), "a\n");
    assert_eq!(tables[0].column(0).as_string::<i32>().value(0), "\"\\/\u{8}\u{c}\r\té😀");
}

#[test]
fn small_batches_read_the_same_rows() {
    let lines: Vec<String> = (0..1_000)
        .map(|n| format!("{{\"a\": {n}, \"b\": [\"x{n}\", \"é\"], \"c\": {{\"d\": {}}}}}", n % 2 == 0))
        .collect();
    let folder = Folder::new();
    let files = [
        folder.file("a.jsonl", lines.join("\n")),
        folder.file("b.json", format!("[{}]", lines.join(",\n"))),
        folder.file("c.json", format!("{{\"x\": 1, \"f\": [{}], \"y\": []}}", lines.join(","))),
    ];
    let mut whole = None;
    for (file, field) in files.iter().zip([None, None, Some("f")]) {
        for chunk in [100, 1_096, 10 << 20] {
            let parameters = json!({"chunksize": chunk, "field": field});
            let tables = tables(&config(Reader::Json, &parameters), ReadLimits::default(), file).unwrap();
            assert!(chunk > 10_000 || tables.len() > 10, "{}: {}", file.path, tables.len());
            let joined = arrow::compute::concat_batches(&tables[0].schema(), &tables).unwrap();
            assert_eq!(joined.num_rows(), 1_000);
            assert_eq!(*whole.get_or_insert_with(|| joined.clone()), joined, "{} by {chunk}", file.path);
        }
    }
}

#[test]
fn an_array_is_typed_by_all_its_items_unless_told_to_hurry() {
    let folder = Folder::new();
    let file = folder.file("a.json", format!("[{}{{\"a\": 1.5}}]", "{\"a\": 1},".repeat(1_000)));
    let config = config(Reader::Json, &json!({"chunksize": 500}));
    let all = tables(&config, ReadLimits::default(), &file).unwrap();
    assert!(all.iter().all(|table| table.column(0).data_type().is_floating()));
    let hurry = ReadLimits { max_inference_bytes: Some(1_000), ..ReadLimits::default() };
    let mut stream = ConfigReader::new(config, hurry).open(&file).unwrap();
    assert!(stream.next_table().unwrap().unwrap().column(0).data_type().is_integer());
    let error = std::iter::from_fn(|| stream.next_table().transpose()).find_map(Result::err).unwrap();
    insta::assert_snapshot!(error, @"a.json, line 1: invalid JSON: not an integer; correct it there, or write the file again");
}

#[test]
fn later_batches_follow_what_the_first_one_decided() {
    let folder = Folder::new();
    let content = "{\"v\":1,\"t\":\"x\",\"o\":{\"a\":1}}\n{\"v\":\"a\",\"t\":\"y\",\"o\":{\"a\":2}}\n";
    let later = "{\"v\":5,\"t\":\"2020-01-01\",\"o\":{}}\n{\"v\":{\"k\":1},\"t\":null,\"o\":{\"a\":3}}\n";
    let (first, second) = (folder.file("a.jsonl", content), folder.file("b.jsonl", later));
    let reader = ConfigReader::new(config(Reader::Json, &json!({})), ReadLimits::default());
    let mut fitter = reader.fitter();
    let mut fitted = Vec::new();
    for file in [first, second] {
        let table = reader.open(&file).unwrap().next_table().unwrap().unwrap();
        fitted.push(fitter.fit(table).unwrap());
    }
    insta::assert_snapshot!(show(&fitted), @r#"
    v: Json, t: string, o: {a: int64}
    1 | x | {a: 1}
    "a" | y | {a: 2}
    v: Json, t: string, o: {a: int64}
    5 | 2020-01-01 | {a: null}
    {"k":1} | null | {a: 3}
    "#);
}

#[test]
fn a_validity_bitmap_exists_only_where_something_is_null() {
    let folder = Folder::new();
    let file = folder.file("a.jsonl", "{\"a\":1,\"o\":{\"b\":1}}\n{\"a\":2,\"o\":null}\n");
    let tables = tables(&config(Reader::Json, &json!({})), ReadLimits::default(), &file).unwrap();
    assert!(tables[0].column(0).nulls().is_none());
    assert_eq!(tables[0].column(1).as_struct().column(0).null_count(), 1);
}
