//! One round: tasks, a nemesis, and how often each task ran.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::Sums;
use super::clients::{Client, submit_naively};
use super::faults::{Fault, MESSAGE_TIMEOUT};
use crate::bed::Bed;
use crate::chance::Sequence;
use crate::nemesis::Story;
use crate::process::Program;
use crate::slurm::{Cluster, SharedFolder, lines};

/// Tasks of a round.
const TASKS: usize = 5;
/// Jobs of the naive client.
const NAIVE: usize = 3;
/// Within which everything begins.
const SPAN_MS: u64 = 3000;
/// Longest wait for the end of all tasks: looks for lost answers lie apart, and a lost job is waited for.
const PATIENCE: Duration = Duration::from_secs(240);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);
/// How long a fault waits for a submission that it can spoil.
const LURK: Duration = Duration::from_secs(2);

/// A fault to come.
#[derive(Clone, Copy)]
struct Planned {
    /// Not before, from the beginning.
    at: Duration,
    fault: Fault,
    lasts: Duration,
    /// It strikes in the middle of a submission, if there is one soon.
    lurks: bool,
}

/// See the module.
pub(super) struct Round<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) story: &'a Story,
    pub(super) program: Program,
    /// What is to be undone, and when.
    pub(super) done: Vec<(Instant, Fault)>,
    /// Faults to come, by the time from the beginning.
    plan: Vec<Planned>,
    /// When tasks and naive jobs are submitted, from the beginning.
    submissions: Vec<Duration>,
    seed: u64,
    shared: SharedFolder,
    /// Last, so that everything else is gone before its folder.
    pub(super) bed: Bed,
}

impl<'a> Round<'a> {
    pub(super) fn new(seed: u64, cluster: &'a Cluster, story: &'a Story) -> Self {
        let mut random = Sequence::of(seed);
        let mut at = || Duration::from_millis(random.below(SPAN_MS));
        let submissions = (0..TASKS + NAIVE).map(|_| at()).collect();
        let times: Vec<Duration> = (0..4).map(|_| at()).collect();
        let number = 1 + random.below(4) as usize;
        let mut plan: Vec<_> = times[..number]
            .iter()
            .map(|time| {
                let (fault, lasts) = Fault::some(&mut random);
                Planned { at: *time, fault, lasts, lurks: random.below(2) == 0 }
            })
            .collect();
        plan.sort_by_key(|planned| planned.at);

        let mut bed = Bed::sqlite();
        let shared = cluster.shared(&format!("duplicates-{}-{seed}", std::process::id()));
        let description = bed.place("clusters").join("clusters.toml");
        std::fs::write(&description, cluster.description(&shared.path().join("tasks"))).unwrap();
        bed.set("TASKS_CLUSTERS", description.to_str().unwrap());
        bed.set("TASKS_LOCAL", "false");
        // Where `ssh` is.
        bed.set("PATH", &std::env::var("PATH").unwrap());
        let program = bed.serve();
        Self { cluster, story, program, done: Vec::new(), plan, submissions, seed, shared, bed }
    }

    fn count_file(&self, name: &str) -> std::path::PathBuf {
        self.shared.path().join(name)
    }

