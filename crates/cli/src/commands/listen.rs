//! Arguments of commands that listen.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use belvedere_api::{AdminSettings, ApiState, Router, Tls, TokenHash};
use belvedere_store::Store;
use clap::Args;
use tokio::net::{TcpListener, lookup_host};
use tokio_util::sync::CancellationToken;

use super::flag;
use crate::admin::{self, KeptNote, Place, ServerNote, fresh_token};
use crate::config::{Config, Flag};
use crate::console::Console;
use crate::exit::Advice;

/// Where to listen.
#[derive(Args, Debug, Default)]
pub struct ListenArgs {
    /// Listen on this address [default: localhost].
    #[arg(long, value_name = "ADDRESS")]
    pub host: Option<String>,
    /// Listen on this port; 0 lets the system choose one [default: 8000].
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// Answer by TLS, with the certificate in this file (PEM).
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// The key of the certificate (PEM).
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
}

impl ListenArgs {
    /// The settings that these set.
    pub fn flags(&self) -> Vec<Flag> {
        let host = self.host.as_ref().map(|host| flag("--host", "api.uvicorn_hostname", host));
        let port = self.port.map(|port| flag("--port", "api.uvicorn_port", &port.to_string()));
        let cert = self.tls_cert.as_ref().map(|path| flag("--tls-cert", "api.tls_cert", &path.to_string_lossy()));
        let key = self.tls_key.as_ref().map(|path| flag("--tls-key", "api.tls_key", &path.to_string_lossy()));
        host.into_iter().chain(port).chain(cert).chain(key).collect()
    }
}

/// The sockets of a server: the public API, and the admin service where that has its own.
#[derive(Debug)]
pub struct Sockets {
    api: TcpListener,
    admin: Place,
    settings: AdminSettings,
    tls: Option<Arc<Tls>>,
    /// Good for the admin service as long as this process runs.
    token: String,
}

impl Sockets {
    /// Opens them.
    ///
    /// # Errors
    ///
    /// With a hint, when an address cannot be used.
    pub async fn open(config: &Config) -> anyhow::Result<Self> {
        let tls = tls(config)?;
        let api = bind(config).await?;
        let token = fresh_token()?;
        let settings = admin::settings(config, Some(TokenHash::of("command line", &token)))?;
        let admin = Place::choose(config).await?;
        Ok(Self { api, admin, settings, tls, token })
    }

    /// The address of the public API.
    ///
    /// # Errors
    ///
    /// When the system does not tell.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.api.local_addr()
    }

    /// Makes sure that not just anybody operates the server. To be called before it answers anybody.
    ///
    /// # Errors
    ///
    /// With a hint, when other machines reach it and nobody has a login.
    pub async fn require_login(&mut self, config: &Config, store: &Store) -> anyhow::Result<()> {
        let api = self.address()?;
        let admin = self.admin.listens_on(api)?;
        admin::require_login(config, (api, admin), &mut self.settings, store).await
    }

    /// The settings of the admin service.
    pub fn admin_settings(&self) -> AdminSettings {
        self.settings.clone()
    }

    fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Tells where the admin service is, if it has a place of its own.
    pub fn announce_admin(&self, console: &Console) {
        if let Place::Own(listener) = &self.admin
            && let Ok(address) = listener.local_addr()
        {
            console.say(&format!("the admin service is at {}://{address}/admin", self.scheme()));
        }
    }

    /// Notes for the command line where this server is. To be called once the store is open.
    ///
    /// # Errors
    ///
    /// When the note cannot be written.
    pub fn note(&self, config: &Config) -> anyhow::Result<Option<KeptNote>> {
        let Some(address) = self.admin.address(self.address()?) else { return Ok(None) };
        ServerNote { url: format!("{}://{address}", self.scheme()), token: self.token.clone() }.keep(config)
    }

    /// Answers requests until `stop`, as [`answer`] does.
    ///
    /// # Errors
    ///
    /// When a socket fails.
    pub async fn answer(self, state: Arc<ApiState>, config: &Config, stop: &CancellationToken) -> std::io::Result<()> {
        let tls = self.tls.as_ref();
        match self.admin {
            Place::Off => answer_by(self.api, tls, belvedere_api::router(state), config, stop).await,
            Place::Shared => answer_by(self.api, tls, belvedere_api::router_with_admin(state), config, stop).await,
            Place::Own(listener) => {
                let (public, admin) = (belvedere_api::router(Arc::clone(&state)), belvedere_api::admin_router(state));
                let public = answer_by(self.api, tls, public, config, stop);
                let admin = answer_by(listener, tls, admin, config, stop);
                tokio::try_join!(public, admin).map(|((), ())| ())
            }
        }
    }
}

