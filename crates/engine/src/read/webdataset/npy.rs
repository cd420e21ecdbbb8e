//! Arrays of NumPy: [the `.npy` format](https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html), of numbers,
//! booleans and texts.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, PrimitiveArray, StringArray};
use arrow::buffer::{Buffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};

use crate::read::loose::Value;

/// Most dimensions of an array in NumPy.
const MAX_DIMENSIONS: usize = 64;

struct Header<'a> {
    /// Byte order, kind and width: `<f4`.
    descr: &'a str,
    fortran_order: bool,
    shape: Vec<usize>,
}

/// The array of a file as nested lists whose innermost items have the type of the array. Errors are fragments.
pub(super) fn array(bytes: &[u8]) -> Result<Value, String> {
    let (header, data) = parse(bytes)?;
    let mut descr = header.descr.chars();
    let order = descr.next().unwrap_or(' ');
    let kind = descr.next().unwrap_or(' ');
    let width: usize = descr.as_str().parse().map_err(|_| format!("the type `{}` is unknown", header.descr))?;
    let item = if kind == 'U' { width.checked_mul(4) } else { Some(width) };
    let count = header.shape.iter().try_fold(1_usize, |count, length| count.checked_mul(*length));
    let lists = header.shape.iter().rev().skip(1).try_fold(1_usize, |lists, length| lists.checked_mul(*length));
    if item == Some(0) || lists.is_none_or(|lists| lists > data.len().max(1)) {
        return Err(format!("its shape {:?} holds nothing", header.shape));
    }
    let expected = item.zip(count).and_then(|(item, count)| item.checked_mul(count));
    let item = item.unwrap_or(0);
    if expected.is_none_or(|expected| expected > data.len()) {
        return Err(format!("its shape {:?} needs more than the {} bytes that are there", header.shape, data.len()));
    }
    let mut data = data[..expected.unwrap_or(0)].to_vec();
    if header.fortran_order && header.shape.len() > 1 {
        data = in_c_order(&data, &header.shape, item);
    }
    if order == '>' {
        let unit = if kind == 'U' { 4 } else { item.max(1) };
        data.chunks_exact_mut(unit).for_each(<[u8]>::reverse);
    }
    let values: ArrayRef = match (kind, width) {
        ('b', 1) => Arc::new(data.iter().map(|byte| Some(*byte != 0)).collect::<BooleanArray>()),
        ('i', 1) => numbers::<Int8Type>(data),
        ('i', 2) => numbers::<Int16Type>(data),
        ('i', 4) => numbers::<Int32Type>(data),
        ('i', 8) => numbers::<Int64Type>(data),
        ('u', 1) => numbers::<UInt8Type>(data),
        ('u', 2) => numbers::<UInt16Type>(data),
        ('u', 4) => numbers::<UInt32Type>(data),
        ('u', 8) => numbers::<UInt64Type>(data),
        ('f', 2) => numbers::<Float16Type>(data),
        ('f', 4) => numbers::<Float32Type>(data),
        ('f', 8) => numbers::<Float64Type>(data),
        ('U', _) => texts(&data, item, count.unwrap_or(0))?,
        _ => {
            return Err(format!("arrays of type `{}` cannot be shown; store numbers, booleans or texts", header.descr));
        }
    };
    Ok(nested(&header.shape, &values))
}

