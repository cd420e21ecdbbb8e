//! Excel workbooks (`.xlsx`, `.xlsm`): the rows of one sheet, below a header.
//!
//! The cells stream by; the texts that a workbook keeps in one place for all its cells are in memory. Formulas count by the
//! values that were stored with them. Parameter: `sheet`, a name or a number from 0; without it the first one is read.

use std::io::BufReader;
use std::ops::ControlFlow;

use belvedere_domain::data_files::ResolvedConfig;
use calamine::{DataRef, ExcelDateTime, Reader as _, Xlsx};
use serde_json::Value as JsonValue;

use super::csv::unique_names;
use super::loose::Value;
use super::parameters::bad;
use super::records::{self, Record, Records};
use super::seekable::SeekableFile;
use super::{ReadLimits, TableStream};
use crate::decompress::{Compression, zip};
use crate::error::{EngineError, ErrorKind};
use crate::source::SourceFile;

/// Columns of a sheet, as Excel has them.
const MAX_COLUMNS: usize = 16_384;
/// Where a workbook keeps its texts.
const SHARED_TEXTS: &str = "xl/sharedStrings.xml";

/// Opens a sheet.
pub(super) fn open(
    config: &ResolvedConfig,
    file: &SourceFile,
    limits: ReadLimits,
) -> Result<Box<dyn TableStream>, EngineError> {
    if Compression::of(&file.path) != Compression::None {
        let message = "Excel files are read as they are, not compressed; store this one without compression";
        return Err(EngineError::new(ErrorKind::Unreadable, message));
    }
    check_texts(file, limits)?;
    let wanted = config.parameters.get("sheet").filter(|value| !value.is_null()).cloned();
    let sheet = choose(&mut workbook(file)?, wanted.as_ref())?;
    records::open(Sheet { file: file.clone(), sheet }, file.size, &file.path, limits)
}

/// Refuses a workbook whose texts would not fit in memory.
fn check_texts(file: &SourceFile, limits: ReadLimits) -> Result<(), EngineError> {
    let members = zip::members(file).map_err(|error| match error.kind {
        ErrorKind::Unreadable => {
            let message = "no Excel workbook, or a damaged one; save it again as .xlsx, or the sheet as csv";
            EngineError::new(ErrorKind::Unreadable, message)
        }
        _ => error,
    })?;
    let max = limits.max_batch_bytes as u64;
    match members.iter().find(|member| member.name == SHARED_TEXTS && member.size() > max) {
        None => Ok(()),
        Some(member) => {
            let message = format!(
                "its texts take {} bytes, more than the {max} that are kept in memory; save the sheet as csv",
                member.size()
            );
            Err(EngineError::new(ErrorKind::Unreadable, message))
        }
    }
}

fn workbook(file: &SourceFile) -> Result<Xlsx<BufReader<SeekableFile>>, EngineError> {
    Xlsx::new(BufReader::new(SeekableFile::open(file)?)).map_err(|error| unreadable(&error))
}

fn unreadable(error: &calamine::XlsxError) -> EngineError {
    if let calamine::XlsxError::Io(error) = error
        && let Some(own) = error.get_ref().and_then(|inner| inner.downcast_ref::<EngineError>())
    {
        return own.clone();
    }
    let message = format!("unreadable Excel workbook: {error}; open it, and save it again as .xlsx or csv");
    EngineError::new(ErrorKind::Unreadable, message)
}

fn choose(workbook: &mut Xlsx<BufReader<SeekableFile>>, wanted: Option<&JsonValue>) -> Result<String, EngineError> {
    let mut names = workbook.sheet_names();
    let index = match wanted {
        None => Some(0),
        Some(JsonValue::String(name)) => names.iter().position(|sheet| sheet == name),
        Some(value) => value.as_u64().and_then(|index| usize::try_from(index).ok()),
    };
    match index.filter(|index| *index < names.len()) {
        Some(index) => Ok(names.swap_remove(index)),
        None if names.is_empty() => Err(EngineError::new(ErrorKind::Empty, "the workbook has no sheet")),
        None => {
            let list = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            Err(bad("sheet", wanted.unwrap_or(&JsonValue::Null), &format!("one of the sheets {list}")))
        }
    }
}

/// The rows of a sheet; the first one that is not empty is the header.
struct Sheet {
    file: SourceFile,
    sheet: String,
}

