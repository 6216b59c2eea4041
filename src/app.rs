//! The two assemblies, and the process around them: start, reload, stop.
//!
//! Everything that lives longer than a configuration is made once (the limiters, the upstream
//! connections, the stacks); what a configuration says is a table and a snapshot, swapped whole.

use std::{collections::HashSet, fmt, future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::{ServiceBuilder, util::BoxCloneSyncService};

use crate::{
    call::{Call, Caller, Connection, Limits, Reply},
    config::{Config, Store, Tls},
    error::{Error, Result},
    layers::{AdmitLayer, ClocksLayer, Limiters, RetryLayer, Scope, SlotsLayer},
    routing::{
        Dispatch, Errands, Table,
        discovery::{self, Whom},
        table::Listed,
    },
    server::{
        self, Directory, Front, IdKey, Lifecycle, Memory, ModelEntry, Pricing, Reach, Server, Settings, auth::Keys,
    },
    telemetry::Metrics,
    upstream::transport::{Bounds, Clients, Transport},
};

/// How often the servers that may run on this machine are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Every so many looks, the configured providers' lists are asked for again as well.
const LOOKS_PER_LIST: u32 = 10;

/// What one exchange with an upstream passes through, from the outside in.
pub fn upstream_stack(transport: Transport) -> BoxCloneSyncService<Call, Reply, Error> {
    let stack = ServiceBuilder::new()
        // The same target again, before its first event.
        .layer(RetryLayer::new())
        // A slot is a live exchange, so it stands inside retry: a backoff holds none.
        .layer(SlotsLayer)
        // The first event of each try, and idle and total over the body.
        .layer(ClocksLayer)
        // The socket.
        .service(transport);
    BoxCloneSyncService::new(stack)
}

/// What a client's call passes through, from the outside in.
pub fn front_stack(limiters: Arc<Limiters>, dispatch: Dispatch) -> Front {
    let stack = ServiceBuilder::new()
        // Once per call, before any work: what the key and the model may use.
        .layer(AdmitLayer::new(limiters))
        // The walk over targets and keys, each exchange through the upstream stack.
        .service(dispatch);
    BoxCloneSyncService::new(stack)
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    address: SocketAddr,
    house: Arc<House>,
    serving: JoinHandle<()>,
    /// What belongs to no call: the store, and answers nobody waits for.
    working: JoinHandle<()>,
    end_work: CancellationToken,
    /// Ends the tasks that only keep things fresh.
    stop: DropGuard,
}

/// What every call shares.
struct House {
    table: Arc<ArcSwap<Table>>,
    snapshot: ArcSwap<Snapshot>,
    limiters: Arc<Limiters>,
    clients: Arc<Clients>,
    lifecycle: Lifecycle,
    /// Asks for the model lists to be fetched now.
    lists_wanted: Notify,
    /// Tells that every list has been asked for once.
    lists_seen: watch::Sender<bool>,
    /// What only a restart changes.
    fixed: Fixed,
}

/// The values that are read once, at the start.
#[derive(Debug, PartialEq)]
struct Fixed {
    listen: SocketAddr,
    tls: Option<Tls>,
    drain: Duration,
    max_frame: u64,
    max_reply: u64,
    store: Store,
}

/// What the server reads of a configuration.
struct Snapshot {
    keys: Keys,
    settings: Settings,
}

// === impl Gateway ===

impl Gateway {
    /// Opens the listener and serves. Returns when calls are answered; model lists come later.
    ///
    /// # Errors
    /// A sentence for the operator: the address is taken, or the certificate cannot be used.
    pub fn start(config: Config, metrics: Metrics) -> Result<Self, String> {
        let tls = match &config.tls {
            Some(tls) => Some(server::tls::acceptor(&tls.cert, &tls.key).map_err(|error| error.to_string())?),
            None => None,
        };
        let listener = server::serve::bind(config.listen).map_err(|error| unbound(config.listen, &error))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let drain = config.server.drain;
        let bounds = Bounds {
            max_frame_bytes: usize::try_from(config.server.max_frame).unwrap_or(usize::MAX),
            max_reply_bytes: usize::try_from(config.server.max_reply).unwrap_or(usize::MAX),
        };

        let (store, keep_alive) = (config.store.clone(), config.server.keep_alive);
        let house = Arc::new(House::new(config));
        let upstream = upstream_stack(Transport::new(Arc::clone(&house.clients), bounds));
        let (limiters, clients) = (Arc::clone(&house.limiters), Arc::clone(&house.clients));
        let errands = Errands::new(Arc::clone(&house.table), Arc::clone(&house.clients), upstream.clone());
        let dispatch = Dispatch::new(Arc::clone(&house.table), limiters, clients, upstream);
        let (memory, worker) = Memory::new(store, house.lifecycle.clone(), keep_alive);
        let end_work = CancellationToken::new();
        let working = start(worker.run(end_work.clone()));
        let server = Arc::new(Server {
            front: front_stack(Arc::clone(&house.limiters), dispatch),
            errands: BoxCloneSyncService::new(errands),
            memory,
            directory: Arc::clone(&house) as Arc<dyn Directory>,
            lifecycle: house.lifecycle.clone(),
            metrics,
        });
        let router = server::routes::router(server);
        let lifecycle = house.lifecycle.clone();
        let serving = start(server::serve::serve(listener, router, tls, lifecycle.clone(), drain));
        lifecycle.set_ready();

        let stop = CancellationToken::new();
        start(stop.clone().run_until_cancelled_owned(keep_lists(Arc::clone(&house))));
        Ok(Self { address, house, serving, working, end_work, stop: stop.drop_guard() })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until every provider has been asked for its models once.
    pub async fn lists_seen(&self) {
        let _ = self.house.lists_seen.subscribe().wait_for(|seen| *seen).await;
    }

    /// The names of the models found so far, as a key with all rights sees them.
    pub fn models(&self) -> Vec<String> {
        self.house.table.load().listed(&Caller::anonymous()).into_iter().map(|listed| listed.id).collect()
    }

    /// Puts a new configuration in force. Open streams keep the one they began with (rule K1).
    /// What only a restart can change stays as it is, with a warning that names it.
    ///
    /// # Errors
    /// A sentence for the operator: without keys nobody but this machine may be served (rule X1),
    /// and the address served is still the old one. Then nothing has changed.
    pub fn reload(&self, config: Config) -> Result<(), String> {
        if config.keys.is_empty() && !self.address.ip().is_loopback() {
            let address = self.address;
            return Err(format!("without keys only a loopback address is served, and until a restart it is {address}"));
        }
        self.house.reload(config);
        Ok(())
    }

    /// Stops: not ready at once, open answers end up to the drain limit, then they are cut
    /// (rule K5). Waits for the end.
    pub async fn shutdown(self) {
        self.house.lifecycle.drain();
        drop(self.stop);
        let begun = tokio::time::Instant::now();
        let served = self.serving.await;
        // Only now, since what was open has been kept until its end. Answers that nobody waits for
        // have what is left of the same time.
        self.end_work.cancel();
        let mut working = self.working;
        let left = self.house.fixed.drain.saturating_sub(begun.elapsed());
        let worked = tokio::time::timeout(left, &mut working).await;
        self.house.lifecycle.cut();
        let worked = match worked {
            Ok(worked) => worked,
            Err(_) => working.await,
        };
        for ended in [served, worked] {
            if let Err(error) = ended {
                tracing::error!(%error, "a task of the gateway ended badly");
            }
        }
    }
}

/// Why the address cannot be had, and what to do about it.
fn unbound(address: SocketAddr, error: &io::Error) -> String {
    let known = [
        (io::ErrorKind::AddrInUse, "something else listens there; stop it, or choose another port with `--listen`"),
        (io::ErrorKind::AddrNotAvailable, "this machine does not have that address; choose another with `--listen`"),
        (io::ErrorKind::PermissionDenied, "ports below 1024 need a privilege; choose another with `--listen`"),
    ];
    let fix = known.iter().find(|(kind, _)| *kind == error.kind());
    let fix = fix.map_or("choose another address with `--listen`", |(_, fix)| fix);
    format!("cannot listen on {address}: {error}\n  fix: {fix}")
}

/// The only tasks outside a connection are started here.
#[expect(clippy::disallowed_methods, reason = "the process's own tasks, ended by the gateway's end")]
fn start<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(task)
}

/// Keeps the providers' model lists and the connections fresh, for ever.
async fn keep_lists(house: Arc<House>) {
    let mut looks = 0;
    loop {
        let whom = if looks % LOOKS_PER_LIST == 0 { Whom::Everybody } else { Whom::Implied };
        let table = house.table.load_full();
        discovery::refresh(&table, &house.clients, whom).await;
        house.lists_seen.send_replace(true);
        house.clients.sweep();
        let wanted = tokio::time::timeout(LOOK_EVERY, house.lists_wanted.notified()).await.is_ok();
        looks = if wanted { 0 } else { looks + 1 };
    }
}

// === impl House ===

impl House {
    fn new(config: Config) -> Self {
        let config = Arc::new(config);
        Self {
            fixed: Fixed::new(&config),
            snapshot: ArcSwap::from_pointee(Snapshot::new(&config)),
            table: Arc::new(ArcSwap::from_pointee(Table::new(config))),
            limiters: Arc::new(Limiters::new()),
            clients: Arc::default(),
            lifecycle: Lifecycle::default(),
            lists_wanted: Notify::new(),
            lists_seen: watch::Sender::new(false),
        }
    }

    fn reload(&self, config: Config) {
        let config = Arc::new(config);
        let waiting = self.fixed.changed(&Fixed::new(&config));
        if !waiting.is_empty() {
            tracing::warn!("in force after a restart only: {}", waiting.join(", "));
        }
        let table = Table::after(Arc::clone(&config), Some(&self.table.load()));
        let wanted: HashSet<Connection> = table.connections().cloned().collect();
        self.table.store(Arc::new(table));
        self.clients.retain(|connection| wanted.contains(connection));
        self.snapshot.store(Arc::new(Snapshot::new(&config)));
        self.limiters.retain(|scope, limits| is_configured(&config, scope, limits));
        self.lists_wanted.notify_one();
    }
}

/// Whether a limit in use is still what the configuration says.
fn is_configured(config: &Config, scope: &Scope, limits: &Limits) -> bool {
    let configured = match scope {
        Scope::Key(name) => config.keys.iter().find(|key| *key.name == **name).map(|key| key.limits),
        Scope::Model(name) => config.models.get(&**name).map(|model| model.limits),
        Scope::Provider(name) => {
            config.providers.get(&**name).map(|provider| Limits { concurrent: None, ..provider.limits })
        }
    };
    configured == Some(*limits)
}

impl Directory for House {
    fn caller(&self, presented: Option<&str>) -> Result<Arc<Caller>> {
        self.snapshot.load().keys.caller(presented)
    }

    fn models(&self, caller: &Caller) -> Vec<ModelEntry> {
        self.table.load().listed(caller).into_iter().map(entry).collect()
    }

    fn model(&self, caller: &Caller, id: &str) -> Option<ModelEntry> {
        self.table.load().listed_one(caller, id).map(entry)
    }

    fn model_limits(&self, model: &str) -> Limits {
        self.table.load().model_limits(model)
    }

    fn has_provider(&self, name: &str) -> bool {
        self.table.load().has_provider(name)
    }

    fn reach(&self, caller: &Caller, model: &str, pinned: Option<&str>, body: &[u8]) -> Vec<Reach> {
        let plan = self.table.load().plan(model, pinned, caller);
        let reach = |(provider, keeps)| Reach { provider, keeps };
        plan.map(|plan| plan.keepers(body).into_iter().map(reach).collect()).unwrap_or_default()
    }

    fn id_keys(&self, provider: &str) -> Vec<IdKey> {
        self.table.load().id_keys(provider)
    }

    fn settings(&self) -> Settings {
        self.snapshot.load().settings
    }

    fn is_ready(&self) -> bool {
        self.lifecycle.is_ready()
    }
}

impl fmt::Debug for House {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("House").field("lifecycle", &self.lifecycle).finish_non_exhaustive()
    }
}

