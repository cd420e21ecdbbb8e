//! Bodies of the endpoints over stored views.

use belvedere_testing::{TestApp, show};
use insta::assert_snapshot;

/// Two configs, the second with two splits.
async fn zoo() -> TestApp {
    let app = TestApp::new().await;
    let card = "\
---
configs:
- config_name: birds
  data_files: birds.jsonl
- config_name: fish
  data_files:
  - split: train
    path: fish/train.jsonl
  - split: test
    path: fish/test.jsonl
---
";
    app.write("data/README.md", card);
    app.write("data/birds.jsonl", "{\"name\":\"robin\",\"weight\":18.5}\n{\"name\":\"wren\",\"weight\":9}\n{\"name\":\"heron\",\"weight\":1500}\n");
    app.write("data/fish/train.jsonl", "{\"name\":\"pike\",\"tags\":[\"big\"]}\n{\"name\":\"carp\",\"tags\":[]}\n");
    app.write("data/fish/test.jsonl", "{\"name\":\"eel\",\"tags\":null}\n");
    app.settle().await;
    assert_eq!(app.errors("local/data").await, Vec::<String>::new());
    app
}

#[tokio::test]
async fn splits_of_a_dataset_and_of_a_config() {
    let app = zoo().await;
    assert_snapshot!(show(&app.get("/splits?dataset=local/data").await), @r#"
    200
    cache-control: max-age=120
    content-type: application/json
    etag: W/"…"
    x-revision: ad929dbddfc6ae7f90c2147de9fe51ce8b0469f0

    {
      "splits": [
        {
          "dataset": "local/data",
          "config": "birds",
          "split": "train"
        },
        {
          "dataset": "local/data",
          "config": "fish",
          "split": "train"
        },
        {
          "dataset": "local/data",
          "config": "fish",
          "split": "test"
        }
      ],
      "pending": [],
      "failed": []
    }
    "#);
    assert_snapshot!(app.get("/splits?dataset=local/data&config=fish").await.text(), @r#"{"splits":[{"dataset":"local/data","config":"fish","split":"train"},{"dataset":"local/data","config":"fish","split":"test"}]}"#);
}

#[tokio::test]
async fn first_rows_of_a_split() {
    let app = zoo().await;
    assert_snapshot!(app.get("/first-rows?dataset=local/data&config=fish&split=train").await.text(), @r#"{"dataset":"local/data","config":"fish","split":"train","features":[{"feature_idx":0,"name":"name","type":{"dtype":"string","_type":"Value"}},{"feature_idx":1,"name":"tags","type":{"feature":{"dtype":"string","_type":"Value"},"_type":"List"}}],"rows":[{"row_idx":0,"row":{"name":"pike","tags":["big"]},"truncated_cells":[]},{"row_idx":1,"row":{"name":"carp","tags":[]},"truncated_cells":[]}],"truncated":false}"#);
}

#[tokio::test]
async fn parquet_files_of_a_dataset_and_of_a_config() {
    let app = zoo().await;
    let sizes = |text: String| {
        // The size of a file changes with its layout.
        let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
        for file in json["parquet_files"].as_array_mut().unwrap() {
            assert!(file["size"].as_u64().unwrap() > 100);
            file["size"] = "…".into();
        }
        serde_json::to_string_pretty(&json).unwrap()
    };
    assert_snapshot!(sizes(app.get("/parquet?dataset=local/data").await.text()), @r#"
    {
      "parquet_files": [
        {
          "dataset": "local/data",
          "config": "birds",
          "split": "train",
          "url": "http://viewer.test/datasets/local/data/resolve/refs%2Fconvert%2Fparquet/birds/train/0000.parquet",
          "filename": "0000.parquet",
          "size": "…"
        },
        {
          "dataset": "local/data",
          "config": "fish",
          "split": "test",
          "url": "http://viewer.test/datasets/local/data/resolve/refs%2Fconvert%2Fparquet/fish/test/0000.parquet",
          "filename": "0000.parquet",
          "size": "…"
        },
        {
          "dataset": "local/data",
          "config": "fish",
          "split": "train",
          "url": "http://viewer.test/datasets/local/data/resolve/refs%2Fconvert%2Fparquet/fish/train/0000.parquet",
          "filename": "0000.parquet",
          "size": "…"
        }
      ],
      "pending": [],
      "failed": [],
      "partial": false
    }
    "#);
    assert_snapshot!(sizes(app.get("/parquet?dataset=local/data&config=birds").await.text()), @r#"
    {
      "parquet_files": [
        {
          "dataset": "local/data",
          "config": "birds",
          "split": "train",
          "url": "http://viewer.test/datasets/local/data/resolve/refs%2Fconvert%2Fparquet/birds/train/0000.parquet",
          "filename": "0000.parquet",
          "size": "…"
        }
      ],
      "features": {
        "name": {
          "dtype": "string",
          "_type": "Value"
        },
        "weight": {
          "dtype": "float64",
          "_type": "Value"
        }
      },
      "partial": false
    }
    "#);
}

#[tokio::test]
async fn infos_of_a_dataset_and_of_a_config() {
    let app = zoo().await;
    let whole = app.get("/info?dataset=local/data").await.json();
    let names: Vec<_> = whole["dataset_info"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["birds", "fish"]);
    assert_eq!(
        (&whole["pending"], &whole["failed"], &whole["partial"]),
        (&serde_json::json!([]), &serde_json::json!([]), &false.into())
    );
    let fish = app.get("/info?dataset=local/data&config=fish").await;
    assert_eq!(fish.json()["dataset_info"], whole["dataset_info"]["fish"]);
    assert_snapshot!(fish.text(), @r#"{"dataset_info":{"description":"","citation":"","homepage":"","license":"","features":{"name":{"dtype":"string","_type":"Value"},"tags":[{"dtype":"string","_type":"Value"}]},"builder_name":"json","dataset_name":"data","config_name":"fish","version":{"version_str":"0.0.0","major":0,"minor":0,"patch":0},"splits":{"train":{"name":"train","num_bytes":31,"num_examples":2,"dataset_name":"data"},"test":{"name":"test","num_bytes":12,"num_examples":1,"dataset_name":"data"}},"dataset_size":43},"partial":false}"#);
}

#[tokio::test]
async fn sizes_add_up() {
    let app = zoo().await;
    let whole = app.get("/size?dataset=local/data").await.json();
    let sum = |what: &str, field: &str| -> u64 {
        whole["size"][what].as_array().unwrap().iter().map(|part| part[field].as_u64().unwrap()).sum()
    };
    for field in ["num_rows", "num_bytes_memory", "num_bytes_parquet_files"] {
        let total = whole["size"]["dataset"][field].as_u64().unwrap();
        assert_eq!((sum("configs", field), sum("splits", field)), (total, total), "{field}");
    }
    let fish = app.get("/size?dataset=local/data&config=fish").await.json();
    assert_eq!(fish["size"]["config"], whole["size"]["configs"][1]);
    let bytes: u64 = app.get("/parquet?dataset=local/data").await.json()["parquet_files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["size"].as_u64().unwrap())
        .sum();
    assert_eq!(whole["size"]["dataset"]["num_bytes_parquet_files"], bytes);
    assert_eq!(whole["size"]["dataset"]["num_rows"], 6);
}

#[tokio::test]
async fn is_valid_at_every_level() {
    let app = zoo().await;
    for level in ["", "&config=fish", "&config=fish&split=test"] {
        let text = app.get(&format!("/is-valid?dataset=local/data{level}")).await.text();
        assert_eq!(text, r#"{"preview":true,"viewer":true,"search":true,"filter":true,"statistics":true}"#, "{level}");
    }
}

#[tokio::test]
async fn broken_parts_are_named_and_the_others_answer() {
    let app = TestApp::new().await;
    app.write(
        "data/README.md",
        "---\nconfigs:\n- config_name: good\n  data_files: good.csv\n- config_name: bad\n  data_files: bad.csv\n---\n",
    );
    app.write("data/good.csv", "x\n1\n");
    app.write("data/bad.csv", "x,y\n1,2\n1,2,3\n");
    app.settle().await;
    let failed =
        |kind: &str| serde_json::json!([{"kind": kind, "dataset": "local/data", "config": "bad", "split": null}]);
    assert_eq!(app.get("/parquet?dataset=local/data").await.json()["failed"], failed("config-parquet"));
    assert_eq!(app.get("/info?dataset=local/data").await.json()["failed"], failed("config-info"));
    assert_eq!(app.get("/size?dataset=local/data").await.json()["failed"], failed("config-size"));
    assert_eq!(app.get("/size?dataset=local/data").await.json()["size"]["dataset"]["num_rows"], 1);
    assert_eq!(app.get("/is-valid?dataset=local/data").await.json()["viewer"], true);
    assert_eq!(app.get("/is-valid?dataset=local/data&config=bad").await.json()["viewer"], false);
    // The splits of the broken config are known from its files.
    assert_snapshot!(app.get("/splits?dataset=local/data").await.text(), @r#"{"splits":[{"dataset":"local/data","config":"bad","split":"train"},{"dataset":"local/data","config":"good","split":"train"}],"pending":[],"failed":[]}"#);
}

#[tokio::test]
async fn many_splits_are_listed_page_by_page() {
    let app = TestApp::new().await;
    let configs: String = (0..30).map(|n| format!("- config_name: lang_{n:02}\n  data_files: {n:02}.csv\n")).collect();
    app.write("data/README.md", format!("---\nconfigs:\n{configs}---\n"));
    for n in 0..30 {
        app.write(&format!("data/{n:02}.csv"), "a\n1\n");
    }
    app.settle().await;
    let list = async |query: &str| {
        let answer = app.get(&format!("/splits?dataset=local/data{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        let body = answer.json();
        let configs: Vec<String> =
            body["splits"].as_array().unwrap().iter().map(|item| item["config"].as_str().unwrap().to_owned()).collect();
        (configs, body["num_splits_total"].as_u64(), answer.header("etag").unwrap().to_owned())
    };
    let (all, total, etag) = list("").await;
    assert_eq!((all.len(), total), (30, None), "the answer of old has nothing more");
    let (page, total, other) = list("&offset=10&limit=5").await;
    assert_eq!((&page[..], total), (&all[10..15], Some(30)));
    assert_ne!(etag, other);
    assert_eq!(list("&search=LANG_2&limit=3").await.0, ["lang_20", "lang_21", "lang_22"]);
    assert_eq!(list("&search=train&limit=0").await.1, Some(30));
    assert!(list("&offset=30").await.0.is_empty());
    let of_config = app.get("/splits?dataset=local/data&config=lang_07&search=train").await.json();
    assert_eq!((of_config["num_splits_total"].as_u64(), of_config.get("pending")), (Some(1), None));
    assert_eq!(app.get("/splits?dataset=local/data&limit=x").await.status, 422);
}
