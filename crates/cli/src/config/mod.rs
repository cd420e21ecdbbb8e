//! Configuration: every setting once, typed, with where its value came from.
//!
//! A value comes from, in rising precedence: default, configuration file, environment, secrets directory, flag.
//! Nothing here reads the environment or a file except [`gather`]: [`Config::load`] is a function of [`Sources`].

mod error;
mod expand;
mod file;
mod gather;
mod load;
mod paths;
mod reader;
pub mod reference;
mod retired;
mod secrets;
mod sections;
mod sources;
pub(crate) mod suggest;
mod table;
pub mod types;
mod validate;
mod value;

#[cfg(test)]
mod tests;

pub use error::{ConfigError, Problem};
pub use gather::gather;
pub use load::{Effective, Loaded};
pub use paths::Paths;
pub use retired::{RETIRED, Retired, RetiredFate};
pub use sections::access::{Cloudfront, S3};
pub use sections::general::{General, Log, Secrets};
pub use sections::hub::{Committer, Common, Hub, Remote, Views};
pub use sections::scans::{OptInOutUrlsScan, PresidioEntitiesScan};
pub use sections::services::{Admin, Api, Maintenance, Query, Serve, Sql};
pub use sections::steps::{
    ConfigNames, DescriptiveStatistics, DuckdbIndex, FirstRows, ParquetAndInfo, ParquetLayout, ParquetMetadata,
    RowsIndex, SearchIndex, SplitNames,
};
pub use sections::storage::{Assets, Blobs, CachedAssets, Store};
pub use sections::tasks::Tasks;
pub use sections::worker::{DatasetsBased, Queue, Worker};
pub use sources::{ConfigFile, Flag, Origin, Raw, Role, Sources};
pub use table::{Described, Fate, Section, Setting};

use reader::Reader;
use table::SectionValues;

/// Declares [`Config`] and the list of its sections.
macro_rules! config {
    ($($field:ident: $section:ty),* $(,)?) => {
        /// Every setting of the program. Passed as a value to who needs it, never global.
        #[derive(Clone, PartialEq, Debug)]
        #[expect(missing_docs, reason = "the sections are documented")]
        pub struct Config {
            $(pub $field: $section),*
        }

        /// The table of settings, in reading order.
        pub static SECTIONS: &[Section] = &[$(<$section as SectionValues>::SECTION),*];

        impl Config {
            fn read(reader: &mut Reader<'_>) -> Option<Self> {
                $(let $field = <$section as SectionValues>::read(reader);)*
                Some(Self { $($field: $field?),* })
            }
        }
    };
}

config! {
    general: General,
    serve: Serve,
    api: Api,
    query: Query,
    sql: Sql,
    store: Store,
    hub: Hub,
    remote: Remote,
    views: Views,
    worker: Worker,
    queue: Queue,
    config_names: ConfigNames,
    split_names: SplitNames,
    first_rows: FirstRows,
    parquet_and_info: ParquetAndInfo,
    parquet_layout: ParquetLayout,
    parquet_metadata: ParquetMetadata,
    rows_index: RowsIndex,
    blobs: Blobs,
    assets: Assets,
    cached_assets: CachedAssets,
    datasets_based: DatasetsBased,
    common: Common,
    log: Log,
    secrets: Secrets,
    admin: Admin,
    maintenance: Maintenance,
    tasks: Tasks,
    descriptive_statistics: DescriptiveStatistics,
    duckdb_index: DuckdbIndex,
    search_index: SearchIndex,
    opt_in_out_urls_scan: OptInOutUrlsScan,
    presidio_entities_scan: PresidioEntitiesScan,
    committer: Committer,
    s3: S3,
    cloudfront: Cloudfront,
}

/// All rows of the table.
pub fn settings() -> impl Iterator<Item = &'static Setting> {
    SECTIONS.iter().flat_map(|section| section.settings)
}
