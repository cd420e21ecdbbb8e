//! The remote Hub: does it answer, and does it take the tokens?

use std::error::Error as _;
use std::time::Duration;

use belvedere_hub::remote::{Greeting, HttpError, greet};

use super::Finding;
use crate::config::Config;
use crate::config::types::Secret;

const CHECK: &str = "remote Hub";

/// A Hub that does not answer for so long will not.
const PATIENCE: Duration = Duration::from_secs(15);

/// A token, what it is for, and where it is set.
struct Use<'c> {
    token: Option<&'c Secret>,
    setting: &'static str,
    writes: bool,
}

/// One finding for each token, or for none; nothing where no Hub is configured.
pub(super) async fn examine(config: &Config) -> Vec<Finding> {
    let Some(endpoint) = &config.common.hf_endpoint else { return Vec::new() };
    let read = Use { token: config.common.hf_token.as_ref(), setting: "COMMON_HF_TOKEN", writes: false };
    let writers = [
        (config.committer.hf_token.as_ref(), "COMMITTER_HF_TOKEN"),
        (config.duckdb_index.committer_hf_token.as_ref(), "DUCKDB_INDEX_COMMITTER_HF_TOKEN"),
    ];
    let writers = writers.into_iter().filter(|(token, _)| token.is_some());
    let writers = writers.map(|(token, setting)| Use { token, setting, writes: true });
    let mut findings = Vec::new();
    for used in std::iter::once(read).chain(writers) {
        let mut options = match crate::remote::client(config, used.token) {
            Ok(Some(options)) => options,
            Ok(None) => continue,
            Err(error) => {
                let hint = "set `COMMON_HF_ENDPOINT` to an address such as https://huggingface.co";
                return vec![Finding::problem(CHECK, format!("{error:#}"), hint)];
            }
        };
        options.timeout = options.timeout.min(PATIENCE);
        let has_token = options.token.is_some();
        match greet(options).await {
            Ok(greeting) => findings.push(accepted(endpoint, &used, &greeting)),
            Err(HttpError::Status { status: 401, .. }) if has_token => {
                let hint = format!("make another token there and set it in `{}`, or unset that", used.setting);
                findings.push(Finding::problem(CHECK, format!("{endpoint} does not know the token"), hint));
            }
            Err(error) => {
                // It is the same for every token.
                findings.push(out_of_reach(endpoint, &error));
                break;
            }
        }
    }
    findings
}

fn accepted(endpoint: &str, used: &Use<'_>, greeting: &Greeting) -> Finding {
    let Some(name) = &greeting.name else {
        return Finding::ok(CHECK, format!("{endpoint} answers; without a token, only what is public is read"));
    };
    if used.writes && greeting.role.as_deref() == Some("read") {
        let message = format!("{endpoint} takes the token of {name}, but it may only read: nothing will be committed");
        return Finding::problem(CHECK, message, format!("set one that may write in `{}`", used.setting));
    }
    let what = if used.writes { "commits" } else { "reads" };
    Finding::ok(CHECK, format!("{endpoint} answers and takes the token for {what}: it is {name}'s"))
}

fn out_of_reach(endpoint: &str, error: &HttpError) -> Finding {
    let because = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    match error {
        HttpError::Refused(_) => Finding::problem(
            CHECK,
            format!("{endpoint} is not called{because}"),
            "allow the address in `REMOTE_ALLOWED_ADDRESSES` if it is yours, or correct `COMMON_HF_ENDPOINT`",
        ),
        HttpError::NoAnswer(_) => Finding::problem(
            CHECK,
            format!("{endpoint} gives no answer{because}"),
            "check `COMMON_HF_ENDPOINT`, names and certificates, and whether this machine may call it without a proxy",
        ),
        HttpError::Status { status: 429 | 500..=599, .. } => Finding::warning(
            CHECK,
            format!("{endpoint}: {error}"),
            "try again later; what needs the Hub waits until then",
        ),
        HttpError::Status { .. } | HttpError::Unexpected(_) => Finding::problem(
            CHECK,
            format!("{endpoint} does not answer as a Hub does: {error}"),
            "set `COMMON_HF_ENDPOINT` to the address of a Hub, such as https://huggingface.co",
        ),
    }
}
