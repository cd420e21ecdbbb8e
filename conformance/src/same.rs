//! When two JSON values count as the same answer.
//!
//! Equal, except: values that depend on who wrote the files are not looked at; floats may differ in the last of the
//! five decimals that the reference keeps; URLs are compared by path, also inside of code; objects may have more keys than the reference's,
//! but not inside cells and features; the two documented forms of the last histogram bin of integers are one.

use std::fmt;

use serde_json::{Map, Value};

/// Keys whose values depend on the writer of the files, not on the data.
const WRITER_DEPENDENT: &[&str] = &[
    "size",
    "num_bytes_parquet_files",
    "download_size",
    "download_checksums",
    "size_in_bytes",
    "num_bytes_original_files",
    "estimated_num_rows",
    "estimated_dataset_info",
    "estimated_num_bytes",
    "sha256",
    "md5",
    "contentSize",
];

/// Floats are the same within this share of the larger one …
const RELATIVE_TOLERANCE: f64 = 2e-6;
/// … or within this distance: one unit of the fifth decimal, and some slack for its binary form.
const ABSOLUTE_TOLERANCE: f64 = 1.1e-5;

/// One place where an answer is not as recorded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// Path into the body, such as `.rows[0].row.name`; empty for the answer as a whole.
    pub at: String,
    /// What is different there.
    pub what: String,
}

impl Difference {
    /// A difference of the answer as a whole.
    pub fn whole(what: impl Into<String>) -> Self {
        Self { at: String::new(), what: what.into() }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.at.is_empty() { f.write_str(&self.what) } else { write!(f, "{}: {}", self.at, self.what) }
    }
}

/// All differences between what was recorded and what was received, below the path `at`.
pub fn differences(expected: &Value, got: &Value, at: &str) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(expected, got, at, &mut found);
    found
}

fn compare(expected: &Value, got: &Value, at: &str, found: &mut Vec<Difference>) {
    if is_writer_dependent(at.rsplit('.').next().unwrap_or(at)) {
        return;
    }
    let mut differ = |what: String| found.push(Difference { at: at.to_owned(), what });
    match (expected, got) {
        (Value::Null | Value::Bool(_), _) | (_, Value::Null | Value::Bool(_)) => {
            if expected != got {
                differ(format!("expected {}, got {}", short(expected), short(got)));
            }
        }
        (Value::Number(left), Value::Number(right)) => {
            if !same_number(left, right) {
                differ(format!("expected {left}, got {right}"));
            }
        }
        (Value::String(left), Value::String(right)) => {
            if url_path(left) != url_path(right) {
                differ(format!("expected {}, got {}", short(expected), short(got)));
            }
        }
        (Value::Object(left), Value::Object(right)) => {
            let merged = with_last_bin_merged(left, right);
            compare_objects(left, merged.as_ref().unwrap_or(right), at, found);
        }
        (Value::Array(left), Value::Array(right)) if left.len() != right.len() => {
            differ(format!("expected {} items, got {}", left.len(), right.len()));
        }
        (Value::Array(left), Value::Array(right)) => {
            for (position, (left, right)) in left.iter().zip(right).enumerate() {
                compare(left, right, &format!("{at}[{position}]"), found);
            }
        }
        _ => {
            let [left, right] = [expected, got].map(|value| format!("{} {}", type_of(value), short(value)));
            differ(format!("expected {left}, got {right}"));
        }
    }
}

fn compare_objects(expected: &Map<String, Value>, got: &Map<String, Value>, at: &str, found: &mut Vec<Difference>) {
    for (name, value) in expected {
        let at = format!("{at}.{name}");
        match got.get(name) {
            Some(other) => compare(value, other, &at, found),
            None if is_writer_dependent(name) => {}
            None => found.push(Difference { at, what: "missing".to_owned() }),
        }
    }
    let closed = at.contains(".row.") || at.contains(".features") || at.ends_with("frequencies");
    if closed {
        let more = got.keys().filter(|name| !expected.contains_key(*name));
        found.extend(more.map(|name| Difference { at: format!("{at}.{name}"), what: "not expected".to_owned() }));
    }
}

fn is_writer_dependent(key: &str) -> bool {
    WRITER_DEPENDENT.contains(&key)
}

/// Integers exactly, anything else within the tolerances.
fn same_number(left: &serde_json::Number, right: &serde_json::Number) -> bool {
    if !left.is_f64() && !right.is_f64() {
        return left == right;
    }
    let (Some(left), Some(right)) = (left.as_f64(), right.as_f64()) else { return false };
    (left - right).abs() <= (RELATIVE_TOLERANCE * left.abs().max(right.abs())).max(ABSOLUTE_TOLERANCE)
}

/// Path of a URL without host, query and percent-encoding; other texts without the hosts of the URLs in them.
fn url_path(text: &str) -> String {
    let Some(rest) = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")) else {
        return without_hosts(text);
    };
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let start = rest[..end].find('/').unwrap_or(end);
    percent_decoded(&rest[start..end])
}

/// Code that loads a dataset names the server in its middle, in double quotes.
fn without_hosts(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = ["\"http://", "\"https://"].iter().filter_map(|start| rest.find(start)).min() {
        let url = &rest[at + 1..];
        let host = url.find("//").map_or(0, |slashes| slashes + 2);
        let path = url[host..].find(['/', '"']).map_or(url.len(), |end| host + end);
        kept.push_str(&rest[..=at]);
        rest = &url[path..];
    }
    kept + rest
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let decoded = match (first, tail) {
            (b'%', [high, low, ..]) => hex_digit(*high).zip(hex_digit(*low)).map(|(high, low)| high * 16 + low),
            _ => None,
        };
        bytes.push(decoded.unwrap_or(*first));
        rest = if decoded.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// The received histogram in the form of the recorded one. The documented histogram of integers ends in a bin that
/// holds only the maximum (its last two edges are equal); the recorded one merges it into the bin before.
fn with_last_bin_merged(expected: &Map<String, Value>, got: &Map<String, Value>) -> Option<Map<String, Value>> {
    let wanted = expected.get("bin_edges")?.as_array()?.len();
    expected.get("hist")?;
    let edges = got.get("bin_edges")?.as_array()?;
    let hist = got.get("hist")?.as_array()?;
    let [before, last] = edges.last_chunk::<2>()?;
    let [rest @ .., one, other] = hist.as_slice() else { return None };
    if edges.len() != wanted + 1 || edges.len() < 3 || before.as_f64()? != last.as_f64()? {
        return None;
    }
    let mut merged_hist = rest.to_vec();
    merged_hist.push(Value::from(one.as_u64()? + other.as_u64()?));
    let mut merged = got.clone();
    merged.insert("bin_edges".to_owned(), Value::from(&edges[..edges.len() - 1]));
    merged.insert("hist".to_owned(), Value::from(merged_hist));
    Some(merged)
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

/// A value as JSON, cut to 120 characters.
pub(crate) fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(120) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests;
