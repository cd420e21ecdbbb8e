//! `docs/formats.md`: its table is made from the registry of formats, and every format that is read has a section.
//!
//! Generated with `UPDATE_DOCS=1 cargo test -p belvedere-testing --test formats`.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fmt::Write;
use std::fs;
use std::path::Path;

use belvedere_engine::read::ReadLimits;
use belvedere_hub::reader::formats;

const BEGIN: &str =
    "<!-- Made from the registry: `UPDATE_DOCS=1 cargo test -p belvedere-testing --test formats`. -->\n";
const END: &str = "<!-- The end of what is made from the registry. -->\n";

/// A row per format: those that are read first.
fn table() -> String {
    let mut table = "| format | suffixes | |\n| --- | --- | --- |\n".to_owned();
    let mut rows: Vec<_> = formats().collect();
    rows.sort_by_key(|format| !format.is_read);
    for format in rows {
        let suffixes: Vec<String> = format.suffixes.iter().map(|suffix| format!("`.{suffix}`")).collect();
        let what = match (format.is_read, format.is_beyond) {
            (true, false) => "read",
            (true, true) => "read; the reference does not",
            (false, _) => "known, not read",
        };
        writeln!(table, "| `{}` | {} | {what} |", format.name, suffixes.join(" ")).unwrap();
    }
    table
}

#[test]
fn the_page_of_formats_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/formats.md");
    let page = fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once(BEGIN).expect("docs/formats.md says where the table begins");
    let (_, tail) = rest.split_once(END).expect("docs/formats.md says where the table ends");
    let expected = format!("{head}{BEGIN}{}{END}{tail}", table());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &expected).unwrap();
        return;
    }
    assert!(
        page == expected,
        "docs/formats.md is out of date: run `UPDATE_DOCS=1 cargo test -p belvedere-testing --test formats`"
    );
}

#[test]
fn every_format_that_is_read_has_a_section() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/formats.md")).unwrap();
    let is_told = |name: &str| page.lines().any(|line| line.starts_with("## ") && line.contains(&format!("`{name}`")));
    let missing: Vec<_> =
        formats().filter(|format| format.is_read && !is_told(format.name)).map(|format| format.name).collect();
    assert!(missing.is_empty(), "docs/formats.md has no section for {missing:?}");
}

#[test]
fn the_limits_are_those_of_the_readers() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/formats.md")).unwrap();
    let page = page.replace('\n', " ");
    let limits = ReadLimits::default();
    let megabytes = |bytes: usize| format!("{} MiB", bytes >> 20);
    assert!(page.contains(&format!("may take {}; a table", megabytes(limits.max_record_bytes))));
    assert!(page.contains(&format!("a table in memory takes {}", megabytes(limits.max_batch_bytes))));
}
