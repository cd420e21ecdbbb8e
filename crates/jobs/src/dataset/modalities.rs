//! `dataset-modalities`: what kinds of data a dataset holds, told by its columns, its image addresses and its files.
//!
//! Inputs that are missing or failed tell nothing; the step itself never fails.

use std::collections::BTreeSet;

use async_trait::async_trait;
use belvedere_domain::features::Dtype;
use belvedere_domain::{ArtifactKey, Feature, Features, Level, Step, StepName, View};

use crate::content::{DatasetInfos, Filetypes, ImageUrlColumns, Modalities};
use crate::job::{Job, JobContext, JobError, Ready, WithProgressOf as _, ok_content};

const STEP: Step = Step::dataset("dataset-modalities")
    .triggered_by(&["dataset-info", "dataset-filetypes", "split-image-url-columns"])
    .version(2)
    .difficulty(20);

/// Splits whose image addresses are looked at.
const SPLITS: usize = 10;
/// An image format counts from this number of files on where there are data files too: a few are illustrations.
const MIN_IMAGES_BESIDE_DATA: u64 = 10;

const IMAGE: &[&str] = &[
    "apng", "avif", "gif", "jpg", "jpeg", "jfif", "pjpeg", "pjp", "png", "svg", "webp", "bmp", "ico", "cur", "tif",
    "tiff",
];
const AUDIO: &[&str] = &[
    "aac", "flac", "mp3", "m4a", "oga", "wav", "weba", "opus", "spx", "wma", "aiff", "ape", "mka", "wv", "tak", "ogg",
];
const VIDEO: &[&str] = &["m4v", "m4p", "ogv", "mov", "mkv", "avi", "wmv", "flv", "3gp", "mpg", "mpeg", "mp4", "webm"];
const GEOSPATIAL: &[&str] = &[
    "shp",
    "shx",
    "dbf",
    "prj",
    "cpg",
    "kml",
    "kmz",
    "gpx",
    "geojson",
    "topojson",
    "gml",
    "geoparquet",
    "fgb",
    "img",
    "bil",
    "bip",
    "bsq",
    "gpkg",
    "mbtiles",
    "pmtiles",
];
const THREE_D: &[&str] = &["fbx", "dae", "dxf", "obj", "stl", "ply", "gltf", "glb", "usdz"];
const DATA: &[&str] = &["parquet", "csv", "json", "jsonl", "arrow"];

pub(crate) struct ModalitiesJob;

#[async_trait]
impl Job for ModalitiesJob {
    fn step(&self) -> &'static Step {
        &STEP
    }

    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError> {
        let dataset = |step| ctx.at(StepName::known(step), Level::Dataset);
        let (infos, filetypes) = (dataset("dataset-info"), dataset("dataset-filetypes"));
        let mut parents = vec![ctx.read(&infos).await?, ctx.read(&filetypes).await?];
        let infos: Option<DatasetInfos> = ok_content(parents[0].as_ref());
        let filetypes: Option<Filetypes> = ok_content(parents[1].as_ref());
        let mut modalities = BTreeSet::new();
        if let Some(infos) = infos {
            for info in infos.dataset_info.values() {
                of_features(&info.known_features().unwrap_or_default(), &mut modalities);
            }
            let split = |config: &belvedere_domain::ConfigName, split: &belvedere_domain::SplitName| {
                let (dataset, config, split) = (ctx.key.dataset.clone(), config.clone(), split.clone());
                ArtifactKey::split(StepName::known("split-image-url-columns"), dataset, config, split)
            };
            let splits =
                infos.dataset_info.iter().flat_map(|(config, info)| info.splits.keys().map(move |s| (config, s)));
            let keys: Vec<_> = splits.take(SPLITS).map(|(config, name)| split(config, name)).collect();
            let found = ctx.read_all(&keys).await?;
            let has_images = |columns: ImageUrlColumns| !columns.columns.is_empty();
            if found.iter().any(|found| ok_content(found.as_ref()).is_some_and(has_images)) {
                modalities.insert("image");
            }
            parents.extend(found);
        }
        if let Some(filetypes) = filetypes {
            of_files(&filetypes, &mut modalities);
        }
        let content = Modalities { modalities: modalities.into_iter().map(str::to_owned).collect() };
        Ok(View::ok(&content).with_progress_of(parents.iter().map(Option::as_ref)).into())
    }
}

