//! `/croissant-crumbs?full=false`: the description without the fields of very wide tables.

use serde_json::Value as JsonValue;

use crate::params::Params;

/// The path.
pub(crate) const PATH: &str = "/croissant-crumbs";

/// Fields of a record set that are kept.
const MAX_FIELDS: usize = 1000;

/// True if the short form is asked for.
pub(crate) fn is_short(params: &Params) -> bool {
    params.get("full").is_some_and(|full| full.eq_ignore_ascii_case("false"))
}

/// Cuts the fields of each record set, and says so in its description. Content of another shape stays as it is.
pub(crate) fn shorten(content: &str) -> String {
    let Ok(mut document) = serde_json::from_str::<JsonValue>(content) else { return content.to_owned() };
    for set in document["recordSet"].as_array_mut().into_iter().flatten() {
        let Some(fields) = set["field"].as_array_mut() else { continue };
        let skipped = fields.len().saturating_sub(MAX_FIELDS);
        if skipped == 0 {
            continue;
        }
        fields.truncate(MAX_FIELDS);
        let description = set["description"].as_str().unwrap_or_default();
        set["description"] = format!("{description}\n- {skipped} skipped columns (shortened view)").into();
    }
    document.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_wide_record_sets_are_cut() {
        let fields = |count: usize| vec![json!({"@type": "cr:Field"}); count];
        let sets = json!({"recordSet": [
            {"description": "narrow", "field": fields(1000)},
            {"description": "wide", "field": fields(1003)},
        ]});
        let short: JsonValue = serde_json::from_str(&shorten(&sets.to_string())).unwrap();
        assert_eq!(short["recordSet"][0], sets["recordSet"][0]);
        assert_eq!(short["recordSet"][1]["description"], "wide\n- 3 skipped columns (shortened view)");
        assert_eq!(short["recordSet"][1]["field"].as_array().map(Vec::len), Some(1000));
        assert_eq!(shorten("no json"), "no json");
    }
}
