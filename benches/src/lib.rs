//! What several benchmarks share: tables in our layout, their files as the engine wants them, peers in Python, peak memory.

mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use belvedere_domain::data_files::{Reader, ResolvedConfig};
use belvedere_domain::{ConfigName, SplitName};
use belvedere_engine::call::{Convert, Footers, ParquetFile};
use belvedere_engine::source::SourceFile;
use belvedere_engine::{Call, FooterCache, Reply, Task, execute_with};

pub use server::Server;

/// A file as a Hub would list it.
///
/// # Errors
/// When it is not there.
pub fn listed(path: &Path) -> anyhow::Result<SourceFile> {
    let name = path.file_name().and_then(|name| name.to_str()).context("a file name")?;
    let size = fs::metadata(path)?.len();
    Ok(SourceFile { path: name.to_owned(), local_path: path.to_owned(), size, identity: None })
}

/// A Parquet file with its number of rows; its footer is in `cache` from then on.
///
/// # Errors
/// When it cannot be read.
pub fn parquet_file(path: &Path, cache: &FooterCache, task: &Task) -> anyhow::Result<ParquetFile> {
    let file = listed(path)?;
    match execute_with(&Call::Footers(Footers { files: vec![file.clone()] }), cache, task)? {
        Reply::Footers(footers) => Ok(ParquetFile { file, num_rows: footers.files[0].num_rows }),
        _ => bail!("footers were asked for"),
    }
}

/// A table as Parquet files of our layout, made in the directory `output`.
///
/// # Errors
/// When it cannot be read or written.
pub fn convert(table: &Path, reader: Reader, output: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let file = listed(table)?;
    let config = ResolvedConfig {
        name: ConfigName::new("default")?,
        reader,
        parameters: Default::default(),
        reader_features: None,
        declared_features: None,
        declared_splits: None,
        declared_texts: Default::default(),
        splits: [(SplitName::new("train")?, vec![file.path.clone()])].into_iter().collect(),
    };
    let call = Convert {
        config,
        files: vec![file],
        output: output.to_owned(),
        repository: "hf://datasets/bench/table@main".to_owned(),
        max_split_bytes: None,
        content_ids: Default::default(),
        segments: Vec::new(),
    };
    match belvedere_engine::execute(Call::Convert(call), &Task::default())? {
        Reply::Convert(converted) => {
            Ok(converted.splits[0].files.iter().map(|written| output.join(&written.path)).collect())
        }
        _ => bail!("a conversion was asked for"),
    }
}

/// The only file of a converted table.
///
/// # Errors
/// When there are more.
pub fn only(files: Vec<PathBuf>) -> anyhow::Result<PathBuf> {
    match <[PathBuf; 1]>::try_from(files) {
        Ok([file]) => Ok(file),
        Err(_) => bail!("the table does not fit in one file: take fewer rows"),
    }
}

/// What a program in Python prints.
///
/// # Errors
/// When it cannot be run, or fails; what it says then.
pub fn python(program: &Path, script: &str, arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
    let output = Command::new(program).args(["-c", script]).args(arguments).output();
    let output = output.with_context(|| format!("cannot run {}", program.display()))?;
    ensure!(output.status.success(), "the script failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

/// Largest memory of this process in bytes, where the system tells.
pub fn peak_memory() -> Option<f64> {
    server::memory_of(std::process::id(), "VmHWM:").ok()
}
