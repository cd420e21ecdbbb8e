//! Rows that a condition cannot hold for, told from statistics of row groups and pages and from Bloom filters.
//!
//! Only rows where a condition is true are looked for, so what is false or null is left out alike. Whatever is unknown
//! is kept.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, UInt64Array};
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type, Int64Type};
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::basic::{ConvertedType, LogicalType, Type as PhysicalType};
use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;

use super::expr::Comparison;
use super::frame::{Column, Frame, Place};
use super::node::{Kind, Node, Set, Value, compared};
use super::ranges::Rows;
use super::types::Type;
use crate::error::EngineError;
use crate::scan::{Group, SplitTable};

/// Members of an `IN` that are looked for one by one; of more, only the least and the greatest.
const MAX_MEMBERS: usize = 64;

/// The rows of a group for which a condition may be true.
///
/// # Errors
/// Those of reading Bloom filters.
pub(super) fn candidates(
    node: &Node,
    columns: &[Column],
    table: &SplitTable,
    group: &Group,
) -> Result<Rows, EngineError> {
    let pruner = Pruner { columns, table, group };
    let mut rows = Rows::all(group.num_rows);
    for level in [Level::Group, Level::Bloom, Level::Pages] {
        rows = rows.and(&pruner.rows(node, level)?);
        if rows.is_empty() {
            break;
        }
    }
    Ok(rows)
}

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Group,
    Bloom,
    Pages,
}

struct Pruner<'p> {
    columns: &'p [Column],
    table: &'p SplitTable,
    group: &'p Group,
}

/// Least and greatest values of runs of rows; null where unknown.
struct Bounds {
    mins: ArrayRef,
    maxs: ArrayRef,
    nulls: UInt64Array,
    rows: Vec<Range<usize>>,
}

