//! Values that mean more than a number or a text.

mod limits;
mod secret;
mod words;

pub use limits::{Count, Limit, SizeLimit};
pub use secret::{Secret, StoreUrl};
pub use words::{
    BlobDelivery, BlockedDataset, Compat, LogFormat, LogLevel, LogRequests, PrivateDataset, ScannedDataset,
    SchemaChoice, StatisticsRules, StorageProtocol,
};
