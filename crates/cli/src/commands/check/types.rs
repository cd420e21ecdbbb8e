//! Types of columns in the words of people.

use belvedere_domain::features::{Feature, Features};

/// The type in words: `int64`, `list of string`, `class of 3`.
pub(super) fn in_words(feature: &Feature) -> String {
    match feature {
        Feature::Value(dtype) => dtype.to_string(),
        Feature::ClassLabel { names } => format!("class of {}", names.len()),
        Feature::List { feature, length: None } | Feature::LargeList(feature) => {
            format!("list of {}", in_words(feature))
        }
        Feature::List { feature, length: Some(length) } => format!("list of {length} {}", in_words(feature)),
        Feature::Array { shape, dtype } => {
            let shape: Vec<String> =
                shape.iter().map(|size| size.map_or_else(|| "any".to_owned(), |size| size.to_string())).collect();
            format!("{} array of {dtype}", shape.join("×"))
        }
        Feature::Translation { .. } | Feature::TranslationVariableLanguages { .. } => "translation".to_owned(),
        Feature::Image(_) => "image".to_owned(),
        Feature::Audio(_) => "audio".to_owned(),
        Feature::Video(_) => "video".to_owned(),
        Feature::Pdf(_) => "pdf".to_owned(),
        Feature::Json => "json".to_owned(),
        Feature::Struct(fields) => format!("struct of {}", of_fields(fields)),
        Feature::Opaque(json) => json["_type"].as_str().unwrap_or("unknown").to_owned(),
    }
}

fn of_fields(fields: &Features) -> String {
    const SHOWN: usize = 6;
    let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).take(SHOWN).collect();
    let more = if fields.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use belvedere_domain::features::Dtype;

    use super::*;

    #[test]
    fn nested_types_read_like_a_sentence() {
        let list = Feature::list(Feature::Value(Dtype::String));
        assert_eq!(in_words(&list), "list of string");
        let fields = Features::new([("a".to_owned(), list), ("b".to_owned(), Feature::Json)]);
        assert_eq!(in_words(&Feature::list(Feature::Struct(fields))), "list of struct of a, b");
        assert_eq!(in_words(&Feature::ClassLabel { names: vec!["x".to_owned(), "y".to_owned()] }), "class of 2");
    }
}
