//! The canonical request to a Messages request.
//!
//! Each subject has its file; this one asks them in the order they depend on each other and keeps
//! the account of what was lost, by the name the OpenAI client gave it.
//!
//! Source: "Create a Message" and "API versioning" (platform.claude.com/docs, read November 2026).

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{
    body::{Block, Body, Cache, Format, Metadata, OutputConfig},
    extras,
    models::{self, Model},
    output::{INSTRUCTION, Shape},
    thinking::{Around, Plan},
    tools::Tools,
    turns::{self, Writer},
};
use crate::{
    error::{Error, Result},
    ir::{self, ToolKind},
    wire::{
        Encoded, Facts, Memo, json,
        losses::Losses,
        names::{Names, Rule},
    },
};

static VERSION_HEADER: HeaderName = HeaderName::from_static("anthropic-version");
/// Refuses sampling parameters, even at their defaults.
const VERSION: HeaderValue = HeaderValue::from_static("2026-10-21");
/// Takes them, and is all that other vendors' endpoints know.
const VERSION_WITH_SAMPLING: HeaderValue = HeaderValue::from_static("2023-06-01");

/// Longer ids of end users are refused.
const USER_ID_LIMIT: usize = 256;

/// How tokens are drawn, as far as a line takes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sampled {
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<u64>,
}

pub(super) fn encode(request: &ir::Request, facts: &Facts<'_>) -> Result<Encoded> {
    let model = models::model(facts.model);
    let mut losses = Losses::default();
    let mut names = Names::new(Rule::usual(model.name_limit), tool_names(request));
    let ids = Names::new(Rule::usual(usize::MAX), tool_ids(request));
    let shape = Shape::new(&request.output, &model, &mut names, &mut losses);
    let tools = Tools::new(request, &model, &names, &shape, &mut losses);
    let writer = Writer {
        tools: &names,
        ids: &ids,
        told: tools.tools.is_empty(),
        mid_system: model.mid_system,
        losses: &mut losses,
    };
    let mut conversation = writer.conversation(&request.messages)?;
    if conversation.turns.is_empty() && !losses.refuse() {
        return Err(Error::invalid("The conversation holds no text.", "messages", "empty_array"));
    }
    if matches!(shape, Shape::Instruction) {
        conversation.system.push(Block::text(INSTRUCTION));
    }
    let around = Around {
        forced: tools.is_forced(),
        bare_tool_turn: turns::ends_in_bare_tool_turn(&conversation.turns),
        asked: request.max_tokens,
        limit: facts.max_output_tokens.unwrap_or(model.max_output),
    };
    let plan = plan(request, &model, around, &mut losses);
    let mut body = Body {
        model: facts.model,
        max_tokens: plan.max_tokens,
        stream: facts.stream,
        stop_sequences: stops(&request.stop, &mut losses),
        metadata: user(request, &mut losses),
        service_tier: service_tier(request, &mut losses),
        cache_control: request.cache.map(|hint| Cache::Hint(hint.into())),
        tool_choice: tools.choice,
        tools: tools.tools,
        system: conversation.system,
        messages: conversation.turns,
        ..Body::default()
    };
    let sampled = sampled(request, &model, plan.thinks(), &mut losses);
    (body.temperature, body.top_p, body.top_k) = (sampled.temperature, sampled.top_p, sampled.top_k);
    let format = match &shape {
        Shape::Native(schema) => Some(Format::JsonSchema { schema: Cow::Borrowed(schema) }),
        Shape::Free | Shape::Instruction | Shape::Tool { .. } => None,
    };
    if plan.effort.is_some() || format.is_some() {
        body.output_config = Some(OutputConfig { effort: plan.effort, format });
    }
    body.thinking = plan.thinking;
    refuse(request, &mut losses);
    if !request.metadata.is_empty() {
        losses.hint("metadata");
    }
    extras::carry(request, &mut body, &mut losses);
    let headers = headers(request, &model, &body, &mut losses);
    let body = json::body(&body)?;
    let memo = memo(request, names, shape);
    Ok(Encoded { body, headers, memo, losses: losses.into_vec() })
}

pub(crate) fn memo(request: &ir::Request, names: Names, shape: Shape<'_>) -> Memo {
    let output_tool = match shape {
        Shape::Tool { name, .. } => Some(name),
        Shape::Free | Shape::Native(_) | Shape::Instruction => None,
    };
    let custom = request.tools.iter().filter(|tool| tool.kind == ToolKind::Custom);
    let custom_tools = custom.map(|tool| tool.name.clone()).collect();
    Memo { tool_names: names.into_originals(), output_tool, custom_tools, ..Memo::default() }
}

