//! Parameters of the csv reader, with the names and defaults of `pandas.read_csv`.

use std::collections::HashSet;
use std::fmt;

use belvedere_domain::data_files::{ResolvedConfig, Schemas};
use belvedere_domain::{Feature, Features};
use serde_json::Value as JsonValue;

use crate::error::EngineError;
use crate::read::encoding::TextEncoding;
use crate::read::parameters::{Parameters, bad};

/// Everything that decides how the bytes of a file become columns.
#[derive(Debug)]
pub(super) struct CsvOptions {
    pub(super) dialect: Dialect,
    pub(super) encoding: TextEncoding,
    pub(super) header: Header,
    pub(super) names: Option<Vec<String>>,
    pub(super) index: Index,
    pub(super) columns: Option<Columns>,
    pub(super) skip_lines: SkipLines,
    pub(super) max_rows: Option<u64>,
    /// Rows of a table: each is typed on its own.
    pub(super) batch_rows: usize,
    pub(super) bad_lines: BadLines,
    pub(super) values: ValueRules,
    /// Types that columns are read as.
    pub(super) features: Option<Features>,
}

/// How a line is cut into fields.
#[derive(Clone, Debug)]
pub(super) struct Dialect {
    pub(super) separator: Separator,
    pub(super) quote: Option<u8>,
    pub(super) double_quote: bool,
    pub(super) escape: Option<u8>,
    pub(super) comment: Option<u8>,
    /// Only this byte ends a line; `None`: LF, CRLF and CR do.
    pub(super) line_end: Option<u8>,
    pub(super) skip_blank_lines: bool,
    pub(super) skip_initial_space: bool,
}

/// What stands between fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Separator {
    Byte(u8),
    /// Any run of spaces and tabs.
    Blanks,
}

/// Where the names of columns are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Header {
    /// The first line, unless names are given.
    Infer,
    /// The file has none.
    Absent,
    /// That line, from 0; those before it are dropped.
    Line(u64),
}

/// Columns that are moved to the end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Index {
    /// Those that the first row has more than the header.
    Surplus,
    /// None, surplus fields are dropped.
    Never,
    Columns(Vec<ColumnKey>),
}

/// A column by place or name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum ColumnKey {
    Place(usize),
    Name(String),
}

impl fmt::Display for ColumnKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place(place) => write!(f, "number {place}, counted from 0"),
            Self::Name(name) => write!(f, "\"{name}\""),
        }
    }
}

/// Which columns are kept.
pub(super) type Columns = Vec<ColumnKey>;

/// Lines before and between that are no data, counted from 0 in the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum SkipLines {
    First(u64),
    These(HashSet<u64>),
}

/// What happens to a row with too many fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BadLines {
    Error,
    Skip,
}

/// How the text of a field becomes a value.
#[derive(Debug)]
pub(super) struct ValueRules {
    /// Missing values are looked for at all.
    pub(super) finds_missing: bool,
    pub(super) default_missing: bool,
    pub(super) more_missing: HashSet<Vec<u8>>,
    /// The numbers among `more_missing`.
    pub(super) missing_numbers: Vec<f64>,
    pub(super) decimal: u8,
    pub(super) thousands: Option<u8>,
    pub(super) true_words: Vec<Vec<u8>>,
    pub(super) false_words: Vec<Vec<u8>>,
}

impl CsvOptions {
    /// Reads the parameters of a config.
    pub(super) fn of(config: &ResolvedConfig) -> Result<Self, EngineError> {
        let parameters = Parameters(&config.parameters);
        for unsupported in ["dialect", "skipfooter", "converters"] {
            if let Some(value) = parameters.get(unsupported).filter(|value| value.as_u64() != Some(0)) {
                return Err(bad(unsupported, value, "nothing: this parameter is not supported, remove it"));
            }
        }
        let names = match parameters.texts("column_names")? {
            Some(names) => Some(names),
            None => parameters.texts("names")?,
        };
        let bad_lines = [("error", BadLines::Error), ("warn", BadLines::Skip), ("skip", BadLines::Skip)];
        let batch_rows = parameters.count("chunksize")?.unwrap_or(10_000);
        Ok(Self {
            dialect: Dialect::of(parameters)?,
            encoding: TextEncoding::of(parameters)?,
            header: header(config, parameters)?,
            names,
            index: index(parameters)?,
            columns: parameters.get("usecols").map(|value| column_keys("usecols", value)).transpose()?,
            skip_lines: skip_lines(parameters)?,
            max_rows: parameters.count("nrows")?,
            batch_rows: usize::try_from(batch_rows).unwrap_or(usize::MAX).clamp(1, 1_000_000),
            bad_lines: parameters.choice("on_bad_lines", &bad_lines, BadLines::Error)?,
            values: ValueRules::of(parameters)?,
            // Where files disagree, what will be text is read as it stands.
            features: config.reader_features.clone().or_else(|| {
                let joins = config.schemas() == Ok(Some(Schemas::Union));
                config.declared_features.clone().filter(|_| joins)
            }),
        })
    }

