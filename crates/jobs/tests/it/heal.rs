//! Files behind views that are lost are made again, on both databases.

use belvedere_domain::{ArtifactKey, ConfigName, Json, StepName, View};
use belvedere_store::{ClaimRequest, Completion, NewView, StoredView, ViewContent};
use belvedere_testing::{Failure, Options, TestApp};

use super::{BIRDS, FIRST_ROWS, ROWS, code};

const STATISTICS: &str = "/statistics?dataset=local/data&config=default&split=train";
const CONVERTED: &str = "/datasets/local/data/resolve/refs%2Fconvert%2Fparquet/default/train/0000.parquet";

/// The birds on each database, all jobs done but those of these steps.
async fn birds(left: &[&'static str], change: impl Fn(&mut Options)) -> Vec<TestApp> {
    let apps = TestApp::everywhere(change).await;
    for app in &apps {
        app.write("data/birds.csv", BIRDS);
        app.refresh().await;
        app.run_jobs_except(left).await;
        app.children.take_calls();
    }
    apps
}

/// Removes the stored files whose path ends like this; how many there were.
fn lose(app: &TestApp, suffix: &str) -> usize {
    let files = app.state_files();
    let lost: Vec<_> = files.iter().filter(|path| path.starts_with("blobs/") && path.ends_with(suffix)).collect();
    lost.iter().for_each(|path| std::fs::remove_file(app.state_path(path)).unwrap());
    lost.len()
}

#[tokio::test]
async fn a_lost_parquet_file_is_made_again_when_a_page_misses_it() {
    for app in birds(&[], |_| {}).await {
        let before = app.get(ROWS).await;
        let statistics = app.get(STATISTICS).await.text();
        assert_eq!(lose(&app, ".parquet"), 1);
        app.children.take_calls();
        assert_eq!(code(&app.get(ROWS).await), (500, "ResponseNotReady"));
        assert_eq!(app.get(ROWS).await.header("retry-after"), Some("1"));
        assert_eq!(app.queue().await, ["config-parquet-and-info default"], "however often it is missed");
        assert_eq!(app.get(STATISTICS).await.text(), statistics, "what is stored is served meanwhile");
        app.children.take_calls();
        app.run_jobs().await;
        assert_eq!(app.children.take_calls(), ["convert default"], "what was made from the file is still good");
        let after = app.get(ROWS).await;
        assert_eq!((after.status, after.text()), (200, before.text()));
        assert_eq!(app.errors("local/data").await, Vec::<String>::new());
        app.refresh().await;
        assert_eq!(app.queue().await, Vec::<String>::new());
        app.close().await;
    }
}

#[tokio::test]
async fn a_lost_parquet_file_is_made_again_when_a_step_misses_it() {
    let steps = ["split-descriptive-statistics", "split-search-index"];
    for app in birds(&steps, |_| {}).await {
        assert_eq!(lose(&app, ".parquet"), 1);
        assert_eq!(code(&app.get(STATISTICS).await), (500, "ResponseNotReady"));
        app.run_jobs().await;
        let calls = app.children.take_calls();
        assert_eq!(calls.iter().filter(|call| call.starts_with("convert")).count(), 1, "{calls:?}");
        assert_eq!(app.get(STATISTICS).await.json()["num_examples"], 3);
        assert_eq!(app.errors("local/data").await, Vec::<String>::new());
        assert_eq!(app.queue().await, Vec::<String>::new());
        app.close().await;
    }
}

#[tokio::test]
async fn a_cut_parquet_file_is_made_again() {
    for app in birds(&[], |_| {}).await {
        let file = app.state_files().into_iter().find(|path| path.ends_with(".parquet")).unwrap();
        std::fs::write(app.state_path(&file), "PAR1").unwrap();
        assert_eq!(code(&app.get(ROWS).await), (500, "ResponseNotReady"));
        app.run_jobs().await;
        assert_eq!(app.get(ROWS).await.status, 200);
        app.close().await;
    }
}

#[tokio::test]
async fn a_download_that_misses_its_file_makes_it_again() {
    for app in birds(&[], |_| {}).await {
        let before = app.get(CONVERTED).await.body;
        lose(&app, ".parquet");
        assert_eq!(code(&app.get(CONVERTED).await), (500, "ResponseNotReady"));
        app.run_jobs().await;
        assert_eq!(app.get(CONVERTED).await.body, before);
        app.close().await;
    }
}

#[tokio::test]
async fn an_earlier_revision_of_the_same_config_heals_along() {
    for app in TestApp::everywhere(|_| {}).await {
        app.write("data/README.md", super::TWO_CONFIGS);
        app.write("data/a.csv", "x\n1\n");
        app.write("data/b.csv", "y\n1\n");
        app.settle().await;
        let first = app.dataset("local/data").await.unwrap().target;
        app.write("data/b.csv", "y\n1\n2\n");
        app.settle().await;
        let files = lose(&app, ".parquet");
        assert_eq!(files, 3);
        let page = |config: &str, rest: &str| format!("/rows?dataset=local/data&config={config}&split=train{rest}");
        let old = format!("&revision={first}");
        // What the newest revision has in common with the old one can be made for both.
        assert_eq!(code(&app.get(&page("a", &old)).await), (500, "ResponseNotReady"));
        assert_eq!(
            code(&app.get(&page("b", &old)).await),
            (404, "RevisionGone"),
            "nothing works for the old one any more"
        );
        assert_eq!(code(&app.get(&page("b", "")).await), (500, "ResponseNotReady"));
        app.run_jobs().await;
        assert_eq!(app.get(&page("a", &old)).await.status, 200);
        assert_eq!(app.get(&page("a", "")).await.status, 200);
        assert_eq!(app.get(&page("b", "")).await.json()["num_rows_total"], 2);
        assert_eq!(code(&app.get(&page("b", &old)).await), (404, "RevisionGone"));
        app.close().await;
    }
}

#[tokio::test]
async fn what_cannot_be_made_again_ends_as_an_error_with_its_cause() {
    for app in birds(&[], |_| {}).await {
        lose(&app, ".parquet");
        app.children.fail("convert", Failure::Disk, usize::MAX);
        assert_eq!(code(&app.get(ROWS).await), (500, "ResponseNotReady"));
        app.run_jobs().await;
        let answer = app.get(ROWS).await;
        assert_eq!((code(&answer), answer.text().contains("no space left")), ((500, "FileSystemError"), true));
        assert_eq!(app.queue().await, Vec::<String>::new());
        app.close().await;
    }
}

#[tokio::test]
async fn a_storage_that_keeps_nothing_is_not_written_to_for_ever() {
    for app in birds(&["split-descriptive-statistics", "split-search-index"], |_| {}).await {
        let mut remakes = 0;
        loop {
            lose(&app, ".parquet");
            if code(&app.get(ROWS).await) != (500, "ResponseNotReady") {
                break;
            }
            app.run_jobs_except(&["split-descriptive-statistics", "split-search-index"]).await;
            remakes += 1;
            assert!(remakes < 10, "it is made again and again");
        }
        let answer = app.get(ROWS).await;
        assert_eq!(code(&answer), (500, "DiskError"));
        assert!(answer.text().contains("its files were lost 4 times"), "{}", answer.text());
        // A repair tries once more; then the storage is mended.
        app.settle().await;
        assert_eq!(app.get(ROWS).await.status, 200);
        assert_eq!(app.errors("local/data").await, Vec::<String>::new());
        app.close().await;
    }
}

/// Makes the stored views of steps say another size of the only file.
async fn tell_another_size(app: &TestApp, steps: &[&'static str], size: u64) {
    let store = &app.services.store;
    let row = app.dataset("local/data").await.unwrap();
    app.force(steps[0], Some("default"), None).await;
    let request = ClaimRequest { owner: "test".into(), lease_seconds: 60.0, ..ClaimRequest::default() };
    let lease = store.queue.claim(&request).await.unwrap().unwrap().lease;
    for step in steps {
        let config = ConfigName::new("default").unwrap();
        let key = ArtifactKey::config(StepName::known(step), row.name.clone(), config);
        let found =
            store.views.at_revision(std::slice::from_ref(&key), &row.target).await.unwrap().pop().flatten().unwrap();
        let StoredView { digest, view, runner_version, .. } = found.stored;
        let other = |json: &Json| {
            Json::from_text(json.as_str().replace(&format!("\"size\":{size}"), &format!("\"size\":{size}0")))
        };
        let view = View { content: other(&view.content), internal: other(&view.internal), ..view };
        let view = NewView { key, digest, runner_version, content: ViewContent::Computed(view) };
        assert!(store.queue.save(&lease, view).await.unwrap());
    }
    let ended = Completion { answer_set: vec![StepName::known("never")], ..Completion::default() };
    store.queue.finish(&lease, ended).await.unwrap();
}

#[tokio::test]
async fn files_that_come_out_differently_are_listed_anew() {
    let steps = ["config-parquet-and-info", "config-parquet", "config-parquet-metadata"];
    // The file was written with other bytes once; or it is as it should be, and only lists of it are old.
    for (steps, is_lost) in [(&steps[..], true), (&steps[1..], false)] {
        for app in birds(&[], |_| {}).await {
            let size = async || app.get("/parquet?dataset=local/data").await.json()["parquet_files"][0]["size"].clone();
            let made = size().await;
            tell_another_size(&app, steps, made.as_u64().unwrap()).await;
            if is_lost {
                lose(&app, ".parquet");
            }
            app.children.take_calls();
            assert_eq!(code(&app.get(ROWS).await), (500, "ResponseNotReady"));
            app.run_jobs().await;
            assert_eq!(app.get(ROWS).await.status, 200);
            assert_eq!(size().await, made);
            let conversions = app.children.take_calls().iter().filter(|call| call.starts_with("convert")).count();
            assert_eq!(conversions, usize::from(is_lost));
            app.close().await;
        }
    }
}

#[tokio::test]
async fn a_lost_search_index_is_made_again_and_done_without() {
    const SEARCH: &str = "/search?dataset=local/data&config=default&split=train&query=wren";
    for app in birds(&[], |_| {}).await {
        let before = app.get(SEARCH).await.text();
        assert_eq!(lose(&app, "/search-index"), 1);
        let without = app.get(SEARCH).await;
        assert_eq!((without.status, without.text()), (200, before.clone()), "the texts are read instead");
        assert_eq!(app.queue().await, ["split-search-index default train"]);
        app.children.take_calls();
        app.run_jobs().await;
        assert_eq!(app.children.take_calls(), ["search index of 1 files"]);
        assert_eq!(lose(&app, "/search-index"), 1, "it is there again");
        app.close().await;
    }
}

#[tokio::test]
async fn lost_media_of_first_rows_are_made_again() {
    for app in TestApp::everywhere(|_| {}).await {
        app.copy_set("parquet-image-column", "data");
        app.settle().await;
        let src = app.get(FIRST_ROWS).await.json()["rows"][0]["row"]["image"]["src"].as_str().unwrap().to_owned();
        let src = src.strip_prefix("http://viewer.test").unwrap().to_owned();
        let before = app.get(&src).await;
        assert_eq!(before.status, 200);
        assert!(lose(&app, ".jpg") > 0);
        assert_eq!(app.get(&src.replace(".jpg", ".png")).await.status, 404, "nobody ever named it");
        assert_eq!(app.queue().await, Vec::<String>::new());
        assert_eq!(code(&app.get(&src).await), (500, "ResponseNotReady"));
        assert_eq!(app.queue().await, ["split-first-rows default train"]);
        app.run_jobs().await;
        assert_eq!(app.get(&src).await.body, before.body);
        app.close().await;
    }
}
