//! Which value of a setting holds, and what there is to tell about it.

use std::collections::HashMap;

use super::expand::expand;
use super::file::{self, FileValue};
use super::suggest::{known_variables, nearest, unknown_section, unknown_setting};
use super::types::Compat;
use super::value::Value;
use super::{Effective, Fate, Origin, Problem, RETIRED, Raw, RetiredFate, Role, SECTIONS, Setting, Sources, settings};

/// Hands out values by setting, and keeps what went wrong.
pub(super) struct Reader<'a> {
    sources: &'a Sources,
    rows: HashMap<(&'static str, &'static str), &'static Setting>,
    file: HashMap<String, (usize, Raw)>,
    flags: HashMap<String, (String, Raw)>,
    compat: Compat,
    /// Values handed out so far.
    pub(super) values: Vec<Effective>,
    /// Warnings so far.
    pub(super) notes: Vec<String>,
    /// What is wrong so far.
    pub(super) problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    /// A reader over these sources, which has looked at everything that is no setting.
    pub(super) fn new(sources: &'a Sources) -> Self {
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
        let name = value.map_or_else(|| path.to_owned(), |value| value.origin.label(value.setting));
        self.problems.push(Problem(format!("{name} {reason}")));
    }

    fn value<T: Value>(&self, setting: &'static Setting) -> Result<(T, Origin), Problem> {
        let Some((raw, origin)) = self.written(setting)? else {
            let (default, origin) = self.default(setting);
            let value = if default.is_empty() { T::unset() } else { None };
            let value = value.map_or_else(|| T::parse(default), Ok);
            return match value {
                Ok(value) => Ok((value, origin)),
                Err(reason) => Err(Problem(format!("{} {reason}", origin.label(setting)))),
            };
        };
        let value = match &raw {
            Raw::Text(text) => T::parse(text),
            Raw::List(items) => T::parse_list(items),
        };
        match value {
            Ok(value) => Ok((value, origin)),
            Err(reason) => Err(Problem(format!("{} {reason}", origin.label(setting)))),
        }
    }

    fn default(&self, setting: &'static Setting) -> (&'static str, Origin) {
        let usual = setting.serve.filter(|_| self.sources.role == Role::Serve).unwrap_or(setting.default);
        match setting.reference {
            Some(reference) if self.compat == Compat::Reference && reference != usual => (reference, Origin::Reference),
            _ => (usual, Origin::Default),
        }
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
        let text = expand(text, &self.sources.environment).map_err(|reason| {
            // What looks like a reference may be a part of the secret.
            let masked = "holds a `$` that stands for no variable; write `\\$` for a dollar sign".to_owned();
            let reason = if setting.secret { masked } else { reason };
            Problem(format!("environment variable {variable} {reason}"))
        })?;
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
        let label = origin.label(setting);
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
        let without = match setting.fate {
            Fate::Later(part) => format!("no effect yet: this version comes without {part}"),
            Fate::Built(feature, part) if !crate::optional::is_built(feature) => {
                format!("no effect: {part} needs a program built with the cargo feature `{feature}`")
            }
            Fate::Read(_) | Fate::Built(..) => return,
        };
        if !matches!(origin, Origin::Default | Origin::Reference) {
            self.notes.push(format!("{} has {without}", origin.label(setting)));
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
        for name in self.sources.secrets.keys() {
            let is_used = settings().any(|setting| setting.is_held_by(name));
            if !is_used && RETIRED.iter().all(|retired| retired.variable != name) {
                self.notes.push(format!("secret file {name} belongs to no setting"));
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
