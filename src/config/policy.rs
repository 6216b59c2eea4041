//! The resolved rules of a call: what is left when global, provider and model values have been
//! laid over one another (the nearest one wins), and limits. Plain data that travels in
//! `call::Target` and `call::Caller`.

use std::time::Duration;

/// How one target is called.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Policy {
    pub deadlines: Deadlines,
    pub retry: Retry,
}

/// The four clocks (design section 6.4; rule O1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// Name lookup, TCP and TLS together. Default 2 s (rule F5).
    pub connect: Duration,
    /// From sending an attempt to the first whole event of a stream. Default 60 s.
    pub first_event: Duration,
    /// From sending an attempt to the whole answer of a call that does not stream: the first-event
    /// clock where the operator set one. Otherwise only `total` holds, since such an answer comes
    /// when all of it has been generated, which takes a reasoning model minutes.
    pub whole: Option<Duration>,
    /// Between two events, counted only while we wait for the upstream. Default 60 s.
    pub idle: Duration,
    /// From the arrival of the call to its end, attempts and fallbacks included. Default 10 min.
    pub total: Duration,
}

/// Tries of the same target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retry {
    /// Tries per target, the first included. Default 3.
    pub attempts: u32,
    /// The first backoff is a random time up to this. Default 250 ms.
    pub base: Duration,
    /// No backoff is longer. Default 8 s.
    pub max: Duration,
    /// A `retry-after` longer than this is not waited for: the call moves on, or the client gets
    /// the 429 with the header. Default 10 s.
    pub max_retry_after: Duration,
}

/// Limits of one key, model or provider; `None` is unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Limits {
    pub requests_per_minute: Option<u32>,
    pub tokens_per_minute: Option<u32>,
    pub concurrent: Option<u32>,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            first_event: Duration::from_secs(60),
            whole: None,
            idle: Duration::from_secs(60),
            total: Duration::from_secs(600),
        }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 3,
            base: Duration::from_millis(250),
            max: Duration::from_secs(8),
            max_retry_after: Duration::from_secs(10),
        }
    }
}

/// What one section sets of a [`Policy`]; the rest it leaves to the section around it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    pub connect: Option<Duration>,
    pub first_event: Option<Duration>,
    pub idle: Option<Duration>,
    pub total: Option<Duration>,
    pub attempts: Option<u32>,
    pub base: Option<Duration>,
    pub max: Option<Duration>,
    pub max_retry_after: Option<Duration>,
}

// === impl Limits ===

impl Limits {
    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

// === impl Rules ===

impl Rules {
    /// `policy`, with the values set here in place of its own.
    #[must_use]
    pub fn over(&self, policy: &Policy) -> Policy {
        let Policy { deadlines, retry } = policy;
        Policy {
            deadlines: Deadlines {
                connect: self.connect.unwrap_or(deadlines.connect),
                first_event: self.first_event.unwrap_or(deadlines.first_event),
                whole: self.first_event.or(deadlines.whole),
                idle: self.idle.unwrap_or(deadlines.idle),
                total: self.total.unwrap_or(deadlines.total),
            },
            retry: Retry {
                attempts: self.attempts.unwrap_or(retry.attempts),
                base: self.base.unwrap_or(retry.base),
                max: self.max.unwrap_or(retry.max),
                max_retry_after: self.max_retry_after.unwrap_or(retry.max_retry_after),
            },
        }
    }
}
