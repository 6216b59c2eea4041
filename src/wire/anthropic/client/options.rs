//! How much to think and in what shape to answer, as clients ask for it.
//!
//! | `thinking` | canonical |
//! |---|---|
//! | `enabled` with a budget | the budget; `output_config.effort` beside it |
//! | `adaptive`, or nothing | `output_config.effort`; without one the model decides |
//! | `disabled`, `between_tools` | effort `none` |
//!
//! Source: "Extended thinking", "Adaptive thinking", "Effort", "Structured outputs"
//! (platform.claude.com/docs, read November 2026).

use super::request::{Extra, note};
use crate::{
    error::Result,
    ir::{Effort, Output, Reasoning},
    wire::{read::Record, tight::takes_strict},
};

/// The schema's name, which other dialects demand and this one does not have.
const SCHEMA_NAME: &str = "response";
const EFFORTS: &[&str] = &["low", "medium", "high", "xhigh", "max"];
const KINDS: &[&str] = &["enabled", "adaptive", "disabled", "between_tools"];

pub(super) fn reasoning(root: &Record<'_, '_>, extra: &mut Extra) -> Result<Reasoning> {
    let effort = effort(root, extra)?;
    let Some(node) = root.get("thinking") else { return Ok(Reasoning { effort, budget_tokens: None }) };
    let thinking = node.record()?;
    note(&thinking, "thinking", &["display", "block_binding"], extra);
    let kind = thinking.require("type")?;
    match &*kind.str()? {
        "enabled" => Ok(Reasoning { effort, budget_tokens: thinking.count("budget_tokens")? }),
        "adaptive" => Ok(Reasoning { effort, budget_tokens: None }),
        "disabled" | "between_tools" => Ok(Reasoning { effort: Some(Effort::None), budget_tokens: None }),
        other => Err(kind.path().unsupported(other, KINDS)),
    }
}

fn effort(root: &Record<'_, '_>, extra: &mut Extra) -> Result<Option<Effort>> {
    let Some(node) = root.get("output_config") else { return Ok(None) };
    let config = node.record()?;
    note(&config, "output_config", &["task_budget"], extra);
    let Some(effort) = config.get("effort") else { return Ok(None) };
    let word = effort.str()?;
    Effort::parse(&word).map(Some).ok_or_else(|| effort.path().unsupported(&word, EFFORTS))
}

/// `output_config.format`, or `output_format` as the beta had it.
pub(super) fn output(root: &Record<'_, '_>) -> Result<Output> {
    if let Some(config) = root.get("output_config") {
        let config = config.record()?;
        if config.get("format").is_some() {
            return format(&config, "format");
        }
    }
    format(root, "output_format")
}

fn format(holder: &Record<'_, '_>, key: &str) -> Result<Output> {
    let Some(node) = holder.get(key) else { return Ok(Output::Text) };
    let format = node.record()?;
    let kind = format.require("type")?;
    match &*kind.str()? {
        "json_schema" => {
            let schema = format.raw_object("schema")?.ok_or_else(|| format.path().missing("schema"))?;
            let strict = takes_strict(&schema).then_some(true);
            Ok(Output::JsonSchema { name: SCHEMA_NAME.into(), description: None, schema, strict })
        }
        other => Err(kind.path().unsupported(other, &["json_schema"])),
    }
}
