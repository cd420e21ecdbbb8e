//! Query parameters. A blank value counts as absent, a repeated one takes its last value, unknown ones are ignored.

use std::collections::HashMap;

use belvedere_domain::{ErrorCode, Revision};

use crate::error::ApiError;

/// Largest page of rows.
pub(crate) const MAX_LENGTH: u64 = 100;

/// The parameters of a request.
pub(crate) struct Params(HashMap<String, String>);

impl Params {
    /// Reads a query string.
    pub(crate) fn parse(query: Option<&str>) -> Self {
        Self(url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    /// A parameter that is there and not blank.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.trim().is_empty())
    }

    /// A parameter that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.get(name).ok_or_else(|| missing(&[name]))
    }

    /// `revision`: read a kept revision instead of the served one.
    pub(crate) fn revision(&self) -> Result<Option<Revision>, ApiError> {
        let parse = |text| {
            Revision::new(text)
                .map_err(|error| ApiError::new(ErrorCode::InvalidParameter, format!("Parameter 'revision': {error}")))
        };
        self.get("revision").map(parse).transpose()
    }

    /// First row, from 0.
    pub(crate) fn offset(&self) -> Result<u64, ApiError> {
        self.number("offset", 0)
    }

    /// Number of rows, 0 to 100.
    pub(crate) fn length(&self) -> Result<u64, ApiError> {
        match self.number("length", MAX_LENGTH)? {
            length if length <= MAX_LENGTH => Ok(length),
            _ => Err(invalid(format!("Parameter 'length' must not be greater than {MAX_LENGTH}"))),
        }
    }

    fn number(&self, name: &str, default: u64) -> Result<u64, ApiError> {
        let Some(text) = self.0.get(name) else { return Ok(default) };
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
