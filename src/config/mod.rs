//! What the operator wrote, checked and resolved. The only room that reads the environment.
//!
//! The way of a file: [`document`] parses it and remembers places, [`check`] takes out what does
//! not have the shape of [`mod@file`], [`resolve`] gives values their meaning, [`report`] shows every
//! problem of all three at once. [`Watch`] tells when to go that way again.
//!
//! Deliberately absent: provider behaviour (the catalogue's facts come in as [`Known`]), keys and
//! budgets kept in a store, and any way to change the file from here.

mod check;
mod credentials;
mod document;
mod env;
mod explain;
mod file;
mod files;
mod key;
mod known;
mod policy;
mod prices;
mod report;
mod resolve;
mod settings;
mod store;
mod value;
mod watch;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue};
use secrecy::SecretString;

pub use self::{
    credentials::{Aws, CredentialKind, Credentials, Entra, Google},
    document::Path,
    env::Env,
    explain::{Explained, Source, Sources},
    file::schema,
    files::{Holds, UsedFile},
    key::{FreshKey, hash_key},
    known::{BUILTIN, Known, KnownKind, KnownSetting},
    policy::{Deadlines, Limits, Policy, Retry, Rules},
    prices::{PriceList, Prices},
    report::{Fault, Problem, Report, Spot},
    resolve::{find, listen_of, load, serves_tls},
    settings::{Chosen, ProviderSettings, Setting, fits},
    store::{Store, StorePlace},
    watch::Watch,
};
pub(crate) use self::{document::toml_key, known::nearest};

/// A configuration, whole and valid.
#[derive(Debug, Clone)]
pub struct Config {
    /// Default `127.0.0.1:7878`.
    pub listen: SocketAddr,
    /// Plain HTTP without.
    pub tls: Option<Tls>,
    /// By name. The embedded provider `builtin` is not among them: it needs no configuration.
    pub providers: BTreeMap<String, Arc<ProviderConfig>>,
    /// The operator's own model names.
    pub models: BTreeMap<String, Arc<ModelConfig>>,
    /// Empty: no authentication, and then `listen` is a loopback address (rule X1).
    pub keys: Vec<KeyConfig>,
    /// The operator's own prices, over the catalogue's.
    pub prices: PriceList,
    pub server: Server,
    pub store: Store,
    /// Deadlines and retry values set for everything.
    pub rules: Rules,
    /// Whether local model servers are looked for. Default true.
    pub probe_local: bool,
    /// What is allowed but unwise, one sentence each.
    pub warnings: Vec<String>,
    /// Where each value came from (rule K2).
    pub sources: Sources,
}

/// Values that come before the file: the command line and its variables.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    pub listen: Option<SocketAddr>,
    /// `Some(false)` switches the probe of local servers off.
    pub probe_local: Option<bool>,
}

/// HTTPS on the gateway's own side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

/// Bounds of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The largest request body in bytes, decompressed. Default 32 MiB (rule L5).
    pub body_limit: u64,
    /// No client stream is silent for longer. Default 15 s (rule S6).
    pub keep_alive: Duration,
    /// How long open answers may go on after a signal to stop. Default 30 s (rule K5).
    pub drain: Duration,
    /// The largest event of an upstream's stream in bytes. Default 64 MiB (rule S8).
    pub max_frame: u64,
    /// The largest unary answer of an upstream in bytes. Default 64 MiB.
    pub max_reply: u64,
}

/// An upstream.
#[derive(Debug, Clone)]
pub struct ProviderConfig {
    pub name: String,
    /// The catalogue's type: `openai`, `anthropic`, `openai-compatible` ...
    pub kind: String,
    /// `http` or `https`, without a slash at its end. `None` for a kind that has no address.
    pub base_url: Option<String>,
    /// Empty where none is needed.
    pub api_keys: Vec<SecretString>,
    pub credentials: Credentials,
    pub settings: ProviderSettings,
    /// Where each setting came from that the file does not say.
    pub origins: BTreeMap<&'static str, String>,
    /// Global ones and its own, its own winning by name. All marked sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Its own, and the global ones where it has none. `concurrent` is its number of slots.
    pub limits: Limits,
    /// HTTP/2 without TLS, by prior knowledge.
    pub http2: bool,
    /// A PEM file of further certificate authorities.
    pub ca_file: Option<PathBuf>,
    /// Its chat models leave their reasoning in the text, between `<think>` and `</think>`.
    pub think_tags: bool,
    /// Ids of its models, when the operator listed them.
    pub models: Vec<String>,
    /// Deadlines and retry values of its own.
    pub rules: Rules,
    /// The variable that enabled it, when the file does not name it.
    pub discovered: Option<String>,
}

