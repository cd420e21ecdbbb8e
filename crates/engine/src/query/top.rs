//! The first rows of an order, of any number of rows, in memory that grows with the wanted ones only.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::{Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::compute::{SortOptions, take};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, DurationMicrosecondType, Float32Type, Float64Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow::row::{RowConverter, SortField};

use super::node::internal;
use crate::error::{EngineError, ErrorKind};

/// Bytes of an entry beside its key, about.
const ENTRY_BYTES: usize = 64;

/// The best rows so far. Shared by threads.
pub(super) struct Top {
    keep: usize,
    max_bytes: usize,
    options: Vec<SortOptions>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// The worst on top.
    heap: BinaryHeap<Entry>,
    bytes: usize,
}

#[derive(PartialEq, Eq)]
struct Entry {
    key: Box<[u8]>,
    row: u64,
    /// Of the first key: rises with it, but may be the same for several values.
    rank: u64,
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key).then(self.row.cmp(&other.row))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Top {
    /// Keeps the first `keep` rows, in at most `max_bytes` of memory.
    pub(super) fn new(keep: usize, max_bytes: usize, options: Vec<SortOptions>) -> Self {
        Self { keep, max_bytes, options, kept: Mutex::default() }
    }

    /// Looks at rows: their keys, one array per key, and for each its number in the split.
    ///
    /// # Errors
    /// [`OverBudget`](ErrorKind::OverBudget) when the wanted rows take too much memory.
    pub(super) fn offer(&self, keys: &[ArrayRef], numbers: &[u64]) -> Result<(), EngineError> {
        let Some((first, options)) = keys.first().zip(self.options.first()) else { return Ok(()) };
        if self.keep == 0 {
            return Ok(());
        }
        let ranks = ranks(first, *options);
        let worst = self.worst_rank();
        let chosen: Vec<u32> = (0_u32..)
            .zip(&ranks)
            .filter(|(_, rank)| worst.is_none_or(|worst| **rank <= worst))
            .map(|(row, _)| row)
            .collect();
        if chosen.is_empty() {
            return Ok(());
        }
        let fields = keys.iter().zip(&self.options);
        let fields =
            fields.map(|(key, options)| SortField::new_with_options(key.data_type().clone(), *options)).collect();
        let converter = RowConverter::new(fields).map_err(internal)?;
        let indices = UInt32Array::from(chosen);
        let taken =
            keys.iter().map(|key| take(key, &indices, None)).collect::<Result<Vec<_>, _>>().map_err(internal)?;
        let rows = converter.convert_columns(&taken).map_err(internal)?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for (row, position) in rows.iter().zip(indices.values()) {
            let position = *position as usize;
            let (key, number) = (row.as_ref(), numbers[position]);
            if kept.heap.len() >= self.keep {
                let is_better = kept.heap.peek().is_some_and(|worst| (key, number) < (&*worst.key, worst.row));
                if !is_better {
                    continue;
                }
                let out = kept.heap.pop();
                kept.bytes -= out.map_or(0, |out| out.key.len() + ENTRY_BYTES);
            }
            kept.bytes += key.len() + ENTRY_BYTES;
            if kept.bytes > self.max_bytes {
                let message = format!(
                    "ordering {} rows takes more than the {} bytes of memory allowed; ask for rows nearer to the start, \
                     or narrow the filter",
                    self.keep, self.max_bytes
                );
                return Err(EngineError::new(ErrorKind::OverBudget, message));
            }
            kept.heap.push(Entry { key: key.into(), row: number, rank: ranks[position] });
        }
        Ok(())
    }

    fn worst_rank(&self) -> Option<u64> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.heap.peek().filter(|_| kept.heap.len() >= self.keep).map(|worst| worst.rank)
    }

    /// The numbers of the rows, the first one first.
    pub(super) fn finish(self) -> Vec<u64> {
        let kept = self.kept.into_inner().unwrap_or_else(PoisonError::into_inner);
        kept.heap.into_sorted_vec().into_iter().map(|entry| entry.row).collect()
    }
}

/// A number for each value that never falls where the order rises.
fn ranks(array: &ArrayRef, options: SortOptions) -> Vec<u64> {
    const SIGN: u64 = 1 << 63;
    let signed = |value: i64| value.cast_unsigned() ^ SIGN;
    let double = |value: f64| {
        let bits = value.to_bits();
        if bits & SIGN == 0 { bits ^ SIGN } else { !bits }
    };
    macro_rules! of {
        ($type:ty, $rank:expr) => {
            array.as_primitive::<$type>().values().iter().map(|value| $rank(*value)).collect()
        };
    }
    let is_unranked = array.data_type() == &DataType::Boolean;
    let mut ranks: Vec<u64> = match array.data_type() {
        DataType::Int64 => of!(Int64Type, signed),
        DataType::Date32 => of!(Date32Type, |days| signed(i64::from(days))),
        DataType::Time64(_) => of!(Time64MicrosecondType, signed),
        DataType::Timestamp(..) => of!(TimestampMicrosecondType, signed),
        DataType::Duration(_) => of!(DurationMicrosecondType, signed),
        DataType::Float64 => of!(Float64Type, double),
        DataType::Float32 => of!(Float32Type, |value| double(f64::from(value))),
        // The upper half of a wide number rises with it.
        DataType::Decimal128(..) => of!(Decimal128Type, |units: i128| signed((units >> 64) as i64)),
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            let start = |row: usize| {
                let bytes = texts.value(row).as_bytes();
                let mut start = [0; 8];
                let length = bytes.len().min(8);
                start[..length].copy_from_slice(&bytes[..length]);
                u64::from_be_bytes(start)
            };
            (0..texts.len()).map(start).collect()
        }
        _ => vec![0; array.len()],
    };
    if options.descending {
        ranks.iter_mut().for_each(|rank| *rank = !*rank);
    }
    if array.null_count() > 0 && !is_unranked {
        let null = if options.nulls_first { 0 } else { u64::MAX };
        for (row, rank) in ranks.iter_mut().enumerate() {
            if array.is_null(row) {
                *rank = null;
            }
        }
    }
    ranks
}
