//! Vertex AI: models of Google and of others behind Google's own addresses and access tokens. Which
//! wire format a request has is a matter of who made the model:
//!
//! - Google's, tuned ones included, speak the Gemini dialect;
//! - Anthropic's take Messages through `:rawPredict`, with the model in the path and the version in
//!   the body;
//! - Mistral's take OpenAI's chat format, in the same way;
//! - all others (Llama, DeepSeek, Qwen, gpt-oss ...) take it at one address for all.
//!
//! A model is named as Vertex names it, with its publisher (`meta/llama-3.3-70b-instruct-maas`) or,
//! for the three first mentioned, without (`gemini-2.5-pro`, `claude-haiku-4-5@20251001`).
//!
//! Where no project is configured, the one that came with the credentials is put into the address
//! when the request is signed; with an API key there is none at all.
//!
//! Source: "Use Claude models", "Mistral AI models", "Call MaaS APIs for open models", "Chat
//! completions" and "Authenticate" of Vertex AI's documentation, and Anthropic's page on Vertex AI
//! (read November 2026).

use std::{borrow::Cow, time::SystemTime};

use bytes::Bytes;
use http::{HeaderValue, Uri};
use memchr::memmem;
use secrecy::ExposeSecret;

use super::{
    Ask, Credential, EmbeddingOffer, Grant, Model, Provider,
    catalogue::{Catalogue, Row},
    compatible,
    gemini::leave_out,
    segment,
};
use crate::{
    call::{Dialect, ProviderSettings},
    error::{Error, Result, UpstreamError},
    wire::{
        Facts, Host, Loss, Weight,
        embeddings::Format,
        json::{Edits, Object},
    },
};

const CHAT: &str = "endpoints/openapi/chat/completions";
/// In the body, where Anthropic's own interface has a header.
const ANTHROPIC_VERSION: &str = r#""vertex-2023-10-16""#;
/// Stands for a project that the credentials will name.
const UNKNOWN_PROJECT: &str = "-";
const BETA: &str = "anthropic-beta";
/// Where a tier is asked for.
const TIER: &str = "x-vertex-ai-llm-shared-request-type";
/// The same in the body of the Gemini API, in either spelling.
const TIERS: [&str; 2] = ["serviceTier", "service_tier"];
/// Members of a request that only the Gemini API knows.
const VENDORS: &[&str] = &["store"];
/// Texts that one `predict` of the older embedding models may hold.
const PREDICT_BATCH: usize = 250;

/// The beta flags that Anthropic's models take on Vertex AI, by their names without a date. Others
/// are refused there with the whole request (rule A3).
const FLAGS: [&str; 11] = [
    "compact",
    "computer-use",
    "context-1m",
    "context-management",
    "dangerous-tool-use",
    "interleaved-thinking",
    "per-turn-control",
    "thinking-binding-controls",
    "thinking-display-updates",
    "tool-search-tool",
    "web-search",
];

#[derive(Debug, Clone, Copy)]
pub struct Vertex {
    pub row: &'static Row,
}

