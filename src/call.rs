//! What travels through the layers.
//!
//! Two requests, two answers. [`Inbound`] is a client's call; it passes admission once and
//! dispatch answers it with an [`Answer`], bytes in the client's dialect. Dispatch makes one
//! [`Call`] per target and key: an exchange with an upstream, which the upstream stack (retry,
//! slots, deadline, idle, transport) answers with a [`Reply`], still in the upstream's dialect.
//!
//! What a layer needs is a field here, so that the compiler proves it is there.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderMap, Method};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use uuid::Uuid;

pub use crate::config::{
    Aws, Chosen, CredentialKind, Credentials, Entra, Google, Limits, Prices, ProviderSettings, Setting, fits,
};
pub use crate::dialect::Dialect;
use crate::{
    config::Policy,
    error::{Error, UpstreamError},
    framing::Frame,
    ir,
    telemetry::Endpoint,
};

/// Who called: a configured key, or anybody on a loopback address without keys.
#[derive(Debug)]
pub struct Caller {
    /// The key's configured name; `anonymous` without keys. Safe to log.
    pub name: Arc<str>,
    /// Patterns of the model names this key may call (`fast`, `openai/*`, `*`).
    pub models: Vec<String>,
    pub limits: Limits,
}

/// A client's call, as the endpoint hands it to the stack.
#[derive(Debug)]
pub struct Inbound {
    /// Minted here; the client's own id is only noted (rule C5).
    pub id: Uuid,
    /// What the client and its answer speak.
    pub dialect: Dialect,
    /// As what the call is counted.
    pub endpoint: Endpoint,
    pub caller: Arc<Caller>,
    /// The model as the client named it.
    pub model: String,
    pub stream: bool,
    /// The client asked for a usage chunk (`stream_options.include_usage`).
    pub include_usage: bool,
    /// Every loss in translation is a 400 (`x-sluis-strict: true`).
    pub strict: bool,
    /// Only this provider may serve it (`/{provider}/v1/...`).
    pub pinned: Option<String>,
    /// Of the model's targets only this provider's may serve it: it keeps what the call builds on
    /// (rule P4).
    pub origin: Option<Arc<str>>,
    /// The body as it came, decompressed.
    pub body: Bytes,
    /// The client's headers, for the few that travel on.
    pub headers: HeaderMap,
    /// Prompt estimate plus the asked maximum, in tokens, for admission.
    pub estimate: Estimate,
    /// The limits of the model name the client used.
    pub model_limits: Limits,
    /// What admission took. Whoever serves the call takes it out and keeps it to the end of the
    /// answer's body.
    pub reservation: Reservation,
    /// The id the client gave the call, for its own logs and ours.
    pub client_request_id: Option<String>,
    pub started: Instant,
}

/// What admission took for a call: slots, given back by the drop whatever ends the call (rule Q2),
/// and tokens, settled once when their true number is known (rule Q1). Dropped without
/// [`settle`](Reservation::settle) the estimate stays charged. Empty, it owns no memory.
#[derive(Default)]
pub struct Reservation {
    permits: Vec<OwnedSemaphorePermit>,
    settlements: Vec<Settlement>,
}

/// Corrects one token limit, given the tokens truly used.
pub type Settlement = Box<dyn FnOnce(u64) + Send + Sync>;

/// A guess of a call's tokens, made before any work is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Estimate {
    pub prompt: u64,
    /// The asked maximum, or a default when the client asked for none.
    pub output: u64,
}

/// A question about something that a provider keeps: an answer, by the provider's own id.
#[derive(Debug, Clone)]
pub struct Errand {
    /// The client's call.
    pub id: Uuid,
    pub provider: Arc<str>,
    pub dialect: Dialect,
    pub method: Method,
    /// Below the path of the dialect's calls, beginning with a slash.
    pub path: String,
    /// As the client wrote it.
    pub query: Option<String>,
    /// The client's headers, for a provider that is called with the client's own credential.
    pub headers: HeaderMap,
    pub stream: bool,
}

/// What the client gets.
pub struct Answer {
    pub notes: Notes,
    pub body: AnswerBody,
}

pub enum AnswerBody {
    Whole(Bytes),
    /// Bytes at event boundaries: whatever stands between two items may be a keep-alive.
    Stream(ByteStream),
}

/// Client-dialect bytes, each item one or more whole events. The first error ends it.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;

/// An error with what is known of the call, so that the error's head is as informative as an
/// answer's.
#[derive(Debug)]
pub struct Failure {
    pub error: Error,
    pub notes: Notes,
}

/// What the response head tells of a call (design section 6.9).
#[derive(Debug, Clone, Default)]
pub struct Notes {
    /// `provider/model` of the last target tried.
    pub target: Option<Arc<str>>,
    /// Upstream exchanges begun, all targets and keys together.
    pub attempts: u32,
    /// Request fields that were dropped in translation.
    pub dropped: Vec<String>,
    /// The answer's bytes are the target's own.
    pub passed: bool,
    /// The caller's own limits after admission.
    pub limits: Vec<LimitState>,
    pub upstream_request_id: Option<String>,
    /// The answer is a guess of ours (rule A2).
    pub estimated: bool,
}

/// One limit's state, for the `x-ratelimit-*` headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitState {
    /// `requests` or `tokens`.
    pub name: &'static str,
    pub limit: u32,
    pub remaining: u32,
    /// Until the limit is whole again.
    pub reset: Duration,
}

