//! `sluis serve`: the process's life from its arguments to its exit code.

use std::{
    io::{self, Write},
    time::Duration,
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};

use crate::{
    app::Gateway,
    cli::{LogFormat, Outcome, Place, Probed, ServeOptions},
    config::{self, Config, ProviderConfig, Watch},
    routing::{carried, discovery, known::known, table::Upstream},
    telemetry::{self, Format, Metrics},
    upstream::transport::Clients,
};

/// How long the banner waits for the servers on this machine to say what they have; calls are
/// answered meanwhile.
const BANNER_PATIENCE: Duration = Duration::from_millis(150);
/// Models named in the banner.
const BANNER_MODELS: usize = 8;

/// Serves until SIGTERM or SIGINT, then drains. A second signal ends the process at once.
pub async fn serve(options: ServeOptions) -> io::Result<Outcome> {
    let mut signals = Signals::new()?;
    // Without a file there is nothing to watch.
    let watch = options.place.path.clone().map(Watch::new);
    let format = match options.log_format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    };
    let logs = telemetry::log_to_stderr(Some(&options.log), format).map_err(io::Error::other)?;
    let metrics = Metrics::install(Some(logs.dropped())).map_err(io::Error::other)?;
    let config = match load(&options.place) {
        Ok(config) => config,
        Err(report) => {
            write!(io::stderr(), "{report}")?;
            return Ok(Outcome::Ill);
        }
    };
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let (needs_key, is_tls) = (!config.keys.is_empty(), config.tls.is_some());
    let gateway = match Gateway::start(config, metrics) {
        Ok(gateway) => gateway,
        Err(message) => {
            writeln!(io::stderr(), "sluis: {message}")?;
            return Ok(Outcome::Ill);
        }
    };
    let _ = tokio::time::timeout(BANNER_PATIENCE, gateway.lists_seen()).await;
    // Whoever started it may have closed the pipe; that is no reason not to serve.
    if let Err(error) = banner(&gateway, needs_key, is_tls, &mut io::stdout()) {
        tracing::warn!(%error, "the banner could not be written");
    }
    tend(&gateway, &options.place, watch, &mut signals).await;
    let outcome = tokio::select! {
        () = gateway.shutdown() => Outcome::Well,
        () = signals.next() => Outcome::Ill,
    };
    tracing::info!("stopped");
    drop(logs);
    Ok(outcome)
}

/// Reloads on change until a signal to stop comes.
async fn tend(gateway: &Gateway, place: &Place, watch: Option<Watch>, signals: &mut Signals) {
    let mut stop = std::pin::pin!(signals.next());
    let (changed, mut changes) = mpsc::channel(1);
    // The pending future keeps the loop the same.
    let watching = async {
        match watch {
            Some(watch) => watch.run(changed).await,
            None => std::future::pending().await,
        }
    };
    let mut watching = std::pin::pin!(watching);
    loop {
        tokio::select! {
            () = &mut stop => return,
            () = &mut watching => return,
            Some(()) = changes.recv() => reload(gateway, place),
        }
    }
}

/// A valid file is live at once; a broken one changes nothing and says so (rule K1).
fn reload(gateway: &Gateway, place: &Place) {
    let reloaded = match load(place) {
        Ok(config) => {
            for warning in &config.warnings {
                tracing::warn!("{warning}");
            }
            gateway.reload(config)
        }
        Err(report) => Err(report.to_string()),
    };
    telemetry::reloaded(reloaded.is_ok());
    match reloaded {
        Ok(()) => tracing::info!("configuration reloaded"),
        Err(why) => tracing::error!("the configuration has not been reloaded; the old one stays in force\n{why}"),
    }
}

fn load(place: &Place) -> Result<Config, config::Report> {
    config::load(place.path.as_deref(), &place.env, &known(), &place.overrides)
}

/// SIGTERM and SIGINT. Made before the first call is answered: until then the system's own answer
/// to them is to kill, and whoever was told that we are ready may send one at once.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for either.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// What a newcomer needs: where it is, whether a key is needed, what is there, and a line to paste.
fn banner(gateway: &Gateway, needs_key: bool, is_tls: bool, out: &mut dyn Write) -> io::Result<()> {
    let scheme = if is_tls { "https" } else { "http" };
    let base = format!("{scheme}://{}/v1", gateway.address());
    let models = gateway.models();
    let shown = models.iter().take(BANNER_MODELS).cloned().collect::<Vec<_>>().join(", ");
    let more = models.len().saturating_sub(BANNER_MODELS);
    let more = if more == 0 { String::new() } else { format!(" and {more} more (GET {base}/models)") };
    let key = if needs_key { " -H \"authorization: Bearer $SLUIS_KEY\"" } else { "" };
    writeln!(out, "sluis {} is listening.", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "  base URL  {base}")?;
    let whose = if needs_key { "needed, one of [keys]; put it into SLUIS_KEY" } else { "none needed on this machine" };
    writeln!(out, "  key       {whose}")?;
    writeln!(out, "  models    {shown}{more}")?;
    writeln!(out, "  try it:")?;
    writeln!(
        out,
        "curl -s {base}/chat/completions{key} -H 'content-type: application/json' \
         -d '{{\"model\":\"builtin/echo\",\"messages\":[{{\"role\":\"user\",\"content\":\"Hello!\"}}]}}'"
    )?;
    out.flush()
}

/// What becomes of each field of a chat completion at a target, for `sluis check --explain`.
pub fn carried(config: &Config, name: &str) -> Vec<(&'static str, &'static str)> {
    let fates = carried::carried(config, name).unwrap_or_default();
    fates.into_iter().map(|(field, fate)| (field, fate.name())).collect()
}

/// Asks a provider for its list of models, for `sluis check --probe`.
pub async fn probe(config: &Config, provider: &ProviderConfig) -> Result<Probed, String> {
    let upstream = Upstream::new(provider.clone().into(), false, config).ok_or("its type is not known")?;
    let began = std::time::Instant::now();
    let clients = Clients::default();
    let models = if upstream.provider.models_path().is_some() {
        let list = discovery::list(&upstream, &clients).await.map_err(|error| error.to_string())?;
        Some(list.len())
    } else {
        discovery::reach(&upstream, &clients).await?;
        None
    };
    Ok(Probed { models, took: began.elapsed() })
}
