//! An upstream's failure in its own words, what it means, and how much of that a client hears.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::{Kind, OVERLOADED, Verdict};
use crate::dialect::Dialect;

/// An upstream's own words about a failure, read by its dialect.
#[derive(Debug, Clone)]
pub struct UpstreamError {
    /// The upstream's HTTP status; for an in-band error the status its class stands for.
    pub status: StatusCode,
    pub class: Class,
    /// The upstream's message, unchanged; a neutral sentence when it sent none (or HTML).
    pub message: String,
    /// Whose words `kind`, `code` and `param` are; `None` when they are ours.
    pub dialect: Option<Dialect>,
    /// `type` as the upstream spelled it.
    pub kind: Option<String>,
    pub code: Option<String>,
    pub param: Option<String>,
    /// From `retry-after-ms`, `retry-after` (seconds or HTTP date) or the vendor's own field.
    pub retry_after: Option<Duration>,
    /// The upstream's `x-ratelimit-*` or `anthropic-ratelimit-*` headers, kept for the client of a 429 (rule F8).
    pub limits: HeaderMap,
    /// The upstream's `x-request-id` or `request-id`.
    pub request_id: Option<String>,
    pub credential: Whose,
}

/// Whose credential an exchange was made with, and so who is to hear what is wrong with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Whose {
    /// The gateway's: a client gets 502 and no part in it.
    #[default]
    Operators,
    /// The client's own: it hears what the upstream said.
    Clients,
    /// The gateway's, but none could be had, so nobody was asked.
    Nobodys,
}

/// What an upstream error means, judged by status, code and message class together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The request is wrong; it goes back as it came.
    Invalid,
    /// Prompt and answer do not fit the model's window (rule M3).
    ContextLength,
    /// Refused by a content policy before generation.
    ContentPolicy,
    /// The operator's credential is bad or lacks a right (401, 403).
    Credentials,
    /// Money or quota is gone: permanent although it may be a 429 (402, `insufficient_quota`).
    Quota,
    RateLimit,
    NotFound,
    TooLarge,
    /// 408, 425, or a 409 that says a retry helps.
    Transient,
    Conflict,
    /// 503, 529.
    Overloaded,
    /// Any other 5xx.
    Server,
}

// === impl UpstreamError ===

