//! Disks that are full, or may not be written to (rows 11 to 13 and 15).

use std::process::Command;

use rustix::process::Signal;

use crate::bed::{Bed, FEW};
use crate::disk::Disk;
use crate::process::{PROGRAM, Program, until};

/// e011 | the disk of the database is full | no job is started, requests that must write get 503 `ServiceUnavailable` with
/// `Retry-After`, stored answers are served all the same; when there is space again everything goes on, and nothing is
/// damaged
#[test]
fn e011_a_full_disk_of_the_database_stops_writes_only() {
    let mut bed = Bed::sqlite();
    let place = bed.place("database");
    let Some(disk) = Disk::mount(&place, "size=64m") else { return };
    bed.set("STORE_URL", &format!("sqlite:{}", place.join("belvedere.sqlite").display()));
    bed.write("old", FEW);
    let mut server = bed.serve();
    let base = server.address();
    bed.settle(&base);
    disk.fill();
    // Space that the log has taken before lasts for a while.
    let refused = until("a write is refused", || {
        let answer = bed.force(&base, "lab/old");
        (answer.status != 200).then_some(answer)
    });
    assert_eq!(refused.status, 503);
    assert_eq!(refused.json()["error"], "The disk of the database is full. Please retry later.");
    bed.write("new", FEW);
    server.says("lab/new");
    assert_eq!(bed.get(&format!("{base}/splits?dataset=lab/old")).status, 200);
    assert_eq!(bed.get(&format!("{base}/healthcheck")).status, 200);
    disk.free();
    bed.settle(&base);
    bed.assert_files_whole(&base);
    end(&bed, server);
    bed.assert_views_whole(&bed.left_store());
}

/// e012 | the disk of converted files and scratch directories is full | the job leaves nothing half written and is tried
/// again; if that goes on, its view is the error `DiskError`, which repairs try again; stored answers are served
#[test]
fn e012_a_full_disk_of_converted_files_costs_no_result() {
    without_room("size=64m", Disk::fill);
}

/// e013 | the disk of converted files has no room for another file | as when it is full
#[test]
fn e013_a_disk_without_free_files_costs_no_result() {
    without_room("size=64m,nr_inodes=2000", Disk::fill_with_files);
}

fn without_room(options: &str, fill: impl Fn(&Disk)) {
    let mut bed = Bed::sqlite();
    let Some(disk) = Disk::mount(&bed.state(), options) else { return };
    let (elsewhere, temporary) = (bed.place("database"), bed.place("temporary"));
    bed.set("STORE_URL", &format!("sqlite:{}", elsewhere.join("belvedere.sqlite").display()));
    bed.set("TMPDIR", temporary.to_str().unwrap());
    bed.set("MAINTENANCE_RETRY_ERRORS_SECONDS", "1");
    bed.write("old", FEW);
    let mut server = bed.serve();
    let base = server.address();
    bed.settle(&base);
    fill(&disk);
    bed.write("new", FEW);
    server.says("o space left on device");
    server.says("the job will be tried again");
    assert_eq!(bed.get(&format!("{base}/splits?dataset=lab/old")).status, 200);
    until("scratch directories are removed", || bed.scratch().is_empty().then_some(()));
    disk.free();
    bed.settle(&base);
    bed.assert_files_whole(&base);
    end(&bed, server);
    bed.assert_views_whole(&bed.left_store());
}

fn end(bed: &Bed, mut server: Program) {
    assert!(!server.log().contains("panicked"), "{}", server.log());
    server.signal(Signal::TERM);
    assert_eq!(server.end().code(), Some(0), "{}", server.log());
    bed.assert_nothing_left();
}

/// e015 | the database or the state directory may not be written to | the start ends with exit code 3 and says what to do
#[test]
fn e015_places_that_may_not_be_written_to_are_told_at_the_start() {
    let mut bed = Bed::sqlite();
    let place = bed.place("database");
    let Some(disk) = Disk::mount(&place, "size=64m") else { return };
    let url = format!("sqlite:{}", place.join("belvedere.sqlite").display());
    bed.set("STORE_URL", &url);
    bed.write("old", FEW);
    let mut server = bed.serve();
    let base = server.address();
    bed.settle(&base);
    crate::whole::stop_in_order(vec![server]);
    disk.forbid_writing();
    let data = bed.place("data");
    let start = |arguments: &[&str], url: &str| {
        let mut command = Command::new(PROGRAM);
        command.env_clear().env("STORE_URL", url).arg("serve").arg(&data).args(["--port", "0"]).args(arguments);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, told) = start(&["--state", bed.state().to_str().unwrap()], &url);
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("cannot be opened") && told.contains("ead-only file system"), "{told}");
    assert!(told.contains("hint: "), "{told}");
    let other = format!("sqlite:{}", bed.place("other").join("belvedere.sqlite").display());
    let (code, told) = start(&["--state", place.join("state").to_str().unwrap()], &other);
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("the state directory") && told.contains("hint: name another one"), "{told}");
}
