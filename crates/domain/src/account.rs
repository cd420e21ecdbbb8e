//! Users and what their credentials are good for. Who somebody is, is decided elsewhere; here is only what may be said.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{DatasetName, Timestamp};

/// Most bytes of the name of a user or of a token.
pub const MAX_NAME_BYTES: usize = 64;

/// A text that is not what it should be, with what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// Not a name of a user.
    #[error(
        "`{0}` is not a user name: expected 1 to 64 letters, digits, `.`, `_`, `-`, `+` or `@`, the first a letter or digit"
    )]
    UserName(String),
    /// Not a role.
    #[error("`{0}` is not a role: expected `admin` or `user`")]
    Role(String),
    /// Not a scope.
    #[error("`{0}` is not a scope: expected `read`, `read:NAMESPACE/NAME` with `*` in the name, `tasks` or `admin`")]
    Scope(String),
}

/// The name of a user. Case counts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserName(Arc<str>);

impl UserName {
    /// Checks the text and makes the name.
    ///
    /// # Errors
    /// [`AccountError::UserName`] when the text is not a legal name.
    pub fn new(text: impl AsRef<str>) -> Result<Self, AccountError> {
        let text = text.as_ref();
        let legal = text.len() <= MAX_NAME_BYTES
            && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-+@".contains(&byte));
        if legal { Ok(Self(text.into())) } else { Err(AccountError::UserName(text.chars().take(80).collect())) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl TryFrom<String> for UserName {
    type Error = AccountError;
    fn try_from(text: String) -> Result<Self, AccountError> {
        Self::new(text)
    }
}

impl From<UserName> for String {
    fn from(name: UserName) -> Self {
        name.0.as_ref().to_owned()
    }
}

/// The number of a user, never given twice: a user who is removed and made again is another one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(pub i64);

/// What a user may do on this server.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads every dataset and runs tasks.
    User,
    /// Operates the server as well.
    Admin,
}

impl Role {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
        }
    }

    /// Reads a name.
    ///
    /// # Errors
    /// [`AccountError::Role`] for any other text.
    pub fn parse(text: &str) -> Result<Self, AccountError> {
        [Self::User, Self::Admin]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| AccountError::Role(text.to_owned()))
    }
}

/// A user, without the password.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct User {
    /// The number.
    pub id: UserId,
    /// The name.
    pub name: UserName,
    /// What the user may do.
    pub role: Role,
    /// Neither password nor tokens of the user are good.
    pub disabled: bool,
    /// Grows whenever sessions of the user must end: with another password or role, or when disabled.
    #[serde(skip)]
    pub version: i64,
    /// When the user was made.
    pub created_at: Timestamp,
    /// The last login with a password.
    pub last_login_at: Option<Timestamp>,
}

/// One thing that a token is good for. As text `read`, `read:acme/birds-*`, `tasks` or `admin`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Reading every dataset.
    Read,
    /// Reading the datasets of a name with wildcards: `*` stands for any letters of the part after the `/`.
    ReadSome(String),
    /// Everything about tasks of the owner.
    Tasks,
    /// Operating the server, as long as the owner may.
    Admin,
}

impl Scope {
    /// Reads the text of a scope.
    ///
    /// # Errors
    /// [`AccountError::Scope`] for any other text.
    pub fn parse(text: &str) -> Result<Self, AccountError> {
        match text {
            "read" => Ok(Self::Read),
            "tasks" => Ok(Self::Tasks),
            "admin" => Ok(Self::Admin),
            _ => match text.strip_prefix("read:") {
                Some(pattern) if is_pattern(pattern) => Ok(Self::ReadSome(pattern.to_owned())),
                _ => Err(AccountError::Scope(text.chars().take(300).collect())),
            },
        }
    }

