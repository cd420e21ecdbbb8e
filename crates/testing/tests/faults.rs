//! The table of faults in `docs/reliability.md`, made from what stands above the tests that provoke them.
//!
//! A test whose name begins with the letter e and the three digits of a fault has a row of its own in its doc comment:
//! number, what happens, and what the program does, with bars between. Generated with
//! `UPDATE_DOCS=1 cargo test -p belvedere-testing --test faults`.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What stands before and after the table.
const BEGIN: &str =
    "<!-- Made from the doc comments of tests: `UPDATE_DOCS=1 cargo test -p belvedere-testing --test faults`. -->\n";
const END: &str = "<!-- The end of what is made from tests. -->\n";

/// A test that provokes a fault.
#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Fault {
    /// `e004`.
    number: String,
    /// Name of the test.
    test: String,
    /// Its file, from the root of the project.
    file: String,
    /// What happens, and what the program does.
    told: [String; 2],
}

impl Fault {
    fn row(&self) -> String {
        let Self { number, test, file, told: [happens, does] } = self;
        format!("| {number} | {happens} | {does} | [`{test}`](../{file}) |\n")
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The number and the name of the fault test that a line declares.
fn declared(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start().trim_start_matches("pub(crate) ").trim_start_matches("async ");
    let name = line.strip_prefix("fn ")?.split(['(', '<']).next()?;
    let number = name.get(..4)?;
    let is_number = number.starts_with('e') && number[1..].bytes().all(|byte| byte.is_ascii_digit());
    (is_number && name[4..].starts_with('_')).then_some((number, name))
}

/// The first paragraph of the doc comment above a line. Attributes may stand between.
fn comment_above(lines: &[&str]) -> String {
    let above = lines.iter().rev().map(|line| line.trim());
    let attached = above.take_while(|line| line.starts_with("///") || line.starts_with("#["));
    let mut comment: Vec<_> = attached.filter_map(|line| line.strip_prefix("///")).map(str::trim).collect();
    comment.reverse();
    comment.split(|line| line.is_empty()).next().unwrap_or_default().join(" ")
}

/// The faults that a file provokes.
fn faults_in(file: &str, text: &str) -> Result<Vec<Fault>, String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut faults = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some((number, test)) = declared(line) else { continue };
        let comment = comment_above(&lines[..index]);
        let parts: Vec<&str> = comment.split('|').map(str::trim).collect();
        match parts[..] {
            [named, happens, does] if named == number && !happens.is_empty() && !does.is_empty() => {
                let told = [happens.to_owned(), does.to_owned()];
                faults.push(Fault { number: number.to_owned(), test: test.to_owned(), file: file.to_owned(), told });
            }
            _ => {
                return Err(format!(
                    "{file}: `{test}` provokes a fault, so its doc comment must begin with its row: \
                     `/// {number} | what happens | what the program does`, but it is `{comment}`"
                ));
            }
        }
    }
    Ok(faults)
}

fn faults() -> Vec<Fault> {
    let root = root();
    let mut files = Vec::new();
    sources(&root.join("crates"), &mut files);
    let mut faults: Vec<Fault> = files
        .iter()
        .flat_map(|path| {
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
            faults_in(name, &fs::read_to_string(path).unwrap()).unwrap_or_else(|error| panic!("{error}"))
        })
        .collect();
    faults.sort();
    faults
}

#[test]
fn the_table_of_faults_is_up_to_date() {
    let path = root().join("docs/reliability.md");
    let page = fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once(BEGIN).expect("docs/reliability.md says where the table begins");
    let (_, tail) = rest.split_once(END).expect("docs/reliability.md says where the table ends");
    let mut table = "| | what happens | what Belvedere does | test |\n| --- | --- | --- | --- |\n".to_owned();
    table.extend(faults().iter().map(Fault::row));
    let expected = format!("{head}{BEGIN}{table}{END}{tail}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &expected).unwrap();
        return;
    }
    assert!(
        page == expected,
        "docs/reliability.md is out of date: run `UPDATE_DOCS=1 cargo test -p belvedere-testing --test faults`"
    );
}

#[test]
fn every_fault_test_has_a_name_of_its_own() {
    let faults = faults();
    let names: BTreeSet<&str> = faults.iter().map(|fault| fault.test.as_str()).collect();
    assert_eq!(names.len(), faults.len());
}

#[test]
fn a_fault_test_without_its_row_is_found() {
    let with =
        |comment: &str| format!("{comment}\n#[tokio::test]\n    pub(crate) async fn e{}_it(bed: &Bed) {{", "012");
    let found = faults_in("a.rs", &with("/// e012 | the disk\n/// is full | it waits\n///\n/// More.")).unwrap();
    assert_eq!(found[0].told, ["the disk is full", "it waits"]);
    assert_eq!(found[0].test, "e012_it");
    for wrong in ["", "/// The disk is full.", "/// e013 | a | b", "/// e012 | a |", "/// e012 | a | b | c"] {
        let error = faults_in("a.rs", &with(wrong)).unwrap_err();
        assert!(error.contains("must begin with its row"), "{error}");
    }
}
