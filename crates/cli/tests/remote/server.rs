//! The process of the Hub of the tests: HTTP by hand, one thread for each connection, one call for each.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use super::hub::{GRANTED, READER, WRITER, unhex};
use super::reading::squares;
use super::repository::{Commit, Fault, State, git_id, is_large, item, sha256};

/// Items of one page of a listing.
const PAGE: usize = 3;
/// Bytes of one part of an upload.
const PART: usize = 4_000;
/// Longer uploads come in parts.
const IN_PARTS: usize = 8_000;

struct Hub {
    address: String,
    storage: String,
    state: Mutex<State>,
}

struct Call {
    method: String,
    path: String,
    query: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// Serves until the test that has started it closes its input.
pub(crate) fn run() {
    let (hub, storage) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
    let (address, storage_address) = (address(&hub), address(&storage));
    std::io::stdout().write_all(format!("\nHub at {address} {storage_address}\n").as_bytes()).unwrap();
    let hub_state = Arc::new(Hub { address, storage: storage_address, state: Mutex::default() });
    for listener in [hub, storage] {
        let hub = Arc::clone(&hub_state);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let hub = Arc::clone(&hub);
                std::thread::spawn(move || hub.serve(stream));
            }
        });
    }
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

impl Hub {
    fn serve(&self, mut stream: TcpStream) {
        let Some(call) = read(&stream) else { return };
        let line = format!("{} {}", call.method, call.path);
        if let Some(what) = call.path.strip_prefix("/-/") {
            let told = self.control(what, &call);
            return write_plain(&mut stream, &Answer::json(200, &told));
        }
        let fault = {
            let mut state = self.state.lock().unwrap();
            let header =
                |name: &str| call.headers.get(name).map(|value| format!(" {name}={value}")).unwrap_or_default();
            let query = if call.query.is_empty() { String::new() } else { format!("?{}", call.query) };
            let asked = format!("{line}{query}{}{}{}", header("authorization"), header("range"), header("if-range"));
            state.asked.push(asked);
            state.fault(&line)
        };
        let mut answer = match &fault {
            Some(how) if how["status"].is_u64() => Answer::failure(how),
            _ => self.answer(&call),
        };
        if call.method == "GET" && answer.is_file() {
            answer = answer.part(&call);
            self.state.lock().unwrap().sent_bytes += answer.body.len() as u64;
        }
        match fault.as_ref().and_then(|how| how["body"].as_str()) {
            None => write_plain(&mut stream, &answer),
            Some(how) => write_broken(&mut stream, answer, how),
        }
    }

    fn control(&self, what: &str, call: &Call) -> Json {
        let body: Json = serde_json::from_slice(&call.body).unwrap();
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        let mut state = self.state.lock().unwrap();
        match what {
            "put" => {
                let content = |content: &Json| match content {
                    Json::String(hex) => Arc::new(unhex(hex)),
                    Json::Number(rows) => Arc::new(squares(u32::try_from(rows.as_u64().unwrap()).unwrap())),
                    copy => {
                        let text = |name: &str| copy[name].as_str().unwrap();
                        let repo = &state.repos[text("repo")];
                        Arc::clone(&repo.commits[&repo.branches[text("branch")]].files[text("path")])
                    }
                };
                let files = body["files"].as_object().unwrap();
                let files = files.iter().map(|(path, told)| (path.clone(), content(told))).collect();
                let parent = state.repos.get(&text("repo")).and_then(|repo| repo.branches.get("main").cloned());
                let id = state.commit(&text("repo"), "main", Commit { parent, title: "put".into(), files });
                state.repos.get_mut(&text("repo")).unwrap().facts = body["facts"].clone();
                json!({"commit": id})
            }
            "fail" => {
                let times = usize::try_from(body["times"].as_u64().unwrap()).unwrap();
                state.faults.push(Fault { which: text("which"), times, how: body["how"].clone() });
                Json::Null
            }
            "asked" => json!(state.asked),
            "sent" => json!(state.sent_bytes),
            "branch" => {
                let Some(repo) = state.repos.get(&text("repo")) else { return Json::Null };
                let mut next = repo.branches.get(&text("branch")).cloned();
                let Some(head) = next.as_ref().map(|id| &repo.commits[id]) else { return Json::Null };
                let files: BTreeMap<_, _> = head.files.iter().map(|(path, content)| (path, content.len())).collect();
                let mut titles = Vec::new();
                while let Some(commit) = next.and_then(|id| repo.commits.get(&id)) {
                    titles.push(commit.title.clone());
                    next = commit.parent.clone();
                }
                json!({"files": files, "titles": titles})
            }
            other => panic!("no control {other}"),
        }
    }

