//! The run behind `check`: every dataset of the folders through every step, with the same parts that `serve` has.

use std::sync::Arc;
use std::time::{Duration, Instant};

use belvedere_domain::DatasetName;
use belvedere_hub::Hub;
use belvedere_jobs::refresh::Ensured;
use tokio_util::sync::CancellationToken;

use super::facts::{self, DatasetFacts, Report};
use crate::config::Config;
use crate::console::Console;
use crate::output::plural;
use crate::problems::Problem;
use crate::runtime::Runtime;

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// Time between two lines on how far it is, where there is no status line.
const LINE: Duration = Duration::from_secs(5);
/// How long files that are being written are waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs everything and reports; `None` when stopped before the end.
pub(super) async fn run(
    config: &Config,
    console: &Console,
    stop: &CancellationToken,
) -> anyhow::Result<Option<Report>> {
    let started = Instant::now();
    let runtime = Runtime::build(config, |settings| {
        // Nobody reads aggregates meanwhile, and nobody waits for jobs that are not done.
        settings.worker.coalesce_seconds = 0.0;
        settings.worker.grace_seconds = 0.0;
        // Nobody searches here.
        settings.search.builds_indexes = false;
    })
    .await?;
    let runtime = Arc::new(runtime);
    let parts = CancellationToken::new();
    let worker = runtime.worker();
    let working = tokio::spawn({
        let parts = parts.clone();
        async move { worker.run(parts).await }
    });
    let watching = tokio::spawn(Arc::clone(&runtime.hub).run(parts.clone()));
    let report = tokio::select! {
        report = look(config, &runtime, console) => report.map(Some),
        () = stop.cancelled() => Ok(None),
    };
    console.status("");
    parts.cancel();
    for part in [working, watching] {
        // What a part that is told to stop has to say does not matter any more.
        let _ = part.await;
    }
    let report = report?.map(|report| Report { seconds: started.elapsed().as_secs_f64(), ..report });
    Ok(report)
}

async fn look(config: &Config, runtime: &Runtime, console: &Console) -> anyhow::Result<Report> {
    let mut events = runtime.hub.subscribe();
    runtime.first_look().await?;
    let names: Vec<DatasetName> =
        runtime.hub.report().into_iter().flat_map(|root| root.datasets).map(|(name, _)| name).collect();
    console.say(&format!("looking at {}", plural(names.len(), "dataset")));
    let mut planned = Vec::new();
    let mut unread = Vec::new();
    for name in names {
        match plan(runtime, &name).await {
            Ok(Ensured::Queued) => planned.push(name),
            Ok(Ensured::Unsupported(reason)) => unread.push(facts::unreadable(
                name,
                Problem::without_answers(format!("{} ({reason})", reason.meaning().trim_end_matches('.'))),
            )),
            Ok(Ensured::Unknown) => unread.push(facts::empty(name)),
            Err(problem) => unread.push(facts::unreadable(name, problem)),
        }
    }
    let mut last_line = Instant::now();
    loop {
        // Files that change meanwhile are looked at as they are then.
        while let Ok(event) = events.try_recv() {
            runtime.refresher.follow(event).await;
        }
        let mut busy = 0;
        let mut jobs = 0;
        for name in &planned {
            let row = runtime.services.store.datasets.get(name).await?;
            let pending = row.map_or(0, |row| row.pending_jobs);
            busy += usize::from(pending > 0);
            jobs += pending;
        }
        if busy == 0 {
            break;
        }
        let done = planned.len() - busy;
        let line =
            format!("{done} of {} done, {} to do", plural(planned.len(), "dataset"), plural(jobs as usize, "job"));
        console.status(&line);
        if !console.is_terminal() && last_line.elapsed() > LINE {
            console.say(&line);
            last_line = Instant::now();
        }
        tokio::time::sleep(LOOK).await;
    }
    let router = runtime.router(config);
    let mut datasets: Vec<DatasetFacts> = unread;
    for name in planned {
        console.status(&format!("reading what users would see of {name}"));
        datasets.push(facts::of_dataset(runtime, &router, name).await?);
    }
    datasets.sort_by(|a, b| a.dataset.cmp(&b.dataset));
    Ok(Report::of(&runtime.hub.report(), datasets))
}

/// Queues what a dataset needs, once its files are at rest.
async fn plan(runtime: &Runtime, name: &DatasetName) -> Result<Ensured, Problem> {
    let started = Instant::now();
    loop {
        match runtime.refresher.ensure(name).await {
            Ok(ensured) => return Ok(ensured),
            Err(error) if error.is_busy() && started.elapsed() < PATIENCE => tokio::time::sleep(LOOK).await,
            Err(error) => {
                let message = anyhow::Error::new(error).chain().map(ToString::to_string).collect::<Vec<_>>().join(": ");
                return Err(Problem::without_answers(message));
            }
        }
    }
}
