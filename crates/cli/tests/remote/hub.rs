//! The Hub of the tests, seen from the tests: its process, what lies in it, what it was asked, and how it fails.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::{Value as Json, json};

/// Reads what is private.
pub(crate) const READER: &str = "hf_reader";
/// Reads what is gated, too.
pub(crate) const GRANTED: &str = "hf_granted";
/// Writes.
pub(crate) const WRITER: &str = "hf_writer";

/// A Hub in a process of its own.
pub(crate) struct StandIn {
    child: Child,
    /// `http://127.0.0.1:1234`.
    pub(crate) address: String,
    /// Where it keeps large files: another origin.
    pub(crate) storage: String,
}

impl StandIn {
    pub(crate) fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "stand_in", "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.map_while(Result::ok).find_map(|line| Some(line.split_once("Hub at ")?.1.to_owned()));
        let line = line.expect("it tells its addresses");
        let (address, storage) = line.split_once(' ').unwrap();
        Self { child, address: address.to_owned(), storage: storage.to_owned() }
    }

    /// Makes a dataset, or changes it: these files, and no others, on `main`. Its new commit.
    pub(crate) fn put(&self, repo: &str, files: &[(&str, &[u8])]) -> String {
        self.put_with(repo, files, &json!({}))
    }

    /// The same, with facts such as `{"gated": true}`.
    pub(crate) fn put_with(&self, repo: &str, files: &[(&str, &[u8])], facts: &Json) -> String {
        let files: BTreeMap<_, _> = files.iter().map(|(path, content)| ((*path).to_owned(), hex(content))).collect();
        let told = self.control("put", &json!({"repo": repo, "files": files, "facts": facts}));
        told["commit"].as_str().unwrap().to_owned()
    }

    /// Makes a dataset of one large file `train.csv`, made there: numbers and their squares. Its size.
    pub(crate) fn put_squares(&self, repo: &str, rows: u32) -> u64 {
        self.control("put", &json!({"repo": repo, "files": {"train.csv": rows}, "facts": {}}));
        self.branch(repo, "main").unwrap().0["train.csv"]
    }

    /// Makes a dataset of so many such files, each with one row more than the one before.
    pub(crate) fn put_many_squares(&self, repo: &str, files: u32, rows: u32) {
        let files: BTreeMap<_, _> =
            (0..files).map(|number| (format!("data/train-{number:03}.csv"), rows + number)).collect();
        self.control("put", &json!({"repo": repo, "files": files, "facts": {}}));
    }

    /// Makes a dataset of one file that lies on a branch of another.
    pub(crate) fn put_copy(&self, repo: &str, path: &str, (from, branch, source): (&str, &str, &str)) {
        let copy = json!({"repo": from, "branch": branch, "path": source});
        self.control("put", &json!({"repo": repo, "files": {path: copy}, "facts": {}}));
    }

    /// The next `times` calls whose method and path hold `which` fail like this.
    pub(crate) fn fail(&self, which: &str, times: usize, how: &Json) {
        self.control("fail", &json!({"which": which, "times": times, "how": how}));
    }

    /// What it was asked: method, path, and what of the headers matters.
    pub(crate) fn asked(&self, which: &str) -> Vec<String> {
        let told = self.control("asked", &json!({}));
        let lines = told.as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned());
        lines.filter(|line| line.contains(which)).collect()
    }

    /// The files of a branch with their sizes, its history, newest first; `None` without such a branch.
    pub(crate) fn branch(&self, repo: &str, branch: &str) -> Option<(BTreeMap<String, u64>, Vec<String>)> {
        let told = self.control("branch", &json!({"repo": repo, "branch": branch}));
        let files = told["files"].as_object()?.iter().map(|(path, size)| (path.clone(), size.as_u64().unwrap()));
        let titles = told["titles"].as_array()?.iter().map(|title| title.as_str().unwrap().to_owned());
        Some((files.collect(), titles.collect()))
    }

    /// Bytes that files were sent with.
    pub(crate) fn sent_bytes(&self) -> u64 {
        self.control("sent", &json!({})).as_u64().unwrap()
    }

    fn control(&self, what: &str, body: &Json) -> Json {
        let host = self.address.trim_start_matches("http://");
        let mut stream = TcpStream::connect(host).unwrap();
        let body = body.to_string();
        write!(stream, "POST /-/{what} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
