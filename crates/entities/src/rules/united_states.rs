//! Numbers of the United States. Most have no check digit: a word beside them makes them what they are.

use super::{Edges, Near, Rule, has_one_separator, whole};
use crate::EntityType;
use crate::checksums::{digits, is_repeated, weighted};

pub(super) const RULES: &[Rule] = &[
    Rule {
        entity: EntityType::UsSsn,
        pattern: r"[0-9]{3}[- .]?[0-9]{2}[- .]?[0-9]{4}",
        edges: Edges::Number,
        near: Near::Words(&["ssn", "social security", "socialsecurity", "social security number"]),
        check: |text| whole(text, has_one_separator(text) && is_ssn(&digits(text))),
    },
    Rule {
        entity: EntityType::UsItin,
        pattern: r"9[0-9]{2}[- ]?[0-9]{2}[- ]?[0-9]{4}",
        edges: Edges::Number,
        near: Near::Words(&["itin", "taxpayer", "tax payer", "tax id", "taxid", "tin"]),
        check: |text| whole(text, has_one_separator(text) && is_itin(&digits(text))),
    },
    Rule {
        entity: EntityType::UsPassport,
        pattern: r"[A-Z]?[0-9]{8,9}",
        edges: Edges::Number,
        near: Near::Words(&["passport", "travel document"]),
        check: |text| whole(text, text.len() == 9),
    },
    Rule {
        entity: EntityType::UsDriverLicense,
        pattern: r"[A-Z]{1,2}[0-9]{3,14}[A-Z]?|[0-9]{2}[A-Z]{3}[0-9]{5,6}|[0-9]{3}[A-Z]{2}[0-9]{4}|[0-9]{6,16}[A-Z]{0,2}",
        edges: Edges::Number,
        near: Near::Words(&[
            "driver license",
            "driver licence",
            "driver s license",
            "driver s licence",
            "driving license",
            "driving licence",
            "dl",
        ]),
        check: |text| whole(text, !is_repeated(&digits(text))),
    },
    Rule {
        entity: EntityType::UsBankNumber,
        pattern: r"[0-9]{8,17}",
        edges: Edges::Number,
        near: Near::Words(&[
            "bank",
            "bank account",
            "account number",
            "account no",
            "acct",
            "checking account",
            "savings account",
        ]),
        check: |text| whole(text, !is_repeated(&digits(text))),
    },
    Rule {
        entity: EntityType::MedicalLicense,
        pattern: r"[ABCDEFGHJKLMPRSTUX][A-Z9][0-9]{7}",
        edges: Edges::Number,
        near: Near::Words(&["dea", "medical license", "medical licence", "medical certificate", "prescriber"]),
        check: |text| whole(text, is_dea(&digits(&text[2..]))),
    },
];

/// Area, group and serial that are given out, and not one of those that advertisements have shown.
fn is_ssn(digits: &[u32]) -> bool {
    const SHOWN: [[u32; 9]; 3] =
        [[0, 7, 8, 0, 5, 1, 1, 2, 0], [2, 1, 9, 0, 9, 9, 9, 9, 9], [1, 2, 3, 4, 5, 6, 7, 8, 9]];
    let (area, group, serial) = (&digits[..3], &digits[3..5], &digits[5..]);
    let is_zero = |part: &[u32]| part.iter().all(|digit| *digit == 0);
    !is_zero(area)
        && area != [6, 6, 6]
        && area[0] != 9
        && !is_zero(group)
        && !is_zero(serial)
        && !is_repeated(digits)
        && SHOWN.iter().all(|shown| shown != digits)
}

/// The fourth and fifth digit are in the ranges of the tax office.
fn is_itin(digits: &[u32]) -> bool {
    matches!(digits[3] * 10 + digits[4], 50..=65 | 70..=88 | 90..=92 | 94..=99)
}

/// The check digit of the drug administration.
fn is_dea(digits: &[u32]) -> bool {
    weighted(digits, &[1, 2, 1, 2, 1, 2]) % 10 == digits[6]
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_all, assert_none, types};

    #[test]
    fn social_security_numbers_are_those_given_out() {
        assert_all("US_SSN", "SSN", &["078-05-1121", "536-90-4399", "536 90 4399", "536904399"]);
        assert_all("US_SSN", "Social Security Number:", &["536-90-4399"]);
        assert_none(
            "US_SSN",
            "ssn",
            &[
                "078-05-1120",
                "000-12-3456",
                "666-12-3456",
                "900-12-3456",
                "536-00-4399",
                "536-90-0000",
                "536-90 4399",
                "1536-90-4399",
            ],
        );
        assert_eq!(types("part 536-90-4399"), Vec::<&str>::new());
    }

    #[test]
    fn taxpayer_numbers_are_in_their_ranges() {
        assert_all("US_ITIN", "itin", &["911-70-1234", "911701234", "999 50 1234"]);
        assert_none("US_ITIN", "itin", &["911-89-1234", "911-93-1234", "911-49-1234", "811-70-1234"]);
    }

    #[test]
    fn documents_and_accounts_need_their_word() {
        assert_all("US_PASSPORT", "Passport no.", &["912803456", "A12803456"]);
        assert_none("US_PASSPORT", "passport", &["91280345", "AB2803456", "A128034567"]);
        assert_all("US_DRIVER_LICENSE", "her driver's license is", &["H12234567", "AA123", "99ABC12345"]);
        assert_none("US_DRIVER_LICENSE", "driver's license", &["12345", "00000000", "H1"]);
        assert_all("US_BANK_NUMBER", "bank account", &["945456787654", "94545678"]);
        assert_none("US_BANK_NUMBER", "bank", &["1234567", "00000000", "945456787654123456"]);
        for text in ["912803456", "H12234567", "945456787654"] {
            assert_eq!(types(text), Vec::<&str>::new());
        }
    }

    #[test]
    fn medical_licenses_have_a_check_digit() {
        assert_all("MEDICAL_LICENSE", "DEA", &["BB1388568", "F91234563"]);
        assert_none("MEDICAL_LICENSE", "dea", &["BB1388569", "NB1388568", "BB138856"]);
    }
}
