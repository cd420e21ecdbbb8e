//! Values that must not be shown: tokens, keys, passwords in URLs.

use std::fmt;
use std::path::Path;

use crate::config::value::Value;

/// A token or key. It has no `Display`, and `Debug` masks it: only [`Secret::expose`] gives it away.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// What is shown in place of a secret.
const MASK: &str = "********";

impl Secret {
    /// The secret itself: for the one call that needs it, never for a message or a log.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Value for Secret {
    const KIND: &'static str = "secret";
    const EMPTY_IS_UNSET: bool = true;
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self(text.trim().to_owned()))
    }

    fn show(&self) -> String {
        MASK.to_owned()
    }
}

/// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`. The password is masked wherever it is shown.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl(String);

impl StoreUrl {
    /// The store in a SQLite file.
    pub fn sqlite(path: &Path) -> Self {
        Self(format!("sqlite:{}", path.display()))
    }

    /// The whole URL, with its password.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The path of the SQLite file; `None` for PostgreSQL.
    pub fn sqlite_path(&self) -> Option<&Path> {
        let path = self.0.strip_prefix("sqlite:")?;
        Some(Path::new(path.strip_prefix("//").unwrap_or(path)))
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Up to the last `@`, whatever stands in between: a password that was not escaped is masked as well.
        let masked = self.0.split_once("://").and_then(|(scheme, rest)| {
            let (login, place) = rest.rsplit_once('@')?;
            let (user, _) = login.split_once(':')?;
            Some(format!("{scheme}://{user}:{MASK}@{place}"))
        });
        let text = masked.as_deref().unwrap_or(&self.0);
        // libpq also takes the password as a parameter.
        match text.split_once("password=") {
            Some((before, after)) => {
                let rest = after.find('&').map_or("", |end| &after[end..]);
                write!(f, "{before}password={MASK}{rest}")
            }
            None => f.write_str(text),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Value for StoreUrl {
    const KIND: &'static str = "store URL";
    const EMPTY_IS_UNSET: bool = true;
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
        let known = match scheme {
            "sqlite" => text.len() > "sqlite:".len(),
            "postgres" | "postgresql" => text.contains("://"),
            _ => false,
        };
        // The text is not repeated: whatever it is, it may hold a password.
        if known {
            Ok(Self(text.to_owned()))
        } else {
            Err("expects `sqlite:PATH` or `postgres://USER@HOST/DATABASE`".to_owned())
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_never_shown() {
        let token = Secret::parse(" hf_abc\n").unwrap();
        assert_eq!(token.expose(), "hf_abc");
        assert_eq!(format!("{token:?} {} {}", token.show(), token.json()), r#"******** ******** "********""#);
    }

    #[test]
    fn the_password_of_a_store_url_is_masked() {
        let shown = |text| StoreUrl::parse(text).unwrap().show();
        assert_eq!(shown("postgres://ann:s3@cret@db:5432/viewer?x=y"), "postgres://ann:********@db:5432/viewer?x=y");
        assert_eq!(
            shown("postgres://db/viewer?user=a&password=b&x=y"),
            "postgres://db/viewer?user=a&password=********&x=y"
        );
        assert_eq!(shown("postgres://ann:a/b?c@db/viewer"), "postgres://ann:********@db/viewer");
        assert_eq!(shown("postgres://ann@db/viewer"), "postgres://ann@db/viewer");
        assert_eq!(shown("sqlite:/srv/a.sqlite"), "sqlite:/srv/a.sqlite");
        let error = StoreUrl::parse("mysql://root:secret@db").unwrap_err();
        assert_eq!(error, "expects `sqlite:PATH` or `postgres://USER@HOST/DATABASE`");
    }
}
