//! Whether anything has been written: a number that stays the same until something is, for what is kept in memory.
//!
//! A SQLite file belongs to one process, which counts its transactions. To PostgreSQL others write, too, and tell nobody: there
//! somebody has to look now and then (`postgres/looks.rs`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Store;
use crate::postgres::Looks;

/// Where the number comes from.
#[derive(Clone)]
pub(crate) enum Changes {
    /// This process alone writes, and counts.
    Counted(Arc<AtomicU64>),
    /// Others write, too.
    Seen(Arc<Looks>),
}

impl Store {
    /// A number that grows when something is written: what was read after it was asked for is what the store holds for as long
    /// as it stays the same. What this process writes changes it before whoever wrote hears that it is done. What others write to
    /// PostgreSQL changes it at most 20 ms later. `None`: nobody has looked for so long; see [`Store::changes`].
    ///
    /// To be called within a runtime of tokio.
    pub fn known_changes(&self) -> Option<u64> {
        match &self.changes {
            Changes::Counted(count) => Some(count.load(Ordering::Acquire)),
            Changes::Seen(looks) => looks.known(),
        }
    }

    /// As [`Store::known_changes`], after a look where it takes one, which is shared by all who ask meanwhile. `None` when nobody
    /// has asked for a second, so that who asks now and then does not wait; when the database cannot be looked at; and when
    /// that takes longer than 0.1 s.
    pub async fn changes(&self) -> Option<u64> {
        match &self.changes {
            Changes::Counted(count) => Some(count.load(Ordering::Acquire)),
            Changes::Seen(looks) => looks.now().await,
        }
    }
}
