//! Response heads (design section 6.9): what a client and its operator may know of a call, told
//! the same way for an answer, a stream and an error.
//!
//! Nothing of an upstream's head is copied except what is named here, so cookies, account names
//! and hop-by-hop headers cannot slip through.
//!
//! Cost: one map, sized at once; a handful of short values, each one allocation.

use std::{
    borrow::Cow,
    fmt::Write,
    time::{Duration, SystemTime},
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    call::{Dialect, Failure, LimitState, Notes},
    error::{Class, Error},
    wire::{self, ClientDialect},
};

static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The same as Anthropic's SDKs look for it.
static REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
pub(super) static X_CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-client-request-id");
static X_UPSTREAM_REQUEST_ID: HeaderName = HeaderName::from_static("x-upstream-request-id");
static X_SLUIS_TARGET: HeaderName = HeaderName::from_static("x-sluis-target");
static X_SLUIS_ATTEMPTS: HeaderName = HeaderName::from_static("x-sluis-attempts");
static X_SLUIS_DROPPED: HeaderName = HeaderName::from_static("x-sluis-dropped");
static X_SLUIS_ESTIMATE: HeaderName = HeaderName::from_static("x-sluis-estimate");
static X_SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
static X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
static RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

static REQUEST_LIMIT: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
static TOKEN_LIMIT: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];
/// The same for Anthropic's clients (platform.claude.com/docs, "Rate limits", read November 2026).
static ANTHROPIC_REQUEST_LIMIT: [HeaderName; 3] = [
    HeaderName::from_static("anthropic-ratelimit-requests-limit"),
    HeaderName::from_static("anthropic-ratelimit-requests-remaining"),
    HeaderName::from_static("anthropic-ratelimit-requests-reset"),
];
static ANTHROPIC_TOKEN_LIMIT: [HeaderName; 3] = [
    HeaderName::from_static("anthropic-ratelimit-tokens-limit"),
    HeaderName::from_static("anthropic-ratelimit-tokens-remaining"),
    HeaderName::from_static("anthropic-ratelimit-tokens-reset"),
];

/// Longest client request id that is kept, as OpenAI's own limit (API reference, "Debugging
/// requests", read November 2026).
const CLIENT_ID_MAX: usize = 512;
/// Longest text put into a header of ours.
const TEXT_MAX: usize = 1024;
/// What a rate-limited client is told to wait when the upstream did not say.
const UNKNOWN_WAIT: Duration = Duration::from_secs(1);

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A request as it arrived: its name and its time.
#[derive(Debug, Clone)]
pub(super) struct Arrival {
    pub id: Uuid,
    pub at: Instant,
    /// The client's own name for it, for correlation only (rule C5).
    pub client_id: Option<HeaderValue>,
}

// === impl Arrival ===

impl Arrival {
    pub(super) fn new(headers: &HeaderMap) -> Self {
        let client_id = headers.get(&X_CLIENT_REQUEST_ID).or_else(|| headers.get(&X_REQUEST_ID));
        Self { id: Uuid::now_v7(), at: Instant::now(), client_id: client_id.and_then(client_request_id) }
    }

    /// The client's own id as text; what was kept is ASCII.
    pub(super) fn client_id_text(&self) -> Option<String> {
        self.client_id.as_ref().and_then(|id| id.to_str().ok()).map(Into::into)
    }
}

/// A client's id is kept as it is, or not at all.
fn client_request_id(id: &HeaderValue) -> Option<HeaderValue> {
    let fits = !id.is_empty() && id.len() <= CLIENT_ID_MAX && id.as_bytes().iter().all(u8::is_ascii_graphic);
    fits.then(|| id.clone())
}

// === responses ===

/// A whole JSON answer.
pub(super) fn json(arrival: &Arrival, dialect: Dialect, notes: &Notes, body: Bytes) -> Response {
    let mut headers = head(arrival, dialect, notes);
    headers.insert(CONTENT_TYPE, JSON);
    response(StatusCode::OK, headers, Body::from(body))
}

