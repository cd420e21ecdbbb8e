use indexmap::IndexMap;

use super::*;

fn dialect() -> Dialect {
    Dialect {
        separator: Separator::Byte(b','),
        quote: Some(b'"'),
        double_quote: true,
        escape: None,
        comment: None,
        line_end: None,
        skip_blank_lines: true,
        skip_initial_space: false,
    }
}

/// Records as texts, the same for every way to cut the text into pieces.
fn records(dialect: Dialect, text: &str) -> Vec<Vec<String>> {
    let tokenizer = Tokenizer::new(dialect);
    let mut results = IndexMap::new();
    for piece in [1, 2, 3, text.len().max(1)] {
        let (mut records, mut at, mut known) = (Vec::new(), 0, 0);
        while at < text.len() {
            let (mut fields, mut side) = (Vec::new(), Vec::new());
            let visible = &text.as_bytes()[..known];
            match tokenizer.record(visible, at, known == text.len(), &mut fields, &mut side) {
                Found::Record { end } => {
                    let field = |span: &Span| String::from_utf8(span.bytes(visible, &side).to_vec()).unwrap();
                    records.push(fields.iter().map(field).collect());
                    at = end;
                }
                Found::Nothing { end } => at = end,
                Found::Incomplete => {
                    assert!(fields.is_empty() && side.is_empty());
                    assert!(known < text.len(), "incomplete at the end");
                    known = text.len().min(known + piece);
                }
                Found::OpenQuote { start } => {
                    records.push(vec![format!("open quote at {start}")]);
                    break;
                }
            }
        }
        results.insert(records, piece);
    }
    assert_eq!(results.len(), 1, "{results:?}");
    results.into_keys().next().unwrap()
}

#[test]
fn lines_end_with_lf_crlf_or_cr() {
    assert_eq!(records(dialect(), "a,b\r\n1,2\r3,4\n5,"), [["a", "b"], ["1", "2"], ["3", "4"], ["5", ""]]);
}

#[test]
fn quotes_hide_separators_and_line_ends() {
    assert_eq!(
        records(dialect(), "\"a,\r\nb\",\"say \"\"hi\"\"\"\n\"\",x\"y\n\"q\"r,\"s\"\"\"\n"),
        [["a,\r\nb", "say \"hi\""], ["", "x\"y"], ["qr", "s\""]]
    );
    assert_eq!(records(dialect(), "a\n\"b,c"), [["a"], ["open quote at 2"]]);
}

#[test]
fn blank_lines_are_skipped_but_leading_blanks_are_kept() {
    assert_eq!(records(dialect(), "\n \t\r\na\n\r\n  b\n "), [["a"], ["  b"]]);
    let kept = Dialect { skip_blank_lines: false, ..dialect() };
    assert_eq!(records(kept, "a\n\n b\n"), [["a"], [""], [" b"]]);
}

#[test]
fn comments_reach_to_the_end_of_the_line() {
    let commented = Dialect { comment: Some(b'#'), ..dialect() };
    assert_eq!(records(commented, "#x\na,b#c,d\n1,#\n\"#\",2 #\n"), [["a", "b"], ["1", ""], ["#", "2 "]]);
}

#[test]
fn escapes_work_inside_and_outside_quotes() {
    let escaped = Dialect { escape: Some(b'\\'), ..dialect() };
    assert_eq!(records(escaped, "\"a\\\"b\",c\\,d\n"), [["a\"b", "c,d"]]);
    let single = Dialect { double_quote: false, ..dialect() };
    assert_eq!(records(single, "\"x\"y\",2\n"), [["xy\"", "2"]]);
}

#[test]
fn runs_of_blanks_can_separate() {
    let blanks = Dialect { separator: Separator::Blanks, ..dialect() };
    assert_eq!(records(blanks, " a  b\t c \n1 2 3\n"), [["a", "b", "c"], ["1", "2", "3"]]);
}

#[test]
fn a_chosen_line_end_is_the_only_one() {
    let semicolons = Dialect { line_end: Some(b';'), ..dialect() };
    assert_eq!(records(semicolons, "a,b;1\n,2;"), [["a", "b"], ["1\n", "2"]]);
}
