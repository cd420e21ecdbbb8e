//! Features ⇄ JSON.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as JsonValue, json};

use super::{Dtype, Feature, Features, Media};

/// Why a JSON value is no feature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("feature `{path}`: {reason}")]
pub struct FeaturesError {
    /// Column and fields, joined by dots.
    pub path: String,
    /// What is wrong.
    pub reason: String,
}

impl FeaturesError {
    fn new(reason: impl Into<String>) -> Self {
        Self { path: String::new(), reason: reason.into() }
    }

    fn within(mut self, name: &str) -> Self {
        self.path = if self.path.is_empty() { name.to_owned() } else { format!("{name}.{}", self.path) };
        self
    }
}

impl Features {
    /// Reads the object form `{"column": type}`.
    ///
    /// # Errors
    /// [`FeaturesError`] names the column and what is wrong with it.
    pub fn from_json(value: &JsonValue) -> Result<Self, FeaturesError> {
        let object = value.as_object().ok_or_else(|| FeaturesError::new("expected an object of columns"))?;
        let column = |(name, value): (&String, &JsonValue)| {
            Ok((name.clone(), Feature::from_json(value).map_err(|error| error.within(name))?))
        };
        Ok(Self(object.iter().map(column).collect::<Result<_, _>>()?))
    }

    /// The object form with `List` objects.
    pub fn to_json(&self) -> JsonValue {
        self.object(&Feature::to_json)
    }

    /// The object form of `dataset_info`, in which a variable list is a one-element array.
    pub fn to_legacy_json(&self) -> JsonValue {
        self.object(&Feature::to_legacy_json)
    }

    fn object(&self, write: &dyn Fn(&Feature) -> JsonValue) -> JsonValue {
        JsonValue::Object(self.iter().map(|(name, feature)| (name.clone(), write(feature))).collect())
    }
}

