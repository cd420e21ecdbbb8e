//! Places in S3: are they there, may they be used?

use std::time::Duration;

use super::Finding;
use crate::blobs::buckets;
use crate::config::Config;

const CHECK: &str = "files in S3";

/// A server that does not answer for so long will not.
const PATIENCE: Duration = Duration::from_secs(15);
const HINT: &str = "check the bucket, `S3_ENDPOINT_URL`, `S3_REGION_NAME`, and the rights of the key";

/// One finding for each bucket; none where files are in directories.
pub(super) async fn examine(config: &Config) -> Vec<Finding> {
    let places = match buckets(config) {
        Ok(places) => places,
        Err(error) => return vec![Finding::problem(CHECK, format!("{error:#}"), HINT)],
    };
    let mut findings = Vec::new();
    for place in places {
        findings.push(match tokio::time::timeout(PATIENCE, place.check()).await {
            Ok(Ok(())) => Finding::ok(CHECK, format!("{} can be used", place.name())),
            Ok(Err(error)) => {
                Finding::problem(CHECK, format!("{}: {:#}", place.name(), anyhow::Error::new(error)), HINT)
            }
            Err(_) => {
                let message = format!("{} did not answer within {} seconds", place.name(), PATIENCE.as_secs());
                Finding::problem(CHECK, message, HINT)
            }
        });
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;
    use crate::config::{Role, Sources};

    #[tokio::test]
    async fn only_buckets_are_asked() {
        assert_eq!(examine(&Config::defaults(Role::Serve)).await.len(), 0);
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let endpoint = format!("http://{nobody}");
        let variables = [
            ("BLOBS_URL", "s3://viewer"),
            ("S3_ENDPOINT_URL", endpoint.as_str()),
            ("S3_ACCESS_KEY_ID", "id"),
            ("S3_SECRET_ACCESS_KEY", "do-not-show"),
        ];
        let environment = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let sources = Sources { environment: environment.into_iter().collect(), ..Sources::default() };
        let findings = examine(&Config::load(&sources).unwrap().config).await;
        assert_eq!((findings.len(), findings[0].status), (1, Status::Problem));
        assert!(!format!("{findings:?}").contains("do-not-show"));
    }
}
