//! Files that disagree: which columns and types each file has, the schema that holds them all, and the first line of each file
//! that a strict conversion would stumble over.
//!
//! Every file is read to its end and typed by itself; Parquet and Arrow files tell their columns without that.

mod join;

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{max, min};
use arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};
use belvedere_domain::data_files::Reader;
use belvedere_domain::features::Dtype;
use belvedere_domain::{Feature, Features};
use indexmap::IndexMap;

use crate::call::{ColumnReport, Difference, FileReport, SchemaReport, Survey, Surveyed};
use crate::error::{EngineError, ErrorKind};
use crate::features_arrow::features_of;
use crate::footers::FooterCache;
use crate::inspect::not_listed;
use crate::read::{ConfigReader, ReadLimits};
use crate::schema::type_name;
use crate::source::SourceFile;
use crate::task::Task;

/// Files that differ, columns of one, differences of one, and sentences that are listed.
const LISTED_FILES: usize = 100;
const LISTED_COLUMNS: usize = 200;
const LISTED_DIFFERENCES: usize = 50;
const LISTED_ADVICE: usize = 50;
/// Whole numbers that every float of 64 bits below this one can hold.
const EXACT: i64 = 1 << 53;

/// Answers [`Call::Survey`](crate::Call::Survey).
///
/// # Errors
/// [`Empty`](ErrorKind::Empty) when no file tells a column, [`Incompatible`](ErrorKind::Incompatible) for columns that no type
/// holds together, such as images and texts; those of reading.
pub(crate) fn survey(call: &Survey, footers: &FooterCache, task: &Task) -> Result<Surveyed, EngineError> {
    let files: HashMap<&str, &SourceFile> = call.files.iter().map(|file| (file.path.as_str(), file)).collect();
    let mut state =
        State { call, footers, task, expected: None, columns: IndexMap::new(), report: SchemaReport::default() };
    // The first table without rows tells a schema only if there is no other.
    let mut fallback = None;
    for path in call.config.paths() {
        let file = *files.get(path).ok_or_else(|| not_listed(path))?;
        let look = state.look(file).map_err(|error| error.in_file(path))?;
        if look.has_rows {
            state.take(path, look)?;
        } else {
            fallback.get_or_insert(look.features);
        }
    }
    state.finish(fallback.filter(|features| !features.is_empty()))
}

struct State<'a> {
    call: &'a Survey,
    footers: &'a FooterCache,
    task: &'a Task,
    /// What the first table with rows told.
    expected: Option<Features>,
    columns: IndexMap<String, Column>,
    report: SchemaReport,
}

/// A column over all files.
struct Column {
    feature: Feature,
    types: IndexMap<String, usize>,
    /// It has whole numbers that no float holds.
    has_large: bool,
    /// The first difference, with its file.
    difference: Option<(String, Difference)>,
}

/// One file.
struct Look {
    features: Features,
    has_rows: bool,
    large: Vec<String>,
    differences: Vec<Difference>,
}

