//! How a setting is written: one type per kind of value, each with its own words for what it expects.
//!
//! Text comes from the environment, a flag or a default; a TOML list comes as a list. Numbers may contain
//! underscores between digits and spaces around them.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value as Json, json};

/// A type that a setting can have.
pub(super) trait Value: Sized {
    /// What is expected, as it stands in messages and in the reference: `integer`, `list`.
    const KIND: &'static str;
    /// The setting may have no value at all.
    const OPTIONAL: bool = false;
    /// An empty text means that no value was given, rather than an empty or a wrong one.
    const EMPTY_IS_UNSET: bool = false;
    /// Its text may hold a secret: messages must not repeat it, and [`Value::show`] masks it.
    const SECRET: bool = false;

    /// Reads a value from text.
    ///
    /// # Errors
    ///
    /// What is wrong, as the end of a sentence that starts with the name of the setting.
    fn parse(text: &str) -> Result<Self, String>;

    /// Reads a value from a TOML list.
    ///
    /// # Errors
    ///
    /// As for [`Value::parse`]; for all but lists, always.
    fn parse_list(items: &[String]) -> Result<Self, String> {
        let _ = items;
        Err(format!("expects {}, found a list", article(Self::KIND)))
    }

    /// The value of a setting that has none; `None` where there must be one.
    fn unset() -> Option<Self> {
        None
    }

    /// The value as people read it. Secrets are masked.
    fn show(&self) -> String;

    /// The value for programs. Secrets are masked.
    fn json(&self) -> Json {
        Json::String(self.show())
    }

    /// The number that bounds apply to; `None` where there is nothing to compare.
    fn number(&self) -> Option<f64> {
        None
    }
}

/// `an integer`, `a list`; quoted words stand for themselves.
fn article(kind: &str) -> String {
    match kind.chars().next() {
        Some('`') => kind.to_owned(),
        Some('a' | 'e' | 'i' | 'o' | 'u') => format!("an {kind}"),
        _ => format!("a {kind}"),
    }
}

/// `expects an integer, found …`.
pub(super) fn unexpected(kind: &str, text: &str) -> String {
    if text.trim().is_empty() {
        format!("expects {}, but is empty", article(kind))
    } else {
        format!("expects {}, found `{text}`", article(kind))
    }
}

/// The text without its underscores and the spaces around it; `None` if an underscore does not stand between digits.
fn plain_number(text: &str) -> Option<String> {
    let text = text.trim();
    let bytes = text.as_bytes();
    let digit = |index: Option<usize>| index.and_then(|index| bytes.get(index)).is_some_and(u8::is_ascii_digit);
    let misplaced = bytes
        .iter()
        .enumerate()
        .any(|(index, byte)| *byte == b'_' && !(digit(index.checked_sub(1)) && digit(Some(index + 1))));
    (!misplaced).then(|| text.replace('_', ""))
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Value for $type {
            const KIND: &'static str = "integer";

            fn parse(text: &str) -> Result<Self, String> {
                let number = plain_number(text).ok_or_else(|| unexpected(Self::KIND, text))?;
                match number.parse::<i128>() {
                    Ok(number) => number
                        .try_into()
                        .map_err(|_| format!("is {number}, must be from 0 to {}", Self::MAX)),
                    Err(_) => Err(unexpected(Self::KIND, text)),
                }
            }

            fn show(&self) -> String {
                self.to_string()
            }

            fn json(&self) -> Json {
                json!(self)
            }

            fn number(&self) -> Option<f64> {
                Some(*self as f64)
            }
        }
    )*};
}

integers!(u8, u16, u32, u64);

impl Value for f64 {
    const KIND: &'static str = "number";

    fn parse(text: &str) -> Result<Self, String> {
        let number: f64 =
            plain_number(text).and_then(|number| number.parse().ok()).ok_or_else(|| unexpected(Self::KIND, text))?;
        if number.is_finite() { Ok(number) } else { Err(unexpected(Self::KIND, text)) }
    }

    fn show(&self) -> String {
        self.to_string()
    }

    fn json(&self) -> Json {
        json!(self)
    }

    fn number(&self) -> Option<f64> {
        Some(*self)
    }
}

/// Written as a number of seconds, with or without decimals.
impl Value for Duration {
    const KIND: &'static str = "number of seconds";

    fn parse(text: &str) -> Result<Self, String> {
        let seconds = f64::parse(text).map_err(|_| unexpected(Self::KIND, text))?;
        Self::try_from_secs_f64(seconds).map_err(|_| format!("is {seconds}, must be 0 or more"))
    }

    fn show(&self) -> String {
        self.as_secs_f64().to_string()
    }

    fn json(&self) -> Json {
        json!(self.as_secs_f64())
    }

    fn number(&self) -> Option<f64> {
        Some(self.as_secs_f64())
    }
}

impl Value for bool {
    const KIND: &'static str = "boolean";

    fn parse(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "1" | "t" | "true" | "on" | "y" | "yes" => Ok(true),
            "0" | "f" | "false" | "off" | "n" | "no" => Ok(false),
            _ => Err(unexpected(Self::KIND, text)),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }

    fn json(&self) -> Json {
        json!(self)
    }
}

