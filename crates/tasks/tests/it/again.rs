//! Attempts that follow by themselves, and sweeps.

use std::time::Duration;

use belvedere_domain::task::State;

use crate::bed::Bed;

/// A bed whose tasks do not rest before they are tried again.
async fn restless() -> Bed {
    let mut bed = Bed::local(|_| {}).await;
    bed.settings.rest = Duration::ZERO;
    bed.restart("restless");
    bed
}

/// Fails the first time.
fn once(bed: &Bed) -> String {
    let folder = bed.folder().join("shared");
    std::fs::create_dir_all(&folder).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(&folder, open).unwrap();
    format!("if mkdir {}/$(cat $TASK_PARAMS | tr -cd 'a-z0-9'); then exit 3; fi; cat $TASK_PARAMS", folder.display())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_fails_is_tried_again_only_if_that_was_asked_for() {
    let bed = restless().await;
    let config =
        |more: &str| format!(r#"{{"runner_location": "local", "args_style": "none", "max_retries": 2{more}}}"#);
    let id = bed.submit(&config(r#", "model_params": {"a": 1}"#), &[("x.sh", &once(&bed))]).await;
    let task = bed.end(id).await;
    assert_eq!((task.attempt.state, task.attempt.number), (State::Failed, 1));
    let more = r#", "retry_on": ["failed"], "model_params": {"b": 1}"#;
    let id = bed.submit(&config(more), &[("x.sh", &once(&bed))]).await;
    let task = bed.until(id, &[State::Succeeded]).await;
    assert_eq!(task.attempt.number, 2);
    let attempts = bed.store.tasks.attempts(id).await.unwrap();
    assert_eq!((attempts[0].state, attempts[0].exit_code), (State::Failed, Some(3)));
    assert!(bed.story(id).await.contains("failed retried staging"), "{}", bed.story(id).await);
    // Not more often than it asked for.
    let id = bed.submit(&config(r#", "retry_on": ["failed"]"#), &[("x.sh", "exit 4")]).await;
    let end = std::time::Instant::now() + crate::bed::PATIENCE;
    while bed.store.tasks.attempts(id).await.unwrap().iter().filter(|attempt| attempt.state.is_final()).count() < 3 {
        assert!(std::time::Instant::now() < end);
        bed.tick("local").await;
    }
    bed.tick("local").await;
    let task = bed.task(id).await;
    assert_eq!((task.attempt.state, task.attempt.number), (State::Failed, 3));
}

/// e082 | some of the tasks of a sweep fail | each has its own state, log and artefacts; only those that failed are tried again
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e082_tasks_of_a_sweep_end_each_in_their_own_way() {
    let bed = restless().await;
    let config = r#"{"runner_location": "local", "args_style": "none", "model_params": {"kept": true},
                     "sweep": {"grid": {"n": [1, 2, 3, 4, 5]}}}"#;
    let gate = bed.folder().join("gate");
    let script = format!(
        "cat $TASK_PARAMS; echo $TASK_INDEX >$TASK_OUTPUT/index; \
         if [ $TASK_INDEX = 3 ] && [ ! -e {} ]; then exit 7; fi",
        gate.display()
    );
    let (sweep, ids) = bed.submit_sweep(config, &[("x.sh", &script)], 2).await;
    let all_end = async || {
        let end = std::time::Instant::now() + crate::bed::PATIENCE;
        loop {
            let row = bed.store.tasks.sweep(sweep, None).await.unwrap().unwrap();
            if row.states.iter().all(|(state, _)| state.is_final()) {
                return row.states;
            }
            assert!(std::time::Instant::now() < end, "{row:?}");
            bed.tick("local").await;
            let name = belvedere_domain::task::ClusterName::new("local").unwrap();
            assert!(bed.store.tasks.active(&name, 10).await.unwrap().len() <= 2);
        }
    };
    assert_eq!(all_end().await, [(State::Failed, 1), (State::Succeeded, 4)]);
    for (place, id) in ids.iter().enumerate() {
        let n = place + 1;
        assert_eq!(bed.log(*id, "out").await, format!(r#"{{"kept":true,"n":{n}}}"#));
        let artifacts = bed.store.tasks.artifacts(*id, 1).await.unwrap();
        let copy = bed.inbox.artifacts(*id, 1).join(belvedere_tasks::monitor::collect::copy_name(&artifacts[0].path));
        assert_eq!(std::fs::read_to_string(copy).unwrap(), format!("{place}\n"));
    }
    std::fs::write(&gate, "").unwrap();
    assert_eq!(bed.store.tasks.retry_sweep(sweep, None, "ana").await.unwrap(), Some(1));
    assert_eq!(all_end().await, [(State::Succeeded, 5)]);
    let numbers: Vec<_> = attempts_of(&bed, &ids).await;
    assert_eq!(numbers, [1, 1, 1, 2, 1]);
}

async fn attempts_of(bed: &Bed, ids: &[belvedere_domain::task::TaskId]) -> Vec<u32> {
    let mut numbers = Vec::new();
    for id in ids {
        numbers.push(bed.task(*id).await.attempt.number);
    }
    numbers
}
