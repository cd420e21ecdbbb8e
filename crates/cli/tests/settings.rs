//! Every setting that the reference page calls read is read: by name, in the source of the program.
//!
//! A text is a poor witness, but it sees what no run of the program does: a setting that is parsed, shown, and then
//! forgotten. What the program hands on, it hands on as fields of the settings of other crates, so those are looked
//! for as well, in the crates that have them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use belvedere::config::{Fate, settings};

/// Settings of which nothing but the check of their value is wanted.
const CHECKED_ONLY: [&str; 0] = [];

/// Settings of other crates: the file, the struct, and where its fields have to be used.
const HANDED_ON: [(&str, &str, &[&str]); 10] = [
    ("jobs/src/settings.rs", "Settings", &["jobs/src", "api/src"]),
    ("jobs/src/settings.rs", "Names", &["jobs/src"]),
    ("jobs/src/settings.rs", "FirstRows", &["jobs/src"]),
    ("jobs/src/settings.rs", "Parquet", &["jobs/src", "api/src"]),
    ("jobs/src/settings.rs", "WorkerSettings", &["jobs/src"]),
    ("jobs/src/settings.rs", "Urls", &["jobs/src", "api/src"]),
    ("jobs/src/child.rs", "ChildCommand", &["jobs/src"]),
    ("api/src/state.rs", "ApiSettings", &["api/src"]),
    ("hub/src/local.rs", "LocalOptions", &["hub/src"]),
    ("cli/src/config/paths.rs", "Paths", &["cli/src"]),
];

/// Source without comments, tests and white space, so that a chain over several lines is one word.
fn code(source: &str) -> String {
    let source = source.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let without_comment = |line: &str| match line.trim_start().starts_with("//") {
        true => String::new(),
        false => line.split_whitespace().collect::<Vec<_>>().join("\u{1}"),
    };
    // Words stay apart from each other, but not from what joins them.
    let joined = source.lines().map(without_comment).collect::<Vec<_>>().join("\u{1}");
    let mut code = String::with_capacity(joined.len());
    let mut letters = joined.chars().peekable();
    while let Some(letter) = letters.next() {
        let is_word = |letter: Option<&char>| letter.is_some_and(|letter| letter.is_alphanumeric() || *letter == '_');
        if letter != '\u{1}' {
            code.push(letter);
        } else if is_word(code.chars().last().as_ref()) && is_word(letters.peek()) {
            code.push(' ');
        }
    }
    code
}

/// True if the words stand in the code, not as parts of longer ones.
fn mentions(code: &str, words: &str) -> bool {
    let is_letter = |letter: char| letter.is_alphanumeric() || letter == '_';
    code.match_indices(words).any(|(at, _)| {
        let before = words.starts_with(is_letter) && code[..at].ends_with(is_letter);
        !before && !code[at + words.len()..].starts_with(is_letter)
    })
}

/// What a section is called in a piece of code: `.worker` of the configuration, and names given to it.
fn names_of(section: &str, kind: &str, code: &str) -> Vec<String> {
    let mut names = vec![format!(".{section}")];
    let mut add = |before: &str| {
        let name = before.rsplit(|letter: char| !(letter.is_alphanumeric() || letter == '_')).next();
        names.extend(name.filter(|name| !name.is_empty()).map(str::to_owned));
    };
    for (at, _) in code.match_indices(&format!(".{section};")) {
        let statement = code[..at].rsplit(';').next().unwrap_or_default();
        if let Some((before, _)) = statement.rsplit_once("=&") {
            add(before);
        }
    }
    for (at, _) in code.match_indices(&format!(":&{kind}")) {
        add(&code[..at]);
    }
    names
}

fn is_read(section: &str, kind: &str, key: &str, code: &str) -> bool {
    names_of(section, kind, code).iter().any(|name| mentions(code, &format!("{name}.{key}")))
}

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The code of all files below, by path.
fn sources(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("the sources of this crate can be read") {
        let path = entry.expect("the sources of this crate can be read").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            let code = code(&std::fs::read_to_string(&path).expect("the sources of this crate can be read"));
            found.insert(path, code);
        }
    }
    found
}

#[test]
fn every_setting_that_is_said_to_be_read_is_read() {
    let config = crates().join("cli/src/config");
    let declared = std::fs::read_to_string(config.join("mod.rs")).unwrap();
    let kinds: BTreeMap<&str, &str> =
        declared.lines().filter_map(|line| line.trim().strip_suffix(',')?.split_once(": ")).collect();
    let mut readers = sources(&crates().join("cli/src"));
    let check = readers.remove(&config.join("validate.rs")).unwrap();
    readers.retain(|path, _| !path.starts_with(config.join("sections")));
    let mut forgotten = Vec::new();
    for setting in settings().filter(|setting| matches!(setting.fate, Fate::Read(_))) {
        let field = if setting.section.is_empty() { "general" } else { setting.section };
        let kind = kinds[field];
        let is_checked = CHECKED_ONLY.contains(&setting.path().as_str());
        let found = match is_checked {
            true => is_read(field, kind, setting.key, &check),
            false => readers.values().any(|code| is_read(field, kind, setting.key, code)),
        };
        if !found {
            forgotten.push(setting.path());
        }
    }
    assert_eq!(forgotten, Vec::<String>::new(), "nobody reads these; use them, or say when they will be");
}

#[test]
fn every_setting_that_is_handed_on_is_used() {
    let mut forgotten = Vec::new();
    for (file, name, users) in HANDED_ON {
        let text = std::fs::read_to_string(crates().join(file)).unwrap();
        let (_, body) = text.split_once(&format!("pub struct {name} {{")).unwrap_or_else(|| panic!("{name} in {file}"));
        let body = body.split_once("\n}").unwrap().0;
        let fields: Vec<&str> =
            body.lines().filter_map(|line| Some(line.trim().strip_prefix("pub ")?.split_once(':')?.0)).collect();
        assert!(!fields.is_empty(), "{name} in {file}");
        let code: Vec<String> = users.iter().flat_map(|user| sources(&crates().join(user)).into_values()).collect();
        for field in fields {
            if !code.iter().any(|code| mentions(code, &format!(".{field}"))) {
                forgotten.push(format!("{name}::{field}"));
            }
        }
    }
    assert_eq!(forgotten, Vec::<String>::new(), "nobody uses these");
}

#[test]
fn only_code_counts_as_reading() {
    let read = |source: &str| is_read("worker", "Worker", "slots", &code(source));
    for source in [
        "let slots = config.worker.slots;",
        "config\n    .worker\n    // how many\n    .slots\n    .on(cores)",
        "let worker = &config.worker;\nuse_it(worker.slots);",
        "fn settings(given: &Worker, cores: usize) { given.slots.on(cores) }",
    ] {
        assert!(read(source), "{source}");
    }
    for source in [
        "",
        "// config.worker.slots",
        "/// See `config.worker.slots`.",
        "let slots = config.queue.slots;",
        "let slots = config.worker.slots_of_old;",
        "let worker = &config.worker; other.slots;",
        "let worker = &config.worker;\nuse_it(coworker.slots);",
        "fn f() {}\n#[cfg(test)]\nmod tests { fn g() { config.worker.slots } }",
    ] {
        assert!(!read(source), "{source}");
    }
}
