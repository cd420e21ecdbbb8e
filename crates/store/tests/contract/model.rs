//! Random histories of the queue, compared step by step with a model that is too simple to be wrong.

use std::collections::HashMap;

use belvedere_domain::job::{ClaimedJob, JobStatus};
use belvedere_domain::{Difficulty, Lease, NewJob, Priority};
use belvedere_store::{ClaimRequest, Fairness, Finished, Pulse};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::bed::{Bed, anything, job};

const DATASETS: [&str; 4] = ["a/one", "a/two", "b/one", "plain"];
const MAX_CRASHES: u32 = 2;

#[derive(Clone, Debug)]
enum Action {
    Enqueue {
        dataset: usize,
        step: usize,
        priority: Priority,
        difficulty: u32,
        forced: bool,
    },
    Claim {
        min: Option<u8>,
        max: Option<u8>,
        cap: Option<u32>,
        expired: bool,
    },
    /// Several askers of one kind at the same moment.
    ClaimTogether {
        count: usize,
        cap: Option<u32>,
    },
    /// Leases are named by the order in which they were given; stale ones are tried too.
    Finish(prop::sample::Index),
    Heartbeat(prop::sample::Index),
    Release {
        lease: prop::sample::Index,
        delayed: bool,
        counted: bool,
    },
    Collect,
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let priority = prop_oneof![Just(Priority::Low), Just(Priority::Normal), Just(Priority::High)];
    let difficulty = prop_oneof![Just(20), Just(50), Just(90)];
    let bound = || prop_oneof![3 => Just(None), 1 => Just(Some(0)), 1 => Just(Some(50)), 1 => Just(Some(100))];
    let cap = prop_oneof![3 => Just(None), 1 => (1..3u32).prop_map(Some)];
    let enqueue = (0..DATASETS.len(), 0..3usize, priority, difficulty, any::<bool>()).prop_map(
        |(dataset, step, priority, difficulty, forced)| Action::Enqueue { dataset, step, priority, difficulty, forced },
    );
    let claim = (bound(), bound(), cap, any::<bool>()).prop_map(|(min, max, cap, expired)| Action::Claim {
        min,
        max,
        cap,
        expired,
    });
    let cap = prop_oneof![3 => Just(None), 1 => (1..3u32).prop_map(Some)];
    let together = (2..6usize, cap).prop_map(|(count, cap)| Action::ClaimTogether { count, cap });
    let release = (any::<prop::sample::Index>(), any::<bool>(), any::<bool>())
        .prop_map(|(lease, delayed, counted)| Action::Release { lease, delayed, counted });
    let action = prop_oneof![
        6 => enqueue,
        6 => claim,
        2 => together,
        3 => any::<prop::sample::Index>().prop_map(Action::Finish),
        1 => any::<prop::sample::Index>().prop_map(Action::Heartbeat),
        2 => release,
        1 => Just(Action::Collect),
    ];
    prop::collection::vec(action, 1..60)
}

#[derive(Clone, Debug, PartialEq)]
struct ModelJob {
    dataset: &'static str,
    step: String,
    priority: Priority,
    difficulty: u32,
    forced: bool,
    started: bool,
    delayed: bool,
    expired: bool,
    attempt: u32,
    crashes: u32,
    /// The number of the lease that holds it.
    lease: Option<usize>,
}

/// Jobs by age.
#[derive(Default)]
struct Model {
    jobs: Vec<ModelJob>,
    leases: usize,
}

impl Model {
    fn twin(&self, of: &ModelJob, started: bool) -> Option<usize> {
        self.jobs.iter().position(|job| job.dataset == of.dataset && job.step == of.step && job.started == started)
    }

    fn enqueue(&mut self, new: ModelJob) -> usize {
        match self.twin(&new, false) {
            Some(at) => {
                self.jobs[at].priority = self.jobs[at].priority.max(new.priority);
                self.jobs[at].forced |= new.forced;
                0
            }
            None => {
                self.jobs.push(new);
                1
            }
        }
    }

