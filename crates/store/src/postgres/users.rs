//! Users, tokens and sessions in PostgreSQL.

use async_trait::async_trait;
use belvedere_domain::{ApiToken, Role, Timestamp, User, UserId, UserName};
use tokio_postgres::Row;

use super::{Postgres, get};
use crate::codec::users::{TokenColumns, UserColumns, scopes_text};
use crate::users::USE_NOTED_EVERY_MICROSECONDS;
use crate::{NewToken, NewUser, StoreError, UserChange, Users};

#[async_trait]
impl Users for Postgres {
    async fn add_user(&self, new: NewUser) -> Result<Option<User>, StoreError> {
        let sql = concat!(
            "INSERT INTO users AS u (name, password, role, created_at) VALUES ($1, $2, $3, now_us())
             ON CONFLICT DO NOTHING RETURNING ",
            include_str!("../sql/user_columns.sql")
        );
        let rows = self.write("add a user", sql, &[&new.name.as_str(), &new.password, &new.role.as_str()]).await?;
        rows.first().map(|row| user(row, 0)).transpose()
    }

    async fn user(&self, name: &UserName) -> Result<Option<(User, String)>, StoreError> {
        let sql =
            concat!("SELECT ", include_str!("../sql/user_columns.sql"), ", u.password FROM users u WHERE u.name = $1");
        let rows = self.read("read a user", sql, &[&name.as_str()]).await?;
        rows.first().map(|row| Ok((user(row, 0)?, get(row, 7)?))).transpose()
    }

    async fn users(&self) -> Result<Vec<User>, StoreError> {
        let sql = concat!("SELECT ", include_str!("../sql/user_columns.sql"), " FROM users u ORDER BY u.name");
        self.read("list users", sql, &[]).await?.iter().map(|row| user(row, 0)).collect()
    }

    async fn change_user(&self, name: &UserName, change: UserChange) -> Result<Option<User>, StoreError> {
        let sql = concat!(
            "UPDATE users AS u SET password = coalesce($2, password), role = coalesce($3, role),
                 disabled = coalesce($4, disabled), version = version + 1 WHERE u.name = $1 RETURNING ",
            include_str!("../sql/user_columns.sql")
        );
        let role = change.role.map(Role::as_str);
        let rows =
            self.write("change a user", sql, &[&name.as_str(), &change.password, &role, &change.disabled]).await?;
        rows.first().map(|row| user(row, 0)).transpose()
    }

    async fn note_login(&self, user: UserId, rehashed: Option<(String, String)>) -> Result<(), StoreError> {
        let sql = "UPDATE users SET last_login_at = now_us(),
                       password = CASE WHEN password = $2 THEN coalesce($3, password) ELSE password END WHERE id = $1";
        let (old, new) = rehashed.unzip();
        self.write("note a login", sql, &[&user.0, &old, &new]).await.map(drop)
    }

    async fn remove_user(&self, name: &UserName) -> Result<bool, StoreError> {
        let rows =
            self.write("remove a user", "DELETE FROM users WHERE name = $1 RETURNING id", &[&name.as_str()]).await?;
        Ok(!rows.is_empty())
    }

