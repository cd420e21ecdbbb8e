//! Requests per second of a server under the load of many connections, and of a route that does nothing but answer with the
//! same bytes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// Answers per second that so many connections get, each asking again as soon as it has been answered.
pub(crate) fn answers_per_second(
    address: SocketAddr,
    path: &str,
    connections: usize,
    duration: Duration,
) -> anyhow::Result<f64> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    runtime.block_on(async {
        // Connections and caches warm up first.
        one(address, &request, Instant::now() + Duration::from_millis(200)).await?;
        let started = Instant::now();
        let end = started + duration;
        let clients: Vec<_> = (0..connections)
            .map(|_| {
                let request = request.clone();
                tokio::spawn(async move { one(address, &request, end).await })
            })
            .collect();
        let mut answers = 0;
        for client in clients {
            answers += client.await??;
        }
        Ok(answers as f64 / started.elapsed().as_secs_f64())
    })
}

/// What one connection gets until the end.
async fn one(address: SocketAddr, request: &str, end: Instant) -> anyhow::Result<u64> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut answers, mut buffer, mut held) = (0, vec![0; 1 << 20], 0);
    while Instant::now() < end {
        stream.write_all(request.as_bytes()).await?;
        let length = loop {
            if let Some(length) = length_of(&buffer[..held])?
                && held >= length
            {
                break length;
            }
            ensure!(held < buffer.len(), "an answer of more than a megabyte");
            let read = stream.read(&mut buffer[held..]).await?;
            ensure!(read > 0, "the server hung up");
            held += read;
        };
        buffer.copy_within(length..held, 0);
        held -= length;
        answers += 1;
    }
    Ok(answers)
}

/// Bytes of the answer that begins here, once its head is complete.
fn length_of(bytes: &[u8]) -> anyhow::Result<Option<usize>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end])?;
    if !head.starts_with("HTTP/1.1 200") {
        bail!("answered {}", head.lines().next().unwrap_or_default());
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
    });
    Ok(Some(end + 4 + length.context("an answer without length")??))
}

/// A server in a process of its own that answers everything with these bytes. Runs until it is killed.
pub(crate) fn serve_bytes(bytes: Vec<u8>, port: u16) -> anyhow::Result<()> {
    let bytes = bytes::Bytes::from(bytes);
    let router = belvedere_api::Router::new().fallback(move || {
        let bytes = bytes.clone();
        async move { bytes }
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        belvedere_api::serve(listener, router, CancellationToken::new()).await?;
        Ok(())
    })
}
