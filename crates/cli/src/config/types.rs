//! Values that mean more than a number or a text: secrets, limits that can be switched off, choices.

use std::fmt;

use serde_json::{Value as Json, json};

use super::value::{Value, unexpected};

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
    pub fn sqlite(path: &std::path::Path) -> Self {
        Self(format!("sqlite:{}", path.display()))
    }

    /// The whole URL, with its password.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The path of the SQLite file; `None` for PostgreSQL.
    pub fn sqlite_path(&self) -> Option<&std::path::Path> {
        self.0.strip_prefix("sqlite:").map(std::path::Path::new)
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let masked = self.0.split_once("://").and_then(|(scheme, rest)| {
            let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            let (login, host) = authority.rsplit_once('@')?;
            let (user, _) = login.split_once(':')?;
            Some(format!("{scheme}://{user}:{MASK}@{host}{path}"))
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

/// A limit that 0 or less switches off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit(Option<u32>);

impl Limit {
    /// The limit; `None` when it is switched off.
    pub fn get(self) -> Option<u32> {
        self.0
    }
}

impl Value for Limit {
    const KIND: &'static str = "integer";

    fn parse(text: &str) -> Result<Self, String> {
        if let Some(digits) = text.trim().strip_prefix('-')
            && u32::parse(digits).is_ok()
        {
            return Ok(Self(None));
        }
        let limit = u32::parse(text)?;
        Ok(Self((limit > 0).then_some(limit)))
    }

    fn show(&self) -> String {
        self.0.unwrap_or(0).to_string()
    }

    fn json(&self) -> Json {
        json!(self.0.unwrap_or(0))
    }
}

/// How many bytes of data are taken before something is called partial or refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SizeLimit {
    /// No limit for the files of this machine, 100,000,000 bytes for those of a remote Hub.
    Auto,
    /// No limit.
    Unlimited,
    /// This many bytes.
    Bytes(u64),
}

/// The limit for remote Hubs under [`SizeLimit::Auto`], in bytes.
const REMOTE_BYTES: u64 = 100_000_000;

impl SizeLimit {
    /// The limit in bytes for files of this machine; `None`: no limit.
    pub fn for_local_files(self) -> Option<u64> {
        match self {
            Self::Auto | Self::Unlimited => None,
            Self::Bytes(bytes) => Some(bytes),
        }
    }

    /// The limit in bytes for files of a remote Hub; `None`: no limit.
    pub fn for_remote_files(self) -> Option<u64> {
        match self {
            Self::Auto => Some(REMOTE_BYTES),
            Self::Unlimited => None,
            Self::Bytes(bytes) => Some(bytes),
        }
    }
}

impl Value for SizeLimit {
    const KIND: &'static str = "integer, `unlimited` or `auto`";

    fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            "auto" => Ok(Self::Auto),
            "unlimited" => Ok(Self::Unlimited),
            other => u64::parse(other).map(Self::Bytes).map_err(|_| unexpected(Self::KIND, text)),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Auto => "auto".to_owned(),
            Self::Unlimited => "unlimited".to_owned(),
            Self::Bytes(bytes) => bytes.to_string(),
        }
    }

    fn json(&self) -> Json {
        match self {
            Self::Bytes(bytes) => json!(bytes),
            other => json!(other.show()),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Bytes(bytes) => Some(*bytes as f64),
            Self::Auto | Self::Unlimited => None,
        }
    }
}

/// A number of threads or processes, or as many as the machine has cores.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Count {
    /// One per core.
    Auto,
    /// This many.
    Exactly(u32),
}

impl Count {
    /// The number on a machine with that many cores.
    pub fn on(self, cores: usize) -> usize {
        match self {
            Self::Auto => cores.max(1),
            Self::Exactly(count) => count as usize,
        }
    }
}

impl Value for Count {
    const KIND: &'static str = "integer or `auto`";

    fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            "auto" => Ok(Self::Auto),
            other => u32::parse(other).map(Self::Exactly).map_err(|_| unexpected(Self::KIND, text)),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Auto => "auto".to_owned(),
            Self::Exactly(count) => count.to_string(),
        }
    }

    fn json(&self) -> Json {
        match self {
            Self::Auto => json!("auto"),
            Self::Exactly(count) => json!(count),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Auto => None,
            Self::Exactly(count) => Some(f64::from(*count)),
        }
    }
}

/// An entry of the block list: a dataset name, in whose last part `*`, `?` and `[…]` are wildcards.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BlockedDataset(String);

