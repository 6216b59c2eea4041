//! Tools as clients declare them, and the choice among them (rule T6).
//!
//! Tools that the vendor itself runs or has built in (a dated `type`, MCP toolsets) mean nothing to
//! another target: they are noted as lost, and the rest goes on without them.
//!
//! Source: "Define tools" (platform.claude.com/docs, read November 2026).

use super::request::{Extra, cache, note};
use crate::{
    error::Result,
    ir::{Tool, ToolChoice, ToolKind},
    wire::read::{Node, Record},
};

/// Says how the vendor handles a tool, nothing of what it is.
const HANDLING: &[&str] = &["defer_loading", "eager_input_streaming", "input_examples", "allowed_callers"];
const CHOICES: &[&str] = &["auto", "any", "tool", "none"];

pub(super) fn decode(root: &Record<'_, '_>, extra: &mut Extra) -> Result<Vec<Tool>> {
    let Some(node) = root.get("tools") else { return Ok(Vec::new()) };
    let mut tools = Vec::new();
    for (at, raw) in node.list()?.into_iter().enumerate() {
        tools.extend(tool(&node.item(at, raw), extra)?);
    }
    Ok(tools)
}

fn tool(node: &Node<'_, '_>, extra: &mut Extra) -> Result<Option<Tool>> {
    let tool = node.record()?;
    if tool.string("type")?.is_some_and(|kind| kind != "custom") {
        extra.entry("tools[].type".into()).or_insert_with(|| node.raw().to_owned());
        return Ok(None);
    }
    note(&tool, "tools[]", HANDLING, extra);
    Ok(Some(Tool {
        name: tool.require("name")?.string()?,
        description: tool.string("description")?,
        schema: tool.raw_object("input_schema")?,
        strict: tool.bool("strict")?,
        kind: ToolKind::Function,
        cache: cache(&tool)?,
    }))
}

/// The choice, and whether calls may come side by side.
pub(super) fn choice(root: &Record<'_, '_>) -> Result<(Option<ToolChoice>, Option<bool>)> {
    let Some(node) = root.get("tool_choice") else { return Ok((None, None)) };
    let choice = node.record()?;
    let kind = choice.require("type")?;
    let parallel = choice.bool("disable_parallel_tool_use")?.map(|disabled| !disabled);
    let choice = match &*kind.str()? {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(choice.require("name")?.string()?),
        other => return Err(kind.path().unsupported(other, CHOICES)),
    };
    Ok((Some(choice), parallel))
}
