//! The configuration of a task as clients send it, in all the forms that clients of the first task managers use.
//!
//! Known fields are checked; unknown ones stay in the text, which is stored and returned as it came. Nothing of it ever
//! becomes part of a program: names that reach a command of a cluster follow the grammar of [`PlainName`].

use serde_json::{Map, Value};

use super::names::{ClusterName, PlainName};
use super::strict_json;

/// Longest experiment, dataset or file name, in characters.
pub const MAX_NAME_CHARS: usize = 128;
/// Longest command line of a task, in bytes.
const MAX_COMMAND_BYTES: usize = 8 << 10;

/// Why a configuration is refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message} (at `{pointer}`)")]
pub struct ConfigError {
    /// JSON pointer to the value at fault; empty for the whole document.
    pub pointer: String,
    /// What is wrong and what is expected.
    pub message: String,
}

impl ConfigError {
    /// An error at a place.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into() }
    }
}

/// How the program of a task learns where its input and its output are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ArgumentStyle {
    /// `--input_path=… --output_path=…`, as the first task managers did.
    #[default]
    Flags,
    /// The two paths, in that order.
    Positional,
    /// By its environment alone.
    None,
}

impl ArgumentStyle {
    /// The name in configurations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Flags => "flags",
            Self::Positional => "positional",
            Self::None => "none",
        }
    }
}

/// Whether a run of an experiment goes with the task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExecutionMode {
    /// The task reports to MLflow.
    Mlflow,
    /// It does not.
    NoMlflow,
}

impl ExecutionMode {
    /// The name in configurations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mlflow => "mlflow",
            Self::NoMlflow => "no-mlflow",
        }
    }
}

/// What the task needs of the cluster. What is not said is the cluster's to decide.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Resources {
    /// Processors.
    pub cpus: Option<u32>,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// GPUs.
    pub gpus: Option<u32>,
    /// Longest time in seconds.
    pub time_seconds: Option<u64>,
}

/// The block of the chosen cluster.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Infra {
    /// Kind of machine, by the cluster's own names.
    pub instance_type: Option<PlainName>,
    /// Image to run in, by name.
    pub image_name: Option<PlainName>,
    /// Account that pays.
    pub account: Option<PlainName>,
}

/// A checked configuration.
#[derive(Clone, PartialEq, Debug)]
pub struct TaskConfig {
    /// `dataset_name`, to be resolved; `None` where the task reads no dataset.
    pub dataset: Option<String>,
    /// `model_params`, for the program.
    pub params: Map<String, Value>,
    /// `runner_location`.
    pub cluster: ClusterName,
    /// With MLflow or without.
    pub mode: ExecutionMode,
    /// Where MLflow is: a URL, or the name of a folder of the task. `None`: what the cluster says.
    pub tracking_uri: Option<String>,
    /// `experiment_name`.
    pub experiment: String,
    /// Last part of `script_name` or `script_path`: which of several uploaded scripts is meant.
    pub script: Option<String>,
    /// `command`: what to run in the folder of an archive, for a shell there.
    pub command: Option<String>,
    /// The block of the cluster.
    pub infra: Infra,
    /// `resources`.
    pub resources: Resources,
    /// `args_style`.
    pub arguments: ArgumentStyle,
}

impl TaskConfig {
    /// Reads and checks a text.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the fields; one error if it is not JSON.
    pub fn parse(bytes: &[u8]) -> Result<Self, Vec<ConfigError>> {
        let value = strict_json::parse(bytes).map_err(|error| vec![error])?;
        let Value::Object(fields) = value else {
            return Err(vec![ConfigError::new("", "expected an object of fields")]);
        };
        let mut reader = Reader { errors: Vec::new() };
        let config = reader.config(&fields);
        match config {
            Some(config) if reader.errors.is_empty() => Ok(config),
            _ => Err(reader.errors),
        }
    }

    /// What the program gets as its parameters: a JSON object.
    pub fn params_json(&self) -> String {
        Value::Object(self.params.clone()).to_string()
    }
}

struct Reader {
    errors: Vec<ConfigError>,
}

