//! One file of a Hub, downloaded piece by piece, gone on with after a failure, and checked.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use belvedere_domain::FileEntry;
use bytes::Bytes;
use sha1::Digest as _;

use super::http::{Call, Client, HttpError, Opened, no_answer};
use super::info::GIT_ID;

/// Bytes asked for at once: what is lost at most when a Hub has nothing to go on with.
const PIECE_BYTES: u64 = 32 << 20;
/// Progress after which failures before it do not count.
const PROGRESS_BYTES: u64 = 1 << 20;
/// How often the content may turn out to be another one.
const MAX_RESTARTS: usize = 3;

/// What became of a piece.
enum Piece {
    /// So many bytes came.
    Came(u64),
    /// The file is another one than before, or cannot be gone on with.
    Other,
}

/// Downloads a file to a path that may hold the beginning of it.
///
/// # Errors
/// [`HttpError`]; the beginning stays for the next time, unless it was wrong.
pub(super) async fn download(client: &Client, url: &str, entry: &FileEntry, part: &Path) -> Result<(), HttpError> {
    let (mut tag, mut failures, mut gained, mut restarts) = (None, 0, 0, 0);
    loop {
        let have = fs::metadata(part).map_or(0, |metadata| metadata.len());
        if have == entry.size && (have > 0 || part.exists()) {
            if is_content(part, entry).await? {
                return Ok(());
            }
            restart(part, &mut restarts, "its content is not that of its hash")?;
            tag = None;
            continue;
        }
        if have > entry.size {
            restart(part, &mut restarts, "it is longer than it should be")?;
            tag = None;
            continue;
        }
        let end = entry.size.min(have + PIECE_BYTES);
        let error = match piece(client, (url, entry.size), part, have..end, &mut tag).await {
            Ok(Piece::Other) => {
                restart(part, &mut restarts, "it changed while it was downloaded")?;
                continue;
            }
            Ok(Piece::Came(0)) if entry.size > 0 => no_answer("it is shorter than it should be"),
            Ok(Piece::Came(bytes)) => {
                gained += bytes;
                continue;
            }
            Err(error) => error,
        };
        let have_now = fs::metadata(part).map_or(0, |metadata| metadata.len());
        gained += have_now.saturating_sub(have);
        if gained >= PROGRESS_BYTES {
            failures = 0;
        }
        (failures, gained) = (failures + 1, 0);
        if !error.is_passing() || failures >= client.patient() {
            return Err(error);
        }
        tracing::debug!(
            path = entry.path,
            have = have_now,
            error = &error as &dyn std::error::Error,
            "a download goes on"
        );
        client.pause(failures, &error).await;
    }
}

/// Bytes of a file, with what names its content.
pub(super) async fn read_range(
    client: &Client,
    url: &str,
    range: Range<u64>,
) -> Result<(Option<String>, Bytes), HttpError> {
    if range.is_empty() {
        return Ok((None, Bytes::new()));
    }
    let mut failures = 0;
    loop {
        let call = Call::get(url.to_owned()).with("range", format!("bytes={}-{}", range.start, range.end - 1));
        let wanted = range.clone();
        let read = move |opened: Opened| {
            let skip = match opened.status {
                206 if starts_at(&opened) == Some(wanted.start) => 0,
                200 => wanted.start,
                _ => return Err(HttpError::Unexpected("another part of a file".to_owned())),
            };
            let tag = Tag::of(&opened).content().map(str::to_owned);
            let mut body = opened.body.into_reader();
            io::copy(&mut (&mut body).take(skip), &mut io::sink()).map_err(no_answer)?;
            let mut bytes = Vec::new();
            let length = wanted.end - wanted.start;
            body.take(length).read_to_end(&mut bytes).map_err(no_answer)?;
            match bytes.len() as u64 == length {
                true => Ok((tag, Bytes::from(bytes))),
                false => Err(no_answer("the file is shorter than it should be")),
            }
        };
        match client.run(call, read).await {
            Err(error) if error.is_passing() && failures + 1 < client.patient() => {
                failures += 1;
                client.pause(failures, &error).await;
            }
            done => return done,
        }
    }
}

