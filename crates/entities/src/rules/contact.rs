//! How somebody is reached: mail and telephone.

use super::{Edges, Near, Rule, has_one_separator, whole};
use crate::EntityType;
use crate::checksums::{digits, is_repeated};

const PHONE_WORDS: &[&str] =
    &["phone", "telephone", "tel", "mobile", "cell", "cellphone", "fax", "whatsapp", "sms", "call", "hotline", "handy"];

pub(super) const RULES: &[Rule] = &[
    Rule {
        entity: EntityType::EmailAddress,
        pattern: r"[A-Za-z0-9_](?:[A-Za-z0-9._%+'-]{0,62}[A-Za-z0-9_+-])?@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}",
        edges: Edges::Word,
        near: Near::Nothing,
        check: email,
    },
    Rule {
        entity: EntityType::PhoneNumber,
        pattern: r"\+[1-9][0-9]{0,2}[ .-]?(?:\([0-9]{1,4}\)[ .-]?)?[0-9]{1,4}(?:[ .-]?[0-9]{1,4}){1,5}",
        edges: Edges::Number,
        near: Near::Nothing,
        check: |text| whole(text, is_international(text)),
    },
    Rule {
        entity: EntityType::PhoneNumber,
        pattern: r"\([2-9][0-9]{2}\) ?[2-9][0-9]{2}[ .-][0-9]{4}",
        edges: Edges::Number,
        near: Near::Nothing,
        check: |text| whole(text, is_north_american(&digits(text))),
    },
    Rule {
        entity: EntityType::PhoneNumber,
        pattern: r"(?:[0-9]{1,5}|\([0-9]{2,5}\))(?:[ .-]?[0-9]{1,5}){1,4}",
        edges: Edges::Number,
        near: Near::Words(PHONE_WORDS),
        check: |text| whole(text, is_national(text)),
    },
];

/// Ends of names of files that look like addresses: `icon@2x.png`.
const FILES: &[&str] = &["png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "html", "json", "txt", "pdf", "py"];

fn email(text: &str) -> Option<usize> {
    let (name, domain) = text.split_once('@')?;
    let (_, top) = domain.rsplit_once('.')?;
    let is_label = |label: &str| !label.starts_with('-') && !label.ends_with('-');
    let is_good = !name.contains("..")
        && !FILES.contains(&top.to_ascii_lowercase().as_str())
        && domain.split('.').all(is_label)
        && domain.len() <= 253;
    whole(text, is_good)
}

/// Codes of countries in use, by the plan of the ITU (E.164), without the `+`.
const COUNTRY_CODES: &str = "\
    1 20 211 212 213 216 218 22 23 24 25 26 27 290 291 297 298 299 30 31 32 33 34 350 351 352 353 354 355 356 357 \
    358 359 36 370 371 372 373 374 375 376 377 378 380 381 382 383 385 386 387 389 39 40 41 420 421 423 43 44 45 46 \
    47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64 65 66 67 68 690 691 692 7 81 82 84 850 852 853 855 856 86 \
    880 886 90 91 92 93 94 95 960 961 962 963 964 965 966 967 968 970 971 972 973 974 975 976 977 98 992 993 994 995 \
    996 998";

/// `+`, the code of a country, and together 8 to 15 digits.
fn is_international(text: &str) -> bool {
    let digits = digits(text);
    let plain: String = text.chars().filter(char::is_ascii_digit).collect();
    let is_known = COUNTRY_CODES.split(' ').any(|code| plain.starts_with(code));
    let is_american = plain.starts_with('1');
    is_known
        && (8..=15).contains(&digits.len())
        && !is_repeated(&digits[2..])
        && (!is_american || is_north_american(&digits[1..]))
}

/// Area and exchange of the North American plan: neither begins with 0 or 1, nor ends with 11.
fn is_north_american(digits: &[u32]) -> bool {
    let is_part = |part: &[u32]| part[0] >= 2 && (part[1], part[2]) != (1, 1);
    digits.len() == 10 && is_part(&digits[..3]) && is_part(&digits[3..6])
}

/// 7 to 15 digits that are not a date. Only a word makes such a number one to call.
fn is_national(text: &str) -> bool {
    let digits = digits(text);
    let dashes: Vec<&str> = text.split(['-', '.']).collect();
    let is_date =
        dashes.len() == 3 && digits.len() == 8 && dashes.iter().any(|part| part.len() == 4) && has_one_separator(text);
    (7..=15).contains(&digits.len()) && !is_date && !is_repeated(&digits)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_all, assert_none, types};

    #[test]
    fn addresses_have_a_name_and_a_domain() {
        assert_all(
            "EMAIL_ADDRESS",
            "",
            &["info@presidio.site", "o'neil+list@mail.example.co.uk", "a@b.io", "x_y-z@sub.domain.museum"],
        );
        assert_none(
            "EMAIL_ADDRESS",
            "email",
            &[
                "info@presidio.",
                "@example.org",
                "icon@2x.png",
                "a@localhost",
                "a@-b.org",
                "user @ example.org",
                "a..@b",
            ],
        );
        assert_eq!(types("<jo@example.org>,(mia@example.org)."), ["EMAIL_ADDRESS", "EMAIL_ADDRESS"]);
    }

    #[test]
    fn telephones_with_a_country_count_by_themselves() {
        assert_all(
            "PHONE_NUMBER",
            "",
            &[
                "+1 212-456-7890",
                "+12124567890",
                "+44 20 7946 0958",
                "+49 (30) 901820",
                "+91-9876-543210",
                "+972 2-123-4567",
                "(212) 456-7890",
            ],
        );
        assert_none(
            "PHONE_NUMBER",
            "",
            &[
                "+1 112-456-7890",
                "+1 211-456-7890",
                "+999 123 456 789",
                "+44 20",
                "212-456-7890",
                "2124567890",
                "(112) 456-7890",
            ],
        );
    }

    #[test]
    fn other_telephones_need_a_word() {
        assert_all(
            "PHONE_NUMBER",
            "phone:",
            &["212-456-7890", "2124567890", "020 7946 0958", "(030) 901820", "555.456.7890", "456-7890"],
        );
        assert_none(
            "PHONE_NUMBER",
            "call on",
            &["2024-05-01", "01.05.2024", "12345", "0000000000", "1234567890123456789"],
        );
        assert_eq!(types("He weighs 212-456-7890"), Vec::<&str>::new());
    }
}
