//! Errors as this dialect's clients read them (rule M1): the status, its name, the words, and details
//! for machines. Google's SDKs tell a client's error from a server's by the number alone.
//!
//! An upstream of the same dialect keeps its own name and reason.
//!
//! Source: "Errors" (cloud.google.com/apis/design), `google/rpc/code.proto` and `error_details.proto`,
//! and "Troubleshooting" (ai.google.dev/gemini-api/docs, read November 2026).

use bytes::Bytes;
use serde::Serialize;
use uuid::Uuid;

use crate::{
    call::Dialect,
    error::{Class, Error, UpstreamError},
    wire::json,
};

/// Whose reasons those of the gateway are.
const DOMAIN: &str = "sluis";

#[derive(Serialize)]
struct Body<'a> {
    error: Status<'a>,
}

#[derive(Serialize)]
struct Status<'a> {
    code: u16,
    message: &'a str,
    status: &'a str,
    details: Vec<Detail<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "@type")]
enum Detail<'a> {
    #[serde(rename = "type.googleapis.com/google.rpc.ErrorInfo")]
    Info { reason: &'a str, domain: &'static str },
    #[serde(rename = "type.googleapis.com/google.rpc.BadRequest", rename_all = "camelCase")]
    Field { field_violations: [Violation<'a>; 1] },
    #[serde(rename = "type.googleapis.com/google.rpc.RetryInfo", rename_all = "camelCase")]
    Retry { retry_delay: String },
    #[serde(rename = "type.googleapis.com/google.rpc.RequestInfo", rename_all = "camelCase")]
    Request { request_id: &'a str },
}

#[derive(Serialize)]
struct Violation<'a> {
    field: &'a str,
    description: &'a str,
}

pub(super) fn body(error: &Error, id: Uuid) -> Bytes {
    let code = error.status_in(Dialect::Gemini).as_u16();
    let (message, kind) = (error.message(), error.kind());
    let native = native(error);
    let reason = match native {
        Some(upstream) => upstream.code.clone(),
        None => kind.code.as_deref().map(str::to_ascii_uppercase),
    };
    let field = native.and_then(|upstream| upstream.param.clone()).or(kind.param);
    let mut details = Vec::with_capacity(4);
    if let Some(reason) = &reason {
        let domain = if native.is_some() { "googleapis.com" } else { DOMAIN };
        details.push(Detail::Info { reason, domain });
    }
    if let Some(field) = &field {
        details.push(Detail::Field { field_violations: [Violation { field, description: &message }] });
    }
    if let Some(wait) = error.retry_after() {
        details.push(Detail::Retry { retry_delay: format!("{}s", wait.as_secs_f64()) });
    }
    let mut buffer = Uuid::encode_buffer();
    details.push(Detail::Request { request_id: id.hyphenated().encode_lower(&mut buffer) });
    let status = native.and_then(|upstream| upstream.kind.as_deref()).unwrap_or_else(|| name(error, code));
    let body = Body { error: Status { code, message: &message, status, details } };
    let mut out = Vec::with_capacity(256);
    json::line(&body, &mut out);
    out.into()
}

/// An error of an upstream that speaks this dialect, where its words are for the client.
fn native(error: &Error) -> Option<&UpstreamError> {
    match error {
        Error::Upstream(upstream) if upstream.dialect == Some(Dialect::Gemini) && upstream.speaks_to_client() => {
            Some(upstream)
        }
        Error::Upstream(_)
        | Error::Invalid { .. }
        | Error::BodyTooLarge { .. }
        | Error::UnsupportedMedia { .. }
        | Error::Unauthenticated { .. }
        | Error::ModelNotFound { .. }
        | Error::RouteNotFound { .. }
        | Error::MethodNotAllowed { .. }
        | Error::RateLimited { .. }
        | Error::Timeout(_)
        | Error::Network { .. }
        | Error::BadReply { .. }
        | Error::Interrupted { .. }
        | Error::NoTarget { .. }
        | Error::ShuttingDown
        | Error::StoreUnavailable
        | Error::NotFound { .. }
        | Error::UpgradeRefused { .. }
        | Error::Internal { .. } => None,
    }
}

/// The vendor's name for a status.
fn name(error: &Error, code: u16) -> &'static str {
    match code {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        405 | 426 => "UNIMPLEMENTED",
        408 | 504 => "DEADLINE_EXCEEDED",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        400..=499 => "INVALID_ARGUMENT",
        // A retry of the client's cures none of these.
        _ if matches!(error, Error::Upstream(upstream) if upstream.class == Class::Credentials) => "INTERNAL",
        500 => "INTERNAL",
        _ => "UNAVAILABLE",
    }
}
