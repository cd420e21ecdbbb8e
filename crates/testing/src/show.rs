//! Answers as readable text.

use std::fmt::Write;

use belvedere_api::Answer;

/// Status, headers by name, and the body; JSON is indented. Entity tags and lengths, which change with every
/// change of the code, are only shown to be there.
pub fn show(answer: &Answer) -> String {
    let mut text = show_headers(answer);
    let body = match serde_json::from_slice::<serde_json::Value>(&answer.body) {
        Ok(json) => serde_json::to_string_pretty(&json).unwrap_or_default(),
        Err(_) => answer.text(),
    };
    if !body.is_empty() {
        write!(text, "\n\n{body}").expect("writing to a text cannot fail");
    }
    text
}

/// Status and headers by name.
pub fn show_headers(answer: &Answer) -> String {
    let mut text = answer.status.to_string();
    for (name, value) in &answer.headers {
        let value = match name.as_str() {
            "content-length" | "last-modified" | "x-request-id" => continue,
            "etag" if value.starts_with("W/") => "W/\"…\"",
            "etag" => "\"…\"",
            _ => value,
        };
        write!(text, "\n{name}: {value}").expect("writing to a text cannot fail");
    }
    text
}
