//! `GET /v1/models` and `GET /v1/models/{id}`: exactly what the calling key may call (rule K7), in
//! the form of the client's API.
//!
//! Under a provider's prefix only that provider's models are listed, by their full names; one of
//! them is also found by its own id, as calls under the prefix name it.

use std::{borrow::Cow, sync::Arc};

use axum::{extract::State, response::Response};
use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use serde::Serialize;

use super::{Place, PlaceResult, anthropic_models, caller, dialect_of, gemini_models, place, refuse};
use crate::{
    call::{Dialect, Notes},
    error::{Error, Result},
    server::{ModelEntry, Server, respond},
};

/// OpenAI's list object (API reference, "List models", read November 2026).
#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Model<'a>>,
}

#[derive(Serialize)]
struct Model<'a> {
    object: &'static str,
    // Only written, never read, so flattening costs no message its quality.
    #[serde(flatten)]
    entry: &'a ModelEntry,
}

pub(in crate::server) async fn list_or_get(
    State(server): State<Arc<Server>>,
    found: PlaceResult,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let dialect = dialect_of(uri.path(), &headers).dialect();
    let body = place(&server, found, &method, uri.path()).and_then(|place| {
        let entries = entries(&server, &headers, &place)?;
        let is_one = place.id.is_some();
        match dialect {
            Dialect::Anthropic if is_one => anthropic_models::one(&entries),
            Dialect::Anthropic => anthropic_models::page(&entries, uri.query()),
            Dialect::Gemini if is_one => gemini_models::one(&entries),
            Dialect::Gemini => gemini_models::page(&entries, uri.query()),
            Dialect::OpenAiChat
            | Dialect::OpenAiCompletions
            | Dialect::OpenAiResponses
            | Dialect::Ollama
            | Dialect::Cohere
            | Dialect::BedrockConverse
                if is_one =>
            {
                json(&entries.first().map(model))
            }
            Dialect::OpenAiChat
            | Dialect::OpenAiCompletions
            | Dialect::OpenAiResponses
            | Dialect::Ollama
            | Dialect::Cohere
            | Dialect::BedrockConverse => json(&List { object: "list", data: entries.iter().map(model).collect() }),
        }
    });
    match body {
        Ok(body) => respond::json(&respond::Arrival::new(&headers), dialect, &Notes::default(), body),
        Err(error) => refuse(uri.path(), &headers, error),
    }
}

/// All that the path names: the list, or the one model.
fn entries(server: &Server, headers: &HeaderMap, place: &Place) -> Result<Vec<ModelEntry>> {
    let caller = caller(server, headers)?;
    let listed = |id: &str| place.provider.as_deref().is_none_or(|provider| is_of(id, provider));
    let Some(id) = &place.id else {
        let mut entries = server.directory.models(&caller);
        entries.retain(|entry| listed(&entry.id));
        return Ok(entries);
    };
    let full = match &place.provider {
        Some(provider) if !is_of(id, provider) => Cow::Owned(format!("{provider}/{id}")),
        Some(_) | None => Cow::Borrowed(id.as_str()),
    };
    let entry = server.directory.model(&caller, &full);
    let entry = entry.ok_or_else(|| Error::ModelNotFound { model: id.clone(), near: Vec::new() })?;
    Ok(vec![entry])
}

/// Whether an id is one of a provider's, by its full name.
fn is_of(id: &str, provider: &str) -> bool {
    id.strip_prefix(provider).is_some_and(|rest| rest.starts_with('/'))
}

fn model(entry: &ModelEntry) -> Model<'_> {
    Model { object: "model", entry }
}

pub(super) fn json(value: &impl Serialize) -> Result<Bytes> {
    let text = serde_json::to_vec(value).map_err(|error| Error::Internal { message: error.to_string() })?;
    Ok(text.into())
}
