//! What the configuration makes reachable: providers, names, and the models each key may call.
//!
//! A table is built once per configuration and never changes, except for the live model lists,
//! which the discovery task swaps in. Resolving a name takes no lock but the read lock of the
//! cache of ad-hoc targets (`provider/model` names that no one configured).

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, RwLock},
};

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use http::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::{address::Address, known::known, order::Load};
use crate::{
    call::{Caller, Connection, Credentials, Dialect, Limits, Price, Target},
    config::{BUILTIN, Config, ModelConfig, ProviderConfig, Strategy},
    error::{Error, Result},
    providers::{
        self, Credential, Model, Provider, builtin,
        models::{ModelFacts, ModelKind},
        prices::{Prices, Tariff},
    },
    telemetry::PlaceMetrics,
    upstream::{
        KeyRing,
        credentials::{self, Kept},
    },
    wire::json::Object,
};

/// Ad-hoc targets kept for the next call; further ones are made anew each time.
const CACHED_TARGETS: usize = 1024;
/// No model's name is longer, in bytes. What a client invents is compared, kept and logged.
const LONGEST_NAME: usize = 512;
/// Near misses named in a 404.
const NEAR_MISSES: usize = 3;

/// Everything reachable under one configuration.
#[derive(Debug)]
pub struct Table {
    config: Arc<Config>,
    upstreams: BTreeMap<Arc<str>, Arc<Upstream>>,
    names: HashMap<Arc<str>, Arc<Name>, RandomState>,
    ad_hoc: RwLock<HashMap<String, Arc<Route>, RandomState>>,
}

/// A configured provider with its keys and its live model list.
#[derive(Debug)]
pub struct Upstream {
    pub config: Arc<ProviderConfig>,
    pub provider: &'static dyn Provider,
    /// The provider's root, without a slash at its end.
    pub base_url: String,
    pub keys: KeyRing,
    pub connection: Connection,
    /// Nobody configured it: a server on this machine that is there or not.
    pub is_implied: bool,
    /// Model ids the provider itself listed; empty until then.
    pub listed: ArcSwap<Vec<String>>,
    slots: Option<Arc<Semaphore>>,
}

/// A model name of the operator's own.
#[derive(Debug)]
pub struct Name {
    pub name: Arc<str>,
    pub config: Arc<ModelConfig>,
    pub routes: Vec<Arc<Route>>,
}

/// One target and the way to it.
#[derive(Debug)]
pub struct Route {
    pub upstream: Arc<Upstream>,
    pub target: Arc<Target>,
    /// The model it is known to be: what holds for that one holds for it.
    pub base: Arc<str>,
    pub weight: u32,
    /// Configured for requests to it, the model name's own over the provider's.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub facts: Option<&'static ModelFacts>,
    /// How its calls are charged; `None` where nobody knows.
    pub tariff: Option<Arc<Tariff>>,
    pub load: Load,
    pub metrics: PlaceMetrics,
    pub address: Address,
}

/// What a call's model name means.
#[derive(Debug)]
pub struct Plan {
    pub strategy: Strategy,
    pub routes: Vec<Arc<Route>>,
}

/// A line of `/v1/models`.
#[derive(Debug, Clone)]
pub struct Listed {
    pub id: String,
    pub owned_by: Arc<str>,
    pub facts: Option<&'static ModelFacts>,
    /// The operator's prices over the catalogue's.
    pub prices: Prices,
}

// === impl Table ===

impl Table {
    /// Builds the table. Providers of a type the catalogue does not know are refused by the
    /// configuration, so none is missing here.
    pub fn new(config: Arc<Config>) -> Self {
        Self::after(config, None)
    }

    /// Builds the table that follows `old`. A provider that stayed keeps its model list, a
    /// credential that was fetched, and its slots, which are still held by open calls (rule Q2);
    /// resting keys start anew.
    pub fn after(config: Arc<Config>, old: Option<&Self>) -> Self {
        let configured = config.providers.values().map(|provider| (Arc::clone(provider), false));
        let implied = implied(&config).into_iter().map(|provider| (Arc::new(provider), true));
        let upstreams = configured
            .chain(implied)
            .filter_map(|(provider, is_implied)| Upstream::new(provider, is_implied, &config))
            .map(|upstream| match old.and_then(|old| old.upstreams.get(upstream.config.name.as_str())) {
                Some(before) => upstream.succeeding(before),
                None => upstream,
            })
            .map(|upstream| (upstream.config.name.as_str().into(), Arc::new(upstream)))
            .collect();
        let mut table = Self { config, upstreams, names: HashMap::default(), ad_hoc: RwLock::default() };
        table.names = table.config.models.values().map(|model| table.name(model)).collect();
        table
    }

    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    pub fn upstreams(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        self.upstreams.values()
    }

