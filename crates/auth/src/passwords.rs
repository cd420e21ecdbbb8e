//! Hashes of passwords: argon2id for all of ours, bcrypt only to verify what was imported, once.

use std::sync::{Arc, OnceLock};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params, PasswordHasher, PasswordVerifier};

use crate::fresh;

/// Fewest characters of a new password.
pub const MIN_CHARS: usize = 8;
/// Most bytes of a password. Hashing takes the same time for all of these.
pub const MAX_BYTES: usize = 1024;
/// Most kibibytes of memory, and passes over it, that an imported hash may ask for.
const MAX_MEMORY_KIB: u32 = 256 << 10;
const MAX_PASSES: u32 = 16;
/// The costs of imported bcrypt hashes: a fraction of a millisecond to a second.
const BCRYPT_COSTS: std::ops::RangeInclusive<u32> = 4..=14;

/// Why a password or a hash is not taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PasswordError {
    /// A new password is too short.
    #[error("the password has fewer than {MIN_CHARS} characters")]
    TooShort,
    /// Nobody types that.
    #[error("the password has more than {MAX_BYTES} bytes")]
    TooLong,
    /// An imported hash is none that can be verified.
    #[error(
        "this is no hash of a password: expected `$argon2id$…` of at most {MAX_MEMORY_KIB} KiB and {MAX_PASSES} passes, \
         or `$2a$`, `$2b$` or `$2y$` of a cost from 4 to 14"
    )]
    Hash,
    /// The hash could not be made.
    #[error("the password could not be hashed: {0}")]
    Failed(String),
}

/// What a check of a password told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Checked {
    /// It is another password, or there is no such user.
    Wrong,
    /// It is the password.
    Right,
    /// It is the password, and its hash is to be replaced by one of ours.
    RightAndOld,
}

/// Hashes passwords and checks them. One check takes tens of milliseconds and as much memory as the settings say.
#[derive(Clone, Debug)]
pub struct Passwords {
    params: Params,
    /// The hash that is checked where there is no user, so that this takes as long. Made for the first check of all: most
    /// programs never make one.
    decoy: Arc<OnceLock<String>>,
}

impl Default for Passwords {
    /// The costs that OWASP recommends: 19 MiB of memory, two passes.
    /// <https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html>
    fn default() -> Self {
        Self::with_costs(19_456, 2)
    }
}

impl Passwords {
    /// With these costs: kibibytes of memory, and passes over it.
    ///
    /// # Panics
    /// When the costs are not legal: less than 8 KiB, or no pass.
    pub fn with_costs(memory_kib: u32, passes: u32) -> Self {
        let params = Params::new(memory_kib, passes, 1, None).expect("legal costs");
        Self { params, decoy: Arc::default() }
    }

    fn decoy(&self) -> &str {
        self.decoy.get_or_init(|| {
            let hash = Argon2::from(&self.params).hash_password_with_salt(b"decoy", &[0; 16]);
            hash.expect("legal costs and salt").to_string()
        })
    }

    /// The hash of a new password.
    ///
    /// # Errors
    /// When the password is too short or too long, or the system has no randomness.
    pub fn hash(&self, password: &str) -> Result<String, PasswordError> {
        if password.chars().count() < MIN_CHARS {
            return Err(PasswordError::TooShort);
        }
        self.hash_again(password)
    }

    /// The hash of a password that is in use already, however short.
    ///
    /// # Errors
    /// As [`hash`](Self::hash).
    pub fn hash_again(&self, password: &str) -> Result<String, PasswordError> {
        if password.len() > MAX_BYTES {
            return Err(PasswordError::TooLong);
        }
        let failed = |error: &dyn std::fmt::Display| PasswordError::Failed(error.to_string());
        let salt = fresh::bytes::<16>().map_err(|error| failed(&error))?;
        let hash = Argon2::from(&self.params).hash_password_with_salt(password.as_bytes(), &salt);
        Ok(hash.map_err(|error| failed(&error))?.to_string())
    }

    /// Compares a password with the stored hash; `None` stands for a user who does not exist, and takes as long.
    pub fn check(&self, password: &str, stored: Option<&str>) -> Checked {
        if password.len() > MAX_BYTES {
            return Checked::Wrong;
        }
        // Asked for even where it is not needed: the first check must not take longer for users who do not exist.
        let decoy = self.decoy();
        let hash = stored.unwrap_or(decoy);
        let is_right = if is_bcrypt(hash) {
            // As every bcrypt does, it looks at the first 72 bytes only.
            bcrypt::verify(password, hash).unwrap_or(false)
        } else {
            Argon2::default().verify_password(password.as_bytes(), hash).is_ok()
        };
        match (is_right && stored.is_some(), self.is_current(hash)) {
            (false, _) => Checked::Wrong,
            (true, true) => Checked::Right,
            (true, false) => Checked::RightAndOld,
        }
    }

