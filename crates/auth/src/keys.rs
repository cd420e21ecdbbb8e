//! The public keys that tokens of a Hub are verified with: as JWK (RFC 7517) from its list, or as PEM from the settings.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use ring::{hmac, signature};
use serde_json::Value;

use crate::der::{Elements, OBJECT};

/// Most keys of a list; one key in use, one to come and one just gone are usual.
const MAX_KEYS: usize = 100;
/// Fewest bytes of a shared secret.
const MIN_SECRET_BYTES: usize = 32;
/// Most bits of an RSA key, which bound the cost of a verification.
const MAX_RSA_BYTES: usize = 8192 / 8;

/// Why keys cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeyError {
    /// No such algorithm.
    #[error("`{0}` is not an algorithm of signatures that is known here: expected one of {known}", known = Algorithm::names())]
    Algorithm(String),
    /// Not a list.
    #[error("the answer is no JSON list of keys")]
    NotAList,
    /// The list has no key that can be used.
    #[error("none of the {number} keys can be used{}", .reasons.first().map(|reason| format!(": {reason}")).unwrap_or_default())]
    NoKey {
        /// Keys in the list.
        number: usize,
        /// Why each was left out.
        reasons: Vec<String>,
    },
    /// A key of the settings is of no use.
    #[error("{0}")]
    Key(&'static str),
}

/// The algorithm of signatures. The one that is configured is the only one accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithm {
    /// Ed25519.
    EdDsa,
    /// ECDSA on the curve P-256.
    Es256,
    /// ECDSA on the curve P-384.
    Es384,
    /// RSA with the padding of PKCS #1 version 1.5.
    Rs(Hash),
    /// RSA with the padding PSS.
    Ps(Hash),
    /// A secret that both sides know.
    Hs(Hash),
}

/// The size of SHA-2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

const ALGORITHMS: &[(&str, Algorithm)] = &[
    ("EdDSA", Algorithm::EdDsa),
    ("ES256", Algorithm::Es256),
    ("ES384", Algorithm::Es384),
    ("RS256", Algorithm::Rs(Hash::Sha256)),
    ("RS384", Algorithm::Rs(Hash::Sha384)),
    ("RS512", Algorithm::Rs(Hash::Sha512)),
    ("PS256", Algorithm::Ps(Hash::Sha256)),
    ("PS384", Algorithm::Ps(Hash::Sha384)),
    ("PS512", Algorithm::Ps(Hash::Sha512)),
    ("HS256", Algorithm::Hs(Hash::Sha256)),
    ("HS384", Algorithm::Hs(Hash::Sha384)),
    ("HS512", Algorithm::Hs(Hash::Sha512)),
];

impl Algorithm {
    /// Reads a name of RFC 7518 or 8037, as `EdDSA`.
    ///
    /// # Errors
    /// [`KeyError::Algorithm`] for any other text.
    pub fn parse(name: &str) -> Result<Self, KeyError> {
        let found = ALGORITHMS.iter().find(|(known, _)| *known == name);
        found.map(|(_, algorithm)| *algorithm).ok_or_else(|| KeyError::Algorithm(name.to_owned()))
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        ALGORITHMS.iter().find(|(_, known)| *known == self).map_or("", |(name, _)| name)
    }

    fn names() -> String {
        ALGORITHMS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }
}

/// A key that fits the algorithm.
#[derive(Clone, PartialEq, Eq)]
enum Key {
    /// Of a curve: what the library takes.
    Curve(Vec<u8>),
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    Secret(Vec<u8>),
}

/// The keys of one algorithm, in the order in which they are tried.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKeys {
    pub(crate) algorithm: Algorithm,
    keys: Vec<Key>,
}

impl std::fmt::Debug for PublicKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKeys({}, {} keys)", self.algorithm.as_str(), self.keys.len())
    }
}

