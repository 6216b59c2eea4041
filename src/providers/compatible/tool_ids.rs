//! Ids of tool calls in a vendor's own shape (rule T7).
//!
//! A conforming id is left alone. Any other becomes a hash of itself, so that a call and its
//! result agree, in this turn and in the next. Nothing has to be mapped back: ids in answers are
//! the vendor's own and conform.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

const LENGTH: usize = 9;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The ids of one request.
#[derive(Debug, Default)]
pub(super) struct NineChars {
    /// Wire id to the client's.
    taken: HashMap<String, String>,
}

impl NineChars {
    /// The id for the wire; `None` when it may stay as it is.
    pub(super) fn map(&mut self, id: &str) -> Option<String> {
        if conforms(id) {
            self.taken.insert(id.into(), id.into());
            return None;
        }
        // Two ids of one request must not fall together: the later one is hashed on. There are
        // 62^9 ids and a handful in use, so the second round is hardly ever needed.
        let mut wire = hash(id);
        while self.taken.get(&wire).is_some_and(|owner| owner != id) {
            wire = hash(&wire);
        }
        self.taken.insert(wire.clone(), id.into());
        Some(wire)
    }
}

fn conforms(id: &str) -> bool {
    id.len() == LENGTH && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn hash(id: &str) -> String {
    Sha256::digest(id)
        .iter()
        .take(LENGTH)
        .filter_map(|byte| ALPHABET.get(usize::from(*byte) % ALPHABET.len()))
        .map(|byte| char::from(*byte))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T7: deterministic, without collisions, conforming ids byte-identical.
    #[test]
    fn foreign_ids_get_nine_characters() {
        let mut ids = NineChars::default();
        assert_eq!(ids.map("D681PevKs"), None);
        let first = ids.map("call_abc").unwrap();
        assert!(conforms(&first), "{first}");
        assert_eq!(ids.map("call_abc").as_deref(), Some(first.as_str()));
        assert_eq!(NineChars::default().map("call_abc"), Some(first.clone()));
        assert_ne!(ids.map("call_abd"), Some(first.clone()));
        // A conforming id that is another's hash pushes the other aside.
        let mut ids = NineChars::default();
        assert_eq!(ids.map(&first), None);
        let pushed = ids.map("call_abc").unwrap();
        assert!(conforms(&pushed) && pushed != first);
        assert!(conforms(&ids.map("").unwrap()));
    }
}
