//! Opens what the configuration names, with words for users when that fails.

use belvedere_store::{Store, StoreError};

use crate::config::Config;
use crate::exit::Advice;

/// Opens the store and brings its schema up to date. A SQLite file is made when missing.
///
/// # Errors
///
/// [`Advice`] on top of what the store says.
pub async fn store(config: &Config) -> anyhow::Result<Store> {
    let url = config.store_url();
    Store::connect(url.expose()).await.map_err(|error| {
        let message = format!("the store {url} cannot be opened");
        let hint = hint(&error);
        match error {
            // It repeats the URL as it is, maybe with a password.
            StoreError::Url(_) => Advice::usage(message, hint).into(),
            error => anyhow::Error::new(error).context(Advice::environment(message, hint)),
        }
    })
}

fn hint(error: &StoreError) -> &'static str {
    match error {
        StoreError::InUse { .. } => "stop the other process, or name another place with `--state` or `STORE_URL`",
        StoreError::Unavailable(_) => "start the database, or check the address in `STORE_URL`",
        StoreError::Url(_) => "set `STORE_URL` to `sqlite:PATH` or `postgres://USER@HOST/DATABASE`",
        StoreError::NewerSchema { .. } => "install that version here, too, or name another database with `STORE_URL`",
        StoreError::Full(_) => "free some space on the disk of the database",
        StoreError::Damaged { .. } => {
            "put a copy of it back, or move it away together with the files beside it whose names begin with its own: \
             everything is made again from the data then"
        }
        StoreError::Database { .. }
        | StoreError::Corrupt(_)
        | StoreError::ViewGone(_)
        | StoreError::Blob { .. }
        | StoreError::BlobsAway { .. } => {
            "make sure that it is a database of Belvedere, that this user may write to it, and that the disk has space"
        }
    }
}
