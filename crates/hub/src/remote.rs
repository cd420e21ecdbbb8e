//! A Hub elsewhere, spoken to as its own clients do.
//!
//! A revision is a commit of the Hub, a file is what its tree says: its SHA-256, or the id of its git object. Files come
//! to this machine when somebody needs them, into a bounded cache, and are checked there. Nothing is asked about a dataset
//! before somebody tells of it, and every address is checked before it is called.

mod address;
mod cache;
mod download;
mod files;
mod greet;
mod guard;
mod heads;
mod http;
mod info;
mod lfs;
mod parts;
mod publish;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use belvedere_domain::{DatasetName, Manifest, Recent, Revision};
use tokio::sync::broadcast;

use crate::hub::HubEvent;
use crate::memory::Memory;
pub use address::{AddressError, Endpoint};
use cache::Cache;
pub use greet::{Greeting, greet};
pub use guard::{Network, NetworkError};
use heads::Heads;
use http::Client;
pub use http::{ClientOptions, HttpError, Token};
use parts::Parts;
pub use publish::{Publication, PublishError, Published, Publisher};

/// Lists of files that are kept in memory, and their bytes together.
const KEPT_MANIFESTS: usize = 4;
const MAX_MANIFEST_BYTES: u64 = 64 << 20;

/// Settings of a [`RemoteHub`].
#[derive(Clone, Debug)]
pub struct RemoteOptions {
    /// How the Hub is called.
    pub client: ClientOptions,
    /// The branch whose head is the newest revision.
    pub branch: String,
    /// Where downloaded files are kept.
    pub cache: PathBuf,
    /// Most bytes of them.
    pub cache_bytes: u64,
    /// Of files larger than this, only the parts come that somebody reads.
    pub whole_bytes: u64,
    /// How long a file counts as in use after a job has asked for it.
    pub in_use: Duration,
    /// How long what the Hub says about a dataset holds.
    pub fresh: Duration,
    /// Private datasets are shown only if the Hub says that their owner pays for it.
    pub asks_for_plans: bool,
    /// The clock that ages are measured by.
    pub clock: fn() -> SystemTime,
}

/// Datasets of a Hub elsewhere.
pub struct RemoteHub {
    client: Client,
    options: RemoteOptions,
    memory: Arc<dyn Memory>,
    cache: Cache,
    parts: Parts,
    /// The lists of files that were needed last, so that a split of many files does not read its list again for each.
    manifests: Mutex<Recent<(DatasetName, Revision), Arc<Manifest>>>,
    heads: Heads,
    events: broadcast::Sender<HubEvent>,
}

impl RemoteHub {
    /// A Hub. Nothing is asked yet.
    ///
    /// # Errors
    /// When the cache cannot be opened.
    pub fn open(options: RemoteOptions, memory: Arc<dyn Memory>) -> io::Result<Self> {
        let cache = Cache::open(&options.cache, options.cache_bytes, options.in_use, options.clock)?;
        let (events, _) = broadcast::channel(64);
        let heads = Heads::new(options.fresh, options.clock);
        let (client, parts) = (Client::new(options.client.clone()), Parts::default());
        let manifests = Mutex::new(Recent::new(KEPT_MANIFESTS, MAX_MANIFEST_BYTES));
        Ok(Self { client, options, memory, cache, parts, manifests, heads, events })
    }

    /// The same, telling its news elsewhere.
    #[must_use]
    pub(crate) fn with_events(self, events: broadcast::Sender<HubEvent>) -> Self {
        Self { events, ..self }
    }
}
