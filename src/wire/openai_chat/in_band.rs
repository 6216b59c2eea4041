//! Errors that come under a success status (rule E2): how they are told from answers.
//!
//! Compatible vendors report failures in the middle of a stream, or in place of an answer, in many
//! shapes. Here it is found out whether something is an error; what it says is read and judged as
//! that of an error response (`said`, `upstream_error`).

use http::StatusCode;
use serde_json::Value;

use super::{
    finish::{Reason, reason},
    said::{Said, is_said},
    upstream_error::plain_text,
};
use crate::{
    dialect::Dialect,
    error::{Class, UpstreamError},
};

/// The error in a stream event's data or in a whole answer, if it is one.
pub fn in_band_error(data: &[u8]) -> Option<UpstreamError> {
    of_value(&serde_json::from_slice(data).ok()?)
}

/// The error of an event named `error`, whatever its data is.
pub(in crate::wire) fn error_event(data: &[u8]) -> UpstreamError {
    let value = serde_json::from_slice(data);
    let value = value.unwrap_or_else(|_| plain_text(data).map_or(Value::Null, Value::String));
    of_value(&value).unwrap_or_else(|| Said::of(&value).into_in_band())
}

/// The error that a finish reason stands for: a failure, or, where nothing `was_said` before it, a
/// lack of capacity.
pub(in crate::wire) fn failed_finish(wire: &str, was_said: bool) -> Option<UpstreamError> {
    let (class, status, what) = match reason(wire) {
        Reason::Failure => (Class::Server, StatusCode::BAD_GATEWAY, "broke off the answer"),
        Reason::OutOfCapacity if !was_said => {
            (Class::Overloaded, StatusCode::SERVICE_UNAVAILABLE, "had no capacity for the answer")
        }
        Reason::Is(_) | Reason::FunctionCall | Reason::OutOfCapacity | Reason::Unknown => return None,
    };
    let message = format!("The upstream {what} (finish_reason `{wire}`).");
    Some(UpstreamError { class, dialect: Some(Dialect::OpenAiChat), ..UpstreamError::new(status, message) })
}

fn of_value(value: &Value) -> Option<UpstreamError> {
    // Google's compatible endpoint wraps its errors in an array.
    if let Some(first) = value.as_array().and_then(|list| list.first()) {
        return of_value(first);
    }
    if value.get("error").is_some_and(is_said) {
        return Some(Said::of(value).into_in_band());
    }
    // Groq puts a text into its own object.
    if let Some(error) = value.pointer("/x_groq/error").filter(|error| is_said(error)) {
        return Some(Said::of_error(error, &Value::Null).into_in_band());
    }
    // MiniMax.
    if value.pointer("/base_resp/status_code").is_some_and(is_said) {
        return Some(Said::of(value).into_in_band());
    }
    if let Some(choices) = value.get("choices").and_then(Value::as_array) {
        return choices.iter().find_map(|choice| failed_finish(choice.get("finish_reason")?.as_str()?, true));
    }
    is_flat(value).then(|| Said::of(value).into_in_band())
}