impl BlockedDataset {
    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for BlockedDataset {
    const KIND: &'static str = "dataset name";

    fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('/').collect();
        match parts.as_slice() {
            [name] if !name.contains('*') => Ok(Self(text.to_owned())),
            [namespace, name] if !namespace.is_empty() && !name.is_empty() && !namespace.contains('*') => {
                Ok(Self(text.to_owned()))
            }
            _ => {
                Err(format!("holds `{text}`; an entry is `name` or `namespace/pattern`, with `*` in the pattern only"))
            }
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// Declares an enum of words.
macro_rules! choice {
    (
        $(#[$doc:meta])* $name:ident = $kind:literal {
            $($(#[$variant_doc:meta])* $variant:ident = $word:literal $(| $other:literal)*),* $(,)?
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum $name {
            $($(#[$variant_doc])* $variant),*
        }

        impl Value for $name {
            const KIND: &'static str = $kind;

            fn parse(text: &str) -> Result<Self, String> {
                match text.trim().to_ascii_lowercase().as_str() {
                    $($word $(| $other)* => Ok(Self::$variant),)*
                    _ => Err(unexpected(Self::KIND, text)),
                }
            }

            fn show(&self) -> String {
                match self {
                    $(Self::$variant => $word.to_owned()),*
                }
            }
        }
    };
}

choice! {
    /// How much is logged.
    LogLevel = "`debug`, `info`, `warning`, `error` or `critical`" {
        /// Everything, other libraries included.
        Trace = "trace" | "notset",
        /// What a developer wants to see.
        Debug = "debug",
        /// Rare and high-level events.
        Info = "info",
        /// Something is odd, work goes on.
        Warning = "warning" | "warn",
        /// Someone must act. Nothing of ours is graver, so `critical` is the same.
        Error = "error" | "critical" | "fatal",
        /// Nothing.
        Off = "off",
    }
}

choice! {
    /// The form of a log line.
    LogFormat = "`text` or `json`" {
        /// For people.
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
}

choice! {
    /// Where files made from cells are kept.
    StorageProtocol = "`file` or `s3`" {
        /// A folder.
        File = "file",
        /// An S3 bucket.
        S3 = "s3",
    }
}

choice! {
    /// Whose rules hold where ours differ from the reference.
    Compat = "`belvedere` or `reference`" {
        /// Ours, which suit a laptop.
        Belvedere = "belvedere",
        /// Those of today's dataset viewer of the Hugging Face Hub.
        Reference = "reference",
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
        assert_eq!(shown("postgres://ann@db/viewer"), "postgres://ann@db/viewer");
        assert_eq!(shown("sqlite:/srv/a.sqlite"), "sqlite:/srv/a.sqlite");
        let error = StoreUrl::parse("mysql://root:secret@db").unwrap_err();
        assert_eq!(error, "expects `sqlite:PATH` or `postgres://USER@HOST/DATABASE`");
    }

    #[test]
    fn limits_are_switched_off_by_zero_or_less() {
        assert_eq!(Limit::parse("70").map(Limit::get), Ok(Some(70)));
        assert_eq!(Limit::parse("0").map(Limit::get), Ok(None));
        assert_eq!(Limit::parse("-1").map(Limit::get), Ok(None));
        assert_eq!(Limit::parse("-"), Err("expects an integer, found `-`".to_owned()));
    }

    #[test]
    fn a_size_limit_depends_on_where_the_files_are_only_if_automatic() {
        let limits = |text| SizeLimit::parse(text).map(|limit| (limit.for_local_files(), limit.for_remote_files()));
        assert_eq!(limits("auto"), Ok((None, Some(100_000_000))));
        assert_eq!(limits("unlimited"), Ok((None, None)));
        assert_eq!(limits("60_000"), Ok((Some(60_000), Some(60_000))));
        assert_eq!(limits("much"), Err("expects an integer, `unlimited` or `auto`, found `much`".to_owned()));
    }

    #[test]
    fn log_levels_are_those_of_python_in_any_case() {
        assert_eq!(LogLevel::parse("WARNING"), Ok(LogLevel::Warning));
        assert_eq!(LogLevel::parse("Critical"), Ok(LogLevel::Error));
        assert_eq!(LogLevel::parse("notset"), Ok(LogLevel::Trace));
        assert_eq!(
            LogLevel::parse("loud"),
            Err("expects `debug`, `info`, `warning`, `error` or `critical`, found `loud`".to_owned())
        );
    }

    #[test]
    fn wildcards_of_the_block_list_stand_in_the_name_only() {
        for entry in ["acme/*", "acme/wine-[0-9]", "squad"] {
            assert!(BlockedDataset::parse(entry).is_ok(), "{entry}");
        }
        for entry in ["*/wine", "a/b/c", "acme/", "*"] {
            assert!(BlockedDataset::parse(entry).is_err(), "{entry}");
        }
    }
}
