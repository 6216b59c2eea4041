//! A client's chat completions request, read into the canonical form.
//!
//! Every field of the request reference is read (openai-openapi spec 2.3.0, August 2026, and the
//! SDK types of November 2026), the deprecated spellings included, and three extensions that are
//! common among clients: Anthropic's `cache_control` and `thinking`, and vendors' `top_k`. What the
//! canonical form has no place for goes to `extra` as it was written.
//!
//! Deliberately absent: rules of single models and vendors (those are the target's), and
//! `stream_options`, which concerns only the gateway's own way of answering.

use std::collections::BTreeMap;

use super::{messages, tools};
use crate::{
    error::{Error, Result},
    ir::{self, Effort},
    wire::{
        json::Document,
        read::{Node, Record, Shape},
    },
};

/// Members that have a place in the canonical form, or that concern only the gateway.
const KNOWN: &[&str] = &[
    "model",
    "messages",
    "tools",
    "tool_choice",
    "functions",
    "function_call",
    "parallel_tool_calls",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "top_k",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "n",
    "logprobs",
    "top_logprobs",
    "stop",
    "response_format",
    "reasoning_effort",
    "thinking",
    "verbosity",
    "user",
    "metadata",
    "service_tier",
    "prompt_cache_key",
    "cache_control",
    "stream",
    "stream_options",
];

pub(super) fn decode(body: &[u8]) -> Result<ir::Request> {
    let document = Document::parse(body)?;
    let root = Record::of(&document);
    let mut extra = extra(&root)?;
    let legacy_functions = root.get("functions").is_some() && root.get("tools").is_none();
    let request = ir::Request {
        model: model(&root)?,
        messages: messages::decode(&root.require("messages")?, &mut extra)?,
        tools: tools::decode(&root, &mut extra)?,
        tool_choice: tools::choice(&root)?,
        // The older answer has room for one call.
        parallel_tool_calls: if legacy_functions { Some(false) } else { root.bool("parallel_tool_calls")? },
        max_tokens: match root.count("max_completion_tokens")? {
            Some(max) => Some(max),
            None => root.count("max_tokens")?,
        },
        sampling: sampling(&root)?,
        stop: root.get("stop").map_or(Ok(Vec::new()), |node| stop(&node))?,
        output: root.get("response_format").map_or(Ok(ir::Output::Text), |node| output(&node))?,
        reasoning: reasoning(&root)?,
        thoughts_welcome: false,
        verbosity: root.string("verbosity")?,
        user: user(&root, &mut extra)?,
        metadata: root.get("metadata").map_or(Ok(BTreeMap::new()), |node| metadata(&node))?,
        service_tier: root.string("service_tier")?,
        cache_key: root.string("prompt_cache_key")?,
        cache: cache_hint(&root)?,
        stream: root.bool("stream")?.unwrap_or(false),
        legacy_functions,
        extra,
    };
    Ok(request)
}

/// `cache_control: {"type":"ephemeral","ttl":"5m"|"1h"}` as Anthropic and the vendors that route to
/// it take it, or OpenAI's `prompt_cache_breakpoint: {"mode":"explicit","ttl":"30m"|"12h"}`. A ttl
/// longer than an hour asks for the longest there is.
pub(super) fn cache_hint(holder: &Record<'_, '_>) -> Result<Option<ir::CacheHint>> {
    let Some(node) = holder.get("cache_control").or_else(|| holder.get("prompt_cache_breakpoint")) else {
        return Ok(None);
    };
    let ttl = match node.record()?.get("ttl").map(|ttl| ttl.string()).transpose()?.as_deref() {
        Some("5m") => Some(ir::CacheTtl::FiveMinutes),
        Some("1h" | "30m" | "12h" | "24h") => Some(ir::CacheTtl::OneHour),
        Some(_) | None => None,
    };
    Ok(Some(ir::CacheHint { ttl }))
}

/// The model's name, which every request must have.
pub(in crate::wire) fn model(root: &Record<'_, '_>) -> Result<String> {
    let node = root.require("model")?;
    let model = node.string()?;
    if model.is_empty() { Err(root.path().missing("model")) } else { Ok(model) }
}

fn extra(root: &Record<'_, '_>) -> Result<BTreeMap<String, Box<serde_json::value::RawValue>>> {
    let mut extra = root.others(KNOWN);
    // Their default values ask for nothing, so carrying them nowhere loses nothing.
    if root.get("store").is_some_and(|store| store.bool().is_ok_and(|store| !store)) {
        extra.remove("store");
    }
    if let Some(node) = root.get("modalities") {
        let list = node.list()?;
        if list.iter().all(|item| item.text() == "\"text\"") {
            extra.remove("modalities");
        }
    }
    Ok(extra)
}