/// One model of one provider, with the rules for calling it.
#[derive(Debug)]
pub struct Target {
    /// `provider/model`.
    pub label: Arc<str>,
    /// The configured provider's name.
    pub provider: Arc<str>,
    /// What it is: its type in the catalogue.
    pub kind: Arc<str>,
    /// The upstream's own model id.
    pub model: Arc<str>,
    pub policy: Policy,
    /// How the upstream is reached; equal ones share a connection pool.
    pub connection: Connection,
    /// Live exchanges allowed at once, when limited (rule Q2).
    pub slots: Option<Arc<Semaphore>>,
}

/// How a target's calls are charged.
pub trait Price: Send + Sync + fmt::Debug {
    /// What these counts cost in USD. `None` when a price is missing that they need (rule C5).
    fn cost(&self, usage: &ir::Usage, now: SystemTime) -> Option<f64>;
}

/// What makes two upstream clients different.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Connection {
    pub connect_timeout: Duration,
    /// HTTP/2 without TLS, by prior knowledge.
    pub http2_prior_knowledge: bool,
    /// A PEM file of further certificate authorities.
    pub ca_file: Option<std::path::PathBuf>,
}

/// One exchange with one target under one key.
#[derive(Debug, Clone)]
pub struct Call {
    pub id: Uuid,
    pub target: Arc<Target>,
    /// What the request's body is written in.
    pub dialect: Dialect,
    /// What the reply must be to count as one.
    pub expects: Expects,
    pub stream: bool,
    /// Signed and ready to send; cheap to clone, since the body is shared.
    pub request: http::Request<Bytes>,
    /// The total clock, absolute.
    pub deadline: Instant,
    /// Another key of the provider stands ready, so a key-bound failure returns at once.
    pub rotates: bool,
    pub attempts: Attempts,
}

/// What makes a whole reply an acceptable one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Expects {
    /// An answer of the model in the call's dialect.
    #[default]
    Answer,
    /// A JSON object that is no error; whoever asked for it reads the rest.
    Document,
}

/// Counts the exchanges a client's call has caused.
#[derive(Debug, Clone, Default)]
pub struct Attempts(Arc<AtomicU32>);

/// An upstream's answer, accepted: a success status, and for a stream a first event that is no
/// error.
pub struct Reply {
    pub head: http::response::Parts,
    pub body: ReplyBody,
}

pub enum ReplyBody {
    /// A unary answer, read whole.
    Whole(Bytes),
    Frames(Frames),
}

/// An upstream's events as they come. Dropping it aborts the exchange.
pub type Frames = Pin<Box<dyn Stream<Item = Result<Frame, Error>> + Send>>;

/// How a client's call ended. Every call ends exactly once (design section 6.8).
#[derive(Debug, Clone)]
pub enum End {
    Finished,
    Failed(Error),
    /// The client left (rule D2), or the drain limit cut it off.
    Canceled,
}

/// What a call's end needs to know of its answer.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// The provider's own counts, if they came.
    pub usage: Option<ir::Usage>,
    /// Bytes of generated text, reasoning, arguments and refusals, for the estimate when no counts
    /// came (rule D3). Error text never counts.
    pub output_bytes: u64,
    pub finish: Option<ir::Finish>,
    /// What the client is not shown of it.
    pub lost: Vec<ir::Lost>,
}

// === impl Caller ===

impl Caller {
    /// Anybody, on a gateway without keys.
    pub fn anonymous() -> Self {
        Self { name: "anonymous".into(), models: vec!["*".into()], limits: Limits::default() }
    }

    /// Whether this key may call the model of this public name. A pattern is a name, or a prefix
    /// with one `*` at its end.
    pub fn may_call(&self, model: &str) -> bool {
        self.models.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => model.starts_with(prefix),
            None => pattern == model,
        })
    }
}

// === impl Reservation ===

impl Reservation {
    /// Keeps a slot until the end of the call.
    pub fn hold(&mut self, permit: OwnedSemaphorePermit) {
        self.permits.push(permit);
    }

    /// Has a token limit corrected when the call ends.
    pub fn on_settle(&mut self, settlement: Settlement) {
        self.settlements.push(settlement);
    }

    /// Takes another one along, to be settled together.
    pub fn join(&mut self, other: Self) {
        self.permits.extend(other.permits);
        self.settlements.extend(other.settlements);
    }

    /// Replaces the estimate by the tokens truly used and gives the slots back. Zero for a call
    /// that reached no upstream.
    pub fn settle(self, actual_tokens: u64) {
        for settlement in self.settlements {
            settlement(actual_tokens);
        }
    }
}

// === impl Attempts ===

impl Attempts {
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

// === impl Failure ===

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, notes: Notes::default() }
    }
}

impl From<UpstreamError> for Failure {
    fn from(error: UpstreamError) -> Self {
        Error::from(error).into()
    }
}

// === impl Answer, Reply, Reservation: Debug ===

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation")
            .field("permits", &self.permits.len())
            .field("settlements", &self.settlements.len())
            .finish()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("notes", &self.notes).finish_non_exhaustive()
    }
}

impl fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole(_) => "Whole",
            Self::Stream(_) => "Stream",
        })
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("status", &self.head.status).finish_non_exhaustive()
    }
}

impl fmt::Debug for ReplyBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole(_) => "Whole",
            Self::Frames(_) => "Frames",
        })
    }
}
