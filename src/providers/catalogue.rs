//! The vendors that differ only by address, key variable and flags: `catalogue.toml`, read once.
//!
//! A row is data; what its flags do to a request is `compatible`. The text is part of the binary,
//! and a test reads it, so the error of [`Catalogue::embedded`] never reaches a user.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;

use crate::{
    call::{CredentialKind, Dialect, ProviderSettings, Setting, fits},
    error::{Class, Error, Result},
    wire::json::Object,
};

static EMBEDDED: LazyLock<Result<Catalogue, String>> =
    LazyLock::new(|| Catalogue::parse(include_str!("catalogue.toml")));

/// Servers such as vLLM have OpenAI's types of input but few of its tools, and keep nothing that one could
/// count on (protocol sources of vLLM, SGLang and llama.cpp, 2026).
static UNKNOWN: LazyLock<Responses> = LazyLock::new(|| Responses {
    lacks: ["custom", "namespace"].map(Into::into).into(),
    ids: true,
    ..Responses::default()
});

/// All vendors known by name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    #[serde(rename = "row")]
    pub rows: Vec<Row>,
}

/// One vendor.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Row {
    /// What `type` in the configuration calls it, and the default name of a provider of it.
    pub name: String,
    /// How the vendor writes itself.
    pub title: String,
    /// Where the vendor documents its interface.
    pub docs: String,
    /// Everything before `/chat/completions`. `None` when only the operator can know it. May hold
    /// places for settings (`{region}`).
    pub base_url: Option<String>,
    /// Variables that may hold the address, the usual one first.
    #[serde(default)]
    pub base_url_env: Vec<String>,
    /// The address for some regions or locations, where it is another: a name, or a start of names
    /// with a `*` behind it.
    #[serde(default)]
    pub base_urls: BTreeMap<String, String>,
    /// Variables that may hold the key, the canonical one first.
    #[serde(default)]
    pub key_env: Vec<String>,
    #[serde(default)]
    pub auth: Auth,
    /// How it may be authorized, the usual way first. A key is used where there is one.
    #[serde(default = "key_only")]
    pub credentials: Vec<CredentialKind>,
    /// The settings that mean something to it.
    #[serde(default)]
    pub settings: BTreeMap<Setting, SettingRow>,
    /// Its models are called by names of their deployments.
    #[serde(default)]
    pub deployments: bool,
    /// What follows the base URL for chat completions, where that is not `chat/completions`.
    pub chat_path: Option<String>,
    /// Where it listens when it runs on this machine.
    pub local: Option<Local>,
    #[serde(default)]
    pub dialect: RowDialect,
    /// It has OpenAI's legacy completions.
    pub completions: Option<Completions>,
    /// It speaks OpenAI's Responses as well.
    pub responses: Option<Responses>,
    /// What it does differently in a request.
    #[serde(default)]
    pub quirks: Quirks,
    /// What it does differently with embeddings.
    #[serde(default)]
    pub embeddings: EmbeddingQuirks,
    /// What holds for some of its models only.
    #[serde(default)]
    pub models: Vec<ModelQuirks>,
    /// What its errors mean, where that is not what their status says. The first that fits wins.
    #[serde(default)]
    pub errors: Vec<ErrorRule>,
}

/// Where a setting comes from that the operator does not write.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct SettingRow {
    /// Variables that may hold it, the usual one first.
    pub env: Vec<String>,
    pub default: Option<String>,
}

/// How the key travels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Auth {
    #[default]
    Bearer,
    XApiKey,
    /// Azure's header.
    ApiKey,
    /// Google's header.
    XGoogApiKey,
    None,
}

/// A server on the operator's own machine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Local {
    pub port: u16,
    /// A path that answers 200 when it is up, from the root of the host; calls no model (rule K6).
    pub probe: String,
    /// Looked for at the start, without being configured.
    #[serde(default)]
    pub discover: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowDialect {
    #[default]
    OpenaiChat,
    Anthropic,
    Ollama,
    Gemini,
    Cohere,
    /// OpenAI's two, at Azure's addresses.
    Azure,
    /// By the maker of each model.
    Vertex,
    /// Converse, and InvokeModel for Claude.
    Bedrock,
    /// By the model's vendor.
    BedrockMantle,
}

