//! Arguments of commands that listen.

use clap::Args;

use super::flag;
use crate::config::Flag;

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
