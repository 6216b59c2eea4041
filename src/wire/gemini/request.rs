//! The canonical request to a `generateContent` request.
//!
//! Each subject has its file; this one asks them in the order they depend on each other and keeps the
//! account of what was lost, by the name the OpenAI client gave it. The model stands in the path, so
//! the body does not name it.
//!
//! Source: "Generating content" of the API reference (ai.google.dev/api, read November 2026).

use std::{borrow::Cow, collections::HashMap};

use http::{HeaderMap, HeaderValue};
use serde_json::value::{RawValue, to_raw_value};

use super::{
    body::{Body, GenerationConfig},
    extras,
    models::{self, Model},
    schema::{self, JSON_SCHEMA, OPENAPI, OPENAPI_CLOUD, Table},
    thinking,
    tools::{For, Tools},
    turns::Writer,
};
use crate::{
    error::{Error, Result},
    ir::{self, Output, ToolKind},
    wire::{
        Encoded, Facts, Host, Memo, json,
        losses::Losses,
        names::{Names, Rule},
    },
};

/// Texts that may end an answer.
const MOST_STOPS: usize = 5;
/// Alternatives a token may be told with.
const MOST_LOGPROBS: u64 = 20;

/// Letters, digits, `_`, `-`, `.` and `:`, and one of the first two to begin with.
const NAME: Rule = Rule {
    limit: 64,
    fits: |at, byte| {
        byte.is_ascii_alphabetic()
            || byte == b'_'
            || at > 0 && (byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b':'))
    },
};

pub(super) fn encode(request: &ir::Request, facts: &Facts<'_>) -> Result<Encoded> {
    let model = models::model(facts.model);
    let subset = if facts.host == Host::Cloud { &OPENAPI_CLOUD } else { &OPENAPI };
    let mut losses = Losses::default();
    let names = Names::new(NAME, tool_names(request));
    let of = For { model: &model, host: facts.host, subset };
    let tools = Tools::new(request, of, &names, &mut losses)?;
    let writer = Writer {
        model: &model,
        host: facts.host,
        tools: &names,
        called: HashMap::new(),
        signed: None,
        proven: false,
        losses: &mut losses,
    };
    let conversation = writer.conversation(&request.messages)?;
    if conversation.contents.is_empty() && !losses.refuse() {
        return Err(Error::invalid("The conversation holds no text.", "messages", "empty_array"));
    }
    let has_functions = tools.has_functions();
    let mut body = Body {
        generation_config: config(request, facts, &model, &mut losses),
        service_tier: service_tier(request, facts.host, &mut losses),
        tool_config: tools.config,
        tools: tools.tools,
        system_instruction: conversation.instruction,
        contents: conversation.contents,
        ..Body::default()
    };
    shape(request, &model, subset, has_functions, &mut body.generation_config, &mut losses)?;
    labels(request, facts.host, &mut body, &mut losses);
    refuse(request, &mut losses);
    extras::carry(request, facts.host, &mut body, &mut losses);
    let headers = headers(request, facts.host);
    let body = json::body(&body)?;
    Ok(Encoded { body, headers, memo: memo(request, names), losses: losses.into_vec() })
}

fn memo(request: &ir::Request, names: Names) -> Memo {
    let custom = request.tools.iter().filter(|tool| tool.kind == ToolKind::Custom);
    let custom_tools = custom.map(|tool| tool.name.clone()).collect();
    Memo { tool_names: names.into_originals(), custom_tools, ..Memo::default() }
}

/// Every tool name in the request, declared or called.
fn tool_names(request: &ir::Request) -> impl Iterator<Item = &str> + Clone {
    let declared = request.tools.iter().map(|tool| tool.name.as_str());
    let blocks = request.messages.iter().flat_map(|message| &message.blocks);
    declared.chain(blocks.filter_map(called))
}

fn called(block: &ir::Block) -> Option<&str> {
    if let ir::Block::ToolCall { name, .. } = block { Some(name) } else { None }
}

fn config<'a>(request: &'a ir::Request, facts: &Facts<'_>, model: &Model, losses: &mut Losses) -> GenerationConfig<'a> {
    let sampling = &request.sampling;
    let extra_top_k = request.extra.get("top_k").and_then(|raw| serde_json::from_str(raw.get()).ok());
    let most = facts.max_output_tokens.unwrap_or(u64::MAX);
    GenerationConfig {
        temperature: sampling.temperature.map(|value| value.clamp(0.0, 2.0)),
        top_p: sampling.top_p,
        top_k: sampling.top_k.or(extra_top_k),
        max_output_tokens: request.max_tokens.map(|asked| asked.min(most)),
        stop_sequences: stops(&request.stop, losses),
        seed: seed(sampling.seed, losses),
        presence_penalty: sampling.presence_penalty.filter(|value| *value != 0.0),
        frequency_penalty: sampling.frequency_penalty.filter(|value| *value != 0.0),
        response_logprobs: sampling.logprobs,
        logprobs: sampling.top_logprobs.filter(|_| sampling.logprobs).map(|count| count.min(MOST_LOGPROBS)),
        thinking_config: thinking::plan(&request.reasoning, model, losses),
        ..GenerationConfig::default()
    }
}