/// A vendor's legacy completions, which every model of its has unless some are named.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Completions {
    /// What follows the base URL, where that is not `completions`.
    pub path: Option<String>,
    /// The models that have them, and nothing else. Patterns of ids, as in [`ModelQuirks`].
    pub only: Vec<String>,
}

/// Which of a vendor's models are reached in which of OpenAI's two dialects. Patterns of ids, as in
/// [`ModelQuirks`].
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Responses {
    /// It keeps answers, unless told not to, and finds them again by their ids.
    pub keeps: bool,
    /// It makes answers in the background.
    pub background: bool,
    /// It counts the tokens of a request (`responses/input_tokens`).
    pub counts: bool,
    /// The types of tools that a chat can carry and this vendor's Responses cannot: a request with one is
    /// put as a chat.
    pub lacks: Vec<String>,
    /// Top-level fields it refuses.
    pub drop: Vec<String>,
    /// It wants an id on everything that a model has said before.
    pub ids: bool,
    /// Models that know no chat completions.
    pub only: Vec<String>,
    /// Models that take tools in Responses only.
    pub tools: Vec<String>,
    /// Models that take tools in chat completions only while they do not reason.
    pub tools_with_reasoning: Vec<String>,
}

/// A vendor's departures from OpenAI's request. The default is none.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Quirks {
    pub max_tokens: MaxTokens,
    /// Top-level fields it refuses.
    pub drop: Vec<String>,
    /// Top-level fields it knows by another name.
    pub rename: BTreeMap<String, String>,
    /// Top-level numbers it takes only within bounds, as `[least, most]`.
    pub clamp: BTreeMap<String, [f64; 2]>,
    /// Strings it spells another way: field, then OpenAI's word, then the vendor's.
    pub values: BTreeMap<String, BTreeMap<String, String>>,
    /// How reasoning is switched off; the word `none` is sent on when not given.
    pub effort_off: EffortOff,
    /// The forms of `tool_choice` it takes; all when empty.
    pub tool_choice: Vec<Choice>,
    /// It refuses fields that only other vendors have (`cache_control`, `top_k`, reasoning), so a
    /// translated request goes without, and any request without what was told of other models' turns.
    pub bare: bool,
    /// It has custom tools; others are given a function for each.
    pub custom_tools: bool,
    /// It understands the role `developer`; otherwise it is told `system`.
    pub developer: bool,
    /// It refuses `name` in a message.
    pub strip_name: bool,
    /// It refuses `strict` in a function tool.
    pub strip_strict: bool,
    /// It wants a string where all parts of a content are text.
    pub flat_content: bool,
    pub order: Order,
    /// It wants `stop` as an array even for one text.
    pub stop_array: bool,
    /// The most texts `stop` may hold.
    pub stop_max: Option<usize>,
    pub json_schema: JsonSchema,
    /// It has no JSON mode but takes a schema, so JSON mode becomes the schema of any object.
    pub json_object_as_schema: bool,
    /// Its `logprobs` is the number of alternatives.
    pub logprobs_number: bool,
    pub tool_ids: ToolIds,
    pub stream_usage: StreamUsage,
}

/// A vendor's departures from OpenAI's embeddings. The default is none.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct EmbeddingQuirks {
    /// It makes none.
    pub none: bool,
    /// The most inputs of one request.
    pub batch: Option<usize>,
    /// Fields it refuses.
    pub drop: Vec<String>,
    /// Fields it knows by another name.
    pub rename: BTreeMap<String, String>,
    /// Words it wants where the client says nothing.
    pub default: BTreeMap<String, String>,
}

/// Which of the two names of the output limit it takes (rule A6).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum MaxTokens {
    #[default]
    #[serde(rename = "either")]
    Either,
    #[serde(rename = "max_tokens")]
    Old,
    #[serde(rename = "max_completion_tokens")]
    New,
    /// OpenAI: its reasoning models refuse the old name.
    #[serde(rename = "by-model")]
    ByModel,
}

