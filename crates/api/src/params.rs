//! Query parameters. A blank value counts as absent, a repeated one takes its last value, unknown ones are ignored.

use belvedere_domain::{ErrorCode, Revision};

use crate::error::ApiError;
use crate::state::ApiSettings;

/// Rows of a page when nothing is said, and the largest page of the reference.
pub(crate) const DEFAULT_LENGTH: u64 = 100;

/// The parameters of a request, in the order given.
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads a query string.
    pub(crate) fn parse(query: Option<&str>) -> Self {
        Self(url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    /// The fields of a form.
    pub(crate) fn of(fields: Vec<(String, String)>) -> Self {
        Self(fields)
    }

    /// A parameter that is there and not blank.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.last(name).filter(|value| !value.trim().is_empty())
    }

    /// Every value of a parameter that may be repeated; blank ones are left out.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let values = self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str());
        values.filter(|value| !value.trim().is_empty())
    }

    fn last(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Fails for the first of some parameters that is absent or blank.
    pub(crate) fn require(&self, names: &[&str]) -> Result<(), ApiError> {
        names.iter().try_for_each(|name| self.required(name).map(drop))
    }

    /// A parameter that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.get(name).ok_or_else(|| missing(&[name]))
    }

    /// `revision`: read a kept revision instead of the served one.
    pub(crate) fn revision(&self) -> Result<Option<Revision>, ApiError> {
        self.get("revision").map(revision).transpose()
    }

    /// First row, from 0.
    pub(crate) fn offset(&self) -> Result<u64, ApiError> {
        self.number("offset", 0)
    }

    /// Number of rows of a page: `length`, or `limit`, which many clients write instead (the reference ignores that).
    /// From 0 to what the settings allow.
    pub(crate) fn length(&self, settings: &ApiSettings) -> Result<u64, ApiError> {
        let (name, max) = (self.length_name(settings), settings.max_length());
        match self.number(name, DEFAULT_LENGTH.min(max))? {
            length if length <= max => Ok(length),
            _ => Err(invalid(format!("Parameter '{name}' must not be greater than {max}"))),
        }
    }

    /// As [`length`](Self::length) without a bound; `None` for `all` and when nothing is said.
    pub(crate) fn length_or_all(&self, settings: &ApiSettings) -> Result<Option<u64>, ApiError> {
        let name = self.length_name(settings);
        match self.last(name).map(str::trim) {
            None => Ok(None),
            Some(text) if text.eq_ignore_ascii_case("all") => Ok(None),
            Some(_) => self.number(name, DEFAULT_LENGTH).map(Some),
        }
    }

    fn length_name(&self, settings: &ApiSettings) -> &'static str {
        match self.last("length").is_none() && !settings.compat && self.last("limit").is_some() {
            true => "limit",
            false => "length",
        }
    }

    /// A whole number from 0 to 2^63 - 1.
    pub(crate) fn number(&self, name: &str, default: u64) -> Result<u64, ApiError> {
        let Some(text) = self.last(name) else { return Ok(default) };
        let text = text.trim();
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid(format!("Parameter '{name}' must be integer")));
        }
        // Row numbers are 63-bit: more rows than that cannot be stored.
        match digits.parse::<i64>() {
            Ok(0) => Ok(0),
            _ if negative => Err(invalid(format!("Parameter '{name}' must be positive"))),
            Ok(number) => Ok(number.unsigned_abs()),
            Err(_) => Err(invalid(format!("Parameter '{name}' must not be greater than {}", i64::MAX))),
        }
    }
}

/// A revision that a client names.
pub(crate) fn revision(text: &str) -> Result<Revision, ApiError> {
    Revision::new(text).map_err(|error| invalid(format!("Parameter 'revision': {error}")))
}

/// The error for absent or blank parameters.
pub(crate) fn missing(names: &[&str]) -> ApiError {
    let text = match names {
        [one] => format!("Parameter '{one}' is required"),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(|name| format!("'{name}'")).collect();
            format!("Parameters {} and '{last}' are required", first.join(", "))
        }
        [] => "A parameter is required".to_owned(),
    };
    ApiError::new(ErrorCode::MissingRequiredParameter, text)
}

pub(crate) fn invalid(message: String) -> ApiError {
    ApiError::new(ErrorCode::InvalidParameter, message)
}
