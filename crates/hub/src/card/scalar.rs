//! Plain scalars by the rules of [YAML 1.1](https://yaml.org/type/), the version that tools of the Hub read:
//! `yes` and `off` are booleans, `012` is octal, `1e5` is text, `2020-01-01` is a date.

use super::yaml::Yaml;

/// The value of an unquoted, untagged scalar.
pub(super) fn resolve(text: &str) -> Yaml {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Yaml::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Yaml::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return Yaml::Bool(false),
        _ => {}
    }
    // Nearly every text ends here.
    if !text.starts_with(['-', '+', '.']) && !text.starts_with(|first: char| first.is_ascii_digit()) {
        return Yaml::Text(text.to_owned());
    }
    integer(text)
        .map(Yaml::Int)
        .or_else(|| float(text).map(Yaml::Float))
        .or_else(|| is_timestamp(text).then(|| Yaml::Timestamp(text.to_owned())))
        .unwrap_or_else(|| Yaml::Text(text.to_owned()))
}

fn sign(text: &str) -> (i128, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    }
}

fn integer(text: &str) -> Option<i128> {
    let (sign, digits) = sign(text);
    let (radix, digits) = match digits.as_bytes() {
        [b'0'] => (10, digits),
        [b'0', b'b', ..] => (2, &digits[2..]),
        [b'0', b'x', ..] => (16, &digits[2..]),
        [b'0', ..] => (8, &digits[1..]),
        [b'1'..=b'9', ..] => (10, digits),
        _ => return None,
    };
    if !digits.bytes().all(|byte| byte == b'_' || char::from(byte).is_digit(radix)) {
        return None;
    }
    let digits: String = digits.chars().filter(|c| *c != '_').collect();
    i128::from_str_radix(&digits, radix).ok().map(|value| sign * value)
}

/// A decimal point is required, and the exponent needs its sign.
fn float(text: &str) -> Option<f64> {
    let (sign, unsigned) = sign(text);
    match unsigned {
        ".inf" | ".Inf" | ".INF" => return Some(f64::INFINITY * sign as f64),
        ".nan" | ".NaN" | ".NAN" if unsigned.len() == text.len() => return Some(f64::NAN),
        _ => {}
    }
    let (whole, rest) = unsigned.split_once('.')?;
    let (fraction, exponent) = match rest.split_once(['e', 'E']) {
        Some((fraction, exponent)) => (fraction, Some(exponent)),
        None => (rest, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte == b'_' || byte.is_ascii_digit());
    let starts_with_digit = |text: &str| text.starts_with(|first: char| first.is_ascii_digit());
    let shape = digits(whole)
        && digits(fraction)
        && if whole.is_empty() {
            starts_with_digit(fraction) && unsigned.len() == text.len()
        } else {
            starts_with_digit(whole)
        };
    let exponent_is_fine = exponent.is_none_or(|exponent| {
        exponent
            .strip_prefix(['-', '+'])
            .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
    });
    if !(shape && exponent_is_fine) {
        return None;
    }
    text.chars().filter(|c| *c != '_').collect::<String>().parse().ok()
}

/// `2020-01-31`, or with a time after `T` or a space.
fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    let date =
        bytes.len() >= 8 && bytes[..4].iter().all(u8::is_ascii_digit) && bytes[4] == b'-' && bytes[5..].contains(&b'-');
    if !date {
        return false;
    }
    let (date, time) = match text.find(['T', 't', ' ', '\t']) {
        Some(end) => (&text[..end], Some(text[end + 1..].trim_start())),
        None => (text, None),
    };
    let mut parts = date.split('-').map(|part| (part.len(), part.bytes().all(|byte| byte.is_ascii_digit())));
    let strict = time.is_none();
    let part = |part: Option<(usize, bool)>, width: usize| {
        part.is_some_and(|(length, digits)| digits && (length == width || !strict && length == 1))
    };
    let date_is_fine =
        part(parts.next(), 4) && part(parts.next(), 2) && part(parts.next(), 2) && parts.next().is_none();
    date_is_fine && time.is_none_or(is_time)
}

fn is_time(text: &str) -> bool {
    let zone = text.find(['Z', '+', '-']).unwrap_or(text.len());
    let (clock, zone) = (text[..zone].trim_end(), &text[zone..]);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let pairs: Vec<&str> = clock.split(':').collect();
    let two_digits = |pair: &&str| (1..=2).contains(&pair.len()) && pair.bytes().all(|byte| byte.is_ascii_digit());
    pairs.len() == 3
        && pairs.iter().all(two_digits)
        && fraction.bytes().all(|byte| byte.is_ascii_digit())
        && zone.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'Z' | b'+' | b'-' | b':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_and_nulls_have_many_spellings() {
        for text in ["yes", "Yes", "on", "ON", "true"] {
            assert_eq!(resolve(text), Yaml::Bool(true), "{text}");
        }
        for text in ["no", "off", "Off", "False"] {
            assert_eq!(resolve(text), Yaml::Bool(false), "{text}");
        }
        for text in ["", "~", "null", "NULL"] {
            assert_eq!(resolve(text), Yaml::Null, "{text}");
        }
        for text in ["y", "n", "yEs", "none", "nuLL"] {
            assert_eq!(resolve(text), Yaml::Text(text.to_owned()), "{text}");
        }
    }

    #[test]
    fn integers_know_octal_hexadecimal_binary_and_underscores() {
        for (text, value) in [("0", 0), ("-7", -7), ("010", 8), ("0x1F", 31), ("0b101", 5), ("1_000", 1000), ("+3", 3)]
        {
            assert_eq!(resolve(text), Yaml::Int(value), "{text}");
        }
        for text in ["08", "0o17", "1,000", "-", "0x", "12a", "1 2"] {
            assert_eq!(resolve(text), Yaml::Text(text.to_owned()), "{text}");
        }
    }

    #[test]
    fn floats_need_a_point_and_a_signed_exponent() {
        for (text, value) in
            [("1.5", 1.5), ("-0.5", -0.5), (".5", 0.5), ("1.", 1.0), ("1.0e+3", 1000.0), ("-.inf", f64::NEG_INFINITY)]
        {
            assert_eq!(resolve(text), Yaml::Float(value), "{text}");
        }
        for text in ["1e5", "1.0e5", "1.2.3", ".", "..", "1.x", "-.nan"] {
            assert_eq!(resolve(text), Yaml::Text(text.to_owned()), "{text}");
        }
    }

    #[test]
    fn dates_are_not_texts() {
        for text in ["2020-01-31", "2020-01-31T10:00:00Z", "2020-1-3 10:00:00.5 +01:00"] {
            assert_eq!(resolve(text), Yaml::Timestamp(text.to_owned()), "{text}");
        }
        for text in ["2020-1-31", "2020-01", "20-01-2020", "2020-01-31x", "2020-01-31T10"] {
            assert_eq!(resolve(text), Yaml::Text(text.to_owned()), "{text}");
        }
    }
}