fn sampling(root: &Record<'_, '_>) -> Result<ir::Sampling> {
    let n = root.count("n")?;
    if n == Some(0) {
        let message = "Invalid 'n': expected a value of at least 1, but got 0.";
        return Err(Error::invalid(message, "n", "integer_below_min_value"));
    }
    Ok(ir::Sampling {
        temperature: root.number("temperature")?,
        top_p: root.number("top_p")?,
        top_k: root.count("top_k")?,
        seed: root.get("seed").map(|node| node.signed()).transpose()?,
        presence_penalty: root.number("presence_penalty")?,
        frequency_penalty: root.number("frequency_penalty")?,
        n,
        logprobs: root.bool("logprobs")?.unwrap_or(false),
        top_logprobs: root.count("top_logprobs")?,
    })
}

/// One text that ends the answer, or several.
pub(in crate::wire) fn stop(node: &Node<'_, '_>) -> Result<Vec<String>> {
    if node.shape() == Shape::String {
        return Ok(vec![node.string()?]);
    }
    let list = node.list_or("a string or an array of strings")?;
    list.into_iter().enumerate().map(|(index, raw)| node.item(index, raw).string()).collect()
}

fn output(node: &Node<'_, '_>) -> Result<ir::Output> {
    let format = node.record()?;
    let kind = format.require("type")?;
    match &*kind.str()? {
        "text" => Ok(ir::Output::Text),
        "json_object" => Ok(ir::Output::JsonObject),
        "json_schema" => {
            let node = format.require("json_schema")?;
            let schema = node.record()?;
            Ok(ir::Output::JsonSchema {
                name: schema.require("name")?.string()?,
                description: schema.string("description")?,
                schema: match schema.raw_object("schema")? {
                    Some(schema) => schema,
                    None => return Err(schema.path().missing("schema")),
                },
                strict: schema.bool("strict")?,
            })
        }
        other => Err(kind.path().unsupported(other, &["text", "json_object", "json_schema"])),
    }
}

/// `reasoning_effort`, and Anthropic's `thinking` as an extension: a budget travels as one, a bare
/// "think" is the middle effort, a bare "do not" is none. An explicit effort wins over both.
fn reasoning(root: &Record<'_, '_>) -> Result<ir::Reasoning> {
    let effort = root.get("reasoning_effort").map(|node| effort(&node)).transpose()?;
    let Some(node) = root.get("thinking") else {
        return Ok(ir::Reasoning { effort, budget_tokens: None });
    };
    let thinking = node.record()?;
    let kind = thinking.require("type")?;
    let budget_tokens = thinking.count("budget_tokens")?;
    let implied = match &*kind.str()? {
        "disabled" => return Ok(ir::Reasoning { effort: effort.or(Some(Effort::None)), budget_tokens: None }),
        "enabled" | "adaptive" | "between_tools" if budget_tokens.is_none() => Some(Effort::Medium),
        "enabled" | "adaptive" | "between_tools" => None,
        other => return Err(kind.path().unsupported(other, &["enabled", "adaptive", "between_tools", "disabled"])),
    };
    Ok(ir::Reasoning { effort: effort.or(implied), budget_tokens })
}

fn effort(node: &Node<'_, '_>) -> Result<Effort> {
    let text = node.str()?;
    let supported = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];
    Effort::parse(&text).ok_or_else(|| node.path().unsupported(&text, &supported))
}

/// `safety_identifier` replaces the older `user`. When both are there, both are kept.
pub(in crate::wire) fn user(
    root: &Record<'_, '_>,
    extra: &mut BTreeMap<String, Box<serde_json::value::RawValue>>,
) -> Result<Option<String>> {
    if let Some(user) = root.string("user")? {
        return Ok(Some(user));
    }
    extra.remove("safety_identifier");
    root.string("safety_identifier")
}

pub(in crate::wire) fn metadata(node: &Node<'_, '_>) -> Result<BTreeMap<String, String>> {
    let pairs = node.record()?;
    let keys: Vec<String> = pairs.members().map(|(key, _)| key.to_owned()).collect();
    let mut metadata = BTreeMap::new();
    for key in keys {
        if let Some(value) = pairs.string(&key)? {
            metadata.insert(key, value);
        }
    }
    Ok(metadata)
}
