//! Tasks that are sent at the same moment, to one process or to two: each counts, each has an outcome of its own.

use belvedere_store::tasks::{ActiveLimits, Deleted, NewSweep, NewTask, Retried, Submitted, TaskFile, TaskFilter};
use belvedere_store::{Store, StoreError};
use futures::future::join_all;

use crate::bed::Bed;
use crate::tasking::{cluster, id, keyed, submit, task};

/// The stores of two processes; on SQLite, where one process owns the file, the same one twice.
async fn two_processes(bed: &Bed) -> [Store; 2] {
    let other = if bed.is_postgres() { Store::connect(&bed.url).await.unwrap() } else { bed.store.clone() };
    [bed.store.clone(), other]
}

/// Sends tasks at the same moment, in turns to each of two processes.
async fn send(bed: &Bed, tasks: Vec<NewTask>) -> Vec<Result<Submitted, StoreError>> {
    let stores = two_processes(bed).await;
    join_all(tasks.into_iter().zip(stores.iter().cycle()).map(|(task, store)| store.tasks.submit(task))).await
}

fn count(outcomes: &[Result<Submitted, StoreError>], of: impl Fn(&Submitted) -> bool) -> usize {
    outcomes.iter().filter(|outcome| of(outcome.as_ref().unwrap())).count()
}

pub(crate) async fn the_limit_of_each_owner_holds_among_all_that_are_sent(bed: &Bed) {
    let owners = [("ana", 3), ("bob", 0), ("cid", 7), ("dan'a \"ü\"", 12)];
    let new = |number: u8| {
        let (owner, per_owner) = owners[usize::from(number) % owners.len()];
        NewTask { limits: ActiveLimits { per_owner, per_cluster: 1000 }, ..task(number, owner) }
    };
    let outcomes = send(bed, (0..40).map(new).collect()).await;
    for (at, (owner, limit)) in owners.into_iter().enumerate() {
        let of_owner: Vec<_> = outcomes.iter().skip(at).step_by(owners.len()).collect();
        let full = of_owner.iter().filter(|outcome| *outcome.as_ref().unwrap() == Submitted::OwnerFull(limit)).count();
        let stored = TaskFilter { owner: Some(owner.to_owned()), ..TaskFilter::default() };
        let stored = bed.store.tasks.list(stored, 100).await.unwrap().len();
        let expected = usize::try_from(limit).unwrap().min(10);
        assert_eq!((stored, full), (expected, 10 - expected), "{owner}");
    }
    // Each was stored whole and once.
    for row in bed.store.tasks.list(TaskFilter::default(), 100).await.unwrap() {
        assert_eq!(bed.store.tasks.files(row.id).await.unwrap().len(), 1);
        assert_eq!(bed.store.tasks.attempts(row.id).await.unwrap().len(), 1);
        let events = bed.store.tasks.events(row.id, 0, 10).await.unwrap();
        assert_eq!(events.iter().map(|event| &event.actor).collect::<Vec<_>>(), [&row.owner]);
    }
}

pub(crate) async fn the_limit_of_a_cluster_holds_among_owners(bed: &Bed) {
    let limits = ActiveLimits { per_owner: 10, per_cluster: 13 };
    let new = |number: u8| NewTask {
        limits,
        cluster: cluster(if number < 30 { "one" } else { "other" }),
        ..task(number, &format!("user-{}", number % 10))
    };
    let outcomes = send(bed, (0..36).map(new).collect()).await;
    assert_eq!(count(&outcomes[..30], |outcome| *outcome == Submitted::Created), 13);
    assert_eq!(count(&outcomes[..30], |outcome| *outcome == Submitted::ClusterFull(13)), 17);
    assert_eq!(count(&outcomes[30..], |outcome| *outcome == Submitted::Created), 6);
    assert_eq!(bed.store.tasks.active(&cluster("one"), 100).await.unwrap().len(), 13);
}

pub(crate) async fn retries_and_sweeps_count_against_what_is_sent(bed: &Bed) {
    let limits = ActiveLimits { per_owner: 5, per_cluster: 100 };
    let stores = two_processes(bed).await;
    for number in 1..=4 {
        submit(bed, task(number, "ana")).await;
        bed.store.tasks.cancel(id(number), None, "ana").await.unwrap();
    }
    let sent = join_all((11..=14).zip(stores.iter().cycle()).map(|(number, store)| async move {
        store.tasks.submit(NewTask { limits, ..task(number, "ana") }).await.unwrap()
    }));
    let retried = join_all((1..=4).zip(stores.iter().cycle()).map(|(number, store)| async move {
        store.tasks.retry(id(number), Some("ana"), "ana", limits).await.unwrap()
    }));
    let sweep = |number: u8| NewSweep {
        shared: NewTask { limits, ..task(number, "ana") },
        max_parallel: 2,
        points: (number + 1..number + 4).map(|number| (id(number), "{}".to_owned())).collect(),
    };
    let swept = join_all(
        [20, 30]
            .into_iter()
            .zip(stores.iter())
            .map(|(number, store)| async move { store.tasks.submit_sweep(sweep(number)).await.unwrap() }),
    );
    let (sent, retried, swept) = futures::future::join3(sent, retried, swept).await;
    let active = bed.store.tasks.active(&cluster("atena02"), 100).await.unwrap().len();
    let created = |outcomes: &[Submitted]| outcomes.iter().filter(|outcome| **outcome == Submitted::Created).count();
    let again = retried.iter().filter(|outcome| **outcome != Retried::Full).count();
    assert_eq!(active, created(&sent) + again + 2 * created(&swept));
    // A sweep that would need two places may have found one.
    assert!((4..=5).contains(&active), "{active}: {sent:?} {retried:?} {swept:?}");
}

