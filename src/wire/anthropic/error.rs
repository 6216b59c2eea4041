//! Error bodies and error events, and what they mean.
//!
//! A class hangs on status, `error.type`, `details.error_code` and the message's words together: the
//! vendor says "too long" and "out of money" with a plain 400, and its spend cap with a 429 that no
//! waiting cures.
//!
//! Source: "Errors" and "Rate limits" (platform.claude.com/docs, read November 2026).

use http::{HeaderMap, HeaderName, StatusCode};
use serde::Deserialize;

use crate::{
    dialect::Dialect,
    error::{Class, UpstreamError},
    wire::upstream_error::{class_by_words, limit_headers, neutral_message, request_id, retry_after},
};

#[derive(Debug, Default, Deserialize)]
struct Envelope {
    #[serde(default)]
    error: Option<Detail>,
    #[serde(default)]
    request_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
enum Detail {
    Full {
        #[serde(rename = "type", default)]
        kind: Option<String>,
        #[serde(default)]
        message: Option<String>,
        #[serde(default)]
        details: Option<Details>,
    },
    Bare(String),
    #[default]
    Other,
}

#[derive(Debug, Default, Deserialize)]
struct Details {
    #[serde(default)]
    error_code: Option<String>,
}

/// Reads an error response.
pub(super) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> UpstreamError {
    let mut error = parse(body).unwrap_or_else(|| UpstreamError::new(status, neutral_message(status)));
    error.status = status;
    error.retry_after = retry_after(headers);
    error.limits = limits(headers);
    error.request_id = request_id(headers).or(error.request_id);
    error.class = class(&error);
    error
}

/// Reads an error that came under a success status, whole or as an event (rule E2): its type says
/// the status. `None` when `body` is no error object.
pub(super) fn read_in_band(body: &[u8]) -> Option<UpstreamError> {
    let mut error = parse(body)?;
    error.status = status_of(error.kind.as_deref().unwrap_or_default());
    error.class = class(&error);
    Some(error)
}

fn parse(body: &[u8]) -> Option<UpstreamError> {
    let envelope: Envelope = serde_json::from_slice(body).ok()?;
    let (kind, message, code) = match envelope.error? {
        Detail::Full { kind, message, details } => (kind, message, details.and_then(|details| details.error_code)),
        Detail::Bare(message) => (None, Some(message), None),
        Detail::Other => (None, None, None),
    };
    let message = [message, kind.clone()].into_iter().flatten().find(|words| !words.is_empty());
    let message = message.unwrap_or_else(|| "The upstream reported an error without a message.".into());
    let mut error = UpstreamError::new(StatusCode::BAD_GATEWAY, message);
    (error.kind, error.code, error.request_id) = (kind, code, envelope.request_id);
    error.dialect = Some(Dialect::Anthropic);
    Some(error)
}

fn status_of(kind: &str) -> StatusCode {
    let code = match kind {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" => 404,
        "conflict_error" => 409,
        "request_too_large" => 413,
        "rate_limit_error" => 429,
        "timeout_error" => 504,
        "overloaded_error" => 529,
        _ => 500,
    };
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn class(error: &UpstreamError) -> Class {
    let by_status = Class::of_status(error.status);
    let kind = error.kind.as_deref().unwrap_or_default();
    let code = error.code.as_deref().unwrap_or_default();
    if kind == "billing_error" || code.contains("spend_limit") || code.contains("credit") {
        return Class::Quota;
    }
    if kind == "overloaded_error" {
        return Class::Overloaded;
    }
    match by_status {
        Class::Invalid | Class::TooLarge => by_words(error).unwrap_or(by_status),
        // No wait is named where none would help.
        Class::RateLimit if error.retry_after.is_none() => {
            by_words(error).filter(|class| *class == Class::Quota).unwrap_or(by_status)
        }
        Class::RateLimit
        | Class::ContextLength
        | Class::ContentPolicy
        | Class::Credentials
        | Class::Quota
        | Class::NotFound
        | Class::Transient
        | Class::Conflict
        | Class::Overloaded
        | Class::Server => by_status,
    }
}

/// M3. Only what a request can mean by itself: a 400 does not become a credential error.
fn by_words(error: &UpstreamError) -> Option<Class> {
    class_by_words(&error.message)
        .filter(|class| matches!(class, Class::ContextLength | Class::Quota | Class::ContentPolicy))
}

/// The vendor's limits under its own names, and under those that OpenAI's clients read (rule F8). The resets
/// are points in time here and durations there, so there they are left out rather than said wrongly.
fn limits(headers: &HeaderMap) -> HeaderMap {
    let mut limits = limit_headers(headers);
    for (theirs, ours) in [
        ("anthropic-ratelimit-requests-limit", "x-ratelimit-limit-requests"),
        ("anthropic-ratelimit-requests-remaining", "x-ratelimit-remaining-requests"),
        ("anthropic-ratelimit-tokens-limit", "x-ratelimit-limit-tokens"),
        ("anthropic-ratelimit-tokens-remaining", "x-ratelimit-remaining-tokens"),
    ] {
        if let Some(value) = headers.get(theirs) {
            limits.insert(HeaderName::from_static(ours), value.clone());
        }
    }
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_one(status: u16, kind: &str, message: &str, retry_after: Option<&'static str>) -> UpstreamError {
        let body =
            format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}},"request_id":"req_1"}}"#);
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert("retry-after", value.parse().unwrap());
        }
        read(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes())
    }

    /// M1, M3, F1, regression case 58: each documented error, by status and words.
    #[test]
    fn every_error_has_its_class() {
        for (status, kind, message, retry, class) in [
            (400, "invalid_request_error", "messages: Field required", None, Class::Invalid),
            (
                400,
                "invalid_request_error",
                "prompt is too long: 210000 tokens > 200000 maximum",
                None,
                Class::ContextLength,
            ),
            (400, "invalid_request_error", "You have reached your specified API usage limits.", None, Class::Quota),
            (400, "invalid_request_error", "Your credit balance is too low", None, Class::Quota),
            (401, "authentication_error", "invalid x-api-key", None, Class::Credentials),
            (402, "billing_error", "Billing.", None, Class::Quota),
            (403, "permission_error", "No.", None, Class::Credentials),
            (404, "not_found_error", "model: foo", None, Class::NotFound),
            (409, "conflict_error", "No.", None, Class::Conflict),
            (413, "request_too_large", "Too large.", None, Class::TooLarge),
            (429, "rate_limit_error", "Slow down.", Some("7"), Class::RateLimit),
            (429, "rate_limit_error", "Slow down.", None, Class::RateLimit),
            (429, "rate_limit_error", "You have reached the spend limit of your tier.", None, Class::Quota),
            (500, "api_error", "Internal server error", None, Class::Server),
            (504, "timeout_error", "Timed out.", None, Class::Server),
            (529, "overloaded_error", "Overloaded", None, Class::Overloaded),
        ] {
            let error = read_one(status, kind, message, retry);
            assert_eq!(error.class, class, "{status} {kind} {message}");
            assert_eq!((error.message.as_str(), error.kind.as_deref()), (message, Some(kind)));
            assert_eq!(error.request_id.as_deref(), Some("req_1"));
            assert_eq!(error.retry_after.map(|wait| wait.as_secs()), retry.map(|text| text.parse().unwrap()));
        }
    }

    #[test]
    fn an_enforced_spend_limit_is_quota() {
        let body = br#"{"type":"error","error":{"type":"rate_limit_error","message":"Stop.","details":{"error_code":"enforced_spend_limit_reached"}}}"#;
        let error = read(StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new(), body);
        assert_eq!((error.class, error.code.as_deref()), (Class::Quota, Some("enforced_spend_limit_reached")));
    }

    /// F8.
    #[test]
    fn limits_are_renamed() {
        let mut headers = HeaderMap::new();
        headers.insert("anthropic-ratelimit-requests-remaining", "3".parse().unwrap());
        headers.insert("anthropic-ratelimit-requests-reset", "2026-11-22T00:00:00Z".parse().unwrap());
        headers.insert("request-id", "req_2".parse().unwrap());
        let error = read(StatusCode::TOO_MANY_REQUESTS, &headers, b"");
        assert_eq!(error.limits.len(), 3);
        assert_eq!(error.limits.get("anthropic-ratelimit-requests-reset").unwrap(), "2026-11-22T00:00:00Z");
        assert_eq!(error.limits.get("x-ratelimit-remaining-requests").unwrap(), "3");
        assert_eq!(error.request_id.as_deref(), Some("req_2"));
    }

    /// Whatever the body is, there is a sentence, and it is not the body's HTML.
    #[test]
    fn any_body_has_a_sentence() {
        for body in [&b""[..], b"<html>", b"null", b"{}", br#"{"error":null}"#, br#"{"error":5}"#, b"\xff"] {
            let error = read(StatusCode::BAD_GATEWAY, &HeaderMap::new(), body);
            assert!(!error.message.is_empty() && !error.message.contains('<'), "{}", error.message);
            assert_eq!(error.class, Class::Server);
        }
        let bare = read(StatusCode::BAD_REQUEST, &HeaderMap::new(), br#"{"error":"No such thing."}"#);
        assert_eq!(bare.message, "No such thing.");
    }

    /// E2: an error under a success status is told by its type.
    #[test]
    fn in_band_errors_have_the_status_of_their_type() {
        let error = read_in_band(br#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#);
        let error = error.unwrap();
        assert_eq!((error.status.as_u16(), error.class), (529, Class::Overloaded));
        assert!(read_in_band(br#"{"type":"ping"}"#).is_none());
    }
}
