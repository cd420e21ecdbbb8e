//! Signed links: an address that is good for a while without credentials, for what cannot send them, as an image in a
//! page.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use ring::hmac;

/// Signs paths and verifies signatures.
#[derive(Clone, Debug)]
pub struct Links {
    key: hmac::Key,
    lifetime_seconds: u32,
}

impl Links {
    /// With the secret that our servers share. Links are good for at least that many seconds, and at most twice as many.
    pub fn new(secret: &[u8], lifetime_seconds: u32) -> Self {
        // A key of its own, so that no signature of a link is ever one of something else.
        let master = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let key = hmac::sign(&master, b"belvedere links");
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()), lifetime_seconds: lifetime_seconds.max(1) }
    }

    /// The query that makes a path, as it stands in the address, good from `now`, seconds since 1970. Within a lifetime
    /// it is the same, so that browsers keep what they fetched.
    pub fn sign(&self, path: &str, now: i64) -> String {
        let lifetime = i64::from(self.lifetime_seconds);
        let expires = (now / lifetime + 2) * lifetime;
        format!("expires={expires}&signature={}", BASE64.encode(self.tag(path, expires)))
    }

    /// Whether a query holds a signature of the path that is good at `now`.
    pub fn verify(&self, path: &str, query: &str, now: i64) -> bool {
        let value = |name| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find_map(|(key, value)| (key == name).then_some(value))
        };
        let (Some(expires), Some(signature)) = (value("expires"), value("signature")) else { return false };
        let (Ok(expires), Ok(signature)) = (expires.parse::<i64>(), BASE64.decode(signature)) else { return false };
        expires > now && hmac::verify(&self.key, text(path, expires).as_bytes(), &signature).is_ok()
    }

    fn tag(&self, path: &str, expires: i64) -> hmac::Tag {
        hmac::sign(&self.key, text(path, expires).as_bytes())
    }
}

fn text(path: &str, expires: i64) -> String {
    format!("{expires} {path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000;

    #[test]
    fn a_link_is_good_for_its_path_and_time() {
        let links = Links::new(&[1; 32], 3600);
        let query = links.sign("/assets/a", NOW);
        assert!(links.verify("/assets/a", &query, NOW) && links.verify("/assets/a", &query, NOW + 3600));
        assert!(!links.verify("/assets/a", &query, NOW + 7201));
        assert!(!links.verify("/assets/b", &query, NOW));
        assert!(!Links::new(&[2; 32], 3600).verify("/assets/a", &query, NOW));
        let later = query.replacen("expires=1", "expires=2", 1);
        assert!(!links.verify("/assets/a", &later, NOW));
        for odd in ["", "expires=9999999999", "signature=AA", "expires=9999999999&signature=", "expires=x&signature=AA"]
        {
            assert!(!links.verify("/assets/a", odd, NOW), "{odd}");
        }
    }

    #[test]
    fn links_stay_the_same_for_a_while() {
        let links = Links::new(&[1; 32], 100);
        assert_eq!(links.sign("/a", 1000), links.sign("/a", 1099));
        assert_ne!(links.sign("/a", 1000), links.sign("/a", 1100));
    }
}
