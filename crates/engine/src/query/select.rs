//! Which rows match, and which of them come first: row groups in parallel, the cheapest columns first, and of further
//! columns only the pages that still matter.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::BooleanBufferBuilder;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{SortOptions, filter, prep_null_mask_filter};
use belvedere_domain::Features;

use super::bind::Binder;
use super::expr::{Expr, OrderKey};
use super::frame::{Column, Frame, Place};
use super::in_parameter;
use super::node::{Kind, Node, internal};
use super::prune;
use super::ranges::Rows;
use super::top::Top;
use super::types::Type;
use super::wrong;
use crate::error::{EngineError, ErrorKind};
use crate::scan::{FieldPath, Group, SplitTable, for_each_group};
use crate::task::Task;

/// Rows that are computed at a time.
const BATCH_ROWS: usize = 8_192;

/// A query that knows its columns.
pub(crate) struct Bound {
    columns: Vec<Column>,
    /// The whole condition, for pruning.
    condition: Option<Node>,
    /// Its parts that must all be true, by the fields they read.
    stages: Vec<Stage>,
    keys: Vec<Key>,
    /// What the keys read, ascending.
    key_fields: Vec<FieldPath>,
}

struct Stage {
    fields: Vec<FieldPath>,
    /// Positions among the parts of the condition.
    parts: Vec<usize>,
}

struct Key {
    value: Node,
    options: SortOptions,
}

/// The rows of a split that match.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    groups: Vec<Chosen>,
    count: u64,
}

/// The matching rows of a row group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Chosen {
    /// None of them.
    None,
    /// Every one.
    All,
    /// Those whose bit is set; bits count from the first row of the group.
    Some(BooleanBuffer),
}

/// Some of the matching rows, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Matches {
    /// Numbers in the split, the first one first.
    pub(crate) rows: Vec<u64>,
    /// How many match in all.
    pub(crate) count: u64,
}

impl Bound {
    /// Binds a condition and an order.
    ///
    /// # Errors
    /// [`Query`](ErrorKind::Query).
    pub(super) fn new(condition: Option<&Expr>, order: &[OrderKey], features: &Features) -> Result<Self, EngineError> {
        let mut binder = Binder::new(features);
        let condition = condition.map(|expr| binder.condition(expr)).transpose();
        let condition = condition.map_err(|error| in_parameter("where", error))?;
        let keys = order.iter().map(|key| Self::key(&mut binder, key)).collect::<Result<Vec<_>, _>>();
        let keys = keys.map_err(|error| in_parameter("orderby", error))?;
        let columns = binder.columns;
        let mut stages: Vec<Stage> = Vec::new();
        for (part, node) in parts_of(condition.as_ref()).enumerate() {
            let fields = fields_of(&columns, [node]);
            match stages.iter_mut().find(|stage| stage.fields == fields) {
                Some(stage) => stage.parts.push(part),
                None => stages.push(Stage { fields, parts: vec![part] }),
            }
        }
        let key_fields = fields_of(&columns, keys.iter().map(|key| &key.value));
        Ok(Self { columns, condition, stages, keys, key_fields })
    }

    fn key(binder: &mut Binder<'_>, key: &OrderKey) -> Result<Key, EngineError> {
        let value = binder.value(&key.value)?;
        if value.of.is_nested() {
            let found = value.describe(&binder.columns);
            return Err(wrong(value.at, format!("{found} has no order; order by an item or a field of it")));
        }
        if value.of == Type::Null {
            return Err(wrong(value.at, "NULL gives no order; name a column"));
        }
        Ok(Key { value, options: SortOptions { descending: key.descending, nulls_first: key.nulls_first } })
    }

    /// The matching rows. At most `max_rows` rows are looked at, after pruning.
    ///
    /// # Errors
    /// [`Query`](ErrorKind::Query) when a value does not fit, [`OverBudget`](ErrorKind::OverBudget), those of the task
    /// and of reading.
    pub(crate) fn select(
        &self,
        table: &SplitTable,
        max_rows: Option<u64>,
        task: &Task,
    ) -> Result<Selection, EngineError> {
        self.scan(table, max_rows, None, task)
    }

