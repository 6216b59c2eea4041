//! Logs and metrics: their names, and where they go. Knows nothing of the rest of the house.
//!
//! No line and no label ever holds a prompt, an answer or a secret, at any level (rule X4); label
//! values come only from the configuration (rule L4). Deliberately absent: an HTTP listener of its
//! own, `/metrics` is a route like any other.

mod calls;
mod endpoint;
mod line;
mod logging;
mod metrics;
mod sink;
#[cfg(test)]
pub(crate) mod testing;

pub use calls::{CallMetrics, Ended, InFlight, Outcome, Tokens, record};
pub use endpoint::{Endpoint, PlaceMetrics};
pub use logging::{Format, Logs, log_to_stderr};
pub use metrics::{
    CALL_DURATION, CALLS_IN_FLIGHT, CALLS_TOTAL, DROPPED_FIELDS, FIRST_EVENT, LOG_LINES_DROPPED, Metrics,
    RELOADS_TOTAL, STORE_UP, TOKENS_TOTAL, reloaded, store_up,
};
