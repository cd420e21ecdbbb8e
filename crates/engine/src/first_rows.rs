//! The rows of a `/first-rows` answer: as many as fit in a number of bytes, with long cells cut where needed.
//!
//! A pure function over the JSON of rows. Sizes are bytes of compact JSON.

use std::collections::HashSet;

use belvedere_domain::features::Dtype;
use belvedere_domain::{Feature, Features};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::cells;
use crate::error::{EngineError, ErrorKind};
use crate::json_text;

/// What an answer is allowed to hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of the whole answer.
    pub max_bytes: usize,
    /// Longer cells may be cut to this many bytes.
    pub min_cell_bytes: usize,
    /// Rows that are shown whatever their size, cut if need be.
    pub min_number: usize,
}

/// Whose rows these are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header<'a> {
    /// Name of the dataset.
    pub dataset: &'a str,
    /// Name of the config.
    pub config: &'a str,
    /// Name of the split.
    pub split: &'a str,
}

/// The rows to show.
#[derive(Clone, Debug)]
pub struct FirstRows {
    /// `{"row_idx": 0, "row": {…}, "truncated_cells": […]}`, in order from row 0.
    pub items: Vec<Box<RawValue>>,
    /// The split has more rows than these.
    pub truncated: bool,
}

/// Chooses and cuts the first rows of a split. `rows` are JSON objects of the columns in `features`; `all_fetched` says
/// that they are the whole split. The first [`Limits::min_number`] rows are always kept; if they exceed the limit,
/// cells are cut from the last row upwards until they fit (and it is accepted that they may not). Media columns, columns
/// of URLs and those in `protected` are never cut.
///
/// # Errors
/// [`TooBig`](ErrorKind::TooBig) when the answer exceeds the limit without any row.
pub fn truncate(
    header: Header<'_>,
    features: &Features,
    rows: &[Box<RawValue>],
    all_fetched: bool,
    protected: &[&str],
    limits: Limits,
) -> Result<FirstRows, EngineError> {
    let frame = frame_size(header, features)?;
    let Some(budget) = limits.max_bytes.checked_sub(frame) else {
        let message = format!(
            "the answer takes {frame} bytes before its first row, more than the {} allowed: too many columns",
            limits.max_bytes
        );
        return Err(EngineError::new(ErrorKind::TooBig, message));
    };
    let rows = rows.iter().map(|row| Row::parse(row)).collect::<Result<Vec<_>, _>>()?;
    let mut items: Vec<Item<'_>> = Vec::new();
    let mut used = 2;
    for (index, row) in rows.iter().enumerate().take(limits.min_number) {
        items.push(Item::new(index, row));
        used += items[index].size + 1;
    }
    if used >= budget {
        let protected = protected_columns(features, &rows, protected);
        let mut total = 2 + items.iter().map(|item| item.size).sum::<usize>() + items.len().saturating_sub(1);
        for item in items.iter_mut().rev() {
            if total < budget {
                break;
            }
            total -= item.size;
            item.cut(&protected, limits.min_cell_bytes);
            total += item.size;
        }
    } else {
        for (index, row) in rows.iter().enumerate().skip(limits.min_number) {
            let item = Item::new(index, row);
            used += item.size + 1;
            if used >= budget {
                break;
            }
            items.push(item);
        }
    }
    let truncated = !all_fetched || items.len() < rows.len();
    let items = items.iter().map(Item::to_json).collect::<Result<_, _>>()?;
    Ok(FirstRows { items, truncated })
}

/// Size of the answer without rows.
fn frame_size(header: Header<'_>, features: &Features) -> Result<usize, EngineError> {
    #[derive(Serialize)]
    struct Frame<'a> {
        dataset: &'a str,
        config: &'a str,
        split: &'a str,
        features: serde_json::Value,
        rows: [(); 0],
        truncated: bool,
    }
    let Header { dataset, config, split } = header;
    let frame = Frame { dataset, config, split, features: features.to_list_json(), rows: [], truncated: false };
    serde_json::to_vec(&frame).map(|json| json.len()).map_err(|error| EngineError::new(ErrorKind::Internal, error))
}

/// Cells in column order, each as compact JSON.
struct Row<'a> {
    cells: Vec<(String, &'a str)>,
}

impl<'a> Row<'a> {
    fn parse(row: &'a RawValue) -> Result<Self, EngineError> {
        let cells: indexmap::IndexMap<String, &'a RawValue> = serde_json::from_str(row.get())
            .map_err(|error| EngineError::new(ErrorKind::Internal, format!("a row is not a JSON object: {error}")))?;
        Ok(Self { cells: cells.into_iter().map(|(name, cell)| (name, cell.get())).collect() })
    }
}

struct Item<'a> {
    index: usize,
    row: &'a Row<'a>,
    /// Cut cells by their place in the row, as the JSON of a string.
    cut: Vec<(usize, String)>,
    /// Bytes of its JSON.
    size: usize,
}

impl<'a> Item<'a> {
    fn new(index: usize, row: &'a Row<'a>) -> Self {
        let mut item = Self { index, row, cut: Vec::new(), size: 0 };
        item.size = item.text().len();
        item
    }

    fn cut(&mut self, protected: &HashSet<&str>, min_cell_bytes: usize) {
        for (position, (name, cell)) in self.row.cells.iter().enumerate() {
            if cell.len() > min_cell_bytes && !protected.contains(name.as_str()) {
                let mut text = String::new();
                json_text::string(&mut text, &cell[..cell.floor_char_boundary(min_cell_bytes)]);
                self.cut.push((position, text));
            }
        }
        self.size = self.text().len();
    }

    fn text(&self) -> String {
        let mut out = String::from("{\"row_idx\":");
        json_text::integer(&mut out, self.index);
        out.push_str(",\"row\":{");
        let mut cuts = self.cut.iter().peekable();
        for (position, (name, cell)) in self.row.cells.iter().enumerate() {
            if position > 0 {
                out.push(',');
            }
            out.push_str(&cells::key(name));
            match cuts.next_if(|(cut, _)| *cut == position) {
                Some((_, text)) => out.push_str(text),
                None => out.push_str(cell),
            }
        }
        out.push_str("},\"truncated_cells\":[");
        for (index, (position, _)) in self.cut.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            json_text::string(&mut out, &self.row.cells[*position].0);
        }
        out.push_str("]}");
        out
    }

    fn to_json(&self) -> Result<Box<RawValue>, EngineError> {
        RawValue::from_string(self.text()).map_err(|error| EngineError::new(ErrorKind::Internal, error))
    }
}

/// Columns that are never cut: media, whose cells are small objects of URLs; texts of which more than 30 % are URLs,
/// because half a URL is useless; and those that the caller names.
fn protected_columns<'a>(features: &'a Features, rows: &[Row<'_>], named: &[&'a str]) -> HashSet<&'a str> {
    let is_url = |cell: &str| cell.starts_with("\"http://") || cell.starts_with("\"https://");
    let mostly_urls = |name: &str| {
        let urls =
            rows.iter().filter(|row| row.cells.iter().any(|(column, cell)| column == name && is_url(cell))).count();
        urls * 10 > rows.len() * 3
    };
    let kept = |(name, feature): &&(String, Feature)| match feature {
        Feature::Value(Dtype::String) => mostly_urls(name),
        feature => feature.media().is_some(),
    };
    features.iter().filter(kept).map(|(name, _)| name.as_str()).chain(named.iter().copied()).collect()
}

#[cfg(test)]
mod tests;
