//! The gateway's own keys: how one is made, and what is kept of it.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::{TryRngCore, rand_core::OsError, rngs::OsRng};
use secrecy::SecretString;
use sha2::{Digest, Sha256};

/// A key that nobody has seen yet.
#[derive(Debug)]
pub struct FreshKey {
    pub secret: SecretString,
    /// What the configuration keeps of it: `sha256:` and 64 hexadecimal digits.
    pub hash: String,
}

// === impl FreshKey ===

impl FreshKey {
    /// Makes a key of 256 random bits from the operating system.
    pub fn mint() -> Result<Self, OsError> {
        let mut bytes = [0; 32];
        OsRng.try_fill_bytes(&mut bytes)?;
        let secret = format!("sk-sluis-{}", URL_SAFE_NO_PAD.encode(bytes));
        let hash = format!("sha256:{}", Hex(&hash_key(&secret)));
        Ok(Self { secret: secret.into(), hash })
    }
}

/// What is kept of a key and looked up by (rule X1).
///
/// A plain SHA-256: a key is 256 random bits, not a password, so there is nothing to guess and
/// nothing to slow down.
pub fn hash_key(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// Reads `sha256:` and 64 hexadecimal digits.
pub(super) fn parse_hash(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_prefix("sha256:")?.as_bytes();
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let bytes: Option<Vec<u8>> = pairs
        .iter()
        .map(|[high, low]| Some(16 * char::from(*high).to_digit(16)? + char::from(*low).to_digit(16)?))
        .map(|byte| u8::try_from(byte?).ok())
        .collect();
    bytes?.try_into().ok()
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_fresh_key_matches_its_hash_and_no_other() {
        let (one, two) = (FreshKey::mint().unwrap(), FreshKey::mint().unwrap());
        assert_eq!(one.secret.expose_secret().len(), "sk-sluis-".len() + 43);
        assert_eq!(parse_hash(&one.hash), Some(hash_key(one.secret.expose_secret())));
        assert_ne!(parse_hash(&one.hash), Some(hash_key(two.secret.expose_secret())));
        assert!(!format!("{one:?}").contains(one.secret.expose_secret()));
    }

    #[test]
    fn a_hash_is_read_strictly() {
        let zeros = "0".repeat(64);
        assert_eq!(parse_hash(&format!("sha256:{zeros}")), Some([0; 32]));
        for wrong in [zeros.clone(), format!("sha256:{zeros}0"), format!("sha256:{zeros}00"), "sha256:+f".into()] {
            assert_eq!(parse_hash(&wrong), None, "{wrong}");
        }
    }
}
