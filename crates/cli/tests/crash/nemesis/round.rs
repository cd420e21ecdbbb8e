//! One round: processes, a nemesis, and what must hold in the end.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::faults::{ON_POSTGRESQL, ON_SQLITE, Undo};
use super::readers::{Readers, Shared};
use super::story::Story;
use crate::bed::{Bed, FEW, MANY};
use crate::chance::Sequence;
use crate::clock::WrongClock;
use crate::disk::Disk;
use crate::postgres::Server;
use crate::process::{PATIENCE, Program};

/// What a process does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// Everything, on SQLite.
    Serve,
    Api,
    Worker,
}

/// A process that is started again whenever it ends.
pub(super) struct Slot {
    pub(super) role: Role,
    pub(super) name: String,
    pub(super) program: Option<Program>,
    pub(super) clock: Option<WrongClock>,
    pub(super) frozen: bool,
    pub(super) stopping: bool,
    /// Its surroundings were in disorder since it was started: it may not have been able to.
    pub(super) excused: bool,
}

/// See the module.
pub(super) struct Round<'a> {
    pub(super) story: &'a Story,
    pub(super) random: Sequence,
    pub(super) slots: Vec<Slot>,
    pub(super) undo: Vec<(Instant, Undo)>,
    pub(super) database_is_up: bool,
    pub(super) disk_is_full: bool,
    /// Somebody else who writes into the SQLite file.
    pub(super) other_writer: Option<rusqlite::Connection>,
    /// Unmounted after the processes ended.
    pub(super) disk: Option<Disk>,
    server: Option<&'a Server>,
    shared: Arc<Shared>,
    seed: u64,
    /// Makes every state of a dataset different.
    changes: u64,
    /// Last, so that everything else is gone before its folder.
    pub(super) bed: Bed,
}

impl<'a> Round<'a> {
    /// On a server of PostgreSQL, or on SQLite.
    pub(super) fn new(seed: u64, server: Option<&'a Server>, story: &'a Story) -> Self {
        let mut bed = server.map_or_else(Bed::sqlite, |server| Bed::on(&server.url));
        let disk = Disk::mount(&bed.state(), "size=96m");
        if server.is_none() {
            bed.record();
        }
        // The same job may be in work whenever somebody is killed, without being the cause.
        bed.set("WORKER_MAX_CRASHES", "100");
        bed.forgives_failed_runs = true;
        bed.set("WORKER_GRACE_SECONDS", "0.5");
        bed.set("MAINTENANCE_RETRY_ERRORS_SECONDS", "1");
        bed.set("HUB_POLL_SECONDS", "1");
        let roles: &[Role] = match server {
            None => &[Role::Serve],
            Some(_) => &[Role::Api, Role::Api, Role::Worker, Role::Worker, Role::Worker, Role::Worker],
        };
        // Not in all rounds: how time is asked for is another then.
        let has_clocks = seed.is_multiple_of(4);
        let slot = |(index, role): (usize, &Role)| Slot {
            role: *role,
            name: format!("{role:?}-{index}").to_lowercase(),
            program: None,
            clock: has_clocks.then(|| WrongClock::new(&bed.place(&format!("clock-{index}")))).flatten(),
            frozen: false,
            stopping: false,
            excused: false,
        };
        let slots = roles.iter().enumerate().map(slot).collect();
        Self {
            story,
            random: Sequence::of(seed),
            slots,
            undo: Vec::new(),
            database_is_up: true,
            disk_is_full: false,
            other_writer: None,
            disk,
            server,
            shared: Arc::default(),
            seed,
            changes: 0,
            bed,
        }
    }