    /// Plays it to its end.
    pub(super) fn play(mut self) -> Sums {
        self.program.address();
        let long_freezes = self.plan.iter().any(|planned| {
            // A client needs some time before it asks.
            planned.fault == Fault::FreezeController && planned.lasts > MESSAGE_TIMEOUT + Duration::from_secs(1)
        });
        let client = Client::of(&self.bed.file());
        let (cluster, story, seed) = (self.cluster, self.story, self.seed);
        let names: Vec<String> = (0..TASKS).map(|task| format!("task-{task}")).collect();
        let naive: Vec<String> = (0..NAIVE).map(|job| format!("naive-{job}")).collect();
        let files: BTreeMap<String, _> =
            names.iter().chain(&naive).map(|name| (name.clone(), self.count_file(name))).collect();
        let submissions = std::mem::take(&mut self.submissions);
        let ids: Mutex<BTreeMap<String, String>> = Mutex::default();
        let began = Instant::now();
        std::thread::scope(|scope| {
            for (name, after) in names.iter().zip(&submissions) {
                let (client, ids, count) = (&client, &ids, &files[name]);
                scope.spawn(move || {
                    std::thread::sleep(*after);
                    let script = format!("echo \"$SLURM_JOB_ID\" >>{}", count.display());
                    let id = client.submit(&format!("{seed}-{name}"), &script);
                    story.note(&format!("{name} is stored as {id}"));
                    ids.lock().unwrap().insert(id, name.clone());
                });
            }
            for (name, after) in naive.iter().zip(&submissions[TASKS..]) {
                let count = &files[name];
                scope.spawn(move || {
                    std::thread::sleep(*after);
                    submit_naively(cluster, name, count);
                });
            }
            self.harm(began);
        });
        self.story.note("everything is let alone, and submitted");
        let ids = ids.into_inner().unwrap();
        let tasks = self.await_ends(&client);
        self.await_rest();
        let mut sums = Sums {
            tasks: TASKS,
            naive: NAIVE,
            naive_twice: naive.iter().filter(|name| lines(&files[*name]) > 1).count(),
            long_freezes: usize::from(long_freezes),
            ..Sums::default()
        };
        let known: BTreeSet<&str> = tasks.keys().map(String::as_str).collect();
        let stored: BTreeSet<&str> = ids.keys().map(String::as_str).collect();
        assert_eq!(known, stored, "each request is one task, however often it was sent");
        for (id, (state, attempts, told)) in &tasks {
            let events = client.get(&format!("/v1/tasks/{id}/events")).unwrap()["events"].as_array().cloned().unwrap();
            sums.doubtful += usize::from(events.iter().any(|event| event["kind"] == "submit_unknown"));
            let (name, executions) = (&ids[id], lines(&files[&ids[id]]));
            assert!(executions <= 1, "{name} ran {executions} times: {told}");
            assert_eq!(*attempts, 1, "{told}");
            match (state.as_str(), executions) {
                ("succeeded", 1) => sums.once += 1,
                ("succeeded", _) => panic!("{name} is told to have succeeded, and has never run: {told}"),
                _ => {
                    self.story.note(&format!("{name} is {state} after {executions} executions: {told}"));
                    sums.otherwise += 1;
                }
            }
        }
        assert!(!self.program.log().contains("panicked"), "{}", self.program.log());
        self.program.kill();
        sums
    }

    /// Whether `sbatch` is being asked for one of our tasks.
    fn submits(&self) -> bool {
        let root = self.shared.path().as_os_str().as_encoded_bytes();
        let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let mut lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
        lines.any(|line| {
            let has = |words: &[u8]| line.windows(words.len()).any(|window| window == words);
            has(b"sbatch\0--parsable") && has(root)
        })
    }

    /// Does what is planned, and undoes all of it.
    fn harm(&mut self, began: Instant) {
        let mut plan = std::mem::take(&mut self.plan).into_iter().peekable();
        while plan.peek().is_some() || !self.done.is_empty() {
            let now = Instant::now();
            let (due, later) = std::mem::take(&mut self.done).into_iter().partition(|(at, _)| *at <= now);
            self.done = later;
            let due: Vec<(Instant, Fault)> = due;
            for (_, fault) in due {
                self.story.note(&format!("undo {fault:?}"));
                self.undo(fault);
            }
            let is_due = |planned: &Planned| {
                let elapsed = began.elapsed();
                elapsed >= planned.at && (!planned.lurks || elapsed >= planned.at + LURK || self.submits())
            };
            if let Some(Planned { fault, lasts, .. }) = plan.next_if(is_due)
                && self.strike(fault)
            {
                self.story.note(&format!("{fault:?} for {lasts:?}"));
                self.done.push((Instant::now() + lasts, fault));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until all tasks have ended: the state of each, the number of its attempts, and all that is told.
    fn await_ends(&mut self, client: &Client) -> BTreeMap<String, (String, u64, String)> {
        let started = Instant::now();
        loop {
            let told = client.get("/v1/tasks").unwrap_or_default();
            let tasks = told["tasks"].as_array().cloned().unwrap_or_default();
            let ended =
                |task: &&serde_json::Value| !task["attempt"]["ended_at"].is_null() && !is_on_its_way(&task["state"]);
            if tasks.len() >= TASKS && tasks.iter().filter(ended).count() == tasks.len() {
                let task = |task: &serde_json::Value| {
                    let (id, state) = (task["id"].as_str().unwrap(), task["state"].as_str().unwrap());
                    let attempts = task["attempt"]["number"].as_u64().unwrap();
                    (id.to_owned(), (state.to_owned(), attempts, task.to_string()))
                };
                return tasks.iter().map(task).collect();
            }
            assert!(self.program.is_running(), "the program ended: {}", self.program.log());
            assert!(started.elapsed() < PATIENCE, "waited in vain for the end of all tasks: {told}");
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until nothing waits or runs on the cluster.
    fn await_rest(&self) {
        let started = Instant::now();
        loop {
            let waiting = self.cluster.waiting();
            if waiting.as_ref().is_some_and(Vec::is_empty) {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "jobs are left: {waiting:?}");
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        // However it ended, the next one finds a cluster that works.
        if std::thread::panicking() {
            self.cluster.restore();
        }
    }
}

fn is_on_its_way(state: &serde_json::Value) -> bool {
    matches!(state.as_str(), None | Some("collecting"))
}
