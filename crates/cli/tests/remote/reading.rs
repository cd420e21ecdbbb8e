//! Datasets of a Hub are found, downloaded, converted and served; who may not read them is told so.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value as Json, json};

use crate::Bed;
use crate::common::Server;
use crate::hub::{GRANTED, READER};

const WINE: &[u8] = b"name,points\nriesling,93\nmerlot,88\n";

/// A file that the Hub keeps apart: numbers and their squares.
pub(crate) fn squares(rows: u32) -> Vec<u8> {
    let rows = (0..rows).map(|number| format!("{number},{}\n", u64::from(number) * u64::from(number)));
    std::iter::once("number,square\n".to_owned()).chain(rows).collect::<String>().into_bytes()
}

/// Status, head and JSON of an answer.
pub(crate) fn asked(server: &Server, method: &str, path: &str, headers: &str, body: &str) -> (u16, String, Json) {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_ascii_lowercase(), serde_json::from_str(body).unwrap_or_default())
}

/// The body of an answer of the Hub, which may be elsewhere.
pub(crate) fn bytes(address: &str, path: &str, token: &str) -> Vec<u8> {
    let host = address.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).unwrap();
    let token = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{token}\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    match head.lines().find_map(|line| line.strip_prefix("Location: ")) {
        None => answer[end + 4..].to_vec(),
        Some(location) => {
            let (address, path) = location.rsplit_once("/large/").unwrap();
            bytes(address, &format!("/large/{path}"), "")
        }
    }
}

/// Tells the server of a change, as a Hub does; status and words of the answer.
pub(crate) fn tell(server: &Server, event: &str, repo: &str) -> (u16, Json) {
    let body = json!({"event": event, "scope": "repo", "repo": {"type": "dataset", "name": repo}});
    let (status, _, json) = asked(server, "POST", "/webhook", "X-Webhook-Secret: hush\r\n", &body.to_string());
    (status, json)
}

/// The code of the error that a path ends in, once it is there.
pub(crate) fn code_of(server: &Server, path: &str) -> (u16, String) {
    let (status, _) = server.ready(path);
    let (_, head, _) = asked(server, "GET", path, "", "");
    let code = head.lines().find_map(|line| line.strip_prefix("x-error-code: "));
    (status, code.unwrap_or_default().to_owned())
}

#[test]
fn a_dataset_that_somebody_wants_to_read_is_fetched_and_served() {
    let bed = Bed::new();
    let card = b"---\nconfigs:\n- config_name: wine\n  data_files: wine data/train.csv\n- config_name: squares\n  \
        data_files: squares/*.csv\n---\n";
    let large = squares(2000);
    let files: [(&str, &[u8]); 4] = [
        ("README.md", card),
        ("wine data/train.csv", WINE),
        ("squares/train-0.csv", &large),
        ("squares/notes+%.txt", b"none"),
    ];
    let commit = bed.hub.put("ana/wine", &files);
    let server = bed.serve();
    let (status, splits) = server.ready("/splits?dataset=ana/wine");
    assert_eq!((status, splits["splits"].as_array().unwrap().len()), (200, 2), "{splits}");
    let rows = server.ready("/rows?dataset=ana/wine&config=wine&split=train").1;
    assert_eq!((&rows["rows"][1]["row"]["name"], &rows["num_rows_total"]), (&json!("merlot"), &json!(2)), "{rows}");
    let rows = server.ready("/rows?dataset=ana/wine&config=squares&split=train&offset=1999").1;
    assert_eq!(rows["rows"][0]["row"]["square"], json!(1999 * 1999), "{rows}");
    let (_, head, parquet) = asked(&server, "GET", "/parquet?dataset=ana/wine&config=wine", "", "");
    assert!(head.contains(&format!("x-revision: {commit}")), "{head}");
    // Nothing was sent to the Hub, so the file is served here.
    let url = parquet["parquet_files"][0]["url"].as_str().unwrap();
    assert!(url.starts_with("http://x/datasets/ana/wine/resolve/refs%2Fconvert%2Fparquet/wine/train/"), "{url}");
    let file = bytes(&server.address, url.trim_start_matches("http://x"), "");
    assert!(file.ends_with(b"PAR1"));
    // The token went to the Hub, and not to where it keeps large files.
    assert!(bed.hub.asked("/api/datasets/ana/wine/revision/main").iter().all(|call| call.contains("Bearer hf_reader")));
    let large = bed.hub.asked("GET /large/");
    assert!(!large.is_empty() && large.iter().all(|call| !call.contains("Bearer")), "{large:?}");
    // Each file came once, whoever read it, and the one that is not data did not come.
    for (path, times) in [("train-0.csv", 1), ("train.csv", 1), ("notes", 0)] {
        let calls = bed.hub.asked(&format!("{path} "));
        assert_eq!(calls.iter().filter(|call| call.contains("/resolve/")).count(), times, "{calls:?}");
    }
    assert!(server.told.iter().all(|line| !line.contains(READER)));
}

