//! Ids of tool calls that fit: letters, digits and `_ . : -`, at most 64, and for Mistral's models
//! nine letters or digits. What fits stays as it is (rule T7). Ids need no way back: the model's own
//! new ones go to the client as they come.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

use super::models::Line;
use crate::wire::names::{Names, Rule};

const RULE: Rule =
    Rule { limit: 64, fits: |_, byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':' | b'-') };

const NINE: usize = 9;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The ids of one request.
#[derive(Debug)]
pub(super) enum Ids {
    Usual(Names),
    /// By the client's id.
    Nine(HashMap<String, String>),
}

// === impl Ids ===

impl Ids {
    pub(super) fn new<'a>(line: &Line, all: impl Iterator<Item = &'a str> + Clone) -> Self {
        if !line.nine {
            return Self::Usual(Names::new(RULE, all));
        }
        let mut taken: HashSet<String> = all.clone().filter(|id| is_nine(id)).map(Into::into).collect();
        let mut mapped = HashMap::new();
        for id in all.filter(|id| !is_nine(id)) {
            if !mapped.contains_key(id) {
                let fresh = (0..).map(|round| nine(id, round)).find(|wire| taken.insert(wire.clone()));
                mapped.insert(id.to_owned(), fresh.unwrap_or_default());
            }
        }
        Self::Nine(mapped)
    }

    /// The id for the wire.
    pub(super) fn wire<'a>(&'a self, id: &'a str) -> &'a str {
        match self {
            Self::Usual(names) => names.wire(id),
            Self::Nine(mapped) => mapped.get(id).map_or(id, String::as_str),
        }
    }
}

fn is_nine(id: &str) -> bool {
    id.len() == NINE && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// A function of the id alone, so that a replayed turn is the same bytes again (rule C1).
fn nine(id: &str, round: u32) -> String {
    let digest = Sha256::new().chain_update(id).chain_update(round.to_le_bytes()).finalize();
    let digit = |byte: &u8| DIGITS.get(usize::from(*byte) % DIGITS.len()).copied().map_or('0', char::from);
    digest.iter().take(NINE).map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::bedrock::models;

    /// T7: per model, what fits stays, and nothing else is the same twice.
    #[test]
    fn ids_fit_the_model() {
        let all = ["tooluse_a.b:c-1", "a b", "a/b", "abcDEF123", ""];
        let usual = Ids::new(&models::line("amazon.nova-pro-v1:0"), all.into_iter());
        assert_eq!((usual.wire(all[0]), usual.wire(all[3])), (all[0], all[3]));
        assert!(usual.wire("a b") != usual.wire("a/b") && !usual.wire("").is_empty());
        let nine = Ids::new(&models::line("mistral.mistral-large-2402-v1:0"), all.into_iter());
        assert_eq!(nine.wire("abcDEF123"), "abcDEF123");
        let wires: HashSet<&str> = all.iter().map(|id| nine.wire(id)).collect();
        assert!(wires.len() == all.len() && wires.iter().all(|wire| is_nine(wire)), "{wires:?}");
    }
}