    /// Every kind of connection that a call under this configuration may need.
    pub fn connections(&self) -> impl Iterator<Item = &Connection> {
        let own = self.upstreams.values().map(|upstream| &upstream.connection);
        let named = self.names.values().flat_map(|name| &name.routes).map(|route| &route.target.connection);
        own.chain(named)
    }

    pub fn has_provider(&self, name: &str) -> bool {
        self.upstreams.contains_key(name)
    }

    /// The targets of a model name, in configured order (design section 3). `pinned` holds the
    /// call to one provider.
    pub fn plan(&self, model: &str, pinned: Option<&str>, caller: &Caller) -> Result<Plan> {
        if model.len() > LONGEST_NAME {
            let message = format!("The model's name is longer than {LONGEST_NAME} bytes.");
            return Err(Error::invalid(message, "model", "invalid_value"));
        }
        let plan = match pinned {
            Some(provider) => self.pinned(provider, model).filter(|plan| plan.is_open_to(caller)),
            None if self.names.contains_key(model) => self.named(model).filter(|_| caller.may_call(model)),
            None => {
                let plan = self.prefixed(model).or_else(|| self.bare(model));
                plan.filter(|plan| caller.may_call(model) || plan.is_open_to(caller))
            }
        };
        plan.ok_or_else(|| self.not_found(model, pinned, caller))
    }

    /// Limits that hold for a model name whoever calls it.
    pub fn model_limits(&self, model: &str) -> Limits {
        self.names.get(model).map(|name| name.config.limits).unwrap_or_default()
    }

    /// Exactly what this key may call (rule K7): the operator's names first, then every known
    /// model of every provider.
    pub fn listed(&self, caller: &Caller) -> Vec<Listed> {
        let mut names: Vec<&Arc<Name>> = self.names.values().collect();
        names.sort_by(|a, b| a.name.cmp(&b.name));
        let own = names.into_iter().map(|name| Listed {
            id: name.name.to_string(),
            owned_by: "sluis".into(),
            facts: name.routes.first().and_then(|route| route.facts),
            prices: name.routes.first().map_or(Prices::default(), |route| route.prices()),
        });
        let known = self.upstreams.iter().flat_map(|(provider, upstream)| {
            upstream.offered().into_iter().filter_map(move |id| {
                let facts = providers::models::facts(&upstream.config.kind, upstream.config.settings.base(&id));
                Some(Listed {
                    facts,
                    prices: self.tariff(&format!("{provider}/{id}"), facts).unwrap_or_default().prices(),
                    id: self.callable(provider, &id, caller)?,
                    owned_by: Arc::clone(provider),
                })
            })
        });
        own.filter(|listed| caller.may_call(&listed.id)).chain(known).collect()
    }

    /// One of [`Self::listed`], by its name there or by a bare id that is enough to call it.
    pub fn listed_one(&self, caller: &Caller, id: &str) -> Option<Listed> {
        let mut listed = self.listed(caller);
        let at = |name: &str| listed.iter().position(|one| one.id == name);
        let is_bare = !self.names.contains_key(id) && !self.is_prefixed(id);
        let whole = || self.bare(id).filter(|_| is_bare)?.routes.first().map(|route| Arc::clone(&route.target.label));
        let at = at(id).or_else(|| at(&whole()?))?;
        Some(listed.swap_remove(at))
    }

    /// The name under which this key may call a provider's model: with the provider before it, or
    /// bare where only the bare id is the key's.
    fn callable(&self, provider: &str, id: &str, caller: &Caller) -> Option<String> {
        let whole = format!("{provider}/{id}");
        if caller.may_call(&whole) {
            return Some(whole);
        }
        let is_bare = caller.may_call(id) && !self.names.contains_key(id) && !self.is_prefixed(id);
        (is_bare && self.offering(id).count() == 1).then(|| id.to_owned())
    }

    fn is_prefixed(&self, id: &str) -> bool {
        id.split_once('/').is_some_and(|(provider, _)| self.upstreams.contains_key(provider))
    }

