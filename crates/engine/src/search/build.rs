//! Builds the index of a split: threads take row groups in turn, and each writes segments of bounded size to a file beside the
//! index, from which they are joined into few. A document is a row, and all its texts are one field.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, RecordBatch};
use tantivy::directory::RamDirectory;
use tantivy::schema::{Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::{Token, TokenStream, Tokenizer, TokenizerManager};
use tantivy::{Directory, Index, IndexSettings, SingleSegmentIndexWriter, TantivyDocument, TantivyError};

use super::analyze::{Alphabet, Analyzer, Rules};
use super::call::{BuildSearchIndex, SearchIndexBuilt};
use super::merge::merge;
use super::pack::{Contents, PackWriter, SegmentContents};
use super::text::{text_columns, visit};
use crate::error::{EngineError, ErrorKind};
use crate::footers::FooterCache;
use crate::scan::{Group, SplitTable, for_each};
use crate::task::Task;

/// The one field of a document.
pub(super) const FIELD: &str = "text";
const TOKENIZER: &str = "belvedere";
/// Segments of less memory would be many and repeat their dictionaries.
const MIN_SEGMENT_BYTES: usize = 16 << 20;
/// Documents between looks at the memory and at the task.
const LOOK_EVERY: usize = 128;
/// Bytes of a table that is read at once, about.
const TABLE_BYTES: i64 = 4 << 20;

/// Answers [`Call::BuildSearchIndex`](crate::Call::BuildSearchIndex).
///
/// # Errors
/// [`Empty`](ErrorKind::Empty) when no column holds text, [`Io`](ErrorKind::Io) when the file cannot be written; those of
/// opening and reading the split.
pub(crate) fn build(
    call: &BuildSearchIndex,
    cache: &FooterCache,
    task: &Task,
) -> Result<SearchIndexBuilt, EngineError> {
    let table = SplitTable::open(&call.files, call.features.as_ref(), cache)?;
    let columns = text_columns(table.features());
    if columns.is_empty() {
        return Err(EngineError::new(ErrorKind::Empty, "no column holds text"));
    }
    let threads = task.threads.min(call.memory_bytes / MIN_SEGMENT_BYTES).max(1).min(table.groups().len().max(1));
    let folder = call.output.parent().unwrap_or_else(|| Path::new("."));
    let scratch = tempfile::tempdir_in(folder)?;
    let parts = scratch.path().join("parts");
    let work = Work {
        table: &table,
        columns: &columns,
        rules: &call.rules,
        segment_bytes: call.memory_bytes / threads,
        next_group: AtomicUsize::new(0),
        pack: Mutex::new((PackWriter::new(BufWriter::new(File::create(&parts)?)), Vec::new())),
        task,
    };
    let counts = for_each(threads, task, |_| work.run())?;
    let (num_words, num_text_bytes) = counts.iter().fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
    let (pack, segments) = work.pack.into_inner().unwrap_or_else(PoisonError::into_inner);
    let columns: Vec<String> = columns.iter().map(|column| table.features()[*column].0.clone()).collect();
    let num_rows = table.num_rows();
    let contents = Contents { rules: call.rules.clone(), columns: columns.clone(), num_rows, num_words, segments };
    pack.finish(&contents)?;
    let size = merge(&parts, File::create(&call.output)?, scratch.path(), task)?;
    Ok(SearchIndexBuilt { size, num_rows, num_words, num_text_bytes, columns })
}

/// What all threads share.
struct Work<'w> {
    table: &'w SplitTable,
    columns: &'w [usize],
    rules: &'w Rules,
    /// A segment is closed when it takes more memory.
    segment_bytes: usize,
    next_group: AtomicUsize,
    pack: Mutex<(PackWriter<BufWriter<File>>, Vec<SegmentContents>)>,
    task: &'w Task,
}

