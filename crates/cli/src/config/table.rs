//! The one table of settings. Every row is a field of a section struct, declared once by [`section!`]: the
//! loader parses by it, the reference page and `belvedere config` print it.
//!
//! To add a setting: one field with a doc comment in `sections/`, with its default and, if they apply, unit,
//! bounds and who reads it. Then `UPDATE_DOCS=1 cargo test -p belvedere` writes it into the reference page.

use super::Reader;

/// A group of settings: a table in TOML, a prefix in the environment.
#[derive(Debug)]
pub struct Section {
    /// Name of the TOML table; empty for settings that stand outside of tables.
    pub name: &'static str,
    /// What the group is about.
    pub doc: &'static str,
    /// Its settings in reading order.
    pub settings: &'static [Setting],
}

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Name of its section.
    pub section: &'static str,
    /// Its name in that section.
    pub key: &'static str,
    /// Its variable, where that is not `SECTION_KEY`.
    pub named: Option<&'static str>,
    /// What is expected: `integer`, `path`.
    pub kind: &'static str,
    /// It may have no value.
    pub optional: bool,
    /// Empty text means no value.
    pub empty_is_unset: bool,
    /// Its text may hold a secret, which is masked wherever the value is shown.
    pub secret: bool,
    /// The default as it would be written; empty for none.
    pub default: &'static str,
    /// The default inside `belvedere serve` and `check`, where it is another one.
    pub serve: Option<&'static str>,
    /// The default under `COMPAT=reference`, where it is another one.
    pub reference: Option<&'static str>,
    /// Why the defaults differ; starts with a lower-case letter, without a final dot.
    pub why: &'static str,
    /// Unit of the value: `bytes`, `percent`.
    pub unit: &'static str,
    /// Smallest legal value.
    pub min: Option<f64>,
    /// Largest legal value.
    pub max: Option<f64>,
    /// What the setting does.
    pub doc: &'static str,
    /// Who reads it.
    pub fate: Fate,
    /// Older variables that mean the same.
    pub aliases: &'static [&'static str],
    /// Files of the secrets directory that hold its value, apart from the one named as the variable.
    pub secret_files: &'static [&'static str],
    /// The flags that set it.
    pub flag: &'static str,
    /// The descriptions that name the variable or one of its older names.
    pub described: &'static [Described],
}

/// What becomes of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Read by the parts named, such as `the worker`.
    Read(&'static str),
    /// Read by the parts named second, in programs built with the cargo feature named first; in others noted in the log
    /// when set.
    Built(&'static str, &'static str),
    /// Checked, and noted in the log when set: the part that would read it is not in this version. Names that part.
    Later(&'static str),
}

/// A description of the dataset viewer whose variables are all accounted for here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Described {
    /// The admin service, November 2022.
    Admin2022,
    /// The admin service, 2024.
    Admin2024,
    /// The worker for `/splits`, October 2022.
    Worker2022,
    /// The worker for all steps, November 2023.
    Worker2023,
}

impl Setting {
    /// The row that others are made from.
    pub(super) const BLANK: Self = Self {
        section: "",
        key: "",
        named: None,
        kind: "",
        optional: false,
        empty_is_unset: false,
        secret: false,
        default: "",
        serve: None,
        reference: None,
        why: "",
        unit: "",
        min: None,
        max: None,
        doc: "",
        fate: Fate::Read("the worker"),
        aliases: &[],
        secret_files: &[],
        flag: "",
        described: &[],
    };

    /// Its name in TOML and for `--set`: `section.key`.
    pub fn path(&self) -> String {
        if self.section.is_empty() { self.key.to_owned() } else { format!("{}.{}", self.section, self.key) }
    }

    /// Its variable: `SECTION_KEY`.
    pub fn variable(&self) -> String {
        match self.named {
            Some(named) => named.to_owned(),
            None => self.path().replace('.', "_").to_ascii_uppercase(),
        }
    }

    /// Whether a file of the secrets directory holds its value.
    pub(super) fn is_held_by(&self, file: &str) -> bool {
        self.secret_files.contains(&file) || self.variable() == file
    }
}

/// A group of settings as a struct.
pub(super) trait SectionValues: Sized {
    /// Its rows of the table.
    const SECTION: Section;

    /// Takes the values; `None` when one of them is wrong, which the reader keeps.
    fn read(reader: &mut Reader<'_>) -> Option<Self>;
}

/// Declares a section: a struct whose fields are settings. After the default, in braces, come further fields of
/// [`Setting`] for that row.
macro_rules! section {
    (
        $(#[doc = $section_doc:literal])*
        $name:ident = $section:literal {
            $(
                $(#[doc = $doc:literal])*
                $key:ident: $kind:ty = $default:literal $({ $($field:ident: $value:expr),* $(,)? })?
            ),* $(,)?
        }
    ) => {
        $(#[doc = $section_doc])*
        #[derive(Clone, PartialEq, Debug)]
        pub struct $name {
            $(
                $(#[doc = $doc])*
                pub $key: $kind,
            )*
        }

        impl $crate::config::table::SectionValues for $name {
            const SECTION: $crate::config::Section = $crate::config::Section {
                name: $section,
                doc: concat!($($section_doc, "\n"),*),
                settings: &[$(
                    $crate::config::Setting {
                        section: $section,
                        key: stringify!($key),
                        kind: <$kind as $crate::config::value::Value>::KIND,
                        optional: <$kind as $crate::config::value::Value>::OPTIONAL,
                        empty_is_unset: <$kind as $crate::config::value::Value>::EMPTY_IS_UNSET,
                        secret: <$kind as $crate::config::value::Value>::SECRET,
                        default: $default,
                        doc: concat!($($doc, "\n"),*),
                        $($($field: $value,)*)?
                        ..$crate::config::Setting::BLANK
                    }
                ),*],
            };

            fn read(reader: &mut $crate::config::Reader<'_>) -> Option<Self> {
                $(let $key = reader.take::<$kind>($section, stringify!($key));)*
                Some(Self { $($key: $key?),* })
            }
        }
    };
}

pub(super) use section;
