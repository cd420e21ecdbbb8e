//! Asks a server every recorded request and collects the verdicts.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::client::Client;
use crate::glob;
use crate::same::Difference;
use crate::sets::{Case, Request, Set};
use crate::verdict::{Verdict, judge};

/// Data sets asked at the same time.
const PARALLEL: usize = 4;

/// What is asked, and how patiently.
#[derive(Clone, Debug)]
pub struct Options {
    /// URL of the server.
    pub base: String,
    /// Patterns of set names; empty: every set recorded with default settings.
    pub only: Vec<String>,
    /// Endpoints; empty: all.
    pub endpoints: Vec<String>,
    /// How long answers in preparation are waited for, all together.
    pub patience: Duration,
}

/// The verdicts on one data set.
#[derive(Debug)]
pub struct SetResult {
    /// Name of the set.
    pub set: String,
    /// In the order asked.
    pub cases: Vec<CaseResult>,
}

/// The verdict on one answer.
#[derive(Debug)]
pub struct CaseResult {
    /// Where the request is recorded.
    pub file: String,
    /// What it asks.
    pub endpoint: String,
    /// What the answer is worth.
    pub verdict: Verdict,
}

/// The sets to be asked, and those left out because they were recorded with settings of their own and not named.
///
/// # Errors
/// A pattern that fits no set.
pub fn chosen(sets: Vec<Set>, only: &[String]) -> Result<(Vec<Set>, Vec<Set>)> {
    if let Some(pattern) = only.iter().find(|pattern| !sets.iter().any(|set| glob::matches(pattern, &set.name))) {
        bail!("no data set is named like `{pattern}`");
    }
    if only.is_empty() {
        return Ok(sets.into_iter().partition(|set| set.settings().is_empty()));
    }
    let named = |set: &Set| only.iter().any(|pattern| glob::matches(pattern, &set.name));
    Ok((sets.into_iter().filter(named).collect(), Vec::new()))
}

/// Asks every recorded request of the sets and hands the verdicts to `each`, set after set in the order given.
///
/// # Errors
/// No server answers, or a recording cannot be read. A single request without an answer is a verdict, not an error.
pub fn run(sets: &[Set], options: &Options, mut each: impl FnMut(SetResult) -> Result<()>) -> Result<()> {
    let client = Client::new(&options.base)?;
    let any = Request { path: "/".to_owned(), params: serde_json::Map::new() };
    client
        .get(&any)
        .with_context(|| format!("no server at {}: start one on the folder made by `lay`", options.base))?;
    let deadline = Instant::now() + options.patience;
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..PARALLEL.min(sets.len()) {
            let (client, next, sender) = (&client, &next, sender.clone());
            scope.spawn(move || {
                while let Some((position, set)) = nth(sets, next.fetch_add(1, Ordering::Relaxed)) {
                    let result = ask(set, client, &options.endpoints, deadline);
                    if sender.send((position, result)).is_err() {
                        return; // The receiver stopped at an error.
                    }
                }
            });
        }
        drop(sender);
        let mut early = std::collections::BTreeMap::new();
        let mut expected = 0;
        for (position, result) in receiver {
            early.insert(position, result?);
            while let Some(result) = early.remove(&expected) {
                expected += 1;
                each(result)?;
            }
        }
        Ok(())
    })
}

fn nth(sets: &[Set], position: usize) -> Option<(usize, &Set)> {
    sets.get(position).map(|set| (position, set))
}

fn ask(set: &Set, client: &Client, endpoints: &[String], deadline: Instant) -> Result<SetResult> {
    let asked = |case: &Case| endpoints.is_empty() || endpoints.contains(&case.endpoint);
    let mut cases = Vec::new();
    for case in set.cases()?.into_iter().filter(asked) {
        let verdict = match client.get_when_ready(&case.recorded.request, deadline) {
            Ok(answer) => judge(set, &case, &answer)?,
            Err(error) => Verdict { differences: vec![Difference::whole(format!("{error:#}"))], ..Verdict::default() },
        };
        cases.push(CaseResult { file: case.file, endpoint: case.endpoint, verdict });
    }
    Ok(SetResult { set: set.name.clone(), cases })
}

/// The endpoints that the sets have recordings of, to check a name given by a person.
///
/// # Errors
/// A recording that cannot be read.
pub fn endpoints(sets: &[Set]) -> Result<Vec<String>> {
    let mut endpoints = Vec::new();
    for set in sets {
        endpoints.extend(set.cases()?.into_iter().map(|case| case.endpoint));
        endpoints.sort();
        endpoints.dedup();
    }
    Ok(endpoints)
}

impl SetResult {
    /// The verdicts as JSON, one object per answer.
    pub fn to_json(&self) -> Vec<serde_json::Value> {
        let one = |case: &CaseResult| {
            let verdict = &case.verdict;
            json!({
                "set": self.set,
                "file": case.file,
                "endpoint": case.endpoint,
                "verdict": if verdict.differences.is_empty() { "same" } else if verdict.beyond { "beyond" } else { "different" },
                "recall": verdict.recall,
                "differences": verdict.differences.iter().map(ToString::to_string).collect::<Vec<_>>(),
            })
        };
        self.cases.iter().map(one).collect()
    }
}
