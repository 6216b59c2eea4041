//! Ids and names that fit: what the vendor's charset refuses is mapped, the rest stays as it is.
//!
//! The map is a function of the text alone, so the same tool is called the same in every turn of a
//! conversation and the prompt cache holds (rules C1, T7). It is collision-free because a mapped
//! text ends in a digest of the original and is tried against everything the request holds.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

/// Tool names or tool ids of one request, as the client wrote them and as the wire has them.
#[derive(Debug, Default)]
pub(super) struct Names {
    limit: usize,
    taken: HashSet<String>,
    mapped: HashMap<String, String>,
}

// === impl Names ===

impl Names {
    /// `limit` is in characters; what conforms among `all` is reserved before anything is mapped.
    pub(super) fn new<'a>(limit: usize, all: impl Iterator<Item = &'a str> + Clone) -> Self {
        let taken = all.clone().filter(|name| conforms(name, limit)).map(Into::into).collect();
        let mut names = Self { limit, taken, mapped: HashMap::new() };
        for name in all {
            names.add(name);
        }
        names
    }

    /// The text for the wire.
    pub(super) fn wire<'a>(&'a self, name: &'a str) -> &'a str {
        self.mapped.get(name).map_or(name, String::as_str)
    }

    /// A conforming name like `wish` that nothing in the request has; it is reserved.
    pub(super) fn fresh(&mut self, wish: &str) -> String {
        let mut name = wish.to_owned();
        let mut round = 2;
        while !self.taken.insert(name.clone()) {
            name = format!("{wish}_{round}");
            round += 1;
        }
        name
    }

    /// Wire text to original, of all that differ.
    pub(super) fn into_originals(self) -> HashMap<String, String> {
        self.mapped.into_iter().map(|(original, wire)| (wire, original)).collect()
    }

    fn add(&mut self, name: &str) {
        if conforms(name, self.limit) || self.mapped.contains_key(name) {
            return;
        }
        let mut round = 0;
        let wire = loop {
            let wire = fitted(name, self.limit, round);
            if self.taken.insert(wire.clone()) {
                break wire;
            }
            round += 1;
        };
        self.mapped.insert(name.into(), wire);
    }
}

fn conforms(name: &str, limit: usize) -> bool {
    !name.is_empty() && name.len() <= limit && name.bytes().all(fits)
}

fn fits(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// The readable part of `name`, and a digest of all of it.
fn fitted(name: &str, limit: usize, round: u32) -> String {
    let digest = Sha256::new().chain_update(name).chain_update(round.to_le_bytes()).finalize();
    let keep = limit.min(64).saturating_sub(11);
    let mut out: String =
        name.chars().take(keep).map(|c| if c.is_ascii() && fits(c as u8) { c } else { '_' }).collect();
    out.push('_');
    for byte in digest.iter().take(5) {
        out.push_str(&format!("{byte:02x}"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// T7, regression case 32.
    #[test]
    fn two_names_that_look_alike_stay_two() {
        let names = Names::new(64, ["a.b/get", "a_b_get"].into_iter());
        assert_eq!(names.wire("a_b_get"), "a_b_get");
        let wire = names.wire("a.b/get").to_owned();
        assert!(conforms(&wire, 64) && wire != "a_b_get", "{wire}");
        assert_eq!(names.into_originals(), HashMap::from([(wire, "a.b/get".into())]));
    }

    #[test]
    fn a_fresh_name_is_nobodys() {
        let mut names = Names::new(64, ["json_response"].into_iter());
        assert_eq!(names.fresh("json_response"), "json_response_2");
        assert_eq!(names.fresh("json_response"), "json_response_3");
    }

    proptest! {
        /// T7: conforming names stay, all others become conforming, and no two become one.
        #[test]
        fn any_names_are_mapped_apart(all in proptest::collection::hash_set(".{0,80}", 0..12), limit in 20..130usize) {
            let names = Names::new(limit, all.iter().map(String::as_str));
            let wires: HashSet<&str> = all.iter().map(|name| names.wire(name)).collect();
            prop_assert_eq!(wires.len(), all.len());
            for name in &all {
                prop_assert!(conforms(names.wire(name), limit));
                prop_assert!(!conforms(name, limit) || names.wire(name) == name);
            }
        }
    }
}
