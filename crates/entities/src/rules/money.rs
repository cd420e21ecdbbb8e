//! Cards, accounts and wallets.

use super::{Edges, Near, Rule, has_one_separator, whole};
use crate::EntityType;
use crate::checksums::{base58_check, digits, is_repeated, luhn, mod_97, segwit};

pub(super) const RULES: &[Rule] = &[
    Rule {
        entity: EntityType::CreditCard,
        pattern: r"[0-9]{13,19}|[0-9]{4}[ -][0-9]{4}[ -][0-9]{4}[ -][0-9]{4}(?:[ -][0-9]{3})?|[0-9]{4}[ -][0-9]{6}[ -][0-9]{4,5}",
        edges: Edges::Number,
        near: Near::Nothing,
        check: credit_card,
    },
    Rule {
        entity: EntityType::IbanCode,
        pattern: r"[A-Z]{2}[0-9]{2}(?:[A-Z0-9]{11,30}|(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,4})?)",
        edges: Edges::Word,
        near: Near::Nothing,
        check: iban,
    },
    Rule {
        entity: EntityType::Crypto,
        pattern: r"[13][a-km-zA-HJ-NP-Z1-9]{25,34}",
        edges: Edges::Word,
        near: Near::Nothing,
        check: |text| {
            whole(text, base58_check(text).is_some_and(|bytes| bytes.len() == 21 && matches!(bytes[0], 0 | 5)))
        },
    },
    Rule {
        entity: EntityType::Crypto,
        pattern: r"bc1[02-9ac-hj-np-z]{11,71}|BC1[02-9AC-HJ-NP-Z]{11,71}",
        edges: Edges::Word,
        near: Near::Nothing,
        check: |text| whole(text, segwit(text, "bc")),
    },
];

/// A number that an issuer of cards could have given, with its check digit. Of numbers that begin like one, one in ten
/// passes.
fn credit_card(text: &str) -> Option<usize> {
    let digits = digits(text);
    let prefix = |length: usize| digits[..length].iter().fold(0, |number, digit| number * 10 + digit);
    // ISO/IEC 7812 and the ranges that the issuers publish.
    let is_issued = match (prefix(4), digits.len()) {
        // Visa.
        (4000..=4999, 13 | 16) => true,
        // Mastercard.
        (5100..=5599 | 2221..=2720, 16) => true,
        // American Express.
        (3400..=3499 | 3700..=3799, 15) => true,
        // Diners Club.
        (3000..=3059 | 3095 | 3600..=3699 | 3800..=3999, 14) => true,
        // Discover, JCB.
        (6011 | 6440..=6599 | 3528..=3589, 16) => true,
        // UnionPay.
        (6200..=6299, 16..=19) => true,
        // Maestro, Dankort.
        (5018..=5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763, 16..=19) => true,
        _ => false,
    };
    whole(text, is_issued && has_one_separator(text) && !is_repeated(&digits) && luhn(&digits))
}

/// Lengths of accounts by country, from the registry of SWIFT.
const IBAN_LENGTHS: &str = "\
    AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 \
    ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 \
    LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 \
    QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30";

/// As many characters as accounts of the country have; a word in capitals after it may have been taken along.
fn iban(text: &str) -> Option<usize> {
    let length = IBAN_LENGTHS.split(' ').find_map(|entry| entry.strip_prefix(&text[..2]))?.parse().ok()?;
    let account: Vec<(usize, u8)> = text.bytes().enumerate().filter(|(_, byte)| *byte != b' ').take(length).collect();
    let end = account.last()?.0 + 1;
    let bytes: Vec<u8> = account.iter().map(|(_, byte)| *byte).collect();
    (bytes.len() == length && mod_97(&bytes)).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_all, assert_none};

    #[test]
    fn cards_have_an_issuer_a_length_and_a_check_digit() {
        // Numbers that payment services publish for tests.
        assert_all(
            "CREDIT_CARD",
            "",
            &[
                "4111111111111111",
                "4012-8888-8888-1881",
                "4222222222222",
                "5555 5555 5555 4444",
                "2223003122003222",
                "378282246310005",
                "3714 496353 98431",
                "30569309025904",
                "6011111111111117",
                "3530111333300000",
                "6200000000000005",
                "5019717010103742",
            ],
        );
        assert_none(
            "CREDIT_CARD",
            "credit card",
            &[
                "4111111111111112",
                "4012-8888 8888-1881",
                "411111111111111",
                "4111-1111-1111-1111-1",
                "x4111111111111111",
                "0.4111111111111111",
                "0000000000000000",
                "4444444444444444",
                "1700000000000",
                "1234567812345670",
            ],
        );
    }

    #[test]
    fn accounts_have_the_length_of_their_country() {
        // Examples of the registry.
        assert_all(
            "IBAN_CODE",
            "",
            &[
                "GB82 WEST 1234 5698 7654 32",
                "GB82WEST12345698765432",
                "DE89370400440532013000",
                "BE68 5390 0754 7034",
                "NO93 8601 1117 947",
                "MT84MALT011000012345MTLCAST001S",
                "SC18SSCB11010000000000001497USD",
                "FR14 2004 1010 0505 0001 3M02 606",
            ],
        );
        assert_eq!(super::iban("BE68 5390 0754 7034 PAID"), Some("BE68 5390 0754 7034".len()));
        assert_none(
            "IBAN_CODE",
            "iban",
            &[
                "GB82 WEST 1234 5698 7654 33",
                "GB82WEST1234569876543",
                "ZZ82WEST12345698765432",
                "gb82west12345698765432",
            ],
        );
    }

    #[test]
    fn wallets_carry_a_hash() {
        assert_all(
            "CRYPTO",
            "",
            &[
                "16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ",
                "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy",
                "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
                "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
            ],
        );
        assert_none(
            "CRYPTO",
            "bitcoin",
            &[
                "16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ2",
                "1BoatSLRHtKNngkdXEeobR76b53LETtpyZ",
                "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
            ],
        );
    }
}
