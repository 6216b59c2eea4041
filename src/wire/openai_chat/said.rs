//! What an error of the chat dialect says of itself, whatever its shape.
//!
//! A dozen shapes are about: OpenAI's object, a bare string, FastAPI's `detail`, MiniMax's
//! `base_resp`, an array around any of them (recorded traffic and error references of the vendors
//! named beside each shape, read November 2026). Every shape is read in this one place, under a
//! failure status and in band alike; what the words mean is `upstream_error`'s.

use std::{borrow::Cow, time::Duration};

use http::StatusCode;
use serde_json::Value;

/// The words of an error.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) message: Option<String>,
    pub(super) kind: Option<String>,
    /// The vendor's own code, a number's digits included: what a vendor means by one is known to
    /// its row of the catalogue.
    pub(super) code: Option<String>,
    pub(super) param: Option<String>,
    /// An HTTP status told in the body.
    pub(super) status: Option<StatusCode>,
    /// Words beyond the message that help to judge it.
    pub(super) detail: Option<String>,
    pub(super) retry_after: Option<Duration>,
    /// A content policy is said to be the reason.
    pub(super) flagged: bool,
}

impl Said {
    pub(super) fn of(value: &Value) -> Self {
        // Google's compatible endpoint wraps the whole in an array.
        if let Some(first) = value.as_array().and_then(|list| list.first()) {
            return Self::of(first);
        }
        if let Value::String(message) = value {
            return Self { message: Some(message.clone()).filter(|text| !text.is_empty()), ..Self::default() };
        }
        match value.get("error") {
            Some(error) if is_said(error) => Self::of_error(error, value),
            Some(_) | None => Self::of_flat(value),
        }
    }

    /// `{"error": {...}}` (OpenAI and most), `{"error": "text"}` (xAI with `code` beside it, TGI
    /// with `error_type`, mlx_lm and others alone). `around` is the object it stands in, where
    /// Cerebras puts the status.
    pub(super) fn of_error(error: &Value, around: &Value) -> Self {
        let around = Self::of_flat(around);
        let Value::Object(_) = error else {
            return Self { message: text(Some(error)).or(around.message), ..around };
        };
        let metadata = error.get("metadata");
        let said = Self::of_flat(error);
        Self {
            status: said.status.or(around.status),
            flagged: metadata.is_some_and(|data| data.get("flagged_input").is_some() || data.get("reasons").is_some()),
            detail: metadata.and_then(|data| text(data.get("raw"))),
            ..said
        }
    }

    /// `{"message","type","code"}` (Mistral, SGLang, Cerebras), `{"id","message"}` (DigitalOcean),
    /// `{"detail"}` (FastAPI), `{"base_resp"}` (MiniMax), `{"errors":[...]}`.
    fn of_flat(value: &Value) -> Self {
        if let Some(base) = value.get("base_resp").filter(|base| base.is_object()) {
            return Self::of_base_resp(base);
        }
        let first = value.get("errors").and_then(|errors| errors.get(0));
        let told_status = text(value.get("status")).filter(|status| status.parse::<u16>().is_err());
        Self {
            message: [value.get("message"), value.get("msg"), first, first.and_then(|first| first.get("message"))]
                .into_iter()
                .find_map(text),
            kind: text(value.get("type")).or_else(|| text(value.get("error_type"))).or(told_status),
            // DigitalOcean writes its code as `id`, where others have the answer's.
            code: text(value.get("code")).or_else(|| text(value.get("id")).filter(|_| value.get("choices").is_none())),
            param: text(value.get("param")),
            // `http_status_code` is TGI's, `status_code` Cerebras', `status` Azure's; others write
            // the status as the code.
            status: ["code", "http_status_code", "status_code", "status"]
                .into_iter()
                .find_map(|key| status(value.get(key))),
            retry_after: retry_info(value),
            ..Self::default()
        }
        .or_detail(value.get("detail"))
    }

    fn or_detail(mut self, detail: Option<&Value>) -> Self {
        let Some(detail) = detail.filter(|_| self.message.is_none()) else { return self };
        let Some(first) = detail.as_array().and_then(|list| list.first()) else {
            self.message = text(Some(detail)).or_else(|| text(detail.get("message")));
            return self;
        };
        self.message = text(first.get("msg")).or_else(|| text(Some(first)));
        self.param =
            first.get("loc").and_then(Value::as_array).map(|steps| location(steps)).filter(|at| !at.is_empty());
        self
    }

    /// MiniMax's table of codes (its API reference, November 2026); the HTTP status is always 200.
    fn of_base_resp(base: &Value) -> Self {
        let code = text(base.get("status_code")).unwrap_or_default();
        let status = match code.as_str() {
            "1001" => StatusCode::GATEWAY_TIMEOUT,
            "1002" | "1039" => StatusCode::TOO_MANY_REQUESTS,
            "1004" => StatusCode::UNAUTHORIZED,
            "1008" => StatusCode::PAYMENT_REQUIRED,
            "1026" | "1027" | "2013" => StatusCode::BAD_REQUEST,
            _ => StatusCode::BAD_GATEWAY,
        };
        Self {
            message: text(base.get("status_msg")),
            flagged: matches!(code.as_str(), "1026" | "1027"),
            code: Some(code),
            status: Some(status),
            ..Self::default()
        }
    }
}

/// Whether a member that would be an error is one: as Python and JavaScript clients judge it,
/// except that an empty object says nothing either.
pub(super) fn is_said(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(is) => *is,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

/// A word or a number as text. Some servers print their language's nothing; that is nothing.
fn text(value: Option<&Value>) -> Option<String> {
    let text = match value? {
        Value::String(text) => Cow::Borrowed(text.trim()),
        Value::Number(number) => Cow::Owned(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    (!matches!(&*text, "" | "None" | "null" | "undefined")).then(|| text.into_owned())
}

fn status(value: Option<&Value>) -> Option<StatusCode> {
    let code = text(value)?.parse().ok()?;
    StatusCode::from_u16(code).ok().filter(|status| status.is_client_error() || status.is_server_error())
}

/// FastAPI's `loc`, such as `["body", "messages", 0, "role"]`, as a path.
fn location(steps: &[Value]) -> String {
    let mut path = String::new();
    for step in steps {
        match step {
            Value::String(key) if path.is_empty() && key == "body" => {}
            Value::String(key) if path.is_empty() => path.push_str(key),
            Value::String(key) => path.extend([".", key]),
            Value::Number(index) => path.push_str(&format!("[{index}]")),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {}
        }
    }
    path
}

/// Google's `RetryInfo` among the details, such as `"retryDelay": "17.5s"`.
fn retry_info(error: &Value) -> Option<Duration> {
    let details = error.get("details")?.as_array()?;
    let delay = details.iter().find_map(|detail| detail.get("retryDelay")?.as_str()?.strip_suffix('s'))?;
    Duration::try_from_secs_f64(delay.parse().ok()?).ok()
}
