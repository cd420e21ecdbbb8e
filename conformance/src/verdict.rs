//! What a received answer is worth, given the recorded one.

mod filter;

use std::collections::HashSet;

use anyhow::Result;
use serde_json::Value;

use crate::client::Answer;
use crate::same::{self, Difference};
use crate::sets::{Case, Recorded, Set};

/// Codes under which the reference reports that it broke, not that the data are wrong.
const BREAKDOWNS: &[&str] = &["UnexpectedApiError", "UnexpectedError", "JobManagerCrashedError", "ComputationError"];

/// Endpoints that refuse some requests which a more capable server can answer.
const QUERIES: &[&str] = &["/filter", "/search", "/rows"];

/// The result of comparing one answer.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Verdict {
    /// Where the answer is not as recorded; empty: the same.
    pub differences: Vec<Difference>,
    /// The reference refuses or breaks where this server answers: shown, but counted neither for nor against.
    pub beyond: bool,
    /// Searches only: share of the reference's hits on the first page that are among ours, 0 to 1.
    pub recall: Option<f64>,
}

/// Compares an answer with the recorded one.
///
/// # Errors
/// A recording that cannot be read.
pub fn judge(set: &Set, case: &Case, answer: &Answer) -> Result<Verdict> {
    let recorded = &case.recorded;
    if case.endpoint == "search" && recorded.status_code == 200 && answer.status == 200 {
        // A search that understands more text may rank and count differently: recall instead of equality. The
        // reference drops digits, so its answers to queries with digits say nothing.
        let says_nothing = recorded.request.param("query").contains(char::is_numeric);
        let recall = if says_nothing { None } else { Some(recall(&recorded.body, &answer.body)) };
        return Ok(Verdict { recall, ..Verdict::default() });
    }
    let settled = match case.endpoint.as_str() {
        "filter" => Answer {
            body: filter::settled(recorded, &answer.body, &set.rows(&recorded.request)?),
            error_code: answer.error_code.clone(),
            revision: answer.revision.clone(),
            status: answer.status,
        },
        _ => answer.clone(),
    };
    let mut differences = compare(recorded, &settled);
    if case.endpoint == "statistics"
        && recorded.status_code != 200
        && answer.status == 200
        && let Some(columns) = set.statistics_per_column(&case.file)?
    {
        differences = compare_columns(&columns, &answer.body);
    }
    if case.endpoint == "is-valid" && set.has_statistics_per_column()? {
        // The reference fails where statistics are possible: saying that they are there is right.
        differences.retain(|found| !(found.at == ".statistics" && found.what == "expected false, got true"));
    }
    let beyond = !differences.is_empty() && (set.defeats_the_reference() || goes_beyond(set, recorded, answer.status));
    Ok(Verdict { differences, beyond, recall: None })
}

/// Status and code first; where they are the same, the revision and the body.
fn compare(recorded: &Recorded, answer: &Answer) -> Vec<Difference> {
    if recorded.status_code != answer.status || recorded.error_code != answer.error_code {
        let code = |code: &Option<String>| code.clone().unwrap_or_else(|| "without a code".to_owned());
        return vec![Difference::whole(format!(
            "expected {} {}, got {} {} {}",
            recorded.status_code,
            code(&recorded.error_code),
            answer.status,
            code(&answer.error_code),
            same::short(&answer.body),
        ))];
    }
    let mut found = Vec::new();
    if let Some(revision) = recorded.revision.as_ref().filter(|revision| answer.revision.as_ref() != Some(*revision)) {
        let got = answer.revision.as_deref().unwrap_or("none");
        found.push(Difference { at: "X-Revision".to_owned(), what: format!("expected {revision}, got {got}") });
    }
    if let Some(text) = recorded.body.get("_raw") {
        // Recorded from a body that was not JSON. The texts of errors are free, others are not.
        if answer.status < 400 {
            found.extend(same::differences(text, &answer.body, ""));
        }
    } else if answer.status < 400 {
        found.extend(same::differences(&recorded.body, &answer.body, ""));
    } else if !answer.body.get("error").is_some_and(Value::is_string) {
        found.push(Difference::whole("an error body is an object with the text `error`"));
    }
    found
}

/// Where the reference's statistics fail as a whole, those it computed column by column are the expectation.
fn compare_columns(columns: &serde_json::Map<String, Value>, body: &Value) -> Vec<Difference> {
    let ours = body.get("statistics").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut found = Vec::new();
    for (name, column) in columns {
        let Some(expected) = column.get("ok") else { continue };
        match ours.iter().find(|column| column.get("column_name").and_then(Value::as_str) == Some(name)) {
            Some(got) => found.extend(same::differences(expected, got, name)),
            None => found.push(Difference { at: name.clone(), what: "missing".to_owned() }),
        }
    }
    found
}

/// True where an answer is given to what the reference refuses or breaks on.
fn goes_beyond(set: &Set, recorded: &Recorded, status: u16) -> bool {
    if status != 200 || recorded.status_code == 200 || set.is_meant_to_fail() {
        return false;
    }
    if recorded.status_code >= 500 {
        return recorded.error_code.as_deref().is_some_and(|code| BREAKDOWNS.contains(&code));
    }
    recorded.status_code == 422 && QUERIES.contains(&recorded.request.path.as_str())
}

fn recall(expected: &Value, got: &Value) -> f64 {
    let [wanted, ours] = [expected, got].map(|body| {
        let rows = body.get("rows").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        rows.iter().filter_map(|row| row.get("row_idx")?.as_u64()).collect::<HashSet<_>>()
    });
    if wanted.is_empty() { 1.0 } else { wanted.intersection(&ours).count() as f64 / wanted.len() as f64 }
}

#[cfg(test)]
mod tests;
