//! `dataset-hub-cache`: the few facts that a list of datasets shows. Parents that are missing or failed leave defaults.

use async_trait::async_trait;
use belvedere_domain::{Level, Step, StepName, View};
use serde::Serialize;

use crate::content::{CompatibleLibraries, DatasetSize, IsValid, Modalities};
use crate::job::{Job, JobContext, JobError, Ready, WithProgressOf as _, ok_content};

const STEP: Step = Step::dataset("dataset-hub-cache")
    .triggered_by(&["dataset-is-valid", "dataset-size", "dataset-compatible-libraries", "dataset-modalities"])
    .version(3)
    .difficulty(20);

pub(crate) struct HubCacheJob;

#[derive(Serialize)]
struct HubCache {
    preview: bool,
    viewer: bool,
    partial: bool,
    num_rows: Option<u64>,
    libraries: Vec<String>,
    formats: Vec<String>,
    modalities: Vec<String>,
}

#[async_trait]
impl Job for HubCacheJob {
    fn step(&self) -> &'static Step {
        &STEP
    }

    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError> {
        let keys: Vec<_> = STEP.triggered_by.iter().map(|step| ctx.at(StepName::known(step), Level::Dataset)).collect();
        let found = ctx.read_all(&keys).await?;
        let [is_valid, size, libraries, modalities] = found.as_slice() else {
            unreachable!("one view is asked for each parent")
        };
        let is_valid: IsValid = ok_content(is_valid.as_ref()).unwrap_or_default();
        let size: Option<DatasetSize> = ok_content(size.as_ref());
        let libraries: Option<CompatibleLibraries> = ok_content(libraries.as_ref());
        let modalities: Option<Modalities> = ok_content(modalities.as_ref());
        let sizes = size.as_ref().map(|size| &size.size.dataset);
        let content = HubCache {
            preview: is_valid.preview,
            viewer: is_valid.viewer,
            partial: size.as_ref().is_some_and(|size| size.partial),
            num_rows: sizes.map(|sizes| sizes.estimated_num_rows.unwrap_or(sizes.num_rows)),
            formats: libraries.as_ref().map(|found| found.formats.clone()).unwrap_or_default(),
            libraries: libraries.into_iter().flat_map(|found| found.libraries).map(|item| item.library).collect(),
            modalities: modalities.map(|found| found.modalities).unwrap_or_default(),
        };
        let parents: Vec<_> = found.iter().map(Option::as_ref).collect();
        Ok(View::ok(&content).with_progress_of(parents).into())
    }
}