impl Reader {
    fn config(&mut self, fields: &Map<String, Value>) -> Option<TaskConfig> {
        let dataset = self.name(fields, "", "dataset_name");
        let params = match fields.get("model_params") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(params)) => params.clone(),
            Some(_) => self.wrong("/model_params", "expected an object of parameters").unwrap_or_default(),
        };
        let cluster = self.plain(fields, "", "runner_location");
        if cluster.is_none() && matches!(fields.get("runner_location"), None | Some(Value::Null)) {
            self.wrong::<()>("/runner_location", "the name of a cluster is missing");
        }
        let experiment = self.name(fields, "", "experiment_name").unwrap_or_else(|| "default".to_owned());
        let script = self.name(fields, "", "script_name").or_else(|| self.path(fields, "script_path"));
        let _ = self.path(fields, "project_path");
        let command = self.text(fields, "", "command", MAX_COMMAND_BYTES);
        if command.as_deref().is_some_and(|command| command.trim().is_empty() || command.contains('\0')) {
            self.wrong::<()>("/command", "expected a command line");
        }
        let tracking = self.flag(fields, "model_tracking");
        let (mode, tracking_uri) = self.tracking(fields, tracking.unwrap_or(false));
        let infra = cluster.as_ref().map(|cluster| self.infra(fields, cluster)).unwrap_or_default();
        let resources = self.resources(fields);
        let arguments = match self.text(fields, "", "args_style", 64).as_deref() {
            None | Some("flags") => ArgumentStyle::Flags,
            Some("positional") => ArgumentStyle::Positional,
            Some("none") => ArgumentStyle::None,
            Some(_) => self.wrong("/args_style", "expected `flags`, `positional` or `none`").unwrap_or_default(),
        };
        let cluster = cluster?;
        Some(TaskConfig {
            dataset,
            params,
            cluster,
            mode,
            tracking_uri,
            experiment,
            script,
            command,
            infra,
            resources,
            arguments,
        })
    }

    /// The mode, and the place of MLflow from the nearest block that names one.
    fn tracking(&mut self, fields: &Map<String, Value>, tracking: bool) -> (ExecutionMode, Option<String>) {
        let mode = match self.text(fields, "", "execution_mode", 64).as_deref() {
            Some("mlflow") => ExecutionMode::Mlflow,
            Some("no-mlflow") => ExecutionMode::NoMlflow,
            None if tracking => ExecutionMode::Mlflow,
            None => ExecutionMode::NoMlflow,
            Some(_) => {
                self.wrong("/execution_mode", "expected `mlflow` or `no-mlflow`").unwrap_or(ExecutionMode::NoMlflow)
            }
        };
        let top = self.uri(fields, "", "tracking_uri");
        let backends = self.object(fields, "", "backend_execution");
        let block = backends.and_then(|backends| self.object(backends, "/backend_execution", mode.as_str()));
        let prefix = format!("/backend_execution/{}", mode.as_str());
        let settings = block.and_then(|block| self.object(block, &prefix, "execution_config"));
        let near =
            settings.and_then(|settings| self.uri(settings, &format!("{prefix}/execution_config"), "tracking_uri"));
        (mode, near.or(top))
    }

    fn infra(&mut self, fields: &Map<String, Value>, cluster: &ClusterName) -> Infra {
        let Some(clusters) = self.object(fields, "", "clusters") else { return Infra::default() };
        if !clusters.contains_key(cluster.as_str()) {
            let known: Vec<_> = clusters.keys().take(20).map(String::as_str).collect();
            let message = format!("there is no block for the cluster `{cluster}`, only for: {}", known.join(", "));
            return self.wrong("/clusters", message).unwrap_or_default();
        }
        let Some(block) = self.object(clusters, "/clusters", cluster.as_str()) else { return Infra::default() };
        let place = format!("/clusters/{cluster}");
        let Some(infra) = self.object(block, &place, "infra_config") else { return Infra::default() };
        let place = format!("{place}/infra_config");
        Infra {
            instance_type: self.plain(infra, &place, "instance_type"),
            image_name: self.plain(infra, &place, "image_name"),
            account: self.plain(infra, &place, "account"),
        }
    }

    fn resources(&mut self, fields: &Map<String, Value>) -> Resources {
        let Some(resources) = self.object(fields, "", "resources") else { return Resources::default() };
        let known = ["cpus", "memory", "gpus", "time"];
        for key in resources.keys().filter(|key| !known.contains(&key.as_str())) {
            let place = format!("/resources/{}", strict_json::escape(key));
            self.wrong::<()>(place, format!("there is no such resource; known are {}", known.join(", ")));
        }
        let mut number = |key: &str, max: u64| match resources.get(key) {
            None | Some(Value::Null) => None,
            Some(value) => match value.as_u64() {
                Some(number) if (u64::from(key != "gpus")..=max).contains(&number) => u32::try_from(number).ok(),
                _ => self.wrong(format!("/resources/{key}"), format!("expected a whole number, at most {max}")),
            },
        };
        let (cpus, gpus) = (number("cpus", 4096), number("gpus", 64));
        let memory_bytes = self.measure(resources, "memory", "bytes, or a text such as `512M` or `32G`", memory);
        let time_seconds =
            self.measure(resources, "time", "seconds, or a text such as `01:30:00` or `2-00:00:00`", time);
        Resources { cpus, memory_bytes, gpus, time_seconds }
    }

    fn measure(
        &mut self,
        resources: &Map<String, Value>,
        key: &str,
        expected: &str,
        parse: fn(&str) -> Option<u64>,
    ) -> Option<u64> {
        let value = match resources.get(key)? {
            Value::Null => return None,
            Value::Number(number) => number.as_u64(),
            Value::String(text) => parse(text),
            _ => None,
        };
        match value.filter(|value| (1..=1 << 50).contains(value)) {
            None => self.wrong(format!("/resources/{key}"), format!("expected {expected}")),
            value => value,
        }
    }

    fn wrong<T>(&mut self, pointer: impl Into<String>, message: impl Into<String>) -> Option<T> {
        self.errors.push(ConfigError::new(pointer, message));
        None
    }

    fn object<'a>(&mut self, fields: &'a Map<String, Value>, place: &str, key: &str) -> Option<&'a Map<String, Value>> {
        match fields.get(key)? {
            Value::Null => None,
            Value::Object(object) => Some(object),
            _ => self.wrong(format!("{place}/{}", strict_json::escape(key)), "expected an object"),
        }
    }

    fn flag(&mut self, fields: &Map<String, Value>, key: &str) -> Option<bool> {
        match fields.get(key)? {
            Value::Null => None,
            Value::Bool(flag) => Some(*flag),
            _ => self.wrong(format!("/{key}"), "expected true or false"),
        }
    }

    fn text(&mut self, fields: &Map<String, Value>, place: &str, key: &str, max_bytes: usize) -> Option<String> {
        match fields.get(key)? {
            Value::Null => None,
            Value::String(text) if text.len() <= max_bytes => Some(text.clone()),
            Value::String(_) => {
                self.wrong(format!("{place}/{key}"), format!("the text is longer than {max_bytes} bytes"))
            }
            _ => self.wrong(format!("{place}/{key}"), "expected a text"),
        }
    }

    /// A text for people, of one line.
    fn name(&mut self, fields: &Map<String, Value>, place: &str, key: &str) -> Option<String> {
        let text = self.text(fields, place, key, 16 * MAX_NAME_CHARS)?;
        if text.is_empty() || text.chars().count() > MAX_NAME_CHARS || text.chars().any(char::is_control) {
            let message = format!("expected 1 to {MAX_NAME_CHARS} characters without line breaks and other controls");
            return self.wrong(format!("{place}/{key}"), message);
        }
        Some(text)
    }

    /// The last part of a path on the user's machine, which says nothing about ours.
    fn path(&mut self, fields: &Map<String, Value>, key: &str) -> Option<String> {
        let text = self.text(fields, "", key, 4096)?;
        if text.chars().any(char::is_control) {
            return self.wrong(format!("/{key}"), "a path holds no line breaks and other controls");
        }
        text.trim_end_matches('/').rsplit(['/', '\\']).next().filter(|last| !last.is_empty()).map(str::to_owned)
    }

    fn uri(&mut self, fields: &Map<String, Value>, place: &str, key: &str) -> Option<String> {
        let text = self.text(fields, place, key, 2048)?;
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return self.wrong(format!("{place}/{key}"), "an address holds no spaces, line breaks and other controls");
        }
        Some(text).filter(|text| !text.is_empty())
    }

    fn plain(&mut self, fields: &Map<String, Value>, place: &str, key: &str) -> Option<PlainName> {
        let text = self.text(fields, place, key, 4096)?;
        match PlainName::new(&text) {
            Ok(name) => Some(name),
            Err(error) => self.wrong(format!("{place}/{key}"), error.to_string()),
        }
    }
}

