//! The canonical request to a Responses request.
//!
//! Everything the dialect has a place for is written, large members last (rule C1). What it has no
//! place for is a loss: of meaning where the answer would differ from what was asked (several
//! answers, stop texts, log probabilities), else a hint.
//!
//! Source: "Create a model response" (OpenAI's API reference, specification 2.3.0; November 2026).

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    input::{self, Writer},
    tools,
};
use crate::{
    error::{Error, Result},
    ir::{self, Effort, Output, ToolKind},
    wire::{
        Encoded, Facts, Memo, json,
        losses::Losses,
        names::{Names, Rule},
        read::Shape,
    },
};

/// Smaller limits are refused.
const LEAST_TOKENS: u64 = 16;
/// Longer names of tools, and longer ids of calls, are refused.
const NAME_LIMIT: usize = 128;
const ID_LIMIT: usize = 64;

/// Fields of the vendor's own that a client of another dialect may have written as well.
const OWN: [&str; 6] = [
    "max_tool_calls",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "top_logprobs",
    "truncation",
];

/// Fields whose effect is on the answer, in a form the canonical answer does not have.
const ANSWERLESS: [&str; 4] = ["audio", "modalities", "moderation", "web_search_options"];

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    store: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    include: &'static [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<BTreeMap<&'a str, Setting<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_cache_key: Option<&'a str>,
    #[serde(flatten)]
    extra: BTreeMap<&'a str, &'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<tools::Choice<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<tools::Tool<'a>>,
    input: Vec<input::Item<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Setting<'a> {
    Word(&'static str),
    Raw(&'a RawValue),
}

#[derive(Serialize)]
struct Text<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verbosity: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format<'a> {
    JsonObject,
    JsonSchema {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        strict: bool,
        schema: &'a RawValue,
    },
}

pub(super) fn encode(request: &ir::Request, facts: &Facts<'_>) -> Result<Encoded> {
    let mut losses = Losses::default();
    let names = Names::new(Rule::usual(NAME_LIMIT), tool_names(request));
    let ids = Names::new(Rule { limit: ID_LIMIT, fits: |_, _| true }, tool_ids(request));
    let tools = tools::write(request, &names, &mut losses);
    let has_tools = !tools.is_empty();
    let input = Writer { tools: &names, ids: &ids, losses: &mut losses }.conversation(&request.messages);
    if input.is_empty() {
        return Err(Error::invalid("The conversation holds nothing.", "messages", "empty_array"));
    }
    refuse(request, &mut losses);
    let body = Body {
        model: facts.model,
        stream: facts.stream,
        store: false,
        include: if reasons(facts.model, request) { &["reasoning.encrypted_content"] } else { &[] },
        max_output_tokens: max_tokens(request, &mut losses),
        temperature: request.sampling.temperature,
        top_p: request.sampling.top_p,
        reasoning: reasoning(request, &mut losses),
        text: text(request),
        user: request.user.as_deref(),
        metadata: &request.metadata,
        service_tier: request.service_tier.as_deref(),
        prompt_cache_key: request.cache_key.as_deref(),
        extra: extra(request, &mut losses),
        parallel_tool_calls: request.parallel_tool_calls.filter(|_| has_tools),
        tool_choice: tools::choice(request, &names, has_tools, &mut losses),
        tools,
        input,
    };
    let body = json::body(&body)?;
    let memo = memo(request, names);
    Ok(Encoded { body, memo, losses: losses.into_vec(), ..Encoded::default() })
}

/// Whether encrypted reasoning may be asked for: models that do not reason refuse the wish. The
/// lines that do not are a closed list by now; a name that is nobody's (a deployment's) counts as
/// one that does when effort is asked of it.
fn reasons(model: &str, request: &ir::Request) -> bool {
    let model = model.rsplit('/').next().unwrap_or(model);
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| model.starts_with(prefix));
    if begins(&["gpt-3", "gpt-4", "chatgpt"]) || (model.starts_with("gpt-") && model.contains("-chat")) {
        return false;
    }
    begins(&["gpt-", "o1", "o3", "o4", "codex", "computer-use"]) || request.reasoning != ir::Reasoning::default()
}

fn memo(request: &ir::Request, names: Names) -> Memo {
    let custom = request.tools.iter().filter(|tool| tool.kind == ToolKind::Custom);
    let custom_tools = custom.map(|tool| tool.name.clone()).collect();
    Memo { tool_names: names.into_originals(), custom_tools, ..Memo::default() }
}

/// Every tool name in the request, declared or called.
fn tool_names(request: &ir::Request) -> impl Iterator<Item = &str> + Clone {
    let declared = request.tools.iter().map(|tool| tool.name.as_str());
    declared.chain(blocks(request).filter_map(called))
}

fn tool_ids(request: &ir::Request) -> impl Iterator<Item = &str> + Clone {
    blocks(request).filter_map(call_id)
}

