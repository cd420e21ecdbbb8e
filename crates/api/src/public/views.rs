//! Endpoints that serve one stored view. To add one: a row in [`ENDPOINTS`].

use std::sync::Arc;

use axum::extract::{MatchedPath, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use belvedere_domain::{ArtifactKey, ConfigName, Graph, SplitName, StepName};

use super::remembered;
use super::splits::{self, Page};
use super::{croissant, miss, serve, statistics};
use crate::auth::reading;
use crate::error::ApiError;
use crate::params::{Params, missing};
use crate::state::ApiState;

/// A path and the steps it serves at each level.
pub(crate) struct Endpoint {
    /// The path.
    pub(crate) path: &'static str,
    /// What it answers, for the documentation.
    pub(crate) summary: &'static str,
    /// Step for `dataset`.
    pub(crate) dataset: Option<&'static str>,
    /// Step for `dataset` and `config`.
    pub(crate) config: Option<&'static str>,
    /// Step for `dataset`, `config` and `split`.
    pub(crate) split: Option<&'static str>,
}

/// Every endpoint over a view.
pub(crate) const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        path: "/splits",
        summary: "Configs and splits of a dataset.",
        dataset: Some("dataset-split-names"),
        config: Some("config-split-names"),
        split: None,
    },
    Endpoint {
        path: "/first-rows",
        summary: "Columns and first rows of a split, cut to a size that a page can show.",
        dataset: None,
        config: None,
        split: Some("split-first-rows"),
    },
    Endpoint {
        path: "/parquet",
        summary: "Parquet files of a dataset.",
        dataset: Some("dataset-parquet"),
        config: Some("config-parquet"),
        split: None,
    },
    Endpoint {
        path: "/info",
        summary: "Columns, splits and sizes in memory of a dataset.",
        dataset: Some("dataset-info"),
        config: Some("config-info"),
        split: None,
    },
    Endpoint {
        path: "/size",
        summary: "Bytes, rows and columns of a dataset, its configs and splits.",
        dataset: Some("dataset-size"),
        config: Some("config-size"),
        split: None,
    },
    Endpoint {
        path: "/hub-cache",
        summary: "The few facts about a dataset that a list shows.",
        dataset: Some("dataset-hub-cache"),
        config: None,
        split: None,
    },
    Endpoint {
        path: "/compatible-libraries",
        summary: "Libraries that load a dataset, with the code that does it.",
        dataset: Some("dataset-compatible-libraries"),
        config: None,
        split: None,
    },
    Endpoint {
        path: croissant::PATH,
        summary: "The parts of a Croissant description that follow from the data.",
        dataset: Some("dataset-croissant-crumbs"),
        config: None,
        split: None,
    },
    Endpoint {
        path: "/is-valid",
        summary: "Which answers there are for a dataset, a config or a split.",
        dataset: Some("dataset-is-valid"),
        config: Some("config-is-valid"),
        split: Some("split-is-valid"),
    },
    Endpoint {
        path: "/opt-in-out-urls",
        summary: "What the authors of images behind URLs wish: numbers of those who agree and refuse.",
        dataset: Some("dataset-opt-in-out-urls-count"),
        config: Some("config-opt-in-out-urls-count"),
        split: Some("split-opt-in-out-urls-count"),
    },
    Endpoint {
        path: "/presidio-entities",
        summary: "Numbers of rows with personal data in the texts of a dataset.",
        dataset: Some("dataset-presidio-entities-count"),
        config: None,
        split: None,
    },
    Endpoint {
        path: "/statistics",
        summary: "Figures of every column of a split: extremes, mean, median, deviation, histogram or frequencies.",
        dataset: None,
        config: None,
        split: Some("split-descriptive-statistics"),
    },
];

/// Serves the most specific level for which all parameters are there.
pub(crate) async fn get(
    State(state): State<Arc<ApiState>>,
    path: MatchedPath,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let endpoint = ENDPOINTS.iter().find(|endpoint| endpoint.path == path.as_str()).expect("routed from this table");
    let params = Params::parse(query.as_deref());
    let short = state.settings.max_age_short;
    if endpoint.path == "/statistics" && statistics::is_about_some(&state, &params) {
        return Box::pin(statistics::answer(&state, &params, &headers)).await.map_err(|error| error.keep(short));
    }
    let response = answer(&state, endpoint, &params, &headers).await.map_err(|error| error.keep(short))?;
    Ok(remembered::allow(response))
}

async fn answer(
    state: &ApiState,
    endpoint: &Endpoint,
    params: &Params,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let (dataset, config, split) = (params.get("dataset"), params.get("config"), params.get("split"));
    let revision = params.revision()?;
    let page = if endpoint.path == splits::PATH { Page::of(state, params)? } else { None };
    let dataset = dataset.ok_or_else(|| endpoint.missing())?;
    let (step, config, split) = match (config, split) {
        (Some(config), Some(split)) if endpoint.split.is_some() => (endpoint.split, Some(config), Some(split)),
        (Some(config), _) if endpoint.config.is_some() => (endpoint.config, Some(config), None),
        _ => (endpoint.dataset, None, None),
    };
    let step = StepName::known(step.ok_or_else(|| endpoint.missing())?);
    let dataset = reading::readable(state, dataset, headers).await?;
    // A step that the operator has not turned on has no answer, whatever it left when it was on.
    if !endpoint.is_on(&state.services.graph) {
        return Err(miss::not_found());
    }
    // A name that cannot exist is answered like one that does not.
    let (config, split) = (config.map(ConfigName::new).transpose(), split.map(SplitName::new).transpose());
    let (Ok(config), Ok(split)) = (config, split) else { return Err(miss::not_found()) };
    let key = ArtifactKey { step, dataset, config, split };
    let read = || state.services.store.views.read(&key, revision.as_ref(), state.settings.patience_seconds);
    let mut found = read().await?;
    if let Some(incomplete) = found.as_ref().filter(|found| miss::is_incomplete(found)) {
        if miss::is_settling(state, incomplete).await? {
            return Err(miss::not_ready().at(&incomplete.revision));
        }
        // Its last part may have come between the two looks.
        found = read().await?;
    }
    match found {
        Some(found) if endpoint.path == croissant::PATH && croissant::is_short(params) => {
            let content = croissant::shorten(found.stored.view.content.as_str());
            Ok(serve::form(state, &found, headers, &content, "-short"))
        }
        Some(found) => Ok(match page.filter(|_| found.stored.view.outcome.is_ok()) {
            Some(page) => serve::form(state, &found, headers, &page.cut(&found.stored.view.content), &page.tag()),
            None => serve::view(state, &found, headers),
        }),
        None => Err(miss::decide(state, &key, revision.as_ref()).await?),
    }
}

impl Endpoint {
    /// Whether this server runs its steps.
    pub(crate) fn is_on(&self, graph: &Graph) -> bool {
        let steps = [self.dataset, self.config, self.split];
        steps.into_iter().flatten().all(|step| graph.step(&StepName::known(step)).is_some())
    }

    /// The parameters of the least specific level are missing.
    fn missing(&self) -> ApiError {
        match (self.dataset, self.config) {
            (Some(_), _) => missing(&["dataset"]),
            (None, Some(_)) => missing(&["dataset", "config"]),
            (None, None) => missing(&["dataset", "config", "split"]),
        }
    }
}
