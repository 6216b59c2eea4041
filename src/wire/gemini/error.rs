//! Error bodies, and what they mean.
//!
//! The vendor answers a bad key with 400, an overlong prompt with 400 and every quota with 429, so the
//! class hangs on the status, its name, the details and the message together. The object comes alone,
//! within an array of one, or not at all (the front end's HTML).
//!
//! There is no `retry-after` header: the wait is a detail (`RetryInfo`), or in the message. A quota of
//! the day is no matter of waiting a while.
//!
//! Source: `google/rpc/status.proto` and `error_details.proto`, "Troubleshooting" and "Rate limits"
//! (ai.google.dev/gemini-api/docs, read November 2026), and recorded traffic.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use crate::{
    dialect::Dialect,
    error::{Class, UpstreamError},
    wire::upstream_error::{class_by_words, limit_headers, neutral_message, request_id, retry_after},
};

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Envelope {
    /// Tried first: serde would take an array for the fields of the other.
    Many(Vec<Holder>),
    One(Holder),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Holder {
    error: Option<Status>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    code: Option<u16>,
    message: Option<String>,
    status: Option<String>,
    details: Vec<Detail>,
}

/// The members of all kinds of details that say something here.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Detail {
    reason: Option<String>,
    retry_delay: Option<String>,
    violations: Vec<Violation>,
    field_violations: Vec<FieldViolation>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Violation {
    quota_id: String,
    quota_value: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FieldViolation {
    field: Option<String>,
}

/// Reads an error response.
pub(super) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> UpstreamError {
    let told = parse(body).unwrap_or_default();
    let mut error = said(&told, status, || neutral_message(status));
    error.retry_after = retry_after(headers).or(error.retry_after);
    error.limits = limit_headers(headers);
    error.request_id = request_id(headers);
    error
}

/// Reads an error that came under a success status (rule E2): its code is the status. `None` when
/// `body` is no error object.
pub(super) fn read_in_band(body: &[u8]) -> Option<UpstreamError> {
    let told = parse(body)?;
    let code = told.code.and_then(|code| StatusCode::from_u16(code).ok()).filter(|code| !code.is_success());
    let status = code.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Some(said(&told, status, || "The upstream reported an error without a message.".into()))
}

/// Whether a signature was of another model, project or vendor; one that is missing is no such thing.
pub(super) fn refuses_proof(error: &UpstreamError) -> bool {
    let words = error.message.to_ascii_lowercase();
    let is_of_proof = words.contains("thought signature") || words.contains("thought_signature");
    error.class == Class::Invalid && is_of_proof && !words.contains("missing")
}

fn parse(body: &[u8]) -> Option<Status> {
    match serde_json::from_slice(body).ok()? {
        Envelope::One(holder) => holder.error,
        Envelope::Many(holders) => holders.into_iter().find_map(|holder| holder.error),
    }
}

fn said(told: &Status, status: StatusCode, otherwise: impl FnOnce() -> String) -> UpstreamError {
    let message = told.message.clone().filter(|message| !message.is_empty()).unwrap_or_else(otherwise);
    let mut error = UpstreamError::new(status, message);
    error.dialect = told.message.is_some().then_some(Dialect::Gemini);
    error.kind = told.status.clone();
    error.code = told.details.iter().find_map(|detail| detail.reason.clone());
    let mut fields = told.details.iter().flat_map(|detail| &detail.field_violations);
    error.param = fields.find_map(|violation| violation.field.clone());
    error.retry_after = told.wait();
    error.class = class(told, &error);
    error
}

fn class(told: &Status, error: &UpstreamError) -> Class {
    let by_status = Class::of_status(error.status);
    let words = error.message.to_ascii_lowercase();
    match told.status.as_deref().unwrap_or_default() {
        "RESOURCE_EXHAUSTED" if told.is_spent() => return Class::Quota,
        "RESOURCE_EXHAUSTED" => return Class::RateLimit,
        "UNAUTHENTICATED" | "PERMISSION_DENIED" => return Class::Credentials,
        // The account's place or its bill; another target may be free of it.
        "FAILED_PRECONDITION" => return Class::Credentials,
        "UNAVAILABLE" => return Class::Overloaded,
        "CANCELLED" | "ABORTED" => return Class::Transient,
        _ => {}
    }
    if by_status != Class::Invalid {
        return by_status;
    }
    let is_key = error.code.as_deref().is_some_and(|code| code.starts_with("API_KEY"));
    if is_key || words.contains("api key not valid") || words.contains("api key expired") {
        return Class::Credentials;
    }
    if words.contains("exceeds the maximum number of tokens") {
        return Class::ContextLength;
    }
    class_by_words(&error.message)
        .filter(|class| matches!(class, Class::ContextLength | Class::ContentPolicy))
        .unwrap_or(by_status)
}

// === impl Status ===

impl Status {
    /// Whether a quota of the day, or one of nothing at all, is used up. Its message speaks of the
    /// quota in any case.
    fn is_spent(&self) -> bool {
        let mut violations = self.details.iter().flat_map(|detail| &detail.violations);
        violations.any(|violation| {
            let is_daily = ["PerDay", "Daily"].into_iter().any(|word| violation.quota_id.contains(word));
            is_daily || violation.quota_value.as_deref() == Some("0")
        })
    }

    fn wait(&self) -> Option<Duration> {
        let delay = self.details.iter().find_map(|detail| detail.retry_delay.as_deref()?.strip_suffix('s'));
        let in_words = || {
            let message = self.message.as_deref()?;
            let (_, rest) = message.split_once("retry in ")?;
            rest.split_once('s').map(|(seconds, _)| seconds)
        };
        let seconds: f64 = delay.or_else(in_words)?.trim().parse().ok()?;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16) -> StatusCode {
        StatusCode::from_u16(code).unwrap()
    }

    fn told(code: u16, name: &str, message: &str, details: &str) -> UpstreamError {
        let body =
            format!(r#"{{"error":{{"code":{code},"message":"{message}","status":"{name}","details":[{details}]}}}}"#);
        let error = read(status(code), &HeaderMap::new(), body.as_bytes());
        let many = read(status(code), &HeaderMap::new(), format!("[{body}]").as_bytes());
        assert_eq!((error.class, &error.message), (many.class, &many.message), "within an array");
        error
    }

    /// M1, M3, F1: each documented error, by status, name, details and words.
    #[test]
    fn every_error_has_its_class() {
        let key = r#"{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}"#;
        let quota = |id: &str| {
            format!(
                r#"{{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{{"quotaId":"{id}","quotaValue":"10"}}]}}"#
            )
        };
        let (minute, day) = (
            quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier"),
            quota("GenerateRequestsPerDayPerProjectPerModel"),
        );
        for (code, name, message, details, class) in [
            (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", key, Class::Credentials),
            (400, "INVALID_ARGUMENT", "API key expired. Please renew the API key.", "", Class::Credentials),
            (400, "INVALID_ARGUMENT", "Unknown name \\\"x\\\".", "", Class::Invalid),
            (
                400,
                "INVALID_ARGUMENT",
                "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576).",
                "",
                Class::ContextLength,
            ),
            (400, "FAILED_PRECONDITION", "User location is not supported for the API use.", "", Class::Credentials),
            (401, "UNAUTHENTICATED", "Bad token.", "", Class::Credentials),
            (403, "PERMISSION_DENIED", "No.", "", Class::Credentials),
            (404, "NOT_FOUND", "models/x is not found.", "", Class::NotFound),
            (
                429,
                "RESOURCE_EXHAUSTED",
                "You exceeded your current quota, please check your plan.",
                &minute,
                Class::RateLimit,
            ),
            (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan.", &day, Class::Quota),
            (429, "RESOURCE_EXHAUSTED", "Resource exhausted.", "", Class::RateLimit),
            (499, "CANCELLED", "The operation was cancelled.", "", Class::Transient),
            (500, "INTERNAL", "An internal error has occurred.", "", Class::Server),
            (503, "UNAVAILABLE", "The model is overloaded.", "", Class::Overloaded),
            (504, "DEADLINE_EXCEEDED", "Too slow.", "", Class::Server),
        ] {
            let error = told(code, name, message, details);
            assert_eq!(error.class, class, "{code} {name} {message}");
            assert_eq!((error.kind.as_deref(), error.dialect), (Some(name), Some(Dialect::Gemini)));
        }
        assert_eq!(told(400, "INVALID_ARGUMENT", "x", key).code.as_deref(), Some("API_KEY_INVALID"));
    }

    /// R2: only a proof that is wrong is one to do without.
    #[test]
    fn a_wrong_proof_is_told_from_a_missing_one() {
        let refuses = |message: &str| refuses_proof(&told(400, "INVALID_ARGUMENT", message, ""));
        assert!(refuses("Corrupted thought signature.") && refuses("Invalid `thought_signature` in content 2."));
        assert!(!refuses("Function call `f` is missing a `thought_signature`.") && !refuses("Unknown name."));
    }

    /// F4: the wait is a detail or in the words.
    #[test]
    fn waits_are_found() {
        let info = r#"{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.4s"}"#;
        let wait = |message: &str, details: &str| told(429, "RESOURCE_EXHAUSTED", message, details).retry_after;
        assert_eq!(wait("Slow down.", info), Some(Duration::from_millis(34_400)));
        assert_eq!(wait("Please retry in 2.5s.", ""), Some(Duration::from_millis(2500)));
        assert_eq!(wait("Please retry in some time.", ""), None);
    }

    /// Whatever the body is, there is a sentence, and it is not the body's HTML.
    #[test]
    fn any_body_has_a_sentence() {
        for body in [&b""[..], b"<html>", b"null", b"{}", b"[]", br#"{"error":null}"#, br#"{"error":5}"#, b"\xff"] {
            let error = read(StatusCode::BAD_GATEWAY, &HeaderMap::new(), body);
            assert!(!error.message.is_empty() && !error.message.contains('<'), "{}", error.message);
            assert_eq!(error.class, Class::Server);
        }
    }

    /// E2: an error under a success status is told by its code.
    #[test]
    fn in_band_errors_have_the_status_of_their_code() {
        let error = read_in_band(br#"{"error":{"code":503,"message":"Overloaded.","status":"UNAVAILABLE"}}"#).unwrap();
        assert_eq!((error.status.as_u16(), error.class), (503, Class::Overloaded));
        assert_eq!(read_in_band(br#"{"error":{"message":"x"}}"#).unwrap().status.as_u16(), 500);
        assert!(read_in_band(br#"{"candidates":[]}"#).is_none());
    }
}
