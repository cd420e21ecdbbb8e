//! In which format rows are asked for, with which columns, and how many: `format`, `Accept`, `columns`, `length`.

use axum::http::{HeaderMap, header};
use belvedere_domain::view::DigestBuilder;
use belvedere_engine::call::Format;

use crate::error::ApiError;
use crate::params::{Params, invalid};
use crate::state::ApiSettings;

/// Names, media types (the first is ours) and suffixes.
const FORMATS: &[(Format, &str, &[&str], &str)] = &[
    (Format::Json, "json", &["application/json"], "json"),
    (
        Format::Ndjson,
        "ndjson",
        &["application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"],
        "jsonl",
    ),
    (Format::Csv, "csv", &["text/csv"], "csv"),
    (Format::Arrow, "arrow", &["application/vnd.apache.arrow.stream"], "arrows"),
    (Format::Parquet, "parquet", &["application/vnd.apache.parquet"], "parquet"),
];

/// What the rows of an answer shall look like.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// The format.
    pub(crate) format: Format,
    /// Names of columns, or names with commas between them; empty: all.
    pub(crate) columns: Vec<String>,
}

impl Shape {
    /// What a request asks for: `format` before `Accept`, and JSON when neither names a format that we know. The
    /// reference knows only JSON with all columns.
    ///
    /// # Errors
    /// For a format that we do not know.
    pub(crate) fn of(params: &Params, headers: &HeaderMap, settings: &ApiSettings) -> Result<Self, ApiError> {
        if settings.compat {
            return Ok(Self { format: Format::Json, columns: Vec::new() });
        }
        Ok(Self {
            format: of(params.get("format"), headers)?,
            columns: params.all("columns").map(str::to_owned).collect(),
        })
    }

    /// The answer of old: JSON with all columns.
    pub(crate) fn is_plain(&self) -> bool {
        self.format == Format::Json && self.columns.is_empty()
    }

    /// Answers have a bounded number of rows.
    pub(crate) fn is_paged(&self) -> bool {
        self.format == Format::Json
    }

    /// Number of rows asked for; `None`: all. Pages of JSON are bounded; in other formats `length` may be `all`, which
    /// is also what is given when nothing is said.
    ///
    /// # Errors
    /// For a length that is no number or too large.
    pub(crate) fn length(&self, params: &Params, settings: &ApiSettings) -> Result<Option<u64>, ApiError> {
        match self.format {
            Format::Json => params.length(settings).map(Some),
            _ => params.length_or_all(settings),
        }
    }

    /// Part of an entity tag: different for answers with different bytes.
    pub(crate) fn tag(&self) -> String {
        if self.is_plain() {
            return String::new();
        }
        let columns = self.columns.iter().fold(DigestBuilder::new("columns", 1), |digest, name| digest.part("", name));
        format!("-{}-{}", self.row().1, &columns.finish().to_hex()[..16])
    }

    /// The media type that the answer has.
    pub(crate) fn media_type(&self) -> &'static str {
        media_type(self.format)
    }

    /// What files of this format end in.
    pub(crate) fn suffix(&self) -> &'static str {
        self.row().3
    }

    fn row(&self) -> &'static (Format, &'static str, &'static [&'static str], &'static str) {
        row(self.format)
    }
}

fn row(format: Format) -> &'static (Format, &'static str, &'static [&'static str], &'static str) {
    FORMATS.iter().find(|(known, ..)| *known == format).expect("the table has every format")
}

/// The media type of an answer.
pub(crate) fn media_type(format: Format) -> &'static str {
    match format {
        Format::Csv => "text/csv; charset=utf-8; header=present",
        _ => row(format).2[0],
    }
}

/// The format of this name, else the one that a client prefers.
///
/// # Errors
/// For a name that we do not know.
pub(crate) fn of(name: Option<&str>, headers: &HeaderMap) -> Result<Format, ApiError> {
    match name {
        Some(name) => named(name.trim()),
        None => Ok(accepted(headers)),
    }
}

fn named(name: &str) -> Result<Format, ApiError> {
    let found = FORMATS.iter().find(|(_, known, ..)| known.eq_ignore_ascii_case(name));
    found
        .map(|(format, ..)| *format)
        .ok_or_else(|| invalid(format!("Parameter 'format' must be one of {}", names().join(", "))))
}

/// What `format` may be.
pub(crate) fn names() -> Vec<&'static str> {
    FORMATS.iter().map(|(_, name, ..)| *name).collect()
}

/// The media types of answers with rows.
pub(crate) fn media_types() -> impl Iterator<Item = &'static str> {
    FORMATS.iter().map(|(_, _, types, _)| types[0])
}

/// The format that a client prefers (RFC 9110, section 12.5.1). What is unknown does not count: a client that accepts
/// none of ours gets JSON.
fn accepted(headers: &HeaderMap) -> Format {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut best = (0.0, Format::Json);
    for range in values.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
        let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let quality: f32 = quality.map_or(1.0, |quality| quality.trim().parse().unwrap_or(0.0));
        let format = match media_type.as_str() {
            "*/*" | "application/*" => Some(Format::Json),
            name => FORMATS.iter().find(|(_, _, types, _)| types.contains(&name)).map(|(format, ..)| *format),
        };
        if let Some(format) = format.filter(|_| quality > best.0) {
            best = (quality, format);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn format(query: &str, accept: &[&'static str]) -> Result<Format, String> {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(header::ACCEPT, HeaderValue::from_static(value));
        }
        let shape = Shape::of(&Params::parse(Some(query)), &headers, &ApiSettings::default());
        shape.map(|shape| shape.format).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn the_parameter_goes_before_the_header() {
        assert_eq!(format("format=csv", &["application/json"]), Ok(Format::Csv));
        assert_eq!(format("format=NDJSON", &[]), Ok(Format::Ndjson));
        assert_eq!(format("format=", &["text/csv"]), Ok(Format::Csv));
        assert!(format("format=xls", &[]).unwrap_err().contains("must be one of json, ndjson, csv, arrow, parquet"));
    }

    #[test]
    fn the_preferred_format_that_we_know_is_chosen() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        let cases: [(&[&'static str], Format); 9] = [
            (&[], Format::Json),
            (&["*/*"], Format::Json),
            (&[browser], Format::Json),
            (&["text/csv"], Format::Csv),
            (&["Application/JSONL"], Format::Ndjson),
            (&["text/csv;q=0.5, application/vnd.apache.parquet"], Format::Parquet),
            (&["application/json, text/csv"], Format::Json),
            (&["image/png", "application/vnd.apache.arrow.stream; q=0.1"], Format::Arrow),
            (&["text/csv;q=0, image/png"], Format::Json),
        ];
        for (accept, expected) in cases {
            assert_eq!(format("", accept), Ok(expected), "{accept:?}");
        }
    }
}
