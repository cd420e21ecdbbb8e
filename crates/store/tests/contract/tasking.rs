//! Tasks: submission under keys and limits, changes by version, cancelling, retrying, logs, artefacts, watches.

use std::collections::HashSet;

use belvedere_domain::task::{ClusterName, State, TaskId};
use belvedere_store::tasks::{
    ActiveLimits, Advance, Artifact, Cancelled, Deleted, Facts, LogKey, LogPiece, NewSelection, NewSweep, NewTask,
    OldFolder, RequestKey, Retried, Submitted, SweepCancelled, TaskFile, TaskFilter,
};

use crate::bed::{Bed, dataset_name, postgres_client};

pub(crate) fn id(number: u8) -> TaskId {
    TaskId::new(1_700_000_000_000_000 + i64::from(number) * 1000, [number; 10])
}

pub(crate) fn cluster(name: &str) -> ClusterName {
    ClusterName::new(name).unwrap()
}

const LIMITS: ActiveLimits = ActiveLimits { per_owner: 10, per_cluster: 20 };

pub(crate) fn task(number: u8, owner: &str) -> NewTask {
    NewTask {
        id: id(number),
        owner: owner.to_owned(),
        cluster: cluster("atena02"),
        experiment: "it's $(a) “test”".to_owned(),
        dataset: Some(dataset_name("local/wine")),
        pin: Some(r#"{"revision":"r1"}"#.to_owned()),
        config: r#"{"kept": "é"}"#.to_owned(),
        files: vec![TaskFile {
            stored_name: "train.py".to_owned(),
            original_name: "../../train.py\u{202e}".to_owned(),
            size_bytes: 5 << 32,
            sha256: "ab".repeat(32),
        }],
        contents: Vec::new(),
        key: None,
        limits: LIMITS,
    }
}

pub(crate) fn keyed(number: u8, owner: &str, fingerprint: &str) -> NewTask {
    let key = RequestKey { route: "tasks".to_owned(), key: "k'1".to_owned(), fingerprint: fingerprint.to_owned() };
    NewTask { key: Some(key), ..task(number, owner) }
}

pub(crate) async fn submit(bed: &Bed, task: NewTask) -> Submitted {
    bed.store.tasks.submit(task).await.unwrap()
}

/// Moves the newest attempt of a task through states, from where it is.
async fn go(bed: &Bed, id: TaskId, states: &[State], facts: Facts) {
    for (index, next) in states.iter().enumerate() {
        let attempt = bed.store.tasks.task(id, None).await.unwrap().unwrap().attempt;
        let facts = if index + 1 == states.len() { facts.clone() } else { Facts::default() };
        let step = attempt.state.to(*next);
        assert!(step.is_some(), "{} does not follow {}", next, attempt.state);
        let (number, version) = (attempt.number, attempt.version);
        let advance = Advance { task: id, number, version, step, actor: "monitor".to_owned(), facts };
        assert!(bed.store.tasks.advance(advance).await.unwrap());
    }
}

pub(crate) async fn a_task_comes_back_whole(bed: &Bed) {
    let tasks = &bed.store.tasks;
    assert_eq!(tasks.task(id(1), None).await.unwrap(), None);
    let new = task(1, "ana");
    assert_eq!(submit(bed, new.clone()).await, Submitted::Created);
    let found = tasks.task(id(1), Some("ana")).await.unwrap().unwrap();
    assert_eq!((found.id, &found.owner, &found.cluster), (new.id, &new.owner, &new.cluster));
    assert_eq!((&found.experiment, &found.config, &found.pin), (&new.experiment, &new.config, &new.pin));
    assert_eq!(found.dataset.as_deref(), Some("local/wine"));
    assert_eq!((found.attempt.state, found.attempt.number, found.attempt.version), (State::Queued, 1, 0));
    assert_eq!(found.attempt.tag, id(1).tag(1));
    assert_eq!(tasks.files(id(1)).await.unwrap(), new.files);
    let events = tasks.events(id(1), 0, 10).await.unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].kind.as_str(), events[0].actor.as_str(), events[0].attempt), ("submitted_by", "ana", 1));
    assert!(tasks.events(id(1), events[0].id, 10).await.unwrap().is_empty());
}

