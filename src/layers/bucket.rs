//! So many per minute: one limit, kept by governor over a [`Ledger`] that can be corrected.
//!
//! A leaky bucket: the whole limit may be used at once, and flows back evenly over a minute.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use governor::{Quota, RateLimiter, clock::Clock, middleware::NoOpMiddleware, nanos::Nanos, state::NotKeyed};

use tokio::time::Instant;

use super::ledger::{Ledger, Stopwatch, nanos};
use crate::call::LimitState;

/// One limit and what is used of it.
#[derive(Debug)]
pub(super) struct Bucket {
    limit: u32,
    limiter: RateLimiter<NotKeyed, Ledger, Stopwatch, NoOpMiddleware<Nanos>>,
    ledger: Ledger,
    /// What one request or token weighs: the nanoseconds in which it flows back.
    weight: u64,
}

/// A charge that can be corrected, once.
#[derive(Debug)]
pub(super) struct Charge {
    bucket: Arc<Bucket>,
    number: u64,
    amount: u32,
}

/// Why a bucket did not give.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Wait(Duration),
    /// More than the whole limit.
    Never,
}

// === impl Bucket ===

impl Bucket {
    pub(super) fn per_minute(limit: u32) -> Self {
        let ledger = Ledger::new();
        // A limit of zero never reaches the limiter: `take` refuses everything above the limit.
        let quota = Quota::per_minute(NonZeroU32::new(limit).unwrap_or(NonZeroU32::MIN));
        let limiter = RateLimiter::new(quota, ledger.clone(), ledger.clock());
        Self { limit, limiter, weight: nanos(quota.replenish_interval()).max(1), ledger }
    }

    /// Charges `amount`, which is more than zero, or nothing.
    pub(super) fn take(self: &Arc<Self>, amount: u64) -> Result<Charge, Refusal> {
        let amount = u32::try_from(amount).ok().filter(|amount| *amount <= self.limit);
        let amount = amount.and_then(NonZeroU32::new).ok_or(Refusal::Never)?;
        let number = self.ledger.last_charge() + 1;
        match self.limiter.check_n(amount) {
            Ok(Ok(())) => Ok(Charge { bucket: Arc::clone(self), number, amount: amount.get() }),
            Ok(Err(until)) => Err(Refusal::Wait(until.wait_time_from(self.ledger.clock().now()))),
            Err(_) => Err(Refusal::Never),
        }
    }

