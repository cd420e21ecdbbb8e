//! The same work asked for many times at once (rows 21 and 22).

use belvedere_domain::plan::{DatasetState, Scope, plan};
use belvedere_domain::{DatasetName, Priority};
use belvedere_jobs::Registry;

use crate::bed::{Bed, CONVERSION, FEW, MANY};
use crate::process::until;

/// e021 | the same work is asked for from many sides at once | it waits in the queue once
#[test]
fn e021_work_asked_for_by_many_waits_once() {
    let Some(mut bed) = Bed::postgres() else { return };
    bed.write("one", FEW);
    let mut apis: Vec<_> = (0..3).map(|_| bed.api()).collect();
    let bases: Vec<String> = apis.iter_mut().map(crate::process::Program::address).collect();
    let store = bed.store();
    let row = until("the dataset is known", || bed.runtime.block_on(store.datasets.list()).unwrap().pop());
    // What each of them planned when it started, once more from 32 sides.
    let state = DatasetState {
        dataset: row.name.clone(),
        target: row.target,
        configs: Vec::new(),
        rows: Vec::new(),
        pending: Vec::new(),
    };
    let jobs = plan(&Registry::new().unwrap().graph(), &state, Scope::Roots, Priority::Normal).create;
    let asked: Vec<_> = (0..32)
        .map(|_| {
            let (queue, jobs) = (store.queue.clone(), jobs.clone());
            bed.runtime.spawn(async move { queue.enqueue(jobs).await.unwrap() })
        })
        .collect();
    let new: usize = asked.into_iter().map(|asked| bed.runtime.block_on(asked).unwrap()).sum();
    let waiting = bed.runtime.block_on(store.queue.pending(Some(&DatasetName::new("lab/one").unwrap()))).unwrap();
    assert_eq!((waiting.len(), jobs.len()), (1, 1), "{new} were new");
    let mut programs = vec![bed.worker(), bed.worker()];
    programs.append(&mut apis);
    bed.settle(&bases[0]);
    bed.close(&bases[0], programs);
}

/// e022 | a new revision appears while a job of the old one runs | the old job is given up, nothing of it is stored,
/// the new revision is done
#[test]
fn e022_a_revision_that_appears_during_a_job_is_not_lost() {
    let Some(mut bed) = Bed::postgres() else { return };
    bed.write("moving", MANY);
    let mut api = bed.api();
    let base = api.address();
    let worker = bed.worker();
    let old = bed.catch_job(&worker, "lab/moving");
    bed.write("moving", FEW);
    let name = DatasetName::new("lab/moving").unwrap();
    until("the new revision is the target", || {
        let row = bed.runtime.block_on(bed.store().datasets.get(&name)).unwrap().unwrap();
        (row.target != old.revision).then_some(())
    });
    // The worker learns from its next sign of life that nobody waits for the old one, and turns to the new one.
    bed.settle(&base);
    assert_eq!(bed.times("view", "lab/moving", CONVERSION), 1);
    assert_eq!(bed.times("crash", "lab/moving", CONVERSION), 0);
    bed.close(&base, vec![worker, api]);
}
