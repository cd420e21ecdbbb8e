//! JSON as written in a file → the compact spelling that columns of JSON text store.

use super::cursor::{Cursor, Fault, Kind, MAX_DEPTH};
use crate::fit::json_text::{write_float, write_text};

/// Appends the cell for the value at the cursor. A text that itself is JSON is stored as it stands, as the
/// reference does; any other value as compact JSON.
/// `depth`: how many values it lies in.
pub(super) fn append_cell(cursor: &mut Cursor<'_>, bytes: &mut Vec<u8>, depth: usize) -> Result<(), Fault> {
    if cursor.kind()? != Kind::Text {
        return append(cursor, bytes, depth);
    }
    let mut text = Vec::new();
    cursor.string()?.append_to(&mut text)?;
    if is_json(&text) {
        bytes.extend_from_slice(&text);
    } else {
        append_text(&text, bytes);
    }
    Ok(())
}

fn is_json(text: &[u8]) -> bool {
    let mut inner = Cursor { text, at: 0 };
    inner.blanks();
    let valid = inner.skip(0).is_ok();
    inner.blanks();
    valid && inner.at == text.len()
}

fn append(cursor: &mut Cursor<'_>, bytes: &mut Vec<u8>, depth: usize) -> Result<(), Fault> {
    if depth > MAX_DEPTH {
        return Err(cursor.too_deep());
    }
    match cursor.kind()? {
        Kind::Null => {
            cursor.word("null")?;
            bytes.extend_from_slice(b"null");
        }
        Kind::Bool => {
            let value = cursor.boolean()?;
            bytes.extend_from_slice(if value { b"true" } else { b"false" });
        }
        Kind::Number => {
            let number = cursor.number()?;
            match number.integer_text() {
                Some("-0") => bytes.push(b'0'),
                Some(text) => bytes.extend_from_slice(text.as_bytes()),
                None => {
                    let mut text = String::new();
                    write_float(number.float(), &mut text);
                    bytes.extend_from_slice(text.as_bytes());
                }
            }
        }
        Kind::Text => {
            let mut text = Vec::new();
            cursor.string()?.append_to(&mut text)?;
            append_text(&text, bytes);
        }
        Kind::Array => {
            cursor.at += 1;
            bytes.push(b'[');
            let mut first = true;
            while cursor.next_item(first)? {
                if !first {
                    bytes.push(b',');
                }
                first = false;
                append(cursor, bytes, depth + 1)?;
            }
            bytes.push(b']');
        }
        Kind::Object => {
            cursor.at += 1;
            bytes.push(b'{');
            let mut first = true;
            while cursor.next_field(first)? {
                if !first {
                    bytes.push(b',');
                }
                first = false;
                let mut name = Vec::new();
                cursor.key()?.append_to(&mut name)?;
                append_text(&name, bytes);
                bytes.push(b':');
                append(cursor, bytes, depth + 1)?;
            }
            bytes.push(b'}');
        }
    }
    Ok(())
}

fn append_text(text: &[u8], bytes: &mut Vec<u8>) {
    let mut quoted = String::with_capacity(text.len() + 2);
    write_text(&String::from_utf8_lossy(text), &mut quoted);
    bytes.extend_from_slice(quoted.as_bytes());
}
