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
        for (path, protocol) in [
            ("assets.storage_protocol", self.assets.storage_protocol),
            ("cached_assets.storage_protocol", self.cached_assets.storage_protocol),
        ] {
            if protocol == StorageProtocol::S3 {
                reader.refuse(path, "is `s3`, but storage in S3 is not part of this version; use `file`");
            }
        }
        for (path, template, wanted) in [
            ("api.hf_auth_path", &self.api.hf_auth_path, 1),
            ("parquet_and_info.url_template", &self.parquet_and_info.url_template, 3),
            ("duckdb_index.url_template", &self.duckdb_index.url_template, 3),
        ] {
            let found = template.matches("%s").count();
            if found != wanted {
                reader.refuse(path, &format!("is `{template}`, holds {found} of {wanted} `%s`"));
            }
        }
        for (path, url) in [
            ("serve.public_url", &self.serve.public_url),
            ("common.hf_endpoint", &self.common.hf_endpoint),
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
}