    /// The way to a provider for what is no call of a model.
    pub fn errand(&self, provider: &str) -> Option<Arc<Route>> {
        self.upstreams.get(provider).map(|upstream| self.ad_hoc(upstream, "-"))
    }

    /// What signs the ids of answers that a provider keeps: the operator's secret, or else one made
    /// of each of the provider's keys, which every gateway of this configuration has too. Nobody
    /// can tell a key from what it signs.
    pub fn id_keys(&self, provider: &str) -> Vec<[u8; 32]> {
        let Some(upstream) = self.upstreams.get(provider) else { return Vec::new() };
        let derived =
            |secret: &str| Sha256::new().chain_update("sluis response ids\0").chain_update(secret).finalize().into();
        if let Some(secret) = &self.config.store.id_secret {
            return vec![derived(secret.expose_secret())];
        }
        let keys = upstream.config.api_keys.iter().map(|key| derived(key.expose_secret()));
        let keys: Vec<[u8; 32]> = keys.collect();
        // Without a key there is nothing secret to sign with; the id still names its caller.
        if keys.is_empty() { vec![derived(provider)] } else { keys }
    }

    fn named(&self, model: &str) -> Option<Plan> {
        let name = self.names.get(model)?;
        Some(Plan { strategy: name.config.strategy, routes: name.routes.clone() })
    }

    fn prefixed(&self, model: &str) -> Option<Plan> {
        let (provider, id) = model.split_once('/')?;
        let upstream = self.upstreams.get(provider)?;
        (!id.is_empty()).then(|| self.single(upstream, id))
    }

    /// A bare id works when exactly one provider offers it.
    fn bare(&self, model: &str) -> Option<Plan> {
        let mut offering = self.offering(model);
        let upstream = offering.next()?;
        offering.next().is_none().then(|| self.single(upstream, model))
    }

    fn offering(&self, model: &str) -> impl Iterator<Item = &Arc<Upstream>> {
        self.upstreams.values().filter(move |upstream| upstream.offers(model))
    }

    fn pinned(&self, provider: &str, model: &str) -> Option<Plan> {
        let upstream = self.upstreams.get(provider)?;
        let stripped = model.strip_prefix(provider).and_then(|rest| rest.strip_prefix('/'));
        // Some vendors have ids that begin with their own name.
        let own = stripped.filter(|_| !upstream.offers(model)).unwrap_or(model);
        (!own.is_empty()).then(|| self.single(upstream, own))
    }

    fn single(&self, upstream: &Arc<Upstream>, id: &str) -> Plan {
        Plan { strategy: Strategy::Ordered, routes: vec![self.ad_hoc(upstream, id)] }
    }

    fn ad_hoc(&self, upstream: &Arc<Upstream>, id: &str) -> Arc<Route> {
        let label = format!("{}/{id}", upstream.config.name);
        if let Some(route) = self.ad_hoc.read().ok().and_then(|routes| routes.get(&label).cloned()) {
            return route;
        }
        let route = Arc::new(self.route(upstream, id, None, 1));
        if let Ok(mut routes) = self.ad_hoc.write()
            && routes.len() < CACHED_TARGETS
        {
            routes.insert(label, Arc::clone(&route));
        }
        route
    }

    fn name(&self, model: &Arc<ModelConfig>) -> (Arc<str>, Arc<Name>) {
        let routes = model
            .targets
            .iter()
            .filter_map(|target| {
                let (provider, id) = target.to.split_once('/')?;
                let upstream = self.upstreams.get(provider)?;
                Some(Arc::new(self.route(upstream, id, Some(&model.name), target.weight)))
            })
            .collect();
        let name: Arc<str> = model.name.as_str().into();
        (Arc::clone(&name), Arc::new(Name { name, config: Arc::clone(model), routes }))
    }

