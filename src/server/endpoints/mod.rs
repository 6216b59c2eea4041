//! One file per endpoint, and what they share.

mod anthropic_models;
pub(super) mod chat_completions;
pub(super) mod completions;
pub(super) mod embeddings;
pub(super) mod exchange;
mod gemini_models;
pub(super) mod generate_content;
pub(super) mod health;
pub(super) mod messages;
pub(super) mod models;
pub(super) mod responses;

use axum::{
    extract::{Path, Request, rejection::PathRejection},
    response::Response,
};
use http::HeaderMap;
use serde::Deserialize;

use super::{
    Server, auth, extract,
    respond::{self, Arrival},
};
use crate::{
    call::Caller,
    error::{Error, Result},
    wire::{ClientDialect, anthropic::Anthropic, gemini::Gemini, openai_chat::OpenAiChat},
};

/// What a route's pattern may hold.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Place {
    /// The provider a call is pinned to.
    pub provider: Option<String>,
    /// A model, slashes and colons included; or something that is kept.
    pub id: Option<String>,
    /// An item of a conversation.
    pub item: Option<String>,
}

/// A path whose escapes are no UTF-8 leads nowhere.
pub(super) type PlaceResult = std::result::Result<Path<Place>, PathRejection>;

/// Takes the place apart from its rejection and proves that a pinned provider exists.
fn place(server: &Server, place: PlaceResult, method: &http::Method, path: &str) -> Result<Place> {
    let unknown = || Error::RouteNotFound { method: method.to_string(), path: path.into() };
    let Path(place) = place.map_err(|_| unknown())?;
    match &place.provider {
        Some(provider) if !server.directory.has_provider(provider) => Err(unknown()),
        _ => Ok(place),
    }
}

/// Who calls, by the key in the headers.
fn caller(server: &Server, headers: &HeaderMap) -> Result<std::sync::Arc<Caller>> {
    server.directory.caller(auth::presented(headers).map(|presented| presented.key))
}

/// What the clients of a path speak. The list of models is OpenAI's path, Anthropic's and Google's;
/// the clients of the latter two say so by headers of their own.
pub(super) fn dialect_of(path: &str, headers: &HeaderMap) -> &'static dyn ClientDialect {
    let names = |name: &str| path.split('/').any(|segment| segment == name);
    match () {
        () if names("v1beta") || names("models") && is_googles(headers) => &Gemini,
        () if names("messages") || names("models") && is_anthropics(headers) => &Anthropic,
        () => &OpenAiChat,
    }
}

/// Every client of Google's names itself, and those without an SDK send the key in a header of its own.
fn is_googles(headers: &HeaderMap) -> bool {
    headers.contains_key("x-goog-api-client") || headers.contains_key("x-goog-api-key")
}

/// Every client of Anthropic's sends its version, and nobody else does.
fn is_anthropics(headers: &HeaderMap) -> bool {
    headers.contains_key("anthropic-version")
}

/// An error of a path, in the form its clients read.
pub(super) fn refuse(path: &str, headers: &HeaderMap, error: Error) -> Response {
    respond::failure(&Arrival::new(headers), dialect_of(path, headers), &error.into())
}

/// The same of a request that may have a body, which nobody has read.
pub(super) async fn refuse_unread(server: &Server, request: Request, error: Error) -> Response {
    let (parts, body) = request.into_parts();
    let error = extract::refused(&parts.headers, body, server.directory.settings().body_limit, error).await;
    refuse(parts.uri.path(), &parts.headers, error)
}
