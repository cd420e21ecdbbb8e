//! Keeps `docs/graph.md` true to the steps of this build.

use std::fmt::Write;
use std::path::Path;

use belvedere_domain::{Graph, Level, Step};
use belvedere_jobs::Registry;
use belvedere_jobs::registry::Optional;

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
    page.push_str("\nSome steps need a program built with a cargo feature; others do not plan them.\n\n");
    page.push_str("| step | level | version | difficulty | triggered by | feature |\n");
    page.push_str("| --- | --- | --- | --- | --- | --- |\n");
    let all = Registry::with(Optional::ALL).unwrap().graph();
    for step in all.steps().iter().filter(|step| graph.step(&step.step_name()).is_none()) {
        let Step { name, version, difficulty, .. } = step;
        let parents: Vec<String> = step.triggered_by.iter().map(|parent| format!("`{parent}`")).collect();
        let feature = Optional::of(name).unwrap().feature();
        let (level, parents) = (level(step), parents.join(", "));
        writeln!(page, "| `{name}` | {level} | {version} | {difficulty} | {parents} | `{feature}` |")
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
