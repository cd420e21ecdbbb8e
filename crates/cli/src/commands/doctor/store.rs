//! The database: is it there?

use super::Finding;
use crate::config::Config;

const CHECK: &str = "store";

pub(super) async fn examine(config: &Config) -> Finding {
    let url = config.store_url();
    match url.sqlite_path() {
        Some(path) if !path.exists() => Finding::ok(CHECK, format!("{url} will be made at the first start")),
        Some(path) => match std::fs::File::open(path) {
            Ok(_) => Finding::ok(CHECK, format!("{url} is there")),
            Err(error) => Finding::problem(CHECK, format!("{url} cannot be read: {error}"), "change its permissions"),
        },
        None => Finding::ok(CHECK, format!("{url} is named")),
    }
}