    /// True when the declared type of a column asks for its text as it stands.
    pub(super) fn reads_as_text(&self, column: &str) -> bool {
        match self.features.as_ref().and_then(|features| features.get(column)) {
            None => false,
            Some(Feature::Value(dtype)) => {
                !(dtype.is_integer() || dtype.is_float() || *dtype == belvedere_domain::features::Dtype::Bool)
            }
            Some(_) => true,
        }
    }
}

impl Dialect {
    fn of(parameters: Parameters<'_>) -> Result<Self, EngineError> {
        // QUOTE_MINIMAL, QUOTE_ALL and QUOTE_NONNUMERIC only differ in writing.
        let quoting = parameters.count("quoting")?.unwrap_or(0);
        if quoting > 3 {
            return Err(bad("quoting", &quoting.into(), "0, 1, 2 or 3"));
        }
        let quote = parameters.byte("quotechar")?.unwrap_or(b'"');
        Ok(Self {
            separator: separator(parameters)?,
            quote: (quoting != 3).then_some(quote),
            double_quote: parameters.flag("doublequote", true)?,
            escape: parameters.byte("escapechar")?,
            comment: parameters.byte("comment")?,
            line_end: parameters.byte("lineterminator")?,
            skip_blank_lines: parameters.flag("skip_blank_lines", true)?,
            skip_initial_space: parameters.flag("skipinitialspace", false)?,
        })
    }
}

impl ValueRules {
    fn of(parameters: Parameters<'_>) -> Result<Self, EngineError> {
        let missing = parameters.texts("na_values")?.unwrap_or_default();
        let words = |name| -> Result<Vec<Vec<u8>>, EngineError> {
            Ok(parameters.texts(name)?.unwrap_or_default().into_iter().map(String::into_bytes).collect())
        };
        Ok(Self {
            finds_missing: parameters.flag("na_filter", true)?,
            default_missing: parameters.flag("keep_default_na", true)?,
            missing_numbers: missing.iter().filter_map(|text| text.parse().ok()).collect(),
            more_missing: missing.into_iter().map(String::into_bytes).collect(),
            decimal: parameters.byte("decimal")?.unwrap_or(b'.'),
            thousands: parameters.byte("thousands")?,
            true_words: words("true_values")?,
            false_words: words("false_values")?,
        })
    }
}

fn separator(parameters: Parameters<'_>) -> Result<Separator, EngineError> {
    let name = if parameters.get("delimiter").is_some() { "delimiter" } else { "sep" };
    let Some(value) = parameters.get(name) else { return Ok(Separator::Byte(b',')) };
    // Two characters are a regular expression for pandas: these are the ones that mean a plain character.
    match value.as_str().map(str::as_bytes) {
        Some(b"\\s+") => Ok(Separator::Blanks),
        Some(b"\\t") => Ok(Separator::Byte(b'\t')),
        Some(&[b'\\', byte]) if byte.is_ascii_punctuation() => Ok(Separator::Byte(byte)),
        Some(&[byte]) if byte.is_ascii() && !matches!(byte, b'\n' | b'\r') => Ok(Separator::Byte(byte)),
        _ => Err(bad(name, value, "one ASCII character or `\\s+`")),
    }
}

fn header(config: &ResolvedConfig, parameters: Parameters<'_>) -> Result<Header, EngineError> {
    match config.parameters.get("header") {
        None => Ok(Header::Infer),
        Some(JsonValue::Null) => Ok(Header::Absent),
        Some(JsonValue::String(text)) if text == "infer" => Ok(Header::Infer),
        Some(JsonValue::Array(items)) if items.len() == 1 => {
            items[0].as_u64().map(Header::Line).ok_or_else(|| bad("header", &items[0], "a line number from 0"))
        }
        Some(value) => Ok(Header::Line(
            parameters
                .count("header")
                .map_err(|_| bad("header", value, "a line number from 0, or null when the file has no header"))?
                .unwrap_or(0),
        )),
    }
}

fn index(parameters: Parameters<'_>) -> Result<Index, EngineError> {
    match parameters.get("index_col") {
        None => Ok(Index::Surplus),
        Some(JsonValue::Bool(false)) => Ok(Index::Never),
        Some(value) => Ok(Index::Columns(column_keys("index_col", value)?)),
    }
}

fn column_keys(name: &str, value: &JsonValue) -> Result<Vec<ColumnKey>, EngineError> {
    let key = |item: &JsonValue| match item {
        JsonValue::String(text) => Ok(ColumnKey::Name(text.clone())),
        item => match item.as_u64().and_then(|place| usize::try_from(place).ok()) {
            Some(place) => Ok(ColumnKey::Place(place)),
            None => Err(bad(name, value, "names or numbers of columns")),
        },
    };
    match value {
        JsonValue::Array(items) => items.iter().map(key).collect(),
        single => Ok(vec![key(single)?]),
    }
}

fn skip_lines(parameters: Parameters<'_>) -> Result<SkipLines, EngineError> {
    let Some(value) = parameters.get("skiprows") else { return Ok(SkipLines::First(0)) };
    let lines = match value {
        JsonValue::Array(items) => items.iter().map(JsonValue::as_u64).collect::<Option<_>>().map(SkipLines::These),
        single => single.as_u64().map(SkipLines::First),
    };
    lines.ok_or_else(|| bad("skiprows", value, "a number of lines or a list of line numbers from 0"))
}
