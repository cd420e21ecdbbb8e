//! What commands print: data on standard output, as an aligned table or as JSON. Messages go to standard error.

use std::io::{self, Write};

use serde::Serialize;

/// When to use color.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Whether a stream is written in color.
    pub fn applies_to(self, is_terminal: bool, environment: impl Fn(&str) -> Option<String>) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                let is_set = |name| environment(name).is_some_and(|text| !text.is_empty());
                let dumb = environment("TERM").as_deref() == Some("dumb");
                !is_set("NO_COLOR") && !dumb && is_terminal
            }
        }
    }
}

/// A color or weight.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// As it is.
    Plain,
    /// Headings.
    Bold,
    /// Less important.
    Dim,
    /// Good.
    Green,
    /// Odd.
    Yellow,
    /// Bad.
    Red,
}

impl Style {
    /// The text with the escape sequences of this style, if there is color.
    pub fn paint(self, text: &str, color: bool) -> String {
        let code = match self {
            Self::Plain => return text.to_owned(),
            Self::Bold => 1,
            Self::Dim => 2,
            Self::Red => 31,
            Self::Green => 32,
            Self::Yellow => 33,
        };
        if color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Standard output, in the form that the user asked for.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Standard output is written in color.
    pub color: bool,
}

impl Output {
    /// Prints text. A reader that has gone away is no error.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written.
    pub fn print(self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result,
        }
    }

    /// Prints a value as indented JSON.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written.
    pub fn print_json(self, value: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
        text.push('\n');
        self.print(&text)
    }

    /// Prints a table.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written.
    pub fn print_table(self, table: &Table) -> io::Result<()> {
        self.print(&table.render(self.color))
    }
}

/// Rows of cells under headings. Columns are as wide as their widest cell; the last one is not padded.
#[derive(Clone, Debug)]
pub struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<(String, Style)>>,
}

impl Table {
    /// A table without rows.
    pub fn new(headings: &[&'static str]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new() }
    }

    /// Adds a row of plain cells.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.styled_row(cells.into_iter().map(|cell| (cell, Style::Plain)));
    }

    /// Adds a row.
    pub fn styled_row(&mut self, cells: impl IntoIterator<Item = (String, Style)>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table as text with a final line break.
    pub fn render(&self, color: bool) -> String {
        let headings: Vec<_> = self.headings.iter().map(|heading| ((*heading).to_owned(), Style::Bold)).collect();
        let lines: Vec<_> = std::iter::once(&headings).chain(&self.rows).collect();
        let width = |column: usize| {
            lines.iter().filter_map(|cells| cells.get(column)).map(|(text, _)| text.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.headings.len()).map(width).collect();
        let mut rendered = String::new();
        for cells in lines {
            let mut line = String::new();
            for (column, (text, style)) in cells.iter().enumerate() {
                line.push_str(&style.paint(text, color));
                if column + 1 < cells.len() {
                    let padding = widths[column] + 2 - text.chars().count();
                    line.extend(std::iter::repeat_n(' ', padding));
                }
            }
            rendered.push_str(line.trim_end());
            rendered.push('\n');
        }
        rendered
    }
}

/// `1 row`, `2 rows`; digits in groups of three.
pub fn plural(count: usize, one: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{} {one}{ending}", grouped(count as u64))
}

/// A number with its digits in groups of three: `1,234`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size in the unit that leaves one to three digits before the point: `2.3 MB`.
pub fn bytes(size: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if size < 1000 {
        return plural(size as usize, "byte");
    }
    let mut amount = size as f64 / 1000.0;
    let mut unit = 0;
    while amount >= 999.95 && unit + 1 < UNITS.len() {
        amount /= 1000.0;
        unit += 1;
    }
    format!("{amount:.1} {}", UNITS[unit])
}

/// The text in lines of at most that many characters, each after the indent. Words longer than that stand alone.
pub fn wrap(text: &str, width: usize, indent: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.iter().map(|line| format!("{indent}{line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_letters_not_bytes() {
        let mut table = Table::new(&["NAME", "ROWS", "NOTE"]);
        table.row(["größe", "1", ""].map(String::from));
        table.row(["a", "12345", "x"].map(String::from));
        insta::assert_snapshot!(table.render(false), @r"
        NAME   ROWS   NOTE
        größe  1
        a      12345  x
        ");
    }

    #[test]
    fn color_needs_a_terminal_and_no_objection() {
        let nothing = |_: &str| None;
        let objection = |name: &str| (name == "NO_COLOR").then(|| "1".to_owned());
        let empty = |name: &str| (name == "NO_COLOR").then(String::new);
        assert!(Color::Auto.applies_to(true, nothing));
        assert!(Color::Auto.applies_to(true, empty));
        assert!(!Color::Auto.applies_to(false, nothing));
        assert!(!Color::Auto.applies_to(true, objection));
        assert!(Color::Always.applies_to(false, objection));
    }

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(plural(1, "row"), "1 row");
        assert_eq!(plural(1_234_567, "row"), "1,234,567 rows");
        assert_eq!([0, 999, 1000].map(grouped), ["0", "999", "1,000"]);
        assert_eq!(
            [1, 999, 1000, 999_949, 999_950].map(bytes),
            ["1 byte", "999 bytes", "1.0 kB", "999.9 kB", "1.0 MB"]
        );
    }

    #[test]
    fn wrapped_lines_keep_words_whole() {
        assert_eq!(wrap("one two  three", 7, "> "), "> one two\n> three");
        assert_eq!(wrap("incomprehensible a", 4, ""), "incomprehensible\na");
    }
}
