use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD as BASE64};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::json;

use super::*;
use crate::jwt;
use crate::keys::{Algorithm, KeyError};

const NOW: i64 = 1_790_000_000;

fn ed25519() -> Ed25519KeyPair {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap()
}

fn jwk(pair: &Ed25519KeyPair) -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "x": BASE64.encode(pair.public_key().as_ref())})
}

fn keys(pairs: &[&Ed25519KeyPair]) -> PublicKeys {
    let mut keys = PublicKeys::new(Algorithm::EdDsa);
    let list: Vec<Value> = pairs.iter().map(|pair| jwk(pair)).collect();
    assert_eq!(keys.add_list(json!(list).to_string().as_bytes()), Ok(vec![]));
    keys
}

fn token(pair: &Ed25519KeyPair, claims: &Value) -> String {
    let unsigned = jwt::unsigned(r#"{"typ":"JWT","alg":"EdDSA"}"#, claims);
    let signature = pair.sign(unsigned.as_bytes());
    jwt::signed(unsigned, signature.as_ref())
}

fn claims() -> Value {
    json!({"sub": "datasets/acme/birds", "permissions": {"repo.content.read": true}, "exp": NOW + 60})
}

fn check(keys: &PublicKeys, token: &str) -> Result<(), HubTokenError> {
    keys.check(token, Expected { dataset: "acme/birds", now: NOW })
}

#[test]
fn any_of_several_keys_may_have_signed() {
    let (old, new, other) = (ed25519(), ed25519(), ed25519());
    let both = keys(&[&old, &new]);
    for pair in [&old, &new] {
        assert_eq!(check(&both, &token(pair, &claims())), Ok(()));
    }
    assert_eq!(check(&both, &token(&other, &claims())), Err(HubTokenError::Signature));
    assert_eq!(check(&keys(&[&new]), &token(&old, &claims())), Err(HubTokenError::Signature));
}

#[test]
fn each_wrong_claim_has_its_reason() {
    let pair = ed25519();
    let keys = keys(&[&pair]);
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        check(&keys, &token(&pair, &claims))
    };
    for name in ["exp", "sub", "permissions"] {
        assert_eq!(with(name, Value::Null), Err(HubTokenError::Claim(name)));
    }
    assert_eq!(with("exp", json!(NOW)), Err(HubTokenError::Expired));
    assert_eq!(with("exp", json!((NOW + 60).to_string())), Err(HubTokenError::Claim("exp")));
    assert_eq!(with("iat", json!(NOW + 61)), Err(HubTokenError::NotYet("iat")));
    assert_eq!(with("nbf", json!(NOW + 61)), Err(HubTokenError::NotYet("nbf")));
    assert_eq!(with("iat", json!("now")), Err(HubTokenError::Claim("iat")));
    assert_eq!(with("iat", json!(NOW + 59)), Ok(()));
    assert_eq!(with("aud", json!("elsewhere")), Err(HubTokenError::Audience));
    assert_eq!(with("sub", json!("/datasets/acme/birds")), Ok(()));
    for subject in
        ["datasets/acme/bird", "datasets/acme/birds/", "//datasets/acme/birds", "acme/birds", "models/acme/birds"]
    {
        assert_eq!(with("sub", json!(subject)), Err(HubTokenError::Subject), "{subject}");
    }
    assert_eq!(with("permissions", json!(["repo.read"])), Err(HubTokenError::Claim("permissions")));
    for permissions in [json!({}), json!({"repo.read": "true"}), json!({"repo.read": 1}), json!({"repo.delete": true})]
    {
        assert_eq!(with("permissions", permissions), Err(HubTokenError::Permission));
    }
    for name in PERMISSIONS {
        assert_eq!(with("permissions", json!({name: true})), Ok(()));
    }
}

