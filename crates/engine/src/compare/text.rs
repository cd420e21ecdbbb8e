//! Text without case, punctuation and spacing.

use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;

/// True if values of this type hold text, at any depth.
pub(super) fn holds_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            holds_text(item.data_type())
        }
        DataType::Struct(fields) => fields.iter().any(|field| holds_text(field.data_type())),
        _ => false,
    }
}

/// Appends the words of all text in a value, each after a space: letters and digits in lower case, everything between them
/// left out.
pub(super) fn push_words(out: &mut String, array: &dyn Array, row: usize) {
    if array.is_null(row) {
        return;
    }
    let items = |out: &mut String, values: &dyn Array, range: std::ops::Range<usize>| {
        range.for_each(|item| push_words(out, values, item));
    };
    match array.data_type() {
        DataType::Utf8 => words(out, array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => words(out, array.as_string::<i64>().value(row)),
        DataType::Utf8View => words(out, array.as_string_view().value(row)),
        DataType::List(_) => {
            let (list, offsets) = (array.as_list::<i32>(), array.as_list::<i32>().value_offsets());
            items(out, list.values(), offsets[row] as usize..offsets[row + 1] as usize);
        }
        DataType::LargeList(_) => {
            let (list, offsets) = (array.as_list::<i64>(), array.as_list::<i64>().value_offsets());
            items(out, list.values(), offsets[row] as usize..offsets[row + 1] as usize);
        }
        DataType::FixedSizeList(..) => {
            let list = array.as_fixed_size_list();
            let length = usize::try_from(list.value_length()).unwrap_or(0);
            items(out, list.values(), row * length..(row + 1) * length);
        }
        DataType::Struct(_) => array.as_struct().columns().iter().for_each(|child| push_words(out, child, row)),
        _ => {}
    }
}

fn words(out: &mut String, text: &str) {
    let mut is_inside = false;
    for letter in text.chars() {
        if !letter.is_alphanumeric() {
            is_inside = false;
            continue;
        }
        if !is_inside {
            out.push(' ');
            is_inside = true;
        }
        match letter.is_ascii() {
            true => out.push(letter.to_ascii_lowercase()),
            false => out.extend(letter.to_lowercase()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> String {
        let mut out = String::new();
        words(&mut out, text);
        out
    }

    #[test]
    fn case_punctuation_and_spacing_are_left_out() {
        assert_eq!(folded("Hello,  World!"), folded("hello world\n"));
        assert_eq!(folded("ÉTÉ — «naïf»"), " été naïf");
        assert_eq!(folded("漢字、かな。"), " 漢字 かな");
        assert_eq!(folded(" ?!… "), "");
        assert_ne!(folded("ab c"), folded("a bc"));
    }
}