/// What stands for `reasoning_effort: "none"`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EffortOff {
    /// The word itself.
    #[default]
    Word,
    /// `thinking: {"type":"disabled"}`
    Thinking,
    /// `enable_thinking: false`
    EnableThinking,
    /// `reasoning: {"enabled":false}`
    Reasoning,
    /// Nothing does: these models always think.
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    Auto,
    None,
    Required,
    /// An object that names a tool.
    Named,
}

/// Which orders of messages it takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    #[default]
    Any,
    /// One system message, first.
    SystemFirst,
    /// One system message, first; then user and assistant in turns.
    Alternating,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JsonSchema {
    #[default]
    Native,
    /// Only JSON mode: the schema goes into the prompt.
    Prompt,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToolIds {
    #[default]
    Any,
    /// Exactly nine letters or digits.
    Nine,
}

/// How a stream's token counts are had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StreamUsage {
    /// With `stream_options.include_usage`.
    #[default]
    Ask,
    /// They always come.
    Implicit,
    /// They always come, and `stream_options` is refused.
    Refused,
}

/// What holds for models whose id fits a pattern (`*` at either end or both).
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ModelQuirks {
    pub names: Vec<String>,
    pub except: Vec<String>,
    pub drop: Vec<String>,
    pub values: BTreeMap<String, BTreeMap<String, String>>,
    pub effort_off: Option<EffortOff>,
    pub tool_choice: Vec<Choice>,
    /// What it wants of `reasoning_content` in turns of its own that called tools.
    pub reasoning_back: Option<ReasoningBack>,
}

/// Whether the reasoning that led to a tool call must come back (rule R3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReasoningBack {
    /// It makes better answers with it, and does without.
    WhereKnown,
    /// It refuses a call without any: where none is known an empty text stands for it.
    WithCalls,
    /// So it does an answer without any, in a conversation that called tools, and wants what led to it
    /// from the calls before on.
    Throughout,
}

/// One meaning of an error. All conditions that are given must hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ErrorRule {
    pub status: Option<u16>,
    #[serde(default)]
    pub codes: Vec<String>,
    #[serde(default)]
    pub types: Vec<String>,
    /// Lower-case texts, one of which the message holds in any case.
    #[serde(default)]
    pub says: Vec<String>,
    pub class: Class,
}

// === impl Catalogue ===

impl Catalogue {
    /// The catalogue in the binary.
    pub fn embedded() -> Result<&'static Self> {
        EMBEDDED
            .as_ref()
            .map_err(|error| Error::Internal { message: format!("The catalogue of providers is broken: {error}") })
    }

    pub fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }
}

// === impl Row ===

