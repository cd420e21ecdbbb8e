//! Files written to a branch of a dataset: what is new is added and what is stale goes, in one commit.
//!
//! The Hub decides how each file goes. Contents that it has already are named and not sent. A commit says which one it was
//! made for; when another one came between, the branch is looked at again.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use belvedere_domain::{DatasetName, FileEntry};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use ureq::http::HeaderMap;

use super::address::segment;
use super::download::content_id;
use super::http::{Call, Client, ClientOptions, HttpError, no_answer};
use super::info::{self, GIT_ID};
use super::lfs;

/// Operations of one commit; more become several.
const MAX_OPERATIONS: usize = 500;
/// Files that the Hub is asked about at once.
const MAX_ASKED: usize = 256;
/// Bytes of a file by which the Hub decides how it goes.
const SAMPLE_BYTES: usize = 512;
/// Most bytes of all files that go inside of commits, which are made in memory.
const MAX_INLINE_BYTES: u64 = 64 << 20;

/// Held by whoever writes to a branch.
type Turn = Arc<tokio::sync::Mutex<()>>;

/// Writes to one Hub with one token.
pub struct Publisher {
    client: Client,
    /// One writes to a branch at a time; writers elsewhere are met by their commits.
    turns: Mutex<HashMap<(DatasetName, String), Turn>>,
}

/// What a branch is to hold.
pub struct Publication<'a> {
    /// The dataset.
    pub dataset: &'a DatasetName,
    /// The branch, made from the first commit of the dataset if it is missing.
    pub branch: &'a str,
    /// What the commit says.
    pub message: &'a str,
    /// The files that are to be there.
    pub files: Vec<Published>,
    /// Of the other files that are there, those that stay.
    pub keeps: &'a (dyn Fn(&str) -> bool + Send + Sync),
}

/// A file for a branch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Published {
    /// Its path on the branch.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// Hexadecimal SHA-256 of its content.
    pub sha256: String,
    /// Where it lies; `None` for a large file that the dataset holds already.
    pub from: Option<PathBuf>,
}

/// Why a branch could not be written.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// There is no such dataset any more.
    #[error("the dataset is gone")]
    Gone,
    /// The Hub refused, or kept failing.
    #[error("the commit failed")]
    Call(#[from] HttpError),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Committed {
    commit_oid: String,
}

impl Publisher {
    /// A writer with the token of the options.
    pub fn new(options: ClientOptions) -> Self {
        Self { client: Client::new(options), turns: Mutex::default() }
    }

