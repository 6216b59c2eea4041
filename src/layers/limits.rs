//! The limits of keys and models, and what is used of them (rules Q1, Q2).
//!
//! Every limit has a window of its own: requests and tokens are governor's leaky buckets over a
//! [`Ledger`](super::ledger::Ledger), slots are a semaphore. An admission takes from all limits or from none. For that,
//! one lock is held for the arithmetic of one admission, never across an await; settlements and
//! returned slots do not need it.
//!
//! What is in use is kept by scope and limits, so a reload of the configuration changes nothing
//! for limits that stayed as they were. Changed limits start afresh, with slots of their own;
//! calls begun under the old ones settle with the old ones. [`Limiters::retain`] forgets what is
//! no longer configured.
//!
//! Deliberately absent: other instances. Limits here are this process's own.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use foldhash::fast::FixedState;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::bucket::{Bucket, Charge, Refusal};
use crate::{
    call::{LimitState, Limits, Reservation},
    error::{Error, Result},
};

/// Nobody can know when a slot comes free; a client that waits this long does no harm.
const SLOT_RETRY: Duration = Duration::from_secs(1);

/// Whose limit it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// A key, by its configured name.
    Key(Arc<str>),
    /// A model, by its public name.
    Model(Arc<str>),
    /// A provider, by its configured name.
    Provider(Arc<str>),
}

/// All limits in use.
#[derive(Debug, Default)]
pub struct Limiters {
    /// Names come from the configuration, so nobody can choose them to collide.
    meters: Mutex<HashMap<(Scope, Limits), Arc<Meters>, FixedState>>,
}

/// What admission says of a call.
#[derive(Debug)]
pub struct Admission {
    pub verdict: Result<Reservation>,
    /// Requests and tokens, where limited; of key and model the one that leaves less.
    pub limits: Vec<LimitState>,
}

/// The limits of one scope.
#[derive(Debug)]
struct Meters {
    scope: Scope,
    requests: Option<Arc<Bucket>>,
    tokens: Option<Arc<Bucket>>,
    concurrent: Option<Arc<Semaphore>>,
}

// === impl Scope ===

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(name) => write!(f, "key \"{name}\""),
            Self::Model(name) => write!(f, "model \"{name}\""),
            Self::Provider(name) => write!(f, "provider \"{name}\""),
        }
    }
}

// === impl Limiters ===

impl Limiters {
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the limits that `keep` does not know. Call it when a configuration has been
    /// replaced.
    pub fn retain(&self, mut keep: impl FnMut(&Scope, &Limits) -> bool) {
        self.meters.lock().unwrap_or_else(PoisonError::into_inner).retain(|(scope, limits), _| keep(scope, limits));
    }

    /// Takes one request, `tokens` and a slot from each of the scopes, or nothing at all.
    pub fn admit(&self, scopes: impl IntoIterator<Item = (Scope, Limits)>, tokens: u64) -> Admission {
        let mut known = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        let meters: Vec<_> = scopes
            .into_iter()
            .map(|(scope, limits)| {
                let fresh = || Arc::new(Meters::new(scope.clone(), limits));
                Arc::clone(known.entry((scope.clone(), limits)).or_insert_with(fresh))
            })
            .collect();
        let verdict = take(&meters, tokens);
        drop(known);
        Admission { verdict, limits: states(&meters) }
    }
}

fn take(meters: &[Arc<Meters>], tokens: u64) -> Result<Reservation> {
    let mut reservation = Reservation::default();
    for meters in meters {
        if let Some(permit) = meters.take_slot()? {
            reservation.hold(permit);
        }
    }
    let mut charges = Vec::new();
    let charged = charge_all(meters, tokens, &mut charges);
    for (charge, counts_tokens) in charges {
        if charged.is_err() {
            charge.settle(0);
        } else if counts_tokens {
            reservation.on_settle(Box::new(move |actual| charge.settle(actual)));
        }
    }
    charged.map(|()| reservation)
}

/// Charges tokens, then the request; leaves in `charges` what was charged, and whether it was
/// tokens.
fn charge_all(meters: &[Arc<Meters>], tokens: u64, charges: &mut Vec<(Charge, bool)>) -> Result<()> {
    for meters in meters {
        if let Some(bucket) = &meters.tokens {
            // Even a call that is thought to cost nothing waits for a debt to be paid.
            let charge = bucket.take(tokens.max(1)).map_err(|refusal| meters.error("tokens per minute", &refusal))?;
            charges.push((charge, true));
        }
    }
    for meters in meters {
        if let Some(bucket) = &meters.requests {
            let charge = bucket.take(1).map_err(|refusal| meters.error("requests per minute", &refusal))?;
            charges.push((charge, false));
        }
    }
    Ok(())
}

