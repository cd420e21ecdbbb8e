//! Values of arrays → sorted runs: what a few row groups add to a column.

mod numbers;
mod texts;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Int64Type};

use crate::error::{EngineError, ErrorKind};
use crate::media::measure::{self, Media};
use crate::statistics::keys::{Key, of_float, of_signed};
use crate::statistics::multiset::Run;
use crate::statistics::plan::{Kind, Leaf};
use crate::statistics::walk::reach;

pub(super) use texts::{Names, SAMPLE, Texts, key_of};

/// Bytes of keys gathered before they are sorted into a run.
const RUN_BYTES: usize = 8 << 20;

/// Sorts what it is given into runs.
#[derive(Debug)]
pub(super) struct Sorter<K> {
    keys: Vec<K>,
    /// Keys with their numbers; a key may stand there more than once.
    counted: Vec<(K, u32)>,
    runs: Vec<Run<K>>,
}

impl<K> Default for Sorter<K> {
    fn default() -> Self {
        Self { keys: Vec::new(), counted: Vec::new(), runs: Vec::new() }
    }
}

impl<K: Key> Sorter<K> {
    fn extend(&mut self, keys: impl Iterator<Item = K>) {
        self.keys.extend(keys);
        if self.keys.len() >= RUN_BYTES / K::BYTES {
            self.runs.push(Run::of(std::mem::take(&mut self.keys)));
        }
    }

    fn push(&mut self, key: K) {
        self.extend(std::iter::once(key));
    }

    fn push_counted(&mut self, key: K, count: u32) {
        self.counted.push((key, count));
        if self.counted.len() >= RUN_BYTES / K::BYTES {
            self.seal_counted();
        }
    }

    fn seal_counted(&mut self) {
        let mut pairs = std::mem::take(&mut self.counted);
        pairs.sort_unstable_by_key(|(key, _)| *key);
        // Numbers that do not fit together stay apart.
        pairs.dedup_by(|next, first| {
            let sum = first.1.checked_add(next.1).filter(|_| first.0 == next.0);
            first.1 = sum.unwrap_or(first.1);
            sum.is_some()
        });
        self.runs.push(Run::of_counts(pairs));
    }

    /// Everything gathered, as runs.
    pub(super) fn finish(mut self) -> Vec<Run<K>> {
        if !self.counted.is_empty() {
            self.seal_counted();
        }
        if !self.keys.is_empty() {
            self.runs.push(Run::of(self.keys));
        }
        self.runs
    }
}

/// What is gathered, by the kind of the values.
pub(super) enum Gathered {
    /// Numbers, times, lengths and sizes.
    Numbers(Sorter<u64>),
    /// Numbers beyond 64 bits.
    Wide(Sorter<u128>),
    /// How many are false, and true.
    Bools([u64; 2]),
    /// How many have no label, and each class.
    Classes { none: u64, classes: Vec<u64> },
    /// Texts.
    Texts(Box<Texts>),
    /// Nothing but nulls.
    Nothing,
}

/// Gathers the values of one leaf.
pub(super) struct Gatherer<'l> {
    leaf: &'l Leaf,
    media: &'l Media<'l>,
    /// Values seen, nulls included.
    pub(super) rows: u64,
    /// Nulls and NaN.
    pub(super) nulls: u64,
    /// Positive and negative infinities, which are not among the numbers.
    pub(super) infinities: u64,
    /// Media that could not be measured; they are among the nulls.
    pub(super) unreadable: u64,
    pub(super) gathered: Gathered,
}

impl<'l> Gatherer<'l> {
    /// Nothing gathered yet. `names` bounds the texts whose names are kept.
    pub(super) fn new(leaf: &'l Leaf, media: &'l Media<'l>, names: usize) -> Self {
        let gathered = match &leaf.kind {
            Kind::Bool => Gathered::Bools([0; 2]),
            Kind::ClassLabel(names) => Gathered::Classes { none: 0, classes: vec![0; names.len()] },
            Kind::Decimal(_) => Gathered::Wide(Sorter::default()),
            Kind::Text => Gathered::Texts(Box::new(Texts::new(names))),
            Kind::Null => Gathered::Nothing,
            _ => Gathered::Numbers(Sorter::default()),
        };
        Self { leaf, media, rows: 0, nulls: 0, infinities: 0, unreadable: 0, gathered }
    }

