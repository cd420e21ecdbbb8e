//! Reading a revision through a [`Hub`]: its card, and the configs it resolves to.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use belvedere_domain::{DatasetName, Manifest, Revision};

use crate::archive::member_names;
use crate::card::{Card, CardError, CardFiles, DATASET_INFOS_PATH, MAX_CARD_BYTES, OVERRIDES_PATH, README_PATH};
use crate::data_files::{Resolution, ResolveError, resolve};
use crate::hub::{Hub, HubError};
use crate::reader::RevisionFiles;

/// The card of a revision. The inner error is the owner's mistake, the outer one ours or the machine's.
///
/// # Errors
/// Those of [`Hub::read`].
pub async fn read_card(
    hub: &dyn Hub,
    dataset: &DatasetName,
    revision: &Revision,
    manifest: &Manifest,
) -> Result<Result<Card, CardError>, HubError> {
    let mut files = CardFiles::default();
    for (path, content) in [
        (README_PATH, &mut files.readme),
        (OVERRIDES_PATH, &mut files.overrides),
        (DATASET_INFOS_PATH, &mut files.dataset_infos),
    ] {
        if let Some(file) = manifest.get(path) {
            *content = Some(hub.read(dataset, revision, path, 0..file.size.min(MAX_CARD_BYTES)).await?.to_vec());
        }
    }
    Ok(Card::parse(files))
}

/// The YAML at the top of `README.md`, byte for byte: what of the file may decide answers. Empty without any. One that is
/// broken is told as the whole file.
///
/// # Errors
/// Those of [`Hub::manifest`] and [`Hub::read`].
pub async fn front_matter(hub: &dyn Hub, dataset: &DatasetName, revision: &Revision) -> Result<Vec<u8>, HubError> {
    let manifest = hub.manifest(dataset, revision).await?;
    let Some(file) = manifest.get(README_PATH) else { return Ok(Vec::new()) };
    let readme = hub.read(dataset, revision, README_PATH, 0..file.size.min(MAX_CARD_BYTES)).await?;
    Ok(match crate::card::front_matter(&readme) {
        Ok(Some((yaml, first_line))) => format!("{first_line}\n{yaml}").into_bytes(),
        Ok(None) => Vec::new(),
        Err(_) => readme.to_vec(),
    })
}

/// The manifest, the card and the configs of a revision. The inner error is about the repository.
///
/// # Errors
/// Those of [`Hub::manifest`] and [`Hub::read`].
pub async fn resolve_revision(
    hub: Arc<dyn Hub>,
    dataset: &DatasetName,
    revision: &Revision,
) -> Result<Result<Resolution, ResolveError>, HubError> {
    let manifest = hub.manifest(dataset, revision).await?;
    let card = match read_card(hub.as_ref(), dataset, revision, &manifest).await? {
        Ok(card) => card,
        Err(error) => return Ok(Err(error.into())),
    };
    let base = dataset.base().to_owned();
    Ok(with_files(hub, dataset, revision, manifest, move |files| resolve(files, &card, &base)).await)
}

/// The names of the files in a zip archive of a revision. The inner error is about the archive.
///
/// # Errors
/// Those of [`Hub::manifest`].
pub async fn zip_members(
    hub: Arc<dyn Hub>,
    dataset: &DatasetName,
    revision: &Revision,
    path: &str,
) -> Result<io::Result<Vec<String>>, HubError> {
    let manifest = hub.manifest(dataset, revision).await?;
    let path = path.to_owned();
    Ok(with_files(hub, dataset, revision, manifest, move |files| member_names(&path, files)).await)
}

/// Does work that reads files of a revision, on a thread that may wait for them.
async fn with_files<T: Send + 'static>(
    hub: Arc<dyn Hub>,
    dataset: &DatasetName,
    revision: &Revision,
    manifest: Manifest,
    work: impl FnOnce(RevisionFiles<'_>) -> T + Send + 'static,
) -> T {
    let (dataset, revision) = (dataset.clone(), revision.clone());
    let runtime = tokio::runtime::Handle::current();
    let done = tokio::task::spawn_blocking(move || {
        let read = |path: &str, range: Range<u64>| {
            let bytes = runtime.block_on(hub.read(&dataset, &revision, path, range)).map_err(io::Error::other)?;
            Ok(bytes.to_vec())
        };
        work(RevisionFiles { manifest: &manifest, read: &read })
    });
    done.await.expect("reading a revision does not panic")
}