/// e093 | somebody asks for another's task, by whatever question | there is no such task
pub(crate) async fn e093_owners_reach_their_own_tasks_only(bed: &Bed) {
    let tasks = &bed.store.tasks;
    submit(bed, task(1, "ana")).await;
    go(
        bed,
        id(1),
        &[State::Staging, State::Submitting, State::Submitted],
        Facts { job: Some("7".into()), ..Facts::default() },
    )
    .await;
    assert_eq!(tasks.task(id(1), Some("bob")).await.unwrap(), None);
    assert_eq!(tasks.by_job("7", Some("bob")).await.unwrap(), None);
    assert!(tasks.by_job("7", Some("ana")).await.unwrap().is_some());
    assert!(tasks.of_dataset(&dataset_name("local/wine"), Some("bob"), 10).await.unwrap().is_empty());
    assert_eq!(tasks.of_dataset(&dataset_name("local/wine"), None, 10).await.unwrap().len(), 1);
    let of_bob = TaskFilter { owner: Some("bob".into()), ..TaskFilter::default() };
    assert!(tasks.list(of_bob, 10).await.unwrap().is_empty());
    assert_eq!(tasks.cancel(id(1), Some("bob"), "bob").await.unwrap(), Cancelled::Unknown);
    assert_eq!(tasks.retry(id(1), Some("bob"), "bob", LIMITS).await.unwrap(), Retried::Unknown);
}

pub(crate) async fn lists_are_newest_first_and_filtered(bed: &Bed) {
    for (number, owner) in [(1, "ana"), (2, "bob"), (3, "ana"), (4, "ana")] {
        submit(bed, task(number, owner)).await;
    }
    go(bed, id(3), &[State::Cancelled], Facts::default()).await;
    let list = async |filter: TaskFilter, limit| -> Vec<TaskId> {
        bed.store.tasks.list(filter, limit).await.unwrap().into_iter().map(|task| task.id).collect()
    };
    assert_eq!(list(TaskFilter::default(), 3).await, [id(4), id(3), id(2)]);
    let ana = TaskFilter { owner: Some("ana".into()), ..TaskFilter::default() };
    assert_eq!(list(ana.clone(), 10).await, [id(4), id(3), id(1)]);
    assert_eq!(list(TaskFilter { before: Some(id(3)), ..ana.clone() }, 10).await, [id(1)]);
    assert_eq!(list(TaskFilter { state: Some(State::Cancelled), ..ana.clone() }, 10).await, [id(3)]);
    assert!(list(TaskFilter { experiment: Some("other".into()), ..ana }, 10).await.is_empty());
    let active = bed.store.tasks.active(&cluster("atena02"), 10).await.unwrap();
    assert_eq!(active.iter().map(|active| active.task).collect::<Vec<_>>(), [id(1), id(2), id(4)]);
    assert!(bed.store.tasks.active(&cluster("other"), 10).await.unwrap().is_empty());
}

/// e060 | a request is sent 20 times at the same moment under one key | one task; the others learn its id
pub(crate) async fn e060_the_same_request_is_one_task(bed: &Bed) {
    let all = (1..=20).map(|number| submit(bed, keyed(number, "ana", "same")));
    let outcomes = futures::future::join_all(all).await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Submitted::Created).count(), 1);
    let replayed: Vec<_> = outcomes.iter().filter(|outcome| matches!(outcome, Submitted::Replayed(_))).collect();
    assert_eq!(replayed.len(), 19);
    assert_eq!(bed.store.tasks.list(TaskFilter::default(), 50).await.unwrap().len(), 1);
    let key = keyed(1, "ana", "same").key.unwrap();
    assert_eq!(bed.store.tasks.find_request("ana", &key).await.unwrap().as_ref(), Some(replayed[0]));
    // The keys of others are theirs.
    assert_eq!(bed.store.tasks.find_request("bob", &key).await.unwrap(), None);
    assert_eq!(submit(bed, keyed(30, "bob", "same")).await, Submitted::Created);
}

/// e061 | a key is used again for another request | refused, for 24 hours
pub(crate) async fn e061_a_key_belongs_to_one_request(bed: &Bed) {
    submit(bed, keyed(1, "ana", "one")).await;
    assert_eq!(submit(bed, keyed(2, "ana", "other")).await, Submitted::KeyTaken);
    bed.sql("UPDATE task_key SET created_at = created_at - 90000000000").await;
    assert_eq!(submit(bed, keyed(3, "ana", "other")).await, Submitted::Created);
}

