//! From files and card to configs: which splits each config has, and which files each split reads, in which order.
//!
//! [`resolve`] is a function of the manifest and the card; it looks into files only to see what a zip archive holds.
//! An error of the whole repository is an `Err`; what is wrong with the files of one config stays with that config.

mod error;
mod splits;
mod tables;

use belvedere_domain::data_files::{Reader, ResolvedConfig};
use belvedere_domain::error_code::ErrorCode;
use belvedere_domain::names::{ConfigName, SplitName};
use indexmap::{IndexMap, IndexSet};

use crate::card::{Card, CardConfig, DeclaredInfo};
use crate::patterns::Pattern;
use crate::reader::{self, Choice, RevisionFiles};
pub use error::ResolveError;
use splits::{SplitPaths, SplitPatterns};

/// What a repository resolves to.
#[derive(Clone, PartialEq, Debug)]
pub struct Resolution {
    /// The configs in public order: the default one first, then by name in code-point order.
    pub configs: Vec<ConfigFiles>,
    /// The default config, if there is one. It is the first of `configs`.
    pub default: Option<ConfigName>,
}

impl Resolution {
    /// The config of a name.
    pub fn config(&self, name: &str) -> Option<&ConfigFiles> {
        self.configs.iter().find(|config| config.name.as_str() == name)
    }
}

/// One config, listed even when its files cannot be read.
#[derive(Clone, PartialEq, Debug)]
pub struct ConfigFiles {
    /// Its name.
    pub name: ConfigName,
    /// The splits that can be told before reading: those declared in `dataset_info`, else those of the files.
    pub split_names: Vec<SplitName>,
    /// For each split the patterns that find its files, relative to the repository.
    pub patterns: IndexMap<SplitName, Vec<String>>,
    /// Its files, or why they cannot be read.
    pub files: Result<ResolvedConfig, ResolveError>,
}

/// Resolves a repository. `repository_name` is the last part of the dataset's name.
///
/// # Errors
/// [`ResolveError`] when no config can be listed: no data file, a format that is not supported, splits of different
/// formats, a loading script, or a mistake in the card.
pub fn resolve(files: RevisionFiles<'_>, card: &Card, repository_name: &str) -> Result<Resolution, ResolveError> {
    let script = format!("{repository_name}.py");
    if files.manifest.get(&script).is_some() {
        return Err(ResolveError::script(&script));
    }
    let configs = card.configs()?;
    let infos = card.infos()?;
    let paths: Vec<&str> = files.manifest.files.iter().map(|file| file.path.as_str()).collect();
    let data: Vec<&str> = paths.iter().copied().filter(|path| reader::is_data_file(path)).collect();
    let beyond: Vec<&str> = paths.iter().copied().filter(|path| reader::is_data_file_beyond(path)).collect();
    // What the reference cannot read is data only where nothing else is.
    let data = if data.is_empty() { beyond.clone() } else { data };
    let repository = Repository { paths, data, beyond };

    let Some(first) = configs.first() else {
        let splits = repository.splits_by_name("")?;
        let choice = election(&splits, files)?;
        let reader = supported(choice)?;
        let name = ConfigName::new("default").expect("`default` is a legal config name");
        let mut resolved = with_info(&name, reader, choice, infos.get("default"));
        resolved.splits = splits
            .splits
            .into_iter()
            .map(|(split, paths)| (split, owned(paths.into_iter().filter(|path| choice.takes(path)))))
            .collect();
        if reader == Reader::Sqlite {
            let tables = tables::configs(&resolved, &splits.patterns, files);
            if tables.len() > 1 {
                return Ok(Resolution { configs: tables, default: None });
            }
        }
        let config = ConfigFiles {
            split_names: listed(&resolved),
            patterns: splits.patterns,
            name: name.clone(),
            files: Ok(resolved),
        };
        return Ok(Resolution { configs: vec![config], default: Some(name) });
    };

    let default = default_config(&configs)?;
    let electors = match &first.data_files {
        Some(_) => {
            let located = repository.splits_by_patterns(first)?;
            if located.splits.values().all(Vec::is_empty) {
                let error = ResolveError::no_file_matches(first);
                return Err(ResolveError { code: ErrorCode::DataFilesNotFoundError, ..error });
            }
            located
        }
        None => repository.splits_by_name("")?,
    };
    let choice = election(&electors, files)?;
    let reader = supported(choice)?;
    let mut resolved: Vec<ConfigFiles> = configs
        .iter()
        .map(|config| repository.config(config, reader, choice, infos.get(config.name.as_str())))
        .collect();
    // Where nothing can be read at all, the repository as a whole says why.
    if let Some(error) = resolved.iter().find_map(|config| config.files.as_ref().err())
        && resolved.iter().all(|config| config.files.is_err())
    {
        return Err(error.clone());
    }
    resolved.sort_by(|a, b| {
        let is_other = |config: &ConfigFiles| default.as_ref() != Some(&config.name);
        is_other(a).cmp(&is_other(b)).then_with(|| a.name.cmp(&b.name))
    });
    Ok(Resolution { configs: resolved, default })
}

