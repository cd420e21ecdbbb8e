//! Typed columns of a dataset, in every JSON spelling that has ever been served.
//!
//! Reading accepts `Value`, `ClassLabel`, `List`, `LargeList`, the older `Sequence` (over a struct it
//! means a struct of lists), the one-element array `[T]`, `Array2D`…`Array5D`, `Translation`,
//! `TranslationVariableLanguages`, `Image`, `Audio`, `Video`, `Pdf`, `Json` and plain objects as structs.
//! Writing knows two forms: objects ([`Features::to_json`]) and, inside `dataset_info`, the older one in
//! which a variable list is `[T]` ([`Features::to_legacy_json`]). Attributes at their default are left out.

mod dtype;
mod json;

pub use dtype::{Dtype, TimeUnit};
pub use json::FeaturesError;

use serde_json::{Value as JsonValue, json};

/// The type of one column or of a part of it.
#[derive(Clone, PartialEq, Debug)]
pub enum Feature {
    /// A scalar.
    Value(Dtype),
    /// An integer that stands for a class; −1 means no label.
    ClassLabel {
        /// Names by number.
        names: Vec<String>,
    },
    /// A list with 32-bit offsets, or of fixed length.
    List {
        /// Type of the items.
        feature: Box<Feature>,
        /// `None`: any length.
        length: Option<u32>,
    },
    /// A list with 64-bit offsets.
    LargeList(Box<Feature>),
    /// `Array2D` to `Array5D`: nested lists of a known shape.
    Array {
        /// 2 to 5 dimensions; only the first may be `None`.
        shape: Vec<Option<u32>>,
        /// Type of the cells.
        dtype: Dtype,
    },
    /// One text per language.
    Translation {
        /// Language codes.
        languages: Vec<String>,
    },
    /// Any number of texts per language.
    TranslationVariableLanguages {
        /// Language codes, if declared.
        languages: Option<Vec<String>>,
        /// How many languages, if declared.
        num_languages: Option<u32>,
    },
    /// An image: `{bytes, path}`.
    Image(Media),
    /// A sound: `{bytes, path}`.
    Audio(Media),
    /// A video: `{bytes, path}`.
    Video(Media),
    /// A PDF document: `{bytes, path}`.
    Pdf(Media),
    /// JSON text; cells show the parsed value.
    Json,
    /// Named children.
    Struct(Features),
    /// A known `_type` whose cells cannot be shown, such as `Mesh`. The JSON object is kept as it was.
    Opaque(JsonValue),
}

/// Attributes of a media column; those not given are not written.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Media {
    /// Every attribute that differs from its default, in the order given: `mode`, `decode`, `sampling_rate`, ….
    pub attributes: serde_json::Map<String, JsonValue>,
}

impl Feature {
    /// A variable list.
    pub fn list(feature: Self) -> Self {
        Self::List { feature: Box::new(feature), length: None }
    }

    /// A text column.
    pub const fn string() -> Self {
        Self::Value(Dtype::String)
    }

    /// The media attributes, for the four media types.
    pub fn media(&self) -> Option<&Media> {
        match self {
            Self::Image(media) | Self::Audio(media) | Self::Video(media) | Self::Pdf(media) => Some(media),
            _ => None,
        }
    }

    /// True if `test` holds for this feature or any part of it.
    pub fn any(&self, test: &mut dyn FnMut(&Self) -> bool) -> bool {
        if test(self) {
            return true;
        }
        match self {
            Self::List { feature, .. } | Self::LargeList(feature) => feature.any(test),
            Self::Struct(fields) => fields.iter().any(|(_, field)| field.any(test)),
            _ => false,
        }
    }
}

/// Columns in order. Names are unique.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Features(Vec<(String, Feature)>);

impl std::ops::Index<usize> for Features {
    type Output = (String, Feature);

    /// The column at a position, from 0. Panics beyond the last one.
    fn index(&self, position: usize) -> &Self::Output {
        &self.0[position]
    }
}

impl Features {
    /// Features from pairs; a repeated name keeps its first place and takes the last type.
    pub fn new(columns: impl IntoIterator<Item = (String, Feature)>) -> Self {
        let mut features = Self::default();
        for (name, feature) in columns {
            match features.0.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = feature,
                None => features.0.push((name, feature)),
            }
        }
        features
    }

    /// The columns in order.
    pub fn iter(&self) -> std::slice::Iter<'_, (String, Feature)> {
        self.0.iter()
    }

    /// Number of columns.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True without columns.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The type of a column.
    pub fn get(&self, name: &str) -> Option<&Feature> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, feature)| feature)
    }

    /// `[{"feature_idx": 0, "name": …, "type": …}]`: the form of row answers.
    pub fn to_list_json(&self) -> JsonValue {
        let item = |(index, (name, feature)): (usize, &(String, Feature))| json!({"feature_idx": index, "name": name, "type": feature.to_json()});
        self.iter().enumerate().map(item).collect()
    }
}

impl<'a> IntoIterator for &'a Features {
    type Item = &'a (String, Feature);
    type IntoIter = std::slice::Iter<'a, (String, Feature)>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests;
