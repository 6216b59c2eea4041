//! Tool names and call ids that fit the dialect's limits (rule T7): OpenAI takes names of
//! `[A-Za-z0-9_-]` up to 64 characters and ids up to 64.
//!
//! What conforms stays as it is. The rest is cut and carries a hash of the original, so that equal
//! names stay equal over all turns and different ones stay different.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

const LONGEST: usize = 64;
const HASH_LENGTH: usize = 12;

pub(super) fn tool(name: &str) -> Cow<'_, str> {
    let conforms = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if conforms && !name.is_empty() && name.len() <= LONGEST { name.into() } else { hashed(name).into() }
}

pub(super) fn call_id(id: &str) -> Cow<'_, str> {
    if id.chars().count() <= LONGEST { id.into() } else { hashed(id).into() }
}

fn hashed(text: &str) -> String {
    let clean = |character: char| if character.is_ascii_alphanumeric() || character == '-' { character } else { '_' };
    let mut out: String = text.chars().map(clean).take(LONGEST - HASH_LENGTH - 1).collect();
    out.push('_');
    let digest = Sha256::digest(text.as_bytes());
    out.extend(digest.iter().take(HASH_LENGTH / 2).map(|byte| format!("{byte:02x}")));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T7, regression case 32: two names that clean to one stay two; a good name is not touched.
    #[test]
    fn names_stay_apart() {
        let (dotted, plain) = (tool("a.b/get"), tool("a_b_get"));
        assert_eq!(plain, "a_b_get");
        assert_ne!(dotted, plain);
        let long = "x".repeat(200);
        for name in ["a.b/get", "a.b.get", "\u{4f60}\u{597d}", "", long.as_str()] {
            let wire = tool(name);
            assert!(!wire.is_empty() && wire.len() <= 64, "{wire}");
            assert_eq!(tool(&wire), wire, "a wire name conforms");
            assert_eq!(tool(name), wire, "always the same");
        }
        assert_eq!(call_id("toolu_01:weird.id"), "toolu_01:weird.id");
        assert_eq!(call_id(&long).len(), 64);
    }
}