pub(crate) async fn limits_hold_among_submissions_at_the_same_moment(bed: &Bed) {
    let limits = ActiveLimits { per_owner: 3, per_cluster: 5 };
    let all = (1..=10).map(|number| submit(bed, NewTask { limits, ..task(number, "ana") }));
    let outcomes = futures::future::join_all(all).await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Submitted::Created).count(), 3);
    assert!(outcomes.contains(&Submitted::OwnerFull(3)));
    for number in 11..=12 {
        assert_eq!(submit(bed, NewTask { limits, ..task(number, "bob") }).await, Submitted::Created);
    }
    assert_eq!(submit(bed, NewTask { limits, ..task(13, "cid") }).await, Submitted::ClusterFull(5));
    let ended = bed.store.tasks.active(&cluster("atena02"), 1).await.unwrap().remove(0);
    go(bed, ended.task, &[State::Cancelled], Facts::default()).await;
    assert_eq!(submit(bed, NewTask { limits, ..task(14, "cid") }).await, Submitted::Created);
}

pub(crate) async fn a_change_on_an_old_version_changes_nothing(bed: &Bed) {
    let tasks = &bed.store.tasks;
    submit(bed, task(1, "ana")).await;
    let step = State::Queued.to(State::Staging);
    let advance = |actor: &str| Advance {
        task: id(1),
        number: 1,
        version: 0,
        step,
        actor: actor.into(),
        facts: Facts::default(),
    };
    let both = futures::future::join(tasks.advance(advance("one")), tasks.advance(advance("two"))).await;
    let won = HashSet::from([both.0.unwrap(), both.1.unwrap()]);
    assert_eq!(won, HashSet::from([true, false]));
    let attempt = tasks.task(id(1), None).await.unwrap().unwrap().attempt;
    assert_eq!((attempt.state, attempt.version), (State::Staging, 1));
    assert_eq!(tasks.events(id(1), 0, 10).await.unwrap().len(), 2);
}

pub(crate) async fn facts_are_kept_until_replaced(bed: &Bed) {
    let tasks = &bed.store.tasks;
    submit(bed, task(1, "ana")).await;
    let facts = Facts { reason: Some("away".into()), failures: Some(2), wait_seconds: Some(60.0), ..Facts::default() };
    let note = Advance { task: id(1), number: 1, version: 0, step: None, actor: "monitor".into(), facts };
    assert!(tasks.advance(note.clone()).await.unwrap());
    assert!(!tasks.advance(note).await.unwrap());
    let attempt = tasks.task(id(1), None).await.unwrap().unwrap().attempt;
    assert_eq!((attempt.reason.as_deref(), attempt.failures), (Some("away"), 2));
    assert!(attempt.not_before.0 > attempt.created_at.0 + 50_000_000);
    let facts = Facts { job: Some("42".into()), evidence: Some("raw".into()), observed: true, ..Facts::default() };
    go(bed, id(1), &[State::Staging, State::Submitting, State::Submitted], facts).await;
    let attempt = tasks.task(id(1), None).await.unwrap().unwrap().attempt;
    assert_eq!((attempt.reason, attempt.failures, attempt.submissions), (None, 2, 1));
    assert_eq!((attempt.job.as_deref(), attempt.evidence.as_deref()), (Some("42"), Some("raw")));
    assert!(attempt.submitted_at.is_some() && attempt.observed_at.is_some());
    let ended = Facts { outcome: Some(State::Failed), exit_code: Some(7), signal: Some(0), ..Facts::default() };
    go(bed, id(1), &[State::Collecting], ended).await;
    go(bed, id(1), &[State::Failed], Facts::default()).await;
    let attempt = tasks.attempts(id(1)).await.unwrap().remove(0);
    assert_eq!((attempt.state, attempt.exit_code, attempt.job.as_deref()), (State::Failed, Some(7), Some("42")));
    let kinds: Vec<_> = tasks.events(id(1), 0, 10).await.unwrap().into_iter().map(|event| event.kind).collect();
    assert_eq!(kinds, ["submitted_by", "staging", "submitting", "submitted", "collecting", "failed"]);
}

