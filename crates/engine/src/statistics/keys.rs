//! Values as unsigned integers of the same order, so that one kind of sorting, spilling and counting serves them all.

/// An unsigned integer that stands for a value.
pub(super) trait Key: Copy + Ord + Default + Send + Sync + 'static {
    /// Bytes of its stored form.
    const BYTES: usize;

    /// Appends the stored form.
    fn write(self, out: &mut Vec<u8>);

    /// Reads the stored form from exactly [`BYTES`](Self::BYTES) bytes.
    fn read(bytes: &[u8]) -> Self;

    /// How far above a smaller key it is; `None` beyond 32 bits.
    fn above(self, smaller: Self) -> Option<u32>;

    /// The key so far above this one.
    fn plus(self, distance: u32) -> Self;

    /// How many low bits there are below the 32 highest ones in which keys with these differences differ.
    fn shift(differences: Self) -> u32;

    /// Eight bits from a place on.
    fn digit(self, shift: u32) -> usize;

    /// The bits from a place on, for comparing.
    fn above_bit(self, shift: u32) -> Self;

    /// The bits in which two keys differ.
    fn differences(self, other: Self) -> Self;

    /// All bits of both.
    fn or(self, other: Self) -> Self;
}

macro_rules! keys {
    ($($integer:ty),*) => {$(
        impl Key for $integer {
            const BYTES: usize = size_of::<Self>();

            fn write(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn read(bytes: &[u8]) -> Self {
                Self::from_le_bytes(bytes.try_into().expect("exactly that many bytes"))
            }

            fn above(self, smaller: Self) -> Option<u32> {
                u32::try_from(self - smaller).ok()
            }

            fn plus(self, distance: u32) -> Self {
                self + Self::from(distance)
            }

            fn shift(differences: Self) -> u32 {
                (Self::BITS - differences.leading_zeros()).saturating_sub(32)
            }

            fn digit(self, shift: u32) -> usize {
                (self >> shift) as usize & 0xff
            }

            fn above_bit(self, shift: u32) -> Self {
                self >> shift
            }

            fn differences(self, other: Self) -> Self {
                self ^ other
            }

            fn or(self, other: Self) -> Self {
                self | other
            }
        }
    )*};
}

keys!(u64, u128);

/// What the 64 bits of a key stand for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scale {
    /// An `i64`.
    Signed,
    /// A `u64`.
    Unsigned,
    /// An `f64` that is a number.
    Float,
}

const SIGN: u64 = 1 << 63;

/// The key of a signed integer.
pub(super) const fn of_signed(value: i64) -> u64 {
    value.cast_unsigned() ^ SIGN
}

/// The signed integer of a key.
pub(super) const fn to_signed(key: u64) -> i64 {
    (key ^ SIGN).cast_signed()
}

