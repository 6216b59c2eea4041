//! The front of the house: HTTP in, HTTP out, in the client's dialect.
//!
//! A request's way: [`serve`] accepts the connection, [`routes`] finds the endpoint, which reads
//! the key ([`auth`]), the body ([`extract`]) and its head fields (`probe`), makes a
//! [`call::Inbound`](crate::call::Inbound) of them and hands it to the [`Front`] service. What
//! comes back is given a head by `respond`, and a stream its keep-alives by `stream`.
//!
//! The server knows neither targets nor providers: behind [`Front`] and [`Directory`] is the rest
//! of the house, put together in `app`. Deliberately absent: CORS (a browser page should not hold
//! a key; whoever must, puts a proxy in front) and any use of the `Host` header (rule X1).

pub mod auth;
mod endpoints;
mod extract;
mod lifecycle;
mod probe;
mod respond;
pub mod routes;
pub mod serve;
mod stream;
#[cfg(test)]
mod testing;
pub mod tls;

use std::{fmt, sync::Arc, time::Duration};

use serde::Serialize;
use tower::util::BoxCloneSyncService;

pub use endpoints::responses::{IdKey, Memory, Worker};
pub use lifecycle::Lifecycle;

use crate::{
    call::{Answer, Caller, Errand, Failure, Inbound, Limits},
    error::Result,
    telemetry::Metrics,
};

/// Admission and dispatch: everything behind the endpoints. It records the end of every call that
/// is given to it; the endpoints record only what they refuse themselves.
pub type Front = BoxCloneSyncService<Inbound, Answer, Failure>;

/// The way to what providers keep.
pub type Errands = BoxCloneSyncService<Errand, Answer, Failure>;

/// What the endpoints ask about the live configuration. Every method is cheap, never waits, and
/// may answer differently after a reload.
pub trait Directory: Send + Sync {
    /// Whom a presented key belongs to; anybody when no keys are configured
    /// ([`auth::Keys::caller`] does both).
    fn caller(&self, presented: Option<&str>) -> Result<Arc<Caller>>;
    /// Exactly what this caller may call, in the order to list it (rule K7).
    fn models(&self, caller: &Caller) -> Vec<ModelEntry>;
    /// One of [`Self::models`], by any name that calls it.
    fn model(&self, caller: &Caller, id: &str) -> Option<ModelEntry> {
        self.models(caller).into_iter().find(|entry| entry.id == id)
    }
    /// The limits that hang on a model name, whoever calls.
    fn model_limits(&self, model: &str) -> Limits;
    fn has_provider(&self, name: &str) -> bool;
    /// The targets that may serve a call of this model; none when there is no such model.
    fn reach(&self, caller: &Caller, model: &str, pinned: Option<&str>, body: &[u8]) -> Vec<Reach>;
    /// What signs the ids of answers that a provider keeps. The first signs, all are believed.
    fn id_keys(&self, provider: &str) -> Vec<IdKey>;
    fn settings(&self) -> Settings;
    /// Whether calls could be served; asks no upstream (rule K6).
    fn is_ready(&self) -> bool;
}

/// A target, as far as memory is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    pub provider: Arc<str>,
    /// It keeps the answers it gives, and finds them again by their ids.
    pub keeps: bool,
}

/// The server's share of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Largest request body in bytes, as sent and as decompressed.
    pub body_limit: u64,
    /// No client stream is silent for longer (rule S6).
    pub keep_alive: Duration,
}

/// A model as `/v1/models` shows it: OpenAI's fields (API reference, "Model object", read
/// November 2026), then ours where known.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ModelEntry {
    pub id: String,
    /// Unix seconds; 0 when nobody knows.
    pub created: u64,
    pub owned_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_window: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pricing: Option<Pricing>,
}

/// US dollars per million tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Pricing {
    pub input: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<f64>,
    pub output: f64,
}

/// What every endpoint works with.
pub struct Server {
    pub front: Front,
    /// Asks providers about what they keep.
    pub errands: Errands,
    /// What outlives a call.
    pub memory: Memory,
    pub directory: Arc<dyn Directory>,
    pub lifecycle: Lifecycle,
    pub metrics: Metrics,
}

// === impl Server ===

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("lifecycle", &self.lifecycle).finish_non_exhaustive()
    }
}
