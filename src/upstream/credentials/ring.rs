//! The keys of one provider: they take turns, and one that was refused is set aside for a while.
//!
//! A credential that is fetched is one more key of the ring.
//!
//! Cost: one atomic add and one atomic load per key for a call; no lock.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{Kept, Wire};
use crate::{
    error::{Class, Error, Result},
    providers::Credential,
};

/// How long a key rests that the vendor does not know, or that has no money: long enough not to
/// be asked on every call, short enough to come back by itself after the operator has paid.
const DEAD_KEY_REST: Duration = Duration::from_secs(300);
/// How long a rate-limited key rests when the vendor does not say.
const LIMITED_KEY_REST: Duration = Duration::from_secs(5);
/// No key rests longer, whatever the vendor says: limits are raised and bills paid meanwhile.
const LONGEST_REST: Duration = Duration::from_secs(3600);

/// The keys of one provider.
#[derive(Debug)]
pub struct KeyRing {
    keys: Vec<Key>,
    next: AtomicUsize,
    epoch: Instant,
}

#[derive(Debug)]
struct Key {
    held: Held,
    /// Milliseconds after the ring's epoch until which this key is left alone.
    rests_until: AtomicU64,
}

#[derive(Debug)]
enum Held {
    Fixed(Credential),
    Fetched(Arc<Kept>),
}

/// A credential for one exchange.
#[derive(Debug)]
pub enum Lent<'a> {
    Fixed(&'a Credential),
    Fetched(Arc<Credential>),
}

// === impl KeyRing ===

impl KeyRing {
    pub fn new(credentials: Vec<Credential>) -> Self {
        Self::of(credentials.into_iter().map(Held::Fixed))
    }

    /// The ring of one credential that is fetched.
    pub fn fetching(kept: Arc<Kept>) -> Self {
        Self::of([Held::Fetched(kept)])
    }

    fn of(all: impl IntoIterator<Item = Held>) -> Self {
        let keys = all.into_iter().map(|held| Key { held, rests_until: AtomicU64::new(0) }).collect();
        Self { keys, next: AtomicUsize::new(0), epoch: Instant::now() }
    }

    /// The keys to try for one call, the first first: those not resting, beginning with the one
    /// whose turn it is. When all rest, only the one that wakes first: the vendor may have changed
    /// its mind, and its own answer is the truest error. Empty when the provider has no key.
    pub fn turns(&self, now: Instant) -> Vec<usize> {
        let count = self.keys.len();
        if count <= 1 {
            return (0..count).collect();
        }
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let now = self.since_epoch(now);
        let order = || (0..count).map(|turn| first.wrapping_add(turn) % count);
        let awake: Vec<usize> = order().filter(|index| self.rests_until(*index) <= now).collect();
        if awake.is_empty() {
            return order().min_by_key(|index| self.rests_until(*index)).into_iter().collect();
        }
        awake
    }

    /// Whether no key is of use just now, so that another target should come first.
    pub fn is_resting(&self, now: Instant) -> bool {
        let now = self.since_epoch(now);
        !self.keys.is_empty() && self.keys.iter().all(|key| key.rests_until.load(Ordering::Relaxed) > now)
    }

    /// The credential of this place; one that has to be fetched is waited for, up to `deadline`.
    pub async fn credential(&self, index: usize, by: &Wire<'_>, deadline: Instant) -> Result<Option<Lent<'_>>> {
        Ok(match self.keys.get(index).map(|key| &key.held) {
            Some(Held::Fixed(credential)) => Some(Lent::Fixed(credential)),
            Some(Held::Fetched(kept)) => Some(Lent::Fetched(kept.get(by, deadline).await?)),
            None => None,
        })
    }

    /// Whether another of the same place is worth a try after this one was refused: a fetched one
    /// may have been revoked, and is forgotten (rule F3).
    pub fn forgot(&self, index: usize, lent: &Lent<'_>) -> bool {
        match (self.keys.get(index).map(|key| &key.held), lent) {
            (Some(Held::Fetched(kept)), Lent::Fetched(refused)) => {
                kept.forget(refused);
                true
            }
            _ => false,
        }
    }

    /// The source of its credential, where that is fetched.
    pub fn source(&self) -> Option<&Arc<Kept>> {
        match self.keys.first().map(|key| &key.held) {
            Some(Held::Fetched(kept)) => Some(kept),
            Some(Held::Fixed(_)) | None => None,
        }
    }

    /// Sets a key aside after an error that hangs on it (rule F3). Other errors change nothing.
    pub fn rest(&self, index: usize, error: &Error, now: Instant) {
        let Error::Upstream(error) = error else { return };
        let rest = match error.class {
            Class::Credentials | Class::Quota => error.retry_after.unwrap_or(DEAD_KEY_REST),
            Class::RateLimit => error.retry_after.unwrap_or(LIMITED_KEY_REST),
            Class::Invalid
            | Class::ContextLength
            | Class::ContentPolicy
            | Class::NotFound
            | Class::TooLarge
            | Class::Transient
            | Class::Conflict
            | Class::Overloaded
            | Class::Server => return,
        };
        if let Some(key) = self.keys.get(index) {
            key.rests_until.fetch_max(self.since_epoch(now + rest.min(LONGEST_REST)), Ordering::Relaxed);
        }
    }

    fn rests_until(&self, index: usize) -> u64 {
        self.keys.get(index).map_or(u64::MAX, |key| key.rests_until.load(Ordering::Relaxed))
    }

    fn since_epoch(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.epoch).as_millis()).unwrap_or(u64::MAX)
    }
}

