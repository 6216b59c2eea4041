//! Errors, before a stream and within one, and what they mean.
//!
//! The body has a message and rarely more; the error's type is in a header, with an address behind a
//! colon or a namespace before a `#` now and then. The type says more than the status: a quota is a
//! 400, a cold model a 429, a model that failed a 424.
//!
//! Source: "Common errors" and each operation's errors (docs.aws.amazon.com/bedrock, read November
//! 2026).

use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use crate::{
    dialect::Dialect,
    error::{Class, Error, UpstreamError},
    framing::Frame,
    wire::upstream_error::{class_by_words, limit_headers, neutral_message, request_id, retry_after},
};

const TYPE_HEADER: &str = "x-amzn-errortype";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    #[serde(alias = "Message", alias = "errorMessage")]
    message: Option<String>,
    #[serde(rename = "__type", alias = "code")]
    kind: Option<String>,
    #[serde(rename = "originalMessage")]
    original: Option<String>,
}

/// Reads an error response.
pub fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> UpstreamError {
    let body: Body = serde_json::from_slice(body).unwrap_or_default();
    let header = headers.get(TYPE_HEADER).and_then(|value| value.to_str().ok());
    let mut error = written(status, header.or(body.kind.as_deref()), body.message, body.original);
    error.retry_after = retry_after(headers);
    error.limits = limit_headers(headers);
    error.request_id = request_id(headers);
    error
}

/// Whether a response is an error of the service, whatever dialect the request was written in.
pub fn is_ours(headers: &HeaderMap) -> bool {
    headers.contains_key(TYPE_HEADER)
}

/// Reads an exception or an error within a stream; `None` when the frame is neither.
pub fn in_stream(frame: &Frame) -> Option<Error> {
    let event = str::from_utf8(frame.event.as_deref()?).ok()?;
    let (kind, name) = event.split_once(':')?;
    let body = match kind {
        "exception" => serde_json::from_slice(&frame.data).unwrap_or_default(),
        "error" => Body { message: String::from_utf8(frame.data.to_vec()).ok(), ..Body::default() },
        _ => return None,
    };
    Some(written(status_of(name), Some(name), body.message, body.original).into())
}

fn written(status: StatusCode, kind: Option<&str>, message: Option<String>, original: Option<String>) -> UpstreamError {
    let said = |text: &String| !text.trim().is_empty();
    let kind = kind.map(bare).filter(|kind| !kind.is_empty()).map(str::to_owned);
    let message = message.filter(said).or(original.filter(said)).or_else(|| kind.clone());
    let mut error = UpstreamError::new(status, message.unwrap_or_else(|| neutral_message(status)));
    error.class = class(status, kind.as_deref().unwrap_or_default(), &error.message);
    error.dialect = Some(Dialect::BedrockConverse);
    error.kind = kind;
    error
}

/// `com.amazon.coral.service#ThrottlingException:http://...` is a `ThrottlingException`.
fn bare(kind: &str) -> &str {
    let kind = kind.split_once('#').map_or(kind, |(_, kind)| kind);
    kind.split(':').next().unwrap_or_default().trim()
}

/// Exceptions of a stream begin with a small letter, errors of the service with a large one.
fn is(kind: &str, name: &str) -> bool {
    kind.eq_ignore_ascii_case(name)
}

