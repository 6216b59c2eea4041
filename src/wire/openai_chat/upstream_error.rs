//! Errors as upstreams of the chat dialect write them, and what they mean.
//!
//! One judgement for all: an error response brings its status along, an error in band (under a
//! success status, or in a stream) tells one or stands for one, and from there both go the same
//! way. Reading never fails: whatever the body is, there is a sentence to say.

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::said::Said;
use crate::{
    dialect::Dialect,
    error::{Class, UpstreamError},
    wire::upstream_error::{class_by_words, limit_headers, neutral_message, request_id, retry_after},
};

/// How much of a plain text body is repeated, in characters.
const PLAIN_TEXT_LIMIT: usize = 500;

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

// === impl Said: its meaning ===

impl Said {
    /// An error that came in band: its status is told, or implied by its words.
    pub(super) fn into_in_band(mut self) -> UpstreamError {
        let status = self.status.unwrap_or_else(|| self.implied_status());
        self.message.get_or_insert_with(|| "The upstream reported an error without a message.".into());
        self.into_error(status, false)
    }

    fn into_error(self, status: StatusCode, retry_told: bool) -> UpstreamError {
        UpstreamError {
            class: self.class(status, retry_told),
            dialect: Some(Dialect::OpenAiChat),
            kind: self.kind,
            code: self.code,
            param: self.param,
            retry_after: self.retry_after,
            ..UpstreamError::new(status, self.message.unwrap_or_else(|| neutral_message(status)))
        }
    }

    /// The status an error stands for that tells none: by its names, else by its words.
    fn implied_status(&self) -> StatusCode {
        let names = self.names();
        let named = |words: &[&str]| words.iter().any(|word| names.contains(word));
        let by_name = IMPLIED.iter().find(|(words, _)| named(words)).map(|(_, status)| *status);
        let message = self.message.as_deref().unwrap_or_default().to_ascii_lowercase();
        self.class_by_name()
            .map(status_of)
            .or(by_name)
            .or_else(|| self.class_by_words().map(status_of))
            .or_else(|| message.contains("rate limit").then_some(StatusCode::TOO_MANY_REQUESTS))
            .unwrap_or(StatusCode::BAD_GATEWAY)
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

    /// By `code` and `type`, where vendors have a word for it that fixes the class whatever the
    /// status.
    fn class_by_name(&self) -> Option<Class> {
        let names = self.names();
        NAMES.iter().find(|(_, words)| words.iter().any(|word| names.contains(word))).map(|(class, _)| *class)
    }

    fn class_by_words(&self) -> Option<Class> {
        [self.message.as_deref(), self.detail.as_deref()].into_iter().flatten().find_map(class_by_words)
    }

    fn names(&self) -> String {
        [self.code.as_deref(), self.kind.as_deref()].map(Option::unwrap_or_default).join(" ").to_ascii_lowercase()
    }

    fn invites_retry(&self) -> bool {
        let message = self.message.as_deref().unwrap_or_default().to_ascii_lowercase();
        ["try again", "retry"].iter().any(|word| message.contains(word))
    }
}

/// Parts of codes and types of OpenAI, Azure, Moonshot, DashScope, llama.cpp and others.
const NAMES: &[(Class, &[&str])] = &[
    (Class::Quota, &["insufficient_quota", "current_quota", "credit_balance", "spend_limit", "usage_limit", "billing"]),
    (Class::ContextLength, &["context_length", "exceed_context_size", "context_window"]),
    (
        Class::ContentPolicy,
        &[
            "content_filter",
            "content_policy",
            "moderation_blocked",
            "misalignment_policy",
            "data_inspection_failed",
            "responsibleaipolicyviolation",
        ],
    ),
    (Class::Credentials, &["invalid_api_key", "incorrect_api_key", "invalid_authentication"]),
    (Class::RateLimit, &["rate_limit_exceeded", "rate_limit_reached"]),
    (Class::Overloaded, &["overloaded"]),
    (Class::NotFound, &["model_not_found"]),
];

/// Parts of codes and types that tell a status where none is told.
const IMPLIED: &[(&[&str], StatusCode)] = &[
    (&["rate_limit", "ratelimit", "too_many_requests"], StatusCode::TOO_MANY_REQUESTS),
    (&["unavailable"], StatusCode::SERVICE_UNAVAILABLE),
    (&["authentication", "unauthorized"], StatusCode::UNAUTHORIZED),
    (&["permission"], StatusCode::FORBIDDEN),
    (&["not_found", "notfound"], StatusCode::NOT_FOUND),
    (&["timeout"], StatusCode::GATEWAY_TIMEOUT),
    (&["invalid", "badrequest", "bad_request", "validation", "tool_use_failed"], StatusCode::BAD_REQUEST),
];

fn status_of(class: Class) -> StatusCode {
    match class {
        Class::Invalid | Class::ContextLength | Class::ContentPolicy => StatusCode::BAD_REQUEST,
        Class::Credentials => StatusCode::UNAUTHORIZED,
        Class::Quota | Class::RateLimit => StatusCode::TOO_MANY_REQUESTS,
        Class::NotFound => StatusCode::NOT_FOUND,
        Class::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Class::Transient => StatusCode::REQUEST_TIMEOUT,
        Class::Conflict => StatusCode::CONFLICT,
        Class::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        Class::Server => StatusCode::BAD_GATEWAY,
    }
}

/// What a body that is no JSON says: its text, unless it is a page for browsers.
pub(super) fn plain_text(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?.trim();
    if text.is_empty() || text.starts_with('<') {
        return None;
    }
    Some(text.chars().take(PLAIN_TEXT_LIMIT).collect())
}
