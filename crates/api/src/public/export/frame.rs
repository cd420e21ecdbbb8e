//! What stands around the pieces of an answer: the members of a JSON answer, the end mark of an Arrow stream, the footer
//! of a Parquet file, the addresses in text.

use belvedere_domain::Revision;
use belvedere_engine::EngineError;
use belvedere_engine::call::{Exported, Format, Piece};
use belvedere_engine::export::{END_OF_STREAM, ParquetJoin};
use belvedere_jobs::settings::Urls;
use bytes::Bytes;

use super::Export;
use crate::params::DEFAULT_LENGTH;
use crate::public::serve;

pub(super) struct Frame {
    format: Format,
    num_rows_total: Option<u64>,
    extras: std::vec::IntoIter<String>,
    partial: bool,
    base_url: serve::Base,
    join: Option<ParquetJoin>,
    begins: bool,
    has_items: bool,
}

impl Frame {
    pub(super) fn new(export: &Export, partial: bool, base_url: serve::Base) -> Self {
        let format = export.shape.format;
        Self {
            format,
            num_rows_total: export.num_rows_total,
            extras: export.extras.clone().into_iter(),
            partial,
            base_url,
            join: (format == Format::Parquet).then(ParquetJoin::default),
            begins: true,
            has_items: false,
        }
    }

    /// The bytes to send for a piece whose rows have these numbers.
    pub(super) fn wrap(
        &mut self,
        exported: Exported,
        rows: Vec<u64>,
        is_last: bool,
        urls: &Urls,
        revision: &Revision,
    ) -> Result<Bytes, EngineError> {
        let begins = std::mem::replace(&mut self.begins, false);
        let Exported { features, piece, num_rows_total, .. } = exported;
        match piece {
            Piece::Rows(items) => {
                let mut text = String::new();
                if begins {
                    text.push_str("{\"features\":");
                    text.push_str(&features.to_list_json().to_string());
                    text.push_str(",\"rows\":[");
                }
                for (item, row) in items.iter().zip(rows) {
                    self.push_item(&mut text, row, item.get());
                }
                if is_last {
                    let total = self.num_rows_total.unwrap_or(num_rows_total);
                    let partial = self.partial;
                    text.push_str(&format!(
                        "],\"num_rows_total\":{total},\"num_rows_per_page\":{DEFAULT_LENGTH},\"partial\":{partial}}}"
                    ));
                }
                Ok(serve::with_urls(&text, urls, &self.base_url, revision).into())
            }
            Piece::Text(text) => Ok(serve::with_urls(&text, urls, &self.base_url, revision).into()),
            Piece::Bytes(bytes) => match &mut self.join {
                Some(join) => {
                    let bytes = join.push(bytes)?;
                    match self.join.take_if(|_| is_last) {
                        Some(join) => Ok([bytes, join.finish()?].concat().into()),
                        None => Ok(bytes),
                    }
                }
                None if is_last && self.format == Format::Arrow => Ok([&bytes[..], &END_OF_STREAM].concat().into()),
                None => Ok(bytes),
            },
        }
    }

    fn push_item(&mut self, text: &mut String, row: u64, item: &str) {
        if std::mem::replace(&mut self.has_items, true) {
            text.push(',');
        }
        text.push_str(&format!("{{\"row_idx\":{row},\"row\":{item},\"truncated_cells\":[]"));
        if let Some(extra) = self.extras.next() {
            text.push(',');
            text.push_str(&extra);
        }
        text.push('}');
    }
}
