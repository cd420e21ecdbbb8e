//! From the options of `belvedere task run` to what the server reads.

use std::path::Path;

use anyhow::Context;
use serde_json::{Map, Value as Json, json};

use super::RunArgs;
use crate::exit::Advice;

/// The configuration that the options make, on top of the one in a file.
pub(super) fn task_config(args: &RunArgs) -> anyhow::Result<Vec<u8>> {
    let mut config = match &args.task_config {
        None => Map::from_iter([("args_style".to_owned(), json!("none"))]),
        Some(path) => read_config(path)?,
    };
    let mut set = |key: &str, value: Option<Json>| {
        if let Some(value) = value {
            config.insert(key.to_owned(), value);
        }
    };
    set("dataset_name", args.dataset.as_ref().map(|name| json!(name)));
    set("experiment_name", args.experiment.as_ref().map(|name| json!(name)));
    set("command", args.command.as_ref().map(|command| json!(command)));
    set("selection", args.rows.selection.as_ref().map(|id| json!(id)));
    set("dataset_format", args.format.as_ref().map(|form| json!(form)));
    set("max_retries", args.max_retries.map(|most| json!(most)));
    if !args.retry_on.is_empty() {
        let always = ["node_failed", "preempted", "lost"].map(str::to_owned);
        set("retry_on", Some(json!(always.iter().chain(&args.retry_on).collect::<Vec<_>>())));
    }
    if !args.sweep.is_empty() {
        let mut sweep = json!({"grid": grid(&args.sweep)?});
        if let Some(most) = args.max_parallel {
            sweep["max_parallel"] = json!(most);
        }
        set("sweep", Some(sweep));
    }
    set("tracking_uri", args.tracking_uri.as_ref().map(|uri| json!(uri)));
    set("model_tracking", args.tracking_uri.as_ref().map(|_| json!(true)));
    set("runner_location", args.cluster.as_ref().map(|name| json!(name)));
    let cluster = config.entry("runner_location").or_insert_with(|| json!("local")).as_str().unwrap_or("").to_owned();
    let mut params = config.get("model_params").and_then(Json::as_object).cloned().unwrap_or_default();
    for param in &args.params {
        let Some((name, value)) = param.split_once('=') else {
            return Err(
                Advice::usage(format!("`--param {param}` has no value"), "write it as `--param NAME=VALUE`").into()
            );
        };
        params.insert(name.to_owned(), parsed(value));
    }
    config.insert("model_params".to_owned(), params.into());
    let infra = [("image_name", &args.image), ("instance_type", &args.instance_type), ("account", &args.account)];
    for (key, value) in infra {
        let Some(value) = value else { continue };
        let clusters = config.entry("clusters").or_insert_with(|| json!({}));
        let block = &mut clusters[cluster.as_str()]["infra_config"];
        block[key] = json!(value);
    }
    Ok(serde_json::to_vec(&config)?)
}

fn read_config(path: &Path) -> anyhow::Result<Map<String, Json>> {
    let wrong = || Advice::usage(format!("{} is no JSON object", path.display()), "");
    let text = std::fs::read(path).with_context(wrong)?;
    serde_json::from_slice(&text).with_context(wrong)
}

/// A value that is JSON as such, any other as a text.
fn parsed(value: &str) -> Json {
    serde_json::from_str(value).unwrap_or_else(|_| json!(value))
}

/// The values of each parameter.
fn grid(options: &[String]) -> anyhow::Result<Map<String, Json>> {
    let mut grid = Map::new();
    for option in options {
        let Some((name, values)) = option.split_once('=') else {
            let hint = "write it as `--sweep NAME=VALUE,VALUE`";
            return Err(Advice::usage(format!("`--sweep {option}` has no values"), hint).into());
        };
        let values: Vec<_> = values.split(',').map(parsed).collect();
        if grid.insert(name.to_owned(), json!(values)).is_some() {
            return Err(Advice::usage(format!("`--sweep {name}` is given twice"), "give all its values at once").into());
        }
    }
    Ok(grid)
}

/// What is asked for by the options that choose rows; `None` where there are none.
pub(super) fn selection(args: &RunArgs) -> anyhow::Result<Option<Json>> {
    let rows = &args.rows;
    let texts = [("where", &rows.condition), ("orderby", &rows.orderby), ("query", &rows.search)];
    if texts.iter().all(|(_, text)| text.is_none()) && rows.sample.is_none() {
        return Ok(None);
    }
    let named = args.dataset.as_deref().unwrap_or_default();
    let (named, revision) = named.split_once('@').map_or((named, None), |(named, revision)| (named, Some(revision)));
    let [namespace, name, config, split] = named.split('/').collect::<Vec<_>>()[..] else {
        let message = format!("rows are chosen of one split, and `{named}` is none");
        return Err(Advice::usage(message, "write it as `--dataset NAMESPACE/NAME/CONFIG/SPLIT`").into());
    };
    let mut question = json!({"dataset": format!("{namespace}/{name}"), "config": config, "split": split});
    for (key, text) in texts {
        if let Some(text) = text {
            question[key] = json!(text);
        }
    }
    if let Some(revision) = revision {
        question["revision"] = json!(revision);
    }
    if let Some(sample) = &rows.sample {
        let key = if sample.contains('.') { "fraction" } else { "rows" };
        question["sample"] = json!({key: parsed(sample), "seed": rows.seed.unwrap_or(0)});
    }
    Ok(Some(question))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        run: RunArgs,
    }

    fn args(options: &[&str]) -> RunArgs {
        let words = ["run", "train.py"].iter().chain(options);
        Command::try_parse_from(words).unwrap_or_else(|error| panic!("{error}")).run
    }

    #[test]
    fn options_become_the_configuration() {
        let args = args(&[
            "--sweep",
            "lr=0.1,0.01",
            "--sweep",
            "kind=a,b",
            "--max-parallel",
            "2",
            "--max-retries",
            "3",
            "--retry-on",
            "timeout",
            "--param",
            "n=2",
        ]);
        let config: Json = serde_json::from_slice(&task_config(&args).unwrap()).unwrap();
        assert_eq!(config["sweep"], json!({"grid": {"lr": [0.1, 0.01], "kind": ["a", "b"]}, "max_parallel": 2}));
        assert_eq!(config["retry_on"], json!(["node_failed", "preempted", "lost", "timeout"]));
        assert_eq!((&config["max_retries"], &config["model_params"]), (&json!(3), &json!({"n": 2})));
        assert_eq!(selection(&args).unwrap(), None);
    }

    #[test]
    fn rows_are_chosen_of_a_split() {
        let options = ["--where", "a > 1", "--sample", "0.5", "--seed", "7"];
        let question = |dataset: &str| selection(&args(&[&["--dataset", dataset][..], &options[..]].concat()));
        assert_eq!(
            question("local/wine/default/train@abc").unwrap().unwrap(),
            json!({"dataset": "local/wine", "config": "default", "split": "train", "revision": "abc", "where": "a > 1",
                   "sample": {"fraction": 0.5, "seed": 7}})
        );
        assert!(question("local/wine").unwrap_err().to_string().contains("none"));
    }
}