/// The only config, the one named `default`, or the one marked so.
fn default_config(configs: &[CardConfig]) -> Result<Option<ConfigName>, ResolveError> {
    let is_default =
        |config: &&CardConfig| configs.len() == 1 || config.name.as_str() == "default" || config.is_default;
    let mut defaults = configs.iter().filter(is_default);
    match (defaults.next(), defaults.next()) {
        (Some(first), Some(second)) => Err(ResolveError::two_defaults(first, second)),
        (default, _) => Ok(default.map(|config| config.name.clone())),
    }
}

/// Splits with their files.
struct Located<'p> {
    splits: SplitPaths<'p>,
    /// For each split the patterns that find its files, relative to the repository.
    patterns: SplitPatterns,
    is_tasks: bool,
}

/// All splits must agree on a format and on the parameters it implies.
fn election(located: &Located<'_>, files: RevisionFiles<'_>) -> Result<Choice, ResolveError> {
    if located.is_tasks {
        return Ok(Choice::harbor());
    }
    let mut choices = Vec::with_capacity(located.splits.len());
    for (split, paths) in &located.splits {
        choices.push((split, reader::choose(paths, files).map_err(|error| ResolveError::archive(&error))?));
    }
    let first = choices.first().and_then(|(_, choice)| *choice);
    match choices.iter().find(|(_, choice)| *choice != first) {
        Some(other) => Err(ResolveError::formats_differ(&choices[0], other)),
        None => first.ok_or_else(ResolveError::no_data_files),
    }
}

fn supported(choice: Choice) -> Result<Reader, ResolveError> {
    choice.reader().ok_or_else(|| ResolveError::format_not_supported(choice))
}

/// A config with everything but its splits.
fn with_info(name: &ConfigName, reader: Reader, choice: Choice, info: Option<&DeclaredInfo>) -> ResolvedConfig {
    let info = info.cloned().unwrap_or_default();
    let implied = choice.implied().map(|(parameter, value)| (parameter.to_owned(), value.into()));
    ResolvedConfig {
        name: name.clone(),
        reader,
        parameters: implied.into_iter().collect(),
        reader_features: None,
        declared_features: info.features,
        declared_splits: info.splits,
        declared_texts: info.texts,
        splits: IndexMap::new(),
    }
}

/// Each path once, at its first place.
fn owned<'p>(paths: impl IntoIterator<Item = &'p str>) -> Vec<String> {
    let paths: IndexSet<&str> = paths.into_iter().collect();
    paths.into_iter().map(str::to_owned).collect()
}

fn listed(config: &ResolvedConfig) -> Vec<SplitName> {
    match &config.declared_splits {
        Some(declared) if !declared.is_empty() => declared.clone(),
        _ => config.splits.keys().cloned().collect(),
    }
}

/// A pattern of a folder as one of the repository.
fn below(folder: &str, pattern: &str) -> String {
    let folder = folder.trim_matches('/');
    if folder.is_empty() { pattern.to_owned() } else { format!("{folder}/{pattern}") }
}

/// The paths of a repository, sorted.
struct Repository<'p> {
    paths: Vec<&'p str>,
    /// Those with a known suffix.
    data: Vec<&'p str>,
    /// Those of formats that the reference does not know.
    beyond: Vec<&'p str>,
}

