//! Functions of texts. Positions and lengths count characters, from 1.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, StringArray, StringBuilder};
use arrow::datatypes::Int64Type;

use super::super::frame::text_lengths;
use super::super::node::{Node, Value};
use super::super::pattern;
use super::super::types::Type;
use super::super::wrong;
use super::{Call, each};
use crate::error::{EngineError, ErrorKind};

pub(super) const NAMES: &[&str] = &[
    "ascii",
    "concat",
    "contains",
    "ends_with",
    "instr",
    "lcase",
    "left",
    "len",
    "length",
    "lower",
    "ltrim",
    "octet_length",
    "ord",
    "prefix",
    "regexp_extract",
    "regexp_full_match",
    "regexp_matches",
    "regexp_replace",
    "repeat",
    "replace",
    "reverse",
    "right",
    "rtrim",
    "split_part",
    "starts_with",
    "strip_accents",
    "strlen",
    "strpos",
    "substr",
    "substring",
    "suffix",
    "trim",
    "ucase",
    "unicode",
    "upper",
];

/// Largest text that a function may make of a shorter one, in bytes.
const MAX_TEXT: usize = 1 << 20;
/// Largest text of all rows of a table together: what Arrow's offsets hold, with room to spare.
const MAX_COLUMN: usize = 1 << 30;

