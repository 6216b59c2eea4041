//! Ids and names that fit: what the vendor's charset refuses is mapped, the rest stays as it is.
//!
//! The map is a function of the text alone, so the same tool is called the same in every turn of a
//! conversation and the prompt cache holds (rules C1, T7). It is collision-free because a mapped
//! text ends in a digest of the original and is tried against everything the request holds.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

/// Tool names or tool ids of one request, as the client wrote them and as the wire has them.
#[derive(Debug)]
pub(crate) struct Names {
    rule: Rule,
    taken: HashSet<String>,
    mapped: HashMap<String, String>,
}

/// What a vendor takes for a name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    /// Characters, at least 20.
    pub(crate) limit: usize,
    /// Whether a byte may stand at this place. Must be so for `_` everywhere, and for hexadecimal
    /// digits anywhere but at the start.
    pub(crate) fits: fn(usize, u8) -> bool,
}

// === impl Names ===

impl Names {
    /// What conforms among `all` is reserved before anything is mapped.
    pub(crate) fn new<'a>(rule: Rule, all: impl Iterator<Item = &'a str> + Clone) -> Self {
        let taken = all.clone().filter(|name| rule.takes(name)).map(Into::into).collect();
        let mut names = Self { rule, taken, mapped: HashMap::new() };
        for name in all {
            names.add(name);
        }
        names
    }

    /// The text for the wire.
    pub(crate) fn wire<'a>(&'a self, name: &'a str) -> &'a str {
        self.mapped.get(name).map_or(name, String::as_str)
    }

    /// A conforming name like `wish` that nothing in the request has; it is reserved.
    pub(crate) fn fresh(&mut self, wish: &str) -> String {
        let mut name = wish.to_owned();
        let mut round = 2;
        while !self.taken.insert(name.clone()) {
            name = format!("{wish}_{round}");
            round += 1;
        }
        name
    }

    /// Wire text to original, of all that differ.
    pub(crate) fn into_originals(self) -> HashMap<String, String> {
        self.mapped.into_iter().map(|(original, wire)| (wire, original)).collect()
    }

    fn add(&mut self, name: &str) {
        if self.rule.takes(name) || self.mapped.contains_key(name) {
            return;
        }
        let mut round = 0;
        let wire = loop {
            let wire = self.rule.fitted(name, round);
            if self.taken.insert(wire.clone()) {
                break wire;
            }
            round += 1;
        };
        self.mapped.insert(name.into(), wire);
    }
}

// === impl Rule ===

impl Rule {
    /// Letters, digits, `_` and `-`, as OpenAI and Anthropic take them.
    pub(crate) const fn usual(limit: usize) -> Self {
        Self { limit, fits: |_, byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' }
    }

    fn takes(&self, name: &str) -> bool {
        let fits = |(at, byte)| (self.fits)(at, byte);
        !name.is_empty() && name.len() <= self.limit && name.bytes().enumerate().all(fits)
    }

    /// The readable part of `name`, and a digest of all of it.
    fn fitted(&self, name: &str, round: u32) -> String {
        let digest = Sha256::new().chain_update(name).chain_update(round.to_le_bytes()).finalize();
        let keep = self.limit.min(64).saturating_sub(11);
        let fit = |(at, c): (usize, char)| if c.is_ascii() && (self.fits)(at, c as u8) { c } else { '_' };
        let mut out: String = name.chars().take(keep).enumerate().map(fit).collect();
        out.push('_');
        for byte in digest.iter().take(5) {
            out.push_str(&format!("{byte:02x}"));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// No hyphen, and no digit first.
    const STRICT: Rule = Rule {
        limit: 64,
        fits: |at, byte| byte.is_ascii_alphabetic() || byte == b'_' || at > 0 && byte.is_ascii_digit(),
    };

    /// T7, regression case 32.
    #[test]
    fn two_names_that_look_alike_stay_two() {
        let names = Names::new(Rule::usual(64), ["a.b/get", "a_b_get"].into_iter());
        assert_eq!(names.wire("a_b_get"), "a_b_get");
        let wire = names.wire("a.b/get").to_owned();
        assert!(Rule::usual(64).takes(&wire) && wire != "a_b_get", "{wire}");
        assert_eq!(names.into_originals(), HashMap::from([(wire, "a.b/get".into())]));
    }

    #[test]
    fn a_fresh_name_is_nobodys() {
        let mut names = Names::new(Rule::usual(64), ["json_response"].into_iter());
        assert_eq!(names.fresh("json_response"), "json_response_2");
        assert_eq!(names.fresh("json_response"), "json_response_3");
    }

    proptest! {
        /// T7: conforming names stay, all others become conforming, and no two become one.
        #[test]
        fn any_names_are_mapped_apart(all in proptest::collection::hash_set(".{0,80}", 0..12), limit in 20..130usize, strict in any::<bool>()) {
            let rule = if strict { STRICT } else { Rule::usual(64) };
            let rule = Rule { limit, ..rule };
            let names = Names::new(rule, all.iter().map(String::as_str));
            let wires: HashSet<&str> = all.iter().map(|name| names.wire(name)).collect();
            prop_assert_eq!(wires.len(), all.len());
            for name in &all {
                prop_assert!(rule.takes(names.wire(name)));
                prop_assert!(!rule.takes(name) || names.wire(name) == name);
            }
        }
    }
}
