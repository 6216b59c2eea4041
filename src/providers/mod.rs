//! Vendors: what one does differently from the dialect it speaks. Pure data and a few hooks; the
//! socket is `upstream/`, the wire format `wire/`.
//!
//! A vendor that differs only by address, key variable and flags is a row of `catalogue.toml`
//! ([`compatible::Compatible`]); a file here is for behaviour.

pub mod anthropic;
pub mod azure;
pub mod bedrock;
pub mod builtin;
pub mod catalogue;
pub mod cohere;
pub mod compatible;
pub mod gemini;
pub mod models;
pub mod ollama;
pub mod prices;
pub mod vertex;

use std::{borrow::Cow, collections::BTreeMap, fmt, sync::LazyLock, time::SystemTime};

use bytes::Bytes;
use secrecy::SecretString;

use crate::{
    call::{CredentialKind, Dialect, ProviderSettings, Setting},
    error::{Error, Result, UpstreamError},
    wire::{
        Facts, Host, Loss,
        count::CountOffer,
        embeddings,
        json::{Edits, Object},
    },
};

use self::{
    anthropic::Anthropic,
    azure::Azure,
    bedrock::{Bedrock, mantle::Mantle},
    builtin::Builtin,
    catalogue::{Catalogue, ReasoningBack, Row, RowDialect, SettingRow},
    cohere::Cohere,
    compatible::Compatible,
    gemini::Gemini,
    ollama::Ollama,
    vertex::Vertex,
};

/// Every vendor: the built-in one, then the catalogue's rows in their order.
pub static PROVIDERS: LazyLock<Vec<Box<dyn Provider>>> = LazyLock::new(|| {
    let rows = Catalogue::embedded().map_or(&[][..], |catalogue| &catalogue.rows);
    let builtin: Box<dyn Provider> = Box::new(Builtin);
    std::iter::once(builtin).chain(rows.iter().map(of_row)).collect()
});

/// A vendor. A model is told by what it is known to be; where it is called by its id, that is asked for.
pub trait Provider: Send + Sync + fmt::Debug {
    /// The catalogue's name for it (`type` in the configuration).
    fn name(&self) -> &str;
    /// The dialects it takes for this model, the preferred first. A client of one of them gets its
    /// bytes through.
    fn speaks(&self, model: &str, settings: &ProviderSettings) -> &'static [Dialect];
    /// The dialect a request written in `dialect` must be translated to after all, because the
    /// vendor takes what it asks for only there.
    fn reroute(&self, dialect: Dialect, model: &str, body: &Object<'_>) -> Option<Dialect> {
        let _ = (dialect, model, body);
        None
    }
    /// What stands before every path, given the address in the configuration.
    fn root<'a>(&self, base_url: &'a str) -> &'a str {
        base_url.trim_end_matches('/')
    }
    /// What follows the root. A model's id that goes into it is a [`segment`].
    fn path(&self, ask: &Ask<'_>) -> Result<Cow<'static, str>>;
    /// Whether it is the vendor of its dialects, or a cloud that has the vendor's models.
    fn host(&self) -> Host {
        Host::Vendor
    }
    /// Whether it refuses fields of its dialect that only other vendors have ([`Facts::is_bare`]).
    fn is_bare(&self) -> bool {
        false
    }
    /// Whether its chat completions have custom tools ([`Facts::has_custom_tools`]).
    fn has_custom_tools(&self) -> bool {
        false
    }
    /// Whether this model wants what it thought before a tool call back, as the text it said in a chat, and
    /// in which turns (rule R3). Proofs of reasoning are their dialect's own matter.
    fn reasoning_back(&self, model: &str) -> Option<ReasoningBack> {
        let _ = model;
        None
    }
    /// The name of a model in a request's body.
    fn wire_model<'a>(&self, model: &'a str, settings: &'a ProviderSettings) -> Cow<'a, str> {
        let _ = settings;
        model.into()
    }
    /// Where its list of models is, behind the root; `None` where it has none of ours.
    fn models_path(&self) -> Option<&'static str> {
        Some("models")
    }
    /// Puts the credential on a request that is otherwise complete. `None` when none is configured
    /// (local servers) or the client brings its own. `now` is for signatures that hold the time.
    fn sign(&self, with: Option<&Credential>, now: SystemTime, request: &mut http::Request<Bytes>) -> Result<()>;
    /// Whether [`Self::adjust`] has anything to say of this dialect.
    fn adjusts(&self, dialect: Dialect) -> bool {
        let _ = dialect;
        false
    }
    /// The vendor's own rules for a request body of `dialect`: renamed, clamped and refused
    /// fields. Returns what it had to leave out. Values it does not touch keep their bytes.
    fn adjust(&self, dialect: Dialect, facts: &Facts<'_>, body: &mut Edits<'_>) -> Vec<Loss> {
        let _ = (dialect, facts, body);
        Vec::new()
    }
    /// The vendor's last word on a request before it is signed: what it wants of the headers
    /// elsewhere. Returns what it had to leave out.
    fn complete(&self, dialect: Dialect, request: &mut http::Request<Bytes>) -> Result<Vec<Loss>> {
        let _ = (dialect, request);
        Ok(Vec::new())
    }
    /// How it embeds with this model; `None` where it does not.
    fn embeddings(&self, model: Model<'_>, settings: &ProviderSettings) -> Option<EmbeddingOffer> {
        let _ = (model, settings);
        None
    }
    /// The vendor's own rules for an embeddings request in OpenAI's form.
    fn adjust_embeddings(&self, body: &mut Edits<'_>) -> Vec<Loss> {
        let _ = body;
        Vec::new()
    }
    /// Where it counts a prompt's tokens for this model; `None` where it does not.
    fn counting(&self, model: Model<'_>, settings: &ProviderSettings) -> Option<CountOffer> {
        let _ = (model, settings);
        None
    }
    /// Whether it takes this flag of Anthropic's `anthropic-beta`, where it speaks that dialect.
    fn takes_beta(&self, flag: &str) -> bool {
        let _ = flag;
        true
    }
    /// Whether the answer to this request of the Responses API, which it speaks, is kept by the vendor, unless it is told not
    /// to, and found again by its id.
    fn keeps_responses(&self, body: &Object<'_>) -> bool {
        let _ = body;
        false
    }
    /// Corrects the reading of an error by the vendor's own codes.
    fn refine(&self, error: UpstreamError) -> UpstreamError {
        error
    }
}

