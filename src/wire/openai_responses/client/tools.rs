//! The tools of a client's request, and which of them may be called.
//!
//! The tools of a group (`namespace`) are tools like any other, under joined names
//! ([`super::namespaces`]). Any further kind is one the vendor runs itself. That is no error, for
//! agents send such tools to every endpoint: it goes to `extra` under its path, so that it is reported
//! and not lost in silence. A choice that forces one is an error.

use serde_json::{Map, Value, json, value::RawValue, value::to_raw_value};

use super::namespaces::joined;
use crate::{
    error::Result,
    ir::{self, Tool, ToolChoice, ToolKind},
    wire::read::{Node, Record, Shape},
};

pub(super) fn decode(node: &Node<'_, '_>, request: &mut ir::Request) -> Result<()> {
    decode_within(None, node, request)
}

fn decode_within(group: Option<&str>, node: &Node<'_, '_>, request: &mut ir::Request) -> Result<()> {
    for (index, raw) in node.list()?.into_iter().enumerate() {
        let item = node.item(index, raw);
        let record = item.record()?;
        let kind = record.require("type")?.string()?;
        let tool = match kind.as_str() {
            "function" => function(&record)?,
            "custom" => custom(&record)?,
            "namespace" if group.is_none() => {
                let name = record.require("name")?.string()?;
                decode_within(Some(&name), &record.require("tools")?, request)?;
                continue;
            }
            _ => {
                request.extra.insert(item.path().to_string(), item.raw().to_owned());
                continue;
            }
        };
        let name = group.map_or_else(|| tool.name.clone(), |group| joined(group, &tool.name));
        request.tools.push(Tool { name, ..tool });
    }
    Ok(())
}

pub(super) fn choice(node: &Node<'_, '_>) -> Result<ToolChoice> {
    if node.shape() == Shape::String {
        return match &*node.str()? {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            "required" => Ok(ToolChoice::Required),
            other => Err(node.path().unsupported(other, &["none", "auto", "required"])),
        };
    }
    let record = node.record_or("a string or an object")?;
    let kind = record.require("type")?;
    match &*kind.str()? {
        "function" | "custom" => Ok(ToolChoice::Named(record.require("name")?.string()?)),
        "allowed_tools" => allowed(&record),
        other => Err(kind.path().unsupported(other, &["function", "custom", "allowed_tools"])),
    }
}

fn allowed(record: &Record<'_, '_>) -> Result<ToolChoice> {
    let required = match record.get("mode") {
        None => false,
        Some(mode) => match &*mode.str()? {
            "auto" => false,
            "required" => true,
            other => return Err(mode.path().unsupported(other, &["auto", "required"])),
        },
    };
    let tools = record.require("tools")?;
    let mut names = Vec::new();
    for (index, raw) in tools.list()?.into_iter().enumerate() {
        // One the vendor runs itself has no name, and is not among the tools either.
        names.extend(tools.item(index, raw).record()?.string("name")?);
    }
    Ok(ToolChoice::Allowed { names, required })
}

/// Without a word a function is strict here, as far as its schema allows it; that is not asked of
/// anybody who does not know the rule.
fn function(record: &Record<'_, '_>) -> Result<Tool> {
    Ok(Tool {
        name: record.require("name")?.string()?,
        description: record.string("description")?,
        schema: record.raw_object("parameters")?,
        strict: record.bool("strict")?,
        kind: ToolKind::Function,
        cache: None,
    })
}

fn custom(record: &Record<'_, '_>) -> Result<Tool> {
    Ok(Tool {
        name: record.require("name")?.string()?,
        description: record.string("description")?,
        schema: record.raw_object("format")?.map(nested),
        strict: None,
        kind: ToolKind::Custom,
        cache: None,
    })
}

/// The canonical form has a grammar nested under its own name, as chat completions do.
fn nested(format: Box<RawValue>) -> Box<RawValue> {
    let Ok(Value::Object(mut members)) = serde_json::from_str::<Value>(format.get()) else { return format };
    if members.get("type").and_then(Value::as_str) != Some("grammar") || members.contains_key("grammar") {
        return format;
    }
    let grammar: Map<String, Value> =
        ["syntax", "definition"].into_iter().filter_map(|key| members.remove_entry(key)).collect();
    to_raw_value(&json!({"type": "grammar", "grammar": grammar})).unwrap_or(format)
}