impl Pruner<'_> {
    fn rows(&self, node: &Node, level: Level) -> Result<Rows, EngineError> {
        let all = || Rows::all(self.group.num_rows);
        Ok(match &node.kind {
            Kind::Constant { value, .. } => match value.as_boolean_opt() {
                Some(value) if value.is_null(0) || !value.value(0) => Rows::default(),
                _ => all(),
            },
            Kind::And(parts) => {
                let mut rows = all();
                for part in parts {
                    if rows.is_empty() {
                        break;
                    }
                    rows = rows.and(&self.rows(part, level)?);
                }
                rows
            }
            Kind::Or(parts) => {
                let mut rows = Rows::default();
                for part in parts {
                    rows = rows.or(&self.rows(part, level)?);
                }
                rows
            }
            _ if level == Level::Bloom => match self.may_be_among(node)? {
                true => all(),
                false => Rows::default(),
            },
            _ => self.by_bounds(node, level)?.unwrap_or_else(all),
        })
    }

    fn by_bounds(&self, node: &Node, level: Level) -> Result<Option<Rows>, EngineError> {
        let subject = match &node.kind {
            Kind::Compare(comparison, pair) => match pair[1].as_constant() {
                Some(value) if value.is_null(0) && !is_null_safe(*comparison) => return Ok(Some(Rows::default())),
                Some(value) if value.is_valid(0) && *comparison != Comparison::Distinct => &pair[0],
                _ => return Ok(None),
            },
            Kind::In { value, negated: false, .. } => value,
            Kind::IsNull(value, _) => value,
            Kind::Match { arguments, prefix: Some(_), negated: false, .. } => &arguments[0],
            _ => return Ok(None),
        };
        let Some(column) = ascending(subject) else { return Ok(None) };
        let Some(bounds) = self.bounds(column, level) else { return Ok(None) };
        let on = |values: &ArrayRef| subject.evaluate(&Frame::of_column(self.columns, column, values.clone()));
        // A value that does not fit a cast says nothing about the others.
        let (Ok(mins), Ok(maxs)) = (on(&bounds.mins), on(&bounds.maxs)) else { return Ok(None) };
        let keeps = keeps(node, &mins, &maxs, &bounds)?;
        Ok(Some(Rows::of(bounds.rows.iter().zip(keeps).filter(|(_, keeps)| *keeps).map(|(rows, _)| rows.clone()))))
    }

    /// One run of all rows.
    fn all_rows(&self) -> Vec<Range<usize>> {
        std::iter::once(0..self.group.num_rows).collect()
    }

    /// Statistics of a column in the group, or of its pages.
    fn bounds(&self, column: usize, level: Level) -> Option<Bounds> {
        let column = &self.columns[column];
        let metadata = self.table.footer(self.group).metadata();
        let index = self.group.row_group;
        match &column.place {
            Place::RowNumber => {
                let first = i64::try_from(self.group.first_row).ok()?;
                let last = first + i64::try_from(self.group.num_rows).ok()? - 1;
                return Some(Bounds {
                    mins: std::sync::Arc::new(Int64Array::from(vec![first])),
                    maxs: std::sync::Arc::new(Int64Array::from(vec![last])),
                    nulls: vec![0].into(),
                    rows: self.all_rows(),
                });
            }
            Place::Field { derived: Some(_), .. } => return None,
            Place::Field { .. } => {}
        }
        let (leaf, field) = self.leaf(column, metadata)?;
        let schema = metadata.file_metadata().schema_descr();
        let statistics = metadata.row_group(index).column(leaf).statistics();
        // An old writer's order of texts is not ours.
        if column.of == Type::Text && statistics.is_some_and(Statistics::is_min_max_deprecated) {
            return None;
        }
        let converter =
            StatisticsConverter::from_column_index(leaf, &field, schema).ok()?.with_missing_null_counts_as_zero(false);
        let (mins, maxs, nulls, rows) = match level {
            Level::Pages => {
                let (columns, offsets) = (metadata.column_index()?, metadata.offset_index()?);
                columns.get(index)?.get(leaf)?;
                let pages = offsets.get(index)?.get(leaf)?.page_locations();
                let start = |page: usize| usize::try_from(pages[page].first_row_index).ok();
                let mut rows = Vec::with_capacity(pages.len());
                for page in 0..pages.len() {
                    let end = if page + 1 < pages.len() { start(page + 1)? } else { self.group.num_rows };
                    rows.push(start(page)?..end);
                }
                let mins = converter.data_page_mins(columns, offsets, [&index]).ok()?;
                let maxs = converter.data_page_maxes(columns, offsets, [&index]).ok()?;
                (mins, maxs, converter.data_page_null_counts(columns, offsets, [&index]).ok()?, rows)
            }
            _ => {
                let group = || [metadata.row_group(index)];
                let mins = converter.row_group_mins(group()).ok()?;
                let maxs = converter.row_group_maxes(group()).ok()?;
                (mins, maxs, converter.row_group_null_counts(group()).ok()?, self.all_rows())
            }
        };
        let is_whole = [mins.len(), maxs.len(), nulls.len()].iter().all(|length| *length == rows.len());
        let (mins, maxs) = (column.of.hold(&mins).ok()?, column.of.hold(&maxs).ok()?);
        is_whole.then_some(Bounds { mins, maxs, nulls, rows })
    }

    /// The leaf of the file that holds a column, with its type in Arrow.
    fn leaf(&self, column: &Column, metadata: &ParquetMetaData) -> Option<(usize, Field)> {
        let is_simple = !matches!(column.of, Type::Json | Type::Bytes | Type::List(_) | Type::Struct(_) | Type::Null);
        let Place::Field { path, .. } = &column.place else { return None };
        self.table.column_in_file(self.group, path.feature).filter(|_| is_simple)?;
        let schema = metadata.file_metadata().schema_descr();
        let mut leaves = self.table.leaves(self.group, path);
        let leaf = leaves.next().filter(|_| leaves.next().is_none())?;
        if schema.column(leaf).max_rep_level() > 0 {
            return None;
        }
        let name = &self.table.features()[path.feature].0;
        let mut field = self.table.footer(self.group).arrow.schema().field_with_name(name).ok()?;
        for name in &path.names {
            let DataType::Struct(fields) = field.data_type() else { return None };
            field = fields.find(name)?.1;
        }
        Some((leaf, field.clone()))
    }

    /// False where a Bloom filter knows that no value is equal to what is looked for.
    fn may_be_among(&self, node: &Node) -> Result<bool, EngineError> {
        let (subject, wanted) = match &node.kind {
            Kind::Compare(Comparison::Equal, pair) => match pair[1].as_constant() {
                Some(value) if value.is_valid(0) => (&pair[0], value),
                _ => return Ok(true),
            },
            Kind::In { value, set, negated: false } => (&**value, &set.values),
            _ => return Ok(true),
        };
        let Kind::Column(column) = subject.kind else { return Ok(true) };
        let column = &self.columns[column];
        let metadata = self.table.footer(self.group).metadata();
        if !matches!(column.place, Place::Field { derived: None, .. }) || wanted.len() > MAX_MEMBERS {
            return Ok(true);
        }
        let Some((leaf, _)) = self.leaf(column, metadata) else { return Ok(true) };
        let chunk = metadata.row_group(self.group.row_group).column(leaf);
        let description = chunk.column_descr();
        let is_unsigned = matches!(description.logical_type_ref(), Some(LogicalType::Integer(integer)) if !integer.is_signed)
            || matches!(
                description.converted_type(),
                ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64
            );
        if chunk.bloom_filter_offset().is_none() || is_unsigned {
            return Ok(true);
        }
        let Some(filter) = self.table.bloom_filter(self.group, leaf)? else { return Ok(true) };
        Ok((0..wanted.len()).any(|position| may_hold(&filter, chunk.column_type(), &column.of, wanted, position)))
    }
}

