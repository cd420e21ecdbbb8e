//! The texts that the reference implementation accepts: a small regular language, told apart before anything is parsed.
//!
//! What is accepted here and makes no sense (an unbalanced bracket, an unknown operator) is refused by the parser, as the
//! reference's engine refuses it.

use std::sync::LazyLock;

use regex::Regex;

/// Signs that are refused wherever they stand, even inside of a quoted text.
const REFUSED: &[&str] = &[";", "--", "/*", "*/"];

static CONDITION: LazyLock<Regex> = LazyLock::new(|| {
    let (column, value) = (column(), value());
    let words = ["is", "not", "like", "ilike", "glob", "similar to"];
    let words = words.map(|word| format!("{word}|{}", word.to_uppercase())).join("|");
    let operator = format!("(?:[=<>!~* ]|{words})+");
    let expression = format!(r"\(?{column} ?{operator} ?{value}\)?");
    compile(&format!("^{expression}(?: (?:and|or|AND|OR) {expression})*$"))
});

static ORDER: LazyLock<Regex> = LazyLock::new(|| compile(&format!("^{}(?: (?:asc|desc|ASC|DESC))?$", column())));

/// True for a filter that the reference accepts.
pub(super) fn is_condition(text: &str) -> bool {
    !REFUSED.iter().any(|refused| text.contains(refused)) && CONDITION.is_match(text)
}

/// True for an order that the reference accepts.
pub(super) fn is_order(text: &str) -> bool {
    !REFUSED.iter().any(|refused| text.contains(refused)) && ORDER.is_match(text)
}

fn column() -> String {
    let key = r#""(?:[^"]|"")+""#;
    let argument = r"(?:[0-9][0-9.]*|'(?:[^']|'')*'|,| )";
    format!(r"\(?{key}(?:\.{key})*\)?(?:\.[a-z_]+\({argument}*\))?")
}

fn value() -> String {
    r"(?:[0-9][0-9.]*|'(?:[^']|'')*'|true|false|null|NULL)".to_owned()
}

fn compile(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the grammar is fixed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_the_reference_accepts() {
        for text in [
            r#""a"=1"#,
            r#""a"  =  1"#,
            r#""a" >= 2.5"#,
            r#""a"<>1"#,
            r#""a"!=1"#,
            r#""a" IS NULL"#,
            r#""a" is not null"#,
            r#""a" NOT LIKE '%x'"#,
            r#""a" SIMILAR TO 'x'"#,
            r#""a"~'x'"#,
            r#"("a"=1 AND "b"=2) OR "c"=3"#,
            r#""a"='it''s'"#,
            r#""a"=''"#,
            r#""a"=true"#,
            r#""a"."b"='x'"#,
            r#""a.length">5"#,
            r#"("a"."b").lower()='x'"#,
            r#""a".substring(1, 2)='x'"#,
            r#""a" = 'x' or "b" glob 'y*'"#,
            r#""q""uote"=2"#,
            r#""k"==1"#,
        ] {
            assert!(is_condition(text), "{text}");
        }
        for text in [r#""a""#, r#""a" DESC"#, r#""a.length" asc"#, r#"("a") DESC"#, r#""t".length() desc"#] {
            assert!(is_order(text), "{text}");
        }
    }

    #[test]
    fn refuses_what_the_reference_refuses() {
        for text in [
            r#""a">-5"#,
            r#""a"=1e5"#,
            r#""a" Is Null"#,
            r#""a"=TRUE"#,
            r#"NOT "a"=1"#,
            r#""a" IN (1,2)"#,
            r#""a" BETWEEN 1 AND 2"#,
            r#"(("a"=1))"#,
            r#""a"="b""#,
            "a=1",
            r#""a"[1]=1"#,
            r#""a"::int=1"#,
            r#""a"%2=0"#,
            r#"upper("a")='X'"#,
            r#""a".lower().upper()='X'"#,
            r#""a"=1  AND "b"=2"#,
            r#""a"=1 And "b"=2"#,
            r#""a"='x;y'"#,
            r#""a"='--'"#,
            r#""a"=1 "#,
            r#""k"=1 and"#,
            r#""txt"=current_user"#,
            r#""k" = 0x1"#,
            r#""k"*2=4"#,
            "",
        ] {
            assert!(!is_condition(text), "{text}");
        }
        for text in
            [r#""a", "b""#, r#""a" Desc"#, r#""a" DESC NULLS LAST"#, "1", "a", r#""k"  desc"#, r#""k" descending"#]
        {
            assert!(!is_order(text), "{text}");
        }
    }
}