fn states(meters: &[Arc<Meters>]) -> Vec<LimitState> {
    let now = Instant::now();
    let tightest = |name, bucket: fn(&Meters) -> Option<&Arc<Bucket>>| {
        let states = meters.iter().filter_map(|meters| Some(bucket(meters)?.state(name, now)));
        states.min_by_key(|state| (state.remaining, state.limit))
    };
    [tightest("requests", |meters| meters.requests.as_ref()), tightest("tokens", |meters| meters.tokens.as_ref())]
        .into_iter()
        .flatten()
        .collect()
}

// === impl Meters ===

impl Meters {
    fn new(scope: Scope, limits: Limits) -> Self {
        let bucket = |limit: u32| Arc::new(Bucket::per_minute(limit));
        let slots = |limit: u32| Arc::new(Semaphore::new(usize::try_from(limit).unwrap_or(Semaphore::MAX_PERMITS)));
        Self {
            scope,
            requests: limits.requests_per_minute.map(bucket),
            tokens: limits.tokens_per_minute.map(bucket),
            concurrent: limits.concurrent.map(slots),
        }
    }

    fn take_slot(&self) -> Result<Option<OwnedSemaphorePermit>> {
        let Some(slots) = &self.concurrent else { return Ok(None) };
        Arc::clone(slots)
            .try_acquire_owned()
            .map(Some)
            .map_err(|_| self.error("concurrent requests", &Refusal::Wait(SLOT_RETRY)))
    }

