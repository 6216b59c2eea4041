//! Tries the same target again, before the first event only (design section 6.5).
//!
//! The outermost layer of an exchange: the response future of the stack below resolves at the
//! first event, so whatever fails before that is an `Err` here, and whatever fails later is in the
//! body and out of reach. The error itself says whether a further try may help
//! ([`Error::verdict`]); this file knows how often and when:
//!
//! - The upstream's own wait (`retry-after`) wins over the backoff (rule F4). Longer than
//!   `max_retry_after`, or past the call's deadline, it is not waited for in secret: the error
//!   goes back at once, with its header.
//! - Otherwise exponential backoff with full jitter: a random time up to `base * 2^n`, at most
//!   `max`.
//! - A key-bound failure goes back at once while another key stands ready (rule F3).
//! - An exchange that died on a stale connection is tried once more at once and costs no try
//!   (rule F7).
//!
//! Bodies pass untouched. Fallback to other keys and targets is routing's business.

use std::{
    mem,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::{BoxFuture, poll_fn};
use tokio::time::Instant;
use tower::{Layer, Service};

use crate::{
    call::{Call, Reply},
    config,
    error::{Error, Result, Verdict},
};

/// Puts [`Retry`] around a service.
#[derive(Debug, Clone, Copy)]
pub struct RetryLayer {
    random: fn() -> f64,
}

/// See the module's doc.
#[derive(Debug, Clone)]
pub struct Retry<S> {
    inner: S,
    random: fn() -> f64,
}

/// What the tries of one call have used up.
#[derive(Debug)]
struct Tries {
    /// Tries begun that count.
    spent: u32,
    /// The free try of a stale connection is gone.
    stale: bool,
}

// === impl RetryLayer ===

impl RetryLayer {
    pub fn new() -> Self {
        Self { random: rand::random::<f64> }
    }

    /// With another source of jitter, which gives numbers from 0 up to 1.
    pub fn with_random(random: fn() -> f64) -> Self {
        Self { random }
    }
}

impl Default for RetryLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for RetryLayer {
    type Service = Retry<S>;

    fn layer(&self, inner: S) -> Retry<S> {
        Retry { inner, random: self.random }
    }
}

// === impl Retry ===

impl<S> Service<Call> for Retry<S>
where
    S: Service<Call, Response = Reply, Error = Error> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Reply;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Reply>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let clone = self.inner.clone();
        let ready = mem::replace(&mut self.inner, clone);
        Box::pin(run(ready, call, self.random))
    }
}

async fn run<S>(mut ready: S, call: Call, random: fn() -> f64) -> Result<Reply>
where
    S: Service<Call, Response = Reply, Error = Error>,
{
    let mut tries = Tries { spent: 1, stale: false };
    loop {
        let error = match ready.call(call.clone()).await {
            Ok(reply) => return Ok(reply),
            Err(error) => error,
        };
        let Some(wait) = tries.next(&error, &call, random) else { return Err(error) };
        tracing::debug!(
            call = %call.id,
            target = %call.target.label,
            error = error.label(),
            wait_ms = wait.as_millis(),
            "trying the same target again"
        );
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        poll_fn(|cx| ready.poll_ready(cx)).await?;
    }
}

// === impl Tries ===

impl Tries {
    /// How long to wait before the next try; `None` when the error goes back now.
    fn next(&mut self, error: &Error, call: &Call, random: fn() -> f64) -> Option<Duration> {
        let Verdict::Again { after, key_bound } = error.verdict() else { return None };
        if key_bound && call.rotates {
            return None;
        }
        let left = call.deadline.saturating_duration_since(Instant::now());
        if matches!(error, Error::Network { stale: true, .. }) && !self.stale && !left.is_zero() {
            self.stale = true;
            return Some(Duration::ZERO);
        }
        let policy = &call.target.policy.retry;
        if self.spent >= policy.attempts || after.is_some_and(|after| after > policy.max_retry_after) {
            return None;
        }
        let wait = after.unwrap_or_else(|| backoff(policy, self.spent, random()));
        self.spent += 1;
        (wait < left).then_some(wait)
    }
}

