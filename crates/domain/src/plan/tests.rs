use super::*;
use crate::names::StepName;

fn graph() -> Graph {
    Graph::new(vec![
        Step::dataset("init"),
        Step::config("convert").triggered_by(&["init"]).difficulty(70).bonus_if_big(20),
        Step::split("rows").triggered_by(&["convert"]),
        Step::dataset("sum").triggered_by(&["init", "convert"]).difficulty(20),
    ])
    .expect("well formed")
}

fn config(name: &str, splits: &[&str]) -> KnownConfig {
    KnownConfig {
        name: ConfigName::new(name).expect("legal"),
        splits: splits.iter().map(|split| SplitName::new(split).expect("legal")).collect(),
        big: false,
        big_splits: vec![],
    }
}

fn key(step: &'static str, config: Option<&str>, split: Option<&str>) -> ArtifactKey {
    ArtifactKey {
        step: StepName::known(step),
        dataset: DatasetName::new("acme/birds").expect("legal"),
        config: config.map(|name| ConfigName::new(name).expect("legal")),
        split: split.map(|name| SplitName::new(name).expect("legal")),
    }
}

fn revision(text: &str) -> Revision {
    Revision::new(text).expect("legal")
}

fn row(key: ArtifactKey, at: i64) -> ArtifactRow {
    ArtifactRow {
        key,
        revision: revision("new"),
        http_status: 200,
        error_code: None,
        failed_runs: 0,
        runner_version: 1,
        updated_at: Timestamp(at),
    }
}

fn pending(id: i64, key: ArtifactKey, of: &str, status: JobStatus) -> PendingJob {
    PendingJob { id: JobId(id), key, revision: revision(of), status, forced: false }
}

fn complete() -> DatasetState {
    DatasetState {
        dataset: DatasetName::new("acme/birds").expect("legal"),
        target: revision("new"),
        configs: vec![config("en", &["train", "test"])],
        rows: vec![
            row(key("init", None, None), 1),
            row(key("convert", Some("en"), None), 2),
            row(key("rows", Some("en"), Some("train")), 3),
            row(key("rows", Some("en"), Some("test")), 3),
            row(key("sum", None, None), 4),
        ],
        pending: vec![],
    }
}

fn text(plan: &Plan) -> String {
    let create = plan.create.iter().map(|job| format!("+ {} difficulty {}\n", job.key, job.difficulty.get()));
    let delete = plan.delete.iter().map(|id| format!("- job {}\n", id.0));
    create.chain(delete).collect()
}

#[test]
fn nothing_to_do_when_all_is_fresh() {
    assert!(plan(&graph(), &complete(), Scope::All, Priority::Low).is_empty());
}

#[test]
fn new_revision_starts_at_the_root_only() {
    let state = DatasetState { target: revision("newer"), ..complete() };
    let planned = plan(&graph(), &state, Scope::Roots, Priority::Normal);
    assert_eq!(text(&planned), "+ init of acme/birds difficulty 50\n");
}

#[test]
fn backfill_repairs_each_kind_of_staleness() {
    let mut state = complete();
    state.rows[1].updated_at = Timestamp(9); // a parent of rows and sum was written later
    state.rows[3].error_code = Some("StreamingRowsError".into());
    state.rows[3].failed_runs = 2;
    let planned = plan(&graph(), &state, Scope::All, Priority::Low);
    assert_eq!(
        text(&planned),
        "+ rows of acme/birds, config en, split train difficulty 50\n\
         + rows of acme/birds, config en, split test difficulty 90\n\
         + sum of acme/birds difficulty 20\n"
    );
}

#[test]
fn what_waits_for_a_parent_is_left_to_its_trigger() {
    let mut state = complete();
    state.configs.push(config("fr", &["train"]));
    state.rows.retain(|row| row.key.step == "init");
    state.rows.push(row(key("convert", Some("fr"), None), 2));
    let planned = plan(&graph(), &state, Scope::All, Priority::Low);
    assert_eq!(
        text(&planned),
        "+ convert of acme/birds, config en difficulty 70\n+ rows of acme/birds, config fr, split train difficulty 50\n"
    );
    state.pending = vec![pending(1, key("convert", Some("en"), None), "new", JobStatus::Started)];
    let planned = plan(&graph(), &state, Scope::All, Priority::Low);
    assert_eq!(text(&planned), "+ rows of acme/birds, config fr, split train difficulty 50\n");
}