/// The socket of the public API.
///
/// # Errors
///
/// With a hint, when the address cannot be used.
pub async fn bind(config: &Config) -> anyhow::Result<TcpListener> {
    let (host, port) = (config.api.uvicorn_hostname.as_str(), config.api.uvicorn_port);
    let addresses = addresses(host, port, "try `--host localhost`").await?;
    let hint = "stop the other program, or choose another port with `--port`; 0 lets the system choose";
    listen(&addresses).await.with_context(|| cannot_listen(host, port, hint))
}

/// The socket of an admin service of its own.
///
/// # Errors
///
/// With a hint, when the address cannot be used.
pub async fn bind_admin(host: &str, port: u16) -> anyhow::Result<TcpListener> {
    let addresses = addresses(host, port, "set `ADMIN_UVICORN_HOSTNAME` to `localhost`").await?;
    let hint = "set `ADMIN_UVICORN_PORT` to another port; 0 lets the system choose";
    listen(&addresses).await.with_context(|| cannot_listen(host, port, hint))
}

/// The socket where a worker tells that it lives. It shows no data, so any address will do.
///
/// # Errors
///
/// With a hint, when the address cannot be used.
pub async fn bind_worker(config: &Config) -> anyhow::Result<TcpListener> {
    let (host, port) = (config.worker.uvicorn_hostname.as_str(), config.worker.uvicorn_port);
    let addresses = addresses(host, port, "set `WORKER_UVICORN_HOSTNAME` to `localhost`").await?;
    let hint = "set `WORKER_UVICORN_PORT` to another port; 0 lets the system choose";
    listen(&addresses).await.with_context(|| cannot_listen(host, port, hint))
}

async fn addresses(host: &str, port: u16, hint: &str) -> anyhow::Result<Vec<SocketAddr>> {
    let found = lookup_host((host, port)).await;
    let found = found.with_context(|| Advice::usage(format!("`{host}` is no address of this machine"), hint))?;
    Ok(found.collect())
}

fn cannot_listen(host: &str, port: u16, hint: &str) -> Advice {
    Advice::environment(format!("{host}:{port} cannot be listened on"), hint)
}

/// Listens on the first address that can be. One that is in use is the end: the next one may be free, but clients of
/// the name would then meet either program.
async fn listen(addresses: &[SocketAddr]) -> std::io::Result<TcpListener> {
    let mut last = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match TcpListener::bind(address).await {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => return Err(error),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Answers requests until `stop`, then finishes those in work, for as long as running jobs may take, too: a client that
/// does not read its answer keeps no server from stopping.
///
/// # Errors
///
/// When the socket fails.
pub async fn answer(
    listener: TcpListener,
    router: Router,
    config: &Config,
    stop: &CancellationToken,
) -> std::io::Result<()> {
    answer_by(listener, None, router, config, stop).await
}

/// As [`answer`], by TLS where there is a certificate.
async fn answer_by(
    listener: TcpListener,
    tls: Option<&Arc<Tls>>,
    router: Router,
    config: &Config,
    stop: &CancellationToken,
) -> std::io::Result<()> {
    let grace_is_over = async {
        stop.cancelled().await;
        tokio::time::sleep(config.worker.grace_seconds).await;
    };
    let serve = async {
        match tls {
            Some(tls) => belvedere_api::serve_tls(listener, Arc::clone(tls), router, stop.clone()).await,
            None => belvedere_api::serve(listener, router, stop.clone()).await,
        }
    };
    tokio::select! {
        served = serve => served,
        () = grace_is_over => {
            tracing::info!("cutting off the answers that were not read in time");
            Ok(())
        }
    }
}

/// The certificate of the configuration.
fn tls(config: &Config) -> anyhow::Result<Option<Arc<Tls>>> {
    let hint = "give both files in the PEM form with `--tls-cert` and `--tls-key`";
    match (&config.api.tls_cert, &config.api.tls_key) {
        (None, None) => Ok(None),
        (Some(cert), Some(key)) => {
            let loaded = Tls::load(cert, key).context(Advice::usage("TLS cannot be offered", hint))?;
            Ok(Some(Arc::new(loaded)))
        }
        _ => {
            Err(Advice::usage("a certificate is good for nothing without its key, and the key without it", hint).into())
        }
    }
}
