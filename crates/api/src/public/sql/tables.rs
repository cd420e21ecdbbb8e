//! From the tables that a query names to the splits behind them.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::response::Response;
use belvedere_domain::{ArtifactKey, ErrorCode, Revision, StepName};
use belvedere_engine::call::{SqlName, SqlTable};
use belvedere_jobs::content::{DatasetSplitNames, SplitItem};

use super::Source;
use crate::auth::reading;
use crate::error::ApiError;
use crate::params::{self, invalid};
use crate::public::split::{self, Opened, RowsIndex, Split};
use crate::public::{miss, serve};
use crate::state::ApiState;

/// The table that stands for the split of the request.
const ALIAS: &str = "data";
/// Tables of one query.
const MAX_TABLES: usize = 20;
/// Splits named to somebody who has to choose.
const SHOWN: usize = 10;

/// A split under the name that a query uses.
pub(super) struct Table {
    name: SqlName,
    /// The split.
    pub(super) split: Split,
    index: Arc<RowsIndex>,
}

/// What the names of a query lead to.
pub(super) enum Found {
    /// Splits whose files are known.
    Tables(Vec<Table>),
    /// The stored error of one of them.
    Stored(Response),
}

impl Table {
    /// What the engine needs of it.
    pub(super) fn for_engine(&self) -> SqlTable {
        let index = &self.index;
        SqlTable { name: self.name.clone(), files: index.files.files.clone(), features: index.features.clone() }
    }

    /// What is told of it.
    pub(super) fn source(&self) -> Source<'_> {
        let key = &self.split.found.key;
        Source {
            dataset: key.dataset.as_str(),
            config: key.config.as_ref().map_or("", |config| config.as_str()),
            split: self.split.name.as_str(),
            revision: self.split.revision().as_str(),
            partial: self.index.files.partial,
        }
    }
}

/// Finds the splits. `alias` has dataset, config and split of the request; `revision` is that of tables which name none
/// themselves, and these have to be of one dataset then.
///
/// # Errors
/// For a name that may mean several splits, with those it may mean; for one that means none; that a split is not there or
/// not ready; that a revision is not kept.
pub(super) async fn find(
    state: &ApiState,
    names: Vec<SqlName>,
    alias: [Option<String>; 3],
    revision: Option<&Revision>,
    headers: &HeaderMap,
) -> Result<Found, ApiError> {
    if names.is_empty() {
        return Err(invalid("the query names no table".to_owned()));
    }
    if names.len() > MAX_TABLES {
        return Err(invalid(format!("the query names {} tables; {MAX_TABLES} are allowed", names.len())));
    }
    let mut wanted = names.iter().map(|name| Wanted::of(name, &alias)).collect::<Result<Vec<_>, _>>()?;
    if let Some(revision) = revision {
        let mut open: Vec<&mut Wanted> = wanted.iter_mut().filter(|table| table.revision.is_none()).collect();
        if let Some(other) = open.iter().find(|table| table.dataset != open[0].dataset) {
            let text = format!(
                "'revision' is one of one dataset, and the query names {} and {}; name each table's own: \
                 \"dataset@revision\".\"config\".\"split\"",
                quote(&open[0].dataset),
                quote(&other.dataset)
            );
            return Err(invalid(text));
        }
        open.iter_mut().for_each(|table| table.revision = Some(revision.clone()));
    }
    let mut tables = Vec::with_capacity(names.len());
    for (name, wanted) in names.into_iter().zip(wanted) {
        let revision = wanted.revision.clone();
        let (dataset, config, split) = match wanted.complete(state, headers).await? {
            Complete::Names(names) => names,
            Complete::Stored(response) => return Ok(Found::Stored(response)),
        };
        match split::find(state, (&dataset, &config, &split), revision.as_ref(), headers).await? {
            Opened::Split(split) => {
                let index = split.index(state).await?;
                tables.push(Table { name, split, index });
            }
            Opened::Stored(response) => return Ok(Found::Stored(response)),
        }
    }
    Ok(Found::Tables(tables))
}

