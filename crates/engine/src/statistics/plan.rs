//! Which figures a split has: for every column its kind, and the values inside of it that have figures of their own.

use belvedere_domain::features::{Dtype, TimeUnit};
use belvedere_domain::{Feature, Features};

use crate::statistics::Rules;
use crate::statistics::keys::Scale;

/// Values inside of columns that are described, at most, and how deep they are looked for.
const MAX_NESTED: usize = 1_000;
const MAX_DEPTH: usize = 8;

/// A top-level column with what is described of it.
pub(super) struct Column {
    /// Position in the features.
    pub(super) index: usize,
    /// Never empty.
    pub(super) leaves: Vec<Leaf>,
}

/// Values that are described together.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    /// Name of the column; with the fields below it after dots and `[]` for the items of lists.
    pub(super) name: String,
    /// The way from the column to the values.
    pub(super) path: Vec<Step>,
    /// What the values are.
    pub(super) kind: Kind,
    /// Listed where the reference lists it, or among those that it leaves out.
    pub(super) listed: bool,
}

/// A step into nested values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// The field of that position.
    Field(usize),
    /// The items of all lists.
    Items,
}

/// What values are, as far as their figures depend on it.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Kind {
    Integer(Scale),
    Float,
    Bool,
    ClassLabel(Vec<String>),
    /// Units since 1970, shown in a zone.
    Datetime(TimeUnit, Option<String>),
    /// Days since 1970.
    Date,
    /// Units since midnight.
    Time(TimeUnit),
    Duration(TimeUnit),
    /// With so many decimals.
    Decimal(i8),
    Text,
    /// JSON text, by its length.
    Json,
    /// Bytes, by their number.
    Binary,
    /// By the number of items.
    List,
    /// By its width.
    Image,
    /// By its duration.
    Audio,
    /// By its duration.
    Video,
    /// By the number of bytes.
    Document,
    /// Nothing but nulls.
    Null,
}

impl Kind {
    /// The name clients see; texts are decided later.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Integer(_) => "int",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::ClassLabel(_) => "class_label",
            Self::Datetime(..) => "datetime",
            Self::Date => "date",
            Self::Time(_) => "time",
            Self::Duration(_) => "duration",
            Self::Decimal(_) => "decimal",
            Self::Text => "string_text",
            Self::Json => "json",
            Self::Binary => "binary",
            Self::List => "list",
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Document => "pdf",
            Self::Null => "null",
        }
    }

    /// True for the kinds that the reference describes.
    const fn is_classic(&self) -> bool {
        use Kind::{Audio, Bool, ClassLabel, Datetime, Float, Image, Integer, List, Text, Video};
        matches!(self, Integer(_) | Float | Bool | ClassLabel(_) | Datetime(..) | Text | List | Image | Audio | Video)
    }
}

/// The columns with figures. With the rules of the reference, only what it describes.
pub(super) fn plan(features: &Features, rules: Rules) -> Vec<Column> {
    let mut nested = 0;
    let mut columns = Vec::new();
    for (index, (name, feature)) in features.iter().enumerate() {
        let listed = kind_of(feature).filter(|kind| kind.is_classic() && is_classic(feature));
        let mut leaves = Vec::new();
        match (listed, rules) {
            (Some(kind), _) => leaves.push(Leaf { name: name.clone(), path: Vec::new(), kind, listed: true }),
            (None, Rules::Seed) => {
                let own =
                    kind_of(feature).map(|kind| Leaf { name: name.clone(), path: Vec::new(), kind, listed: false });
                leaves.extend(own);
            }
            (None, Rules::Reference) => {}
        }
        if rules == Rules::Seed {
            let before = leaves.len();
            descend(feature, name, &[], &mut leaves);
            leaves.truncate(before + MAX_NESTED - nested);
            nested += leaves.len() - before;
        }
        if !leaves.is_empty() {
            columns.push(Column { index, leaves });
        }
    }
    columns
}

/// What the reference looks at: neither anything with an array of known shape inside, nor lists of one length, nor views.
fn is_classic(feature: &Feature) -> bool {
    let shaped = feature.any(&mut |part| matches!(part, Feature::Array { .. }));
    !shaped && !matches!(feature, Feature::List { length: Some(_), .. } | Feature::Value(Dtype::StringView))
}