impl Serialize for Features {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Features {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(&JsonValue::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl Feature {
    /// Reads a type in any spelling.
    ///
    /// # Errors
    /// [`FeaturesError`] when `_type` is missing its attributes or a scalar name is unknown.
    pub fn from_json(value: &JsonValue) -> Result<Self, FeaturesError> {
        match value {
            JsonValue::Array(items) => match items.as_slice() {
                [item] => Ok(Self::list(Self::from_json(item)?)),
                _ => Err(FeaturesError::new("a list is written as an array of exactly one type")),
            },
            JsonValue::Object(object) => match object.get("_type") {
                Some(JsonValue::String(kind)) => typed(kind, object),
                _ => Ok(Self::Struct(Features::from_json(value)?)),
            },
            other => Err(FeaturesError::new(format!("expected an object or an array, found {other}"))),
        }
    }

    /// The object form.
    pub fn to_json(&self) -> JsonValue {
        self.write(false)
    }

    /// The form in which a variable list is `[T]`.
    pub fn to_legacy_json(&self) -> JsonValue {
        self.write(true)
    }

    fn write(&self, legacy: bool) -> JsonValue {
        match self {
            Self::Value(dtype) => json!({"dtype": dtype.to_string(), "_type": "Value"}),
            Self::ClassLabel { names } => json!({"names": names, "_type": "ClassLabel"}),
            Self::List { feature, length: None } if legacy => json!([feature.write(legacy)]),
            Self::List { feature, length: None } => json!({"feature": feature.write(legacy), "_type": "List"}),
            Self::List { feature, length: Some(length) } => {
                json!({"feature": feature.write(legacy), "length": length, "_type": "List"})
            }
            Self::LargeList(feature) => json!({"feature": feature.write(legacy), "_type": "LargeList"}),
            Self::Array { shape, dtype } => {
                json!({"shape": shape, "dtype": dtype.to_string(), "_type": format!("Array{}D", shape.len())})
            }
            Self::Translation { languages } => json!({"languages": languages, "_type": "Translation"}),
            Self::TranslationVariableLanguages { languages, num_languages } => {
                let mut object = Map::new();
                if let Some(languages) = languages {
                    object.insert("languages".into(), json!(languages));
                }
                if let Some(number) = num_languages {
                    object.insert("num_languages".into(), json!(number));
                }
                object.insert("_type".into(), "TranslationVariableLanguages".into());
                JsonValue::Object(object)
            }
            Self::Image(media) => media.write("Image"),
            Self::Audio(media) => media.write("Audio"),
            Self::Video(media) => media.write("Video"),
            Self::Pdf(media) => media.write("Pdf"),
            Self::Json => json!({"_type": "Json"}),
            Self::Struct(fields) => fields.object(&|field| field.write(legacy)),
            Self::Opaque(value) => value.clone(),
        }
    }
}

impl Media {
    fn write(&self, kind: &str) -> JsonValue {
        let mut object = self.attributes.clone();
        object.insert("_type".into(), kind.into());
        JsonValue::Object(object)
    }

    /// Keeps what differs from the defaults of every version: null, `decode: true`, `mono: true`.
    fn read(object: &Map<String, JsonValue>) -> Self {
        let differs = |(name, value): &(&String, &JsonValue)| match name.as_str() {
            "_type" | "id" => false,
            "decode" | "mono" => **value == JsonValue::Bool(false),
            _ => !value.is_null(),
        };
        let kept = object.iter().filter(differs).map(|(name, value)| (name.clone(), value.clone()));
        Self { attributes: kept.collect() }
    }
}

fn typed(kind: &str, object: &Map<String, JsonValue>) -> Result<Feature, FeaturesError> {
    Ok(match kind {
        "Value" => Feature::Value(dtype(object)?),
        "ClassLabel" => class_label(object)?,
        "List" | "LargeList" | "Sequence" => {
            let inner =
                object.get("feature").ok_or_else(|| FeaturesError::new(format!("`{kind}` without `feature`")))?;
            list(kind, Feature::from_json(inner)?, length(object))
        }
        "Array2D" | "Array3D" | "Array4D" | "Array5D" => array(kind, object)?,
        "Translation" => Feature::Translation { languages: texts(object.get("languages"))? },
        "TranslationVariableLanguages" => Feature::TranslationVariableLanguages {
            languages: object
                .get("languages")
                .filter(|value| !value.is_null())
                .map(|value| texts(Some(value)))
                .transpose()?,
            num_languages: object.get("num_languages").and_then(JsonValue::as_u64).and_then(|n| u32::try_from(n).ok()),
        },
        "Image" => Feature::Image(Media::read(object)),
        "Audio" => Feature::Audio(Media::read(object)),
        "Video" => Feature::Video(Media::read(object)),
        "Pdf" => Feature::Pdf(Media::read(object)),
        "Json" => Feature::Json,
        _ => Feature::Opaque(JsonValue::Object(object.clone())),
    })
}

fn list(kind: &str, feature: Feature, length: Option<u32>) -> Feature {
    match (kind, feature) {
        // The oldest spelling: a sequence of structs is stored as a struct of lists.
        ("Sequence", Feature::Struct(fields)) => Feature::Struct(Features::new(
            fields.iter().map(|(name, field)| (name.clone(), list("List", field.clone(), length))),
        )),
        ("LargeList", feature) => Feature::LargeList(Box::new(feature)),
        (_, feature) => Feature::List { feature: Box::new(feature), length },
    }
}

/// −1 was the older way to say "any length".
fn length(object: &Map<String, JsonValue>) -> Option<u32> {
    object.get("length").and_then(JsonValue::as_i64).and_then(|length| u32::try_from(length).ok())
}

fn dtype(object: &Map<String, JsonValue>) -> Result<Dtype, FeaturesError> {
    let name =
        object.get("dtype").and_then(JsonValue::as_str).ok_or_else(|| FeaturesError::new("`dtype` is missing"))?;
    name.parse().map_err(|error: super::dtype::UnknownDtype| FeaturesError::new(error.to_string()))
}

fn class_label(object: &Map<String, JsonValue>) -> Result<Feature, FeaturesError> {
    let names = match object.get("names") {
        // The form of the YAML header: {"0": "neg", "1": "pos"}, numbers without gaps.
        Some(JsonValue::Object(by_number)) => (0..by_number.len())
            .map(|number| by_number.get(&number.to_string()).and_then(JsonValue::as_str).map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or_else(|| FeaturesError::new("`names` must be numbered from 0 without gaps"))?,
        names => texts(names)?,
    };
    Ok(Feature::ClassLabel { names })
}

fn texts(value: Option<&JsonValue>) -> Result<Vec<String>, FeaturesError> {
    value
        .and_then(JsonValue::as_array)
        .and_then(|items| items.iter().map(|item| item.as_str().map(str::to_owned)).collect())
        .ok_or_else(|| FeaturesError::new("expected a list of texts"))
}

fn array(kind: &str, object: &Map<String, JsonValue>) -> Result<Feature, FeaturesError> {
    let dimensions = kind.as_bytes()[5] - b'0';
    let shape: Vec<Option<u32>> = object
        .get("shape")
        .and_then(JsonValue::as_array)
        .map(|shape| shape.iter().map(|size| size.as_u64().and_then(|size| u32::try_from(size).ok())).collect())
        .unwrap_or_default();
    if shape.len() != usize::from(dimensions) || shape[1..].contains(&None) {
        return Err(FeaturesError::new(format!(
            "`{kind}` needs a `shape` of {dimensions} sizes, of which only the first may be null"
        )));
    }
    Ok(Feature::Array { shape, dtype: dtype(object)? })
}
