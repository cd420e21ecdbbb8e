//! Values of known features → Arrow arrays.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, BooleanBufferBuilder, Float64Array, Int64Array, ListArray, NullArray, NullBufferBuilder,
    StringArray, StructArray, TimestampSecondArray,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{Field as ArrowField, Fields};
use belvedere_domain::features::{Dtype, TimeUnit};
use belvedere_domain::{Feature, Features};
use hashbrown::HashMap;

use super::cursor::{Cursor, Fault, Kind};
use super::{dates, rewrite};
use crate::error::{EngineError, ErrorKind};
use crate::features_arrow;

/// Collects the values of one column or part of it.
pub(super) struct Builder {
    nulls: NullBufferBuilder,
    length: usize,
    /// A value was there, be it null.
    seen: bool,
    values: Values,
}

enum Values {
    Null,
    Bool(BooleanBufferBuilder),
    Int(Vec<i64>),
    Float {
        values: Vec<f64>,
        /// One of them was no integer.
        fractions: bool,
    },
    Time(Vec<i64>),
    Text(Texts),
    Json {
        texts: Texts,
        /// How many values each lies in.
        depth: usize,
    },
    List {
        offsets: Vec<i32>,
        items: Box<Builder>,
        field: Arc<ArrowField>,
    },
    Struct(StructBuilder),
}

#[derive(Default)]
struct Texts {
    bytes: Vec<u8>,
    offsets: Vec<i32>,
}

/// Collects objects.
pub(super) struct StructBuilder {
    fields: Fields,
    builders: Vec<Builder>,
    places: HashMap<Vec<u8>, usize>,
}

/// True for what [`Builder`] makes exactly these features of; and the number of columns and fields in them.
pub(super) fn supports(features: &Features) -> Option<u64> {
    let mut fields = 0;
    for (_, feature) in features {
        fields += 1 + supports_feature(feature)?;
    }
    Some(fields)
}

fn supports_feature(feature: &Feature) -> Option<u64> {
    match feature {
        Feature::Value(
            Dtype::Null
            | Dtype::Bool
            | Dtype::Int64
            | Dtype::Float64
            | Dtype::String
            | Dtype::Timestamp(TimeUnit::Second, None),
        )
        | Feature::Json => Some(0),
        Feature::List { feature, length: None } => supports_feature(feature),
        Feature::Struct(fields) => supports(fields),
        _ => None,
    }
}

impl Builder {
    /// A builder for one of the features that [`Shape`](super::shape::Shape) gives.
    /// `depth`: how many values each value lies in.
    pub(super) fn new(feature: &Feature, depth: usize) -> Self {
        let values = match feature {
            Feature::Value(Dtype::Bool) => Values::Bool(BooleanBufferBuilder::new(0)),
            Feature::Value(Dtype::Int64) => Values::Int(Vec::new()),
            Feature::Value(Dtype::Float64) => Values::Float { values: Vec::new(), fractions: false },
            Feature::Value(Dtype::Timestamp(..)) => Values::Time(Vec::new()),
            Feature::Value(Dtype::String) => Values::Text(Texts::new()),
            Feature::Json => Values::Json { texts: Texts::new(), depth },
            Feature::List { feature, .. } => Values::List {
                offsets: vec![0],
                items: Box::new(Self::new(feature, depth + 1)),
                field: Arc::new(features_arrow::field(ArrowField::LIST_FIELD_DEFAULT_NAME, feature)),
            },
            Feature::Struct(fields) => Values::Struct(StructBuilder::at(fields, depth)),
            _ => Values::Null,
        };
        Self { nulls: NullBufferBuilder::new(0), length: 0, seen: false, values }
    }

    /// Adds the value at the cursor.
    #[inline]
    pub(super) fn append(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        self.seen = true;
        if cursor.byte()? == b'n' {
            cursor.word("null")?;
            self.append_null();
            return Ok(());
        }
        match &mut self.values {
            Values::Null => return Err(cursor.fault("a value where only null was seen before")),
            Values::Bool(values) => values.append(cursor.boolean()?),
            Values::Int(values) => {
                let integer = cursor.number()?.integer();
                values.push(integer.ok_or_else(|| cursor.fault("not an integer"))?);
            }
            Values::Float { values, fractions } => {
                let number = cursor.number()?;
                *fractions |= !*fractions && number.integer().is_none();
                values.push(number.float());
            }
            Values::Time(values) => {
                let seconds = cursor.string()?.plain().and_then(dates::seconds);
                values.push(seconds.ok_or_else(|| cursor.fault("not a time"))?);
            }
            Values::Text(texts) => {
                cursor.string()?.append_to(&mut texts.bytes)?;
                texts.end(*cursor)?;
            }
            Values::Json { texts, depth } => {
                rewrite::append_cell(cursor, &mut texts.bytes, *depth)?;
                texts.end(*cursor)?;
            }
            Values::List { offsets, items, .. } => {
                if cursor.kind()? != Kind::Array {
                    return Err(cursor.fault("not a list"));
                }
                cursor.at += 1;
                let mut first = true;
                while cursor.next_item(first)? {
                    first = false;
                    items.append(cursor)?;
                }
                offsets.push(offset(items.length, *cursor)?);
            }
            Values::Struct(object) => object.append(cursor, self.length)?,
        }
        self.nulls.append_non_null();
        self.length += 1;
        Ok(())
    }