impl Row {
    /// What it speaks for this model, the preferred first.
    pub fn dialects(&self, model: &str, settings: &ProviderSettings) -> &'static [Dialect] {
        match self.dialect {
            RowDialect::OpenaiChat | RowDialect::Azure | RowDialect::Vertex => self.openais(model, settings),
            RowDialect::Anthropic => &[Dialect::Anthropic],
            RowDialect::Ollama => &[Dialect::Ollama],
            RowDialect::Gemini => &[Dialect::Gemini],
            RowDialect::Cohere => &[Dialect::Cohere],
            RowDialect::Bedrock => &[Dialect::BedrockConverse],
            RowDialect::BedrockMantle => &[Dialect::OpenAiChat],
        }
    }

    /// Which of OpenAI's.
    fn openais(&self, model: &str, settings: &ProviderSettings) -> &'static [Dialect] {
        use Dialect::{OpenAiChat, OpenAiCompletions, OpenAiResponses};
        let completions = self.completions.as_ref();
        if completions.is_some_and(|completions| any_fits(&completions.only, model)) {
            return &[OpenAiCompletions];
        }
        let has_responses = settings.responses.as_ref().map_or(self.responses.is_some(), |chosen| chosen.has(model));
        if has_responses && self.responses.as_ref().is_some_and(|responses| any_fits(&responses.only, model)) {
            return &[OpenAiResponses];
        }
        let has_completions = completions.is_some_and(|completions| completions.only.is_empty());
        match (has_responses, has_completions) {
            (false, false) => &[OpenAiChat],
            (true, false) => &[OpenAiChat, OpenAiResponses],
            (false, true) => &[OpenAiChat, OpenAiCompletions],
            (true, true) => &[OpenAiChat, OpenAiResponses, OpenAiCompletions],
        }
    }

    /// What it takes of a Responses request: its own rules, or those of a server that the operator alone knows
    /// to speak them.
    pub fn responses(&self) -> &Responses {
        self.responses.as_ref().unwrap_or(&UNKNOWN)
    }

    /// Whether the operator may say that it speaks Responses, or does not.
    pub fn may_speak_responses(&self) -> bool {
        match self.dialect {
            RowDialect::OpenaiChat | RowDialect::Azure | RowDialect::BedrockMantle => true,
            RowDialect::Anthropic
            | RowDialect::Ollama
            | RowDialect::Gemini
            | RowDialect::Cohere
            | RowDialect::Vertex
            | RowDialect::Bedrock => false,
        }
    }

    /// What follows the base URL for legacy completions.
    pub fn completions_path(&self) -> &str {
        self.completions.as_ref().and_then(|completions| completions.path.as_deref()).unwrap_or("completions")
    }

    /// Whether calling it without a key is pointless.
    pub fn needs_key(&self) -> bool {
        self.auth != Auth::None
            && self.base_url.is_some()
            && self.local.is_none()
            && self.credentials == [CredentialKind::Key]
    }

    /// What holds for this model beyond the row's own quirks.
    pub fn model_quirks<'a>(&'a self, model: &'a str) -> impl Iterator<Item = &'a ModelQuirks> {
        self.models.iter().filter(move |quirks| quirks.fits(model))
    }
}

// === impl ModelQuirks ===

impl ModelQuirks {
    fn fits(&self, model: &str) -> bool {
        any_fits(&self.names, model) && !any_fits(&self.except, model)
    }
}

// === impl Responses ===

impl Responses {
    /// Whether this model takes this chat request only as a Responses request.
    pub fn is_needed(&self, model: &str, body: &Object<'_>) -> bool {
        let has_tools = ["tools", "functions"].into_iter().any(|key| {
            let blank = ['[', ']', ' ', '\n', '\t', '\r'];
            body.present(key).is_some_and(|tools| !tools.get().trim_matches(blank).is_empty())
        });
        if !has_tools {
            return false;
        }
        // Without a word the vendor's default effort applies, and is refused as well.
        let reasons = body.present("reasoning_effort").is_none_or(|effort| effort.get() != "\"none\"");
        any_fits(&self.tools, model) || (reasons && any_fits(&self.tools_with_reasoning, model))
    }
}

fn any_fits(patterns: &[String], model: &str) -> bool {
    patterns.iter().any(|pattern| fits(pattern, model))
}