    fn route(&self, upstream: &Arc<Upstream>, id: &str, name: Option<&str>, weight: u32) -> Route {
        let policy = self.config.policy(&upstream.config.name, name);
        let connection = Connection { connect_timeout: policy.deadlines.connect, ..upstream.connection.clone() };
        let label: Arc<str> = format!("{}/{id}", upstream.config.name).into();
        // Only names from the configuration or the provider's own list become labels (rule L4).
        let counted_as = match name {
            None if !upstream.offers(id) => format!("{}/other", upstream.config.name).into(),
            _ => Arc::clone(&label),
        };
        let model = name.map_or_else(|| Arc::clone(&counted_as), Into::into);
        let metrics = PlaceMetrics::new(model, counted_as);
        let target = Target {
            label,
            provider: upstream.config.name.as_str().into(),
            kind: upstream.config.kind.as_str().into(),
            model: id.into(),
            policy,
            connection,
            slots: upstream.slots.clone(),
        };
        let base = upstream.config.settings.base(id);
        let facts = providers::models::facts(&upstream.config.kind, base);
        let tariff = self.tariff(&target.label, facts).map(Arc::new);
        let headers = self.config.headers(&upstream.config.name, name);
        Route {
            upstream: Arc::clone(upstream),
            target: Arc::new(target),
            base: base.into(),
            weight,
            headers,
            facts,
            tariff,
            load: Load::default(),
            metrics,
            address: Address::default(),
        }
    }

    /// The operator's prices over the catalogue's.
    fn tariff(&self, label: &str, facts: Option<&ModelFacts>) -> Option<Tariff> {
        let known = match facts {
            Some(facts) => Some(facts.tariff()),
            None => label.starts_with("builtin/").then(Tariff::free),
        };
        match self.config.prices.of(label) {
            Some(own) => Some(Tariff::fixed(own, known)),
            None => known,
        }
    }

    fn not_found(&self, model: &str, pinned: Option<&str>, caller: &Caller) -> Error {
        let wanted = model.rsplit('/').next().unwrap_or(model);
        let prefix = pinned.map(|provider| format!("{provider}/"));
        let mut near: Vec<(f64, String)> = self
            .listed(caller)
            .into_iter()
            .filter(|listed| prefix.as_ref().is_none_or(|prefix| listed.id.starts_with(prefix)))
            .filter_map(|listed| {
                let own = listed.id.split_once('/').map_or(listed.id.as_str(), |(_, id)| id);
                let score = strsim::jaro_winkler(wanted, own).max(strsim::jaro_winkler(model, &listed.id));
                (score > 0.8).then_some((score, listed.id))
            })
            .collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        near.truncate(NEAR_MISSES);
        Error::ModelNotFound { model: model.into(), near: near.into_iter().map(|(_, id)| id).collect() }
    }
}

// === impl Route ===

impl Route {
    /// Whether the provider keeps this model's answers and finds them again by their ids, and is asked for
    /// one by this Responses request as it stands.
    fn keeps(&self, body: &Object<'_>) -> bool {
        let (provider, model) = (self.upstream.provider, &self.base);
        provider.speaks(model, &self.upstream.config.settings).contains(&Dialect::OpenAiResponses)
            && provider.keeps_responses(body)
            && provider.reroute(Dialect::OpenAiResponses, model, body).is_none()
    }

    /// By both names.
    pub fn model(&self) -> Model<'_> {
        Model { id: &self.target.model, base: &self.base }
    }

    /// The flat rates, the operator's over the catalogue's.
    pub fn prices(&self) -> Prices {
        self.tariff.as_ref().map(|tariff| tariff.prices()).unwrap_or_default()
    }

    /// How its calls are charged.
    pub fn price(&self) -> Option<Arc<dyn Price>> {
        self.tariff.clone().map(|tariff| tariff as Arc<dyn Price>)
    }
}

// === impl Plan ===

impl Plan {
    /// The provider of each target, and whether it keeps the answer to this Responses request.
    pub fn keepers(&self, body: &[u8]) -> Vec<(Arc<str>, bool)> {
        let body = Object::parse(body).ok();
        let keeps = |route: &Route| body.as_ref().is_some_and(|body| route.keeps(body));
        self.routes.iter().map(|route| (Arc::clone(&route.target.provider), keeps(route))).collect()
    }

    /// Whether the key may call the one target by its full name.
    fn is_open_to(&self, caller: &Caller) -> bool {
        self.routes.iter().all(|route| caller.may_call(&route.target.label))
    }
}

// === impl Route ===

impl Route {
    /// The model's name in a request's body.
    pub fn wire_model(&self) -> Cow<'_, str> {
        self.upstream.provider.wire_model(&self.target.model, &self.upstream.config.settings)
    }
}

// === impl Upstream ===