impl Sheet {
    /// Gives every row that is not empty, the header too.
    fn rows(&self, visit: &mut dyn FnMut(Record) -> Result<ControlFlow<()>, EngineError>) -> Result<(), EngineError> {
        let mut workbook = workbook(&self.file)?;
        let mut cells = workbook.worksheet_cells_reader(&self.sheet).map_err(|error| unreadable(&error))?;
        let mut row = Record { line: None, values: Vec::new() };
        while let Some(cell) = cells.next_cell().map_err(|error| unreadable(&error))? {
            let (line, column) = cell.get_position();
            let (line, column) = (u64::from(line) + 1, column as usize);
            if column >= MAX_COLUMNS {
                let message = format!("a cell stands in column {}, beyond the last one of Excel", column + 1);
                return Err(EngineError::new(ErrorKind::Unreadable, message).at_line(line));
            }
            let value = value(cell.get_value());
            if value == Value::Null {
                continue;
            }
            if row.line != Some(line) {
                let full = std::mem::replace(&mut row, Record { line: Some(line), values: Vec::new() });
                if full.line.is_some() && visit(full)?.is_break() {
                    return Ok(());
                }
            }
            if row.values.len() <= column {
                row.values.resize(column + 1, Value::Null);
            }
            row.values[column] = value;
        }
        if row.line.is_some() {
            let _ = visit(row)?;
        }
        Ok(())
    }
}

impl Records for Sheet {
    fn for_each(
        &self,
        visit: &mut dyn FnMut(Record) -> Result<ControlFlow<()>, EngineError>,
    ) -> Result<(), EngineError> {
        let mut is_header = true;
        self.rows(&mut |row| match std::mem::take(&mut is_header) {
            true => Ok(ControlFlow::Continue(())),
            false => visit(row),
        })
    }

    fn names(&self, width: usize) -> Result<Vec<String>, EngineError> {
        let mut names = Vec::new();
        self.rows(&mut |row| {
            names = row.values.iter().map(title).collect();
            Ok(ControlFlow::Break(()))
        })?;
        if names.is_empty() {
            return Err(EngineError::new(
                ErrorKind::Empty,
                format!("the sheet `{}` is empty; name another one with the parameter `sheet`", self.sheet),
            ));
        }
        names.resize(names.len().max(width), String::new());
        Ok(unique_names(names))
    }
}

/// A cell of the header as the name of a column.
fn title(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Text(text) => text.clone(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Time(micros) => {
            let time = chrono::DateTime::from_timestamp_micros(*micros).unwrap_or_default().naive_utc();
            time.to_string()
        }
        other => format!("{other:?}"),
    }
}

fn value(cell: &DataRef<'_>) -> Value {
    match cell {
        DataRef::Int(number) => Value::Int(*number),
        DataRef::Float(number) => whole(*number),
        DataRef::String(text) => text_value(text),
        DataRef::SharedString(text) => text_value(text),
        DataRef::Bool(value) => Value::Bool(*value),
        DataRef::DateTime(time) => moment(time),
        DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text_value(text),
        // `#DIV/0!` and its like are no values.
        DataRef::Error(_) | DataRef::Empty => Value::Null,
    }
}

fn text_value(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { Value::Text(text.to_owned()) }
}

/// Excel knows no integers; whole numbers up to 2^53 are meant as such.
fn whole(number: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT { Value::Int(number as i64) } else { Value::Float(number) }
}