/// Whose model it is, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Maker<'a> {
    /// The bare id.
    Google(&'a str),
    /// The number of an endpoint, where a tuned model of Google's is.
    Tuned(&'a str),
    Anthropic(&'a str),
    Mistral(&'a str),
    Other,
}

// === impl Maker ===

impl<'a> Maker<'a> {
    fn of(model: &'a str) -> Self {
        let model = model.strip_prefix("publishers/").unwrap_or(model);
        let (publisher, id) = match model.split_once("/models/").or_else(|| model.split_once('/')) {
            Some((publisher, id)) => (Some(publisher), id),
            None => (None, model),
        };
        let is_number = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
        let starts = |starts: &[&str]| starts.iter().any(|start| id.starts_with(start));
        match publisher {
            Some("anthropic") => Self::Anthropic(id),
            Some("mistralai") => Self::Mistral(id),
            Some("google") => Self::Google(id),
            Some("endpoints") => Self::Tuned(id),
            Some(_) => Self::Other,
            None if is_number => Self::Tuned(id),
            None if starts(&["claude-"]) => Self::Anthropic(id),
            None if starts(&["mistral-", "codestral-", "ministral-"]) => Self::Mistral(id),
            None => Self::Google(id),
        }
    }
}

// === impl Vertex ===

impl Vertex {
    /// Mistral's own rules for a request, which hold for its models here.
    fn mistral(&self) -> &'static Row {
        Catalogue::embedded().ok().and_then(|catalogue| catalogue.row("mistral")).unwrap_or(self.row)
    }
}

impl Provider for Vertex {
    fn name(&self) -> &str {
        &self.row.name
    }

    /// Without the version, which differs by what is asked.
    fn root<'a>(&self, base_url: &'a str) -> &'a str {
        let root = base_url.trim_end_matches('/');
        root.strip_suffix("/v1").or_else(|| root.strip_suffix("/v1beta1")).unwrap_or(root)
    }

    fn speaks(&self, model: &str, _settings: &ProviderSettings) -> &'static [Dialect] {
        match Maker::of(model) {
            Maker::Google(_) | Maker::Tuned(_) => &[Dialect::Gemini],
            Maker::Anthropic(_) => &[Dialect::Anthropic],
            Maker::Mistral(_) | Maker::Other => &[Dialect::OpenAiChat],
        }
    }

    fn host(&self) -> Host {
        Host::Cloud
    }

    fn path(&self, ask: &Ask<'_>) -> Result<Cow<'static, str>> {
        let verb = if ask.stream { "streamRawPredict" } else { "rawPredict" };
        let own = if ask.stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
        let (version, rest) = match Maker::of(ask.model) {
            Maker::Anthropic(id) => ("v1", format!("publishers/anthropic/models/{}:{verb}", segment(id)?)),
            Maker::Mistral(id) => ("v1", format!("publishers/mistralai/models/{}:{verb}", segment(id)?)),
            Maker::Google(id) => ("v1beta1", format!("publishers/google/models/{}:{own}", segment(id)?)),
            Maker::Tuned(id) => ("v1beta1", format!("endpoints/{}:{own}", segment(id)?)),
            Maker::Other => ("v1beta1", CHAT.to_owned()),
        };
        let project = ask.settings.project.as_deref().unwrap_or(UNKNOWN_PROJECT);
        let location = ask.settings.location.as_deref().unwrap_or("global");
        Ok(format!("{version}/projects/{project}/locations/{location}/{rest}").into())
    }

    /// The address for all wants the publisher with the name; the others have it in the path.
    fn wire_model<'a>(&self, model: &'a str, _settings: &'a ProviderSettings) -> Cow<'a, str> {
        match Maker::of(model) {
            Maker::Google(id) | Maker::Tuned(id) | Maker::Anthropic(id) | Maker::Mistral(id) => id.into(),
            Maker::Other => model.into(),
        }
    }

    /// Google's models: the older ones by `predict`, the newer ones by `embedContent`.
    fn embeddings(&self, model: Model<'_>, settings: &ProviderSettings) -> Option<EmbeddingOffer> {
        let Maker::Google(id) = Maker::of(model.base) else { return None };
        let (format, verb, batch) = match () {
            () if id.starts_with("gemini-embedding-001") => (Format::VertexPredict, "predict", 1),
            () if id.starts_with("gemini-embedding") => (Format::VertexEmbed, "embedContent", 1),
            () if id.contains("embedding") => (Format::VertexPredict, "predict", PREDICT_BATCH),
            () => return None,
        };
        let dialect = Dialect::Gemini;
        let path = self.path(&Ask { dialect, model: model.id, stream: false, settings }).ok()?;
        let (resource, _) = path.rsplit_once(':')?;
        Some(EmbeddingOffer { format, path: format!("{resource}:{verb}").into(), batch })
    }

    fn models_path(&self) -> Option<&'static str> {
        None
    }

    fn sign(&self, with: Option<&Credential>, _now: SystemTime, request: &mut http::Request<Bytes>) -> Result<()> {
        match with.map(|with| &with.grant) {
            Some(Grant::Token(token)) => {
                settle_project(request, token.project.as_deref())?;
                bear(request, "authorization", &format!("Bearer {}", token.token.expose_secret()))?;
                match &token.quota_project {
                    Some(project) => bear(request, "x-goog-user-project", project),
                    None => Ok(()),
                }
            }
            Some(Grant::Key(key)) => {
                drop_project(request)?;
                bear(request, "x-goog-api-key", key.expose_secret())
            }
            Some(Grant::Aws(_)) => Err(Error::Internal { message: "Vertex AI takes no AWS credentials".into() }),
            None => settle_project(request, None),
        }
    }

    fn adjusts(&self, dialect: Dialect) -> bool {
        matches!(dialect, Dialect::Anthropic | Dialect::OpenAiChat)
    }

    fn adjust(&self, dialect: Dialect, facts: &Facts<'_>, body: &mut Edits<'_>) -> Vec<Loss> {
        match (dialect, Maker::of(facts.model)) {
            (Dialect::Anthropic, _) => {
                body.remove("model");
                body.set("anthropic_version", ANTHROPIC_VERSION);
                Vec::new()
            }
            (Dialect::OpenAiChat, Maker::Mistral(_)) => compatible::adjust(self.mistral(), facts, body),
            (Dialect::OpenAiChat, Maker::Google(_) | Maker::Tuned(_) | Maker::Anthropic(_) | Maker::Other) => {
                compatible::adjust(self.row, facts, body)
            }
            (Dialect::Gemini, _) => leave_out(VENDORS, body),
            (
                Dialect::OpenAiCompletions
                | Dialect::OpenAiResponses
                | Dialect::Ollama
                | Dialect::Cohere
                | Dialect::BedrockConverse,
                _,
            ) => Vec::new(),
        }
    }

    /// A3: of the flags a client asked for only those go on that are taken; none is added.
    fn complete(&self, dialect: Dialect, request: &mut http::Request<Bytes>) -> Result<Vec<Loss>> {
        if dialect == Dialect::Gemini {
            settle_tier(request);
        }
        if dialect != Dialect::Anthropic {
            return Ok(Vec::new());
        }
        request.headers_mut().remove("anthropic-version");
        let values = request.headers().get_all(BETA).iter().filter_map(|value| value.to_str().ok());
        let asked: Vec<String> = values
            .flat_map(|value| value.split(','))
            .map(|flag| flag.trim().to_owned())
            .filter(|flag| !flag.is_empty())
            .collect();
        let (known, unknown): (Vec<String>, Vec<String>) = asked.into_iter().partition(|flag| is_known(flag));
        request.headers_mut().remove(BETA);
        if !known.is_empty()
            && let Ok(flags) = HeaderValue::try_from(known.join(","))
        {
            request.headers_mut().insert(BETA, flags);
        }
        let loss = Loss { field: BETA.into(), weight: Weight::Hint };
        Ok(unknown.first().map(|_| loss).into_iter().collect())
    }

    fn refine(&self, error: UpstreamError) -> UpstreamError {
        compatible::refine(&self.row.errors, error)
    }
}

