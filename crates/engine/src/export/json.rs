//! Rows as JSON objects: one by one for an answer, or one per line.

use arrow::array::RecordBatch;
use belvedere_domain::Features;

use super::Encoder;
use crate::call::{MediaTarget, Piece};
use crate::cells::{self, Cells};
use crate::error::EngineError;
use crate::media::{MediaStore, Place};
use crate::rows::Page;

/// Each row by itself, as a page of rows has them.
pub(super) struct Rows<'a> {
    features: &'a Features,
    page: Page<'a>,
    num_bytes: usize,
}

impl<'a> Rows<'a> {
    pub(super) fn new(features: &'a Features, media: &'a MediaTarget) -> Self {
        Self { features, page: Page::new(features, media, 0), num_bytes: 0 }
    }
}

impl Encoder for Rows<'_> {
    fn push(&mut self, table: &RecordBatch, numbers: &[u64]) -> Result<(), EngineError> {
        let before = self.page.rows().len();
        self.page.push_rows(table, numbers)?;
        self.num_bytes += self.page.rows()[before..].iter().map(|row| row.get().len()).sum::<usize>();
        Ok(())
    }

    fn num_bytes(&self) -> usize {
        self.num_bytes
    }

    fn finish(self: Box<Self>) -> Result<Piece, EngineError> {
        Ok(Piece::Rows(self.page.finish(self.features.clone(), None, false)?.rows))
    }
}

/// JSON Lines.
pub(super) struct Lines<'a> {
    features: &'a Features,
    /// `"name":`, escaped, in the order of the features.
    keys: Vec<String>,
    media: MediaStore<'a>,
    text: String,
}

impl<'a> Lines<'a> {
    pub(super) fn new(features: &'a Features, media: &'a MediaTarget) -> Self {
        let keys = features.iter().map(|(name, _)| cells::key(name)).collect();
        Self { features, keys, media: MediaStore::new(media), text: String::new() }
    }
}

impl Encoder for Lines<'_> {
    fn push(&mut self, table: &RecordBatch, numbers: &[u64]) -> Result<(), EngineError> {
        let columns = writers(self.features, table)?;
        for (row, &number) in numbers.iter().enumerate() {
            self.text.push('{');
            for (index, ((cells, key), (name, _))) in columns.iter().zip(&self.keys).zip(self.features).enumerate() {
                if index > 0 {
                    self.text.push(',');
                }
                self.text.push_str(key);
                let mut place = Place { row: number, column: name, path: Vec::new() };
                let written = cells.write(&mut self.text, row, &mut place, &mut self.media);
                written.map_err(|error| error.in_column(name))?;
            }
            self.text.push_str("}\n");
        }
        Ok(())
    }

    fn num_bytes(&self) -> usize {
        self.text.len()
    }

    fn finish(self: Box<Self>) -> Result<Piece, EngineError> {
        self.media.into_assets()?;
        Ok(Piece::Text(self.text))
    }
}

/// A writer for each column of a table.
pub(super) fn writers<'t>(features: &'t Features, table: &'t RecordBatch) -> Result<Vec<Cells<'t>>, EngineError> {
    let columns = features.iter().zip(table.columns());
    columns.map(|((name, feature), array)| Cells::of(feature, array).map_err(|error| error.in_column(name))).collect()
}
