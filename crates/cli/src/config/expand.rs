//! References to other variables in the value of a variable: `$NAME`, `${NAME}`, `${NAME:-default}`; `\$` is a
//! dollar. A `$` that starts none of these stands for itself.

use std::collections::BTreeMap;

/// References that refer to references; more is taken for a circle.
const MAX_DEPTH: u32 = 16;

/// The text with its references replaced.
///
/// # Errors
///
/// When a variable without a default is not set, or variables refer to each other in a circle.
pub(super) fn expand(text: &str, environment: &BTreeMap<String, String>) -> Result<String, String> {
    expand_within(text, environment, MAX_DEPTH)
}

fn expand_within(text: &str, environment: &BTreeMap<String, String>, depth: u32) -> Result<String, String> {
    if !text.contains('$') {
        return Ok(text.to_owned());
    }
    if depth == 0 {
        return Err("refers to variables that refer to each other in a circle".to_owned());
    }
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from_dollar) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('\\') {
            expanded.push_str(before);
            expanded.push('$');
            rest = &from_dollar[1..];
            continue;
        }
        expanded.push_str(before);
        let Some((name, default, length)) = reference(from_dollar) else {
            expanded.push('$');
            rest = &from_dollar[1..];
            continue;
        };
        match (environment.get(name), default) {
            (Some(value), _) => expanded.push_str(&expand_within(value, environment, depth - 1)?),
            (None, Some(default)) => expanded.push_str(default),
            (None, None) => return Err(format!("refers to `{name}`, which is not set; write `\\$` for a dollar sign")),
        }
        rest = &from_dollar[length..];
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// Name, default and length in bytes of the reference that the text starts with.
fn reference(text: &str) -> Option<(&str, Option<&str>, usize)> {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let word = |text: &str| text.bytes().take_while(is_word).count();
    if let Some(braced) = text.strip_prefix("${") {
        let end = braced.find('}')?;
        let inner = &braced[..end];
        let (name, rest) = inner.split_at(word(inner));
        let default = match rest {
            "" => None,
            rest => Some(rest.strip_prefix(":-")?),
        };
        return (!name.is_empty()).then_some((name, default, "${}".len() + end));
    }
    let length = word(&text[1..]);
    (length > 0).then(|| (&text[1..=length], None, 1 + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<String, String> {
        let environment = [("HOST", "db"), ("URL", "sqlite:${HOST}"), ("LOOP", "$LOOP"), ("EMPTY", "")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        expand(text, &environment)
    }

    #[test]
    fn references_are_replaced_by_values_and_defaults() {
        assert_eq!(expanded("http://$HOST:80/${HOST}x"), Ok("http://db:80/dbx".to_owned()));
        assert_eq!(expanded("${NOT_SET:-http://a:1/}${NOT_SET:-}"), Ok("http://a:1/".to_owned()));
        assert_eq!(expanded("$URL"), Ok("sqlite:db".to_owned()));
        assert_eq!(expanded("<$EMPTY>"), Ok("<>".to_owned()));
    }

    #[test]
    fn other_dollars_stand_for_themselves() {
        assert_eq!(expanded(r"a\$HOST"), Ok("a$HOST".to_owned()));
        assert_eq!(expanded("5$ ${} ${a-b} ü$"), Ok("5$ ${} ${a-b} ü$".to_owned()));
    }

    #[test]
    fn a_variable_that_is_not_set_and_a_circle_are_errors() {
        assert_eq!(
            expanded("pa$word"),
            Err(r"refers to `word`, which is not set; write `\$` for a dollar sign".to_owned())
        );
        assert_eq!(expanded("$LOOP"), Err("refers to variables that refer to each other in a circle".to_owned()));
    }
}
