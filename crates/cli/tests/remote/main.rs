//! Datasets of a remote Hub, through the whole program: a Hub of our own runs in another process and speaks as the real one
//! does, with its errors and failures on demand.

#![expect(clippy::unwrap_used, reason = "a test may")]

#[path = "../common/mod.rs"]
mod common;
mod hub;
mod repository;
mod server;

mod addresses;
mod commits;
mod doctor;
mod faults;
mod media;
mod partial;
mod reading;

use std::collections::BTreeMap;

use common::{Server, program};
use hub::StandIn;

/// A server in a directory of its own that serves the datasets of a Hub.
struct Bed {
    hub: StandIn,
    directory: tempfile::TempDir,
    variables: BTreeMap<String, String>,
}

impl Bed {
    fn new() -> Self {
        let hub = StandIn::start();
        let variables = [
            ("HF_ENDPOINT", hub.address.as_str()),
            ("HF_TOKEN", hub::READER),
            ("REMOTE_ALLOWED_ADDRESSES", "127.0.0.1"),
            ("REMOTE_ON_DEMAND", "true"),
            ("REMOTE_RETRY_SECONDS", "0.01"),
            ("API_HF_WEBHOOK_SECRET", "hush"),
            // Jobs that are tried again are tried at once.
            ("LOG_LEVEL", "DEBUG"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Self { hub, directory: tempfile::tempdir().unwrap(), variables }
    }

    fn set(&mut self, name: &str, value: &str) -> &mut Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    fn serve(&self) -> Server {
        self.serve_with(&[])
    }

    fn serve_with(&self, folders: &[&str]) -> Server {
        let variables: Vec<(&str, &str)> =
            self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let arguments: Vec<&str> = ["serve", "--port", "0"].iter().chain(folders).copied().collect();
        Server::start(program(self.directory.path(), &variables, &arguments), "listening on ")
    }
}

/// The process of the Hub: other tests run this program anew with this test alone.
#[test]
#[ignore = "it is the Hub of the other tests"]
fn stand_in() {
    server::run();
}
