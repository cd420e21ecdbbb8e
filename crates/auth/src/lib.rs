//! Who somebody is: passwords, tokens, signed sessions and links, and the signed tokens of a Hub.
//!
//! Functions of their arguments: the time is given, nothing is stored, nobody is asked. Only the randomness of fresh
//! secrets comes from the system. The only crate with hashes of passwords and with signatures.

pub mod fresh;
pub mod hub_token;
pub mod keys;
pub mod links;
pub mod passwords;
pub mod sessions;
pub mod throttle;

mod der;
mod jwt;

pub use fresh::{Fresh, NoRandomness};
pub use hub_token::{Expected, HubTokenError};
pub use keys::{Algorithm, KeyError, PublicKeys};
pub use links::Links;
pub use passwords::{Checked, PasswordError, Passwords};
pub use sessions::{Session, Sessions};
pub use throttle::Throttle;
