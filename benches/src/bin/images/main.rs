//! How long a user waits for the first rows of a folder of many small images, beside the Python peer of the reference.
//!
//! See `benches/README.md` for what is measured and how to run it.

#![expect(clippy::print_stdout, reason = "the figures are the output")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use belvedere_benches::{Server, python};
use clap::Parser;

/// Draws images of ten classes: `draw.py FOLDER COUNT`.
const DRAW: &str = include_str!("draw.py");
/// Loads the folder and makes the first 100 images anew: `load.py FOLDER STREAMING`. Prints seconds.
const LOAD: &str = include_str!("load.py");

const FIRST_ROWS: &str = "/first-rows?dataset=local/images&config=default&split=train";

#[derive(Parser)]
struct Args {
    /// The program to measure, built for release.
    belvedere: PathBuf,
    /// A Python with `datasets` and Pillow.
    #[arg(long)]
    python: PathBuf,
    /// Images in the folder.
    #[arg(long, default_value_t = 10_000)]
    images: u64,
    /// Cold starts, and runs of the peer.
    #[arg(long, default_value_t = 3)]
    runs: usize,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    ensure!(args.runs > 0, "at least one run is needed");
    let folder = tempfile::tempdir()?;
    let images = folder.path().join("images");
    let place = images.to_str().context("a path in UTF-8")?;
    python(&args.python, DRAW, &[place, &args.images.to_string()])?;
    println!("{} images of 64 × 64 pixels in ten folders, medians of {}:", args.images, args.runs);
    let ours =
        (0..args.runs).map(|_| cold_start(&args.belvedere, folder.path())).collect::<anyhow::Result<Vec<_>>>()?;
    let ours = median(ours);
    println!("  ours, from the start of the process to /first-rows: {:.0} ms", ours * 1e3);
    for (name, streaming) in [("load_dataset, then 100 images by Pillow", "0"), ("the same, streamed", "1")] {
        let run = || -> anyhow::Result<f64> {
            let told = python(&args.python, LOAD, &[place, streaming])?;
            Ok(String::from_utf8(told)?.trim().parse()?)
        };
        let theirs = median((0..args.runs).map(|_| run()).collect::<anyhow::Result<Vec<_>>>()?);
        println!("  {name}: {:.0} ms, ratio {:.1}", theirs * 1e3, theirs / ours);
    }
    Ok(())
}

/// Seconds from the start of a server that knows nothing to the first rows.
fn cold_start(program: &Path, folder: &Path) -> anyhow::Result<f64> {
    let state = tempfile::tempdir()?;
    let begin = Instant::now();
    let server = Server::start(program, folder, state.path())?;
    server.wait_for(FIRST_ROWS, Duration::from_secs(300))?;
    Ok(begin.elapsed().as_secs_f64())
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
