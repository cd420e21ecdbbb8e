//! Numbers of Australia. A check digit lets one number in ten pass, so that only those count by themselves which are
//! written in groups that nothing else has.

use super::{Edges, Near, Rule, has_one_separator, whole};
use crate::EntityType;
use crate::checksums::{digits, weighted};

pub(super) const RULES: &[Rule] = &[
    Rule {
        entity: EntityType::AuAbn,
        pattern: r"[0-9]{2} [0-9]{3} [0-9]{3} [0-9]{3}",
        edges: Edges::Groups,
        near: Near::Nothing,
        check: |text| whole(text, is_abn(&digits(text))),
    },
    Rule {
        entity: EntityType::AuAbn,
        pattern: r"[0-9]{11}",
        edges: Edges::Number,
        near: Near::Words(&["abn", "australian business number", "business number"]),
        check: |text| whole(text, is_abn(&digits(text))),
    },
    Rule {
        entity: EntityType::AuAcn,
        pattern: r"[0-9]{3}[- ]?[0-9]{3}[- ]?[0-9]{3}",
        edges: Edges::Number,
        near: Near::Words(&["acn", "australian company number", "company number"]),
        check: |text| whole(text, has_one_separator(text) && is_acn(&digits(text))),
    },
    Rule {
        entity: EntityType::AuTfn,
        pattern: r"[0-9]{3}[- ]?[0-9]{3}[- ]?[0-9]{3}",
        edges: Edges::Number,
        near: Near::Words(&["tfn", "tax file", "tax file number"]),
        check: |text| whole(text, has_one_separator(text) && is_tfn(&digits(text))),
    },
    Rule {
        entity: EntityType::AuMedicare,
        pattern: r"[2-6][0-9]{3} [0-9]{5} [0-9]",
        edges: Edges::Groups,
        near: Near::Nothing,
        check: |text| whole(text, is_medicare(&digits(text))),
    },
    Rule {
        entity: EntityType::AuMedicare,
        pattern: r"[2-6][0-9]{9}",
        edges: Edges::Number,
        near: Near::Words(&["medicare"]),
        check: |text| whole(text, is_medicare(&digits(text))),
    },
];

/// The register of businesses: the first digit less one, by weights, adds up to a multiple of 89.
fn is_abn(digits: &[u32]) -> bool {
    let sum = weighted(digits, &[10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
    digits[0] > 0 && (sum - 10).is_multiple_of(89)
}

/// The register of companies: the last digit fills the others, by weights, up to a ten.
fn is_acn(digits: &[u32]) -> bool {
    (weighted(digits, &[8, 7, 6, 5, 4, 3, 2, 1]) + digits[8]).is_multiple_of(10)
}

/// The tax office: weights add up to a multiple of 11.
fn is_tfn(digits: &[u32]) -> bool {
    weighted(digits, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11)
}

/// The health insurance: the ninth digit is what the first eight add up to.
fn is_medicare(digits: &[u32]) -> bool {
    weighted(digits, &[1, 3, 7, 9, 1, 3, 7, 9]) % 10 == digits[8]
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_all, assert_none, types};

    #[test]
    fn businesses_and_companies_have_check_digits() {
        assert_all("AU_ABN", "", &["51 824 753 556", "53 004 085 616"]);
        assert_all("AU_ABN", "abn", &["51824753556"]);
        assert_none("AU_ABN", "abn", &["52 824 753 556", "51824753557", "00 824 753 556"]);
        assert_all("AU_ACN", "ACN", &["000 000 019", "005 499 981", "006249976"]);
        assert_none("AU_ACN", "acn", &["824 753 557", "005-499 981"]);
        assert_eq!(types("51824753556, 005 499 981"), Vec::<&str>::new());
    }

    #[test]
    fn people_have_check_digits() {
        assert_all("AU_TFN", "TFN", &["876 543 210", "876543210"]);
        assert_none("AU_TFN", "tfn", &["824 753 557", "876543211"]);
        assert_all("AU_MEDICARE", "", &["2123 45670 1"]);
        assert_all("AU_MEDICARE", "medicare", &["2123456701"]);
        assert_none("AU_MEDICARE", "medicare", &["2123456781", "7123456701"]);
        assert_eq!(types("876 543 210, 2123456701"), Vec::<&str>::new());
    }
}
