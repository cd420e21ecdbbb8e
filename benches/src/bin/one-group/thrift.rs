//! The compact protocol of Thrift, as far as the footers of Parquet files need it.

const I32: u8 = 5;
const I64: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// A struct being written: fields in ascending order.
#[derive(Default)]
pub(crate) struct Struct {
    bytes: Vec<u8>,
    last: u8,
}

impl Struct {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn i32(self, field: u8, value: i64) -> Self {
        self.number(field, I32, value)
    }

    pub(crate) fn i64(self, field: u8, value: i64) -> Self {
        self.number(field, I64, value)
    }

    pub(crate) fn text(mut self, field: u8, value: &str) -> Self {
        self.begin(field, BINARY);
        text(&mut self.bytes, value);
        self
    }

    pub(crate) fn nested(mut self, field: u8, value: Self) -> Self {
        self.begin(field, STRUCT);
        self.bytes.extend(value.finish());
        self
    }

    pub(crate) fn structs(mut self, field: u8, values: impl Iterator<Item = Self>) -> Self {
        let values: Vec<Vec<u8>> = values.map(Self::finish).collect();
        self.list(field, STRUCT, values.len());
        values.into_iter().for_each(|value| self.bytes.extend(value));
        self
    }

    pub(crate) fn i32s(mut self, field: u8, values: &[i64]) -> Self {
        self.list(field, I32, values.len());
        values.iter().for_each(|value| varint(&mut self.bytes, zigzag(*value)));
        self
    }

    pub(crate) fn texts(mut self, field: u8, values: &[&str]) -> Self {
        self.list(field, BINARY, values.len());
        values.iter().for_each(|value| text(&mut self.bytes, value));
        self
    }

    /// The bytes with the end mark.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }

    fn number(mut self, field: u8, kind: u8, value: i64) -> Self {
        self.begin(field, kind);
        varint(&mut self.bytes, zigzag(value));
        self
    }

    fn list(&mut self, field: u8, kind: u8, length: usize) {
        self.begin(field, LIST);
        match u8::try_from(length) {
            Ok(length @ 0..15) => self.bytes.push(length << 4 | kind),
            _ => {
                self.bytes.push(0xf0 | kind);
                varint(&mut self.bytes, length as u64);
            }
        }
    }

    /// The head of a field: its distance to the one before, at most 15, and its type.
    fn begin(&mut self, field: u8, kind: u8) {
        self.bytes.push((field - self.last) << 4 | kind);
        self.last = field;
    }
}

fn text(bytes: &mut Vec<u8>, value: &str) {
    varint(bytes, value.len() as u64);
    bytes.extend(value.as_bytes());
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}
