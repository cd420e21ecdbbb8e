//! Hashes of rows, parted by hash: in memory as far as it goes, then in a file without a name.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use crate::error::EngineError;

/// Parts that are matched one after the other; a part of a billion rows takes 160 MB.
pub(super) const PARTS: usize = 256;
const RECORD_BYTES: usize = 40;

/// What is kept of rows with the same values.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Record {
    /// Hash of the key.
    pub(super) key: [u64; 2],
    /// Hash of what the key does not cover; 0 when it covers everything.
    pub(super) value: u64,
    /// The first of the rows.
    pub(super) row: u64,
    /// Their number.
    pub(super) count: u64,
}

/// The records of a split.
pub(super) struct Records {
    parts: Vec<Vec<Record>>,
    held: usize,
    /// Records held in memory before they go to the file.
    max_held: usize,
    scratch: PathBuf,
    spilled: Option<Spilled>,
}

struct Spilled {
    file: File,
    end: u64,
    /// For each part, where its records lie: offset and number.
    extents: Vec<Vec<(u64, usize)>>,
}

impl Records {
    /// Holds at most `max_bytes` in memory; what is more goes to a file in `scratch`.
    pub(super) fn new(max_bytes: usize, scratch: PathBuf) -> Self {
        let max_held = (max_bytes / RECORD_BYTES).max(PARTS);
        Self { parts: vec![Vec::new(); PARTS], held: 0, max_held, scratch, spilled: None }
    }

    /// Adds records.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io) when the disk refuses.
    pub(super) fn push(&mut self, records: &[Record]) -> Result<(), EngineError> {
        for record in records {
            self.parts[(record.key[0] >> 56) as usize].push(*record);
        }
        self.held += records.len();
        if self.held > self.max_held {
            self.parts.iter_mut().for_each(collapse);
            self.held = self.parts.iter().map(Vec::len).sum();
            // Where rows repeat, that alone made room.
            if self.held > self.max_held / 2 {
                self.spill()?;
            }
        }
        Ok(())
    }

    fn spill(&mut self) -> Result<(), EngineError> {
        let spilled = match &mut self.spilled {
            Some(spilled) => spilled,
            none => {
                std::fs::create_dir_all(&self.scratch)?;
                let file = tempfile::tempfile_in(&self.scratch)?;
                none.insert(Spilled { file, end: 0, extents: vec![Vec::new(); PARTS] })
            }
        };
        let mut bytes = Vec::new();
        for (part, extents) in self.parts.iter_mut().zip(&mut spilled.extents) {
            bytes.clear();
            for record in part.iter() {
                for number in [record.key[0], record.key[1], record.value, record.row, record.count] {
                    bytes.extend_from_slice(&number.to_le_bytes());
                }
            }
            spilled.file.write_all_at(&bytes, spilled.end)?;
            extents.push((spilled.end, part.len()));
            spilled.end += bytes.len() as u64;
            *part = Vec::new();
        }
        self.held = 0;
        Ok(())
    }

    /// Takes the records of a part, ascending; those of the same values are one.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io) when the disk refuses.
    pub(super) fn take(&mut self, part: usize) -> Result<Vec<Record>, EngineError> {
        let mut records = std::mem::take(&mut self.parts[part]);
        if let Some(spilled) = &self.spilled {
            for &(offset, count) in &spilled.extents[part] {
                let mut bytes = vec![0; count * RECORD_BYTES];
                spilled.file.read_exact_at(&mut bytes, offset)?;
                records.extend(bytes.chunks_exact(RECORD_BYTES).map(record));
            }
        }
        collapse(&mut records);
        Ok(records)
    }

    #[cfg(test)]
    pub(super) fn is_spilled(&self) -> bool {
        self.spilled.is_some()
    }
}

fn record(bytes: &[u8]) -> Record {
    let number = |index: usize| {
        let bytes = bytes[index * 8..index * 8 + 8].try_into().expect("a record has five numbers of eight bytes");
        u64::from_le_bytes(bytes)
    };
    Record { key: [number(0), number(1)], value: number(2), row: number(3), count: number(4) }
}

/// Sorts records and makes one of those with the same key and value.
fn collapse(records: &mut Vec<Record>) {
    records.sort_unstable();
    records.dedup_by(|later, earlier| {
        let same = later.key == earlier.key && later.value == earlier.value;
        if same {
            earlier.count += later.count;
        }
        same
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u64, row: u64) -> Record {
        // Spread over the parts as hashes are.
        let key = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Record { key: [key, number], value: 0, row, count: 1 }
    }

    fn all(mut records: Records) -> Vec<Record> {
        (0..PARTS).flat_map(|part| records.take(part).unwrap()).collect()
    }

    #[test]
    fn what_goes_to_disk_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let (mut large, mut small) =
            (Records::new(1 << 30, folder.path().into()), Records::new(1, folder.path().into()));
        for row in 0..10_000 {
            large.push(&[record(row % 3_000, row)]).unwrap();
            small.push(&[record(row % 3_000, row)]).unwrap();
        }
        assert!(small.is_spilled() && !large.is_spilled());
        let (large, small) = (all(large), all(small));
        assert_eq!(large, small);
        assert_eq!(large.len(), 3_000);
        assert_eq!(large.iter().map(|record| record.count).sum::<u64>(), 10_000);
        assert!(large.iter().all(|record| record.row < 3_000));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the file has no name");
    }

    #[test]
    fn rows_that_repeat_need_no_disk() {
        let mut records = Records::new(1, "/nonexistent".into());
        for row in 0..100_000 {
            records.push(&[record(row % 7, row)]).unwrap();
        }
        assert!(!records.is_spilled());
    }
}
