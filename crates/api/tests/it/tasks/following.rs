//! Who follows logs, and does not read them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

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
    let served = Served::new(tasks.router.clone(), SHORT).await;
    let head = format!(
        "GET /v1/tasks/{id}/logs?follow=sse HTTP/1.1\r\nhost: viewer.test\r\nauthorization: Bearer {}\r\n\r\n",
        tasks.ana
    );
    let follow = async |count: usize| {
        let mut followers = Vec::new();
        for _ in 0..count {
            let mut stream = served.connect_narrowly().await;
            stream.write_all(head.as_bytes()).unwrap();
            followers.push(stream);
        }
        followers
    };
    let status = |mut stream: &TcpStream| {
        let mut line = [0; 12];
        stream.read_exact(&mut line).unwrap();
        String::from_utf8_lossy(&line).into_owned()
    };
    let idle = follow(250).await;
    let told: Vec<_> = idle.iter().map(status).collect();
    let taken = told.iter().filter(|line| *line == "HTTP/1.1 200").count();
    let refused = told.iter().filter(|line| *line == "HTTP/1.1 503").count();
    assert!((1..=200).contains(&taken) && taken + refused == 250, "{taken} {refused}");
    // They are still there, and read nothing more: in the end there is room all the same.
    let end = Instant::now() + Duration::from_secs(60);
    let mut rooms = 0;
    while rooms < 200 {
        assert!(Instant::now() < end, "there is no room");
        let followers = follow(200).await;
        rooms = followers.iter().map(status).filter(|line| line == "HTTP/1.1 200").count();
    }
    drop(idle);
}
