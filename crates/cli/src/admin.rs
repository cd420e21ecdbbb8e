//! The admin service of a server: who may call it, where it listens, and the note by which the command line finds it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context;
use belvedere_api::{AdminAccess, AdminSettings, Organization, TokenHash};
use belvedere_hub::Whoami;
use belvedere_store::Store;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::config::Config;
use crate::exit::Advice;

/// The Hub that is meant where no other is named.
pub(crate) const HUB: &str = "https://huggingface.co";

/// Where the admin service listens.
#[derive(Debug)]
pub enum Place {
    /// Nowhere.
    Off,
    /// Where the public API does.
    Shared,
    /// On a socket of its own.
    Own(TcpListener),
}

impl Place {
    /// Whether the configuration gives it a socket of its own.
    pub fn is_own(config: &Config) -> bool {
        let admin = &config.admin;
        let is_set = admin.uvicorn_hostname.is_some() || admin.uvicorn_port.is_some();
        let api = (config.api.uvicorn_hostname.as_str(), config.api.uvicorn_port);
        let own = own_address(config);
        // Of two ports that the system chooses, neither is the other.
        admin.enabled && is_set && (own != api || own.1 == 0)
    }

    /// The place that the configuration names.
    ///
    /// # Errors
    /// With a hint, when the address cannot be used.
    pub async fn choose(config: &Config) -> anyhow::Result<Self> {
        if !config.admin.enabled {
            return Ok(Self::Off);
        }
        if !Self::is_own(config) {
            return Ok(Self::Shared);
        }
        let (host, port) = own_address(config);
        Ok(Self::Own(crate::commands::listen::bind_admin(host, port).await?))
    }

    /// The address it listens on; `None` where there is none.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn listens_on(&self, api: SocketAddr) -> std::io::Result<Option<SocketAddr>> {
        match self {
            Self::Off => Ok(None),
            Self::Shared => Ok(Some(api)),
            Self::Own(listener) => listener.local_addr().map(Some),
        }
    }

    /// The address that programs on this machine reach it at; `None` where there is none.
    pub fn address(&self, api: SocketAddr) -> Option<SocketAddr> {
        self.listens_on(api).ok()?.map(reachable)
    }
}

fn own_address(config: &Config) -> (&str, u16) {
    (config.admin.uvicorn_hostname.as_deref().unwrap_or("localhost"), config.admin.uvicorn_port.unwrap_or(8000))
}

/// An address that stands for all of the machine, as one that can be asked.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, v6.port()).into(),
        other => other,
    }
}

/// Makes sure that not just anybody operates a server that other machines reach: somebody must have a login, or it must be
/// said that everybody may read.
///
/// # Errors
/// With a hint, when nobody has a login; when the store cannot be asked.
pub async fn require_login(
    config: &Config,
    (api, admin): (SocketAddr, Option<SocketAddr>),
    settings: &mut AdminSettings,
    store: &Store,
) -> anyhow::Result<()> {
    let is_reachable = |address: &SocketAddr| !address.ip().is_loopback();
    let admin = admin.filter(is_reachable);
    let has_login = !matches!(settings.access, AdminAccess::Machine);
    if (!is_reachable(&api) && admin.is_none()) || has_login {
        return Ok(());
    }
    if store.users.has_admin().await.context("the users cannot be read")? {
        if admin.is_some() {
            settings.access = AdminAccess::Operators { tokens: Vec::new(), organization: None };
        }
        return Ok(());
    }
    if let Some(address) = admin {
        let message = format!("everybody who reaches {address} could operate the server: nobody has a login");
        let hint = "make an admin with `belvedere user add NAME --admin`, or name those who may with `ADMIN_TOKENS` or \
                    `ADMIN_HF_ORGANIZATION`; or let the admin service listen on this machine only with \
                    `ADMIN_UVICORN_HOSTNAME=localhost` and an `ADMIN_UVICORN_PORT` of its own, or do without it: \
                    `--set admin.enabled=false`";
        return Err(Advice::usage(message, hint).into());
    }
    if !config.api.open {
        let message = format!("`{}` can be reached from other machines, and nobody has a login", api.ip());
        let hint = "make an admin with `belvedere user add NAME --admin`; or, where everybody who reaches the address may \
                    read what is not private, say so with `--set api.open=true`";
        return Err(Advice::usage(message, hint).into());
    }
    Ok(())
}

