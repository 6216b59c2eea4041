//! `[providers]`, and the providers that a key variable in the environment enables by itself.

use std::{collections::BTreeMap, sync::Arc};

use http::{HeaderName, HeaderValue, Uri};
use secrecy::SecretString;

use super::{
    context::{Context, limits},
    credentials,
    settings::{self, Settled, settings},
};
use crate::config::{
    BUILTIN, Credentials, Known, KnownKind, Limits, ProviderConfig, ProviderSettings, Rules, Setting,
    document::Path,
    file::{self, File},
    known::nearest,
    report::Fault,
};

/// What a provider has when it sets nothing else.
pub(super) struct Globals {
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) limits: Limits,
}

/// The providers there are.
pub(super) struct Providers {
    pub(super) ready: BTreeMap<String, Arc<ProviderConfig>>,
    /// Every name that may be pointed to, including those of providers with problems, which must
    /// not be reported a second time.
    pub(super) names: Vec<String>,
}

/// First segments of paths that are the gateway's own; a provider's pinned routes begin with its
/// name.
const RESERVED: &[&str] = &["v1", "admin", "ui", "healthz", "readyz", "metrics"];

pub(super) fn providers(file: &File, globals: &Globals, cx: &mut Context<'_>) -> Providers {
    let mut all = Providers { ready: BTreeMap::new(), names: vec![BUILTIN.into()] };
    for (name, section) in &file.providers {
        all.names.push(name.clone());
        if let Some(provider) = provider(name, section, globals, cx) {
            all.ready.insert(name.clone(), Arc::new(provider));
        }
    }
    if file.discover.unwrap_or(true) {
        discover(file, globals, &mut all, cx);
    }
    all
}

/// Enables every known provider whose key variable is set, unless the file already has one of
/// that name or type: two ways to one upstream would make its model names ambiguous.
fn discover(file: &File, globals: &Globals, all: &mut Providers, cx: &mut Context<'_>) {
    let known = cx.known;
    for kind in &known.kinds {
        let configured =
            file.providers.contains_key(&kind.name) || all.ready.values().any(|provider| provider.kind == kind.name);
        let Some((variable, key)) = key_variable(kind, cx).filter(|_| !configured) else { continue };
        let Settled { settings, origins } = settings::standing(kind, cx);
        let address = match settings::address(kind, &settings, cx) {
            Some(Ok(address)) => address,
            lacking => {
                cx.warnings.push(without_address(kind, &variable, lacking.and_then(Result::err)));
                continue;
            }
        };
        let provider = ProviderConfig {
            base_url: Some(address),
            api_keys: vec![key],
            settings,
            origins,
            discovered: Some(variable),
            ..plain(kind, globals)
        };
        all.names.push(kind.name.clone());
        all.ready.insert(kind.name.clone(), Arc::new(provider));
    }
}

/// Why a key alone enables nothing.
fn without_address(kind: &KnownKind, variable: &str, lacking: Option<Setting>) -> String {
    let name = &kind.name;
    match lacking {
        Some(setting) => format!(
            "{variable} is set, but `{name}` needs `{}` too: {} in [providers.{name}]",
            setting.name(),
            settings::remedy(setting, kind)
        ),
        None => format!("{variable} is set, but `{name}` needs an address too: [providers.{name}] base-url"),
    }
}

/// A provider of this kind as the catalogue has it.
pub(super) fn plain(kind: &KnownKind, globals: &Globals) -> ProviderConfig {
    ProviderConfig {
        name: kind.name.clone(),
        kind: kind.name.clone(),
        base_url: kind.default_base_url.clone(),
        api_keys: Vec::new(),
        credentials: Credentials::default(),
        settings: ProviderSettings::default(),
        origins: BTreeMap::new(),
        headers: globals.headers.clone(),
        limits: globals.limits,
        http2: false,
        ca_file: None,
        think_tags: false,
        models: Vec::new(),
        rules: Rules::default(),
        discovered: None,
    }
}

fn provider(name: &str, set: &file::Provider, globals: &Globals, cx: &mut Context<'_>) -> Option<ProviderConfig> {
    let path = Path::default().key("providers").key(name);
    check_name(name, &path, cx);
    let kind = kind(name, set, &path, cx);
    let written_url = base_url(set, &path, cx);
    let own_headers = cx.headers(&path.key("headers"), &set.headers);
    let rules = cx.rules(&path, &set.deadlines, &set.retry);
    let ca_file = set.ca_file.as_ref().and_then(|text| cx.text(&path.key("ca-file"), text));
    let models = set.models.iter().enumerate();
    let models = models.filter_map(|(at, text)| cx.text(&path.key("models").item(at), text)).collect();
    let kind = kind?;
    let chosen = credentials::chosen(set, kind, &path, cx);
    let api_keys = match &chosen {
        None | Some(Credentials::Keys) => api_keys(set, kind, &path, cx),
        Some(_) => Vec::new(),
    };
    let mut credentials = credentials::decide(chosen, &api_keys, set, kind, &path, cx);
    let Settled { settings, origins } = settings(set, kind, &path, cx);
    if let Credentials::Aws(aws) = &mut credentials {
        match &settings.region {
            Some(region) => aws.region.clone_from(region),
            None => settings::missing(Setting::Region, kind, &path, cx),
        }
    }
    let base_url = match set.base_url {
        Some(_) => written_url,
        None => standing_url(kind, &settings, &path, cx),
    };
    Some(ProviderConfig {
        name: name.to_owned(),
        base_url,
        api_keys,
        credentials,
        settings,
        origins,
        headers: merged(&globals.headers, &own_headers),
        limits: nearest_limits(globals.limits, limits(&set.limits)),
        http2: set.http2.unwrap_or(false),
        ca_file: ca_file.map(|name| cx.file(&name)),
        think_tags: set.think_tags.unwrap_or(false),
        models,
        rules,
        ..plain(kind, globals)
    })
}