impl Work<'_> {
    /// Takes row groups until none is left. Returns words and bytes of texts.
    fn run(&self) -> Result<(u64, u64), EngineError> {
        let (mut words, mut bytes) = (0, 0);
        let mut open: Option<Segment> = None;
        while let Some(group) = self.table.groups().get(self.next_group.fetch_add(1, Ordering::Relaxed)) {
            let mut row = group.first_row;
            for table in self.table.read(group, self.columns, None, batch_rows(self.table, group, self.columns))? {
                let table = table?;
                for index in 0..table.num_rows() {
                    if index.is_multiple_of(LOOK_EVERY) {
                        self.task.check()?;
                        if open.as_ref().is_some_and(|segment| segment.writer.mem_usage() >= self.segment_bytes)
                            && let Some(full) = open.take()
                        {
                            self.close(full)?;
                        }
                    }
                    let segment = match &mut open {
                        Some(segment) => segment,
                        None => open.insert(Segment::new(self.rules)?),
                    };
                    let (row_words, row_bytes) = segment.add(self, &table, index, row)?;
                    words += u64::from(row_words);
                    bytes += row_bytes;
                    row += 1;
                }
            }
        }
        open.map_or(Ok(()), |segment| self.close(segment))?;
        Ok((words, bytes))
    }

    /// Finishes a segment and appends its files to those of the others.
    fn close(&self, segment: Segment) -> Result<(), EngineError> {
        let Segment { writer, directory, lengths, runs, .. } = segment;
        let index = writer.finalize().map_err(failed)?;
        let mut names = index.load_metas().map_err(failed)?.list_segment_files().into_iter().collect::<Vec<_>>();
        names.sort_unstable();
        names.push("meta.json".into());
        let mut pack = self.pack.lock().unwrap_or_else(PoisonError::into_inner);
        let (writer, segments) = &mut *pack;
        let mut files = Vec::new();
        for name in names {
            if directory.exists(&name).map_err(|error| failed(error.into()))? {
                let bytes = read(&directory, &name)?;
                let (start, length) = writer.append(&bytes)?;
                files.push((name.to_string_lossy().into_owned(), start, length));
            }
        }
        let longest = lengths.iter().max().copied().unwrap_or(0);
        let length_width = (4 - longest.leading_zeros() as usize / 8).max(1);
        let lengths: Vec<u8> =
            lengths.iter().flat_map(|length| length.to_le_bytes().into_iter().take(length_width)).collect();
        let lengths = writer.append(&lengths)?;
        segments.push(SegmentContents { runs, length_width, lengths, files });
        Ok(())
    }
}

/// Rows of a table so that it takes a few megabytes.
pub(super) fn batch_rows(table: &SplitTable, group: &Group, columns: &[usize]) -> usize {
    let metadata = table.metadata(group);
    let wanted: Vec<usize> = columns.iter().filter_map(|&column| table.column_in_file(group, column)).collect();
    let schema = table.footer(group).metadata().file_metadata().schema_descr();
    let bytes: i64 = (0..metadata.num_columns())
        .filter(|&leaf| wanted.contains(&schema.get_column_root_idx(leaf)))
        .map(|leaf| metadata.column(leaf).uncompressed_size())
        .sum();
    let rows = TABLE_BYTES.saturating_mul(metadata.num_rows()) / bytes.max(1);
    usize::try_from(rows).unwrap_or(1).clamp(1, 8_192)
}

/// A segment while it is being written, in memory.
struct Segment {
    writer: SingleSegmentIndexWriter<TantivyDocument>,
    directory: RamDirectory,
    field: Field,
    /// Words of the row at hand, counted while they are indexed.
    words: Arc<AtomicU32>,
    lengths: Vec<u32>,
    runs: Vec<(u64, u32)>,
}

impl Segment {
    fn new(rules: &Rules) -> Result<Self, EngineError> {
        let (schema, field) = schema(rules.alphabet);
        let words = Arc::new(AtomicU32::new(0));
        let tokenizers = TokenizerManager::new();
        tokenizers.register(TOKENIZER, Words { analyzer: Analyzer::new(rules), count: Arc::clone(&words) });
        let directory = RamDirectory::create();
        let writer = Index::builder()
            .schema(schema)
            .settings(settings())
            .tokenizers(tokenizers)
            .single_segment_index_writer(directory.clone(), MIN_SEGMENT_BYTES)
            .map_err(failed)?;
        Ok(Self { writer, directory, field, words, lengths: Vec::new(), runs: Vec::new() })
    }