/// A model name of the operator's own.
#[derive(Debug, Clone)]
pub struct ModelConfig {
    pub name: String,
    pub strategy: Strategy,
    /// At least one.
    pub targets: Vec<TargetConfig>,
    /// Of this name, all callers together; its targets' providers have theirs besides.
    pub limits: Limits,
    /// Its own; they win over the provider's by name. All marked sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Deadlines and retry values of its own.
    pub rules: Rules,
}

/// How a target is picked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Strategy {
    /// The first is used, the rest are fallbacks.
    #[default]
    Ordered,
    /// At random, by weight.
    Weighted,
    /// The one with the fewest open calls.
    LeastBusy,
    /// The one that answered quickest of late.
    Fastest,
    /// The one with the lowest price.
    Cheapest,
}

/// One target of a model name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetConfig {
    /// `provider/model`; the provider exists.
    pub to: String,
    /// At least 1.
    pub weight: u32,
}

/// Who may call.
#[derive(Clone)]
pub struct KeyConfig {
    pub name: String,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// Patterns of the model names it may call.
    pub models: Vec<String>,
    pub limits: Limits,
}

// === impl Config ===

impl Config {
    /// How a target of `provider` is called, under the name `model_name` if it is one of the
    /// operator's own: global values, the provider's over them, the name's over those.
    pub fn policy(&self, provider: &str, model_name: Option<&str>) -> Policy {
        let provider = self.providers.get(provider).map(|provider| &provider.rules);
        let model = model_name.and_then(|name| self.models.get(name)).map(|model| &model.rules);
        let layers = [Some(&self.rules), provider, model];
        layers.into_iter().flatten().fold(Policy::default(), |policy, rules| rules.over(&policy))
    }

    /// The headers configured for requests to `provider` under the name `model_name`.
    pub fn headers(&self, provider: &str, model_name: Option<&str>) -> Vec<(HeaderName, HeaderValue)> {
        let mut all = self.providers.get(provider).map(|provider| provider.headers.clone()).unwrap_or_default();
        if let Some(model) = model_name.and_then(|name| self.models.get(name)) {
            all.retain(|(name, _)| model.headers.iter().all(|(own, _)| own != name));
            all.extend(model.headers.iter().cloned());
        }
        all
    }
}

// === impl ProviderConfig ===

impl ProviderConfig {
    /// A provider that nobody configured: all defaults, no key.
    pub fn implied(kind: &str, base_url: String) -> Self {
        Self {
            name: kind.into(),
            kind: kind.into(),
            base_url: Some(base_url),
            api_keys: Vec::new(),
            credentials: Credentials::default(),
            settings: ProviderSettings::default(),
            origins: BTreeMap::new(),
            headers: Vec::new(),
            limits: Limits::default(),
            http2: false,
            ca_file: None,
            think_tags: false,
            models: Vec::new(),
            rules: Rules::default(),
            discovered: None,
        }
    }
}

// === impl Server ===

impl Default for Server {
    fn default() -> Self {
        Self {
            body_limit: 32 << 20,
            keep_alive: Duration::from_secs(15),
            drain: Duration::from_secs(30),
            max_frame: 64 << 20,
            max_reply: 64 << 20,
        }
    }
}

// === impl Strategy ===

impl Strategy {
    /// Every strategy, by its name in the file.
    pub const ALL: [(&'static str, Self); 5] = [
        ("ordered", Self::Ordered),
        ("weighted", Self::Weighted),
        ("least-busy", Self::LeastBusy),
        ("fastest", Self::Fastest),
        ("cheapest", Self::Cheapest),
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ordered => "ordered",
            Self::Weighted => "weighted",
            Self::LeastBusy => "least-busy",
            Self::Fastest => "fastest",
            Self::Cheapest => "cheapest",
        }
    }
}

// === impl KeyConfig ===

/// Not even the hash is shown (rule X4).
impl fmt::Debug for KeyConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyConfig")
            .field("name", &self.name)
            .field("models", &self.models)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
