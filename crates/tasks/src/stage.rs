//! Everything that an attempt needs on its cluster, as files: the user's, the dataset's, parameters and variables.

use std::path::PathBuf;

use belvedere_domain::task::{TaskConfig, TaskId};
use belvedere_store::tasks::TaskFile;
use sha2::{Digest as _, Sha256};

use crate::datasets::Pin;
use crate::inbox::{free_name, stored_name};
use crate::place::{COMMAND, DATA, ENVIRONMENT, FILES, PARAMS, START, START_SCRIPT};

/// A file to be brought.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// Its path in the folder of the attempt: parts are plain names, joined by `/`.
    pub name: String,
    /// What is in it.
    pub content: Content,
    /// Size in bytes.
    pub size: u64,
    /// Hexadecimal SHA-256.
    pub sha256: String,
    /// Where the cluster can fetch it, for a short while.
    pub url: Option<String>,
}

/// Where bytes are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// Here.
    Bytes(Vec<u8>),
    /// In a file on this machine.
    File(PathBuf),
}

impl Delivery {
    /// A file that is made of these bytes.
    pub fn bytes(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let sha256 = hex::encode(Sha256::digest(&bytes));
        Self { name: name.into(), size: bytes.len() as u64, sha256, content: Content::Bytes(bytes), url: None }
    }

    /// True for files of a dataset, which a cluster may keep for later attempts.
    pub fn is_data(&self) -> bool {
        self.name.strip_prefix(DATA).is_some_and(|rest| rest.starts_with('/'))
    }
}

/// The path on this server of a file of a task's dataset.
pub fn input_path(task: TaskId, sha256: &str) -> String {
    format!("/v1/tasks/{task}/inputs/{sha256}")
}

/// What the program gets as variables, beside those of its folder.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Variables {
    /// Where MLflow is; a path inside the folder of the attempt begins with `@/`.
    pub tracking_uri: Option<String>,
    /// The run to be taken up.
    pub run_id: Option<String>,
    /// Place of the task in its sweep, from 0.
    pub place: Option<u32>,
}

/// Stored names of the dataset's files, in order.
pub fn data_names(pin: &Pin) -> Vec<String> {
    let mut taken: Vec<TaskFile> = Vec::new();
    for file in &pin.files {
        let name = free_name(&stored_name(&file.path), &taken);
        taken.push(TaskFile { stored_name: name, original_name: String::new(), size_bytes: 0, sha256: String::new() });
    }
    taken.into_iter().map(|file| file.stored_name).collect()
}

/// The files of an attempt. `located` are the dataset's files, in the order of the pin.
pub fn deliveries(
    config: &TaskConfig,
    files: &[TaskFile],
    folder: &std::path::Path,
    data: Option<(&Pin, Vec<PathBuf>)>,
    variables: &Variables,
) -> Vec<Delivery> {
    let user = files.iter().map(|file| Delivery {
        name: format!("{FILES}/{}", file.stored_name),
        content: Content::File(folder.join(&file.stored_name)),
        size: file.size_bytes,
        sha256: file.sha256.clone(),
        url: None,
    });
    let mut all: Vec<Delivery> = user.collect();
    all.push(Delivery::bytes(START, START_SCRIPT));
    all.push(Delivery::bytes(PARAMS, config.params_json()));
    if let Some(command) = &config.command {
        all.push(Delivery::bytes(COMMAND, format!("{command}\n")));
    }
    let mut variable = |name: &str, value: &str| all.push(Delivery::bytes(format!("{ENVIRONMENT}/{name}"), value));
    // Paths are relative to the folder; `@/` stands for it.
    let mut input = format!("@/{DATA}");
    if let Some((pin, _)) = &data
        && let [name] = &data_names(pin)[..]
    {
        input = format!("@/{DATA}/{name}");
    }
    variable("TASK_INPUT", &input);
    variable("MLFLOW_EXPERIMENT_NAME", &config.experiment);
    if let Some(uri) = &variables.tracking_uri {
        variable("MLFLOW_TRACKING_URI", uri);
        if uri.starts_with("@/") {
            // Its newer versions refuse to record in files without it.
            variable("MLFLOW_ALLOW_FILE_STORE", "true");
        }
    }
    if let Some(run) = &variables.run_id {
        variable("MLFLOW_RUN_ID", run);
    }
    if let Some(place) = variables.place {
        variable("TASK_INDEX", &place.to_string());
    }
    if let Some((pin, located)) = data {
        let named = data_names(pin).into_iter().zip(&pin.files).zip(located);
        all.extend(named.map(|((name, file), path)| Delivery {
            name: format!("{DATA}/{name}"),
            content: Content::File(path),
            size: file.size,
            sha256: file.sha256.clone(),
            url: None,
        }));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::PinnedFile;

    #[test]
    fn all_that_an_attempt_needs_is_files() {
        let text = r#"{"runner_location": "local", "model_params": {"n": 2}, "command": "echo '$(id)'",
                       "experiment_name": "it's"}"#;
        let config = TaskConfig::parse(text.as_bytes()).unwrap();
        let file = |path: &str| PinnedFile { path: path.into(), size: 1, sha256: "00".into() };
        let pin = Pin { files: vec![file("data/é 1.csv"), file("other/é 1.csv")], ..Pin::default() };
        let located = vec![PathBuf::from("/a"), PathBuf::from("/b")];
        let variables =
            Variables { tracking_uri: Some("@/output/mlruns".into()), place: Some(3), ..Variables::default() };
        let all = deliveries(&config, &[], std::path::Path::new("/x"), Some((&pin, located)), &variables);
        let told: Vec<_> = all
            .iter()
            .map(|delivery| match &delivery.content {
                Content::Bytes(bytes) => format!("{}: {}", delivery.name, String::from_utf8_lossy(bytes)),
                Content::File(path) => format!("{} from {}", delivery.name, path.display()),
            })
            .filter(|line| !line.starts_with("start.sh"))
            .collect();
        assert_eq!(
            told,
            [
                "params.json: {\"n\":2}",
                "command.sh: echo '$(id)'\n",
                "env/TASK_INPUT: @/data",
                "env/MLFLOW_EXPERIMENT_NAME: it's",
                "env/MLFLOW_TRACKING_URI: @/output/mlruns",
                "env/MLFLOW_ALLOW_FILE_STORE: true",
                "env/TASK_INDEX: 3",
                "data/x__1.csv from /a",
                "data/x__1-2.csv from /b",
            ]
        );
    }
}
