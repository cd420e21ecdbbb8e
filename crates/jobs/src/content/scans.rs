//! The payloads of the scans: wishes of authors, and personal data.

use std::collections::{BTreeSet, HashSet};

use belvedere_entities::EntityType;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::scans::MAX_LISTED;

/// `*-opt-in-out-urls-count`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct OptInOutUrlsCount {
    /// Names of the columns that hold URLs.
    pub urls_columns: Vec<String>,
    /// URLs whose authors agree.
    pub num_opt_in_urls: u64,
    /// URLs whose authors refuse.
    pub num_opt_out_urls: u64,
    /// Cells that were asked about.
    pub num_urls: u64,
    /// Rows that were read.
    pub num_scanned_rows: u64,
    /// There are columns that hold URLs.
    pub has_urls_columns: bool,
    /// All rows were read; `None` where there was nothing to read.
    pub full_scan: Option<bool>,
}

impl OptInOutUrlsCount {
    /// The sum of parts, of which some may be missing.
    pub fn sum(parts: &[Option<Self>]) -> Self {
        let mut sum = Self { full_scan: Some(parts.iter().all(Option::is_some)), ..Self::default() };
        let mut columns = BTreeSet::new();
        for part in parts.iter().flatten() {
            columns.extend(part.urls_columns.iter().cloned());
            sum.num_opt_in_urls += part.num_opt_in_urls;
            sum.num_opt_out_urls += part.num_opt_out_urls;
            sum.num_urls += part.num_urls;
            sum.num_scanned_rows += part.num_scanned_rows;
            if part.full_scan == Some(false) {
                sum.full_scan = Some(false);
            }
        }
        sum.has_urls_columns = !columns.is_empty();
        sum.urls_columns = columns.into_iter().collect();
        sum
    }
}

/// `split-opt-in-out-urls-scan`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct OptInOutUrlsScan {
    /// The numbers.
    #[serde(flatten)]
    pub counts: OptInOutUrlsCount,
    /// The first of the URLs whose authors agree.
    pub opt_in_urls: Vec<ScannedUrl>,
    /// The first of the URLs whose authors refuse.
    pub opt_out_urls: Vec<ScannedUrl>,
}

/// A URL and its cell.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ScannedUrl {
    /// The URL.
    pub url: String,
    /// Its row, from 0 in the split.
    pub row_idx: u64,
    /// Its column.
    pub column_name: String,
}

/// `split-presidio-scan`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PresidioScan {
    /// Names of the columns that hold text.
    pub scanned_columns: Vec<String>,
    /// `num_<type>_entities` and `num_rows_with_<type>_entities` for every type.
    #[serde(flatten)]
    pub counts: IndexMap<String, u64>,
    /// Rows that were read.
    pub num_scanned_rows: u64,
    /// There are columns that hold text.
    pub has_scanned_columns: bool,
    /// All rows were read; `None` where there was nothing to read.
    pub full_scan: Option<bool>,
    /// Who looked: `rules` of ours, or a `presidio` analyzer.
    pub recognizer: String,
    /// Types that were not looked for; their counts of 0 mean nothing.
    pub unrecognized_entity_types: Vec<String>,
    /// The first of the entities, masked.
    pub entities: Vec<ScannedEntity>,
}

/// A part of a text that is personal data.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ScannedEntity {
    /// Its text, masked.
    pub text: String,
    /// What it is: a name of [`EntityType`].
    pub r#type: String,
    /// Its row, from 0 in the split.
    pub row_idx: u64,
    /// Its column.
    pub column_name: String,
}

impl PresidioScan {
    /// Nothing found so far in some columns, by rules or by an analyzer.
    pub(crate) fn new(scanned_columns: Vec<String>, by_service: bool) -> Self {
        let keys = EntityType::ALL.iter().flat_map(|entity| [entities_key(entity.name()), rows_key(entity.name())]);
        let unknown = EntityType::ALL.iter().filter(|entity| !by_service && !entity.is_recognized());
        Self {
            has_scanned_columns: !scanned_columns.is_empty(),
            scanned_columns,
            counts: keys.map(|key| (key, 0)).collect(),
            num_scanned_rows: 0,
            full_scan: None,
            recognizer: if by_service { "presidio" } else { "rules" }.to_owned(),
            unrecognized_entity_types: unknown.map(|entity| entity.name().to_owned()).collect(),
            entities: Vec::new(),
        }
    }

