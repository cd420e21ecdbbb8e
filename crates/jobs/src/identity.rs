//! What decides the rows of a config: how it is read, and what its files hold.

use belvedere_domain::data_files::{Reader, ResolvedConfig};
use belvedere_domain::{FileEntry, Manifest, SplitName};
use indexmap::IndexMap;
use serde::Serialize;

/// A config and some of its files, without what makes no difference. As JSON it is an input of a digest.
#[derive(PartialEq, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Identity<'a> {
    /// Names of files make a difference: cells may tell them, or lead to them.
    Named { config: &'a ResolvedConfig, files: Vec<(&'a str, &'a str)> },
    /// The files are what they hold, with what their names end in, which tells how they are compressed.
    Nameless {
        /// Without its files.
        config: Box<ResolvedConfig>,
        /// How many files each split has.
        splits: Vec<(&'a SplitName, usize)>,
        files: Vec<(&'a str, &'a str)>,
    },
}

impl<'a> Identity<'a> {
    /// Of a config, with the content of these of its files; `None` when one is not in the manifest.
    pub(crate) fn of(
        config: &'a ResolvedConfig,
        manifest: &'a Manifest,
        paths: impl Iterator<Item = &'a str>,
    ) -> Option<Self> {
        let nameless = !names_matter(config.reader);
        let file = |(path, entry): (&'a str, Option<&'a FileEntry>)| {
            let content = entry?.content_id.as_str();
            let name = path.rsplit('/').next().unwrap_or(path);
            let ending = name.split_once('.').map_or("", |(_, ending)| ending);
            Some((if nameless { ending } else { path }, content))
        };
        let files = manifest.each(paths).map(file).collect::<Option<Vec<_>>>()?;
        if !nameless {
            return Some(Self::Named { config, files });
        }
        let splits = config.splits.iter().map(|(split, paths)| (split, paths.len())).collect();
        let config = Box::new(ResolvedConfig { splits: IndexMap::new(), ..config.clone() });
        Some(Self::Nameless { config, splits, files })
    }
}

/// False for formats whose cells never tell the name of their file, and which are always converted.
fn names_matter(reader: Reader) -> bool {
    !matches!(reader, Reader::Csv | Reader::Json | Reader::Text | Reader::Arrow)
}

#[cfg(test)]
mod tests {
    use belvedere_domain::{ConfigName, FileEntry};

    use super::*;

    fn config(reader: Reader, splits: &[(&str, &[&str])]) -> ResolvedConfig {
        let paths = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
        ResolvedConfig {
            name: ConfigName::new("default").unwrap(),
            reader,
            parameters: IndexMap::new(),
            reader_features: None,
            declared_features: None,
            declared_splits: None,
            declared_texts: IndexMap::new(),
            splits: splits.iter().map(|(split, files)| (SplitName::new(*split).unwrap(), paths(files))).collect(),
        }
    }

    fn identity(reader: Reader, splits: &[(&str, &[&str])], files: &[(&str, &str)]) -> Option<String> {
        let entry = |(path, id): &(&str, &str)| FileEntry { path: (*path).into(), size: 1, content_id: (*id).into() };
        let manifest = Manifest::new(files.iter().map(entry).collect());
        let config = config(reader, splits);
        let identity = Identity::of(&config, &manifest, config.paths())?;
        Some(serde_json::to_string(&identity).unwrap())
    }

    #[test]
    fn names_count_only_where_cells_may_tell_them() {
        let old: (&[(&str, &[&str])], _) = (&[("train", &["a.csv", "b.csv"])], [("a.csv", "1"), ("b.csv", "2")]);
        let new: (&[(&str, &[&str])], _) = (&[("train", &["x/c.csv", "y.csv"])], [("x/c.csv", "1"), ("y.csv", "2")]);
        for (reader, same) in [(Reader::Csv, true), (Reader::Text, true), (Reader::Parquet, false)] {
            assert_eq!(identity(reader, old.0, &old.1) == identity(reader, new.0, &new.1), same, "{reader:?}");
        }
    }

    #[test]
    fn order_splits_contents_and_endings_count() {
        let base = identity(Reader::Csv, &[("train", &["a.csv", "b.csv"])], &[("a.csv", "1"), ("b.csv", "2")]);
        type Splits<'a> = &'a [(&'a str, &'a [&'a str])];
        let others: [(Splits<'_>, [(&str, &str); 2]); 4] = [
            (&[("train", &["a.csv", "b.csv"])], [("a.csv", "2"), ("b.csv", "1")]),
            (&[("train", &["a.csv"]), ("test", &["b.csv"])], [("a.csv", "1"), ("b.csv", "2")]),
            (&[("test", &["a.csv", "b.csv"])], [("a.csv", "1"), ("b.csv", "2")]),
            (&[("train", &["a.csv", "b.csv.gz"])], [("a.csv", "1"), ("b.csv.gz", "2")]),
        ];
        for (splits, files) in others {
            assert_ne!(identity(Reader::Csv, splits, &files), base, "{splits:?}");
        }
        assert_eq!(identity(Reader::Csv, &[("train", &["a.csv"])], &[("b.csv", "1")]), None);
    }
}