fn kind_of(feature: &Feature) -> Option<Kind> {
    Some(match feature {
        Feature::Value(dtype) => match dtype {
            Dtype::Null => Kind::Null,
            Dtype::Bool => Kind::Bool,
            Dtype::Int8 | Dtype::Int16 | Dtype::Int32 | Dtype::Int64 => Kind::Integer(Scale::Signed),
            Dtype::UInt8 | Dtype::UInt16 | Dtype::UInt32 | Dtype::UInt64 => Kind::Integer(Scale::Unsigned),
            Dtype::Float16 | Dtype::Float32 | Dtype::Float64 => Kind::Float,
            Dtype::Timestamp(unit, zone) => Kind::Datetime(*unit, zone.clone()),
            Dtype::Date32 | Dtype::Date64 => Kind::Date,
            Dtype::Time32(unit) | Dtype::Time64(unit) => Kind::Time(*unit),
            Dtype::Duration(unit) => Kind::Duration(*unit),
            Dtype::Decimal128(_, scale) | Dtype::Decimal256(_, scale) => Kind::Decimal(*scale),
            Dtype::Binary | Dtype::LargeBinary | Dtype::BinaryView | Dtype::FixedSizeBinary(_) => Kind::Binary,
            Dtype::String | Dtype::LargeString | Dtype::StringView => Kind::Text,
        },
        Feature::ClassLabel { names } => Kind::ClassLabel(names.clone()),
        Feature::List { .. } | Feature::LargeList(_) => Kind::List,
        Feature::Image(_) => Kind::Image,
        Feature::Audio(_) => Kind::Audio,
        Feature::Video(_) => Kind::Video,
        Feature::Pdf(_) => Kind::Document,
        Feature::Json => Kind::Json,
        Feature::Array { .. }
        | Feature::Translation { .. }
        | Feature::TranslationVariableLanguages { .. }
        | Feature::Struct(_)
        | Feature::Opaque(_) => return None,
    })
}

/// The values inside of a feature.
fn descend(feature: &Feature, name: &str, path: &[Step], leaves: &mut Vec<Leaf>) {
    if path.len() >= MAX_DEPTH || leaves.len() > MAX_NESTED {
        return;
    }
    let mut enter = |name: String, step: &[Step], inner: &Feature| {
        let path = [path, step].concat();
        if let Some(kind) = kind_of(inner) {
            leaves.push(Leaf { name: name.clone(), path: path.clone(), kind, listed: false });
        }
        descend(inner, &name, &path, leaves);
    };
    match feature {
        Feature::List { feature, .. } | Feature::LargeList(feature) => {
            enter(format!("{name}[]"), &[Step::Items], feature);
        }
        Feature::Struct(fields) => {
            for (position, (field, inner)) in fields.iter().enumerate() {
                enter(format!("{name}.{field}"), &[Step::Field(position)], inner);
            }
        }
        Feature::Array { shape, dtype } => {
            let items = vec![Step::Items; shape.len()];
            enter(format!("{name}{}", "[]".repeat(shape.len())), &items, &Feature::Value(dtype.clone()));
        }
        Feature::Translation { languages } => {
            // Stored in this order.
            let mut languages: Vec<&String> = languages.iter().collect();
            languages.sort_unstable();
            languages.dedup();
            for (position, language) in languages.into_iter().enumerate() {
                enter(format!("{name}.{language}"), &[Step::Field(position)], &Feature::string());
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn planned(rules: Rules) -> Vec<String> {
        let value = |dtype: &str| json!({"dtype": dtype, "_type": "Value"});
        let features = Features::from_json(&json!({
            "n": value("uint8"),
            "when": value("date32"),
            "meta": {"score": value("float32"), "tags": [value("string")]},
            "messages": [{"role": value("string")}],
            "three": {"_type": "List", "feature": value("int64"), "length": 3},
            "grid": {"_type": "Array2D", "shape": [2, 2], "dtype": "float32"},
            "words": {"_type": "Translation", "languages": ["fr", "en"]},
            "view": value("string_view"),
        }));
        let columns = plan(&features.unwrap(), rules);
        let line = |leaf: &Leaf| format!("{}{}: {}", if leaf.listed { "" } else { "+ " }, leaf.name, leaf.kind.name());
        columns.iter().flat_map(|column| column.leaves.iter().map(line)).collect()
    }

    #[test]
    fn nested_values_and_types_of_our_own_are_described_beside_the_classic_ones() {
        insta::assert_snapshot!(planned(Rules::Seed).join("\n"), @r"
        n: int
        + when: date
        + meta.score: float
        + meta.tags: list
        + meta.tags[]: string_text
        messages: list
        + messages[].role: string_text
        + three: list
        + three[]: int
        + grid[][]: float
        + words.en: string_text
        + words.fr: string_text
        + view: string_text
        ");
    }

    #[test]
    fn the_reference_describes_less() {
        assert_eq!(planned(Rules::Reference), ["n: int", "messages: list"]);
    }
}
