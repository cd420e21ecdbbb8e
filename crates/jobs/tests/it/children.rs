//! Processes that read for us and start others, as a decoder may that somebody has taken over.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use belvedere_engine::Call;
use belvedere_engine::call::Footers;
use belvedere_jobs::call::{CallError, Caller};
use belvedere_jobs::child::{ChildCommand, ChildPool};

/// A pool whose children run a script of the shell.
fn pool(folder: &Path, script: &str) -> ChildPool {
    let command = ChildCommand {
        program: "/bin/sh".into(),
        arguments: vec!["-c".to_owned(), script.to_owned()],
        memory_bytes: None,
        cpu_seconds: None,
        file_bytes: None,
        scratch: folder.to_owned(),
    };
    ChildPool::new(command, 1)
}

fn any_call() -> Call {
    Call::Footers(Footers { files: Vec::new() })
}

/// Whether a process whose number is in a file still runs. One that ended and is not waited for does not.
fn runs(file: &Path) -> bool {
    let number = fs::read_to_string(file).unwrap();
    let state = fs::read_to_string(format!("/proc/{}/stat", number.trim())).unwrap_or_default();
    !matches!(state.rsplit(')').next().and_then(|rest| rest.split_whitespace().next()), None | Some("Z" | "X"))
}

fn ends(file: &Path) {
    let started = Instant::now();
    while runs(file) {
        assert!(started.elapsed() < Duration::from_secs(30), "the process of a process still runs");
        std::thread::yield_now();
    }
}

/// e025 | a process that reads files starts others, and ends or takes too long | all of them are killed with it
#[tokio::test]
async fn e025_processes_of_a_reader_end_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other");
    // PATH is not known to readers.
    let ends_itself = "/bin/sleep 1000 & echo $! > \"$TMPDIR/other\"; exit 3";
    let error = pool(folder.path(), ends_itself).call(any_call(), Duration::from_secs(60)).await.unwrap_err();
    assert!(matches!(&error, CallError::Died(why) if why == "ended with status 3"), "{error:?}");
    ends(&other);

    let takes_long = "/bin/sleep 1000 & echo $! > \"$TMPDIR/fresh\"; mv \"$TMPDIR/fresh\" \"$TMPDIR/long\"; wait";
    let pool = pool(folder.path(), takes_long);
    let error = pool.call(any_call(), Duration::from_secs(2)).await.unwrap_err();
    assert!(matches!(error, CallError::TooLong(_)), "{error:?}");
    ends(&folder.path().join("long"));
}

#[tokio::test]
async fn a_reader_without_a_call_ends_after_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let child = folder.path().join("child");
    // Answers one call, and would wait for the next.
    let answers = r#"echo $$ > "$TMPDIR/child"; printf '\037\000\000\000{"Ok":{"footers":{"files":[]}}}'; exec /bin/cat > /dev/null"#;
    let kept = pool(folder.path(), answers);
    kept.call(any_call(), Duration::from_secs(60)).await.unwrap();
    assert!(runs(&child));
    drop(kept);
    ends(&child);

    let pool = pool(folder.path(), answers).keep(Duration::from_millis(1));
    pool.call(any_call(), Duration::from_secs(60)).await.unwrap();
    while runs(&child) {
        tokio::task::yield_now().await;
    }
}
