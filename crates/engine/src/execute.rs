//! The one entry: a call in, its reply out.

use crate::call::{Call, Reply};
use crate::convert::convert;
use crate::error::EngineError;
use crate::footers::{self, FooterCache};
use crate::head::head;
use crate::inspect::inspect;
use crate::rows::rows;
use crate::write::WriteOptions;

/// Does what a call asks, with nothing remembered from calls before.
///
/// # Errors
/// [`EngineError`] of the kinds that the module of the call documents. Panics are the caller's business: run calls on
/// foreign files in a child.
pub fn execute(call: Call) -> Result<Reply, EngineError> {
    execute_with(&call, &FooterCache::default())
}

/// As [`execute`], with footers kept from one call to the next.
///
/// # Errors
/// As [`execute`].
pub fn execute_with(call: &Call, footers: &FooterCache) -> Result<Reply, EngineError> {
    match call {
        Call::Convert(call) => convert(call, WriteOptions::default(), footers).map(Reply::Convert),
        Call::Inspect(call) => inspect(call, footers).map(Reply::Inspect),
        Call::Head(call) => head(call).map(Reply::Head),
        Call::Rows(call) => rows(call, footers).map(Reply::Rows),
        Call::Footers(call) => footers::list(call, footers).map(Reply::Footers),
    }
}
