//! Paths on the conversion branch: `<config>/[partial-]<split>[-partN]/NNNN.parquet`.
//!
//! `-` cannot occur in a split name, so the forms do not collide.

use crate::names::{ConfigName, SplitName};

/// Parquet files per directory; splits with more get `-part0`, `-part1`, ….
pub const FILES_PER_DIRECTORY: usize = 10_000;

/// One converted file, by its place on the branch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParquetPath {
    /// The config.
    pub config: ConfigName,
    /// The split.
    pub split: SplitName,
    /// At least one split of the config was cut short.
    pub partial: bool,
    /// Number of the directory, `None` for splits of at most [`FILES_PER_DIRECTORY`] files.
    pub part: Option<usize>,
    /// Number of the file in its directory.
    pub shard: usize,
}

impl ParquetPath {
    /// The place of file `index` of `count` files of a split.
    pub fn of(config: ConfigName, split: SplitName, partial: bool, index: usize, count: usize) -> Self {
        let part = (count > FILES_PER_DIRECTORY).then_some(index / FILES_PER_DIRECTORY);
        Self { config, split, partial, part, shard: index % FILES_PER_DIRECTORY }
    }

    /// `[partial-]<split>[-partN]`.
    pub fn directory(&self) -> String {
        let prefix = if self.partial { "partial-" } else { "" };
        let suffix = self.part.map_or_else(String::new, |part| format!("-part{part}"));
        format!("{prefix}{}{suffix}", self.split)
    }

    /// `NNNN.parquet`.
    pub fn filename(&self) -> String {
        format!("{:04}.parquet", self.shard)
    }

    /// The whole path on the branch.
    pub fn path(&self) -> String {
        format!("{}/{}/{}", self.config, self.directory(), self.filename())
    }

    /// Reads a path of the branch; `None` when it has another form.
    pub fn parse(path: &str) -> Option<Self> {
        let mut segments = path.split('/');
        let (config, directory, filename) = (segments.next()?, segments.next()?, segments.next()?);
        let shard = filename.strip_suffix(".parquet")?;
        if segments.next().is_some() || shard.len() != 4 {
            return None;
        }
        let (partial, rest) = directory.strip_prefix("partial-").map_or((false, directory), |rest| (true, rest));
        let (split, part) = match rest.split_once("-part") {
            Some((split, number)) => (split, Some(number.parse().ok()?)),
            None => (rest, None),
        };
        Some(Self {
            config: ConfigName::new(config).ok()?,
            split: SplitName::new(split).ok()?,
            partial,
            part,
            shard: shard.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_survive_a_round_trip() {
        for path in ["default/train/0000.parquet", "en/partial-test/0012.parquet", "c/train-part3/9999.parquet"] {
            assert_eq!(ParquetPath::parse(path).expect("well formed").path(), path);
        }
        for bad in
            ["train/0000.parquet", "c/train/0.parquet", "c/train/0000.csv", "c/a-b/0000.parquet", "c/d/e/0000.parquet"]
        {
            assert_eq!(ParquetPath::parse(bad), None, "{bad}");
        }
    }
}
