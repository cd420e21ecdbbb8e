//! Which format a set of files has: an election among the suffixes of their names.
//!
//! Every format of the reference takes part, so that the same files win; [`Choice::reader`] tells whether we read it.
//! To add a reader, give its row in `FORMATS` a `reader`.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::LazyLock;

use belvedere_domain::Manifest;
use belvedere_domain::data_files::{FolderKind, METADATA_FILENAMES, Reader};

use crate::archive;

/// Most archives that are opened to find what they contain.
const MAX_ARCHIVES: usize = 10;

/// Reads a range of bytes (start inclusive, end exclusive) of a file of the revision.
pub type ReadRange<'a> = dyn Fn(&str, Range<u64>) -> io::Result<Vec<u8>> + 'a;

/// The files of one revision, and a way to look into them.
#[derive(Clone, Copy)]
pub struct RevisionFiles<'a> {
    /// Which files there are.
    pub manifest: &'a Manifest,
    /// Reads a part of one.
    pub read: &'a ReadRange<'a>,
}

/// One format.
struct Format {
    name: &'static str,
    reader: Option<Reader>,
    /// Suffixes that vote for the format.
    extensions: &'static [&'static str],
    /// Suffixes that vote for it and imply a parameter.
    implying: Option<(&'static str, &'static str, &'static str)>,
    /// Whether upper case is accepted as well.
    upper_case: bool,
    /// Suffixes that are kept, but do not vote.
    kept: &'static [&'static str],
    /// File names that are kept.
    kept_names: &'static [&'static str],
    /// The reference does not know the format: its files count where there are no others.
    beyond: bool,
}

const FORMAT: Format = Format {
    name: "",
    reader: None,
    extensions: &[],
    implying: None,
    upper_case: false,
    kept: &[],
    kept_names: &[],
    beyond: false,
};
const BEYOND: Format = Format { beyond: true, ..FORMAT };
const FOLDER: Format = Format { upper_case: true, kept_names: &METADATA_FILENAMES, ..FORMAT };

/// The order decides nothing: every suffix belongs to one format.
static FORMATS: &[Format] = &[
    Format {
        name: "csv",
        reader: Some(Reader::Csv),
        extensions: &["csv"],
        implying: Some(("tsv", "sep", "\t")),
        ..FORMAT
    },
    Format { name: "json", reader: Some(Reader::Json), extensions: &["json", "jsonl", "ndjson"], ..FORMAT },
    Format { name: "parquet", reader: Some(Reader::Parquet), extensions: &["parquet", "geoparquet", "gpq"], ..FORMAT },
    Format { name: "arrow", reader: Some(Reader::Arrow), extensions: &["arrow"], ..FORMAT },
    Format { name: "text", reader: Some(Reader::Text), extensions: &["txt"], ..FORMAT },
    Format { name: "webdataset", reader: Some(Reader::Webdataset), extensions: &["tar"], ..FORMAT },
    Format { name: "xml", reader: Some(Reader::Xml), extensions: &["xml"], ..FORMAT },
    Format { name: "hdf5", extensions: &["hdf5", "h5"], ..FORMAT },
    Format {
        name: "lance",
        extensions: &["lance"],
        kept: &["idx", "txn", "manifest"],
        kept_names: &["latest_version_hint.json"],
        ..FORMAT
    },
    Format { name: "eval", extensions: &["eval"], ..FORMAT },
    Format { name: "conll", extensions: &["conll"], implying: Some(("conllu", "comment_prefix", "#")), ..FORMAT },
    Format {
        name: "imagefolder",
        reader: Some(Reader::ImageFolder),
        extensions: FolderKind::Image.extensions(),
        ..FOLDER
    },
    Format {
        name: "audiofolder",
        reader: Some(Reader::AudioFolder),
        extensions: FolderKind::Audio.extensions(),
        ..FOLDER
    },
    Format {
        name: "videofolder",
        reader: Some(Reader::VideoFolder),
        extensions: FolderKind::Video.extensions(),
        ..FOLDER
    },
    Format { name: "pdffolder", reader: Some(Reader::PdfFolder), extensions: FolderKind::Pdf.extensions(), ..FOLDER },
    Format { name: "meshfolder", extensions: &["glb", "gltf", "ply", "stl"], ..FOLDER },
    Format { name: "niftifolder", extensions: &["nii"], ..FOLDER },
    Format { name: "fasta", extensions: &["fa", "fasta", "fna", "ffn", "faa", "frn", "afa"], ..FORMAT },
    Format { name: "fastq", extensions: &["fq", "fastq"], ..FORMAT },
    Format { name: "genbank", extensions: &["gb", "gbk", "genbank"], ..FORMAT },
    Format { name: "pdb", extensions: &["pdb", "ent"], upper_case: true, ..FORMAT },
    Format { name: "mmcif", extensions: &["cif", "mmcif"], ..FORMAT },
    Format { name: "vortex", extensions: &["vortex"], ..FORMAT },
    Format { name: "tsfile", extensions: &["tsfile"], ..FORMAT },
    Format { name: "sqlite", reader: Some(Reader::Sqlite), extensions: &["sqlite", "sqlite3", "db", "db3"], ..BEYOND },
    Format { name: "xlsx", reader: Some(Reader::Xlsx), extensions: &["xlsx", "xlsm"], ..BEYOND },
];