/// e062 | a task is cancelled at any moment of its life | at once, or noted for the monitor, or too late with the
/// state it ended in
pub(crate) async fn e062_cancelling_is_noted_in_every_state(bed: &Bed) {
    let tasks = &bed.store.tasks;
    submit(bed, task(1, "ana")).await;
    assert_eq!(tasks.cancel(id(1), Some("ana"), "ana").await.unwrap(), Cancelled::AtOnce);
    assert_eq!(tasks.cancel(id(1), Some("ana"), "ana").await.unwrap(), Cancelled::TooLate(State::Cancelled));
    submit(bed, task(2, "ana")).await;
    go(bed, id(2), &[State::Staging], Facts::default()).await;
    let seen = tasks.active(&cluster("atena02"), 1).await.unwrap().remove(0);
    assert!(!seen.cancel);
    for _ in 0..2 {
        assert_eq!(tasks.cancel(id(2), None, "root").await.unwrap(), Cancelled::Requested);
    }
    assert!(tasks.active(&cluster("atena02"), 1).await.unwrap()[0].cancel);
    let kinds: Vec<_> = tasks.events(id(2), 0, 10).await.unwrap().into_iter().map(|event| event.kind).collect();
    assert_eq!(kinds, ["submitted_by", "staging", "cancel_requested"]);
}

pub(crate) async fn a_retry_is_a_new_attempt(bed: &Bed) {
    let tasks = &bed.store.tasks;
    submit(bed, task(1, "ana")).await;
    assert_eq!(tasks.retry(id(1), None, "ana", LIMITS).await.unwrap(), Retried::Refused(State::Queued));
    tasks.cancel(id(1), None, "ana").await.unwrap();
    let full = ActiveLimits { per_owner: 0, per_cluster: 1 };
    assert_eq!(tasks.retry(id(1), None, "ana", full).await.unwrap(), Retried::Full);
    assert_eq!(tasks.retry(id(1), None, "ana", LIMITS).await.unwrap(), Retried::Attempt(2));
    let found = tasks.task(id(1), None).await.unwrap().unwrap();
    assert_eq!((found.attempt.number, found.attempt.state, found.cancel_at), (2, State::Queued, None));
    let attempts = tasks.attempts(id(1)).await.unwrap();
    assert_eq!(attempts.iter().map(|attempt| attempt.state).collect::<Vec<_>>(), [State::Cancelled, State::Queued]);
    assert_ne!(attempts[0].tag, attempts[1].tag);
}

/// e066 | a program makes its log shorter | a new generation begins; places in the old one stay what they were
pub(crate) async fn e066_logs_come_back_from_any_place(bed: &Bed) {
    let tasks = &bed.store.tasks;
    let key = LogKey { task: id(1), attempt: 1, stream: "out" };
    assert_eq!(tasks.log_extent(&key).await.unwrap().end, 0);
    let piece = |generation, start, bytes: &[u8]| LogPiece { generation, start, bytes: bytes.to_vec() };
    for piece in [piece(0, 0, b"ab\0\xff"), piece(0, 4, b"cdef"), piece(0, 4, b"CDEF"), piece(1, 0, b"new")] {
        tasks.append_log(&key, piece).await.unwrap();
    }
    let extent = tasks.log_extent(&key).await.unwrap();
    assert_eq!((extent.generation, extent.end, extent.total), (1, 3, 11));
    let read = tasks.log(&key, 0, 2, 1 << 20).await.unwrap();
    assert_eq!(read, [piece(0, 2, b"\0\xff"), piece(0, 4, b"cdef"), piece(1, 0, b"new")]);
    assert_eq!(tasks.log(&key, 0, 2, 1).await.unwrap(), [piece(0, 2, b"\0\xff")]);
    assert_eq!(tasks.log(&key, 0, 100, 10).await.unwrap(), [piece(1, 0, b"new")]);
    assert!(tasks.log(&key, 1, 3, 10).await.unwrap().is_empty());
}

pub(crate) async fn artifacts_are_replaced_as_a_whole(bed: &Bed) {
    let tasks = &bed.store.tasks;
    let artifact = |path: &str, sha256: Option<&str>| Artifact {
        path: path.to_owned(),
        size_bytes: 3,
        sha256: sha256.map(str::to_owned),
        note: sha256.is_none().then(|| "a link".to_owned()),
    };
    tasks.put_artifacts(id(1), 1, vec![artifact("z", None)]).await.unwrap();
    let newer = vec![artifact("a/é.txt", Some("ff")), artifact("b", None)];
    tasks.put_artifacts(id(1), 1, newer.clone()).await.unwrap();
    assert_eq!(tasks.artifacts(id(1), 1).await.unwrap(), newer);
    assert!(tasks.artifacts(id(1), 2).await.unwrap().is_empty());
}

