//! From sources to a [`Config`]: which value of a setting holds, and what to tell the user about it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde_json::Value as Json;

use super::expand::expand;
use super::file::{self, FileValue};
use super::retired::{RETIRED, RetiredFate};
use super::suggest::nearest;
use super::table::SectionValues;
use super::types::Compat;
use super::value::Value;
use super::{Config, ConfigError, Fate, Problem, SECTIONS, Secrets, Setting, settings};

/// Everything that settings can come from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// What the process is going to be: some defaults depend on it.
    pub role: Role,
    /// The configuration file.
    pub file: Option<ConfigFile>,
    /// Variables of the environment.
    pub environment: BTreeMap<String, String>,
    /// Files of the secrets directory: trimmed content by name.
    pub secrets: BTreeMap<String, String>,
    /// Flags of the command line in order; of two for one setting the last one holds.
    pub flags: Vec<Flag>,
}

/// What a process is going to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Role {
    /// One process that does everything on one machine: `serve`, `check`.
    #[default]
    Serve,
    /// One of many processes: `api`, `worker`.
    Part,
}

/// The text of a configuration file.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    /// Its path as messages show it.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// A setting on the command line.
#[derive(Clone, Debug)]
pub struct Flag {
    /// The flag as messages show it: `--port`.
    pub name: String,
    /// The setting: `section.key`.
    pub path: String,
    /// Its value.
    pub raw: Raw,
}

/// A value as it is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Raw {
    /// Text, to be parsed.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
}

/// Where a value came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// The default, of the role or the preset where they have their own.
    Default,
    /// A line of the configuration file.
    File {
        /// Path of the file.
        name: String,
        /// Line, from 1.
        line: usize,
    },
    /// A variable, maybe by an older name.
    Environment(String),
    /// A file of the secrets directory.
    SecretFile(String),
    /// A flag.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Environment(variable) => write!(f, "environment {variable}"),
            Self::SecretFile(name) => write!(f, "secret file {name}"),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A setting with the value that holds.
#[derive(Clone, Debug)]
pub struct Effective {
    /// The row of the table.
    pub setting: &'static Setting,
    /// The value for people; secrets are masked.
    pub shown: String,
    /// The value for programs; secrets are masked.
    pub json: Json,
    /// Where it came from.
    pub origin: Origin,
}

/// A configuration with everything there is to tell about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// The values as text, with their origins, in the order of the table.
    pub values: Vec<Effective>,
    /// Warnings for the log: older names, variables without effect, probable slips.
    pub notes: Vec<String>,
}

impl Config {
    /// Chooses, parses and checks every value.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with everything that is wrong.
    pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
        let mut reader = Reader::new(sources);
        let config = Self::read(&mut reader);
        if let Some(config) = &config {
            config.validate(&mut reader);
        }
        let Reader { values, notes, problems, .. } = reader;
        match config {
            Some(config) if problems.is_empty() => Ok(Loaded { config, values, notes }),
            _ => Err(ConfigError { problems }),
        }
    }

    /// The values that a start without any source would have.
    pub fn defaults(role: Role) -> Self {
        Self::load(&Sources { role, ..Sources::default() }).expect("the defaults of the table are legal").config
    }
}

impl Secrets {
    /// The section alone, for the one reader that comes before the secrets are read.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when one of its settings is wrong.
    pub(super) fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(sources);
        reader.problems.clear();
        let section = <Self as SectionValues>::read(&mut reader);
        section.ok_or(ConfigError { problems: reader.problems })
    }
}

