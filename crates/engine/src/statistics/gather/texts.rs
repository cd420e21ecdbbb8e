//! Texts: their lengths, which of them are the same, and the names of those that are few.
//!
//! Two texts count as the same when 128 bits of hash are: among a billion texts, the chance that any two differ in spite
//! of it is below 10⁻²⁰.

use std::hash::BuildHasher;

use arrow::array::{Array, ArrayAccessor, ArrayRef, AsArray, DictionaryArray};
use arrow::datatypes::{DataType, Int32Type};
use foldhash::quality::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::numbers::number_of_characters;
use super::{Sorter, unexpected};
use crate::error::EngineError;
use crate::statistics::keys::of_signed;
use crate::statistics::multiset::Run;

/// Distinct texts that are counted in a table before they are only sorted.
const TABLE: usize = 32 << 10;
/// Bytes of texts whose names are kept.
const NAME_BYTES: usize = 8 << 20;
/// Texts that are kept as a sample, and how much of each, in bytes.
pub(crate) const SAMPLE: usize = 1_000;
const SAMPLE_BYTES: usize = 256;

/// Texts of a few row groups.
pub(crate) struct Texts {
    lengths: Sorter<u64>,
    /// Keys of the texts that came after the table was full.
    hashes: Sorter<u128>,
    table: HashTable<Counted>,
    /// The table is full: everything goes to `hashes`.
    full: bool,
    names: Names,
    sample: Vec<String>,
    /// The very first value is null.
    first_is_null: Option<bool>,
    dictionary: Option<Dictionary>,
}

struct Counted {
    key: u128,
    count: u32,
}

/// Names by key, as long as they are few.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    most: usize,
    bytes: usize,
    /// `None`: there are too many.
    known: Option<hashbrown::HashMap<u128, String>>,
}

/// The dictionary that arrays refer to, and how often each of its texts occurs.
struct Dictionary {
    values: ArrayRef,
    counts: Vec<u32>,
}

/// What was gathered.
pub(crate) struct GatheredTexts {
    pub(crate) lengths: Vec<Run<u64>>,
    pub(crate) hashes: Vec<Run<u128>>,
    pub(crate) names: Names,
    pub(crate) sample: Vec<String>,
    pub(crate) first_is_null: bool,
}

impl Names {
    /// Keeps at most so many.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, bytes: 0, known: Some(hashbrown::HashMap::new()) }
    }

    fn add(&mut self, key: u128, name: &str) {
        let Some(known) = &mut self.known else { return };
        if known.contains_key(&key) {
            return;
        }
        self.bytes += name.len();
        if known.len() >= self.most || self.bytes > NAME_BYTES {
            self.known = None;
        } else {
            known.insert(key, name.to_owned());
        }
    }

    /// Takes the names of another part over.
    pub(crate) fn merge(&mut self, other: &Self) {
        match &other.known {
            None => self.known = None,
            Some(others) => others.iter().for_each(|(key, name)| self.add(*key, name)),
        }
    }

    /// All names, unless there are too many.
    pub(crate) fn known(&self) -> Option<&hashbrown::HashMap<u128, String>> {
        self.known.as_ref()
    }
}

/// The key of a text.
pub(crate) fn key_of(text: &str) -> u128 {
    const HIGH: FixedState = FixedState::with_seed(0x5151_7a8c_9d20_b6e3);
    const LOW: FixedState = FixedState::with_seed(0x2f6b_10d4_e5a3_79c8);
    u128::from(HIGH.hash_one(text)) << 64 | u128::from(LOW.hash_one(text))
}

impl Texts {
    /// Nothing yet; at most `names` names are kept.
    pub(crate) fn new(names: usize) -> Self {
        Self {
            lengths: Sorter::default(),
            hashes: Sorter::default(),
            table: HashTable::new(),
            full: false,
            names: Names::new(names),
            sample: Vec::new(),
            first_is_null: None,
            dictionary: None,
        }
    }

    /// Adds texts of any storage.
    pub(super) fn push(&mut self, array: &dyn Array) -> Result<(), EngineError> {
        if !array.is_empty() {
            self.first_is_null.get_or_insert_with(|| array.is_null(0));
        }
        match array.data_type() {
            DataType::Utf8 => self.each(array.as_string::<i32>()),
            DataType::LargeUtf8 => self.each(array.as_string::<i64>()),
            DataType::Utf8View => self.each(array.as_string_view()),
            DataType::Dictionary(..) => {
                let array = array.as_dictionary_opt::<Int32Type>().ok_or_else(|| unexpected(array))?;
                self.codes(array)?;
            }
            _ => return Err(unexpected(array)),
        }
        Ok(())
    }

