//! `split-image-url-columns`: text columns of the first rows that mostly hold addresses of images.

use async_trait::async_trait;
use belvedere_domain::features::Dtype;
use belvedere_domain::{Feature, Level, Step, StepName, View};
use serde::Deserialize;
use serde_json::Value as JsonValue;

use crate::content::ImageUrlColumns;
use crate::job::{Job, JobContext, JobError, Ready};

const STEP: Step = Step::split("split-image-url-columns").triggered_by(&["split-first-rows"]).version(1).difficulty(40);

/// Share of the rows above which a column counts.
const MIN_SHARE: f64 = 0.3;
/// Suffixes of files that browsers and Python's registry take for images.
const IMAGE_SUFFIXES: [&str; 26] = [
    "apng", "avif", "bmp", "gif", "heic", "heif", "ico", "ief", "jfif", "jpe", "jpeg", "jpg", "pbm", "pgm", "pict",
    "png", "pnm", "ppm", "ras", "rgb", "svg", "tif", "tiff", "webp", "xbm", "xpm",
];

pub(crate) struct ImageUrlColumnsJob;

/// What of first rows is looked at.
#[derive(Deserialize)]
struct FirstRows {
    features: Vec<Column>,
    rows: Vec<FirstRow>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
    r#type: JsonValue,
}

#[derive(Deserialize)]
struct FirstRow {
    row: serde_json::Map<String, JsonValue>,
}

#[async_trait]
impl Job for ImageUrlColumnsJob {
    fn step(&self) -> &'static Step {
        &STEP
    }

    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError> {
        let first_rows = ctx.at(StepName::known("split-first-rows"), Level::Split);
        let first_rows = ctx.parent::<FirstRows>(&first_rows).await?.content;
        Ok(View::ok(&ImageUrlColumns { columns: columns(&first_rows) }).into())
    }
}

fn columns(first_rows: &FirstRows) -> Vec<String> {
    let is_url_column = |name: &str| {
        let cells = first_rows.rows.iter().filter_map(|row| row.row.get(name)?.as_str());
        let urls = cells.filter(|cell| is_image_url(cell)).count();
        urls as f64 > MIN_SHARE * first_rows.rows.len() as f64
    };
    let is_text = |column: &&Column| matches!(Feature::from_json(&column.r#type), Ok(Feature::Value(Dtype::String)));
    let texts = first_rows.features.iter().filter(is_text).map(|column| &column.name);
    texts.filter(|name| is_url_column(name)).cloned().collect()
}

/// `https://host/path/name.png?query`.
fn is_image_url(text: &str) -> bool {
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return false;
    }
    let path = text.split('?').next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.')
        .is_some_and(|(_, suffix)| IMAGE_SUFFIXES.iter().any(|known| suffix.eq_ignore_ascii_case(known)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_column_counts_when_more_than_three_in_ten_rows_are_image_urls() {
        let rows = |urls: usize| -> Vec<JsonValue> {
            let cell = |n| if n < urls { "https://a.org/x/cat.JPG?w=1#y" } else { "no url" };
            (0..10).map(|n| json!({"row_idx": n, "row": {"photo": cell(n), "n": n}, "truncated_cells": []})).collect()
        };
        let features = json!([
            {"feature_idx": 0, "name": "photo", "type": {"dtype": "string", "_type": "Value"}},
            {"feature_idx": 1, "name": "n", "type": {"dtype": "int64", "_type": "Value"}},
        ]);
        let found = |urls| columns(&serde_json::from_value(json!({"features": features, "rows": rows(urls)})).unwrap());
        assert_eq!(found(3), Vec::<String>::new());
        assert_eq!(found(4), ["photo"]);
        assert_eq!(columns(&serde_json::from_value(json!({"features": features, "rows": []})).unwrap()).len(), 0);
    }

    #[test]
    fn pages_and_other_protocols_are_no_images() {
        for text in
            ["https://a.org/cat", "ftp://a.org/cat.png", "https://a.org/cat.png/", "https://a.org/c.html?x=.png"]
        {
            assert!(!is_image_url(text), "{text}");
        }
    }
}
