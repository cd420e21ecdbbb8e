//! Where datasets come from: the files of a revision, the card that describes them, and the configs they make up.

pub mod card;
pub mod data_files;
pub mod patterns;
pub mod reader;
pub mod snapshot;

mod archive;