    fn error(&self, what: &'static str, refusal: &Refusal) -> Error {
        let retry_after = match refusal {
            Refusal::Wait(wait) => Some(*wait),
            Refusal::Never => None,
        };
        Error::RateLimited { what, whose: self.scope.to_string(), retry_after }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(name: &str) -> Scope {
        Scope::Key(name.into())
    }

    fn model(name: &str) -> Scope {
        Scope::Model(name.into())
    }

    fn tokens(limit: u32) -> Limits {
        Limits { tokens_per_minute: Some(limit), ..Limits::default() }
    }

    fn requests(limit: u32) -> Limits {
        Limits { requests_per_minute: Some(limit), ..Limits::default() }
    }

    fn concurrent(limit: u32) -> Limits {
        Limits { concurrent: Some(limit), ..Limits::default() }
    }

    fn remaining(admission: &Admission) -> Vec<(&'static str, u32)> {
        admission.limits.iter().map(|state| (state.name, state.remaining)).collect()
    }

    /// Q2: the slot is held by the reservation and comes back with it.
    #[tokio::test(start_paused = true)]
    async fn a_slot_lasts_as_long_as_its_reservation() {
        let limiters = Limiters::new();
        let admit = || limiters.admit([(key("ci"), concurrent(2))], 0).verdict;
        let (first, second) = (admit().unwrap(), admit().unwrap());
        let error = admit().unwrap_err();
        assert!(matches!(error, Error::RateLimited { what: "concurrent requests", retry_after: Some(_), .. }));
        drop(first);
        let third = admit().unwrap();
        assert!(admit().is_err());
        second.settle(5);
        assert!(admit().is_ok());
        drop(third);
    }

    /// Q2: whichever limit refuses, the others stand as before.
    #[tokio::test(start_paused = true)]
    async fn a_refused_call_changes_no_counter() {
        let ample = Limits { requests_per_minute: Some(10), tokens_per_minute: Some(100), concurrent: Some(3) };
        for tight in [requests(1), tokens(20), concurrent(1)] {
            let limiters = Limiters::new();
            let scopes = || [(key("ci"), ample), (model("fast"), tight)];
            let used_up = limiters.admit([(model("fast"), tight)], 20);
            for _ in 0..5 {
                let refused = limiters.admit(scopes(), 20);
                assert!(refused.verdict.is_err(), "{tight:?}");
            }
            let alone = limiters.admit([(key("ci"), ample)], 20);
            assert_eq!(remaining(&alone), [("requests", 9), ("tokens", 80)], "{tight:?}");
            let others: Vec<_> = (0..2).map(|_| limiters.admit([(key("ci"), ample)], 0)).collect();
            assert!(others.iter().all(|other| other.verdict.is_ok()), "{tight:?}");
            drop(used_up);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_error_names_what_ran_out_and_whose_it_is() {
        let limiters = Limiters::new();
        assert!(limiters.admit([(model("fast"), requests(1))], 0).verdict.is_ok());
        let error = limiters.admit([(key("ci"), tokens(9)), (model("fast"), requests(1))], 9).verdict.unwrap_err();
        assert_eq!(
            error.message(),
            "Rate limit reached for model \"fast\": requests per minute. Please try again in 60s."
        );
        let error = limiters.admit([(key("ci"), tokens(9))], 10).verdict.unwrap_err();
        assert!(error.retry_after().is_none() && error.forbids_client_retry());
        assert_eq!(error.message(), "This request alone is larger than the limit of key \"ci\": tokens per minute.");
    }

    /// F8: of two limits of one kind, the client is told of the one that leaves less.
    #[tokio::test(start_paused = true)]
    async fn the_tighter_limit_is_told() {
        let limiters = Limiters::new();
        let wide = Limits { requests_per_minute: Some(5), ..tokens(1000) };
        let both = limiters.admit([(key("ci"), wide), (model("fast"), tokens(100))], 30);
        assert_eq!(remaining(&both), [("requests", 4), ("tokens", 70)]);
        let key_alone = limiters.admit([(key("ci"), wide)], 0);
        assert_eq!(remaining(&key_alone), [("requests", 3), ("tokens", 969)]);
    }

    #[tokio::test(start_paused = true)]
    async fn scopes_and_limits_are_told_apart() {
        let limiters = Limiters::new();
        let admit = |scope, limits| limiters.admit([(scope, limits)], 0).verdict.is_ok();
        assert!(admit(key("a"), requests(1)));
        assert!(!admit(key("a"), requests(1)));
        assert!(admit(key("b"), requests(1)));
        assert!(admit(model("a"), requests(1)));
        assert!(admit(key("a"), requests(2)));
    }

    /// A reload keeps what is used of limits that stayed, and forgets those that went; a call
    /// begun under those still settles.
    #[tokio::test(start_paused = true)]
    async fn a_reload_forgets_only_what_is_gone() {
        let limiters = Limiters::new();
        let scopes = [(key("stays"), tokens(10)), (key("goes"), tokens(10))];
        let reservation = limiters.admit(scopes.clone(), 10).verdict.unwrap();
        limiters.retain(|scope, limits| *scope == key("stays") && *limits == tokens(10));
        let [stays, goes] = scopes;
        assert!(limiters.admit([stays.clone()], 10).verdict.is_err());
        assert!(limiters.admit([goes], 10).verdict.is_ok());
        reservation.settle(0);
        assert!(limiters.admit([stays], 10).verdict.is_ok());
    }

    /// Q1: a call thought to be free waits for a debt like any other.
    #[tokio::test(start_paused = true)]
    async fn nothing_is_free_while_there_is_a_debt() {
        let limiters = Limiters::new();
        let admit = || limiters.admit([(key("ci"), tokens(60))], 0).verdict;
        admit().unwrap().settle(120);
        assert!(admit().is_err());
    }

    /// Q1, Q2: under threads, no more is admitted than the limits hold, to the token.
    #[test]
    fn threads_share_one_total() {
        let (limiters, began) = (Limiters::new(), std::time::Instant::now());
        let limits = Limits { requests_per_minute: Some(1000), tokens_per_minute: Some(600), concurrent: Some(300) };
        let admitted: usize = std::thread::scope(|scope| {
            let admit = || (0..50).filter_map(|_| limiters.admit([(key("ci"), limits)], 10).verdict.ok()).collect();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(admit)).collect();
            let held: Vec<Vec<Reservation>> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
            held.iter().map(Vec::len).sum()
        });
        // Real time flows here, and a second brings ten tokens back.
        let seconds = began.elapsed().as_secs_f64();
        assert!((60.0..=60.0 + seconds).contains(&(admitted as f64)), "{admitted} in {seconds} s");
    }

    proptest! {
        /// Q2: slots in use never pass the limit and all come back.
        #[test]
        fn slots_are_never_lost(limit in 1..5_u32, ends in prop::collection::vec(any::<Option<bool>>(), 1..60)) {
            let limiters = Limiters::new();
            let mut held = Vec::new();
            for end in ends {
                match end {
                    None => {
                        let admitted = limiters.admit([(key("ci"), concurrent(limit))], 1).verdict;
                        prop_assert_eq!(admitted.is_ok(), held.len() < limit as usize);
                        held.extend(admitted);
                    }
                    Some(settled) => if let (Some(reservation), true) = (held.pop(), settled) {
                        reservation.settle(3);
                    },
                }
            }
            held.clear();
            for _ in 0..limit {
                held.push(limiters.admit([(key("ci"), concurrent(limit))], 1).verdict.unwrap());
            }
        }
    }
}