    fn claim(&mut self, min: Option<u8>, max: Option<u8>, cap: Option<u32>, expired: bool) -> Option<ModelJob> {
        let inside = |job: &ModelJob| {
            min.is_none_or(|min| min == 0 || job.difficulty > u32::from(min))
                && max.is_none_or(|max| max == 100 || job.difficulty <= u32::from(max))
        };
        let namespace = |job: &ModelJob| job.dataset.split('/').next().unwrap();
        let started =
            |test: &dyn Fn(&ModelJob) -> bool| self.jobs.iter().filter(|job| job.started && test(job)).count();
        let eligible = |job: &ModelJob| {
            !job.started
                && !job.delayed
                && inside(job)
                && self.twin(job, true).is_none()
                && cap.is_none_or(|cap| started(&|other| other.dataset == job.dataset) < cap as usize)
        };
        let running = |job: &ModelJob| started(&|other| inside(other) && namespace(other) == namespace(job));
        let rank = |at: &usize| (std::cmp::Reverse(self.jobs[*at].priority), running(&self.jobs[*at]), *at);
        let at = (0..self.jobs.len()).filter(|at| eligible(&self.jobs[*at])).min_by_key(rank)?;
        let job = &mut self.jobs[at];
        (job.started, job.expired, job.lease) = (true, expired, Some(self.leases));
        job.attempt += 1;
        self.leases += 1;
        Some(job.clone())
    }

    fn held(&self, lease: usize) -> Option<usize> {
        self.jobs.iter().position(|job| job.lease == Some(lease))
    }

    fn put_back(&mut self, at: usize, delayed: bool) {
        if let Some(twin) = self.twin(&self.jobs[at], false) {
            let twin_job = self.jobs[twin].clone();
            self.jobs[at].priority = self.jobs[at].priority.max(twin_job.priority);
            self.jobs[at].forced |= twin_job.forced;
        }
        let job = &mut self.jobs[at];
        (job.started, job.delayed, job.lease) = (false, delayed, None);
        let (dataset, step) = (job.dataset, job.step.clone());
        let mut index = 0;
        self.jobs.retain(|job| {
            index += 1;
            index - 1 == at || job.started || job.dataset != dataset || job.step != step
        });
    }

    /// Puts expired jobs back; the leases of those given up are new, in order of age.
    fn collect(&mut self) -> (usize, usize) {
        let (mut returned, mut dead) = (0, 0);
        while let Some(at) = self.jobs.iter().position(|job| job.started && job.expired) {
            self.jobs[at].crashes += 1;
            self.jobs[at].expired = false;
            if self.jobs[at].crashes >= MAX_CRASHES {
                self.jobs[at].lease = Some(self.leases);
                self.leases += 1;
                dead += 1;
            } else {
                self.put_back(at, false);
                returned += 1;
            }
        }
        (returned, dead)
    }
}

/// What can be seen of a job, in words.
fn words(job: &ModelJob) -> String {
    let ModelJob { dataset, step, priority, difficulty, forced, started, attempt, crashes, .. } = job;
    format!("{dataset} {step} {priority} {difficulty} forced={forced} started={started} {attempt}/{crashes}")
}

/// Dataset and step, unique among the jobs that start.
fn name_of(job: &ClaimedJob) -> (String, String) {
    (job.record.key.dataset.to_string(), job.record.key.step.to_string())
}

struct History<'a> {
    bed: &'a Bed,
    model: Model,
    leases: HashMap<usize, Lease>,
}

