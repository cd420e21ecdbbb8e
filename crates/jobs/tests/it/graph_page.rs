//! Keeps `docs/graph.md` true to the steps of this build.

use std::fmt::Write;
use std::path::Path;

use belvedere_domain::{Graph, Level, Step};
use belvedere_jobs::Registry;
use belvedere_jobs::registry::{Need, Optional};

const HEAD: &str = "\
<!-- Generated from the steps in crates/jobs/src: `UPDATE_DOCS=1 cargo test -p belvedere-jobs`. -->

# Graph

A new revision of a dataset starts the root step. The end of a step, success or error, triggers the steps below it: one
job per config or split where those have a finer level, one for all where they have a coarser one. Each step stores one
view per dataset, config or split.

A higher *version* makes the stored views of the step obsolete. The *difficulty*, from 0 to 100, tells how much machine
a job needs; pools of workers take ranges of it, and each failed run adds 20. A revision is served as soon as all steps
marked under *answers* are done. *Heavy* steps read whole data files; one place of every worker takes none of them.
*Background* steps wait until there is nothing else to do.

";

fn page(graph: &Graph) -> String {
    let mut page = HEAD.to_owned();
    page.push_str("| step | level | version | difficulty | answers | heavy | background | triggered by |\n");
    page.push_str("| --- | --- | --- | --- | --- | --- | --- | --- |\n");
    let yes = |flag: bool| if flag { "yes" } else { "" };
    for step in graph.steps() {
        let Step { name, version, difficulty, .. } = step;
        let parents: Vec<String> = step.triggered_by.iter().map(|parent| format!("`{parent}`")).collect();
        let parents = if parents.is_empty() { "a new revision".to_owned() } else { parents.join(", ") };
        let (level, answers) = (level(step), yes(step.answers));
        let (heavy, background) = (yes(step.heavy), yes(step.background));
        writeln!(
            page,
            "| `{name}` | {level} | {version} | {difficulty} | {answers} | {heavy} | {background} | {parents} |"
        )
        .expect("writing to memory succeeds");
    }
    page.push_str("\n```mermaid\nflowchart TD\n");
    for step in graph.steps() {
        // The shape tells the level: a box, a rounded box, a stadium.
        let (open, close) = match step.level {
            Level::Dataset => ("[", "]"),
            Level::Config => ("(", ")"),
            Level::Split => ("([", "])"),
        };
        writeln!(page, "    {0}{open}{0}{close}", step.name).expect("writing to memory succeeds");
    }
    for step in graph.steps() {
        for parent in step.triggered_by {
            writeln!(page, "    {parent} --> {}", step.name).expect("writing to memory succeeds");
        }
    }
    page.push_str("```\n\nBoxes are steps of the dataset, rounded ones of a config, round ones of a split.\n");
    page.push_str("\nSome steps need a program built with a cargo feature, or a setting; others do not plan them.\n\n");
    page.push_str("| step | level | version | difficulty | triggered by | needs |\n");
    page.push_str("| --- | --- | --- | --- | --- | --- |\n");
    let all = Registry::with(Optional::ALL).unwrap().graph();
    for step in all.steps().iter().filter(|step| graph.step(&step.step_name()).is_none()) {
        let Step { name, version, difficulty, .. } = step;
        let parents: Vec<String> = step.triggered_by.iter().map(|parent| format!("`{parent}`")).collect();
        let (Need::Feature(need) | Need::Setting(need)) = Optional::of(name).unwrap().need();
        let (level, parents) = (level(step), parents.join(", "));
        writeln!(page, "| `{name}` | {level} | {version} | {difficulty} | {parents} | `{need}` |")
            .expect("writing to memory succeeds");
    }
    page
}

fn level(step: &Step) -> &'static str {
    match step.level {
        Level::Dataset => "dataset",
        Level::Config => "config",
        Level::Split => "split",
    }
}

#[test]
fn page_shows_every_step() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/graph.md");
    let expected = page(&Registry::new().unwrap().graph());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "docs/graph.md is out of date: run `UPDATE_DOCS=1 cargo test -p belvedere-jobs`");
}

/// The steps of the reference implementation: name, level, version, difficulty, what is added for big data, parents.
const REFERENCE: &str = "\
dataset-init D 1 50 0
dataset-config-names D 1 50 0 dataset-init
dataset-filetypes D 1 50 0 dataset-init
dataset-parquet D 2 20 0 dataset-config-names config-parquet
dataset-info D 2 20 0 dataset-config-names config-info
dataset-size D 2 20 0 dataset-config-names config-size
dataset-split-names D 3 20 0 dataset-config-names config-split-names
dataset-is-valid D 8 20 0 dataset-config-names config-is-valid
dataset-opt-in-out-urls-count D 2 20 0 dataset-config-names config-opt-in-out-urls-count
dataset-presidio-entities-count D 1 20 0 dataset-split-names split-presidio-scan
dataset-compatible-libraries D 6 20 0 dataset-info
dataset-modalities D 2 20 0 dataset-info dataset-filetypes split-image-url-columns
dataset-croissant-crumbs D 3 20 0 dataset-info
dataset-hub-cache D 3 20 0 dataset-is-valid dataset-size dataset-compatible-libraries dataset-modalities
config-parquet-and-info C 4 70 0 dataset-config-names
config-parquet C 6 20 0 config-parquet-and-info
config-parquet-metadata C 2 50 0 config-parquet
config-info C 2 20 0 config-parquet-and-info
config-split-names C 3 60 0 dataset-config-names config-info
config-size C 2 20 0 config-parquet-and-info
config-is-valid C 4 20 0 config-split-names split-is-valid
config-opt-in-out-urls-count C 3 20 0 config-split-names split-opt-in-out-urls-count
split-first-rows S 4 70 0 config-split-names config-parquet-metadata
split-descriptive-statistics S 3 70 20 config-parquet-metadata
split-is-valid S 4 20 0 config-size split-first-rows config-parquet-metadata split-descriptive-statistics
split-image-url-columns S 1 40 0 split-first-rows
split-opt-in-out-urls-scan S 4 70 0 split-image-url-columns
split-opt-in-out-urls-count S 2 20 0 split-opt-in-out-urls-scan
split-presidio-scan S 1 70 0 config-parquet-metadata
";

#[test]
fn every_step_of_the_reference_is_there() {
    let graph = Registry::with(Optional::ALL).unwrap().graph();
    for line in REFERENCE.lines() {
        let mut words = line.split(' ');
        let name = words.next().unwrap();
        let step = graph.steps().iter().find(|step| step.name == name).unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!(Some(&level(step)[..1]), words.next().map(str::to_lowercase).as_deref(), "{name}");
        let numbers: [u32; 3] = std::array::from_fn(|_| words.next().unwrap().parse().unwrap());
        assert!(step.version >= numbers[0], "{name}");
        assert_eq!([step.difficulty, step.bonus_if_big], numbers[1..], "{name}");
        let missing: Vec<&str> = words.filter(|parent| !step.triggered_by.contains(parent)).collect();
        assert!(missing.is_empty(), "{name} is not triggered by {missing:?}");
    }
    assert_eq!(REFERENCE.lines().count(), 29);
}

#[test]
fn steps_that_need_nothing_do_not_follow_those_that_do() {
    let (own, all) = (Registry::new().unwrap().graph(), Registry::with(Optional::ALL).unwrap().graph());
    for step in own.steps() {
        assert_eq!(all.step(&step.step_name()), Some(step));
    }
}
