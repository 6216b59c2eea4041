//! What went wrong, whose fault it is, and whether it may be tried again.
//!
//! One enum for the whole house. Three total functions carry every decision that hangs on it:
//! [`Error::status`] (what HTTP says), [`Error::kind`] (OpenAI's `type`, `code` and `param`) and
//! [`Error::verdict`] (what retry and fallback do). None has a wildcard arm, so a new variant
//! cannot be forgotten. How an error looks on the wire is the client dialect's business
//! (`wire::ClientDialect::error`). No variant ever holds a secret.

mod upstream;

use std::time::Duration;

use http::StatusCode;

pub use self::upstream::{Class, UpstreamError, Whose};
use crate::dialect::Dialect;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can end a call early.
#[derive(Debug, Clone)]
pub enum Error {
    /// The request cannot be served as it stands: 400 naming the field.
    Invalid {
        message: String,
        /// The offending field, as a JSON-path-like string (`messages[0].role`).
        param: Option<String>,
        /// OpenAI's machine code, such as `invalid_json` or `missing_required_parameter`.
        code: Option<&'static str>,
    },
    /// The request body is larger than the limit, in bytes: 413.
    BodyTooLarge { limit_bytes: u64 },
    /// `content-encoding` or `content-type` that is not understood: 415.
    UnsupportedMedia { message: String },
    /// No key, or one that is not known: 401.
    Unauthenticated { message: String },
    /// The model name leads nowhere, or the key may not use it: 404 with the near misses.
    ModelNotFound { model: String, near: Vec<String> },
    /// No such path: 404.
    RouteNotFound { method: String, path: String },
    /// The path exists, the verb does not: 405.
    MethodNotAllowed { method: String, path: String },
    /// A limit of ours is used up: 429 with `retry-after`.
    RateLimited {
        /// What ran out: `requests per minute`, `tokens per minute`, `concurrent requests`.
        what: &'static str,
        /// Whose limit it is (`key "ci"`, `model "fast"`).
        whose: String,
        /// When trying again can help; `None` when it never will (larger than the whole limit).
        retry_after: Option<Duration>,
    },
    /// The upstream answered with an error, by status or in its stream.
    Upstream(Box<UpstreamError>),
    /// One of the four clocks ran out: 504 with a code that names it.
    Timeout(Clock),
    /// The upstream could not be reached, or the connection broke before its first event: 502.
    Network {
        message: String,
        /// The exchange died on a connection before a single byte of an answer came, as a reused
        /// connection does that the other side had closed.
        stale: bool,
    },
    /// A success status with a body that is no answer: 502.
    BadReply { message: String },
    /// The stream broke off, or ended without a terminal event, after it had begun.
    Interrupted { message: String },
    /// Every target of the model is set aside for now: 503.
    NoTarget { message: String, retry_after: Option<Duration> },
    /// The gateway is shutting down and the drain limit has passed: 503.
    ShuttingDown,
    /// What the call asks for needs the store, and the store does not answer: 503 (rule B1).
    StoreUnavailable,
    /// A stored thing that is not there, or is another key's: 404.
    NotFound { message: String },
    /// A WebSocket where there is none: 426.
    UpgradeRefused { message: String },
    /// A bug of ours, caught: 500. The detail goes to the log, not to the client.
    Internal { message: String },
}

/// 529, which Anthropic's clients know and the registry of statuses does not.
const OVERLOADED: StatusCode = match StatusCode::from_u16(529) {
    Ok(status) => status,
    Err(_) => StatusCode::SERVICE_UNAVAILABLE,
};

/// The four clocks of a call (design section 6.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    Connect,
    FirstEvent,
    Idle,
    Total,
}

/// OpenAI's names for an error; other client dialects map from these, unless the upstream spoke
/// their own ([`UpstreamError::dialect`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    pub kind: String,
    pub code: Option<String>,
    pub param: Option<String>,
}

/// What retry and fallback may do about an error that came before the first event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Try the same target again, not before `after` if given. When `key_bound`, another key of
    /// the provider is tried first, with no wait and without spending an attempt (rule F3).
    Again { after: Option<Duration>, key_bound: bool },
    /// This target will not serve it. When `key_bound`, another key of the provider may.
    MoveOn { key_bound: bool },
    /// The client's own: it goes back as it came and nothing else is tried.
    Return,
}

// === impl Error ===

impl Error {
    /// A 400 that names the field.
    pub fn invalid(message: impl Into<String>, param: impl Into<String>, code: &'static str) -> Self {
        Self::Invalid { message: message.into(), param: Some(param.into()), code: Some(code) }
    }