    /// The matching rows from `offset` on, at most `length`, in order. Rows that are equal come in the order of the split.
    ///
    /// # Errors
    /// As [`Bound::select`].
    pub(crate) fn first(
        &self,
        table: &SplitTable,
        offset: u64,
        length: usize,
        max_rows: Option<u64>,
        task: &Task,
    ) -> Result<Matches, EngineError> {
        if self.keys.is_empty() {
            let selection = self.select(table, max_rows, task)?;
            return Ok(Matches { rows: selection.rows(table, offset, length), count: selection.count() });
        }
        let keep = usize::try_from(offset.min(table.num_rows())).unwrap_or(usize::MAX).saturating_add(length);
        let options = self.keys.iter().map(|key| key.options).collect();
        let top = Top::new(keep, task.memory_bytes, options);
        let selection = self.scan(table, max_rows, Some(&top), task)?;
        let skipped = usize::try_from(offset).unwrap_or(usize::MAX);
        let rows = top.finish().into_iter().skip(skipped).take(length).collect();
        Ok(Matches { rows, count: selection.count() })
    }

    fn scan(
        &self,
        table: &SplitTable,
        max_rows: Option<u64>,
        top: Option<&Top>,
        task: &Task,
    ) -> Result<Selection, EngineError> {
        if table.num_rows() / 8 > task.memory_bytes as u64 {
            let message =
                format!("{} rows are too many for the {} bytes of memory allowed", table.num_rows(), task.memory_bytes);
            return Err(EngineError::new(ErrorKind::OverBudget, message));
        }
        let looked_at = AtomicU64::new(0);
        let groups = for_each_group(table.groups(), task, |group| {
            let scan = GroupScan { bound: self, table, group, task };
            let chosen = scan.chosen(|rows| {
                let total = looked_at.fetch_add(rows as u64, Ordering::Relaxed) + rows as u64;
                match max_rows {
                    Some(max) if total > max => {
                        let message = format!(
                            "more than {max} rows would have to be looked at; add a condition that leaves most of them \
                             out, on a column that the rows are sorted by"
                        );
                        Err(EngineError::new(ErrorKind::OverBudget, message))
                    }
                    _ => Ok(()),
                }
            });
            let chosen = chosen.map_err(|error| in_parameter("where", error))?;
            if let Some(top) = top {
                scan.offer(&chosen, top).map_err(|error| in_parameter("orderby", error))?;
            }
            Ok(chosen)
        })?;
        let count = groups.iter().zip(table.groups()).map(|(chosen, group)| chosen.count(group.num_rows) as u64).sum();
        Ok(Selection { groups, count })
    }

    fn part(&self, position: usize) -> Result<&Node, EngineError> {
        parts_of(self.condition.as_ref()).nth(position).ok_or_else(|| internal("a condition lost a part"))
    }
}

/// What must all be true.
fn parts_of(condition: Option<&Node>) -> impl Iterator<Item = &Node> {
    let parts: &[Node] = match condition {
        Some(Node { kind: Kind::And(parts), .. }) => parts,
        Some(node) => std::slice::from_ref(node),
        None => &[],
    };
    parts.iter()
}

/// The fields that parts look at, each once.
fn fields_of<'n>(columns: &[Column], nodes: impl IntoIterator<Item = &'n Node>) -> Vec<FieldPath> {
    let mut used = Vec::new();
    nodes.into_iter().for_each(|node| node.collect_columns(&mut used));
    let path = |column: usize| match &columns[column].place {
        Place::Field { path, .. } => Some(path.clone()),
        Place::RowNumber => None,
    };
    let mut fields: Vec<FieldPath> = used.into_iter().filter_map(path).collect();
    fields.sort_unstable();
    fields.dedup();
    fields
}

