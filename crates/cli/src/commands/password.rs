//! Passwords for commands: from a file, from a terminal without showing it, or from standard input.

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use crate::exit::Advice;

/// Longest line that is read.
const MAX_BYTES: u64 = 4096;

/// Where a password comes from.
#[derive(Args, Debug, Default)]
pub struct PasswordArgs {
    /// Read the password from this file: its first line. Without it, from the terminal or from standard input.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

impl PasswordArgs {
    /// The new password of a user; at a terminal it is asked for twice.
    ///
    /// # Errors
    /// With a hint, when it cannot be read, or the two differ.
    pub fn read(&self, user: &str) -> anyhow::Result<String> {
        if let Some(path) = &self.password_file {
            return from_file(path);
        }
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            return first_line(stdin.lock()).context("the password cannot be read from standard input");
        }
        let one = ask(&format!("New password of {user}: "))?;
        let other = ask("The same again: ")?;
        if one != other {
            return Err(Advice::usage("the two passwords differ", "try again").into());
        }
        Ok(one)
    }
}

fn from_file(path: &Path) -> anyhow::Result<String> {
    let read = std::fs::File::open(path).map(std::io::BufReader::new).and_then(first_line);
    read.with_context(|| Advice::usage(format!("the password in {} cannot be read", path.display()), ""))
}

fn first_line(input: impl BufRead) -> std::io::Result<String> {
    let mut line = String::new();
    std::io::Read::take(input, MAX_BYTES).read_line(&mut line)?;
    // A password may begin or end with blanks.
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Asks at the terminal, which does not show what is typed.
fn ask(prompt: &str) -> anyhow::Result<String> {
    let stdin = std::io::stdin();
    let before = tcgetattr(&stdin).context("the terminal cannot be asked")?;
    let mut hidden = before.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    let mut stderr = std::io::stderr();
    write!(stderr, "{prompt}").and_then(|()| stderr.flush())?;
    tcsetattr(&stdin, OptionalActions::Flush, &hidden).context("the terminal cannot be asked")?;
    let line = first_line(stdin.lock());
    tcsetattr(&stdin, OptionalActions::Flush, &before).context("the terminal cannot be put back")?;
    writeln!(stderr)?;
    line.context("the password cannot be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line_with_its_blanks() {
        let read = |text: &str| first_line(text.as_bytes()).unwrap();
        assert_eq!(read(" a b \r\nmore\n"), " a b ");
        assert_eq!(read("abc"), "abc");
        assert_eq!(read(""), "");
    }
}
