//! SQLite files that are locked or damaged by others (rows 10 and 16).

use std::fs::{self, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;

use rustix::process::Signal;

use crate::bed::{Bed, FEW, MANY};

const AWAY: &str = "The database is away. Please retry later.";

/// e010 | another program writes into the SQLite file for a long time | writes wait five seconds for it, then requests that
/// need one get 503 `ServiceUnavailable` with `Retry-After`; stored answers are served meanwhile; afterwards everything
/// that was asked for is done
#[test]
fn e010_a_long_writer_elsewhere_delays_but_loses_nothing() {
    let mut bed = Bed::sqlite();
    bed.write("old", FEW);
    let mut server = bed.serve();
    let base = server.address();
    bed.settle(&base);
    let other = rusqlite::Connection::open(bed.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    bed.write("new", FEW);
    let refused = bed.force(&base, "lab/old");
    assert_eq!((refused.status, refused.json()["error"].as_str().unwrap()), (503, AWAY));
    assert_eq!(bed.get(&format!("{base}/splits?dataset=lab/old")).status, 200);
    other.execute_batch("ROLLBACK").unwrap();
    drop(other);
    bed.settle(&base);
    bed.assert_files_whole(&base);
    assert!(!server.log().contains("panicked"), "{}", server.log());
    crate::whole::stop_in_order(vec![server]);
    bed.assert_views_whole(&bed.left_store());
    bed.assert_nothing_left();
}

/// e016 | the SQLite file is damaged, cut off, emptied, or gone while its log is there | the start ends with exit code 3, says
/// what is wrong and what to do; the file stays as it is, and no new one is made
#[test]
fn e016_a_damaged_database_is_refused_and_left_as_it_is() {
    let mut bed = Bed::sqlite();
    bed.write("one", FEW);
    let mut server = bed.serve();
    let base = server.address();
    bed.settle(&base);
    // Killed, it leaves its log.
    server.kill();
    let (file, log) = (bed.file(), bed.file().with_extension("sqlite-wal"));
    let (whole, whole_log) = (fs::read(&file).unwrap(), fs::read(&log).unwrap());
    assert!(!whole_log.is_empty());

    let refuses = |words: &str, file_is: Option<&[u8]>, log_is: Option<&[u8]>| {
        put(&file, file_is);
        put(&log, log_is);
        let mut server = bed.serve();
        assert_eq!(server.end().code(), Some(3), "{words}: {}", server.log());
        assert!(server.log().contains(&format!("is damaged: {words}")), "{words}: {}", server.log());
        assert!(server.log().contains("hint: put a copy of it back"), "{}", server.log());
        assert_eq!(fs::read(&file).ok().as_deref(), file_is, "{words}: the file was changed");
    };
    refuses("it is missing, but its log is there", None, Some(&whole_log));
    refuses("it is empty, but its log is not", Some(&[]), Some(&whole_log));
    let mut head = whole.clone();
    head[..16].copy_from_slice(b"what is this ???");
    refuses("it does not begin like a database", Some(&head), Some(&whole_log));
    refuses("it does not begin like a database", Some(&head), None);

    // A server that stops in order leaves one whole file; half of it is missing then.
    put(&file, Some(&whole));
    put(&log, Some(&whole_log));
    let mut server = bed.serve();
    server.address();
    crate::whole::stop_in_order(vec![server]);
    let closed = fs::read(&file).unwrap();
    refuses("it has ", Some(&closed[..closed.len() / 2 / 4096 * 4096]), None);
    let mut noise = closed.clone();
    noise[100..4096].fill(0x5a);
    refuses("", Some(&noise), None);
}

fn put(path: &Path, content: Option<&[u8]>) {
    match content {
        Some(content) => fs::write(path, content).unwrap(),
        // It may be missing already.
        None => drop(fs::remove_file(path)),
    }
}

/// e016 | the end of the log of the SQLite file is lost | what is left of it is used, and what is missing is done again
#[test]
fn e016_a_log_without_its_end_costs_only_work() {
    let mut bed = Bed::sqlite();
    bed.write("long", MANY / 4);
    bed.write("short", FEW);
    let mut server = bed.serve();
    let base = server.address();
    bed.settle(&base);
    server.kill();
    let log = bed.file().with_extension("sqlite-wal");
    let length = fs::metadata(&log).unwrap().len();
    let mut cut = OpenOptions::new().write(true).open(&log).unwrap();
    cut.set_len(length * 2 / 3).unwrap();
    // And the last page of what is left is not what it was.
    cut.seek(SeekFrom::Start(length * 2 / 3 - 3000)).unwrap();
    cut.write_all(&[0x5a; 3000]).unwrap();
    drop(cut);
    let mut server = bed.serve();
    let base = server.address();
    bed.settle(&base);
    bed.assert_files_whole(&base);
    server.signal(Signal::TERM);
    assert_eq!(server.end().code(), Some(0));
    bed.assert_views_whole(&bed.left_store());
    bed.assert_nothing_left();
}