fn key_only() -> Vec<CredentialKind> {
    vec![CredentialKind::Key]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::call::Chosen;

    #[test]
    fn the_embedded_catalogue_is_sound() {
        let catalogue = Catalogue::embedded().unwrap();
        let mut names = HashSet::new();
        for row in &catalogue.rows {
            assert!(names.insert(&row.name), "{} twice", row.name);
            assert!(row.name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", row.name);
            assert!(row.docs.starts_with("https://"), "{}", row.name);
            assert!(!row.title.is_empty());
            for key in &row.key_env {
                assert!(key.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'), "{key}");
            }
            match (&row.base_url, &row.local) {
                (Some(url), Some(local)) => {
                    assert!(url.starts_with(&format!("http://127.0.0.1:{}", local.port)), "{url}");
                    assert!(local.probe.starts_with('/'));
                }
                (Some(url), None) => {
                    assert!(url.starts_with("https://"), "{url}");
                    assert!(!row.key_env.is_empty() || !row.needs_key(), "{}", row.name);
                }
                (None, local) => {
                    let given = ["digitalocean-agent", "huggingface-endpoint", "openai-compatible"];
                    assert!(local.is_none() && given.contains(&row.name.as_str()), "{}", row.name);
                }
            }
            for url in row.base_url.iter().chain(row.base_urls.values()) {
                let filled = row
                    .settings
                    .keys()
                    .fold(url.clone(), |url, setting| url.replace(&format!("{{{}}}", setting.name()), "x"));
                assert!(!url.ends_with('/') && filled.parse::<http::Uri>().is_ok(), "{url}");
            }
            assert!(!row.credentials.is_empty(), "{}", row.name);
            for [least, most] in row.quirks.clamp.values() {
                assert!(least < most);
            }
        }
    }

    /// Section 2.3 of the contract: these servers are looked for without configuration.
    #[test]
    fn the_local_servers_are_discovered() {
        let mut found: Vec<_> = Catalogue::embedded().unwrap().rows.iter().collect();
        found.retain(|row| row.local.as_ref().is_some_and(|local| local.discover));
        let mut ports: Vec<_> = found.iter().map(|row| (row.name.as_str(), row.local.as_ref().unwrap().port)).collect();
        ports.sort_unstable();
        let expected = [("llamacpp", 8080), ("lmstudio", 1234), ("mlx", 8081), ("ollama", 11434), ("vllm", 8000)];
        assert_eq!(ports, expected);
    }

    /// A chat comes first wherever there is one, so that it is what others are translated to.
    #[test]
    fn legacy_completions_are_offered_where_they_are() {
        use Dialect::{OpenAiChat, OpenAiCompletions, OpenAiResponses};
        let none = ProviderSettings::default();
        let of = |name: &str, model: &str| Catalogue::embedded().unwrap().row(name).unwrap().dialects(model, &none);
        assert_eq!(of("vllm", "m"), [OpenAiChat, OpenAiCompletions]);
        assert_eq!(of("cerebras", "m"), [OpenAiChat, OpenAiCompletions]);
        assert_eq!(of("groq", "m"), [OpenAiChat, OpenAiResponses]);
        assert_eq!(of("huggingface", "m"), [OpenAiChat]);
        assert_eq!(of("openai", "gpt-5-mini"), [OpenAiChat, OpenAiResponses]);
        assert_eq!(of("openai", "gpt-3.5-turbo-instruct-0914"), [OpenAiCompletions]);
        let row = |name: &str| Catalogue::embedded().unwrap().row(name).unwrap();
        assert_eq!(row("deepseek").completions_path(), "beta/completions");
        assert_eq!(row("vllm").completions_path(), "completions");
    }

    /// The operator knows better than the catalogue what a server speaks.
    #[test]
    fn responses_are_spoken_where_the_operator_says_so() {
        use Dialect::{OpenAiChat, OpenAiCompletions, OpenAiResponses};
        let of = |name: &str, model: &str, responses: Chosen| {
            let settings = ProviderSettings { responses: Some(responses), ..ProviderSettings::default() };
            Catalogue::embedded().unwrap().row(name).unwrap().dialects(model, &settings)
        };
        let some = || Chosen::These(vec!["*oss*".into()]);
        assert_eq!(of("digitalocean", "m", Chosen::All), [OpenAiChat, OpenAiResponses]);
        assert_eq!(of("vllm", "m", Chosen::All), [OpenAiChat, OpenAiResponses, OpenAiCompletions]);
        assert_eq!(of("digitalocean", "gpt-oss-20b", some()), [OpenAiChat, OpenAiResponses]);
        assert_eq!(of("digitalocean", "m", some()), [OpenAiChat]);
        assert_eq!(of("openai", "gpt-5-pro", Chosen::All), [OpenAiResponses]);
        assert_eq!(of("openai", "gpt-5-pro", Chosen::None), [OpenAiChat]);
        assert_eq!(of("groq", "m", Chosen::None), [OpenAiChat]);
    }

    #[test]
    fn a_broken_catalogue_is_an_error_and_no_panic() {
        assert!(Catalogue::parse("[[row]]\nname = 1").is_err());
        assert!(Catalogue::parse("[[row]]\nname='a'\ntitle='a'\ndocs='a'\nwrong=1").unwrap_err().contains("wrong"));
    }
}
