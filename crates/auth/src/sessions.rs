//! Sessions: what a login gives, a token that is good for a while, signed with the secret that our servers share.
//!
//! One algorithm, HS256, whatever a token says about itself. A valid token only tells which session it is: the store
//! knows whether the user still is who began it, and whether it was ended.

use belvedere_domain::{User, UserId};
use ring::hmac;
use serde_json::{Map, Value, json};

use crate::fresh::{self, NoRandomness};
use crate::jwt::{self, Unverified, seconds};

const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;
const ISSUER: &str = "belvedere";
const AUDIENCE: &str = "belvedere";
/// How far the clocks of our servers may be apart, in seconds.
const LEEWAY: f64 = 30.0;

/// Issues sessions and verifies them.
#[derive(Clone, Debug)]
pub struct Sessions {
    key: hmac::Key,
    lifetime_seconds: u32,
}

/// What a verified token says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Session {
    /// What it is called by.
    pub id: String,
    /// Whose it is.
    pub user: UserId,
    /// The version of the user that began it.
    pub version: i64,
    /// When it ends, in seconds since 1970.
    pub expires_at: i64,
}

impl Sessions {
    /// With a secret of at least 32 bytes; sessions last that many seconds.
    pub fn new(secret: &[u8], lifetime_seconds: u32) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret), lifetime_seconds }
    }

    /// How long a session lasts.
    pub fn lifetime_seconds(&self) -> u32 {
        self.lifetime_seconds
    }

    /// The token of a new session that begins at `now`, seconds since 1970.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn begin(&self, user: &User, now: i64) -> Result<String, NoRandomness> {
        Ok(self.sign(&json!({
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user.name.as_str(),
            "uid": user.id.0,
            "ver": user.version,
            "iat": now,
            "exp": now + i64::from(self.lifetime_seconds),
            "jti": hex::encode(fresh::bytes::<16>()?),
        })))
    }

    /// Signs any claims: tests forge tokens with it.
    #[doc(hidden)]
    pub fn sign(&self, claims: &Value) -> String {
        let unsigned = jwt::unsigned(HEADER, claims);
        let tag = hmac::sign(&self.key, unsigned.as_bytes());
        jwt::signed(unsigned, tag.as_ref())
    }

    /// The session of a token; `None` when it is not one of ours that is good at `now`, seconds since 1970.
    pub fn verify(&self, token: &str, now: i64) -> Option<Session> {
        let token = Unverified::parse(token).filter(|token| token.algorithm == "HS256")?;
        hmac::verify(&self.key, token.signed, &token.signature).ok()?;
        read(&token.claims()?, now)
    }
}

fn read(claims: &Map<String, Value>, now: i64) -> Option<Session> {
    let is_ours = claims.get("iss")? == ISSUER && claims.get("aud")? == AUDIENCE && claims.get("sub")?.is_string();
    let (issued_at, expires_at) = (seconds(claims.get("iat")?)?, seconds(claims.get("exp")?)?);
    let time = now as f64;
    let is_now = issued_at <= time + LEEWAY && expires_at > time - LEEWAY && issued_at < expires_at;
    let id = claims.get("jti")?.as_str().filter(|id| !id.is_empty())?;
    (is_ours && is_now).then_some(Session {
        id: id.to_owned(),
        user: UserId(claims.get("uid")?.as_i64()?),
        version: claims.get("ver")?.as_i64()?,
        expires_at: expires_at as i64,
    })
}

/// Whether a token looks like a session of ours or of another installation, rather than like a token of a Hub. It says
/// so itself, which proves nothing.
pub fn looks_like_one(token: &str) -> bool {
    let claims = Unverified::parse(token).and_then(|token| token.claims());
    claims.is_some_and(|claims| claims.get("iss").is_some_and(|issuer| issuer == ISSUER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use belvedere_domain::{Role, Timestamp, UserName};

    const NOW: i64 = 1_790_000_000;

    fn sessions() -> Sessions {
        Sessions::new(&[7; 32], 3600)
    }

    fn ana() -> User {
        User {
            id: UserId(5),
            name: UserName::new("ana").unwrap(),
            role: Role::User,
            disabled: false,
            version: 3,
            created_at: Timestamp(0),
            last_login_at: None,
        }
    }

    fn claims() -> Value {
        json!({"iss": "belvedere", "aud": "belvedere", "sub": "ana", "uid": 5, "ver": 3, "iat": NOW,
               "exp": NOW + 60, "jti": "j"})
    }

    #[test]
    fn a_session_is_good_until_it_ends() {
        let sessions = sessions();
        let token = sessions.begin(&ana(), NOW).unwrap();
        let session = sessions.verify(&token, NOW + 3599).unwrap();
        assert_eq!((session.user, session.version, session.expires_at), (UserId(5), 3, NOW + 3600));
        assert_eq!(session.id.len(), 32);
        assert_ne!(session.id, sessions.verify(&sessions.begin(&ana(), NOW).unwrap(), NOW).unwrap().id);
        assert_eq!(sessions.verify(&token, NOW + 3600 + 31), None, "it has ended");
        assert_eq!(sessions.verify(&token, NOW - 31), None, "it has not begun");
        assert_eq!(Sessions::new(&[8; 32], 3600).verify(&token, NOW), None, "another secret");
        assert!(looks_like_one(&token));
        assert!(!looks_like_one("hf_abc"));
    }

    #[test]
    fn every_claim_is_needed_with_its_type() {
        let sessions = sessions();
        assert!(sessions.verify(&sessions.sign(&claims()), NOW).is_some());
        for name in ["iss", "aud", "sub", "uid", "ver", "iat", "exp", "jti"] {
            let mut without = claims();
            without.as_object_mut().unwrap().remove(name);
            assert_eq!(sessions.verify(&sessions.sign(&without), NOW), None, "no {name}");
            for odd in [json!(null), json!([]), json!({}), json!(true), json!("1e99")] {
                // A user may be called anything, and so may a session.
                if odd.is_string() && ["sub", "jti"].contains(&name) {
                    continue;
                }
                let mut other = claims();
                other[name] = odd.clone();
                assert_eq!(sessions.verify(&sessions.sign(&other), NOW), None, "{name} is {odd}");
            }
        }
    }

    #[test]
    fn what_is_not_three_parts_is_none() {
        let sessions = sessions();
        let token = sessions.sign(&claims());
        let parts: Vec<&str> = token.split('.').collect();
        let (header, claims, tag) = (parts[0], parts[1], parts[2]);
        for odd in [
            String::new(),
            "...".to_owned(),
            token.clone() + ".",
            format!(".{token}"),
            format!("{header}.{claims}"),
            format!("{header}.{claims}."),
            format!("{header}.{claims}.{tag}="),
            format!("{header}.{claims}.{}", &tag[1..]),
            format!("{header}.{claims}.{claims}.{tag}"),
            format!("{token} "),
            "a".repeat(jwt::MAX_BYTES + 1),
        ] {
            assert_eq!(sessions.verify(&odd, NOW), None, "{odd}");
        }
    }
}