/// How a vendor embeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingOffer {
    pub format: embeddings::Format,
    /// What follows the base URL.
    pub path: Cow<'static, str>,
    /// The most inputs one request may hold; more are sent in several.
    pub batch: usize,
}

/// A model by both its names, which are mostly the same.
#[derive(Debug, Clone, Copy)]
pub struct Model<'a> {
    /// The upstream's own id.
    pub id: &'a str,
    /// The id of the model that it is known to be.
    pub base: &'a str,
}

/// What is asked of a vendor, as far as the address of the request depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    pub dialect: Dialect,
    /// The upstream's own id.
    pub model: &'a str,
    pub stream: bool,
    pub settings: &'a ProviderSettings,
}

/// What authorizes a request.
#[derive(Debug, Clone)]
pub struct Credential {
    pub grant: Grant,
    /// How the log names it: a key's place in the provider's list, or where a token comes from.
    /// Nothing derived from the secret, not even a hash, is ever written anywhere (rule X4).
    pub label: String,
}

/// The kinds of credentials.
#[derive(Debug, Clone)]
pub enum Grant {
    /// A key that stays the same.
    Key(SecretString),
    /// An access token, fetched and soon to expire.
    Token(Token),
    /// What AWS signs with.
    Aws(AwsKeys),
}

/// An access token.
#[derive(Debug, Clone)]
pub struct Token {
    pub token: SecretString,
    /// The project its owner belongs to.
    pub project: Option<String>,
    /// The project that pays, where it is not the one that serves.
    pub quota_project: Option<String>,
}

/// A pair of AWS keys, with a session token where they are temporary.
#[derive(Debug, Clone)]
pub struct AwsKeys {
    pub access_key: String,
    pub secret_key: SecretString,
    pub session_token: Option<SecretString>,
    /// What is signed for.
    pub region: String,
}