impl History<'_> {
    fn learn(&mut self, claimed: &ClaimedJob) {
        self.leases.insert(self.leases.len(), claimed.lease.clone());
    }

    fn choose(&self, index: &prop::sample::Index) -> Option<(usize, Lease)> {
        let number = (!self.leases.is_empty()).then(|| index.index(self.leases.len()))?;
        Some((number, self.leases[&number].clone()))
    }

    async fn act(&mut self, action: &Action) {
        let queue = &self.bed.store.queue;
        match action {
            Action::Enqueue { dataset, step, priority, difficulty, forced } => {
                let (dataset, step) = (DATASETS[*dataset], format!("s{step}"));
                let new = NewJob {
                    priority: *priority,
                    difficulty: Difficulty::new(*difficulty),
                    forced: *forced,
                    ..job(dataset, &step)
                };
                let expected = self.model.enqueue(ModelJob {
                    dataset,
                    step,
                    priority: *priority,
                    difficulty: *difficulty,
                    forced: *forced,
                    started: false,
                    delayed: false,
                    expired: false,
                    attempt: 0,
                    crashes: 0,
                    lease: None,
                });
                assert_eq!(queue.enqueue(vec![new]).await.unwrap(), expected);
            }
            Action::Claim { min, max, cap, expired } => {
                let request = ClaimRequest {
                    difficulty_min: *min,
                    difficulty_max: *max,
                    fairness: Fairness { max_jobs_per_dataset: *cap },
                    lease_seconds: if *expired { -1.0 } else { 300.0 },
                    ..anything()
                };
                let claimed = queue.claim(&request).await.unwrap();
                let expected = self.model.claim(*min, *max, *cap, *expired);
                assert_eq!(claimed.as_ref().map(name_of), expected.map(|job| (job.dataset.to_owned(), job.step)));
                if let Some(claimed) = claimed {
                    self.learn(&claimed);
                }
            }
            Action::ClaimTogether { count, cap } => {
                let fairness = Fairness { max_jobs_per_dataset: *cap };
                let request = ClaimRequest { fairness, ..anything() };
                let claims = futures::future::join_all((0..*count).map(|_| queue.claim(&request))).await;
                let mut claimed: HashMap<_, _> =
                    claims.into_iter().filter_map(Result::unwrap).map(|job| (name_of(&job), job)).collect();
                for _ in 0..*count {
                    let Some(expected) = self.model.claim(None, None, *cap, false) else { break };
                    let name = (expected.dataset.to_owned(), expected.step);
                    let job = claimed.remove(&name).unwrap_or_else(|| panic!("{name:?} was not claimed"));
                    self.learn(&job);
                }
                assert!(claimed.is_empty(), "{claimed:?}");
            }
            Action::Finish(index) => {
                let Some((number, lease)) = self.choose(index) else { return };
                let held = self.model.held(number).map(|at| self.model.jobs.remove(at));
                let finished = queue.finish(&lease, Default::default()).await.unwrap();
                assert_eq!(finished != Finished::LeaseLost, held.is_some(), "{finished:?}");
            }
            Action::Heartbeat(index) => {
                let Some((number, lease)) = self.choose(index) else { return };
                let expected = match self.model.held(number) {
                    Some(at) => {
                        self.model.jobs[at].expired = false;
                        Pulse::Alive
                    }
                    None => Pulse::Lost,
                };
                assert_eq!(queue.heartbeat(&[lease], 300.0).await.unwrap(), [expected]);
            }
            Action::Release { lease: index, delayed, counted } => {
                let Some((number, lease)) = self.choose(index) else { return };
                let held = self.model.held(number);
                if let Some(at) = held {
                    if !counted {
                        self.model.jobs[at].attempt -= 1;
                    }
                    self.model.put_back(at, *delayed);
                }
                let delay = if *delayed { 3600.0 } else { 0.0 };
                assert_eq!(queue.release(&lease, delay, *counted).await.unwrap(), held.is_some());
            }
            Action::Collect => {
                let (returned, dead) = queue.collect_expired(MAX_CRASHES, 300.0).await.unwrap();
                assert_eq!((returned, dead.len()), self.model.collect());
                for dead in dead {
                    self.learn(&dead.job);
                }
            }
        }
    }

    async fn compare(&self) {
        let stored = self.bed.store.queue.pending(None).await.unwrap();
        let seen: Vec<_> = stored
            .iter()
            .map(|job| {
                format!(
                    "{} {} {} {} forced={} started={} {}/{}",
                    job.key.dataset,
                    job.key.step,
                    job.priority,
                    job.difficulty.get(),
                    job.forced,
                    job.status == JobStatus::Started,
                    job.attempt,
                    job.crashes
                )
            })
            .collect();
        assert_eq!(seen, self.model.jobs.iter().map(words).collect::<Vec<_>>());
    }
}

pub(crate) async fn random_histories_follow_the_model(bed: &Bed) {
    for dataset in DATASETS {
        bed.target(dataset, "r1").await;
    }
    let runtime = tokio::runtime::Handle::current();
    let cases = if bed.is_postgres() { 40 } else { 150 };
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    tokio::task::block_in_place(|| {
        TestRunner::new(config)
            .run(&actions(), |actions| {
                runtime.block_on(async {
                    bed.sql("DELETE FROM jobs").await;
                    let mut history = History { bed, model: Model::default(), leases: HashMap::new() };
                    for action in &actions {
                        history.act(action).await;
                        history.compare().await;
                    }
                });
                Ok(())
            })
            .unwrap();
    });
}