    /// Makes a branch hold these files. True if that took a commit.
    ///
    /// # Errors
    /// [`PublishError`], after as many attempts as the options allow.
    pub async fn publish(&self, publication: &Publication<'_>) -> Result<bool, PublishError> {
        let turn = {
            let key = (publication.dataset.clone(), publication.branch.to_owned());
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(key).or_default())
        };
        let _turn = turn.lock().await;
        let mut failures = 0;
        loop {
            match self.attempt(publication).await {
                // Somebody else wrote: what they left decides what is to be done. Calls that pass were tried again already.
                Err(error) if matches!(error.status(), Some(409 | 412)) && failures + 1 < self.client.patient() => {
                    failures += 1;
                    tracing::info!(dataset.name = %publication.dataset, failures, "another commit came first");
                    self.client.pause(failures, &error).await;
                }
                Err(error) if error.code() == Some("RepoNotFound") => return Err(PublishError::Gone),
                done => return Ok(done?),
            }
        }
    }

    async fn attempt(&self, publication: &Publication<'_>) -> Result<bool, HttpError> {
        let Publication { dataset, branch, .. } = publication;
        let head = self.head(dataset, branch).await?;
        let there = info::files(&self.client, dataset, &head).await?;
        let mut missing = Vec::new();
        for file in &publication.files {
            let is_there = match there.get(&file.path).filter(|entry| entry.size == file.size) {
                Some(entry) => file.is(entry).await?,
                None => false,
            };
            if !is_there {
                missing.push(file);
            }
        }
        let mut lines = self.send(publication, &missing).await?;
        let wanted: HashSet<&str> = publication.files.iter().map(|file| file.path.as_str()).collect();
        for FileEntry { path, .. } in &there.files {
            if !wanted.contains(path.as_str()) && path != ".gitattributes" && !(publication.keeps)(path) {
                lines.push(json!({"key": "deletedFile", "value": {"path": path}}));
            }
        }
        self.commit(publication, head, &lines).await?;
        Ok(!lines.is_empty())
    }

    /// The commit that a branch stands for; the branch is made if it is missing.
    async fn head(&self, dataset: &DatasetName, branch: &str) -> Result<String, HttpError> {
        if let Some(head) = self.find(dataset, branch).await? {
            return Ok(head);
        }
        let first = self.first_commit(dataset).await?;
        let url = self.client.endpoint().at(&format!("/api/datasets/{dataset}/branch/{}", segment(branch)));
        let body = json!({"startingPoint": first}).to_string();
        match self.client.fetch(Call::post(url, "application/json", body), self.client.patient()).await {
            Ok(_) => {}
            // Somebody else made it.
            Err(error) if error.status() == Some(409) => {}
            Err(error) => return Err(error),
        }
        let made = self.find(dataset, branch).await?;
        made.ok_or_else(|| HttpError::Unexpected("a branch that is not there after it was made".to_owned()))
    }

    async fn find(&self, dataset: &DatasetName, branch: &str) -> Result<Option<String>, HttpError> {
        let url = self.client.endpoint().at(&format!("/api/datasets/{dataset}/refs"));
        let (_, refs): (_, Json) = self.client.json(Call::get(url), self.client.patient()).await?;
        let named =
            |reference: &&Json| reference["ref"] == branch || reference["ref"] == format!("refs/heads/{branch}");
        let all = ["converts", "branches"].iter().flat_map(|kind| refs[*kind].as_array().into_iter().flatten());
        Ok(all.into_iter().find(named).and_then(|found| found["targetCommit"].as_str()).map(str::to_owned))
    }

    /// The oldest commit, which holds next to nothing.
    async fn first_commit(&self, dataset: &DatasetName) -> Result<String, HttpError> {
        let mut url = self.client.endpoint().at(&format!("/api/datasets/{dataset}/commits/main"));
        let mut oldest = None;
        loop {
            let (headers, page): (HeaderMap, Vec<Json>) =
                self.client.json(Call::get(url), self.client.patient()).await?;
            oldest = page.last().and_then(|commit| commit["id"].as_str()).map(str::to_owned).or(oldest);
            match info::next_page(&headers)?.filter(|next| !page.is_empty() && self.client.endpoint().owns(next)) {
                Some(next) => url = next,
                None => return oldest.ok_or_else(|| HttpError::Unexpected("a dataset without a commit".to_owned())),
            }
        }
    }

    /// Sends contents that the Hub lacks. The lines of the commit that name them.
    async fn send(&self, publication: &Publication<'_>, files: &[&Published]) -> Result<Vec<Json>, HttpError> {
        let large_line = |file: &Published| {
            let value = json!({"path": file.path, "algo": "sha256", "oid": file.sha256, "size": file.size});
            json!({"key": "lfsFile", "value": value})
        };
        let (mut lines, mut inline) = (Vec::with_capacity(files.len()), 0);
        for files in files.chunks(MAX_ASKED) {
            let mut asked = Vec::new();
            for file in files {
                match &file.from {
                    Some(from) => asked.push((*file, from.clone())),
                    None => lines.push(large_line(file)),
                }
            }
            let (mut large, mut small) = (Vec::new(), Vec::new());
            for (file, from, is_large) in self.modes(publication, asked).await? {
                if is_large { large.push((file, from)) } else { small.push((file, from)) }
            }
            lfs::upload(&self.client, publication.dataset, publication.branch, &large).await?;
            lines.extend(large.iter().map(|(file, _)| large_line(file)));
            inline += small.iter().map(|(file, _)| file.size).sum::<u64>();
            if inline > MAX_INLINE_BYTES {
                return Err(HttpError::Unexpected(format!("more than {MAX_INLINE_BYTES} bytes inside of a commit")));
            }
            for (file, from) in small {
                let content = STANDARD.encode(read(from, file.size).await?);
                let value = json!({"path": file.path, "content": content, "encoding": "base64"});
                lines.push(json!({"key": "file", "value": value}));
            }
        }
        Ok(lines)
    }

    /// Which files go as large ones.
    async fn modes<'f>(
        &self,
        publication: &Publication<'_>,
        files: Vec<(&'f Published, PathBuf)>,
    ) -> Result<Vec<(&'f Published, PathBuf, bool)>, HttpError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Mode {
            path: String,
            upload_mode: String,
        }
        #[derive(Deserialize)]
        struct Modes {
            files: Vec<Mode>,
        }
        if files.is_empty() {
            return Ok(Vec::new());
        }
        let mut asked = Vec::with_capacity(files.len());
        for (file, from) in &files {
            let sample = STANDARD.encode(read(from.clone(), file.size.min(SAMPLE_BYTES as u64)).await?);
            asked.push(json!({"path": file.path, "sample": sample, "size": file.size}));
        }
        let (dataset, branch) = (publication.dataset, segment(publication.branch));
        let url = self.client.endpoint().at(&format!("/api/datasets/{dataset}/preupload/{branch}"));
        let call = Call::post(url, "application/json", json!({"files": asked}).to_string());
        let (_, modes): (_, Modes) = self.client.json(call, self.client.patient()).await?;
        let modes: HashMap<String, String> =
            modes.files.into_iter().map(|mode| (mode.path, mode.upload_mode)).collect();
        let moded = files.into_iter().map(|(file, from)| match modes.get(&file.path).map(String::as_str) {
            Some("lfs") if file.size > 0 => Ok((file, from, true)),
            Some(_) => Ok((file, from, false)),
            _ => Err(HttpError::Unexpected(format!("no way to send {}", file.path))),
        });
        moded.collect()
    }

    async fn commit(&self, publication: &Publication<'_>, mut head: String, lines: &[Json]) -> Result<(), HttpError> {
        let (dataset, branch) = (publication.dataset, segment(publication.branch));
        let url = self.client.endpoint().at(&format!("/api/datasets/{dataset}/commit/{branch}"));
        let steps = lines.len().div_ceil(MAX_OPERATIONS);
        for (step, lines) in lines.chunks(MAX_OPERATIONS).enumerate() {
            let message = publication.message;
            let summary = match steps {
                1 => message.to_owned(),
                steps => format!("{message} (step {} of {steps})", step + 1),
            };
            let header =
                json!({"key": "header", "value": {"summary": summary, "description": "", "parentCommit": head}});
            let body: Vec<String> = std::iter::once(&header).chain(lines).map(Json::to_string).collect();
            let call = Call::post(url.clone(), "application/x-ndjson", body.join("\n") + "\n");
            // Once: whether a commit that broke off was made is seen at the next look, by its parent.
            let committed: Result<(_, Committed), _> = self.client.json(call, 1).await;
            head = match committed {
                Ok((_, committed)) => committed.commit_oid,
                Err(error) if error.is_passing() => return Err(self.after_doubt(error).await),
                Err(error) => return Err(error),
            };
            tracing::info!(dataset.name = %dataset, branch = publication.branch, operations = lines.len(), "committed");
        }
        Ok(())
    }

    /// A commit of which it is not known whether it was made counts as one that met another: the branch tells.
    async fn after_doubt(&self, error: HttpError) -> HttpError {
        tracing::info!(error = &error as &dyn std::error::Error, "a commit broke off");
        self.client.pause(1, &error).await;
        let message = "a commit broke off".to_owned();
        HttpError::Status { status: 409, code: None, message, retry_after: None }
    }
}

