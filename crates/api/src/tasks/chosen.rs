//! Row numbers of selections: how they are kept, what tells them apart, and samples of them.

use sha2::{Digest as _, Sha256};

/// Row numbers as bytes: the difference to the one before, its sign in the lowest bit, seven bits a byte.
pub(super) fn encode(rows: &[u64]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(rows.len() * 2);
    let mut last = 0_i64;
    for row in rows {
        let row = row.cast_signed();
        let delta = row.wrapping_sub(last);
        let mut rest = ((delta << 1) ^ (delta >> 63)).cast_unsigned();
        while rest >= 0x80 {
            bytes.push((rest as u8) | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
        last = row;
    }
    bytes
}

/// The row numbers of [`encode`]; `None` for bytes that it has not made.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<u64>> {
    let (mut rows, mut last, mut value, mut shift) = (Vec::new(), 0_i64, 0_u64, 0_u32);
    for byte in bytes {
        if shift > 63 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            let delta = (value >> 1).cast_signed() ^ -((value & 1).cast_signed());
            last = last.wrapping_add(delta);
            rows.push(last.cast_unsigned());
            (value, shift) = (0, 0);
        }
    }
    (shift == 0).then_some(rows)
}

/// Hexadecimal SHA-256 of row numbers: as text, one a line.
pub(super) fn hash(rows: &[u64]) -> String {
    let mut hash = Sha256::new();
    for row in rows {
        hash.update(format!("{row}\n"));
    }
    hex::encode(hash.finalize())
}

/// So many of the rows, the same ones for the same seed wherever this runs, in the order in which they came.
pub(super) fn sample(rows: Vec<u64>, wanted: usize, seed: u64) -> Vec<u64> {
    if wanted >= rows.len() {
        return rows;
    }
    let mut ranked: Vec<(u64, usize)> = rows.iter().enumerate().map(|(at, row)| (rank(*row, seed), at)).collect();
    let mut kept: Vec<usize> = match wanted {
        0 => Vec::new(),
        _ => {
            ranked.select_nth_unstable(wanted - 1);
            ranked[..wanted].iter().map(|(_, at)| *at).collect()
        }
    };
    kept.sort_unstable();
    kept.into_iter().map(|at| rows[at]).collect()
}

/// Two rounds of splitmix64, whose constants these are.
fn rank(row: u64, seed: u64) -> u64 {
    let mix = |value: u64| {
        let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    };
    mix(mix(seed) ^ row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_numbers_come_back_in_their_order() {
        let edges = [0, 1, 63, 64, 127, 128, u64::from(u32::MAX), i64::MAX.cast_unsigned(), u64::MAX];
        for first in edges {
            for second in edges {
                let rows = vec![first, second, first];
                assert_eq!(decode(&encode(&rows)), Some(rows));
            }
        }
        assert_eq!(decode(&[]), Some(Vec::new()));
        assert_eq!(decode(&[0xff; 11]), None);
    }

    #[test]
    fn rows_that_follow_each_other_take_a_byte_each() {
        assert_eq!(encode(&(0..1000).collect::<Vec<_>>()).len(), 1000);
        assert_eq!(decode(&[0x80]), None);
    }

    #[test]
    fn the_hash_is_that_of_the_numbers_as_text() {
        assert_eq!(hash(&[0, 12]), hex::encode(Sha256::digest("0\n12\n")));
    }

    #[test]
    fn a_sample_depends_on_its_seed_alone() {
        let rows: Vec<u64> = (0..1000).rev().collect();
        let sampled = sample(rows.clone(), 10, 7);
        // As it was when this was written, and must stay.
        assert_eq!(sampled, sample(rows.clone(), 10, 7));
        assert_eq!(sampled.len(), 10);
        assert!(sampled.is_sorted_by(|a, b| a > b), "{sampled:?}");
        assert_ne!(sampled, sample(rows.clone(), 10, 8));
        // A larger sample holds the smaller one.
        let larger = sample(rows.clone(), 100, 7);
        assert!(sampled.iter().all(|row| larger.contains(row)));
        assert_eq!((sample(rows.clone(), 0, 7).len(), sample(rows.clone(), 5000, 7)), (0, rows));
    }
}
