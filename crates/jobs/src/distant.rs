//! Calls over blobs that are not on this machine.
//!
//! Work in this process reads them by ranges ([`Distant`]); child processes, which know neither sockets nor keys, get whole
//! files beside them for as long as a call takes ([`with_files`]). A distant file goes by the path that it has while this
//! machine keeps all of it ([`Blobs::local_path`]), so that calls need not know.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use belvedere_engine::source::{Elsewhere, FileIdentity, OpenedElsewhere, ReadRanges, SourceFile};
use belvedere_engine::task::Progress;
use belvedere_engine::{Call, EngineError, ErrorKind, FooterCache, Reply};
use belvedere_store::{BlobReader, Blobs, Fetched, ReadError, StoreError};
use tokio::runtime::Handle;

use crate::call::{CallError, Caller, InProcess, in_process};

/// Who reads files that we wrote, given the place they are kept in.
pub fn trusted(blobs: &Blobs) -> Arc<dyn Caller> {
    if blobs.is_folder() { Arc::new(InProcess) } else { Arc::new(Distant::new(blobs.clone())) }
}

/// A caller that has the files beside it that it is asked about.
pub fn with_files(blobs: &Blobs, caller: Arc<dyn Caller>) -> Arc<dyn Caller> {
    if blobs.is_folder() { caller } else { Arc::new(WithFiles { caller, blobs: blobs.clone() }) }
}

/// Calls in this process that read distant blobs by ranges.
pub struct Distant {
    footers: Arc<FooterCache>,
    blobs: Blobs,
}

impl Distant {
    /// A caller for these blobs. Footers of their files are kept, as for files of this machine.
    pub fn new(blobs: Blobs) -> Self {
        let opener = Opener { blobs: blobs.clone(), runtime: Handle::current() };
        Self { footers: Arc::new(FooterCache::default().with_elsewhere(Arc::new(opener))), blobs }
    }
}

#[async_trait]
impl Caller for Distant {
    async fn call(&self, call: Call, limit: Duration) -> Result<Reply, CallError> {
        self.call_watched(call, limit, Progress::default()).await
    }

    async fn call_watched(&self, call: Call, limit: Duration, progress: Progress) -> Result<Reply, CallError> {
        // Search indexes are mapped into memory, for which there must be a file.
        let held = hold_what_fits(&self.blobs, &call).await?;
        let footers = Arc::clone(&self.footers);
        let work = in_process(limit, progress, move |task| belvedere_engine::execute_with(&call, &footers, task));
        let reply = work.await;
        drop(held);
        reply
    }
}

/// Calls of another caller, with all their distant files on this machine while they last.
struct WithFiles {
    caller: Arc<dyn Caller>,
    blobs: Blobs,
}

#[async_trait]
impl Caller for WithFiles {
    async fn call(&self, call: Call, limit: Duration) -> Result<Reply, CallError> {
        self.call_watched(call, limit, Progress::default()).await
    }

    async fn call_watched(&self, call: Call, limit: Duration, progress: Progress) -> Result<Reply, CallError> {
        let mut held = Vec::new();
        for file in call.files() {
            held.extend(hold(&self.blobs, file).await.map_err(|error| refused(error, file))?);
        }
        held.extend(hold_what_fits(&self.blobs, &call).await?);
        let reply = self.caller.call_watched(call, limit, progress).await;
        drop(held);
        reply
    }
}

/// The distant files among those that only make the call cheaper, as far as there is room for them.
async fn hold_what_fits(blobs: &Blobs, call: &Call) -> Result<Vec<Fetched>, CallError> {
    let mut held = Vec::new();
    for file in call.optional_files() {
        match hold(blobs, file).await {
            Ok(fetched) => held.extend(fetched),
            Err(error) if error.is_passing() => return Err(refused(error, file)),
            Err(error) => {
                tracing::info!(file = file.path, error = &error as &dyn std::error::Error, "a file is done without");
            }
        }
    }
    Ok(held)
}

/// `None` for a file of this machine, and for one that is gone: whoever opens it says so.
async fn hold(blobs: &Blobs, file: &SourceFile) -> Result<Option<Fetched>, StoreError> {
    match blobs.distant_key(&file.local_path) {
        Some(key) => blobs.fetch(&key, Some(file.size)).await,
        None => Ok(None),
    }
}

fn refused(error: StoreError, file: &SourceFile) -> CallError {
    CallError::Engine(failure(error).in_file(&file.path))
}

/// What the engine says of a place that fails. Addresses are for the log only.
fn failure(error: StoreError) -> EngineError {
    tracing::warn!(error = &error as &dyn std::error::Error, "a file cannot be had from its place");
    match &error {
        StoreError::BlobsAway { .. } => EngineError::new(ErrorKind::Away, "the storage of files is away"),
        error => EngineError::new(ErrorKind::Io, error),
    }
}

/// Opens distant blobs for the engine.
struct Opener {
    blobs: Blobs,
    runtime: Handle,
}

impl Elsewhere for Opener {
    fn open(&self, file: &SourceFile) -> Option<OpenedElsewhere> {
        let key = self.blobs.distant_key(&file.local_path)?;
        let opened = self.blobs.reader(&key, file.size, &self.runtime).map_err(|error| unread(error, &file.path));
        Some(opened.map(|reader| {
            let identity = identity_of(&reader);
            (Arc::new(Reader { reader, path: file.path.clone() }) as Arc<dyn ReadRanges>, identity)
        }))
    }
}

/// The tag in place of what tells local files apart.
fn identity_of(reader: &BlobReader) -> FileIdentity {
    let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let tag = reader.tag().bytes().fold(0xcbf2_9ce4_8422_2325, fold);
    FileIdentity { size: reader.size(), mtime_ns: 0, ctime_ns: 0, inode: tag }
}

struct Reader {
    reader: BlobReader,
    path: String,
}

impl ReadRanges for Reader {
    fn size(&self) -> u64 {
        self.reader.size()
    }

    fn read_ranges(&self, ranges: &[std::ops::Range<u64>]) -> Result<Vec<bytes::Bytes>, EngineError> {
        if let Some(range) = ranges.iter().find(|range| range.end > self.size()) {
            let message = format!("bytes {}..{} lie beyond the end of the file", range.start, range.end);
            return Err(EngineError::new(ErrorKind::Unreadable, message).in_file(&self.path));
        }
        self.reader.read_ranges(ranges).map_err(|error| unread(error, &self.path))
    }
}

fn unread(error: ReadError, path: &str) -> EngineError {
    match error {
        ReadError::Changed => EngineError::new(ErrorKind::Changed, "the file is not the one that was listed"),
        ReadError::Store(error) => failure(error),
    }
    .in_file(path)
}
