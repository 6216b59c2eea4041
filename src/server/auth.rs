//! Who calls: a presented key becomes a [`Caller`] (rules X1, X4; design section 6.10).
//!
//! Keys are known by their SHA-256 alone and compared in constant time, so neither a memory dump
//! of the table nor the time of an answer gives one away. No hash is salted: keys are random and
//! long, and a lookup must not cost a password hash per call.
//!
//! `/healthz` and `/readyz` ask for no key. `/metrics` does as soon as keys are configured, like
//! the API itself: on a loopback address without keys it is open.
//!
//! Cost: one hash of the key and one map lookup per request.

use std::{collections::HashMap, fmt, sync::Arc};

use foldhash::fast::RandomState;
use http::{HeaderMap, HeaderName, header::AUTHORIZATION};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{
    call::Caller,
    error::{Error, Result},
};

/// The gateway's own header. It wins, so that the others may carry a credential for the upstream.
pub static X_SLUIS_KEY: HeaderName = HeaderName::from_static("x-sluis-key");
/// As Anthropic's clients send a key.
static X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// As Azure's OpenAI clients send a key.
static API_KEY: HeaderName = HeaderName::from_static("api-key");
/// As Google's clients send a key. Those who put it into the address are not heard: it would stand in
/// the logs of every proxy on the way.
static X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

/// SHA-256 of a key.
pub type KeyHash = [u8; 32];

/// The configured keys.
#[derive(Clone)]
pub struct Keys {
    /// By the first eight bytes of the hash; the rest is compared in constant time.
    entries: HashMap<[u8; 8], Vec<Entry>, RandomState>,
    anonymous: Arc<Caller>,
}

type Entry = (KeyHash, Arc<Caller>);

/// A key as a request presents it.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// Where it stood; it must not travel on.
    pub header: &'static HeaderName,
    pub key: &'a str,
}

// === impl Keys ===

impl Keys {
    pub fn new(keys: impl IntoIterator<Item = (KeyHash, Arc<Caller>)>) -> Self {
        let mut entries: HashMap<_, Vec<_>, _> = HashMap::default();
        for (hash, caller) in keys {
            entries.entry(prefix(&hash)).or_default().push((hash, caller));
        }
        Self { entries, anonymous: Arc::new(Caller::anonymous()) }
    }

    /// The hash a key is known by.
    pub fn hash(key: &str) -> KeyHash {
        Sha256::digest(key.as_bytes()).into()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whom a key belongs to. Without configured keys everybody is the anonymous caller, whatever
    /// is presented; such a gateway serves loopback addresses only.
    pub fn caller(&self, presented: Option<&str>) -> Result<Arc<Caller>> {
        if self.is_empty() {
            return Ok(Arc::clone(&self.anonymous));
        }
        let Some(key) = presented else {
            return Err(unauthenticated(
                "No API key was given. Send it as `Authorization: Bearer KEY`, `x-api-key`, `x-goog-api-key` or `x-sluis-key`.",
            ));
        };
        self.find(key).ok_or_else(|| unauthenticated("The API key is not known to this gateway."))
    }

    fn find(&self, key: &str) -> Option<Arc<Caller>> {
        let hash = Self::hash(key);
        let candidates = self.entries.get(&prefix(&hash))?;
        candidates.iter().find(|(known, _)| bool::from(known.ct_eq(&hash))).map(|(_, caller)| Arc::clone(caller))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("count", &self.entries.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented").field("header", &self.header).finish_non_exhaustive()
    }
}

// === reading ===

/// Finds the key of a request. Nothing but these five headers is looked at.
pub fn presented(headers: &HeaderMap) -> Option<Presented<'_>> {
    let plain = |header: &'static HeaderName| {
        let key = headers.get(header)?.to_str().ok()?.trim();
        (!key.is_empty()).then_some(Presented { header, key })
    };
    plain(&X_SLUIS_KEY)
        .or_else(|| bearer(headers))
        .or_else(|| plain(&X_API_KEY))
        .or_else(|| plain(&API_KEY))
        .or_else(|| plain(&X_GOOG_API_KEY))
}

