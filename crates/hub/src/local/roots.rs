//! What the arguments of `serve` mean: which folders are datasets, and under which names.
//!
//! `data` serves every child folder as a dataset of the namespace `local`; `acme=/srv/acme` names the namespace;
//! `name=PATH` with [`Layout::Single`] is one dataset. What was decided, and why, is told by [`RootReport`].

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use belvedere_domain::DatasetName;

use super::names;
use super::walk::{holds, is_ignored};
use crate::card::{Card, CardFiles, OVERRIDES_PATH, README_PATH};
use crate::reader;

/// The namespace of roots that name none.
pub const DEFAULT_NAMESPACE: &str = "local";

/// Folder names of which a parent is one dataset rather than a shelf of datasets.
const SPLIT_FOLDERS: [&str; 10] =
    ["train", "training", "validation", "valid", "dev", "val", "test", "testing", "eval", "evaluation"];

/// How a root is to be understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// Find out: see [`RootReport`].
    Detect,
    /// The folder or file is one dataset.
    Single,
}

/// One argument of `serve`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Root {
    /// `acme` of `acme=/srv/acme`: a namespace, or for [`Layout::Single`] the name of the dataset.
    pub name: Option<String>,
    /// The folder or file.
    pub path: PathBuf,
    /// How to understand it.
    pub layout: Layout,
}

impl Root {
    /// Reads `PATH` or `NAME=PATH`. What exists, or has no name before its `=`, is a path as a whole.
    pub fn parse(argument: &str, layout: Layout) -> Self {
        let exists = fs::symlink_metadata(argument).is_ok();
        match argument.split_once('=') {
            Some((name, path)) if !exists && !path.is_empty() && DatasetName::new(name).is_ok() => {
                Self { name: Some(name.to_owned()), path: path.into(), layout }
            }
            _ => Self { name: None, path: argument.into(), layout },
        }
    }
}

/// Why a root cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// The path does not exist or cannot be read.
    #[error("{} cannot be served", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The name is not legal.
    #[error("`{name}` cannot be the name of {}: {reason}", path.display())]
    Name {
        /// The name.
        name: String,
        /// The path.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Two roots want one name.
    #[error("{} and {} would both be `{name}`; give one of them another name with NAME=PATH", first.display(), second.display())]
    Twice {
        /// The name.
        name: DatasetName,
        /// The path that has it.
        first: PathBuf,
        /// The path that wants it.
        second: PathBuf,
    },
}

/// What a root turned out to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Shelf {
    /// The root itself is one dataset.
    One(DatasetName),
    /// Every child folder is a dataset of this namespace.
    Children(String),
}

/// A root, understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct PlacedRoot {
    /// Absolute and without links.
    pub(super) path: PathBuf,
    pub(super) shelf: Shelf,
    pub(super) reason: String,
}

/// What was decided about one root, for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RootReport {
    /// The root.
    pub path: PathBuf,
    /// What it is and why.
    pub reason: String,
    /// The datasets with their folders.
    pub datasets: Vec<(DatasetName, PathBuf)>,
    /// What is not served, and why.
    pub notes: Vec<String>,
}

impl fmt::Display for RootReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.reason)?;
        for (name, path) in &self.datasets {
            match path.strip_prefix(&self.path) {
                Ok(below) if !below.as_os_str().is_empty() && below.to_str() != Some(name.base()) => {
                    write!(f, "\n  {name} is the folder {:?}", below.display().to_string())?;
                }
                _ => write!(f, "\n  {name}")?,
            }
        }
        for note in &self.notes {
            write!(f, "\n  not served: {note}")?;
        }
        Ok(())
    }
}

