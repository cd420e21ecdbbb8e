//! Numbers as pandas' C parser reads them: blanks around, a sign, a decimal mark, separators of thousands.

/// What a field says as a 64-bit integer.
pub(super) enum Integer {
    Value(i64),
    /// An integer beyond 64 bits signed, or one that starts like it.
    Beyond,
    No,
}

/// What a field says as an unsigned 64-bit integer.
pub(super) enum Unsigned {
    Value(u64),
    Negative,
    Beyond,
    No,
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\x0b' | b'\x0c' | b'\r')
}

fn trim(mut field: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = field
        && is_space(*first)
    {
        field = rest;
    }
    while let [rest @ .., last] = field
        && is_space(*last)
    {
        field = rest;
    }
    field
}

/// The digits of a number as long as they fit in `limit`; what follows must be nothing.
#[inline]
fn magnitude(digits: &[u8], limit: u64, thousands: Option<u8>) -> Option<Result<u64, ()>> {
    if !digits.first()?.is_ascii_digit() {
        return None;
    }
    let mut value = 0_u64;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            if Some(byte) == thousands {
                continue;
            }
            return None;
        }
        match value.checked_mul(10).and_then(|value| value.checked_add(u64::from(digit))) {
            Some(next) if next <= limit => value = next,
            _ => return Some(Err(())),
        }
    }
    Some(Ok(value))
}

/// Reads an integer; blanks around it do not matter.
#[inline]
pub(super) fn integer(field: &[u8], thousands: Option<u8>) -> Integer {
    // The usual case first: up to 18 digits, which cannot overflow.
    if let 1..=18 = field.len() {
        let mut value = 0_i64;
        let mut plain = true;
        for &byte in field {
            let digit = byte.wrapping_sub(b'0');
            plain &= digit <= 9;
            value = value * 10 + i64::from(digit & 15);
        }
        if plain {
            return Integer::Value(value);
        }
    }
    let (negative, digits) = match trim(field) {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    let limit = if negative { i64::MIN.unsigned_abs() } else { i64::MAX.unsigned_abs() };
    match magnitude(digits, limit, thousands) {
        None => Integer::No,
        Some(Err(())) => Integer::Beyond,
        Some(Ok(value)) if negative => Integer::Value(0_i64.wrapping_sub_unsigned(value)),
        Some(Ok(value)) => Integer::Value(value.cast_signed()),
    }
}

/// Reads an integer from 0; blanks around it do not matter.
pub(super) fn unsigned(field: &[u8], thousands: Option<u8>) -> Unsigned {
    let digits = match trim(field) {
        [b'-', ..] => return Unsigned::Negative,
        [b'+', digits @ ..] | digits => digits,
    };
    match magnitude(digits, u64::MAX, thousands) {
        None => Unsigned::No,
        Some(Err(())) => Unsigned::Beyond,
        Some(Ok(value)) => Unsigned::Value(value),
    }
}

/// Powers of ten that a float holds exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// A correctly rounded float, or an infinity by name. Numbers too large for a float are none.
pub(super) fn float(field: &[u8], decimal: u8, thousands: Option<u8>) -> Option<f64> {
    let text = trim(field);
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    let mut value = 0_u64;
    let (mut significant, mut fraction, mut seen, mut exponent) = (0_u32, 0_i32, false, 0_i32);
    let mut in_fraction = false;
    let mut rest = digits;
    while let [byte, after @ ..] = rest {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            seen = true;
            if significant > 0 || digit > 0 {
                significant += 1;
            }
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
            fraction += i32::from(in_fraction);
        } else if *byte == decimal && !in_fraction {
            in_fraction = true;
        } else if Some(*byte) != thousands || in_fraction || !seen {
            break;
        }
        rest = after;
    }
    if !seen {
        return infinity(field);
    }
    if let [b'e' | b'E', after @ ..] = rest {
        let (down, power) = match after {
            [b'-', power @ ..] => (true, power),
            [b'+', power @ ..] | power => (false, power),
        };
        if power.is_empty() || !power.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let size = power.iter().fold(0_i32, |size, digit| (size * 10 + i32::from(digit - b'0')).min(100_000));
        exponent = if down { -size } else { size };
    } else if !rest.is_empty() {
        return None;
    }
    let scale = exponent - fraction;
    let size = match EXACT_POWERS.get(scale.unsigned_abs() as usize) {
        // Both factors are exact, so the result is rounded once (Clinger, "How to read floating point numbers accurately").
        Some(power) if significant <= 15 && scale < 0 => value as f64 / power,
        Some(power) if significant <= 15 => value as f64 * power,
        _ => plain_text(digits, decimal, thousands).parse().ok().filter(|size: &f64| size.is_finite())?,
    };
    Some(if negative { -size } else { size })
}

/// A number as Rust spells it.
fn plain_text(digits: &[u8], decimal: u8, thousands: Option<u8>) -> String {
    let spell = |byte: u8| if byte == decimal { '.' } else { char::from(byte) };
    digits.iter().filter(|byte| Some(**byte) != thousands).map(|byte| spell(*byte)).collect()
}

/// `inf` or `infinity` in any case, with or without sign; blanks around are not allowed.
fn infinity(field: &[u8]) -> Option<f64> {
    let (sign, name) = match field {
        [b'-', name @ ..] => (-1.0, name),
        [b'+', name @ ..] | name => (1.0, name),
    };
    let named = name.eq_ignore_ascii_case(b"inf") || name.eq_ignore_ascii_case(b"infinity");
    named.then_some(sign * f64::INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_the_nearest_ones() {
        for text in
            ["0.1", "123456789.123456789", "1e22", "1e23", "9007199254740993", "2.2250738585072011e-308", "1e-320"]
        {
            assert_eq!(float(text.as_bytes(), b'.', None), text.parse().ok(), "{text}");
        }
        assert_eq!(float(b" -1.234,5 ", b',', Some(b'.')), Some(-1234.5));
        assert_eq!(float(b"-0.0", b'.', None).map(f64::to_bits), Some((-0.0_f64).to_bits()));
        for text in ["", "e5", "1e", "1e+", "1.2.3", "1e400", "0x1", "1_0", " inf"] {
            assert_eq!(float(text.as_bytes(), b'.', None), None, "{text}");
        }
    }

    #[test]
    fn integers_end_at_64_bits() {
        assert!(matches!(integer(b"-9223372036854775808", None), Integer::Value(i64::MIN)));
        assert!(matches!(integer(b"9223372036854775808", None), Integer::Beyond));
        assert!(matches!(integer(b" +1,000 ", Some(b',')), Integer::Value(1000)));
        assert!(matches!(integer(b"1.0", None), Integer::No));
        assert!(matches!(unsigned(b"18446744073709551615", None), Unsigned::Value(u64::MAX)));
        assert!(matches!(unsigned(b"18446744073709551616", None), Unsigned::Beyond));
        assert!(matches!(unsigned(b"-1", None), Unsigned::Negative));
    }
}