/// What the configuration needs to know of a vendor before anything is called.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    pub name: &'static str,
    /// Variables that may hold the key, the canonical one first.
    pub key_env: &'static [String],
    /// `None` when the operator must give it. May hold places for settings (`{region}`).
    pub base_url: Option<&'static str>,
    /// Variables that may hold the address, the usual one first.
    pub base_url_env: &'static [String],
    /// Addresses for some regions or locations, where the base URL is another.
    pub placed_base_urls: Option<&'static BTreeMap<String, String>>,
    /// Whether calling it without a key is pointless.
    pub needs_key: bool,
    /// The port of a server on this machine.
    pub local_port: Option<u16>,
    /// Looked for on this machine without being configured.
    pub discover: bool,
    /// How it may be authorized, the usual way first.
    pub credentials: &'static [CredentialKind],
    /// The settings that mean something to it.
    pub settings: Option<&'static BTreeMap<Setting, SettingRow>>,
    /// Its models are called by names of their deployments.
    pub deployments: bool,
    /// The operator may say that it speaks OpenAI's Responses.
    pub responses: bool,
}

// === impl Grant ===

impl Grant {
    /// What nobody but the upstream may see.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        let (secret, second) = match self {
            Self::Key(key) => (key, None),
            Self::Token(token) => (&token.token, None),
            Self::Aws(keys) => (&keys.secret_key, keys.session_token.as_ref()),
        };
        std::iter::once(secret).chain(second)
    }
}

/// The vendor of this catalogue name.
pub fn provider(kind: &str) -> Option<&'static dyn Provider> {
    PROVIDERS.iter().find(|provider| provider.name() == kind).map(AsRef::as_ref)
}

/// An upstream's error, in band or not, as the vendor of this catalogue name means it. Any other
/// error is what it is.
pub fn refine(kind: &str, error: Error) -> Error {
    match (provider(kind), error) {
        (Some(provider), Error::Upstream(error)) => provider.refine(*error).into(),
        (_, error) => error,
    }
}

/// The embedded catalogue; an error only if the binary was built around a broken one.
pub fn catalogue() -> Result<&'static Catalogue> {
    Catalogue::embedded()
}

/// Every kind of provider a configuration may name.
pub fn known() -> Vec<Known> {
    let rows = Catalogue::embedded().map_or(&[][..], |catalogue| &catalogue.rows);
    std::iter::once(Builtin::known()).chain(rows.iter().map(Known::of)).collect()
}

fn of_row(row: &'static Row) -> Box<dyn Provider> {
    match row.dialect {
        RowDialect::OpenaiChat => Box::new(Compatible { row }),
        RowDialect::Anthropic => Box::new(Anthropic { row }),
        RowDialect::Ollama => Box::new(Ollama { row }),
        RowDialect::Gemini => Box::new(Gemini { row }),
        RowDialect::Cohere => Box::new(Cohere { row }),
        RowDialect::Azure => Box::new(Azure { row }),
        RowDialect::Vertex => Box::new(Vertex { row }),
        RowDialect::Bedrock => Box::new(Bedrock { row }),
        RowDialect::BedrockMantle => Box::new(Mantle { row }),
    }
}

// === impl Credential ===

impl Credential {
    /// The key at `place` (from 1) of a provider's list.
    pub fn new(place: usize, secret: SecretString) -> Self {
        Self { grant: Grant::Key(secret), label: format!("key {place}") }
    }

    /// What goes into a header as it is: a key or a token.
    pub fn bearer(&self) -> Result<&SecretString> {
        match &self.grant {
            Grant::Key(secret) => Ok(secret),
            Grant::Token(token) => Ok(&token.token),
            Grant::Aws(_) => Err(Error::Internal { message: format!("{} signs and is not sent", self.label) }),
        }
    }
}

/// A model's id as one segment of a path. What has a meaning in an address is escaped, so that a
/// client's words lead nowhere else (rule X3).
pub fn segment(model: &str) -> Result<Cow<'_, str>> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'@' | b':');
    if model.is_empty() || model == "." || model == ".." {
        return Err(Error::invalid("The model id makes no usable address.", "model", "invalid_value"));
    }
    if model.bytes().all(is_plain) {
        return Ok(model.into());
    }
    let escape = |byte: u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    Ok(model.bytes().map(escape).collect::<String>().into())
}

// === impl Model ===

impl<'a> From<&'a str> for Model<'a> {
    fn from(id: &'a str) -> Self {
        Self { id, base: id }
    }
}

// === impl Known ===

