//! Files of a request on their way in: streamed into a folder of their own under names that we choose, hashed while they
//! come, and moved to their place at once. What is not moved is removed.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use belvedere_domain::task::TaskId;
use belvedere_store::tasks::TaskFile;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

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
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub async fn begin(&self, limits: UploadLimits) -> Result<Upload, UploadError> {
        let incoming = self.root.join("incoming");
        tokio::fs::create_dir_all(&incoming).await?;
        let folder = incoming.join(crate::random::nonce());
        tokio::fs::create_dir(&folder).await?;
        Ok(Upload { folder: Some(folder), files: Vec::new(), limits, total: 0 })
    }

    /// Moves the files of a request to the folder of its task. They are on the disk when this returns.
    ///
    /// # Errors
    /// When the disk refuses; nothing is left then.
    pub async fn commit(&self, task: TaskId, mut upload: Upload) -> Result<Vec<TaskFile>, UploadError> {
        let (to, files) = (self.folder(task), std::mem::take(&mut upload.files));
        let parent = self.root.join("files");
        tokio::fs::create_dir_all(&parent).await?;
        // All at once: file systems write down what waits together.
        let mut written = tokio::task::JoinSet::new();
        let paths = files.iter().map(|file| upload.path(&file.stored_name)).chain(upload.folder.clone());
        for path in paths {
            written.spawn_blocking(move || std::fs::File::open(path)?.sync_all());
        }
        while let Some(done) = written.join_next().await {
            done.map_err(io::Error::other)??;
        }
        let folder = upload.folder.take().expect("an upload is committed once");
        let moved = tokio::task::spawn_blocking(move || {
            let done = std::fs::rename(&folder, &to).and_then(|()| std::fs::File::open(&parent)?.sync_all());
            if done.is_err() {
                let _ = std::fs::remove_dir_all(&folder);
            }
            done
        });
        moved.await.map_err(io::Error::other)??;
        Ok(files)
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
        if let Err(error) = tokio::fs::remove_dir_all(self.folder(task)).await {
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

/// A request whose files are coming in. Dropping it removes them.
#[derive(Debug)]
pub struct Upload {
    folder: Option<PathBuf>,
    files: Vec<TaskFile>,
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
        let path = self.path(&stored_name);
        let file = tokio::fs::File::create_new(&path).await?;
        // NUL is the one character that not every database keeps.
        let original_name: String = original_name.chars().filter(|c| *c != '\0').take(1024).collect();
        Ok(IncomingFile { upload: self, file, hash: Sha256::new(), size: 0, stored_name, original_name })
    }

    /// Where a file of the request lies.
    pub fn path(&self, stored_name: &str) -> PathBuf {
        self.folder.as_deref().unwrap_or(Path::new("")).join(stored_name)
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
    file: tokio::fs::File,
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
        Ok(self.file.write_all(bytes).await?)
    }

    /// Ends the file. Its bytes are sure to be on the disk when the upload is committed.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn finish(mut self) -> Result<TaskFile, UploadError> {
        self.file.flush().await?;
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
        let mut upload = inbox.begin(LIMITS).await.unwrap();
        for name in ["caf\u{e9}.py", "cafe\u{301}.py", "CAF_.py"] {
            let mut file = upload.file(name).await.unwrap();
            file.write(b"1").await.unwrap();
            file.finish().await.unwrap();
        }
        let names: Vec<_> = upload.files().iter().map(|file| file.stored_name.clone()).collect();
        assert_eq!(names, ["caf_.py", "cafe_.py", "CAF_-2.py"]);
        let id = crate::new_task_id(1);
        let files = inbox.commit(id, upload).await.unwrap();
        assert_eq!(files[0].original_name, "caf\u{e9}.py");
        assert_eq!(files[0].sha256, hex::encode(Sha256::digest(b"1")));
        assert_eq!(std::fs::read(inbox.folder(id).join("CAF_-2.py")).unwrap(), b"1");
        assert_eq!(std::fs::read_dir(folder.path().join("tasks/incoming")).unwrap().count(), 0);
    }

    /// e057 | the connection is cut in the middle of an upload | nothing is stored; what had come is removed, at the latest by a sweep
    #[tokio::test]
    async fn e057_a_cut_upload_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = Inbox::new(folder.path().to_owned());
        let incoming = folder.path().join("incoming");
        let mut upload = inbox.begin(LIMITS).await.unwrap();
        let mut file = upload.file("a.py").await.unwrap();
        file.write(b"half").await.unwrap();
        drop(file);
        drop(upload);
        assert_eq!(std::fs::read_dir(&incoming).unwrap().count(), 0);
        // The process ended before it could tidy up.
        std::fs::create_dir(incoming.join("left")).unwrap();
        let (now, age) = (SystemTime::now(), Duration::from_secs(3600));
        assert_eq!(inbox.sweep(now, age).unwrap(), 0);
        assert_eq!(inbox.sweep(now + 2 * age, age).unwrap(), 1);
        assert_eq!(std::fs::read_dir(&incoming).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn bounds_hold_while_bytes_come() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = Inbox::new(folder.path().to_owned());
        let mut upload = inbox.begin(LIMITS).await.unwrap();
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
