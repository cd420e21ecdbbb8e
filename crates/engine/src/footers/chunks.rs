//! Whether the pages of a file were cut where its content says (content-defined chunking), so that a store which keeps equal
//! chunks once sends and keeps only what changed. Told by the footer and its page index alone.

use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::page_index::offset_index::OffsetIndexMetaData;

use crate::call::Chunks;

/// What writers note in the metadata of a file whose pages they cut so.
const KEY: &str = "use_content_defined_chunking";
/// Pages of a column differ in size when the standard deviation is more than this part of the mean.
const VARIATION: f64 = 0.05;

/// What the footer tells. Only a page index that stands in the file counts, not one that was found by looking.
pub(crate) fn of(metadata: &ParquetMetaData) -> Chunks {
    let noted = metadata.file_metadata().key_value_metadata().into_iter().flatten().any(|pair| pair.key == KEY);
    match noted {
        true => Chunks::Noted,
        false if do_pages_vary(metadata) => Chunks::Likely,
        false => Chunks::None,
    }
}

/// True when the pages of at least half of the columns differ in size.
fn do_pages_vary(metadata: &ParquetMetaData) -> bool {
    let columns = metadata.file_metadata().schema_descr().num_columns();
    let varying = (0..columns).filter(|&column| variation(&page_sizes(metadata, column)) > VARIATION).count();
    varying > 0 && varying * 2 >= columns
}

/// Compressed bytes of the data pages of a column, over all row groups.
fn page_sizes(metadata: &ParquetMetaData, column: usize) -> Vec<f64> {
    let groups = metadata.row_groups().iter().zip(metadata.offset_index().into_iter().flatten());
    let has_index = |chunk: usize, group: &RowGroupMetaData| {
        group.columns().get(chunk).is_some_and(|chunk| chunk.offset_index_offset().is_some())
    };
    groups
        .filter(|(group, _)| has_index(column, group))
        .filter_map(|(_, pages)| pages.get(column))
        .flat_map(OffsetIndexMetaData::page_locations)
        .map(|page| f64::from(page.compressed_page_size))
        .collect()
}

/// Standard deviation over mean; 0 for a single page.
fn variation(sizes: &[f64]) -> f64 {
    let count = sizes.len() as f64;
    let mean = sizes.iter().sum::<f64>() / count;
    if sizes.len() < 2 || mean <= 0.0 {
        return 0.0;
    }
    let variance = sizes.iter().map(|size| (size - mean).powi(2)).sum::<f64>() / count;
    variance.sqrt() / mean
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use bytes::Bytes;
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
    use parquet::basic::Compression;
    use parquet::file::metadata::{KeyValue, PageIndexPolicy};
    use parquet::file::properties::{EnabledStatistics, WriterProperties};

    use super::*;

    /// A number and a text of `length(row)` characters a row, in pages of 100 rows.
    fn written(length: fn(usize) -> usize, has_index: bool, note: Option<&str>) -> Chunks {
        let rows = 2_000;
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
        let texts = (0..rows as usize).map(|row| format!("{row:0>width$}", width = length(row)));
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
        let table = RecordBatch::try_from_iter([("n", numbers), ("text", texts)]).unwrap();
        let properties = WriterProperties::builder()
            .set_compression(Compression::UNCOMPRESSED)
            .set_dictionary_enabled(false)
            .set_write_batch_size(100)
            .set_data_page_row_count_limit(100)
            .set_offset_index_disabled(!has_index)
            .set_statistics_enabled(if has_index { EnabledStatistics::Page } else { EnabledStatistics::None })
            .set_key_value_metadata(note.map(|key| vec![KeyValue::new(key.to_owned(), "true".to_owned())]))
            .build();
        let mut file = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut file, table.schema(), Some(properties)).unwrap();
        writer.write(&table).unwrap();
        writer.close().unwrap();
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        of(ArrowReaderMetadata::load(&Bytes::from(file), options).unwrap().metadata())
    }

    #[test]
    fn pages_of_different_sizes_in_half_of_the_columns_are_likely_cut_by_content() {
        assert_eq!(written(|_| 30, true, None), Chunks::None);
        assert_eq!(written(|row| if row < 700 { 30 } else { 300 }, true, None), Chunks::Likely);
    }

    #[test]
    fn without_a_page_index_of_its_own_a_file_has_to_say_so() {
        let uneven = |row| if row < 700 { 30 } else { 300 };
        assert_eq!(written(uneven, false, None), Chunks::None);
        assert_eq!(written(uneven, false, Some("content_defined_chunking")), Chunks::None);
        assert_eq!(written(|_| 30, false, Some(KEY)), Chunks::Noted);
    }

    #[test]
    fn variation_is_that_of_the_whole_population() {
        assert_eq!(variation(&[]), 0.0);
        assert_eq!(variation(&[5.0]), 0.0);
        assert_eq!(variation(&[0.0, 0.0]), 0.0);
        assert!((variation(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]) - 0.4).abs() < 1e-12);
    }
}
