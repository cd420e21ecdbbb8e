//! Streams of server-sent events: what all who follow something have in common, whatever it is.
//!
//! A follower holds one of a bounded number of places, hears what its [`Source`] tells, and in silence a comment that
//! keeps the connection open. The stream ends with its source, with the server, or when the client leaves. Nothing is
//! read ahead: the source is asked again when all it told was taken. So one who does not read costs one answer of the
//! source, and its place until the connection is cut off (`Patience::unread`).

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures::stream::{self, BoxStream, Stream, StreamExt as _};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use crate::state::ApiState;

/// Silence after which a comment is sent.
const SILENCE: Duration = Duration::from_secs(15);

/// What is followed.
pub(crate) trait Source: Send + 'static {
    /// Waits until there may be something to tell, and adds it. [`ControlFlow::Break`]: that was all.
    ///
    /// Never dropped before it ends, unless the stream itself ends.
    fn tell(&mut self, told: &mut Vec<Bytes>) -> impl Future<Output = ControlFlow<()>> + Send;

    /// The last event of a stream that ends with the server. Without one it just ends.
    fn farewell() -> Option<Bytes> {
        None
    }

    /// A comment, which clients pass over.
    fn comment(_: &ApiState) -> Bytes {
        Bytes::from_static(b":\n\n")
    }
}

/// An event. `name` and `id` are ours; `data` may have several lines.
pub(crate) fn event(name: &str, id: Option<&str>, data: &str) -> Bytes {
    let id = id.map_or_else(String::new, |id| format!("id: {id}\n"));
    let data = data.replace('\n', "\ndata: ").replace('\r', "\rdata: ");
    Bytes::from(format!("event: {name}\n{id}data: {data}\n\n"))
}

/// The answer that tells what the source does, to one who holds a place.
pub(crate) fn follow<S: Source>(state: Arc<ApiState>, place: OwnedSemaphorePermit, source: S) -> Response {
    let stop = state.stop.clone();
    let frames = frames(source, place, stop, SILENCE, move || S::comment(&state));
    let mut response = Response::new(Body::from_stream(frames.map(Ok::<_, Infallible>)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// A stream that has not ended.
struct Following {
    told: BoxStream<'static, Bytes>,
    /// The farewell was said.
    is_over: bool,
    _place: OwnedSemaphorePermit,
}

fn frames<S: Source>(
    source: S,
    place: OwnedSemaphorePermit,
    stop: CancellationToken,
    silence: Duration,
    comment: impl Fn() -> Bytes + Send + 'static,
) -> impl Stream<Item = Bytes> + Send {
    let told = stream::unfold(Some(source), async |source| {
        let (mut source, mut told) = (source?, Vec::new());
        let flow = source.tell(&mut told).await;
        Some((stream::iter(told), flow.is_continue().then_some(source)))
    });
    let following = Following { told: told.flatten().boxed(), is_over: false, _place: place };
    stream::unfold((following, stop, comment), move |(mut following, stop, comment)| async move {
        if following.is_over {
            return None;
        }
        let frame = tokio::select! {
            // What was told already is still sent.
            biased;
            frame = following.told.next() => frame?,
            () = stop.cancelled() => {
                following.is_over = true;
                S::farewell()?
            }
            () = tokio::time::sleep(silence) => comment(),
        };
        Some((frame, (following, stop, comment)))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    /// Tells each list when asked; then it ends, or is silent for ever.
    struct Lists {
        lists: VecDeque<Vec<&'static str>>,
        ends: bool,
        asked: Arc<AtomicUsize>,
    }

    impl Source for Lists {
        async fn tell(&mut self, told: &mut Vec<Bytes>) -> ControlFlow<()> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let Some(list) = self.lists.pop_front() else {
                return match self.ends {
                    true => ControlFlow::Break(()),
                    false => std::future::pending().await,
                };
            };
            told.extend(list.into_iter().map(Bytes::from));
            ControlFlow::Continue(())
        }

        fn farewell() -> Option<Bytes> {
            Some(Bytes::from("farewell"))
        }
    }

    struct Followed {
        frames: BoxStream<'static, Bytes>,
        places: Arc<Semaphore>,
        asked: Arc<AtomicUsize>,
        stop: CancellationToken,
    }

    impl Followed {
        fn new(lists: &[&[&'static str]], ends: bool, silence: Duration) -> Self {
            let (places, asked, stop) = (Arc::new(Semaphore::new(1)), Arc::default(), CancellationToken::new());
            let place = Arc::clone(&places).try_acquire_owned().unwrap();
            let lists = lists.iter().map(|list| list.to_vec()).collect();
            let source = Lists { lists, ends, asked: Arc::clone(&asked) };
            let frames = frames(source, place, stop.clone(), silence, || Bytes::from("comment")).boxed();
            Self { frames, places, asked, stop }
        }

        async fn next(&mut self) -> Option<String> {
            self.frames.next().await.map(|frame| String::from_utf8(frame.to_vec()).unwrap())
        }
    }

    const FOR_EVER: Duration = Duration::from_secs(1 << 30);

    #[tokio::test]
    async fn the_source_is_asked_again_when_all_it_told_was_taken() {
        let mut followed = Followed::new(&[&["a", "b"], &[], &["c"]], true, FOR_EVER);
        assert_eq!(followed.asked.load(Ordering::Relaxed), 0);
        assert_eq!(followed.next().await.as_deref(), Some("a"));
        assert_eq!(followed.next().await.as_deref(), Some("b"));
        assert_eq!(followed.asked.load(Ordering::Relaxed), 1);
        assert_eq!(followed.next().await.as_deref(), Some("c"));
        assert_eq!(followed.places.available_permits(), 0);
        assert_eq!(followed.next().await, None);
        assert_eq!(followed.places.available_permits(), 1);
    }

    #[tokio::test]
    async fn silence_is_filled_with_comments() {
        let mut followed = Followed::new(&[&["a"]], false, Duration::ZERO);
        assert_eq!(followed.next().await.as_deref(), Some("a"));
        for _ in 0..3 {
            assert_eq!(followed.next().await.as_deref(), Some("comment"));
        }
        assert_eq!(followed.asked.load(Ordering::Relaxed), 2, "waiting goes on while comments are sent");
    }

    #[tokio::test]
    async fn the_server_ends_streams_after_what_was_told() {
        let mut followed = Followed::new(&[&["a", "b"]], false, FOR_EVER);
        assert_eq!(followed.next().await.as_deref(), Some("a"));
        followed.stop.cancel();
        assert_eq!(followed.next().await.as_deref(), Some("b"));
        assert_eq!(followed.next().await.as_deref(), Some("farewell"));
        assert_eq!(followed.next().await, None);
        assert_eq!(followed.places.available_permits(), 1);
    }

    #[tokio::test]
    async fn who_leaves_gives_the_place_back() {
        let mut followed = Followed::new(&[&["a", "b"]], false, FOR_EVER);
        assert_eq!(followed.next().await.as_deref(), Some("a"));
        drop(followed.frames);
        assert_eq!(followed.places.available_permits(), 1);
    }

    #[test]
    fn data_of_several_lines_are_one_event() {
        assert_eq!(event("log", Some("0:7"), "{}"), "event: log\nid: 0:7\ndata: {}\n\n");
        assert_eq!(event("error", None, "a\nevent: b\rc"), "event: error\ndata: a\ndata: event: b\rdata: c\n\n");
    }
}
