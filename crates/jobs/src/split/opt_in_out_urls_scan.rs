//! `split-opt-in-out-urls-scan`: what the authors of the images behind URLs wish, as a service tells.

use async_trait::async_trait;
use belvedere_domain::{ErrorCode, Features, Level, Step, StepName, View};
use belvedere_hub::services::OptOut;

use crate::content::{ConfigParquetMetadata, ImageUrlColumns, OptInOutUrlsCount, OptInOutUrlsScan, ScannedUrl};
use crate::job::{Job, JobContext, JobError, Parent, Ready, typed};
use crate::scans::{MAX_LISTED, OptInOutUrls, TextPages, check_columns, of_service};

const STEP: Step = Step::split("split-opt-in-out-urls-scan")
    .triggered_by(&["split-image-url-columns", "config-parquet-metadata"])
    .version(4)
    .difficulty(70)
    .heavy()
    .background();

/// Longest text that is taken for a URL, in characters. Servers and browsers take no longer ones.
const MAX_URL_CHARACTERS: usize = 8192;

pub(crate) struct OptInOutUrlsScanJob;

#[async_trait]
impl Job for OptInOutUrlsScanJob {
    fn step(&self) -> &'static Step {
        &STEP
    }

    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError> {
        let settings = ctx.settings().scans.opt_in_out_urls.clone();
        ctx.input("service", &settings.service.as_ref().map(OptOut::url));
        ctx.input("limits", &(settings.columns_max_number, settings.rows_max_number));
        let Some(service) = settings.service.clone() else {
            let message = "the token of the service is not set (`opt_in_out_urls_scan.spawning_token`)";
            return Err(JobError::fail(ErrorCode::MissingSpawningTokenError, message));
        };
        // Both parents trigger the step: whichever comes last finds the other.
        let columns = ctx.at(StepName::known("split-image-url-columns"), Level::Split);
        let columns = match ctx.read(&columns).await? {
            None => return Err(JobError::Nothing("the columns of URLs are not known yet".into())),
            Some(found) if !found.stored.view.outcome.is_ok() => return Err(JobError::Copy(Box::new(found))),
            Some(found) => typed::<ImageUrlColumns>(found)?.content.columns,
        };
        if columns.is_empty() {
            return Ok(View::ok(&OptInOutUrlsScan::default()).into());
        }
        check_columns(&columns, settings.columns_max_number)?;
        let metadata = ctx.parquet_of_config().await?;
        if let Some(reused) = ctx.reuse().await? {
            return Ok(reused);
        }
        let content = scan(ctx, &settings, &service, metadata, columns).await?;
        Ok(View::ok(&content).into())
    }
}

async fn scan(
    ctx: &JobContext,
    settings: &OptInOutUrls,
    service: &OptOut,
    metadata: Parent<ConfigParquetMetadata>,
    columns: Vec<String>,
) -> Result<OptInOutUrlsScan, JobError> {
    let files = ctx.split_files(&metadata.found).await?;
    let features: Features = metadata.content.known_features().ok_or_else(|| {
        JobError::fail(ErrorCode::FeaturesResponseEmptyError, "the features of the split are not known")
    })?;
    let rows_per_page = (service.preferred_urls() / columns.len()) as u64;
    let rows = (settings.rows_max_number, rows_per_page);
    let mut pages = TextPages::new(files, features, columns.clone(), rows, MAX_URL_CHARACTERS + 1);
    let mut content = OptInOutUrlsScan::default();
    while let Some(page) = pages.next(ctx).await? {
        let urls: Vec<String> = page.rows.into_iter().flatten().map(as_url).collect();
        let wishes = service.ask(urls.clone()).await;
        let wishes = wishes.map_err(|error| of_service("the service for opt-outs", &error))?;
        for (place, (url, wish)) in urls.into_iter().zip(wishes).enumerate() {
            let scanned = || ScannedUrl {
                url: url.clone(),
                row_idx: page.first + (place / columns.len()) as u64,
                column_name: columns[place % columns.len()].clone(),
            };
            note(wish.opt_in, &mut content.counts.num_opt_in_urls, &mut content.opt_in_urls, scanned);
            note(wish.opt_out, &mut content.counts.num_opt_out_urls, &mut content.opt_out_urls, scanned);
            content.counts.num_urls += 1;
        }
    }
    content.counts = OptInOutUrlsCount {
        has_urls_columns: true,
        num_scanned_rows: pages.num_rows_read(),
        full_scan: Some(pages.are_whole()),
        urls_columns: columns,
        ..content.counts
    };
    Ok(content)
}

fn note(holds: bool, number: &mut u64, list: &mut Vec<ScannedUrl>, scanned: impl FnOnce() -> ScannedUrl) {
    if holds {
        *number += 1;
        if list.len() < MAX_LISTED {
            list.push(scanned());
        }
    }
}

/// A text as it is asked about: what cannot be a URL is asked about as nothing, so that the lines of a question stay what
/// they are.
fn as_url(text: String) -> String {
    let is_url = text.chars().count() <= MAX_URL_CHARACTERS && !text.contains(char::is_control);
    if is_url { text } else { String::new() }
}