impl State<'_> {
    fn look(&mut self, file: &SourceFile) -> Result<Look, EngineError> {
        let mut look =
            Look { features: Features::default(), has_rows: false, large: Vec::new(), differences: Vec::new() };
        if self.call.config.reader == Reader::Parquet {
            let (_, footer) = self.footers.open(file)?;
            let features = match footer.told_features() {
                Some(features) => features.clone(),
                None => features_of(footer.arrow.schema())?,
            };
            look.has_rows = footer.num_rows() > 0;
            if look.has_rows {
                self.compare(&features, None, &|_| None, &mut look)?;
            } else {
                look.features = features;
            }
            return Ok(look);
        }
        // Each file is typed by itself, whatever the one before told.
        let mut stream = ConfigReader::new(self.call.config.clone(), ReadLimits::default()).open(file)?;
        while let Some(table) = stream.next_table()? {
            self.task.check()?;
            let features = features_of(&table.schema())?;
            if table.num_rows() == 0 {
                if !look.has_rows {
                    look.features = features;
                }
                continue;
            }
            if !look.has_rows {
                (look.has_rows, look.features) = (true, Features::default());
            }
            let line = |row| stream.line_of_row(row);
            self.compare(&features, Some(table.columns()), &line, &mut look)?;
            if self.call.config.reader == Reader::Arrow {
                // All tables of a file have one schema.
                break;
            }
        }
        Ok(look)
    }

    /// Compares a table with what is expected, and joins it to those before of its file. `arrays`: its columns, where values
    /// are looked at; `line`: of a row.
    fn compare(
        &mut self,
        features: &Features,
        arrays: Option<&[ArrayRef]>,
        line: &dyn Fn(usize) -> Option<u64>,
        look: &mut Look,
    ) -> Result<(), EngineError> {
        let expected = self.expected.get_or_insert_with(|| features.clone());
        let mut told = Vec::with_capacity(features.len());
        for (place, (name, feature)) in features.iter().enumerate() {
            let array = arrays.map(|arrays| &arrays[place]);
            if array.is_some_and(has_large) && !look.large.contains(name) {
                look.large.push(name.clone());
            }
            let wanted = expected.get(name);
            let misfit = match (wanted, array) {
                (None, Some(array)) => first_value(array),
                (None, None) => Some(0),
                (Some(wanted), array) => misfit(wanted, feature, array),
            };
            match misfit {
                // As good as expected.
                None => told.push((name.clone(), wanted.unwrap_or(feature).clone())),
                Some(row) => {
                    told.push((name.clone(), feature.clone()));
                    if look.differences.iter().all(|difference| difference.column != *name) {
                        look.differences.push(Difference {
                            column: name.clone(),
                            found: Some(type_name(feature)),
                            expected: wanted.map(type_name),
                            line: line(row),
                        });
                    }
                }
            }
        }
        let told = Features::new(told);
        look.features = join::fields(&look.features, &told).ok_or_else(|| impossible(&look.features, &told))?;
        Ok(())
    }

    /// Adds a file with rows.
    fn take(&mut self, path: &str, mut look: Look) -> Result<(), EngineError> {
        let expected = self.expected.clone().unwrap_or_default();
        for (name, feature) in &expected {
            if look.features.get(name).is_none() {
                let expected = Some(type_name(feature));
                look.differences.push(Difference { column: name.clone(), found: None, expected, line: None });
            }
        }
        self.report.files += 1;
        for (name, feature) in &look.features {
            let column = self.columns.entry(name.clone()).or_insert_with(|| Column {
                feature: feature.clone(),
                types: IndexMap::new(),
                has_large: false,
                difference: None,
            });
            column.feature = join::join(&column.feature, feature).ok_or_else(|| {
                let message = format!(
                    "this column is {} here and {} before, and no type holds both; put the files into configs of their own",
                    type_name(feature),
                    type_name(&column.feature)
                );
                EngineError::new(ErrorKind::Incompatible, message).in_column(name).in_file(path)
            })?;
            *column.types.entry(type_name(feature)).or_default() += 1;
            column.has_large |= look.large.contains(name);
        }
        for difference in &look.differences {
            if let Some(column) = self.columns.get_mut(&difference.column) {
                column.difference.get_or_insert_with(|| (path.to_owned(), difference.clone()));
            }
        }
        if look.differences.is_empty() {
            self.report.alike += 1;
        } else if self.report.differing.len() < LISTED_FILES {
            look.differences.truncate(LISTED_DIFFERENCES);
            let columns = look.features.iter().take(LISTED_COLUMNS);
            self.report.differing.push(FileReport {
                file: path.to_owned(),
                columns: columns.map(|(name, feature)| (name.clone(), type_name(feature))).collect(),
                differences: look.differences,
            });
        } else {
            self.report.left_off += 1;
        }
        Ok(())
    }

    fn finish(mut self, fallback: Option<Features>) -> Result<Surveyed, EngineError> {
        if self.columns.is_empty() {
            let features = fallback.ok_or_else(|| EngineError::new(ErrorKind::Empty, "the files hold no data"))?;
            return Ok(Surveyed { features, report: self.report });
        }
        for (name, column) in &mut self.columns {
            if column.has_large && matches!(&column.feature, Feature::Value(dtype) if dtype.is_float()) {
                column.feature = Feature::string();
            }
            let missing = self.report.files - column.types.values().sum::<usize>();
            let kind = type_name(&column.feature);
            if (missing > 0 || column.types.len() > 1) && self.report.advice.len() < LISTED_ADVICE {
                self.report.advice.push(advice(name, &kind, missing, column));
            }
            self.report.columns.push(ColumnReport { name: name.clone(), kind, types: column.types.clone(), missing });
        }
        let features = self.columns.into_iter().map(|(name, column)| (name, column.feature));
        Ok(Surveyed { features: Features::new(features), report: self.report })
    }
}

