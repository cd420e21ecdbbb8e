//! SQLite files of several tables: a config for each.

use belvedere_domain::data_files::ResolvedConfig;
use belvedere_domain::names::ConfigName;
use indexmap::{IndexMap, IndexSet};

use super::splits::SplitPatterns;
use super::{ConfigFiles, listed};
use crate::reader::RevisionFiles;
use crate::sqlite;

/// Most files that are opened to find what tables they have.
const MAX_FILES: usize = 10;
/// Most tables that become configs.
const MAX_TABLES: usize = 1000;

/// A config per table, over the files that have it, by name; empty when the tables cannot be told. `whole`: the config of
/// all files. What is wrong with a file shows when it is read.
pub(super) fn configs(whole: &ResolvedConfig, patterns: &SplitPatterns, files: RevisionFiles<'_>) -> Vec<ConfigFiles> {
    let paths: IndexSet<&str> = whole.paths().collect();
    let mut holders: IndexMap<String, Vec<&str>> = IndexMap::new();
    for path in &paths {
        if holders.len() > MAX_TABLES || paths.len() > MAX_FILES {
            return Vec::new();
        }
        for table in sqlite::table_names(path, files).unwrap_or_default() {
            holders.entry(table).or_default().push(path);
        }
    }
    let mut configs: Vec<ConfigFiles> = Vec::new();
    for (table, holders) in holders {
        // A name of a table may hold what one of a config may not.
        let legal: String =
            table.chars().map(|letter| if r#"<>:/\|?*"#.contains(letter) { '_' } else { letter }).collect();
        let Ok(name) = ConfigName::new(&legal) else { continue };
        if configs.iter().any(|config| config.name == name) {
            continue;
        }
        let mut config = ResolvedConfig { name: name.clone(), ..whole.clone() };
        config.parameters.insert("table".to_owned(), table.into());
        for paths in config.splits.values_mut() {
            paths.retain(|path| holders.contains(&path.as_str()));
        }
        config.splits.retain(|_, paths| !paths.is_empty());
        let patterns = patterns.iter().filter(|(split, _)| config.splits.contains_key(*split));
        let patterns = patterns.map(|(split, patterns)| (split.clone(), patterns.clone())).collect();
        configs.push(ConfigFiles { split_names: listed(&config), patterns, name, files: Ok(config) });
    }
    configs.sort_by(|left, right| left.name.cmp(&right.name));
    configs
}