/// Understands a root by what lies in it now.
pub(super) fn place(root: &Root, state_folder: Option<&Path>) -> Result<PlacedRoot, RootError> {
    let io_error = |source| RootError::Io { path: root.path.clone(), source };
    let path = fs::canonicalize(&root.path).map_err(io_error)?;
    let is_file = fs::metadata(&path).map_err(io_error)?.is_file();
    let file_name = path.file_name().map(OsStrExt::as_bytes).unwrap_or(b"root");
    let namespace = root.name.as_deref().unwrap_or(DEFAULT_NAMESPACE);
    let illegal = |name: &str, reason: String| RootError::Name { name: name.to_owned(), path: path.clone(), reason };
    // The name of the root as one dataset: as given, or after the folder.
    let own_name = || match &root.name {
        Some(name) if root.layout == Layout::Single && name.contains('/') => {
            DatasetName::new(name).map_err(|error| illegal(name, error.to_string()))
        }
        Some(name) if root.layout == Layout::Single => {
            DatasetName::new(format!("{DEFAULT_NAMESPACE}/{name}")).map_err(|error| illegal(name, error.to_string()))
        }
        _ => names::dataset_name(namespace, file_name)
            .ok_or_else(|| illegal(namespace, "it must be one word of letters, digits, `-`, `_` and `.`".to_owned())),
    };
    let one =
        |reason: &str| Ok(PlacedRoot { path: path.clone(), shelf: Shelf::One(own_name()?), reason: reason.to_owned() });
    if root.layout == Layout::Single {
        return one("one dataset, as asked");
    }
    if is_file {
        return one("one dataset, since it is a file");
    }
    if namespace.contains('/') {
        return Err(illegal(namespace, "a namespace has no `/`; add --single to serve one dataset".to_owned()));
    }
    if has_describing_card(&path) {
        return one("one dataset, since its README.md describes configs");
    }
    let with_data: Vec<String> = child_folders(&path, state_folder)
        .map_err(io_error)?
        .folders
        .into_iter()
        .filter(|child| holds_data(child, state_folder))
        .map(|child| child.file_name().unwrap_or_default().to_string_lossy().into_owned())
        .collect();
    if !with_data.is_empty() && with_data.iter().all(|name| SPLIT_FOLDERS.contains(&name.as_str())) {
        return one("one dataset, since its folders are named like splits");
    }
    if with_data.is_empty() && holds_data(&path, state_folder) {
        return one("one dataset, since it holds data and no folder in it does");
    }
    let reason = format!("every folder in it is a dataset of `{namespace}`; add --single to serve it as one dataset");
    Ok(PlacedRoot { shelf: Shelf::Children(namespace.to_owned()), reason, path })
}

/// Child folders that may be datasets, sorted, and notes about what else lies there.
#[derive(Debug, Default)]
pub(super) struct Children {
    pub(super) folders: Vec<PathBuf>,
    pub(super) notes: Vec<String>,
}

pub(super) fn child_folders(path: &Path, state_folder: Option<&Path>) -> io::Result<Children> {
    let mut children = Children::default();
    for entry in fs::read_dir(path)? {
        let Ok(entry) = entry else { continue };
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let Ok(kind) = entry.file_type() else { continue };
        let hidden = name.starts_with('.') || name.starts_with("__");
        if hidden || is_ignored(&name, kind.is_dir()) || state_folder == Some(entry.path().as_path()) {
            continue;
        }
        if kind.is_dir() {
            children.folders.push(entry.path());
        } else if kind.is_symlink() {
            children.notes.push(format!("{name}: a link; name its target as a root of its own"));
        } else if reader::is_data_file(&name) {
            children.notes.push(format!("{name}: a file beside the folders of datasets; move it into a folder"));
        }
    }
    children.folders.sort();
    children.notes.sort();
    Ok(children)
}