    fn answer(&self, call: &Call) -> Answer {
        let segments: Vec<String> = call.path.trim_matches('/').split('/').map(unquoted).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let token = call.headers.get("authorization").map(|value| value.trim_start_matches("Bearer "));
        if token.is_some_and(|token| ![READER, GRANTED, WRITER].contains(&token)) {
            let text = "Invalid credentials in Authorization header";
            return Answer::empty(401).with("X-Error-Message", text);
        }
        let refused = |owner: &str, name: &str, reads: bool| self.refused(&format!("{owner}/{name}"), token, reads);
        match segments.as_slice() {
            ["large", sha256] => self.large(sha256, call),
            ["upload", sha256] => self.upload(sha256, call),
            ["part", sha256, number] => self.upload_part(sha256, number.parse().unwrap(), call),
            ["complete", sha256] => self.complete(sha256, call),
            ["api", "datasets", owner, name, what, rest @ ..] => {
                let reads = matches!(*what, "auth-check");
                match refused(owner, name, reads) {
                    Some(answer) => answer,
                    None => self.about(&format!("{owner}/{name}"), what, rest, call, token),
                }
            }
            ["api", "whoami-v2"] => match token {
                None => Answer::empty(401).with("X-Error-Message", "Invalid username or password."),
                Some(token) => {
                    let role = if token == WRITER { "write" } else { "read" };
                    let auth = json!({"type": "access_token", "accessToken": {"role": role}});
                    Answer::json(200, &json!({"type": "user", "name": token.trim_start_matches("hf_"), "auth": auth}))
                }
            },
            ["api", "whoisthis"] => Answer::json(200, &json!({"isPro": call.query.contains("name=paying")})),
            ["datasets", owner, name, "resolve", revision, path @ ..] => match refused(owner, name, true) {
                Some(answer) => answer,
                None => self.file(&format!("{owner}/{name}"), revision, &path.join("/")),
            },
            ["datasets", owner, name, "info", "lfs", "objects", "batch"] => {
                let name = name.trim_end_matches(".git");
                match refused(owner, name, true) {
                    Some(answer) => answer,
                    None if token != Some(WRITER) => Answer::empty(403),
                    None => self.batch(call),
                }
            }
            _ => Answer::empty(404),
        }
    }

    /// What keeps somebody from a dataset, or from its files.
    fn refused(&self, repo: &str, token: Option<&str>, reads: bool) -> Option<Answer> {
        let state = self.state.lock().unwrap();
        let missing = || Some(Answer::error(if token.is_some() { 404 } else { 401 }, "RepoNotFound"));
        let Some(repo) = state.repos.get(repo) else { return missing() };
        if repo.says("disabled") {
            return Some(Answer::empty(403).with("X-Error-Message", "Access to this resource is disabled."));
        }
        if repo.says("private") && token.is_none() {
            return missing();
        }
        let is_granted = token.is_some_and(|token| [GRANTED, WRITER].contains(&token));
        if repo.says("gated") && reads && !is_granted {
            return Some(Answer::error(if token.is_some() { 403 } else { 401 }, "GatedRepo"));
        }
        None
    }

    fn about(&self, repo: &str, what: &str, rest: &[&str], call: &Call, token: Option<&str>) -> Answer {
        let is_writer = token == Some(WRITER);
        match (call.method.as_str(), what, rest) {
            ("GET", "auth-check", []) => Answer::json(200, &json!({})),
            ("GET", "revision", [revision]) => self.info(repo, revision),
            ("GET", "tree", [revision]) => self.tree(repo, revision, call),
            ("GET", "refs", []) => self.refs(repo),
            ("GET", "commits", [revision]) => self.commits(repo, revision),
            ("POST", "branch" | "preupload" | "commit", _) if !is_writer => Answer::empty(403),
            ("POST", "branch", [branch]) => self.branch(repo, branch, call),
            ("POST", "preupload", [_]) => preupload(call),
            ("POST", "commit", [branch]) => self.commit(repo, branch, call),
            _ => Answer::empty(404),
        }
    }

    fn info(&self, repo: &str, revision: &str) -> Answer {
        let state = self.state.lock().unwrap();
        let known = &state.repos[repo];
        let Some(sha) = known.id_of(revision) else { return Answer::error(404, "RevisionNotFound") };
        let mut info = json!({
            "id": repo, "author": repo.split('/').next(), "sha": sha, "private": known.says("private"),
            "gated": if known.says("gated") { json!("auto") } else { json!(false) }, "disabled": false,
            "lastModified": "2026-01-31T10:00:00.000Z",
        });
        if known.facts["tags"].is_array() {
            info["tags"] = known.facts["tags"].clone();
        }
        Answer::json(200, &info)
    }