    pub(super) fn server(&self) -> &'a Server {
        self.server.expect("asked for on PostgreSQL only")
    }

    pub(super) fn program(&mut self, slot: usize) -> &mut Program {
        self.slots[slot].program.as_mut().unwrap()
    }

    /// Plays it to its end.
    pub(super) fn play(mut self) {
        self.write("long", MANY / 6);
        self.write("a", FEW);
        self.write("b", 10 * FEW);
        (0..self.slots.len()).for_each(|slot| self.start(slot));
        if self.seed.is_multiple_of(2) {
            // What is served then stays, which readers insist on.
            let base = self.come_up();
            self.bed.settle(&base);
            self.shared.served.lock().unwrap().extend(self.bed.datasets.iter().map(|(name, _)| name.clone()));
        }
        let readers = Readers::start(&self.shared, self.seed);
        let faults: &[_] = if self.server.is_some() { &ON_POSTGRESQL } else { &ON_SQLITE };
        for _ in 0..5 + self.random.below(4) {
            let pause = Duration::from_millis(100 + self.random.below(800));
            // From before a process listens to the middle of conversions and of the steps that follow.
            std::thread::sleep(pause);
            self.undo_due();
            self.supervise();
            if self.random.below(3) > 0 {
                self.change();
            }
            let fault = *self.random.choose(faults).unwrap();
            self.strike(fault);
        }
        self.undo_all();
        self.story.note("everything is let alone");
        let base = self.come_up();
        self.story.note("every process is ready");
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.bed.settle(&base))) {
            self.story.note(&format!("left to be done:\n{}", self.bed.left_to_do().join("\n")));
            resume_unwind(panic);
        }
        self.story.note("nothing is left to be done");
        readers.stop();
        let wrong = std::mem::take(&mut *self.shared.wrong.lock().unwrap());
        assert_eq!(wrong, Vec::<String>::new(), "readers were told what cannot be");
        self.bed.assert_files_whole(&base);
        let programs = self.slots.iter_mut().filter_map(|slot| slot.program.take()).collect::<Vec<_>>();
        for program in &programs {
            assert!(!program.log().contains("panicked"), "{}", program.log());
        }
        if self.server.is_some() {
            self.bed.close(&base, programs);
        } else {
            crate::whole::stop_in_order(programs);
            self.bed.assert_views_whole(&self.bed.left_store());
            self.bed.assert_history();
            self.bed.assert_nothing_left();
        }
        self.story.note("whole");
    }

    /// Starts a process; nobody waits until it is ready.
    pub(super) fn start(&mut self, slot: usize) {
        let excused = !self.is_environment_fine();
        let slot = &mut self.slots[slot];
        let variables = slot.clock.as_ref().map(WrongClock::variables).unwrap_or_default();
        variables.iter().for_each(|(name, value)| self.bed.set(name, value));
        slot.program = Some(match slot.role {
            Role::Serve => self.bed.serve(),
            Role::Api => self.bed.api(),
            Role::Worker => self.bed.worker(),
        });
        slot.excused = excused;
        variables.iter().for_each(|(name, _)| self.bed.unset(name));
    }

    /// Starts what ended by itself, and tells readers where servers answer.
    fn supervise(&mut self) {
        let mut bases = Vec::new();
        for index in 0..self.slots.len() {
            let answers = self.answers(index);
            let slot = &mut self.slots[index];
            let Some(program) = &mut slot.program else { continue };
            if slot.stopping {
                continue;
            }
            if let Some(status) = program.ended() {
                // A start needs the database and the disk.
                let excused = slot.excused && status.code() == Some(3) && !program.is_ready();
                assert!(excused, "{} ended by itself with {status:?}: {}", slot.name, program.log());
                self.story.note(&format!("{} could not start", slot.name));
                self.start(index);
                continue;
            }
            if answers && !slot.frozen {
                bases.extend(program.told_address());
            }
        }
        *self.shared.bases.lock().unwrap() = bases;
    }

    /// Waits until every process runs, and gives the address of a server.
    fn come_up(&mut self) -> String {
        let started = Instant::now();
        loop {
            self.supervise();
            let is_ready = |slot: &Slot| slot.program.as_ref().is_some_and(Program::is_ready);
            let base = self.shared.bases.lock().unwrap().first().cloned();
            if let Some(base) = base.filter(|_| self.slots.iter().all(is_ready)) {
                return base;
            }
            assert!(started.elapsed() < PATIENCE, "waited in vain until every process is ready");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Changes files.
    fn change(&mut self) {
        self.changes += 1;
        let rows = FEW + self.changes;
        match self.random.below(8) {
            0 | 1 => self.write("a", rows),
            2 | 3 => self.write("b", 10 * FEW + self.changes),
            4 => self.write("long", MANY / 6 + self.changes),
            5 | 6 => self.write(&format!("new-{}", self.changes), rows),
            _ => {
                let new = |(name, _): &&(String, u64)| name.starts_with("lab/new-");
                let Some((name, _)) = self.bed.datasets.iter().find(new).cloned() else { return };
                self.story.note(&format!("{name} is removed"));
                self.shared.will_go(&name);
                self.bed.remove(name.trim_start_matches("lab/"));
            }
        }
    }

    fn write(&mut self, dataset: &str, rows: u64) {
        let name = format!("lab/{dataset}");
        self.story.note(&format!("{name} has {rows} rows"));
        // Before it is there, so that nobody is surprised.
        self.shared.will_have(&name, rows);
        self.bed.write(dataset, rows);
    }
}
