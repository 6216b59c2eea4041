//! Errors as upstreams of the chat dialect write them, in an error response or in band under a
//! success status.
//!
//! A dozen shapes are about: OpenAI's object, a bare string, FastAPI's `detail`, MiniMax's
//! `base_resp`, an array around any of them, plain text, HTML, nothing (recorded traffic and error
//! references of the vendors named beside each shape, read November 2026). Reading one never fails.

use std::{borrow::Cow, time::Duration};

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::{
    error::{Class, UpstreamError},
    wire::upstream_error::{class_by_words, limit_headers, neutral_message, request_id, retry_after},
};

/// How much of a plain text body is repeated, in characters.
const PLAIN_TEXT_LIMIT: usize = 500;

/// What an error body says, whatever its shape.
#[derive(Debug, Default)]
struct Said {
    message: Option<String>,
    kind: Option<String>,
    code: Option<String>,
    param: Option<String>,
    /// An HTTP status told in the body.
    status: Option<StatusCode>,
    /// Words beyond the message that help to judge it.
    detail: Option<String>,
    retry_after: Option<Duration>,
    flagged: bool,
}

/// Reads an error response.
pub(super) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> UpstreamError {
    let said = match serde_json::from_slice::<Value>(body) {
        Ok(value) => Said::of(&value),
        Err(_) => Said { message: plain_text(body), ..Said::default() },
    };
    let retry_told = headers.get("x-should-retry").is_some_and(|value| value == "true");
    let error = said.into_error(status, retry_told);
    UpstreamError {
        retry_after: retry_after(headers).or(error.retry_after),
        limits: limit_headers(headers),
        request_id: request_id(headers),
        ..error
    }
}

/// Finds the error in a 200's body or in a stream's chunk (rules E2, M2): a top-level `error`,
/// Groq's `x_groq.error`, MiniMax's `base_resp`, a finish reason that is none.
pub(super) fn in_band(value: &Value) -> Option<UpstreamError> {
    let groq = value.pointer("/x_groq/error").filter(|error| says_something(error));
    let failed = value.pointer("/base_resp/status_code").and_then(Value::as_i64).is_some_and(|code| code != 0);
    if value.get("error").is_some_and(says_something) || failed {
        return Some(in_band_error(value));
    }
    if let Some(error) = groq {
        return Some(Said::of_error(error, value).into_in_band());
    }
    let choices = value.get("choices").and_then(Value::as_array)?;
    let reason = choices.iter().find_map(|choice| {
        choice.get("finish_reason").and_then(Value::as_str).filter(|reason| super::finish::is_failure(reason))
    })?;
    let message = format!("The upstream ended its answer with the reason '{reason}'.");
    Some(UpstreamError::new(StatusCode::BAD_GATEWAY, message))
}

/// Reads the data of an event that is known to be an error (`event: error`).
pub(super) fn in_band_error(value: &Value) -> UpstreamError {
    Said::of(value).into_in_band()
}

fn says_something(error: &Value) -> bool {
    match error {
        Value::Null | Value::Bool(_) => false,
        Value::String(text) => !text.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Number(_) | Value::Array(_) => true,
    }
}

// === impl Said ===

impl Said {
    fn of(value: &Value) -> Self {
        // Google's compatible endpoint wraps the whole in an array.
        if let Some(first) = value.as_array().and_then(|list| list.first()) {
            return Self::of(first);
        }
        match value.get("error") {
            Some(error) if says_something(error) => Self::of_error(error, value),
            Some(_) | None => Self::of_flat(value),
        }
    }

    /// `{"error": {...}}` (OpenAI and most), `{"error": "text"}` (xAI with `code` beside it, TGI
    /// with `error_type`, mlx_lm and others alone).
    fn of_error(error: &Value, around: &Value) -> Self {
        let Value::Object(_) = error else {
            let mut said = Self::of_flat(around);
            said.message = text(Some(error)).or(said.message);
            said.kind = text(around.get("error_type")).or(said.kind);
            return said;
        };
        let metadata = error.get("metadata");
        let mut said = Self::of_flat(error);
        said.status = said.status.or_else(|| status(around.get("status_code")));
        said.flagged =
            metadata.is_some_and(|data| data.get("flagged_input").is_some() || data.get("reasons").is_some());
        said.detail = metadata.and_then(|data| text(data.get("raw")));
        said
    }

