//! One artifact computed here and now.

use belvedere_domain::{ArtifactKey, ConfigName, DatasetName, SplitName, StepName};
use belvedere_jobs::worker::{Rehearsal, RehearsalError};
use belvedere_testing::TestApp;

use super::{BIRDS, TWO_CONFIGS};

fn key(step: &'static str, config: Option<&str>, split: Option<&str>) -> ArtifactKey {
    ArtifactKey {
        step: StepName::known(step),
        dataset: DatasetName::new("local/data").unwrap(),
        config: config.map(|name| ConfigName::new(name).unwrap()),
        split: split.map(|name| SplitName::new(name).unwrap()),
    }
}

async fn rehearse(app: &TestApp, key: ArtifactKey) -> Result<Rehearsal, RehearsalError> {
    app.scan().await;
    let revision = app.head("local/data").await;
    app.worker.rehearse(key, &revision).await
}

/// What a server would have stored for the same artifact.
async fn stored(files: &[(&str, &str)], key: &ArtifactKey) -> belvedere_domain::View {
    let app = TestApp::new().await;
    for (path, content) in files {
        app.write(path, content);
    }
    app.settle().await;
    let found = app.services.store.views.read(key, None, 0.0).await.unwrap();
    found.unwrap_or_else(|| panic!("{key} is stored")).stored.view
}

#[tokio::test]
async fn the_result_is_what_a_server_stores() {
    let files = [("data/README.md", TWO_CONFIGS), ("data/a.csv", "x\n1\n"), ("data/b.csv", "y\n1\n2\n")];
    for key in [
        key("dataset-config-names", None, None),
        key("config-size", Some("b"), None),
        key("split-first-rows", Some("a"), Some("train")),
        key("split-descriptive-statistics", Some("b"), Some("train")),
        key("dataset-size", None, None),
        key("dataset-hub-cache", None, None),
    ] {
        let app = TestApp::new().await;
        for (path, content) in files {
            app.write(path, content);
        }
        let rehearsal = rehearse(&app, key.clone()).await.unwrap();
        let (view, expected) = (rehearsal.view.unwrap(), stored(&files, &key).await);
        assert_eq!((view.outcome, view.content), (expected.outcome, expected.content), "{key}");
    }
}

#[tokio::test]
async fn only_what_leads_to_it_is_computed_and_nothing_is_queued() {
    let app = TestApp::new().await;
    app.write("data/README.md", TWO_CONFIGS);
    app.write("data/a.csv", "x\n1\n");
    app.write("data/b.csv", "y\n1\n2\n");
    let rehearsal = rehearse(&app, key("config-size", Some("b"), None)).await.unwrap();
    assert_eq!(app.children.take_calls(), ["convert b"]);
    assert_eq!((rehearsal.usage.input_files, app.queue().await), (0, Vec::<String>::new()));
    assert!(app.views("local/data").await.iter().all(|line| !line.starts_with("config-size")));
}

#[tokio::test]
async fn errors_are_results() {
    let app = TestApp::new().await;
    app.write("data/a.csv", "a,b\n1,2\n1,2,3\n");
    let rehearsal = rehearse(&app, key("config-parquet-and-info", Some("default"), None)).await.unwrap();
    let view = rehearsal.view.unwrap();
    assert_eq!(view.outcome.code(), Some("DatasetGenerationError"));
    assert!(view.details.as_str().contains("a.csv"));
    assert_eq!(rehearsal.usage.input_file.as_deref(), Some("a.csv"));
}

#[tokio::test]
async fn an_artifact_that_does_not_exist_gives_nothing() {
    let app = TestApp::new().await;
    app.write("data/birds.csv", BIRDS);
    let rehearsal = rehearse(&app, key("config-size", Some("other"), None)).await.unwrap();
    assert_eq!(rehearsal.view, None);
    let unknown = rehearse(&app, key("config-nothing", Some("default"), None)).await;
    assert!(matches!(unknown, Err(RehearsalError::UnknownStep(_))));
}
