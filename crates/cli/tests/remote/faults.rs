//! A Hub that fails (row 111).

use serde_json::{Value as Json, json};

use crate::Bed;
use crate::reading::{code_of, squares};

const ROWS: u32 = 3000;

fn first_and_last(server: &crate::common::Server, dataset: &str) -> (Json, Json) {
    let cell = |offset: u32| {
        let path = format!("/rows?dataset={dataset}&config=default&split=train&offset={offset}&length=1");
        server.ready(&path).1["rows"][0]["row"]["square"].clone()
    };
    (cell(0), cell(ROWS - 1))
}

/// e111 | a remote Hub answers 429 or 5xx, stalls, sends half a body, a longer, shorter or wrong one, changes a file under way,
/// or knows no ranges | the call waits, as long as the Hub asks for; a download goes on where it stopped with `If-Range`,
/// begins anew where it must, and counts only with the hash that the Hub has told
#[test]
fn e111_a_failing_hub_costs_time_and_no_byte() {
    let mut bed = Bed::new();
    bed.set("REMOTE_TIMEOUT_SECONDS", "2");
    let content = squares(ROWS);
    let last = json!(u64::from(ROWS - 1) * u64::from(ROWS - 1));
    let busy = json!({"status": 429, "headers": {"Retry-After": "0.1"}});
    let limited = json!({"status": 429, "headers": {"ratelimit": "\"api\";r=0;t=0"}});
    let faults: [(&str, &str, usize, Json); 12] = [
        ("busy-info", "/revision/", 1, busy.clone()),
        ("limited-tree", "/tree/", 2, limited),
        ("broken-tree", "/tree/", 2, json!({"status": 500})),
        ("busy", "GET /large/", 2, busy),
        ("unavailable", "GET /large/", 3, json!({"status": 503})),
        ("bad-gateway", "GET /large/", 1, json!({"status": 502})),
        ("half", "GET /large/", 2, json!({"body": "half"})),
        ("stalled", "GET /large/", 1, json!({"body": "stalled"})),
        ("longer", "GET /large/", 1, json!({"body": "longer"})),
        ("shorter", "GET /large/", 1, json!({"body": "shorter"})),
        ("wrong", "GET /large/", 1, json!({"body": "wrong"})),
        ("other", "GET /large/", 1, json!({"body": "other"})),
    ];
    let server = bed.serve();
    for (name, which, times, how) in &faults {
        let dataset = format!("ana/{name}");
        // Each dataset has a content of its own: what was downloaded once is not fetched again.
        let mut own = content.clone();
        own.extend(format!("0,{}\n", name.len() * 7 + usize::from(name.as_bytes()[0])).bytes());
        bed.hub.put(&dataset, &[("train.csv", &own)]);
        bed.hub.fail(which, *times, how);
        assert_eq!(first_and_last(&server, &dataset), (json!(0), last.clone()), "{name}");
    }
    let calls = bed.hub.asked("GET /large/");
    let goes_on = |call: &&String| call.contains("if-range=\"") && !call.contains("range=bytes=0-");
    assert!(calls.iter().filter(goes_on).count() >= 4, "{calls:#?}");
}

/// e111 | a remote Hub does not recover | the jobs are tried again, then the answer is `HfHubError`; the next look at the
/// dataset, hours later, tries once more
#[test]
fn e111_a_hub_that_stays_broken_ends_in_an_error_of_its_own() {
    let bed = Bed::new();
    bed.hub.put("ana/broken", &[("train.csv", &squares(ROWS))]);
    bed.hub.put("ana/lying", &[("train.csv", &squares(ROWS + 1))]);
    bed.hub.fail("GET /large/", 1_000_000, &json!({"body": "wrong"}));
    let server = bed.serve();
    let path = "/first-rows?dataset=ana/lying&config=default&split=train";
    assert_eq!(code_of(&server, path), (500, "hfhuberror".to_owned()));
    assert_eq!(code_of(&server, "/splits?dataset=ana/broken").0, 200);
}
