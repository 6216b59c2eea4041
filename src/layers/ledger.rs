//! A limit's bucket as governor keeps it, with a way to correct what was charged (rule Q1).
//!
//! governor's state is one moment: when the bucket will be whole again (its "theoretical arrival
//! time"). A charge moves it on, time catches up with it, and a refused check leaves it alone.
//! What governor cannot do is charge afterwards or give back. Because it takes any state store,
//! the ledger *is* that store, so a correction is a move of the same moment:
//!
//! - A debt (more used than reserved) moves it on; the next admissions wait for it.
//! - A credit (less used than reserved) moves it back, but never by more than would have been left
//!   had the true amount been charged to begin with. A reservation the bucket has long refilled
//!   is worth nothing any more; under steady load it is worth all of its excess. So that both
//!   come out right, each charge is remembered by number, and the ledger knows the lowest
//!   backlog that any later charge has met: no more than that can still be given back.
//!
//! The bucket is a leaky one: tokens flow back evenly, not all at the turn of a minute.
//!
//! Cost: a short lock per admission and per settlement; the list of lows holds one entry per rise
//! of the backlog, at most [`MAX_LOWS`].

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use governor::{
    clock::Clock,
    nanos::Nanos,
    state::{NotKeyed, StateStore},
};
use tokio::time::Instant;

/// Beyond this, neighbours are merged to the lower of the two: credits may then come out smaller,
/// never larger.
const MAX_LOWS: usize = 4096;

/// No settlement puts a bucket further back than this, whatever an upstream claims was used.
const MAX_DEBT: Duration = Duration::from_secs(3600);

/// Nanoseconds since the ledger was made; paused together with tokio's time in tests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stopwatch(Instant);

/// Shared between governor's limiter and whoever settles.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    clock: Stopwatch,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// When the bucket is whole again, in nanoseconds of the clock.
    whole_at: u64,
    /// The number of the last charge.
    charges: u64,
    /// Ascending in both fields, so that the first entry after a charge is the lowest after it.
    lows: Vec<Low>,
}

/// The backlog that a charge met, in nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Low {
    charge: u64,
    backlog: u64,
}

// === impl Stopwatch ===

impl Clock for Stopwatch {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        nanos(self.0.elapsed()).into()
    }
}

/// Saturates after 584 years.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

// === impl Ledger ===

impl Ledger {
    pub(super) fn new() -> Self {
        Self { clock: Stopwatch(Instant::now()), state: Arc::default() }
    }

    pub(super) fn clock(&self) -> Stopwatch {
        self.clock
    }

    /// The number of the last charge. Read before a charge and used for it, it is at worst too
    /// small, which makes the credit smaller, never larger.
    pub(super) fn last_charge(&self) -> u64 {
        self.state().charges
    }

    /// How long until the bucket is whole, in nanoseconds from `now`.
    pub(super) fn backlog(&self, now: Instant) -> u64 {
        self.state().whole_at.saturating_sub(nanos(now.saturating_duration_since(self.clock.0)))
    }

    /// Gives back up to `excess` nanoseconds of the charge `charge`.
    pub(super) fn credit(&self, charge: u64, excess: u64) {
        self.state().credit(charge, excess);
    }

    /// Charges `missing` nanoseconds more, without asking.
    pub(super) fn debit(&self, missing: u64) {
        let now = self.now();
        let mut state = self.state();
        let whole_at = state.whole_at.max(now).saturating_add(missing.min(nanos(MAX_DEBT)));
        state.charge(now, whole_at);
    }

    fn now(&self) -> u64 {
        self.clock.now().into()
    }

    /// A poisoned lock is taken all the same: the arithmetic under it cannot stop half-way.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateStore for Ledger {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut state = self.state();
        let (outcome, whole_at) = decide(Some(state.whole_at.into()))?;
        state.charge(self.now(), whole_at.into());
        Ok(outcome)
    }
}

// === impl State ===

impl State {
    fn charge(&mut self, now: u64, whole_at: u64) {
        let backlog = self.whole_at.saturating_sub(now);
        self.charges += 1;
        self.whole_at = whole_at;
        while self.lows.last().is_some_and(|low| low.backlog >= backlog) {
            self.lows.pop();
        }
        if self.lows.len() >= MAX_LOWS {
            self.thin_out();
        }
        self.lows.push(Low { charge: self.charges, backlog });
    }

    fn credit(&mut self, charge: u64, excess: u64) {
        let later = self.lows.partition_point(|low| low.charge <= charge);
        let lowest = self.lows.get(later).map(|low| low.backlog);
        let credit = lowest.map_or(excess, |lowest| lowest.min(excess));
        self.whole_at = self.whole_at.saturating_sub(credit);
        for low in self.lows.iter_mut().skip(later) {
            low.backlog -= credit;
        }
        // The later charges now met less, perhaps less than an earlier one did.
        if let Some(lowest) = lowest.map(|lowest| lowest - credit) {
            let lower = self.lows.partition_point(|low| low.charge <= charge && low.backlog < lowest);
            self.lows.drain(lower..later);
        }
    }

    fn thin_out(&mut self) {
        let pairs = self.lows.chunks(2).filter_map(|pair| {
            let (first, last) = (pair.first()?, pair.last()?);
            Some(Low { charge: last.charge, backlog: first.backlog })
        });
        self.lows = pairs.collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Merged lows are never above the lows they stand for, and their order stays.
    #[test]
    fn a_full_list_is_thinned_out_to_the_safe_side() {
        let mut state = State::default();
        for backlog in 0..10 * MAX_LOWS as u64 {
            state.whole_at = backlog;
            state.charge(0, backlog);
        }
        assert!(state.lows.len() <= MAX_LOWS);
        assert!(state.lows.is_sorted_by(|a, b| a.charge < b.charge && a.backlog < b.backlog));
        for charge in 0..10 * MAX_LOWS as u64 {
            let later = state.lows.partition_point(|low| low.charge <= charge);
            // The charge after this one met this backlog.
            assert!(state.lows[later].backlog <= charge);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_charge_leaves_no_trace() {
        let ledger = Ledger::new();
        ledger.debit(7);
        let refused = ledger.measure_and_replace(&NotKeyed::NonKey, |_| Err::<((), Nanos), _>("no"));
        assert_eq!(refused, Err("no"));
        assert_eq!((ledger.last_charge(), ledger.backlog(Instant::now())), (1, 7));
    }
}
