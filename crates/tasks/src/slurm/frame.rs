//! The answer of a command between its marks, whatever a login shell says around it.

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Answered {
    /// What the command printed.
    pub(super) output: Vec<u8>,
    /// Its exit code.
    pub(super) code: i32,
}

/// Finds the answer. `None` when a mark is missing: then nobody knows what the command did.
pub(super) fn parse(bytes: &[u8], mark: &str) -> Option<Answered> {
    let begin = format!("\u{1e}BEGIN {mark}\u{1e}");
    let from = find(bytes, begin.as_bytes())? + begin.len();
    let end = format!("\u{1e}END {mark} ");
    let to = from + rfind(&bytes[from..], end.as_bytes())?;
    let rest = &bytes[to + end.len()..];
    let code = rest.split(|byte| *byte == 0x1e).next().filter(|code| code.len() < rest.len())?;
    let code = std::str::from_utf8(code).ok()?.parse().ok()?;
    Some(Answered { output: bytes[from..to].to_vec(), code })
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn rfind(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).rposition(|window| window == what)
}

/// A word for a shell: in single quotes.
pub(super) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// e051 | the login shell of a cluster prints banners and errors around every answer | they are not part of the answer; an answer without its end is no answer
    #[test]
    fn e051_noise_around_an_answer_does_no_harm() {
        let noisy = b"Welcome!\nbash: x: not found\n\x1eBEGIN m1\x1eEND is near\n\x1eEND m1 7\x1elogout\n";
        assert_eq!(parse(noisy, "m1"), Some(Answered { output: b"END is near\n".to_vec(), code: 7 }));
        // Bytes of an artefact may be anything, but they do not know the mark.
        let nested = b"\x1eBEGIN m1\x1e\x1eEND m2 0\x1e\0\xff\x1eEND m1 0\x1e";
        assert_eq!(parse(nested, "m1").unwrap().output, b"\x1eEND m2 0\x1e\0\xff");
        for cut in [&noisy[..20], &noisy[..noisy.len() - 9], b"", b"\x1eBEGIN m1\x1e\x1eEND m1 x\x1e"] {
            assert_eq!(parse(cut, "m1"), None, "{}", String::from_utf8_lossy(cut));
        }
        assert_eq!(parse(noisy, "m2"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        /// A shell sees every word as it was, whatever is in it.
        #[test]
        fn words_reach_a_shell_unchanged(words in proptest::collection::vec("[^\0]{0,20}", 1..4)) {
            let list: Vec<_> = words.iter().map(|word| quoted(word)).collect();
            let script = format!("printf '%s\\0' {}", list.join(" "));
            let output = std::process::Command::new("/bin/sh").args(["-c", &script]).output().unwrap();
            let seen: Vec<_> = output.stdout.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
            let expected: Vec<_> = words.iter().map(|word| word.as_bytes().to_vec()).chain([Vec::new()]).collect();
            prop_assert_eq!(seen, expected);
        }
    }
}
