//! Splits found by the names of the files, where no `data_files` tells them.
//!
//! Levels are tried in order; the first one that finds a data file wins alone.

use belvedere_domain::names::SplitName;
use indexmap::IndexMap;

use crate::patterns::{Pattern, PatternError};

/// Splits in order, each with its paths in reading order. A path that several patterns match is there several times:
/// it is read once, but votes for its format as often.
pub(super) type SplitPaths<'p> = IndexMap<SplitName, Vec<&'p str>>;

/// Why no splits can be told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SplitsError {
    /// The folder is not a legal base of patterns.
    Folder(PatternError),
    /// A sharded file has an illegal split name.
    Name { path: String, reason: String },
}

/// The patterns that found the files of each split.
pub(super) type SplitPatterns = IndexMap<SplitName, Vec<String>>;

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found<'p> {
    pub(super) splits: SplitPaths<'p>,
    /// For each split the patterns that match something.
    pub(super) patterns: SplitPatterns,
    /// The files are a repository of tasks.
    pub(super) is_tasks: bool,
}

const KEYWORDS: [(&str, &[&str]); 3] = [
    ("train", &["train", "training"]),
    ("validation", &["validation", "valid", "dev", "val"]),
    ("test", &["test", "testing", "eval", "evaluation"]),
];

/// What may stand beside a keyword.
const SEPARATOR: &str = "[-._ 0-9]";
const SHARD: &str = "-[0-9][0-9][0-9][0-9][0-9]-of-[0-9][0-9][0-9][0-9][0-9]";

/// The splits of the folder `base`. `data` are the paths of data files, `all` those of all files, both sorted.
/// Without any data file there is no split.
pub(super) fn find<'p>(base: &str, data: &[&'p str], all: &[&'p str]) -> Result<Found<'p>, SplitsError> {
    let select = |pattern: &str, paths: &[&'p str]| -> Result<Vec<&'p str>, SplitsError> {
        Ok(Pattern::new(base, pattern).map_err(SplitsError::Folder)?.select(paths))
    };
    let found = |splits: SplitPaths<'p>, patterns: SplitPatterns| Ok(Found { splits, patterns, is_tasks: false });
    let one = |name: &str, pattern: &str| IndexMap::from([(split(name), vec![pattern.to_owned()])]);

    let shards = select(&format!("data/*{SHARD}*.*"), data)?;
    if !shards.is_empty() {
        let splits = sharded(shards)?;
        let pattern = |split: &SplitName| (split.clone(), vec![format!("data/{split}{SHARD}*.*")]);
        let patterns = splits.keys().map(pattern).collect();
        return found(splits, patterns);
    }
    let logs = select("**/*.eval", data)?;
    if !logs.is_empty() {
        return found(IndexMap::from([(split("logs"), logs)]), one("logs", "**/*.eval"));
    }
    // A lone `instruction.md` is no task: rows come from `task.toml`.
    let mut tasks = select("**/task.toml", all)?;
    if !tasks.is_empty() {
        tasks.extend(select("**/instruction.md", all)?);
        let splits = IndexMap::from([(split("test"), tasks)]);
        return Ok(Found { splits, patterns: one("test", "**/task.toml"), is_tasks: true });
    }
    let in_folder_names = |k: &str| {
        [
            format!("**/{k}/**"),
            format!("**/{k}{SEPARATOR}*/**"),
            format!("**/*{SEPARATOR}{k}/**"),
            format!("**/*{SEPARATOR}{k}{SEPARATOR}*/**"),
        ]
    };
    let (splits, patterns) = by_keyword(data, |keyword| in_folder_names(keyword).into(), select)?;
    if !splits.is_empty() {
        return found(splits, patterns);
    }
    let in_file_names = |k: &str| [format!("**/{k}{SEPARATOR}*"), format!("**/*{SEPARATOR}{k}{SEPARATOR}*")];
    let (splits, patterns) = by_keyword(data, |keyword| in_file_names(keyword).into(), select)?;
    if !splits.is_empty() {
        return found(splits, patterns);
    }
    let everything = select("**", data)?;
    if everything.is_empty() {
        return found(IndexMap::new(), IndexMap::new());
    }
    found(IndexMap::from([(split("train"), everything)]), one("train", "**"))
}

fn split(name: &str) -> SplitName {
    SplitName::new(name).expect("the names of default splits are legal")
}

/// `data/<split>-NNNNN-of-NNNNN*.*`: train, validation, test, then by name.
fn sharded<'p>(paths: Vec<&'p str>) -> Result<SplitPaths<'p>, SplitsError> {
    let mut splits: SplitPaths<'p> = IndexMap::new();
    for path in paths {
        let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
        let split = SplitName::new(&name[..shard_mark(name)])
            .map_err(|error| SplitsError::Name { path: path.to_owned(), reason: error.to_string() })?;
        splits.entry(split).or_default().push(path);
    }
    let place =
        |name: &SplitName| KEYWORDS.iter().position(|(split, _)| *split == name.as_str()).unwrap_or(KEYWORDS.len());
    splits.sort_by(|a, _, b, _| place(a).cmp(&place(b)).then_with(|| a.cmp(b)));
    Ok(splits)
}

/// Where the last `-NNNNN-of-NNNNN` of a name begins.
fn shard_mark(name: &str) -> usize {
    const LENGTH: usize = "-00000-of-00000".len();
    let is_mark = |bytes: &[u8]| {
        bytes.iter().zip(b"-00000-of-00000").all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            form => byte == form,
        })
    };
    name.as_bytes().windows(LENGTH).rposition(is_mark).unwrap_or(name.len())
}

/// Runs the patterns of each keyword, keyword after keyword, over the paths that contain it.
fn by_keyword<'p>(
    data: &[&'p str],
    patterns_of: impl Fn(&str) -> Vec<String>,
    select: impl Fn(&str, &[&'p str]) -> Result<Vec<&'p str>, SplitsError>,
) -> Result<(SplitPaths<'p>, SplitPatterns), SplitsError> {
    let (mut splits, mut found) = (SplitPaths::new(), SplitPatterns::new());
    for (name, keywords) in KEYWORDS {
        let (mut paths, mut patterns) = (Vec::new(), Vec::new());
        for keyword in keywords {
            let candidates: Vec<&'p str> = data.iter().copied().filter(|path| path.contains(keyword)).collect();
            if candidates.is_empty() {
                continue;
            }
            for pattern in patterns_of(keyword) {
                let selected = select(&pattern, &candidates)?;
                if !selected.is_empty() {
                    patterns.push(pattern);
                    paths.extend(selected);
                }
            }
        }
        if !paths.is_empty() {
            splits.insert(split(name), paths);
            found.insert(split(name), patterns);
        }
    }
    Ok((splits, found))
}