    /// Adds all entities of some rows that were not added before.
    pub(crate) fn add(&mut self, found: Vec<ScannedEntity>) {
        let mut rows: HashSet<(u64, &str)> = HashSet::new();
        for entity in &found {
            *self.counts.entry(entities_key(&entity.r#type)).or_default() += 1;
            if rows.insert((entity.row_idx, &entity.r#type)) {
                *self.counts.entry(rows_key(&entity.r#type)).or_default() += 1;
            }
        }
        let room = MAX_LISTED.saturating_sub(self.entities.len());
        self.entities.extend(found.into_iter().take(room));
    }

    /// Number of rows with an entity of a type.
    pub(crate) fn rows_with(&self, entity: EntityType) -> u64 {
        self.counts.get(&rows_key(entity.name())).copied().unwrap_or(0)
    }
}

fn entities_key(name: &str) -> String {
    format!("num_{}_entities", name.to_ascii_lowercase())
}

fn rows_key(name: &str) -> String {
    format!("num_rows_with_{}_entities", name.to_ascii_lowercase())
}

/// `dataset-presidio-entities-count`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PresidioEntitiesCount {
    /// Names of the columns that hold text, of all splits.
    pub scanned_columns: Vec<String>,
    /// Rows with the name of a person.
    pub num_rows_with_person_entities: u64,
    /// Rows with a telephone number.
    pub num_rows_with_phone_number_entities: u64,
    /// Rows with an address of e-mail.
    pub num_rows_with_email_address_entities: u64,
    /// Rows with a payment card, a bank account, or a social security number or passport of the United States; rows with
    /// several of them count for each.
    pub num_rows_with_sensitive_pii: u64,
    /// Rows that were read.
    pub num_scanned_rows: u64,
    /// There are columns that hold text.
    pub has_scanned_columns: bool,
    /// All rows of all splits were read.
    pub full_scan: bool,
    /// Types that were not looked for; their counts of 0 mean nothing.
    pub unrecognized_entity_types: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(kind: &str, row_idx: u64) -> ScannedEntity {
        ScannedEntity { text: "x*".to_owned(), r#type: kind.to_owned(), row_idx, column_name: "text".to_owned() }
    }

    #[test]
    fn a_row_counts_once_for_each_type() {
        let mut scan = PresidioScan::new(vec!["text".to_owned()], false);
        scan.add(vec![entity("URL", 0), entity("URL", 0), entity("EMAIL_ADDRESS", 0)]);
        scan.add(vec![entity("URL", 1)]);
        let count = |key: &str| scan.counts[key];
        assert_eq!((count("num_url_entities"), count("num_rows_with_url_entities")), (3, 2));
        assert_eq!((scan.rows_with(EntityType::EmailAddress), scan.rows_with(EntityType::Person)), (1, 0));
        assert_eq!((scan.counts.len(), scan.entities.len()), (60, 4));
        let stored = serde_json::to_string(&scan).unwrap();
        assert_eq!(serde_json::from_str::<PresidioScan>(&stored).unwrap(), scan);
    }

    #[test]
    fn the_list_of_entities_is_bounded_and_the_counts_are_not() {
        let mut scan = PresidioScan::new(vec!["text".to_owned()], true);
        for page in 0..3 {
            scan.add((0..6_000).map(|row| entity("ID", page * 6_000 + row)).collect());
        }
        assert_eq!((scan.counts["num_id_entities"], scan.entities.len()), (18_000, MAX_LISTED));
        assert!(scan.unrecognized_entity_types.is_empty());
    }

    #[test]
    fn sums_of_wishes_are_full_only_if_every_part_is_there_and_full() {
        let part = |columns: &[&str], num_urls, full_scan| {
            let urls_columns: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
            let has_urls_columns = !urls_columns.is_empty();
            let (num_opt_in_urls, num_opt_out_urls, num_scanned_rows) = (1, 2, 10);
            Some(OptInOutUrlsCount {
                urls_columns,
                num_opt_in_urls,
                num_opt_out_urls,
                num_urls,
                num_scanned_rows,
                has_urls_columns,
                full_scan,
            })
        };
        let sum = OptInOutUrlsCount::sum(&[
            part(&["b", "a"], 5, Some(true)),
            part(&["b"], 6, Some(true)),
            part(&[], 0, None),
        ]);
        assert_eq!(sum.urls_columns, ["a", "b"]);
        assert_eq!((sum.num_urls, sum.num_opt_in_urls, sum.num_opt_out_urls, sum.num_scanned_rows), (11, 3, 6, 30));
        assert_eq!((sum.has_urls_columns, sum.full_scan), (true, Some(true)));
        let full = |parts: &[Option<OptInOutUrlsCount>]| OptInOutUrlsCount::sum(parts).full_scan;
        assert_eq!(full(&[part(&["a"], 1, Some(true)), None]), Some(false));
        assert_eq!(full(&[part(&["a"], 1, Some(true)), part(&["a"], 1, Some(false))]), Some(false));
        assert_eq!(full(&[]), Some(true));
    }
}