/// The settings of the service. `own` is a token for whoever may read the store.
///
/// # Errors
/// With a hint, for a token that is not given as its hash.
pub fn settings(config: &Config, own: Option<TokenHash>) -> Result<AdminSettings, Advice> {
    let admin = &config.admin;
    let parse = |(at, secret): (usize, &crate::config::types::Secret)| {
        TokenHash::parse(secret.expose()).map_err(|error| {
            let message = format!("entry {} of `admin.tokens` is not the hash of a token: {error}", at + 1);
            Advice::usage(message, "`belvedere admin token NAME` makes a token and its hash")
        })
    };
    let tokens = admin.tokens.iter().enumerate().map(parse).collect::<Result<Vec<_>, _>>()?;
    let organization = admin.hf_organization.as_deref().map(str::trim).filter(|name| !name.is_empty());
    let endpoint = config.common.hf_endpoint.as_deref().unwrap_or(HUB);
    let organization = organization.map(|name| Organization {
        name: name.to_owned(),
        whoami: Whoami::new(endpoint, &admin.hf_whoami_path, admin.hf_timeout_seconds),
    });
    let access = if tokens.is_empty() && organization.is_none() {
        AdminAccess::Machine
    } else {
        AdminAccess::Operators { tokens, organization }
    };
    Ok(AdminSettings {
        access,
        own_token: own,
        cache_reports_num_results: admin.cache_reports_num_results,
        cache_reports_with_content_num_results: admin.cache_reports_with_content_num_results,
        pending_jobs_num_results: admin.pending_jobs_num_results,
        max_age: admin.max_age,
        gauges_with_pid: admin.prometheus_multiproc_dir.is_some(),
        folders: config.serve.folders.clone(),
        single: config.serve.single,
    })
}

/// A token that nobody can guess: 256 random bits in hexadecimal digits.
///
/// # Errors
/// When the system has no randomness to give.
pub fn fresh_token() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 32];
    let source = std::fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
    source.context("the system gives no random numbers")?;
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    Ok(format!("bva_{}", digits.collect::<String>()))
}

/// What a server notes beside its SQLite file, readable by its user only: where to ask it, and a token that is good as
/// long as it runs. Who can read the note can read the store as well.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerNote {
    /// Where the admin service is.
    pub url: String,
    /// A token for it.
    pub token: String,
}

/// The note of a running server. Dropping it takes the note away.
#[derive(Debug)]
pub struct KeptNote(PathBuf);

impl ServerNote {
    /// The note of the server on this store, which may be gone; `None` for databases that several processes open.
    pub fn read(config: &Config) -> Option<Self> {
        let text = std::fs::read(path(config)?).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Writes the note. `None` where none is needed.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn keep(&self, config: &Config) -> anyhow::Result<Option<KeptNote>> {
        use std::os::unix::fs::OpenOptionsExt;
        let Some(path) = path(config) else { return Ok(None) };
        let write = || {
            // A new file each time, so that nobody who could open an older one sees this token.
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all(&serde_json::to_vec(self)?)
        };
        write().with_context(|| format!("the note for the command line, {}, cannot be written", path.display()))?;
        Ok(Some(KeptNote(path)))
    }
}

impl Drop for KeptNote {
    fn drop(&mut self) {
        // One that stays behind names an address where nobody answers, which is noticed.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn path(config: &Config) -> Option<PathBuf> {
    let url = config.store_url();
    let store: &Path = url.sqlite_path()?;
    let mut name = store.as_os_str().to_owned();
    name.push(".server");
    Some(PathBuf::from(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Role;

    fn config(change: impl FnOnce(&mut Config)) -> Config {
        let mut config = Config::defaults(Role::Serve);
        change(&mut config);
        config
    }

    #[test]
    fn the_service_has_a_socket_of_its_own_only_where_one_is_named() {
        assert!(!Place::is_own(&config(|_| {})));
        assert!(!Place::is_own(&config(|config| config.api.uvicorn_port = 9000)));
        assert!(!Place::is_own(&config(|config| config.admin.uvicorn_port = Some(8000))));
        assert!(Place::is_own(&config(|config| config.admin.uvicorn_port = Some(8001))));
        assert!(Place::is_own(&config(|config| (config.api.uvicorn_port, config.admin.uvicorn_port) = (0, Some(0)))));
        assert!(Place::is_own(&config(|config| config.admin.uvicorn_hostname = Some("0.0.0.0".into()))));
        let off = config(|config| {
            config.admin.uvicorn_port = Some(8001);
            config.admin.enabled = false;
        });
        assert!(!Place::is_own(&off));
    }

    #[test]
    fn an_empty_organization_is_none() {
        for name in [None, Some(String::new()), Some("  ".into())] {
            let settings = settings(&config(|config| config.admin.hf_organization = name), None).unwrap();
            assert!(matches!(settings.access, AdminAccess::Machine));
        }
        let settings = settings(&config(|config| config.admin.hf_organization = Some("lab".into())), None).unwrap();
        let AdminAccess::Operators { tokens, organization } = settings.access else { panic!("operators are named") };
        assert_eq!((tokens.len(), organization.unwrap().name.as_str()), (0, "lab"));
    }

    #[test]
    fn tokens_are_long_and_never_the_same() {
        let (one, other) = (fresh_token().unwrap(), fresh_token().unwrap());
        assert!(one.len() == 68 && one != other);
    }

    #[test]
    fn a_note_is_for_its_user_only_and_goes_with_the_server() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let config = config(|config| config.serve.state = folder.path().to_owned());
        let note = ServerNote { url: "http://127.0.0.1:1".into(), token: "x".into() };
        std::fs::write(folder.path().join("belvedere.sqlite.server"), "left behind").unwrap();
        assert!(ServerNote::read(&config).is_none());
        let kept = note.keep(&config).unwrap().unwrap();
        let file = folder.path().join("belvedere.sqlite.server");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(ServerNote::read(&config) == Some(note));
        drop(kept);
        assert!(!file.exists());
    }
}