/// One row group.
struct GroupScan<'s> {
    bound: &'s Bound,
    table: &'s SplitTable,
    group: &'s Group,
    task: &'s Task,
}

impl GroupScan<'_> {
    fn chosen(&self, spend: impl Fn(usize) -> Result<(), EngineError>) -> Result<Chosen, EngineError> {
        let Some(condition) = &self.bound.condition else { return Ok(Chosen::All) };
        let num_rows = self.group.num_rows;
        let mut rows = prune::candidates(condition, &self.bound.columns, self.table, self.group)?;
        if rows.is_empty() {
            return Ok(Chosen::None);
        }
        spend(rows.count())?;
        let mut stages: Vec<&Stage> = self.bound.stages.iter().collect();
        stages.sort_by_cached_key(|stage| stage.fields.iter().map(|field| self.bytes_of(field)).sum::<u64>());
        let mut mask: Option<BooleanBuffer> = None;
        for stage in stages {
            let parts = stage.parts.iter().map(|part| self.bound.part(*part)).collect::<Result<Vec<_>, _>>()?;
            let found = self.mask(&rows, &stage.fields, &parts)?;
            let both = mask.map_or_else(|| found.clone(), |before| &before & &found);
            rows = Rows::around(&both);
            mask = Some(both);
            if rows.is_empty() {
                return Ok(Chosen::None);
            }
        }
        Ok(match mask {
            Some(mask) if mask.count_set_bits() < num_rows => Chosen::Some(mask),
            _ => Chosen::All,
        })
    }

    /// Compressed bytes of a field in the group.
    fn bytes_of(&self, field: &FieldPath) -> u64 {
        let metadata = self.table.metadata(self.group);
        self.table.leaves(self.group, field).map(|leaf| metadata.column(leaf).compressed_size().unsigned_abs()).sum()
    }

    /// Marks the rows, of those given, for which all parts are true.
    fn mask(&self, rows: &Rows, fields: &[FieldPath], parts: &[&Node]) -> Result<BooleanBuffer, EngineError> {
        let mut mask = BooleanBufferBuilder::new(self.group.num_rows);
        self.read(rows, fields, |table, numbers| {
            let frame = Frame::new(&self.bound.columns, table, fields, self.numbers(numbers));
            let mut found: Option<BooleanBuffer> = None;
            for part in parts {
                let truth = part.evaluate(&frame)?.spread(table.num_rows())?;
                let truth = truth.as_boolean();
                let truth = if truth.null_count() > 0 { prep_null_mask_filter(truth) } else { truth.clone() };
                found = Some(found.map_or_else(|| truth.values().clone(), |before| &before & truth.values()));
            }
            let found = found.unwrap_or_else(|| BooleanBuffer::new_set(table.num_rows()));
            let mut next = 0;
            for range in numbers {
                mask.append_n(range.start - mask.len(), false);
                mask.append_buffer(&found.slice(next, range.len()));
                next += range.len();
            }
            Ok(())
        })?;
        mask.append_n(self.group.num_rows - mask.len(), false);
        Ok(mask.finish())
    }

    /// Reads columns of rows, and hands over each table with the ranges of rows that it holds.
    fn read(
        &self,
        rows: &Rows,
        fields: &[FieldPath],
        mut each: impl FnMut(&RecordBatch, &[std::ops::Range<usize>]) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let mut left = rows.iter();
        let mut current = left.next().unwrap_or(0..0);
        for table in self.table.read_fields(self.group, fields, rows.selection(self.group.num_rows), BATCH_ROWS)? {
            let table = table?;
            self.task.check()?;
            let mut ranges = Vec::new();
            let mut missing = table.num_rows();
            while missing > 0 {
                if current.is_empty() {
                    current = left.next().ok_or_else(|| {
                        let message = "the file holds more rows than its footer tells";
                        EngineError::new(ErrorKind::Unreadable, message).in_file(self.table.path(self.group))
                    })?;
                }
                let taken = current.len().min(missing);
                ranges.push(current.start..current.start + taken);
                current.start += taken;
                missing -= taken;
            }
            each(&table, &ranges)?;
        }
        if !current.is_empty() || left.next().is_some() {
            let message = "the file holds fewer rows than its footer tells";
            return Err(EngineError::new(ErrorKind::Unreadable, message).in_file(self.table.path(self.group)));
        }
        Ok(())
    }

    /// Numbers of rows in the split, if a column asks for them.
    fn numbers(&self, ranges: &[std::ops::Range<usize>]) -> Option<ArrayRef> {
        let is_asked = self.bound.columns.iter().any(|column| column.place == Place::RowNumber);
        let number = |row: usize| i64::try_from(self.group.first_row + row as u64).unwrap_or(i64::MAX);
        is_asked.then(|| Arc::new(ranges.iter().cloned().flatten().map(number).collect::<Int64Array>()) as ArrayRef)
    }

    /// Shows the keys of matching rows to the order.
    fn offer(&self, chosen: &Chosen, top: &Top) -> Result<(), EngineError> {
        let rows = match chosen {
            Chosen::None => return Ok(()),
            Chosen::All => Rows::all(self.group.num_rows),
            Chosen::Some(mask) => Rows::around(mask),
        };
        let fields = &self.bound.key_fields;
        self.read(&rows, fields, |table, ranges| {
            let frame = Frame::new(&self.bound.columns, table, fields, self.numbers(ranges));
            let mut keys = Vec::with_capacity(self.bound.keys.len());
            for key in &self.bound.keys {
                keys.push(key.value.evaluate(&frame)?.spread(table.num_rows())?);
            }
            let mut numbers: Vec<u64> =
                ranges.iter().cloned().flatten().map(|row| self.group.first_row + row as u64).collect();
            if let Chosen::Some(mask) = chosen {
                let wanted: Vec<bool> = ranges.iter().cloned().flatten().map(|row| mask.value(row)).collect();
                let keep = BooleanArray::from(wanted);
                keys = keys.iter().map(|key| filter(key, &keep)).collect::<Result<_, _>>().map_err(internal)?;
                let mut position = 0;
                numbers.retain(|_| {
                    position += 1;
                    keep.value(position - 1)
                });
            }
            top.offer(&keys, &numbers)
        })
    }
}

