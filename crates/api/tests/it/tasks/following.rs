//! Who follows logs, and does not read them.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use belvedere_api::Patience;
use belvedere_store::tasks::{LogKey, LogPiece};

use super::Tasks;
use crate::connections::{SHORT, Served};

/// e067 | hundreds follow a log, and some of them never read | beyond 200 there is 503 with `Retry-After`; nothing is read ahead for those who do not read, and they are cut off after two minutes, which makes room
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e067_followers_who_do_not_read_are_cut_off() {
    let tasks = Tasks::new().await;
    let id = tasks.submit(&tasks.ana).await;
    let key = LogKey { task: id, attempt: 1, stream: "out" };
    // More than the buffers of a connection hold.
    for number in 0..16_u64 {
        let piece = LogPiece { generation: 0, start: number << 18, bytes: vec![b'x'; 1 << 18] };
        tasks.app.services.store.tasks.append_log(&key, piece).await.unwrap();
    }
    // Long enough for all to come.
    let patience = Patience { unread: Duration::from_secs(5), ..SHORT };
    let served = Served::new(tasks.router.clone(), patience).await;
    let head = format!(
        "GET /v1/tasks/{id}/logs?follow=sse HTTP/1.1\r\nhost: viewer.test\r\nauthorization: Bearer {}\r\n\r\n",
        tasks.ana
    );
    let follow = async || {
        let mut stream = served.connect_narrowly().await;
        stream.write_all(head.as_bytes()).unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        (String::from_utf8_lossy(&status).into_owned(), stream)
    };
    // None of them reads more than this.
    let mut idle = Vec::new();
    loop {
        let (status, stream) = follow().await;
        if status == "HTTP/1.1 503" {
            break;
        }
        assert_eq!(status, "HTTP/1.1 200");
        idle.push(stream);
        assert!(idle.len() < 1000, "everybody may follow");
    }
    let end = Instant::now() + Duration::from_secs(60);
    while follow().await.0 != "HTTP/1.1 200" {
        assert!(Instant::now() < end, "those who do not read keep their places");
    }
    drop(idle);
}
