//! How files of datasets come to a cluster. Its own commands are not needed for that: the helper runs on this machine.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::mpsc;

use belvedere_domain::task::{AttemptTag, ClusterName};
use belvedere_tasks::profile::ClustersFile;
use belvedere_tasks::stage::{Content, Delivery};
use belvedere_tasks::{Catalog, ClusterError, new_task_id};
use sha2::{Digest as _, Sha256};

fn catalog(root: &std::path::Path, staging: &str) -> Catalog {
    let text = format!(
        "[clusters.c]\ndriver = \"slurm\"\ntransport = {{ kind = \"direct\" }}\nremote_root = \"{}\"\n{staging}\n",
        root.display()
    );
    let mut catalog = Catalog::default();
    for (name, profile) in ClustersFile::parse(&text).unwrap().clusters {
        catalog = catalog.with_profile(name, profile).unwrap();
    }
    catalog
}

fn delivery(path: std::path::PathBuf, bytes: &[u8], url: Option<String>) -> Delivery {
    let sha256 = hex::encode(Sha256::digest(bytes));
    Delivery { name: "data/wine.csv".into(), content: Content::File(path), size: bytes.len() as u64, sha256, url }
}

async fn stage(catalog: &Catalog, delivery: &Delivery) -> Result<AttemptTag, ClusterError> {
    let member = catalog.member(&ClusterName::new("c").unwrap()).unwrap();
    let tag = new_task_id(1).tag(1);
    member.cluster.stage(&tag, std::slice::from_ref(delivery)).await.map(|()| tag)
}

/// Answers every request with these bytes; the lines that ask.
fn server(bytes: &'static [u8]) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, asked) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().unwrap().unwrap();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            if sender.send(first).is_err() {
                return;
            }
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", bytes.len());
            stream.write_all(&[head.as_bytes(), bytes].concat()).unwrap();
        }
    });
    (url, asked)
}

#[tokio::test]
async fn a_cluster_fetches_files_by_their_address_once() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let catalog = catalog(&root, "staging = \"pull\"\nserver_url = \"http://127.0.0.1:9\"");
    let (url, asked) = server(b"a,b\n1,2\n");
    // The server's own path is not looked at.
    let url = format!("{url}/v1/tasks/x/inputs/y?expires=1&signature=a-b_c");
    let one = delivery("/nonexistent".into(), b"a,b\n1,2\n", Some(url.clone()));
    let tag = stage(&catalog, &one).await.unwrap();
    assert_eq!(asked.recv().unwrap(), "GET /v1/tasks/x/inputs/y?expires=1&signature=a-b_c HTTP/1.1");
    assert_eq!(std::fs::read(root.join(tag.as_str()).join("data/wine.csv")).unwrap(), b"a,b\n1,2\n");
    // What is there is not fetched again.
    stage(&catalog, &one).await.unwrap();
    assert!(asked.try_recv().is_err());
    // What comes is not what was meant.
    let other = delivery("/nonexistent".into(), b"other", Some(url));
    let Err(ClusterError::Refused(said)) = stage(&catalog, &other).await else { panic!("it was taken") };
    assert!(said.contains("did not arrive as it was sent"), "{said}");
    let gone = delivery("/nonexistent".into(), b"gone", Some("http://127.0.0.1:1/x".into()));
    let Err(ClusterError::Refused(said)) = stage(&catalog, &gone).await else { panic!("it was taken") };
    assert!(said.contains("could not be fetched"), "{said}");
    let kept: Vec<_> = std::fs::read_dir(root.join(".data")).unwrap().collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
}

#[tokio::test]
async fn a_cluster_that_sees_the_files_copies_them() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let catalog = catalog(&root, "staging = \"shared\"");
    let path = folder.path().join("it's $(id) wine.csv");
    std::fs::write(&path, "wine").unwrap();
    let tag = stage(&catalog, &delivery(path.clone(), b"wine", None)).await.unwrap();
    assert_eq!(std::fs::read(root.join(tag.as_str()).join("data/wine.csv")).unwrap(), b"wine");
    // The original has been changed meanwhile.
    let error = stage(&catalog, &delivery(path, b"older", None)).await.unwrap_err();
    assert!(matches!(error, ClusterError::Refused(said) if said.contains("did not arrive as it was sent")));
}

#[tokio::test]
async fn folders_of_attempts_are_found_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let catalog = catalog(&root, "");
    let cluster = &catalog.members().next().unwrap().cluster;
    assert_eq!(cluster.folders().await.unwrap(), []);
    let path = folder.path().join("wine.csv");
    std::fs::write(&path, "wine").unwrap();
    let tag = stage(&catalog, &delivery(path, b"wine", None)).await.unwrap();
    std::fs::create_dir(root.join("bv-somebody-else")).unwrap();
    assert_eq!(cluster.folders().await.unwrap(), std::slice::from_ref(&tag));
    cluster.remove(&tag).await.unwrap();
    cluster.remove(&tag).await.unwrap();
    assert_eq!(cluster.folders().await.unwrap(), []);
    assert!(root.join("bv-somebody-else").is_dir());
    cluster.trim(std::time::Duration::from_secs(3600)).await.unwrap();
    assert_eq!(std::fs::read_dir(root.join(".data")).unwrap().count(), 1);
}

#[test]
fn files_are_fetched_only_from_an_address() {
    for staging in ["staging = \"pull\"", "staging = \"pull\"\nserver_url = \"/v1\"", "staging = \"other\""] {
        let text = format!(
            "[clusters.c]\ndriver = \"slurm\"\ntransport = {{ kind = \"direct\" }}\nremote_root = \"/r\"\n{staging}\n"
        );
        assert!(ClustersFile::parse(&text).is_err(), "{staging}");
    }
}
