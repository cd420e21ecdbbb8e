//! What lies in the Hub of the tests: datasets with branches and commits, and large files by their SHA-256.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Value as Json, json};
use sha1::Digest as _;

use super::hub::hex;

/// Files from this size on are large files.
const LARGE: usize = 10_000;

#[derive(Default)]
pub(crate) struct State {
    pub(crate) repos: HashMap<String, Repo>,
    /// Large files by their SHA-256.
    pub(crate) large: HashMap<String, Arc<Vec<u8>>>,
    /// Uploads in parts: by SHA-256, by number.
    pub(crate) parts: HashMap<String, BTreeMap<u32, Vec<u8>>>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) asked: Vec<String>,
    pub(crate) sent_bytes: u64,
    made: u64,
}

#[derive(Default)]
pub(crate) struct Repo {
    pub(crate) facts: Json,
    pub(crate) branches: BTreeMap<String, String>,
    pub(crate) commits: HashMap<String, Commit>,
}

#[derive(Clone, Default)]
pub(crate) struct Commit {
    pub(crate) parent: Option<String>,
    pub(crate) title: String,
    pub(crate) files: BTreeMap<String, Arc<Vec<u8>>>,
}

/// How calls fail.
pub(crate) struct Fault {
    pub(crate) which: String,
    pub(crate) times: usize,
    pub(crate) how: Json,
}

impl State {
    /// The fault of a call, once less from now on.
    pub(crate) fn fault(&mut self, call: &str) -> Option<Json> {
        let fault = self.faults.iter_mut().find(|fault| fault.times > 0 && call.contains(&fault.which))?;
        fault.times -= 1;
        Some(fault.how.clone())
    }

    /// Adds a commit to a branch; its id.
    pub(crate) fn commit(&mut self, repo: &str, branch: &str, commit: Commit) -> String {
        self.made += 1;
        let id = hex(&sha1::Sha1::digest(format!("{repo} {branch} {} {}", commit.title, self.made)));
        for content in commit.files.values() {
            self.large.entry(sha256(content)).or_insert_with(|| Arc::clone(content));
        }
        let repo = self.repos.entry(repo.to_owned()).or_default();
        repo.branches.insert(branch.to_owned(), id.clone());
        repo.commits.insert(id.clone(), commit);
        id
    }
}

impl Repo {
    /// The id of the commit that a revision stands for.
    pub(crate) fn id_of(&self, revision: &str) -> Option<String> {
        let id = self.branches.get(revision).cloned().unwrap_or_else(|| revision.to_owned());
        self.commits.contains_key(&id).then_some(id)
    }

    pub(crate) fn says(&self, fact: &str) -> bool {
        self.facts[fact] == Json::Bool(true)
    }
}

/// Whether a file is kept apart from the commit.
pub(crate) fn is_large(path: &str, size: usize) -> bool {
    size >= LARGE || path.ends_with(".parquet")
}

pub(crate) fn sha256(content: &[u8]) -> String {
    hex(&sha2::Sha256::digest(content))
}

pub(crate) fn git_id(content: &[u8]) -> String {
    let mut digest = sha1::Sha1::new();
    digest.update(format!("blob {}\0", content.len()));
    digest.update(content);
    hex(&digest.finalize())
}

/// The item of a file in a listing.
pub(crate) fn item(path: &str, content: &[u8]) -> Json {
    let mut item = json!({"type": "file", "path": path, "oid": git_id(content), "size": content.len()});
    if is_large(path, content.len()) {
        let oid = sha256(content);
        let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {}\n", content.len());
        item["oid"] = git_id(pointer.as_bytes()).into();
        item["lfs"] = json!({"oid": oid, "size": content.len(), "pointerSize": pointer.len()});
    }
    item
}
