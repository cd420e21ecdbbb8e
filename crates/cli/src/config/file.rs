//! The configuration file: TOML text to named values with their lines.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Raw;

/// A value of the file.
#[derive(Debug)]
pub(super) struct FileValue {
    /// `section.key`.
    pub(super) path: String,
    /// Line in the file, from 1.
    pub(super) line: usize,
    /// What stands there; `None` for a table without keys, whose name is the path.
    pub(super) raw: Option<Raw>,
}

/// All values of a file, or problems as (line, message).
pub(super) fn parse(text: &str) -> Result<Vec<FileValue>, Vec<(usize, String)>> {
    let line_of = |offset: usize| text[..offset.min(text.len())].matches('\n').count() + 1;
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(span.start));
        vec![(line, error.message().trim().to_owned())]
    })?;
    let mut values = Vec::new();
    let mut problems = Vec::new();
    let mut empty = Vec::new();
    let mut take = |path: String, offset: usize, value: &DeValue<'_>| match raw(value) {
        Ok(raw) => values.push(FileValue { path, line: line_of(offset), raw: Some(raw) }),
        Err(reason) => problems.push((line_of(offset), format!("`{path}` {reason}"))),
    };
    for (name, value) in table.get_ref() {
        match value.get_ref() {
            DeValue::Table(section) if section.is_empty() => {
                let (path, line) = (name.get_ref().to_string(), line_of(name.span().start));
                empty.push(FileValue { path, line, raw: None });
            }
            DeValue::Table(section) => {
                for (key, value) in section {
                    take(format!("{}.{}", name.get_ref(), key.get_ref()), key.span().start, value.get_ref());
                }
            }
            value => take(name.get_ref().to_string(), name.span().start, value),
        }
    }
    values.append(&mut empty);
    values.sort_by_key(|value| value.line);
    if problems.is_empty() { Ok(values) } else { Err(problems) }
}

fn raw(value: &DeValue<'_>) -> Result<Raw, &'static str> {
    match value {
        DeValue::Array(items) => items.iter().map(item).collect::<Result<_, _>>().map(Raw::List),
        value => scalar(value).map(Raw::Text),
    }
}

fn item(value: &Spanned<DeValue<'_>>) -> Result<String, &'static str> {
    scalar(value.get_ref()).map_err(|_| "must be a list of texts")
}

fn scalar(value: &DeValue<'_>) -> Result<String, &'static str> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_owned()),
        DeValue::Integer(_) => Err("must be written in decimal"),
        DeValue::Float(number) => Ok(number.as_str().to_owned()),
        DeValue::Boolean(value) => Ok(value.to_string()),
        DeValue::Datetime(_) => Err("must not be a date"),
        DeValue::Array(_) | DeValue::Table(_) => Err("is nested too deeply: settings are `key` or `section.key`"),
    }
}
