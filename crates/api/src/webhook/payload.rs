//! What a webhook says, in the form of the Hub's version 2. Keys that are not named here are passed over.

use belvedere_domain::{DatasetName, Revision};
use belvedere_jobs::refresh::News;
use serde_json::{Map, Value as Json, json};

/// Changes of these parts of a repository matter; discussions and comments do not.
const SCOPES: [&str; 3] = ["repo", "repo.content", "repo.config"];
const EVENTS: [&str; 4] = ["add", "remove", "update", "move"];
const KINDS: [&str; 3] = ["dataset", "model", "space"];

/// A call.
#[derive(Debug)]
pub(super) struct Payload {
    event: String,
    scope: String,
    kind: String,
    name: String,
    head: Option<String>,
    moved_to: Option<String>,
    /// The settings of the repository changed, and it is private now.
    made_private: bool,
}

impl Payload {
    /// Reads a body.
    ///
    /// # Errors
    /// What is wrong with it, for its sender.
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        let body: Json = serde_json::from_slice(body).map_err(|error| format!("The body is not JSON: {error}."))?;
        let body = object(&body, "The body")?;
        let repo = object(body.get("repo").ok_or("`repo` is missing.")?, "`repo`")?;
        let private = body.get("updatedConfig").and_then(|config| config.get("private"));
        Ok(Self {
            event: word(body, "event", &EVENTS)?,
            scope: text(body, "scope", "scope")?,
            kind: word_at(repo, "type", "repo.type", &KINDS)?,
            name: text(repo, "name", "repo.name")?,
            head: optional(repo, "headSha", "repo.headSha")?,
            moved_to: optional(body, "movedTo", "movedTo")?,
            made_private: private.is_some_and(is_true),
        })
    }

    /// The kind of the event.
    pub(super) fn event(&self) -> &str {
        &self.event
    }

    /// What it means for datasets; `None`: nothing.
    ///
    /// # Errors
    /// That a name is not legal, or missing.
    pub(super) fn news(&self) -> Result<Option<News>, String> {
        if self.kind != "dataset" || !SCOPES.contains(&self.scope.as_str()) {
            return Ok(None);
        }
        let dataset = name(&self.name)?;
        Ok(Some(match self.event.as_str() {
            "add" => News::Added(dataset),
            "remove" => News::Removed(dataset),
            "update" => {
                // A head that is no revision of ours is as good as an unknown one.
                let head = self.head.as_deref().and_then(|head| Revision::new(head).ok());
                News::Updated { dataset, head: head.filter(|_| !self.made_private) }
            }
            _ => match self.moved_to.as_deref() {
                None => return Err("`movedTo` is missing.".to_owned()),
                Some("") => News::Moved { from: dataset.clone(), to: dataset },
                Some(to) => News::Moved { from: dataset, to: name(to)? },
            },
        }))
    }
}

fn name(text: &str) -> Result<DatasetName, String> {
    DatasetName::new(text).map_err(|error| format!("{error}."))
}

fn object<'a>(json: &'a Json, what: &str) -> Result<&'a Map<String, Json>, String> {
    json.as_object().ok_or_else(|| format!("{what} must be an object, not {}.", kind_of(json)))
}

fn text(object: &Map<String, Json>, key: &str, path: &str) -> Result<String, String> {
    match object.get(key) {
        None => Err(format!("`{path}` is missing.")),
        Some(Json::String(text)) => Ok(text.clone()),
        Some(other) => Err(format!("`{path}` must be a text, not {}.", kind_of(other))),
    }
}

fn optional(object: &Map<String, Json>, key: &str, path: &str) -> Result<Option<String>, String> {
    object.contains_key(key).then(|| text(object, key, path)).transpose()
}

fn word(object: &Map<String, Json>, key: &str, words: &[&str]) -> Result<String, String> {
    word_at(object, key, key, words)
}

fn word_at(object: &Map<String, Json>, key: &str, path: &str, words: &[&str]) -> Result<String, String> {
    let found = text(object, key, path)?;
    match words.contains(&found.as_str()) {
        true => Ok(found),
        false => Err(format!("`{path}` must be one of {}.", words.join(", "))),
    }
}

