//! JSON as a request may hold it: bounded in size and depth, no key twice, no NaN; errors say where by a JSON pointer.

use std::cell::RefCell;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::config::ConfigError;

/// Largest text in bytes.
pub const MAX_BYTES: usize = 256 << 10;
/// Deepest nesting of objects and lists.
pub const MAX_DEPTH: usize = 32;

/// Reads a text.
///
/// # Errors
/// [`ConfigError`] with a pointer to the value at fault; to the whole (`""`) when the text is not JSON at all.
pub fn parse(bytes: &[u8]) -> Result<Value, ConfigError> {
    if bytes.len() > MAX_BYTES {
        return Err(ConfigError::new("", format!("the text is longer than {MAX_BYTES} bytes")));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        ConfigError::new("", format!("the text is not UTF-8: the byte at {} cannot be read", error.valid_up_to()))
    })?;
    if text.starts_with('\u{feff}') {
        return Err(ConfigError::new("", "the text starts with a byte order mark; save it as UTF-8 without one"));
    }
    let place = RefCell::new(Vec::new());
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Strict { place: &place }.deserialize(&mut deserializer);
    let value = value.and_then(|value| deserializer.end().map(|()| value));
    value.map_err(|error| {
        let pointer = place.borrow().iter().map(|step: &String| format!("/{}", escape(step))).collect::<String>();
        ConfigError::new(pointer, error.to_string())
    })
}

/// A key as a step of a JSON pointer (RFC 6901).
pub fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Reads one value. `place` is where in the document; after an error it stays at the value at fault.
#[derive(Clone, Copy)]
struct Strict<'a> {
    place: &'a RefCell<Vec<String>>,
}

impl Strict<'_> {
    fn enter(self, step: String) {
        self.place.borrow_mut().push(step);
    }

    fn leave(self) {
        self.place.borrow_mut().pop();
    }

    fn check_depth<E: de::Error>(self) -> Result<(), E> {
        match self.place.borrow().len() {
            depth if depth >= MAX_DEPTH => Err(E::custom(format!("values are nested deeper than {MAX_DEPTH} levels"))),
            _ => Ok(()),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("the number is too large"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        self.check_depth()?;
        let mut list = Vec::new();
        loop {
            self.enter(list.len().to_string());
            let next = access.next_element_seed(self)?;
            self.leave();
            match next {
                Some(value) => list.push(value),
                None => return Ok(list.into()),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        self.check_depth()?;
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            self.enter(key.clone());
            if map.contains_key(&key) {
                return Err(de::Error::custom("the key is there twice"));
            }
            let value = access.next_value_seed(self)?;
            self.leave();
            map.insert(key, value);
        }
        Ok(map.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: impl AsRef<[u8]>) -> String {
        let error = parse(text.as_ref()).unwrap_err();
        format!("{:?}: {}", error.pointer, error.message)
    }

    #[test]
    fn plain_json_is_read() {
        let text = r#"{"a": [1, -2, 3.5, "é", null, true], "b": {"~/": 18446744073709551615}}"#;
        assert_eq!(parse(text.as_bytes()).unwrap(), serde_json::from_str::<Value>(text).unwrap());
    }

    /// e076 | the configuration of a task is not UTF-8, has a byte order mark, a key twice, NaN, a number without
    /// bounds or 100,000 levels | refused with the place; no stack overflow
    #[test]
    fn e076_what_is_not_plain_json_is_refused_with_its_place() {
        assert!(refused(b"{\"a\": \"\xff\"}").contains("the byte at 7"));
        assert!(refused("\u{feff}{}").contains("byte order mark"));
        assert!(refused(r#"{"x": {"a/b": 1, "a/b": 2}}"#).starts_with(r#""/x/a~1b": the key is there twice"#));
        assert!(refused(r#"{"a": NaN}"#).starts_with(r#""/a""#));
        assert!(refused(r#"{"a": [1, 1e999]}"#).starts_with(r#""/a/1": number out of range"#));
        assert!(refused("[".repeat(100_000)).contains("deeper than 32 levels"));
        assert!(refused(r#"{"a":"#.repeat(40_000)).contains("deeper than 32 levels"));
        assert!(refused("{} {}").contains("trailing characters"));
        assert!(refused("").contains("EOF"));
        assert!(refused("\"".to_owned() + &"x".repeat(MAX_BYTES)).contains("longer than 262144 bytes"));
    }

    #[test]
    fn the_deepest_legal_value_is_read() {
        let depth = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(parse(depth(MAX_DEPTH).as_bytes()).is_ok());
        assert!(parse(depth(MAX_DEPTH + 1).as_bytes()).is_err());
    }
}
