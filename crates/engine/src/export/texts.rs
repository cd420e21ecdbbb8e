//! The texts of cells, without what is around them: for steps that look for something in texts.

use arrow::array::{Array, RecordBatch};
use belvedere_domain::Features;

use super::read::Source;
use crate::call::{Export, Format, MediaTarget, TextPage, Texts, WantedRows};
use crate::error::{EngineError, ErrorKind};
use crate::footers::FooterCache;
use crate::search::Alphabet;
use crate::search::text::visit;
use crate::task::Task;

/// Answers [`Call::Texts`](crate::Call::Texts).
///
/// # Errors
/// [`Parameter`](ErrorKind::Parameter) for a column that is not there; those of [`Call::Export`](crate::Call::Export).
pub(crate) fn texts(call: &Texts, cache: &FooterCache, task: &Task) -> Result<TextPage, EngineError> {
    let rows = Export {
        files: call.files.clone(),
        features: call.features.clone(),
        columns: Vec::new(),
        rows: WantedRows::Range { offset: call.offset, length: call.length },
        format: Format::Json,
        begins: false,
        max_bytes: call.max_bytes,
        max_rows: usize::MAX,
        media: MediaTarget::default(),
    };
    let source = Source::open(&rows, cache)?;
    let features = source.features();
    let position = |name: &String| {
        features
            .iter()
            .position(|(known, _)| known == name)
            .ok_or_else(|| EngineError::new(ErrorKind::Parameter, "there is no such column").in_column(name))
    };
    let columns = call.columns.iter().map(position).collect::<Result<Vec<_>, _>>()?;
    let (mut page, mut bytes) = (TextPage { rows: Vec::new() }, 0);
    source.read(&columns, task, &mut |table, _| {
        for row in 0..table.num_rows() {
            let texts = texts_of(features, &columns, table, row, call.max_characters);
            bytes += texts.iter().map(|text| text.len() + size_of::<String>()).sum::<usize>();
            page.rows.push(texts);
        }
        Ok(bytes < call.max_bytes)
    })?;
    Ok(page)
}

fn texts_of(features: &Features, columns: &[usize], table: &RecordBatch, row: usize, max: usize) -> Vec<String> {
    let text_of = |(&column, array): (&usize, &arrow::array::ArrayRef)| {
        let (mut text, mut left, mut is_first) = (String::new(), max, true);
        visit(Alphabet::Unicode, &features[column].1, array as &dyn Array, row, &mut |_, part| {
            if !std::mem::take(&mut is_first) && left > 0 {
                text.push('\n');
                left -= 1;
            }
            let end = part.char_indices().nth(left).map_or(part.len(), |(at, _)| at);
            left -= part[..end].chars().count();
            text.push_str(&part[..end]);
        });
        text
    };
    columns.iter().zip(table.columns()).map(text_of).collect()
}
