//! Bytes of Parquet files for DataFusion: from the files of a call and nowhere else.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use belvedere_engine::OpenParquet;
use bytes::Bytes;
use datafusion::common::exec_datafusion_err;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::object_store::ObjectStore;
use datafusion::object_store::memory::InMemory;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::{ParquetError, Result as ParquetResult};
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use url::Url;

/// The address of the files, which nothing stands behind.
pub(crate) const NOWHERE: &str = "belvedere://split";

/// The files of a split. DataFusion calls them by their number.
#[derive(Debug)]
pub(crate) struct Files(pub(crate) Vec<OpenParquet>);

impl ParquetFileReaderFactory for Files {
    fn create_reader(
        &self,
        _partition_index: usize,
        file: PartitionedFile,
        _metadata_size_hint: Option<usize>,
        _metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let number = file.object_meta.location.as_ref().parse::<usize>().ok();
        let opened = number.and_then(|number| self.0.get(number));
        let opened = opened.ok_or_else(|| exec_datafusion_err!("a file was asked for that the split does not have"))?;
        Ok(Box::new(Reader(opened.clone())))
    }
}

struct Reader(OpenParquet);

impl Reader {
    fn read(&self, ranges: &[Range<u64>]) -> ParquetResult<Vec<Bytes>> {
        self.0.read(ranges).map_err(|error| ParquetError::External(Box::new(error)))
    }
}

/// A child process has one query and all its threads for it: reading does not get in anybody's way.
impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        let bytes = self.read(std::slice::from_ref(&range)).map(|mut bytes| bytes.pop().unwrap_or_default());
        ready(bytes).boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        ready(self.read(&ranges)).boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        ready(Ok(Arc::clone(self.0.metadata()))).boxed()
    }
}

/// Knows no place where files could be: neither the disk of this machine nor another one.
#[derive(Default)]
pub(crate) struct NoStores;

impl fmt::Debug for NoStores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NoStores")
    }
}

impl ObjectStoreRegistry for NoStores {
    fn register_store(&self, _url: &Url, _store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        match url.as_str().starts_with(NOWHERE) {
            true => Ok(Arc::new(InMemory::new())),
            false => Err(DataFusionError::Plan("there are no files but those of the tables".to_owned())),
        }
    }
}