/// Binds a call of one of [`NAMES`].
pub(super) fn bind(call: &Call<'_>, mut arguments: Vec<Node>) -> Result<Node, EngineError> {
    const TEXT: &Type = &Type::Text;
    const INTEGER: &Type = &Type::Integer;
    Ok(match call.name {
        "lower" | "lcase" => change(call, arguments, |text| text.to_lowercase().into())?,
        "upper" | "ucase" => change(call, arguments, |text| text.to_uppercase().into())?,
        "reverse" => change(call, arguments, |text| text.chars().rev().collect::<String>().into())?,
        "strip_accents" => change(call, arguments, strip_accents)?,
        "trim" | "ltrim" | "rtrim" => {
            let (start, end) = (call.name != "rtrim", call.name != "ltrim");
            if arguments.len() == 1 {
                let space = Node::constant(Arc::new(StringArray::from(vec![" "])), Type::Text, true, call.at);
                arguments.push(space);
            }
            let arguments = call.arguments(arguments, [TEXT, TEXT])?;
            call.apply(
                Type::Text,
                arguments,
                Box::new(move |values, rows| {
                    let (texts, cut) = (texts(&values[0]), texts(&values[1]));
                    made(values, rows, |at| {
                        let unwanted = |character: char| cut.value(at[1]).contains(character);
                        let mut text = texts.value(at[0]);
                        text = if start { text.trim_start_matches(unwanted) } else { text };
                        Some(Cow::Borrowed(if end { text.trim_end_matches(unwanted) } else { text }))
                    })
                }),
            )
        }
        "length" | "len" => {
            if arguments.first().is_some_and(|first| first.of == Type::Bytes) {
                return Err(wrong(
                    call.at,
                    format!("{} is for texts and lists; use octet_length for bytes", call.name),
                ));
            }
            let arguments = call.arguments(arguments, [TEXT])?;
            call.apply(
                Type::Integer,
                arguments,
                Box::new(|values, _| Ok(Arc::new(text_lengths(texts(&values[0]))) as ArrayRef)),
            )
        }
        "octet_length" if arguments.first().is_some_and(|first| first.of == Type::Bytes) => call.apply(
            Type::Integer,
            arguments,
            Box::new(|values, rows| {
                let bytes = values[0].array().as_binary::<i32>();
                Ok(integers(each(values, rows, |at| i64::try_from(bytes.value(at[0]).len()).ok())))
            }),
        ),
        "strlen" | "octet_length" => counted(call, arguments, |text| text.len() as i64)?,
        "ascii" | "ord" | "unicode" => {
            let empty = if call.name == "ascii" { 0 } else { -1 };
            counted(call, arguments, move |text| {
                text.chars().next().map_or(empty, |first| i64::from(u32::from(first)))
            })?
        }
        "contains" => compare(call, arguments, |text, part| text.contains(part))?,
        "starts_with" | "prefix" => compare(call, arguments, |text, part| text.starts_with(part))?,
        "ends_with" | "suffix" => compare(call, arguments, |text, part| text.ends_with(part))?,
        "strpos" | "instr" => {
            let arguments = call.arguments(arguments, [TEXT, TEXT])?;
            call.apply(
                Type::Integer,
                arguments,
                Box::new(|values, rows| {
                    let (texts, parts) = (texts(&values[0]), texts(&values[1]));
                    Ok(integers(each(values, rows, |at| {
                        let text = texts.value(at[0]);
                        Some(text.find(parts.value(at[1])).map_or(0, |byte| text[..byte].chars().count() as i64 + 1))
                    })))
                }),
            )
        }
        "substr" | "substring" => {
            let has_length = arguments.len() == 3;
            let arguments = match has_length {
                true => call.arguments(arguments, [TEXT, INTEGER, INTEGER])?,
                false => call.arguments(arguments, [TEXT, INTEGER])?,
            };
            call.apply(
                Type::Text,
                arguments,
                Box::new(move |values, rows| {
                    let (texts, starts) = (texts(&values[0]), numbers(&values[1]));
                    made(values, rows, |at| {
                        let length = has_length.then(|| numbers(&values[2]).value(at[2]));
                        Some(substring(texts.value(at[0]), starts.value(at[1]), length).into())
                    })
                }),
            )
        }
        "left" | "right" => {
            let is_left = call.name == "left";
            let arguments = call.arguments(arguments, [TEXT, INTEGER])?;
            call.apply(
                Type::Text,
                arguments,
                Box::new(move |values, rows| {
                    let (texts, lengths) = (texts(&values[0]), numbers(&values[1]));
                    made(values, rows, |at| {
                        let text = texts.value(at[0]);
                        let count = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
                        let kept = match lengths.value(at[1]) {
                            kept if kept < 0 => count.saturating_add(kept).max(0),
                            kept => kept.min(count),
                        };
                        let part = if is_left {
                            substring(text, 1, Some(kept))
                        } else {
                            substring(text, count - kept + 1, None)
                        };
                        Some(part.into())
                    })
                }),
            )
        }
        "replace" => {
            let arguments = call.arguments(arguments, [TEXT, TEXT, TEXT])?;
            call.apply(
                Type::Text,
                arguments,
                Box::new(|values, rows| {
                    let [texts, old, new] = [texts(&values[0]), texts(&values[1]), texts(&values[2])];
                    made(values, rows, |at| {
                        let (text, old, new) = (texts.value(at[0]), old.value(at[1]), new.value(at[2]));
                        let growth = new.len().saturating_sub(old.len()).saturating_mul(text.len() / old.len().max(1));
                        match old.is_empty() || !text.contains(old) {
                            true => Some(text.into()),
                            false if text.len().saturating_add(growth) > MAX_TEXT.max(text.len()) => None,
                            false => Some(text.replace(old, new).into()),
                        }
                    })
                }),
            )
        }
        "repeat" => {
            let arguments = call.arguments(arguments, [TEXT, INTEGER])?;
            call.apply(
                Type::Text,
                arguments,
                Box::new(|values, rows| {
                    let (texts, counts) = (texts(&values[0]), numbers(&values[1]));
                    made(values, rows, |at| {
                        let (text, count) = (texts.value(at[0]), usize::try_from(counts.value(at[1])).unwrap_or(0));
                        (text.len().saturating_mul(count) <= MAX_TEXT).then(|| text.repeat(count).into())
                    })
                }),
            )
        }
        "split_part" => {
            let arguments = call.arguments(arguments, [TEXT, TEXT, INTEGER])?;
            call.apply(
                Type::Text,
                arguments,
                Box::new(|values, rows| {
                    let (texts, separators, indexes) = (texts(&values[0]), texts(&values[1]), numbers(&values[2]));
                    made(values, rows, |at| {
                        let (text, separator) = (texts.value(at[0]), separators.value(at[1]));
                        Some(part(text, separator, indexes.value(at[2])).into())
                    })
                }),
            )
        }
        "concat" => {
            let mut texts_of = Vec::with_capacity(arguments.len());
            for argument in arguments {
                texts_of.push(call.binder.coerce(argument, TEXT)?);
            }
            call.apply(
                Type::Text,
                texts_of,
                Box::new(|values, rows| {
                    let mut builder = Builder::new(rows);
                    for row in 0..rows {
                        let parts = values.iter().filter(|value| value.array().is_valid(value.position(row)));
                        let text: String = parts.map(|value| texts(value).value(value.position(row))).collect();
                        builder.push(Some(&text))?;
                    }
                    Ok(builder.finish())
                }),
            )
        }
        "regexp_matches" | "regexp_full_match" => {
            let options = options(call, &mut arguments, 2)?;
            let pattern = call.constant_text(arguments.get(1).ok_or_else(|| call.wrong_number(1, "2 or 3"))?)?;
            let pattern = if call.name == "regexp_matches" { pattern } else { format!("^(?:{pattern})$") };
            let regex = pattern::search(&pattern, &options).map_err(|error| wrong(call.at, error.message))?;
            let arguments = call.arguments(arguments, [TEXT, TEXT])?;
            call.apply(
                Type::Boolean,
                arguments,
                Box::new(move |values, _| {
                    Ok(Arc::new(BooleanArray::from_unary(texts(&values[0]), |text| regex.is_match(text))) as ArrayRef)
                }),
            )
        }
        "regexp_extract" => {
            let pattern = call.constant_text(arguments.get(1).ok_or_else(|| call.wrong_number(1, "2 or 3"))?)?;
            let regex = pattern::search(&pattern, "").map_err(|error| wrong(call.at, error.message))?;
            let group = match arguments.len() {
                3 => arguments.pop().and_then(|group| {
                    let value = group.as_constant().filter(|_| group.of == Type::Integer)?;
                    usize::try_from(value.as_primitive::<Int64Type>().value(0)).ok()
                }),
                _ => Some(0),
            };
            let group = group.filter(|group| *group < regex.captures_len());
            let group = group.ok_or_else(|| wrong(call.at, "the pattern has no such group"))?;
            let arguments = call.arguments(arguments, [TEXT, TEXT])?;
            call.apply(
                Type::Text,
                arguments,
                Box::new(move |values, rows| {
                    let texts = texts(&values[0]);
                    made(values, rows, |at| {
                        let found = regex.captures(texts.value(at[0])).and_then(|found| found.get(group));
                        Some(found.map_or("", |found| found.as_str()).into())
                    })
                }),
            )
        }
        _ => {
            let options = options(call, &mut arguments, 3)?;
            let pattern = call.constant_text(arguments.get(1).ok_or_else(|| call.wrong_number(1, "3 or 4"))?)?;
            let regex = pattern::search(&pattern, &options).map_err(|error| wrong(call.at, error.message))?;
            let all = options.contains('g');
            let arguments = call.arguments(arguments, [TEXT, TEXT, TEXT])?;
            call.apply(
                Type::Text,
                arguments,
                Box::new(move |values, rows| {
                    let (texts, by) = (texts(&values[0]), texts(&values[2]));
                    made(values, rows, |at| {
                        let (text, by) = (texts.value(at[0]), groups(by.value(at[2])));
                        // At most one replacement per character, each at most the text and its replacement long.
                        let longest = text.len().saturating_add(1).saturating_mul(by.len().saturating_add(text.len()));
                        if all && longest > MAX_TEXT.max(text.len().saturating_mul(by.len() + 2)) && by.contains('$') {
                            return None;
                        }
                        Some(regex.replacen(text, usize::from(!all), by.as_str()).into_owned().into())
                    })
                }),
            )
        }
    })
}