impl Upstream {
    pub fn new(config: Arc<ProviderConfig>, is_implied: bool, whole: &Config) -> Option<Self> {
        let provider = providers::provider(&config.kind)?;
        let base_url = provider.root(config.base_url.as_deref()?).to_owned();
        let credential = |(place, secret): (usize, &SecretString)| Credential::new(place + 1, secret.clone());
        let keys = match credentials::source(&config.credentials) {
            Some(source) => KeyRing::fetching(Arc::new(Kept::new(&config.name, source))),
            None => KeyRing::new(config.api_keys.iter().enumerate().map(credential).collect()),
        };
        Some(Self {
            provider,
            base_url,
            keys,
            connection: Connection {
                connect_timeout: whole.policy(&config.name, None).deadlines.connect,
                http2_prior_knowledge: config.http2,
                ca_file: config.ca_file.clone(),
            },
            is_implied,
            listed: ArcSwap::default(),
            slots: config.limits.concurrent.map(|slots| Arc::new(Semaphore::new(slots as usize))),
            config,
        })
    }

    /// Keeps what still holds of the same provider under the configuration before.
    fn succeeding(mut self, before: &Self) -> Self {
        if before.base_url == self.base_url {
            self.listed.store(before.listed.load_full());
        }
        if before.config.limits.concurrent == self.config.limits.concurrent {
            self.slots.clone_from(&before.slots);
        }
        if before.config.credentials == self.config.credentials
            && let Some(kept) = before.keys.source()
        {
            self.keys = KeyRing::fetching(Arc::clone(kept));
        }
        self
    }

    /// Whether the client's own credential goes to it.
    pub fn takes_the_clients_credential(&self) -> bool {
        matches!(self.config.credentials, Credentials::Client)
    }

    /// Whether it is reached over a socket.
    pub fn is_remote(&self) -> bool {
        self.base_url.starts_with("http")
    }

    /// Whether the provider is known to have this model.
    pub fn offers(&self, model: &str) -> bool {
        self.listed.load().iter().any(|id| id == model)
            || self.config.models.iter().any(|id| id == model)
            || self.config.settings.deployments.contains_key(model)
            || self.config.settings.base_models.contains_key(model)
            || providers::models::facts(&self.config.kind, model)
                // What is known of a cloud's model by its maker's name does not make the name the cloud's.
                .is_some_and(|facts| is_callable(facts) && facts.provider == self.config.kind)
    }

    /// Every model id the provider is known to have: its own list where there is one, else the
    /// catalogue's.
    fn offered(&self) -> BTreeSet<String> {
        let listed = self.listed.load();
        let settings = &self.config.settings;
        let deployed = settings.deployments.keys().chain(settings.base_models.keys());
        let mut ids: BTreeSet<String> =
            self.config.models.iter().chain(deployed).chain(listed.iter()).cloned().collect();
        if ids.is_empty() {
            let catalogue = providers::models::of_provider(&self.config.kind);
            ids.extend(catalogue.filter(|facts| is_callable(facts)).map(|facts| facts.model.to_owned()));
        }
        ids
    }
}

/// Whether an endpoint of the gateway calls such models.
fn is_callable(facts: &ModelFacts) -> bool {
    matches!(facts.kind, ModelKind::Chat | ModelKind::Embedding)
}

/// The providers that need no configuration: the one in this process, and the servers that may run
/// on this machine. A name the operator gave to something else is the operator's.
fn implied(config: &Config) -> Vec<ProviderConfig> {
    let known = known();
    let local = known.kinds.iter().filter(|kind| config.probe_local && kind.local);
    let local = local.filter_map(|kind| Some((kind.name.as_str(), kind.default_base_url.clone()?)));
    // However it is spelled, with the version or without.
    let server = |url: &str| url.trim_end_matches('/').trim_end_matches("/v1").to_owned();
    let own = config.providers.values().filter_map(|own| own.base_url.as_deref());
    let addresses: BTreeSet<String> = own.map(server).collect();
    let embedded = ProviderConfig {
        models: vec![builtin::MODEL.to_owned()],
        ..ProviderConfig::implied(BUILTIN, builtin::BASE_URL.to_owned())
    };
    local
        .filter(|(name, base_url)| !config.providers.contains_key(*name) && !addresses.contains(&server(base_url)))
        .map(|(name, base_url)| ProviderConfig::implied(name, base_url))
        .chain([embedded])
        .collect()
}

#[cfg(test)]
mod tests;
