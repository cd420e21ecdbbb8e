//! Tables of sheets and databases, whose values carry their own types and whose columns need not keep to one.
//!
//! The rows are looked at twice: the first time to type the columns, the second time to fill them. A thread of its own
//! reads ahead, one table at most, since the libraries behind push rows.

use std::ops::ControlFlow;
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;

use arrow::array::{RecordBatch, RecordBatchOptions};
use belvedere_domain::features::{Dtype, TimeUnit};
use belvedere_domain::{Feature, Features};

use super::loose::{self, Value};
use super::{ReadLimits, TableStream};
use crate::error::{EngineError, ErrorKind};
use crate::features_arrow::to_schema;

/// Rows of a table.
const BATCH: usize = 10_000;

/// A row, with its number where people can find it.
pub(super) struct Record {
    /// From 1; `None` where rows have no numbers.
    pub(super) line: Option<u64>,
    pub(super) values: Vec<Value>,
}

/// Something that has rows.
pub(super) trait Records: Send + 'static {
    /// Gives every row to `visit`, until it breaks. Rows may be shorter than the header.
    ///
    /// # Errors
    /// [`Unreadable`](ErrorKind::Unreadable) and those of `visit`.
    fn for_each(
        &self,
        visit: &mut dyn FnMut(Record) -> Result<ControlFlow<()>, EngineError>,
    ) -> Result<(), EngineError>;

    /// The name of every column, given how many the widest row has.
    fn names(&self, width: usize) -> Result<Vec<String>, EngineError>;
}

/// Which kinds of values a column holds.
#[derive(Clone, Copy, Default)]
struct Kinds {
    booleans: bool,
    integers: bool,
    floats: bool,
    texts: bool,
    bytes: bool,
    times: bool,
}

impl Kinds {
    fn observe(&mut self, value: &Value) {
        match value {
            Value::Null => {}
            Value::Bool(_) => self.booleans = true,
            Value::Int(_) => self.integers = true,
            Value::Float(_) => self.floats = true,
            Value::Bytes(_) => self.bytes = true,
            Value::Time(_) => self.times = true,
            _ => self.texts = true,
        }
    }

    /// Numbers of both kinds are floats; whatever else is mixed becomes text, and JSON where that would not do.
    fn feature(self) -> Feature {
        let Self { booleans, integers, floats, texts, bytes, times } = self;
        let dtype = match (booleans, integers || floats, texts, bytes, times) {
            (false, false, false, false, false) => Dtype::Null,
            (true, false, false, false, false) => Dtype::Bool,
            (false, true, false, false, false) if floats => Dtype::Float64,
            (false, true, false, false, false) => Dtype::Int64,
            (false, false, false, true, false) => Dtype::Binary,
            (false, false, false, false, true) => Dtype::Timestamp(TimeUnit::Microsecond, None),
            (.., true, _) => return Feature::Json,
            _ => Dtype::String,
        };
        Feature::Value(dtype)
    }
}

/// The tables of something that has rows. `size`: of the file, in bytes.
pub(super) fn open(
    records: impl Records,
    size: u64,
    path: &str,
    limits: ReadLimits,
) -> Result<Box<dyn TableStream>, EngineError> {
    let mut kinds: Vec<Kinds> = Vec::new();
    let mut rows = 0_u64;
    let mut seen = 0;
    records.for_each(&mut |record| {
        kinds.resize(kinds.len().max(record.values.len()), Kinds::default());
        kinds.iter_mut().zip(&record.values).for_each(|(kinds, value)| kinds.observe(value));
        rows += 1;
        seen += record.values.iter().map(Value::size).sum::<usize>() as u64;
        let enough = limits.max_inference_bytes.is_some_and(|max| seen > max);
        Ok(if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    let names = records.names(kinds.len())?;
    kinds.resize(names.len(), Kinds::default());
    let features = Features::new(names.into_iter().zip(kinds).map(|(name, kinds)| (name, kinds.feature())));
    let (sender, receiver) = mpsc::sync_channel(1);
    let producer = Producer { features, path: path.to_owned(), max_bytes: limits.max_batch_bytes / 4 };
    let thread = std::thread::Builder::new()
        .name("read-records".to_owned())
        .spawn(move || {
            // Nobody is there any more when enough was read.
            let result = producer.run(&records, &mut |table| sender.send(Ok(table)).is_ok());
            if let Err(error) = result {
                let _ = sender.send(Err(error));
            }
        })
        .map_err(|error| EngineError::new(ErrorKind::Io, format!("cannot start a thread: {error}")))?;
    let path = path.to_owned();
    Ok(Box::new(RecordStream { receiver: Some(receiver), thread: Some(thread), rows, taken: 0, size, path }))
}

struct Producer {
    features: Features,
    path: String,
    max_bytes: usize,
}

impl Producer {
    /// Makes tables of the rows until `send` says that nobody wants more.
    fn run(&self, records: &impl Records, send: &mut dyn FnMut(RecordBatch) -> bool) -> Result<(), EngineError> {
        let mut rows: Vec<Record> = Vec::new();
        let mut bytes = 0;
        let mut sent = 0;
        records.for_each(&mut |record| {
            bytes += record.values.iter().map(Value::size).sum::<usize>();
            rows.push(record);
            if rows.len() < BATCH && bytes < self.max_bytes {
                return Ok(ControlFlow::Continue(()));
            }
            bytes = 0;
            sent += 1;
            let goes_on = send(self.table(&std::mem::take(&mut rows))?);
            Ok(if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        if !rows.is_empty() || sent == 0 {
            send(self.table(&rows)?);
        }
        Ok(())
    }

    fn table(&self, rows: &[Record]) -> Result<RecordBatch, EngineError> {
        let column = |(place, (name, feature)): (usize, &(String, Feature))| {
            let values: Vec<&Value> = rows.iter().map(|row| row.values.get(place).unwrap_or(&Value::Null)).collect();
            loose::column(feature, &values).map_err(|error| {
                let culprit = values.iter().position(|value| loose::column(feature, &[value]).is_err());
                let error = culprit.and_then(|at| loose::column(feature, &values[at..=at]).err()).unwrap_or(error);
                let line = culprit.and_then(|at| rows[at].line);
                let error = error.in_column(name).in_file(&self.path);
                line.map_or(error.clone(), |line| error.at_line(line))
            })
        };
        let columns = self.features.iter().enumerate().map(column).collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        RecordBatch::try_new_with_options(to_schema(&self.features, false), columns, &options)
            .map_err(|error| EngineError::new(ErrorKind::Internal, error))
    }
}

struct RecordStream {
    receiver: Option<Receiver<Result<RecordBatch, EngineError>>>,
    thread: Option<JoinHandle<()>>,
    /// Rows that were counted, at least.
    rows: u64,
    taken: u64,
    size: u64,
    path: String,
}

impl TableStream for RecordStream {
    fn next_table(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        // The sender is gone after the last table.
        let Some(Ok(table)) = self.receiver.as_ref().map(Receiver::recv) else { return Ok(None) };
        let table = table.map_err(|error| error.in_file(&self.path))?;
        self.taken += table.num_rows() as u64;
        Ok(Some(table))
    }

    fn bytes_consumed(&self) -> u64 {
        let share = self.taken.min(self.rows) as f64 / self.rows.max(1) as f64;
        (self.size as f64 * share) as u64
    }
}

impl Drop for RecordStream {
    /// The thread ends at the next table that nobody takes; no thread outlives its call.
    fn drop(&mut self) {
        self.receiver = None;
        if let Some(thread) = self.thread.take() {
            // A panic was the end of the stream already.
            let _ = thread.join();
        }
    }
}
