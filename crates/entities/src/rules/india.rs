//! Numbers of India.

use super::{Edges, Near, Rule, has_one_separator, whole};
use crate::EntityType;
use crate::checksums::{digits, verhoeff};

pub(super) const RULES: &[Rule] = &[
    Rule {
        entity: EntityType::InPan,
        // The fourth letter tells what kind of taxpayer it is.
        pattern: r"[A-Z]{3}[ABCFGHJLPT][A-Z][0-9]{4}[A-Z]",
        edges: Edges::Word,
        near: Near::Nothing,
        check: |text| whole(text, &text[5..9] != "0000"),
    },
    Rule {
        entity: EntityType::InAadhaar,
        pattern: r"[2-9][0-9]{3}[ -][0-9]{4}[ -][0-9]{4}",
        edges: Edges::Groups,
        near: Near::Nothing,
        check: |text| whole(text, has_one_separator(text) && is_aadhaar(&digits(text))),
    },
    Rule {
        entity: EntityType::InAadhaar,
        pattern: r"[2-9][0-9]{11}",
        edges: Edges::Number,
        near: Near::Words(&["aadhaar", "aadhar", "uidai", "uid"]),
        check: |text| whole(text, is_aadhaar(&digits(text))),
    },
    Rule {
        entity: EntityType::InVehicleRegistration,
        pattern: r"[A-Z]{2}(?:-[0-9]{1,2}-[A-Z]{1,3}-|[0-9]{1,2}[A-Z]{1,3})[0-9]{4}",
        edges: Edges::Word,
        near: Near::Nothing,
        check: |text| whole(text, is_registration(text)),
    },
    Rule {
        entity: EntityType::InVehicleRegistration,
        // In capitals, `UP 10 AND 2020` looks the same.
        pattern: r"[A-Z]{2} [0-9]{1,2} [A-Z]{1,3} [0-9]{4}",
        edges: Edges::Word,
        near: Near::Words(&["vehicle", "registration", "plate", "car", "bike", "truck"]),
        check: |text| whole(text, is_registration(text)),
    },
];

/// The check of Verhoeff, and not the same from behind: such numbers are not given out.
fn is_aadhaar(digits: &[u32]) -> bool {
    verhoeff(digits) && !digits.iter().eq(digits.iter().rev())
}

/// Codes of states and territories on plates.
const STATES: &[&str] = &[
    "AN", "AP", "AR", "AS", "BR", "CG", "CH", "DD", "DL", "DN", "GA", "GJ", "HP", "HR", "JH", "JK", "KA", "KL", "LA",
    "LD", "MH", "ML", "MN", "MP", "MZ", "NL", "OD", "OR", "PB", "PY", "RJ", "SK", "TN", "TR", "TS", "UA", "UK", "UP",
    "WB",
];

/// A state, a district and a number that is not zero.
fn is_registration(text: &str) -> bool {
    let rest = text[2..].trim_start_matches([' ', '-']);
    let district = rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse::<u32>().ok());
    STATES.contains(&&text[..2]) && district.is_some_and(|number| number > 0) && !text.ends_with("0000")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_all, assert_none, types};

    #[test]
    fn taxpayers_have_a_kind() {
        assert_all("IN_PAN", "", &["ABCPD1234Z", "AAACA1111R"]);
        assert_none("IN_PAN", "pan", &["ABCDD1234Z", "ABCPD12345", "abcpd1234z", "ABCPD0000Z"]);
    }

    #[test]
    fn residents_of_india_have_a_check_digit() {
        assert_all("IN_AADHAAR", "", &["3123 4567 8909", "3998-7654-3211"]);
        assert_all("IN_AADHAAR", "Aadhaar", &["312345678909", "399876543211"]);
        assert_none("IN_AADHAAR", "aadhaar", &["3123 4567 8908", "1123 4567 8909", "3123-4567 8909", "312345678999"]);
        assert_eq!(types("312345678909"), Vec::<&str>::new());
    }

    #[test]
    fn plates_name_a_state() {
        assert_all("IN_VEHICLE_REGISTRATION", "", &["KA53ME3456", "DL3CJI0001", "MH-12-AB-1234"]);
        assert_all("IN_VEHICLE_REGISTRATION", "vehicle", &["MH 12 AB 1234"]);
        assert_none(
            "IN_VEHICLE_REGISTRATION",
            "vehicle",
            &["ZZ53ME3456", "KA00ME3456", "KA53ME0000", "KA53ME345", "MN2412"],
        );
        assert_eq!(types("UP 10 AND 2020"), Vec::<&str>::new());
    }
}
