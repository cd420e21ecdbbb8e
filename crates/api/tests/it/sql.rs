//! Queries in SQL, for a program that has no query engine.

use super::{birds, outcome};

#[tokio::test]
async fn a_program_without_a_query_engine_says_how_to_get_one() {
    let app = birds().await;
    let answer = app.get("/sql").await;
    assert_eq!(answer.status, 501);
    assert!(outcome(&answer).contains("`cargo build --release -p belvedere --features sql`"), "{}", outcome(&answer));
}
