//! Media that answers made: `<dataset>/--/<revision>/--/…` below one directory, as [`asset_directory`] names them.
//!
//! [`asset_directory`]: crate::files::asset_directory

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use belvedere_domain::{DatasetName, Revision};
use percent_encoding::percent_decode_str;

use super::MaintenanceError;
use crate::context::Services;

/// Directories between the root and the one called `--`: a namespace and a name, or a name only.
const MAX_DEPTH: usize = 2;

/// Removes the media of revisions that are not kept, at most `max_files` files. Returns how many. Whoever asks for one
/// of them is told that it is not there, whether it is removed already or not.
///
/// # Errors
/// [`MaintenanceError`] when views cannot be asked for, or the directory cannot be read or written.
pub async fn forget_media(services: &Services, root: &Path, max_files: usize) -> Result<usize, MaintenanceError> {
    let listed = root.to_owned();
    let revisions = blocking(move || revisions(&listed)).await?;
    let mut removed = 0;
    for Media { dataset, revision, directory } in revisions {
        if removed >= max_files {
            break;
        }
        if services.is_kept(&dataset, &revision).await? {
            continue;
        }
        let left = max_files - removed;
        removed += blocking(move || remove(&directory, left)).await?;
    }
    Ok(removed)
}

/// The number of files that [`forget_media`] would remove now.
///
/// # Errors
/// As [`forget_media`].
pub async fn count_media(services: &Services, root: &Path) -> Result<usize, MaintenanceError> {
    let listed = root.to_owned();
    let mut found = 0;
    for Media { dataset, revision, directory } in blocking(move || revisions(&listed)).await? {
        if !services.is_kept(&dataset, &revision).await? {
            found += blocking(move || count(&directory)).await?;
        }
    }
    Ok(found)
}

fn count(directory: &Path) -> io::Result<usize> {
    let mut found = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        found += if entry.file_type()?.is_dir() { count(&entry.path())? } else { 1 };
    }
    Ok(found)
}

/// The media of one revision.
struct Media {
    dataset: DatasetName,
    revision: Revision,
    directory: PathBuf,
}

fn revisions(root: &Path) -> io::Result<Vec<Media>> {
    let mut found = Vec::new();
    let mut folders = vec![(root.to_owned(), String::new(), 0)];
    while let Some((folder, dataset, depth)) = folders.pop() {
        for (name, path) in directories(&folder)? {
            if name != "--" {
                if depth < MAX_DEPTH {
                    let dataset = if dataset.is_empty() { name } else { format!("{dataset}/{name}") };
                    folders.push((path, dataset, depth + 1));
                }
                continue;
            }
            // What has other names was not made by an answer, and is left alone.
            let decoded = percent_decode_str(&dataset).decode_utf8_lossy().into_owned();
            let Ok(dataset) = DatasetName::new(decoded) else { continue };
            for (name, directory) in directories(&path)? {
                let Ok(revision) = Revision::new(name) else { continue };
                found.push(Media { dataset: dataset.clone(), revision, directory });
            }
        }
    }
    Ok(found)
}

/// The directories in a folder, with their names. A folder that is not there has none.
fn directories(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir()
            && let Ok(name) = entry.file_name().into_string()
        {
            found.push((name, entry.path()));
        }
    }
    Ok(found)
}

/// Removes at most `max_files` files of a directory, and what directories are empty then. Returns how many files.
fn remove(directory: &Path, max_files: usize) -> io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(directory)? {
        if removed == max_files {
            return Ok(removed);
        }
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            removed += remove(&entry.path(), max_files - removed)?;
        } else {
            fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    match fs::remove_dir(directory) {
        Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => Err(error),
        _ => Ok(removed),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, MaintenanceError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(io::Error::other).flatten();
    done.map_err(MaintenanceError::Media)
}