/// e060 | a request is sent to two processes at the same moment under one key, among others | one task; the others learn its id
pub(crate) async fn e060_a_key_sent_to_two_processes_is_one_task(bed: &Bed) {
    let new = |number: u8| match number % 3 {
        0 => keyed(number, "ana", "same"),
        1 => keyed(number, "bob", if number == 1 { "first" } else { "same" }),
        _ => task(number, "cid"),
    };
    let limited = |new: NewTask| NewTask { limits: ActiveLimits { per_owner: 100, per_cluster: 100 }, ..new };
    let outcomes = send(bed, (0..30).map(|number| limited(new(number))).collect()).await;
    let of_ana: Vec<_> = outcomes.iter().step_by(3).map(|outcome| outcome.as_ref().unwrap()).collect();
    let stored = bed.store.tasks.list(TaskFilter { owner: Some("ana".to_owned()), ..TaskFilter::default() }, 50).await;
    let stored = stored.unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!(of_ana.iter().filter(|outcome| ***outcome == Submitted::Created).count(), 1);
    assert_eq!(of_ana.iter().filter(|outcome| ***outcome == Submitted::Replayed(stored[0].id)).count(), 9);
    // Of two requests under one key one is stored; what belongs to neither goes its own way.
    let of_bob: Vec<_> = outcomes.iter().skip(1).step_by(3).map(|outcome| outcome.as_ref().unwrap()).collect();
    assert_eq!(of_bob.iter().filter(|outcome| ***outcome == Submitted::Created).count(), 1);
    assert!(of_bob.contains(&&Submitted::KeyTaken));
    assert_eq!(count(&outcomes, |outcome| *outcome == Submitted::Created), 12);
}

pub(crate) async fn a_submission_that_fails_fails_alone(bed: &Bed) {
    submit(bed, task(1, "ana")).await;
    // The second one has the id of a task that is there.
    let mut all: Vec<_> = (2..=12).map(|number| keyed(number, &format!("user-{number}"), "same")).collect();
    all[1] = keyed(1, "late", "same");
    let outcomes = join_all(all.iter().map(|task| bed.store.tasks.submit(task.clone()))).await;
    for (at, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Err(error) => assert!(at == 1 && !error.is_passing(), "{at}: {error}"),
            Ok(outcome) => assert_eq!((outcome, at == 1), (&Submitted::Created, false), "{at}"),
        }
    }
    assert_eq!(bed.store.tasks.list(TaskFilter::default(), 50).await.unwrap().len(), 11);
    assert_eq!(bed.store.tasks.task(id(1), None).await.unwrap().unwrap().owner, "ana");
    let key = all[1].key.clone().unwrap();
    assert_eq!(bed.store.tasks.find_request("late", &key).await.unwrap(), None);
}

pub(crate) async fn small_files_come_back_whole(bed: &Bed) {
    let tasks = &bed.store.tasks;
    let file = |name: &str| TaskFile { stored_name: name.to_owned(), ..task(1, "ana").files.remove(0) };
    let contents = vec![b"a\0b\xff".to_vec(), Vec::new(), vec![7; 60_000]];
    let files = vec![file("b"), file("empty"), file("a")];
    let new = NewTask { files: files.clone(), contents: contents.clone(), ..task(1, "ana") };
    submit(bed, new.clone()).await;
    let expected: Vec<_> = ["b", "empty", "a"].map(str::to_owned).into_iter().zip(contents).collect();
    assert_eq!(tasks.contents(id(1)).await.unwrap(), expected);
    assert_eq!(tasks.files(id(1)).await.unwrap(), files);
    // Those of a sweep are the files of each of its tasks.
    let shared = NewTask { id: id(10), ..new };
    let points = vec![(id(11), "{}".to_owned()), (id(12), "{}".to_owned())];
    tasks.submit_sweep(NewSweep { shared, max_parallel: 2, points }).await.unwrap();
    for number in [10, 11, 12] {
        assert_eq!(tasks.contents(id(number)).await.unwrap(), expected);
    }
    // Large ones lie elsewhere.
    submit(bed, task(2, "ana")).await;
    assert_eq!(tasks.contents(id(2)).await.unwrap(), []);
    tasks.cancel(id(1), None, "ana").await.unwrap();
    assert_eq!(tasks.delete(id(1), None).await.unwrap(), Deleted::Gone(vec![id(1)]));
    assert_eq!(tasks.contents(id(1)).await.unwrap(), []);
}