/// e056 | two processes have the same clusters | one watches over each, the other takes over when it is gone
pub(crate) async fn e056_one_process_watches_a_cluster(bed: &Bed) {
    let tasks = &bed.store.tasks;
    let x = cluster("x");
    let (one, two) =
        futures::future::join(tasks.hold_cluster(&x, "one", 60.0), tasks.hold_cluster(&x, "two", 60.0)).await;
    let (one, two) = (one.unwrap(), two.unwrap());
    assert!(one != two);
    let (holder, other) = if one { ("one", "two") } else { ("two", "one") };
    assert!(tasks.hold_cluster(&cluster("x"), holder, 60.0).await.unwrap());
    assert!(!tasks.hold_cluster(&cluster("x"), other, 60.0).await.unwrap());
    tasks.put_health(&cluster("x"), "{}").await.unwrap();
    bed.sql("UPDATE task_cluster SET expires_at = 0").await;
    let rows = tasks.clusters().await.unwrap();
    assert_eq!((rows[0].name.as_str(), rows[0].watched, rows[0].health.as_deref()), ("x", false, Some("{}")));
    assert!(tasks.hold_cluster(&cluster("x"), other, 60.0).await.unwrap());
}

/// On PostgreSQL the relations of the database show a table `task`.
pub(crate) async fn the_relation_task_is_there(bed: &Bed) {
    if !bed.is_postgres() {
        return;
    }
    let client = postgres_client(&bed.url).await;
    let sql = "SELECT schemaname::text FROM pg_tables WHERE tablename = 'task'";
    let schema: String = client.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(schema, "public");
}

const ENDED: &[State] = &[State::Staging, State::Submitting, State::Submitted, State::Collecting, State::Succeeded];

fn failing(end: State) -> [State; 5] {
    [State::Staging, State::Submitting, State::Submitted, State::Collecting, end]
}

