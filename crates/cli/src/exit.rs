//! How a command ends: exit codes, and errors that say what to do.

use std::fmt;

/// The exit codes, which scripts may rely on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: done, and what was looked at has problems.
    Problems,
    /// 2: the command line or the configuration is not valid; nothing was done.
    Usage,
    /// 3: something around the program is in the way: a file, a port, the database.
    Environment,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => 0,
            Exit::Problems => 1,
            Exit::Usage => 2,
            Exit::Environment => 3,
        }
        .into()
    }
}

/// What went wrong in the user's words, what to do about it, and the exit code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Advice {
    /// What went wrong: a lower-case fragment.
    pub message: String,
    /// What to do; printed after `hint:`.
    pub hint: String,
    /// The exit code.
    pub exit: Exit,
}

impl Advice {
    /// Something around the program is in the way.
    pub fn environment(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into(), exit: Exit::Environment }
    }

    /// The command line or the configuration is not valid.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into(), exit: Exit::Usage }
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Advice {}

/// The exit code of an error: that of the advice it carries, else [`Exit::Environment`].
pub fn of(error: &anyhow::Error) -> Exit {
    error.downcast_ref::<Advice>().map_or(Exit::Environment, |advice| advice.exit)
}

/// What to do about an error, if it carries advice.
pub fn hint(error: &anyhow::Error) -> Option<String> {
    error.downcast_ref::<Advice>().map(|advice| advice.hint.clone()).filter(|hint| !hint.is_empty())
}

/// The error as it is printed: the chain of causes, then the hint.
pub fn describe(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for (depth, cause) in error.chain().enumerate() {
        let lead = if depth == 0 { "error: " } else { "\n  because " };
        text.push_str(lead);
        text.push_str(&cause.to_string());
    }
    if let Some(hint) = hint(error) {
        text.push_str("\nhint: ");
        text.push_str(&hint);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_with_its_causes_and_a_hint() {
        let error = anyhow::anyhow!("the disk is full")
            .context("`a.sqlite` cannot be written")
            .context(Advice::environment("the store cannot be opened", "free some space"));
        assert_eq!(of(&error), Exit::Environment);
        insta::assert_snapshot!(describe(&error), @r"
        error: the store cannot be opened
          because `a.sqlite` cannot be written
          because the disk is full
        hint: free some space
        ");
    }

    #[test]
    fn an_error_without_advice_has_no_hint() {
        assert_eq!(describe(&anyhow::anyhow!("no")), "error: no");
    }
}
