//! Numbers of the United Kingdom and of Singapore.

use super::{Edges, Near, Rule, has_one_separator, whole};
use crate::EntityType;
use crate::checksums::{digits, is_repeated, weighted};

pub(super) const RULES: &[Rule] = &[
    Rule {
        entity: EntityType::UkNhs,
        // Telephones are written alike, and one number in eleven has the right check digit.
        pattern: r"[0-9]{3}[- ]?[0-9]{3}[- ]?[0-9]{4}",
        edges: Edges::Number,
        near: Near::Words(&["nhs", "national health", "national health service", "health service"]),
        check: |text| whole(text, has_one_separator(text) && is_nhs(&digits(text))),
    },
    Rule {
        entity: EntityType::SgNricFin,
        pattern: r"[STFGM][0-9]{7}[A-Z]",
        edges: Edges::Word,
        near: Near::Nothing,
        check: |text| whole(text, is_nric(text.as_bytes())),
    },
];

/// Weights 10 to 1 add up to a multiple of 11.
fn is_nhs(digits: &[u32]) -> bool {
    weighted(digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11) && !is_repeated(digits)
}

/// The last letter follows from the digits and the first letter.
fn is_nric(text: &[u8]) -> bool {
    let digits: Vec<u32> = text[1..8].iter().map(|digit| u32::from(digit - b'0')).collect();
    let (added, letters) = match text[0] {
        b'S' => (0, b"JZIHGFEDCBA"),
        b'T' => (4, b"JZIHGFEDCBA"),
        b'F' => (0, b"XWUTRQPNMLK"),
        b'G' => (4, b"XWUTRQPNMLK"),
        _ => (3, b"XWUTRQPNJLK"),
    };
    let rest = (weighted(&digits, &[2, 7, 6, 5, 4, 3, 2]) + added) % 11;
    letters[rest as usize] == text[8]
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_all, assert_none, types};

    #[test]
    fn patients_have_a_check_digit_and_a_word() {
        assert_all("UK_NHS", "NHS", &["401-023-2137", "221 395 1837", "0032698674", "943 476 5919"]);
        assert_none("UK_NHS", "nhs", &["401-023-2138", "401 023-2137", "40102321", "1111111111"]);
        assert_eq!(types("943 476 5919"), Vec::<&str>::new());
    }

    #[test]
    fn residents_of_singapore_have_a_check_letter() {
        assert_all("SG_NRIC_FIN", "", &["S2740116C", "S0000001I", "T0000001E", "F1234567N", "G1122144R", "M4332674T"]);
        assert_none("SG_NRIC_FIN", "nric", &["S2740116D", "S274116C", "A2740116C", "s2740116c", "XS2740116C"]);
    }
}