    pub(super) fn state(&self, name: &'static str, now: Instant) -> LimitState {
        let backlog = self.ledger.backlog(now);
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
    /// Replaces the charged amount by the true one.
    pub(super) fn settle(self, actual: u64) {
        let reserved = u64::from(self.amount);
        let Bucket { ledger, weight, .. } = &*self.bucket;
        if actual < reserved {
            ledger.credit(self.number, (reserved - actual).saturating_mul(*weight));
        } else if actual > reserved {
            ledger.debit((actual - reserved).saturating_mul(*weight));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn bucket(limit: u32) -> Arc<Bucket> {
        Arc::new(Bucket::per_minute(limit))
    }

    fn remaining(bucket: &Bucket) -> u32 {
        bucket.state("tokens", Instant::now()).remaining
    }

    /// Regression 48. A leaky bucket at t = 30 s has half of the limit again, no more.
    #[tokio::test(start_paused = true)]
    async fn a_used_limit_flows_back_in_a_minute() {
        let bucket = bucket(200);
        assert!(bucket.take(200).is_ok());
        assert_eq!(bucket.take(1).unwrap_err(), Refusal::Wait(Duration::from_millis(300)));
        advance(30 * SECOND).await;
        assert_eq!(bucket.take(200).unwrap_err(), Refusal::Wait(30 * SECOND));
        assert_eq!(remaining(&bucket), 100);
        advance(31 * SECOND).await;
        assert!(bucket.take(200).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn more_than_the_limit_never_fits() {
        assert_eq!(bucket(100).take(101).unwrap_err(), Refusal::Never);
        assert_eq!(bucket(100).take(u64::MAX).unwrap_err(), Refusal::Never);
        assert_eq!(bucket(0).take(1).unwrap_err(), Refusal::Never);
        assert_eq!(remaining(&bucket(0)), 0);
        assert!(bucket(u32::MAX).take(u32::MAX.into()).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_state_tells_what_is_left_and_when_it_is_whole() {
        let bucket = bucket(60);
        let charge = bucket.take(45).unwrap();
        let state = LimitState { name: "tokens", limit: 60, remaining: 15, reset: 45 * SECOND };
        assert_eq!(bucket.state("tokens", Instant::now()), state);
        charge.settle(5);
        assert_eq!(bucket.state("tokens", Instant::now()), LimitState { remaining: 55, reset: 5 * SECOND, ..state });
    }

    /// Q1: what was used beyond the estimate is charged to those who come next.
    #[tokio::test(start_paused = true)]
    async fn a_debt_is_charged_to_the_next() {
        let bucket = bucket(60);
        bucket.take(10).unwrap().settle(90);
        assert_eq!(remaining(&bucket), 0);
        assert_eq!(bucket.take(1).unwrap_err(), Refusal::Wait(31 * SECOND));
        advance(31 * SECOND).await;
        assert!(bucket.take(1).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_nonsense_debt_is_bounded() {
        let bucket = bucket(60);
        bucket.take(1).unwrap().settle(u64::MAX);
        advance(Duration::from_secs(3600) + SECOND).await;
        assert!(bucket.take(60).is_ok());
    }

    /// Q1: under steady load an excess comes back whole, however late.
    #[tokio::test(start_paused = true)]
    async fn a_late_credit_under_load_is_whole() {
        let bucket = bucket(60);
        let early = bucket.take(60).unwrap();
        advance(20 * SECOND).await;
        assert!(bucket.take(20).is_ok());
        early.settle(20);
        assert_eq!(remaining(&bucket), 40, "the 20 used first have flowed back, the 20 used now have not");
    }

    /// Q1: what has flowed back by itself is not given back a second time.
    #[tokio::test(start_paused = true)]
    async fn a_refilled_reservation_is_worth_nothing() {
        let bucket = bucket(60);
        let early = bucket.take(60).unwrap();
        advance(59 * SECOND).await;
        assert!(bucket.take(59).is_ok());
        early.settle(0);
        assert_eq!(remaining(&bucket), 1);
    }

    /// What a bucket would be had the true amounts been charged to begin with.
    #[derive(Default)]
    struct Replay(Vec<(u64, u64)>);

    impl Replay {
        fn backlog(&self, now: u64) -> u64 {
            let whole_at = self.0.iter().fold(0, |whole_at: u64, (at, amount)| whole_at.max(*at) + amount * WEIGHT);
            whole_at.saturating_sub(now)
        }
    }

    const LIMIT: u32 = 1000;
    const WEIGHT: u64 = 60_000_000;

    #[derive(Debug, Clone)]
    enum Op {
        Pass(u64),
        Take(u64),
        Settle(prop::sample::Index, u64),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            2 => (0..20_000_u64).prop_map(Op::Pass),
            3 => (1..=400_u64).prop_map(Op::Take),
            3 => (any::<prop::sample::Index>(), 0..=500_u64).prop_map(|(which, actual)| Op::Settle(which, actual)),
        ]
    }

    proptest! {
        /// Q1: at every moment a bucket admits as if each settled call had been charged what it
        /// truly used, in whatever order calls come and end.
        #[test]
        fn settled_is_as_if_charged_right(ops in prop::collection::vec(op(), 1..80)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
            runtime.unwrap().block_on(compare(ops))?;
        }
    }

    async fn compare(ops: Vec<Op>) -> Result<(), TestCaseError> {
        let (bucket, began) = (bucket(LIMIT), Instant::now());
        let mut replay = Replay::default();
        let mut open = Vec::new();
        for op in ops {
            let now = nanos(began.elapsed());
            match op {
                Op::Pass(millis) => advance(Duration::from_millis(millis)).await,
                Op::Take(amount) => {
                    let fits = replay.backlog(now) + amount * WEIGHT <= u64::from(LIMIT) * WEIGHT;
                    let taken = bucket.take(amount);
                    prop_assert_eq!(taken.is_ok(), fits);
                    if let Ok(charge) = taken {
                        open.push((charge, replay.0.len()));
                        replay.0.push((now, amount));
                    }
                }
                Op::Settle(which, actual) if !open.is_empty() => {
                    let (charge, place) = open.swap_remove(which.index(open.len()));
                    let reserved = replay.0[place].1;
                    replay.0[place].1 = reserved.min(actual);
                    // A debt counts from when it is known.
                    replay.0.push((now, actual.saturating_sub(reserved)));
                    charge.settle(actual);
                }
                Op::Settle(..) => {}
            }
            prop_assert_eq!(bucket.ledger.backlog(Instant::now()), replay.backlog(nanos(began.elapsed())));
        }
        Ok(())
    }
}