/// A date with or without a time; times of day and durations, which have no date, as `hours:minutes:seconds`.
fn moment(time: &ExcelDateTime) -> Value {
    let serial = time.as_f64();
    if time.is_duration() || (0.0..1.0).contains(&serial) {
        let seconds = (serial * 86_400.0).round() as i64;
        let sign = if seconds < 0 { "-" } else { "" };
        let seconds = seconds.unsigned_abs();
        return Value::Text(format!("{sign}{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60));
    }
    let (year, month, day, hour, minute, second, milli) = time.to_ymd_hms_milli();
    let date = chrono::NaiveDate::from_ymd_opt(i32::from(year), u32::from(month), u32::from(day));
    let time = date.and_then(|date| {
        date.and_hms_milli_opt(u32::from(hour), u32::from(minute), u32::from(second), u32::from(milli))
    });
    time.map_or(Value::Float(serial), |time| Value::Time(time.and_utc().timestamp_micros()))
}

#[cfg(test)]
mod tests {
    use belvedere_domain::data_files::Reader;
    use serde_json::json;

    use crate::read::testing::{read, zip};

    /// A workbook of two sheets, `people` with these rows and an empty one called `empty`.
    fn workbook(rows: &str) -> Vec<u8> {
        const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
        const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
        const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
        let sheet = |rows: &str| format!("<worksheet xmlns=\"{MAIN}\"><sheetData>{rows}</sheetData></worksheet>");
        let workbook = format!(
            "<workbook xmlns=\"{MAIN}\" xmlns:r=\"{OFFICE}\"><sheets><sheet name=\"people\" sheetId=\"1\" r:id=\"rId1\"/>\
             <sheet name=\"empty\" sheetId=\"2\" r:id=\"rId2\"/></sheets></workbook>"
        );
        let relation = |id: &str, kind: &str, target: &str| {
            format!("<Relationship Id=\"{id}\" Type=\"{OFFICE}/{kind}\" Target=\"{target}\"/>")
        };
        let relations =
            |list: &[String]| format!("<Relationships xmlns=\"{PACKAGE}\">{}</Relationships>", list.concat());
        let root = relations(&[relation("rId1", "officeDocument", "xl/workbook.xml")]);
        let sheets = relations(&[
            relation("rId1", "worksheet", "worksheets/sheet1.xml"),
            relation("rId2", "worksheet", "worksheets/sheet2.xml"),
            relation("rId3", "styles", "styles.xml"),
            relation("rId4", "sharedStrings", "sharedStrings.xml"),
        ]);
        let styles = format!(
            "<styleSheet xmlns=\"{MAIN}\"><cellXfs count=\"3\"><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/><xf numFmtId=\"46\"/>\
             </cellXfs></styleSheet>"
        );
        let texts = format!("<sst xmlns=\"{MAIN}\"><si><t>name</t></si><si><t>zw\u{f6}</t></si></sst>");
        zip(&[
            ("[Content_Types].xml", "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"/>"),
            ("_rels/.rels", &root),
            ("xl/workbook.xml", &workbook),
            ("xl/_rels/workbook.xml.rels", &sheets),
            ("xl/styles.xml", &styles),
            ("xl/sharedStrings.xml", &texts),
            ("xl/worksheets/sheet1.xml", &sheet(rows)),
            ("xl/worksheets/sheet2.xml", &sheet("")),
        ])
    }

    const ROWS: &str = "<row r=\"2\"><c r=\"A2\" t=\"s\"><v>0</v></c><c r=\"B2\" t=\"inlineStr\"><is><t>n</t></is></c>\
         <c r=\"C2\" t=\"inlineStr\"><is><t>day</t></is></c><c r=\"D2\" t=\"inlineStr\"><is><t>n</t></is></c></row>\
         <row r=\"3\"><c r=\"A3\" t=\"s\"><v>1</v></c><c r=\"B3\"><v>1</v></c><c r=\"C3\" s=\"1\"><v>45000.5</v></c>\
         <c r=\"D3\"><v>0.5</v></c><c r=\"F3\" t=\"b\"><v>1</v></c></row>\
         <row r=\"5\"><c r=\"A5\" t=\"inlineStr\"><is><t>x</t></is></c><c r=\"B5\" t=\"e\"><v>#DIV/0!</v></c><c r=\"C5\" s=\"1\"><v>1</v></c>\
         <c r=\"D5\" t=\"str\"><f>1+1</f><v>two</v></c><c r=\"E5\" s=\"2\"><v>1.25</v></c></row>";

    #[test]
    fn the_first_row_that_is_not_empty_is_the_header() {
        insta::assert_snapshot!(read(Reader::Xlsx, &json!({}), "a.xlsx", workbook(ROWS)), @r"
        name: string, n: int64, day: timestamp[us], n.1: string, Unnamed: 4: string, Unnamed: 5: bool
        zwö | 1 | 2023-03-15T12:00:00 | 0.5 | null | true
        x | null | 1900-01-01T00:00:00 | two | 30:00:00 | null
        ");
    }

    #[test]
    fn a_sheet_is_chosen_by_name_or_number() {
        let by = |sheet: serde_json::Value| read(Reader::Xlsx, &json!({"sheet": sheet}), "a.xlsx", workbook(ROWS));
        assert_eq!(by(json!("people")), by(json!(0)));
        insta::assert_snapshot!([by(json!("empty")), by(json!("none")), by(json!(7))].join("\n"), @r#"
        Empty: a.xlsx: the sheet `empty` is empty; name another one with the parameter `sheet`
        Parameter: a.xlsx: parameter `sheet`: expected one of the sheets `people`, `empty`, found "none"
        Parameter: a.xlsx: parameter `sheet`: expected one of the sheets `people`, `empty`, found 7
        "#);
    }

    #[test]
    fn what_is_no_workbook_is_said_so() {
        let shown = |name: &str, content: &[u8]| read(Reader::Xlsx, &json!({}), name, content);
        let good = workbook(ROWS);
        let errors = [
            shown("a.xlsx", b"name,n\nx,1\n"),
            shown("a.xlsx", &zip(&[("readme.txt", "hello")])),
            shown("a.xlsx", &good[..good.len() / 2]),
            shown("a.xlsx.gz", &good),
            shown("a.xlsx", &workbook("<row r=\"1\"><c r=\"A1\"><v>1</v></row>")),
        ];
        insta::assert_snapshot!(errors.join("\n"), @r"
        Unreadable: a.xlsx: no Excel workbook, or a damaged one; save it again as .xlsx, or the sheet as csv
        Unreadable: a.xlsx: unreadable Excel workbook: File not found '_rels/.rels'; open it, and save it again as .xlsx or csv
        Unreadable: a.xlsx: no Excel workbook, or a damaged one; save it again as .xlsx, or the sheet as csv
        Unreadable: a.xlsx.gz: Excel files are read as they are, not compressed; store this one without compression
        Unreadable: a.xlsx: unreadable Excel workbook: Unexpected end of xml, expecting '</c>'; open it, and save it again as .xlsx or csv
        ");
    }
}
