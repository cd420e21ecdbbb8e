//! The table `data`: which columns, under which names, from which columns of the Parquet files.
//!
//! Names of DuckDB ignore case, those of datasets do not; names of datasets may hold anything. So columns of the files are
//! taken by position, and a name that differs from an earlier one in case only gets a number, as DuckDB does it.

use std::collections::HashSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use belvedere_domain::Feature;
use belvedere_domain::features::Dtype;
use belvedere_engine::index_source::{ImageSizes, IndexSource};
use duckdb::Connection;

/// The number of a row, from 0. Always the last column.
const ROW: &str = "__hf_index_id";

/// The table, planned.
pub(crate) struct Table {
    columns: Vec<Column>,
    /// Of one more column each: name and expression.
    computed: Vec<(String, String)>,
    /// What follows `FROM`.
    from: String,
}

struct Column {
    name: String,
    expression: String,
    /// Name until the full-text index is there; for columns with text.
    temporary: Option<String>,
}

/// A column with text.
pub(crate) struct Text {
    /// Its name at first: plain letters and digits.
    pub(crate) temporary: String,
    /// Its name in the end.
    pub(crate) name: String,
}

impl Table {
    /// Looks at the Parquet files and decides on the columns.
    pub(crate) fn plan(
        connection: &Connection,
        source: &IndexSource,
        files: &[&Path],
        sizes: Option<&ImageSizes>,
    ) -> duckdb::Result<Self> {
        let scan = scan(files);
        let mut statement = connection.prepare(&format!("SELECT column_name FROM (DESCRIBE SELECT * FROM {scan})"))?;
        let found: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<duckdb::Result<_>>()?;
        let mut from = format!("{scan} AS t({})", numbered("c", found.len()));
        if let Some(sizes) = sizes {
            let files: Vec<&Path> = sizes.paths.iter().map(PathBuf::as_path).collect();
            let columns = numbered("s", 2 * sizes.columns.len());
            let _ = write!(from, " POSITIONAL JOIN {} AS s({columns})", self::scan(&files));
        }
        let mut names = Names::default();
        // Reserved, so that a column of this name gets another one.
        names.take(ROW);
        let prefix = unused_prefix(source);
        let mut columns = Vec::with_capacity(source.features.len());
        let mut computed = Vec::new();
        for (index, (name, feature)) in source.features.iter().enumerate() {
            let position = position(name, &found, &source.columns);
            let expression = position.map_or_else(|| "NULL::VARCHAR".to_owned(), |position| format!("t.c{position}"));
            let temporary = holds_text(feature).then(|| format!("{prefix}{index}"));
            if let Some(length) = position.and_then(|position| length_of(feature, position)) {
                computed.push((format!("{name}.length"), length));
            }
            if let Some(at) = sizes.and_then(|sizes| sizes.columns.iter().position(|column| column == name)) {
                computed.push((format!("{name}.width"), format!("s.s{}", 2 * at)));
                computed.push((format!("{name}.height"), format!("s.s{}", 2 * at + 1)));
            }
            columns.push(Column { name: names.unique(name), expression, temporary });
        }
        // A column of the dataset wins over a computed one.
        computed.retain(|(name, _)| names.take(name));
        Ok(Self { columns, computed, from })
    }

    /// The columns with text.
    pub(crate) fn texts(&self) -> Vec<Text> {
        let text =
            |column: &Column| column.temporary.clone().map(|temporary| Text { temporary, name: column.name.clone() });
        self.columns.iter().filter_map(text).collect()
    }

    /// The statement that makes and fills it, with or without the computed columns.
    pub(crate) fn create(&self, with_computed: bool) -> String {
        let mut statement = "CREATE OR REPLACE TABLE data AS SELECT ".to_owned();
        for column in &self.columns {
            let name = quote(column.temporary.as_ref().unwrap_or(&column.name));
            let _ = write!(statement, "{} AS {name}, ", column.expression);
        }
        for (name, expression) in self.computed.iter().filter(|_| with_computed) {
            let _ = write!(statement, "{expression} AS {}, ", quote(name));
        }
        let _ = write!(statement, "(row_number() OVER () - 1)::BIGINT AS {ROW} FROM {}", self.from);
        statement
    }
}

/// Names that are taken, whatever their case.
#[derive(Default)]
struct Names(HashSet<String>);

impl Names {
    /// True if the name was free; it is taken now.
    fn take(&mut self, name: &str) -> bool {
        self.0.insert(name.to_lowercase())
    }

    /// The name, or the name with the first number that makes it another one.
    fn unique(&mut self, name: &str) -> String {
        if self.take(name) {
            return name.to_owned();
        }
        (1..).map(|number: u64| format!("{name}_{number}")).find(|name| self.take(name)).expect("numbers do not end")
    }
}

/// The start of names that no column has.
fn unused_prefix(source: &IndexSource) -> String {
    let mut prefix = "text".to_owned();
    let is_used = |prefix: &str| source.features.iter().any(|(name, _)| name.to_lowercase().starts_with(prefix));
    while is_used(&prefix) {
        prefix.push('t');
    }
    prefix
}

/// Where a column of the dataset is among those that DuckDB found. `in_first_file` has the names as they are, of which
/// DuckDB changes those that differ in case only.
fn position(name: &str, found: &[String], in_first_file: &[String]) -> Option<usize> {
    let is_it =
        |place: &usize| found.get(*place).is_some_and(|found| found.to_lowercase().starts_with(&name.to_lowercase()));
    let by_place = in_first_file.iter().position(|other| other == name).filter(is_it);
    by_place.or_else(|| found.iter().position(|other| other == name))
}

/// The number of characters or items, for texts and lists.
fn length_of(feature: &Feature, position: usize) -> Option<String> {
    match feature {
        Feature::Value(Dtype::String | Dtype::LargeString) => Some(format!("length(t.c{position})")),
        Feature::List { .. } | Feature::LargeList(_) | Feature::Array { .. } => Some(format!("len(t.c{position})")),
        _ => None,
    }
}

/// True for columns that hold text at any depth.
fn holds_text(feature: &Feature) -> bool {
    feature.any(&mut |part| {
        matches!(
            part,
            Feature::Value(Dtype::String | Dtype::LargeString)
                | Feature::Translation { .. }
                | Feature::TranslationVariableLanguages { .. }
                | Feature::Json
        )
    })
}

fn scan(files: &[&Path]) -> String {
    let files: Vec<String> = files.iter().map(|path| literal(&path.to_string_lossy())).collect();
    format!("read_parquet([{}], union_by_name = true)", files.join(", "))
}

fn numbered(letter: &str, count: usize) -> String {
    (0..count).map(|number| format!("{letter}{number}")).collect::<Vec<_>>().join(", ")
}

/// A text as a literal of SQL.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A name as an identifier of SQL.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_case_only_get_a_number() {
        let mut names = Names::default();
        names.take(ROW);
        let taken: Vec<_> = ["a", "A", "a_1", "É", "é", "__HF_index_id"].map(|name| names.unique(name)).into();
        assert_eq!(taken, ["a", "A_1", "a_1_1", "É", "é_1", "__HF_index_id_1"]);
    }

    #[test]
    fn names_and_texts_cannot_leave_their_quotes() {
        assert_eq!((quote("a\"; DROP"), literal("it's")), ("\"a\"\"; DROP\"".to_owned(), "'it''s'".to_owned()));
    }
}