/// `\1` in a replacement is what its first group found.
fn groups(by: &str) -> String {
    let mut replacement = String::with_capacity(by.len());
    let mut characters = by.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '$' => replacement.push_str("$$"),
            '\\' => match characters.next_if(char::is_ascii_digit) {
                Some(group) => replacement.push_str(&format!("${{{group}}}")),
                None => replacement.extend(characters.next()),
            },
            other => replacement.push(other),
        }
    }
    replacement
}

fn options(call: &Call<'_>, arguments: &mut Vec<Node>, before: usize) -> Result<String, EngineError> {
    if arguments.len() <= before {
        return Ok(String::new());
    }
    arguments.pop().map_or(Ok(String::new()), |options| call.constant_text(&options))
}

fn texts(value: &Value) -> &StringArray {
    value.array().as_string()
}

fn numbers(value: &Value) -> &Int64Array {
    value.array().as_primitive()
}

fn integers(values: Vec<Option<i64>>) -> ArrayRef {
    Arc::new(Int64Array::from(values))
}

/// Builds a column of texts that stays within what a column holds.
struct Builder {
    texts: StringBuilder,
    bytes: usize,
}

impl Builder {
    fn new(rows: usize) -> Self {
        Self { texts: StringBuilder::with_capacity(rows, 0), bytes: 0 }
    }