/// The key of a float that is no NaN. Both zeros have the same.
pub(super) fn of_float(value: f64) -> u64 {
    let bits = (value + 0.0).to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

/// The float of a key.
pub(super) const fn to_float(key: u64) -> f64 {
    f64::from_bits(if key & SIGN == 0 { !key } else { key ^ SIGN })
}

/// The key of a wide signed integer.
pub(super) const fn of_wide(value: i128) -> u128 {
    value.cast_unsigned() ^ (1 << 127)
}

/// The wide signed integer of a key.
pub(super) const fn to_wide(key: u128) -> i128 {
    (key ^ (1 << 127)).cast_signed()
}

impl Scale {
    /// The value as a float.
    pub(super) fn to_f64(self, key: u64) -> f64 {
        match self {
            Self::Signed => to_signed(key) as f64,
            Self::Unsigned => key as f64,
            Self::Float => to_float(key),
        }
    }

    /// The value as an integer; floats have none.
    pub(super) fn to_integer(self, key: u64) -> i128 {
        match self {
            Self::Signed => i128::from(to_signed(key)),
            Self::Unsigned | Self::Float => i128::from(key),
        }
    }

    /// The key of an integer that lies between two others of this scale.
    pub(super) fn of_integer(self, value: i128) -> u64 {
        match self {
            Self::Signed => of_signed(i64::try_from(value).expect("between two of the type")),
            Self::Unsigned | Self::Float => u64::try_from(value).expect("between two of the type"),
        }
    }
}

/// Keys below which sorting by comparison is quicker.
const FEW: usize = 2_048;

/// Sorts ascending: by the 32 highest bits in which keys differ, from the lowest of their four digits on; what is equal
/// in these is compared.
pub(super) fn sort<K: Key>(keys: &mut Vec<K>) {
    if keys.len() < FEW || keys.is_sorted() {
        keys.sort_unstable();
        return;
    }
    let first = keys[0];
    let differences = keys.iter().fold(K::default(), |all, &key| all.or(key.differences(first)));
    let shift = K::shift(differences);
    let mut counts = [[0_u32; 256]; 4];
    for &key in &*keys {
        for (counts, place) in counts.iter_mut().zip(0..) {
            counts[key.digit(shift + 8 * place)] += 1;
        }
    }
    let mut other = vec![K::default(); keys.len()];
    for (counts, place) in counts.iter().zip(0..) {
        // A digit that all keys share moves nothing.
        if counts.iter().any(|&count| count as usize == keys.len()) {
            continue;
        }
        let mut starts = [0_usize; 256];
        let mut start = 0;
        for (place, &count) in starts.iter_mut().zip(counts) {
            *place = start;
            start += count as usize;
        }
        for &key in &*keys {
            let place = &mut starts[key.digit(shift + 8 * place)];
            other[*place] = key;
            *place += 1;
        }
        std::mem::swap(keys, &mut other);
    }
    if shift > 0 {
        for same in keys.chunk_by_mut(|left, right| left.above_bit(shift) == right.above_bit(shift)) {
            same.sort_unstable();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorting_is_by_value() {
        let noise = |seed: u64, mask: u64| {
            let step = |state: &mut u64| {
                *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                Some((*state >> 7) & mask)
            };
            std::iter::repeat_n((), 10_000).scan(seed, move |state, ()| step(state)).collect::<Vec<u64>>()
        };
        for mask in [u64::MAX, 0xff00, 0x7, 0x00ff_0000_0000_00ff, 0xffff_ffff] {
            let mut keys = noise(mask, mask);
            let mut expected = keys.clone();
            expected.sort_unstable();
            sort(&mut keys);
            assert!(keys == expected, "{mask:x}");
            let wide = |key: &u64| u128::from(*key) << 64 | u128::from(key.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let mut keys: Vec<u128> = noise(mask, mask).iter().map(wide).collect();
            let mut expected = keys.clone();
            expected.sort_unstable();
            sort(&mut keys);
            assert!(keys == expected, "{mask:x}, wide");
        }
    }

    #[test]
    fn keys_have_the_order_of_their_values() {
        let integers = [i64::MIN, -1, 0, 1, i64::MAX];
        assert!(integers.windows(2).all(|pair| of_signed(pair[0]) < of_signed(pair[1])));
        assert!(integers.iter().all(|&value| to_signed(of_signed(value)) == value));
        let floats = [f64::NEG_INFINITY, -1e300, -1.0, -f64::MIN_POSITIVE, 0.0, 5e-324, 1.0, f64::INFINITY];
        assert!(floats.windows(2).all(|pair| of_float(pair[0]) < of_float(pair[1])));
        assert!(floats.iter().all(|&value| to_float(of_float(value)) == value));
        assert_eq!(of_float(-0.0), of_float(0.0));
        let wide = [i128::MIN, -1, 0, i128::MAX];
        assert!(wide.windows(2).all(|pair| of_wide(pair[0]) < of_wide(pair[1])));
        assert!(wide.iter().all(|&value| to_wide(of_wide(value)) == value));
    }
}