    fn tree(&self, repo: &str, revision: &str, call: &Call) -> Answer {
        let state = self.state.lock().unwrap();
        let repo = &state.repos[repo];
        let Some(id) = repo.id_of(revision) else { return Answer::error(404, "RevisionNotFound") };
        let mut items: Vec<Json> = Vec::new();
        for (path, content) in &repo.commits[&id].files {
            if let Some((directory, _)) = path.rsplit_once('/')
                && !items.iter().any(|item| item["path"] == directory)
            {
                items.push(json!({"type": "directory", "path": directory, "oid": git_id(b""), "size": 0}));
            }
            items.push(item(path, content));
        }
        let cursor = call.query.split('&').find_map(|part| part.strip_prefix("cursor="));
        let from: usize = cursor.map_or(0, |cursor| cursor.parse().unwrap());
        let page: Vec<Json> = items.iter().skip(from).take(PAGE).cloned().collect();
        let answer = Answer::json(200, &json!(page));
        if from + PAGE >= items.len() {
            return answer;
        }
        let next = format!("{}{}?recursive=true&cursor={}", self.address, call.path, from + PAGE);
        answer.with("Link", &format!("<{next}>; rel=\"next\""))
    }

    fn refs(&self, repo: &str) -> Answer {
        let state = self.state.lock().unwrap();
        let (mut branches, mut converts) = (Vec::new(), Vec::new());
        for (name, id) in &state.repos[repo].branches {
            match name.strip_prefix("refs/convert/") {
                Some(short) => converts.push(json!({"name": short, "ref": name, "targetCommit": id})),
                None => branches.push(json!({"name": name, "ref": format!("refs/heads/{name}"), "targetCommit": id})),
            }
        }
        Answer::json(200, &json!({"branches": branches, "tags": [], "converts": converts}))
    }

    fn commits(&self, repo: &str, revision: &str) -> Answer {
        let state = self.state.lock().unwrap();
        let repo = &state.repos[repo];
        let mut next = repo.id_of(revision);
        let mut commits = Vec::new();
        while let Some(id) = next {
            let commit = &repo.commits[&id];
            commits.push(json!({"id": id, "title": commit.title, "message": "", "authors": [], "date": "2026-01-31T10:00:00.000Z"}));
            next = commit.parent.clone();
        }
        Answer::json(200, &json!(commits))
    }

    fn branch(&self, repo: &str, branch: &str, call: &Call) -> Answer {
        let body: Json = serde_json::from_slice(&call.body).unwrap();
        let mut state = self.state.lock().unwrap();
        let repo = state.repos.get_mut(repo).unwrap();
        if repo.branches.contains_key(branch) {
            return Answer::empty(409);
        }
        let from = body["startingPoint"].as_str().unwrap_or("main");
        let Some(id) = repo.id_of(from) else { return Answer::error(404, "RevisionNotFound") };
        repo.branches.insert(branch.to_owned(), id);
        Answer::json(200, &json!({}))
    }

    fn file(&self, repo: &str, revision: &str, path: &str) -> Answer {
        let state = self.state.lock().unwrap();
        let repo = &state.repos[repo];
        let Some(id) = repo.id_of(revision) else { return Answer::error(404, "RevisionNotFound") };
        let Some(content) = repo.commits[&id].files.get(path) else {
            return Answer::error(404, "EntryNotFound").with("X-Repo-Commit", &id);
        };
        if is_large(path, content.len()) {
            let sha256 = sha256(content);
            return Answer::empty(302)
                .with("X-Repo-Commit", &id)
                .with("X-Linked-ETag", &format!("\"{sha256}\""))
                .with("X-Linked-Size", &content.len().to_string())
                .with("Location", &format!("{}/large/{sha256}?proof=yes", self.storage));
        }
        Answer::file(content, &git_id(content)).with("X-Repo-Commit", &id)
    }

    fn large(&self, sha256: &str, call: &Call) -> Answer {
        let state = self.state.lock().unwrap();
        match state.large.get(sha256) {
            Some(content) if call.query == "proof=yes" => Answer::file(content, sha256),
            _ => Answer::empty(403),
        }
    }