fn stops<'a>(stop: &'a [String], losses: &mut Losses) -> Vec<&'a str> {
    if stop.len() > MOST_STOPS {
        losses.meaning("stop");
    }
    stop.iter().map(String::as_str).filter(|text| !text.is_empty()).collect()
}

/// 32 bits are all there is room for.
fn seed(seed: Option<i64>, losses: &mut Losses) -> Option<i32> {
    let small = i32::try_from(seed?).ok();
    if small.is_none() {
        losses.hint("seed");
    }
    small
}

/// J1, J2: the shape the answer must have, or a refusal where the line does not take both it and
/// functions.
fn shape<'a>(
    request: &'a ir::Request,
    model: &Model,
    subset: &Table,
    has_functions: bool,
    config: &mut GenerationConfig<'a>,
    losses: &mut Losses,
) -> Result<()> {
    let schema = match &request.output {
        Output::Text => return Ok(()),
        Output::JsonObject => None,
        Output::JsonSchema { schema, .. } => Some(schema),
    };
    if has_functions && !model.output_with_tools {
        losses.meaning("response_format");
        return Ok(());
    }
    config.response_mime_type = Some("application/json");
    let Some(schema) = schema else { return Ok(()) };
    let table = if model.json_schema { &JSON_SCHEMA } else { subset };
    let fitted = schema::fit(schema, table).ok_or_else(|| {
        let param = "response_format.json_schema.schema";
        Error::invalid(
            format!("The schema in '{param}' is too large when its references are resolved."),
            param,
            "invalid_value",
        )
    })?;
    if fitted.lossy {
        losses.hint("response_format.json_schema.schema");
    }
    if model.json_schema {
        config.response_json_schema = Some(fitted.schema);
    } else {
        config.response_schema = Some(fitted.schema);
    }
    Ok(())
}

fn service_tier(request: &ir::Request, host: Host, losses: &mut Losses) -> Option<&'static str> {
    let tier = match request.service_tier.as_deref()? {
        "flex" => "flex",
        "priority" => "priority",
        "default" | "standard" => "standard",
        "auto" => return None,
        _ => {
            losses.hint("service_tier");
            return None;
        }
    };
    (host == Host::Vendor).then_some(tier)
}

/// Vertex AI reads the tier from a header.
fn headers(request: &ir::Request, host: Host) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let tier =
        request.service_tier.as_deref().filter(|tier| host == Host::Cloud && matches!(*tier, "flex" | "priority"));
    if let Some(tier) = tier.and_then(|tier| HeaderValue::from_str(tier).ok()) {
        headers.insert("x-vertex-ai-llm-shared-request-type", tier);
    }
    headers
}

/// Vertex AI bills by labels, of small letters, digits, `_` and `-`; pairs that are none are left out.
fn labels<'a>(request: &'a ir::Request, host: Host, body: &mut Body<'a>, losses: &mut Losses) {
    if request.metadata.is_empty() {
        return;
    }
    let fits = |text: &str| {
        text.len() <= 63
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-'))
    };
    let is_label = |(key, value): &(&String, &String)| {
        key.starts_with(|first: char| first.is_ascii_lowercase()) && fits(key) && fits(value)
    };
    let labels: Vec<_> = request.metadata.iter().filter(is_label).filter(|_| host == Host::Cloud).collect();
    if labels.len() < request.metadata.len() {
        losses.hint("metadata");
    }
    if !labels.is_empty() {
        let labels: std::collections::BTreeMap<_, _> = labels.into_iter().collect();
        body.labels = to_raw_value(&labels).ok().map(Cow::<RawValue>::Owned);
    }
}

/// Names what has no counterpart.
fn refuse(request: &ir::Request, losses: &mut Losses) {
    if request.sampling.n.is_some_and(|n| n > 1) {
        losses.meaning("n");
    }
    for (field, lost) in [
        ("verbosity", request.verbosity.is_some()),
        ("user", request.user.is_some()),
        ("prompt_cache_key", request.cache_key.is_some()),
        ("cache_control", request.cache.is_some()),
    ] {
        if lost {
            losses.hint(field);
        }
    }
}
