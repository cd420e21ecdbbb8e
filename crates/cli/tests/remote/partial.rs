//! Large datasets: only what is needed comes.

use std::fs;

use serde_json::json;

use crate::Bed;
use crate::hub::WRITER;
use crate::reading::bytes;

/// Bytes that come at once.
const BLOCK: u64 = 4 << 20;

#[test]
fn a_conversion_that_stops_at_a_limit_takes_the_beginning_only() {
    let mut bed = Bed::new();
    bed.set("PARQUET_AND_INFO_MAX_DATASET_SIZE_BYTES", "200_000").set("REMOTE_WHOLE_BYTES", "1_000_000");
    let size = bed.hub.put_squares("ana/large", 700_000);
    assert!(size > 2 * BLOCK, "{size}");
    let server = bed.serve();
    let parquet = server.ready("/parquet?dataset=ana/large").1;
    assert_eq!(parquet["partial"], json!(true), "{parquet}");
    let urls: Vec<&str> =
        parquet["parquet_files"].as_array().unwrap().iter().map(|file| file["url"].as_str().unwrap()).collect();
    assert!(urls[0].ends_with("/default/partial-train/0000.parquet"), "{urls:?}");
    let rows = server.ready("/rows?dataset=ana/large&config=default&split=train&offset=5000&length=1").1;
    assert_eq!((&rows["rows"][0]["row"]["square"], &rows["partial"]), (&json!(25_000_000), &json!(true)), "{rows}");
    let size_of_all = server.ready("/size?dataset=ana/large").1;
    let splits = size_of_all["size"]["splits"].as_array().unwrap();
    let train = splits.iter().find(|split| split["split"] == "train").unwrap();
    let estimate = train["estimated_num_rows"].as_u64();
    assert!(estimate.is_some_and(|rows| rows > 100_000), "{estimate:?}");
    assert_eq!(bed.hub.sent_bytes(), BLOCK, "of {size}");
}

#[test]
fn of_many_files_only_those_come_that_fit_under_the_limit() {
    let mut bed = Bed::new();
    bed.set("PARQUET_AND_INFO_MAX_DATASET_SIZE_BYTES", "200_000");
    bed.hub.put_many_squares("ana/many", 100, 6000);
    let server = bed.serve();
    let size = server.ready("/size?dataset=ana/many").1;
    // 16 bytes of each row: 6,000 of the first file, 6,001 of the second, and what is missing of the third.
    assert!(size["size"]["dataset"]["num_rows"].as_u64().is_some_and(|rows| rows > 12_001), "{size}");
    let calls = bed.hub.asked("GET /large/");
    assert!((3..=4).contains(&calls.len()), "{calls:#?}");
}

#[test]
fn rows_of_a_large_parquet_file_take_its_footer_and_their_pages() {
    let mut bed = Bed::new();
    // A file of many row groups, converted and committed by another server.
    bed.set("COMMITTER_HF_TOKEN", WRITER).set("PARQUET_AND_INFO_MAX_DATASET_SIZE_BYTES", "unlimited");
    bed.hub.put_squares("ana/source", 1_200_000);
    let server = bed.serve();
    let size = server.ready("/parquet?dataset=ana/source").1["parquet_files"][0]["size"].as_u64().unwrap();
    assert!(size > 2 * BLOCK, "{size}");
    drop(server);
    let converted = ("ana/source", "refs/convert/parquet", "default/train/0000.parquet");
    bed.hub.put_copy("ana/large", "train.parquet", converted);
    fs::remove_dir_all(bed.directory.path().join(".belvedere")).unwrap();
    let before = bed.hub.sent_bytes();
    bed.set("REMOTE_WHOLE_BYTES", "1_000_000").set("PARQUET_LAYOUT_MAX_BYTES", "0");
    // What reads all of the file.
    bed.set("WORKER_JOB_TYPES_BLOCKED", "split-descriptive-statistics,split-search-index,config-parquet-layout");
    bed.variables.remove("COMMITTER_HF_TOKEN");
    let server = bed.serve();
    let rows = server.ready("/rows?dataset=ana/large&config=default&split=train&offset=10&length=1").1;
    assert_eq!(
        (&rows["rows"][0]["row"]["square"], &rows["num_rows_total"]),
        (&json!(100), &json!(1_200_000)),
        "{rows}"
    );
    let sent = bed.hub.sent_bytes() - before;
    assert!(sent < size / 2 + BLOCK, "{sent} of {size}");
    // Sent as a whole, it is downloaded as a whole, and checked.
    let url = "/datasets/ana/source/resolve/refs%2Fconvert%2Fparquet/default/train/0000.parquet";
    let own = bytes(&format!("http://{}", server.address), &url.replace("source", "large"), "");
    assert!(own == bytes(&bed.hub.address, url, WRITER), "the file that is sent is another one");
}

#[test]
fn what_does_not_fit_into_the_room_for_downloads_is_told_and_parts_do_fit() {
    let mut bed = Bed::new();
    bed.set("PARQUET_AND_INFO_MAX_DATASET_SIZE_BYTES", "200_000").set("REMOTE_CACHE_BYTES", "6_000_000");
    let size = bed.hub.put_squares("ana/large", 600_000);
    assert!(size > 7_000_000, "{size}");
    let server = bed.serve();
    let (_, told) = server.ready("/first-rows?dataset=ana/large&config=default&split=train");
    assert!(told["error"].as_str().is_some_and(|text| text.contains("remote.cache_bytes")), "{told}");
    drop(server);
    fs::remove_dir_all(bed.directory.path().join(".belvedere")).unwrap();
    bed.set("REMOTE_WHOLE_BYTES", "1_000_000");
    let server = bed.serve();
    let (status, rows) = server.ready("/first-rows?dataset=ana/large&config=default&split=train");
    assert_eq!((status, &rows["rows"][1]["row"]["number"]), (200, &json!(1)), "{rows}");
}
