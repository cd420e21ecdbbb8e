//! Figures of columns, from the files of a dataset to the answer.

use belvedere_engine::statistics::Rules;
use belvedere_testing::TestApp;
use insta::assert_snapshot;
use serde_json::Value;

use super::{BIRDS, code};

const STATISTICS: &str = "/statistics?dataset=local/data&config=default&split=train";

/// One line for each column: name, type, figures, and what else is told.
fn lines(body: &Value) -> String {
    let line = |mark: &str, column: &Value| {
        let details = column.get("details").map_or(String::new(), |details| format!("\n    {details}"));
        let name = column["column_name"].as_str().unwrap();
        format!("{mark}{name}: {} {}{details}\n", column["column_type"].as_str().unwrap(), column["column_statistics"])
    };
    let columns = |name: &str, mark| {
        let columns = body[name].as_array().map_or(&[][..], Vec::as_slice);
        columns.iter().map(|column| line(mark, column)).collect::<String>()
    };
    format!("{}{}", columns("statistics", ""), columns("more_statistics", "+ "))
}

#[tokio::test]
async fn figures_of_every_column_are_told() {
    let app = TestApp::with_file("birds.csv", BIRDS).await;
    let answer = app.get(STATISTICS).await;
    let body = answer.json();
    assert_eq!((code(&answer), &body["num_examples"], &body["partial"]), ((200, "none"), &3.into(), &false.into()));
    assert_snapshot!(lines(&body), @r#"
    name: string_label {"nan_count":0,"nan_proportion":0.0,"no_label_count":0,"no_label_proportion":0.0,"n_unique":3,"frequencies":{"heron":1,"robin":1,"wren":1}}
        {"n_unique":3}
    weight: float {"nan_count":0,"nan_proportion":0.0,"min":9.0,"max":1500.0,"mean":509.16667,"median":18.5,"std":858.09998,"histogram":{"hist":[2,0,0,0,0,0,0,0,0,1],"bin_edges":[9.0,158.1,307.2,456.3,605.4,754.5,903.6,1052.7,1201.8,1350.9,1500.0]}}
        {"n_unique":3,"quantiles":{"0.01":9.19,"0.05":9.95,"0.25":13.75,"0.50":18.5,"0.75":759.25,"0.95":1351.85,"0.99":1470.37}}
    "#);
    let valid = |level: &str| format!("/is-valid?dataset=local/data{level}");
    for level in ["", "&config=default", "&config=default&split=train"] {
        assert_eq!(app.get(&valid(level)).await.json()["statistics"], true, "{level}");
    }
}

#[tokio::test]
async fn the_rules_of_the_reference_tell_dates_and_nothing_besides() {
    let content: String =
        (1..=40).map(|day| format!("{{\"day\": \"{:02}/01/2024\", \"s\": {{\"x\": 1}}}}\n", day % 28 + 1)).collect();
    let app = TestApp::with(|options| options.settings.descriptive_statistics.rules = Rules::Reference).await;
    app.write("data/days.jsonl", &content);
    app.settle().await;
    assert_snapshot!(lines(&app.get(STATISTICS).await.json()), @r#"day: datetime {"nan_count":0,"nan_proportion":0.0,"min":"2024-01-01 00:00:00","max":"2024-01-28 00:00:00","mean":"2024-01-12 09:36:00","median":"2024-01-11 00:00:00","std":"7 days, 19:32:54.217520","histogram":{"hist":[5,6,6,4,5,3,2,3,3,3],"bin_edges":["2024-01-01 00:00:00","2024-01-03 16:48:01","2024-01-06 09:36:02","2024-01-09 02:24:03","2024-01-11 19:12:04","2024-01-14 12:00:05","2024-01-17 04:48:06","2024-01-19 21:36:07","2024-01-22 14:24:08","2024-01-25 07:12:09","2024-01-28 00:00:00"]}}"#);
    let ours = TestApp::with_file("days.jsonl", content).await.get(STATISTICS).await.json();
    assert_eq!(
        (&ours["statistics"][0]["column_type"], &ours["more_statistics"][0]["column_name"]),
        (&"string_label".into(), &"s.x".into())
    );
}

#[tokio::test]
async fn a_split_without_values_that_have_figures_says_so() {
    let app = TestApp::with(|options| options.settings.descriptive_statistics.rules = Rules::Reference).await;
    app.write("data/a.jsonl", "{\"s\": {\"x\": 1}}\n");
    app.settle().await;
    assert_eq!(code(&app.get(STATISTICS).await), (501, "NoSupportedFeaturesError"));
    assert_eq!(app.get("/is-valid?dataset=local/data").await.json()["statistics"], false);
}

#[tokio::test]
async fn files_beyond_the_limit_are_left_out_and_the_answer_says_so() {
    let app = TestApp::with(|options| options.settings.descriptive_statistics.max_split_size_bytes = Some(1)).await;
    let converted = TestApp::with_file("birds.csv", BIRDS).await;
    let path = "/datasets/local/data/resolve/refs%2Fconvert%2Fparquet/default/train/0000.parquet";
    let bytes = converted.get(path).await.body;
    app.write("data/train/one.parquet", &bytes);
    app.write("data/train/two.parquet", &bytes);
    app.settle().await;
    let body = app.get(STATISTICS).await.json();
    assert_eq!((&body["num_examples"], &body["partial"]), (&3.into(), &true.into()));
}

#[tokio::test]
async fn images_that_cannot_be_read_are_counted() {
    let app = TestApp::new().await;
    app.write(
        "data/README.md",
        "---\ndataset_info:\n  features:\n  - name: image\n    dtype: image\n  - name: n\n    dtype: int64\n---\n",
    );
    app.write("data/a.jsonl", "{\"image\": {\"bytes\": \"bm8gaW1hZ2U=\", \"path\": null}, \"n\": 1}\n");
    app.settle().await;
    assert_snapshot!(app.get(STATISTICS).await.text(), @r#"{"num_examples":1,"statistics":[{"column_name":"image","column_type":"image","column_statistics":{"nan_count":1,"nan_proportion":1.0,"min":null,"max":null,"mean":null,"median":null,"std":null,"histogram":null},"details":{"n_unique":0,"unreadable_count":1,"alerts":[{"alert":"all_null"}]}},{"column_name":"n","column_type":"int","column_statistics":{"nan_count":0,"nan_proportion":0.0,"min":1,"max":1,"mean":1.0,"median":1.0,"std":null,"histogram":{"hist":[1],"bin_edges":[1,1]}},"details":{"n_unique":1,"quantiles":{"0.01":1.0,"0.05":1.0,"0.25":1.0,"0.50":1.0,"0.75":1.0,"0.95":1.0,"0.99":1.0}}}],"partial":false}"#);
}

#[tokio::test]
async fn other_settings_make_other_figures() {
    let app = TestApp::with(|options| {
        options.settings.descriptive_statistics.max_num_string_labels = 2;
        options.settings.descriptive_statistics.histogram_num_bins = 2;
        options.settings.descriptive_statistics.max_memory_bytes = 0;
    })
    .await;
    app.write("data/birds.csv", BIRDS);
    app.settle().await;
    assert_snapshot!(lines(&app.get(STATISTICS).await.json()), @r#"
    name: string_text {"nan_count":0,"nan_proportion":0.0,"min":4,"max":5,"mean":4.66667,"median":5.0,"std":0.57735,"histogram":{"hist":[1,2],"bin_edges":[4,5,5]}}
        {"n_unique":3,"quantiles":{"0.01":4.02,"0.05":4.1,"0.25":4.5,"0.50":5.0,"0.75":5.0,"0.95":5.0,"0.99":5.0}}
    weight: float {"nan_count":0,"nan_proportion":0.0,"min":9.0,"max":1500.0,"mean":509.16667,"median":18.5,"std":858.09998,"histogram":{"hist":[2,1],"bin_edges":[9.0,754.5,1500.0]}}
        {"n_unique":3,"quantiles":{"0.01":9.19,"0.05":9.95,"0.25":13.75,"0.50":18.5,"0.75":759.25,"0.95":1351.85,"0.99":1470.37}}
    "#);
}