fn may_hold(filter: &Sbbf, physical: PhysicalType, of: &Type, wanted: &ArrayRef, position: usize) -> bool {
    match (of, physical) {
        (Type::Integer, PhysicalType::INT64) => filter.check(&wanted.as_primitive::<Int64Type>().value(position)),
        (Type::Integer, PhysicalType::INT32) => {
            i32::try_from(wanted.as_primitive::<Int64Type>().value(position)).is_ok_and(|value| filter.check(&value))
        }
        (Type::Text, PhysicalType::BYTE_ARRAY) => filter.check(wanted.as_string::<i32>().value(position)),
        _ => true,
    }
}

fn is_null_safe(comparison: Comparison) -> bool {
    matches!(comparison, Comparison::Distinct | Comparison::NotDistinct)
}

/// The column of a value that never falls where the column rises.
fn ascending(node: &Node) -> Option<usize> {
    match &node.kind {
        Kind::Column(column) => Some(*column),
        Kind::Cast { value, .. } => {
            let keeps_order = match (&value.of, &node.of) {
                (from, to) if from.is_instant() && to.is_instant() => true,
                (from, to) => from.is_number() && to.is_number(),
            };
            if keeps_order { ascending(value) } else { None }
        }
        _ => None,
    }
}

/// For each run of rows whether the condition may be true in it.
fn keeps(node: &Node, mins: &Value, maxs: &Value, bounds: &Bounds) -> Result<Vec<bool>, EngineError> {
    let count = bounds.rows.len();
    let mut keeps = vec![true; count];
    // Unknown is kept.
    let drop = |keeps: &mut [bool], out: &Value| {
        let out: &BooleanArray = out.array().as_boolean();
        for (run, keeps) in keeps.iter_mut().enumerate() {
            *keeps &= out.is_null(run) || !out.value(run);
        }
    };
    let is_float = matches!(mins.array().data_type(), DataType::Float32 | DataType::Float64);
    let mins = &without_nan(mins);
    match &node.kind {
        Kind::IsNull(_, wants_values) => {
            for (run, keeps) in keeps.iter_mut().enumerate() {
                let nulls = bounds.nulls.is_valid(run).then(|| bounds.nulls.value(run));
                *keeps = nulls.is_none_or(|nulls| match wants_values {
                    true => nulls < bounds.rows[run].len() as u64,
                    false => nulls > 0,
                });
            }
            return Ok(keeps);
        }
        Kind::Compare(comparison, pair) => {
            if let Some(value) = pair[1].as_constant() {
                let value = Value::Same(value.clone());
                use Comparison as C;
                // Statistics leave NaN out, which is greater than all they tell.
                let knows_max = !is_float || is_nan(&value).is_some_and(|is_nan| !is_nan && *comparison == C::Equal);
                if matches!(comparison, C::Equal | C::NotDistinct | C::LessOrEqual) {
                    drop(&mut keeps, &compared(C::Greater, mins, &value)?);
                }
                if matches!(comparison, C::Equal | C::NotDistinct | C::GreaterOrEqual) && knows_max {
                    drop(&mut keeps, &compared(C::Less, maxs, &value)?);
                }
                if *comparison == C::Less {
                    drop(&mut keeps, &compared(C::GreaterOrEqual, mins, &value)?);
                }
                if *comparison == C::Greater && knows_max {
                    drop(&mut keeps, &compared(C::LessOrEqual, maxs, &value)?);
                }
            }
        }
        Kind::In { set, .. } => {
            let mut any = vec![false; count];
            for (low, high) in members(set) {
                let mut these = vec![true; count];
                drop(&mut these, &compared(Comparison::Greater, mins, &Value::Same(high))?);
                drop(&mut these, &compared(Comparison::Less, maxs, &Value::Same(low))?);
                any.iter_mut().zip(these).for_each(|(any, this)| *any |= this);
            }
            keeps = any;
        }
        Kind::Match { prefix: Some(prefix), .. } => {
            let (mins, maxs) = (mins.array().as_string::<i32>(), maxs.array().as_string::<i32>());
            for (run, keeps) in keeps.iter_mut().enumerate() {
                let is_below = maxs.is_valid(run) && maxs.value(run) < prefix.as_str();
                let is_above = mins.is_valid(run)
                    && mins.value(run) > prefix.as_str()
                    && !mins.value(run).starts_with(prefix.as_str());
                *keeps = !is_below && !is_above;
            }
        }
        _ => return Ok(keeps),
    }
    // Where all is null no comparison is true.
    for (run, keeps) in keeps.iter_mut().enumerate() {
        *keeps &= bounds.nulls.is_null(run) || bounds.nulls.value(run) < bounds.rows[run].len() as u64;
    }
    Ok(keeps)
}