    fn batch(&self, call: &Call) -> Answer {
        let body: Json = serde_json::from_slice(&call.body).unwrap();
        let state = self.state.lock().unwrap();
        let object = |object: &Json| {
            let (oid, size) = (object["oid"].as_str().unwrap(), object["size"].as_u64().unwrap() as usize);
            let mut told = json!({"oid": oid, "size": size});
            let storage = &self.storage;
            if state.large.contains_key(oid) {
                return told;
            }
            told["actions"] = if size > IN_PARTS {
                let mut header = json!({"chunk_size": PART.to_string()});
                for number in 1..=size.div_ceil(PART) {
                    header[format!("{number:05}")] = format!("{storage}/part/{oid}/{number}").into();
                }
                json!({"upload": {"href": format!("{storage}/complete/{oid}"), "header": header}})
            } else {
                json!({"upload": {"href": format!("{storage}/upload/{oid}")}})
            };
            told
        };
        let objects: Vec<Json> = body["objects"].as_array().unwrap().iter().map(object).collect();
        Answer::json(200, &json!({"transfer": "basic", "objects": objects}))
    }

    fn upload(&self, oid: &str, call: &Call) -> Answer {
        if sha256(&call.body) != oid || call.headers.contains_key("authorization") {
            return Answer::empty(400);
        }
        self.state.lock().unwrap().large.insert(oid.to_owned(), Arc::new(call.body.clone()));
        Answer::empty(200)
    }

    fn upload_part(&self, oid: &str, number: u32, call: &Call) -> Answer {
        if call.headers.contains_key("authorization") {
            return Answer::empty(400);
        }
        let mut state = self.state.lock().unwrap();
        state.parts.entry(oid.to_owned()).or_default().insert(number, call.body.clone());
        Answer::empty(200).with("ETag", &format!("\"part-{number}\""))
    }

    fn complete(&self, oid: &str, call: &Call) -> Answer {
        let body: Json = serde_json::from_slice(&call.body).unwrap();
        let mut state = self.state.lock().unwrap();
        let Some(parts) = state.parts.remove(oid) else { return Answer::empty(400) };
        let tags: Vec<String> = parts.keys().map(|number| format!("\"part-{number}\"")).collect();
        let told: Vec<String> =
            body["parts"].as_array().unwrap().iter().map(|part| part["etag"].as_str().unwrap().to_owned()).collect();
        let content: Vec<u8> = parts.into_values().flatten().collect();
        if tags != told || sha256(&content) != oid {
            return Answer::empty(400);
        }
        state.large.insert(oid.to_owned(), Arc::new(content));
        Answer::json(200, &json!({}))
    }

    fn commit(&self, repo: &str, branch: &str, call: &Call) -> Answer {
        let mut state = self.state.lock().unwrap();
        let known = &state.repos[repo];
        let Some(head) = known.branches.get(branch).cloned() else { return Answer::error(404, "RevisionNotFound") };
        let mut commit =
            Commit { parent: Some(head.clone()), files: known.commits[&head].files.clone(), ..Commit::default() };
        for line in String::from_utf8(call.body.clone()).unwrap().lines() {
            let line: Json = serde_json::from_str(line).unwrap();
            let value = &line["value"];
            let path = value["path"].as_str().unwrap_or_default().to_owned();
            match line["key"].as_str().unwrap() {
                "header" => {
                    value["summary"].as_str().unwrap().clone_into(&mut commit.title);
                    if value["parentCommit"].as_str().is_some_and(|parent| parent != head) {
                        return Answer::empty(412);
                    }
                }
                "file" => {
                    let content = STANDARD.decode(value["content"].as_str().unwrap()).unwrap();
                    commit.files.insert(path, Arc::new(content));
                }
                "lfsFile" => match state.large.get(value["oid"].as_str().unwrap()) {
                    Some(content) => drop(commit.files.insert(path, Arc::clone(content))),
                    None => return Answer::empty(400),
                },
                "deletedFile" => {
                    if commit.files.remove(&path).is_none() {
                        return Answer::empty(400);
                    }
                }
                "deletedFolder" => commit.files.retain(|file, _| !file.starts_with(&path)),
                other => panic!("no operation {other}"),
            }
        }
        let id = state.commit(repo, branch, commit);
        Answer::json(200, &json!({"commitUrl": format!("{}/commit/{id}", self.address), "commitOid": id}))
    }
}

fn preupload(call: &Call) -> Answer {
    let body: Json = serde_json::from_slice(&call.body).unwrap();
    let file = |file: &Json| {
        let (path, size) = (file["path"].as_str().unwrap(), file["size"].as_u64().unwrap() as usize);
        let mode = if is_large(path, size) { "lfs" } else { "regular" };
        json!({"path": path, "uploadMode": mode, "shouldIgnore": false})
    };
    let files: Vec<Json> = body["files"].as_array().unwrap().iter().map(file).collect();
    Answer::json(200, &json!({"files": files}))
}