async fn piece(
    client: &Client,
    (url, size): (&str, u64),
    part: &Path,
    range: Range<u64>,
    tag: &mut Option<Tag>,
) -> Result<Piece, HttpError> {
    let mut call = Call::get(url.to_owned());
    if range.end > range.start {
        call = call.with("range", format!("bytes={}-{}", range.start, range.end - 1));
    }
    if let Some(tag) = tag.as_ref().and_then(Tag::strong).filter(|_| range.start > 0) {
        call = call.with("if-range", tag);
    }
    let (part, known): (PathBuf, Option<Tag>) = (part.to_owned(), tag.clone());
    let done = client.run(call, move |opened| {
        let new_tag = Some(Tag::of(&opened));
        let is_other = known.is_some() && known.as_ref().map(Tag::content) != new_tag.as_ref().map(Tag::content);
        let from = match opened.status {
            206 if starts_at(&opened) == Some(range.start) => range.start,
            // All of it, from the beginning: the Hub takes no ranges, or the file is another one.
            200 => 0,
            _ => return Ok((new_tag, Ok(Piece::Other))),
        };
        if is_other && from > 0 {
            return Ok((new_tag, Ok(Piece::Other)));
        }
        // One byte too many tells that the length is wrong; more would only fill the disk.
        let limit = if opened.status == 206 { range.end - range.start } else { size + 1 };
        // What came before the connection broke is kept, so its failure is told beside the tag.
        let came = append(opened, &part, from, limit);
        Ok((new_tag, came.map(Piece::Came)))
    });
    match done.await {
        Ok((new_tag, outcome)) => {
            *tag = new_tag;
            outcome
        }
        Err(error) if error.status() == Some(416) => {
            *tag = None;
            Ok(Piece::Other)
        }
        Err(error) => Err(error),
    }
}

fn append(opened: Opened, part: &Path, from: u64, limit: u64) -> Result<u64, HttpError> {
    let mut file =
        OpenOptions::new().create(true).truncate(false).write(true).open(part).map_err(|error| on_disk(&error))?;
    file.set_len(from).map_err(|error| on_disk(&error))?;
    io::Seek::seek(&mut file, io::SeekFrom::Start(from)).map_err(|error| on_disk(&error))?;
    let mut body = opened.body.into_reader().take(limit);
    let mut buffer = vec![0; 1 << 16];
    let mut came = 0;
    loop {
        match body.read(&mut buffer) {
            Ok(0) => return Ok(came),
            Ok(length) => {
                file.write_all(&buffer[..length]).map_err(|error| on_disk(&error))?;
                came += length as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(no_answer(error)),
        }
    }
}

/// A failure of this machine, which may pass when there is room again.
fn on_disk(error: &io::Error) -> HttpError {
    no_answer(io::Error::new(error.kind(), format!("a downloaded file cannot be written: {error}")))
}

fn restart(part: &Path, restarts: &mut usize, reason: &'static str) -> Result<(), HttpError> {
    match fs::remove_file(part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(on_disk(&error)),
        _ => {}
    }
    *restarts += 1;
    tracing::warn!(reason, restarts, "a download begins anew");
    if *restarts > MAX_RESTARTS { Err(HttpError::Unexpected(format!("a file, of which {reason}"))) } else { Ok(()) }
}

/// What names the content of an answer.
#[derive(Clone, Debug)]
struct Tag {
    /// That of the file behind a redirect, told by the Hub.
    linked: Option<String>,
    /// That of what was sent.
    sent: Option<String>,
}

impl Tag {
    fn of(opened: &Opened) -> Self {
        let text = |headers: &ureq::http::HeaderMap, name| headers.get(name)?.to_str().ok().map(str::to_owned);
        Self { linked: text(&opened.first, "x-linked-etag"), sent: text(&opened.headers, "etag") }
    }

    /// Equal for equal contents.
    fn content(&self) -> Option<&str> {
        self.linked.as_deref().or(self.sent.as_deref())
    }

    /// What whoever sends the content goes on by: the tag that they gave, unless it is a weak one.
    fn strong(&self) -> Option<&str> {
        self.sent.as_deref().filter(|tag| tag.starts_with('"'))
    }
}

/// The first byte of a part: 5 for `Content-Range: bytes 5-9/10`.
fn starts_at(opened: &Opened) -> Option<u64> {
    let range = opened.headers.get("content-range")?.to_str().ok()?.strip_prefix("bytes ")?;
    range.split_once('-')?.0.trim().parse().ok()
}

/// Whether a file has the content of its id.
async fn is_content(path: &Path, entry: &FileEntry) -> Result<bool, HttpError> {
    let (path, entry) = (path.to_owned(), entry.clone());
    let checked = tokio::task::spawn_blocking(move || content_id(&path, &entry).map(|id| id == entry.content_id));
    checked.await.map_err(no_answer)?.map_err(|error| on_disk(&error))
}

/// The id of a file, of the kind that the entry has.
pub(super) fn content_id(path: &Path, entry: &FileEntry) -> io::Result<String> {
    let mut file = File::open(path)?;
    if entry.content_id.starts_with(GIT_ID) {
        let mut digest = sha1::Sha1::new();
        digest.update(format!("blob {}\0", entry.size).as_bytes());
        io::copy(&mut file, &mut Hashing(&mut digest))?;
        return Ok(format!("{GIT_ID}{}", hex::encode(digest.finalize())));
    }
    let mut digest = sha2::Sha256::new();
    io::copy(&mut file, &mut Hashing(&mut digest))?;
    Ok(hex::encode(digest.finalize()))
}

/// Writes into a digest.
struct Hashing<'a, D>(&'a mut D);

impl<D: sha1::digest::Update> Write for Hashing<'_, D> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
