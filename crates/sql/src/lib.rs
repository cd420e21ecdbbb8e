//! Queries in SQL over splits, with DataFusion: read-only, since nothing but these tables exists.
//!
//! There are no files, no settings and no functions that reach outside; statements other than a query are refused before they
//! are planned and again when they are. The only crate that knows DataFusion. Without the feature `datafusion` it is empty.
//! Run it in a child process: a query may ask for more than the budgets can see.

#[cfg(feature = "datafusion")]
mod error;
#[cfg(feature = "datafusion")]
mod files;
#[cfg(feature = "datafusion")]
mod query;
#[cfg(feature = "datafusion")]
mod result;
#[cfg(feature = "datafusion")]
mod session;
#[cfg(feature = "datafusion")]
mod statement;
#[cfg(feature = "datafusion")]
mod table;

#[cfg(feature = "datafusion")]
pub use query::run;
#[cfg(feature = "datafusion")]
pub use statement::tables;