#[test]
fn the_algorithm_is_the_configured_one() {
    let pair = ed25519();
    let keys = keys(&[&pair]);
    let unsigned = jwt::unsigned(r#"{"alg":"none"}"#, &claims());
    let none = HubTokenError::Algorithm { found: "none".to_owned(), expected: "EdDSA" };
    assert_eq!(check(&keys, &jwt::signed(unsigned, b"")), Err(none));
    // The public key as the secret of a symmetric signature: what libraries that believe the header fall for.
    let unsigned = jwt::unsigned(r#"{"alg":"HS256"}"#, &claims());
    let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, pair.public_key().as_ref());
    let tag = ring::hmac::sign(&secret, unsigned.as_bytes());
    let swapped = jwt::signed(unsigned, tag.as_ref());
    assert!(matches!(check(&keys, &swapped), Err(HubTokenError::Algorithm { .. })));
    let critical = jwt::unsigned(r#"{"alg":"EdDSA","crit":["exp"]}"#, &claims());
    let signature = pair.sign(critical.as_bytes());
    assert_eq!(check(&keys, &jwt::signed(critical, signature.as_ref())), Err(HubTokenError::Malformed));
    for garbage in ["", "abc", "a.b.c", "....", "eyJhbGciOiJFZERTQSJ9.e30"] {
        assert_eq!(check(&keys, garbage), Err(HubTokenError::Malformed), "{garbage}");
    }
}

#[test]
fn keys_come_as_pem_too() {
    let pair = ed25519();
    let der = [&[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00], pair.public_key().as_ref()]
        .concat();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64_STANDARD.encode(&der));
    for text in [pem.clone(), pem.replace('\n', "\\n")] {
        let mut keys = PublicKeys::new(Algorithm::EdDsa);
        keys.add_pem(&text).unwrap();
        assert_eq!(check(&keys, &token(&pair, &claims())), Ok(()));
    }
    for (algorithm, text) in [
        ("ES256", pem.as_str()),
        ("RS256", &pem),
        ("HS256", &pem),
        ("EdDSA", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"),
        ("EdDSA", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"),
        ("EdDSA", "abc"),
        ("HS256", "short"),
    ] {
        let mut keys = PublicKeys::new(Algorithm::parse(algorithm).unwrap());
        assert!(matches!(keys.add_pem(text), Err(KeyError::Key(_))), "{algorithm} {text}");
        assert!(keys.is_empty());
    }
}

/// Made with OpenSSL 3: `genpkey`, then `pkeyutl -sign`.
#[test]
fn rsa_keys_are_read() {
    let pem = include_str!("rsa.pem");
    let token = include_str!("rs256.jwt").trim();
    let mut keys = PublicKeys::new(Algorithm::parse("RS256").unwrap());
    keys.add_pem(pem).unwrap();
    assert_eq!(check(&keys, token), Ok(()));
    let mut parts = token.rsplitn(2, '.');
    let (signature, signed) = (parts.next().unwrap(), parts.next().unwrap());
    let other = format!("{signed}.{}", signature.replace(&signature[..4], "AAAA"));
    assert_eq!(check(&keys, &other), Err(HubTokenError::Signature));
    // The same key, but for the other padding.
    let mut keys = PublicKeys::new(Algorithm::parse("PS256").unwrap());
    keys.add_pem(pem).unwrap();
    assert!(matches!(check(&keys, token), Err(HubTokenError::Algorithm { .. })));
}

#[test]
fn elliptic_curves_and_secrets_work_too() {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
    let point = pair.public_key().as_ref();
    let jwk = json!({"kty": "EC", "crv": "P-256", "x": BASE64.encode(&point[1..33]), "y": BASE64.encode(&point[33..])});
    let mut keys = PublicKeys::new(Algorithm::Es256);
    keys.add_list(json!([jwk]).to_string().as_bytes()).unwrap();
    let unsigned = jwt::unsigned(r#"{"alg":"ES256"}"#, &claims());
    let signature = pair.sign(&random, unsigned.as_bytes()).unwrap();
    assert_eq!(check(&keys, &jwt::signed(unsigned, signature.as_ref())), Ok(()));

    let mut keys = PublicKeys::new(Algorithm::parse("HS512").unwrap());
    keys.add_pem(&"s".repeat(40)).unwrap();
    let unsigned = jwt::unsigned(r#"{"alg":"HS512"}"#, &claims());
    let tag = ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA512, &[b's'; 40]), unsigned.as_bytes());
    assert_eq!(check(&keys, &jwt::signed(unsigned, tag.as_ref())), Ok(()));
}

#[test]
fn keys_of_no_use_are_left_out_and_told() {
    let pair = ed25519();
    let mut private = jwk(&pair);
    private["d"] = json!("AAAA");
    let list = json!([
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"}, private, jwk(&pair), {"kty": "OKP", "crv": "Ed25519", "x": "AA"}, 5,
    ]);
    let mut keys = PublicKeys::new(Algorithm::EdDsa);
    let reasons = keys.add_list(list.to_string().as_bytes()).unwrap();
    assert_eq!(
        reasons,
        [
            "key 1 does not fit the algorithm EdDSA",
            "key 2 is a private key, which nobody but the Hub should have",
            "key 4 is no key of Ed25519: it has not 32 bytes",
            "key 5 does not fit the algorithm EdDSA",
        ]
    );
    assert_eq!(check(&keys, &token(&pair, &claims())), Ok(()));
    let mut keys = PublicKeys::new(Algorithm::EdDsa);
    for list in ["[]", r#"[{"kty": "oct", "k": "AAAA"}]"#] {
        assert!(matches!(keys.add_list(list.as_bytes()), Err(KeyError::NoKey { .. })), "{list}");
    }
    for odd in ["", "{}", "null", "<html>"] {
        assert_eq!(keys.add_list(odd.as_bytes()), Err(KeyError::NotAList), "{odd}");
    }
    assert!(Algorithm::parse("none").is_err() && Algorithm::parse("").is_err());
}
