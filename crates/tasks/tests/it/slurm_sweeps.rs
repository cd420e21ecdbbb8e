//! Sweeps on a real Slurm, and what is removed there.

use std::time::{Duration, Instant};

use belvedere_domain::task::{ClusterName, State};

use crate::bed::PATIENCE;
use crate::real::Real;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_runs_on_slurm_and_its_folders_go_afterwards() {
    let Some(real) = Real::new() else { return };
    let mut bed = real.bed(|text| text).await;
    let config = r#"{"runner_location": "real", "args_style": "none",
                     "sweep": {"grid": {"n": ["it's", "$(id)", 3]}}}"#;
    let script = "cat $TASK_PARAMS; echo $TASK_INDEX >$TASK_OUTPUT/index";
    let (sweep, ids) = bed.submit_sweep(config, &[("x.sh", script)], 2).await;
    let end = Instant::now() + PATIENCE;
    let name = ClusterName::new("real").unwrap();
    loop {
        let states = bed.store.tasks.sweep(sweep, None).await.unwrap().unwrap().states;
        if states == [(State::Succeeded, 3)] {
            break;
        }
        assert!(Instant::now() < end, "{states:?}");
        assert!(bed.store.tasks.active(&name, 10).await.unwrap().len() <= 2);
        bed.tick("real").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for (id, n) in ids.iter().zip([r#""it's""#, r#""$(id)""#, "3"]) {
        assert_eq!(bed.log(*id, "out").await, format!(r#"{{"n":{n}}}"#));
        let artifacts = bed.store.tasks.artifacts(*id, 1).await.unwrap();
        assert_eq!((artifacts.len(), artifacts[0].path.as_str()), (1, "index"));
    }
    let member = bed.catalog.members().next().unwrap().clone();
    let there = async || member.cluster.folders().await.unwrap();
    let tags: Vec<_> = ids.iter().map(|id| id.tag(1)).collect();
    let found = there().await;
    assert!(tags.iter().all(|tag| found.contains(tag)));
    // What other tests have left there belongs to no task of this store.
    let orphans = bed.monitor.orphans(&member, false).await.unwrap().unwrap();
    assert!(tags.iter().all(|tag| !orphans.contains(tag)));
    bed.settings.keep_folders = Duration::ZERO;
    bed.restart("tidy");
    assert_eq!(bed.monitor.tidy(&member).await.unwrap().folders.len(), 3);
    let found = there().await;
    assert!(tags.iter().all(|tag| !found.contains(tag)));
}
