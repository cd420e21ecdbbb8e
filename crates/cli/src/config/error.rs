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
}

impl ConfigError {
    /// A configuration with one problem.
    pub(super) fn one(problem: impl Into<String>) -> Self {
        Self { problems: vec![Problem(problem.into())] }
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
