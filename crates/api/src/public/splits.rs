//! `/splits?search=&offset=&limit=`: some of many splits.

use belvedere_domain::view::{DigestBuilder, Json};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::ApiError;
use crate::params::Params;
use crate::state::ApiState;

/// The path.
pub(crate) const PATH: &str = "/splits";

/// What is asked for.
pub(crate) struct Page {
    /// In lower case; a split whose name or whose config's name has it is listed.
    search: Option<String>,
    offset: u64,
    /// `None`: all.
    limit: Option<u64>,
}

/// The content, of a dataset or of a config.
#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    splits: Vec<&'a RawValue>,
    #[serde(borrow)]
    pending: Option<&'a RawValue>,
    #[serde(borrow)]
    failed: Option<&'a RawValue>,
}

/// The names that are looked at.
#[derive(Deserialize)]
struct Names {
    config: String,
    split: String,
}

#[derive(Serialize)]
struct Answer<'a> {
    splits: &'a [&'a RawValue],
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<&'a RawValue>,
    /// Splits that were found, on whichever page.
    num_splits_total: usize,
}

impl Page {
    /// What a request asks for; `None`: the whole list, which is all that the reference knows.
    ///
    /// # Errors
    /// For what is no number.
    pub(crate) fn of(state: &ApiState, params: &Params) -> Result<Option<Self>, ApiError> {
        if state.settings.compat {
            return Ok(None);
        }
        let search = params.get("search").map(str::to_lowercase);
        let offset = params.offset()?;
        let limit = params.get("limit").map(|_| params.number("limit", 0)).transpose()?;
        let is_some = search.is_some() || offset > 0 || limit.is_some();
        Ok(is_some.then_some(Self { search, offset, limit }))
    }

    /// Tells pages of one list apart.
    pub(crate) fn tag(&self) -> String {
        let search =
            DigestBuilder::new("splits", 1).part("search", self.search.as_deref().unwrap_or_default()).finish();
        let limit = self.limit.map_or_else(|| "all".to_owned(), |limit| limit.to_string());
        format!("-{}-{limit}-{}", self.offset, &search.to_hex()[..16])
    }

    /// The splits asked for, out of a stored list. A list of another shape stays as it is.
    pub(crate) fn cut(&self, content: &Json) -> String {
        let Ok(found) = content.parse::<Content<'_>>() else { return content.as_str().to_owned() };
        let is_wanted = |item: &&RawValue| {
            let Some(search) = &self.search else { return true };
            serde_json::from_str::<Names>(item.get())
                .is_ok_and(|names| [names.config, names.split].iter().any(|name| name.to_lowercase().contains(search)))
        };
        let all: Vec<&RawValue> = found.splits.into_iter().filter(is_wanted).collect();
        let bounded = |number: u64| usize::try_from(number).unwrap_or(usize::MAX).min(all.len());
        let start = bounded(self.offset);
        let end = self.limit.map_or(all.len(), |limit| bounded(self.offset.saturating_add(limit)));
        let answer = Answer {
            splits: &all[start..end],
            pending: found.pending,
            failed: found.failed,
            num_splits_total: all.len(),
        };
        serde_json::to_string(&answer).expect("the parts are JSON already")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(search: Option<&str>, offset: u64, limit: Option<u64>) -> String {
        let content = Json::from_text(
            r#"{"splits":[{"dataset":"d","config":"de","split":"train"},{"dataset":"d","config":"de","split":"test"},{"dataset":"d","config":"EN","split":"train"}],"pending":[],"failed":[1]}"#,
        );
        Page { search: search.map(str::to_lowercase), offset, limit }.cut(&content)
    }

    #[test]
    fn pages_keep_what_is_said_beside_the_list() {
        insta::assert_snapshot!(cut(None, 1, Some(1)), @r#"{"splits":[{"dataset":"d","config":"de","split":"test"}],"pending":[],"failed":[1],"num_splits_total":3}"#);
        insta::assert_snapshot!(cut(Some("en"), 0, None), @r#"{"splits":[{"dataset":"d","config":"EN","split":"train"}],"pending":[],"failed":[1],"num_splits_total":1}"#);
        insta::assert_snapshot!(cut(Some("TRAIN"), 1, Some(u64::MAX)), @r#"{"splits":[{"dataset":"d","config":"EN","split":"train"}],"pending":[],"failed":[1],"num_splits_total":2}"#);
        insta::assert_snapshot!(cut(None, 7, None), @r#"{"splits":[],"pending":[],"failed":[1],"num_splits_total":3}"#);
    }
}
