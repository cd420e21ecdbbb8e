//! Names of tasks: ids, tags, clusters, and the plain names that may become arguments of commands on a cluster.

use std::fmt;
use std::sync::Arc;

/// Why a text is not such a name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TaskNameError {
    /// Not 36 characters of a UUID.
    #[error("`{0}` is not the id of a task")]
    Id(String),
    /// Not a plain name.
    #[error(
        "`{0}` is not a plain name: expected 1 to 64 letters, digits, `.`, `_` and `-`, starting with a letter or digit, \
         without `..`"
    )]
    Plain(String),
}

/// A task: a UUID of version 7, so that ids sort by the time of their making.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId([u8; 16]);

/// Base 32 of RFC 4648 in lower case, which survives case folding and needs no quoting anywhere.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

impl TaskId {
    /// An id from the time in microseconds since 1970 and ten random bytes.
    pub fn new(now_microseconds: i64, random: [u8; 10]) -> Self {
        let milliseconds = now_microseconds.max(0).cast_unsigned() / 1000;
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&milliseconds.to_be_bytes()[2..]);
        bytes[6..].copy_from_slice(&random);
        bytes[6] = 0x70 | (bytes[6] & 0x0f);
        bytes[8] = 0x80 | (bytes[8] & 0x3f);
        Self(bytes)
    }

    /// Reads an id, in lower or upper case.
    ///
    /// # Errors
    /// [`TaskNameError::Id`].
    pub fn parse(text: &str) -> Result<Self, TaskNameError> {
        let error = || TaskNameError::Id(text.chars().take(64).collect());
        let is_dash = |index: usize| matches!(index, 8 | 13 | 18 | 23);
        let well_formed =
            text.len() == 36 && text.bytes().enumerate().all(|(index, byte)| (byte == b'-') == is_dash(index));
        if !well_formed {
            return Err(error());
        }
        let mut bytes = [0; 16];
        hex::decode_to_slice(text.replace('-', ""), &mut bytes).map_err(|_| error())?;
        Ok(Self(bytes))
    }

    /// The tag of an attempt at this task; `number` counts from 1.
    pub fn tag(&self, number: u32) -> AttemptTag {
        let value = u128::from_be_bytes(self.0);
        let letter = |index: u32| char::from(ALPHABET[(value >> (5 * index) & 31) as usize]);
        let letters: String = (0..26).rev().map(letter).collect();
        AttemptTag(format!("{TAG_PREFIX}{letters}-{number}"))
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = hex::encode(self.0);
        write!(f, "{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What every tag starts with.
pub const TAG_PREFIX: &str = "bv-";

/// The name under which a cluster knows an attempt: no two attempts share one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AttemptTag(String);

impl AttemptTag {
    /// A text that looks like a tag of ours; names of other people's jobs do not.
    pub fn recognise(text: &str) -> Option<Self> {
        let (letters, number) = text.strip_prefix(TAG_PREFIX)?.split_once('-')?;
        let number_is_plain = !number.is_empty() && number.len() <= 6 && number.bytes().all(|b| b.is_ascii_digit());
        let ours = letters.len() == 26 && letters.bytes().all(|byte| ALPHABET.contains(&byte)) && number_is_plain;
        ours.then(|| Self(text.to_owned()))
    }

    /// The task that it is an attempt at; `None` where the letters stand for no id.
    pub fn task(&self) -> Option<TaskId> {
        let letters = self.0.strip_prefix(TAG_PREFIX)?.split('-').next()?;
        let value = |letter: u8| ALPHABET.iter().position(|known| *known == letter);
        let mut id: u128 = 0;
        for (index, letter) in letters.bytes().enumerate() {
            let value = value(letter)? as u128;
            // 26 letters hold two bits more than an id.
            if index == 0 && value > 7 {
                return None;
            }
            id = id << 5 | value;
        }
        Some(TaskId(id.to_be_bytes()))
    }

    /// The tag as text: letters, digits and `-`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AttemptTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name that is safe as an argument, as a file name and inside a path: `[A-Za-z0-9][A-Za-z0-9._-]{0,63}` without `..`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlainName(Arc<str>);

/// The name of a cluster in the configuration.
pub type ClusterName = PlainName;

impl PlainName {
    /// Checks the text and makes the name.
    ///
    /// # Errors
    /// [`TaskNameError::Plain`].
    pub fn new(text: impl AsRef<str>) -> Result<Self, TaskNameError> {
        let text = text.as_ref();
        let legal = (1..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
            && text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && !text.contains("..");
        if legal { Ok(Self(text.into())) } else { Err(TaskNameError::Plain(text.chars().take(80).collect())) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PlainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl TryFrom<String> for PlainName {
    type Error = TaskNameError;
    fn try_from(text: String) -> Result<Self, TaskNameError> {
        Self::new(text)
    }
}

impl<'de> serde::Deserialize<'de> for PlainName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::new(text).map_err(serde::de::Error::custom)
    }
}

impl serde::Serialize for PlainName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_uuids_of_version_7_that_sort_by_time() {
        let (early, late) =
            (TaskId::new(1_700_000_000_000_000, [0xff; 10]), TaskId::new(1_700_000_000_001_000, [0; 10]));
        assert_eq!(early.to_string(), "018bcfe5-6800-7fff-bfff-ffffffffffff");
        assert!(early < late && early.to_string() < late.to_string());
        assert_eq!(TaskId::parse(&early.to_string().to_uppercase()), Ok(early));
        for illegal in ["", "018bcfe5", "018bcfe568007fffbfffffffffffffff", "018bcfe5-6800-7fff-bfff-fffffffffff\u{e9}"]
        {
            assert!(TaskId::parse(illegal).is_err(), "{illegal}");
        }
    }

    #[test]
    fn tags_differ_by_attempt_and_are_recognised() {
        let id = TaskId::new(1_700_000_000_000_000, *b"0123456789");
        let tag = id.tag(1);
        assert_eq!(tag.as_str().len(), "bv-".len() + 26 + "-1".len());
        assert_ne!(tag, id.tag(2));
        assert_eq!(AttemptTag::recognise(tag.as_str()), Some(tag.clone()));
        assert_eq!((tag.task(), id.tag(7).task()), (Some(id), Some(id)));
        assert_eq!(AttemptTag::recognise(&format!("bv-{}-1", "7".repeat(26))).unwrap().task(), None);
        for foreign in ["wrap", "bv-", "bv-abc-1", &format!("{tag}x"), &format!("x{tag}"), &tag.as_str().to_uppercase()]
        {
            assert_eq!(AttemptTag::recognise(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn plain_names_hold_nothing_that_a_shell_or_a_path_would_read() {
        for legal in ["atena02", "sklearn_sample_latest", "a.b-c", "2"] {
            assert!(PlainName::new(legal).is_ok(), "{legal}");
        }
        let long = "x".repeat(65);
        for illegal in
            ["", "../x", "a..b", "/abs", "-leading", ".hidden", "a b", "a\n", "$(id)", "a;b", "`id`", "é", "a\0", &long]
        {
            assert!(PlainName::new(illegal).is_err(), "{illegal:?}");
        }
    }
}
