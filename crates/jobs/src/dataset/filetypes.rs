//! `dataset-filetypes`: how many files of which suffix a dataset has, also inside compressed files and zip archives.

use async_trait::async_trait;
use belvedere_domain::{Step, View};
use indexmap::IndexMap;

use crate::content::{Filetype, Filetypes};
use crate::job::{Job, JobContext, JobError, Ready};

const STEP: Step = Step::dataset("dataset-filetypes").triggered_by(&["dataset-init"]).version(1).difficulty(50);

const COMPRESSIONS: [&str; 7] = [".bz2", ".gz", ".gzip", ".lz4", ".xz", ".zst", ".zstd"];

pub(crate) struct FiletypesJob;

#[async_trait]
impl Job for FiletypesJob {
    fn step(&self) -> &'static Step {
        &STEP
    }

    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError> {
        let manifest = ctx.manifest().await?;
        let paths: Vec<&str> = manifest.files.iter().map(|file| file.path.as_str()).collect();
        // Only names count, except in archives, whose content is listed.
        let archives: Vec<_> = manifest.files.iter().filter(|file| extension(&file.path) == ".zip").collect();
        ctx.input("paths", &(&paths, &archives));
        if let Some(reused) = ctx.reuse().await? {
            return Ok(reused);
        }
        let mut counts = Counts::default();
        for path in &paths {
            counts.add(path, None);
        }
        for archive in archives {
            // An archive that cannot be read is a file like any other.
            for member in ctx.services.files.zip_members(&ctx.key.dataset, &ctx.revision, &archive.path).await? {
                counts.add(&member, Some(".zip"));
            }
        }
        Ok(View::ok(&counts.finish()).into())
    }
}

/// Files by suffix, in order of first appearance.
#[derive(Default)]
struct Counts(IndexMap<(String, Option<String>, Option<String>), u64>);

impl Counts {
    fn add(&mut self, path: &str, archived_in: Option<&str>) {
        let archived_in = archived_in.map(str::to_owned);
        let outer = extension(path);
        if COMPRESSIONS.contains(&outer.as_str()) {
            // The part before the last dot tells what is inside.
            let inner = extension(path.rsplit_once('.').map_or(path, |(inner, _)| inner));
            self.count(outer.clone(), None, archived_in.clone());
            self.count(inner, Some(outer), archived_in);
        } else {
            self.count(outer, None, archived_in);
        }
    }

    fn count(&mut self, extension: String, compressed_in: Option<String>, archived_in: Option<String>) {
        *self.0.entry((extension, archived_in, compressed_in)).or_default() += 1;
    }

    fn finish(self) -> Filetypes {
        let item = |((extension, archived_in, compressed_in), count)| Filetype {
            extension,
            count,
            archived_in,
            compressed_in,
        };
        Filetypes { filetypes: self.0.into_iter().map(item).collect() }
    }
}

/// `.csv` of `data/A.CSV?x`; empty without a dot.
fn extension(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    let Some((_, suffix)) = name.rsplit_once('.') else { return String::new() };
    let end = suffix.find(['?', '-', '_']).unwrap_or(suffix.len());
    format!(".{}", suffix[..end].to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_are_counted_inside_and_outside() {
        let mut counts = Counts::default();
        for path in ["README.md", "a/x.csv", "b/Y.CSV", "z.jsonl.gz", "LICENSE", "p.parquet?download=1"] {
            counts.add(path, None);
        }
        counts.add("in/c.png", Some(".zip"));
        insta::assert_snapshot!(serde_json::to_string(&counts.finish()).unwrap(), @r#"{"filetypes":[{"extension":".md","count":1},{"extension":".csv","count":2},{"extension":".gz","count":1},{"extension":".jsonl","count":1,"compressed_in":".gz"},{"extension":"","count":1},{"extension":".parquet","count":1},{"extension":".png","count":1,"archived_in":".zip"}]}"#);
    }
}
