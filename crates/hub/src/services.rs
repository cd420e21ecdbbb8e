//! Services of others that are asked about the content of datasets: the wishes of authors, and personal data in texts.
//!
//! Only the one address that the operator has configured is called. Redirects are not followed, since they could carry
//! texts and tokens elsewhere.

mod analyzer;
mod client;
mod opt_out;

pub use analyzer::{Analyzed, Analyzer};
pub use client::{Pacing, ServiceError};
pub use opt_out::{OptOut, Wish};