    /// `{"message","type","code"}` (Mistral, SGLang, Cerebras), `{"id","message"}` (DigitalOcean),
    /// `{"detail"}` (FastAPI), `{"base_resp"}` (MiniMax), `{"errors":[...]}`.
    fn of_flat(value: &Value) -> Self {
        if let Some(base) = value.get("base_resp").filter(|base| base.is_object()) {
            return Self::of_base_resp(base);
        }
        let code = value.get("code").or_else(|| value.get("id"));
        let told = status(value.get("code")).or_else(|| status(value.get("http_status_code")));
        let first = value.get("errors").and_then(|errors| errors.get(0));
        Self {
            message: text(value.get("message")).or_else(|| text(first)).or_else(|| text(first?.get("message"))),
            kind: text(value.get("type")).or_else(|| text(value.get("status"))),
            // A code that only repeats the HTTP status is none.
            code: if told.is_some() { None } else { text(code) },
            param: text(value.get("param")),
            status: told.or_else(|| status(value.get("status_code"))),
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
        let code = base.get("status_code").and_then(Value::as_i64).unwrap_or_default();
        let status = match code {
            1001 => StatusCode::GATEWAY_TIMEOUT,
            1002 | 1039 => StatusCode::TOO_MANY_REQUESTS,
            1004 => StatusCode::UNAUTHORIZED,
            1008 => StatusCode::PAYMENT_REQUIRED,
            1026 | 1027 | 2013 => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self {
            message: text(base.get("status_msg")),
            code: Some(code.to_string()),
            status: Some(status),
            flagged: matches!(code, 1026 | 1027),
            ..Self::default()
        }
    }

    fn into_in_band(self) -> UpstreamError {
        let status = self.status.unwrap_or_else(|| self.status_by_kind());
        self.into_error(status, false)
    }

    /// The status an in-band error stands for, when it tells none itself.
    fn status_by_kind(&self) -> StatusCode {
        let kind = self.kind.as_deref().unwrap_or_default().to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| kind.contains(word));
        if says(&["rate_limit", "ratelimit"]) {
            return StatusCode::TOO_MANY_REQUESTS;
        }
        if says(&["invalid_request", "badrequest", "validation", "exceed_context"]) {
            return StatusCode::BAD_REQUEST;
        }
        if says(&["authentication"]) {
            return StatusCode::UNAUTHORIZED;
        }
        if says(&["not_found", "notfound"]) {
            return StatusCode::NOT_FOUND;
        }
        if says(&["overloaded", "unavailable"]) {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        match self.class_by_name().or_else(|| self.class_by_words()) {
            Some(Class::ContextLength | Class::ContentPolicy | Class::Invalid) => StatusCode::BAD_REQUEST,
            Some(Class::Quota | Class::RateLimit) => StatusCode::TOO_MANY_REQUESTS,
            Some(Class::Credentials) => StatusCode::UNAUTHORIZED,
            Some(Class::NotFound) => StatusCode::NOT_FOUND,
            Some(Class::Overloaded) => StatusCode::SERVICE_UNAVAILABLE,
            Some(Class::TooLarge | Class::Transient | Class::Conflict | Class::Server) | None => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    fn into_error(self, status: StatusCode, retry_told: bool) -> UpstreamError {
        let class = self.class(status, retry_told);
        UpstreamError {
            class,
            kind: self.kind,
            code: self.code,
            param: self.param,
            retry_after: self.retry_after,
            ..UpstreamError::new(status, self.message.unwrap_or_else(|| neutral_message(status)))
        }
    }

    /// Name before status before words, except where a status is shared by opposites.
    fn class(&self, status: StatusCode, retry_told: bool) -> Class {
        if self.flagged {
            return Class::ContentPolicy;
        }
        if let Some(class) = self.class_by_name() {
            return class;
        }
        let words = self.class_by_words();
        match status.as_u16() {
            401 | 402 | 404 | 408 | 425 => Class::of_status(status),
            410 => Class::NotFound,
            409 if retry_told || self.invites_retry() => Class::Transient,
            409 => Class::Conflict,
            // Google calls every limit a quota, the one per minute too.
            429 if self.kind.as_deref() == Some("RESOURCE_EXHAUSTED") => Class::RateLimit,
            429 => words.filter(|class| *class == Class::Quota).unwrap_or(Class::RateLimit),
            498 | 529 => Class::Overloaded,
            400..=499 => words.filter(|class| *class != Class::Overloaded).unwrap_or(Class::of_status(status)),
            500..=599 => words
                .filter(|class| matches!(class, Class::ContextLength | Class::Overloaded))
                .unwrap_or(Class::of_status(status)),
            _ => Class::Server,
        }
    }

    /// By `code`, else by `type`, where vendors have a word for it.
    fn class_by_name(&self) -> Option<Class> {
        let names = [self.code.as_deref(), self.kind.as_deref()];
        names.into_iter().flatten().find_map(|name| class_of_name(&name.to_ascii_lowercase()))
    }

    fn class_by_words(&self) -> Option<Class> {
        [self.message.as_deref(), self.detail.as_deref()].into_iter().flatten().find_map(class_by_words)
    }

    fn invites_retry(&self) -> bool {
        let message = self.message.as_deref().unwrap_or_default().to_ascii_lowercase();
        ["try again", "retry"].iter().any(|word| message.contains(word))
    }
}

/// Codes and types of OpenAI, Azure, Moonshot, DashScope, llama.cpp and others that fix the class
/// whatever the status.
fn class_of_name(name: &str) -> Option<Class> {
    match name {
        "insufficient_quota"
        | "credit_balance_exhausted"
        | "organization_spend_limit_exceeded"
        | "project_spend_limit_exceeded"
        | "organization_usage_limit_exceeded"
        | "billing_hard_limit_reached"
        | "billing_not_active"
        | "billing_error"
        | "exceeded_current_quota_error" => Some(Class::Quota),
        "context_length_exceeded" | "exceed_context_size_error" => Some(Class::ContextLength),
        "content_filter"
        | "content_policy_violation"
        | "moderation_blocked"
        | "misalignment_policy_violation"
        | "data_inspection_failed"
        | "responsibleaipolicyviolation" => Some(Class::ContentPolicy),
        "invalid_api_key" | "incorrect_api_key_error" | "invalid_authentication_error" => Some(Class::Credentials),
        "rate_limit_exceeded" | "rate_limit_reached_error" => Some(Class::RateLimit),
        "engine_overloaded_error" | "server_is_overloaded" | "overloaded_error" => Some(Class::Overloaded),
        "model_not_found" => Some(Class::NotFound),
        _ => None,
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

/// What a body that is no JSON says: its text, unless it is a page for browsers.
fn plain_text(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?.trim();
    if text.is_empty() || text.starts_with('<') {
        return None;
    }
    Some(text.chars().take(PLAIN_TEXT_LIMIT).collect())
}
