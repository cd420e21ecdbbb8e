//! Numbers with a word for "no limit" or "as the machine has".

use serde_json::{Value as Json, json};

use crate::config::value::{Value, unexpected};

/// A limit that 0 or less switches off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit(Option<u32>);

impl Limit {
    /// The limit; `None` when it is switched off.
    pub fn get(self) -> Option<u32> {
        self.0
    }
}

impl Value for Limit {
    const KIND: &'static str = "integer";

    fn parse(text: &str) -> Result<Self, String> {
        if let Some(digits) = text.trim().strip_prefix('-')
            && u32::parse(digits).is_ok()
        {
            return Ok(Self(None));
        }
        let limit = u32::parse(text)?;
        Ok(Self((limit > 0).then_some(limit)))
    }

    fn show(&self) -> String {
        self.0.unwrap_or(0).to_string()
    }

    fn json(&self) -> Json {
        json!(self.0.unwrap_or(0))
    }
}

/// How many bytes of data are taken before something is called partial or refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SizeLimit {
    /// No limit for the files of this machine, 100,000,000 bytes for those of a remote Hub.
    Auto,
    /// No limit.
    Unlimited,
    /// This many bytes.
    Bytes(u64),
}

/// The limit for remote Hubs under [`SizeLimit::Auto`], in bytes.
const REMOTE_BYTES: u64 = 100_000_000;

impl SizeLimit {
    /// The limit in bytes for files of this machine; `None`: no limit.
    pub fn for_local_files(self) -> Option<u64> {
        match self {
            Self::Auto | Self::Unlimited => None,
            Self::Bytes(bytes) => Some(bytes),
        }
    }

    /// The limit in bytes for files of a remote Hub; `None`: no limit.
    pub fn for_remote_files(self) -> Option<u64> {
        match self {
            Self::Auto => Some(REMOTE_BYTES),
            Self::Unlimited => None,
            Self::Bytes(bytes) => Some(bytes),
        }
    }
}

impl Value for SizeLimit {
    const KIND: &'static str = "integer, `unlimited` or `auto`";

    fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            "auto" => Ok(Self::Auto),
            "unlimited" => Ok(Self::Unlimited),
            other => u64::parse(other).map(Self::Bytes).map_err(|_| unexpected(Self::KIND, text)),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Auto => "auto".to_owned(),
            Self::Unlimited => "unlimited".to_owned(),
            Self::Bytes(bytes) => bytes.to_string(),
        }
    }

    fn json(&self) -> Json {
        match self {
            Self::Bytes(bytes) => json!(bytes),
            other => json!(other.show()),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Bytes(bytes) => Some(*bytes as f64),
            Self::Auto | Self::Unlimited => None,
        }
    }
}

/// A number of threads or processes, or as many as the machine has cores.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Count {
    /// One per core.
    Auto,
    /// This many.
    Exactly(u32),
}

impl Count {
    /// The number on a machine with that many cores.
    pub fn on(self, cores: usize) -> usize {
        match self {
            Self::Auto => cores.max(1),
            Self::Exactly(count) => count as usize,
        }
    }
}

impl Value for Count {
    const KIND: &'static str = "integer or `auto`";

    fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            "auto" => Ok(Self::Auto),
            other => u32::parse(other).map(Self::Exactly).map_err(|_| unexpected(Self::KIND, text)),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Auto => "auto".to_owned(),
            Self::Exactly(count) => count.to_string(),
        }
    }

    fn json(&self) -> Json {
        match self {
            Self::Auto => json!("auto"),
            Self::Exactly(count) => json!(count),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Auto => None,
            Self::Exactly(count) => Some(f64::from(*count)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_switched_off_by_zero_or_less() {
        assert_eq!(Limit::parse("70").map(Limit::get), Ok(Some(70)));
        assert_eq!(Limit::parse("0").map(Limit::get), Ok(None));
        assert_eq!(Limit::parse("-1").map(Limit::get), Ok(None));
        assert_eq!(Limit::parse("-"), Err("expects an integer, found `-`".to_owned()));
    }

    #[test]
    fn a_size_limit_depends_on_where_the_files_are_only_if_automatic() {
        let limits = |text| SizeLimit::parse(text).map(|limit| (limit.for_local_files(), limit.for_remote_files()));
        assert_eq!(limits("auto"), Ok((None, Some(100_000_000))));
        assert_eq!(limits("unlimited"), Ok((None, None)));
        assert_eq!(limits("60_000"), Ok((Some(60_000), Some(60_000))));
        assert_eq!(limits("much"), Err("expects an integer, `unlimited` or `auto`, found `much`".to_owned()));
    }
}
