//! What the nemesis does, and how it is undone.

use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use super::round::{Role, Round};

/// Kinds of faults. Where one is not possible, nothing happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// A process is killed.
    Kill,
    /// A process stands still.
    Freeze,
    /// A process is asked to stop.
    Terminate,
    /// A process that reads files is killed.
    KillReader,
    /// The database server stops in order.
    StopDatabase,
    /// The database server ends at once.
    CrashDatabase,
    /// The database server stands still.
    FreezeDatabase,
    /// All connections to the database are cut.
    CutConnections,
    /// The disk of files and of SQLite is full.
    FillDisk,
    /// The clock of a process is set.
    SetClock,
    /// Another program writes into the SQLite file.
    LockFile,
}

/// Killing is the most likely thing to happen.
pub(super) const ON_SQLITE: [Fault; 9] = [
    Fault::Kill,
    Fault::Kill,
    Fault::Kill,
    Fault::Freeze,
    Fault::Terminate,
    Fault::KillReader,
    Fault::FillDisk,
    Fault::SetClock,
    Fault::LockFile,
];
pub(super) const ON_POSTGRESQL: [Fault; 13] = [
    Fault::Kill,
    Fault::Kill,
    Fault::Kill,
    Fault::Freeze,
    Fault::Freeze,
    Fault::Terminate,
    Fault::KillReader,
    Fault::StopDatabase,
    Fault::CrashDatabase,
    Fault::FreezeDatabase,
    Fault::CutConnections,
    Fault::FillDisk,
    Fault::SetClock,
];

/// What is to be undone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Undo {
    Start(usize),
    Continue(usize),
    AwaitEnd(usize),
    StartDatabase,
    ContinueDatabase,
    FreeDisk,
    RightClock(usize),
    UnlockFile,
}

