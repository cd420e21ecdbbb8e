//! What a step is in code: its place in the graph, and how it turns views of its parents into its own.

mod context;
mod error;
mod files;
mod views;

use async_trait::async_trait;
use belvedere_domain::view::Digest;
use belvedere_domain::{Step, View};

pub use context::JobContext;
pub use error::JobError;
pub(crate) use views::WithProgressOf;
pub use views::{Parent, ok_content, typed};

/// A step that can be run.
#[async_trait]
pub trait Job: Send + Sync {
    /// Its place in the graph.
    fn step(&self) -> &'static Step;

    /// Computes the view of the context's artifact.
    ///
    /// # Errors
    /// [`JobError`] decides what becomes of the job: tried again, stored as an error, or nothing.
    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError>;
}

/// What a run ended with.
#[derive(Debug)]
pub enum Ready {
    /// A new view.
    View(View),
    /// A view of exactly these inputs is stored already.
    Reused,
    /// The view stored under this digest is what these inputs give.
    ReusedAs(Digest),
}

impl From<View> for Ready {
    fn from(view: View) -> Self {
        Self::View(view)
    }
}
