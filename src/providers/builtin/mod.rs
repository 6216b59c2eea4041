//! The embedded upstream: `builtin/echo`, a model that needs no key and no network.
//!
//! It is for trying out clients, retries and dashboards: deterministic, it streams word by word,
//! calls the tools it is told to call, fills JSON schemas minimally, counts usage, and can be told
//! to be slow or to fail. [`answer`] is pure: it only writes the [`Script`] that the transport
//! plays. What a prompt can ask for is told in `docs/builtin.md` and by the model itself.

mod directives;
mod embed;
mod reply;
mod request;
mod schema;
mod write;

#[cfg(test)]
mod tests;

use std::{
    borrow::Cow,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;

use self::{directives::Directives, request::Asked};
use super::{Ask, Credential, EmbeddingOffer, Known, Model, Provider};
use crate::{
    call::{Dialect, ProviderSettings},
    error::Result,
    wire::embeddings::Format,
};

/// Where requests for the built-in model go. The transport answers this scheme by itself.
pub const BASE_URL: &str = "builtin://echo";
/// The scheme of [`BASE_URL`], which no socket serves.
pub const SCHEME: &str = "builtin";
/// The one model, as the upstream's own id.
pub const MODEL: &str = "echo";

/// The path of embeddings.
pub const EMBEDDINGS: &str = "embeddings";

/// The longest answer in tokens, which bounds a script's memory.
const MAX_TOKENS: usize = 8192;

/// The built-in provider.
#[derive(Debug, Clone, Copy)]
pub struct Builtin;

/// An answer as the transport plays it.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// In order. For a stream each step is one whole event.
    pub steps: Vec<Step>,
    pub ending: Ending,
}

/// Bytes, and how long to wait before they are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub after: Duration,
    pub bytes: Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The body ends as it should.
    Clean,
    /// The connection breaks.
    Cut,
}

/// A request the model does not serve, in OpenAI's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal {
    status: StatusCode,
    message: String,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<String>,
}

/// Answers a chat completion request. `created` is in Unix seconds and `id` names the answer.
pub fn answer(request: &[u8], created: u64, id: &str) -> Script {
    match Asked::read(request) {
        Ok((asked, directives)) => perform(&asked, &directives, created, id),
        Err(refusal) => Script::refusal(&refusal, &Directives::default()),
    }
}

/// Answers an embeddings request in OpenAI's form, which has been read once before it came here.
pub fn embed(request: &[u8]) -> Script {
    let directives = Directives::default();
    match embed::answer(request, MODEL) {
        Ok(answer) => Script::whole(StatusCode::OK, &answer, &directives, Duration::ZERO),
        Err(_) => Script::refusal(&Refusal::told(StatusCode::BAD_REQUEST), &directives),
    }
}

fn perform(asked: &Asked, directives: &Directives, created: u64, id: &str) -> Script {
    if let Some(status) = directives.fail {
        return Script::refusal(&Refusal::told(status), directives);
    }
    let reply = reply::plan(asked, directives, id);
    let head = write::Head { id, created, model: &asked.model };
    if asked.stream {
        let mut events = write::stream(&head, asked, &reply);
        if let Some(count) = directives.error_after {
            events.truncate(count);
            let error = Refusal::told(StatusCode::INTERNAL_SERVER_ERROR).body();
            events.push(write::event(&error));
        }
        return Script::stream(events, directives);
    }
    if directives.error_after.is_some() {
        return Script::refusal(&Refusal::told(StatusCode::INTERNAL_SERVER_ERROR), directives);
    }
    let thinking = directives.interval.saturating_mul(u32::try_from(reply.tokens()).unwrap_or(u32::MAX));
    Script::whole(StatusCode::OK, &write::whole(&head, asked, &reply), directives, thinking)
}

// === impl Builtin ===

