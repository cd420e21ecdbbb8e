//! What `belvedere doctor` tells of a remote Hub.

use serde_json::{Value as Json, json};

use crate::Bed;
use crate::common::program;
use crate::hub::{READER, WRITER};

/// What the doctor finds about the Hub, with these settings: status, message and hint of each finding.
fn findings(bed: &Bed, changes: &[(&str, &str)]) -> Vec<(String, String, String)> {
    let mut variables = bed.variables.clone();
    variables.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let output = program(bed.directory.path(), &variables, &["doctor", "--json"]).output().unwrap();
    let all = [output.stdout.as_slice(), &output.stderr].concat();
    let told = String::from_utf8_lossy(&all);
    assert!([READER, WRITER, "hf_nobody"].iter().all(|token| !told.contains(token)), "{told}");
    let report: Json = serde_json::from_slice(&output.stdout).unwrap();
    let text =
        |finding: &Json, name: &str| finding[name].as_str().unwrap_or_default().replace(&bed.hub.address, "http://hub");
    let findings = report["findings"].as_array().unwrap().iter().filter(|finding| finding["check"] == "remote Hub");
    findings.map(|finding| (text(finding, "status"), text(finding, "message"), text(finding, "hint"))).collect()
}

fn first_words(finding: &(String, String, String)) -> (&str, &str) {
    (&finding.0, finding.1.split(": ").next().unwrap())
}

#[test]
fn the_doctor_says_whether_the_hub_takes_the_tokens() {
    let bed = Bed::new();
    let found = findings(&bed, &[("PARQUET_AND_INFO_COMMITTER_HF_TOKEN", WRITER)]);
    let told: Vec<_> = found.iter().map(|(status, message, _)| format!("{status}: {message}")).collect();
    assert_eq!(
        told,
        [
            "ok: http://hub answers and takes the token for reads: it is hf_reader's".replace("hf_reader", "reader"),
            "ok: http://hub answers and takes the token for commits: it is writer's".to_owned(),
        ]
    );
    let found = findings(&bed, &[("HF_TOKEN", "")]);
    let message = "http://hub answers; without a token, only what is public is read";
    assert_eq!(found, [("ok".to_owned(), message.to_owned(), String::new())]);

    let found = findings(&bed, &[("HF_TOKEN", "hf_nobody")]);
    assert_eq!(first_words(&found[0]), ("problem", "http://hub does not know the token"));
    assert!(found[0].2.contains("COMMON_HF_TOKEN"), "{found:?}");

    let found = findings(&bed, &[("PARQUET_AND_INFO_COMMITTER_HF_TOKEN", READER)]);
    let message = "http://hub takes the token of reader, but it may only read";
    assert_eq!((found.len(), first_words(&found[1])), (2, ("problem", message)));
}

#[test]
fn the_doctor_says_why_the_hub_is_not_reached() {
    let bed = Bed::new();
    let found = findings(&bed, &[("REMOTE_ALLOWED_ADDRESSES", "")]);
    assert_eq!(first_words(&found[0]), ("problem", "http://hub is not called"));
    assert!(found[0].1.contains("127.0.0.1, which is not a public address"), "{found:?}");
    assert_eq!(bed.hub.asked("/api/"), Vec::<String>::new());

    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let found = findings(&bed, &[("HF_ENDPOINT", &format!("http://{nobody}"))]);
    assert_eq!((found.len(), found[0].0.as_str()), (1, "problem"));
    assert!(found[0].1.contains("gives no answer") && found[0].2.contains("COMMON_HF_ENDPOINT"), "{found:?}");

    bed.hub.fail("GET /api/whoami-v2", 1, &json!({"status": 503}));
    let found = findings(&bed, &[]);
    assert_eq!(first_words(&found[0]), ("warning", "http://hub"));
    bed.hub.fail("GET /api/whoami-v2", 1, &json!({"status": 404}));
    let found = findings(&bed, &[]);
    assert_eq!(first_words(&found[0]), ("problem", "http://hub does not answer as a Hub does"));

    let mut bed = bed;
    bed.variables.remove("HF_ENDPOINT");
    assert!(findings(&bed, &[]).is_empty());
}