/// The datasets of a shelf by name, with notes about what is not served.
pub(super) fn datasets_of(
    root: &PlacedRoot,
    state_folder: Option<&Path>,
) -> io::Result<(BTreeMap<DatasetName, PathBuf>, Vec<String>)> {
    match &root.shelf {
        Shelf::One(name) => Ok((BTreeMap::from([(name.clone(), root.path.clone())]), Vec::new())),
        Shelf::Children(namespace) => {
            let mut children = match child_folders(&root.path, state_folder) {
                Ok(children) => children,
                Err(error) if error.kind() == io::ErrorKind::NotFound => Children::default(),
                Err(error) => return Err(error),
            };
            let mut datasets = BTreeMap::new();
            for folder in children.folders {
                let file_name = folder.file_name().unwrap_or_default();
                let Some(name) = names::dataset_name(namespace, file_name.as_bytes()) else { continue };
                if let Some(taken) = datasets.get(&name) {
                    let taken: &PathBuf = taken;
                    children.notes.push(format!(
                        "{}: its name `{name}` is taken by {}",
                        folder.display(),
                        taken.display()
                    ));
                } else {
                    datasets.insert(name, folder);
                }
            }
            Ok((datasets, children.notes))
        }
    }
}

fn holds_data(folder: &Path, state_folder: Option<&Path>) -> bool {
    let is_data = |path: &str| {
        let hidden = path.split('/').any(|segment| segment.starts_with('.') || segment.starts_with("__"));
        !hidden && reader::is_data_file(path)
    };
    holds(folder, state_folder, is_data).unwrap_or(false)
}