impl PublicKeys {
    /// No key yet.
    pub fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, keys: Vec::new() }
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Adds the keys of a JSON list of JWK. Those that cannot be used are left out, with a reason each.
    ///
    /// # Errors
    /// When it is no list, or no key of it can be used.
    pub fn add_list(&mut self, json: &[u8]) -> Result<Vec<String>, KeyError> {
        let list: Vec<Value> = serde_json::from_slice(json).map_err(|_| KeyError::NotAList)?;
        let (before, mut reasons) = (self.keys.len(), Vec::new());
        for (at, jwk) in list.iter().take(MAX_KEYS).enumerate() {
            match self.of_jwk(jwk) {
                Ok(key) => self.keys.push(key),
                Err(reason) => reasons.push(format!("key {} {reason}", at + 1)),
            }
        }
        match self.keys.len() > before {
            true => Ok(reasons),
            false => Err(KeyError::NoKey { number: list.len(), reasons }),
        }
    }

    fn of_jwk(&self, jwk: &Value) -> Result<Key, String> {
        let text = |name: &str| jwk[name].as_str().unwrap_or_default();
        let bytes = |name: &str| {
            let decoded = BASE64_URL_SAFE_NO_PAD.decode(text(name).trim_end_matches('='));
            decoded.ok().filter(|bytes| !bytes.is_empty()).ok_or_else(|| format!("has no `{name}`"))
        };
        if jwk.get("d").is_some() {
            return Err("is a private key, which nobody but the Hub should have".to_owned());
        }
        if jwk.get("alg").is_some_and(|alg| alg != self.algorithm.as_str()) {
            return Err(format!("is for the algorithm {}", jwk["alg"]));
        }
        if jwk.get("use").is_some_and(|use_| use_ != "sig") {
            return Err("is not for signatures".to_owned());
        }
        let point = |size: usize| {
            let (x, y) = (bytes("x")?, bytes("y")?);
            if x.len() != size || y.len() != size {
                return Err("is no point of its curve".to_owned());
            }
            Ok(Key::Curve([&[4], x.as_slice(), &y].concat()))
        };
        match (self.algorithm, text("kty"), text("crv")) {
            (Algorithm::EdDsa, "OKP", "Ed25519") => ed25519(&bytes("x")?).map_err(str::to_owned),
            (Algorithm::Es256, "EC", "P-256") => point(32),
            (Algorithm::Es384, "EC", "P-384") => point(48),
            (Algorithm::Rs(_) | Algorithm::Ps(_), "RSA", _) => rsa(&bytes("n")?, &bytes("e")?).map_err(str::to_owned),
            (Algorithm::Hs(_), "oct", _) => secret(bytes("k")?).map_err(str::to_owned),
            _ => Err(format!("does not fit the algorithm {}", self.algorithm.as_str())),
        }
    }

    /// Adds a key of the settings: a public key as PEM, or for HMAC the secret itself.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn add_pem(&mut self, text: &str) -> Result<(), KeyError> {
        // In the environment a line may end with `\n` in two letters.
        let text = text.replace("\\n", "\n");
        let text = text.trim();
        let is_pem = text.starts_with("-----BEGIN ");
        let key = match self.algorithm {
            Algorithm::Hs(_) if is_pem => Err("this is a public key, but the algorithm takes a secret"),
            Algorithm::Hs(_) => secret(text.as_bytes().to_vec()),
            algorithm => pem(text).and_then(|der| of_der(algorithm, &der)),
        };
        self.keys.push(key.map_err(KeyError::Key)?);
        Ok(())
    }

    /// Whether one of the keys has signed a message.
    pub(crate) fn have_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.keys.iter().any(|key| has_signed(self.algorithm, key, message, signature).is_ok())
    }
}

