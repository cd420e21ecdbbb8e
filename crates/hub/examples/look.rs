//! Tells what would be served from a folder, and how long it takes to find out: `look FOLDER…`.

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use belvedere_hub::local::{Layout, Root};
use belvedere_hub::revision::resolve_revision;
use belvedere_hub::{Hub, LocalHub, LocalOptions, ProcessMemory};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let roots: Vec<Root> = std::env::args().skip(1).map(|argument| Root::parse(&argument, Layout::Detect)).collect();
    let hub = Arc::new(LocalHub::open(&roots, Arc::new(ProcessMemory::default()), LocalOptions::default())?);
    for look in ["first look", "second look"] {
        let started = Instant::now();
        let tick = hub.scan(SystemTime::now()).await;
        println!("{look}: {} events in {:?}", tick.events.len(), started.elapsed());
    }
    for report in hub.report() {
        println!("{report}");
    }
    for dataset in hub.datasets().await? {
        let Some(head) = hub.head(&dataset).await? else { continue };
        println!("{dataset} at {}{}", head.revision, if head.is_provisional { " (provisional)" } else { "" });
        match resolve_revision(hub.clone(), &dataset, &head.revision).await? {
            Ok(resolution) => {
                for config in resolution.configs {
                    let splits: Vec<_> = config.split_names.iter().map(belvedere_domain::SplitName::as_str).collect();
                    let problem = config.files.err().map(|error| format!(" — {error}")).unwrap_or_default();
                    println!("  {} [{}]{problem}", config.name, splits.join(", "));
                }
            }
            Err(error) => println!("  {}: {error}", error.code),
        }
    }
    Ok(())
}