// === impl Fixed ===

impl Fixed {
    fn new(config: &Config) -> Self {
        Self {
            listen: config.listen,
            tls: config.tls.clone(),
            drain: config.server.drain,
            max_frame: config.server.max_frame,
            max_reply: config.server.max_reply,
            store: config.store.clone(),
        }
    }

    /// The names of the values that differ in `new`, as the file spells them.
    fn changed(&self, new: &Self) -> Vec<&'static str> {
        let values = [
            ("listen", self.listen != new.listen),
            ("tls", self.tls != new.tls),
            ("server.drain", self.drain != new.drain),
            ("server.max-frame", self.max_frame != new.max_frame),
            ("server.max-reply", self.max_reply != new.max_reply),
            ("store", self.store != new.store),
        ];
        values.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect()
    }
}

// === impl Snapshot ===

impl Snapshot {
    fn new(config: &Config) -> Self {
        let caller = |key: &crate::config::KeyConfig| {
            let caller = Caller { name: key.name.as_str().into(), models: key.models.clone(), limits: key.limits };
            (key.hash, Arc::new(caller))
        };
        Self {
            keys: Keys::new(config.keys.iter().map(caller)),
            settings: Settings { body_limit: config.server.body_limit, keep_alive: config.server.keep_alive },
        }
    }
}