fn of_features(features: &Features, modalities: &mut BTreeSet<&'static str>) {
    let (mut has_media, mut numbers) = (false, 0);
    for (name, feature) in features {
        feature.any(&mut |part| {
            match part {
                Feature::Audio(_) => (has_media, _) = (true, modalities.insert("audio")),
                Feature::Image(_) => (has_media, _) = (true, modalities.insert("image")),
                Feature::Value(Dtype::String | Dtype::LargeString) | Feature::Translation { .. } => {
                    modalities.insert("text");
                }
                Feature::Pdf(_) => {
                    modalities.insert("document");
                }
                _ => {}
            }
            false
        });
        match feature {
            Feature::Value(dtype) if dtype.is_integer() || dtype.is_float() => numbers += 1,
            Feature::List { feature, .. } | Feature::LargeList(feature)
                if **feature == Feature::Value(Dtype::Float32) && !name.contains("emb") =>
            {
                modalities.insert("timeseries");
            }
            _ => {}
        }
    }
    if numbers >= 2 && !has_media {
        modalities.insert("tabular");
    }
}

fn of_files(filetypes: &Filetypes, modalities: &mut BTreeSet<&'static str>) {
    let kinds: [(&str, &[&str]); 7] = [
        ("image", IMAGE),
        ("audio", AUDIO),
        ("video", VIDEO),
        ("geospatial", GEOSPATIAL),
        ("3d", THREE_D),
        ("text", &["txt"]),
        ("document", &["pdf"]),
    ];
    let kind_of = |suffix: &str| kinds.iter().find(|(_, known)| known.contains(&suffix)).map(|(kind, _)| *kind);
    let suffix = |extension: &str| extension.trim_start_matches('.').to_owned();
    let known = filetypes.filetypes.iter().map(|filetype| (suffix(&filetype.extension), filetype.count));
    let known: Vec<_> =
        known.filter(|(suffix, _)| DATA.contains(&suffix.as_str()) || kind_of(suffix).is_some()).collect();
    let total: u64 = known.iter().filter(|(suffix, _)| suffix != "pdf").map(|(_, count)| count).sum();
    let has_data = known.iter().any(|(suffix, _)| DATA.contains(&suffix.as_str()));
    let rare = (total as f64 * 0.1).round_ties_even() as u64;
    for (suffix, count) in &known {
        let Some(kind) = kind_of(suffix) else { continue };
        let is_illustration = kind == "image" && has_data && *count < MIN_IMAGES_BESIDE_DATA;
        if *count >= rare && !is_illustration {
            modalities.insert(kind);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::content::Filetype;

    fn told(features: serde_json::Value) -> Vec<&'static str> {
        let mut modalities = BTreeSet::new();
        of_features(&Features::from_json(&features).unwrap(), &mut modalities);
        modalities.into_iter().collect()
    }

    fn held(files: &[(&str, u64)]) -> Vec<&'static str> {
        let filetype = |&(extension, count): &(&str, u64)| Filetype {
            extension: extension.into(),
            count,
            archived_in: None,
            compressed_in: None,
        };
        let mut modalities = BTreeSet::new();
        of_files(&Filetypes { filetypes: files.iter().map(filetype).collect() }, &mut modalities);
        modalities.into_iter().collect()
    }

    #[test]
    fn columns_tell_text_numbers_series_and_media() {
        let value = |dtype: &str| json!({"dtype": dtype, "_type": "Value"});
        assert_eq!(
            told(json!({"a": value("int64"), "b": value("float32"), "t": [value("string")]})),
            ["tabular", "text"]
        );
        assert_eq!(told(json!({"a": value("int64")})), Vec::<&str>::new());
        assert_eq!(told(json!({"x": [value("float32")], "embedding": [value("float32")]})), ["timeseries"]);
        assert_eq!(told(json!({"a": value("int64"), "b": value("int64"), "i": {"_type": "Image"}})), ["image"]);
    }

    #[test]
    fn rare_files_and_illustrations_tell_nothing() {
        assert_eq!(held(&[(".png", 3), (".jpg", 9)]), ["image"]);
        assert_eq!(held(&[(".csv", 5), (".png", 9)]), Vec::<&str>::new());
        assert_eq!(held(&[(".csv", 5), (".png", 10)]), ["image"]);
        assert_eq!(held(&[(".parquet", 100), (".mp3", 5), (".txt", 20)]), ["text"]);
        assert_eq!(held(&[(".md", 100)]), Vec::<&str>::new());
    }
}