/// A stream; the body is on its way or still to come.
pub(super) fn event_stream(arrival: &Arrival, dialect: &dyn ClientDialect, notes: &Notes, body: Body) -> Response {
    let mut headers = head(arrival, dialect.dialect(), notes);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(dialect.stream_type()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Tells nginx not to gather the events (its documentation of proxy_buffering, read November 2026).
    headers.insert(&X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response(StatusCode::OK, headers, body)
}

/// An error in the client's dialect.
pub(super) fn failure(arrival: &Arrival, dialect: &dyn ClientDialect, failure: &Failure) -> Response {
    let Failure { error, notes } = failure;
    let mut headers = head(arrival, dialect.dialect(), notes);
    headers.insert(CONTENT_TYPE, JSON);
    if error.forbids_client_retry() {
        headers.insert(&X_SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    if let Some(wait) = wait(error) {
        headers.insert(RETRY_AFTER, whole_seconds(wait).into());
        headers.insert(&RETRY_AFTER_MS, u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).into());
    }
    if let Error::Upstream(error) = error {
        if notes.upstream_request_id.is_none() {
            insert_text(&mut headers, &X_UPSTREAM_REQUEST_ID, error.request_id.as_deref());
        }
        // F8: with no limits of our own, the upstream's are the ones that hold.
        if error.class == Class::RateLimit && notes.limits.is_empty() {
            keep_limits(&mut headers, dialect.dialect(), &error.limits);
        }
    }
    response(error.status_in(dialect.dialect()), headers, Body::from(dialect.error(error, arrival.id)))
}

fn response(status: StatusCode, headers: HeaderMap, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

// === heads ===

fn head(arrival: &Arrival, dialect: Dialect, notes: &Notes) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(24);
    let mut buffer = Uuid::encode_buffer();
    let id = arrival.id.hyphenated().encode_lower(&mut buffer);
    insert_text(&mut headers, &X_REQUEST_ID, Some(id));
    if dialect == Dialect::Anthropic {
        insert_text(&mut headers, &REQUEST_ID, Some(id));
    }
    if let Some(id) = &arrival.client_id {
        headers.insert(&X_CLIENT_REQUEST_ID, id.clone());
    }
    insert_text(&mut headers, &X_SLUIS_TARGET, notes.target.as_deref());
    if notes.attempts > 0 {
        headers.insert(&X_SLUIS_ATTEMPTS, notes.attempts.into());
    }
    if !notes.dropped.is_empty() {
        insert_text(&mut headers, &X_SLUIS_DROPPED, Some(&dropped(dialect, &notes.dropped)));
    }
    if notes.estimated {
        headers.insert(&X_SLUIS_ESTIMATE, HeaderValue::from_static("true"));
    }
    insert_text(&mut headers, &X_UPSTREAM_REQUEST_ID, notes.upstream_request_id.as_deref());
    for limit in &notes.limits {
        own_limit(&mut headers, limit);
        if dialect == Dialect::Anthropic {
            anthropic_limit(&mut headers, limit, SystemTime::now());
        }
    }
    headers
}

/// What was left out, in the client's own words; each once.
fn dropped(dialect: Dialect, fields: &[String]) -> String {
    let Some(client) = wire::client(dialect) else { return fields.join(",") };
    let mut told: Vec<Cow<'_, str>> = Vec::with_capacity(fields.len());
    for field in fields {
        let field = client.spelled(field);
        if !told.contains(&field) {
            told.push(field);
        }
    }
    told.join(",")
}

/// OpenAI's names (guide "Rate limits", read November 2026).
fn own_limit(headers: &mut HeaderMap, state: &LimitState) {
    let [limit, remaining, reset] = match state.name {
        "requests" => &REQUEST_LIMIT,
        "tokens" => &TOKEN_LIMIT,
        _ => return,
    };
    headers.insert(limit, state.limit.into());
    headers.insert(remaining, state.remaining.into());
    insert_text(headers, reset, Some(&go_duration(state.reset)));
}

/// Anthropic's names, with the moment of the reset.
fn anthropic_limit(headers: &mut HeaderMap, state: &LimitState, now: SystemTime) {
    let [limit, remaining, reset] = match state.name {
        "requests" => &ANTHROPIC_REQUEST_LIMIT,
        "tokens" => &ANTHROPIC_TOKEN_LIMIT,
        _ => return,
    };
    headers.insert(limit, state.limit.into());
    headers.insert(remaining, state.remaining.into());
    // Never before it is over.
    if let Some(at) = now.checked_add(state.reset + Duration::from_nanos(999_999_999)) {
        insert_text(headers, reset, Some(&humantime::format_rfc3339_seconds(at).to_string()));
    }
}

/// An upstream's own, under the names this dialect's clients read.
fn keep_limits(headers: &mut HeaderMap, dialect: Dialect, limits: &HeaderMap) {
    for (name, value) in limits {
        let is_anthropics = dialect == Dialect::Anthropic && name.as_str().starts_with("anthropic-ratelimit-");
        if is_anthropics || name.as_str().starts_with("x-ratelimit-") {
            headers.append(name, value.clone());
        }
    }
}

/// What stands in `retry-after`; a 429 that time can cure always has one (rule F8).
fn wait(error: &Error) -> Option<Duration> {
    let limited = matches!(error, Error::Upstream(error) if error.class == Class::RateLimit);
    error.retry_after().or(limited.then_some(UNKNOWN_WAIT))
}

/// Whole seconds, never 0: proxies and clients read no decimals here.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// As Go prints durations, which is what OpenAI's clients parse: `0s`, `120ms`, `6m0s`, `1h2m3.5s`.
fn go_duration(time: Duration) -> String {
    let millis = time.as_nanos().div_ceil(1_000_000);
    if millis == 0 {
        return "0s".into();
    }
    let mut out = String::with_capacity(16);
    // Writing to a String cannot fail.
    if millis < 1000 {
        let _ = write!(out, "{millis}ms");
        return out;
    }
    let (hours, minutes, rest) = (millis / 3_600_000, millis / 60_000 % 60, millis % 60_000);
    if hours > 0 {
        let _ = write!(out, "{hours}h");
    }
    if millis >= 60_000 {
        let _ = write!(out, "{minutes}m");
    }
    let _ = write!(out, "{}", rest / 1000);
    if rest % 1000 > 0 {
        let _ = write!(out, ".{:03}", rest % 1000);
        out.truncate(out.trim_end_matches('0').len());
    }
    out.push('s');
    out
}

/// Puts text into a header, without whatever could not stand there.
fn insert_text(headers: &mut HeaderMap, name: &HeaderName, text: Option<&str>) {
    let Some(text) = text else { return };
    let value = if text.len() <= TEXT_MAX && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        HeaderValue::from_str(text)
    } else {
        let kept: String = text.chars().filter(char::is_ascii_graphic).take(TEXT_MAX).collect();
        HeaderValue::try_from(kept)
    };
    if let Ok(value) = value {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{error::UpstreamError, server::testing::dialect};

    fn arrival() -> Arrival {
        Arrival::new(&HeaderMap::new())
    }

    fn of(error: impl Into<Error>) -> Response {
        failure(&arrival(), dialect(), &error.into().into())
    }

    fn get<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
        response.headers().get(name).map(|value| value.to_str().unwrap())
    }

    #[test]
    fn durations_are_spelled_as_go_does() {
        for (millis, text) in [
            (0, "0s"),
            (12, "12ms"),
            (1000, "1s"),
            (1500, "1.5s"),
            (11_054, "11.054s"),
            (60_000, "1m0s"),
            (360_000, "6m0s"),
            (3_600_000, "1h0m0s"),
            (3_723_500, "1h2m3.5s"),
            (10_000, "10s"),
        ] {
            assert_eq!(go_duration(Duration::from_millis(millis)), text);
        }
        assert_eq!(go_duration(Duration::from_nanos(1)), "1ms");
    }

    /// Design section 6.9: the head tells what is known of the call.
    #[test]
    fn a_head_tells_what_is_known() {
        let headers: HeaderMap = [(X_REQUEST_ID.clone(), HeaderValue::from_static("mine"))].into_iter().collect();
        let notes = Notes {
            passed: false,
            target: Some("lab/qwen3:4b".into()),
            attempts: 3,
            dropped: vec!["seed".into(), "logit\r\nbias: 1".into()],
            limits: vec![
                LimitState { name: "requests", limit: 60, remaining: 59, reset: Duration::from_secs(1) },
                LimitState { name: "tokens", limit: 9, remaining: 0, reset: Duration::from_millis(90_120) },
            ],
            upstream_request_id: Some("req_1".into()),
            estimated: true,
        };
        let arrival = Arrival::new(&headers);
        let response = json(&arrival, Dialect::OpenAiChat, &notes, Bytes::from_static(b"{}"));
        let expected = [
            ("x-request-id", arrival.id.to_string()),
            ("x-client-request-id", "mine".into()),
            ("x-sluis-target", "lab/qwen3:4b".into()),
            ("x-sluis-attempts", "3".into()),
            ("x-sluis-dropped", "seed,logitbias:1".into()),
            ("x-upstream-request-id", "req_1".into()),
            ("x-sluis-estimate", "true".into()),
            ("x-ratelimit-limit-requests", "60".into()),
            ("x-ratelimit-remaining-requests", "59".into()),
            ("x-ratelimit-reset-requests", "1s".into()),
            ("x-ratelimit-limit-tokens", "9".into()),
            ("x-ratelimit-remaining-tokens", "0".into()),
            ("x-ratelimit-reset-tokens", "1m30.12s".into()),
            ("content-type", "application/json".into()),
        ];
        for (name, value) in &expected {
            assert_eq!(get(&response, name), Some(value.as_str()), "{name}");
        }
        assert_eq!(response.headers().len(), expected.len());
        let response = json(&arrival, Dialect::Anthropic, &notes, Bytes::from_static(b"{}"));
        for (name, value) in [
            ("anthropic-ratelimit-requests-limit", "60"),
            ("anthropic-ratelimit-requests-remaining", "59"),
            ("anthropic-ratelimit-tokens-limit", "9"),
            ("anthropic-ratelimit-tokens-remaining", "0"),
            ("x-ratelimit-reset-tokens", "1m30.12s"),
        ] {
            assert_eq!(get(&response, name), Some(value), "{name}");
        }
    }

    /// Anthropic's clients read a moment, and find the limit free when it has come.
    #[test]
    fn anthropics_resets_are_moments() {
        for (reset, told) in
            [(0, "1970-01-01T00:00:00Z"), (1, "1970-01-01T00:00:01Z"), (61_500, "1970-01-01T00:01:02Z")]
        {
            let state = LimitState { name: "requests", limit: 60, remaining: 59, reset: Duration::from_millis(reset) };
            let mut headers = HeaderMap::new();
            anthropic_limit(&mut headers, &state, SystemTime::UNIX_EPOCH);
            assert_eq!(headers["anthropic-ratelimit-requests-reset"], told);
        }
    }

    /// C5: a client's id is only echoed, and only if it is a plain one.
    #[test]
    fn a_client_id_is_kept_as_it_is_or_not_at_all() {
        for (id, kept) in [("abc-1", true), ("", false), ("a b", false), (&*"x".repeat(513), false)] {
            let headers: HeaderMap = [(X_REQUEST_ID.clone(), id.parse().unwrap())].into_iter().collect();
            let arrival = Arrival::new(&headers);
            assert_eq!(arrival.client_id.is_some(), kept, "{id}");
            assert_ne!(arrival.id.to_string(), id);
        }
    }

    /// F8, regression 55: an upstream's 429 keeps its `retry-after` and, when the caller has no
    /// limits of ours, its numbers.
    #[test]
    fn an_upstream_rate_limit_keeps_its_headers() {
        let mut error = UpstreamError::new(StatusCode::TOO_MANY_REQUESTS, "slow");
        error.retry_after = Some(Duration::from_millis(59_001));
        error.request_id = Some("req_9".into());
        error.limits.insert("x-ratelimit-limit-requests", HeaderValue::from_static("7"));
        error.limits.insert("set-cookie", HeaderValue::from_static("no"));
        let response = of(error.clone());
        assert_eq!(response.status(), 429);
        assert_eq!(get(&response, "retry-after"), Some("60"));
        assert_eq!(get(&response, "retry-after-ms"), Some("59001"));
        assert_eq!(get(&response, "x-ratelimit-limit-requests"), Some("7"));
        assert_eq!(get(&response, "x-upstream-request-id"), Some("req_9"));
        assert_eq!(get(&response, "set-cookie"), None);
        assert_eq!(get(&response, "x-should-retry"), None);

        let own = LimitState { name: "requests", limit: 60, remaining: 1, reset: Duration::ZERO };
        let notes = Notes { limits: vec![own], ..Notes::default() };
        let response = failure(&arrival(), dialect(), &Failure { error: error.into(), notes });
        assert_eq!(get(&response, "x-ratelimit-limit-requests"), Some("60"));
    }

    /// F8: a 429 has a `retry-after` unless waiting cannot help.
    #[test]
    fn a_wait_is_named_where_waiting_helps() {
        let rate_limit = UpstreamError::new(StatusCode::TOO_MANY_REQUESTS, "slow");
        assert_eq!(get(&of(rate_limit.clone()), "retry-after"), Some("1"));
        let quota = UpstreamError { class: Class::Quota, ..rate_limit };
        let response = of(quota);
        assert_eq!((get(&response, "retry-after"), get(&response, "x-should-retry")), (None, Some("false")));
        let ours = |retry_after| Error::RateLimited { what: "tokens per minute", whose: "k".into(), retry_after };
        assert_eq!(get(&of(ours(Some(Duration::from_millis(5)))), "retry-after"), Some("1"));
        assert_eq!(get(&of(ours(None)), "retry-after"), None);
        assert_eq!(get(&of(Error::ShuttingDown), "x-should-retry"), None);
    }
}