/// Task repositories: found by `task.toml`, never by a vote.
static HARBOR: Format = Format { name: "harbor", ..FORMAT };

/// Names whose votes count last: they describe other files.
const METADATA_NAMES: [&str; 6] =
    ["metadata.csv", "metadata.jsonl", "metadata.parquet", "latest_version_hint.json", "task.toml", "instruction.md"];

/// On equal votes these win, in this order; then reverse alphabetical order decides.
const FAVORITES: [&str; 7] = ["parquet", "lance", "vortex", "arrow", "jsonl", "json", "csv"];

/// The format that won.
#[derive(Clone, Copy)]
pub struct Choice {
    format: &'static Format,
    implied: Option<(&'static str, &'static str)>,
}

impl PartialEq for Choice {
    fn eq(&self, other: &Self) -> bool {
        (self.format.name, self.implied) == (other.format.name, other.implied)
    }
}

impl Eq for Choice {}

impl std::fmt::Debug for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.format.name)
    }
}

impl Choice {
    /// Task repositories.
    pub(crate) fn harbor() -> Self {
        Self { format: &HARBOR, implied: None }
    }

    /// Name of the format, as the reference calls it.
    pub fn name(self) -> &'static str {
        self.format.name
    }

    /// How we read it; `None` for a format that is not supported yet.
    pub fn reader(self) -> Option<Reader> {
        self.format.reader
    }

    /// A parameter that the file names imply, such as `("sep", "\t")`.
    pub fn implied(self) -> Option<(&'static str, &'static str)> {
        self.implied
    }

    /// True for files that belong to the format: by one of the suffixes, or by their name.
    pub fn takes(self, path: &str) -> bool {
        let name = file_name(path);
        self.format.kept_names.contains(&name)
            || suffixes(name).any(|suffix| {
                suffix == "zip"
                    || self.format.kept.contains(&suffix)
                    || by_suffix(suffix, self.format.upper_case)
                        .is_some_and(|choice| choice.format.name == self.format.name)
            })
    }
}

static BY_SUFFIX: LazyLock<HashMap<&'static str, Choice>> = LazyLock::new(|| {
    let mut choices = HashMap::new();
    for format in FORMATS {
        for extension in format.extensions {
            choices.insert(*extension, Choice { format, implied: None });
        }
        if let Some((extension, parameter, value)) = format.implying {
            choices.insert(extension, Choice { format, implied: Some((parameter, value)) });
        }
    }
    choices
});

fn by_suffix(suffix: &str, or_upper_case: bool) -> Option<Choice> {
    BY_SUFFIX.get(suffix).copied().or_else(|| {
        let all_upper = or_upper_case && !suffix.bytes().any(|byte| byte.is_ascii_lowercase());
        BY_SUFFIX
            .get(suffix.to_ascii_lowercase().as_str())
            .copied()
            .filter(|choice| all_upper && choice.format.upper_case)
    })
}

fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// Every dot-separated part after the first.
fn suffixes(name: &str) -> impl Iterator<Item = &str> {
    name.split('.').skip(1)
}

/// True when some suffix of the file is known to any format of the reference, or is `zip`. Case counts, except that media
/// may be in upper case.
pub fn is_data_file(path: &str) -> bool {
    suffixes(file_name(path)).any(|suffix| {
        suffix == "zip"
            || by_suffix(suffix, true).is_some_and(|choice| !choice.format.beyond)
            || FORMATS.iter().any(|format| format.kept.contains(&suffix))
    })
}