/// The scheme's case does not matter (RFC 9110 section 11.1).
fn bearer(headers: &HeaderMap) -> Option<Presented<'_>> {
    static HEADER: HeaderName = AUTHORIZATION;
    let (scheme, key) = headers.get(&HEADER)?.to_str().ok()?.trim().split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(Presented { header: &HEADER, key })
}

fn prefix(hash: &KeyHash) -> [u8; 8] {
    let mut prefix = [0; 8];
    prefix.iter_mut().zip(hash).for_each(|(to, from)| *to = *from);
    prefix
}

fn unauthenticated(message: &str) -> Error {
    Error::Unauthenticated { message: message.into() }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn caller(name: &str) -> Arc<Caller> {
        Arc::new(Caller { name: name.into(), ..Caller::anonymous() })
    }

    #[test]
    fn a_key_is_read_from_each_header_and_ours_wins() {
        for (pairs, expected) in [
            (&[("authorization", "Bearer a")][..], Some(("authorization", "a"))),
            (&[("authorization", "bEARER   a ")], Some(("authorization", "a"))),
            (&[("x-api-key", " a ")], Some(("x-api-key", "a"))),
            (&[("api-key", "a")], Some(("api-key", "a"))),
            (&[("x-goog-api-key", "a")], Some(("x-goog-api-key", "a"))),
            (&[("authorization", "Bearer b"), ("x-sluis-key", "a")], Some(("x-sluis-key", "a"))),
            (&[("authorization", "Basic b"), ("x-api-key", "a")], Some(("x-api-key", "a"))),
            (&[("authorization", "Bearer "), ("x-api-key", "")], None),
            (&[("host", "a")], None),
        ] {
            let headers = headers(pairs);
            let found = presented(&headers).map(|found| (found.header.as_str(), found.key));
            assert_eq!(found, expected, "{pairs:?}");
        }
    }

    /// X1: a key is found by its hash, and nothing that only looks like one is.
    #[test]
    fn only_known_keys_have_a_caller() {
        let keys = Keys::new([(Keys::hash("one"), caller("a")), (Keys::hash("two"), caller("b"))]);
        assert_eq!(&*keys.caller(Some("one")).unwrap().name, "a");
        assert_eq!(&*keys.caller(Some("two")).unwrap().name, "b");
        for wrong in [None, Some(""), Some("on"), Some("one "), Some("' OR '1'='1")] {
            assert!(matches!(keys.caller(wrong), Err(Error::Unauthenticated { .. })), "{wrong:?}");
        }
    }

    #[test]
    fn an_equal_prefix_is_not_enough() {
        let mut near = Keys::hash("one");
        near[31] ^= 1;
        let keys = Keys::new([(near, caller("near"))]);
        assert!(keys.caller(Some("one")).is_err());
    }

    #[test]
    fn without_keys_everybody_is_anonymous() {
        let keys = Keys::new([]);
        assert_eq!(&*keys.caller(None).unwrap().name, "anonymous");
        assert_eq!(&*keys.caller(Some("anything")).unwrap().name, "anonymous");
    }

    /// X4: what is printed for debugging holds neither key nor hash.
    #[test]
    fn debug_output_holds_no_secret() {
        let keys = Keys::new([(Keys::hash("canary-key"), caller("a"))]);
        let headers = headers(&[("x-api-key", "canary-key")]);
        let text = format!("{keys:?} {:?}", presented(&headers).unwrap());
        assert!(!text.contains("canary"), "{text}");
        let hash = Keys::hash("canary-key").map(|byte| format!("{byte:02x}")).concat();
        assert!(!text.contains(&hash[..8]), "{text}");
    }
}