fn kind_of(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a truth value",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

/// What the Hub's language takes for true.
fn is_true(json: &Json) -> bool {
    match json {
        Json::Null => false,
        Json::Bool(value) => *value,
        Json::Number(number) => number.as_f64() != Some(0.0),
        Json::String(text) => !text.is_empty(),
        Json::Array(items) => !items.is_empty(),
        Json::Object(items) => !items.is_empty(),
    }
}

/// The schema of a body.
pub(super) fn schema() -> Json {
    json!({
        "type": "object",
        "required": ["event", "repo", "scope"],
        "properties": {
            "event": {"enum": EVENTS},
            "scope": {"type": "string"},
            "repo": {
                "type": "object",
                "required": ["type", "name"],
                "properties": {
                    "type": {"enum": KINDS},
                    "name": {"type": "string"},
                    "headSha": {"type": "string"},
                },
            },
            "movedTo": {"type": "string"},
            "updatedConfig": {"type": "object", "properties": {"private": {"type": "boolean"}}},
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(body: &str) -> String {
        Payload::parse(body.as_bytes()).and_then(|payload| payload.news()).unwrap_err()
    }

    fn news(body: &Json) -> Option<News> {
        Payload::parse(body.to_string().as_bytes()).unwrap().news().unwrap()
    }

    #[test]
    fn bodies_of_every_wrong_kind_are_refused_with_the_place() {
        let cases = [
            ("", "The body is not JSON: EOF while parsing a value at line 1 column 0."),
            ("{", "The body is not JSON: EOF while parsing an object at line 1 column 1."),
            ("\u{feff}{}", "The body is not JSON: expected value at line 1 column 1."),
            ("null", "The body must be an object, not null."),
            ("[]", "The body must be an object, not a list."),
            ("\"add\"", "The body must be an object, not a text."),
            ("1", "The body must be an object, not a number."),
            ("{}", "`repo` is missing."),
            (r#"{"repo": null}"#, "`repo` must be an object, not null."),
            (r#"{"repo": [1]}"#, "`repo` must be an object, not a list."),
            (r#"{"repo": {}}"#, "`event` is missing."),
            (r#"{"repo": {}, "event": 1}"#, "`event` must be a text, not a number."),
            (r#"{"repo": {}, "event": "doc"}"#, "`event` must be one of add, remove, update, move."),
            (r#"{"repo": {}, "event": "add"}"#, "`scope` is missing."),
            (r#"{"repo": {}, "event": "add", "scope": true}"#, "`scope` must be a text, not a truth value."),
            (r#"{"repo": {}, "event": "add", "scope": "repo"}"#, "`repo.type` is missing."),
            (
                r#"{"repo": {"type": "bucket"}, "event": "add", "scope": "repo"}"#,
                "`repo.type` must be one of dataset, model, space.",
            ),
            (r#"{"repo": {"type": "model"}, "event": "add", "scope": "repo"}"#, "`repo.name` is missing."),
            (
                r#"{"repo": {"type": "model", "name": {}}, "event": "add", "scope": "repo"}"#,
                "`repo.name` must be a text, not an object.",
            ),
            (
                r#"{"repo": {"type": "dataset", "name": "a/b", "headSha": null}, "event": "add", "scope": "repo"}"#,
                "`repo.headSha` must be a text, not null.",
            ),
            (
                r#"{"repo": {"type": "dataset", "name": "a/b"}, "event": "move", "scope": "repo", "movedTo": null}"#,
                "`movedTo` must be a text, not null.",
            ),
            (
                r#"{"repo": {"type": "dataset", "name": "a/b"}, "event": "move", "scope": "repo"}"#,
                "`movedTo` is missing.",
            ),
        ];
        for (body, said) in cases {
            assert_eq!(refusal(body), said, "{body}");
        }
        assert!(Payload::parse(b"{\"repo\": \"\xff\"}").is_err(), "not UTF-8");
        let deep = "[".repeat(100_000);
        assert!(Payload::parse(deep.as_bytes()).unwrap_err().contains("recursion limit"));
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for bad in ["../etc", "a/b/c", "", "a/..", "a b/c", "a/b\u{0}"] {
            let body = json!({"repo": {"type": "dataset", "name": bad}, "event": "add", "scope": "repo"});
            assert!(refusal(&body.to_string()).contains("is not a dataset name"), "{bad}");
            let body =
                json!({"repo": {"type": "dataset", "name": "a/b"}, "event": "move", "scope": "repo", "movedTo": bad});
            assert!(bad.is_empty() || refusal(&body.to_string()).contains("is not a dataset name"), "{bad}");
        }
    }

    #[test]
    fn other_repositories_and_scopes_mean_nothing() {
        let of = |kind: &str, scope: &str| {
            news(&json!({"repo": {"type": kind, "name": "a/b c"}, "event": "add", "scope": scope, "more": [1]}))
        };
        assert_eq!(of("model", "repo"), None);
        assert_eq!(of("space", "repo.content"), None);
        assert_eq!(of("dataset", "discussion.comment"), None);
    }

    #[test]
    fn a_head_is_known_unless_the_dataset_became_private() {
        let head = "b".repeat(40);
        let of = |config: Json| {
            news(&json!({
                "repo": {"type": "dataset", "name": "a/b", "headSha": head},
                "event": "update", "scope": "repo.config", "updatedConfig": config,
            }))
        };
        let dataset = DatasetName::new("a/b").unwrap();
        let known = Some(News::Updated { dataset: dataset.clone(), head: Revision::new(&head).ok() });
        assert_eq!(of(json!({})), known);
        assert_eq!(of(json!({"private": false})), known);
        assert_eq!(of(json!("nonsense")), known);
        assert_eq!(of(json!({"private": true})), Some(News::Updated { dataset, head: None }));
    }

    #[test]
    fn an_empty_new_name_is_the_old_one() {
        let of = |to: &str| {
            let repo = json!({"type": "dataset", "name": "a/b"});
            news(&json!({"repo": repo, "event": "move", "scope": "repo", "movedTo": to}))
        };
        let name = |text| DatasetName::new(text).unwrap();
        assert_eq!(of("a/c"), Some(News::Moved { from: name("a/b"), to: name("a/c") }));
        assert_eq!(of(""), Some(News::Moved { from: name("a/b"), to: name("a/b") }));
    }
}