    fn append_null(&mut self) {
        match &mut self.values {
            Values::Null => {}
            Values::Bool(values) => values.append(false),
            Values::Int(values) | Values::Time(values) => values.push(0),
            Values::Float { values, .. } => values.push(0.0),
            Values::Text(texts) | Values::Json { texts, .. } => texts.offsets.push(*texts.offsets.last().unwrap_or(&0)),
            Values::List { offsets, .. } => offsets.push(*offsets.last().unwrap_or(&0)),
            Values::Struct(object) => object.builders.iter_mut().for_each(Self::append_null),
        }
        self.nulls.append_null();
        self.length += 1;
    }

    /// True if the values, looked at without knowing their feature, would tell it.
    fn tells_its_feature(&self) -> bool {
        let has_value = || self.nulls.as_slice().is_none_or(|bits| bits.iter().any(|byte| *byte != 0));
        self.seen
            && match &self.values {
                // Whatever a column of JSON text holds, it stays one.
                Values::Null | Values::Json { .. } => true,
                Values::Float { fractions, .. } => *fractions,
                Values::List { items, .. } => items.tells_its_feature(),
                Values::Struct(object) => has_value() && object.tells_its_features(),
                Values::Bool(_) | Values::Int(_) | Values::Time(_) | Values::Text(_) => has_value(),
            }
    }

    /// The values so far.
    pub(super) fn finish(mut self) -> Result<ArrayRef, EngineError> {
        let nulls = self.nulls.finish();
        let length = self.length;
        Ok(match self.values {
            Values::Null => Arc::new(NullArray::new(length)),
            Values::Bool(mut values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Values::Int(values) => Arc::new(Int64Array::new(ScalarBuffer::from(values), nulls)),
            Values::Float { values, .. } => Arc::new(Float64Array::new(ScalarBuffer::from(values), nulls)),
            Values::Time(values) => Arc::new(TimestampSecondArray::new(ScalarBuffer::from(values), nulls)),
            Values::Text(texts) | Values::Json { texts, .. } => {
                let offsets = OffsetBuffer::new(ScalarBuffer::from(texts.offsets));
                Arc::new(StringArray::try_new(offsets, texts.bytes.into(), nulls).map_err(internal)?)
            }
            Values::List { offsets, items, field } => {
                let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                Arc::new(ListArray::try_new(field, offsets, items.finish()?, nulls).map_err(internal)?)
            }
            Values::Struct(object) if object.fields.is_empty() => {
                Arc::new(StructArray::new_empty_fields(length, nulls))
            }
            Values::Struct(object) => {
                let fields = object.fields.clone();
                Arc::new(StructArray::try_new(fields, object.finish()?, nulls).map_err(internal)?)
            }
        })
    }
}

impl Texts {
    fn new() -> Self {
        Self { bytes: Vec::new(), offsets: vec![0] }
    }

    fn end(&mut self, cursor: Cursor<'_>) -> Result<(), Fault> {
        self.offsets.push(offset(self.bytes.len(), cursor)?);
        Ok(())
    }
}

impl StructBuilder {
    /// For the rows of a table.
    pub(super) fn new(features: &Features) -> Self {
        Self::at(features, 0)
    }

    fn at(features: &Features, depth: usize) -> Self {
        Self {
            fields: features_arrow::to_schema(features, false).fields().clone(),
            builders: features.iter().map(|(_, feature)| Builder::new(feature, depth + 1)).collect(),
            places: features.iter().enumerate().map(|(place, (name, _))| (name.as_bytes().to_vec(), place)).collect(),
        }
    }

    /// Adds the object at the cursor. `length`: how many there are already.
    #[inline]
    pub(super) fn append(&mut self, cursor: &mut Cursor<'_>, length: usize) -> Result<(), Fault> {
        if cursor.byte()? != b'{' {
            return Err(cursor.fault("expected an object"));
        }
        cursor.at += 1;
        let (mut first, mut expected, mut seen) = (true, 0, 0);
        while cursor.next_field(first)? {
            first = false;
            let at = cursor.at;
            let key = cursor.key()?;
            let place = match key.plain() {
                Some(name) if self.fields.get(expected).is_some_and(|field| field.name().as_bytes() == name) => {
                    Some(expected)
                }
                Some(name) => self.places.get(name).copied(),
                None => {
                    let mut name = Vec::new();
                    key.append_to(&mut name)?;
                    self.places.get(&name).copied()
                }
            };
            let Some(place) = place else { return Err(Fault::At(at, "a key that was not seen before".to_owned())) };
            let builder = &mut self.builders[place];
            if builder.length > length {
                let message = format!("the key \"{}\" stands twice in one object", self.fields[place].name());
                return Err(Fault::At(at, message));
            }
            builder.append(cursor)?;
            expected = place + 1;
            seen += 1;
        }
        if seen < self.builders.len() {
            self.builders.iter_mut().filter(|builder| builder.length == length).for_each(Builder::append_null);
        }
        Ok(())
    }

    /// True if the objects, looked at without knowing their features, would tell them.
    pub(super) fn tells_its_features(&self) -> bool {
        self.builders.iter().all(Builder::tells_its_feature)
    }

    /// The columns so far.
    pub(super) fn finish(self) -> Result<Vec<ArrayRef>, EngineError> {
        self.builders.into_iter().map(Builder::finish).collect()
    }
}

fn offset(length: usize, cursor: Cursor<'_>) -> Result<i32, Fault> {
    i32::try_from(length).map_err(|_| cursor.fault("more than 2 GiB in one batch"))
}

fn internal(error: arrow::error::ArrowError) -> EngineError {
    EngineError::new(ErrorKind::Internal, error)
}