    fn push(&mut self, text: Option<&str>) -> Result<(), EngineError> {
        self.bytes += text.map_or(0, str::len);
        if self.bytes > MAX_COLUMN {
            return Err(EngineError::new(ErrorKind::Query, "the texts that this function makes are too long"));
        }
        self.texts.append_option(text);
        Ok(())
    }

    fn finish(mut self) -> ArrayRef {
        Arc::new(self.texts.finish())
    }
}

/// A text for each row; a text over the limit is an error.
fn made<'v>(
    values: &'v [Value],
    rows: usize,
    text: impl Fn(&[usize]) -> Option<Cow<'v, str>>,
) -> Result<ArrayRef, EngineError> {
    let mut builder = Builder::new(rows);
    let mut places = vec![0; values.len()];
    for row in 0..rows {
        let mut is_null = false;
        for (place, value) in places.iter_mut().zip(values) {
            *place = value.position(row);
            is_null |= value.array().is_null(*place);
        }
        if is_null {
            builder.push(None)?;
            continue;
        }
        let Some(text) = text(&places) else {
            let message = format!("a text would become longer than {MAX_TEXT} bytes");
            return Err(EngineError::new(ErrorKind::Query, message));
        };
        builder.push(Some(&text))?;
    }
    Ok(builder.finish())
}

fn change(call: &Call<'_>, arguments: Vec<Node>, text: fn(&str) -> Cow<'_, str>) -> Result<Node, EngineError> {
    let arguments = call.arguments(arguments, [&Type::Text])?;
    Ok(call.apply(
        Type::Text,
        arguments,
        Box::new(move |values, rows| {
            let texts = texts(&values[0]);
            made(values, rows, |at| Some(text(texts.value(at[0]))))
        }),
    ))
}

fn counted(
    call: &Call<'_>,
    arguments: Vec<Node>,
    count: impl Fn(&str) -> i64 + Send + Sync + 'static,
) -> Result<Node, EngineError> {
    let arguments = call.arguments(arguments, [&Type::Text])?;
    Ok(call.apply(
        Type::Integer,
        arguments,
        Box::new(move |values, rows| {
            let texts = texts(&values[0]);
            Ok(integers(each(values, rows, |at| Some(count(texts.value(at[0]))))))
        }),
    ))
}

fn compare(call: &Call<'_>, arguments: Vec<Node>, test: fn(&str, &str) -> bool) -> Result<Node, EngineError> {
    let arguments = call.arguments(arguments, [&Type::Text, &Type::Text])?;
    Ok(call.apply(
        Type::Boolean,
        arguments,
        Box::new(move |values, rows| {
            let (texts, parts) = (texts(&values[0]), texts(&values[1]));
            Ok(
                Arc::new(BooleanArray::from(each(values, rows, |at| {
                    Some(test(texts.value(at[0]), parts.value(at[1])))
                }))) as ArrayRef,
            )
        }),
    ))
}

/// Characters from `start`, from 1 or, if negative, from the end; a negative length counts backwards.
fn substring(text: &str, start: i64, length: Option<i64>) -> &str {
    let count = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    let first = if start < 0 { count.saturating_add(start) } else { start.saturating_sub(1) };
    let (from, to) = match length {
        None => (first, count),
        Some(length) if length < 0 => (first.saturating_add(length), first),
        Some(length) => (first, first.saturating_add(length)),
    };
    let (from, to) = (from.clamp(0, count), to.clamp(0, count));
    let byte = |character: i64| {
        let character = usize::try_from(character).unwrap_or(usize::MAX);
        text.char_indices().nth(character).map_or(text.len(), |(byte, _)| byte)
    };
    if from < to { &text[byte(from)..byte(to)] } else { "" }
}

/// A part from 1, or from the end if negative; empty where there is none.
fn part<'t>(text: &'t str, separator: &str, index: i64) -> &'t str {
    if separator.is_empty() {
        return if matches!(index, 1 | -1) { text } else { "" };
    }
    let steps = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX).saturating_sub(1);
    let found = if index < 0 { text.rsplit(separator).nth(steps) } else { text.split(separator).nth(steps) };
    found.unwrap_or_default()
}

/// Letters without the marks over and under them.
fn strip_accents(text: &str) -> Cow<'_, str> {
    use unicode_normalization::UnicodeNormalization;
    use unicode_normalization::char::is_combining_mark;
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    text.nfd().filter(|character| !is_combining_mark(*character)).nfc().collect::<String>().into()
}