impl Published {
    /// A file of this machine, for a path on the branch.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn of_file(path: String, from: PathBuf) -> std::io::Result<Self> {
        let hashed = tokio::task::spawn_blocking(move || {
            let size = std::fs::metadata(&from)?.len();
            let entry = FileEntry { path, size, content_id: String::new() };
            let sha256 = content_id(&from, &entry)?;
            Ok(Self { path: entry.path, size, sha256, from: Some(from) })
        });
        hashed.await.map_err(std::io::Error::other)?
    }

    /// Whether a file of a branch, of the same size, has this content. Of small files the Hub tells another id.
    async fn is(&self, entry: &FileEntry) -> Result<bool, HttpError> {
        let Some(from) = self.from.clone().filter(|_| entry.content_id.starts_with(GIT_ID)) else {
            return Ok(entry.content_id == self.sha256);
        };
        let entry = entry.clone();
        let hashed = tokio::task::spawn_blocking(move || content_id(&from, &entry).map(|id| id == entry.content_id));
        hashed.await.map_err(no_answer)?.map_err(no_answer)
    }
}

async fn read(path: PathBuf, bytes: u64) -> Result<Vec<u8>, HttpError> {
    let read = move || {
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut std::io::Read::take(std::fs::File::open(path)?, bytes), &mut content)?;
        Ok::<_, std::io::Error>(content)
    };
    tokio::task::spawn_blocking(read).await.map_err(no_answer)?.map_err(no_answer)
}