impl<'p> Repository<'p> {
    /// Splits found by the names of the files below a folder.
    fn splits_by_name(&self, folder: &str) -> Result<Located<'p>, ResolveError> {
        let found =
            splits::find(folder, &self.data, &self.paths).map_err(|error| ResolveError::names(folder, &error))?;
        if !found.splits.is_empty() {
            let below = |pattern: String| below(folder, &pattern);
            let patterns = found.patterns.into_iter();
            let patterns = patterns.map(|(split, patterns)| (split, patterns.into_iter().map(below).collect()));
            let patterns = patterns.collect();
            return Ok(Located { splits: found.splits, patterns, is_tasks: found.is_tasks });
        }
        let everything = Pattern::new(folder, "**").map(|pattern| pattern.select(&self.paths)).unwrap_or_default();
        if everything.is_empty() {
            return Err(ResolveError::empty(folder));
        }
        Err(ResolveError::no_data_files())
    }

    /// Splits of a config that gives `data_files`.
    fn splits_by_patterns(&self, config: &CardConfig) -> Result<Located<'p>, ResolveError> {
        let base = config.data_dir.as_deref().unwrap_or_default();
        let (mut splits, mut all_patterns) = (IndexMap::new(), IndexMap::new());
        for (split, patterns) in config.data_files.iter().flatten() {
            let mut paths: Vec<&'p str> = Vec::new();
            all_patterns.insert(split.clone(), patterns.iter().map(|text| below(base, text)).collect());
            for text in patterns {
                let pattern = Pattern::new(base, text)
                    .map_err(|error| ResolveError::pattern(config, split, text, &error.to_string()))?;
                let mut selected = pattern.select(&self.data);
                if selected.is_empty() {
                    selected = pattern.select(&self.beyond);
                }
                if selected.is_empty() && !pattern.has_wildcard() {
                    return Err(ResolveError::pattern(config, split, text, &self.why_missing(base, text)));
                }
                paths.extend(selected);
            }
            splits.insert(split.clone(), paths);
        }
        Ok(Located { splits, patterns: all_patterns, is_tasks: false })
    }

    fn why_missing(&self, base: &str, text: &str) -> String {
        let below = Pattern::new(base, text.trim_end_matches('/')).ok().and_then(|_| {
            let folder = Pattern::new(base, &format!("{}/**", text.trim_end_matches('/'))).ok()?;
            folder.select(&self.paths).first().copied()
        });
        let itself = Pattern::new(base, text).map(|pattern| pattern.select(&self.paths)).unwrap_or_default();
        if !itself.is_empty() {
            "has no suffix that tells its format".to_owned()
        } else if below.is_some() {
            format!("is a folder; write `{}/**` for the files in it", text.trim_end_matches('/'))
        } else {
            "does not exist".to_owned()
        }
    }

    fn config(&self, config: &CardConfig, reader: Reader, choice: Choice, info: Option<&DeclaredInfo>) -> ConfigFiles {
        let mut resolved = with_info(&config.name, reader, choice, info);
        resolved.parameters.extend(config.parameters.clone());
        resolved.reader_features = config.features.clone();
        // Even of files that cannot be read, the card tells the splits.
        resolved.splits = config.data_files.iter().flatten().map(|(split, _)| (split.clone(), Vec::new())).collect();
        let mut patterns = IndexMap::new();
        let readable = self.splits_of(config).and_then(|located| {
            patterns = located.patterns;
            resolved.splits = located.splits.into_iter().map(|(split, paths)| (split, owned(paths))).collect();
            let has_schema = resolved.reader_features.is_some() || resolved.declared_features.is_some();
            if has_schema || resolved.paths().next().is_some() {
                Ok(())
            } else {
                Err(ResolveError::no_file_matches(config))
            }
        });
        let split_names = listed(&resolved);
        ConfigFiles { name: config.name.clone(), split_names, patterns, files: readable.map(|()| resolved) }
    }

    /// The splits of a config, as it gives them or by the names of its files.
    fn splits_of(&self, config: &CardConfig) -> Result<Located<'p>, ResolveError> {
        match &config.data_files {
            Some(_) => self
                .splits_by_patterns(config)
                .map_err(|error| ResolveError { code: ErrorCode::DataFilesNotFoundError, ..error }),
            None => self
                .splits_by_name(config.data_dir.as_deref().unwrap_or_default())
                .map_err(|error| error.of_config(config)),
        }
    }
}

#[cfg(test)]
mod tests;
