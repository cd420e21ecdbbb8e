//! A service of others inside the test: a real socket that answers as it is told and notes what it was asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Longest head and body that it reads.
const MAX_BYTES: usize = 8 << 20;

/// An HTTP service on the loopback, until it is dropped.
pub struct Service {
    url: String,
    asked: Arc<Mutex<Asked>>,
    serving: JoinHandle<()>,
}

/// What a service was asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// Its number among all questions, from 0.
    pub number: usize,
    /// Method and path: `POST /analyze`.
    pub target: String,
    /// Headers, with names in lower case.
    pub headers: HashMap<String, String>,
    /// The body, which has to be text.
    pub body: String,
}

/// What a service answers.
#[derive(Clone, Debug)]
pub enum Said {
    /// A status and a body.
    Answer(u16, String),
    /// A status, a header line, and nothing else.
    Header(u16, &'static str),
    /// Nothing, while the connection stays open.
    Nothing,
    /// Part of a body, then the end of the connection.
    Half,
}

#[derive(Default)]
struct Asked {
    questions: Vec<Question>,
    at_a_time: usize,
    most_at_a_time: usize,
}

impl Service {
    /// Starts a service.
    ///
    /// # Panics
    /// When the machine has no port left.
    pub async fn start(answer: impl Fn(&Question) -> Said + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let (asked, answer) = (Arc::<Mutex<Asked>>::default(), Arc::new(answer));
        let noted = Arc::clone(&asked);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (asked, answer) = (Arc::clone(&noted), Arc::clone(&answer));
                tokio::spawn(async move {
                    // A client that goes away is none of its business.
                    let _gone = serve(stream, &asked, &*answer).await;
                });
            }
        });
        Self { url, asked, serving }
    }

    /// Its address, without a path.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// All questions so far, in the order in which they came.
    pub fn questions(&self) -> Vec<Question> {
        lock(&self.asked).questions.clone()
    }

    /// The most questions that were open at the same time.
    pub fn most_at_a_time(&self) -> usize {
        lock(&self.asked).most_at_a_time
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn lock(asked: &Mutex<Asked>) -> std::sync::MutexGuard<'_, Asked> {
    asked.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(
    mut stream: TcpStream,
    asked: &Mutex<Asked>,
    answer: &(dyn Fn(&Question) -> Said + Send + Sync),
) -> std::io::Result<()> {
    let Some(mut question) = read(&mut stream).await? else { return Ok(()) };
    {
        let mut asked = lock(asked);
        question.number = asked.questions.len();
        asked.questions.push(question.clone());
        asked.at_a_time += 1;
        asked.most_at_a_time = asked.most_at_a_time.max(asked.at_a_time);
    }
    // Others get to ask before the first is answered.
    tokio::task::yield_now().await;
    let said = answer(&question);
    lock(asked).at_a_time -= 1;
    let text = match said {
        Said::Answer(status, body) => {
            format!("HTTP/1.1 {status} Said\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
        }
        Said::Header(status, header) => {
            format!("HTTP/1.1 {status} Said\r\n{header}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        }
        Said::Half => "HTTP/1.1 200 Said\r\ncontent-length: 100\r\nconnection: close\r\n\r\n{".to_owned(),
        Said::Nothing => std::future::pending().await,
    };
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await
}

/// One request; `None` for what is none.
async fn read(stream: &mut TcpStream) -> std::io::Result<Option<Question>> {
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        let count = stream.read(&mut buffer).await?;
        if count == 0 || bytes.len() > MAX_BYTES {
            return Ok(None);
        }
        bytes.extend_from_slice(&buffer[..count]);
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let mut lines = text.lines();
    let target = lines.next().unwrap_or_default().split(' ').take(2).collect::<Vec<_>>().join(" ");
    let header = |line: &str| line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
    let headers: HashMap<String, String> = lines.filter_map(header).collect();
    let length = headers.get("content-length").and_then(|value| value.parse().ok()).unwrap_or(0).min(MAX_BYTES);
    while bytes.len() < head + length {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(None);
        }
        bytes.extend_from_slice(&buffer[..count]);
    }
    let body = String::from_utf8_lossy(&bytes[head..head + length]).into_owned();
    Ok(Some(Question { number: 0, target, headers, body }))
}
