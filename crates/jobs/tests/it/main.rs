//! Jobs through the whole program: real folders and stores, with every job run by hand.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod children;
mod conversion;
mod deletion;
mod elsewhere;
mod failures;
mod first_rows;
mod going_on;
mod graph_page;
mod heal;
mod layout;
mod limits;
mod postgres;
mod rehearsal;
mod reuse;
mod revisions;
mod scans;
mod statistics;
mod upkeep;

use belvedere_testing::{Answer, TestApp};

const BIRDS: &str = "name,weight\nrobin,18.5\nwren,9\nheron,1500\n";
const FIRST_ROWS: &str = "/first-rows?dataset=local/data&config=default&split=train";
const ROWS: &str = "/rows?dataset=local/data&config=default&split=train";
const SIZE: &str = "/size?dataset=local/data";

/// A card with the configs `a` and `b`, each of one file.
const TWO_CONFIGS: &str =
    "---\nconfigs:\n- config_name: a\n  data_files: a.csv\n- config_name: b\n  data_files: b.csv\n---\n";

/// `local/data` with the configs `a` and `b`, all jobs done.
async fn two_configs() -> TestApp {
    let app = TestApp::new().await;
    app.write("data/README.md", TWO_CONFIGS);
    app.write("data/a.csv", "x\n1\n");
    app.write("data/b.csv", "y\n1\n2\n");
    app.settle().await;
    app.children.take_calls();
    app
}

fn code(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.header("x-error-code").unwrap_or("none"))
}
