//! Lays the repositories out as a folder that a server can serve.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::sets::Set;

/// Copies the repository of every set to `out/conformance/NAME`. What is there already is overwritten, nothing is
/// removed. Returns the number of files.
///
/// # Errors
/// A file that cannot be read or written, with its path.
pub fn lay(sets: &[Set], out: &Path) -> Result<usize> {
    let namespace = out.join("conformance");
    sets.iter().try_fold(0, |count, set| Ok(count + copy_folder(&set.repository(), &namespace.join(&set.name))?))
}

fn copy_folder(from: &Path, to: &Path) -> Result<usize> {
    let mut count = 0;
    fs::create_dir_all(to).with_context(|| format!("{} cannot be made", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("{} cannot be read", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            count += copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target).with_context(|| format!("{} cannot be written", target.display()))?;
            count += 1;
        }
    }
    Ok(count)
}