fn has_signed(
    algorithm: Algorithm,
    key: &Key,
    message: &[u8],
    signature: &[u8],
) -> Result<(), ring::error::Unspecified> {
    let of_curve = |kind: &'static dyn signature::VerificationAlgorithm, key: &[u8]| {
        UnparsedPublicKey::new(kind, key).verify(message, signature)
    };
    match (algorithm, key) {
        (Algorithm::EdDsa, Key::Curve(key)) => of_curve(&ED25519, key),
        (Algorithm::Es256, Key::Curve(key)) => of_curve(&ECDSA_P256_SHA256_FIXED, key),
        (Algorithm::Es384, Key::Curve(key)) => of_curve(&ECDSA_P384_SHA384_FIXED, key),
        (Algorithm::Rs(hash), Key::Rsa { modulus, exponent }) => {
            let kind = match hash {
                Hash::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
                Hash::Sha384 => &RSA_PKCS1_2048_8192_SHA384,
                Hash::Sha512 => &RSA_PKCS1_2048_8192_SHA512,
            };
            RsaPublicKeyComponents { n: modulus, e: exponent }.verify(kind, message, signature)
        }
        (Algorithm::Ps(hash), Key::Rsa { modulus, exponent }) => {
            let kind = match hash {
                Hash::Sha256 => &RSA_PSS_2048_8192_SHA256,
                Hash::Sha384 => &RSA_PSS_2048_8192_SHA384,
                Hash::Sha512 => &RSA_PSS_2048_8192_SHA512,
            };
            RsaPublicKeyComponents { n: modulus, e: exponent }.verify(kind, message, signature)
        }
        (Algorithm::Hs(hash), Key::Secret(secret)) => {
            let kind = match hash {
                Hash::Sha256 => hmac::HMAC_SHA256,
                Hash::Sha384 => hmac::HMAC_SHA384,
                Hash::Sha512 => hmac::HMAC_SHA512,
            };
            hmac::verify(&hmac::Key::new(kind, secret), message, signature)
        }
        _ => Err(ring::error::Unspecified),
    }
}

fn ed25519(bytes: &[u8]) -> Result<Key, &'static str> {
    if bytes.len() == 32 { Ok(Key::Curve(bytes.to_vec())) } else { Err("is no key of Ed25519: it has not 32 bytes") }
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Key, &'static str> {
    let modulus = &modulus[modulus.iter().take_while(|byte| **byte == 0).count()..];
    if !(256..=MAX_RSA_BYTES).contains(&modulus.len()) {
        return Err("has not between 2048 and 8192 bits");
    }
    Ok(Key::Rsa { modulus: modulus.to_vec(), exponent: exponent.to_vec() })
}

fn secret(bytes: Vec<u8>) -> Result<Key, &'static str> {
    if bytes.len() >= MIN_SECRET_BYTES { Ok(Key::Secret(bytes)) } else { Err("has fewer than 32 bytes") }
}

/// The content of a `PUBLIC KEY` in PEM.
fn pem(text: &str) -> Result<Vec<u8>, &'static str> {
    if text.contains("PRIVATE KEY") {
        return Err("this is a private key, which nobody but the Hub should have");
    }
    let inner = text.strip_prefix("-----BEGIN PUBLIC KEY-----");
    let inner = inner.and_then(|rest| rest.strip_suffix("-----END PUBLIC KEY-----"));
    let inner = inner.ok_or("expected a key between `-----BEGIN PUBLIC KEY-----` and `-----END PUBLIC KEY-----`")?;
    let digits: String = inner.split_whitespace().collect();
    BASE64_STANDARD.decode(digits).map_err(|_| "what stands between the lines of the key is no base64")
}

/// The key of a `SubjectPublicKeyInfo`, RFC 5280.
fn of_der(algorithm: Algorithm, der: &[u8]) -> Result<Key, &'static str> {
    const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
    const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    let broken = "the key is damaged";
    let mut info = Elements(der).sequence().ok_or(broken)?;
    let mut kind = info.sequence().ok_or(broken)?;
    let (name, bits) = (kind.next(OBJECT).ok_or(broken)?, info.bits().ok_or(broken)?);
    match algorithm {
        Algorithm::EdDsa if name == ED25519 => ed25519(bits),
        Algorithm::Es256 | Algorithm::Es384 if name == EC => {
            let (curve, size) = if algorithm == Algorithm::Es256 { (P256, 65) } else { (P384, 97) };
            let fits = kind.next(OBJECT) == Some(curve) && bits.len() == size && bits.first() == Some(&4);
            if fits { Ok(Key::Curve(bits.to_vec())) } else { Err("the key is of another curve than the algorithm") }
        }
        Algorithm::Rs(_) | Algorithm::Ps(_) if name == RSA => {
            let mut numbers = Elements(bits).sequence().ok_or(broken)?;
            let (modulus, exponent) = (numbers.unsigned().ok_or(broken)?, numbers.unsigned().ok_or(broken)?);
            if numbers.is_empty() { rsa(modulus, exponent) } else { Err(broken) }
        }
        _ => Err("the key does not fit the algorithm"),
    }
}
