//! What a DuckDB file of a split is made from: as many Parquet files as a limit allows, and a Parquet file with the sizes
//! of images, which no other engine than this one can tell.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Builder, RecordBatch};
use belvedere_domain::features::Dtype;
use belvedere_domain::{Feature, Features};

use crate::call::{MediaTarget, ParquetFile};
use crate::error::EngineError;
use crate::features_arrow::to_schema;
use crate::footers::{FooterCache, check_num_rows};
use crate::inspect::check_column_names;
use crate::media::{MediaCell, MediaStore};
use crate::scan::SplitTable;
use crate::source::LocalFile;
use crate::task::Task;
use crate::write::{SplitWriter, WriteOptions};

/// Images looked at together; their bytes are in memory.
const BATCH_ROWS: usize = 64;

/// The first files of a split, as many as a limit allows.
#[derive(Clone, PartialEq, Debug)]
pub struct IndexSource {
    /// How many of the files were taken.
    pub files: usize,
    /// Their rows.
    pub num_rows: u64,
    /// Bytes of their row groups before compression.
    pub num_bytes: u64,
    /// The columns of the split.
    pub features: Features,
    /// Names of the top-level columns of the first file, in the order of the file.
    pub columns: Vec<String>,
}

/// Takes files in order until their row groups hold more than `max_bytes` before compression; the file that passes the
/// limit is taken, too. `features` of `None` are those of the first file.
///
/// # Errors
/// [`Empty`](crate::ErrorKind::Empty) without files, [`Changed`](crate::ErrorKind::Changed) when a file is not the one
/// that was listed; those of reading footers.
pub fn choose(
    files: &[ParquetFile],
    features: Option<&Features>,
    max_bytes: Option<u64>,
    footers: &FooterCache,
) -> Result<IndexSource, EngineError> {
    let Some(first) = files.first() else {
        return Err(EngineError::new(crate::ErrorKind::Empty, "the split has no files"));
    };
    let (_, footer) = footers.open(&first.file)?;
    let features = footers.features(features, files)?;
    check_column_names(&features)?;
    let columns = footer.arrow.schema().fields().iter().map(|field| field.name().clone()).collect();
    let mut source = IndexSource { files: 0, num_rows: 0, num_bytes: 0, features, columns };
    for file in files {
        if source.files > 0 && max_bytes.is_some_and(|max| source.num_bytes > max) {
            break;
        }
        let (_, footer) = footers.open(&file.file)?;
        check_num_rows(&footer, file.num_rows, &file.file.path)?;
        source.files += 1;
        source.num_rows += footer.num_rows();
        source.num_bytes += footer.uncompressed_bytes();
    }
    Ok(source)
}

/// Fails when a file is no longer the one that was listed: for those who read files by other means than ours.
///
/// # Errors
/// [`Changed`](crate::ErrorKind::Changed) naming the file.
pub fn check_unchanged(files: &[ParquetFile]) -> Result<(), EngineError> {
    files.iter().try_for_each(|file| LocalFile::open(&file.file).map(drop))
}

/// Sizes of images as a Parquet file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImageSizes {
    /// The files, in the order of the rows.
    pub paths: Vec<PathBuf>,
    /// The image columns. The files have two 64-bit integers for each, width and height, in this order.
    pub columns: Vec<String>,
}

/// Writes the sizes of the images of all top-level image columns, in pixels as shown, below `output`. Images that cannot
/// be understood have none. `None`: no such column.
///
/// # Errors
/// Those of reading and writing.
pub fn write_image_sizes(
    files: &[ParquetFile],
    features: &Features,
    media: &MediaTarget,
    output: &Path,
    task: &Task,
    footers: &FooterCache,
) -> Result<Option<ImageSizes>, EngineError> {
    let is_image =
        |(index, (_, feature)): (usize, &(String, Feature))| matches!(feature, Feature::Image(_)).then_some(index);
    let positions: Vec<usize> = features.iter().enumerate().filter_map(is_image).collect();
    if positions.is_empty() {
        return Ok(None);
    }
    let columns: Vec<String> = features
        .iter()
        .filter(|(_, feature)| matches!(feature, Feature::Image(_)))
        .map(|(name, _)| name.clone())
        .collect();
    let number = || Feature::Value(Dtype::Int64);
    let sizes = Features::new(
        (0..columns.len())
            .flat_map(|index| [(format!("width{index}"), number()), (format!("height{index}"), number())]),
    );
    let schema = to_schema(&sizes, false);
    let table = SplitTable::open(files, Some(features), footers)?;
    let media = MediaStore::new(media);
    let directory = "image-sizes";
    let mut writer = SplitWriter::new(output, directory, &sizes, WriteOptions::default());
    for group in table.groups() {
        for batch in table.read(group, &positions, None, BATCH_ROWS)? {
            task.check()?;
            let batch = batch?;
            let arrays: Vec<ArrayRef> = batch.columns().iter().flat_map(|images| sizes_of(images, &media)).collect();
            let bytes = arrays.iter().map(|array| array.get_buffer_memory_size() as u64).sum();
            let table = RecordBatch::try_new(Arc::clone(&schema), arrays)
                .map_err(|error| EngineError::new(crate::ErrorKind::Internal, error))?;
            writer.write(&table, bytes)?;
        }
    }
    let paths = writer.finish()?.into_iter().map(|written| output.join(written.path)).collect();
    Ok(Some(ImageSizes { paths, columns }))
}

/// Widths and heights of a column of `{bytes, path}`.
fn sizes_of(images: &ArrayRef, media: &MediaStore<'_>) -> [ArrayRef; 2] {
    let images = images.as_struct();
    let bytes = images.column_by_name("bytes").and_then(|column| column.as_binary_opt::<i32>());
    let paths = images.column_by_name("path").and_then(|column| column.as_string_opt::<i32>());
    let (mut widths, mut heights) = (Int64Builder::new(), Int64Builder::new());
    for row in 0..images.len() {
        let there = |column: &dyn Array| images.is_valid(row) && column.is_valid(row);
        let cell = MediaCell {
            bytes: bytes
                .filter(|column| there(*column))
                .map(|column| column.value(row))
                .filter(|bytes| !bytes.is_empty()),
            path: paths.filter(|column| there(*column)).map(|column| column.value(row)),
        };
        let size = media.image_size(&cell);
        widths.append_option(size.map(|(width, _)| i64::from(width)));
        heights.append_option(size.map(|(_, height)| i64::from(height)));
    }
    [Arc::new(widths.finish()), Arc::new(heights.finish())]
}
