//! `split-search-index`: the full-text index of a split, by which `/search` is quick. Until it is there, and where it is not
//! wanted, searches read the texts themselves and give the same answers.

use async_trait::async_trait;
use belvedere_domain::{ErrorCode, Features, Step, View};
use belvedere_engine::call::BuildSearchIndex;
use belvedere_engine::search::{Rules, VERSION, text_columns};
use belvedere_engine::{Call, ErrorKind, Reply};
use belvedere_store::blobs::segment;

use crate::call::CallError;
use crate::content::{SearchIndex, Written};
use crate::job::{Job, JobContext, JobError, Ready};
use crate::search::{IndexFile, rules};

const STEP: Step = Step::split("split-search-index")
    .triggered_by(&["config-split-names", "config-parquet-metadata"])
    .version(VERSION)
    .difficulty(70)
    .bonus_if_big(20)
    .heavy()
    .background();

pub(crate) struct SearchIndexJob;

#[async_trait]
impl Job for SearchIndexJob {
    fn step(&self) -> &'static Step {
        &STEP
    }

    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError> {
        let parent = ctx.parquet_of_config().await?;
        let settings = ctx.settings().search;
        ctx.input("limits", &(settings.builds_indexes, settings.max_split_bytes));
        let rules = rules(&ctx.services, &ctx.key.dataset, &ctx.revision).await?;
        ctx.input("rules", &rules);
        if let Some(reused) = ctx.reuse().await? {
            return Ok(reused);
        }
        let split = ctx.split()?.clone();
        let files = ctx.split_files(&parent.found).await?.files;
        let features = parent.content.known_features();
        let columns = features.as_ref().map(|features| {
            text_columns(features).into_iter().map(|column| features[column].0.clone()).collect::<Vec<_>>()
        });
        let num_rows = files.iter().map(|file| file.num_rows).sum();
        let bytes: u64 = files.iter().map(|file| file.file.size).sum();
        let because = match settings.max_split_bytes {
            _ if columns.as_ref().is_some_and(Vec::is_empty) => None,
            _ if !settings.builds_indexes => Some("search indexes are turned off".to_owned()),
            Some(max) if bytes > max => {
                Some(format!("the Parquet files of the split hold {bytes} bytes, more than the {max} allowed"))
            }
            _ => return build(ctx, &parent.found.stored.digest, files, features, rules).await,
        };
        Ok(View::ok(&SearchIndex {
            dataset: ctx.key.dataset.clone(),
            config: ctx.config()?.clone(),
            split,
            columns: columns.unwrap_or_default(),
            stemmer: rules.stemmer,
            size: 0,
            num_rows,
            num_words: 0,
            num_text_bytes: 0,
            without_index_because: because,
        })
        .into())
    }
}

async fn build(
    ctx: &JobContext,
    files_digest: &belvedere_domain::Digest,
    files: Vec<belvedere_engine::call::ParquetFile>,
    features: Option<Features>,
    rules: Rules,
) -> Result<Ready, JobError> {
    let scratch = ctx.scratch_directory()?;
    let output = scratch.path().join("index");
    let call = Call::BuildSearchIndex(BuildSearchIndex {
        files,
        features,
        rules: rules.clone(),
        output: output.clone(),
        memory_bytes: ctx.services.settings.search.memory_bytes,
    });
    let built = match ctx.call(call).await {
        Ok(Reply::BuildSearchIndex(built)) => built,
        Ok(_) => return Err(JobError::fail(ErrorCode::UnexpectedError, "the reader answered another question")),
        Err(error) => return Err(failure(error)),
    };
    let split = ctx.split()?.clone();
    let key = format!("views/{}/{}/search-index", ctx.digest().to_hex(), segment(split.as_str()));
    ctx.keep(&[Written { from: output, key: key.clone() }]).await?;
    let content = SearchIndex {
        dataset: ctx.key.dataset.clone(),
        config: ctx.config()?.clone(),
        split,
        columns: built.columns,
        stemmer: rules.stemmer,
        size: built.size,
        num_rows: built.num_rows,
        num_words: built.num_words,
        num_text_bytes: built.num_text_bytes,
        without_index_because: None,
    };
    Ok(View::ok(&content).with_internal(&IndexFile { key, size: built.size, files: *files_digest }).into())
}

fn failure(error: CallError) -> JobError {
    JobError::of_call(error, "no search index could be built", |kind| match kind {
        ErrorKind::Unreadable | ErrorKind::Incompatible | ErrorKind::SchemaMismatch => {
            Some(ErrorCode::DatasetGenerationError)
        }
        ErrorKind::Features => Some(ErrorCode::FeaturesError),
        _ => None,
    })
}
