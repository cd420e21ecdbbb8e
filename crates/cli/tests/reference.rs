//! The generated pages are true, and no variable of the original descriptions is forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use belvedere::config::{Described, RETIRED, reference, settings};
use belvedere::help;

/// Words in capitals that are no variables: log levels, words, prefixes, a constant of the worker.
const OTHER_WORDS: &[&str] = &[
    "ADMIN_",
    "ADMIN_UVICORN_",
    "CRITICAL",
    "DATASETS_BASED_",
    "DEBUG",
    "DESCRIPTIVE_STATISTICS_",
    "DUCKDB_INDEX_",
    "ERROR",
    "FIRST_ROWS_",
    "INFO",
    "MAX_NUM_STRING_LABELS",
    "PARQUET_AND_INFO_",
    "POST",
    "README",
    "REST",
    "SCRIPT",
    "SWAP",
    "WARNING",
];

const DESCRIPTIONS: [(Described, &str); 4] = [
    (Described::Admin2022, include_str!("seeds/admin-2022.md")),
    (Described::Admin2024, include_str!("seeds/admin-2024.md")),
    (Described::Worker2022, include_str!("seeds/worker-2022.md")),
    (Described::Worker2023, include_str!("seeds/worker-2023.md")),
];

/// Words of at least four capitals, digits and underscores, from a capital on.
fn words_in_capitals(text: &str) -> BTreeSet<&str> {
    text.split(|letter: char| !(letter.is_alphanumeric() || letter == '_'))
        .filter(|word| word.len() >= 4 && word.starts_with(|letter: char| letter.is_ascii_uppercase()))
        .filter(|word| word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_'))
        .collect()
}

/// What the table says: the descriptions that name a row, by every name of the row.
fn rows() -> BTreeMap<String, &'static [Described]> {
    let settings = settings().flat_map(|setting| {
        let names = std::iter::once(setting.variable()).chain(setting.aliases.iter().map(|&alias| alias.to_owned()));
        names.map(|name| (name, setting.described))
    });
    settings.chain(RETIRED.iter().map(|retired| (retired.variable.to_owned(), retired.described))).collect()
}

#[test]
fn every_variable_of_the_descriptions_has_a_row() {
    let rows = rows();
    let mut missing = Vec::new();
    for (document, text) in DESCRIPTIONS {
        for word in words_in_capitals(text).into_iter().filter(|word| !OTHER_WORDS.contains(word)) {
            match rows.get(word) {
                None => missing.push(format!("{word} of {document:?} has no row")),
                Some(described) if !described.contains(&document) => {
                    missing.push(format!("the row of {word} does not say that {document:?} names it"));
                }
                Some(_) => {}
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn every_row_that_claims_a_description_is_named_there() {
    for setting in settings() {
        for document in setting.described {
            let (_, text) = DESCRIPTIONS.iter().find(|(other, _)| other == document).unwrap();
            let words = words_in_capitals(text);
            let named = words.contains(setting.variable().as_str())
                || setting.aliases.iter().any(|alias| words.contains(alias));
            assert!(named, "{document:?} does not name {}", setting.variable());
        }
    }
}

#[test]
fn other_words_are_still_in_the_descriptions() {
    for word in OTHER_WORDS {
        assert!(DESCRIPTIONS.iter().any(|(_, text)| words_in_capitals(text).contains(word)), "{word}");
    }
}

#[test]
fn the_reference_page_is_up_to_date() {
    is_up_to_date("configuration.md", &reference::markdown());
}

#[test]
fn the_page_of_the_command_line_is_up_to_date() {
    is_up_to_date("cli.md", &help::markdown());
}

/// Compares a page of `docs/` with what it should be, or writes it when `UPDATE_DOCS` is set.
fn is_up_to_date(name: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, expected).expect("docs/ is writable");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "docs/{name} is out of date: run `UPDATE_DOCS=1 cargo test -p belvedere`");
}
