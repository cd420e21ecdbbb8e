//! Keeps `docs/errors.md` true to the table of error codes.

use std::fmt::Write;
use std::path::Path;

use belvedere_domain::ErrorCode;

const HEAD: &str = "\
<!-- Generated from the table in crates/domain/src/error_code.rs: `UPDATE_DOCS=1 cargo test -p belvedere-domain`. -->

# Errors

An answer with an error has a status from 400 on, a code in the header `X-Error-Code`, and a body `{\"error\": \"…\"}`. The
code and the status are part of the protocol; the text is for people and may change. Where the table says that the cause is
shown, the body may also have `cause_exception`, `cause_message` and `cause_traceback`.

The error of a processing step is stored and served like any other answer until the dataset changes. Where the column
*retries* has a number, the failure has a passing reason and is computed again, at most so many times per revision.
`ResponseNotReady` means that the answer is being prepared: ask again a little later.

| code | status | cause shown | retries | meaning |
| --- | --- | --- | --- | --- |
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    let mut codes = ErrorCode::ALL.to_vec();
    codes.sort_by_key(|code| code.as_str());
    for code in codes {
        let cause = if code.discloses_cause() { "yes" } else { "" };
        let retries = if code.max_failed_runs() == 0 { String::new() } else { code.max_failed_runs().to_string() };
        writeln!(page, "| `{code}` | {} | {cause} | {retries} | {} |", code.http_status(), code.meaning())
            .expect("writing to memory succeeds");
    }
    page
}

#[test]
fn page_lists_every_error_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors.md");
    let expected = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &expected).expect("docs/errors.md can be written");
    }
    let found = std::fs::read_to_string(&path).expect("docs/errors.md can be read");
    assert!(found == expected, "docs/errors.md is out of date: run `UPDATE_DOCS=1 cargo test -p belvedere-domain`");
}
