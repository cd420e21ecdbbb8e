//! Files of a request on their way in: under names that we choose, hashed while they come.
//!
//! A request with few bytes stays in memory and goes into the store with its task, in the same transaction: a flush that
//! many share instead of several of its own. Larger ones are streamed into a folder, which is moved to its place at once;
//! what is not moved is removed.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use belvedere_domain::task::TaskId;
use belvedere_store::tasks::TaskFile;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

/// Bytes of all files of a request up to which they stay in memory, and are kept in the store.
pub const SMALL_BYTES: u64 = 64 << 10;

/// Bounds of one request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UploadLimits {
    /// Number of files.
    pub files: usize,
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Bytes of all files.
    pub total_bytes: u64,
}

impl UploadLimits {
    /// For what was within limits before.
    const NONE: Self = Self { files: 0, file_bytes: 0, total_bytes: 0 };
}

/// Why a file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// More than is allowed.
    #[error("{0}")]
    TooLarge(String),
    /// The disk refused.
    #[error("the files of a task cannot be kept")]
    Disk(#[from] io::Error),
}

/// Where files of tasks are kept.
#[derive(Clone, Debug)]
pub struct Inbox {
    root: PathBuf,
}

impl Inbox {
    /// Keeps files below a folder, which is made when needed.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The folder of a task's files.
    pub fn folder(&self, task: TaskId) -> PathBuf {
        self.root.join("files").join(task.to_string())
    }

    /// The folder of what an attempt left.
    pub fn artifacts(&self, task: TaskId, attempt: u32) -> PathBuf {
        self.root.join("artifacts").join(task.to_string()).join(attempt.to_string())
    }

    /// The folder of files with chosen rows.
    pub fn selections(&self) -> PathBuf {
        self.root.join("selections")
    }

    /// Begins a request.
    pub fn begin(&self, limits: UploadLimits) -> Upload {
        let incoming = self.root.join("incoming");
        Upload { incoming, folder: None, files: Vec::new(), held: Vec::new(), limits, total: 0 }
    }

    /// Hands over the files of a request: those in memory to be stored with the task, others in its folder, where they are
    /// on the disk when this returns.
    ///
    /// # Errors
    /// When the disk refuses; nothing is left then.
    pub async fn commit(&self, task: TaskId, mut upload: Upload) -> Result<Kept, UploadError> {
        let (files, contents) = (std::mem::take(&mut upload.files), std::mem::take(&mut upload.held));
        if upload.folder.is_some() {
            self.settle(task, upload).await?;
        }
        Ok(Kept { files, contents })
    }

    /// Writes files that the store keeps, by name, to the folder of their task, unless they are there.
    ///
    /// # Errors
    /// When the disk refuses; nothing is left then.
    pub async fn unpack(&self, task: TaskId, contents: Vec<(String, Vec<u8>)>) -> io::Result<()> {
        if contents.is_empty() || tokio::fs::try_exists(self.folder(task)).await? {
            return Ok(());
        }
        let mut upload = self.begin(UploadLimits::NONE);
        let folder = upload.make_folder().await?;
        for (name, bytes) in contents {
            tokio::fs::write(folder.join(name), bytes).await?;
        }
        self.settle(task, upload).await
    }

    /// Flushes the folder of a request and moves it to its place.
    async fn settle(&self, task: TaskId, mut upload: Upload) -> io::Result<()> {
        let to = self.folder(task);
        let parent = self.root.join("files");
        tokio::fs::create_dir_all(&parent).await?;
        // All at once: file systems write down what waits together.
        let mut written = tokio::task::JoinSet::new();
        let folder = upload.make_folder().await?;
        let mut entries = tokio::fs::read_dir(&folder).await?;
        let mut paths = vec![folder.clone()];
        while let Some(entry) = entries.next_entry().await? {
            paths.push(entry.path());
        }
        for path in paths {
            written.spawn_blocking(move || std::fs::File::open(path)?.sync_all());
        }
        while let Some(done) = written.join_next().await {
            done.map_err(io::Error::other)??;
        }
        upload.folder = None;
        let moved = tokio::task::spawn_blocking(move || {
            let done = std::fs::rename(&folder, &to).and_then(|()| std::fs::File::open(&parent)?.sync_all());
            if done.is_err() {
                let _ = std::fs::remove_dir_all(&folder);
            }
            done
        });
        moved.await.map_err(io::Error::other)?
    }

