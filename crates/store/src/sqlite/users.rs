//! Users, tokens and sessions in SQLite.

use async_trait::async_trait;
use belvedere_domain::{ApiToken, Role, Timestamp, User, UserId, UserName};
use rusqlite::{OptionalExtension as _, Row, params};

use super::{Failure, Session, Sqlite};
use crate::codec::users::{TokenColumns, UserColumns, scopes_text};
use crate::users::USE_NOTED_EVERY_MICROSECONDS;
use crate::{NewToken, NewUser, StoreError, UserChange, Users};

const USER: &str = concat!("SELECT ", include_str!("../sql/user_columns.sql"), ", u.password FROM users u ");
const TOKEN: &str =
    concat!("SELECT ", include_str!("../sql/token_columns.sql"), " FROM api_tokens t JOIN users u ON u.id = t.owner ");

#[async_trait]
impl Users for Sqlite {
    async fn add_user(&self, new: NewUser) -> Result<Option<User>, StoreError> {
        self.write("add a user", move |session| {
            let added = session.execute(
                "INSERT INTO users (name, password, role, created_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                params![new.name.as_str(), new.password, new.role.as_str(), session.now],
            )?;
            if added == 0 { Ok(None) } else { Ok(user(session, &new.name)?.map(|(user, _)| user)) }
        })
        .await
    }

    async fn user(&self, name: &UserName) -> Result<Option<(User, String)>, StoreError> {
        let name = name.clone();
        self.read("read a user", move |session| user(session, &name)).await
    }

