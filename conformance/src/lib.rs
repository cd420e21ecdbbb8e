//! Black-box conformance: recorded answers of the reference dataset viewer, compared with those of a running server.
//!
//! Knows a base URL and the folder of data sets, and no crate of the server. The rules of comparison are in
//! [`same`] (JSON values) and [`verdict`] (whole answers); `README.md` says why they are as they are.

pub mod client;
pub mod glob;
pub mod lay;
pub mod report;
pub mod run;
pub mod same;
pub mod sets;
pub mod verdict;
