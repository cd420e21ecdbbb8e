//! Choices between words, and names of datasets.

use crate::config::value::{Value, unexpected};

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

/// An entry of the list of scanned datasets: `*` for all, or as in the block list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ScannedDataset {
    /// Every dataset.
    All,
    /// Those whose names match.
    Like(BlockedDataset),
}

impl Value for ScannedDataset {
    const KIND: &'static str = "dataset name";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "*" => Ok(Self::All),
            pattern => BlockedDataset::parse(pattern).map(Self::Like),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::All => "*".to_owned(),
            Self::Like(pattern) => pattern.show(),
        }
    }
}

/// A dataset that is not for everybody: `name` or `namespace/pattern`, where `*` stands for any letters of the pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PrivateDataset(String);

impl PrivateDataset {
    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for PrivateDataset {
    const KIND: &'static str = "dataset name";

    fn parse(text: &str) -> Result<Self, String> {
        match belvedere_domain::account::is_pattern(text) {
            true => Ok(Self(text.to_owned())),
            false => {
                Err(format!("holds `{text}`; an entry is `name` or `namespace/name`, with `*` after the `/` only"))
            }
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

impl Value for std::net::IpAddr {
    const KIND: &'static str = "IP address";

    fn parse(text: &str) -> Result<Self, String> {
        text.trim().parse().map_err(|_| format!("holds `{text}`, which is no IP address"))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for belvedere_hub::remote::Network {
    const KIND: &'static str = "network";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error| format!("holds {error}"))
    }

    fn show(&self) -> String {
        self.to_string()
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
    /// How loud requests are logged.
    LogRequests = "`debug`, `info` or `off`" {
        /// Not at all.
        Off = "off",
        /// Where more than usual is logged.
        Debug = "debug",
        /// As a rule.
        Info = "info",
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
    /// How clients get files that are in S3.
    BlobDelivery = "`proxy` or `link`" {
        /// Through this server.
        Proxy = "proxy",
        /// By a redirection to a signed link.
        Link = "link",
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

choice! {
    /// Whose rules statistics follow.
    StatisticsRules = "`seed` or `reference`" {
        /// Those of the description of 2023, with figures of more types.
        Seed = "seed",
        /// Those of today's dataset viewer of the Hugging Face Hub.
        Reference = "reference",
    }
}

choice! {
    /// What becomes of files that differ.
    SchemaChoice = "`strict` or `union`" {
        /// An error.
        Strict = "strict",
        /// One schema holds them all.
        Union = "union",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn one_star_scans_all_datasets() {
        assert_eq!(ScannedDataset::parse("*"), Ok(ScannedDataset::All));
        for entry in ["acme/*", "squad"] {
            assert_eq!(ScannedDataset::parse(entry).map(|entry| entry.show()), Ok(entry.to_owned()));
        }
        assert!(ScannedDataset::parse("*/wine").is_err());
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
