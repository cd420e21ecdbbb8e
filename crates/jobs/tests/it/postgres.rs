//! The life of a dataset on PostgreSQL. Takes part when `BELVEDERE_TEST_POSTGRES_URL` names a server on which the
//! role may create databases.

use belvedere_testing::{Failure, TestApp};

use super::{BIRDS, FIRST_ROWS, ROWS, SIZE, code};

#[tokio::test]
async fn the_life_of_a_dataset() {
    let Some(app) = TestApp::on_postgres().await else { return };
    app.write("data/birds.csv", BIRDS);
    app.scan().await;
    assert_eq!(code(&app.get(SIZE).await), (500, "ResponseNotReady"));
    app.run_jobs().await;
    assert_eq!(app.errors("local/data").await, Vec::<String>::new());
    for path in [
        "/splits?dataset=local/data",
        "/parquet?dataset=local/data",
        "/info?dataset=local/data",
        SIZE,
        FIRST_ROWS,
        ROWS,
    ] {
        assert_eq!(app.get(path).await.status, 200, "{path}");
    }
    let first = app.dataset("local/data").await.unwrap().target;

    app.write("data/birds.csv", "name\nowl\n");
    app.children.fail("convert", Failure::Disk, 2);
    app.refresh().await;
    while app.tick().await {
        let (rows, size) = (app.get(ROWS).await, app.get(SIZE).await);
        assert_eq!(rows.header("x-revision"), size.header("x-revision"));
        assert_eq!(rows.json()["num_rows_total"], size.json()["size"]["dataset"]["num_rows"]);
    }
    assert_eq!(app.get(ROWS).await.json()["num_rows_total"], 1);
    let old = app.get(&format!("{ROWS}&revision={first}")).await;
    assert_eq!((old.status, &old.json()["num_rows_total"]), (200, &3.into()));
    assert_eq!(code(&app.get("/size?dataset=local/data&config=nope").await), (404, "ResponseNotFound"));
    app.refresh().await;
    assert_eq!(app.queue().await, Vec::<String>::new());

    app.remove("data");
    app.settle().await;
    assert_eq!(code(&app.get(SIZE).await), (401, "ExternalUnauthenticatedError"));
    assert!(app.state_files().iter().all(|path| !path.starts_with("blobs/")));
    app.close().await;
}
