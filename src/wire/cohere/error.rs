//! Errors: `{"message": "text"}`, under any status, in a stream too.
//!
//! There are no codes, so the class hangs on the status and the words. Source: "Errors" and "Rate
//! limits" of the vendor's documentation (docs.cohere.com, read November 2026).

use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    dialect::Dialect,
    error::{Class, UpstreamError},
    wire::upstream_error::{class_by_words, limit_headers, neutral_message, request_id, retry_after},
};

#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    message: Value,
    #[serde(default)]
    id: Option<String>,
    /// Only answers and events have one of these.
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    error: Value,
}

/// Reads an error response.
pub(super) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> UpstreamError {
    let (message, id) = said(body).unwrap_or_else(|| (neutral_message(status), None));
    UpstreamError {
        retry_after: retry_after(headers),
        limits: limit_headers(headers),
        request_id: request_id(headers).or(id),
        ..classed(status, message)
    }
}

/// Reads an error that came under a success status (rule E2). `None` when `body` is no error object.
pub(super) fn read_in_band(body: &[u8]) -> Option<UpstreamError> {
    let (message, id) = said(body)?;
    let status = match class_by_words(&message) {
        Some(Class::ContextLength) => StatusCode::BAD_REQUEST,
        Some(_) | None => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Some(UpstreamError { request_id: id, ..classed(status, message) })
}

fn classed(status: StatusCode, message: String) -> UpstreamError {
    let mut error = UpstreamError::new(status, message);
    error.dialect = Some(Dialect::Cohere);
    let words = error.message.to_ascii_lowercase();
    error.class = match (error.class, class_by_words(&words)) {
        // The vendor's own status for a blocked token.
        _ if status.as_u16() == 498 => Class::Credentials,
        (Class::Invalid, Some(class @ (Class::ContextLength | Class::ContentPolicy | Class::Quota))) => class,
        (Class::Invalid, _) if words.contains("too many tokens") => Class::ContextLength,
        (Class::RateLimit, Some(Class::Quota)) => Class::Quota,
        // A trial's calls of the month: no wait of ours helps.
        (Class::RateLimit, _) if words.contains("/ month") || words.contains("per month") => Class::Quota,
        (class, _) => class,
    };
    error
}

/// The words, and the id of the exchange. An answer's `message` is an object, an event has a type.
fn said(body: &[u8]) -> Option<(String, Option<String>)> {
    let envelope: Envelope = serde_json::from_slice(body).ok()?;
    let text = |value: &Value| value.as_str().map(str::trim).filter(|text| !text.is_empty()).map(ToOwned::to_owned);
    if envelope.kind.as_deref().is_some_and(|kind| kind != "error") {
        return None;
    }
    let error = &envelope.error;
    let message = text(&envelope.message).or_else(|| text(error)).or_else(|| error.get("message").and_then(text));
    Some((message?, envelope.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// M1, M3, F1: each documented error, by status and words.
    #[test]
    fn every_error_has_its_class() {
        for (status, message, class) in [
            (400, "invalid request: temperature must be between 0 and 1.0 inclusive.", Class::Invalid),
            (400, "too many tokens: size limit exceeded by 11326 tokens.", Class::ContextLength),
            (401, "invalid api token", Class::Credentials),
            (402, "Please add or update your payment method to continue", Class::Quota),
            (404, "model 'x' not found, make sure the correct model ID was used", Class::NotFound),
            (422, "unprocessable entity", Class::Invalid),
            (429, "You are past the per minute request limit, please wait and try again later.", Class::RateLimit),
            (429, "You are using a Trial key, which is limited to 1000 API calls / month.", Class::Quota),
            (498, "invalid token", Class::Credentials),
            (500, "internal server error", Class::Server),
            (503, "service unavailable", Class::Overloaded),
        ] {
            let body = serde_json::json!({ "id": "r1", "message": message }).to_string();
            let error = read(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes());
            assert_eq!((error.class, error.message.as_str()), (class, message), "{status} {message}");
            assert_eq!(error.request_id.as_deref(), Some("r1"));
        }
    }

    /// Whatever the body is, there is a sentence, and it is not the body's HTML.
    #[test]
    fn any_body_has_a_sentence() {
        for body in [&b""[..], b"<html>", b"null", b"{}", br#"{"message":null}"#, br#"{"data":"x"}"#, b"\xff"] {
            let error = read(StatusCode::BAD_GATEWAY, &HeaderMap::new(), body);
            assert!(!error.message.is_empty() && !error.message.contains('<'), "{}", error.message);
        }
        assert_eq!(read_in_band(br#"{"message":"No."}"#).unwrap().message, "No.");
        for answer in [&br#"{"id":"1","message":{"role":"assistant"}}"#[..], br#"{"type":"debug","message":"x"}"#] {
            assert!(read_in_band(answer).is_none());
        }
    }
}
