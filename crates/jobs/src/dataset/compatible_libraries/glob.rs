//! The shortest glob that finds exactly the files of a split.

use belvedere_domain::ErrorCode;
use belvedere_hub::patterns::Pattern;

use crate::job::JobError;

const FIVE_DIGITS: &str = "[0-9][0-9][0-9][0-9][0-9]";
const SEPARATORS: &str = "[-._ 0-9]";
/// Suffixes of compressed files, which stand after that of the format.
const COMPRESSIONS: [&str; 6] = ["gz", "bz2", "xz", "zst", "lz4", "zip"];

/// A path or a glob for `files`, the files of a split, which `patterns` find among all `paths`. A shorter glob must match
/// as many paths as the pattern that it stands for.
///
/// # Errors
/// [`DatasetWithTooComplexDataFilesPatternsError`](ErrorCode::DatasetWithTooComplexDataFilesPatternsError) when it takes
/// several patterns.
pub(super) fn simplest(patterns: &[String], files: &[String], paths: &[&str]) -> Result<String, JobError> {
    if let [file] = files {
        return Ok(file.clone());
    }
    let matches = |pattern: &str| Pattern::new("", pattern).map_or(0, |pattern| pattern.select(paths).len());
    let Some(pattern) = patterns.iter().find(|pattern| matches(pattern) == files.len()) else {
        let message = "the files of a split take several patterns to name, more than one line of code can hold";
        return Err(JobError::fail(ErrorCode::DatasetWithTooComplexDataFilesPatternsError, message));
    };
    let mut glob = pattern.clone();
    let mut keep = |shorter: String| {
        if matches(&shorter) == files.len() {
            glob = shorter;
        }
    };
    // Two stars side by side would mean folders.
    keep(pattern.replace(&format!("{FIVE_DIGITS}*"), "*").replace(FIVE_DIGITS, "*"));
    let mut shorter = glob.clone();
    while let Some(at) = shorter.find(SEPARATORS) {
        let character = separator_of(&shorter[..at], files);
        shorter.replace_range(at..at + SEPARATORS.len(), &character);
    }
    let mut keep = |shorter: String| {
        if matches(&shorter) == files.len() {
            glob = shorter;
        }
    };
    keep(shorter);
    if let Some(suffix) = suffix_of(files) {
        let stem = glob.strip_suffix("*.*").or_else(|| glob.strip_suffix('*')).map(|stem| stem.trim_end_matches('*'));
        if let Some(stem) = stem {
            let tail = match stem {
                // `**` alone finds files in folders too, which `*` would not.
                "" => format!("**/*{suffix}"),
                stem if stem.ends_with('/') && glob.ends_with("**") => format!("{stem}**/*{suffix}"),
                stem => format!("{stem}*{suffix}"),
            };
            if matches(&tail) == files.len() {
                glob = tail;
            }
        }
    }
    Ok(glob)
}

/// The character that stands in the files where a pattern allows several: the one after the literal text before it.
fn separator_of(before: &str, files: &[String]) -> String {
    let literal = before.rsplit(['*', ']', '/']).next().unwrap_or_default();
    let next = |file: &String| {
        let name = file.rsplit('/').next().unwrap_or_default();
        match literal {
            "" => None,
            literal => name.find(literal).and_then(|at| name[at + literal.len()..].chars().next()),
        }
    };
    match files.first().and_then(next) {
        Some(character) if character.is_ascii_digit() => "[0-9]".to_owned(),
        Some(character) if "-._ ".contains(character) => character.to_string(),
        _ => "*".to_owned(),
    }
}

/// `.csv`, `.csv.gz`: the suffix that all files share.
fn suffix_of(files: &[String]) -> Option<String> {
    let suffix = |file: &String| -> Option<String> {
        let name = file.rsplit('/').next()?;
        let (rest, last) = name.rsplit_once('.')?;
        if COMPRESSIONS.contains(&last)
            && let Some((_, inner)) = rest.rsplit_once('.')
        {
            return Some(format!(".{inner}.{last}"));
        }
        Some(format!(".{last}"))
    };
    let first = suffix(files.first()?)?;
    files.iter().all(|file| file.ends_with(&first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(pattern: &str, files: &[&str]) -> String {
        let owned: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
        let all: Vec<&str> = files.iter().copied().chain(["README.md"]).collect();
        simplest(&[pattern.to_owned()], &owned, &all).unwrap()
    }

    #[test]
    fn globs_are_as_short_as_their_files_allow() {
        let sharded = format!("data/train-{FIVE_DIGITS}-of-{FIVE_DIGITS}*.*");
        let files = ["data/train-00000-of-00002.csv", "data/train-00001-of-00002.csv"];
        assert_eq!(short(&sharded, &files), "data/train-*-of-*.csv");
        assert_eq!(short("*.csv", &["a.csv", "b.csv"]), "*.csv");
        assert_eq!(short("**/train[-._ 0-9]*", &["x/train_1.csv.gz", "train_2.csv.gz"]), "**/train_*.csv.gz");
        assert_eq!(short(&sharded, &files[..1]), files[0]);
    }

    #[test]
    fn everything_is_told_by_its_suffix() {
        let files: Vec<String> = vec!["a.parquet".into(), "d/b.parquet".into()];
        let paths = ["a.parquet", "d/b.parquet"];
        assert_eq!(simplest(&["**".into()], &files, &paths).unwrap(), "**/*.parquet");
    }

    #[test]
    fn files_of_several_patterns_are_too_complex() {
        let files: Vec<String> = vec!["train.csv".into(), "training.csv".into()];
        let patterns = ["**/train[-._ 0-9]*".to_owned(), "**/training[-._ 0-9]*".to_owned()];
        let error = simplest(&patterns, &files, &["train.csv", "training.csv"]).unwrap_err();
        let JobError::Fail { code, .. } = error else { panic!("{error}") };
        assert_eq!(code, ErrorCode::DatasetWithTooComplexDataFilesPatternsError);
    }
}
