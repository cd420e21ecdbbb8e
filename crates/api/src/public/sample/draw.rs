//! Places drawn without putting back: the beginning of a shuffle (Fisher and Yates), which keeps only what it has moved.
//!
//! Part of the interface: the same seed must give the same places in every release.

use std::collections::HashMap;

/// `count` different places below `total`, or all of them, in the order drawn. A longer draw begins with a shorter one.
/// Memory and time grow with `count` alone.
pub(super) fn places(seed: u64, count: u64, total: u64) -> Vec<u64> {
    let mut random = Random(seed);
    let mut moved: HashMap<u64, u64> = HashMap::new();
    let draw = |index: u64| {
        let chosen = index + random.below(total - index);
        let at_index = moved.remove(&index).unwrap_or(index);
        if chosen == index {
            return at_index;
        }
        moved.insert(chosen, at_index).unwrap_or(chosen)
    };
    (0..count.min(total)).map(draw).collect()
}

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is not 0, each as likely as any other (Lemire, "Fast random integer generation in an
    /// interval", 2019).
    fn below(&mut self, limit: u64) -> u64 {
        loop {
            let product = u128::from(self.next()) * u128::from(limit);
            let low = product as u64;
            if low >= limit || low >= limit.wrapping_neg() % limit {
                return (product >> 64) as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_seed_gives_the_same_places_for_ever() {
        assert_eq!(places(0, 5, 1_000_000), places(0, 5, 1_000_000));
        assert_ne!(places(0, 5, 1_000_000), places(1, 5, 1_000_000));
        insta::assert_snapshot!(format!("{:?}", places(42, 6, 1_000)), @"[741, 160, 280, 346, 41, 868]");
        insta::assert_snapshot!(format!("{:?}", places(0, 8, 8)), @"[7, 4, 2, 0, 1, 5, 6, 3]");
    }

    #[test]
    fn a_longer_draw_begins_with_the_shorter_one() {
        for total in [1, 2, 10, 1_000, u64::MAX] {
            let long = places(7, 200, total);
            assert_eq!(long.len() as u64, 200.min(total));
            assert_eq!(long.iter().collect::<HashSet<_>>().len(), long.len(), "none twice of {total}");
            assert!(long.iter().all(|place| *place < total));
            assert_eq!(places(7, 9, total), long[..long.len().min(9)]);
        }
        assert!(places(7, 5, 0).is_empty());
    }

    #[test]
    fn every_place_comes_as_often_as_any_other() {
        // 20,000 draws of 3 out of 10: 6,000 expected of each place, with a deviation of about 65.
        let (mut counts, mut firsts) = ([0_i64; 10], [0_i64; 10]);
        for seed in 0..20_000 {
            let drawn = places(seed, 3, 10);
            firsts[drawn[0] as usize] += 1;
            drawn.into_iter().for_each(|place| counts[place as usize] += 1);
        }
        assert!(counts.iter().all(|count| (count - 6_000).abs() < 330), "{counts:?}");
        assert!(firsts.iter().all(|count| (count - 2_000).abs() < 215), "{firsts:?}");
    }
}
