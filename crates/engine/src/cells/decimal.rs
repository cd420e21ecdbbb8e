//! Decimals as text, in the spelling of Python's `Decimal`.

use std::fmt::Write;

/// Appends the number `digits × 10^-scale`, scale kept (`1.50`). As in the specification of decimal arithmetic
/// (<https://speleotrove.com/decimal/daconvs.html>), numbers below 0.000001 and those of negative scale use an exponent.
pub(crate) fn decimal(out: &mut String, digits: &str, scale: i8) {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    out.push_str(sign);
    let exponent = -i64::from(scale);
    let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let adjusted = length - 1 + exponent;
    if exponent > 0 || adjusted < -6 {
        let (first, rest) = digits.split_at(1);
        out.push_str(first);
        if !rest.is_empty() {
            out.push('.');
            out.push_str(rest);
        }
        let _ = write!(out, "E{adjusted:+}");
        return;
    }
    let scale = usize::try_from(scale).unwrap_or(0);
    match digits.len().checked_sub(scale) {
        Some(point) if point > 0 => {
            let (whole, fraction) = digits.split_at(point);
            out.push_str(whole);
            if !fraction.is_empty() {
                out.push('.');
                out.push_str(fraction);
            }
        }
        _ => {
            let _ = write!(out, "0.{digits:0>scale$}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_is_kept() {
        let cases = [
            ("150", 2, "1.50"),
            ("-1", 3, "-0.001"),
            ("100", 3, "0.100"),
            ("0", 2, "0.00"),
            ("7", 0, "7"),
            ("0", 10, "0E-10"),
            ("1", 10, "1E-10"),
            ("-1234", 10, "-1.234E-7"),
            ("12340000", 10, "0.0012340000"),
            ("123", -2, "1.23E+4"),
        ];
        for (digits, scale, expected) in cases {
            let mut out = String::new();
            decimal(&mut out, digits, scale);
            assert_eq!(out, expected, "{digits} at scale {scale}");
        }
    }
}