/// The status an exception would have had before the stream.
fn status_of(kind: &str) -> StatusCode {
    let code = match kind {
        _ if is(kind, "throttlingException") => 429,
        _ if is(kind, "validationException") => 400,
        _ if is(kind, "modelTimeoutException") => 408,
        _ if is(kind, "modelStreamErrorException") => 424,
        _ if is(kind, "serviceUnavailableException") => 503,
        _ => 500,
    };
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn class(status: StatusCode, kind: &str, message: &str) -> Class {
    let by_type = match kind {
        _ if is(kind, "ServiceQuotaExceededException") => Some(Class::Quota),
        _ if is(kind, "ModelNotReadyException") => Some(Class::Overloaded),
        _ if is(kind, "ThrottlingException") => Some(Class::RateLimit),
        _ if is(kind, "ModelTimeoutException") => Some(Class::Transient),
        _ if is(kind, "ModelErrorException") || is(kind, "ModelStreamErrorException") => Some(Class::Server),
        _ if is(kind, "UnknownOperationException") => Some(Class::NotFound),
        _ => None,
    };
    let by_status = by_type.unwrap_or_else(|| Class::of_status(status));
    match by_status {
        Class::Invalid => by_words(message).unwrap_or(by_status),
        Class::RateLimit
        | Class::ContextLength
        | Class::ContentPolicy
        | Class::Credentials
        | Class::Quota
        | Class::NotFound
        | Class::TooLarge
        | Class::Transient
        | Class::Conflict
        | Class::Overloaded
        | Class::Server => by_status,
    }
}

/// M3: what a plain 400 means, by the service's words and those of the models behind it.
fn by_words(message: &str) -> Option<Class> {
    let lower = message.to_ascii_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| lower.contains(phrase));
    if says(&["model identifier is invalid", "on-demand throughput isn", "model id is invalid"]) {
        return Some(Class::NotFound);
    }
    if says(&["too many input tokens", "input tokens exceeded", "too long for requested model"]) {
        return Some(Class::ContextLength);
    }
    class_by_words(message).filter(|class| matches!(class, Class::ContextLength | Class::Quota | Class::ContentPolicy))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// M1, M3, F1: each documented error, by type, status and words.
    #[test]
    fn every_error_has_its_class() {
        for (status, kind, message, class) in [
            (400, "ValidationException", "The text field is blank", Class::Invalid),
            (
                400,
                "ValidationException:http://internal.amazon.com/",
                "Input is too long for requested model.",
                Class::ContextLength,
            ),
            (400, "ValidationException", "prompt is too long: 210000 tokens > 200000 maximum", Class::ContextLength),
            (400, "ValidationException", "The provided model identifier is invalid.", Class::NotFound),
            (400, "ServiceQuotaExceededException", "Quota.", Class::Quota),
            (403, "AccessDeniedException", "No access.", Class::Credentials),
            (403, "ExpiredTokenException", "Expired.", Class::Credentials),
            (403, "InvalidSignatureException", "Signature.", Class::Credentials),
            (404, "ResourceNotFoundException", "Gone.", Class::NotFound),
            (408, "ModelTimeoutException", "Slow.", Class::Transient),
            (424, "ModelErrorException", "Failed.", Class::Server),
            (429, "ThrottlingException", "Too many requests", Class::RateLimit),
            (429, "ModelNotReadyException", "Cold.", Class::Overloaded),
            (500, "InternalServerException", "Oops.", Class::Server),
            (503, "ServiceUnavailableException", "Busy.", Class::Overloaded),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("x-amzn-errortype", kind.parse().unwrap());
            headers.insert("x-amzn-requestid", "req-1".parse().unwrap());
            let body = serde_json::json!({"message": message}).to_string();
            let error = read(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes());
            assert_eq!(error.class, class, "{status} {kind} {message}");
            assert_eq!((error.message.as_str(), error.kind.as_deref()), (message, kind.split(':').next()));
            assert_eq!(error.request_id.as_deref(), Some("req-1"));
            assert!(is_ours(&headers));
        }
    }

    #[test]
    fn the_type_may_stand_in_the_body() {
        let body = br#"{"__type":"com.amazon.coral.service#ThrottlingException","Message":"Slow down."}"#;
        let error = read(StatusCode::BAD_REQUEST, &HeaderMap::new(), body);
        assert_eq!((error.class, error.kind.as_deref()), (Class::RateLimit, Some("ThrottlingException")));
        assert_eq!(error.message, "Slow down.");
    }

    /// E2: an exception under a success status is told by its name.
    #[test]
    fn exceptions_have_the_status_of_their_name() {
        let frame = |event: &'static str, data: &'static str| Frame {
            raw: None,
            event: Some(Bytes::from_static(event.as_bytes())),
            data: Bytes::from_static(data.as_bytes()),
        };
        for (event, status, class) in [
            ("exception:throttlingException", 429, Class::RateLimit),
            ("exception:internalServerException", 500, Class::Server),
            ("exception:modelStreamErrorException", 424, Class::Server),
            ("exception:validationException", 400, Class::ContextLength),
            ("exception:serviceUnavailableException", 503, Class::Overloaded),
            ("exception:modelTimeoutException", 408, Class::Transient),
            ("exception:somethingNewException", 500, Class::Server),
        ] {
            let error = in_stream(&frame(event, r#"{"message":"Input is too long."}"#)).unwrap();
            let Error::Upstream(error) = error else { panic!("{error:?}") };
            assert_eq!((error.status.as_u16(), error.class), (status, class), "{event}");
            assert_eq!(error.message, "Input is too long.");
        }
        let error = in_stream(&frame("error:InternalFailure", "It broke.")).unwrap();
        assert_eq!((error.status().as_u16(), error.message().as_str()), (500, "It broke."));
        let bare = in_stream(&frame("exception:throttlingException", "")).unwrap();
        assert_eq!(bare.message(), "throttlingException");
        assert!(in_stream(&frame("messageStop", "{}")).is_none());
    }

    /// Whatever the body is, there is a sentence, and it is not the body's HTML.
    #[test]
    fn any_body_has_a_sentence() {
        for body in [&b""[..], b"<html>", b"null", b"{}", br#"{"message":null}"#, br#"{"message":5}"#, b"\xff"] {
            let error = read(StatusCode::BAD_GATEWAY, &HeaderMap::new(), body);
            assert!(!error.message.is_empty() && !error.message.contains('<'), "{}", error.message);
            assert_eq!(error.class, Class::Server);
        }
    }
}