    /// The HTTP status the client sees when the head has not been sent yet.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Invalid { .. } => StatusCode::BAD_REQUEST,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMedia { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unauthenticated { .. } => StatusCode::UNAUTHORIZED,
            Self::ModelNotFound { .. } | Self::RouteNotFound { .. } => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Upstream(error) => error.client_status(),
            Self::Timeout(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::Network { .. } | Self::BadReply { .. } | Self::Interrupted { .. } => StatusCode::BAD_GATEWAY,
            Self::NoTarget { .. } | Self::ShuttingDown | Self::StoreUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::UpgradeRefused { .. } => StatusCode::UPGRADE_REQUIRED,
            Self::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The same for a client of this dialect, where its SDKs know a status of their own.
    pub fn status_in(&self, dialect: Dialect) -> StatusCode {
        if let (Dialect::Anthropic, Self::Upstream(error)) = (dialect, self) {
            return error.messages_status();
        }
        if dialect == Dialect::Anthropic && matches!(self, Self::NoTarget { .. }) { OVERLOADED } else { self.status() }
    }

    /// OpenAI's `type`, `code` and `param` (wire/openai-errors.md section 2.1; codes of the design).
    pub fn kind(&self) -> Kind {
        let (kind, code, param): (&str, Option<&str>, Option<String>) = match self {
            Self::Invalid { param, code, .. } => ("invalid_request_error", *code, param.clone()),
            Self::BodyTooLarge { .. } => ("invalid_request_error", Some("request_too_large"), None),
            Self::UnsupportedMedia { .. } => ("invalid_request_error", Some("unsupported_content_type"), None),
            Self::Unauthenticated { .. } => ("invalid_request_error", Some("invalid_api_key"), None),
            Self::ModelNotFound { .. } => ("invalid_request_error", Some("model_not_found"), Some("model".into())),
            Self::RouteNotFound { .. } => ("invalid_request_error", Some("unknown_url"), None),
            Self::MethodNotAllowed { .. } => ("invalid_request_error", Some("method_not_supported"), None),
            Self::RateLimited { .. } => ("rate_limit_error", Some("rate_limit_exceeded"), None),
            Self::Upstream(error) => return error.client_kind(),
            Self::Timeout(clock) => ("server_error", Some(clock.code()), None),
            Self::Network { .. } => ("server_error", Some("upstream_unreachable"), None),
            Self::BadReply { .. } => ("server_error", Some("bad_upstream_response"), None),
            Self::Interrupted { .. } => ("server_error", Some("upstream_stream_interrupted"), None),
            Self::NoTarget { .. } => ("service_unavailable_error", Some("server_is_overloaded"), None),
            Self::ShuttingDown => ("service_unavailable_error", Some("shutting_down"), None),
            Self::StoreUnavailable => ("service_unavailable_error", Some("store_unavailable"), None),
            Self::NotFound { .. } => ("invalid_request_error", Some("not_found"), None),
            Self::UpgradeRefused { .. } => ("invalid_request_error", Some("websocket_not_supported"), None),
            Self::Internal { .. } => ("server_error", Some("internal_error"), None),
        };
        Kind { kind: kind.into(), code: code.map(Into::into), param }
    }

    /// The sentence the client reads. The upstream's own words survive.
    pub fn message(&self) -> String {
        match self {
            Self::Invalid { message, .. }
            | Self::UnsupportedMedia { message }
            | Self::Unauthenticated { message }
            | Self::Network { message, .. }
            | Self::BadReply { message }
            | Self::Interrupted { message }
            | Self::NotFound { message }
            | Self::UpgradeRefused { message }
            | Self::NoTarget { message, .. } => message.clone(),
            Self::BodyTooLarge { limit_bytes } => {
                format!("The request body is larger than the limit of {limit_bytes} bytes.")
            }
            Self::ModelNotFound { model, near } if near.is_empty() => {
                format!("The model `{model}` does not exist or you do not have access to it.")
            }
            Self::ModelNotFound { model, near } => format!(
                "The model `{model}` does not exist or you do not have access to it. Did you mean {}?",
                near.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")
            ),
            Self::RouteNotFound { method, path } => format!("Unknown request URL: {method} {path}."),
            Self::MethodNotAllowed { method, path } => format!("{method} is not supported on {path}."),
            Self::RateLimited { what, whose, retry_after: Some(wait) } => format!(
                "Rate limit reached for {whose}: {what}. Please try again in {}s.",
                wait.as_secs_f64().ceil().max(1.0)
            ),
            Self::RateLimited { what, whose, retry_after: None } => {
                format!("This request alone is larger than the limit of {whose}: {what}.")
            }
            Self::Upstream(error) => error.client_message(),
            Self::Timeout(clock) => clock.message().into(),
            Self::ShuttingDown => "The gateway is shutting down; please try again.".into(),
            Self::StoreUnavailable => {
                "What this request asks for needs the gateway's store, which does not answer.".into()
            }
            Self::Internal { .. } => "The gateway failed to handle this request.".into(),
        }
    }

    /// What may be tried next (design section 6.5; rules F1, F3, F4).
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Upstream(error) => error.verdict(),
            Self::Timeout(Clock::Total) => Verdict::Return,
            // One refused connect during a restart is the commonest blip of all.
            Self::Network { .. } | Self::BadReply { .. } | Self::Interrupted { .. } => {
                Verdict::Again { after: None, key_bound: false }
            }
            // Waiting a whole clock again would multiply the client's wait, and keep it from the
            // next target (rule F5).
            Self::Timeout(Clock::Connect | Clock::FirstEvent | Clock::Idle) => Verdict::MoveOn { key_bound: false },
            // A bug or a broken setting shows on this target; another may be free of it.
            Self::NoTarget { .. } | Self::Internal { .. } => Verdict::MoveOn { key_bound: false },
            Self::Invalid { .. }
            | Self::BodyTooLarge { .. }
            | Self::UnsupportedMedia { .. }
            | Self::Unauthenticated { .. }
            | Self::ModelNotFound { .. }
            | Self::RouteNotFound { .. }
            | Self::MethodNotAllowed { .. }
            | Self::RateLimited { .. }
            | Self::StoreUnavailable
            | Self::NotFound { .. }
            | Self::UpgradeRefused { .. }
            | Self::ShuttingDown => Verdict::Return,
        }
    }

    /// How long the client should wait, for `retry-after`.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::NoTarget { retry_after, .. } => *retry_after,
            Self::Upstream(error) => error.retry_after,
            Self::Invalid { .. }
            | Self::BodyTooLarge { .. }
            | Self::UnsupportedMedia { .. }
            | Self::Unauthenticated { .. }
            | Self::ModelNotFound { .. }
            | Self::RouteNotFound { .. }
            | Self::MethodNotAllowed { .. }
            | Self::Timeout(_)
            | Self::Network { .. }
            | Self::BadReply { .. }
            | Self::Interrupted { .. }
            | Self::ShuttingDown
            | Self::StoreUnavailable
            | Self::NotFound { .. }
            | Self::UpgradeRefused { .. }
            | Self::Internal { .. } => None,
        }
    }

    /// Whether to tell the SDK not to retry by itself (`x-should-retry: false`): the cure is not
    /// time, or we have spent our own attempts and three times three would be nine.
    pub fn forbids_client_retry(&self) -> bool {
        match self {
            Self::Upstream(error) => {
                error.class == Class::Quota
                    || error.class == Class::Credentials
                    || (error.retry_after.is_none() && error.class != Class::RateLimit)
            }
            Self::RateLimited { retry_after, .. } => retry_after.is_none(),
            Self::Timeout(_) | Self::Network { .. } | Self::BadReply { .. } | Self::Interrupted { .. } => true,
            Self::NoTarget { .. } | Self::ShuttingDown | Self::StoreUnavailable => false,
            Self::Invalid { .. }
            | Self::BodyTooLarge { .. }
            | Self::UnsupportedMedia { .. }
            | Self::Unauthenticated { .. }
            | Self::ModelNotFound { .. }
            | Self::RouteNotFound { .. }
            | Self::MethodNotAllowed { .. }
            | Self::NotFound { .. }
            | Self::UpgradeRefused { .. }
            | Self::Internal { .. } => true,
        }
    }

    /// What the log says beyond [`Self::label`]: words of our own only, since nothing that a client
    /// or an upstream wrote may stand in a log (rule X4).
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::Internal { message }
            | Self::Network { message, .. }
            | Self::Interrupted { message }
            | Self::NoTarget { message, .. } => Some(message),
            Self::Invalid { .. }
            | Self::BodyTooLarge { .. }
            | Self::UnsupportedMedia { .. }
            | Self::Unauthenticated { .. }
            | Self::ModelNotFound { .. }
            | Self::RouteNotFound { .. }
            | Self::MethodNotAllowed { .. }
            | Self::RateLimited { .. }
            | Self::Upstream(_)
            | Self::Timeout(_)
            | Self::BadReply { .. }
            | Self::StoreUnavailable
            | Self::NotFound { .. }
            | Self::UpgradeRefused { .. }
            | Self::ShuttingDown => None,
        }
    }

    /// A short stable name for logs and metric labels.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "invalid_request",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::UnsupportedMedia { .. } => "unsupported_media",
            Self::Unauthenticated { .. } => "unauthenticated",
            Self::ModelNotFound { .. } => "model_not_found",
            Self::RouteNotFound { .. } => "route_not_found",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::RateLimited { .. } => "rate_limited",
            Self::Upstream(error) => error.class.label(),
            Self::Timeout(clock) => clock.code(),
            Self::Network { .. } => "upstream_unreachable",
            Self::BadReply { .. } => "bad_upstream_response",
            Self::Interrupted { .. } => "upstream_stream_interrupted",
            Self::NoTarget { .. } => "no_target",
            Self::ShuttingDown => "shutting_down",
            Self::StoreUnavailable => "store_unavailable",
            Self::NotFound { .. } => "not_found",
            Self::UpgradeRefused { .. } => "upgrade_refused",
            Self::Internal { .. } => "internal",
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Self::Internal { message } = self {
            return f.write_str(message);
        }
        f.write_str(&self.message())
    }
}