impl Answer {
    fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    fn json(status: u16, body: &Json) -> Self {
        Self { body: body.to_string().into_bytes(), ..Self::empty(status) }.with("Content-Type", "application/json")
    }

    fn error(status: u16, code: &str) -> Self {
        Self::json(status, &json!({"error": code})).with("X-Error-Code", code)
    }

    /// `{"status": 429, "headers": {"Retry-After": "0"}}`.
    fn failure(how: &Json) -> Self {
        let mut answer = Self::empty(u16::try_from(how["status"].as_u64().unwrap()).unwrap());
        for (name, value) in how["headers"].as_object().into_iter().flatten() {
            answer = answer.with(name, value.as_str().unwrap());
        }
        answer
    }

    fn file(content: &[u8], tag: &str) -> Self {
        Self { body: content.to_vec(), ..Self::empty(200) }.with("ETag", &format!("\"{tag}\""))
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn tag(&self) -> Option<&str> {
        self.headers.iter().find(|(name, _)| name == "ETag").map(|(_, value)| value.as_str())
    }

    fn is_file(&self) -> bool {
        self.status == 200 && self.tag().is_some()
    }

    /// The part that was asked for, if the file is still the one that it was asked of.
    fn part(self, call: &Call) -> Self {
        let Some(range) = call.headers.get("range").and_then(|range| range.strip_prefix("bytes=")) else { return self };
        if call.headers.get("if-range").is_some_and(|tag| Some(tag.as_str()) != self.tag()) {
            return self;
        }
        let (from, to) = range.split_once('-').unwrap();
        let (from, size) = (from.parse::<usize>().unwrap(), self.body.len());
        let to = to.parse().map_or(size, |to: usize| (to + 1).min(size));
        if from >= size {
            return Self::empty(416);
        }
        let body = self.body[from..to].to_vec();
        let part = Self { status: 206, headers: self.headers, body };
        part.with("Content-Range", &format!("bytes {from}-{}/{size}", to - 1))
    }
}

fn read(stream: &TcpStream) -> Option<Call> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (path, query) = (path.to_owned(), query.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.to_owned()),
            None => break,
        };
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Call { method, path, query, headers, body })
}

fn head(answer: &Answer, length: usize) -> String {
    let mut head = format!("HTTP/1.1 {} Told\r\nContent-Length: {length}\r\nConnection: close\r\n", answer.status);
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    head
}

fn write_plain(stream: &mut TcpStream, answer: &Answer) {
    // Whoever asked may be gone.
    let _ = stream.write_all(head(answer, answer.body.len()).as_bytes());
    let _ = stream.write_all(&answer.body);
}

/// Writes a body that is not what it should be.
fn write_broken(stream: &mut TcpStream, mut answer: Answer, how: &str) {
    let half = answer.body.len() / 2;
    match how {
        "half" => {
            let _ = stream.write_all(head(&answer, answer.body.len()).as_bytes());
            let _ = stream.write_all(&answer.body[..half]);
        }
        // Never ends by itself.
        "stalled" => {
            let _ = stream.write_all(head(&answer, answer.body.len()).as_bytes());
            let _ = stream.write_all(&answer.body[..half]);
            std::thread::sleep(Duration::from_secs(60));
        }
        "longer" => {
            answer.body.extend_from_slice(b"more");
            answer.status = 200;
            write_plain(stream, &answer);
        }
        "shorter" => {
            answer.body.truncate(half);
            write_plain(stream, &answer);
        }
        "wrong" => {
            answer.body.iter_mut().for_each(|byte| *byte ^= 1);
            write_plain(stream, &answer);
        }
        // The first half of another content, with its own tag.
        "other" => {
            answer.body.iter_mut().for_each(|byte| *byte ^= 1);
            answer.headers.retain(|(name, _)| name != "ETag");
            let answer = answer.with("ETag", "\"other\"");
            let _ = stream.write_all(head(&answer, answer.body.len()).as_bytes());
            let _ = stream.write_all(&answer.body[..half]);
        }
        other => panic!("no way to fail like {other}"),
    }
}

fn unquoted(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut unquoted = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%' {
            unquoted.extend(unhex(&text[at + 1..at + 3]));
            at += 3;
        } else {
            unquoted.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(unquoted).unwrap()
}
