//! Errors of DataFusion as people may read them: what is wrong, and where in the query.

use belvedere_engine::{EngineError, ErrorKind};
use datafusion::error::DataFusionError;
use datafusion::parquet::errors::ParquetError;
use datafusion::sql::sqlparser::parser::ParserError;

/// Something that is not done.
pub(crate) fn refused(message: &str) -> EngineError {
    EngineError::new(ErrorKind::Query, message)
}

/// What an error of DataFusion is to the one who asked.
pub(crate) fn told(error: DataFusionError) -> EngineError {
    let place = error.diagnostic().and_then(|diagnostic| diagnostic.span).map(|span| {
        let start = span.start;
        (start.line, start.column)
    });
    match error.find_root() {
        DataFusionError::External(source) => {
            if let Some(own) = source.downcast_ref::<EngineError>() {
                return own.clone();
            }
        }
        DataFusionError::ParquetError(source) => {
            if let ParquetError::External(source) = source.as_ref()
                && let Some(own) = source.downcast_ref::<EngineError>()
            {
                return own.clone();
            }
            return EngineError::new(ErrorKind::Unreadable, format!("cannot read Parquet: {source}"));
        }
        DataFusionError::ResourcesExhausted(_) => {
            let message = "the query needs more memory than it may have; ask for fewer columns, rows or groups";
            return EngineError::new(ErrorKind::OverBudget, message);
        }
        DataFusionError::SQL(source, _) => return syntax(source),
        _ => {}
    }
    let message = error.strip_backtrace();
    let message = first_line(&message);
    EngineError::new(
        ErrorKind::Query,
        match place {
            Some((line, column)) => format!("line {line}, column {column}: {message}"),
            None => message.to_owned(),
        },
    )
}

/// The parser tells the place at the end of its text.
fn syntax(error: &ParserError) -> EngineError {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.as_str(),
        ParserError::RecursionLimitExceeded => "the query is nested too deeply",
    };
    let text = first_line(text);
    let message = match text.rsplit_once(" at Line: ") {
        Some((what, place)) => format!("line {}: {what}", place.replace("Column:", "column")),
        None => text.to_owned(),
    };
    refused(&message)
}

/// What follows is about DataFusion.
fn first_line(text: &str) -> &str {
    let line = text.lines().next().unwrap_or_default();
    ["Error during planning: ", "Schema error: ", "Execution error: ", "Arrow error: ", "sql parser error: "]
        .iter()
        .find_map(|prefix| line.strip_prefix(prefix))
        .unwrap_or(line)
}