    /// Adds what a column holds of the leaf.
    ///
    /// # Errors
    /// [`Incompatible`](ErrorKind::Incompatible) for a class that is not declared or a decimal beyond 38 digits,
    /// [`Cell`](ErrorKind::Cell) for a medium that cannot be measured, by the rules of the reference.
    pub(super) fn push(&mut self, column: &ArrayRef) -> Result<(), EngineError> {
        let reached = reach(column, &self.leaf.path)?;
        let values = &*reached.values;
        self.rows += values.len() as u64 + reached.nulls;
        let nulls = match values.data_type() {
            DataType::Null => values.len(),
            DataType::Dictionary(..) => values.logical_null_count(),
            _ => values.null_count(),
        };
        self.nulls += nulls as u64 + reached.nulls;
        match &mut self.gathered {
            Gathered::Numbers(sorter) => match &self.leaf.kind {
                Kind::Float => {
                    let (nans, infinities) = numbers::floats(values, sorter)?;
                    self.nulls += nans;
                    self.infinities += infinities;
                }
                Kind::List | Kind::Binary | Kind::Json => numbers::lengths(values, sorter)?,
                Kind::Image | Kind::Audio | Kind::Video | Kind::Document => {
                    let missed = measure_media(values, &self.leaf.kind, self.media, sorter)?;
                    self.nulls += missed.empty + missed.unreadable;
                    self.unreadable += missed.unreadable;
                }
                _ => numbers::integers(values, sorter)?,
            },
            Gathered::Wide(sorter) => numbers::decimals(values, sorter)?,
            Gathered::Bools(counts) => {
                let values = values.as_boolean();
                let trues = values.true_count() as u64;
                counts[1] += trues;
                counts[0] += (values.len() - values.null_count()) as u64 - trues;
            }
            Gathered::Classes { none, classes } => {
                for class in values.as_primitive::<Int64Type>().iter().flatten() {
                    match usize::try_from(class).ok().and_then(|class| classes.get_mut(class)) {
                        Some(count) => *count += 1,
                        None if class == -1 => *none += 1,
                        None => {
                            let message = format!("{class} is not one of the {} declared classes", classes.len());
                            return Err(EngineError::new(ErrorKind::Incompatible, message));
                        }
                    }
                }
            }
            Gathered::Texts(texts) => texts.push(values)?,
            Gathered::Nothing => {}
        }
        Ok(())
    }
}

/// Cells without a width, a duration or a size: they count as nulls.
#[derive(Default)]
struct Missed {
    /// They hold neither content nor a file.
    empty: u64,
    /// What they hold cannot be understood.
    unreadable: u64,
}

/// Adds widths, durations or sizes.
fn measure_media(
    values: &dyn Array,
    kind: &Kind,
    media: &Media<'_>,
    sorter: &mut Sorter<u64>,
) -> Result<Missed, EngineError> {
    let cells = values.as_struct_opt().filter(|cells| cells.num_columns() == 2);
    let cells = cells.ok_or_else(|| unexpected(values))?;
    let bytes = cells.column(0).as_binary_opt::<i32>().ok_or_else(|| unexpected(values))?;
    let paths = cells.column(1).as_string_opt::<i32>().ok_or_else(|| unexpected(values))?;
    let mut missed = Missed::default();
    for row in (0..cells.len()).filter(|&row| cells.is_valid(row)) {
        let content = bytes.is_valid(row).then(|| bytes.value(row)).filter(|bytes| !bytes.is_empty());
        let path = paths.is_valid(row).then(|| paths.value(row));
        let measured = media.content(content, path).and_then(|content| {
            let Some(content) = content else { return Ok(None) };
            let measured = match kind {
                Kind::Image => measure::image_width(&content).map(|width| of_signed(width.into())),
                Kind::Document => Ok(of_signed(content.size().cast_signed())),
                _ => measure::seconds(&content).map(of_float),
            };
            // The file of the dataset is at fault, not the one that names it.
            measured.map(Some).map_err(|error| path.map_or(error.clone(), |path| error.in_file(path)))
        });
        match measured {
            Ok(Some(key)) => sorter.push(key),
            Ok(None) => missed.empty += 1,
            Err(error) if error.kind == ErrorKind::Cell && !media.is_strict() => missed.unreadable += 1,
            Err(error) => return Err(error),
        }
    }
    Ok(missed)
}

fn unexpected(values: &dyn Array) -> EngineError {
    EngineError::new(ErrorKind::Internal, format!("a column of another kind is stored as {}", values.data_type()))
}