/// Hands out values by setting, and keeps what went wrong.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    sources: &'a Sources,
    rows: HashMap<(&'static str, &'static str), &'static Setting>,
    file: HashMap<String, (usize, Raw)>,
    flags: HashMap<String, (String, Raw)>,
    compat: Compat,
    values: Vec<Effective>,
    notes: Vec<String>,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    fn new(sources: &'a Sources) -> Self {
        let mut reader = Self {
            sources,
            rows: settings().map(|setting| ((setting.section, setting.key), setting)).collect(),
            file: HashMap::new(),
            flags: HashMap::new(),
            compat: Compat::Belvedere,
            values: Vec::new(),
            notes: Vec::new(),
            problems: Vec::new(),
        };
        reader.take_file();
        reader.take_flags();
        reader.note_variables();
        // The preset decides over defaults, so it is known before them. What is wrong with it is found again below.
        let compat = reader.take::<Compat>("", "compat");
        reader.values.clear();
        if let Some(compat) = compat {
            reader.compat = compat;
        } else {
            reader.problems.pop();
        }
        reader
    }

    /// The value of a setting; `None` if it is wrong.
    pub(super) fn take<T: Value>(&mut self, section: &'static str, key: &'static str) -> Option<T> {
        let setting = self.rows[&(section, key)];
        match self.value::<T>(setting) {
            Ok((value, origin)) => {
                self.check_bounds(setting, &value, &origin);
                self.note_origin(setting, &origin);
                self.values.push(Effective { setting, shown: value.show(), json: value.json(), origin });
                Some(value)
            }
            Err(problem) => {
                self.problems.push(problem);
                None
            }
        }
    }

    /// Adds a problem with a setting that has a legal value of its own, as `SECTION_KEY reason`.
    pub(super) fn refuse(&mut self, path: &str, reason: &str) {
        let value = self.values.iter().find(|value| value.setting.path() == path);
        let name = value.map_or_else(|| path.to_owned(), |value| label(value.setting, &value.origin));
        self.problems.push(Problem(format!("{name} {reason}")));
    }

    fn value<T: Value>(&self, setting: &'static Setting) -> Result<(T, Origin), Problem> {
        let Some((raw, origin)) = self.written(setting)? else {
            let default = self.default(setting);
            let value = if default.is_empty() { T::unset() } else { None };
            let value = value.map_or_else(|| T::parse(default), Ok);
            return value
                .map(|value| (value, Origin::Default))
                .map_err(|reason| Problem(format!("the default of `{}` {reason}", setting.path())));
        };
        let value = match &raw {
            Raw::Text(text) => T::parse(text),
            Raw::List(items) => T::parse_list(items),
        };
        match value {
            Ok(value) => Ok((value, origin)),
            Err(_) if T::SECRET => Err(Problem(format!("{} cannot be read", label(setting, &origin)))),
            Err(reason) => Err(Problem(format!("{} {reason}", label(setting, &origin)))),
        }
    }

    fn default(&self, setting: &'static Setting) -> &'static str {
        let reference = setting.reference.filter(|_| self.compat == Compat::Reference);
        let serve = setting.serve.filter(|_| self.sources.role == Role::Serve);
        reference.or(serve).unwrap_or(setting.default)
    }

    /// The value from the strongest source that has one.
    fn written(&self, setting: &'static Setting) -> Result<Option<(Raw, Origin)>, Problem> {
        if let Some((name, raw)) = self.flags.get(&setting.path()) {
            return Ok(Some((raw.clone(), Origin::Flag(name.clone()))));
        }
        let secret = self.sources.secrets.iter().find(|(name, _)| setting.is_held_by(name));
        if let Some((name, text)) = secret {
            return Ok(Some((Raw::Text(text.clone()), Origin::SecretFile(name.clone()))));
        }
        for variable in std::iter::once(setting.variable()).chain(setting.aliases.iter().map(|&alias| alias.to_owned()))
        {
            if let Some(text) = self.variable(setting, &variable)? {
                return Ok(Some((Raw::Text(text), Origin::Environment(variable))));
            }
        }
        let from_file = self.file.get(&setting.path()).zip(self.sources.file.as_ref());
        Ok(from_file.map(|((line, raw), file)| (raw.clone(), Origin::File { name: file.name.clone(), line: *line })))
    }

    /// The expanded text of a variable; `None` if it is not set, or empty where that is the same.
    fn variable(&self, setting: &Setting, variable: &str) -> Result<Option<String>, Problem> {
        let Some(text) = self.sources.environment.get(variable) else { return Ok(None) };
        let text = expand(text, &self.sources.environment)
            .map_err(|reason| Problem(format!("environment variable {variable} {reason}")))?;
        Ok((!(text.trim().is_empty() && setting.empty_is_unset)).then_some(text))
    }

    fn check_bounds<T: Value>(&mut self, setting: &'static Setting, value: &T, origin: &Origin) {
        let Some(number) = value.number() else { return };
        let unit = if setting.unit.is_empty() { String::new() } else { format!(" {}", setting.unit) };
        let bound = match (setting.min, setting.max) {
            (Some(min), _) if number < min => format!("at least {min}"),
            (_, Some(max)) if number > max => format!("at most {max}"),
            _ => return,
        };
        let label = label(setting, origin);
        self.problems.push(Problem(format!("{label} is {}, must be {bound}{unit}", value.show())));
    }

    fn note_origin(&mut self, setting: &'static Setting, origin: &Origin) {
        if let Origin::Environment(variable) = origin
            && *variable != setting.variable()
        {
            self.notes
                .push(format!("{variable} is an older name of {}, which you should set instead", setting.variable()));
        }
        if matches!(origin, Origin::Environment(_) | Origin::SecretFile(_)) {
            let used = setting.variable();
            for alias in setting.aliases {
                let other = self.sources.environment.get(*alias).filter(|text| !text.is_empty());
                let differs = other.is_some() && other != self.sources.environment.get(&used);
                if differs && *origin == Origin::Environment(used.clone()) {
                    self.notes.push(format!("{alias} is an older name of {used}; both are set, and {used} holds"));
                }
            }
        }
        if let Fate::Later(part) = setting.fate
            && *origin != Origin::Default
        {
            let label = label(setting, origin);
            self.notes.push(format!("{label} has no effect yet: this version comes without {part}"));
        }
    }

    fn take_file(&mut self) {
        let Some(file) = &self.sources.file else { return };
        match file::parse(&file.text) {
            Ok(values) => {
                for FileValue { path, line, raw } in values {
                    let Some(raw) = raw else {
                        if SECTIONS.iter().all(|section| section.name != path) {
                            self.problems.push(Problem(format!("{}:{line}: {}", file.name, unknown_section(&path))));
                        }
                        continue;
                    };
                    if settings().any(|setting| setting.path() == path) {
                        self.file.insert(path, (line, raw));
                    } else {
                        let reason = unknown_setting(&path);
                        self.problems.push(Problem(format!("{}:{line}: {reason}", file.name)));
                    }
                }
            }
            Err(problems) => self
                .problems
                .extend(problems.into_iter().map(|(line, reason)| Problem(format!("{}:{line}: {reason}", file.name)))),
        }
    }

    fn take_flags(&mut self) {
        for flag in &self.sources.flags {
            if settings().any(|setting| setting.path() == flag.path) {
                self.flags.insert(flag.path.clone(), (flag.name.clone(), flag.raw.clone()));
            } else {
                self.problems.push(Problem(format!("{}: {}", flag.name, unknown_setting(&flag.path))));
            }
        }
    }

    /// Variables and secrets that are no settings: retired ones and probable slips.
    fn note_variables(&mut self) {
        let is_set = |name: &str| {
            let text = self.sources.environment.get(name).or_else(|| self.sources.secrets.get(name));
            text.is_some_and(|text| !text.is_empty())
        };
        for retired in RETIRED.iter().filter(|retired| is_set(retired.variable)) {
            let name = retired.variable;
            match retired.fate {
                RetiredFate::Refused(instead) => {
                    self.problems.push(Problem(format!("{name} is set, but {instead}")));
                }
                RetiredFate::NoEffect(reason) => self.notes.push(format!("{name} has no effect here: {reason}")),
                RetiredFate::Ambient(_) => {}
            }
        }
        let known: Vec<String> = known_variables();
        for name in self.sources.environment.keys() {
            let ours = SECTIONS.iter().any(|section| {
                !section.name.is_empty() && name.starts_with(&format!("{}_", section.name.to_ascii_uppercase()))
            });
            if ours
                && !known.contains(name)
                && let Some(meant) = nearest(name, known.iter().map(String::as_str))
            {
                self.notes.push(format!("{name} is not a setting; did you mean {meant}?"));
            }
        }
    }
}