    async fn users(&self) -> Result<Vec<User>, StoreError> {
        self.read("list users", |session| {
            let mut statement = session.prepare(&with(USER, "ORDER BY u.name"))?;
            let rows: Vec<_> = statement.query_map([], |row| columns(row, 0))?.collect::<Result<_, _>>()?;
            Ok(rows.into_iter().map(UserColumns::decode).collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn change_user(&self, name: &UserName, change: UserChange) -> Result<Option<User>, StoreError> {
        let name = name.clone();
        self.write("change a user", move |session| {
            let role = change.role.map(Role::as_str);
            session.execute(
                "UPDATE users SET password = coalesce(?2, password), role = coalesce(?3, role),
                     disabled = coalesce(?4, disabled), version = version + 1 WHERE name = ?1",
                params![name.as_str(), change.password, role, change.disabled],
            )?;
            Ok(user(session, &name)?.map(|(user, _)| user))
        })
        .await
    }

    async fn note_login(&self, user: UserId, rehashed: Option<(String, String)>) -> Result<(), StoreError> {
        self.write("note a login", move |session| {
            session.execute("UPDATE users SET last_login_at = ?2 WHERE id = ?1", params![user.0, session.now])?;
            if let Some((old, new)) = rehashed {
                session.execute(
                    "UPDATE users SET password = ?3 WHERE id = ?1 AND password = ?2",
                    params![user.0, old, new],
                )?;
            }
            Ok(())
        })
        .await
    }

    async fn remove_user(&self, name: &UserName) -> Result<bool, StoreError> {
        let name = name.clone();
        self.write("remove a user", move |session| {
            session.execute(
                "DELETE FROM api_tokens WHERE owner = (SELECT id FROM users WHERE name = ?1)",
                [name.as_str()],
            )?;
            Ok(session.execute("DELETE FROM users WHERE name = ?1", [name.as_str()])? > 0)
        })
        .await
    }

    async fn has_admin(&self) -> Result<bool, StoreError> {
        self.read("look for an admin", |session| {
            let sql = "SELECT EXISTS (SELECT 1 FROM users WHERE role = 'admin' AND NOT disabled)";
            Ok(session.prepare(sql)?.query_row([], |row| row.get(0))?)
        })
        .await
    }

    async fn add_token(&self, owner: UserId, new: NewToken) -> Result<Option<ApiToken>, StoreError> {
        self.write("add a token", move |session| {
            let expires_at = new.lifetime_seconds.map(|seconds| session.now + i64::from(seconds) * 1_000_000);
            session.execute(
                "INSERT INTO api_tokens (id, owner, name, sha256, scopes, created_at, expires_at)
                 SELECT ?1, id, ?3, ?4, ?5, ?6, ?7 FROM users WHERE id = ?2",
                params![new.id, owner.0, new.name, new.sha256, scopes_text(&new.scopes), session.now, expires_at],
            )?;
            let found = session
                .prepare(&with(TOKEN, "WHERE t.id = ?1"))?
                .query_row([&new.id], |row| token_columns(row, 0))
                .optional()?;
            Ok(found.map(TokenColumns::decode).transpose()?)
        })
        .await
    }

    async fn use_token(&self, sha256: &[u8; 32]) -> Result<Option<(ApiToken, User)>, StoreError> {
        let sha256 = *sha256;
        let found = self
            .read("look for a token", move |session| {
                let sql = concat!(
                    "SELECT ",
                    include_str!("../sql/token_columns.sql"),
                    ", ",
                    include_str!("../sql/user_columns.sql"),
                    " FROM api_tokens t JOIN users u ON u.id = t.owner WHERE t.sha256 = ?1 AND t.revoked_at IS NULL
                     AND (t.expires_at IS NULL OR t.expires_at > ?2) AND NOT u.disabled"
                );
                let row = session
                    .prepare(sql)?
                    .query_row(params![sha256, session.now], |row| Ok((token_columns(row, 0)?, columns(row, 8)?)))
                    .optional()?;
                let Some((token, user)) = row else { return Ok(None) };
                let is_noted = token.last_used_at.is_some_and(|at| session.now - at < USE_NOTED_EVERY_MICROSECONDS);
                Ok(Some((token.decode()?, user.decode()?, is_noted)))
            })
            .await?;
        let Some((token, user, is_noted)) = found else { return Ok(None) };
        if !is_noted {
            let id = token.id.clone();
            self.write_relaxed("note the use of a token", move |session| {
                session.execute("UPDATE api_tokens SET last_used_at = ?2 WHERE id = ?1", params![id, session.now])?;
                Ok(())
            })
            .await?;
        }
        Ok(Some((token, user)))
    }

    async fn tokens(&self, owner: Option<UserId>) -> Result<Vec<ApiToken>, StoreError> {
        self.read("list tokens", move |session| {
            let sql = with(TOKEN, "WHERE ?1 IS NULL OR u.id = ?1 ORDER BY u.name, t.created_at, t.id");
            let mut statement = session.prepare(&sql)?;
            let rows: Vec<_> = statement
                .query_map([owner.map(|owner| owner.0)], |row| token_columns(row, 0))?
                .collect::<Result<_, _>>()?;
            Ok(rows.into_iter().map(TokenColumns::decode).collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn revoke_token(&self, id: &str, owner: Option<UserId>) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.write("withdraw a token", move |session| {
            let changed = session.execute(
                "UPDATE api_tokens SET revoked_at = coalesce(revoked_at, ?3) WHERE id = ?1 AND (?2 IS NULL OR owner = ?2)",
                params![id, owner.map(|owner| owner.0), session.now],
            )?;
            Ok(changed > 0)
        })
        .await
    }

    async fn session_user(&self, user: UserId, version: i64, session: &str) -> Result<Option<User>, StoreError> {
        let id = session.to_owned();
        self.read("look for a session", move |session| {
            let sql = with(
                USER,
                "WHERE u.id = ?1 AND u.version = ?2 AND NOT u.disabled
                 AND NOT EXISTS (SELECT 1 FROM ended_sessions WHERE id = ?3)",
            );
            let row =
                session.prepare(&sql)?.query_row(params![user.0, version, id], |row| columns(row, 0)).optional()?;
            Ok(row.map(UserColumns::decode).transpose()?)
        })
        .await
    }

    async fn end_session(&self, session: &str, expires_at: Timestamp) -> Result<(), StoreError> {
        let id = session.to_owned();
        self.write("end a session", move |session| {
            session.execute("DELETE FROM ended_sessions WHERE expires_at < ?1", [session.now - DAY])?;
            session.execute(
                "INSERT INTO ended_sessions VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                params![id, expires_at.0],
            )?;
            Ok(())
        })
        .await
    }

    async fn shared_secret(&self, name: &str, fresh: &[u8]) -> Result<Vec<u8>, StoreError> {
        let (name, fresh) = (name.to_owned(), fresh.to_vec());
        self.write("share a secret", move |session| {
            session.execute("INSERT INTO secrets VALUES (?1, ?2) ON CONFLICT DO NOTHING", params![name, fresh])?;
            let mut statement = session.prepare("SELECT value FROM secrets WHERE name = ?1")?;
            Ok(statement.query_row([&name], |row| row.get(0))?)
        })
        .await
    }
}

/// Ended sessions are kept longer than clocks can differ.
const DAY: i64 = 86_400_000_000;

/// A statement from its beginning and its end.
fn with(select: &str, rest: &str) -> String {
    format!("{select}{rest}")
}

fn user(session: &Session<'_>, name: &UserName) -> Result<Option<(User, String)>, Failure> {
    let row = session
        .prepare(&with(USER, "WHERE u.name = ?1"))?
        .query_row([name.as_str()], |row| Ok((columns(row, 0)?, row.get(7)?)))
        .optional()?;
    Ok(row.map(|(user, password)| Ok::<_, StoreError>((user.decode()?, password))).transpose()?)
}

/// The columns of `user_columns.sql`, starting at `first`.
fn columns(row: &Row<'_>, first: usize) -> rusqlite::Result<UserColumns> {
    Ok(UserColumns {
        id: row.get(first)?,
        name: row.get(first + 1)?,
        role: row.get(first + 2)?,
        disabled: row.get(first + 3)?,
        version: row.get(first + 4)?,
        created_at: row.get(first + 5)?,
        last_login_at: row.get(first + 6)?,
    })
}

/// The columns of `token_columns.sql`, starting at `first`.
fn token_columns(row: &Row<'_>, first: usize) -> rusqlite::Result<TokenColumns> {
    Ok(TokenColumns {
        id: row.get(first)?,
        name: row.get(first + 1)?,
        owner: row.get(first + 2)?,
        scopes: row.get(first + 3)?,
        created_at: row.get(first + 4)?,
        expires_at: row.get(first + 5)?,
        revoked_at: row.get(first + 6)?,
        last_used_at: row.get(first + 7)?,
    })
}
