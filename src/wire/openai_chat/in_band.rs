//! Errors that come under a success status (rule E2).
//!
//! Compatible vendors report failures in the middle of a stream, or in place of an answer, in many
//! shapes. Each is listed where it is read, with the vendor that was seen to send it (vendors' API
//! references, SDK types and recorded traffic, read November 2026). An error *response* is read
//! elsewhere; here there is no status and there are no headers, so the class must come from the
//! words.

use http::StatusCode;
use serde_json::{Map, Value};

use crate::error::{Class, UpstreamError};

/// The error in a stream event's data or in a whole answer, if it is one.
pub fn in_band_error(data: &[u8]) -> Option<UpstreamError> {
    let object = match serde_json::from_slice(data).ok()? {
        Value::Object(object) => object,
        // Gemini's compatible endpoint wraps its errors in an array.
        Value::Array(items) => match items.into_iter().next()? {
            Value::Object(object) => object,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => return None,
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
    };
    of_object(&object)
}

/// The error of an event named `error`, whatever its data is.
pub(super) fn error_event(data: &[u8]) -> UpstreamError {
    in_band_error(data).unwrap_or_else(|| match serde_json::from_slice(data) {
        Ok(Value::Object(object)) => Words::flat(&object).into_error(),
        Ok(Value::String(message)) => Words { message: Some(message), ..Words::default() }.into_error(),
        Ok(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_)) | Err(_) => Words::default().into_error(),
    })
}

/// The error that a finish reason of this kind stands for: `error` (OpenRouter, Mistral,
/// Fireworks), `abort` (SGLang), `network_error` (Z.ai).
pub(super) fn failed_finish(reason: &str) -> Option<UpstreamError> {
    if !matches!(reason, "error" | "abort" | "network_error") {
        return None;
    }
    let message = format!("The upstream broke off the answer (finish_reason `{reason}`).");
    Some(Words { message: Some(message), ..Words::default() }.into_error())
}

fn of_object(object: &Map<String, Value>) -> Option<UpstreamError> {
    let nested = |key: &str, inner: &str| object.get(key).and_then(|value| value.get(inner));
    // Groq puts a text into its own object.
    if let Some(error) = object.get("error").or_else(|| nested("x_groq", "error")).filter(|error| is_truthy(error)) {
        return Some(Words::of(error, object).into_error());
    }
    // MiniMax.
    if let Some(code) = nested("base_resp", "status_code").and_then(Value::as_u64).filter(|code| *code != 0) {
        let message = nested("base_resp", "status_msg").and_then(Value::as_str).map(Into::into);
        return Some(Words { message, code: Some(code.to_string()), ..Words::default() }.into_minimax(code));
    }
    let choices = object.get("choices").and_then(Value::as_array);
    let finish = |choice: &Value| choice.get("finish_reason").and_then(Value::as_str).and_then(failed_finish);
    if let Some(choices) = choices {
        return choices.iter().find_map(finish);
    }
    // Mistral and SGLang name the object so; servers on FastAPI have only `detail`.
    let is_flat = object.get("object").and_then(Value::as_str) == Some("error")
        || object.get("detail").is_some_and(is_truthy)
        || (object.get("message").is_some_and(Value::is_string)
            && (object.contains_key("code") || object.contains_key("type")));
    is_flat.then(|| Words::flat(object).into_error())
}

/// As Python and JavaScript clients judge it, except that an empty object says nothing either.
fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(is) => *is,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(object) => !object.is_empty(),
    }
}

/// What an error says of itself.
#[derive(Default)]
struct Words {
    message: Option<String>,
    kind: Option<String>,
    code: Option<String>,
    param: Option<String>,
    status: Option<StatusCode>,
}

// === impl Words ===

impl Words {
    /// Reads an `error` member; `around` is the object it stands in, where Cerebras puts the
    /// status and xAI the code.
    fn of(error: &Value, around: &Map<String, Value>) -> Self {
        let mut words = match error {
            Value::Object(error) => Self::flat(error),
            Value::String(message) => Self { message: Some(message.clone()), ..Self::default() },
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => Self::default(),
        };
        let around = Self::flat(around);
        words.status = words.status.or(around.status);
        words.message = words.message.or(around.message);
        words.code = words.code.or(around.code);
        words
    }

