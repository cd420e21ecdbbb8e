//! The columns that somebody asks for.

use belvedere_domain::Features;

use crate::error::{EngineError, ErrorKind};

/// Names shown when one is not there.
const SHOWN: usize = 20;

/// Positions of the columns asked for, in the order asked, each once; all columns when nothing is asked. A text is one
/// name if there is such a column, else names with commas between them.
///
/// # Errors
/// [`Parameter`](ErrorKind::Parameter) naming the column that is not there.
pub(crate) fn resolve(features: &Features, parameter: &str, asked: &[String]) -> Result<Vec<usize>, EngineError> {
    if asked.is_empty() {
        return Ok((0..features.len()).collect());
    }
    let position = |name: &str| features.iter().position(|(column, _)| column == name);
    let mut columns = Vec::new();
    let mut add = |column: usize| {
        if !columns.contains(&column) {
            columns.push(column);
        }
    };
    for text in asked {
        if let Some(column) = position(text) {
            add(column);
            continue;
        }
        for name in text.split(',') {
            add(position(name)
                .or_else(|| position(name.trim()))
                .ok_or_else(|| unknown(features, parameter, name.trim()))?);
        }
    }
    Ok(columns)
}

/// The features of some columns.
pub(super) fn project(features: &Features, columns: &[usize]) -> Features {
    Features::new(columns.iter().map(|&column| features[column].clone()))
}

pub(crate) fn unknown(features: &Features, parameter: &str, name: &str) -> EngineError {
    let names: Vec<String> = features.iter().take(SHOWN).map(|(name, _)| format!("`{name}`")).collect();
    let more = match features.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = format!("Parameter '{parameter}': there is no column `{name}`; there are {}{more}", names.join(", "));
    EngineError::new(ErrorKind::Parameter, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn features(names: &[&str]) -> Features {
        let columns: serde_json::Map<String, serde_json::Value> =
            names.iter().map(|name| ((*name).to_owned(), json!({"dtype": "int64", "_type": "Value"}))).collect();
        Features::from_json(&columns.into()).unwrap()
    }

    fn resolved(names: &[&str], asked: &[&str]) -> Result<Vec<usize>, String> {
        let asked: Vec<String> = asked.iter().map(|text| (*text).to_owned()).collect();
        resolve(&features(names), "columns", &asked).map_err(|error| error.to_string())
    }

    #[test]
    fn columns_come_in_the_order_asked_and_once() {
        assert_eq!(resolved(&["a", "b", "c"], &[]), Ok(vec![0, 1, 2]));
        assert_eq!(resolved(&["a", "b", "c"], &["c,a", "c", " b "]), Ok(vec![2, 0, 1]));
    }

    #[test]
    fn a_name_with_a_comma_is_found_as_it_is() {
        assert_eq!(resolved(&["a,b", "a", "b"], &["a,b"]), Ok(vec![0]));
        assert_eq!(resolved(&["a,b", "a", "c"], &["a,c"]), Ok(vec![1, 2]));
        assert_eq!(resolved(&[" a"], &[" a"]), Ok(vec![0]));
    }

    #[test]
    fn a_column_that_is_not_there_is_named_beside_those_that_are() {
        let error = resolved(&["a", "b"], &["a,x"]).unwrap_err();
        assert_eq!(error, "Parameter 'columns': there is no column `x`; there are `a`, `b`");
        assert!(resolved(&["a"], &["a,"]).unwrap_err().contains("no column ``"));
    }
}
