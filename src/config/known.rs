//! What the configuration must know of the provider catalogue. The catalogue itself is a room
//! further in; it hands these facts over, so that this room depends on nothing.

use super::{CredentialKind, Setting};

/// The kinds of providers a configuration may name as `type`.
#[derive(Debug, Clone, Default)]
pub struct Known {
    pub kinds: Vec<KnownKind>,
}

/// One kind of provider.
#[derive(Debug, Clone, Default)]
pub struct KnownKind {
    /// Its name, as in `type = "openai"`.
    pub name: String,
    /// The variables its key is looked for in, the usual one first.
    pub key_env: Vec<String>,
    /// Where it lives, with places for settings (`{region}`). `None` where only the operator can
    /// know.
    pub default_base_url: Option<String>,
    /// Variables its address is looked for in, the usual one first.
    pub base_url_env: Vec<String>,
    /// Where it lives instead for some regions or locations: a name, or a start of names with a
    /// `*` behind it.
    pub placed_base_urls: Vec<(String, String)>,
    /// Whether it refuses every request without a key.
    pub needs_key: bool,
    /// A server on the operator's own machine, found by probing.
    pub local: bool,
    /// How it may be authorized, the usual way first. A key is used where there is one.
    pub credentials: Vec<CredentialKind>,
    /// The settings that mean something to it.
    pub settings: Vec<KnownSetting>,
    /// Its models are called by names of their deployments.
    pub deployments: bool,
    /// Whether it may speak OpenAI's Responses.
    pub responses: bool,
    /// Whether anything is known of a model of this kind, by the kind's name and the model's id. `None` where
    /// nobody can tell.
    pub knows: Option<fn(&str, &str) -> bool>,
}

/// One setting of a kind of provider.
#[derive(Debug, Clone)]
pub struct KnownSetting {
    pub setting: Setting,
    /// The variables it is looked for in, the usual one first.
    pub env: Vec<String>,
    pub default: Option<String>,
}

/// The provider that lives in this process and is always there.
pub const BUILTIN: &str = "builtin";

// === impl Known ===

impl Known {
    pub fn get(&self, name: &str) -> Option<&KnownKind> {
        self.kinds.iter().find(|kind| kind.name == name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.kinds.iter().map(|kind| kind.name.as_str())
    }
}

// === impl KnownKind ===

impl KnownKind {
    /// The template of its address at this region or location.
    pub(super) fn address(&self, place: Option<&str>) -> Option<&str> {
        let fits = |pattern: &str| {
            place.is_some_and(|place| match pattern.strip_suffix('*') {
                Some(start) => place.starts_with(start),
                None => place == pattern,
            })
        };
        let placed = self.placed_base_urls.iter().find(|(pattern, _)| fits(pattern)).map(|(_, address)| address);
        placed.or(self.default_base_url.as_ref()).map(String::as_str)
    }
}

/// The candidate most like `name`, when one is close enough to be meant.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let plain = |text: &str| text.to_lowercase().replace('_', "-");
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&plain(name), &plain(candidate)), candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.to_owned())
}
