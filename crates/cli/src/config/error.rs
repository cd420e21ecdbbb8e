//! What is wrong with a configuration: all of it at once.

use std::fmt;

/// One thing that is wrong, in words that name the setting and where its value came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem(pub(super) String);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A configuration that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError {
    /// Everything that is wrong, in the order it was found.
    pub problems: Vec<Problem>,
    /// What to do.
    pub hint: &'static str,
}

impl ConfigError {
    /// Settings that are wrong.
    pub(super) fn settings(problems: Vec<Problem>) -> Self {
        Self { problems, hint: "`belvedere config reference NAME` explains a setting" }
    }

    /// A source of settings that cannot be read.
    pub(super) fn source(problem: String, hint: &'static str) -> Self {
        Self { problems: vec![Problem(problem)], hint }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [problem] => write!(f, "the configuration is not valid: {problem}"),
            problems => {
                write!(f, "the configuration is not valid:")?;
                problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

impl std::error::Error for ConfigError {}
