//! The endpoints that everybody may read.

pub(crate) mod assets;
pub(crate) mod cell;
pub(crate) mod compare;
mod croissant;
pub(crate) mod export;
pub(crate) mod filter;
pub(crate) mod format;
pub(crate) mod health;
pub(crate) mod index;
pub(crate) mod remembered;
pub(crate) mod resolve;
pub(crate) mod rows;
pub(crate) mod sample;
pub(crate) mod schema;
pub(crate) mod search;
pub(crate) mod serve;
pub(crate) mod split;
pub(crate) mod splits;
pub(crate) mod sql;
pub(crate) mod statistics;
pub(crate) mod status;
pub(crate) mod views;

mod distant;
mod miss;
mod range;
