//! The checks that numbers carry.

use sha2::{Digest, Sha256};

/// The digits of a text, all else left out.
pub(crate) fn digits(text: &str) -> Vec<u32> {
    text.chars().filter_map(|c| c.to_digit(10)).collect()
}

/// Each digit by its weight, added up.
pub(crate) fn weighted(digits: &[u32], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(digit, weight)| digit * weight).sum()
}

/// True if all digits are the same one.
pub(crate) fn is_repeated(digits: &[u32]) -> bool {
    digits.windows(2).all(|pair| pair[0] == pair[1])
}

/// The check of payment cards (ISO/IEC 7812, annex B).
pub(crate) fn luhn(digits: &[u32]) -> bool {
    let doubled = |digit: u32| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let value = |(place, &digit): (usize, &u32)| if place % 2 == 1 { doubled(digit) } else { digit };
    !digits.is_empty() && digits.iter().rev().enumerate().map(value).sum::<u32>().is_multiple_of(10)
}

/// The check of J. Verhoeff, which India's resident numbers carry: multiplication in the group of the pentagon.
pub(crate) fn verhoeff(digits: &[u32]) -> bool {
    const PERMUTATION: [u32; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let multiply = |a: u32, b: u32| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => 5 + (a + b - 5) % 5,
        (false, true) => 5 + (a - 5 + 5 - b) % 5,
        (false, false) => (a - 5 + 5 - (b - 5)) % 5,
    };
    let permuted = |place: usize, digit: u32| (0..place % 8).fold(digit, |digit, _| PERMUTATION[digit as usize]);
    digits.iter().rev().enumerate().fold(0, |check, (place, &digit)| multiply(check, permuted(place, digit))) == 0
}

/// The check of ISO 7064, MOD 97-10, on letters and digits, the first four of them taken last: that of bank accounts.
pub(crate) fn mod_97(characters: &[u8]) -> bool {
    let (head, tail) = characters.split_at(characters.len().min(4));
    let step = |rest: u32, &c: &u8| match c {
        b'0'..=b'9' => (rest * 10 + u32::from(c - b'0')) % 97,
        // A is 10, Z is 35.
        _ => (rest * 100 + u32::from(c.to_ascii_uppercase().saturating_sub(b'A')) + 10) % 97,
    };
    tail.iter().chain(head).fold(0, step) == 1
}

/// The bytes behind a text in base 58 with a check of four bytes (Bitcoin); `None` when it does not fit.
pub(crate) fn base58_check(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut bytes: Vec<u8> = Vec::new(); // The last byte first.
    for c in text.bytes() {
        let mut carry = ALPHABET.iter().position(|&known| known == c)?;
        for byte in &mut bytes {
            carry += usize::from(*byte) * 58;
            *byte = (carry % 256) as u8;
            carry /= 256;
        }
        while carry > 0 {
            bytes.push((carry % 256) as u8);
            carry /= 256;
        }
    }
    bytes.extend(text.bytes().take_while(|&c| c == b'1').map(|_| 0));
    bytes.reverse();
    let (payload, check) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
    (Sha256::digest(Sha256::digest(payload))[..4] == *check).then(|| payload.to_vec())
}

/// True for a SegWit address (BIP 173 and 350) of the chain whose prefix is given, in one case.
pub(crate) fn segwit(text: &str, prefix: &str) -> bool {
    const ALPHABET: &str = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let lower = text.to_ascii_lowercase();
    if text != lower && text != text.to_ascii_uppercase() {
        return false;
    }
    let Some(data) = lower.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('1')) else { return false };
    let value = |c: char| ALPHABET.find(c).map(|at| at as u32);
    let Some(values) = data.chars().map(value).collect::<Option<Vec<u32>>>() else { return false };
    let step = |check: u32, value: u32| {
        let folded = (check & 0x01ff_ffff) << 5 ^ value;
        let bits = GENERATOR.iter().enumerate().filter(|(bit, _)| (check >> 25) >> bit & 1 == 1);
        bits.fold(folded, |check, (_, generator)| check ^ generator)
    };
    let head = prefix.bytes().map(|c| u32::from(c) >> 5);
    let tail = prefix.bytes().map(|c| u32::from(c) & 31);
    let check = head.chain([0]).chain(tail).chain(values.iter().copied()).fold(1, step);
    // Five bits each: the version, the program, six for the check. Version 0 has one constant, later ones another.
    let program_bits = values.len().saturating_sub(7) * 5;
    let program_bytes = program_bits / 8;
    match (values.first(), check) {
        (Some(0), 1) => program_bytes == 20 || program_bytes == 32,
        (Some(1..=16), 0x2bc8_30a3) => (2..=40).contains(&program_bytes),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_hold_for_published_numbers_and_break_with_any_digit() {
        type Case = (fn(&[u32]) -> bool, &'static str);
        let cases: [Case; 4] =
            [(luhn, "4111111111111111"), (luhn, "378282246310005"), (verhoeff, "2363"), (verhoeff, "312345678909")];
        for (check, number) in cases {
            let good = digits(number);
            assert!(check(&good), "{number}");
            for place in 0..good.len() {
                let mut bad = good.clone();
                bad[place] = (bad[place] + 3) % 10;
                assert!(!check(&bad), "{bad:?}");
            }
        }
        assert!(!luhn(&[]));
        // Neighbours that changed places are found too.
        assert!(!verhoeff(&digits("132345678909")));
    }

    #[test]
    fn accounts_pass_mod_97() {
        assert!(mod_97(b"GB82WEST12345698765432"));
        assert!(!mod_97(b"GB82WEST12345698765423"));
        assert!(!mod_97(b""));
    }

    #[test]
    fn wallets_carry_their_hash() {
        // The first address ever, and one of a script.
        assert_eq!(base58_check("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa").map(|bytes| bytes.len()), Some(21));
        assert_eq!(base58_check("3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy").map(|bytes| bytes[0]), Some(5));
        assert_eq!(base58_check("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb"), None);
        assert_eq!(base58_check("0"), None);
        assert_eq!(base58_check(""), None);
        // Examples of BIP 173 and BIP 350.
        for good in [
            "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
            "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y",
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
        ] {
            assert!(segwit(good, "bc"), "{good}");
        }
        for bad in [
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kV8F3T4",
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",
            "bc10w508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kw5rljs90",
            "bc1",
            "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx",
        ] {
            assert!(!segwit(bad, "bc"), "{bad}");
        }
    }
}
