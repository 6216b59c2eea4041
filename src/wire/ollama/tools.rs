//! Tools, and the choice among them (rule T6).
//!
//! | asked | sent |
//! |---|---|
//! | nothing, `auto` | the tools |
//! | `none` | no tools |
//! | allowed, one may be called | the allowed tools |
//! | `required`, a tool, allowed and required | nothing: a 400 that names `tool_choice` |
//!
//! The server has no word for a forced call, and one asked for in words would bind nothing. Custom
//! tools become functions of one string; a grammar is shown to the model but not enforced. Names
//! pass as they are: the server has no rule for them.
//!
//! Source: `Tool` and `ToolFunction` in `api/types.go` (ollama/ollama, read November 2026).

use crate::{
    ir::{self, ToolChoice},
    wire::{function::Tool, losses::Losses},
};

/// The tools the model may call.
#[derive(Debug)]
pub(super) struct Tools<'a>(Vec<Tool<'a>>);

// === impl Tools ===

impl<'a> Tools<'a> {
    pub(super) fn new(request: &'a ir::Request, losses: &mut Losses) -> Self {
        let may = |tool: &&ir::Tool| match &request.tool_choice {
            Some(ToolChoice::None) => false,
            Some(ToolChoice::Allowed { names, .. }) => names.contains(&tool.name),
            Some(ToolChoice::Auto | ToolChoice::Required | ToolChoice::Named(_)) | None => true,
        };
        match &request.tool_choice {
            Some(ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::Allowed { required: true, .. }) => {
                losses.meaning("tool_choice");
            }
            Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Allowed { required: false, .. }) | None => {}
        }
        let tools: Vec<Tool<'a>> = request.tools.iter().filter(may).map(|tool| write(tool, losses)).collect();
        if request.parallel_tool_calls == Some(false) && !request.legacy_functions && !tools.is_empty() {
            losses.hint("parallel_tool_calls");
        }
        Self(tools)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_vec(self) -> Vec<Tool<'a>> {
        self.0
    }
}

fn write<'a>(tool: &'a ir::Tool, losses: &mut Losses) -> Tool<'a> {
    if tool.strict == Some(true) {
        losses.hint("tools[].function.strict");
    }
    Tool::new(tool, &tool.name, losses)
}
