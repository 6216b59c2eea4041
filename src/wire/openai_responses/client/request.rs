//! A client's Responses request, read into the canonical form.
//!
//! Every field of the request reference is read. What belongs to the endpoint (`store`,
//! `background`, `previous_response_id`, `conversation`) is not read here; what the canonical form
//! has no place for goes to `extra` as it was written. The wish for a summary of the reasoning is no field of the form: the reasoning an
//! upstream shows is always shown.
//!
//! Source: "Create a model response" (OpenAI's API reference, specification 2.3.0; November 2026).

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::{input, tools};
use crate::{
    error::{Error, Result},
    ir::{self, Effort, Output},
    wire::{
        json::Document,
        openai_chat::request::{metadata, user},
        read::{Node, Record},
    },
};

pub(super) type Extra = BTreeMap<String, Box<RawValue>>;

/// Members that have a place in the canonical form, or that concern only the gateway.
const KNOWN: &[&str] = &[
    "background",
    "background_options",
    "conversation",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "metadata",
    "model",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "reasoning",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
];

/// What `include` may ask for; but for the last two nobody else than the vendor has any of it.
const INCLUDE: [&str; 8] = [
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "message.input_image.image_url",
    "web_search_call.action.sources",
    "web_search_call.results",
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
];

pub(super) fn decode(body: &[u8]) -> Result<ir::Request> {
    let document = Document::parse(body)?;
    let root = Record::of(&document);
    if let Some(prompt) = root.get("prompt") {
        let message = "Stored prompt templates are the vendor's own and cannot be used with this model.";
        return Err(Error::invalid(message, prompt.path().to_string(), "unsupported_parameter"));
    }
    let include = include(&root)?;
    let mut request = ir::Request {
        model: model(&root)?,
        tools: Vec::new(),
        tool_choice: root.get("tool_choice").map(|node| tools::choice(&node)).transpose()?,
        parallel_tool_calls: root.bool("parallel_tool_calls")?,
        max_tokens: root.count("max_output_tokens")?,
        sampling: sampling(&root, &include)?,
        metadata: root.get("metadata").map_or(Ok(BTreeMap::new()), |node| metadata(&node))?,
        service_tier: root.string("service_tier")?,
        cache_key: root.string("prompt_cache_key")?,
        stream: root.bool("stream")?.unwrap_or(false),
        extra: extra(&root),
        ..ir::Request::default()
    };
    if let Some(node) = root.get("tools") {
        tools::decode(&node, &mut request)?;
    }
    if let Some(node) = root.get("reasoning") {
        reasoning(&node, &mut request)?;
    }
    if let Some(node) = root.get("text") {
        text(&node, &mut request)?;
    }
    // A word that nobody knows may be next month's: it is named, and not refused.
    if let Some(raw) = root.get("include").filter(|_| !has_known_words(&include)) {
        request.extra.insert("include[]".into(), raw.raw().to_owned());
    }
    request.user = user(&root, &mut request.extra)?;
    if let Some(node) = root.get("instructions") {
        input::instructions(&node, &mut request)?;
    }
    if let Some(node) = root.get("input") {
        input::decode(&node, &mut request)?;
    }
    if request.messages.is_empty() {
        return Err(root.path().missing("input"));
    }
    Ok(request)
}

/// What a request's `reasoning` asks for; of the object's other members the wish for a summary is
/// always granted.
pub(super) fn reasoning(node: &Node<'_, '_>, request: &mut ir::Request) -> Result<()> {
    let record = node.record()?;
    if let Some(effort) = record.get("effort") {
        let text = effort.str()?;
        let supported = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];
        let parsed = Effort::parse(&text).ok_or_else(|| effort.path().unsupported(&text, &supported))?;
        request.reasoning.effort = Some(parsed);
    }
    let others = record.others(&["effort", "summary", "generate_summary"]);
    request.extra.extend(others.into_iter().map(|(key, value)| (format!("reasoning.{key}"), value)));
    Ok(())
}

/// `text`: the shape of the answer and its wordiness.
pub(super) fn text(node: &Node<'_, '_>, request: &mut ir::Request) -> Result<()> {
    let record = node.record()?;
    if let Some(format) = record.get("format") {
        request.output = output(&format)?;
    }
    if let Some(verbosity) = record.string("verbosity")? {
        request.verbosity = Some(verbosity);
    }
    Ok(())
}

fn model(root: &Record<'_, '_>) -> Result<String> {
    let model = root.require("model")?.string()?;
    if model.is_empty() { Err(root.path().missing("model")) } else { Ok(model) }
}

fn extra(root: &Record<'_, '_>) -> Extra {
    let mut extra = root.others(KNOWN);
    // Their default values ask for nothing.
    if extra.get("truncation").is_some_and(|value| value.get() == "\"disabled\"") {
        extra.remove("truncation");
    }
    // Another dialect has a field of this name and another shape.
    if let Some(value) = extra.remove("context_management") {
        extra.insert("context_management[]".into(), value);
    }
    extra
}

/// What the answer shall show besides what it always does.
fn include(root: &Record<'_, '_>) -> Result<Vec<String>> {
    let Some(node) = root.get("include") else { return Ok(Vec::new()) };
    let list = node.list()?.into_iter().enumerate();
    list.map(|(index, raw)| node.item(index, raw).string()).collect()
}

fn has_known_words(include: &[String]) -> bool {
    include.iter().all(|word| INCLUDE.contains(&word.as_str()))
}

fn sampling(root: &Record<'_, '_>, include: &[String]) -> Result<ir::Sampling> {
    Ok(ir::Sampling {
        temperature: root.number("temperature")?,
        top_p: root.number("top_p")?,
        logprobs: include.iter().any(|wish| wish == "message.output_text.logprobs"),
        top_logprobs: root.count("top_logprobs")?.filter(|count| *count > 0),
        ..ir::Sampling::default()
    })
}

/// `json_schema` lies flat here.
fn output(node: &Node<'_, '_>) -> Result<Output> {
    let format = node.record()?;
    let kind = format.require("type")?;
    match &*kind.str()? {
        "text" => Ok(Output::Text),
        "json_object" => Ok(Output::JsonObject),
        "json_schema" => Ok(Output::JsonSchema {
            name: format.require("name")?.string()?,
            description: format.string("description")?,
            schema: match format.raw_object("schema")? {
                Some(schema) => schema,
                None => return Err(format.path().missing("schema")),
            },
            strict: format.bool("strict")?,
        }),
        other => Err(kind.path().unsupported(other, &["text", "json_object", "json_schema"])),
    }
}
