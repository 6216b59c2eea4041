//! Tools and the choice among them (rule T6).
//!
//! | asked | sent |
//! |---|---|
//! | nothing, `auto` | `auto`, written only to forbid parallel calls |
//! | `none` | `none`; the tools stay, for the prompt cache |
//! | `required` | `any` |
//! | a tool | `tool` |
//! | allowed, one and required | `tool`, all tools kept |
//! | allowed, otherwise | the tools are filtered, then `auto` or `any` |
//!
//! A forced choice on a line that refuses it is a 400 naming `tool_choice`: an instruction in its
//! stead would bind nothing, and would change the prefix that those lines' thinking is signed for.
//! Custom tools become functions of one string; a grammar is shown to the model but not enforced.
//!
//! Source: "Define tools" and the migration guides (platform.claude.com/docs, read November 2026).

use std::borrow::Cow;

use super::{
    body::{CacheControl, Fixed, Schema, Tool, ToolChoice},
    models::Model,
    output::{Fitted, Shape, TOOL_DESCRIPTION},
};
use crate::{
    ir::{self, ToolKind},
    wire::{losses::Losses, names::Names},
};

/// The tool part of a request.
#[derive(Debug, Default)]
pub(crate) struct Tools<'a> {
    pub tools: Vec<Tool<'a>>,
    pub choice: Option<ToolChoice<'a>>,
}

// === impl Tools ===

impl<'a> Tools<'a> {
    pub(crate) fn new(
        request: &'a ir::Request,
        model: &Model,
        names: &'a Names,
        shape: &Shape<'a>,
        losses: &mut Losses,
    ) -> Self {
        let allowed = allowed(request);
        let kept = |tool: &&ir::Tool| allowed.is_none_or(|names| names.contains(&tool.name));
        let mut tools: Vec<Tool<'a>> =
            request.tools.iter().filter(kept).map(|tool| write(tool, model, names, losses)).collect();
        let mut choice = choice(request, names, tools.is_empty(), losses);
        if let Shape::Tool { name, description, schema } = shape {
            choice = with_output_tool(choice, name);
            tools.push(Tool {
                name: Cow::Owned(name.clone()),
                description: Some(Cow::Borrowed(description.unwrap_or(TOOL_DESCRIPTION))),
                input_schema: Schema::Raw(schema),
                strict: false,
                cache_control: None,
            });
        }
        let mut this = Self { tools, choice };
        if this.is_forced() && !model.forced_choice {
            losses.meaning("tool_choice");
        }
        this.forbid_parallel(request.parallel_tool_calls);
        this
    }

    pub(crate) fn is_forced(&self) -> bool {
        self.choice.as_ref().is_some_and(|choice| matches!(choice.kind, "any" | "tool"))
    }

    fn forbid_parallel(&mut self, parallel: Option<bool>) {
        if parallel != Some(false) || self.tools.is_empty() {
            return;
        }
        let choice = self.choice.get_or_insert_with(|| kind("auto"));
        choice.disable_parallel_tool_use = choice.kind != "none";
    }
}

/// The names the tools are filtered by. One required tool is named instead.
pub(crate) fn allowed(request: &ir::Request) -> Option<&[String]> {
    match &request.tool_choice {
        Some(ir::ToolChoice::Allowed { names, required }) if !(*required && names.len() == 1) => Some(names),
        _ => None,
    }
}

fn choice<'a>(
    request: &'a ir::Request,
    names: &'a Names,
    no_tools: bool,
    losses: &mut Losses,
) -> Option<ToolChoice<'a>> {
    let asked = request.tool_choice.as_ref()?;
    let (choice, needs_tools) = match asked {
        ir::ToolChoice::Auto => return None,
        ir::ToolChoice::None => (kind("none"), false),
        ir::ToolChoice::Required => (kind("any"), true),
        ir::ToolChoice::Named(name) => (named(names.wire(name)), true),
        ir::ToolChoice::Allowed { names: allowed, required } => match allowed.as_slice() {
            [name] if *required => (named(names.wire(name)), true),
            _ if *required => (kind("any"), true),
            _ => return None,
        },
    };
    if no_tools && needs_tools {
        losses.meaning("tool_choice");
    }
    (!no_tools).then_some(choice)
}

/// J1: the answer is a call, of the output tool or of a real one; a real tool asked for by name
/// wins.
fn with_output_tool<'a>(asked: Option<ToolChoice<'a>>, output: &str) -> Option<ToolChoice<'a>> {
    let output = || ToolChoice { name: Some(Cow::Owned(output.into())), ..kind("tool") };
    Some(match asked {
        Some(choice) if choice.kind == "none" => output(),
        Some(choice) if choice.name.is_some() => choice,
        Some(_) | None => kind("any"),
    })
}

fn kind(kind: &'static str) -> ToolChoice<'static> {
    ToolChoice { kind, name: None, disable_parallel_tool_use: false }
}

fn named(name: &str) -> ToolChoice<'_> {
    ToolChoice { name: Some(Cow::Borrowed(name)), ..kind("tool") }
}

fn write<'a>(tool: &'a ir::Tool, model: &Model, names: &'a Names, losses: &mut Losses) -> Tool<'a> {
    let (description, input_schema) = described(tool, losses);
    Tool {
        name: Cow::Borrowed(names.wire(&tool.name)),
        description,
        input_schema,
        strict: is_strict(tool, model, losses),
        cache_control: tool.cache.map(CacheControl::from),
    }
}

/// A tool's description and the schema of its arguments, which is always an object's.
pub(crate) fn described<'a>(tool: &'a ir::Tool, losses: &mut Losses) -> (Option<Cow<'a, str>>, Schema<'a>) {
    let description = tool.description.as_deref().filter(|text| !text.is_empty());
    match (tool.kind, tool.schema.as_deref()) {
        (ToolKind::Function, Some(schema)) => (description.map(Cow::Borrowed), Schema::Raw(schema)),
        (ToolKind::Function, None) => (description.map(Cow::Borrowed), Schema::Fixed(Fixed::Nothing)),
        (ToolKind::Custom, Some(format)) if format.get().contains("grammar") => {
            losses.hint("tools[].custom.format");
            let format = format!("{}\nFormat of the input: {format}", description.unwrap_or_default());
            (Some(Cow::Owned(format.trim_start().to_owned())), Schema::Fixed(Fixed::Text))
        }
        (ToolKind::Custom, _) => (description.map(Cow::Borrowed), Schema::Fixed(Fixed::Text)),
    }
}

/// Strictness is kept where the line has it and takes the schema as it stands.
pub(crate) fn is_strict(tool: &ir::Tool, model: &Model, losses: &mut Losses) -> bool {
    if tool.strict != Some(true) {
        return false;
    }
    let fits = tool.schema.as_deref().is_some_and(|schema| matches!(Fitted::new(schema), Fitted::AsIs));
    let strict = model.structured && fits;
    if !strict {
        losses.hint("tools[].function.strict");
    }
    strict
}