    fn each<'a>(&mut self, texts: impl ArrayAccessor<Item = &'a str>) {
        for row in (0..texts.len()).filter(|&row| texts.is_valid(row)) {
            self.text(texts.value(row), 1);
        }
    }

    fn text(&mut self, text: &str, count: u32) {
        self.sample(text);
        let length = of_signed(number_of_characters(text).into());
        let key = key_of(text);
        if count == 1 {
            self.lengths.push(length);
        } else {
            self.lengths.push_counted(length, count);
        }
        if self.full {
            self.hashes.push_counted_or_single(key, count);
            return;
        }
        match self.table.entry(key as u64, |counted| counted.key == key, |counted| counted.key as u64) {
            Entry::Occupied(mut known) => known.get_mut().count += count,
            Entry::Vacant(place) => {
                place.insert(Counted { key, count });
                self.names.add(key, text);
                if self.table.len() >= TABLE {
                    self.full = true;
                    self.empty_table();
                }
            }
        }
    }

    fn sample(&mut self, text: &str) {
        if self.sample.len() < SAMPLE {
            let end = text.floor_char_boundary(SAMPLE_BYTES);
            self.sample.push(text[..end].to_owned());
        }
    }

    fn empty_table(&mut self) {
        let pairs: Vec<_> = self.table.drain().map(|counted| (counted.key, counted.count)).collect();
        self.hashes.runs.push(Run::of_counts(pairs));
    }

    /// Counts codes: each text of a dictionary is looked at once, however often it occurs.
    fn codes(&mut self, array: &DictionaryArray<Int32Type>) -> Result<(), EngineError> {
        let same = |known: &Dictionary| known.values.to_data().ptr_eq(&array.values().to_data());
        if !self.dictionary.as_ref().is_some_and(same) {
            self.empty_dictionary()?;
            let counts = vec![0; array.values().len()];
            self.dictionary = Some(Dictionary { values: array.values().clone(), counts });
        }
        let counts = &mut self.dictionary.as_mut().expect("set above").counts;
        let codes = array.keys();
        match codes.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => codes.values().iter().for_each(|&code| counts[code as usize] += 1),
            Some(nulls) => nulls.valid_indices().for_each(|row| counts[codes.values()[row] as usize] += 1),
        }
        // The sample is of the first values in their order, not of the dictionary.
        if self.sample.len() < SAMPLE {
            let texts = array.values().as_string_opt::<i32>().ok_or_else(|| unexpected(array))?;
            for code in codes.iter().flatten().take(SAMPLE - self.sample.len()).collect::<Vec<_>>() {
                self.sample(texts.value(code as usize));
            }
        }
        Ok(())
    }

    fn empty_dictionary(&mut self) -> Result<(), EngineError> {
        let Some(Dictionary { values, counts }) = self.dictionary.take() else { return Ok(()) };
        let texts = values.as_string_opt::<i32>().ok_or_else(|| unexpected(&*values))?;
        let sampled = std::mem::take(&mut self.sample);
        for (code, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            self.text(texts.value(code), count);
        }
        self.sample = sampled;
        Ok(())
    }

    /// Everything gathered.
    pub(crate) fn finish(mut self) -> Result<GatheredTexts, EngineError> {
        self.empty_dictionary()?;
        if !self.full {
            self.empty_table();
        }
        if self.full {
            self.names.known = None;
        }
        Ok(GatheredTexts {
            lengths: self.lengths.finish(),
            hashes: self.hashes.finish(),
            names: self.names,
            sample: self.sample,
            first_is_null: self.first_is_null.unwrap_or(false),
        })
    }
}

impl Sorter<u128> {
    fn push_counted_or_single(&mut self, key: u128, count: u32) {
        if count == 1 { self.push(key) } else { self.push_counted(key, count) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{StringArray, StringViewArray};
    use arrow::compute::cast;

    use super::*;
    use crate::statistics::multiset::{Budget, Multiset};
    use crate::task::Task;

    fn gathered(arrays: &[ArrayRef], names: usize) -> GatheredTexts {
        let mut texts = Texts::new(names);
        arrays.iter().for_each(|array| texts.push(array).unwrap());
        texts.finish().unwrap()
    }

    fn counts<K: crate::statistics::keys::Key>(runs: Vec<Run<K>>) -> Vec<(K, u64)> {
        let mut set = Multiset::new(&Budget::new(usize::MAX, std::path::PathBuf::new()));
        runs.into_iter().for_each(|run| set.add(run).unwrap());
        let mut pairs = Vec::new();
        set.for_each(&Task::new(1), |key, count| pairs.push((key, count))).unwrap();
        pairs
    }

    #[test]
    fn every_storage_gives_the_same() {
        let texts: Vec<Option<String>> =
            (0..100_000).map(|row| (row % 10 != 0).then(|| format!("é{}", row % 50_000))).collect();
        let plain: ArrayRef = Arc::new(StringArray::from(texts.clone()));
        let view: ArrayRef = Arc::new(StringViewArray::from_iter(texts.iter().map(Option::as_deref)));
        let coded = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let large = cast(&plain, &DataType::LargeUtf8).unwrap();
        let coded = cast(&plain, &coded).unwrap();
        let expected = gathered(&[plain], 10);
        assert!(expected.first_is_null && expected.names.known().is_none() && expected.sample[0] == "é1");
        let (lengths, hashes) = (counts(expected.lengths), counts(expected.hashes));
        assert_eq!(hashes.len(), 45_000);
        assert_eq!(lengths[0], (of_signed(2), 18));
        for array in [view, large, coded] {
            let other = gathered(&[array], 10);
            assert_eq!(other.sample, expected.sample);
            assert!(counts(other.lengths) == lengths && counts(other.hashes) == hashes);
        }
    }

    #[test]
    fn names_are_kept_while_they_are_few() {
        let array: ArrayRef = Arc::new(StringArray::from(vec!["b", "a", "b"]));
        let few = gathered(std::slice::from_ref(&array), 2);
        let mut names: Vec<&String> = few.names.known().unwrap().values().collect();
        names.sort_unstable();
        assert_eq!(names, ["a", "b"]);
        assert!(gathered(&[array], 1).names.known().is_none());
        let long: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(NAME_BYTES + 1)]));
        assert!(gathered(&[long], 10).names.known().is_none());
    }
}