/// A model as the list shows it.
fn entry(listed: Listed) -> ModelEntry {
    let facts = listed.facts;
    let has = |name: &'static str, flag: Option<bool>| (flag == Some(true)).then(|| name.to_owned());
    let capabilities = facts.map_or_else(Vec::new, |facts| {
        let all = [
            has("vision", facts.vision),
            has("tools", facts.tools),
            has("reasoning", facts.reasoning),
            has("structured_output", facts.structured),
            has("embeddings", Some(facts.is_embedding())),
        ];
        all.into_iter().flatten().collect()
    });
    let prices = listed.prices;
    let pricing = prices.input.zip(prices.output).map(|(input, output)| Pricing {
        input,
        cached_input: prices.cached_input,
        cache_write: prices.cache_write,
        output,
    });
    ModelEntry {
        id: listed.id,
        created: 0,
        owned_by: listed.owned_by.to_string(),
        context_window: facts.and_then(|facts| facts.context_window),
        max_output_tokens: facts.and_then(|facts| facts.max_output_tokens),
        capabilities,
        pricing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Env, KeyConfig, Overrides},
        routing::known::known,
        telemetry::testing::Lines,
    };

    /// No file, no environment, a port of the system's choice.
    fn config() -> Config {
        let overrides = Overrides { listen: Some(([127, 0, 0, 1], 0).into()), probe_local: Some(false) };
        crate::config::load(None, &Env::of([]), &known(), &overrides).unwrap()
    }

    fn key() -> KeyConfig {
        KeyConfig { name: "ci".into(), hash: [7; 32], models: vec!["*".into()], limits: Limits::default() }
    }

    fn gateway(config: Config) -> Gateway {
        Gateway::start(config, Metrics::local().1).unwrap()
    }

    /// K1: a reload is in force at once, and what needs a restart is named, each time.
    #[tokio::test]
    async fn a_reload_names_what_needs_a_restart() {
        let gateway = gateway(config());
        let log = Lines::listen();
        gateway.reload(config()).unwrap();
        assert!(!log.text().contains("restart"), "{}", log.text());
        let mut changed = config();
        changed.server.drain = Duration::from_secs(1);
        changed.server.max_reply = 1;
        changed.server.body_limit = 77;
        gateway.reload(changed).unwrap();
        assert!(log.text().contains("server.drain, server.max-reply"), "{}", log.text());
        assert_eq!(log.text().matches("after a restart").count(), 1);
        assert_eq!(gateway.house.settings().body_limit, 77);
        gateway.shutdown().await;
    }

    /// X1: a gateway that is reachable from outside is never left without keys, although the file
    /// names a loopback address by now.
    #[tokio::test]
    async fn the_last_key_of_an_open_address_stays() {
        let open = Config { listen: ([0, 0, 0, 0], 0).into(), keys: vec![key()], ..config() };
        let gateway = gateway(open.clone());
        let refused = gateway.reload(config()).unwrap_err();
        assert!(refused.contains("0.0.0.0"), "{refused}");
        assert!(gateway.house.caller(None).is_err(), "nothing has changed");
        gateway.reload(open).unwrap();
        gateway.shutdown().await;
    }

    /// The first look is over at some time, whether somebody waits for it by then or only later.
    #[tokio::test]
    async fn the_first_look_is_never_missed() {
        let gateway = gateway(config());
        for _ in 0..2 {
            tokio::time::timeout(Duration::from_secs(10), gateway.lists_seen()).await.unwrap();
        }
        assert_eq!(gateway.models(), ["builtin/echo"]);
        gateway.shutdown().await;
    }
}
