//! Standard error: lines for a person, one status line on terminals, and the log, without getting in each other's way.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

/// Where lines for a person go when the log is in JSON: programs read standard error then.
pub(crate) const TARGET: &str = "belvedere::progress";

/// Removes what is on the line of the cursor.
const CLEAR: &str = "\r\x1b[2K";
/// Around a status line: what does not fit is cut at the edge of the terminal, however wide that is, since a line that
/// went on below could not be removed. The cursor returns to its start, so that the terminal's own `^C` stays there too.
const CUT: [&str; 2] = ["\x1b[?7l", "\x1b[?7h\r"];

/// Standard error of this process. Clones share it.
#[derive(Clone, Debug)]
pub struct Console {
    form: Form,
    /// Lines are written in color.
    pub color: bool,
    /// What stands on the line of the cursor; empty: nothing.
    status: Arc<Mutex<String>>,
}

/// How lines for a person are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Not at all.
    Quiet,
    /// As lines, with a status line that is rewritten.
    Terminal,
    /// As lines.
    Lines,
    /// As records of the log.
    Log,
}

impl Console {
    /// A console of that form.
    pub fn new(form: Form, color: bool) -> Self {
        Self { form, color, status: Arc::default() }
    }

    /// True if [`status`](Self::status) shows something.
    pub fn is_terminal(&self) -> bool {
        self.form == Form::Terminal
    }

    /// A line for a person, or several. Nothing is left to be done when standard error is gone.
    pub fn say(&self, text: &str) {
        match self.form {
            Form::Quiet => {}
            Form::Log => text.lines().filter(|line| !line.is_empty()).for_each(|line| {
                tracing::info!(target: TARGET, "{}", line.trim_start());
            }),
            Form::Terminal | Form::Lines => {
                let mut console = self.clone();
                let _ = console.write_all(format!("{text}\n").as_bytes());
            }
        }
    }

    /// Shows on the last line of a terminal how things are now; the empty text removes it.
    pub fn status(&self, text: &str) {
        let mut shown = self.lock();
        if self.is_terminal() && *shown != text {
            let _ = write!(io::stderr(), "{CLEAR}{}", cut(text));
            text.clone_into(&mut shown);
        }
    }

    fn lock(&self) -> MutexGuard<'_, String> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cut(status: &str) -> String {
    let [begin, end] = CUT;
    if status.is_empty() { String::new() } else { format!("{begin}{status}{end}") }
}

impl Write for Console {
    /// Writes whole lines above the status line.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let shown = self.lock();
        let mut out = io::stderr().lock();
        if shown.is_empty() {
            return out.write_all(bytes).map(|()| bytes.len());
        }
        out.write_all(CLEAR.as_bytes())?;
        out.write_all(bytes)?;
        out.write_all(cut(&shown).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for Console {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_cut_by_the_terminal_and_nothing_is_around_none() {
        assert_eq!(cut("3 jobs to do"), "\x1b[?7l3 jobs to do\x1b[?7h\r");
        assert_eq!(cut(""), "");
    }
}