impl UpstreamError {
    /// A bare error of `status`, classed by the status alone.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            class: Class::of_status(status),
            message: message.into(),
            dialect: None,
            kind: None,
            code: None,
            param: None,
            retry_after: None,
            limits: HeaderMap::new(),
            request_id: None,
            credential: Whose::Operators,
        }
    }

    /// A credential for the upstream could not be had at all. The message is for the client and
    /// names no place of the operator's; the log has said more.
    pub fn no_credential(message: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::UNAUTHORIZED, message);
        Self { class: Class::Credentials, credential: Whose::Nobodys, ..error }
    }

    /// Blots a secret out of the upstream's words. One that is as short as a word is not looked for.
    pub fn blot(&mut self, secret: &str) {
        const SHORTEST: usize = 8;
        let words = [Some(&mut self.message), self.kind.as_mut(), self.code.as_mut(), self.param.as_mut()];
        for text in words.into_iter().flatten() {
            if secret.len() >= SHORTEST && text.contains(secret) {
                *text = text.replace(secret, "***");
            }
        }
    }

    pub(super) fn client_status(&self) -> StatusCode {
        match self.class {
            Class::Credentials | Class::Quota if self.credential == Whose::Clients => self.client_error_status(),
            Class::Credentials => StatusCode::BAD_GATEWAY,
            Class::Quota | Class::RateLimit => StatusCode::TOO_MANY_REQUESTS,
            Class::ContextLength | Class::ContentPolicy => StatusCode::BAD_REQUEST,
            // OpenAI's clients know 503, not Anthropic's 529.
            Class::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Class::NotFound => StatusCode::NOT_FOUND,
            Class::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Class::Invalid | Class::Transient | Class::Conflict => self.client_error_status(),
            Class::Server if self.status.is_server_error() => self.status,
            Class::Server => StatusCode::BAD_GATEWAY,
        }
    }

    /// For clients of Anthropic's dialect, whose SDKs know 402 and 529. An upstream that speaks it
    /// too keeps the status that its words go with.
    pub(super) fn messages_status(&self) -> StatusCode {
        let is_error = self.status.is_client_error() || self.status.is_server_error();
        match self.class {
            Class::ContextLength => StatusCode::BAD_REQUEST,
            _ if self.dialect == Some(Dialect::Anthropic) && is_error && self.speaks_to_client() => self.status,
            Class::Quota => StatusCode::PAYMENT_REQUIRED,
            Class::Overloaded => OVERLOADED,
            Class::Invalid
            | Class::ContentPolicy
            | Class::Credentials
            | Class::RateLimit
            | Class::NotFound
            | Class::TooLarge
            | Class::Transient
            | Class::Conflict
            | Class::Server => self.client_status(),
        }
    }

    /// Whether the upstream's words are for the client; what it says of the operator's key is not.
    pub fn speaks_to_client(&self) -> bool {
        self.class != Class::Credentials || self.credential == Whose::Clients
    }

    fn client_error_status(&self) -> StatusCode {
        if self.status.is_client_error() { self.status } else { StatusCode::BAD_REQUEST }
    }

    /// By the class; an upstream that spoke OpenAI's dialect keeps its own words (rule M1), while
    /// those of another would tell OpenAI's clients nothing.
    pub(super) fn client_kind(&self) -> Kind {
        let is_ours = self.dialect.is_none_or(|dialect| dialect == Dialect::OpenAiChat);
        let (kind, code) = match self.class {
            Class::Credentials if self.credential == Whose::Clients => {
                ("invalid_request_error", Some("invalid_api_key"))
            }
            Class::Credentials => {
                return Kind { kind: "server_error".into(), code: Some("upstream_credentials".into()), param: None };
            }
            Class::Quota => ("insufficient_quota", Some("insufficient_quota")),
            Class::RateLimit => ("rate_limit_error", Some("rate_limit_exceeded")),
            Class::ContextLength => ("invalid_request_error", Some("context_length_exceeded")),
            Class::ContentPolicy => ("invalid_request_error", Some("content_policy_violation")),
            Class::NotFound => ("invalid_request_error", Some("model_not_found")),
            Class::TooLarge => ("invalid_request_error", Some("request_too_large")),
            Class::Invalid | Class::Transient | Class::Conflict => ("invalid_request_error", None),
            Class::Overloaded => ("service_unavailable_error", Some("server_is_overloaded")),
            Class::Server if is_ours => ("server_error", None),
            Class::Server if self.status == StatusCode::GATEWAY_TIMEOUT => ("server_error", Some("upstream_timeout")),
            Class::Server => ("server_error", Some("server_error")),
        };
        let own = |word: &Option<String>| word.clone().filter(|_| is_ours);
        // M3: the overflow code is fixed, because clients compact on it. One that only repeats the
        // status says less than ours.
        let fixed = self.class == Class::ContextLength;
        let own_code = own(&self.code).filter(|code| !fixed && *code != self.status.as_str());
        Kind {
            kind: own(&self.kind).unwrap_or_else(|| kind.into()),
            code: own_code.or(code.map(Into::into)),
            param: own(&self.param),
        }
    }

    pub(super) fn client_message(&self) -> String {
        match self.class {
            Class::Credentials if self.credential != Whose::Operators => self.message.clone(),
            Class::Credentials => format!("The gateway's credentials were refused by the upstream: {}", self.message),
            Class::Invalid
            | Class::ContextLength
            | Class::ContentPolicy
            | Class::Quota
            | Class::RateLimit
            | Class::NotFound
            | Class::TooLarge
            | Class::Transient
            | Class::Conflict
            | Class::Overloaded
            | Class::Server => self.message.clone(),
        }
    }

    pub(super) fn verdict(&self) -> Verdict {
        match self.class {
            Class::Credentials | Class::Quota if self.credential == Whose::Clients => Verdict::Return,
            Class::RateLimit => Verdict::Again { after: self.retry_after, key_bound: true },
            Class::Transient | Class::Overloaded | Class::Server => {
                Verdict::Again { after: self.retry_after, key_bound: false }
            }
            Class::Credentials | Class::Quota => Verdict::MoveOn { key_bound: true },
            Class::Invalid
            | Class::ContextLength
            | Class::ContentPolicy
            | Class::NotFound
            | Class::TooLarge
            | Class::Conflict => Verdict::Return,
        }
    }
}

// === impl Class ===

impl Class {
    /// The class of a bare status, before code and message refine it (rule F1).
    pub fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            401 | 403 => Self::Credentials,
            402 => Self::Quota,
            404 => Self::NotFound,
            408 | 425 => Self::Transient,
            409 => Self::Conflict,
            413 => Self::TooLarge,
            // Groq's and TGI's word for a model that failed.
            424 => Self::Server,
            429 => Self::RateLimit,
            503 | 529 => Self::Overloaded,
            code if code >= 500 => Self::Server,
            _ => Self::Invalid,
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Invalid => "upstream_invalid",
            Self::ContextLength => "context_length",
            Self::ContentPolicy => "content_policy",
            Self::Credentials => "upstream_credentials",
            Self::Quota => "upstream_quota",
            Self::RateLimit => "upstream_rate_limit",
            Self::NotFound => "upstream_not_found",
            Self::TooLarge => "upstream_too_large",
            Self::Transient => "upstream_transient",
            Self::Conflict => "upstream_conflict",
            Self::Overloaded => "upstream_overloaded",
            Self::Server => "upstream_server",
        }
    }
}
