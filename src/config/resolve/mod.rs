//! From the file's shape to a valid [`Config`]: the environment read, words parsed, names looked
//! up, rules between fields kept. Collects problems; the first one stops nothing.

mod context;
mod credentials;
mod keys;
mod models;
mod prices;
mod providers;
mod settings;
mod store;

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path as FilePath, PathBuf},
};

use serde::Deserialize;
use toml::de::{DeTable, Deserializer};

use self::context::Context;
use super::{
    Config, Env, Known, Overrides, Server, Source, Sources, Tls, check,
    document::{Path, Places},
    file::{self, File, inlined_schema},
    report::{Draft, Fault, Report},
};

/// The file looked for when none is named.
const DEFAULT_FILE: &str = "sluis.toml";
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7878);

/// The file to load: the one that was named, else `sluis.toml` in the working directory if there
/// is one.
pub fn find(named: Option<PathBuf>) -> Option<PathBuf> {
    named.or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists()))
}

/// Loads a configuration; without a path from the environment alone. Blocks on the disk.
///
/// # Errors
/// Every problem there is, in one [`Report`].
pub fn load(path: Option<&FilePath>, env: &Env, known: &Known, overrides: &Overrides) -> Result<Config, Report> {
    let name = path.map(|path| path.display().to_string());
    let text = match path {
        Some(path) => fs::read_to_string(path).map_err(|error| unreadable(path, &error))?,
        None => String::new(),
    };
    let (root, errors) = DeTable::parse_recoverable(&text);
    if !errors.is_empty() {
        return Err(Report::syntax(name.unwrap_or_default(), &text, &errors));
    }
    let places = Places::of(root.get_ref());
    let mut draft = Draft::default();
    let file = read(root, &mut draft);

    let dir = path.and_then(FilePath::parent).unwrap_or(FilePath::new(""));
    let mut cx = Context { env, known, dir, draft, warnings: Vec::new() };
    let config = config(&file, overrides, &mut cx);
    let Context { draft, warnings, .. } = cx;
    match config {
        Some(config) if draft.is_empty() => Ok(Config { warnings, sources: sources(name, &text, &places), ..config }),
        _ => Err(draft.finish(name, &text, &places)),
    }
}

/// The address a configuration would be served on, as far as can be told: a broken file does not
/// change it. For asking a running gateway how it is.
pub fn listen_of(path: Option<&FilePath>, env: &Env, overrides: &Overrides) -> SocketAddr {
    let text = path.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
    let (root, _) = DeTable::parse_recoverable(&text);
    let file = read(root, &mut Draft::default());
    let known = Known::default();
    let mut cx = Context { env, known: &known, dir: FilePath::new(""), draft: Draft::default(), warnings: Vec::new() };
    listen(&file, overrides, &mut cx)
}

/// Whether a configuration asks for HTTPS, as far as can be told.
pub fn serves_tls(path: Option<&FilePath>) -> bool {
    let text = path.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
    let (root, _) = DeTable::parse_recoverable(&text);
    root.get_ref().contains_key("tls")
}

fn unreadable(path: &FilePath, error: &io::Error) -> Report {
    Report::unreadable(path.display().to_string(), error.to_string())
}

/// The parsed document as a [`File`], without whatever does not fit.
fn read(mut root: toml::Spanned<DeTable<'_>>, draft: &mut Draft) -> File {
    check::check(root.get_mut(), inlined_schema().as_value(), draft);
    File::deserialize(Deserializer::from(root)).unwrap_or_else(|error| {
        // The schema lets nothing through that serde does not take; should they ever differ, it
        // is still a problem of the file and said so. The message may hold a value and is not.
        let message = "the file does not have the expected form".to_owned();
        let fix = format!("near byte {}", error.span().map_or(0, |span| span.start));
        draft.add(&Path::default(), Fault::Invalid { message, fix });
        File::default()
    })
}

fn sources(file: Option<String>, text: &str, places: &Places) -> Sources {
    let line = |at: usize| text.get(..at).map_or(0, |before| before.matches('\n').count()) + 1;
    let source = |place: &super::document::Place| Source { line: line(place.value.start), env: place.env.clone() };
    Sources { file, lines: places.iter().map(|(path, place)| (path.clone(), source(place))).collect() }
}

fn config(file: &File, overrides: &Overrides, cx: &mut Context<'_>) -> Option<Config> {
    let root = Path::default();
    let listen = listen(file, overrides, cx);
    if file.keys.is_empty() {
        keys::refuse_open_door(listen, cx);
    }
    let tls = tls(file.tls.as_ref(), cx);
    let server = server(file, cx);
    let store = store::store(&file.store, cx);
    let rules = cx.rules(&root, &file.deadlines, &file.retry);
    let headers = cx.headers(&root.key("headers"), &file.headers);
    let globals = providers::Globals { headers, limits: context::limits(&file.limits) };
    let mut providers = providers::providers(file, &globals, cx);
    let models = models::models(file, &globals, &mut providers, cx);
    let prices = prices::prices(file, &globals, &mut providers, cx);
    let keys = keys::keys(file, cx);
    Some(Config {
        listen,
        tls: tls?,
        providers: providers.ready,
        models,
        keys,
        prices,
        server,
        store,
        rules,
        probe_local: overrides.probe_local.or(file.probe_local).unwrap_or(true),
        warnings: Vec::new(),
        sources: Sources::default(),
    })
}

fn listen(file: &File, overrides: &Overrides, cx: &mut Context<'_>) -> SocketAddr {
    let path = Path::default().key("listen");
    let read = |text: &str| text.replace("localhost:", "127.0.0.1:").parse().ok();
    let fix = "write an address and a port, like `127.0.0.1:7878`";
    let written = cx.parsed(&path, file.listen.as_ref(), "not an address to listen on", fix, read);
    overrides.listen.or(written).unwrap_or(DEFAULT_LISTEN)
}

/// `Some(None)` without TLS, `None` when it is half configured.
fn tls(tls: Option<&file::Tls>, cx: &mut Context<'_>) -> Option<Option<Tls>> {
    let Some(tls) = tls else { return Some(None) };
    let path = Path::default().key("tls");
    let mut pem = |field: &'static str, value: Option<&super::value::Text>| match value {
        Some(text) => cx.text(&path.key(field), text).map(|name| cx.file(&name)),
        None => {
            let fix = "TLS needs both `cert` and `key`, each a PEM file".to_owned();
            cx.draft.add_unless_known(&path.key(field), Fault::Missing { field, fix });
            None
        }
    };
    let (cert, key) = (pem("cert", tls.cert.as_ref()), pem("key", tls.key.as_ref()));
    Some(Some(Tls { cert: cert?, key: key? }))
}

fn server(file: &File, cx: &mut Context<'_>) -> Server {
    let default = Server::default();
    let path = Path::default().key("server");
    let interval = Path::default().key("keep-alive").key("interval");
    let set = &file.server;
    Server {
        body_limit: cx.size(&path.key("body-limit"), set.body_limit.as_ref()).unwrap_or(default.body_limit),
        keep_alive: cx.duration(&interval, file.keep_alive.interval.as_ref()).unwrap_or(default.keep_alive),
        drain: cx.duration(&path.key("drain"), set.drain.as_ref()).unwrap_or(default.drain),
        max_frame: cx.size(&path.key("max-frame"), set.max_frame.as_ref()).unwrap_or(default.max_frame),
        max_reply: cx.size(&path.key("max-reply"), set.max_reply.as_ref()).unwrap_or(default.max_reply),
    }
}
