//! Folder names → dataset names, so that no two folders ever share a name.
//!
//! A name of letters, digits, `-`, `_` and `.` is kept. Every other byte is written `_xHH` with two upper-case
//! hexadecimal digits; so are a `-` or `.` at either end and the second of `--` or `..`. Where a folder name itself
//! reads like `_xHH`, its `_` becomes `_x5F`, which makes the rule reversible. Bytes are taken as they are: `é` in
//! composed and decomposed form, `Wine` and `wine`, are different names. What exceeds 96 characters is cut at 77, and
//! `_h` with 16 digits of the SHA-256 of the folder name is appended.

use belvedere_domain::DatasetName;
use sha2::{Digest, Sha256};

const MAX_LENGTH: usize = 96;

/// The last part of the name of the dataset that a folder or file holds.
pub fn base_name(folder_name: &[u8]) -> String {
    let mut name = String::with_capacity(folder_name.len());
    for (at, &byte) in folder_name.iter().enumerate() {
        let at_end = at == 0 || at + 1 == folder_name.len();
        let keep = match byte {
            b'_' => !reads_like_an_escape(&folder_name[at..]),
            b'-' | b'.' => !at_end && folder_name[at - 1] != byte,
            byte => byte.is_ascii_alphanumeric(),
        };
        if keep {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("_x{byte:02X}"));
        }
    }
    if name.len() > MAX_LENGTH {
        name.truncate(77);
        name.push_str("_h");
        name.push_str(&hex::encode(&Sha256::digest(folder_name)[..8]));
    }
    name
}

/// The dataset of a folder in a namespace; `None` when the namespace is not legal or the folder has no name.
pub(crate) fn dataset_name(namespace: &str, folder_name: &[u8]) -> Option<DatasetName> {
    DatasetName::new(format!("{namespace}/{}", base_name(folder_name))).ok()
}

fn reads_like_an_escape(bytes: &[u8]) -> bool {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
    bytes.get(1) == Some(&b'x') && bytes.get(2).is_some_and(is_digit) && bytes.get(3).is_some_and(is_digit)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// The inverse, for names that were not cut.
    fn folder_name(name: &str) -> Vec<u8> {
        let bytes = name.as_bytes();
        let mut folder = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            if bytes[at] == b'_' && reads_like_an_escape(&bytes[at..]) {
                folder.push(u8::from_str_radix(&name[at + 2..at + 4], 16).expect("two digits"));
                at += 4;
            } else {
                folder.push(bytes[at]);
                at += 1;
            }
        }
        folder
    }

    #[test]
    fn legal_names_are_kept() {
        for name in ["wine", "Wine-2_b.csv", "a_x", "a_xyz", "a_x2f"] {
            assert_eq!(base_name(name.as_bytes()), name);
        }
    }

    #[test]
    fn other_names_are_escaped_into_legal_and_different_ones() {
        let folders: Vec<&[u8]> = vec![
            b"my set",
            b"my_x20set",
            b"my_x5Fx20set",
            b"a--b",
            b"a-_x2Db",
            b"a..b",
            b"-a",
            b"a-",
            b"a.",
            b".a",
            b"--",
            b"a---b",
            "é".as_bytes(),
            "e\u{301}".as_bytes(),
            b"\xff\xfe",
            b"Wine",
            b"wine",
            b"_",
            b"__x20",
            b"__ ",
            b"a/b",
            b"100%",
            b"?",
        ];
        let mut seen = HashSet::new();
        for folder in folders {
            let name = base_name(folder);
            assert!(DatasetName::new(format!("local/{name}")).is_ok(), "{name}");
            assert_eq!(folder_name(&name), folder, "{name} can be read back");
            assert!(seen.insert(name.clone()), "{name} is taken twice");
        }
        assert_eq!(base_name(b"my set"), "my_x20set");
        assert_eq!(base_name("é".as_bytes()), "_xC3_xA9");
    }

    #[test]
    fn long_names_are_cut_and_told_apart_by_a_digest() {
        let [a, b] = ["a", "b"].map(|end| base_name(format!("{}{end}", "x".repeat(200)).as_bytes()));
        assert_eq!((a.len(), b.len()), (95, 95));
        assert_ne!(a, b);
        let cut_inside_an_escape = base_name("é".repeat(100).as_bytes());
        assert!(DatasetName::new(format!("local/{cut_inside_an_escape}")).is_ok());
    }
}