    /// Whether it lets read a dataset.
    pub fn reads(&self, dataset: &DatasetName) -> bool {
        match self {
            Self::Read => true,
            Self::ReadSome(pattern) => fits(pattern, dataset),
            Self::Tasks | Self::Admin => false,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read => f.write_str("read"),
            Self::ReadSome(pattern) => write!(f, "read:{pattern}"),
            Self::Tasks => f.write_str("tasks"),
            Self::Admin => f.write_str("admin"),
        }
    }
}

impl Serialize for Scope {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// Whether a text is the name of a dataset, where `*` may stand in the part after the `/`.
pub fn is_pattern(text: &str) -> bool {
    let (namespace, name) = text.split_once('/').map_or((None, text), |(namespace, name)| (Some(namespace), name));
    let filled = name.replace('*', "x");
    match namespace {
        Some(namespace) => DatasetName::new(format!("{namespace}/{filled}")).is_ok() || name == "*",
        // Without a namespace a wildcard would stand for the names of others as well.
        None => !name.contains('*') && DatasetName::new(filled).is_ok(),
    }
}

/// Whether a pattern, legal as [`is_pattern`] tells, stands for a dataset.
pub fn fits(pattern: &str, dataset: &DatasetName) -> bool {
    let (pattern_space, pattern_name) = split(pattern);
    let (space, name) = split(dataset.as_str());
    pattern_space == space && glob(pattern_name.as_bytes(), name.as_bytes())
}

fn split(name: &str) -> (Option<&str>, &str) {
    name.split_once('/').map_or((None, name), |(namespace, name)| (Some(namespace), name))
}

/// Matches with `*` only, in time proportional to the product of the lengths, which are short.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut place, mut star) = (0, 0, None);
    while place < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, place));
                at += 1;
            }
            Some(byte) if *byte == text[place] => {
                at += 1;
                place += 1;
            }
            _ => match &mut star {
                Some((star_at, taken)) => {
                    *taken += 1;
                    (at, place) = (*star_at + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// A token of ours, without its secret.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ApiToken {
    /// What it is called by: short, random, no secret.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// Whose rights it has, at most.
    pub owner: UserName,
    /// What it is good for.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was withdrawn.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to a minute.
    pub last_used_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_users_are_plain() {
        for name in ["ana", "Ana.B", "a", "7", "ana+ml@lab-2.example", &"a".repeat(64)] {
            assert_eq!(UserName::new(name).unwrap().as_str(), name);
        }
        for name in ["", ".ana", "@", "ana b", "ana\n", "aná", "a/b", "a:b", "a\0", &"a".repeat(65)] {
            assert!(UserName::new(name).is_err(), "{name}");
        }
    }

    #[test]
    fn scopes_are_read_as_they_are_written() {
        for text in ["read", "read:acme/birds", "read:acme/*", "read:acme/birds-*", "read:squad", "tasks", "admin"] {
            assert_eq!(Scope::parse(text).unwrap().to_string(), text);
        }
        for text in
            ["", "Read", "write", "read:", "read:*", "read:*/birds", "read:a/b/c", "read:../b", "admin ", "read: x"]
        {
            assert!(Scope::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn patterns_stand_for_names_of_one_namespace() {
        let reads = |scope: &str, name: &str| Scope::parse(scope).unwrap().reads(&DatasetName::new(name).unwrap());
        for (scope, name) in [
            ("read", "acme/birds"),
            ("read:acme/birds", "acme/birds"),
            ("read:acme/*", "acme/birds"),
            ("read:acme/b*d*", "acme/birds"),
            ("read:acme/*s", "acme/birds-s"),
            ("read:squad", "squad"),
        ] {
            assert!(reads(scope, name), "{scope} {name}");
        }
        for (scope, name) in [
            ("read:acme/birds", "acme/birds2"),
            ("read:acme/birds", "Acme/birds"),
            ("read:acme/*", "acme2/birds"),
            ("read:acme/*", "acme"),
            ("read:acme/b*x", "acme/birds"),
            ("read:squad", "acme/squad"),
            ("tasks", "acme/birds"),
            ("admin", "acme/birds"),
        ] {
            assert!(!reads(scope, name), "{scope} {name}");
        }
    }
}
