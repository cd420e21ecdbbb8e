//! Variables of the reference that are no settings here, each with its reason.

use super::Described::{self, Worker2022, Worker2023};

/// A variable that is no setting.
#[derive(Debug)]
pub struct Retired {
    /// Its name.
    pub variable: &'static str,
    /// What happens when it is set.
    pub fate: RetiredFate,
    /// The descriptions that name it.
    pub described: &'static [Described],
}

/// What happens when a variable that is no setting is set.
#[derive(Clone, Copy, Debug)]
pub enum RetiredFate {
    /// One line in the log with the reason.
    NoEffect(&'static str),
    /// Nothing, since other programs use the variable, too. Holds the reason.
    Ambient(&'static str),
    /// The start is refused. Holds what to do instead.
    Refused(&'static str),
}

impl RetiredFate {
    /// The reason, or what to do instead.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NoEffect(reason) | Self::Ambient(reason) | Self::Refused(reason) => reason,
        }
    }
}

use RetiredFate::{Ambient, NoEffect, Refused};

/// What to do instead of naming a MongoDB server.
const NO_MONGO: &str = "queue and results are kept in SQLite or PostgreSQL, not in MongoDB; unset it, and set \
                        `STORE_URL` to `postgres://USER:PASSWORD@HOST/DATABASE`, or leave that unset, too, for a SQLite \
                        file in the state directory";
const ONE_DATABASE: &str = "one database holds both queue and results, and `STORE_URL` names it";
const NO_PYTHON: &str = "it is a cache of Python libraries, and no Python runs here";
const ONE_SERVER: &str = "one server answers all routes; `API_UVICORN_*` is for all of them";
const NO_BOT: &str = "this program opens no discussions on the Hub";
const NO_INDEX_CACHE: &str = "indexes are made by jobs and kept with their views; no request keeps a copy";
const NO_SWEEP: &str = "every job removes its own scratch directory";

const fn row(variable: &'static str, fate: RetiredFate) -> Retired {
    Retired { variable, fate, described: &[] }
}

const fn described(variable: &'static str, fate: RetiredFate, described: &'static [Described]) -> Retired {
    Retired { variable, fate, described }
}

/// All of them.
pub static RETIRED: &[Retired] = &[
    described("MONGO_URL", Refused(NO_MONGO), &[Worker2022]),
    row("CACHE_MONGO_URL", Refused(NO_MONGO)),
    row("QUEUE_MONGO_URL", Refused(NO_MONGO)),
    row("DATABASE_MIGRATIONS_MONGO_URL", Refused(NO_MONGO)),
    described("MONGO_CACHE_DATABASE", NoEffect(ONE_DATABASE), &[Worker2022]),
    described("MONGO_QUEUE_DATABASE", NoEffect(ONE_DATABASE), &[Worker2022]),
    row("CACHE_MONGO_DATABASE", NoEffect(ONE_DATABASE)),
    row("QUEUE_MONGO_DATABASE", NoEffect(ONE_DATABASE)),
    row("DATABASE_MIGRATIONS_MONGO_DATABASE", NoEffect(ONE_DATABASE)),
    row("MONGO_PORT", NoEffect(ONE_DATABASE)),
    row("MONGO_REPLICASET", NoEffect(ONE_DATABASE)),
    described(
        "DATASETS_REVISION",
        NoEffect("it chose the branch of dataset scripts, and scripts are never run here"),
        &[Worker2022],
    ),
    described("HF_MODULES_CACHE", NoEffect(NO_PYTHON), &[Worker2022, Worker2023]),
    described("NUMBA_CACHE_DIR", NoEffect(NO_PYTHON), &[Worker2022, Worker2023]),
    row("HF_HOME", Ambient(NO_PYTHON)),
    described(
        "PARQUET_AND_INFO_MAX_EXTERNAL_DATA_FILES",
        NoEffect("it limited the downloads of dataset scripts, and scripts are never run here"),
        &[Worker2023],
    ),
    row("QUEUE_MAX_JOBS_PER_NAMESPACE", NoEffect("workers choose fairly between namespaces without a limit")),
    row("WORKER_STATE_FILE_PATH", NoEffect("jobs report to their worker over a pipe")),
    row("WORKER_NUM_JOBS_BETWEEN_HFFS_CACHE_CLEAR", NoEffect("listings of files are not cached between jobs")),
    row("WORKER_UVICORN_NUM_WORKERS", NoEffect("one thread answers the two routes of a worker")),
    row("CACHE_MAINTENANCE_ACTION", NoEffect("maintenance runs inside the server")),
    row("DISCUSSIONS_BOT_ASSOCIATED_USER_NAME", NoEffect(NO_BOT)),
    row("DISCUSSIONS_BOT_TOKEN", NoEffect(NO_BOT)),
    row("DISCUSSIONS_PARQUET_REVISION", NoEffect(NO_BOT)),
    row("DUCKDB_INDEX_CACHE_CLEAN_CACHE_PROBA", NoEffect(NO_INDEX_CACHE)),
    row("DUCKDB_INDEX_CACHE_EXPIRED_TIME_INTERVAL_SECONDS", NoEffect(NO_INDEX_CACHE)),
    row("DIRECTORY_CLEANING_CACHE_DIRECTORY", NoEffect(NO_SWEEP)),
    row("DIRECTORY_CLEANING_SUBFOLDER_PATTERN", NoEffect(NO_SWEEP)),
    row("DIRECTORY_CLEANING_EXPIRED_TIME_INTERVAL_SECONDS", NoEffect(NO_SWEEP)),
    row("ROWS_UVICORN_HOSTNAME", NoEffect(ONE_SERVER)),
    row("ROWS_UVICORN_NUM_WORKERS", NoEffect(ONE_SERVER)),
    row("ROWS_UVICORN_PORT", NoEffect(ONE_SERVER)),
    row("SEARCH_UVICORN_HOSTNAME", NoEffect(ONE_SERVER)),
    row("SEARCH_UVICORN_NUM_WORKERS", NoEffect(ONE_SERVER)),
    row("SEARCH_UVICORN_PORT", NoEffect(ONE_SERVER)),
    row("SSE_API_UVICORN_HOSTNAME", NoEffect(ONE_SERVER)),
    row("SSE_API_UVICORN_NUM_WORKERS", NoEffect(ONE_SERVER)),
    row("SSE_API_UVICORN_PORT", NoEffect(ONE_SERVER)),
    row("WEBHOOK_UVICORN_HOSTNAME", NoEffect(ONE_SERVER)),
    row("WEBHOOK_UVICORN_NUM_WORKERS", NoEffect(ONE_SERVER)),
    row("WEBHOOK_UVICORN_PORT", NoEffect(ONE_SERVER)),
    row("STORAGE_DIRECTORY", Ambient("`SERVE_STATE` names the directory for everything that is kept")),
    row("HOST", Ambient("`API_UVICORN_HOSTNAME` names the address to listen on")),
    row("PORT", Ambient("`API_UVICORN_PORT` names the port to listen on")),
    row("OPENAPI_FILE", Ambient("the description of the API is part of the program")),
    row("URL_ADMIN", Ambient(ONE_SERVER)),
    row("URL_API", Ambient(ONE_SERVER)),
    row("URL_ROWS", Ambient(ONE_SERVER)),
    row("URL_SEARCH", Ambient(ONE_SERVER)),
    row("URL_SSE_API", Ambient(ONE_SERVER)),
    row("URL_WEBHOOK", Ambient(ONE_SERVER)),
];
