//! Changes of files that change no answer: a new revision of which everything is known already.
//!
//! Whatever lies between the two revisions, one commit or many, only their files are compared.

use belvedere_domain::{ArtifactKey, DatasetName, Level, Manifest, Revision, StepName};
use belvedere_hub::HubError;
use belvedere_hub::card::README_PATH;
use serde::{Deserialize, Serialize};

use super::{RefreshError, Refresher};
use crate::files::Files;

/// Files that may change without any answer changing. Of the card only the text: its front matter must be the same.
const HARMLESS: [&str; 3] = [README_PATH, ".gitattributes", ".gitignore"];

/// What is remembered of the card with the names of configs. Earlier versions remembered nothing, which fits no card.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct CardMark {
    /// SHA-256 of the front matter; `None`: it was not remembered.
    pub(crate) front_matter: Option<String>,
}

impl Refresher {
    /// Whether everything stored for `old` holds for `new` as well.
    pub(super) async fn holds_for(
        &self,
        dataset: &DatasetName,
        old: &Revision,
        new: &Revision,
    ) -> Result<bool, RefreshError> {
        let hub = self.services.files.hub();
        let (before, after) = match (hub.manifest(dataset, old).await, hub.manifest(dataset, new).await) {
            (Ok(before), Ok(after)) => (before, after),
            (Err(error), _) | (_, Err(error)) => return unless_gone(error),
        };
        let Some(changed) = changed_files(&before, &after) else { return Ok(false) };
        if changed.iter().any(|path| !HARMLESS.contains(path)) {
            return Ok(false);
        }
        if !changed.contains(&README_PATH) {
            return Ok(true);
        }
        let names = ArtifactKey::dataset(StepName::known("dataset-config-names"), dataset.clone());
        debug_assert!(self.services.graph.step(&names.step).is_some_and(|step| step.level == Level::Dataset));
        let found = self.services.store.views.at_revision(&[names], old).await?;
        let mark: Option<CardMark> =
            found.into_iter().flatten().next().and_then(|found| found.stored.view.internal.parse().ok().flatten());
        match mark {
            Some(CardMark { front_matter: Some(mark) }) => match card_mark(&self.services.files, dataset, new).await {
                Ok(now) => Ok(now.front_matter.as_ref() == Some(&mark)),
                Err(error) => unless_gone(error),
            },
            _ => Ok(false),
        }
    }
}

/// Files that are not there any more fit nothing.
fn unless_gone(error: HubError) -> Result<bool, RefreshError> {
    match error {
        HubError::RevisionGone { .. } | HubError::DatasetNotFound(_) | HubError::FileNotFound { .. } => Ok(false),
        error => Err(error.into()),
    }
}

/// The paths with another content; `None` when files were added or removed.
fn changed_files<'a>(before: &'a Manifest, after: &'a Manifest) -> Option<Vec<&'a str>> {
    if before.files.len() != after.files.len() {
        return None;
    }
    let mut changed = Vec::new();
    // Both are sorted by path.
    for (before, after) in before.files.iter().zip(&after.files) {
        if before.path != after.path {
            return None;
        }
        if before.content_id != after.content_id {
            changed.push(after.path.as_str());
        }
    }
    Some(changed)
}

/// What is to be remembered of the card of a revision.
pub(crate) async fn card_mark(files: &Files, dataset: &DatasetName, revision: &Revision) -> Result<CardMark, HubError> {
    let front_matter = belvedere_hub::revision::front_matter(files.hub().as_ref(), dataset, revision).await?;
    let mark = belvedere_domain::view::DigestBuilder::new("card", 1).part("front matter", front_matter);
    Ok(CardMark { front_matter: Some(mark.finish().to_hex()) })
}

#[cfg(test)]
mod tests {
    use belvedere_domain::FileEntry;

    use super::*;

    fn manifest(files: &[(&str, &str)]) -> Manifest {
        let entry = |(path, id): &(&str, &str)| FileEntry { path: (*path).into(), size: 1, content_id: (*id).into() };
        Manifest::new(files.iter().map(entry).collect())
    }

    #[test]
    fn the_files_between_two_revisions_are_compared_whatever_the_commits() {
        let old = manifest(&[("README.md", "1"), ("a.csv", "1"), ("b.csv", "1")]);
        let new = manifest(&[("README.md", "2"), ("a.csv", "1"), ("b.csv", "3")]);
        assert_eq!(changed_files(&old, &new), Some(vec!["README.md", "b.csv"]));
        assert_eq!(changed_files(&old, &old), Some(vec![]));
        assert_eq!(changed_files(&old, &manifest(&[("README.md", "1"), ("a.csv", "1")])), None, "removed");
        let renamed = manifest(&[("README.md", "1"), ("a.csv", "1"), ("c.csv", "1")]);
        assert_eq!(changed_files(&old, &renamed), None, "renamed");
    }
}
