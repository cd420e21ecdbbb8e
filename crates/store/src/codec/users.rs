//! Rows of users and tokens.

use belvedere_domain::{ApiToken, Role, Scope, Timestamp, User, UserId, UserName};

use crate::StoreError;

/// The columns of `user_columns.sql`.
pub(crate) struct UserColumns {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) disabled: bool,
    pub(crate) version: i64,
    pub(crate) created_at: i64,
    pub(crate) last_login_at: Option<i64>,
}

impl UserColumns {
    pub(crate) fn decode(self) -> Result<User, StoreError> {
        Ok(User {
            id: UserId(self.id),
            name: UserName::new(self.name).map_err(StoreError::corrupt)?,
            role: Role::parse(&self.role).map_err(StoreError::corrupt)?,
            disabled: self.disabled,
            version: self.version,
            created_at: Timestamp(self.created_at),
            last_login_at: self.last_login_at.map(Timestamp),
        })
    }
}

/// The columns of `token_columns.sql`.
pub(crate) struct TokenColumns {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) owner: String,
    pub(crate) scopes: String,
    pub(crate) created_at: i64,
    pub(crate) expires_at: Option<i64>,
    pub(crate) revoked_at: Option<i64>,
    pub(crate) last_used_at: Option<i64>,
}

impl TokenColumns {
    pub(crate) fn decode(self) -> Result<ApiToken, StoreError> {
        Ok(ApiToken {
            id: self.id,
            name: self.name,
            owner: UserName::new(self.owner).map_err(StoreError::corrupt)?,
            scopes: serde_json::from_str(&self.scopes).map_err(StoreError::corrupt)?,
            created_at: Timestamp(self.created_at),
            expires_at: self.expires_at.map(Timestamp),
            revoked_at: self.revoked_at.map(Timestamp),
            last_used_at: self.last_used_at.map(Timestamp),
        })
    }
}

/// Scopes as they are stored.
pub(crate) fn scopes_text(scopes: &[Scope]) -> String {
    serde_json::to_string(scopes).expect("a list of texts has a JSON form")
}
