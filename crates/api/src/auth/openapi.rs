//! The routes about users in the document of the API.

use serde_json::{Map, Value as Json, json};

/// Operations by path.
pub(crate) fn paths() -> Map<String, Json> {
    let text = |description: &str| json!({"type": "string", "description": description});
    let form = json!({"schema": {
        "type": "object",
        "required": ["username", "password"],
        "properties": {
            "username": {"type": "string"},
            "password": {"type": "string", "maxLength": belvedere_auth::passwords::MAX_BYTES},
            "grant_type": {"const": "password"},
        },
    }});
    let session = json!({
        "type": "object",
        "properties": {
            "access_token": text("A signed token for `Authorization: Bearer`."),
            "token_type": {"const": "bearer"},
            "expires_in": {"type": "integer", "description": "Seconds."},
        },
    });
    let token = json!({
        "type": "object",
        "required": ["name", "scopes"],
        "properties": {
            "name": text("What it is for."),
            "scopes": {"type": "array", "items": text("`read`, `read:NAMESPACE/NAME` with `*` in the name, `tasks` or `admin`.")},
            "lifetime_seconds": {"type": "integer", "description": "Until it ends; without, it does not."},
        },
    });
    let change = json!({
        "type": "object",
        "required": ["old", "new"],
        "properties": {"old": {"type": "string"}, "new": {"type": "string", "minLength": belvedere_auth::passwords::MIN_CHARS}},
    });
    let id = json!([{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}]);
    let mut paths = Map::new();
    let mut add = |path: &str, operations: Json| paths.insert(path.to_owned(), operations);
    add(
        "/auth/login",
        json!({"post": operation(
            "Begin a session with the name and the password of a user.",
            json!({"application/x-www-form-urlencoded": form, "multipart/form-data": form}),
            "200",
            &session,
            &[("422", "A field is missing."), ("429", "Too many logins failed; `Retry-After` says when to try again.")],
        )}),
    );
    add(
        "/auth/logout",
        json!({"post": operation(
            "End the session, or withdraw the token, that this is sent with.", Json::Null, "204", &Json::Null, &[],
        )}),
    );
    let object = json!({"type": "object"});
    add(
        "/auth/me",
        json!({"get": operation("Who one is, and what the credentials are good for.", Json::Null, "200", &object, &[])}),
    );
    add(
        "/auth/password",
        json!({"post": operation(
            "Set another password. All sessions of the user end.",
            json!({"application/json": {"schema": change}}),
            "204",
            &Json::Null,
            &[("422", "The new password is too short or too long."), ("429", "Too many logins failed.")],
        )}),
    );
    let mut make = operation(
        "Make a token, which is shown once. It takes a session.",
        json!({"application/json": {"schema": token}}),
        "201",
        &object,
        &[("403", "A token makes no other one."), ("422", "A value is missing or bad.")],
    );
    make["responses"]["201"]["description"] = json!("The token.");
    let list = operation("One's own tokens, without what is secret about them.", Json::Null, "200", &object, &[]);
    add("/auth/tokens", json!({"get": list, "post": make}));
    let mut revoke =
        operation("Withdraw a token.", Json::Null, "204", &Json::Null, &[("404", "There is no such token.")]);
    revoke["parameters"] = id;
    add("/auth/tokens/{id}", json!({"delete": revoke}));
    // Who logs in has no credentials yet.
    paths["/auth/login"]["post"]["security"] = json!([]);
    paths
}

/// An operation with its request, its success and its failures.
fn operation(summary: &str, content: Json, status: &str, schema: &Json, failures: &[(&str, &str)]) -> Json {
    let success = match schema {
        Json::Null => json!({"description": "Done."}),
        schema => json!({"description": "The answer.", "content": {"application/json": {"schema": schema}}}),
    };
    let mut responses = Map::new();
    responses.insert(status.to_owned(), success);
    let unauthenticated = ("401", "The credentials are missing, wrong, or not good any more.");
    for (status, description) in std::iter::once(&unauthenticated).chain(failures) {
        let error = json!({
            "description": description,
            "headers": {"X-Error-Code": {"schema": {"type": "string"}}},
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        });
        responses.insert((*status).to_owned(), error);
    }
    let mut operation = json!({"summary": summary, "security": [{"bearer": []}], "responses": responses});
    if !content.is_null() {
        operation["requestBody"] = json!({"required": true, "content": content});
    }
    operation
}
