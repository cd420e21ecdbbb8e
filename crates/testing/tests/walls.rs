//! The walls between the crates: who may depend on whom, and which crate holds which heavy library.
//!
//! `deny.toml` says the same for machines that have cargo-deny. Dependencies of tests do not count.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Our crates and those of ours that each may use.
const ROOMS: &[(&str, &[&str])] = &[
    ("belvedere-domain", &[]),
    ("belvedere-store", &["domain"]),
    ("belvedere-auth", &["domain"]),
    ("belvedere-entities", &[]),
    ("belvedere-engine", &["domain"]),
    ("belvedere-hub", &["domain"]),
    ("belvedere-jobs", &["domain", "store", "engine", "hub", "entities"]),
    ("belvedere-tasks", &["domain", "store"]),
    ("belvedere-api", &["domain", "store", "engine", "hub", "jobs", "auth", "tasks"]),
    // Optional parts: one heavy library each, and calls of the engine.
    ("belvedere-duckdb", &["domain", "engine"]),
    ("belvedere-sql", &["domain", "engine"]),
    ("belvedere", &["domain", "store", "engine", "hub", "jobs", "tasks", "api", "duckdb", "sql"]),
    ("belvedere-testing", &["domain", "store", "engine", "hub", "jobs", "tasks", "api"]),
    ("belvedere-benches", &["domain", "store", "engine", "entities", "hub", "jobs", "tasks", "api"]),
    // Asks any server; knows only a URL.
    ("belvedere-conformance", &[]),
];

/// Libraries that live in the named crates only. Programs that measure may use them too.
const LIBRARIES: &[(&[&str], &[&str])] = &[
    (&["arrow", "parquet", "image", "tantivy", "calamine"], &["belvedere-engine"]),
    (&["deadpool-postgres", "object_store", "reqwest"], &["belvedere-store"]),
    // The state of the program is the store's; SQLite files of users are one more format to read.
    (&["rusqlite"], &["belvedere-store", "belvedere-engine"]),
    // Each test of the program on PostgreSQL makes a database of its own.
    (&["tokio-postgres"], &["belvedere-store", "belvedere-testing"]),
    (&["notify", "saphyr-parser"], &["belvedere-hub"]),
    (&["argon2", "bcrypt", "ring"], &["belvedere-auth"]),
    (&["axum", "tower-http"], &["belvedere-api"]),
    (&["clap", "anyhow"], &["belvedere", "belvedere-conformance"]),
    // Calls that go out are the hub's, and those to MLflow the tasks'; the command line asks the server on its store.
    (&["ureq"], &["belvedere-hub", "belvedere-tasks", "belvedere", "belvedere-conformance"]),
    (&["duckdb"], &["belvedere-duckdb"]),
    (&["datafusion"], &["belvedere-sql"]),
];

/// Crates that neither wait nor open sockets: no runtime, no futures.
const SYNCHRONOUS: &[&str] = &["belvedere-domain", "belvedere-engine", "belvedere-auth", "belvedere-entities"];

/// Names of the libraries that each package of the workspace uses outside its tests.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let list = |value: &Value| value.as_array().unwrap().clone();
    let used = |package: &Value| {
        let outside_tests = |dependency: &&Value| dependency["kind"] != "dev";
        let name = |dependency: &Value| dependency["name"].as_str().unwrap().to_owned();
        list(&package["dependencies"]).iter().filter(outside_tests).map(name).collect()
    };
    let packages = list(&metadata["packages"]);
    packages.iter().map(|package| (package["name"].as_str().unwrap().to_owned(), used(package))).collect()
}

#[test]
fn crates_depend_only_downwards() {
    for (package, libraries) in dependencies() {
        let (_, allowed) = ROOMS.iter().find(|(name, _)| *name == package).unwrap_or_else(|| {
            panic!("the crate {package} is new: say in ROOMS which of our crates it may use");
        });
        for library in libraries.iter().filter_map(|name| name.strip_prefix("belvedere-")) {
            assert!(allowed.contains(&library), "{package} must not depend on belvedere-{library}");
        }
    }
}

#[test]
fn heavy_libraries_stay_in_their_crate() {
    for (package, used) in dependencies() {
        for (libraries, owners) in LIBRARIES {
            let allowed = owners.contains(&package.as_str()) || package == "belvedere-benches";
            let strange: Vec<_> = libraries.iter().filter(|library| !allowed && used.contains(**library)).collect();
            assert!(strange.is_empty(), "{package} must not depend on {strange:?}: only {owners:?} may");
        }
    }
}

#[test]
fn a_build_without_features_has_no_query_engine() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--offline", "--edges=normal,build", "--prefix=none", "--format={p}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8_lossy(&tree.stdout).into_owned();
    let heavy = |line: &&str| ["datafusion ", "duckdb ", "libduckdb-sys "].iter().any(|name| line.starts_with(name));
    assert_eq!(tree.lines().find(heavy), None, "it belongs behind a feature that is off by default");
}

#[test]
fn domain_and_engine_are_synchronous() {
    let dependencies = dependencies();
    for package in SYNCHRONOUS {
        let used = &dependencies[*package];
        let strange: Vec<_> =
            ["tokio", "tokio-util", "futures", "async-trait"].into_iter().filter(|name| used.contains(*name)).collect();
        assert!(strange.is_empty(), "{package} must not depend on {strange:?}");
    }
}