impl Provider for Builtin {
    fn name(&self) -> &'static str {
        "builtin"
    }

    fn speaks(&self, _model: &str, _settings: &ProviderSettings) -> &'static [Dialect] {
        &[Dialect::OpenAiChat]
    }

    fn path(&self, _ask: &Ask<'_>) -> Result<Cow<'static, str>> {
        Ok("chat/completions".into())
    }

    fn sign(&self, _with: Option<&Credential>, _now: SystemTime, _request: &mut http::Request<Bytes>) -> Result<()> {
        Ok(())
    }

    fn embeddings(&self, _model: Model<'_>, _settings: &ProviderSettings) -> Option<EmbeddingOffer> {
        Some(EmbeddingOffer { format: Format::OpenAi, path: EMBEDDINGS.into(), batch: usize::MAX })
    }

    fn adjust(
        &self,
        _dialect: Dialect,
        facts: &crate::wire::Facts<'_>,
        body: &mut crate::wire::json::Edits<'_>,
    ) -> Vec<crate::wire::Loss> {
        super::compatible::ask_for_usage(super::catalogue::StreamUsage::Ask, facts.stream, body);
        Vec::new()
    }
}

impl Builtin {
    pub(super) fn known() -> Known {
        Known {
            name: "builtin",
            key_env: &[],
            base_url: Some(BASE_URL),
            needs_key: false,
            local_port: None,
            discover: false,
            base_url_env: &[],
            placed_base_urls: None,
            credentials: &[],
            settings: None,
            deployments: false,
            responses: false,
        }
    }
}

// === impl Script ===

impl Script {
    fn refusal(refusal: &Refusal, directives: &Directives) -> Self {
        let mut script = Self::whole(refusal.status, &refusal.body(), directives, Duration::ZERO);
        if let Some(seconds) = directives.retry_after {
            script.headers.insert(header::RETRY_AFTER, seconds.into());
        }
        script
    }

    /// One body. A cut falls into its middle.
    fn whole(status: StatusCode, body: &serde_json::Value, directives: &Directives, thinking: Duration) -> Self {
        let mut bytes = Bytes::from(body.to_string());
        let mut ending = Ending::Clean;
        if directives.cut.is_some() {
            bytes.truncate(bytes.len() / 2);
            ending = Ending::Cut;
        }
        let headers = content_type("application/json");
        let after = directives.delay.saturating_add(thinking);
        Self { status, headers, steps: vec![Step { after, bytes }], ending }
    }

    fn stream(mut events: Vec<Bytes>, directives: &Directives) -> Self {
        let mut ending = Ending::Clean;
        if let Some(count) = directives.cut {
            events.truncate(count);
            ending = Ending::Cut;
        }
        let pause = |index| if index == 0 { directives.delay } else { directives.interval };
        let steps = events.into_iter().enumerate().map(|(index, bytes)| Step { after: pause(index), bytes }).collect();
        Self { status: StatusCode::OK, headers: content_type("text/event-stream; charset=utf-8"), steps, ending }
    }
}

fn content_type(value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(value))])
}

// === impl Refusal ===

impl Refusal {
    /// A 400 that names the field.
    fn invalid(message: impl Into<String>, param: impl Into<String>, code: &'static str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            message: message.into(),
            kind: "invalid_request_error",
            code: Some(code),
            param: Some(param.into()),
        }
    }

    /// A failure the prompt asked for.
    fn told(status: StatusCode) -> Self {
        let (kind, code) = match status.as_u16() {
            401 => ("invalid_request_error", Some("invalid_api_key")),
            402 => ("insufficient_quota", Some("insufficient_quota")),
            404 => ("invalid_request_error", Some("model_not_found")),
            429 => ("rate_limit_error", Some("rate_limit_exceeded")),
            503 | 529 => ("service_unavailable_error", Some("server_is_overloaded")),
            code if code >= 500 => ("server_error", None),
            _ => ("invalid_request_error", None),
        };
        let message = format!("The prompt told builtin/echo to fail with {}.", status.as_u16());
        Self { status, message, kind, code, param: None }
    }

    fn body(&self) -> serde_json::Value {
        json!({"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}})
    }
}