/// The catalogue's address, for a section that names none.
fn standing_url(kind: &KnownKind, settings: &ProviderSettings, path: &Path, cx: &mut Context<'_>) -> Option<String> {
    match settings::address(kind, settings, cx) {
        Some(Ok(address)) => return Some(address),
        Some(Err(setting)) => settings::missing(setting, kind, path, cx),
        None if kind.name == BUILTIN => {}
        None => {
            let fix = "say where the server is, like `base-url = \"http://127.0.0.1:8000/v1\"`".to_owned();
            cx.draft.add_unless_known(&path.key("base-url"), Fault::Missing { field: "base-url", fix });
        }
    }
    None
}

fn check_name(name: &str, path: &Path, cx: &mut Context<'_>) {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || !name.chars().all(plain) {
        cx.invalid(path, "not a provider name", "use letters, digits, `-`, `_` and `.`: it is a part of paths");
    } else if name == BUILTIN || RESERVED.contains(&name) {
        cx.invalid(path, format!("the name `{name}` is the gateway's own"), "choose another name");
    }
}

fn kind<'a>(name: &str, set: &file::Provider, path: &Path, cx: &mut Context<'a>) -> Option<&'a KnownKind> {
    let known: &'a Known = cx.known;
    let field = path.key("type");
    let written = match &set.kind {
        Some(text) => Some(cx.text(&field, text)?),
        None => None,
    };
    let wanted = written.as_deref().unwrap_or(name);
    let found = known.get(wanted);
    if found.is_none() {
        let nearest = nearest(wanted, known.names());
        let fix = "say what it is with `type`; `openai-compatible` fits most servers".to_owned();
        let fault = match (&written, &nearest) {
            (None, None) => Fault::Missing { field: "type", fix },
            _ => Fault::UnknownName { what: "provider type", name: wanted.to_owned(), nearest, fix },
        };
        cx.draft.add_unless_known(&field, fault);
    }
    found
}

fn base_url(set: &file::Provider, path: &Path, cx: &mut Context<'_>) -> Option<String> {
    let fix = "write scheme, host and path without a user, query or fragment, like `https://host/v1`";
    cx.parsed(&path.key("base-url"), set.base_url.as_ref(), "not a usable address", fix, parse_base_url)
}

pub(super) fn parse_base_url(text: &str) -> Option<String> {
    let uri: Uri = text.parse().ok()?;
    let authority = uri.authority().filter(|authority| !authority.host().is_empty())?;
    let fits = matches!(uri.scheme_str(), Some("http" | "https"))
        && !authority.as_str().contains('@')
        && uri.query().is_none()
        && !text.contains('#');
    fits.then(|| text.trim_end_matches('/').to_owned())
}

fn api_keys(set: &file::Provider, kind: &KnownKind, path: &Path, cx: &mut Context<'_>) -> Vec<SecretString> {
    let path = path.key("api-key");
    let Some(keys) = &set.api_key else {
        return standing_key(set, kind, &path, cx);
    };
    let listed = matches!(keys, crate::config::value::OneOrMany::Many(_));
    let place = |at: usize| if listed { path.item(at) } else { path.clone() };
    let found: Vec<SecretString> =
        keys.as_slice().iter().enumerate().filter_map(|(at, key)| cx.kept_secret(&place(at), key)).collect();
    if keys.as_slice().is_empty() && kind.needs_key {
        cx.invalid(&path, "the list of keys is empty", "give at least one key, or leave `api-key` out");
    }
    found
}

/// The key in the catalogue's variable, for a section that names none. It goes to the catalogue's
/// own address only: a key is not sent to wherever `base-url` happens to point.
fn standing_key(set: &file::Provider, kind: &KnownKind, path: &Path, cx: &mut Context<'_>) -> Vec<SecretString> {
    // An address that is the operator's own in any case may as well be written out.
    let is_fixed = kind.default_base_url.as_ref().is_some_and(|address| !address.contains("{resource}"));
    let own_address = set.base_url.is_none() || !is_fixed;
    if let Some((_, key)) = key_variable(kind, cx).filter(|_| own_address) {
        return vec![key];
    }
    if kind.needs_key {
        let fix = match kind.key_env.first().filter(|_| own_address) {
            Some(variable) => format!("set {variable}, or write `api-key = {{ env = \"NAME\" }}`"),
            None => "write `api-key = { env = \"NAME\" }`".to_owned(),
        };
        cx.draft.add_unless_known(path, Fault::Missing { field: "api-key", fix });
    }
    Vec::new()
}

fn key_variable(kind: &KnownKind, cx: &Context<'_>) -> Option<(String, SecretString)> {
    let value = |name: &String| cx.env.get(name).map(|key| (name.clone(), key.trim().into()));
    kind.key_env.iter().find_map(value)
}

/// Both, the near ones winning by name.
fn merged(far: &[(HeaderName, HeaderValue)], near: &[(HeaderName, HeaderValue)]) -> Vec<(HeaderName, HeaderValue)> {
    let kept = far.iter().filter(|(name, _)| near.iter().all(|(own, _)| own != name)).cloned();
    kept.chain(near.iter().cloned()).collect()
}

fn nearest_limits(far: Limits, near: Limits) -> Limits {
    Limits {
        requests_per_minute: near.requests_per_minute.or(far.requests_per_minute),
        tokens_per_minute: near.tokens_per_minute.or(far.tokens_per_minute),
        concurrent: near.concurrent.or(far.concurrent),
    }
}
