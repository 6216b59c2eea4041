//! Which models each provider has: its own list, asked in the background, refreshed, never waited
//! for. Asking for a list calls no model and costs nothing (rule K6); a server that is not there
//! is simply not listed.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Method, Uri};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout};

use super::table::{Table, Upstream};
use crate::{
    error::{Error, Result},
    upstream::{credentials::Wire, transport::Clients},
};

/// How long one list may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Providers asked at the same time: more than most have, so that none waits for a slow one.
const AT_ONCE: usize = 64;

/// Whom to ask for a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    Everybody,
    /// The servers that may or may not run on this machine.
    Implied,
}

/// Asks providers for their lists once, slow ones beside quick ones. One that does not answer
/// keeps the list it had, unless it was only looked for, not configured: then it is gone.
pub async fn refresh(table: &Table, clients: &Clients, whom: Whom) {
    let can_tell = |upstream: &Upstream| {
        upstream.is_remote() && upstream.provider.models_path().is_some() && !upstream.takes_the_clients_credential()
    };
    let is_asked = |upstream: &&Arc<Upstream>| can_tell(upstream) && (whom == Whom::Everybody || upstream.is_implied);
    let upstreams: Vec<Arc<Upstream>> = table.upstreams().filter(is_asked).cloned().collect();
    stream::iter(upstreams)
        .for_each_concurrent(AT_ONCE, |upstream| async move {
            match list(&upstream, clients).await {
                Ok(models) => upstream.listed.store(Arc::new(models)),
                Err(_) if upstream.is_implied => upstream.listed.store(Arc::default()),
                Err(error) => tracing::debug!(provider = %upstream.config.name, %error, "no model list"),
            }
        })
        .await;
}

/// A provider's own model ids. Waits up to `PATIENCE`.
pub async fn list(upstream: &Upstream, clients: &Clients) -> Result<Vec<String>> {
    let path = upstream.provider.models_path();
    let path = path.ok_or_else(|| Error::Internal { message: "the provider has no list of models".into() })?;
    let uri = Uri::try_from(format!("{}/{path}", upstream.base_url))
        .map_err(|_| Error::Internal { message: "the base URL makes no valid request".into() })?;
    let mut request = http::Request::new(Bytes::new());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = uri;
    for (name, value) in &upstream.config.headers {
        request.headers_mut().insert(name, value.clone());
    }
    let wire = Wire { clients, connection: &upstream.connection };
    let credential = upstream.keys.credential(0, &wire, Instant::now() + PATIENCE).await?;
    upstream.provider.sign(credential.as_deref(), SystemTime::now(), &mut request)?;
    let (status, body) = clients.fetch(&upstream.connection, request, PATIENCE).await?;
    if !status.is_success() {
        return Err(Error::BadReply { message: format!("the model list answered {status}") });
    }
    ids(&body).ok_or_else(|| Error::BadReply { message: "the model list is not in OpenAI's form".into() })
}

/// Whether a provider that has no list is there, and its credentials are to be had. Any answer will
/// do. Waits up to twice `PATIENCE`.
///
/// # Errors
/// A sentence for the operator.
pub async fn reach(upstream: &Upstream, clients: &Clients) -> Result<(), String> {
    let wire = Wire { clients, connection: &upstream.connection };
    if let Some(kept) = upstream.keys.source() {
        timeout(PATIENCE, kept.try_once(&wire)).await.map_err(|_| "no credentials came in time".to_owned())??;
    }
    let mut request = http::Request::new(Bytes::new());
    *request.uri_mut() = Uri::try_from(&upstream.base_url).map_err(|_| "the base URL is none".to_owned())?;
    clients.fetch(&upstream.connection, request, PATIENCE).await.map(drop).map_err(|error| error.to_string())
}

/// The ids in a list: `{"data":[{"id":..}]}`, Together's bare array, or Gemini's and Cohere's
/// `{"models":[{"name":..}]}`.
fn ids(body: &[u8]) -> Option<Vec<String>> {
    if let Some(ids) = gemini_ids(body) {
        return Some(ids);
    }
    #[derive(Deserialize)]
    struct Wrapped<'a> {
        #[serde(borrow)]
        data: Vec<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Entry {
        id: String,
    }
    let entries: Vec<&RawValue> = match serde_json::from_slice::<Wrapped<'_>>(body) {
        Ok(wrapped) => wrapped.data,
        Err(_) => serde_json::from_slice(body).ok()?,
    };
    Some(
        entries
            .iter()
            .filter_map(|entry| serde_json::from_str::<Entry>(entry.get()).ok())
            .map(|entry| entry.id)
            .collect(),
    )
}

/// `{"models":[{"name":"models/..","supportedGenerationMethods":[..]}]}`: those that answer or
/// embed, by their bare ids.
fn gemini_ids(body: &[u8]) -> Option<Vec<String>> {
    const SERVED: [&str; 3] = ["generateContent", "embedContent", "batchEmbedContents"];
    #[derive(Deserialize)]
    struct List {
        models: Vec<Entry>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Entry {
        name: String,
        #[serde(default)]
        supported_generation_methods: Option<Vec<String>>,
    }
    let answers = |entry: &Entry| {
        let methods = entry.supported_generation_methods.as_deref();
        methods.is_none_or(|methods| methods.iter().any(|method| SERVED.contains(&method.as_str())))
    };
    let bare = |entry: Entry| entry.name.strip_prefix("models/").map(str::to_owned).unwrap_or(entry.name);
    let list: List = serde_json::from_slice(body).ok()?;
    Some(list.models.into_iter().filter(answers).map(bare).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_in_every_form() {
        let wrapped = br#"{"object":"list","data":[{"id":"a","x":1},{"nothing":true},{"id":"b/c:d"}]}"#;
        assert_eq!(ids(wrapped).unwrap(), ["a", "b/c:d"]);
        assert_eq!(ids(br#"[{"id":"a"}]"#).unwrap(), ["a"]);
        assert_eq!(ids(br#"{"models":[{"name":"command-a"}],"next_page_token":null}"#).unwrap(), ["command-a"]);
        assert_eq!(ids(b"<html>"), None);
        let gemini = br#"{"models":[{"name":"models/gemini-x","supportedGenerationMethods":["generateContent","countTokens"]},
            {"name":"models/embed","supportedGenerationMethods":["embedContent"]},{"name":"models/film","supportedGenerationMethods":["predictLongRunning"]},
            {"name":"tunedModels/mine"}],"nextPageToken":"p"}"#;
        assert_eq!(ids(gemini).unwrap(), ["gemini-x", "embed", "tunedModels/mine"]);
    }
}