impl Value for String {
    const KIND: &'static str = "text";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl Value for PathBuf {
    const KIND: &'static str = "path";
    const EMPTY_IS_UNSET: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err(unexpected(Self::KIND, text)) } else { Ok(text.into()) }
    }

    fn show(&self) -> String {
        self.display().to_string()
    }
}

/// Comma-separated; items are trimmed and empty ones dropped. In TOML, a list of strings.
impl<T: Value> Value for Vec<T> {
    const KIND: &'static str = "comma-separated list";
    const SECRET: bool = T::SECRET;

    fn parse(text: &str) -> Result<Self, String> {
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(T::parse).collect()
    }

    fn parse_list(items: &[String]) -> Result<Self, String> {
        items.iter().map(|item| item.trim()).filter(|item| !item.is_empty()).map(T::parse).collect()
    }

    fn unset() -> Option<Self> {
        Some(Self::new())
    }

    fn show(&self) -> String {
        self.iter().map(T::show).collect::<Vec<_>>().join(",")
    }

    fn json(&self) -> Json {
        self.iter().map(T::json).collect()
    }
}

/// Numbers may be unset again by `none`; texts and paths by an empty text.
impl<T: Value> Value for Option<T> {
    const KIND: &'static str = T::KIND;
    const OPTIONAL: bool = true;
    const EMPTY_IS_UNSET: bool = T::EMPTY_IS_UNSET || is_text(T::KIND);
    const SECRET: bool = T::SECRET;

    fn parse(text: &str) -> Result<Self, String> {
        if !Self::EMPTY_IS_UNSET && text.trim() == "none" {
            return Ok(None);
        }
        T::parse(text).map(Some)
    }

    fn unset() -> Option<Self> {
        Some(None)
    }

    fn show(&self) -> String {
        self.as_ref().map_or_else(String::new, T::show)
    }

    fn json(&self) -> Json {
        self.as_ref().map_or(Json::Null, T::json)
    }

    fn number(&self) -> Option<f64> {
        self.as_ref().and_then(T::number)
    }
}

const fn is_text(kind: &str) -> bool {
    matches!(kind.as_bytes(), b"text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_may_have_underscores_and_spaces() {
        assert_eq!(u64::parse("10_000_000"), Ok(10_000_000));
        assert_eq!(u64::parse(" 7 "), Ok(7));
        assert_eq!(u64::parse("_7"), Err("expects an integer, found `_7`".to_owned()));
        assert_eq!(u64::parse("1__0"), Err("expects an integer, found `1__0`".to_owned()));
        assert_eq!(u64::parse("1.5"), Err("expects an integer, found `1.5`".to_owned()));
        assert_eq!(u64::parse(""), Err("expects an integer, but is empty".to_owned()));
        assert_eq!(u16::parse("70000"), Err("is 70000, must be from 0 to 65535".to_owned()));
        assert_eq!(u64::parse("-1"), Err("is -1, must be from 0 to 18446744073709551615".to_owned()));
    }

    #[test]
    fn booleans_are_the_usual_words_in_any_case() {
        for text in ["1", "t", "True", "on", "Y", "YES"] {
            assert_eq!(bool::parse(text), Ok(true), "{text}");
        }
        for text in ["0", "F", "false", "Off", "n", "No"] {
            assert_eq!(bool::parse(text), Ok(false), "{text}");
        }
        assert_eq!(bool::parse("maybe"), Err("expects a boolean, found `maybe`".to_owned()));
        assert_eq!(bool::parse(""), Err("expects a boolean, but is empty".to_owned()));
    }

    #[test]
    fn durations_are_seconds() {
        assert_eq!(Duration::parse("0.2"), Ok(Duration::from_millis(200)));
        assert_eq!(Duration::parse("1_200"), Ok(Duration::from_secs(1200)));
        assert_eq!(Duration::parse("-1"), Err("is -1, must be 0 or more".to_owned()));
        assert_eq!(Duration::parse("inf"), Err("expects a number of seconds, found `inf`".to_owned()));
        assert_eq!(Duration::from_millis(200).show(), "0.2");
    }

    #[test]
    fn lists_are_trimmed_and_empty_means_none() {
        assert_eq!(Vec::<String>::parse(" a, b ,,c"), Ok(vec!["a".into(), "b".into(), "c".into()]));
        assert_eq!(Vec::<String>::parse(""), Ok(vec![]));
        assert_eq!(Vec::<String>::parse_list(&["a,b ".into()]), Ok(vec!["a,b".into()]));
        assert_eq!(u64::parse_list(&[]), Err("expects an integer, found a list".to_owned()));
    }

    #[test]
    fn an_optional_number_is_never_empty_but_may_be_none() {
        assert_eq!(Option::<u8>::parse("none"), Ok(None));
        assert_eq!(Option::<u8>::parse(""), Err("expects an integer, but is empty".to_owned()));
        const { assert!(!<Option<u8> as Value>::EMPTY_IS_UNSET) };
        const { assert!(<Option<String> as Value>::EMPTY_IS_UNSET) };
        const { assert!(<Option<PathBuf> as Value>::EMPTY_IS_UNSET) };
    }
}