    /// Whether a hash was made with these costs.
    fn is_current(&self, hash: &str) -> bool {
        params(hash).is_some_and(|params| {
            params.m_cost() == self.params.m_cost()
                && params.t_cost() == self.params.t_cost()
                && params.p_cost() == self.params.p_cost()
        })
    }

    /// Checks a hash that was made elsewhere.
    ///
    /// # Errors
    /// [`PasswordError::Hash`] when it is none, or would cost too much to verify.
    pub fn import(hash: &str) -> Result<String, PasswordError> {
        let hash = hash.trim();
        let is_legal = if is_bcrypt(hash) {
            let parts = hash.parse::<bcrypt::HashParts>();
            hash.len() == 60 && parts.is_ok_and(|parts| BCRYPT_COSTS.contains(&parts.get_cost()))
        } else {
            params(hash).is_some_and(|params| {
                params.m_cost() <= MAX_MEMORY_KIB && params.t_cost() <= MAX_PASSES && params.p_cost() <= 16
            })
        };
        if is_legal { Ok(hash.to_owned()) } else { Err(PasswordError::Hash) }
    }
}

fn is_bcrypt(hash: &str) -> bool {
    ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| hash.starts_with(prefix))
}

/// The costs of a complete argon2id hash.
fn params(hash: &str) -> Option<Params> {
    let hash = PasswordHash::new(hash).ok()?;
    let is_complete = hash.algorithm.as_str() == "argon2id" && hash.salt.is_some() && hash.hash.is_some();
    is_complete.then(|| Params::try_from(&hash).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cheap() -> Passwords {
        Passwords::with_costs(8, 1)
    }

    #[test]
    fn a_password_fits_its_hash_only() {
        let passwords = cheap();
        let hash = passwords.hash("correct horse").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{hash}");
        assert_ne!(hash, passwords.hash("correct horse").unwrap(), "salts differ");
        assert_eq!(passwords.check("correct horse", Some(&hash)), Checked::Right);
        for wrong in ["", "correct hors", "correct horse ", "Correct horse"] {
            assert_eq!(passwords.check(wrong, Some(&hash)), Checked::Wrong);
        }
    }

    #[test]
    fn the_decoy_of_unknown_users_costs_what_hashes_cost_and_fits_nothing() {
        let passwords = Passwords::default();
        assert!(passwords.decoy().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", passwords.decoy());
        assert_eq!(passwords.check("decoy", None), Checked::Wrong);
        assert_eq!(passwords.check("decoy", Some(passwords.decoy())), Checked::Right, "it is a real hash");
    }

    #[test]
    fn imported_hashes_are_verified_and_told_to_be_old() {
        let passwords = cheap();
        let hash = bcrypt::hash("correct horse", 4).unwrap();
        let imported = Passwords::import(&hash).unwrap();
        assert_eq!(passwords.check("correct horse", Some(&imported)), Checked::RightAndOld);
        assert_eq!(passwords.check("wrong horse", Some(&imported)), Checked::Wrong);
        let apache = imported.replacen("$2b$", "$2y$", 1);
        assert_eq!(passwords.check("correct horse", Some(&apache)), Checked::RightAndOld);
        let other_costs = Passwords::with_costs(16, 1).hash("correct horse").unwrap();
        let imported = Passwords::import(&format!("{other_costs}\n")).unwrap();
        assert_eq!(passwords.check("correct horse", Some(&imported)), Checked::RightAndOld);
        let ours = passwords.hash("correct horse").unwrap();
        assert_eq!(passwords.check("correct horse", Some(&Passwords::import(&ours).unwrap())), Checked::Right);
    }

    #[test]
    fn what_is_no_hash_or_costs_too_much_is_not_imported() {
        let bcrypt = "$2b$12$GhvMmNVjRW29ulnudl.LbuAnUtN/LRfe1JsBm1Xu6LE3059z5Tr8m";
        assert!(Passwords::import(bcrypt).is_ok());
        for text in [
            "",
            "secret",
            "5f4dcc3b5aa765d61d8327deb882cf99",
            "$1$abc$def",
            "$2b$31$GhvMmNVjRW29ulnudl.LbuAnUtN/LRfe1JsBm1Xu6LE3059z5Tr8m",
            "$2b$12$short",
            "$2x$12$GhvMmNVjRW29ulnudl.LbuAnUtN/LRfe1JsBm1Xu6LE3059z5Tr8m",
            "$argon2i$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
            "$argon2id$v=19$m=4194304,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
            "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert_eq!(Passwords::import(text), Err(PasswordError::Hash), "{text}");
        }
    }

    #[test]
    fn passwords_have_a_length() {
        let passwords = cheap();
        assert_eq!(passwords.hash("seven77"), Err(PasswordError::TooShort));
        assert!(passwords.hash("ääääääää").is_ok());
        assert!(passwords.hash(&"x".repeat(MAX_BYTES)).is_ok());
        assert_eq!(passwords.hash(&"x".repeat(MAX_BYTES + 1)), Err(PasswordError::TooLong));
        assert_eq!(passwords.check(&"x".repeat(1 << 20), None), Checked::Wrong);
    }
}
