//! Errors as the chat dialect's clients read them (openai-openapi spec 2.3.0; SDK sources,
//! November 2026): one object with `message`, `type`, `param` and `code`, in this order, all
//! present, `null` when absent (rule M1).

use bytes::Bytes;
use serde::Serialize;

use crate::{error::Error, wire::json};

#[derive(Serialize)]
struct Body<'a> {
    error: Inner<'a>,
}

#[derive(Serialize)]
struct Inner<'a> {
    message: &'a str,
    r#type: &'a str,
    param: Option<&'a str>,
    code: Option<&'a str>,
}

/// The body of an error response.
pub(super) fn body(error: &Error) -> Bytes {
    let mut out = Vec::with_capacity(256);
    write(error, &mut out);
    out.into()
}

/// The error event, and the mark every client stops at. No finish chunk comes before it: a broken
/// answer must not look whole (rules E1, E2).
pub(super) fn frame(error: &Error) -> Bytes {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(b"data: ");
    write(error, &mut out);
    out.extend_from_slice(b"\n\n");
    out.extend_from_slice(super::DONE);
    out.into()
}

fn write(error: &Error, out: &mut Vec<u8>) {
    let (kind, message) = (error.kind(), error.message());
    let inner =
        Inner { message: &message, r#type: &kind.kind, param: kind.param.as_deref(), code: kind.code.as_deref() };
    json::line(&Body { error: inner }, out);
}
