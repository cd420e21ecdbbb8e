//! The outside of a signed token, RFC 7519 in the compact form of RFC 7515: three parts of base64 with dots between.
//! What is signed with which key, and what the claims must say, is for others.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Longest token that is looked at, in bytes.
pub(crate) const MAX_BYTES: usize = 8192;

/// A token that was taken apart; nothing about it is true yet.
pub(crate) struct Unverified<'a> {
    /// The algorithm that it claims.
    pub(crate) algorithm: String,
    /// What the signature is of.
    pub(crate) signed: &'a [u8],
    /// The signature.
    pub(crate) signature: Vec<u8>,
    claims: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    /// Extensions that must be understood; we understand none.
    #[serde(default)]
    crit: Option<Value>,
}

impl<'a> Unverified<'a> {
    /// Takes a token apart; `None` when it is none.
    pub(crate) fn parse(token: &'a str) -> Option<Self> {
        if token.len() > MAX_BYTES {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Header = serde_json::from_slice(&BASE64.decode(header).ok()?).ok()?;
        if header.crit.is_some() || claims.contains('.') {
            return None;
        }
        Some(Self {
            algorithm: header.alg,
            signed: signed.as_bytes(),
            signature: BASE64.decode(signature).ok()?,
            claims: BASE64.decode(claims).ok()?,
        })
    }

    /// What it claims: to be asked for only once the signature is verified.
    pub(crate) fn claims(&self) -> Option<Map<String, Value>> {
        serde_json::from_slice(&self.claims).ok()
    }
}

/// The text of header and claims that is to be signed.
pub(crate) fn unsigned(header: &str, claims: &Value) -> String {
    format!("{}.{}", BASE64.encode(header), BASE64.encode(claims.to_string()))
}

/// Appends the signature.
pub(crate) fn signed(mut unsigned: String, signature: &[u8]) -> String {
    unsigned.push('.');
    unsigned.push_str(&BASE64.encode(signature));
    unsigned
}

/// A number of seconds since 1970, which JSON may give a fraction. Texts are not numbers.
pub(crate) fn seconds(value: &Value) -> Option<f64> {
    value.as_f64().filter(|seconds| seconds.is_finite())
}
