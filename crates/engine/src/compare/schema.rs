//! Columns that came, went, or are of another type.

use belvedere_domain::Features;
use serde::{Deserialize, Serialize};
use serde_json::Value as JsonValue;

use super::shared;

/// How the columns of two splits differ.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct SchemaDifference {
    /// Columns that are right only.
    pub added: Vec<Column>,
    /// Columns that are left only.
    pub removed: Vec<Column>,
    /// Columns of the same name with another type.
    pub changed: Vec<ChangedColumn>,
    /// Number of columns that are the same.
    pub same: usize,
    /// The columns that both have come in another order.
    pub reordered: bool,
}

/// A column.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its feature.
    #[serde(rename = "type")]
    pub feature: JsonValue,
}

/// A column of two types.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ChangedColumn {
    /// Its name.
    pub name: String,
    /// The feature left.
    pub left: JsonValue,
    /// The feature right.
    pub right: JsonValue,
    /// The values can be compared nevertheless.
    pub comparable: bool,
}

/// Compares the features of two splits.
pub(super) fn difference(left: &Features, right: &Features, comparable: &[shared::Column]) -> SchemaDifference {
    let only = |here: &Features, there: &Features| {
        let missing = here.iter().filter(|(name, _)| there.get(name).is_none());
        missing.map(|(name, feature)| Column { name: name.clone(), feature: feature.to_json() }).collect()
    };
    let mut difference =
        SchemaDifference { added: only(right, left), removed: only(left, right), ..SchemaDifference::default() };
    for (name, feature) in left {
        match right.get(name) {
            Some(other) if other == feature => difference.same += 1,
            Some(other) => difference.changed.push(ChangedColumn {
                name: name.clone(),
                left: feature.to_json(),
                right: other.to_json(),
                comparable: comparable.iter().any(|column| column.name == *name),
            }),
            None => {}
        }
    }
    let order = |here: &Features, there: &Features| {
        let common = here.iter().filter(|(name, _)| there.get(name).is_some());
        common.map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    difference.reordered = order(left, right) != order(right, left);
    difference
}