impl Chosen {
    /// How many of the `num_rows` rows of the group.
    pub(crate) fn count(&self, num_rows: usize) -> usize {
        match self {
            Self::None => 0,
            Self::All => num_rows,
            Self::Some(mask) => mask.count_set_bits(),
        }
    }
}

impl Selection {
    /// The matching rows of each row group, in order.
    pub(crate) fn groups(&self) -> &[Chosen] {
        &self.groups
    }

    /// How many rows match.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Numbers of matching rows in the order of the split, from the `offset`th on, at most `length`.
    pub(crate) fn rows(&self, table: &SplitTable, offset: u64, length: usize) -> Vec<u64> {
        let mut rows = Vec::with_capacity(length.min(1_024));
        let mut skipped = offset;
        for (chosen, group) in self.groups().iter().zip(table.groups()) {
            let here = chosen.count(group.num_rows) as u64;
            if skipped >= here {
                skipped -= here;
                continue;
            }
            let skip = usize::try_from(skipped).unwrap_or(usize::MAX);
            skipped = 0;
            let wanted = length - rows.len();
            let number = |row: usize| group.first_row + row as u64;
            match chosen {
                Chosen::None => {}
                Chosen::All => rows.extend((skip..group.num_rows).take(wanted).map(number)),
                Chosen::Some(mask) => rows.extend(mask.set_indices().skip(skip).take(wanted).map(number)),
            }
            if rows.len() >= length {
                break;
            }
        }
        rows
    }
}