/// Mistral and SGLang name the object so; servers on FastAPI have only `detail`.
fn is_flat(value: &Value) -> bool {
    let has = |key: &str| value.get(key).is_some();
    value.get("object").and_then(Value::as_str) == Some("error")
        || value.get("detail").is_some_and(is_said)
        || (value.get("message").is_some_and(Value::is_string) && (has("code") || has("type")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E2: every shape in which vendors report errors under a success status.
    #[test]
    fn shapes() {
        for (vendor, data, class, status, message) in [
            (
                "vllm",
                r#"{"error":{"message":"too long","type":"BadRequestError","code":400}}"#,
                Class::Invalid,
                400,
                "too long",
            ),
            (
                "openrouter",
                r#"{"id":"g","error":{"code":502,"message":"closed"},"choices":[{"index":0,"delta":{},"finish_reason":"error"}]}"#,
                Class::Server,
                502,
                "closed",
            ),
            (
                "groq",
                r#"{"id":"c","choices":[],"x_groq":{"id":"r","error":"over capacity"}}"#,
                Class::Overloaded,
                503,
                "over capacity",
            ),
            ("cerebras", r#"{"error":{"message":"slow down"},"status_code":429}"#, Class::RateLimit, 429, "slow down"),
            ("tgi", r#"{"error":{"message":"bad","http_status_code":422}}"#, Class::Invalid, 422, "bad"),
            ("mlx_lm", r#"{"error":"no model"}"#, Class::Server, 502, "no model"),
            ("xai", r#"{"code":"invalid-argument","error":"no"}"#, Class::Invalid, 400, "no"),
            (
                "sglang",
                r#"{"object":"error","message":"aborted","type":"InternalServerError","code":500}"#,
                Class::Server,
                500,
                "aborted",
            ),
            ("fastapi", r#"{"detail":"Unauthorized"}"#, Class::Server, 502, "Unauthorized"),
            (
                "minimax",
                r#"{"id":"","choices":null,"base_resp":{"status_code":1002,"status_msg":"rate limit"}}"#,
                Class::RateLimit,
                429,
                "rate limit",
            ),
            (
                "gemini",
                r#"[{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}]"#,
                Class::Overloaded,
                503,
                "busy",
            ),
            (
                "mistral",
                r#"{"id":"1","choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}"#,
                Class::Server,
                502,
                "The upstream broke off the answer (finish_reason `error`).",
            ),
        ] {
            let error = in_band_error(data.as_bytes()).unwrap_or_else(|| panic!("{vendor}"));
            assert_eq!((error.class, error.status.as_u16(), &*error.message), (class, status, message), "{vendor}");
        }
    }

    /// M1, M3: type, code and param are kept, and the code decides the class.
    #[test]
    fn names_decide() {
        let error = |code: &str| {
            let data = format!(r#"{{"error":{{"message":"m","type":"t","param":"messages","code":"{code}"}}}}"#);
            in_band_error(data.as_bytes()).unwrap()
        };
        let overflow = error("context_length_exceeded");
        assert_eq!((overflow.class, overflow.status), (Class::ContextLength, StatusCode::BAD_REQUEST));
        assert_eq!((overflow.kind.as_deref(), overflow.param.as_deref()), (Some("t"), Some("messages")));
        assert_eq!(error("insufficient_quota").class, Class::Quota);
        assert_eq!(error("rate_limit_exceeded").class, Class::RateLimit);
        assert_eq!(error("server_is_overloaded").class, Class::Overloaded);
        assert_eq!(error("content_filter").class, Class::ContentPolicy);
        assert_eq!(error("invalid_api_key").class, Class::Credentials);
        assert_eq!(error("strange").class, Class::Server);
    }

    /// The vendor's own code is kept as text, a number or not, for the catalogue's rules; MiniMax,
    /// OpenRouter and Z.ai write numbers.
    #[test]
    fn vendor_codes_are_texts() {
        for (data, code) in [
            (r#"{"base_resp":{"status_code":1002,"status_msg":"m"}}"#, "1002"),
            (r#"{"error":{"code":403,"message":"m"}}"#, "403"),
            (r#"{"error":{"code":"1302","message":"m"}}"#, "1302"),
            (r#"{"error":{"code":1302,"message":"m"}}"#, "1302"),
        ] {
            assert_eq!(in_band_error(data.as_bytes()).unwrap().code.as_deref(), Some(code), "{data}");
            let read = super::super::upstream_error::read(StatusCode::OK, &http::HeaderMap::new(), data.as_bytes());
            assert_eq!(read.code.as_deref(), Some(code), "{data}");
        }
    }

    #[test]
    fn a_finish_without_capacity_is_an_error_where_nothing_was_said() {
        assert_eq!(failed_finish("insufficient_system_resource", false).unwrap().class, Class::Overloaded);
        assert!(failed_finish("insufficient_system_resource", true).is_none());
        assert!(failed_finish("stop", false).is_none());
    }

    #[test]
    fn answers_are_no_errors() {
        for data in [
            r#"{"id":"c","error":null,"choices":[{"index":0,"delta":{"content":"error"},"finish_reason":null}]}"#,
            r#"{"choices":[],"base_resp":{"status_code":0,"status_msg":""}}"#,
            r#"{"error":{},"choices":[]}"#,
            r#"{"type":"ping"}"#,
            "null",
            "[]",
            "not json",
        ] {
            assert!(in_band_error(data.as_bytes()).is_none(), "{data}");
        }
    }

    #[test]
    fn an_error_event_is_an_error_whatever_it_holds() {
        assert_eq!(error_event(br#"{"message":"m"}"#).message, "m");
        assert_eq!(error_event(br#""text""#).message, "text");
        for data in [&b""[..], b"<html>", b"{}", b"null"] {
            assert_eq!(error_event(data).class, Class::Server);
        }
    }
}