// === impl Lent ===

impl Deref for Lent<'_> {
    type Target = Credential;

    fn deref(&self) -> &Credential {
        match self {
            Self::Fixed(credential) => credential,
            Self::Fetched(credential) => credential,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::error::UpstreamError;

    fn ring(count: usize) -> KeyRing {
        KeyRing::new((1..=count).map(|n| Credential::new(n, format!("secret-{n}").into())).collect())
    }

    fn refused(status: u16, retry_after: Option<u64>) -> Error {
        let mut error = UpstreamError::new(StatusCode::from_u16(status).unwrap(), "no");
        error.retry_after = retry_after.map(Duration::from_secs);
        error.into()
    }

    #[test]
    fn keys_take_turns() {
        let ring = ring(3);
        let now = Instant::now();
        assert_eq!(ring.turns(now), [0, 1, 2]);
        assert_eq!(ring.turns(now), [1, 2, 0]);
        assert_eq!(ring.turns(now), [2, 0, 1]);
    }

    /// F3: a limited key is left alone for as long as the vendor said.
    #[test]
    fn a_refused_key_rests() {
        let ring = ring(2);
        let now = Instant::now();
        ring.rest(0, &refused(429, Some(60)), now);
        for _ in 0..4 {
            assert_eq!(ring.turns(now + Duration::from_secs(59)), [1]);
        }
        assert_eq!(ring.turns(now + Duration::from_secs(61)).len(), 2);
    }

    #[test]
    fn when_all_rest_the_first_to_wake_is_tried() {
        let ring = ring(2);
        let now = Instant::now();
        ring.rest(0, &refused(401, None), now);
        ring.rest(1, &refused(429, Some(20)), now);
        assert_eq!(ring.turns(now), [1]);
        assert_eq!(ring.turns(now), [1]);
    }

    #[test]
    fn a_ring_rests_when_all_its_keys_do() {
        let ring = ring(2);
        let now = Instant::now();
        ring.rest(0, &refused(401, None), now);
        assert!(!ring.is_resting(now));
        ring.rest(1, &refused(429, Some(20)), now);
        assert!(ring.is_resting(now));
        assert!(!ring.is_resting(now + Duration::from_secs(21)));
        assert!(!KeyRing::new(Vec::new()).is_resting(now), "nobody can refuse what is not asked for");
    }

    #[test]
    fn a_single_key_is_always_tried_and_a_server_error_rests_nobody() {
        let one = ring(1);
        let now = Instant::now();
        one.rest(0, &refused(401, None), now);
        assert_eq!(one.turns(now), [0]);
        assert!(one.is_resting(now) && !one.is_resting(now + DEAD_KEY_REST));
        let two = ring(2);
        two.rest(0, &refused(500, None), now);
        assert_eq!(two.turns(now).len(), 2);
        assert!(ring(0).turns(now).is_empty() && !ring(0).is_resting(now));
    }

    #[test]
    fn no_vendor_sets_a_key_aside_for_days() {
        let ring = ring(2);
        let now = Instant::now();
        ring.rest(0, &refused(429, Some(u64::MAX / 1000)), now);
        assert_eq!(ring.turns(now + LONGEST_REST).len(), 2);
    }
}