fn called(block: &ir::Block) -> Option<&str> {
    if let ir::Block::ToolCall { name, .. } = block { Some(name) } else { None }
}

fn call_id(block: &ir::Block) -> Option<&str> {
    if let ir::Block::ToolCall { id, .. } | ir::Block::ToolResult { id, .. } = block { Some(id) } else { None }
}

fn blocks(request: &ir::Request) -> impl Iterator<Item = &ir::Block> + Clone {
    request.messages.iter().flat_map(|message| &message.blocks)
}

fn max_tokens(request: &ir::Request, losses: &mut Losses) -> Option<u64> {
    let asked = request.max_tokens?;
    if asked < LEAST_TOKENS {
        losses.hint("max_completion_tokens");
    }
    Some(asked.max(LEAST_TOKENS))
}

/// R5: effort by its name; a budget becomes the effort it is usual for. Where a client wrote an
/// object of this dialect's own kind (`summary` and the like), its other members travel on.
fn reasoning<'a>(request: &'a ir::Request, losses: &mut Losses) -> Option<BTreeMap<&'a str, Setting<'a>>> {
    let usual = |budget| match budget {
        0 => Effort::None,
        1..=2048 => Effort::Low,
        2049..=8192 => Effort::Medium,
        _ => Effort::High,
    };
    let mut settings: BTreeMap<&'a str, Setting<'a>> = BTreeMap::new();
    if let Some(raw) = request.extra.get("reasoning") {
        match serde_json::from_str::<BTreeMap<&str, &RawValue>>(raw.get()) {
            Ok(own) => settings.extend(own.into_iter().map(|(key, value)| (key, Setting::Raw(value)))),
            Err(_) => losses.hint("reasoning"),
        }
    }
    if let Some(effort) = request.reasoning.effort.or(request.reasoning.budget_tokens.map(usual)) {
        settings.insert("effort", Setting::Word(effort.as_str()));
    }
    (!settings.is_empty()).then_some(settings)
}

/// J2. Strictness is said, since this dialect's own default is not that of chat completions.
fn text(request: &ir::Request) -> Option<Text<'_>> {
    let format = match &request.output {
        Output::Text => None,
        Output::JsonObject => Some(Format::JsonObject),
        Output::JsonSchema { name, description, schema, strict } => {
            let (description, strict) = (description.as_deref(), strict.unwrap_or(false));
            Some(Format::JsonSchema { name, description, strict, schema })
        }
    };
    let verbosity = request.verbosity.as_deref();
    (format.is_some() || verbosity.is_some()).then_some(Text { format, verbosity })
}

/// Fields the canonical form has no place for: the vendor's own travel on, the rest is lost by name.
fn extra<'a>(request: &'a ir::Request, losses: &mut Losses) -> BTreeMap<&'a str, &'a RawValue> {
    let mut kept: BTreeMap<&'a str, &'a RawValue> = BTreeMap::new();
    for (field, value) in &request.extra {
        let value: &'a RawValue = value;
        match field.as_str() {
            _ if says_nothing(field, value) => {}
            own if OWN.contains(&own) => _ = kept.insert(own, value),
            // Read elsewhere.
            "reasoning" => {}
            tool if tools::is_hosted(tool, value) => {}
            answerless if ANSWERLESS.contains(&answerless) => losses.meaning(answerless),
            other => losses.hint(other),
        }
    }
    kept
}

/// Whether a field says what happens anyway.
fn says_nothing(field: &str, value: &RawValue) -> bool {
    match (field, value.get()) {
        (_, "null") | ("store", "false") | ("stream_options", _) => true,
        ("logit_bias", text) => {
            Shape::of(value.get()) == Shape::Object && text.trim_matches(['{', '}', ' ', '\n']).is_empty()
        }
        ("modalities", text) => serde_json::from_str::<Vec<&str>>(text).is_ok_and(|all| all == ["text"]),
        _ => false,
    }
}

/// Names what has no counterpart.
fn refuse(request: &ir::Request, losses: &mut Losses) {
    let sampling = &request.sampling;
    for (field, lost) in [
        ("n", sampling.n.is_some_and(|n| n > 1)),
        ("logprobs", sampling.logprobs),
        ("top_logprobs", sampling.top_logprobs.is_some_and(|count| count > 0)),
        ("stop", !request.stop.is_empty()),
    ] {
        if lost {
            losses.meaning(field);
        }
    }
    let given = |penalty: Option<f64>| penalty.is_some_and(|value| value != 0.0);
    for (field, lost) in [
        ("seed", sampling.seed.is_some()),
        ("top_k", sampling.top_k.is_some()),
        ("presence_penalty", given(sampling.presence_penalty)),
        ("frequency_penalty", given(sampling.frequency_penalty)),
        ("cache_control", request.cache.is_some()),
    ] {
        if lost {
            losses.hint(field);
        }
    }
}
