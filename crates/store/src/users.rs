//! Users, their tokens, and what ends sessions. Passwords and tokens come and go as hashes; nothing here knows how
//! they are made.

use async_trait::async_trait;
use belvedere_domain::{ApiToken, Role, Scope, Timestamp, User, UserId, UserName};

use crate::StoreError;

/// Uses of a token within this time count as one, so that a busy token costs no writes.
pub(crate) const USE_NOTED_EVERY_MICROSECONDS: i64 = 60_000_000;

/// A user to be added.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewUser {
    /// The name.
    pub name: UserName,
    /// The hash of the password.
    pub password: String,
    /// What the user may do.
    pub role: Role,
}

/// What changes about a user; `None` stays. Any change ends the user's sessions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UserChange {
    /// The hash of another password.
    pub password: Option<String>,
    /// Another role.
    pub role: Option<Role>,
    /// No longer, or again, admitted.
    pub disabled: Option<bool>,
}

/// A token to be added.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewToken {
    /// What it is called by, unique.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// The SHA-256 of its secret.
    pub sha256: [u8; 32],
    /// What it is good for.
    pub scopes: Vec<Scope>,
    /// Seconds from now until it ends; `None`: it does not.
    pub lifetime_seconds: Option<u32>,
}

/// Users, tokens and sessions.
#[async_trait]
pub trait Users: Send + Sync {
    /// Adds a user; `None` when the name is taken.
    async fn add_user(&self, new: NewUser) -> Result<Option<User>, StoreError>;

    /// A user with the hash of the password.
    async fn user(&self, name: &UserName) -> Result<Option<(User, String)>, StoreError>;

    /// All users by name.
    async fn users(&self) -> Result<Vec<User>, StoreError>;

    /// Changes a user and ends the user's sessions; `None` when there is no such user.
    async fn change_user(&self, name: &UserName, change: UserChange) -> Result<Option<User>, StoreError>;

    /// Notes a login, and replaces the hash of the password if it is still the one given first.
    async fn note_login(&self, user: UserId, rehashed: Option<(String, String)>) -> Result<(), StoreError>;

    /// Removes a user and the user's tokens; `false` when there is no such user.
    async fn remove_user(&self, name: &UserName) -> Result<bool, StoreError>;

    /// Whether some admin is admitted.
    async fn has_admin(&self) -> Result<bool, StoreError>;

    /// Adds a token of a user; `None` when the user is gone.
    async fn add_token(&self, owner: UserId, new: NewToken) -> Result<Option<ApiToken>, StoreError>;

    /// The token of a hash with its owner, if it is good now: neither ended nor withdrawn, and its owner admitted. Its
    /// use is noted.
    async fn use_token(&self, sha256: &[u8; 32]) -> Result<Option<(ApiToken, User)>, StoreError>;

    /// The tokens of a user, or all, by owner and time.
    async fn tokens(&self, owner: Option<UserId>) -> Result<Vec<ApiToken>, StoreError>;

    /// Withdraws a token, of this owner if one is given; `false` when there is no such token.
    async fn revoke_token(&self, id: &str, owner: Option<UserId>) -> Result<bool, StoreError>;

    /// The user of a session, if it is good: the user is still the one of the number, unchanged since the version and
    /// admitted, and the session was not ended.
    async fn session_user(&self, user: UserId, version: i64, session: &str) -> Result<Option<User>, StoreError>;

    /// Ends a session before its time. Those whose time has come are forgotten.
    async fn end_session(&self, session: &str, expires_at: Timestamp) -> Result<(), StoreError>;

    /// The secret of a name that all servers on this database share: the one stored, or from now on the fresh one.
    async fn shared_secret(&self, name: &str, fresh: &[u8]) -> Result<Vec<u8>, StoreError>;
}
