//! Files behind results that are lost while everything runs (row 116).

use std::fs;
use std::path::{Path, PathBuf};

use crate::bed::{Bed, FEW};
use crate::process::{Program, until};

/// All files below a folder whose names end like this.
fn files_below(folder: &Path, suffix: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_str().unwrap().ends_with(suffix) {
                found.push(path);
            }
        }
    }
    found
}

/// Loses all converted files and search indexes, asks for what was made of them, and expects it all back.
fn lose_and_ask(bed: &Bed, base: &str) {
    let page = |dataset: &str, what: &str| format!("{base}/{what}?dataset={dataset}&config=default&split=train");
    let (one, other) = (page("lab/one", "rows"), page("lab/other", "rows"));
    let before: Vec<_> = [&one, &other].map(|url| bed.get(url).body).into();
    let statistics = bed.get(&page("lab/one", "statistics")).body;
    for suffix in [".parquet", "/search-index"] {
        let lost = files_below(&bed.state(), suffix);
        assert_eq!(lost.len(), 2, "{lost:?}");
        lost.iter().for_each(|file| fs::remove_file(file).unwrap());
    }
    for (url, before) in [&one, &other].into_iter().zip(before) {
        until("the page is there again", || {
            let answer = bed.get(url);
            let code = answer.status;
            let told = String::from_utf8_lossy(&answer.body).into_owned();
            assert!(code == 200 || told.contains("not ready yet"), "{code}: {told}");
            (code == 200).then(|| assert!(answer.body == before, "{told}"))
        });
    }
    assert!(bed.get(&page("lab/one", "statistics")).body == statistics);
    let search = format!("{}&query=words", page("lab/one", "search"));
    until("the index is there again", || {
        assert_eq!(bed.get(&search).status, 200, "the texts are read meanwhile");
        (files_below(&bed.state(), "/search-index").len() == 1).then_some(())
    });
    bed.settle(base);
    bed.assert_files_whole(base);
}

fn two_datasets(mut bed: Bed) -> Bed {
    bed.write("one", FEW);
    bed.write("other", FEW * 2);
    // A loss counts as a failed run.
    bed.forgives_failed_runs = true;
    bed
}

/// e116 | converted files and indexes are lost: deleted by hand, or with a storage that is older than the database | who misses one
/// hears `ResponseNotReady`, and its step makes it again under the same name, so that nothing else has to be made anew;
/// searches do without an index meanwhile; what keeps being lost, or cannot be made again, ends as an error with its cause
#[test]
fn e116_files_that_are_lost_are_made_again() {
    let bed = two_datasets(Bed::sqlite());
    let mut server = bed.serve();
    let base = server.address();
    bed.settle(&base);
    lose_and_ask(&bed, &base);
    crate::whole::stop_in_order(vec![server]);
    bed.assert_views_whole(&bed.left_store());
    bed.assert_nothing_left();
}

/// e116 | the same with servers and workers of their own on one PostgreSQL | whoever misses a file queues its step, any worker makes
/// it again
#[test]
fn e116_files_that_are_lost_are_made_again_by_any_worker() {
    let Some(bed) = Bed::postgres() else { return };
    let bed = two_datasets(bed);
    let mut apis = [bed.api(), bed.api()];
    let bases = apis.each_mut().map(Program::address);
    let workers = [bed.worker(), bed.worker()];
    bases.iter().for_each(|base| bed.settle(base));
    lose_and_ask(&bed, &bases[0]);
    bed.assert_files_whole(&bases[1]);
    bed.assert_views_whole(bed.store());
    crate::whole::stop_in_order(apis.into_iter().chain(workers).collect());
    bed.assert_nothing_left();
}
