//! Where datasets come from: the files of a revision, the card that describes them, and the configs they make up.
//!
//! [`Hub`] is what every source of datasets offers; [`LocalHub`] serves folders of this machine, [`RemoteHub`] a Hub elsewhere,
//! and [`Hubs`] both. [`data_files::resolve`]
//! turns the files and the [`card`] of a revision into configs and splits. Knows neither the store, behind [`Memory`],
//! nor what the files contain.

pub mod auth_check;
pub mod card;
pub mod data_files;
pub mod hub;
pub mod hubs;
pub mod local;
pub mod memory;
pub mod patterns;
pub mod reader;
pub mod remote;
pub mod revision;
pub mod services;
pub mod snapshot;
pub mod whoami;

mod archive;
mod sqlite;

pub use hub::{Head, Hub, HubError, HubEvent, LocatedFile, Origin, PARTS_SUFFIX, Reading};
pub use hubs::Hubs;
pub use local::{LocalHub, LocalOptions};
pub use memory::{Memory, MemoryError, ProcessMemory, RememberedHash};
pub use remote::{RemoteHub, RemoteOptions};
pub use whoami::{Identity, Whoami, WhoamiError};
