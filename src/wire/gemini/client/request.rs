//! A client's request, read into the canonical form.
//!
//! Every field of the reference is read; what the canonical form has no place for goes to `extra`
//! under its path, so that a target of another dialect reports it as lost (`safetySettings`,
//! `generationConfig.speechConfig`). A cache of Google's is refused: without it the prompt has no
//! beginning. Unknown fields, which Google itself refuses, are reported like those (`$.newField`).
//!
//! Source: "Generating content" and "Counting tokens" (ai.google.dev/api, read November 2026).

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{
    config,
    contents::{self, Reader},
    fields::{Extra, Fields, is},
    tools,
};
use crate::{
    error::{Error, Result},
    ir::{self, Block, Message, Output, Role},
    wire::{
        json::{Document, Object},
        prompted,
    },
};

const KNOWN: &[&str] = &[
    // It stands in the path.
    "model",
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "generationConfig",
    "cachedContent",
    "labels",
    "serviceTier",
    "safetySettings",
    "modelArmorConfig",
];
/// Members that no other vendor has anything like.
const LOST: &[&str] = &["safetySettings", "modelArmorConfig"];

pub(super) fn decode(body: &[u8]) -> Result<ir::Request> {
    let document = Document::parse(body)?;
    let root = Fields::root(&document);
    let mut extra = Extra::new();
    // As a path, so that an upstream of another dialect does not take it for a field of its own.
    root.note("$", KNOWN, &mut extra);
    for (name, node) in LOST.iter().filter_map(|name| Some((*name, root.get(name)?))) {
        extra.insert(name.into(), node.raw().to_owned());
    }
    if let Some(cache) = root.string("cachedContent")?.filter(|name| !name.is_empty()) {
        let message = format!("`{cache}` is a cache of Google's; no other provider's model can read it.");
        return Err(Error::invalid(message, "cachedContent", "unsupported_parameter"));
    }
    let mut messages = system(&root, &mut extra)?;
    let mut reader = Reader::new(&mut extra);
    reader.contents(&root.require("contents")?)?;
    messages.extend(reader.finish());
    let mut request = ir::Request {
        messages,
        tools: tools::decode(&root, &mut extra)?,
        metadata: labels(&root)?,
        service_tier: service_tier(&root)?,
        ..ir::Request::default()
    };
    tools::choice(&root, &mut request, &mut extra)?;
    if let Some(node) = root.get("generationConfig") {
        config::decode(&Fields::of(&node)?, &mut request, &mut extra)?;
    }
    request.extra = extra;
    tell_of_json(&mut request);
    Ok(request)
}

/// Google tells its models of the form that was asked for; others take JSON without a schema only where
/// the words of the request ask for it too.
fn tell_of_json(request: &mut ir::Request) {
    let told = matches!(request.output, Output::JsonObject).then(|| prompted::json_output(&request.output)).flatten();
    let Some(told) = told else { return };
    let mentions =
        |block: &Block| matches!(block, Block::Text { text, .. } if text.to_ascii_lowercase().contains("json"));
    if request.messages.iter().flat_map(|message| &message.blocks).any(mentions) {
        return;
    }
    match request.messages.first_mut().filter(|message| message.role == Role::System) {
        Some(system) => system.blocks.push(Block::text(told)),
        None => request.messages.insert(0, Message::new(Role::System, vec![Block::text(told)])),
    }
}

/// The request whose prompt shall be counted: the body, or what it wraps.
pub fn counted(body: &Bytes) -> Result<Bytes> {
    let object = Object::parse(body)?;
    let wrapped = object.members().iter().find(|member| is(&member.key, "generateContentRequest"));
    Ok(wrapped.map_or_else(|| body.clone(), |member| Bytes::copy_from_slice(member.value.get().as_bytes())))
}

fn system(root: &Fields<'_, '_>, extra: &mut Extra) -> Result<Vec<Message>> {
    let Some(node) = root.get("systemInstruction") else { return Ok(Vec::new()) };
    let blocks = contents::instruction(&node, extra)?;
    Ok(if blocks.is_empty() { Vec::new() } else { vec![Message::new(Role::System, blocks)] })
}

fn labels(root: &Fields<'_, '_>) -> Result<BTreeMap<String, String>> {
    let Some(node) = root.get("labels") else { return Ok(BTreeMap::new()) };
    serde_json::from_str(node.raw().get()).map_err(|_| node.mistyped("an object of strings"))
}

/// In OpenAI's words, which the canonical form has.
fn service_tier(root: &Fields<'_, '_>) -> Result<Option<String>> {
    let tier = root.word("serviceTier")?.map(|tier| tier.to_ascii_lowercase());
    let tier = tier.map(|tier| tier.strip_prefix("service_tier_").map(Into::into).unwrap_or(tier));
    Ok(tier.map(|tier| if tier == "standard" { "default".into() } else { tier }))
}
