//! The places of files behind results, as the configuration names them.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use belvedere_api::Delivery;
use belvedere_store::{BlobCache, Blobs, S3, S3Identity, StoreError};

use crate::config::Config;
use crate::config::types::{BlobDelivery, StorageProtocol};
use crate::exit::Advice;

/// The places.
#[derive(Debug)]
pub struct Places {
    /// Of all files.
    pub blobs: Blobs,
    /// Of media that jobs make, where these have a place of their own.
    pub assets: Option<Blobs>,
}

impl Places {
    /// Opens them and asks those that are not folders whether we may use them. One that is away may come back.
    ///
    /// # Errors
    /// With a hint, when a folder cannot be made, or a bucket is not there or not ours.
    pub async fn open(config: &Config) -> anyhow::Result<Self> {
        let places = Self::named(config)?;
        for place in std::iter::once(&places.blobs).chain(&places.assets) {
            match place.check().await {
                Ok(()) => {}
                Err(error @ StoreError::BlobsAway { .. }) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "{} is away", place.name());
                }
                Err(error) => {
                    let message = format!("{} cannot be used", place.name());
                    let hint = "check the bucket, `S3_ENDPOINT_URL`, `S3_REGION_NAME`, and the rights of the key";
                    return Err(anyhow::Error::new(error).context(Advice::environment(message, hint)));
                }
            }
        }
        Ok(places)
    }

    /// The places, without asking them anything.
    ///
    /// # Errors
    /// With a hint, when a folder cannot be made or settings make no sense.
    pub fn named(config: &Config) -> anyhow::Result<Self> {
        let mut cache = None;
        let mut distant = |place: &str| -> anyhow::Result<Blobs> {
            let settings = s3(config, place)?;
            let blobs = Blobs::s3(&settings).with_context(|| format!("{settings} cannot be used"))?;
            if cache.is_none() {
                cache = Some(open_cache(config)?);
            }
            Ok(cache.iter().fold(blobs, |blobs, cache| blobs.with_cache(cache.clone())))
        };
        let blobs = match config.blobs.url.as_deref().and_then(|url| url.strip_prefix("s3://")) {
            Some(place) => distant(place)?,
            None => folder(&config.paths().blobs, "BLOBS_URL")?,
        };
        let assets = match (config.assets.storage_protocol, &config.assets.storage_root) {
            (_, None) => None,
            (StorageProtocol::File, Some(root)) => Some(folder(Path::new(root), "ASSETS_STORAGE_ROOT")?),
            (StorageProtocol::S3, Some(root)) => Some(distant(root)?),
        };
        Ok(Self { blobs, assets })
    }
}

/// The places in S3 that the configuration names, without caches.
///
/// # Errors
/// With a hint, when settings make no sense.
pub fn buckets(config: &Config) -> anyhow::Result<Vec<Blobs>> {
    let blobs = config.blobs.url.as_deref().and_then(|url| url.strip_prefix("s3://"));
    let is_s3 = config.assets.storage_protocol == StorageProtocol::S3;
    let assets = config.assets.storage_root.as_deref().filter(|_| is_s3);
    blobs.into_iter().chain(assets).map(|place| Ok(Blobs::s3(&s3(config, place)?)?)).collect()
}

fn folder(path: &Path, variable: &str) -> anyhow::Result<Blobs> {
    Blobs::folder(path).with_context(|| {
        let message = format!("the directory {} cannot be used", path.display());
        Advice::environment(message, format!("name another one with `{variable}`"))
    })
}

fn open_cache(config: &Config) -> anyhow::Result<BlobCache> {
    let directory = config.paths().blob_cache;
    BlobCache::open(&directory, config.blobs.cache_bytes).with_context(|| {
        let message = format!("the directory {} cannot be used", directory.display());
        Advice::environment(message, "name another one with `BLOBS_CACHE_DIRECTORY`")
    })
}

/// The bucket, and who we are there. The configuration has been checked.
fn s3(config: &Config, place: &str) -> Result<S3, Advice> {
    let s3 = &config.s3;
    let wrong = |message: &str| Advice::usage(message, "`belvedere config reference s3` lists what there is to set");
    let (bucket, prefix) = S3::split(place).ok_or_else(|| wrong("a place in S3 is `BUCKET` or `BUCKET/PREFIX`"))?;
    let identity = match (s3.use_irsa, &s3.role_arn, &s3.web_identity_token_file) {
        (true, Some(arn), Some(file)) => S3Identity::Role { arn: arn.clone(), token_file: file.clone() },
        _ => match (&s3.access_key_id, &s3.secret_access_key) {
            (Some(id), Some(secret)) => {
                S3Identity::Keys { id: id.expose().to_owned(), secret: secret.expose().to_owned() }
            }
            _ => return Err(wrong("S3 needs an access key")),
        },
    };
    let path_style = s3.path_style.unwrap_or(s3.endpoint_url.is_some());
    Ok(S3 { bucket, prefix, region: s3.region_name.clone(), endpoint: s3.endpoint_url.clone(), path_style, identity })
}

/// How clients get files that are in S3.
pub fn delivery(config: &Config) -> Delivery {
    match config.blobs.delivery {
        BlobDelivery::Proxy => Delivery::Proxy,
        BlobDelivery::Link => {
            Delivery::Link { good_for: Duration::max(config.blobs.link_seconds, Duration::from_secs(1)) }
        }
    }
}