fn parse(bytes: &[u8]) -> Result<(Header<'_>, &[u8]), String> {
    let cut = || "it is cut off".to_owned();
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or("it does not begin like one")?;
    let (version, rest) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
    let (length, rest) = match version[0] {
        1 => rest.split_first_chunk::<2>().map(|(length, rest)| (usize::from(u16::from_le_bytes(*length)), rest)),
        2 | 3 => rest.split_first_chunk::<4>().map(|(length, rest)| (u32::from_le_bytes(*length) as usize, rest)),
        other => return Err(format!("version {other} is unknown")),
    }
    .ok_or_else(cut)?;
    let (header, data) = rest.split_at_checked(length).ok_or_else(cut)?;
    let header = std::str::from_utf8(header).map_err(|_| "its header is no text".to_owned())?;
    let malformed = || format!("its header is malformed: {}", header.trim_end());
    // The value of a key of the Python dictionary that the header is.
    let value = |key: &str| header.split_once(&format!("'{key}':")).map(|(_, rest)| rest.trim_start());
    let descr = value("descr").ok_or_else(malformed)?;
    let descr = descr.strip_prefix('\'').ok_or("records of several fields cannot be shown; store one array each")?;
    let (descr, _) = descr.split_once('\'').ok_or_else(malformed)?;
    let fortran_order = value("fortran_order").ok_or_else(malformed)?.starts_with("True");
    let shape = value("shape").and_then(|rest| rest.strip_prefix('(')?.split_once(')')).ok_or_else(malformed)?.0;
    let lengths = shape.split(',').map(str::trim).filter(|length| !length.is_empty());
    let shape: Vec<usize> = lengths.map(str::parse).collect::<Result<_, _>>().map_err(|_| malformed())?;
    if shape.len() > MAX_DIMENSIONS {
        return Err(format!("it has {} dimensions, more than {MAX_DIMENSIONS}", shape.len()));
    }
    Ok((Header { descr, fortran_order, shape }, data))
}

/// Moves items that are stored with the first index fastest to where the last one is.
fn in_c_order(data: &[u8], shape: &[usize], item: usize) -> Vec<u8> {
    let mut moved = Vec::with_capacity(data.len());
    let mut index = vec![0; shape.len()];
    for _ in 0..data.len() / item.max(1) {
        let at = index.iter().zip(shape).rev().fold(0, |at, (index, length)| at * length + index);
        moved.extend(&data[at * item..(at + 1) * item]);
        for (index, length) in index.iter_mut().zip(shape).rev() {
            *index += 1;
            if *index < *length {
                break;
            }
            *index = 0;
        }
    }
    moved
}

/// Little-endian numbers, which is what this machine computes with.
fn numbers<T: ArrowPrimitiveType>(data: Vec<u8>) -> ArrayRef {
    let count = data.len() / size_of::<T::Native>();
    // Copies, so that the numbers lie where their type needs them.
    let mut aligned = arrow::buffer::MutableBuffer::new(data.len());
    aligned.extend_from_slice(&data);
    let values = ScalarBuffer::<T::Native>::new(Buffer::from(aligned), 0, count);
    Arc::new(PrimitiveArray::<T>::new(values, None))
}

fn texts(data: &[u8], item: usize, count: usize) -> Result<ArrayRef, String> {
    let text = |index: usize| -> Option<String> {
        let letters = data[index * item..(index + 1) * item].chunks_exact(4);
        let letters = letters.map(|unit| u32::from_le_bytes([unit[0], unit[1], unit[2], unit[3]]));
        let text: String = letters.map(char::from_u32).collect::<Option<_>>()?;
        Some(text.trim_end_matches('\0').to_owned())
    };
    let texts: Option<Vec<String>> = (0..count).map(text).collect();
    Ok(Arc::new(StringArray::from(texts.ok_or("a text holds a code that is no character")?)))
}

/// Lists of lists down to the last dimension; a single number without any.
fn nested(shape: &[usize], values: &ArrayRef) -> Value {
    match shape {
        [] => match crate::fit::json_text::of_list(values.as_ref()) {
            Ok(text) => serde_json::from_str(&text).map_or(Value::Null, |json: serde_json::Value| match json {
                serde_json::Value::Array(mut items) => items.pop().map_or(Value::Null, Value::from),
                other => other.into(),
            }),
            Err(_) => Value::Null,
        },
        [_] => Value::Array(Arc::clone(values)),
        [length, inner @ ..] => {
            let each = if *length == 0 { 0 } else { values.len() / length };
            Value::List((0..*length).map(|index| nested(inner, &values.slice(index * each, each))).collect())
        }
    }
}