/// Each member as a range, or one range around all where they are many.
fn members(set: &Set) -> Vec<(ArrayRef, ArrayRef)> {
    let one = |position: usize| set.values.slice(position, 1);
    if set.values.len() <= MAX_MEMBERS {
        return (0..set.values.len()).map(|position| (one(position), one(position))).collect();
    }
    let order = arrow::compute::sort_to_indices(&set.values, None, None);
    order.map_or_else(
        |_| Vec::new(),
        |order| {
            let position = |rank: usize| usize::try_from(order.value(rank)).unwrap_or(0);
            vec![(one(position(0)), one(position(order.len() - 1)))]
        },
    )
}

/// A least value that is NaN was written by somebody who does not leave NaN out: it says nothing.
fn without_nan(mins: &Value) -> Value {
    let array = mins.array();
    let cleaned: ArrayRef = match array.data_type() {
        DataType::Float64 => std::sync::Arc::new(
            array.as_primitive::<Float64Type>().unary_opt::<_, Float64Type>(|value| (!value.is_nan()).then_some(value)),
        ),
        DataType::Float32 => std::sync::Arc::new(
            array.as_primitive::<Float32Type>().unary_opt::<_, Float32Type>(|value| (!value.is_nan()).then_some(value)),
        ),
        _ => return mins.clone(),
    };
    Value::Rows(cleaned)
}

fn is_nan(value: &Value) -> Option<bool> {
    match value.array().data_type() {
        DataType::Float64 => Some(value.array().as_primitive::<Float64Type>().value(0).is_nan()),
        DataType::Float32 => Some(value.array().as_primitive::<Float32Type>().value(0).is_nan()),
        _ => None,
    }
}