impl Round<'_> {
    /// Does something bad, if that is possible now.
    pub(super) fn strike(&mut self, fault: Fault) {
        let running: Vec<usize> = (0..self.slots.len()).filter(|slot| self.is_up(*slot)).collect();
        let Some(slot) = self.random.choose(&running).copied() else { return };
        let name = self.slots[slot].name.clone();
        let (kind, undo, longest_ms) = match fault {
            Fault::Kill => {
                self.slots[slot].program.take().unwrap().kill();
                ("kills", Some(Undo::Start(slot)), 1500)
            }
            Fault::Freeze => {
                self.program(slot).signal(Signal::STOP);
                self.slots[slot].frozen = true;
                // Twice as long as a lease holds, at the most.
                ("freezes", Some(Undo::Continue(slot)), 4000)
            }
            Fault::Terminate => {
                self.program(slot).signal(Signal::TERM);
                self.slots[slot].stopping = true;
                ("terminations", Some(Undo::AwaitEnd(slot)), 1500)
            }
            Fault::KillReader => {
                let readers = self.program(slot).readers();
                let Some(reader) = self.random.choose(&readers) else { return };
                // It may just have ended.
                if kill_process(*reader, Signal::KILL).is_err() {
                    return;
                }
                ("killed readers", None, 1)
            }
            Fault::StopDatabase | Fault::CrashDatabase | Fault::FreezeDatabase | Fault::CutConnections
                if !self.database_is_up =>
            {
                return;
            }
            Fault::StopDatabase => {
                self.database_is_up = false;
                self.server().stop("fast");
                ("database stops", Some(Undo::StartDatabase), 1500)
            }
            Fault::CrashDatabase => {
                self.database_is_up = false;
                self.server().stop("immediate");
                ("database crashes", Some(Undo::StartDatabase), 1500)
            }
            Fault::FreezeDatabase => {
                self.database_is_up = false;
                self.server().signal(Signal::STOP);
                ("database freezes", Some(Undo::ContinueDatabase), 3000)
            }
            Fault::CutConnections => {
                self.cut_connections();
                ("cut connections", None, 1)
            }
            Fault::FillDisk => {
                let Some(disk) = self.disk.as_ref().filter(|_| !self.disk_is_full) else { return };
                disk.fill();
                self.disk_is_full = true;
                ("full disks", Some(Undo::FreeDisk), 2000)
            }
            Fault::SetClock => {
                let Some(clock) = &self.slots[slot].clock else { return };
                let times = ["+3600", "-3600", "+86400", "-2", "+0 x2", "+0 x0.5"];
                clock.tell(self.random.choose(&times).unwrap());
                ("set clocks", Some(Undo::RightClock(slot)), 2500)
            }
            Fault::LockFile => {
                if !self.lock_file() {
                    return;
                }
                ("locked files", Some(Undo::UnlockFile), 2000)
            }
        };
        if !self.is_environment_fine() || fault == Fault::CutConnections {
            self.slots.iter_mut().for_each(|slot| slot.excused = true);
        }
        self.story.count(kind);
        let after = Duration::from_millis(self.random.below(longest_ms));
        self.story.note(&format!("{fault:?} {name}, undone after {after:?}"));
        self.undo.extend(undo.map(|undo| (Instant::now() + after, undo)));
    }

    /// Undoes what is due.
    pub(super) fn undo_due(&mut self) {
        let now = Instant::now();
        let (due, later) = std::mem::take(&mut self.undo).into_iter().partition(|(at, _)| *at <= now);
        self.undo = later;
        let due: Vec<(Instant, Undo)> = due;
        due.into_iter().for_each(|(_, undo)| self.undo(undo));
    }

    /// Undoes everything, in an order in which it can be.
    pub(super) fn undo_all(&mut self) {
        let mut all: Vec<Undo> = std::mem::take(&mut self.undo).into_iter().map(|(_, undo)| undo).collect();
        // Processes last: they need all the rest.
        all.sort_by_key(|undo| match undo {
            Undo::Continue(_) => 1,
            Undo::AwaitEnd(_) => 2,
            Undo::Start(_) => 3,
            _ => 0,
        });
        all.into_iter().for_each(|undo| self.undo(undo));
    }

    fn undo(&mut self, undo: Undo) {
        self.story.note(&format!("undo {undo:?}"));
        match undo {
            Undo::Start(slot) => self.start(slot),
            Undo::Continue(slot) => {
                self.slots[slot].frozen = false;
                self.program(slot).signal(Signal::CONT);
            }
            Undo::AwaitEnd(slot) => {
                let mut program = self.slots[slot].program.take().unwrap();
                self.slots[slot].stopping = false;
                // A database that stands still is waited for in the end, too.
                if !self.database_is_up {
                    // It may have ended before it listened to signals.
                    if program.is_running() {
                        program.signal(Signal::KILL);
                    }
                    program.end();
                } else {
                    let status = program.end();
                    // Before it listens to signals there is nothing to be ended in order.
                    let was_early = status.signal() == Some(Signal::TERM.as_raw()) && !program.is_ready();
                    assert!(
                        was_early || status.code() == Some(0),
                        "{} ended with {status:?}: {}",
                        self.slots[slot].name,
                        program.log()
                    );
                }
                self.start(slot);
            }
            Undo::StartDatabase => {
                self.server().start_again();
                self.database_is_up = true;
            }
            Undo::ContinueDatabase => {
                self.server().signal(Signal::CONT);
                self.database_is_up = true;
            }
            Undo::FreeDisk => {
                self.disk.as_ref().unwrap().free();
                self.disk_is_full = false;
            }
            Undo::RightClock(slot) => self.slots[slot].clock.as_ref().unwrap().tell("+0"),
            Undo::UnlockFile => self.other_writer = None,
        }
    }

    fn is_up(&mut self, slot: usize) -> bool {
        let slot = &mut self.slots[slot];
        !slot.frozen && !slot.stopping && slot.program.as_mut().is_some_and(crate::process::Program::is_running)
    }

    fn cut_connections(&self) {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE application_name = 'belvedere' AND datname = current_database()";
        self.bed.runtime.block_on(async {
            let client = self.bed.database.as_ref().unwrap().client().await;
            client.batch_execute(sql).await.unwrap();
        });
    }

    /// Whether another program writes into the SQLite file now.
    fn lock_file(&mut self) -> bool {
        if self.other_writer.is_some() || self.disk_is_full {
            return false;
        }
        let connection = rusqlite::Connection::open(self.bed.file()).unwrap();
        // The server writes often; whoever comes later waits.
        connection.busy_timeout(Duration::from_secs(1)).unwrap();
        let locked = connection.execute_batch("BEGIN IMMEDIATE").is_ok();
        self.other_writer = locked.then_some(connection);
        locked
    }

    pub(super) fn is_environment_fine(&self) -> bool {
        self.database_is_up && !self.disk_is_full && self.other_writer.is_none()
    }

    pub(super) fn answers(&self, slot: usize) -> bool {
        self.slots[slot].role != Role::Worker
    }
}
