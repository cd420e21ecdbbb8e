//! The program in a child process, for tests that need it whole.
#![allow(dead_code, reason = "each test program uses a part")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value as Json;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(120);

/// The program in a directory, with nothing but these variables.
pub(crate) fn program(directory: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_belvedere"));
    command.args(arguments).current_dir(directory).env_clear().envs(variables.iter().copied());
    command
}

/// Exit code, standard output and standard error of a run.
pub(crate) fn run(directory: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> String {
    let output = program(directory, variables, arguments).output().expect("the program was built");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    let code = output.status.code().expect("it ended by itself");
    format!("exit code: {code}\n--- stdout\n{}\n--- stderr\n{}", text(&output.stdout), text(&output.stderr))
}

/// A directory with these files. Their times are in the past, so that none counts as being written.
pub(crate) fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (path, content) in files {
        put(&directory.path().join(path), content);
    }
    directory
}

/// Writes a file that looks a minute old.
pub(crate) fn put(path: &Path, content: &[u8]) {
    std::fs::create_dir_all(path.parent().expect("below a directory")).expect("a directory");
    std::fs::write(path, content).expect("a file");
    let file = std::fs::File::options().write(true).open(path).expect("the file");
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(60)).expect("a time");
}

/// Gzip of `head` and then `copies` times the same block: the same compressed member again and again.
pub(crate) fn bomb(head: &[u8], block: &[u8], copies: usize) -> Vec<u8> {
    let member = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    };
    let mut file = member(head);
    file.extend(member(block).repeat(copies));
    file
}

/// A server that runs as long as this value lives.
pub(crate) struct Server {
    child: Child,
    lines: Receiver<String>,
    /// What it has told so far.
    pub(crate) told: Vec<String>,
    /// Where it listens: `localhost:1234`.
    pub(crate) address: String,
}

impl Server {
    /// Starts the program and waits until it tells where it listens: after `marker` in a line of standard error.
    pub(crate) fn start(mut command: Command, marker: &str) -> Self {
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("the program was built");
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut server = Self { child, lines, told: Vec::new(), address: String::new() };
        let line = server.wait_for(marker);
        let rest = line.split(marker).nth(1).expect("the marker is there").trim_start_matches("http://");
        server.address = rest.split(['/', ' ']).next().unwrap_or_default().to_owned();
        server
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line that holds a text.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.told.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(error) => panic!("no line with `{text}` ({error}); it told\n{}", self.told.join("\n")),
            }
        }
    }

    /// Status and body of an answer.
    pub(crate) fn ask(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer in UTF-8");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, body.to_owned())
    }

    /// Status and JSON of an answer, once it is there.
    pub(crate) fn ready(&self, path: &str) -> (u16, Json) {
        let until = Instant::now() + PATIENCE;
        loop {
            let (status, body) = self.ask(path);
            let json: Json = serde_json::from_str(&body).unwrap_or_default();
            if !body.contains("not ready yet") {
                return (status, json);
            }
            assert!(Instant::now() < until, "{path} is never ready");
            std::thread::yield_now();
        }
    }

    /// Sends a signal and waits for the end; the exit code.
    pub(crate) fn stop(mut self, signal: rustix::process::Signal) -> Option<i32> {
        send(self.id(), signal);
        self.child.wait().expect("it can be waited for").code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process.
pub(crate) fn send(process: u32, signal: rustix::process::Signal) {
    let process = rustix::process::Pid::from_raw(process.cast_signed()).expect("a process has a number");
    rustix::process::kill_process(process, signal).expect("it is there");
}
