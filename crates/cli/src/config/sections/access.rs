//! Access to storage of others.

use std::time::Duration;

use crate::config::Fate::Later;
use crate::config::table::section;
use crate::config::types::Secret;

section! {
    /// Storage in S3.
    S3 = "s3" {
        /// Name of the access key.
        access_key_id: Option<Secret> = "" { fate: Later("storage in S3"), secret_files: &["AWS_ACCESS_KEY_ID"] },
        /// The access key.
        secret_access_key: Option<Secret> = "" {
            fate: Later("storage in S3"),
            secret_files: &["AWS_SECRET_ACCESS_KEY"],
        },
        /// Region of the buckets.
        region_name: String = "us-east-1" { fate: Later("storage in S3") },
        /// Use the role of the pod; keys are ignored.
        use_irsa: bool = "false" { fate: Later("storage in S3") },
    }
}

section! {
    /// Signed URLs of assets.
    Cloudfront = "cloudfront" {
        /// Name of the key pair; URLs are signed when both this and the key are set.
        key_pair_id: Option<Secret> = "" { fate: Later("signed URLs") },
        /// The RSA key, as PEM.
        private_key: Option<Secret> = "" { fate: Later("signed URLs") },
        /// How long a signed URL is good.
        expiration_seconds: Duration = "86400" { fate: Later("signed URLs"), min: Some(1.0) },
    }
}
