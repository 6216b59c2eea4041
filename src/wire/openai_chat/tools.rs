//! The tools of a client's request, and which of them may be called. Reads the deprecated
//! `functions` and `function_call` too.
//!
//! A tool of a type that is neither `function` nor `custom` is no error: agents send such tools to
//! every endpoint. It goes to `extra` under its path, so that it is reported and not lost in
//! silence.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::request::cache_hint;
use crate::{
    error::Result,
    ir::{Tool, ToolChoice, ToolKind},
    wire::read::{Node, Record, Shape},
};

pub(super) fn decode(root: &Record<'_, '_>, extra: &mut BTreeMap<String, Box<RawValue>>) -> Result<Vec<Tool>> {
    let mut tools = Vec::new();
    if let Some(node) = root.get("tools") {
        for (index, raw) in node.list()?.into_iter().enumerate() {
            let item = node.item(index, raw);
            match tool(&item)? {
                Some(tool) => tools.push(tool),
                None => _ = extra.insert(item.path().to_string(), item.raw().to_owned()),
            }
        }
    }
    if let Some(node) = root.get("functions") {
        for (index, raw) in node.list()?.into_iter().enumerate() {
            tools.push(function(&node.item(index, raw).record()?)?);
        }
    }
    Ok(tools)
}

pub(super) fn choice(root: &Record<'_, '_>) -> Result<Option<ToolChoice>> {
    if let Some(node) = root.get("tool_choice") {
        return tool_choice(&node).map(Some);
    }
    root.get("function_call").map(|node| function_call(&node)).transpose()
}

fn tool(node: &Node<'_, '_>) -> Result<Option<Tool>> {
    let record = node.record()?;
    let cache = cache_hint(&record)?;
    let kind = match record.string("type")? {
        Some(kind) => kind,
        None if record.get("function").is_some() => "function".into(),
        None => return Err(record.path().missing("type")),
    };
    let tool = match kind.as_str() {
        "function" => function(&record.require("function")?.record()?)?,
        "custom" => custom(&record.require("custom")?.record()?)?,
        _ => return Ok(None),
    };
    Ok(Some(Tool { cache: cache.or(tool.cache), ..tool }))
}

fn function(record: &Record<'_, '_>) -> Result<Tool> {
    Ok(Tool {
        name: record.require("name")?.string()?,
        description: record.string("description")?,
        schema: record.raw_object("parameters")?,
        strict: record.bool("strict")?,
        kind: ToolKind::Function,
        cache: cache_hint(record)?,
    })
}

fn custom(record: &Record<'_, '_>) -> Result<Tool> {
    Ok(Tool {
        name: record.require("name")?.string()?,
        description: record.string("description")?,
        schema: record.raw_object("format")?,
        strict: None,
        kind: ToolKind::Custom,
        cache: cache_hint(record)?,
    })
}

/// `any` is Mistral's word for `required`.
fn tool_choice(node: &Node<'_, '_>) -> Result<ToolChoice> {
    if node.shape() == Shape::String {
        return match &*node.str()? {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            "required" | "any" => Ok(ToolChoice::Required),
            other => Err(node.path().unsupported(other, &["none", "auto", "required"])),
        };
    }
    let record = node.record_or("a string or an object")?;
    let kind = record.require("type")?;
    match &*kind.str()? {
        "function" | "custom" => named(&record).map(ToolChoice::Named),
        "allowed_tools" => allowed(&record.require("allowed_tools")?),
        other => Err(kind.path().unsupported(other, &["function", "custom", "allowed_tools"])),
    }
}

fn allowed(node: &Node<'_, '_>) -> Result<ToolChoice> {
    let record = node.record()?;
    let required = match record.get("mode") {
        None => false,
        Some(mode) => match &*mode.str()? {
            "auto" => false,
            "required" => true,
            other => return Err(mode.path().unsupported(other, &["auto", "required"])),
        },
    };
    let tools = record.require("tools")?;
    let names = tools.list()?.into_iter().enumerate();
    let names = names.map(|(index, raw)| named(&tools.item(index, raw).record()?));
    Ok(ToolChoice::Allowed { names: names.collect::<Result<_>>()?, required })
}

/// The name in `{"type":"function","function":{"name"}}`, or the same with `custom`.
fn named(record: &Record<'_, '_>) -> Result<String> {
    let key = if record.get("custom").is_some() { "custom" } else { "function" };
    record.require(key)?.record()?.require("name")?.string()
}

fn function_call(node: &Node<'_, '_>) -> Result<ToolChoice> {
    if node.shape() == Shape::String {
        return match &*node.str()? {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            other => Err(node.path().unsupported(other, &["none", "auto"])),
        };
    }
    let record = node.record_or("a string or an object")?;
    record.require("name")?.string().map(ToolChoice::Named)
}