fn sweep(number: u8, size: u8, max_parallel: u32) -> NewSweep {
    let points = (1..=size).map(|place| (id(number + place), format!(r#"{{"n":{place}}}"#))).collect();
    NewSweep { shared: task(number, "ana"), max_parallel, points }
}

async fn active(bed: &Bed) -> Vec<TaskId> {
    let active = bed.store.tasks.active(&cluster("atena02"), 100).await.unwrap();
    active.into_iter().map(|active| active.task).collect()
}

pub(crate) async fn tasks_of_a_sweep_take_turns(bed: &Bed) {
    let tasks = &bed.store.tasks;
    let new = sweep(10, 5, 2);
    assert_eq!(tasks.submit_sweep(new.clone()).await.unwrap(), Submitted::Created);
    assert_eq!(active(bed).await, [id(11), id(12)]);
    let third = tasks.task(id(13), Some("ana")).await.unwrap().unwrap();
    // What they share is theirs.
    assert_eq!((&third.config, &third.pin), (&new.shared.config, &new.shared.pin));
    let element = third.element.unwrap();
    assert_eq!((element.sweep, element.place, element.point.as_str()), (id(10), 2, r#"{"n":3}"#));
    assert_eq!(tasks.files(id(13)).await.unwrap(), new.shared.files);
    go(bed, id(11), ENDED, Facts::default()).await;
    assert_eq!(active(bed).await, [id(12), id(13)]);
    // One that is cancelled makes room, too.
    assert_eq!(tasks.cancel(id(12), None, "ana").await.unwrap(), Cancelled::AtOnce);
    go(bed, id(13), &failing(State::Failed), Facts::default()).await;
    assert_eq!(active(bed).await, [id(14), id(15)]);
    let found = tasks.sweep(id(10), Some("ana")).await.unwrap().unwrap();
    let states = [(State::Cancelled, 1), (State::Failed, 1), (State::Queued, 2), (State::Succeeded, 1)];
    assert_eq!((found.states.as_slice(), found.size, found.max_parallel), (&states[..], 5, 2));
    let of_sweep = TaskFilter { sweep: Some(id(10)), ..TaskFilter::default() };
    assert_eq!(tasks.list(of_sweep, 10).await.unwrap().len(), 5);
    assert_eq!(tasks.sweep(id(10), Some("bob")).await.unwrap(), None);
    assert_eq!(tasks.sweeps(Some("bob"), None, 10).await.unwrap(), []);
    assert_eq!(tasks.sweeps(None, None, 10).await.unwrap(), [found]);
    // Only what has not succeeded is tried again, and no more at a time than before.
    assert_eq!(tasks.retry_sweep(id(10), Some("bob"), "bob").await.unwrap(), None);
    assert_eq!(tasks.retry_sweep(id(10), Some("ana"), "ana").await.unwrap(), Some(2));
    assert_eq!(active(bed).await, [id(14), id(15)]);
    go(bed, id(14), ENDED, Facts::default()).await;
    assert_eq!(active(bed).await, [id(12), id(15)]);
    assert_eq!(tasks.task(id(12), None).await.unwrap().unwrap().attempt.number, 2);
}

pub(crate) async fn a_sweep_is_cancelled_as_a_whole(bed: &Bed) {
    let tasks = &bed.store.tasks;
    tasks.submit_sweep(sweep(10, 4, 2)).await.unwrap();
    go(bed, id(11), &[State::Staging, State::Submitting, State::Submitted], Facts::default()).await;
    assert_eq!(tasks.cancel_sweep(id(10), Some("bob"), "bob").await.unwrap(), None);
    let cancelled = tasks.cancel_sweep(id(10), Some("ana"), "ana").await.unwrap();
    assert_eq!(cancelled, Some(SweepCancelled { at_once: 3, requested: 1 }));
    assert_eq!(active(bed).await, [id(11)]);
    go(bed, id(11), &[State::Collecting, State::Cancelled], Facts { again: Some(0.0), ..Facts::default() }).await;
    assert_eq!(active(bed).await, []);
    assert_eq!(tasks.task(id(11), None).await.unwrap().unwrap().attempt.number, 1);
}

pub(crate) async fn a_sweep_counts_as_many_tasks_as_may_be_active(bed: &Bed) {
    let tasks = &bed.store.tasks;
    let limits = ActiveLimits { per_owner: 3, per_cluster: 20 };
    let limited = |number, parallel| {
        let new = sweep(number, 6, parallel);
        NewSweep { shared: NewTask { limits, ..new.shared }, ..new }
    };
    assert_eq!(tasks.submit_sweep(limited(10, 4)).await.unwrap(), Submitted::OwnerFull(0));
    assert_eq!(tasks.submit_sweep(limited(20, 2)).await.unwrap(), Submitted::Created);
    assert_eq!(tasks.submit_sweep(limited(30, 2)).await.unwrap(), Submitted::OwnerFull(2));
    assert_eq!(submit(bed, NewTask { limits, ..task(40, "ana") }).await, Submitted::Created);
}

pub(crate) async fn an_end_may_be_followed_by_another_attempt(bed: &Bed) {
    let tasks = &bed.store.tasks;
    submit(bed, task(1, "ana")).await;
    go(bed, id(1), &failing(State::NodeFailed), Facts { again: Some(3600.0), ..Facts::default() }).await;
    let found = tasks.task(id(1), None).await.unwrap().unwrap();
    assert_eq!((found.attempt.number, found.attempt.state), (2, State::Queued));
    let active = tasks.active(&cluster("atena02"), 10).await.unwrap();
    assert!(active[0].attempt.not_before.0 > active[0].now.0 + 3_500_000_000);
    let attempts = tasks.attempts(id(1)).await.unwrap();
    assert_eq!(attempts[0].state, State::NodeFailed);
    assert_eq!(tasks.events(id(1), 0, 100).await.unwrap().last().unwrap().kind, "retried");
}

pub(crate) async fn a_deleted_task_leaves_folders_to_be_removed(bed: &Bed) {
    let tasks = &bed.store.tasks;
    submit(bed, task(1, "ana")).await;
    assert_eq!(tasks.delete(id(1), None).await.unwrap(), Deleted::Refused(State::Queued));
    go(bed, id(1), ENDED, Facts { ended_at: Some(belvedere_domain::Timestamp(1)), ..Facts::default() }).await;
    let here = cluster("atena02");
    // The folder of an attempt that has ended is not needed any more.
    let old = tasks.old_folders(&here, 0.0, 10).await.unwrap();
    assert_eq!(old, [OldFolder { tag: id(1).tag(1), attempt: Some((id(1), 1)) }]);
    assert_eq!(tasks.delete(id(1), Some("bob")).await.unwrap(), Deleted::Unknown);
    assert_eq!(tasks.old(Some("bob"), -1.0, 10).await.unwrap(), []);
    assert_eq!(tasks.old(None, 3600.0, 10).await.unwrap(), []);
    assert_eq!(tasks.old(Some("ana"), -1.0, 10).await.unwrap().len(), 1);
    assert_eq!(tasks.delete(id(1), Some("ana")).await.unwrap(), Deleted::Gone(vec![id(1)]));
    assert_eq!(tasks.task(id(1), None).await.unwrap(), None);
    assert_eq!(tasks.events(id(1), 0, 10).await.unwrap(), []);
    let left = tasks.old_folders(&here, 3600.0, 10).await.unwrap();
    assert_eq!(left, [OldFolder { tag: id(1).tag(1), attempt: None }]);
    assert_eq!(tasks.old_folders(&cluster("other"), 0.0, 10).await.unwrap(), []);
    tasks.folder_gone(&left[0]).await.unwrap();
    assert_eq!(tasks.old_folders(&here, 0.0, 10).await.unwrap(), []);
    // A folder that was removed before is not removed again.
    submit(bed, task(2, "ana")).await;
    go(bed, id(2), ENDED, Facts { ended_at: Some(belvedere_domain::Timestamp(1)), ..Facts::default() }).await;
    tasks.folder_gone(&OldFolder { tag: id(2).tag(1), attempt: Some((id(2), 1)) }).await.unwrap();
    tasks.delete(id(2), None).await.unwrap();
    assert_eq!(tasks.old_folders(&here, 0.0, 10).await.unwrap(), []);
    // The last task of a sweep takes along what they shared.
    tasks.submit_sweep(sweep(10, 2, 2)).await.unwrap();
    tasks.cancel_sweep(id(10), None, "ana").await.unwrap();
    assert_eq!(tasks.known(vec![id(1), id(10), id(11)]).await.unwrap(), [id(10), id(11)]);
    assert_eq!(tasks.delete(id(11), None).await.unwrap(), Deleted::Gone(vec![id(11)]));
    assert_eq!(tasks.delete(id(12), None).await.unwrap(), Deleted::Gone(vec![id(12), id(10)]));
    assert_eq!(tasks.known(vec![id(10), id(12)]).await.unwrap(), []);
}

pub(crate) async fn selections_are_kept_while_they_are_used(bed: &Bed) {
    let tasks = &bed.store.tasks;
    let new = NewSelection {
        id: "ab12".into(),
        created_by: "ana".into(),
        dataset: dataset_name("local/wine"),
        revision: "r1".into(),
        config: "default".into(),
        split: "train".into(),
        question: r#"{"where":"\"a\">1"}"#.into(),
        num_rows: 3,
        sha256: "cd".repeat(32),
        rows: vec![0, 255, 7],
    };
    assert_eq!(tasks.selection("ab12").await.unwrap(), None);
    tasks.put_selection(new.clone()).await.unwrap();
    tasks.put_selection(NewSelection { created_by: "bob".into(), ..new.clone() }).await.unwrap();
    assert_eq!(tasks.selection("ab12").await.unwrap().unwrap().0, new);
    tasks.use_selection("ab12").await.unwrap();
    assert!(tasks.drop_selections(3600.0).await.unwrap().is_empty());
    assert_eq!(tasks.drop_selections(-1.0).await.unwrap(), ["ab12"]);
    assert_eq!(tasks.selection("ab12").await.unwrap(), None);
}

pub(crate) async fn tasks_are_listed_by_their_dataset(bed: &Bed) {
    submit(bed, task(1, "ana")).await;
    submit(bed, task(2, "bob")).await;
    submit(bed, NewTask { dataset: None, ..task(3, "ana") }).await;
    let list = async |filter: TaskFilter| -> Vec<TaskId> {
        bed.store.tasks.list(filter, 10).await.unwrap().into_iter().map(|task| task.id).collect()
    };
    let of_wine = TaskFilter { dataset: Some(dataset_name("local/wine")), ..TaskFilter::default() };
    assert_eq!(list(of_wine.clone()).await, [id(2), id(1)]);
    assert_eq!(list(TaskFilter { owner: Some("ana".into()), ..of_wine }).await, [id(1)]);
    let other = TaskFilter { dataset: Some(dataset_name("local/other")), ..TaskFilter::default() };
    assert_eq!(list(other).await, []);
}