/// What to do about a column that is not the same everywhere.
fn advice(name: &str, kind: &str, missing: usize, column: &Column) -> String {
    let mut sentence = format!("column \"{name}\": ");
    if column.types.len() > 1 {
        let types: Vec<String> = column.types.iter().map(|(kind, files)| format!("{kind} in {files}")).collect();
        sentence.push_str(&format!("{} of the files, served as {kind}", types.join(" and ")));
    } else {
        sentence.push_str(&format!("served as {kind}"));
    }
    if missing > 0 {
        sentence.push_str(&format!(", null in {missing} that lack it"));
    }
    match &column.difference {
        Some((file, Difference { found: Some(_), expected: Some(expected), line, .. })) => {
            let line = line.map_or_else(String::new, |line| format!(", line {line}"));
            sentence.push_str(&format!(
                "; to have {expected}, mend {file}{line}, or declare its type under `features` of the config"
            ));
        }
        Some((file, _)) => {
            sentence.push_str(&format!(
                "; {file} is the first that differs: rename its columns, or give it a config of its own"
            ));
        }
        None => {}
    }
    sentence
}

fn impossible(left: &Features, right: &Features) -> EngineError {
    let column =
        left.iter().find(|(name, feature)| right.get(name).is_some_and(|other| join::join(feature, other).is_none()));
    let name = column.map_or("", |(name, _)| name.as_str());
    let message = "the values of this column are of kinds that no type holds together";
    EngineError::new(ErrorKind::Incompatible, message).in_column(name)
}

/// Whole numbers that no float holds.
fn has_large(array: &ArrayRef) -> bool {
    match array.data_type() {
        DataType::Int64 => {
            let numbers = array.as_primitive::<Int64Type>();
            min(numbers).is_some_and(|least| least < -EXACT) || max(numbers).is_some_and(|greatest| greatest > EXACT)
        }
        DataType::UInt64 => max(array.as_primitive::<UInt64Type>()).is_some_and(|greatest| greatest > EXACT as u64),
        _ => false,
    }
}

/// The first row with a value, or the first row.
fn first_value(array: &ArrayRef) -> Option<usize> {
    Some((0..array.len()).find(|&row| array.is_valid(row)).unwrap_or(0))
}

/// The first row whose value is not as wanted; `None` if all of them are, or can be stored so.
fn misfit(wanted: &Feature, found: &Feature, array: Option<&ArrayRef>) -> Option<usize> {
    if join::join(wanted, found).as_ref() == Some(wanted) {
        return None;
    }
    let Some(array) = array else { return Some(0) };
    let Feature::Value(dtype) = wanted else { return first_value(array) };
    let integral = |value: f64| value.fract() == 0.0 && value.abs() <= EXACT as f64;
    match array.data_type() {
        // Nulls make floats of whole numbers in some readers.
        DataType::Float64 if dtype.is_integer() => {
            array.as_primitive::<Float64Type>().iter().position(|value| value.is_some_and(|value| !integral(value)))
        }
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            let fits = |text: &str| match dtype {
                dtype if dtype.is_integer() => text.trim().parse::<i64>().is_ok(),
                dtype if dtype.is_float() => text.trim().parse::<f64>().is_ok(),
                Dtype::Bool => matches!(text, "True" | "TRUE" | "true" | "False" | "FALSE" | "false"),
                _ => false,
            };
            texts.iter().position(|text| text.is_some_and(|text| !fits(text))).or_else(|| first_value(array))
        }
        _ => first_value(array),
    }
}

#[cfg(test)]
mod tests;
