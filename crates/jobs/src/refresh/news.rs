//! What somebody says has happened to a dataset. It is no more than a reason to look.

use belvedere_domain::{DatasetName, Priority, Revision};

use super::{Ensured, RefreshError, Refresher};

/// What is said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// It is new.
    Added(DatasetName),
    /// It changed.
    Updated {
        /// The dataset.
        dataset: DatasetName,
        /// Its new revision; `None`: unknown, or something else changed as well.
        head: Option<Revision>,
    },
    /// It is gone.
    Removed(DatasetName),
    /// It has another name.
    Moved {
        /// The old name.
        from: DatasetName,
        /// The new one.
        to: DatasetName,
    },
}

impl News {
    /// The dataset, by the name it had.
    pub fn dataset(&self) -> &DatasetName {
        match self {
            Self::Added(dataset) | Self::Removed(dataset) | Self::Updated { dataset, .. } => dataset,
            Self::Moved { from, .. } => from,
        }
    }

    /// Whether it is no surprise if the Hub does not have the dataset.
    pub fn may_be_gone(&self) -> bool {
        matches!(self, Self::Removed(_))
    }
}

impl Refresher {
    /// Looks at what is said to have changed: brings it up to date, or forgets it if the Hub does not have it any more.
    /// Of a dataset that moved, the result is that of its new name.
    ///
    /// # Errors
    /// [`RefreshError`] when the Hub or the store fails.
    pub async fn told(&self, news: &News) -> Result<Ensured, RefreshError> {
        match news {
            News::Updated { dataset, head: Some(head) } => {
                let row = self.services.store.datasets.get(dataset).await?;
                if row.is_some_and(|row| row.target == *head) {
                    // Our own change of another branch, or news that came twice.
                    return Ok(Ensured::Queued);
                }
                self.look_at(dataset).await
            }
            News::Added(dataset) | News::Removed(dataset) | News::Updated { dataset, head: None } => {
                self.look_at(dataset).await
            }
            News::Moved { from, to } if from == to => self.look_at(to).await,
            News::Moved { from, to } => {
                self.look_at(from).await?;
                self.look_at(to).await
            }
        }
    }

    async fn look_at(&self, dataset: &DatasetName) -> Result<Ensured, RefreshError> {
        self.services.files.hub().look(dataset).await?;
        self.repair(dataset, Priority::Normal).await
    }
}
