//! `/schema`: the columns of a config in the words of other programs.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use belvedere_domain::{ArtifactKey, ConfigName, Features, StepName};
use belvedere_engine::schema;
use belvedere_jobs::content::ConfigInfo;
use serde_json::{Value as JsonValue, json};

use super::{miss, serve};
use crate::auth::reading;
use crate::error::ApiError;
use crate::params::{Params, invalid};
use crate::state::ApiState;

/// A form of the answer.
struct Form {
    name: &'static str,
    media_type: &'static str,
    write: fn(&Features) -> JsonValue,
}

/// Names of `format`; the first is what comes when nothing is said.
const FORMS: [Form; 3] = [
    Form {
        name: "simple",
        media_type: "application/json",
        write: |features| json!({"columns": schema::simple(features)}),
    },
    Form { name: "json-schema", media_type: "application/schema+json", write: schema::json_schema },
    Form { name: "arrow", media_type: "application/json", write: schema::arrow_json },
];

/// What `format` may be.
pub(crate) fn names() -> Vec<&'static str> {
    FORMS.iter().map(|form| form.name).collect()
}

/// The handler.
pub(crate) async fn get(
    State(state): State<Arc<ApiState>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let short = state.settings.max_age_short;
    answer(&state, &Params::parse(query.as_deref()), &headers).await.map_err(|error| error.keep(short))
}

async fn answer(state: &ApiState, params: &Params, headers: &HeaderMap) -> Result<Response, ApiError> {
    params.require(&["dataset", "config"])?;
    let form = form(params.get("format"), headers)?;
    let revision = params.revision()?;
    let dataset = reading::readable(state, params.required("dataset")?, headers).await?;
    let Ok(config) = ConfigName::new(params.required("config")?) else { return Err(miss::not_found()) };
    let key = ArtifactKey::config(StepName::known("config-info"), dataset, config);
    let found = state.services.store.views.read(&key, revision.as_ref(), state.settings.patience_seconds).await?;
    let Some(found) = found else { return Err(miss::decide(state, &key, revision.as_ref()).await?) };
    if !found.stored.view.outcome.is_ok() {
        return Ok(serve::view(state, &found, headers));
    }
    let content: ConfigInfo = found.stored.view.content.parse().map_err(|error| ApiError::internal(&error))?;
    let Some(features) = content.dataset_info.known_features() else { return Err(miss::not_found()) };
    let mut response = serve::form(state, &found, headers, &(form.write)(&features).to_string(), form.name);
    let headers = response.headers_mut();
    if headers.contains_key(header::CONTENT_TYPE) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(form.media_type));
    }
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    Ok(response)
}

/// The form of this name; without one, that of the media type which only one form has.
fn form(name: Option<&str>, headers: &HeaderMap) -> Result<&'static Form, ApiError> {
    let Some(name) = name else {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let wanted =
            FORMS.iter().find(|form| form.media_type != "application/json" && accept.contains(form.media_type));
        return Ok(wanted.unwrap_or(&FORMS[0]));
    };
    let found = FORMS.iter().find(|form| form.name.eq_ignore_ascii_case(name.trim()));
    found.ok_or_else(|| invalid(format!("Parameter 'format' must be one of {}", names().join(", "))))
}