    /// Adds a row and returns its words and the bytes of its texts.
    fn add(&mut self, work: &Work<'_>, table: &RecordBatch, index: usize, row: u64) -> Result<(u32, u64), EngineError> {
        let mut document = TantivyDocument::new();
        let mut bytes = 0;
        for (&column, array) in work.columns.iter().zip(table.columns()) {
            let feature = &work.table.features()[column].1;
            visit(work.rules.alphabet, feature, array as &dyn Array, index, &mut |_, text| {
                bytes += text.len() as u64;
                document.add_text(self.field, text);
            });
        }
        self.writer.add_document(document).map_err(failed)?;
        let words = self.words.swap(0, Ordering::Relaxed);
        self.lengths.push(words);
        match self.runs.last_mut() {
            Some((first, rows)) if *first + u64::from(*rows) == row => *rows += 1,
            _ => self.runs.push((row, 1)),
        }
        Ok((words, bytes))
    }
}

/// Exact lengths are kept beside the index, so the rounded ones of the library are left out.
fn schema(alphabet: Alphabet) -> (Schema, Field) {
    let option = match alphabet {
        Alphabet::Unicode => IndexRecordOption::WithFreqsAndPositions,
        // It knows no phrases.
        Alphabet::Reference => IndexRecordOption::WithFreqs,
    };
    let indexing = TextFieldIndexing::default().set_tokenizer(TOKENIZER).set_fieldnorms(false).set_index_option(option);
    let mut schema = Schema::builder();
    let field = schema.add_text_field(FIELD, TextOptions::default().set_indexing_options(indexing));
    (schema.build(), field)
}

pub(super) fn settings() -> IndexSettings {
    IndexSettings { docstore_compress_dedicated_thread: false, ..IndexSettings::default() }
}

fn read(directory: &RamDirectory, name: &Path) -> Result<Vec<u8>, EngineError> {
    directory.atomic_read(name).map_err(|error| failed(error.into()))
}

pub(super) fn failed(error: TantivyError) -> EngineError {
    let kind = match &error {
        TantivyError::IoError(error) => ErrorKind::of_io(error),
        _ => ErrorKind::Internal,
    };
    EngineError::new(kind, format!("search index: {error}"))
}

/// Our analyzer as the library wants it, counting words.
#[derive(Clone)]
struct Words {
    analyzer: Analyzer,
    count: Arc<AtomicU32>,
}

/// The words of one text.
struct WordStream<'a> {
    words: &'a mut Words,
    text: &'a str,
    token: Token,
    /// Words found ahead, for callers that take one at a time: last first.
    ahead: Option<Vec<Token>>,
}

impl Tokenizer for Words {
    type TokenStream<'a> = WordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream<'a> {
        WordStream { words: self, text, token: Token::default(), ahead: None }
    }
}

impl TokenStream for WordStream<'_> {
    fn advance(&mut self) -> bool {
        if self.ahead.is_none() {
            let mut ahead = Vec::new();
            self.process(&mut |token| ahead.push(token.clone()));
            ahead.reverse();
            self.ahead = Some(ahead);
        }
        match self.ahead.as_mut().and_then(Vec::pop) {
            Some(token) => {
                self.token = token;
                true
            }
            None => false,
        }
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }

    /// All words at once, without a copy of them.
    fn process(&mut self, sink: &mut dyn FnMut(&Token)) {
        let token = &mut self.token;
        let count = self.words.analyzer.words(self.text, &mut |word| {
            token.text.clear();
            token.text.push_str(word.term);
            token.position = word.position as usize;
            (token.offset_from, token.offset_to) = word.bytes;
            sink(token);
        });
        self.words.count.fetch_add(count, Ordering::Relaxed);
    }
}
