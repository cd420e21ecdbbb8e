//! Access to storage of others.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::Fate::{Later, Read};
use crate::config::table::section;
use crate::config::types::Secret;

section! {
    /// Who we are in S3, or in what speaks its language, and where that is.
    S3 = "s3" {
        /// Name of the access key.
        access_key_id: Option<Secret> = "" { fate: Read("every part"), secret_files: &["AWS_ACCESS_KEY_ID"] },
        /// The access key.
        secret_access_key: Option<Secret> = "" { fate: Read("every part"), secret_files: &["AWS_SECRET_ACCESS_KEY"] },
        /// Region of the buckets.
        region_name: String = "us-east-1" { fate: Read("every part") },
        /// Use the role of the pod; keys are ignored.
        use_irsa: bool = "false" { fate: Read("every part") },
        /// The role of the pod, as the platform sets it.
        role_arn: Option<String> = "" { named: Some("AWS_ROLE_ARN"), fate: Read("every part") },
        /// The file with the token that proves the role, as the platform sets it.
        web_identity_token_file: Option<PathBuf> = "" {
            named: Some("AWS_WEB_IDENTITY_TOKEN_FILE"),
            fate: Read("every part"),
        },
        /// URL of the server. Unset: that of Amazon for the region.
        endpoint_url: Option<String> = "" { fate: Read("every part") },
        /// The bucket is part of the path of URLs instead of the name of the server. Unset: where there is an
        /// `s3.endpoint_url`.
        path_style: Option<bool> = "" { fate: Read("every part") },
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
