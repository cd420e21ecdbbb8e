//! A split as a table: its columns, and `__row_idx`, the number of the row in the split.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use belvedere_domain::{Feature, Features};
use belvedere_engine::call::SqlTable;
use belvedere_engine::{EngineError, FooterCache, OpenParquet, features_arrow};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Column;
use datafusion::common::config::TableParquetOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::datasource::{TableType, ViewTable, provider_as_source};
use datafusion::error::Result;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use datafusion::parquet::arrow::RowNumber;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::scalar::ScalarValue;

use crate::files::{Files, NOWHERE};
use crate::result::FEATURE;

/// The number of a row in its split, from 0. A column of the dataset with this name goes before it.
const ROW: &str = "__row_idx";
const SPLIT: &str = "split";

/// Opens the files of a split and makes a table of them.
///
/// # Errors
/// Those of [`OpenParquet::open`].
pub(crate) fn open(table: &SqlTable, footers: &FooterCache) -> Result<ViewTable, EngineError> {
    let opened: Vec<OpenParquet> =
        table.files.iter().map(|file| OpenParquet::open(file, footers)).collect::<Result<_, _>>()?;
    let features = match (&table.features, opened.first()) {
        (Some(features), _) => features.clone(),
        (None, Some(first)) => first.features()?.clone(),
        (None, None) => return Err(crate::error::refused("the split has no files")),
    };
    view(Scan::new(opened, table, &features), &features).map_err(crate::error::told)
}

/// The columns of the split and the number of the row, computed of what the scan gives.
fn view(scan: Scan, features: &Features) -> Result<ViewTable> {
    let (first, inside) = (scan.first_row.clone(), scan.row_in_file.clone());
    let column = |name: &str| Expr::Column(Column::new(Some(SPLIT), name));
    let mut columns: Vec<Expr> = features.iter().map(|(name, _)| column(name)).collect();
    if features.get(ROW).is_none() {
        columns.push((column(&first) + column(&inside)).alias(ROW));
    }
    let plan = LogicalPlanBuilder::scan(SPLIT, provider_as_source(Arc::new(scan)), None)?.project(columns)?.build()?;
    Ok(ViewTable::new(plan, None))
}

/// The Parquet files as they are, with two more columns: the first row of the file, and the row in the file.
struct Scan {
    files: Arc<Files>,
    listed: Vec<PartitionedFile>,
    schema: TableSchema,
    first_row: String,
    row_in_file: String,
}

impl Scan {
    fn new(opened: Vec<OpenParquet>, table: &SqlTable, features: &Features) -> Self {
        let unused = |name: &str| {
            let mut name = name.to_owned();
            while features.get(&name).is_some() {
                name.push('_');
            }
            name
        };
        let (first_row, row_in_file) = (unused("__first_row"), unused("__row_in_file"));
        let number = |name: &str| Field::new(name, DataType::Int64, false);
        let schema = TableSchema::builder(schema_of(features))
            .with_table_partition_cols(vec![FieldRef::new(number(&first_row))])
            .with_virtual_columns(vec![FieldRef::new(number(&row_in_file).with_extension_type(RowNumber))])
            .build();
        let mut start = 0;
        let listed = table.files.iter().zip(&opened).enumerate().map(|(index, (file, opened))| {
            // DataFusion sorts files by name.
            let mut listed = PartitionedFile::new(format!("{index:08}"), opened.size());
            listed.partition_values = vec![ScalarValue::Int64(Some(start))];
            start += i64::try_from(file.num_rows).unwrap_or(i64::MAX);
            listed
        });
        let listed = listed.collect();
        Self { files: Arc::new(Files(opened)), listed, schema, first_row, row_in_file }
    }
}

/// The storage of the features. What the types do not say travels with the fields.
fn schema_of(features: &Features) -> SchemaRef {
    let field = |(name, feature): &(String, Feature)| {
        let field = features_arrow::field(name, feature);
        // Media are texts and bytes here: only rows of a split have a place for their files.
        if feature.any(&mut |part| part.media().is_some()) {
            return field;
        }
        let told = Features::new([(name.clone(), feature.clone())]).to_json().to_string();
        let mut metadata = field.metadata().clone();
        metadata.insert(FEATURE.to_owned(), told);
        field.with_metadata(metadata)
    };
    Arc::new(Schema::new(features.iter().map(field).collect::<Vec<_>>()))
}

impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan").field("files", &self.listed.len()).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for Scan {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.schema.table_schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Filters find their way to the files when the plan is made physical: there they skip row groups and pages.
    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let options = TableParquetOptions {
            global: state.config_options().execution.parquet.clone(),
            ..TableParquetOptions::default()
        };
        let source = ParquetSource::new(self.schema.clone())
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::clone(&self.files) as _);
        let groups = FileGroup::new(self.listed.clone()).split_files(state.config().target_partitions());
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::parse(NOWHERE)?, Arc::new(source))
            .with_file_groups(groups)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}