/// A clone of a repository declares `configs` or `dataset_info`.
fn has_describing_card(folder: &Path) -> bool {
    let read = |name: &str| {
        fs::metadata(folder.join(name))
            .is_ok_and(|file| file.is_file())
            .then(|| fs::read(folder.join(name)).ok())
            .flatten()
    };
    let files = CardFiles { readme: read(README_PATH), overrides: read(OVERRIDES_PATH), dataset_infos: None };
    Card::parse(files).is_ok_and(|card| {
        let keys = card.to_json();
        keys.contains_key("configs") || keys.contains_key("dataset_info")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        for path in paths {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("below the root")).expect("a folder");
            fs::write(path, "---\nconfigs: []\n---\n").expect("a file");
        }
        root
    }

    /// The datasets of `data` below a temporary folder, and the reason.
    fn served(paths: &[&str], argument: impl Fn(&Path) -> Root) -> (Vec<String>, String, Vec<String>) {
        let folder = tree(paths);
        let placed = place(&argument(&folder.path().join("data")), None).expect("can be served");
        let (datasets, notes) = datasets_of(&placed, None).expect("readable");
        (datasets.keys().map(ToString::to_string).collect(), placed.reason, notes)
    }

    fn detect(path: &Path) -> Root {
        Root { name: None, path: path.to_owned(), layout: Layout::Detect }
    }

    #[test]
    fn every_child_folder_is_a_dataset() {
        let (datasets, reason, notes) =
            served(&["data/wine/a.csv", "data/my set/b/c.csv", "data/.x/a.csv", "data/loose.csv"], detect);
        assert_eq!(datasets, ["local/my_x20set", "local/wine"]);
        assert!(reason.starts_with("every folder in it is a dataset of `local`"), "{reason}");
        assert_eq!(notes, ["loose.csv: a file beside the folders of datasets; move it into a folder"]);
    }

    #[test]
    fn a_child_without_data_files_is_a_dataset_beside_others() {
        assert_eq!(served(&["data/wine/a.csv", "data/docs/notes.md"], detect).0, ["local/docs", "local/wine"]);
    }

    #[test]
    fn a_child_of_class_folders_is_one_dataset() {
        assert_eq!(served(&["data/pets/cat/1.png", "data/pets/dog/2.png"], detect).0, ["local/pets"]);
    }

    #[test]
    fn a_folder_with_data_but_no_child_with_data_is_one_dataset() {
        let (datasets, reason, _) = served(&["data/a.csv", "data/docs/notes.md"], detect);
        assert_eq!(
            (datasets, reason.as_str()),
            (vec!["local/data".to_owned()], "one dataset, since it holds data and no folder in it does")
        );
    }

    #[test]
    fn folders_of_splits_and_described_folders_are_one_dataset() {
        let (datasets, reason, _) = served(&["data/train/a.csv", "data/test/b.csv", "data/docs/x.md"], detect);
        assert_eq!(
            (datasets, reason.as_str()),
            (vec!["local/data".to_owned()], "one dataset, since its folders are named like splits")
        );
        let (datasets, reason, _) = served(&["data/README.md", "data/en/a.csv", "data/fr/b.csv"], detect);
        assert_eq!(
            (datasets, reason.as_str()),
            (vec!["local/data".to_owned()], "one dataset, since its README.md describes configs")
        );
    }

    #[test]
    fn names_go_before_an_equals_sign() {
        let named =
            |name: &'static str, layout| move |path: &Path| Root::parse(&format!("{name}={}", path.display()), layout);
        assert_eq!(served(&["data/wine/a.csv"], named("acme", Layout::Detect)).0, ["acme/wine"]);
        assert_eq!(served(&["data/wine/a.csv"], named("cellar", Layout::Single)).0, ["local/cellar"]);
        assert_eq!(served(&["data/wine/a.csv"], named("acme/cellar", Layout::Single)).0, ["acme/cellar"]);
        assert_eq!(
            served(&["data/wine/a.csv"], |path| Root { layout: Layout::Single, ..detect(path) }).0,
            ["local/data"]
        );
        assert_eq!(Root::parse("a b=c", Layout::Detect).path, Path::new("a b=c"));
        assert_eq!(Root::parse("./x=y", Layout::Detect).path, Path::new("./x=y"));
    }

    #[test]
    fn a_file_is_one_dataset() {
        assert_eq!(served(&["data/wine.csv"], |path| detect(&path.join("wine.csv"))).0, ["local/wine.csv"]);
    }

    #[test]
    fn what_cannot_be_served_is_said_so() {
        let error = place(&detect(Path::new("/nowhere/at/all")), None).expect_err("missing");
        assert_eq!(error.to_string(), "/nowhere/at/all cannot be served");
        let folder = tree(&["data/wine/a.csv"]);
        let root = Root { name: Some("a/b".to_owned()), ..detect(&folder.path().join("data")) };
        assert!(place(&root, None).expect_err("no namespace").to_string().contains("--single"));
    }

    #[test]
    fn linked_children_are_not_served() {
        let folder = tree(&["data/wine/a.csv", "other/b.csv"]);
        std::os::unix::fs::symlink(folder.path().join("other"), folder.path().join("data/link")).expect("a link");
        let placed = place(&detect(&folder.path().join("data")), None).expect("can be served");
        let (datasets, notes) = datasets_of(&placed, None).expect("readable");
        assert_eq!(datasets.len(), 1);
        assert_eq!(notes, ["link: a link; name its target as a root of its own"]);
    }

    #[test]
    fn the_state_folder_is_never_a_dataset() {
        let folder = tree(&["data/wine/a.csv", "data/state/b.csv"]);
        let state = fs::canonicalize(folder.path().join("data/state")).expect("exists");
        let placed = place(&detect(&folder.path().join("data")), Some(&state)).expect("can be served");
        assert_eq!(datasets_of(&placed, Some(&state)).expect("readable").0.len(), 1);
    }

    #[test]
    fn the_report_is_readable() {
        let report = RootReport {
            path: "/srv/data".into(),
            reason: "every folder in it is a dataset of `local`".to_owned(),
            datasets: vec![
                (DatasetName::new("local/my_x20set").expect("legal"), "/srv/data/my set".into()),
                (DatasetName::new("local/wine").expect("legal"), "/srv/data/wine".into()),
            ],
            notes: vec!["loose.csv: a file beside the folders".to_owned()],
        };
        insta::assert_snapshot!(report, @r#"
        /srv/data: every folder in it is a dataset of `local`
          local/my_x20set is the folder "my set"
          local/wine
          not served: loose.csv: a file beside the folders
        "#);
    }
}