fn headers(request: &ir::Request, model: &Model, body: &Body<'_>, losses: &mut Losses) -> HeaderMap {
    let samples = body.temperature.is_some() || body.top_p.is_some() || body.top_k.is_some();
    let mut headers = HeaderMap::new();
    let version = if samples || !model.claude { VERSION_WITH_SAMPLING } else { VERSION };
    headers.insert(&VERSION_HEADER, version);
    extras::betas(&request.extra, &mut headers, losses);
    headers
}

/// Every tool name in the request, declared or called.
pub(crate) fn tool_names(request: &ir::Request) -> impl Iterator<Item = &str> + Clone {
    let declared = request.tools.iter().map(|tool| tool.name.as_str());
    declared.chain(blocks(request).filter_map(called))
}

pub(crate) fn tool_ids(request: &ir::Request) -> impl Iterator<Item = &str> + Clone {
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

pub(crate) fn plan<'a>(request: &'a ir::Request, model: &Model, around: Around, losses: &mut Losses) -> Plan<'a> {
    match request.extra.get("thinking").filter(|raw| raw.get() != "null") {
        Some(raw) => Plan::given(raw, around, losses),
        None => Plan::new(&request.reasoning_on_demand(), model, around, losses),
    }
}

/// `temperature`, `top_p` and `top_k` as far as the line takes them. A value that is the default is
/// no loss.
pub(crate) fn sampled(request: &ir::Request, model: &Model, thinks: bool, losses: &mut Losses) -> Sampled {
    let sampling = &request.sampling;
    let free = model.sampling && !thinks;
    let extra_top_k = request.extra.get("top_k").and_then(|raw| serde_json::from_str(raw.get()).ok());
    let asked_top_k = sampling.top_k.or(extra_top_k);
    let temperature = sampling.temperature.filter(|_| free).map(|value| value.clamp(0.0, 1.0));
    let one_sampler = model.one_sampler && temperature.is_some();
    let top_p = sampling.top_p.filter(|_| free && !one_sampler);
    let top_k = asked_top_k.filter(|_| free);
    let lost = |asked: Option<f64>, sent: Option<f64>| asked.is_some_and(|value| value != 1.0) && asked != sent;
    if lost(sampling.temperature, temperature) {
        losses.hint("temperature");
    }
    if lost(sampling.top_p, top_p) {
        losses.hint("top_p");
    }
    if asked_top_k != top_k {
        losses.hint("top_k");
    }
    Sampled { temperature, top_p, top_k }
}

/// The vendor refuses stop texts of white space.
pub(crate) fn stops<'a>(stop: &'a [String], losses: &mut Losses) -> Vec<&'a str> {
    let kept: Vec<&str> = stop.iter().map(String::as_str).filter(|text| !text.trim().is_empty()).collect();
    if kept.len() < stop.len() {
        losses.hint("stop");
    }
    kept
}

fn user<'a>(request: &'a ir::Request, losses: &mut Losses) -> Option<Metadata<'a>> {
    let safety = request.extra.get("safety_identifier");
    let safety = safety.and_then(|raw| serde_json::from_str::<&str>(raw.get()).ok());
    let user_id = request.user.as_deref().or(safety)?;
    if user_id.len() > USER_ID_LIMIT {
        losses.hint("user");
        return None;
    }
    Some(Metadata { user_id })
}

fn service_tier(request: &ir::Request, losses: &mut Losses) -> Option<&'static str> {
    match request.service_tier.as_deref()? {
        "auto" => Some("auto"),
        "default" | "standard_only" => Some("standard_only"),
        _ => {
            losses.hint("service_tier");
            None
        }
    }
}

/// Names what has no counterpart.
pub(crate) fn refuse(request: &ir::Request, losses: &mut Losses) {
    let sampling = &request.sampling;
    if sampling.n.is_some_and(|n| n > 1) {
        losses.meaning("n");
    }
    if sampling.logprobs {
        losses.meaning("logprobs");
    }
    if sampling.top_logprobs.is_some_and(|count| count > 0) {
        losses.meaning("top_logprobs");
    }
    let given = |penalty: Option<f64>| penalty.is_some_and(|value| value != 0.0);
    for (field, lost) in [
        ("seed", sampling.seed.is_some()),
        ("presence_penalty", given(sampling.presence_penalty)),
        ("frequency_penalty", given(sampling.frequency_penalty)),
        ("verbosity", request.verbosity.is_some()),
        ("prompt_cache_key", request.cache_key.is_some()),
    ] {
        if lost {
            losses.hint(field);
        }
    }
}
