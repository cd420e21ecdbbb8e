//! The database: is it there, may it be used, has another process got it?
//!
//! Opening an existing database brings its schema up to date, as every command does. None is made.

use std::time::Duration;

use super::{Finding, Status};
use crate::config::Config;
use crate::exit;
use crate::open;

const CHECK: &str = "store";

/// An address that does not answer for so long will not.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn examine(config: &Config) -> Finding {
    let url = config.store_url();
    if url.sqlite_path().is_some_and(|path| !path.exists()) {
        return Finding::ok(CHECK, format!("{url} will be made at the first start"));
    }
    match tokio::time::timeout(PATIENCE, open::store(config)).await {
        Ok(Ok(_)) => Finding::ok(CHECK, format!("{url} can be used")),
        Ok(Err(error)) => {
            let message = error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ");
            Finding { check: CHECK, status: Status::Problem, message, hint: exit::hint(&error) }
        }
        Err(_) => Finding::problem(
            CHECK,
            format!("{url} did not answer within {} seconds", PATIENCE.as_secs()),
            "check the address in `STORE_URL`, and that no firewall is in between",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Role;

    #[tokio::test]
    async fn a_store_is_not_made_but_examined_when_it_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::defaults(Role::Serve);
        config.serve.state = directory.path().to_owned();
        assert_eq!(examine(&config).await.status, Status::Ok);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "nothing was made");

        let owner = open::store(&config).await.unwrap();
        let finding = examine(&config).await;
        assert_eq!(finding.status, Status::Problem);
        assert!(
            finding.message.contains(&format!("in use by another process (pid {})", std::process::id())),
            "{finding:?}"
        );
        drop(owner);
    }
}
