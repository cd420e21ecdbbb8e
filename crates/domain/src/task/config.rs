//! The configuration of a task as clients send it, in all the forms that clients of the first task managers use.
//!
//! Known fields are checked; unknown ones stay in the text, which is stored and returned as it came. Nothing of it ever
//! becomes part of a program: names that reach a command of a cluster follow the grammar of [`PlainName`].

use serde_json::{Map, Value};

use super::names::{ClusterName, PlainName};
use super::state::State;
use super::strict_json;

mod sweep;

pub use sweep::{MAX_POINTS, Sweep};

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

/// Which form a split of a dataset has for the program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InputFormat {
    /// As Parquet.
    Parquet,
    /// The files that the split is made of, as they are.
    Original,
}

/// When a task is tried again without anybody asking.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RetryPolicy {
    /// Attempts after the first one, at most.
    pub max: u32,
    /// Ends after which another attempt makes sense.
    pub on: Vec<State>,
}

/// Most attempts that a task may ask for beside the first one.
const MAX_RETRIES: u64 = 20;
/// Ends that are not the program's.
const NOT_THE_PROGRAMS: [State; 3] = [State::NodeFailed, State::Preempted, State::Lost];
/// Ends after which a task may ask for another attempt. What somebody cancelled or a cluster refused is not tried again.
const MAY_BE_RETRIED: [State; 6] =
    [State::NodeFailed, State::Preempted, State::Lost, State::Timeout, State::OutOfMemory, State::Failed];

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { max: 0, on: NOT_THE_PROGRAMS.to_vec() }
    }
}

impl RetryPolicy {
    /// Whether another attempt follows the one of this number, from 1, which ended so.
    pub fn wants_another(&self, number: u32, ended: State) -> bool {
        number <= self.max && self.on.contains(&ended)
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
    /// `selection`: the id of chosen rows, in place of a dataset.
    pub selection: Option<String>,
    /// `dataset_format`; `None`: Parquet for a split, the files as they are for a dataset.
    pub format: Option<InputFormat>,
    /// `max_retries` and `retry_on`.
    pub retry: RetryPolicy,
    /// `sweep`: the parameters of each of many tasks.
    pub sweep: Option<Sweep>,
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

    /// Reads a stored text, and adds the parameters that a task of a sweep has of its own.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn stored(text: &str, point: Option<&str>) -> Result<Self, Vec<ConfigError>> {
        let mut config = Self::parse(text.as_bytes())?;
        if let Some(point) = point {
            let point: Map<String, Value> =
                serde_json::from_str(point).map_err(|error| vec![ConfigError::new("/sweep", error.to_string())])?;
            config.params.extend(point);
            config.sweep = None;
        }
        Ok(config)
    }

    /// What the program gets as its parameters: a JSON object.
    pub fn params_json(&self) -> String {
        Value::Object(self.params.clone()).to_string()
    }
}

pub(in crate::task::config) struct Reader {
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
        let selection = self.text(fields, "", "selection", MAX_NAME_CHARS);
        if selection.as_deref().is_some_and(|id| id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric())) {
            self.wrong::<()>("/selection", "expected the id of a selection");
        }
        if selection.is_some() && dataset.is_some() {
            self.wrong::<()>("/selection", "a selection has its dataset; leave out either this or `dataset_name`");
        }
        let format = match self.text(fields, "", "dataset_format", 64).as_deref() {
            None => None,
            Some("parquet") => Some(InputFormat::Parquet),
            Some("original") => Some(InputFormat::Original),
            Some(_) => self.wrong("/dataset_format", "expected `parquet` or `original`"),
        };
        if selection.is_some() && format == Some(InputFormat::Original) {
            self.wrong::<()>("/dataset_format", "chosen rows come as Parquet");
        }
        let retry = self.retry(fields);
        let sweep = self.sweep(fields);
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
            selection,
            format,
            retry,
            sweep,
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

    fn retry(&mut self, fields: &Map<String, Value>) -> RetryPolicy {
        let max = match fields.get("max_retries") {
            None | Some(Value::Null) => 0,
            Some(value) => match value.as_u64().filter(|max| *max <= MAX_RETRIES) {
                Some(max) => u32::try_from(max).unwrap_or_default(),
                None => self
                    .wrong("/max_retries", format!("expected a whole number, at most {MAX_RETRIES}"))
                    .unwrap_or_default(),
            },
        };
        let names = match fields.get("retry_on") {
            None | Some(Value::Null) => return RetryPolicy { max, ..RetryPolicy::default() },
            Some(Value::Array(names)) => names.as_slice(),
            Some(_) => self.wrong("/retry_on", "expected a list of states").unwrap_or_default(),
        };
        let mut on = Vec::with_capacity(names.len().min(MAY_BE_RETRIED.len()));
        for (index, name) in names.iter().enumerate() {
            let state = name.as_str().and_then(State::parse).filter(|state| MAY_BE_RETRIED.contains(state));
            match state {
                Some(state) if !on.contains(&state) => on.push(state),
                Some(_) => {}
                None => {
                    let known = MAY_BE_RETRIED.map(State::as_str).join(", ");
                    self.wrong::<()>(format!("/retry_on/{index}"), format!("expected one of {known}"));
                    break;
                }
            }
        }
        RetryPolicy { max, on }
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
