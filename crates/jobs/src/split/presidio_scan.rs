//! `split-presidio-scan`: personal data in the texts of a split, by rules of ours or by a Presidio analyzer.

use std::sync::Arc;

use async_trait::async_trait;
use belvedere_domain::{ErrorCode, Feature, Step, View};
use belvedere_engine::search::text_columns;
use belvedere_entities::{Context, EntityType, mask, recognize};
use belvedere_hub::services::Analyzer;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::content::{PresidioScan, ScannedEntity};
use crate::job::{Job, JobContext, JobError, Ready};
use crate::scans::{TextPages, TextRows, check_columns, of_service};

const STEP: Step = Step::split("split-presidio-scan")
    .triggered_by(&["config-split-names", "config-parquet-metadata"])
    .version(1)
    .difficulty(70)
    .heavy()
    .background();

/// Rows whose texts are in memory at the same time.
const ROWS_PER_PAGE: u64 = 200;

pub(crate) struct PresidioScanJob;

#[async_trait]
impl Job for PresidioScanJob {
    fn step(&self) -> &'static Step {
        &STEP
    }

    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError> {
        let settings = ctx.settings().scans.presidio_entities.clone();
        let is_covered = settings.datasets.covers(&ctx.key.dataset);
        ctx.input("covered", &is_covered);
        if !is_covered {
            return Err(not_enabled());
        }
        ctx.input("rules", &settings.deciding());
        let metadata = ctx.parquet_of_config().await?;
        let files = ctx.split_files(&metadata.found).await?;
        let Some(features) = metadata.content.known_features() else {
            let message = "the features of the split are not known";
            return Err(JobError::fail(ErrorCode::FeaturesResponseEmptyError, message));
        };
        if let Some(reused) = ctx.reuse().await? {
            return Ok(reused);
        }
        let by_service = settings.analyzer.is_some();
        let columns: Vec<Column> = text_columns(&features)
            .into_iter()
            .map(|position| Column::new(&features[position].0, &features[position].1))
            .collect();
        if columns.is_empty() {
            return Ok(View::ok(&PresidioScan::new(Vec::new(), by_service)).into());
        }
        let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        check_columns(&names, settings.columns_max_number)?;
        let rows = (settings.rows_max_number, ROWS_PER_PAGE);
        let mut pages = TextPages::new(files, features, names.clone(), rows, settings.max_text_length);
        let (mut content, columns) = (PresidioScan::new(names, by_service), Arc::new(columns));
        while let Some(page) = pages.next(ctx).await? {
            let found = match &settings.analyzer {
                None => by_rules(page, Arc::clone(&columns)).await?,
                Some(analyzer) => by_analyzer(page, &columns, analyzer).await?,
            };
            content.add(found);
        }
        content.num_scanned_rows = pages.num_rows_read();
        content.full_scan = Some(pages.are_whole());
        Ok(View::ok(&content).into())
    }
}

/// The error of datasets that are not scanned.
pub(crate) fn not_enabled() -> JobError {
    let message = "this dataset is not among those scanned for personal data (`presidio_entities_scan.datasets`)";
    JobError::fail(ErrorCode::PresidioScanNotEnabledForThisDataset, message)
}

/// What is known of a column before its texts are read.
struct Column {
    name: String,
    /// Says in English what follows, for a service that reads sentences.
    prefix: String,
    context: Context,
}

impl Column {
    fn new(name: &str, feature: &Feature) -> Self {
        let mut fields = Vec::new();
        feature.any(&mut |part| {
            if let Feature::Struct(children) = part {
                fields.extend(children.iter().map(|(name, _)| name.clone()));
            }
            false
        });
        let inside = if fields.is_empty() { String::new() } else { format!(" ({})", fields.join(", ")) };
        let context = Context::of_column(std::iter::once(name).chain(fields.iter().map(String::as_str)));
        Self { name: name.to_owned(), prefix: format!("This is the {name}{inside}: "), context }
    }
}

/// The personal data in a page, by our rules.
async fn by_rules(page: TextRows, columns: Arc<Vec<Column>>) -> Result<Vec<ScannedEntity>, JobError> {
    let work = move || {
        let mut found = Vec::new();
        for (row_idx, texts) in (page.first..).zip(&page.rows) {
            for (column, text) in columns.iter().zip(texts) {
                let entities = recognize(text, &column.context);
                found.extend(entities.into_iter().map(|entity| ScannedEntity {
                    text: mask(&text[entity.span]),
                    r#type: entity.entity.name().to_owned(),
                    row_idx,
                    column_name: column.name.clone(),
                }));
            }
        }
        found
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| JobError::fail(ErrorCode::UnexpectedError, format!("the recognizer panicked: {error}")))
}

/// The personal data in a page, as a service tells.
async fn by_analyzer(page: TextRows, columns: &[Column], analyzer: &Analyzer) -> Result<Vec<ScannedEntity>, JobError> {
    let mut questions = Vec::new();
    for (row_idx, texts) in (page.first..).zip(page.rows) {
        let texts = columns.iter().zip(texts).filter(|(_, text)| !text.trim().is_empty());
        questions.extend(texts.map(|(column, text)| (row_idx, column.name.clone(), column.prefix.clone(), text)));
    }
    let asked = questions.into_iter().map(|(row_idx, column_name, prefix, text)| {
        let analyzer = analyzer.clone();
        async move {
            let found = analyzer.analyze(&format!("{prefix}{text}")).await;
            let found = found.map_err(|error| of_service("the analyzer of personal data", &error))?;
            let before = prefix.chars().count();
            let entity = |found: belvedere_hub::services::Analyzed| {
                // What is in our own sentence is nobody's; other types are not counted.
                let entity = EntityType::parse(&found.entity_type).filter(|_| found.start >= before)?;
                let text: String = text.chars().skip(found.start - before).take(found.end - found.start).collect();
                Some(ScannedEntity {
                    text: mask(&text),
                    r#type: entity.name().to_owned(),
                    row_idx,
                    column_name: column_name.clone(),
                })
            };
            Ok::<_, JobError>(found.into_iter().filter_map(entity).collect::<Vec<_>>())
        }
    });
    let asked: Vec<_> = asked.collect();
    let found: Vec<Vec<ScannedEntity>> = stream::iter(asked).buffered(analyzer.max_concurrent()).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}
