//! Rules that bind several settings together, or that a type does not tell.

use super::Config;
use super::reader::Reader;
use super::types::StorageProtocol;

impl Config {
    /// Tells the reader about every value that is legal in itself but not here.
    pub(super) fn validate(&self, reader: &mut Reader<'_>) {
        let first_rows = &self.first_rows;
        if first_rows.min_number > first_rows.max_number {
            let reason = format!(
                "is {}, must be at most `first_rows.max_number`, {}",
                first_rows.min_number, first_rows.max_number
            );
            reader.refuse("first_rows.min_number", &reason);
        }
        if let (Some(min), Some(max)) = (self.worker.difficulty_min, self.worker.difficulty_max)
            && min > max
        {
            reader
                .refuse("worker.difficulty_min", &format!("is {min}, must be at most `worker.difficulty_max`, {max}"));
        }
        if self.secrets.poll_interval_seconds > self.secrets.timeout_seconds {
            reader.refuse("secrets.poll_interval_seconds", "is longer than `secrets.timeout_seconds`");
        }
        self.validate_buckets(reader);
        for (path, template, wanted) in [
            ("parquet_and_info.url_template", &self.parquet_and_info.url_template, 3),
            ("duckdb_index.url_template", &self.duckdb_index.url_template, 3),
        ] {
            let found = template.matches("%s").count();
            if found != wanted {
                reader.refuse(path, &format!("is `{template}`, holds {found} of {wanted} `%s`"));
            }
        }
        if let Some(template) = &self.api.hf_auth_path
            && template.matches("%s").count() != 1
        {
            reader.refuse("api.hf_auth_path", &format!("is `{template}`, must hold one `%s` for the dataset"));
        }
        for (path, url) in [
            ("api.hf_jwt_public_key_url", &self.api.hf_jwt_public_key_url),
            ("serve.public_url", &self.serve.public_url),
            ("common.hf_endpoint", &self.common.hf_endpoint),
            ("s3.endpoint_url", &self.s3.endpoint_url),
            ("assets.base_url", &self.assets.base_url),
            ("cached_assets.base_url", &self.cached_assets.base_url),
        ] {
            if let Some(url) = url
                && !["http://", "https://"].iter().any(|scheme| url.len() > scheme.len() && url.starts_with(scheme))
            {
                reader.refuse(path, &format!("is `{url}`, must start with `http://` or `https://`"));
            }
        }
    }

    /// Places in S3 name a bucket, and need somebody to be there.
    fn validate_buckets(&self, reader: &mut Reader<'_>) {
        let mut user = None;
        if let Some(url) = &self.blobs.url
            && let Some((scheme, place)) = url.split_once("://")
        {
            match scheme {
                "s3" if belvedere_store::S3::split(place).is_some() => user = Some("blobs.url"),
                "s3" => {
                    let reason = format!("is `{url}`, must be `s3://BUCKET` or `s3://BUCKET/PREFIX`");
                    reader.refuse("blobs.url", &reason);
                }
                _ => reader.refuse("blobs.url", &format!("is `{url}`, must be a directory or begin with `s3://`")),
            }
        }
        if self.assets.storage_protocol == StorageProtocol::S3 {
            let root = self.assets.storage_root.as_deref();
            match root.and_then(belvedere_store::S3::split) {
                Some(_) => user = user.or(Some("assets.storage_protocol")),
                None => reader.refuse(
                    "assets.storage_protocol",
                    "is `s3`, which needs `assets.storage_root` to be `BUCKET` or `BUCKET/PREFIX`",
                ),
            }
        }
        let Some(user) = user else { return };
        let s3 = &self.s3;
        if s3.use_irsa {
            if s3.role_arn.is_none() || s3.web_identity_token_file.is_none() {
                let reason = "is on, but the platform has not set `AWS_ROLE_ARN` and `AWS_WEB_IDENTITY_TOKEN_FILE`";
                reader.refuse("s3.use_irsa", reason);
            }
        } else if s3.access_key_id.is_none() || s3.secret_access_key.is_none() {
            let reason = "needs `S3_ACCESS_KEY_ID` and `S3_SECRET_ACCESS_KEY`, or `S3_USE_IRSA`";
            reader.refuse(user, reason);
        }
    }
}
