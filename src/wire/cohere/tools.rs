//! Tools, and the choice among them (rule T6).
//!
//! | asked | sent |
//! |---|---|
//! | nothing, `auto` | the tools |
//! | `none` | `NONE`; the tools stay, so that the prompt's beginning does |
//! | `required` | `REQUIRED` |
//! | a tool | `REQUIRED`, and that tool alone |
//! | allowed | the allowed tools, with `REQUIRED` where one must be called |
//!
//! Custom tools become functions of one string; a grammar is shown to the model but not enforced.
//! The vendor's strictness is one switch for all tools and wants a required parameter of each.
//!
//! Source: "Tool use" and "Structured outputs (tools)" (docs.cohere.com, read November 2026).

use serde::Deserialize;

use crate::{
    ir::{self, Block, ToolChoice, ToolKind},
    wire::{function::Tool, losses::Losses, names::Names},
};

/// The tool part of a request.
#[derive(Debug)]
pub(super) struct Tools<'a> {
    pub tools: Vec<Tool<'a>>,
    pub choice: Option<&'static str>,
    pub strict: bool,
}

#[derive(Deserialize)]
struct Required {
    #[serde(default)]
    required: Vec<serde::de::IgnoredAny>,
}

/// Every tool name in the request, declared or called.
pub(super) fn names(request: &ir::Request) -> impl Iterator<Item = &str> + Clone {
    fn called(block: &Block) -> Option<&str> {
        if let Block::ToolCall { name, .. } = block { Some(name) } else { None }
    }
    let blocks = request.messages.iter().flat_map(|message| &message.blocks);
    request.tools.iter().map(|tool| tool.name.as_str()).chain(blocks.filter_map(called))
}

// === impl Tools ===

impl<'a> Tools<'a> {
    pub(super) fn new(request: &'a ir::Request, names: &'a Names, losses: &mut Losses) -> Self {
        let may = |tool: &&ir::Tool| match &request.tool_choice {
            Some(ToolChoice::Named(name)) => tool.name == *name,
            Some(ToolChoice::Allowed { names, .. }) => names.contains(&tool.name),
            Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Required) | None => true,
        };
        let kept: Vec<&ir::Tool> = request.tools.iter().filter(may).collect();
        let choice = choice(request.tool_choice.as_ref());
        if kept.is_empty() && choice == Some("REQUIRED") {
            losses.meaning("tool_choice");
        }
        if request.parallel_tool_calls == Some(false) && !request.legacy_functions && !kept.is_empty() {
            losses.hint("parallel_tool_calls");
        }
        let asked = kept.iter().any(|tool| tool.strict == Some(true));
        let strict = asked && kept.iter().all(|tool| has_required(tool));
        if asked && !strict {
            losses.hint("tools[].function.strict");
        }
        let tools: Vec<Tool<'a>> =
            kept.into_iter().map(|tool| Tool::new(tool, names.wire(&tool.name), losses)).collect();
        Self { choice: choice.filter(|_| !tools.is_empty()), tools, strict }
    }
}

fn choice(asked: Option<&ToolChoice>) -> Option<&'static str> {
    match asked {
        None | Some(ToolChoice::Auto | ToolChoice::Allowed { required: false, .. }) => None,
        Some(ToolChoice::None) => Some("NONE"),
        Some(ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::Allowed { required: true, .. }) => {
            Some("REQUIRED")
        }
    }
}

fn has_required(tool: &ir::Tool) -> bool {
    let schema = tool.schema.as_deref().and_then(|schema| serde_json::from_str::<Required>(schema.get()).ok());
    tool.kind == ToolKind::Custom || schema.is_some_and(|schema| !schema.required.is_empty())
}