    /// Removes what is kept of tasks that are gone. What stays is swept later.
    pub async fn remove(&self, tasks: &[TaskId]) {
        for task in tasks {
            for folder in [self.folder(*task), self.root.join("artifacts").join(task.to_string())] {
                match tokio::fs::remove_dir_all(&folder).await {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(task.id = %task, error, "files of a task are left over");
                    }
                    _ => {}
                }
            }
        }
    }

    /// Tasks of which there are folders that nobody has touched for a while, as they are named.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn folders(&self, now: SystemTime, older_than: Duration) -> io::Result<Vec<TaskId>> {
        let mut found = Vec::new();
        for name in ["files", "artifacts"] {
            let entries = match std::fs::read_dir(self.root.join(name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries?,
            };
            for entry in entries {
                let entry = entry?;
                let changed = entry.metadata().and_then(|metadata| metadata.modified())?;
                let is_old = now.duration_since(changed).is_ok_and(|age| age >= older_than);
                found.extend(entry.file_name().to_str().filter(|_| is_old).and_then(|name| TaskId::parse(name).ok()));
            }
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Removes the files with the rows of selections that are forgotten.
    pub async fn remove_selections(&self, ids: &[String]) {
        for id in ids {
            // It is there only if a task has used it.
            let _ = tokio::fs::remove_file(self.selections().join(format!("{id}.parquet"))).await;
        }
    }

    /// Removes the files of a task that was not stored after all.
    pub async fn discard(&self, task: TaskId) {
        if let Err(error) = tokio::fs::remove_dir_all(self.folder(task)).await
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(task.id = %task, error = &error as &dyn std::error::Error, "files of a task are left over");
        }
    }

    /// Removes what requests that were cut off long ago have left. Returns how many.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn sweep(&self, now: SystemTime, older_than: Duration) -> io::Result<usize> {
        let entries = match std::fs::read_dir(self.root.join("incoming")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            entries => entries?,
        };
        let mut removed = 0;
        for entry in entries {
            let entry = entry?;
            let changed = entry.metadata().and_then(|metadata| metadata.modified())?;
            if now.duration_since(changed).is_ok_and(|age| age >= older_than) {
                std::fs::remove_dir_all(entry.path())?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

/// Files that are handed over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// The files, in the order of their coming.
    pub files: Vec<TaskFile>,
    /// Their bytes, to be stored with the task; empty where the files are in its folder.
    pub contents: Vec<Vec<u8>>,
}

/// A request whose files are coming in. Dropping it removes them.
#[derive(Debug)]
pub struct Upload {
    incoming: PathBuf,
    /// Made when the bytes are too many to be held in memory.
    folder: Option<PathBuf>,
    files: Vec<TaskFile>,
    /// Bytes of the files, while there is no folder.
    held: Vec<Vec<u8>>,
    limits: UploadLimits,
    total: u64,
}

impl Upload {
    /// The files so far.
    pub fn files(&self) -> &[TaskFile] {
        &self.files
    }

    /// Begins a file that the client calls `original_name`.
    ///
    /// # Errors
    /// [`UploadError::TooLarge`] when there are too many.
    pub async fn file(&mut self, original_name: &str) -> Result<IncomingFile<'_>, UploadError> {
        if self.files.len() >= self.limits.files {
            return Err(UploadError::TooLarge(format!("more than {} files were sent", self.limits.files)));
        }
        let stored_name = free_name(&stored_name(original_name), &self.files);
        let file = match &self.folder {
            Some(folder) => Some(tokio::fs::File::create_new(folder.join(&stored_name)).await?),
            None => None,
        };
        // NUL is the one character that not every database keeps.
        let original_name: String = original_name.chars().filter(|c| *c != '\0').take(1024).collect();
        let (hash, held) = (Sha256::new(), Vec::new());
        Ok(IncomingFile { upload: self, file, held, hash, size: 0, stored_name, original_name })
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn read(&self, index: usize) -> io::Result<Vec<u8>> {
        match (&self.folder, self.held.get(index)) {
            (Some(folder), _) => tokio::fs::read(folder.join(&self.files[index].stored_name)).await,
            (None, Some(held)) => Ok(held.clone()),
            (None, None) => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Where the files lie, which are written there if they were in memory.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn on_disk(&mut self) -> io::Result<&Path> {
        let folder = self.make_folder().await?;
        for (file, bytes) in self.files.iter().zip(std::mem::take(&mut self.held)) {
            tokio::fs::write(folder.join(&file.stored_name), bytes).await?;
        }
        Ok(self.folder.insert(folder).as_path())
    }

    /// Whether the files are on the disk rather than in memory.
    pub fn is_on_disk(&self) -> bool {
        self.folder.is_some()
    }

    async fn make_folder(&mut self) -> io::Result<PathBuf> {
        if let Some(folder) = &self.folder {
            return Ok(folder.clone());
        }
        let folder = self.incoming.join(crate::random::nonce());
        tokio::fs::create_dir_all(&folder).await?;
        Ok(self.folder.insert(folder).clone())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            // A folder that stays is swept later.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// A file that is coming in.
#[derive(Debug)]
pub struct IncomingFile<'a> {
    upload: &'a mut Upload,
    file: Option<tokio::fs::File>,
    /// Its bytes, while there is no file.
    held: Vec<u8>,
    hash: Sha256,
    size: u64,
    stored_name: String,
    original_name: String,
}

impl IncomingFile<'_> {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`UploadError::TooLarge`] when a bound is reached.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), UploadError> {
        self.size += bytes.len() as u64;
        self.upload.total += bytes.len() as u64;
        let limits = self.upload.limits;
        if self.size > limits.file_bytes {
            return Err(UploadError::TooLarge(format!("a file is larger than {} bytes", limits.file_bytes)));
        }
        if self.upload.total > limits.total_bytes {
            return Err(UploadError::TooLarge(format!("the files are larger than {} bytes", limits.total_bytes)));
        }
        self.hash.update(bytes);
        if self.file.is_none() && self.upload.total > SMALL_BYTES {
            let path = self.upload.on_disk().await?.join(&self.stored_name);
            let mut file = tokio::fs::File::create_new(path).await?;
            file.write_all(&std::mem::take(&mut self.held)).await?;
            self.file = Some(file);
        }
        match &mut self.file {
            Some(file) => file.write_all(bytes).await?,
            None => self.held.extend_from_slice(bytes),
        }
        Ok(())
    }

    /// Ends the file. Its bytes are sure to be on the disk when the upload is committed.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn finish(mut self) -> Result<TaskFile, UploadError> {
        match &mut self.file {
            Some(file) => file.flush().await?,
            None => self.upload.held.push(self.held),
        }
        let file = TaskFile {
            stored_name: self.stored_name,
            original_name: self.original_name,
            size_bytes: self.size,
            sha256: hex::encode(self.hash.finalize()),
        };
        self.upload.files.push(file.clone());
        Ok(file)
    }
}

/// Our name for a file: letters, digits, `.`, `_` and `-` of the last part of the client's name, others replaced; at most 64
/// characters with the suffix kept.
pub fn stored_name(original: &str) -> String {
    let last = original.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
    let mut name: String = last.chars().map(plain).collect();
    while name.contains("..") {
        name = name.replace("..", ".");
    }
    let name = name.trim_start_matches(['.', '-']).trim_end_matches('.');
    if name.is_empty() {
        return "file".to_owned();
    }
    // A leading `_` is no letter or digit.
    let name = if name.starts_with('_') { format!("x{name}") } else { name.to_owned() };
    if name.len() <= 56 {
        return name;
    }
    let suffix = name.rfind('.').map_or("", |at| &name[at..]);
    let suffix = if suffix.len() <= 12 { suffix } else { "" };
    format!("{}{suffix}", &name[..56 - suffix.len()])
}

/// The name, or with a number where another file has it, whatever the case of its letters.
pub(crate) fn free_name(name: &str, taken: &[TaskFile]) -> String {
    let is_free = |name: &str| !taken.iter().any(|file| file.stored_name.eq_ignore_ascii_case(name));
    if is_free(name) {
        return name.to_owned();
    }
    let (stem, suffix) = name.rfind('.').map_or((name, ""), |at| name.split_at(at));
    let numbered = (2..).map(|number| format!("{stem}-{number}{suffix}")).find(|name| is_free(name));
    numbered.expect("some number is free")
}

#[cfg(test)]
mod tests {
    use belvedere_domain::task::PlainName;

    use super::*;

    const LIMITS: UploadLimits = UploadLimits { files: 3, file_bytes: 10, total_bytes: 15 };

    /// e078 | uploaded files are called `../../etc/x`, `C:\x`, nothing at all, 300 characters, with overrides of direction | they lie under safe names of ours; the client's names are kept as data
    #[tokio::test]
    async fn e078_names_of_uploads_are_ours() {
        let long = "é".repeat(300) + ".py";
        for (original, stored) in [
            ("train.py", "train.py"),
            ("../../etc/passwd", "passwd"),
            ("C:\\work\\x.py", "x.py"),
            ("", "file"),
            (".", "file"),
            ("..", "file"),
            ("trailing.", "trailing"),
            ("-rf", "rf"),
            (".bashrc", "bashrc"),
            ("a\u{202e}yp.exe", "a_yp.exe"),
            ("cafe\u{301}.py", "cafe_.py"),
            ("a b;$(id).sh", "a_b___id_.sh"),
            ("a\0b\n.py", "a_b_.py"),
        ] {
            assert_eq!(stored_name(original), stored, "{original:?}");
        }
        assert!(stored_name(&long).ends_with(".py"));
        for original in [&*long, "x", "_", "é", "a..b...c"] {
            assert!(PlainName::new(stored_name(original)).is_ok(), "{original}");
        }

        let folder = tempfile::tempdir().unwrap();
        let inbox = Inbox::new(folder.path().join("tasks"));
        for size in [1, SMALL_BYTES as usize] {
            let mut upload = inbox.begin(UploadLimits { files: 3, file_bytes: 1 << 20, total_bytes: 1 << 20 });
            for name in ["caf\u{e9}.py", "cafe\u{301}.py", "CAF_.py"] {
                send(&mut upload, name, &vec![b'1'; size]).await.unwrap();
            }
            let names: Vec<_> = upload.files().iter().map(|file| file.stored_name.clone()).collect();
            assert_eq!(names, ["caf_.py", "cafe_.py", "CAF_-2.py"]);
            assert_eq!(upload.read(2).await.unwrap(), vec![b'1'; size]);
            let id = crate::new_task_id(1);
            let Kept { files, contents } = inbox.commit(id, upload).await.unwrap();
            assert_eq!(files[0].original_name, "caf\u{e9}.py");
            assert_eq!(files[0].sha256, hex::encode(Sha256::digest(vec![b'1'; size])));
            inbox.unpack(id, names.into_iter().zip(contents).collect()).await.unwrap();
            assert_eq!(std::fs::read(inbox.folder(id).join("CAF_-2.py")).unwrap(), vec![b'1'; size]);
            assert_eq!(std::fs::read_dir(folder.path().join("tasks/incoming")).unwrap().count(), 0);
        }
    }

    /// Takes a file in pieces.
    async fn send(upload: &mut Upload, name: &str, bytes: &[u8]) -> Result<(), UploadError> {
        let mut file = upload.file(name).await?;
        for piece in bytes.chunks(1000) {
            file.write(piece).await?;
        }
        file.finish().await.map(drop)
    }

    fn entries(folder: &Path) -> usize {
        std::fs::read_dir(folder).map_or(0, Iterator::count)
    }

    #[tokio::test]
    async fn few_bytes_stay_in_memory_and_many_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = Inbox::new(folder.path().to_owned());
        let limits = UploadLimits { files: 9, file_bytes: 1 << 20, total_bytes: 1 << 20 };
        let (half, id) = (vec![b'h'; SMALL_BYTES as usize / 2], crate::new_task_id(1));
        let mut upload = inbox.begin(limits);
        send(&mut upload, "a", &half).await.unwrap();
        send(&mut upload, "b", &half).await.unwrap();
        assert!(!upload.is_on_disk());
        let kept = inbox.commit(id, upload).await.unwrap();
        assert_eq!((kept.files.len(), kept.contents), (2, vec![half.clone(), half.clone()]));
        // Nothing was written: what is stored with the task needs no folder.
        assert_eq!(entries(folder.path()), 0);
        let mut upload = inbox.begin(limits);
        send(&mut upload, "a", &half).await.unwrap();
        send(&mut upload, "empty", b"").await.unwrap();
        send(&mut upload, "b", &[&*half, b"and one more"].concat()).await.unwrap();
        send(&mut upload, "c", b"after that").await.unwrap();
        assert!(upload.is_on_disk());
        let kept = inbox.commit(id, upload).await.unwrap();
        assert_eq!((kept.files.len(), kept.contents), (4, Vec::<Vec<u8>>::new()));
        let read = |name: &str| std::fs::read(inbox.folder(id).join(name)).unwrap();
        assert_eq!((read("a"), read("empty"), read("c")), (half.clone(), Vec::new(), b"after that".to_vec()));
        assert_eq!(read("b"), [&*half, b"and one more"].concat());
        // A program that reads files finds those of a small request as well.
        let mut upload = inbox.begin(limits);
        send(&mut upload, "a", b"1").await.unwrap();
        let path = upload.on_disk().await.unwrap().join("a");
        assert_eq!(std::fs::read(path).unwrap(), b"1");
        drop(upload);
        assert_eq!(entries(&folder.path().join("incoming")), 0);
    }

    #[tokio::test]
    async fn what_is_unpacked_is_there_once_and_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (inbox, id) = (Inbox::new(folder.path().to_owned()), crate::new_task_id(1));
        inbox.unpack(id, Vec::new()).await.unwrap();
        assert!(!inbox.folder(id).exists());
        for text in ["first", "again"] {
            inbox.unpack(id, vec![("a".to_owned(), text.into()), ("b".to_owned(), Vec::new())]).await.unwrap();
            assert_eq!(std::fs::read(inbox.folder(id).join("a")).unwrap(), b"first");
        }
        assert_eq!((entries(&inbox.folder(id)), entries(&folder.path().join("incoming"))), (2, 0));
    }

    /// e057 | the connection is cut in the middle of an upload | nothing is stored; what had come is removed, at the latest by a sweep
    #[tokio::test]
    async fn e057_a_cut_upload_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = Inbox::new(folder.path().to_owned());
        let incoming = folder.path().join("incoming");
        let mut upload = inbox.begin(UploadLimits { files: 1, file_bytes: 1 << 20, total_bytes: 1 << 20 });
        let mut file = upload.file("a.py").await.unwrap();
        file.write(&[b'h'; SMALL_BYTES as usize + 1]).await.unwrap();
        drop(file);
        assert_eq!(entries(&incoming), 1);
        drop(upload);
        assert_eq!(entries(&incoming), 0);
        // The process ended before it could tidy up.
        std::fs::create_dir(incoming.join("left")).unwrap();
        let (now, age) = (SystemTime::now(), Duration::from_secs(3600));
        assert_eq!(inbox.sweep(now, age).unwrap(), 0);
        assert_eq!(inbox.sweep(now + 2 * age, age).unwrap(), 1);
        assert_eq!(entries(&incoming), 0);
    }

    #[tokio::test]
    async fn bounds_hold_while_bytes_come() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = Inbox::new(folder.path().to_owned());
        let mut upload = inbox.begin(LIMITS);
        let mut file = upload.file("a").await.unwrap();
        file.write(&[0; 10]).await.unwrap();
        assert!(matches!(file.write(&[0]).await, Err(UploadError::TooLarge(text)) if text.contains("10 bytes")));
        drop(file);
        let mut file = upload.file("b").await.unwrap();
        assert!(matches!(file.write(&[0; 6]).await, Err(UploadError::TooLarge(text)) if text.contains("15 bytes")));
        for name in ["c", "d", "e"] {
            if upload.files().len() < 3 {
                upload.file(name).await.unwrap().finish().await.unwrap();
            }
        }
        assert!(matches!(upload.file("f").await, Err(UploadError::TooLarge(text)) if text.contains("3 files")));
    }
}
