//! The stemmer of a full-text index: that of the language which the card declares.

use crate::job::{JobContext, JobError};

/// Stemmers of DuckDB by language: codes of ISO 639-1, 639-2 (both forms) and 639-3.
const STEMMERS: &[(&str, &[&str])] = &[
    ("arabic", &["ar", "ara"]),
    ("basque", &["eu", "eus", "baq"]),
    ("catalan", &["ca", "cat"]),
    ("danish", &["da", "dan"]),
    ("dutch", &["nl", "nld", "dut"]),
    ("english", &["en", "eng"]),
    ("finnish", &["fi", "fin"]),
    ("french", &["fr", "fra", "fre"]),
    ("german", &["de", "deu", "ger"]),
    ("greek", &["el", "ell", "gre"]),
    ("hindi", &["hi", "hin"]),
    ("hungarian", &["hu", "hun"]),
    ("indonesian", &["id", "ind"]),
    ("irish", &["ga", "gle"]),
    ("italian", &["it", "ita"]),
    ("lithuanian", &["lt", "lit"]),
    ("nepali", &["ne", "nep"]),
    ("norwegian", &["no", "nor"]),
    ("portuguese", &["pt", "por"]),
    ("romanian", &["ro", "ron", "rum"]),
    ("russian", &["ru", "rus"]),
    ("serbian", &["sr", "srp"]),
    ("spanish", &["es", "spa"]),
    ("swedish", &["sv", "swe"]),
    ("tamil", &["ta", "tam"]),
    ("turkish", &["tr", "tur"]),
];

/// The stemmer for the dataset: of its language when the card declares exactly one, else `porter`, as in the description
/// of 2023; under the rules of today's reference, `none`.
pub(super) async fn of_card(ctx: &JobContext) -> Result<&'static str, JobError> {
    let languages = ctx.services.files.languages(&ctx.key.dataset, &ctx.revision).await?;
    let undeclared = if ctx.services.settings.compat { "none" } else { "porter" };
    Ok(of_languages(&languages).unwrap_or(undeclared))
}

fn of_languages(languages: &[String]) -> Option<&'static str> {
    let [language] = languages else { return None };
    STEMMERS.iter().find(|(_, codes)| codes.contains(&language.as_str())).map(|(stemmer, _)| *stemmer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_known_language_has_a_stemmer() {
        let of = |languages: &[&str]| {
            of_languages(&languages.iter().map(|language| (*language).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!((of(&["fr"]), of(&["swe"]), of(&["rum"])), (Some("french"), Some("swedish"), Some("romanian")));
        assert_eq!((of(&[]), of(&["en", "fr"]), of(&["xx"])), (None, None, None));
    }
}
