//! DuckDB files of splits: the table `data` with a full-text index, for programs that read them with a DuckDB of their own.
//!
//! The only crate that knows DuckDB, and it knows nothing else: a call comes in as plain data, a file comes out. Without
//! the feature `linked` the crate is empty. Run it in a child process: DuckDB reads the Parquet files itself.

#[cfg(feature = "linked")]
mod extension;
#[cfg(feature = "linked")]
mod index;
#[cfg(feature = "linked")]
mod table;

#[cfg(feature = "linked")]
pub use index::build;
