//! Writes a chat completions request from the canonical form.
//!
//! Everything the form holds is written; what a single vendor renames, clamps or refuses is its
//! row in the catalogue. Extensions that vendors share keep their common names: `cache_control`,
//! `reasoning_content`, `thinking_blocks`, `top_k`. Messages stand last, so that equal prefixes give
//! equal bytes up to the first new message (rule C1).
//!
//! Named as losses of meaning: more than one choice, because the canonical answer has no place for
//! them, and media in a form this dialect has no part for.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use serde::Serialize;
use serde_json::value::RawValue;

use super::{custom, names, upstream_messages};
use crate::{
    error::Result,
    ir::{self, CacheHint, CacheTtl, Effort, Output, Tool, ToolChoice, ToolKind},
    wire::{Encoded, Facts, Loss, Memo, Weight, json},
};

/// Fields of other dialects that mean nothing here.
const FOREIGN: &[&str] = &[
    "access_programs",
    "anthropic_beta",
    "billing_policy",
    "client_metadata",
    "compaction",
    "container",
    "context_management",
    "diagnostics",
    "fallbacks",
    "inference_geo",
    "max_tool_calls",
    "mcp_servers",
    "modelArmorConfig",
    "safetySettings",
    "output_config",
    "speed",
    "thread",
    "truncation",
];

/// Fields whose effect is on the answer, in a form the canonical answer does not have.
const ANSWERLESS: &[&str] = &["audio", "modalities"];

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u64>,
    #[serde(flatten)]
    sampling: Sampling,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Format<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verbosity: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_cache_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<CacheControl>,
    #[serde(flatten)]
    extra: BTreeMap<&'a str, &'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ToolBody<'a>>,
    messages: Vec<upstream_messages::Message<'a>>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
struct Sampling {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    logprobs: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u64>,
}