/// A format of the registry, for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FormatRow {
    /// What the reference calls it.
    pub name: &'static str,
    /// Suffixes that vote for it.
    pub suffixes: Vec<&'static str>,
    /// There is a reader for it.
    pub is_read: bool,
    /// The reference does not know it.
    pub is_beyond: bool,
}

/// Every format, in the order of the registry.
pub fn formats() -> impl Iterator<Item = FormatRow> {
    FORMATS.iter().map(|format| FormatRow {
        name: format.name,
        suffixes: format.extensions.iter().copied().chain(format.implying.map(|(suffix, ..)| suffix)).collect(),
        is_read: format.reader.is_some(),
        is_beyond: format.beyond,
    })
}

/// True when some suffix of the file is that of a format that the reference does not know.
pub fn is_data_file_beyond(path: &str) -> bool {
    suffixes(file_name(path)).any(|suffix| by_suffix(suffix, false).is_some_and(|choice| choice.format.beyond))
}

/// The format of a set of files; `None` when no suffix is known.
///
/// # Errors
/// I/O errors of `read`, when archives have to be opened.
pub fn choose(paths: &[&str], files: RevisionFiles<'_>) -> io::Result<Option<Choice>> {
    let mut votes: HashMap<(bool, String), usize> = HashMap::new();
    for path in paths {
        let name = file_name(path);
        for suffix in suffixes(name) {
            *votes.entry((METADATA_NAMES.contains(&name), suffix.to_lowercase())).or_default() += 1;
        }
    }
    let mut votes: Vec<_> = votes.into_iter().collect();
    votes.sort_by(|((a_describes, a), a_count), ((b_describes, b), b_count)| {
        let favorite = |suffix: &str| FAVORITES.iter().position(|name| *name == suffix).unwrap_or(FAVORITES.len());
        a_describes
            .cmp(b_describes)
            .then(b_count.cmp(a_count))
            .then(favorite(a).cmp(&favorite(b)))
            .then_with(|| b.cmp(a))
    });
    for ((_, suffix), _) in votes {
        if suffix == "zip" {
            return choose_inside_archives(paths, files);
        }
        if let Some(choice) = BY_SUFFIX.get(suffix.as_str()) {
            return Ok(Some(*choice));
        }
    }
    Ok(None)
}

