//! Clients that mean no good, over real sockets: they send slowly, read nothing, and misuse HTTP/2.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use belvedere_api::{Patience, Router, serve_with};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::birds;

/// No wait of a test is longer.
const LONGEST: Duration = Duration::from_secs(60);
/// A server of little patience.
pub(crate) const SHORT: Patience = Patience {
    head: Duration::from_millis(400),
    body: Duration::from_millis(400),
    bytes_per_second: 1000,
    unread: Duration::from_millis(400),
};

/// A router behind a socket, until the end of the test.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
}

impl Served {
    pub(crate) async fn new(router: Router, patience: Patience) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), router, patience)
    }

    /// With connections that take little more than was read.
    pub(crate) fn narrow(router: Router, patience: Patience) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(4096).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self::on(socket.listen(1024).unwrap(), router, patience)
    }

    fn on(listener: TcpListener, router: Router, patience: Patience) -> Self {
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        tokio::spawn(serve_with(listener, router, patience, stop.clone()));
        Self { address, stop }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LONGEST)).unwrap();
        stream.set_write_timeout(Some(LONGEST)).unwrap();
        stream
    }

    /// A connection that takes little before it is read.
    pub(crate) async fn connect_narrowly(&self) -> TcpStream {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let stream = socket.connect(self.address).await.unwrap().into_std().unwrap();
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(LONGEST)).unwrap();
        stream
    }

    /// Whether it answers.
    fn is_well(&self) -> bool {
        let mut stream = self.connect();
        stream.write_all(b"GET /healthcheck HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.starts_with("HTTP/1.1 200")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Sends a byte now and then until the server closes; what it has said.
fn drip(mut stream: TcpStream) -> String {
    let began = Instant::now();
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut said = Vec::new();
    loop {
        assert!(began.elapsed() < LONGEST, "the server waits and waits");
        let written = stream.write_all(b"x");
        let mut piece = [0; 1024];
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => said.extend(&piece[..read]),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
        if written.is_err() {
            break;
        }
    }
    String::from_utf8_lossy(&said).into_owned()
}

/// e086 | a client sends the head or the body of a request byte by byte, or nothing at all | its connection is closed when a minute has passed for the head, or half a minute and a second for each kB of the body; others are served
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e086_slow_requests_are_cut_off() {
    let app = birds().await;
    let served = Served::new(app.router().clone(), SHORT).await;
    let heads: [&[u8]; 3] = [
        b"GET /healthcheck HTTP/1.1\r\nhost: x\r\nx-",
        // The body is read by a route that refuses it, or by none at all.
        b"POST /auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n",
        b"POST /webhook HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nffff\r\n",
    ];
    let slow: Vec<_> = heads
        .into_iter()
        .map(|head| {
            let mut stream = served.connect();
            stream.write_all(head).unwrap();
            std::thread::spawn(move || drip(stream))
        })
        .collect();
    let silent = served.connect();
    assert!(served.is_well());
    for thread in slow {
        let said = thread.join().unwrap();
        assert!(!said.starts_with("HTTP/1.1 2"), "{said}");
    }
    let mut nothing = String::new();
    (&silent).read_to_string(&mut nothing).unwrap();
    assert!(nothing.is_empty() || nothing.starts_with("HTTP/1.1 408"), "{nothing}");
    assert!(served.is_well());
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `GET / HTTP/2` of `x`, as HPACK has it.
const REQUEST: &[u8] = &[0x82, 0x84, 0x86, 0x41, 0x01, b'x'];

/// Sends frames for as long as the server takes them. True if it said goodbye, or closed, before all were sent.
fn flood(mut stream: TcpStream, frames: impl Iterator<Item = Vec<u8>>) -> bool {
    let mut reader = stream.try_clone().unwrap();
    let reading = std::thread::spawn(move || {
        // Read, so that it is not for our sake that it stops.
        let mut all = Vec::new();
        let _ = reader.read_to_end(&mut all);
    });
    stream.write_all(PREFACE).unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).unwrap();
    let mut cut = false;
    for frame in frames {
        if stream.write_all(&frame).is_err() {
            cut = true;
            break;
        }
    }
    let _ = stream.shutdown(std::net::Shutdown::Both);
    reading.join().unwrap();
    cut
}

/// e090 | over HTTP/2 a client begins and takes back requests as fast as it can, or never ends the head of one | the connection is closed with the first hundreds of them; others are served
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e090_floods_of_http_2_are_cut_off() {
    let app = birds().await;
    let served = Served::new(app.router().clone(), Patience::default()).await;
    let resets = (0..200_000_u32).map(|number| {
        let stream = 2 * number + 1;
        let begin = frame(HEADERS, END_HEADERS | END_STREAM, stream, REQUEST);
        [begin, frame(RESET, 0, stream, &8_u32.to_be_bytes())].concat()
    });
    let stream = served.connect();
    let cut = tokio::task::spawn_blocking(move || flood(stream, resets)).await.unwrap();
    assert!(cut, "all of 200,000 requests were taken and taken back");
    assert!(served.is_well());
    // 16 kB each: a head of three gigabytes.
    let endless = std::iter::once(frame(HEADERS, 0, 1, REQUEST))
        .chain((0..200_000).map(|_| frame(CONTINUATION, 0, 1, &[0x40, 0x01, b'a', 0x01, b'b'].repeat(3276))));
    let stream = served.connect();
    let cut = tokio::task::spawn_blocking(move || flood(stream, endless)).await.unwrap();
    assert!(cut, "a head of three gigabytes was taken");
    assert!(served.is_well());
}