    async fn has_admin(&self) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM users WHERE role = 'admin' AND NOT disabled LIMIT 1";
        Ok(!self.read("look for an admin", sql, &[]).await?.is_empty())
    }

    async fn add_token(&self, owner: UserId, new: NewToken) -> Result<Option<ApiToken>, StoreError> {
        let sql = concat!(
            "WITH t AS (
                 INSERT INTO api_tokens (id, owner, name, sha256, scopes, created_at, expires_at)
                 SELECT $1, u.id, $3, $4, $5, now.us, now.us + $6::BIGINT * 1000000
                 FROM users u, (SELECT now_us() AS us) AS now WHERE u.id = $2 RETURNING *
             ) SELECT ",
            include_str!("../sql/token_columns.sql"),
            " FROM t JOIN users u ON u.id = t.owner"
        );
        let lifetime = new.lifetime_seconds.map(i64::from);
        let (sha256, scopes) = (new.sha256.as_slice(), scopes_text(&new.scopes));
        let rows = self.write("add a token", sql, &[&new.id, &owner.0, &new.name, &sha256, &scopes, &lifetime]).await?;
        rows.first().map(|row| token(row, 0)?.decode()).transpose()
    }

    async fn use_token(&self, sha256: &[u8; 32]) -> Result<Option<(ApiToken, User)>, StoreError> {
        let sql = concat!(
            "SELECT ",
            include_str!("../sql/token_columns.sql"),
            ", ",
            include_str!("../sql/user_columns.sql"),
            ", now_us() FROM api_tokens t JOIN users u ON u.id = t.owner WHERE t.sha256 = $1 AND t.revoked_at IS NULL
             AND (t.expires_at IS NULL OR t.expires_at > now_us()) AND NOT u.disabled"
        );
        let rows = self.read("look for a token", sql, &[&sha256.as_slice()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (token, user, now) = (token(row, 0)?, user(row, 8)?, get::<i64>(row, 15)?);
        if token.last_used_at.is_none_or(|at| now - at >= USE_NOTED_EVERY_MICROSECONDS) {
            let sql = "UPDATE api_tokens SET last_used_at = greatest(last_used_at, $2) WHERE id = $1";
            self.write("note the use of a token", sql, &[&token.id, &now]).await?;
        }
        Ok(Some((token.decode()?, user)))
    }

    async fn tokens(&self, owner: Option<UserId>) -> Result<Vec<ApiToken>, StoreError> {
        let sql = concat!(
            "SELECT ",
            include_str!("../sql/token_columns.sql"),
            " FROM api_tokens t JOIN users u ON u.id = t.owner WHERE $1::bigint IS NULL OR u.id = $1
             ORDER BY u.name, t.created_at, t.id"
        );
        let rows = self.read("list tokens", sql, &[&owner.map(|owner| owner.0)]).await?;
        rows.iter().map(|row| token(row, 0)?.decode()).collect()
    }

    async fn revoke_token(&self, id: &str, owner: Option<UserId>) -> Result<bool, StoreError> {
        let sql = "UPDATE api_tokens SET revoked_at = coalesce(revoked_at, now_us())
                   WHERE id = $1 AND ($2::bigint IS NULL OR owner = $2) RETURNING id";
        let rows = self.write("withdraw a token", sql, &[&id, &owner.map(|owner| owner.0)]).await?;
        Ok(!rows.is_empty())
    }

    async fn session_user(&self, id: UserId, version: i64, session: &str) -> Result<Option<User>, StoreError> {
        let sql = concat!(
            "SELECT ",
            include_str!("../sql/user_columns.sql"),
            " FROM users u WHERE u.id = $1 AND u.version = $2 AND NOT u.disabled
             AND NOT EXISTS (SELECT 1 FROM ended_sessions WHERE id = $3)"
        );
        let rows = self.read("look for a session", sql, &[&id.0, &version, &session]).await?;
        rows.first().map(|row| user(row, 0)).transpose()
    }

    async fn end_session(&self, session: &str, expires_at: Timestamp) -> Result<(), StoreError> {
        // Kept a day longer, which is more than clocks can differ.
        let sql = "WITH over AS (DELETE FROM ended_sessions WHERE expires_at < now_us() - 86400000000)
                   INSERT INTO ended_sessions VALUES ($1, $2) ON CONFLICT DO NOTHING";
        self.write("end a session", sql, &[&session, &expires_at.0]).await.map(drop)
    }

    async fn shared_secret(&self, name: &str, fresh: &[u8]) -> Result<Vec<u8>, StoreError> {
        let sql = "INSERT INTO secrets VALUES ($1, $2) ON CONFLICT DO NOTHING";
        self.write("share a secret", sql, &[&name, &fresh]).await?;
        let rows = self.read("share a secret", "SELECT value FROM secrets WHERE name = $1", &[&name]).await?;
        get(&super::one(rows)?, 0)
    }
}

/// The columns of `user_columns.sql`, starting at `first`.
fn user(row: &Row, first: usize) -> Result<User, StoreError> {
    UserColumns {
        id: get(row, first)?,
        name: get(row, first + 1)?,
        role: get(row, first + 2)?,
        disabled: get(row, first + 3)?,
        version: get(row, first + 4)?,
        created_at: get(row, first + 5)?,
        last_login_at: get(row, first + 6)?,
    }
    .decode()
}

/// The columns of `token_columns.sql`, starting at `first`.
fn token(row: &Row, first: usize) -> Result<TokenColumns, StoreError> {
    Ok(TokenColumns {
        id: get(row, first)?,
        name: get(row, first + 1)?,
        owner: get(row, first + 2)?,
        scopes: get(row, first + 3)?,
        created_at: get(row, first + 4)?,
        expires_at: get(row, first + 5)?,
        revoked_at: get(row, first + 6)?,
        last_used_at: get(row, first + 7)?,
    })
}
