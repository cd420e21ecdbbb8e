//! The scans that the configuration turns on, with the services that they ask.

use std::time::Duration;

use belvedere_hub::services::{Analyzer, OptOut, Pacing};
use belvedere_jobs::scans::{OptInOutUrls, PresidioEntities, ScannedDatasets, Scans};

use crate::config::Config;
use crate::config::types::{ScannedDataset, Secret};
use crate::exit::Advice;
use crate::runtime::pattern;

/// How sure an analyzer has to be, from 0 to 1; as in the reference implementation.
const MIN_SCORE: f64 = 0.8;

/// Settings of the scans, from the configuration.
///
/// # Errors
/// [`Advice`] for an address that cannot be called, and a name that cannot be one.
pub(crate) fn settings(config: &Config) -> Result<Scans, Advice> {
    Ok(Scans { opt_in_out_urls: opt_in_out_urls(config)?, presidio_entities: presidio_entities(config)? })
}

fn opt_in_out_urls(config: &Config) -> Result<OptInOutUrls, Advice> {
    let section = &config.opt_in_out_urls_scan;
    let token = section.spawning_token.as_ref().map(Secret::expose).filter(|token| !token.trim().is_empty());
    let service = match token {
        None => None,
        Some(token) => {
            let url = address("opt_in_out_urls_scan.spawning_url", &section.spawning_url)?;
            let pacing = Pacing {
                max_per_second: Some(section.max_requests_per_second),
                ..pacing(section.timeout_seconds, section.max_concurrent_requests_number)
            };
            Some(OptOut::new(url, token.trim(), section.urls_number_per_batch as usize, pacing))
        }
    };
    Ok(OptInOutUrls {
        service,
        columns_max_number: section.columns_max_number as usize,
        rows_max_number: section.rows_max_number.into(),
    })
}

fn presidio_entities(config: &Config) -> Result<PresidioEntities, Advice> {
    let section = &config.presidio_entities_scan;
    let analyzer = match &section.analyzer_url {
        None => None,
        Some(url) => {
            let url = address("presidio_entities_scan.analyzer_url", url)?;
            let pacing = pacing(section.analyzer_timeout_seconds, section.analyzer_max_concurrent_requests);
            Some(Analyzer::new(url, MIN_SCORE, pacing))
        }
    };
    let mut patterns = Vec::new();
    for entry in &section.datasets {
        if let ScannedDataset::Like(entry) = entry {
            patterns.push(pattern("presidio_entities_scan.datasets", entry)?);
        }
    }
    let datasets = match section.datasets.as_slice() {
        [] => ScannedDatasets::None,
        entries if entries.contains(&ScannedDataset::All) => ScannedDatasets::All,
        _ => ScannedDatasets::Some(patterns),
    };
    Ok(PresidioEntities {
        datasets,
        analyzer,
        columns_max_number: section.columns_max_number as usize,
        max_text_length: section.max_text_length as usize,
        rows_max_number: section.rows_max_number.into(),
    })
}

fn pacing(timeout: Duration, max_concurrent: u32) -> Pacing {
    Pacing { timeout, max_concurrent: max_concurrent as usize, ..Pacing::default() }
}

/// An address that can be called.
fn address<'a>(setting: &str, url: &'a str) -> Result<&'a str, Advice> {
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    match host.is_some_and(|host| !host.is_empty() && !host.starts_with('/') && !url.contains(char::is_whitespace)) {
        true => Ok(url),
        false => Err(Advice::usage(
            format!("`{setting}` is `{url}`, which is no address"),
            "it begins with http:// or https://",
        )),
    }
}

#[cfg(test)]
mod tests {
    use belvedere_domain::DatasetName;
    use belvedere_jobs::registry::Optional;

    use super::*;
    use crate::config::Sources;

    fn scans(variables: &[(&str, &str)]) -> Result<Scans, Advice> {
        let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let sources = Sources { environment, ..Sources::default() };
        settings(&Config::load(&sources).expect("a legal configuration").config)
    }

    #[test]
    fn scans_are_off_until_they_are_turned_on() {
        assert!(scans(&[]).unwrap().steps().is_empty());
        assert!(scans(&[("OPT_IN_OUT_URLS_SCAN_SPAWNING_TOKEN", " ")]).unwrap().steps().is_empty());
        let both = [("OPT_IN_OUT_URLS_SCAN_SPAWNING_TOKEN", "secret"), ("PRESIDIO_ENTITIES_SCAN_DATASETS", "*")];
        let both = scans(&both).unwrap();
        assert_eq!(both.steps(), [Optional::OptInOutUrls, Optional::PresidioEntities]);
        assert!(!format!("{both:?}").contains("secret"));
    }

    #[test]
    fn datasets_are_named_one_by_one_or_all_at_once() {
        let covered = |entries: &str| -> Vec<bool> {
            let scans = scans(&[("PRESIDIO_ENTITIES_SCAN_DATASETS", entries)]).unwrap();
            ["acme/mails", "acme/birds", "squad"]
                .map(|name| scans.presidio_entities.datasets.covers(&DatasetName::new(name).unwrap()))
                .into()
        };
        assert_eq!(covered("acme/m*,squad"), [true, false, true]);
        assert_eq!(covered("squad,*"), [true, true, true]);
        assert_eq!(covered(""), [false, false, false]);
    }

    #[test]
    fn addresses_that_cannot_be_called_are_refused() {
        for url in ["localhost:5002", "ftp://a", "http://", "http://a b"] {
            let refused = scans(&[("PRESIDIO_ENTITIES_SCAN_ANALYZER_URL", url)]).unwrap_err();
            assert!(refused.message.contains("presidio_entities_scan.analyzer_url"), "{}", refused.message);
        }
    }
}
