//! Errors as this dialect's clients read them (rule M1): `type` goes with the status, `details`
//! holds a machine's code, `request_id` names the call as the `request-id` header does.
//!
//! An upstream that speaks this dialect keeps its own words, for clients mend themselves by them:
//! they compact on "prompt is too long" (rule M3), drop a beta, think again.
//!
//! Source: "Errors" (platform.claude.com/docs, read November 2026).

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use serde::Serialize;
use uuid::Uuid;

use crate::{
    call::Dialect,
    error::{Class, Error, UpstreamError},
    wire::json,
};

/// What clients look for to shorten a conversation.
const TOO_LONG: &str = "prompt is too long";

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    error: Inner<'a>,
    request_id: &'a str,
}

#[derive(Serialize)]
struct Inner<'a> {
    r#type: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details<'a>>,
}

#[derive(Serialize)]
struct Details<'a> {
    error_code: &'a str,
}

pub(super) fn body(error: &Error, id: Uuid) -> Bytes {
    let mut out = BytesMut::with_capacity(256);
    write(error, id, &mut out);
    out.freeze()
}

/// The event that ends a stream. Nothing follows it: a `message_delta` would make a whole answer of
/// a broken one (rule E3).
pub(super) fn frame(error: &Error, id: Uuid) -> Bytes {
    let mut out = BytesMut::with_capacity(256);
    out.extend_from_slice(b"event: error\ndata: ");
    write(error, id, &mut out);
    out.extend_from_slice(b"\n\n");
    out.freeze()
}

fn write(error: &Error, id: Uuid, out: &mut BytesMut) {
    let (message, code) = (message(error), code(error));
    let details = code.as_deref().map(|error_code| Details { error_code });
    let error = Inner { r#type: kind(error), message: &message, details };
    let mut buffer = Uuid::encode_buffer();
    let request_id = &*id.hyphenated().encode_lower(&mut buffer);
    json::line(&Body { r#type: "error", error, request_id }, out);
}

fn message(error: &Error) -> String {
    let message = error.message();
    let overflows = matches!(error, Error::Upstream(error) if error.class == Class::ContextLength);
    if overflows && !message.to_ascii_lowercase().contains(TOO_LONG) {
        return format!("{TOO_LONG}: {message}");
    }
    message
}

/// An upstream of this dialect says it itself, or says nothing; else the gateway's own code.
fn code(error: &Error) -> Option<String> {
    if let Error::Upstream(error) = error
        && is_native(error)
    {
        return error.code.clone();
    }
    error.kind().code
}

fn is_native(error: &UpstreamError) -> bool {
    error.dialect == Some(Dialect::Anthropic) && error.speaks_to_client()
}

fn kind(error: &Error) -> &str {
    match error {
        Error::Upstream(error) if is_native(error) => error.kind.as_deref().unwrap_or_else(|| of_class(error)),
        Error::Upstream(error) => of_class(error),
        Error::Invalid { .. }
        | Error::UnsupportedMedia { .. }
        | Error::MethodNotAllowed { .. }
        | Error::UpgradeRefused { .. } => "invalid_request_error",
        Error::BodyTooLarge { .. } => "request_too_large",
        Error::Unauthenticated { .. } => "authentication_error",
        Error::ModelNotFound { .. } | Error::RouteNotFound { .. } | Error::NotFound { .. } => "not_found_error",
        Error::RateLimited { .. } => "rate_limit_error",
        Error::Timeout(_) => "timeout_error",
        Error::NoTarget { .. } | Error::ShuttingDown | Error::StoreUnavailable => "overloaded_error",
        Error::Network { .. } | Error::BadReply { .. } | Error::Interrupted { .. } | Error::Internal { .. } => {
            "api_error"
        }
    }
}

fn of_class(error: &UpstreamError) -> &'static str {
    match error.class {
        Class::Invalid | Class::ContextLength | Class::ContentPolicy => "invalid_request_error",
        Class::Credentials if error.speaks_to_client() && error.status == StatusCode::FORBIDDEN => "permission_error",
        Class::Credentials if error.speaks_to_client() => "authentication_error",
        Class::Credentials => "api_error",
        Class::Quota => "billing_error",
        Class::RateLimit => "rate_limit_error",
        Class::NotFound => "not_found_error",
        Class::TooLarge => "request_too_large",
        Class::Conflict => "conflict_error",
        Class::Overloaded => "overloaded_error",
        Class::Transient => "timeout_error",
        Class::Server if error.status == StatusCode::GATEWAY_TIMEOUT => "timeout_error",
        Class::Server => "api_error",
    }
}
