//! The public API as clients see it: through the router, over a real store, with jobs run by hand.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod access;
mod accounts;
mod admin;
mod assets;
mod bad_input;
mod cell;
mod compare;
mod connections;
mod distant;
mod documents;
mod errors;
mod events;
mod files;
mod filter;
mod formats;
mod headers;
mod hostile;
mod index;
mod joined;
mod known;
mod libraries;
mod media;
mod misses;
mod parameters;
mod reading;
mod requests;
mod revisions;
mod rows;
mod sample;
mod schema;
mod search;
mod sql;
mod statistics;
mod status;
mod tasks;
mod tls;
mod views;
mod webhook;

use belvedere_testing::{Answer, TestApp};

const BIRDS: &str = "name,weight\nrobin,18.5\nwren,9\nheron,1500\n";

/// `local/data` with the birds, all jobs done.
async fn birds() -> TestApp {
    TestApp::with_file("birds.csv", BIRDS).await
}

/// Each path with its status, code and the text of its error: one line per path.
async fn outcomes(app: &TestApp, paths: &[&str]) -> String {
    let mut lines = Vec::new();
    for path in paths {
        lines.push(format!("{path} → {}", outcome(&app.get(path).await)));
    }
    lines.join("\n")
}

fn outcome(answer: &Answer) -> String {
    match answer.header("x-error-code") {
        Some(code) => format!("{} {code}: {}", answer.status, answer.json()["error"].as_str().unwrap_or("?")),
        None => answer.status.to_string(),
    }
}
