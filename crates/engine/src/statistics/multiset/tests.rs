use std::collections::BTreeMap;

use super::*;

/// Numbers that look random, the same in every run.
fn noise(seed: u64, count: usize, below: u64) -> Vec<u64> {
    let step = |state: &mut u64| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some((*state >> 20) % below)
    };
    std::iter::repeat_n((), count).scan(seed, |state, ()| step(state)).collect()
}

fn content<K: Key>(set: &Multiset<K>) -> Vec<(K, u64)> {
    let mut pairs = Vec::new();
    set.for_each(&Task::new(1), |key, count| pairs.push((key, count))).unwrap();
    pairs
}

fn counted(values: &[u64]) -> Vec<(u64, u64)> {
    let mut counts = BTreeMap::new();
    for value in values {
        *counts.entry(*value).or_default() += 1;
    }
    counts.into_iter().collect()
}

fn set(values: &[u64], run: usize, budget: &Arc<Budget>) -> Multiset<u64> {
    let mut set = Multiset::new(budget);
    for values in values.chunks(run) {
        set.add(Run::of(values.to_vec())).unwrap();
    }
    set
}

#[test]
fn neither_runs_nor_their_order_nor_spilling_change_the_content() {
    let folder = tempfile::tempdir().unwrap();
    for below in [3, 1_000, 1 << 40] {
        let mut values = noise(7, 10_000, below);
        let expected = counted(&values);
        for (run, limit) in [(10_000, usize::MAX), (999, usize::MAX), (17, 4_000), (1_000, 0)] {
            let budget = Budget::new(limit, folder.path().to_owned());
            let one = set(&values, run, &budget);
            assert_eq!((one.len(), one.range().unwrap()), (10_000, (expected[0].0, expected.last().unwrap().0)));
            assert_eq!(one.file.is_some(), limit < usize::MAX && one.runs.len() > 1 || limit == 0);
            assert!(content(&one) == expected, "{below} {run} {limit}");
            values.reverse();
        }
    }
}

#[test]
fn runs_of_counted_keys_are_as_good_as_single_ones() {
    let budget = Budget::new(usize::MAX, PathBuf::new());
    let mut set = Multiset::new(&budget);
    set.add(Run::of_counts(vec![(9_u128, 2), (4, 5)])).unwrap();
    set.add(Run::of(vec![u128::MAX, 4, 4])).unwrap();
    set.add(Run::default()).unwrap();
    assert_eq!((set.len(), content(&set)), (10, vec![(4, 7), (9, 2), (u128::MAX, 1)]));
}

#[test]
fn memory_is_given_back() {
    let budget = Budget::new(80, PathBuf::new());
    let first = set(&noise(1, 10, u64::MAX >> 20), 10, &budget);
    assert_eq!(budget.used.load(Ordering::Relaxed), 80);
    drop(first);
    assert_eq!(budget.used.load(Ordering::Relaxed), 0);
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let budget = Budget::new(0, PathBuf::from("/proc/no/such/place"));
    let error = Multiset::new(&budget).add(Run::of(vec![1_u64])).unwrap_err();
    assert!(error.kind == ErrorKind::Io && error.message.starts_with("cannot spill to /proc/no/such/place: "));
}
