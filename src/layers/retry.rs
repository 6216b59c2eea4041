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
