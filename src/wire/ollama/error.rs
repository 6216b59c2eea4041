//! Errors: `{"error": "text"}` under any status, before an answer or as its last line.
//!
//! There are no codes, so the class hangs on the status and the words. Source: `api.StatusError` and
//! the handlers in `server/routes.go` (ollama/ollama, read November 2026).

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
    error: Value,
}

/// Reads an error response.
pub(super) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> UpstreamError {
    let message = message(body).unwrap_or_else(|| neutral_message(status));
    UpstreamError {
        retry_after: retry_after(headers),
        limits: limit_headers(headers),
        request_id: request_id(headers),
        ..classed(status, message)
    }
}

/// Reads an error that came under a success status (rule E2). `None` when `body` is no error object.
pub(super) fn read_in_band(body: &[u8]) -> Option<UpstreamError> {
    let message = message(body)?;
    let status = match class_by_words(&message) {
        Some(Class::ContextLength) => StatusCode::BAD_REQUEST,
        Some(_) | None if is_missing(&message) => StatusCode::NOT_FOUND,
        Some(_) | None => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Some(classed(status, message))
}

fn classed(status: StatusCode, message: String) -> UpstreamError {
    let mut error = UpstreamError::new(status, message);
    error.dialect = Some(Dialect::Ollama);
    // Some engines call a prompt that is too long their own failure (rule M3).
    let words = class_by_words(&error.message);
    error.class = match (error.class, words) {
        (Class::Invalid | Class::Server, Some(Class::ContextLength)) => Class::ContextLength,
        (Class::RateLimit, Some(Class::Quota)) => Class::Quota,
        (Class::Server, Some(Class::Overloaded)) => Class::Overloaded,
        (class, _) => class,
    };
    error
}

/// `model 'x' not found`.
fn is_missing(message: &str) -> bool {
    message.starts_with("model ") && message.ends_with("not found")
}

/// The words; a proxy before the server may speak of errors as an object.
fn message(body: &[u8]) -> Option<String> {
    let envelope: Envelope = serde_json::from_slice(body).ok()?;
    let text = |value: &Value| value.as_str().map(str::trim).filter(|text| !text.is_empty()).map(ToOwned::to_owned);
    let error = &envelope.error;
    if error.is_null() || error == &Value::Bool(false) {
        return None;
    }
    let said = text(error).or_else(|| error.get("message").and_then(text));
    Some(said.unwrap_or_else(|| "The upstream reported an error without a message.".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// M1, M3, F1: each error the server knows, by status and words.
    #[test]
    fn every_error_has_its_class() {
        for (status, message, class) in [
            (400, r#""qwen" does not support thinking"#, Class::Invalid),
            (400, "the input length exceeds the context length", Class::ContextLength),
            (401, "unauthorized", Class::Credentials),
            (403, "cloud features are disabled", Class::Credentials),
            (404, "model 'x' not found", Class::NotFound),
            (429, "too many requests", Class::RateLimit),
            (500, "llama runner process has terminated", Class::Server),
            (500, "input exceeds the context size", Class::ContextLength),
            (502, "cloud unreachable", Class::Server),
            (503, "server busy, please try again.  maximum pending requests exceeded", Class::Overloaded),
        ] {
            let body = serde_json::json!({ "error": message }).to_string();
            let error = read(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes());
            assert_eq!((error.class, error.message.as_str()), (class, message), "{status} {message}");
        }
    }

    /// Whatever the body is, there is a sentence, and it is not the body's HTML.
    #[test]
    fn any_body_has_a_sentence() {
        for body in [&b""[..], b"<html>", b"null", b"{}", br#"{"error":null}"#, br#"{"error":5}"#, b"\xff"] {
            let error = read(StatusCode::BAD_GATEWAY, &HeaderMap::new(), body);
            assert!(!error.message.is_empty() && !error.message.contains('<'), "{}", error.message);
        }
        assert_eq!(read_in_band(br#"{"error":{"message":"No."}}"#).unwrap().message, "No.");
        assert!(read_in_band(br#"{"done":true}"#).is_none());
    }

    /// E2: under a success status, the words say what is left to say.
    #[test]
    fn in_band_errors_have_a_status() {
        for (message, status) in [
            ("an error was encountered while running the model", 500),
            ("model 'x' not found", 404),
            ("the prompt exceeds the context window", 400),
        ] {
            let body = serde_json::json!({ "error": message }).to_string();
            assert_eq!(read_in_band(body.as_bytes()).unwrap().status.as_u16(), status, "{message}");
        }
    }
}
