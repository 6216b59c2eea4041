//! The limits of keys and models, and what is used of them (rules Q1, Q2).
//!
//! Every limit has a window of its own: requests and tokens are governor's leaky buckets over a
//! [`Ledger`], slots are a semaphore. An admission takes from all limits or from none. For that,
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
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use governor::clock::Clock;
use governor::{Quota, RateLimiter, middleware::NoOpMiddleware, nanos::Nanos, state::NotKeyed};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::ledger::{Ledger, Stopwatch, nanos};
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
}

/// All limits in use.
#[derive(Debug, Default)]
pub struct Limiters {
    meters: Mutex<HashMap<(Scope, Limits), Arc<Meters>>>,
}

/// What admission says of a call.
#[derive(Debug)]
pub(super) struct Admission {
    pub(super) verdict: Result<Reservation>,
    /// Requests and tokens, where limited; of key and model the one that leaves less.
    pub(super) limits: Vec<LimitState>,
}

/// The limits of one scope.
#[derive(Debug)]
struct Meters {
    scope: Scope,
    requests: Option<Arc<Bucket>>,
    tokens: Option<Arc<Bucket>>,
    concurrent: Option<Arc<Semaphore>>,
}

/// So many per minute.
#[derive(Debug)]
struct Bucket {
    limit: u32,
    limiter: RateLimiter<NotKeyed, Ledger, Stopwatch, NoOpMiddleware<Nanos>>,
    ledger: Ledger,
    /// What one request or token weighs, in nanoseconds until it has flowed back.
    weight: u64,
}

/// A charge that can be corrected, once.
#[derive(Debug)]
struct Charge {
    bucket: Arc<Bucket>,
    number: u64,
    amount: u32,
}

/// Why a bucket did not give.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    Wait(Duration),
    /// More than the whole limit.
    Never,
}

// === impl Scope ===

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(name) => write!(f, "key \"{name}\""),
            Self::Model(name) => write!(f, "model \"{name}\""),
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
    pub(super) fn admit(&self, scopes: impl IntoIterator<Item = (Scope, Limits)>, tokens: u64) -> Admission {
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
    let tightest = |name, bucket: fn(&Meters) -> Option<&Arc<Bucket>>| {
        let states = meters.iter().filter_map(|meters| Some(bucket(meters)?.state(name)));
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

// === impl Bucket ===

impl Bucket {
    fn per_minute(limit: u32) -> Self {
        let ledger = Ledger::new();
        // A limit of zero never reaches the limiter: `take` refuses everything above the limit.
        let quota = Quota::per_minute(NonZeroU32::new(limit).unwrap_or(NonZeroU32::MIN));
        let limiter = RateLimiter::new(quota, ledger.clone(), ledger.clock());
        Self { limit, limiter, weight: nanos(quota.replenish_interval()).max(1), ledger }
    }

    fn take(self: &Arc<Self>, amount: u64) -> Result<Charge, Refusal> {
        let amount = u32::try_from(amount).ok().filter(|amount| *amount <= self.limit);
        let amount = amount.and_then(NonZeroU32::new).ok_or(Refusal::Never)?;
        let number = self.ledger.last_charge() + 1;
        match self.limiter.check_n(amount) {
            Ok(Ok(())) => Ok(Charge { bucket: Arc::clone(self), number, amount: amount.get() }),
            Ok(Err(until)) => Err(Refusal::Wait(until.wait_time_from(self.ledger.clock().now()))),
            Err(_) => Err(Refusal::Never),
        }
    }

    fn state(&self, name: &'static str) -> LimitState {
        let backlog = self.ledger.backlog();
        let taken = u32::try_from(backlog.div_ceil(self.weight)).unwrap_or(u32::MAX);
        LimitState {
            name,
            limit: self.limit,
            remaining: self.limit.saturating_sub(taken),
            reset: Duration::from_nanos(backlog),
        }
    }
}

// === impl Charge ===

impl Charge {
    fn settle(self, actual: u64) {
        let reserved = u64::from(self.amount);
        let weight = self.bucket.weight;
        if actual < reserved {
            self.bucket.ledger.credit(self.number, (reserved - actual).saturating_mul(weight));
        } else if actual > reserved {
            self.bucket.ledger.debit((actual - reserved).saturating_mul(weight));
        }
    }
}