impl Known {
    fn of(row: &'static Row) -> Self {
        Self {
            name: &row.name,
            key_env: &row.key_env,
            base_url: row.base_url.as_deref(),
            needs_key: row.needs_key(),
            local_port: row.local.as_ref().map(|local| local.port),
            discover: row.local.as_ref().is_some_and(|local| local.discover),
            base_url_env: &row.base_url_env,
            placed_base_urls: Some(&row.base_urls),
            credentials: &row.credentials,
            settings: Some(&row.settings),
            deployments: row.deployments,
            responses: row.may_speak_responses(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::HashSet;

    use super::*;

    pub(crate) fn credential(secret: &str) -> Credential {
        Credential { grant: Grant::Key(secret.into()), label: "k".into() }
    }

    /// A question without settings.
    pub(crate) fn ask(dialect: Dialect, model: &str, stream: bool) -> Ask<'_> {
        static NONE: LazyLock<ProviderSettings> = LazyLock::new(ProviderSettings::default);
        Ask { dialect, model, stream, settings: &NONE }
    }

    /// X3: nothing that a client writes as a model leads out of its place in a path.
    #[test]
    fn a_model_is_one_segment_of_a_path() {
        for (model, expected) in [
            ("claude-haiku-4-5@20251001", "claude-haiku-4-5@20251001"),
            ("anthropic.claude:0", "anthropic.claude:0"),
            ("a/b?c#d%2e", "a%2Fb%3Fc%23d%252e"),
            ("../x", "..%2Fx"),
            ("é", "%C3%A9"),
        ] {
            assert_eq!(segment(model).unwrap(), expected);
        }
        for model in ["", ".", ".."] {
            assert!(segment(model).is_err());
        }
    }

    #[test]
    fn every_kind_has_one_provider() {
        let known = known();
        let names: HashSet<_> = known.iter().map(|known| known.name).collect();
        assert_eq!(names.len(), known.len());
        assert_eq!(PROVIDERS.len(), known.len());
        for kind in known {
            assert_eq!(provider(kind.name).unwrap().name(), kind.name);
        }
        assert!(provider("nobody").is_none());
        assert!(provider("builtin").is_some() && provider("openai-compatible").is_some());
    }

    #[test]
    fn what_a_configuration_may_leave_out_is_known() {
        let all = known();
        let of = |name: &str| all.iter().find(|known| known.name == name).unwrap();
        assert_eq!(of("openai").key_env, ["OPENAI_API_KEY"]);
        assert!(of("openai").needs_key && !of("ollama").needs_key && !of("builtin").needs_key);
        assert_eq!(of("ollama").local_port, Some(11434));
        assert_eq!(of("openai-compatible").base_url, None);
        assert!(!of("openai-compatible").needs_key);
    }

    /// The page for users shows each row, in order, and none besides.
    #[test]
    fn the_docs_table_equals_the_catalogue() {
        let page = include_str!("../../docs/providers.md");
        let code = |text: &str| format!("`{text}`");
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        let expected = catalogue().unwrap().rows.iter().map(|row| {
            let keys: Vec<String> = row.key_env.iter().map(|key| code(key)).collect();
            [
                code(&row.name),
                format!("[{}]({})", row.title, row.docs),
                or_dash((!keys.is_empty()).then(|| keys.join(", "))),
                or_dash(row.base_url.as_deref().map(code)),
                or_dash(row.local.as_ref().map(|local| local.port.to_string())),
            ]
        });
        let shown = page.lines().filter(|line| line.starts_with("| `")).map(|line| {
            let mut cells = line.split('|').skip(1).map(|cell| cell.trim().to_owned());
            std::array::from_fn(|_| cells.next().unwrap_or_default())
        });
        assert_eq!(shown.collect::<Vec<[String; 5]>>(), expected.collect::<Vec<_>>());
    }

    /// Every provider that has a row in the table of models is one of the catalogue, or comes with
    /// a dialect of its own.
    #[test]
    fn model_facts_belong_to_known_vendors() {
        let later = ["voyage"];
        let priced: HashSet<_> = include_str!("models.csv")
            .lines()
            .filter(|line| !line.starts_with('#'))
            .skip(1)
            .filter_map(|line| line.split(',').next())
            .collect();
        for name in priced {
            assert!(provider(name).is_some() || later.contains(&name), "{name}");
        }
    }
}
