//! Names that change their meaning between two looks (DNS rebinding), against real sockets: `127.0.0.2` stands for a public
//! address, since it is allowed, and `127.0.0.1` for a private one.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::super::address::Endpoint;
use super::super::http::{Call, Client, ClientOptions, HttpError};

const PUBLIC: &str = "127.0.0.2";
const PRIVATE: &str = "127.0.0.1";

/// Addresses that a name has, one list after the other.
type Answers = VecDeque<Vec<&'static str>>;

/// A name server that gives each name its next answer, and the last one from then on.
#[derive(Clone, Debug)]
struct Names {
    answers: Arc<Mutex<HashMap<&'static str, Answers>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Names {
    fn new<const N: usize>(answers: [(&'static str, &[&[&'static str]]); N]) -> Self {
        let listed = |answers: &[&[&'static str]]| answers.iter().map(|answer| answer.to_vec()).collect();
        let answers = answers.into_iter().map(|(name, answers)| (name, listed(answers))).collect();
        Self { answers: Arc::new(Mutex::new(answers)), asked: Arc::default() }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        _config: &ureq::config::Config,
        _timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let (name, port) = (uri.host().unwrap(), uri.port_u16().unwrap());
        self.asked.lock().unwrap().push(name.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let answers = answers.get_mut(name).ok_or(ureq::Error::HostNotFound)?;
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        let mut found = self.empty();
        for address in answer.unwrap_or_default() {
            found.push(SocketAddr::new(address.parse::<IpAddr>().unwrap(), port));
        }
        Ok(found)
    }
}

/// A server at the public address, and one at the private address with the same port that must never be called.
struct Network {
    port: u16,
    witness: TcpListener,
    served: Arc<Mutex<Vec<String>>>,
}

impl Network {
    /// The public server redirects `/away` to `storage.test`, and closes every connection after its answer.
    fn start() -> Self {
        let (server, witness) = std::iter::repeat_with(|| TcpListener::bind((PUBLIC, 0)).unwrap())
            .find_map(|server| {
                let port = server.local_addr().unwrap().port();
                TcpListener::bind((PRIVATE, port)).ok().map(|witness| (server, witness))
            })
            .unwrap();
        witness.set_nonblocking(true).unwrap();
        let port = server.local_addr().unwrap().port();
        let served = Arc::<Mutex<Vec<String>>>::default();
        let log = Arc::clone(&served);
        std::thread::spawn(move || {
            for stream in server.incoming() {
                let mut stream = stream.unwrap();
                let path = path_of(&stream);
                log.lock().unwrap().push(path.clone());
                let head = match path.as_str() {
                    "/away" => format!("302 Found\r\nLocation: http://storage.test:{port}/file"),
                    _ => "200 OK".to_owned(),
                };
                let answer = format!("HTTP/1.1 {head}\r\nContent-Length: 6\r\nConnection: close\r\n\r\npublic");
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        Self { port, witness, served }
    }

    fn client(&self, names: &Names) -> Client {
        let options = ClientOptions {
            endpoint: Endpoint::new(&format!("http://hub.test:{}", self.port)).unwrap(),
            token: None,
            allowed: vec![PUBLIC.parse().unwrap()].into(),
            timeout: Duration::from_secs(20),
            waits: Vec::new().into(),
        };
        Client::resolving_with(options, names.clone())
    }

    /// The paths that the public server was asked for; the private one has nothing to tell.
    fn served(&self) -> Vec<String> {
        let called = self.witness.accept();
        assert!(
            called.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock),
            "the private server was called"
        );
        self.served.lock().unwrap().clone()
    }
}

/// The path of a request, which is read to its end.
fn path_of(stream: &TcpStream) -> String {
    let lines: Vec<String> =
        BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    lines[0].split(' ').nth(1).unwrap().to_owned()
}

async fn get(client: &Client, path: &str) -> Result<String, HttpError> {
    let call = Call::get(client.endpoint().at(path));
    client.fetch(call, 1).await.map(|(_, body)| String::from_utf8(body).unwrap())
}

/// e110 | the name of a Hub resolves to a public address first, and to one of this network later | each connection goes to
/// exactly the addresses that were checked for it; the later call is refused before it is made, and is not tried again
#[tokio::test]
async fn e110_a_name_that_turns_private_is_refused() {
    let network = Network::start();
    let names = Names::new([("hub.test", &[&[PUBLIC], &[PRIVATE]])]);
    let client = network.client(&names);
    assert_eq!(get(&client, "/first").await.unwrap(), "public");
    assert_eq!(names.asked(), ["hub.test"], "one look for one connection: no second answer can slip in between");
    let error = get(&client, "/second").await.unwrap_err();
    assert!(matches!(error, HttpError::Refused(_)) && !error.is_passing(), "{error:?}");
    let told = std::error::Error::source(&error).unwrap().to_string();
    assert!(told.starts_with("hub.test is 127.0.0.1, which is not a public address"), "{told}");
    assert_eq!(network.served(), ["/first"]);
}

/// e110 | a Hub redirects to a name that resolves to a public address for one call, and to one of this network for the next |
/// the redirect is checked like any call: followed the first time, refused the second
#[tokio::test]
async fn e110_a_redirect_to_a_name_that_turns_private_is_refused() {
    let network = Network::start();
    let names = Names::new([("hub.test", &[&[PUBLIC]]), ("storage.test", &[&[PUBLIC], &[PRIVATE]])]);
    let client = network.client(&names);
    assert_eq!(get(&client, "/away").await.unwrap(), "public");
    assert!(matches!(get(&client, "/away").await.unwrap_err(), HttpError::Refused(_)));
    assert_eq!(network.served(), ["/away", "/file", "/away"]);
    assert_eq!(names.asked(), ["hub.test", "storage.test", "hub.test", "storage.test"]);
}

/// e110 | a name resolves to a public address and one of this network at once, in any order | it is refused: which of them is
/// called is not for whoever answers to choose
#[tokio::test]
async fn e110_a_private_address_among_public_ones_is_refused() {
    let network = Network::start();
    let answers: [&[&str]; 3] = [&[PUBLIC, PRIVATE], &[PRIVATE, PUBLIC], &[PUBLIC, "::ffff:127.0.0.1"]];
    let names = Names::new([("hub.test", &answers)]);
    let client = network.client(&names);
    for _ in answers {
        assert!(matches!(get(&client, "/any").await.unwrap_err(), HttpError::Refused(_)));
    }
    assert_eq!(network.served(), Vec::<String>::new());
}