/// The names of all variables that stand for something.
fn known_variables() -> Vec<String> {
    let current = settings().map(Setting::variable);
    let older = settings().flat_map(|setting| setting.aliases.iter().map(|&alias| alias.to_owned()));
    current.chain(older).chain(RETIRED.iter().map(|retired| retired.variable.to_owned())).collect()
}

/// A setting as messages name it: by the name that the user wrote.
fn label(setting: &Setting, origin: &Origin) -> String {
    match origin {
        Origin::Default => format!("the default of `{}`", setting.path()),
        Origin::File { name, line } => format!("{name}:{line}: `{}`", setting.path()),
        Origin::Environment(variable) => format!("environment variable {variable}"),
        Origin::SecretFile(name) => format!("secret file {name}"),
        Origin::Flag(name) => name.clone(),
    }
}

fn unknown_setting(path: &str) -> String {
    let key = path.rsplit('.').next().unwrap_or(path);
    if let Some(setting) = settings().find(|setting| setting.variable() == key) {
        return format!("`{path}` is the name of a variable; here it is `{}`", setting.path());
    }
    let paths: Vec<String> = settings().map(Setting::path).collect();
    // A key that stands outside of its table is worth finding, too.
    let meant = nearest(path, paths.iter().map(String::as_str)).or_else(|| {
        paths.iter().map(String::as_str).find(|known| known.split_once('.').is_some_and(|(_, key)| key == path))
    });
    match meant {
        Some(meant) => format!("`{path}` is not a setting; did you mean `{meant}`?"),
        None => format!("`{path}` is not a setting; `belvedere config reference` lists them all"),
    }
}

fn unknown_section(name: &str) -> String {
    match nearest(name, SECTIONS.iter().map(|section| section.name)) {
        Some(meant) => format!("`[{name}]` is not a section; did you mean `[{meant}]`?"),
        None => format!("`[{name}]` is not a section; `belvedere config reference` lists them all"),
    }
}
