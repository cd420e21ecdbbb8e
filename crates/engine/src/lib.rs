//! Columns in, columns out: readers of every format, the Parquet writer, pages of rows, cells as JSON.
//!
//! Synchronous, and the only crate that knows Arrow and Parquet. It never spawns a thread that outlives a
//! call, never awaits, never opens a socket; bytes come through [`source::ReadRanges`].
//!
//! Everything that touches files of users is one of the [`call::Call`]s: plain data in, plain data out, so
//! that the same work runs in this process (files we wrote) or in a child with limits (anybody's files).

pub mod call;
mod cell;
mod cells;
pub mod compare;
mod convert;
pub mod decompress;
pub mod error;
mod execute;
pub mod export;
pub mod features_arrow;
mod filter;
pub mod first_rows;
pub mod fit;
pub mod footers;
mod head;
pub mod index_source;
mod inspect;
mod json_text;
mod media;
pub mod nbytes;
mod open_parquet;
mod query;
mod ranges;
pub mod read;
mod relayout;
mod rows;
mod scan;
pub mod schema;
pub mod search;
pub mod source;
pub mod statistics;
mod survey;
pub mod task;
mod write;

pub use call::{Call, Reply};
pub use error::{EngineError, ErrorKind, Needed, WantedFile};
pub use execute::{execute, execute_with};
pub use footers::FooterCache;
pub use open_parquet::OpenParquet;
pub use task::Task;
