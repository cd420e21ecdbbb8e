//! The report for people: problems first, then warnings, then what users see.

use std::fmt::Write as _;

use super::facts::{ConfigFacts, DatasetFacts, Report, SplitFacts};
use crate::output::{Style, bytes, plural, wrap};
use crate::problems::Problem;

/// Width of running text.
const WIDTH: usize = 96;
/// Configs, splits and columns in a list before it is cut. JSON has all of them.
const SHOWN: usize = 20;

/// The report as text with a final line break.
pub(super) fn render(report: &Report, color: bool) -> String {
    let mut page = Page { text: String::new(), color };
    if report.problems > 0 {
        page.heading(&plural(report.problems, "problem"), Style::Red);
        for folder in &report.folders {
            if let Some(problem) = &folder.problem {
                page.item(&folder.path.display().to_string(), problem, Style::Red);
            }
        }
        for dataset in &report.datasets {
            for problem in &dataset.problems {
                page.problem(dataset, problem);
            }
        }
    }
    if report.warnings > 0 {
        page.heading(&plural(report.warnings, "warning"), Style::Yellow);
        for folder in &report.folders {
            for warning in &folder.warnings {
                page.item(&folder.path.display().to_string(), warning, Style::Yellow);
            }
        }
        for dataset in &report.datasets {
            for warning in &dataset.warnings {
                page.item(dataset.dataset.as_str(), warning, Style::Yellow);
            }
        }
    }
    let seen: Vec<&DatasetFacts> = report.datasets.iter().filter(|dataset| !dataset.configs.is_empty()).collect();
    if !seen.is_empty() {
        page.heading("what users see", Style::Bold);
        for dataset in seen {
            page.dataset(dataset);
        }
    }
    page.sum(report);
    page.text
}

struct Page {
    text: String,
    color: bool,
}

impl Page {
    fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn heading(&mut self, text: &str, style: Style) {
        if !self.text.is_empty() {
            self.line("");
        }
        let text = style.paint(text, self.color);
        self.line(&text);
    }

    fn paragraph(&mut self, text: &str, indent: &str) {
        let text = wrap(text, WIDTH - indent.len(), indent);
        self.line(&text);
    }

    fn item(&mut self, name: &str, text: &str, style: Style) {
        let name = style.paint(name, self.color);
        self.line(&format!("  {name}"));
        self.paragraph(text, "    ");
    }

    fn problem(&mut self, dataset: &DatasetFacts, problem: &Problem) {
        self.item(dataset.dataset.as_str(), &problem.message, Style::Red);
        if !problem.missing.is_empty() {
            let text = format!("users do not get: {} ({})", problem.consequence(), problem.codes().join(", "));
            self.paragraph(&text, "    ");
        }
        if let Some(hint) = problem.hint {
            self.paragraph(&format!("hint: {hint}"), "    ");
        }
    }

    fn dataset(&mut self, dataset: &DatasetFacts) {
        let name = Style::Bold.paint(dataset.dataset.as_str(), self.color);
        let mut facts = vec![plural(dataset.rows as usize, "row"), format!("{} of files", bytes(dataset.files_bytes))];
        if dataset.configs.len() > 1 {
            facts.insert(0, plural(dataset.configs.len(), "config"));
        }
        self.line(&format!("  {name}: {}", facts.join(", ")));
        for config in dataset.configs.iter().take(SHOWN) {
            self.config(config);
        }
        if dataset.configs.len() > SHOWN {
            self.line(&format!("    and {} more", plural(dataset.configs.len() - SHOWN, "config")));
        }
    }

    fn config(&mut self, config: &ConfigFacts) {
        let format = config.format.as_deref().map_or_else(String::new, |format| format!(" ({format})"));
        self.line(&format!("    config {}{format}", config.config));
        let width = config.splits.iter().take(SHOWN).map(|split| split.split.chars().count()).max().unwrap_or(0);
        for split in config.splits.iter().take(SHOWN) {
            let padding = " ".repeat(width - split.split.chars().count());
            self.line(&format!("      {}{padding}  {}", split.split, facts_of(split)));
        }
        if config.splits.len() > SHOWN {
            self.line(&format!("      and {} more", plural(config.splits.len() - SHOWN, "split")));
        }
        if !config.columns.is_empty() {
            let shown = config.columns.iter().take(SHOWN);
            let mut columns: Vec<String> =
                shown.map(|column| format!("{} ({})", column.name, shortened(&column.kind))).collect();
            if config.columns.len() > SHOWN {
                columns.push(format!("and {} more", config.columns.len() - SHOWN));
            }
            let text = format!("{}: {}", plural(config.columns.len(), "column"), columns.join(", "));
            self.paragraph(&text, "      ");
        }
    }

    fn sum(&mut self, report: &Report) {
        let bad = report.datasets.iter().filter(|dataset| !dataset.problems.is_empty()).count();
        let mut line = format!("{} looked at", plural(report.datasets.len(), "dataset"));
        let _ = match (report.problems, report.warnings) {
            (0, 0) => write!(line, ", nothing wrong"),
            (0, warnings) => write!(line, ", nothing wrong, {}", plural(warnings, "warning")),
            (_, 0) => write!(line, ", {bad} with problems"),
            (_, warnings) => write!(line, ", {bad} with problems, {}", plural(warnings, "warning")),
        };
        if report.datasets.is_empty() {
            line = "nothing to look at".to_owned();
        }
        self.line("");
        self.line(&line);
    }
}

/// `344 rows from 2 files`, and what is missing.
fn facts_of(split: &SplitFacts) -> String {
    let mut text = match (split.rows, split.partial) {
        (Some(rows), false) => plural(rows as usize, "row"),
        (Some(rows), true) => format!("the first {}", plural(rows as usize, "row")),
        (None, _) => "no rows can be read".to_owned(),
    };
    if split.files > 0 {
        let _ = write!(text, " from {}", plural(split.files, "file"));
    }
    match split.preview_rows {
        None => text.push_str(", no preview"),
        Some(rows) if split.rows.is_none() => {
            let _ = write!(text, ", but a preview of {}", plural(rows, "row"));
        }
        Some(_) => {}
    }
    text
}

/// A type, cut where it is too long to stand in a list.
fn shortened(kind: &str) -> String {
    const LENGTH: usize = 60;
    match kind.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}…", &kind[..end]),
        None => kind.to_owned(),
    }
}
