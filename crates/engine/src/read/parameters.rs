//! Parameters of a reader as they stand in the card: typed access, and errors that name the parameter.

use indexmap::IndexMap;
use serde_json::Value as JsonValue;

use crate::error::{EngineError, ErrorKind};

/// The parameters of one config. `null` counts as absent.
#[derive(Clone, Copy)]
pub(super) struct Parameters<'a>(pub(super) &'a IndexMap<String, JsonValue>);

impl<'a> Parameters<'a> {
    pub(super) fn get(self, name: &str) -> Option<&'a JsonValue> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(self, name: &str) -> Result<Option<&'a str>, EngineError> {
        self.get(name).map(|value| value.as_str().ok_or_else(|| bad(name, value, "a text"))).transpose()
    }

    pub(super) fn flag(self, name: &str, default: bool) -> Result<bool, EngineError> {
        match self.get(name) {
            None => Ok(default),
            Some(value) => value.as_bool().ok_or_else(|| bad(name, value, "true or false")),
        }
    }

    pub(super) fn count(self, name: &str) -> Result<Option<u64>, EngineError> {
        self.get(name).map(|value| value.as_u64().ok_or_else(|| bad(name, value, "a number from 0"))).transpose()
    }

    /// A single character that takes one byte.
    pub(super) fn byte(self, name: &str) -> Result<Option<u8>, EngineError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_str().map(str::as_bytes) {
            Some(&[byte]) if byte.is_ascii() => Ok(Some(byte)),
            _ => Err(bad(name, value, "one ASCII character")),
        }
    }

    /// One text, number or a list of them, as texts.
    pub(super) fn texts(self, name: &str) -> Result<Option<Vec<String>>, EngineError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let one = |item: &JsonValue| match item {
            JsonValue::String(text) => Ok(text.clone()),
            JsonValue::Number(number) => Ok(number.to_string()),
            _ => Err(bad(name, value, "a text or a list of texts")),
        };
        match value {
            JsonValue::Array(items) => items.iter().map(one).collect::<Result<_, _>>().map(Some),
            single => Ok(Some(vec![one(single)?])),
        }
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(self, name: &str, choices: &[(&str, T)], default: T) -> Result<T, EngineError> {
        let Some(value) = self.get(name) else { return Ok(default) };
        let chosen = value.as_str().and_then(|text| choices.iter().find(|(word, _)| *word == text));
        chosen.map(|&(_, choice)| choice).ok_or_else(|| {
            let words: Vec<String> = choices.iter().map(|(word, _)| format!("`{word}`")).collect();
            bad(name, value, &format!("one of {}", words.join(", ")))
        })
    }
}

/// The error for a value that cannot be used.
pub(super) fn bad(name: &str, value: &JsonValue, expected: &str) -> EngineError {
    EngineError::new(ErrorKind::Parameter, format!("parameter `{name}`: expected {expected}, found {value}"))
}
