//! Python code that loads a config as a data frame.

use indexmap::IndexMap;
use serde_json::{Value as JsonValue, json};

/// What a frame is loaded from.
pub(super) struct Source {
    /// For each split a path or a glob in the repository.
    pub(super) splits: IndexMap<String, String>,
    /// JSON, one value a line.
    pub(super) lines: bool,
    /// Columns are separated by tabs.
    pub(super) tabs: bool,
}

/// A library of data frames.
pub(super) struct Frame {
    pub(super) library: &'static str,
    pub(super) function: String,
    import: &'static str,
    /// How its reader of JSON is told of lines; `None`: by its function.
    lines: Option<&'static str>,
    tabs: &'static str,
}

impl Frame {
    pub(super) fn pandas(reader: &str) -> Self {
        let function = format!("pd.read_{reader}");
        let (lines, tabs) = (Some(", lines=True"), ", sep=\"\\t\"");
        Self { library: "pandas", function, import: "import pandas as pd", lines, tabs }
    }

    pub(super) fn dask(reader: &str) -> Self {
        let function = format!("dd.read_{reader}");
        let (lines, tabs) = (Some(", lines=True"), ", sep=\"\\t\"");
        Self { library: "dask", function, import: "import dask.dataframe as dd", lines, tabs }
    }

    pub(super) fn polars(reader: &str, lines: bool, compat: bool) -> Self {
        let function = if lines { "pl.read_ndjson".to_owned() } else { format!("pl.read_{reader}") };
        // The reference imports another library than the one it calls.
        let import = if compat && reader == "json" { "import dask.dataframe as dd" } else { "import polars as pl" };
        Self { library: "polars", function, import, lines: None, tabs: ", separator=\"\\t\"" }
    }

    /// The arguments and the code.
    pub(super) fn write(&self, dataset: &str, source: &Source) -> (JsonValue, String) {
        let mut arguments = json!({"splits": source.splits});
        let mut options = String::new();
        if let Some(lines) = self.lines.filter(|_| source.lines) {
            arguments["lines"] = true.into();
            options.push_str(lines);
        }
        if source.tabs {
            options.push_str(self.tabs);
        }
        let (function, import) = (&self.function, self.import);
        let (splits, files) = places(dataset, source);
        let splits = splits.map_or_else(String::new, |splits| format!("{splits}\n"));
        (arguments, format!("{import}\n\n{splits}df = {function}({files}{options})"))
    }
}

/// The arguments and the code that streams tar archives.
pub(super) fn webdataset(dataset: &str, source: &Source) -> (JsonValue, String) {
    let (splits, files) = places(dataset, source);
    let splits = splits.map_or_else(String::new, |splits| format!("{splits}\n\n"));
    let code = format!(
        "import webdataset as wds\n\
         from huggingface_hub import HfFileSystem, get_token, hf_hub_url\n\n\
         {splits}fs = HfFileSystem()\n\
         files = [fs.resolve_path(path) for path in fs.glob({files})]\n\
         urls = [hf_hub_url(file.repo_id, file.path_in_repo, repo_type=\"dataset\") for file in files]\n\
         urls = f\"pipe: curl -s -L -H 'Authorization:Bearer {{get_token()}}' {{'::'.join(urls)}}\"\n\n\
         ds = wds.WebDataset(urls).decode()"
    );
    (json!({"splits": source.splits}), code)
}

/// A line that names the files of each split, where there are several, and an expression for those of the first.
fn places(dataset: &str, source: &Source) -> (Option<String>, String) {
    let root = format!("hf://datasets/{dataset}/");
    let mut splits = source.splits.iter();
    match (splits.next(), splits.next()) {
        (Some((_, only)), None) => (None, python_string(&format!("{root}{only}"))),
        (first, _) => {
            let items = source.splits.iter().map(|(name, path)| format!("{}: {}", literal(name), literal(path)));
            let mapping = items.collect::<Vec<_>>().join(", ");
            let first = first.map_or("", |(name, _)| name.as_str());
            let files = format!("{} + splits[{}]", python_string(&root), python_string(first));
            (Some(format!("splits = {{{mapping}}}")), files)
        }
    }
}

/// A text in double quotes.
pub(super) fn python_string(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// A text as Python prints it: in single quotes, unless it holds one and no double quote.
fn literal(text: &str) -> String {
    if text.contains('\'') && !text.contains('"') {
        return python_string(text);
    }
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(splits: &[(&str, &str)]) -> Source {
        let splits = splits.iter().map(|(name, path)| ((*name).to_owned(), (*path).to_owned())).collect();
        Source { splits, lines: true, tabs: false }
    }

    #[test]
    fn several_splits_are_chosen_by_name() {
        let (arguments, code) =
            Frame::pandas("json").write("a/b", &source(&[("train", "t.jsonl"), ("it's", "x.jsonl")]));
        insta::assert_snapshot!(code, @r#"
        import pandas as pd

        splits = {'train': 't.jsonl', "it's": 'x.jsonl'}
        df = pd.read_json("hf://datasets/a/b/" + splits["train"], lines=True)
        "#);
        assert_eq!(arguments["lines"], true);
    }

    #[test]
    fn archives_are_streamed() {
        let (arguments, code) = webdataset("a/b", &source(&[("train", "t-*.tar"), ("test", "x.tar")]));
        insta::assert_snapshot!(code, @r#"
        import webdataset as wds
        from huggingface_hub import HfFileSystem, get_token, hf_hub_url

        splits = {'train': 't-*.tar', 'test': 'x.tar'}

        fs = HfFileSystem()
        files = [fs.resolve_path(path) for path in fs.glob("hf://datasets/a/b/" + splits["train"])]
        urls = [hf_hub_url(file.repo_id, file.path_in_repo, repo_type="dataset") for file in files]
        urls = f"pipe: curl -s -L -H 'Authorization:Bearer {get_token()}' {'::'.join(urls)}"

        ds = wds.WebDataset(urls).decode()
        "#);
        assert_eq!(arguments, json!({"splits": {"train": "t-*.tar", "test": "x.tar"}}));
    }

    #[test]
    fn a_library_is_imported_before_it_is_called() {
        let (_, code) = Frame::polars("json", true, false).write("a/b", &source(&[("train", "t\".jsonl")]));
        insta::assert_snapshot!(code, @r#"
        import polars as pl

        df = pl.read_ndjson("hf://datasets/a/b/t\".jsonl")
        "#);
    }
}