#[test]
fn a_failure_is_retried_up_to_its_limit() {
    let mut state = complete();
    state.rows[4].error_code = Some("StreamingRowsError".into());
    for (failed_runs, retried) in [(1, true), (2, true), (3, false)] {
        state.rows[4].failed_runs = failed_runs;
        assert_eq!(!plan(&graph(), &state, Scope::All, Priority::Low).is_empty(), retried, "{failed_runs}");
    }
    state.rows[4].error_code = Some("DatasetGenerationError".into());
    state.rows[4].failed_runs = 1;
    assert!(plan(&graph(), &state, Scope::All, Priority::Low).is_empty());
}

#[test]
fn pending_jobs_of_the_target_are_kept_and_others_dropped() {
    let mut state = complete();
    state.rows.retain(|row| row.key.step != "rows");
    state.pending = vec![
        pending(1, key("rows", Some("en"), Some("train")), "new", JobStatus::Waiting),
        pending(2, key("rows", Some("en"), Some("test")), "old", JobStatus::Waiting),
        pending(3, key("rows", Some("en"), Some("test")), "old", JobStatus::Started),
        pending(4, key("sum", None, None), "new", JobStatus::Waiting),
    ];
    let planned = plan(&graph(), &state, Scope::All, Priority::Low);
    assert_eq!(text(&planned), "+ rows of acme/birds, config en, split test difficulty 50\n- job 2\n");
}

#[test]
fn a_waiting_job_of_the_target_may_stand_for_a_later_trigger_and_stays() {
    let waiting = |id, config, of| pending(id, key("rows", Some(config), Some("train")), of, JobStatus::Waiting);
    let mut state = complete();
    state.pending = vec![waiting(1, "en", "new"), waiting(2, "en", "old"), waiting(3, "gone", "new")];
    assert_eq!(plan(&graph(), &state, Scope::All, Priority::Low).delete, [JobId(2), JobId(3)]);
    state.pending[2].forced = true;
    assert_eq!(plan(&graph(), &state, Scope::All, Priority::Low).delete, [JobId(2)]);
}

#[test]
fn children_fan_out_over_configs_and_splits() {
    let configs = [config("en", &["train"]), config("fr", &["train", "test"])];
    let jobs = |finished: ArtifactKey| -> Vec<String> {
        let jobs = children(&graph(), &[finished], &revision("new"), &configs, Priority::Low);
        jobs.iter().map(|job| format!("{}{}", job.key, if job.coalesce { " (coalesced)" } else { "" })).collect()
    };
    assert_eq!(
        jobs(key("init", None, None)),
        ["convert of acme/birds, config en", "convert of acme/birds, config fr", "sum of acme/birds (coalesced)"]
    );
    assert_eq!(
        jobs(key("convert", Some("fr"), None)),
        [
            "rows of acme/birds, config fr, split train",
            "rows of acme/birds, config fr, split test",
            "sum of acme/birds (coalesced)"
        ]
    );
}

#[test]
fn a_shortcut_triggers_its_children_but_not_itself() {
    let finished = [key("init", None, None), key("convert", Some("en"), None)];
    let configs = [config("en", &["train"])];
    let jobs = children(&graph(), &finished, &revision("new"), &configs, Priority::Low);
    let names: Vec<_> = jobs.iter().map(|job| job.key.to_string()).collect();
    assert_eq!(names, ["sum of acme/birds", "rows of acme/birds, config en, split train"]);
}

#[test]
fn background_steps_wait_for_all_others_unless_an_operator_asks() {
    let graph = Graph::new(vec![Step::dataset("init"), Step::dataset("copies").triggered_by(&["init"]).background()]);
    let graph = graph.expect("well formed");
    let mut state = complete();
    state.rows.retain(|row| row.key.step == "init");
    let planned = plan(&graph, &state, Scope::All, Priority::Normal);
    assert_eq!(planned.create.iter().map(|job| job.priority).collect::<Vec<_>>(), [Priority::Low]);
    let jobs = children(&graph, &[key("init", None, None)], &revision("new"), &[], Priority::High);
    assert_eq!(jobs.iter().map(|job| job.priority).collect::<Vec<_>>(), [Priority::Low]);
    let step = graph.step(&StepName::known("copies")).expect("declared");
    let forced = forced_job(&graph, step, key("copies", None, None), &state, Priority::High);
    assert_eq!((forced.priority, forced.forced), (Priority::High, true));
}

#[test]
fn big_data_raises_the_difficulty() {
    let mut state = complete();
    state.rows.retain(|row| row.key.step != "convert");
    state.configs[0].big = true;
    let planned = plan(&graph(), &state, Scope::All, Priority::Low);
    assert_eq!(text(&planned), "+ convert of acme/birds, config en difficulty 90\n");
}