/// `{"type":"ephemeral"}`, a cache breakpoint.
#[derive(Serialize)]
pub(super) struct CacheControl {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format<'a> {
    JsonObject,
    JsonSchema { json_schema: Schema<'a> },
}

#[derive(Serialize)]
struct Schema<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    schema: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Serialize)]
struct ToolBody<'a> {
    #[serde(flatten)]
    kind: Kind<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<CacheControl>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Kind<'a> {
    Function { function: Function<'a> },
    Custom { custom: Custom<'a> },
}

#[derive(Serialize)]
struct Function<'a> {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Serialize)]
struct Custom<'a> {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'a RawValue>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Choice {
    Word(&'static str),
    Named(Reference),
    Allowed { r#type: &'static str, allowed_tools: Allowed },
}

#[derive(Serialize)]
struct Allowed {
    mode: &'static str,
    tools: Vec<Reference>,
}

/// `{"type":"function","function":{"name":"f"}}`, or the same of a custom tool.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Reference {
    Function { function: Name },
    Custom { custom: Name },
}

#[derive(Serialize)]
struct Name {
    name: String,
}

pub(super) fn encode(request: &ir::Request, facts: &Facts<'_>) -> Result<Encoded> {
    let mut losses = losses(request);
    let memo = memo(&request.tools);
    let request =
        if facts.has_custom_tools { Cow::Borrowed(request) } else { custom::as_functions(request, &mut losses) };
    let messages = upstream_messages::encode(&request.messages, &mut losses);
    let has_tools = !request.tools.is_empty();
    let mut body = Body {
        model: facts.model,
        stream: facts.stream.then_some(true),
        // The gateway itself needs the counts.
        stream_options: facts.stream.then_some(StreamOptions { include_usage: true }),
        max_completion_tokens: request.max_tokens,
        sampling: sampling(&request.sampling),
        stop: &request.stop,
        response_format: format(&request.output),
        reasoning_effort: effort(&request.reasoning).map(Effort::as_str),
        verbosity: request.verbosity.as_deref(),
        user: request.user.as_deref(),
        metadata: &request.metadata,
        service_tier: request.service_tier.as_deref(),
        prompt_cache_key: request.cache_key.as_deref(),
        cache_control: request.cache.map(CacheControl::of),
        extra: request.extra.iter().filter(|(key, _)| is_forwarded(key)).map(|(key, raw)| (&**key, &**raw)).collect(),
        parallel_tool_calls: request.parallel_tool_calls.filter(|_| has_tools),
        tool_choice: request.tool_choice.as_ref().filter(|_| has_tools).map(|choice| choose(choice, &request.tools)),
        tools: request.tools.iter().map(tool).collect(),
        messages,
    };
    if facts.is_bare {
        body.bare(&mut losses);
    }
    let body = json::body(&body)?;
    Ok(Encoded { body, memo, losses, ..Encoded::default() })
}

impl Body<'_> {
    /// Takes out what OpenAI itself has no field for, and would refuse the whole request for.
    fn bare(&mut self, losses: &mut Vec<Loss>) {
        let mut lost = |field: &str, was_there: bool| {
            if was_there {
                losses.push(Loss { field: field.into(), weight: Weight::Hint });
            }
        };
        lost("top_k", self.sampling.top_k.take().is_some());
        lost("cache_control", self.cache_control.take().is_some());
        let tools = self.tools.iter_mut().filter_map(|tool| tool.cache_control.take()).count();
        lost("tools[].cache_control", tools > 0);
        for (index, message) in self.messages.iter_mut().enumerate() {
            for field in message.bare() {
                lost(&format!("messages[{index}].{field}"), true);
            }
        }
    }
}

impl CacheControl {
    pub(super) fn of(hint: CacheHint) -> Self {
        let ttl = hint.ttl.map(|ttl| match ttl {
            CacheTtl::FiveMinutes => "5m",
            CacheTtl::OneHour => "1h",
        });
        Self { r#type: "ephemeral", ttl }
    }
}

fn losses(request: &ir::Request) -> Vec<Loss> {
    let loss = |field: &str, weight| Loss { field: field.into(), weight };
    let mut losses = Vec::new();
    if request.sampling.n.is_some_and(|n| n > 1) {
        losses.push(loss("n", Weight::Meaning));
    }
    for key in request.extra.keys().filter(|key| !is_forwarded(key)) {
        let weight = if ANSWERLESS.contains(&&**key) { Weight::Meaning } else { Weight::Hint };
        losses.push(loss(key, weight));
    }
    losses
}

/// Whether an unknown field may travel on: vendors add fields every month, and only names that are
/// another dialect's, and paths into the request, are known to mean nothing here.
fn is_forwarded(key: &str) -> bool {
    !key.contains(['[', '.']) && !FOREIGN.contains(&key) && !ANSWERLESS.contains(&key)
}

fn memo(tools: &[Tool]) -> Memo {
    let renamed = tools.iter().map(|tool| (names::tool(&tool.name), &tool.name)).filter(|(wire, name)| wire != *name);
    let tool_names: HashMap<_, _> = renamed.map(|(wire, name)| (wire.into_owned(), name.clone())).collect();
    let custom = tools.iter().filter(|tool| tool.kind == ToolKind::Custom);
    Memo { tool_names, custom_tools: custom.map(|tool| tool.name.clone()).collect(), ..Memo::default() }
}

fn sampling(sampling: &ir::Sampling) -> Sampling {
    Sampling {
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        top_k: sampling.top_k,
        seed: sampling.seed,
        presence_penalty: sampling.presence_penalty,
        frequency_penalty: sampling.frequency_penalty,
        logprobs: sampling.logprobs,
        top_logprobs: sampling.top_logprobs,
    }
}

fn format(output: &Output) -> Option<Format<'_>> {
    match output {
        Output::Text => None,
        Output::JsonObject => Some(Format::JsonObject),
        Output::JsonSchema { name, description, schema, strict } => Some(Format::JsonSchema {
            json_schema: Schema { name, description: description.as_deref(), schema, strict: *strict },
        }),
    }
}

/// This dialect has efforts and no budgets; a budget becomes the effort it is usual for.
fn effort(reasoning: &ir::Reasoning) -> Option<Effort> {
    let usual = |budget| match budget {
        ..=2048 => Effort::Low,
        2049..=8192 => Effort::Medium,
        _ => Effort::High,
    };
    reasoning.effort.or(reasoning.budget_tokens.map(usual))
}

fn tool(tool: &Tool) -> ToolBody<'_> {
    let name = names::tool(&tool.name).into_owned();
    let (description, schema) = (tool.description.as_deref(), tool.schema.as_deref());
    let kind = match tool.kind {
        ToolKind::Function => {
            Kind::Function { function: Function { name, description, parameters: schema, strict: tool.strict } }
        }
        ToolKind::Custom => Kind::Custom { custom: Custom { name, description, format: schema } },
    };
    ToolBody { kind, cache_control: tool.cache.map(CacheControl::of) }
}

fn choose(choice: &ToolChoice, tools: &[Tool]) -> Choice {
    match choice {
        ToolChoice::Auto => Choice::Word("auto"),
        ToolChoice::None => Choice::Word("none"),
        ToolChoice::Required => Choice::Word("required"),
        ToolChoice::Named(name) => Choice::Named(reference(name, tools)),
        ToolChoice::Allowed { names, required } => Choice::Allowed {
            r#type: "allowed_tools",
            allowed_tools: Allowed {
                mode: if *required { "required" } else { "auto" },
                tools: names.iter().map(|name| reference(name, tools)).collect(),
            },
        },
    }
}

fn reference(name: &str, tools: &[Tool]) -> Reference {
    let is_custom = tools.iter().any(|tool| tool.name == name && tool.kind == ToolKind::Custom);
    let name = Name { name: names::tool(name).into_owned() };
    if is_custom { Reference::Custom { custom: name } } else { Reference::Function { function: name } }
}