/// What a name says of a split.
struct Wanted {
    dataset: String,
    config: Option<String>,
    split: Option<String>,
    /// `None`: the one that is served.
    revision: Option<Revision>,
}

enum Complete {
    Names((String, String, String)),
    Stored(Response),
}

impl Wanted {
    fn of(name: &SqlName, alias: &[Option<String>; 3]) -> Result<Self, ApiError> {
        let (dataset, config, split) = match (name.0.as_slice(), alias) {
            ([table], [Some(dataset), config, split]) if table == ALIAS => (dataset, config.as_ref(), split.as_ref()),
            ([dataset], _) => (dataset, None, None),
            ([dataset, split], _) => (dataset, None, Some(split)),
            ([dataset, config, split], _) => (dataset, Some(config), Some(split)),
            _ => return Err(invalid("a table is named by one to three parts".to_owned())),
        };
        // No name of a dataset holds an `@`.
        let (dataset, revision) = match dataset.split_once('@') {
            Some((dataset, revision)) => (dataset, Some(params::revision(revision)?)),
            None => (dataset.as_str(), None),
        };
        Ok(Self { dataset: dataset.to_owned(), config: config.cloned(), split: split.cloned(), revision })
    }

    /// The one split that is meant.
    async fn complete(self, state: &ApiState, headers: &HeaderMap) -> Result<Complete, ApiError> {
        let dataset = reading::readable(state, &self.dataset, headers).await.map_err(|_| self.no_dataset())?;
        let key = ArtifactKey::dataset(StepName::known("dataset-split-names"), dataset);
        let revision = self.revision.as_ref();
        let found = state.services.store.views.read(&key, revision, state.settings.patience_seconds).await?;
        let Some(found) = found else { return Err(miss::decide(state, &key, revision).await?) };
        if !found.stored.view.outcome.is_ok() {
            return Ok(Complete::Stored(serve::view(state, &found, headers)));
        }
        let splits: DatasetSplitNames =
            serde_json::from_str(found.stored.view.content.as_str()).map_err(|error| ApiError::internal(&error))?;
        let fits = |item: &&SplitItem| {
            self.config.as_deref().is_none_or(|config| item.config.as_str() == config)
                && self.split.as_deref().is_none_or(|split| item.split.as_str() == split)
        };
        let fitting: Vec<&SplitItem> = splits.splits.iter().filter(fits).collect();
        let names = |items: &[&SplitItem]| {
            let mut names: Vec<String> = items.iter().take(SHOWN).map(|item| quoted(item)).collect();
            if items.len() > SHOWN {
                names.push(format!("and {} more", items.len() - SHOWN));
            }
            names.join(", ")
        };
        match fitting.as_slice() {
            [item] => Ok(Complete::Names((self.dataset, item.config.to_string(), item.split.to_string()))),
            [] if !splits.pending.is_empty() => Err(miss::not_ready()),
            [] => {
                let all: Vec<&SplitItem> = splits.splits.iter().collect();
                let text = format!("There is no table {self}; there are {}.", names(&all));
                Err(ApiError::new(ErrorCode::ResponseNotFound, text))
            }
            several => Err(invalid(format!("{self} may be one of several splits; name one: {}", names(several)))),
        }
    }

    fn no_dataset(&self) -> ApiError {
        let text = format!("There is no table {self}: a table is named \"dataset\".\"config\".\"split\".");
        ApiError::new(ErrorCode::ResponseNotFound, text)
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", quote(&self.dataset))?;
        [&self.config, &self.split].into_iter().flatten().try_for_each(|part| write!(f, ".{}", quote(part)))
    }
}

fn quoted(item: &SplitItem) -> String {
    [item.dataset.as_str(), item.config.as_str(), item.split.as_str()].map(quote).join(".")
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