impl std::error::Error for Error {}

impl From<UpstreamError> for Error {
    fn from(error: UpstreamError) -> Self {
        Self::Upstream(Box::new(error))
    }
}

// === impl Clock ===

impl Clock {
    /// The `code` that names the clock (rule O1).
    pub fn code(self) -> &'static str {
        match self {
            Self::Connect => "timeout_connect",
            Self::FirstEvent => "timeout_first_event",
            Self::Idle => "timeout_idle",
            Self::Total => "timeout_total",
        }
    }

    fn message(self) -> &'static str {
        match self {
            Self::Connect => "The upstream could not be connected to in time.",
            Self::FirstEvent => "The upstream did not begin to answer in time.",
            Self::Idle => "The upstream fell silent in the middle of its answer.",
            Self::Total => "The call took longer than its total deadline.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(status: u16, retry_after: Option<u64>) -> Error {
        let error = UpstreamError::new(StatusCode::from_u16(status).unwrap(), "no");
        UpstreamError { retry_after: retry_after.map(Duration::from_secs), ..error }.into()
    }

    /// F1: what a bare status allows.
    #[test]
    fn the_status_decides_what_is_tried_next() {
        for status in [408, 425, 500, 502, 503, 504, 529] {
            assert!(matches!(upstream(status, None).verdict(), Verdict::Again { key_bound: false, .. }), "{status}");
        }
        assert!(matches!(upstream(429, None).verdict(), Verdict::Again { key_bound: true, .. }));
        for status in [401, 402, 403] {
            assert_eq!(upstream(status, None).verdict(), Verdict::MoveOn { key_bound: true }, "{status}");
        }
        for status in [400, 404, 405, 409, 413, 422] {
            assert_eq!(upstream(status, Some(1)).verdict(), Verdict::Return, "{status}");
        }
        let after = Some(Duration::from_secs(7));
        assert_eq!(upstream(429, Some(7)).verdict(), Verdict::Again { after, key_bound: true });
    }

    /// Design section 6.6: an SDK is told not to retry where time is no cure, and where our own
    /// tries are spent; never where the upstream said when to come back.
    #[test]
    fn clients_retry_only_what_time_can_cure() {
        let quota = UpstreamError { class: Class::Quota, ..UpstreamError::new(StatusCode::TOO_MANY_REQUESTS, "") };
        let limited = |retry_after| Error::RateLimited { what: "requests per minute", whose: "x".into(), retry_after };
        let cases = [
            (upstream(429, Some(60)), false),
            (upstream(429, None), false),
            (upstream(503, Some(20)), false),
            (upstream(500, None), true),
            (upstream(409, None), true),
            (upstream(401, Some(1)), true),
            (quota.into(), true),
            (limited(Some(Duration::from_secs(1))), false),
            (limited(None), true),
            (Error::Timeout(Clock::FirstEvent), true),
            (Error::ShuttingDown, false),
        ];
        for (error, forbidden) in cases {
            assert_eq!(error.forbids_client_retry(), forbidden, "{error:?}");
        }
    }

    /// F5: a host that lets the whole connect clock run out is not asked again before the next.
    #[test]
    fn a_clock_is_waited_for_once() {
        for clock in [Clock::Connect, Clock::FirstEvent, Clock::Idle] {
            assert_eq!(Error::Timeout(clock).verdict(), Verdict::MoveOn { key_bound: false });
        }
        assert_eq!(Error::Timeout(Clock::Total).verdict(), Verdict::Return);
    }
}
