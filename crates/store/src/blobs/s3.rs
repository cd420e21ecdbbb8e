//! S3 and what speaks its language, as a place for blobs.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};

use crate::StoreError;

/// How long one request may take, its body of at most some MiB included.
const REQUEST: Duration = Duration::from_secs(60);
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How often, and how long, a request that failed for a passing reason is repeated.
const RETRIES: usize = 4;
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the bucket is and who we are there.
#[derive(Clone)]
pub struct S3 {
    /// Name of the bucket.
    pub bucket: String,
    /// What all keys begin with; empty for none.
    pub prefix: String,
    /// Region of the bucket.
    pub region: String,
    /// Address of the server; `None` for that of Amazon.
    pub endpoint: Option<String>,
    /// The bucket is part of the path (`https://server/bucket/…`), not of the name of the server.
    pub path_style: bool,
    /// Who we are.
    pub identity: S3Identity,
}

/// Who we are to S3.
#[derive(Clone)]
pub enum S3Identity {
    /// An access key and its secret.
    Keys {
        /// Name of the key.
        id: String,
        /// The secret.
        secret: String,
    },
    /// The role of the pod, proven by a token in a file.
    Role {
        /// The role.
        arn: String,
        /// The file, read again whenever the credentials run out.
        token_file: PathBuf,
    },
}

impl S3 {
    /// Splits `bucket/prefix`; `None` when there is no bucket in it.
    pub fn split(place: &str) -> Option<(String, String)> {
        let (bucket, prefix) = place.trim_matches('/').split_once('/').unwrap_or((place.trim_matches('/'), ""));
        let legal = !bucket.is_empty()
            && bucket.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte));
        (legal && !place.starts_with('/')).then(|| (bucket.to_owned(), prefix.to_owned()))
    }

    pub(super) fn client(&self) -> Result<AmazonS3, StoreError> {
        let options = ClientOptions::new()
            .with_timeout(REQUEST)
            .with_connect_timeout(CONNECT)
            .with_allow_http(self.endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://")));
        let retry = RetryConfig { backoff: BackoffConfig::default(), max_retries: RETRIES, retry_timeout: PATIENCE };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&self.bucket)
            .with_region(&self.region)
            .with_virtual_hosted_style_request(!self.path_style)
            .with_client_options(options)
            .with_retry(retry);
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
        }
        builder = match &self.identity {
            S3Identity::Keys { id, secret } => builder.with_access_key_id(id).with_secret_access_key(secret),
            S3Identity::Role { arn, token_file } => builder
                .with_config(AmazonS3ConfigKey::RoleArn, arn)
                .with_config(AmazonS3ConfigKey::WebIdentityTokenFile, token_file.to_string_lossy()),
        };
        builder.build().map_err(|error| StoreError::Blob {
            what: "open",
            key: self.to_string(),
            source: Box::new(error),
        })
    }
}

impl fmt::Display for S3 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "s3://{}", self.bucket)?;
        if !self.prefix.is_empty() {
            write!(formatter, "/{}", self.prefix)?;
        }
        match &self.endpoint {
            Some(endpoint) => write!(formatter, " at {endpoint}"),
            None => Ok(()),
        }
    }
}

/// Keys stay out of logs.
impl fmt::Debug for S3 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Keys stay out of logs.
impl fmt::Debug for S3Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keys { .. } => formatter.write_str("Keys"),
            Self::Role { arn, .. } => write!(formatter, "Role({arn})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_bucket_and_maybe_a_prefix() {
        let pair = |bucket: &str, prefix: &str| Some((bucket.to_owned(), prefix.to_owned()));
        assert_eq!(S3::split("viewer"), pair("viewer", ""));
        assert_eq!(S3::split("viewer/"), pair("viewer", ""));
        assert_eq!(S3::split("viewer/a/b/"), pair("viewer", "a/b"));
        for bad in ["", "/", "/viewer/a", "Viewer", "view er/a", "s3:"] {
            assert_eq!(S3::split(bad), None, "{bad}");
        }
    }

    #[test]
    fn keys_are_never_shown() {
        let identity = S3Identity::Keys { id: "AKIDNAME".into(), secret: "do-not-show".into() };
        let s3 = S3 {
            bucket: "viewer".into(),
            prefix: "a".into(),
            region: "r".into(),
            endpoint: Some("http://127.0.0.1:1".into()),
            path_style: true,
            identity,
        };
        let blobs = crate::Blobs::s3(&s3).unwrap();
        let shown = format!("{s3} {s3:?} {:?} {blobs:?}", s3.identity);
        assert!(!shown.contains("AKIDNAME") && !shown.contains("do-not-show"), "{shown}");
    }
}
