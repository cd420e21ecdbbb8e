//! What the values of a batch look like, and the feature that follows from it.

use belvedere_domain::features::{Dtype, TimeUnit};
use belvedere_domain::{Feature, Features};
use hashbrown::HashMap;

use super::cursor::{Cursor, Fault, Kind, MAX_DEPTH};
use super::dates;

/// All values seen at one place.
#[derive(Default, Debug)]
pub(super) struct Shape {
    nulls: u64,
    booleans: u64,
    integers: u64,
    /// Numbers that are no 64-bit integers.
    floats: u64,
    texts: u64,
    /// Texts that are times.
    times: u64,
    arrays: u64,
    pub(super) objects: u64,
    items: Option<Box<Self>>,
    pub(super) fields: Fields,
}

/// The fields of the objects at one place, in order of first appearance.
#[derive(Default, Debug)]
pub(super) struct Fields {
    list: Vec<Field>,
    places: HashMap<Vec<u8>, usize>,
}

#[derive(Debug)]
struct Field {
    name: String,
    /// In how many objects it occurs.
    count: u64,
    /// The last object it occurred in.
    last: u64,
    shape: Shape,
}

/// What is known besides the values.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    /// The type that the column got before.
    pub(super) known: Option<&'a Feature>,
    /// Objects that differ in their keys are JSON text. Only the first batch of a config can decide that.
    pub(super) keys_must_agree: bool,
}

impl Shape {
    /// Adds the value at the cursor.
    pub(super) fn observe(&mut self, cursor: &mut Cursor<'_>, depth: usize) -> Result<(), Fault> {
        if depth > MAX_DEPTH {
            return Err(cursor.too_deep());
        }
        match cursor.kind()? {
            Kind::Null => {
                cursor.word("null")?;
                self.nulls += 1;
            }
            Kind::Bool => {
                cursor.boolean()?;
                self.booleans += 1;
            }
            Kind::Number => match cursor.number()?.integer() {
                Some(_) => self.integers += 1,
                None => self.floats += 1,
            },
            Kind::Text => {
                let text = cursor.string()?;
                self.texts += 1;
                // After the first text that is no time, nothing else needs a look.
                if self.times + 1 == self.texts && text.plain().and_then(dates::seconds).is_some() {
                    self.times += 1;
                }
            }
            Kind::Array => {
                cursor.at += 1;
                self.arrays += 1;
                let mut first = true;
                while cursor.next_item(first)? {
                    first = false;
                    self.items.get_or_insert_default().observe(cursor, depth + 1)?;
                }
            }
            Kind::Object => {
                cursor.at += 1;
                self.objects += 1;
                let (mut first, mut expected) = (true, 0);
                while cursor.next_field(first)? {
                    first = false;
                    let key = cursor.key()?;
                    let place = self.fields.place(key.plain(), expected, || {
                        let mut name = Vec::new();
                        key.append_to(&mut name).map(|()| name)
                    })?;
                    expected = place + 1;
                    let field = &mut self.fields.list[place];
                    if field.last != self.objects {
                        field.last = self.objects;
                        field.count += 1;
                    }
                    field.shape.observe(cursor, depth + 1)?;
                }
            }
        }
        Ok(())
    }

    /// The feature of the values.
    pub(super) fn feature(&self, rules: Rules<'_>) -> Feature {
        if rules.known == Some(&Feature::Json) {
            return Feature::Json;
        }
        let numbers = self.integers + self.floats;
        let kinds = [self.booleans, numbers, self.texts, self.arrays, self.objects];
        match kinds.iter().filter(|count| **count > 0).count() {
            0 => return Feature::Value(Dtype::Null),
            1 => {}
            _ => return Feature::Json,
        }
        if self.booleans > 0 {
            Feature::Value(Dtype::Bool)
        } else if numbers > 0 {
            Feature::Value(if self.floats == 0 { Dtype::Int64 } else { Dtype::Float64 })
        } else if self.texts > 0 {
            // A column that is text stays text, even if a later file holds nothing but dates.
            let stays_text = matches!(rules.known, Some(Feature::Value(dtype)) if dtype.is_text());
            let is_time = self.times == self.texts && !stays_text;
            Feature::Value(if is_time { Dtype::Timestamp(TimeUnit::Second, None) } else { Dtype::String })
        } else if self.arrays > 0 {
            let known = match rules.known {
                Some(Feature::List { feature, .. } | Feature::LargeList(feature)) => Some(feature.as_ref()),
                _ => None,
            };
            let items = self.items.as_ref().map(|items| items.feature(Rules { known, ..rules }));
            Feature::list(items.unwrap_or(Feature::Value(Dtype::Null)))
        } else if rules.keys_must_agree && !self.keys_agree() {
            Feature::Json
        } else {
            let known = match rules.known {
                Some(Feature::Struct(fields)) => Some(fields),
                _ => None,
            };
            Feature::Struct(self.fields.features(known, rules.keys_must_agree))
        }
    }

    /// True if every object has the same keys, and at least one.
    fn keys_agree(&self) -> bool {
        !self.fields.list.is_empty() && self.fields.list.iter().all(|field| field.count == self.objects)
    }

    /// How many values the arrays of this place will hold, fields that are absent included.
    pub(super) fn cells(&self) -> u64 {
        let rows = self.nulls + self.objects;
        let fields: u64 = self.fields.list.iter().map(|field| rows.saturating_add(field.shape.cells())).sum();
        fields.saturating_add(self.items.as_ref().map_or(0, |items| items.cells()))
    }
}

impl Fields {
    /// The place of a field, tried where it was in the object before. `plain`: its name if nothing is escaped.
    #[inline]
    fn place(
        &mut self,
        plain: Option<&[u8]>,
        expected: usize,
        unescaped: impl FnOnce() -> Result<Vec<u8>, Fault>,
    ) -> Result<usize, Fault> {
        let owned;
        let name = match plain {
            Some(name) => name,
            None => {
                owned = unescaped()?;
                &owned
            }
        };
        if self.list.get(expected).is_some_and(|field| field.name.as_bytes() == name) {
            return Ok(expected);
        }
        if let Some(place) = self.places.get(name) {
            return Ok(*place);
        }
        let place = self.list.len();
        let text = String::from_utf8_lossy(name).into_owned();
        self.list.push(Field { name: text, count: 0, last: 0, shape: Shape::default() });
        self.places.insert(name.to_vec(), place);
        Ok(place)
    }

    /// The features of all fields.
    pub(super) fn features(&self, known: Option<&Features>, keys_must_agree: bool) -> Features {
        Features::new(self.list.iter().map(|field| {
            let known = known.and_then(|known| known.get(&field.name));
            (field.name.clone(), field.shape.feature(Rules { known, keys_must_agree }))
        }))
    }

    /// Number of fields.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }
}
