//! Who follows logs, and does not read them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use belvedere_api::Patience;
use belvedere_store::tasks::{LogKey, LogPiece};

use super::Tasks;
use crate::connections::Served;

const PLACES: usize = 200;

/// Follows, and reads the head of the answer alone.
async fn follow(served: &Served, request: &str) -> (String, TcpStream) {
    let mut stream = served.connect_narrowly().await;
    stream.write_all(request.as_bytes()).unwrap();
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    (String::from_utf8(head).unwrap(), stream)
}

/// Tries to follow until there is a place.
async fn follow_in_the_end(served: &Served, request: &str) -> TcpStream {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let (head, stream) = follow(served, request).await;
        if head.starts_with("HTTP/1.1 200") {
            return stream;
        }
        assert!(Instant::now() < end, "those who left or do not read keep their places");
    }
}

/// e067 | hundreds follow a log, and some of them never read | beyond 200 there is 503 with `Retry-After`; nothing is read ahead for those who do not read, and they are cut off after two minutes, which makes room
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e067_followers_who_do_not_read_are_cut_off() {
    let tasks = Tasks::new().await;
    let id = tasks.submit(&tasks.ana).await;
    let key = LogKey { task: id, attempt: 1, stream: "out" };
    // More than the buffers of a narrow connection hold.
    for number in 0..8_u64 {
        let piece = LogPiece { generation: 0, start: number << 18, bytes: vec![b'x'; 1 << 18] };
        tasks.app.services.store.tasks.append_log(&key, piece).await.unwrap();
    }
    // The same places behind both. So it does not matter how long it takes to fill them: only one follower is in a hurry.
    let long = Patience { unread: Duration::from_secs(86_400), ..Patience::default() };
    let patient = Served::narrow(tasks.router.clone(), long);
    let hasty = Served::narrow(tasks.router.clone(), Patience { unread: Duration::from_millis(100), ..long });
    let request = format!(
        "GET /v1/tasks/{id}/logs?follow=sse HTTP/1.1\r\nhost: viewer.test\r\nauthorization: Bearer {}\r\n\r\n",
        tasks.ana
    );
    let mut idle = Vec::new();
    for _ in 0..PLACES {
        let (head, stream) = follow(&patient, &request).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        idle.push(stream);
    }
    for served in [&patient, &hasty] {
        let (head, _) = follow(served, &request).await;
        assert!(head.starts_with("HTTP/1.1 503") && head.contains("\r\nretry-after: 5\r\n"), "{head}");
    }
    // Who leaves makes room for one, who does not read.
    drop(idle.pop());
    let cut_off = follow_in_the_end(&hasty, &request).await;
    // There is room again only when that one was cut off.
    let last = follow_in_the_end(&patient, &request).await;
    drop((idle, cut_off, last));
}
