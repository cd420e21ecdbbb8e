//! Secrets that nobody can guess, and their hashes.

use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};

/// The system has no randomness to give.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the system gives no random numbers")]
pub struct NoRandomness;

/// What every token of a user starts with, so that it is known where it turns up by mistake.
pub const TOKEN_PREFIX: &str = "bvt_";

/// A new token of a user. The secret is told once; the hash is kept.
pub struct Fresh {
    /// What it is called by: 16 hexadecimal digits.
    pub id: String,
    /// The token: the prefix and 64 hexadecimal digits, 256 random bits.
    pub secret: String,
    /// What is kept of it.
    pub sha256: [u8; 32],
}

impl Fresh {
    /// Makes one.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn token() -> Result<Self, NoRandomness> {
        let secret = format!("{TOKEN_PREFIX}{}", hex::encode(bytes::<32>()?));
        Ok(Self { id: id()?, sha256: sha256(&secret), secret })
    }
}

/// Random bytes.
///
/// # Errors
/// [`NoRandomness`].
pub fn bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// A random name of 16 hexadecimal digits.
///
/// # Errors
/// [`NoRandomness`].
pub fn id() -> Result<String, NoRandomness> {
    Ok(hex::encode(bytes::<8>()?))
}

/// What is kept of a token. It is long and random, so no slow hash is needed.
pub fn sha256(secret: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_and_never_the_same() {
        let (one, other) = (Fresh::token().unwrap(), Fresh::token().unwrap());
        assert_eq!(one.secret.len(), TOKEN_PREFIX.len() + 64);
        assert_ne!(one.secret, other.secret);
        assert_ne!(one.id, other.id);
        assert_eq!(one.sha256, sha256(&one.secret));
    }
}