/// The tier a client asks for in the body, as the Gemini API has it, where Vertex AI looks for it.
fn settle_tier(request: &mut http::Request<Bytes>) {
    let Some((tier, body)) = without_tier(request.body()) else { return };
    *request.body_mut() = body;
    let tier = tier.to_ascii_lowercase();
    if matches!(tier.as_str(), "flex" | "priority")
        && let Ok(tier) = HeaderValue::from_str(&tier)
    {
        request.headers_mut().insert(TIER, tier);
    }
}

fn without_tier(body: &Bytes) -> Option<(String, Bytes)> {
    let name = TIERS.into_iter().find(|name| memmem::find(body, name.as_bytes()).is_some())?;
    let object = Object::parse(body).ok()?;
    let tier = serde_json::from_str(object.present(name)?.get()).ok()?;
    let mut edits = object.edit();
    edits.remove(name);
    Some((tier, edits.apply().into()))
}

/// `interleaved-thinking-2025-05-14` is `interleaved-thinking`.
fn is_known(flag: &str) -> bool {
    let bare = flag.len().checked_sub("-2025-05-14".len()).and_then(|end| flag.get(..end)).unwrap_or(flag);
    FLAGS.contains(&bare)
}

fn bear(request: &mut http::Request<Bytes>, name: &'static str, value: &str) -> Result<()> {
    let unusable = |_| Error::Internal { message: format!("the credential makes no `{name}` header") };
    let mut value = HeaderValue::try_from(value).map_err(unusable)?;
    value.set_sensitive(true);
    request.headers_mut().insert(name, value);
    Ok(())
}

