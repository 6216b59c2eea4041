//! A client's Messages request, read into the canonical form.
//!
//! Every field of the reference is read; what the canonical form has no place for goes to `extra`,
//! top-level fields under their own names, others under their paths, so that a target of another
//! dialect reports it as lost. New agents send new fields every month and expect other targets to
//! do without: nothing unknown is refused here, except where a user's own content would go missing.
//!
//! Deliberately absent: rules of single models, and the order of turns; the target knows its own.
//!
//! Source: "Create a Message" (platform.claude.com/docs, read November 2026).

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::{options, tools, turns};
use crate::{
    error::{Error, Result},
    ir::{self, CacheHint, CacheTtl, Message, Role},
    wire::{json::Document, read::Record},
};

/// What the canonical form has no place for.
pub(super) type Extra = BTreeMap<String, Box<RawValue>>;

/// Members with a place in the canonical form, or that concern only the gateway.
const KNOWN: &[&str] = &[
    "model",
    "max_tokens",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "output_format",
    "stop_sequences",
    "temperature",
    "top_p",
    "top_k",
    "stream",
    "metadata",
    "service_tier",
    "cache_control",
];

pub(super) fn decode(body: &[u8]) -> Result<ir::Request> {
    let document = Document::parse(body)?;
    let root = Record::of(&document);
    let mut extra = root.others(KNOWN);
    let mut messages = system(&root, &mut extra)?;
    messages.extend(turns::decode(&root.require("messages")?, &mut extra)?);
    let (tool_choice, parallel_tool_calls) = tools::choice(&root)?;
    Ok(ir::Request {
        model: root.require("model")?.string()?,
        messages,
        tools: tools::decode(&root, &mut extra)?,
        tool_choice,
        parallel_tool_calls,
        max_tokens: max_tokens(&root)?,
        sampling: ir::Sampling {
            temperature: root.number("temperature")?,
            top_p: root.number("top_p")?,
            top_k: root.count("top_k")?,
            ..ir::Sampling::default()
        },
        stop: stops(&root)?,
        output: options::output(&root)?,
        reasoning: options::reasoning(&root, &mut extra)?,
        user: user(&root)?,
        service_tier: service_tier(&root)?,
        cache: cache(&root)?,
        stream: root.bool("stream")?.unwrap_or(false),
        extra,
        ..ir::Request::default()
    })
}

/// None at all is for warming the vendor's own cache, which no other dialect can.
fn max_tokens(root: &Record<'_, '_>) -> Result<Option<u64>> {
    let most = root.count("max_tokens")?;
    if most == Some(0) {
        let message = "`max_tokens`: 0 only warms Anthropic's own cache; this model needs at least 1.";
        return Err(Error::invalid(message, "max_tokens", "integer_below_min_value"));
    }
    Ok(most)
}

/// `cache_control` of whatever may carry one.
pub(super) fn cache(holder: &Record<'_, '_>) -> Result<Option<CacheHint>> {
    let Some(node) = holder.get("cache_control") else { return Ok(None) };
    let ttl = match node.record()?.string("ttl")?.as_deref() {
        Some("5m") => Some(CacheTtl::FiveMinutes),
        Some("1h") => Some(CacheTtl::OneHour),
        Some(_) | None => None,
    };
    Ok(Some(CacheHint { ttl }))
}

/// Notes members of `holder` that have no place, under `path` and without their indices: a
/// conversation repeats them in every turn. What says the default is not noted.
pub(super) fn note(holder: &Record<'_, '_>, path: &str, names: &[&str], extra: &mut Extra) {
    for name in names {
        let node = holder.get(name).filter(|node| !matches!(node.raw().get(), "false" | "[]" | "{}"));
        if let Some(node) = node {
            extra.entry(format!("{path}.{name}")).or_insert_with(|| node.raw().to_owned());
        }
    }
}

fn system(root: &Record<'_, '_>, extra: &mut Extra) -> Result<Vec<Message>> {
    let Some(node) = root.get("system") else { return Ok(Vec::new()) };
    let blocks = turns::content(&node, Role::System, extra)?;
    Ok(if blocks.is_empty() { Vec::new() } else { vec![Message::new(Role::System, blocks)] })
}

fn stops(root: &Record<'_, '_>) -> Result<Vec<String>> {
    let Some(node) = root.get("stop_sequences") else { return Ok(Vec::new()) };
    node.list()?.into_iter().enumerate().map(|(at, raw)| node.item(at, raw).string()).collect()
}

fn user(root: &Record<'_, '_>) -> Result<Option<String>> {
    root.get("metadata").map_or(Ok(None), |node| node.record()?.string("user_id"))
}

/// In OpenAI's words, which the canonical form has.
fn service_tier(root: &Record<'_, '_>) -> Result<Option<String>> {
    let tier = root.string("service_tier")?;
    Ok(tier.map(|tier| if tier == "standard_only" { "default".into() } else { tier }))
}
