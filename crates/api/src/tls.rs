//! TLS on our sockets. Certificates that are renewed are read again; handshakes happen beside each other, so that a client
//! which never finishes its own keeps nobody waiting.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::connections::{Patience, serve_with};

/// How often is looked whether the files have changed.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Longest handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes at the same time.
const AT_A_TIME: usize = 512;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is not in the PEM form.
    #[error("{} holds nothing that can be used", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// The certificate and the key do not belong together, or are of a kind that is not known.
    #[error("the certificate and its key cannot be used")]
    Pair(#[from] tokio_rustls::rustls::Error),
}

/// A certificate with its key, read again when their files change.
pub struct Tls {
    cert: PathBuf,
    key: PathBuf,
    kept: Mutex<Kept>,
}

struct Kept {
    acceptor: TlsAcceptor,
    stamp: Stamp,
    looked: Instant,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("cert", &self.cert).finish_non_exhaustive()
    }
}

/// When the two files were changed.
type Stamp = [Option<SystemTime>; 2];

impl Tls {
    /// Reads a chain of certificates, the server's own first, and its key; both in the PEM form.
    ///
    /// # Errors
    /// When one cannot be read, or they do not belong together.
    pub fn load(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        let stamp = stamp(cert, key);
        let kept = Kept { acceptor: acceptor(cert, key)?, stamp, looked: Instant::now() };
        Ok(Self { cert: cert.to_owned(), key: key.to_owned(), kept: Mutex::new(kept) })
    }

    /// What accepts connections now.
    fn acceptor(&self) -> TlsAcceptor {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.looked.elapsed() >= LOOK_EVERY {
            kept.looked = Instant::now();
            self.look(&mut kept);
        }
        kept.acceptor.clone()
    }

    /// Reads the files again, if they have changed. Those that cannot be used change nothing.
    fn look(&self, kept: &mut Kept) {
        let stamp = stamp(&self.cert, &self.key);
        if stamp == kept.stamp {
            return;
        }
        match acceptor(&self.cert, &self.key) {
            Ok(acceptor) => {
                tracing::info!("the certificate was renewed");
                (kept.acceptor, kept.stamp) = (acceptor, stamp);
            }
            // Perhaps one of the two is still to be written.
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the certificate has changed and cannot be used; the one before is");
            }
        }
    }
}

fn stamp(cert: &Path, key: &Path) -> Stamp {
    [cert, key].map(|path| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok())
}

fn acceptor(cert: &Path, key: &Path) -> Result<TlsAcceptor, TlsError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::File { path, source }
    };
    let chain = CertificateDer::pem_file_iter(cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.and_then(|chain| if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) });
    let key_read = PrivateKeyDer::from_pem_file(key).map_err(unreadable(key))?;
    let chain = chain.map_err(unreadable(cert))?;
    let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key_read)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Connections whose handshake has succeeded.
struct TlsListener {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl TlsListener {
    fn new(listener: TcpListener, tls: Arc<Tls>) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (sender, ready) = mpsc::channel(64);
        let accepting = tokio::spawn(accept(listener, tls, sender));
        Ok(Self { ready, address, accepting })
    }
}

impl Drop for TlsListener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(mut listener: TcpListener, tls: Arc<Tls>, sender: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>) {
    let turns = Arc::new(Semaphore::new(AT_A_TIME));
    loop {
        let Ok(turn) = Arc::clone(&turns).acquire_owned().await else { return };
        // Waits where the system has no room for another connection.
        let (stream, peer) = Listener::accept(&mut listener).await;
        let (acceptor, sender) = (tls.acceptor(), sender.clone());
        tokio::spawn(async move {
            let shaken = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await;
            drop(turn);
            match shaken {
                // Nobody serves any more when this fails.
                Ok(Ok(stream)) => drop(sender.send((stream, peer)).await),
                Ok(Err(error)) => tracing::debug!(%peer, %error, "a handshake failed"),
                Err(_) => tracing::debug!(%peer, "a handshake took too long"),
            }
        });
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            // The task that accepts ends with this listener only.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// As [`serve`](crate::serve), with TLS.
///
/// # Errors
/// When the socket fails.
pub async fn serve_tls(
    listener: TcpListener,
    tls: Arc<Tls>,
    router: Router,
    stop: CancellationToken,
) -> io::Result<()> {
    serve_with(TlsListener::new(listener, tls)?, router, Patience::default(), stop).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (cert, key) = (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")));
        let made = std::process::Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-days", "2", "-subj", &format!("/CN={name}"), "-addext", "subjectAltName=DNS:localhost"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&cert)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        (cert, key)
    }

    #[test]
    fn a_renewed_certificate_is_taken_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = make(folder.path(), "one");
        let tls = Tls::load(&cert, &key).unwrap();
        let config = |tls: &Tls| Arc::clone(tls.kept.lock().unwrap().acceptor.config());
        let first = config(&tls);
        let look = || tls.look(&mut tls.kept.lock().unwrap());
        look();
        assert!(Arc::ptr_eq(&first, &config(&tls)));
        let later = SystemTime::now() + Duration::from_secs(5);
        let put = |from: &Path, to: &Path| {
            std::fs::copy(from, to).unwrap();
            std::fs::File::options().write(true).open(to).unwrap().set_modified(later).unwrap();
        };
        let (other_cert, other_key) = make(folder.path(), "two");
        // The key is still the old one.
        put(&other_cert, &cert);
        look();
        assert!(Arc::ptr_eq(&first, &config(&tls)));
        put(&other_key, &key);
        look();
        assert!(!Arc::ptr_eq(&first, &config(&tls)));
    }

    #[test]
    fn what_is_no_certificate_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = make(folder.path(), "one");
        let refused = |cert: &Path, key: &Path| match Tls::load(cert, key) {
            Ok(_) => panic!("it was taken"),
            Err(error) => error.to_string(),
        };
        let missing = folder.path().join("missing");
        assert!(refused(&missing, &key).contains("missing holds nothing"));
        assert!(refused(&cert, &missing).contains("missing holds nothing"));
        assert!(refused(&key, &key).contains("one.key holds nothing"));
        let (_, other) = make(folder.path(), "two");
        assert_eq!(refused(&cert, &other), "the certificate and its key cannot be used");
    }
}
