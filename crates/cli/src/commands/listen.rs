//! Arguments of commands that listen.

use anyhow::Context;
use clap::Args;
use tokio::net::{TcpListener, lookup_host};

use super::flag;
use crate::config::{Config, Flag};
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
}

impl ListenArgs {
    /// The settings that these set.
    pub fn flags(&self) -> Vec<Flag> {
        let host = self.host.as_ref().map(|host| flag("--host", "api.uvicorn_hostname", host));
        let port = self.port.map(|port| flag("--port", "api.uvicorn_port", &port.to_string()));
        host.into_iter().chain(port).collect()
    }
}

/// The socket that the configuration names.
///
/// # Errors
///
/// With a hint, when the address cannot be used, or is reachable from other machines without that being asked for.
pub async fn bind(config: &Config) -> anyhow::Result<TcpListener> {
    let (host, port) = (config.api.uvicorn_hostname.as_str(), config.api.uvicorn_port);
    let addresses: Vec<_> = lookup_host((host, port))
        .await
        .with_context(|| Advice::usage(format!("`{host}` is no address of this machine"), "try `--host localhost`"))?
        .collect();
    if !config.api.open && addresses.iter().any(|address| !address.ip().is_loopback()) {
        let hint = "there is no login in this version: everybody who reaches the address could read everything. \
                    Put a proxy that checks users before a server on localhost, or, where that is intended, \
                    add `--set api.open=true`";
        return Err(Advice::usage(format!("`{host}` can be reached from other machines"), hint).into());
    }
    TcpListener::bind(addresses.as_slice()).await.with_context(|| {
        let hint = "stop the other program, or choose another port with `--port`; 0 lets the system choose";
        Advice::environment(format!("{host}:{port} cannot be listened on"), hint)
    })
}
