//! Roles in processes of their own, as on many machines: one database, one bucket, nothing else in common.

use std::collections::BTreeSet;

use crate::bed::{Bed, FEW, names_in};
use crate::process::until;
use crate::whole::stop_in_order;

/// What a process may keep on its machine: caches and places for work, nothing that is missed, and the place for files of
/// tasks, where nothing is in this test.
const CACHES: [&str; 6] = ["blob-cache", "cached-assets", "scratch", "statistics", "tasks", "tmp"];

/// The bucket of the tests, under a prefix of this test's own; `None` when no server is named.
fn bucket(bed: &mut Bed) -> Option<String> {
    let var = |name: &str| std::env::var(format!("BELVEDERE_TEST_S3_{name}")).ok();
    let endpoint = var("ENDPOINT")?;
    let url = format!("s3://{}/machines-{}", var("BUCKET").unwrap(), std::process::id());
    for (name, value) in [
        ("S3_ENDPOINT_URL", endpoint),
        ("S3_REGION_NAME", var("REGION").unwrap()),
        ("S3_ACCESS_KEY_ID", var("KEY_ID").unwrap()),
        ("S3_SECRET_ACCESS_KEY", var("SECRET").unwrap()),
        ("BLOBS_URL", url.clone()),
    ] {
        bed.set(name, &value);
    }
    Some(url)
}

#[test]
fn an_api_two_workers_and_a_monitor_share_a_database_and_a_bucket() {
    let Some(mut bed) = Bed::postgres() else { return };
    let Some(_url) = bucket(&mut bed) else { return };
    bed.set("MAINTENANCE_CLEAN_SECONDS", "1");
    bed.write("one", 20 * FEW);
    bed.write("two", FEW);
    let monitor = bed.monitor();
    let light = bed.worker_with(&[("WORKER_DIFFICULTY_MAX", "40")]);
    let heavy = bed.worker_with(&[("WORKER_DIFFICULTY_MIN", "41")]);
    let mut api = bed.api();
    let base = api.address();
    bed.settle(&base);

    // The files are in the bucket, and every role reads them from there: pages, filters, searches, downloads.
    let split = "dataset=lab/one&config=default&split=train";
    for (path, count) in [
        (format!("rows?{split}&offset=1990&length=10"), 10),
        (format!("filter?{split}&where=%22id%22=7&length=5"), 2),
        (format!("search?{split}&query=words&length=3"), 3),
    ] {
        let answer = bed.get(&format!("{base}/{path}"));
        assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
        assert_eq!(answer.json()["rows"].as_array().unwrap().len(), count, "{path}");
    }
    let kept = names_in(&bed.state());
    assert!(kept.iter().all(|name| CACHES.contains(&name.as_str())), "only caches are on this machine: {kept:?}");

    // Of four processes one does each chore, and a new revision is served without anybody's help.
    bed.write("two", 2 * FEW);
    bed.settle(&base);
    until("every chore was done", || {
        let duties = bed.runtime.block_on(bed.store().housekeeping.duties()).unwrap();
        let done: BTreeSet<String> =
            duties.into_iter().filter(|duty| duty.done_at.is_some()).map(|duty| duty.name).collect();
        ["backfill", "copies", "files", "retry-errors", "revisions"]
            .iter()
            .all(|name| done.contains(*name))
            .then_some(())
    });
    for (program, words) in [(&light, "the worker runs"), (&heavy, "the worker runs"), (&monitor, "the monitor runs")] {
        program.says(words);
        let secret = std::env::var("BELVEDERE_TEST_S3_SECRET").unwrap();
        assert!(!program.log().contains(&secret), "keys stay out of logs");
    }
    bed.assert_files_whole(&base);
    bed.assert_views_whole(bed.store());
    stop_in_order(vec![light, heavy, monitor, api]);
    bed.assert_nothing_left();
    let database = bed.database.take().unwrap();
    bed.runtime.block_on(database.remove());
}
