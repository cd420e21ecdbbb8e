//! Secrets from files: one file per secret, in a directory that a container platform fills while we start.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use super::{ConfigError, Secrets};

/// Reads the secrets directory, waiting for empty files to be filled. Names that start with a dot are skipped.
///
/// # Errors
///
/// [`ConfigError`] when there is no such directory, a file cannot be read, or files are still empty at the timeout.
pub(super) fn read(settings: &Secrets) -> Result<BTreeMap<String, String>, ConfigError> {
    let Some(directory) = &settings.dir else { return Ok(BTreeMap::new()) };
    let start = Instant::now();
    read_patiently(
        directory,
        settings.timeout_seconds,
        || start.elapsed(),
        || thread::sleep(settings.poll_interval_seconds),
    )
}

fn read_patiently(
    directory: &Path,
    timeout: Duration,
    elapsed: impl Fn() -> Duration,
    mut pause: impl FnMut(),
) -> Result<BTreeMap<String, String>, ConfigError> {
    loop {
        let files = read_once(directory).map_err(|error| {
            ConfigError::source(
                format!("SECRETS_DIR: {} cannot be read: {error}", directory.display()),
                "unset `SECRETS_DIR` if secrets come from elsewhere",
            )
        })?;
        let empty: Vec<&str> =
            files.iter().filter(|(_, text)| text.is_empty()).map(|(name, _)| name.as_str()).collect();
        if empty.is_empty() {
            return Ok(files);
        }
        if elapsed() >= timeout {
            let reason = format!(
                "SECRETS_DIR: still empty after {} seconds in {}: {}",
                timeout.as_secs_f64(),
                directory.display(),
                empty.join(", ")
            );
            return Err(ConfigError::source(
                reason,
                "remove the files that are not needed, or wait longer with `SECRETS_TIMEOUT_SECONDS`",
            ));
        }
        pause();
    }
}

fn read_once(directory: &Path) -> io::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // Follows links: platforms mount secrets as links into a directory that is swapped as a whole.
        if !name.starts_with('.') && fs::metadata(entry.path())?.is_file() {
            files.insert(name, fs::read_to_string(entry.path())?.trim().to_owned());
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_trimmed_and_hidden_ones_skipped() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("HF_TOKEN"), " hf_abc\n").unwrap();
        fs::write(directory.path().join("..data"), "").unwrap();
        fs::create_dir(directory.path().join("folder")).unwrap();
        let files = read_patiently(directory.path(), Duration::ZERO, || Duration::ZERO, || {}).unwrap();
        assert_eq!(files, BTreeMap::from([("HF_TOKEN".to_owned(), "hf_abc".to_owned())]));
    }

    #[test]
    fn an_empty_file_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("HF_TOKEN");
        fs::write(&path, "").unwrap();
        let files = read_patiently(
            directory.path(),
            Duration::from_secs(90),
            || Duration::ZERO,
            || fs::write(&path, "x").unwrap(),
        );
        assert_eq!(files.unwrap()["HF_TOKEN"], "x");
    }

    #[test]
    fn files_that_stay_empty_are_named() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["B", "A", "C"] {
            fs::write(directory.path().join(name), if name == "C" { "x" } else { "\n" }).unwrap();
        }
        let timeout = Duration::from_secs(90);
        let error = read_patiently(directory.path(), timeout, || timeout, || panic!("no more waiting")).unwrap_err();
        let text = error.to_string().replace(&directory.path().display().to_string(), "DIR");
        assert_eq!(text, "the configuration is not valid: SECRETS_DIR: still empty after 90 seconds in DIR: A, B");
    }

    #[test]
    fn a_missing_directory_is_an_error() {
        let settings = Secrets {
            dir: Some("/nowhere/at/all".into()),
            timeout_seconds: Duration::ZERO,
            poll_interval_seconds: Duration::ZERO,
        };
        let text = read(&settings).unwrap_err().to_string();
        assert!(text.contains("SECRETS_DIR: /nowhere/at/all cannot be read"), "{text}");
    }
}