/// The most common suffix inside the archives decides, the first seen among equals.
fn choose_inside_archives(paths: &[&str], files: RevisionFiles<'_>) -> io::Result<Option<Choice>> {
    let mut votes: indexmap::IndexMap<String, usize> = indexmap::IndexMap::new();
    for path in paths.iter().filter(|path| path.ends_with(".zip")).take(MAX_ARCHIVES) {
        for member in archive::member_names(path, files)? {
            for suffix in suffixes(file_name(&member)) {
                *votes.entry(suffix.to_lowercase()).or_default() += 1;
            }
        }
    }
    let most = votes.values().copied().max();
    let winner = votes.iter().find(|(_, count)| Some(**count) == most);
    Ok(winner.and_then(|(suffix, _)| BY_SUFFIX.get(suffix.as_str()).copied()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elect(paths: &[&str]) -> Option<Choice> {
        let none = |_: &str, _: Range<u64>| -> io::Result<Vec<u8>> { unreachable!("no archive here") };
        choose(paths, RevisionFiles { manifest: &Manifest::default(), read: &none }).expect("no I/O")
    }

    fn choice(paths: &[&str]) -> String {
        match elect(paths) {
            Some(choice) => match choice.implied() {
                Some((name, value)) => format!("{} {name}={value:?}", choice.name()),
                None => choice.name().to_owned(),
            },
            None => "none".to_owned(),
        }
    }

    #[test]
    fn every_suffix_belongs_to_one_format() {
        let count: usize = FORMATS.iter().map(|f| f.extensions.len() + usize::from(f.implying.is_some())).sum();
        assert_eq!(BY_SUFFIX.len(), count);
    }

    #[test]
    fn each_row_of_the_table_is_recognised() {
        for (name, expected) in [
            ("a.csv", "csv"),
            ("a.tsv", "csv sep=\"\\t\""),
            ("a.json", "json"),
            ("a.jsonl", "json"),
            ("a.ndjson", "json"),
            ("a.parquet", "parquet"),
            ("a.geoparquet", "parquet"),
            ("a.gpq", "parquet"),
            ("a.arrow", "arrow"),
            ("a.txt", "text"),
            ("a.tar", "webdataset"),
            ("a.xml", "xml"),
            ("a.h5", "hdf5"),
            ("a.lance", "lance"),
            ("a.eval", "eval"),
            ("a.conll", "conll"),
            ("a.conllu", "conll comment_prefix=\"#\""),
            ("a.PNG", "imagefolder"),
            ("a.webm", "audiofolder"),
            ("a.mp4", "videofolder"),
            ("a.pdf", "pdffolder"),
            ("a.ply", "meshfolder"),
            ("a.nii.gz", "niftifolder"),
            ("a.fna", "fasta"),
            ("a.pdb", "pdb"),
            ("a.vortex", "vortex"),
            ("a.tsfile", "tsfile"),
            ("a.db", "sqlite"),
            ("a.xlsx", "xlsx"),
            ("a.md", "none"),
            ("a.gz", "none"),
            ("a", "none"),
        ] {
            assert_eq!(choice(&[name]), expected, "{name}");
        }
    }

    #[test]
    fn the_most_common_suffix_wins() {
        assert_eq!(choice(&["a.csv", "b.csv", "c.json"]), "csv");
        assert_eq!(choice(&["a.csv.gz", "b.csv.gz"]), "csv");
        assert_eq!(choice(&["a.txt.bak", "b.bak"]), "text", "an unknown suffix is passed over");
    }

    #[test]
    fn ties_go_to_the_favorites_and_then_backwards_through_the_alphabet() {
        assert_eq!(choice(&["a.csv", "b.parquet"]), "parquet");
        assert_eq!(choice(&["a.csv", "b.json", "c.jsonl"]), "json");
        assert_eq!(choice(&["a.txt", "b.csv"]), "csv");
        assert_eq!(choice(&["a.arrow", "b.jsonl"]), "arrow");
        assert_eq!(choice(&["a.txt", "b.tsv"]), "text");
        assert_eq!(choice(&["a.tsv", "b.csv"]), "csv");
    }

    #[test]
    fn files_that_describe_others_vote_last() {
        assert_eq!(choice(&["metadata.csv", "b/metadata.csv", "a.png"]), "imagefolder");
        assert_eq!(choice(&["metadata.csv"]), "csv");
    }

    #[test]
    fn a_data_file_has_a_known_suffix_somewhere() {
        for path in ["a.csv", "a.csv.gz", "d.x/train.txt.bak", "A.PNG", "a.PDB", "a.zip", "x.lance/data.txn"] {
            assert!(is_data_file(path), "{path}");
        }
        for path in ["a.CSV", "a.Png", "csv", "train.bak", "a.gz", "notes.md", "task.toml", "x.csv/file"] {
            assert!(!is_data_file(path), "{path}");
        }
    }

    #[test]
    fn formats_beyond_the_reference_are_data_of_their_own() {
        for path in ["a.sqlite", "d/a.db", "a.xlsx"] {
            assert!(is_data_file_beyond(path) && !is_data_file(path), "{path}");
        }
        assert!(!is_data_file_beyond("a.csv") && !is_data_file_beyond("a.XLSX"));
    }

    #[test]
    fn a_format_takes_its_suffixes_archives_and_metadata() {
        let csv = elect(&["a.csv"]).expect("known");
        assert!(csv.takes("d/a.tsv.gz") && csv.takes("a.zip") && !csv.takes("a.json") && !csv.takes("a.CSV"));
        let images = elect(&["a.png"]).expect("known");
        assert!(images.takes("A.JPG") && images.takes("d/metadata.csv") && !images.takes("other.csv"));
    }

    #[test]
    fn archives_are_judged_by_their_members() {
        let zip = archive::tests::zip_of(&["d/a.json", "d/b.csv", "d/c.csv"]);
        let (manifest, read) = archive::tests::revision_of("a.zip", &zip);
        let files = RevisionFiles { manifest: &manifest, read: &read };
        assert_eq!(choose(&["a.zip"], files).expect("a zip").map(Choice::name), Some("csv"));
    }
}
