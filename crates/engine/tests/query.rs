//! Filters and orders against what DuckDB finds in the same file: `query/generate.py` records its answers.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::path::{Path, PathBuf};

use belvedere_engine::call::{Budget, Filter, ParquetFile, QueryText};
use belvedere_engine::source::SourceFile;
use belvedere_engine::{Call, EngineError, Reply, Task, execute};
use serde::Deserialize;

const NUM_ROWS: u64 = 1500;

#[derive(Deserialize)]
struct Query {
    #[serde(rename = "where")]
    condition: Option<String>,
    orderby: Option<String>,
    count: u64,
    rows: Rows,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Rows {
    /// The first 100 in order.
    First(Vec<u64>),
    /// All of them: a hexadecimal number whose bit n, from the lowest, stands for row n.
    Bits(String),
}

impl Rows {
    /// Numbers to compare, at most as many as are recorded.
    fn numbers(&self) -> Vec<u64> {
        match self {
            Self::First(rows) => rows.clone(),
            Self::Bits(digits) => {
                let bits = |(place, digit): (usize, char)| {
                    let digit = digit.to_digit(16).unwrap();
                    (0..4).filter(move |bit| digit >> bit & 1 == 1).map(move |bit| 4 * place as u64 + bit)
                };
                digits.chars().rev().enumerate().flat_map(bits).collect()
            }
        }
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/query")
}

fn ask(condition: Option<&str>, order: Option<&str>) -> Result<(Vec<u64>, u64), EngineError> {
    let local_path = folder().join("table.parquet");
    let size = local_path.metadata().unwrap().len();
    let file = SourceFile { path: "table.parquet".into(), local_path, size, identity: None };
    let call = Filter {
        files: vec![ParquetFile { file, num_rows: NUM_ROWS }],
        features: None,
        query: QueryText { condition: condition.map(str::to_owned), order: order.map(str::to_owned), reference: false },
        offset: 0,
        length: usize::MAX,
        budget: Budget { max_seconds: 60.0, max_memory_bytes: 100 << 20, max_rows: None },
    };
    match execute(Call::Filter(call), &Task::new(2))? {
        Reply::Filter(found) => Ok((found.rows, found.count)),
        _ => panic!("another reply"),
    }
}

#[test]
fn recorded_queries_find_the_rows_that_duckdb_finds() {
    let corpus = std::env::var_os("QUERY_CORPUS").map_or_else(|| folder().join("corpus.json"), PathBuf::from);
    let queries: Vec<Query> = serde_json::from_slice(&std::fs::read(corpus).unwrap()).unwrap();
    assert!(queries.len() > 20, "there are queries");
    let mut wrong = Vec::new();
    for query in &queries {
        let expected = query.rows.numbers();
        let text = format!("{:?} order by {:?}", query.condition, query.orderby);
        match ask(query.condition.as_deref(), query.orderby.as_deref()) {
            Err(error) => wrong.push(format!("{text}: {error}")),
            Ok((rows, count)) if !rows.starts_with(&expected) || count != query.count => {
                let missing: Vec<_> = expected.iter().filter(|row| !rows.contains(row)).take(5).collect();
                let extra: Vec<_> = rows.iter().filter(|row| !expected.contains(row)).take(5).collect();
                wrong.push(format!(
                    "{text}: {count} rows instead of {}, missing {missing:?}, not expected {extra:?}",
                    query.count
                ));
            }
            Ok(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), queries.len(), wrong.join("\n"));
}