/// Bytes of `512M`, `32G`, `32GB`, `1T`; units are powers of 1024.
pub fn memory(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let shift = match text[digits..].trim_end_matches(['B', 'b']).to_ascii_uppercase().as_str() {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

/// Seconds of `[DAYS-]HOURS:MINUTES:SECONDS`, `MINUTES:SECONDS` or `90m`, `2h`, `45s`.
pub fn time(text: &str) -> Option<u64> {
    let (days, clock) = match text.split_once('-') {
        Some((days, clock)) => (days.parse::<u64>().ok()?, clock),
        None => (0, text),
    };
    let parts: Vec<&str> = clock.split(':').collect();
    let seconds = match parts[..] {
        [single] if days == 0 => {
            let (number, unit) = single.split_at_checked(single.len().checked_sub(1)?)?;
            let unit = match unit {
                "s" => 1,
                "m" => 60,
                "h" => 3600,
                _ => return None,
            };
            number.parse::<u64>().ok()?.checked_mul(unit)?
        }
        [minutes, seconds] if days == 0 => number(minutes)? * 60 + number(seconds)?,
        [hours, minutes, seconds] => number(hours)? * 3600 + number(minutes)? * 60 + number(seconds)?,
        _ => return None,
    };
    days.checked_mul(86_400)?.checked_add(seconds)
}

fn number(text: &str) -> Option<u64> {
    text.parse::<u64>().ok().filter(|number| *number < 1_000_000)
}

#[cfg(test)]
mod tests;