    fn flat(object: &Map<String, Value>) -> Self {
        let text = |key: &str| match object.get(key)? {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
        };
        let code = text("code");
        // `http_status_code` is TGI's, `status_code` Cerebras', `status` Azure's; others write the
        // status as the code.
        let status = [code.clone(), text("status_code"), text("http_status_code"), text("status")]
            .into_iter()
            .flatten()
            .find_map(|code| code.parse().ok().filter(|code| (400..=599u16).contains(code)));
        let message = text("message").or_else(|| text("msg")).or_else(|| text("detail"));
        Self {
            message: message.or_else(|| object.get("detail").filter(|detail| is_truthy(detail)).map(Value::to_string)),
            kind: text("type").or_else(|| text("error_type")),
            code,
            param: text("param"),
            status: status.and_then(|status| StatusCode::from_u16(status).ok()),
        }
    }

    fn into_error(self) -> UpstreamError {
        let (class, status) = self.judge();
        self.into_classed(class, status)
    }

    /// MiniMax's own numbers (API reference, "Error codes").
    fn into_minimax(self, code: u64) -> UpstreamError {
        let (class, status) = match code {
            1002 | 1039 => (Class::RateLimit, StatusCode::TOO_MANY_REQUESTS),
            1004 => (Class::Credentials, StatusCode::UNAUTHORIZED),
            1008 => (Class::Quota, StatusCode::PAYMENT_REQUIRED),
            1026 | 1027 => (Class::ContentPolicy, StatusCode::BAD_REQUEST),
            2013 => (Class::Invalid, StatusCode::BAD_REQUEST),
            1001 => (Class::Server, StatusCode::GATEWAY_TIMEOUT),
            _ => (Class::Server, StatusCode::BAD_GATEWAY),
        };
        self.into_classed(class, status)
    }

    fn into_classed(self, class: Class, status: StatusCode) -> UpstreamError {
        let message = self.message.unwrap_or_else(|| "The upstream reported an error without a message.".into());
        let mut error = UpstreamError::new(status, message);
        error.class = class;
        error.kind = self.kind;
        error.code = self.code;
        error.param = self.param;
        error
    }

    /// The class and the status it stands for: unmistakable words first, then the status the error
    /// names, then the general words.
    fn judge(&self) -> (Class, StatusCode) {
        let names =
            format!("{} {}", self.code.as_deref().unwrap_or_default(), self.kind.as_deref().unwrap_or_default());
        let names = names.to_ascii_lowercase();
        let message = self.message.as_deref().unwrap_or_default().to_ascii_lowercase();
        let named = |words: &[&str]| words.iter().any(|word| names.contains(word));
        let said = |words: &[&str]| words.iter().any(|word| message.contains(word));
        let refused = |class| (class, self.status.unwrap_or(StatusCode::BAD_REQUEST));

        if named(&["context_length", "exceed_context_size", "context_window"])
            || said(&["maximum context length", "prompt is too long", "exceeds the available context size"])
        {
            return refused(Class::ContextLength);
        }
        if named(&["insufficient_quota", "current_quota", "credit_balance", "spend_limit", "usage_limit", "billing"]) {
            return (Class::Quota, self.status.unwrap_or(StatusCode::TOO_MANY_REQUESTS));
        }
        if named(&["content_filter", "content_policy"]) {
            return refused(Class::ContentPolicy);
        }
        if let Some(status) = self.status {
            return (Class::of_status(status), status);
        }
        let status = if named(&["rate_limit", "ratelimit", "too_many_requests"]) || said(&["rate limit"]) {
            StatusCode::TOO_MANY_REQUESTS
        } else if named(&["overloaded", "unavailable"]) {
            StatusCode::SERVICE_UNAVAILABLE
        } else if named(&["authentication", "invalid_api_key", "unauthorized"]) {
            StatusCode::UNAUTHORIZED
        } else if named(&["permission"]) {
            StatusCode::FORBIDDEN
        } else if named(&["not_found", "notfound"]) {
            StatusCode::NOT_FOUND
        } else if named(&["timeout"]) {
            StatusCode::GATEWAY_TIMEOUT
        } else if named(&["invalid", "badrequest", "bad_request", "validation", "tool_use_failed"]) {
            StatusCode::BAD_REQUEST
        } else {
            StatusCode::BAD_GATEWAY
        };
        (Class::of_status(status), status)
    }
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
                Class::Server,
                502,
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