/// Full jitter: anything up to the cap, which doubles with every try spent.
fn backoff(policy: &config::Retry, spent: u32, random: f64) -> Duration {
    let doubled = 2_u32.saturating_pow(spent.saturating_sub(1));
    let cap = policy.base.saturating_mul(doubled).min(policy.max);
    // Rounding may go over the cap, and a configured eternity over what a `Duration` holds.
    Duration::try_from_secs_f64(cap.as_secs_f64() * random).unwrap_or(cap).min(cap)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use proptest::prelude::*;
    use tower::ServiceExt;

    use super::*;
    use crate::{
        config::Policy,
        error::{Class, Clock, UpstreamError},
        layers::mock::{self, Step, Upstream},
    };

    const SECOND: Duration = Duration::from_secs(1);

    fn policy(attempts: u32) -> Policy {
        Policy { retry: config::Retry { attempts, ..config::Retry::default() }, ..Policy::default() }
    }

    fn status(status: u16) -> Error {
        UpstreamError::new(StatusCode::from_u16(status).unwrap(), "no").into()
    }

    fn limited(retry_after: Option<Duration>) -> Error {
        UpstreamError { retry_after, ..UpstreamError::new(StatusCode::TOO_MANY_REQUESTS, "slow down") }.into()
    }

    fn network(stale: bool) -> Error {
        Error::Network { message: "gone".into(), stale }
    }

    /// Runs `call` against failures and then an answer; jitter is always half the cap.
    async fn run(call: Call, failures: Vec<Error>) -> (Result<Reply>, Vec<Duration>) {
        let steps = failures.into_iter().map(Step::Fail).chain([Step::Whole(Duration::ZERO)]);
        let upstream = Upstream::new(steps);
        let result = RetryLayer::with_random(|| 0.5).layer(upstream.clone()).oneshot(call).await;
        (result, upstream.times())
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_asked_for_once() {
        let (result, times) = run(mock::call(policy(3)), vec![]).await;
        assert!(result.is_ok());
        assert_eq!(times.len(), 1);
    }

    /// F1: these are tried again, up to the attempts of the policy, and the last error goes back.
    #[tokio::test(start_paused = true)]
    async fn transient_failures_are_tried_as_often_as_the_policy_says() {
        for error in [status(408), status(500), status(502), status(503), status(504), status(529), network(false)] {
            let label = error.label();
            let (result, times) = run(mock::call(policy(3)), vec![error.clone(), error.clone()]).await;
            assert!(result.is_ok(), "{label}");
            assert_eq!(times.len(), 3, "{label}");
            let (result, times) = run(mock::call(policy(3)), vec![error.clone(), error.clone(), error]).await;
            assert_eq!(result.unwrap_err().label(), label);
            assert_eq!(times.len(), 3, "{label}");
        }
    }

    /// F1: and these are not.
    #[tokio::test(start_paused = true)]
    async fn what_a_retry_cannot_help_goes_back_at_once() {
        let quota = UpstreamError { class: Class::Quota, ..UpstreamError::new(StatusCode::TOO_MANY_REQUESTS, "") };
        let clocks = [Clock::FirstEvent, Clock::Total].map(Error::Timeout);
        let errors = [400, 401, 403, 404, 413, 422].map(status);
        for error in errors.into_iter().chain(clocks).chain([quota.into()]) {
            let label = error.label();
            let (result, times) = run(mock::call(policy(3)), vec![error]).await;
            assert_eq!(result.unwrap_err().label(), label);
            assert_eq!(times.len(), 1, "{label}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_backoff_doubles_up_to_its_cap() {
        let mut policy = policy(5);
        policy.retry.base = SECOND;
        policy.retry.max = 3 * SECOND;
        let (result, times) = run(mock::call(policy), vec![status(503); 4]).await;
        assert!(result.is_ok());
        // Half of 1, 2, 3 and 3 seconds.
        assert_eq!(times, [0, 500, 1500, 3000, 4500].map(Duration::from_millis));
    }

    /// F4: the upstream's wait wins over the backoff.
    #[tokio::test(start_paused = true)]
    async fn retry_after_is_obeyed() {
        let (result, times) = run(mock::call(policy(3)), vec![limited(Some(7 * SECOND))]).await;
        assert!(result.is_ok());
        assert_eq!(times, [Duration::ZERO, 7 * SECOND]);
    }

    /// F4, F8: too long a wait is the client's to decide, who gets the header.
    #[tokio::test(start_paused = true)]
    async fn a_long_retry_after_goes_back_at_once() {
        let started = Instant::now();
        let (result, times) = run(mock::call(policy(3)), vec![limited(Some(11 * SECOND))]).await;
        assert_eq!(result.unwrap_err().retry_after(), Some(11 * SECOND));
        assert_eq!((times.len(), started.elapsed()), (1, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn no_wait_ends_beyond_the_deadline() {
        for (left, tries) in [(5, 1), (6, 2)] {
            let mut call = mock::call(policy(3));
            call.deadline = Instant::now() + left * SECOND;
            let started = Instant::now();
            let (result, times) = run(call, vec![limited(Some(5 * SECOND))]).await;
            assert_eq!((result.is_ok(), times.len() as u32), (tries == 2, tries));
            assert!(started.elapsed() < left * SECOND);
        }
    }

    /// F3: another key is quicker than any wait, and the dispatcher has it.
    #[tokio::test(start_paused = true)]
    async fn a_key_bound_failure_goes_back_while_keys_rotate() {
        for (rotates, tries) in [(true, 1), (false, 2)] {
            let mut call = mock::call(policy(3));
            call.rotates = rotates;
            let (result, times) = run(call, vec![limited(None)]).await;
            assert_eq!((result.is_ok(), times.len()), (!rotates, tries));
        }
        let mut call = mock::call(policy(3));
        call.rotates = true;
        assert!(run(call, vec![status(503)]).await.0.is_ok(), "an overload is not bound to a key");
    }

    /// F7: once, at once, and without spending an attempt.
    #[tokio::test(start_paused = true)]
    async fn a_stale_connection_is_invisible() {
        let (result, times) = run(mock::call(policy(1)), vec![network(true)]).await;
        assert!(result.is_ok());
        assert_eq!(times, [Duration::ZERO; 2]);
        let (result, times) = run(mock::call(policy(1)), vec![network(true), network(true)]).await;
        assert!(result.is_err());
        assert_eq!(times.len(), 2);
        let (result, times) = run(mock::call(policy(2)), vec![network(true), network(true)]).await;
        assert!(result.is_ok());
        assert_eq!(times, [0, 0, 125].map(Duration::from_millis));
    }

    /// F6: a stream that has begun is out of reach.
    #[tokio::test(start_paused = true)]
    async fn a_cut_stream_is_not_tried_again() {
        let upstream = Upstream::new([Step::Stream(mock::paced([SECOND], mock::cut()))]);
        let reply = RetryLayer::new().layer(upstream.clone()).oneshot(mock::call(policy(3))).await.unwrap();
        let items: Vec<_> = futures_util::StreamExt::collect(mock::frames(reply)).await;
        assert!(matches!(items.as_slice(), [Ok(_), Err(Error::Interrupted { .. })]));
        assert_eq!(upstream.times().len(), 1);
    }

    /// D2: nothing goes on behind a client that left.
    #[tokio::test(start_paused = true)]
    async fn a_dropped_call_is_not_tried_again() {
        let upstream = Upstream::new([Step::Fail(status(503))]);
        let call = RetryLayer::with_random(|| 0.5).layer(upstream.clone()).oneshot(mock::call(policy(3)));
        assert!(tokio::time::timeout(Duration::from_millis(1), call).await.is_err());
        tokio::time::advance(60 * SECOND).await;
        assert_eq!(upstream.times().len(), 1);
    }

    proptest! {
        #[test]
        fn the_jitter_is_full_and_never_above_the_cap(
            base in 0..=u64::MAX, max in 0..=u64::MAX, spent in 1..=u32::MAX, random in 0.0..1.0_f64,
        ) {
            let policy = config::Retry {
                base: Duration::from_nanos(base),
                max: Duration::from_nanos(max),
                ..config::Retry::default()
            };
            let cap = backoff(&policy, spent, 1.0);
            let wait = backoff(&policy, spent, random);
            prop_assert!(cap <= policy.max);
            prop_assert!(wait <= cap);
            prop_assert!((wait.as_secs_f64() - cap.as_secs_f64() * random).abs() <= 1e-6 * cap.as_secs_f64() + 1e-9);
            prop_assert_eq!(backoff(&policy, spent, 0.0), Duration::ZERO);
        }

        #[test]
        fn no_policy_is_too_large(base in any::<Duration>(), max in any::<Duration>(), spent: u32) {
            let policy = config::Retry { base, max, ..config::Retry::default() };
            prop_assert!(backoff(&policy, spent, 1.0) <= max);
        }
    }
}
