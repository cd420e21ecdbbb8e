//! Which of the uploaded files is the program of a task.

use belvedere_domain::task::{ConfigError, TaskConfig};
use belvedere_store::tasks::TaskFile;

/// What a task starts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// `script` or `command`.
    pub kind: &'static str,
    /// Stored name of the script, or of the archive to be unpacked first; empty for a command without archive.
    pub file: String,
}

const ARCHIVES: [&str; 4] = [".zip", ".tar", ".tar.gz", ".tgz"];

fn ends_with(name: &str, suffixes: &[&str]) -> bool {
    let name = name.to_ascii_lowercase();
    suffixes.iter().any(|suffix| name.ends_with(suffix))
}

/// True for an archive that is unpacked where the task runs.
pub fn is_archive(name: &str) -> bool {
    ends_with(name, &ARCHIVES)
}

/// Finds what to start: the command of the configuration; else the one script; of several the one that the
/// configuration names.
///
/// # Errors
/// When nothing or more than one thing could be meant.
pub fn choose(config: &TaskConfig, files: &[TaskFile]) -> Result<Entry, ConfigError> {
    let error = |pointer: &str, message: String| Err(ConfigError::new(pointer, message));
    let archives: Vec<_> = files.iter().filter(|file| is_archive(&file.stored_name)).collect();
    if config.command.is_some() {
        return match archives[..] {
            [] => Ok(Entry { kind: "command", file: String::new() }),
            [archive] => Ok(Entry { kind: "command", file: archive.stored_name.clone() }),
            _ => error("", format!("there are {} archives; send one", archives.len())),
        };
    }
    let scripts: Vec<_> = files.iter().filter(|file| ends_with(&file.stored_name, &[".py", ".sh"])).collect();
    let named = config.script.as_deref().and_then(|name| scripts.iter().find(|file| file.original_name == name));
    match (named, &scripts[..]) {
        (Some(file), _) | (None, [file]) => Ok(Entry { kind: "script", file: file.stored_name.clone() }),
        (None, []) if archives.is_empty() => error("", "no script (`.py`, `.sh`) was sent".to_owned()),
        (None, []) => error("/command", "an archive needs the command that starts its program".to_owned()),
        (None, several) => {
            let names: Vec<_> = several.iter().map(|file| file.original_name.as_str()).collect();
            error("/script_name", format!("name one of the scripts that were sent: {}", names.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> TaskFile {
        TaskFile { stored_name: name.into(), original_name: name.into(), size_bytes: 1, sha256: String::new() }
    }

    fn chosen(config: &str, files: &[&str]) -> Result<Entry, String> {
        let config = TaskConfig::parse(format!(r#"{{"runner_location": "local"{config}}}"#).as_bytes()).unwrap();
        let files: Vec<_> = files.iter().map(|name| file(name)).collect();
        choose(&config, &files).map_err(|error| error.to_string())
    }

    #[test]
    fn the_only_script_is_meant_whatever_the_configuration_calls_it() {
        let script = |file: &str| Ok(Entry { kind: "script", file: file.to_owned() });
        assert_eq!(chosen(r#", "script_path": "path/to/script.py""#, &["train.py", "notes.txt"]), script("train.py"));
        assert_eq!(chosen(r#", "script_path": "a/b.py""#, &["a.py", "b.py"]), script("b.py"));
        assert!(chosen("", &["a.py", "b.sh"]).unwrap_err().contains("a.py, b.sh"));
    }

    /// e077 | a request for a task holds no script, or more than one that could be meant | refused, with what was expected
    #[test]
    fn e077_no_script_or_too_many_are_refused() {
        assert!(chosen("", &["notes.txt"]).unwrap_err().contains("no script"));
        assert!(chosen("", &["project.zip"]).unwrap_err().contains("/command"));
        assert!(chosen(r#", "command": "make""#, &["a.zip", "b.tgz"]).unwrap_err().contains("2 archives"));
        let command = chosen(r#", "command": "python3 x.py""#, &["a.ZIP", "x.py"]).unwrap();
        assert_eq!((command.kind, command.file.as_str()), ("command", "a.ZIP"));
    }
}
