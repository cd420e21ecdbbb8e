//! Connections over any listener: HTTP/1.1 and HTTP/2, with bounds on how long a client may keep us waiting.
//!
//! Whoever sends its request, or reads its answer, so slowly that it can only be meant to keep a connection open is cut off.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, Request};
use axum::serve::Listener;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// Requests at the same time on one connection of HTTP/2.
const STREAMS: u32 = 100;

/// How long clients are waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// For the head of a request; on a connection that is kept open, from the end of the answer before.
    pub head: Duration,
    /// For the body of a request, beside the time that [`Patience::bytes_per_second`] allows for its bytes.
    pub body: Duration,
    /// As slowly may the body of a request come.
    pub bytes_per_second: u32,
    /// For a client that reads nothing while there is something to be read.
    pub unread: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(60),
            body: Duration::from_secs(30),
            bytes_per_second: 1000,
            unread: Duration::from_secs(120),
        }
    }
}

/// Serves until `stop`; answers in work are finished first, as long as their readers read.
///
/// # Errors
/// Never, as of now: a listener that fails tries again.
pub async fn serve_with<L>(
    mut listener: L,
    router: Router,
    patience: Patience,
    stop: CancellationToken,
) -> io::Result<()>
where
    L: Listener<Addr = SocketAddr>,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(patience.head);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS);
    builder.http2().keep_alive_interval(patience.unread / 2).keep_alive_timeout(patience.unread / 2);
    let builder = Arc::new(builder);
    // Closed when the last connection is.
    let (open, held) = watch::channel(());
    loop {
        let (io, peer) = tokio::select! {
            connection = listener.accept() => connection,
            () = stop.cancelled() => break,
        };
        let (builder, router, stop, held) = (Arc::clone(&builder), router.clone(), stop.clone(), held.clone());
        tokio::spawn(async move {
            let service = router.map_request(move |request: Request<Incoming>| {
                let mut request = request.map(|body| Body::new(Paced::new(body, patience)));
                request.extensions_mut().insert(ConnectInfo(peer));
                request
            });
            let io = TokioIo::new(Watched::new(io, patience));
            let mut connection = pin!(builder.serve_connection(io, TowerToHyperService::new(service)));
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%peer, error = &*error, "a connection was broken off");
            }
            drop(held);
        });
    }
    drop((held, listener));
    open.closed().await;
    Ok(())
}

/// The body of a request that must not come too slowly. Only the time is counted in which somebody waits for it.
struct Paced {
    inner: Incoming,
    patience: Patience,
    bytes: u64,
    waited: Duration,
    waits: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Paced {
    fn new(inner: Incoming, patience: Patience) -> Self {
        Self { inner, patience, bytes: 0, waited: Duration::ZERO, waits: None }
    }

    /// How long it may still be waited for.
    fn left(&self) -> Duration {
        let seconds = self.bytes as f64 / f64::from(self.patience.bytes_per_second.max(1));
        (self.patience.body + Duration::from_secs_f64(seconds)).saturating_sub(self.waited)
    }
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Ready(frame) => {
                this.waited += this.waits.take().map_or(Duration::ZERO, |(since, _)| since.elapsed());
                if let Some(Ok(frame)) = &frame {
                    this.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                }
                Poll::Ready(frame.map(|frame| frame.map_err(axum::Error::new)))
            }
            Poll::Pending => {
                let left = this.left();
                let (_, sleep) = this.waits.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(left))));
                ready!(sleep.as_mut().poll(cx));
                let error = io::Error::new(io::ErrorKind::TimedOut, "the body of the request comes too slowly");
                Poll::Ready(Some(Err(axum::Error::new(error))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// How a connection of HTTP/2 begins. Until it is clear whether one is, nobody else looks at the clock.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection that ends when its client does not begin, or reads nothing of what is there to be read.
struct Watched<T> {
    inner: T,
    /// Until it is known what the client speaks.
    begins: Option<Pin<Box<Sleep>>>,
    /// Bytes of the preface that have come.
    matched: usize,
    unread: Duration,
    /// A flush that is done says nothing about a write that waits, so each has its own.
    write_waits: Option<Pin<Box<Sleep>>>,
    flush_waits: Option<Pin<Box<Sleep>>>,
}

impl<T> Watched<T> {
    fn new(inner: T, patience: Patience) -> Self {
        let begins = Some(Box::pin(sleep(patience.head)));
        Self { inner, begins, matched: 0, unread: patience.unread, write_waits: None, flush_waits: None }
    }

    /// Looks at the first bytes.
    fn begin(&mut self, came: &[u8]) {
        for byte in came {
            if PREFACE.get(self.matched) != Some(byte) {
                self.begins = None;
                return;
            }
            self.matched += 1;
        }
        if self.matched == PREFACE.len() {
            self.begins = None;
        }
    }
}

/// Passes on what came of writing, unless nothing has for too long.
fn watch<R>(
    waits: &mut Option<Pin<Box<Sleep>>>,
    unread: Duration,
    cx: &mut Context<'_>,
    came: Poll<io::Result<R>>,
) -> Poll<io::Result<R>> {
    if came.is_ready() {
        *waits = None;
        return came;
    }
    ready!(waits.get_or_insert_with(|| Box::pin(sleep(unread))).as_mut().poll(cx));
    Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client reads nothing")))
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let (this, before) = (self.get_mut(), buffer.filled().len());
        let came = Pin::new(&mut this.inner).poll_read(cx, buffer);
        let Some(begins) = &mut this.begins else { return came };
        if came.is_ready() {
            this.begin(&buffer.filled()[before..]);
            return came;
        }
        ready!(begins.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not begin")))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let came = Pin::new(&mut this.inner).poll_write(cx, bytes);
        watch(&mut this.write_waits, this.unread, cx, came)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let came = Pin::new(&mut this.inner).poll_write_vectored(cx, bytes);
        watch(&mut this.write_waits, this.unread, cx, came)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let came = Pin::new(&mut this.inner).poll_flush(cx);
        watch(&mut this.flush_waits, this.unread, cx, came)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let came = Pin::new(&mut this.inner).poll_shutdown(cx);
        watch(&mut this.flush_waits, this.unread, cx, came)
    }
}