#[test]
fn a_webhook_brings_the_new_commit_and_takes_what_is_gone() {
    let mut bed = Bed::new();
    bed.set("REMOTE_ON_DEMAND", "false");
    bed.hub.put("ana/wine", &[("train.csv", WINE)]);
    let server = bed.serve();
    // Nobody has told of it, and readers cause no calls.
    assert_eq!(server.ready("/splits?dataset=ana/wine").0, 401);
    assert_eq!(bed.hub.asked("ana/wine"), Vec::<String>::new());
    assert_eq!(tell(&server, "add", "ana/wine").0, 200);
    assert_eq!(server.ready("/size?dataset=ana/wine").1["size"]["dataset"]["num_rows"], json!(2));
    let commit = bed.hub.put("ana/wine", &[("train.csv", b"name,points\nriesling,93\n"), ("README.md", b"# wine\n")]);
    assert_eq!(tell(&server, "update", "ana/wine").0, 200);
    loop {
        let (status, head, size) = asked(&server, "GET", "/size?dataset=ana/wine", "", "");
        // The first commit may never have been served as a whole: then the second is seen to come.
        if head.contains(&commit) && status != 500 {
            assert_eq!(size["size"]["dataset"]["num_rows"], json!(1), "{head} {size}");
            break;
        }
        std::thread::yield_now();
    }
    assert_eq!(tell(&server, "add", "ana/other").0, 400);
    bed.hub.put_with("ana/wine", &[("train.csv", WINE)], &json!({"disabled": true}));
    let (status, told) = tell(&server, "update", "ana/wine");
    assert_eq!(status, 400);
    assert!(told["error"].as_str().unwrap().contains("NotSupportedDisabledRepositoryError"), "{told}");
    assert_eq!(server.ready("/splits?dataset=ana/wine").0, 401);
}

#[test]
fn folders_and_the_hub_share_no_name() {
    let bed = Bed::new();
    bed.hub.put("lab/wine", &[("train.csv", WINE)]);
    bed.hub.put("lab/elsewhere", &[("train.csv", WINE)]);
    bed.hub.put("ana/wine", &[("train.csv", WINE)]);
    crate::common::put(&bed.directory.path().join("data/wine/train.csv"), b"name\nport\n");
    let server = bed.serve_with(&["lab=data"]);
    let first = |dataset: &str| {
        server.ready(&format!("/rows?dataset={dataset}&config=default&split=train")).1["rows"][0]["row"]["name"].clone()
    };
    assert_eq!((first("lab/wine"), first("ana/wine")), (json!("port"), json!("riesling")));
    assert_eq!(server.ready("/splits?dataset=lab/elsewhere").0, 401);
    assert_eq!(bed.hub.asked("/lab/"), Vec::<String>::new());
}

#[test]
fn what_may_not_be_read_ends_in_the_codes_of_the_reference() {
    let mut bed = Bed::new();
    bed.hub.put_with("ana/private", &[("train.csv", WINE)], &json!({"private": true}));
    bed.hub.put_with("ana/gated", &[("train.csv", WINE)], &json!({"gated": true}));
    bed.hub.put("ana/open", &[("train.csv", WINE)]);
    bed.set("API_HF_AUTH_PATH", "/api/datasets/%s/auth-check").set("API_HF_TIMEOUT_SECONDS", "30");
    let server = bed.serve();
    let with = |path: &str, token: &str| {
        let header = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
        loop {
            let (status, head, json) = asked(&server, "GET", path, &header, "");
            if status != 500 || !head.contains("responsenotready") {
                let code = head.lines().find_map(|line| line.strip_prefix("x-error-code: ")).unwrap_or_default();
                return (status, code.to_owned(), json);
            }
            std::thread::yield_now();
        }
    };
    let refused = |dataset: &str, token: &str| {
        let (status, code, _) = with(&format!("/splits?dataset={dataset}"), token);
        (status, code)
    };
    let unauthenticated = (401, "externalunauthenticatederror".to_owned());
    let refused_to_all = (404, "externalauthenticatederror".to_owned());
    for dataset in ["ana/private", "ana/gated", "ana/missing"] {
        assert_eq!(refused(dataset, ""), unauthenticated, "{dataset}");
    }
    assert_eq!(refused("ana/missing", READER), refused_to_all);
    assert_eq!(refused("ana/gated", READER), refused_to_all);
    assert_eq!(with("/splits?dataset=ana/private", READER).0, 200);
    // Our own token opens no gates, so that nothing of it can be shown to those who may read it.
    let (status, code, json) = with("/first-rows?dataset=ana/gated&config=default&split=train", GRANTED);
    assert_eq!((status, code.as_str()), (500, "hfhuberror"), "{json}");
    assert!(json["error"].as_str().unwrap().contains("accept its terms"), "{json}");
    assert_eq!(with("/splits?dataset=ana/open", "").0, 200);
    drop(server);

    bed.set("HF_TOKEN", GRANTED);
    std::fs::remove_dir_all(bed.directory.path().join(".belvedere")).unwrap();
    let server = bed.serve();
    let header = format!("Authorization: Bearer {GRANTED}\r\n");
    loop {
        let (status, _, json) = asked(&server, "GET", "/splits?dataset=ana/gated", &header, "");
        if status == 200 {
            assert_eq!(json["splits"][0]["split"], json!("train"));
            break;
        }
        std::thread::yield_now();
    }
    assert_eq!(asked(&server, "GET", "/splits?dataset=ana/gated", "", "").0, 401);
}