/// Puts the credentials' project into an address that has none.
fn settle_project(request: &mut http::Request<Bytes>, project: Option<&str>) -> Result<()> {
    let unknown = format!("/projects/{UNKNOWN_PROJECT}/");
    if !request.uri().path().contains(&unknown) {
        return Ok(());
    }
    let Some(project) = project else {
        let message = "the project is not known: write `project`, or set GOOGLE_CLOUD_PROJECT";
        return Err(Error::Internal { message: message.into() });
    };
    relocate(request, &unknown, &format!("/projects/{project}/"))
}

/// An API key belongs to a project; the address of a publisher's model then names none.
fn drop_project(request: &mut http::Request<Bytes>) -> Result<()> {
    let start = format!("/projects/{UNKNOWN_PROJECT}/locations/");
    let path = request.uri().path();
    let Some((_, rest)) = path.split_once(&start) else { return Ok(()) };
    let Some((location, _)) = rest.split_once("/publishers/") else {
        let message = "an API key reaches publishers' models only: write `project`, or use access tokens";
        return Err(Error::Internal { message: message.into() });
    };
    let part = format!("{start}{location}/");
    relocate(request, &part, "/")
}

fn relocate(request: &mut http::Request<Bytes>, part: &str, by: &str) -> Result<()> {
    let moved = request.uri().to_string().replacen(part, by, 1);
    let broken = |_| Error::Internal { message: "the credentials' project makes no address".into() };
    *request.uri_mut() = moved.parse::<Uri>().map_err(broken)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::providers::{Token, provider, tests::credential};

    fn vertex() -> &'static dyn Provider {
        provider("vertex").unwrap()
    }

    fn path(model: &str, stream: bool) -> String {
        let settings = ProviderSettings {
            project: Some("team".into()),
            location: Some("us-east5".into()),
            ..ProviderSettings::default()
        };
        let dialect = vertex().speaks(model, &ProviderSettings::default())[0];
        vertex().path(&Ask { dialect, model, stream, settings: &settings }).unwrap().into_owned()
    }

    #[test]
    fn googles_models_embed() {
        let settings = ProviderSettings { project: Some("team".into()), ..ProviderSettings::default() };
        let offer = |model: &str| vertex().embeddings(model.into(), &settings);
        let old = offer("gemini-embedding-001").unwrap();
        let place = "v1beta1/projects/team/locations/global/publishers/google/models";
        assert_eq!((old.format, old.batch), (Format::VertexPredict, 1));
        assert_eq!(*old.path, format!("{place}/gemini-embedding-001:predict"));
        assert_eq!(*offer("gemini-embedding-2").unwrap().path, format!("{place}/gemini-embedding-2:embedContent"));
        assert_eq!(offer("text-embedding-005").map(|offer| offer.batch), Some(PREDICT_BATCH));
        assert_eq!((offer("gemini-2.5-pro"), offer("claude-opus-5")), (None, None));
    }

    /// R5, P2: a tier goes where Vertex AI looks for it, and every other byte stays.
    #[test]
    fn a_tier_in_the_body_becomes_a_header() {
        for (body, sent, header) in [
            (r#"{"serviceTier":"FLEX","contents":[1.0]}"#, r#"{"contents":[1.0]}"#, Some("flex")),
            (r#"{"contents":["serviceTier"]}"#, r#"{"contents":["serviceTier"]}"#, None),
            (r#"{"service_tier":"standard","contents":[]}"#, r#"{"contents":[]}"#, None),
        ] {
            let mut request = http::Request::new(Bytes::from_static(body.as_bytes()));
            assert!(vertex().complete(Dialect::Gemini, &mut request).unwrap().is_empty());
            assert_eq!(request.body(), sent);
            assert_eq!(request.headers().get(TIER).map(|tier| tier.to_str().unwrap()), header);
        }
    }

    #[test]
    fn a_models_maker_decides_dialect_and_address() {
        let place = "projects/team/locations/us-east5";
        for (model, dialect, stream, expected) in [
            (
                "claude-haiku-4-5@20251001",
                Dialect::Anthropic,
                false,
                "v1/{}/publishers/anthropic/models/claude-haiku-4-5@20251001:rawPredict",
            ),
            (
                "anthropic/claude-opus-4-8",
                Dialect::Anthropic,
                true,
                "v1/{}/publishers/anthropic/models/claude-opus-4-8:streamRawPredict",
            ),
            (
                "publishers/anthropic/models/claude-opus-4-8",
                Dialect::Anthropic,
                true,
                "v1/{}/publishers/anthropic/models/claude-opus-4-8:streamRawPredict",
            ),
            (
                "mistral-medium-3",
                Dialect::OpenAiChat,
                true,
                "v1/{}/publishers/mistralai/models/mistral-medium-3:streamRawPredict",
            ),
            (
                "gemini-2.5-pro",
                Dialect::Gemini,
                true,
                "v1beta1/{}/publishers/google/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
            ),
            ("google/gemma-3", Dialect::Gemini, false, "v1beta1/{}/publishers/google/models/gemma-3:generateContent"),
            ("4815162342", Dialect::Gemini, false, "v1beta1/{}/endpoints/4815162342:generateContent"),
            ("endpoints/4815162342", Dialect::Gemini, false, "v1beta1/{}/endpoints/4815162342:generateContent"),
            (
                "meta/llama-3.3-70b-instruct-maas",
                Dialect::OpenAiChat,
                false,
                "v1beta1/{}/endpoints/openapi/chat/completions",
            ),
        ] {
            assert_eq!(vertex().speaks(model, &ProviderSettings::default()), &[dialect], "{model}");
            assert_eq!(path(model, stream), expected.replace("{}", place), "{model}");
        }
    }

    /// X3: whatever a client calls a model, the address ends where it should.
    #[test]
    fn a_model_stays_in_its_place() {
        let path = path("claude-x/../../../other:predict?", false);
        assert!(path.ends_with("endpoints/openapi/chat/completions"), "{path}");
        let path = super::tests::path("anthropic/../../x#y", false);
        assert!(path.ends_with("/publishers/anthropic/models/..%2F..%2Fx%23y:rawPredict"), "{path}");
    }

    #[test]
    fn the_address_for_all_wants_the_publisher() {
        let settings = ProviderSettings::default();
        for (model, expected) in [
            ("google/gemini-2.5-pro", "gemini-2.5-pro"),
            ("deepseek-ai/deepseek-v3.2-maas", "deepseek-ai/deepseek-v3.2-maas"),
            ("mistralai/mistral-medium-3", "mistral-medium-3"),
        ] {
            assert_eq!(vertex().wire_model(model, &settings), expected);
        }
    }

    /// S2: the model goes, the version comes, and every other byte stays.
    #[test]
    fn a_claude_request_has_its_version_in_the_body() {
        let text = br#"{"model":"claude-opus-4-8","max_tokens":10,"stream":true,"messages":[{"role":"user","content":"\u00e9"}]}"#;
        let mut edits = Object::parse(text).unwrap().edit();
        let facts = Facts { model: "claude-opus-4-8", stream: true, ..Facts::default() };
        assert!(vertex().adjust(Dialect::Anthropic, &facts, &mut edits).is_empty());
        let expected = r#"{"max_tokens":10,"stream":true,"messages":[{"role":"user","content":"\u00e9"}],"anthropic_version":"vertex-2023-10-16"}"#;
        assert_eq!(edits.apply(), expected);
    }

    /// A3: only flags that are taken go on, the others are told, and none is added.
    #[test]
    fn beta_flags_are_filtered() {
        let mut request = http::Request::new(Bytes::new());
        request.headers_mut().insert("anthropic-version", "2023-06-01".parse().unwrap());
        request
            .headers_mut()
            .append(BETA, "interleaved-thinking-2025-05-14, prompt-caching-scope-2026-01-05".parse().unwrap());
        request.headers_mut().append(BETA, "context-1m-2025-08-07".parse().unwrap());
        let losses = vertex().complete(Dialect::Anthropic, &mut request).unwrap();
        assert_eq!(losses, [Loss { field: BETA.into(), weight: Weight::Hint }]);
        let flags: Vec<_> = request.headers().get_all(BETA).iter().collect();
        assert_eq!(flags, ["interleaved-thinking-2025-05-14,context-1m-2025-08-07"]);
        assert!(!request.headers().contains_key("anthropic-version"));
        let mut bare = http::Request::new(Bytes::new());
        assert!(vertex().complete(Dialect::Anthropic, &mut bare).unwrap().is_empty() && bare.headers().is_empty());
    }

    fn signed(model: &str, with: Option<&Credential>, project: Option<&str>) -> Result<http::Request<Bytes>> {
        let settings = ProviderSettings { project: project.map(Into::into), ..ProviderSettings::default() };
        let ask = Ask {
            dialect: vertex().speaks(model, &ProviderSettings::default())[0],
            model,
            stream: false,
            settings: &settings,
        };
        let mut request = http::Request::new(Bytes::new());
        *request.uri_mut() = format!("https://h/{}", vertex().path(&ask)?).parse().unwrap();
        vertex().sign(with, UNIX_EPOCH, &mut request)?;
        Ok(request)
    }

    #[test]
    fn the_project_comes_from_the_configuration_or_with_the_credentials() {
        let with = |project: Option<&str>, quota: Option<&str>| {
            let token =
                Token { token: "ya29".into(), project: project.map(Into::into), quota_project: quota.map(Into::into) };
            Credential { grant: Grant::Token(token), label: "t".into() }
        };
        let request = signed("gemini-2.5-pro", Some(&with(Some("own"), Some("payer"))), None).unwrap();
        assert_eq!(
            request.uri().path(),
            "/v1beta1/projects/own/locations/global/publishers/google/models/gemini-2.5-pro:generateContent"
        );
        assert_eq!(request.headers()["authorization"], "Bearer ya29");
        assert_eq!(request.headers()["x-goog-user-project"], "payer");
        let request = signed("gemini-2.5-pro", Some(&with(Some("own"), None)), Some("set")).unwrap();
        assert!(
            request.uri().path().contains("/projects/set/") && !request.headers().contains_key("x-goog-user-project")
        );
        let error = signed("gemini-2.5-pro", Some(&with(None, None)), None).unwrap_err();
        assert!(error.detail().unwrap().contains("write `project`"), "{error:?}");
    }

    #[test]
    fn a_key_needs_no_project() {
        let request = signed("claude-opus-4-8", Some(&credential("AIza")), None).unwrap();
        assert_eq!(request.uri().path(), "/v1/publishers/anthropic/models/claude-opus-4-8:rawPredict");
        assert!(signed("meta/llama-4-maas", Some(&credential("AIza")), None).is_err());
        assert_eq!(request.headers()["x-goog-api-key"], "AIza");
        assert!(request.headers()["x-goog-api-key"].is_sensitive());
    }
}
