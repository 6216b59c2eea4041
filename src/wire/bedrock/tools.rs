//! Tools and the choice among them (rule T6).
//!
//! | asked | sent |
//! |---|---|
//! | nothing, `auto` | nothing, which is `auto` |
//! | `none` | no tools at all: there is no other way to say it |
//! | `required` | `any` |
//! | a tool | `tool`; `any` of that one tool, where only `any` is taken |
//! | allowed, one and required | as if named |
//! | allowed, otherwise | the tools are filtered, then nothing or `any` |
//!
//! A forced choice of a model that takes none is a 400 naming `tool_choice`. At most one call a turn
//! can be asked of Claude, and where no choice is forced; elsewhere it is a wish that is reported
//! lost.
//!
//! Source: "ToolConfiguration", "ToolChoice" (docs.aws.amazon.com/bedrock, read November 2026).

use std::borrow::Cow;

use super::{
    body::{CachePoint, InputSchema, Tool, ToolChoice, ToolSpec},
    models::{Cache, Line, Reasoning},
};
use crate::{
    ir,
    wire::{
        anthropic::{
            body::Schema,
            output::{Shape, TOOL_DESCRIPTION},
            tools::{allowed, described, is_strict},
        },
        losses::Losses,
        names::Names,
    },
};

/// The tool part of a request.
#[derive(Debug, Default)]
pub(super) struct Tools<'a> {
    pub tools: Vec<Tool<'a>>,
    pub choice: Option<ToolChoice<'a>>,
    /// Claude is to be told not to call several at once.
    pub one_at_a_time: bool,
}

// === impl Tools ===

impl<'a> Tools<'a> {
    pub(super) fn new(
        request: &'a ir::Request,
        line: &Line,
        names: &'a Names,
        shape: &Shape<'a>,
        losses: &mut Losses,
    ) -> Self {
        let mut this = Self::default();
        let wish = Wish::new(request, line, losses);
        for tool in request.tools.iter().filter(|tool| wish.keeps(&tool.name)) {
            this.push(tool, line, names, losses);
        }
        let has_tools = !this.tools.is_empty();
        this.choice = match wish {
            Wish::Any { .. } => Some(ToolChoice::Any {}),
            Wish::Tool(name) => Some(ToolChoice::Tool { name: Cow::Borrowed(names.wire(name)) }),
            Wish::Auto { .. } | Wish::None => None,
        };
        if this.choice.is_some() && !has_tools {
            losses.meaning("tool_choice");
            this.choice = None;
        }
        if let Shape::Tool { name, description, schema } = shape {
            this.choice = Some(with_output_tool(this.choice, has_tools, name));
            this.tools.push(Tool::ToolSpec(ToolSpec {
                name: Cow::Owned(name.clone()),
                description: Some(Cow::Borrowed(description.unwrap_or(TOOL_DESCRIPTION))),
                input_schema: InputSchema::Json(Schema::Raw(schema)),
                strict: false,
            }));
        }
        if request.parallel_tool_calls == Some(false) && has_tools {
            this.one_at_a_time = line.reasoning == Reasoning::Claude && this.choice.is_none();
            if !this.one_at_a_time {
                losses.hint("parallel_tool_calls");
            }
        }
        this
    }

    pub(super) fn is_forced(&self) -> bool {
        self.choice.is_some()
    }

    fn push(&mut self, tool: &'a ir::Tool, line: &Line, names: &'a Names, losses: &mut Losses) {
        let (description, schema) = described(tool, losses);
        self.tools.push(Tool::ToolSpec(ToolSpec {
            name: Cow::Borrowed(names.wire(&tool.name)),
            description,
            input_schema: InputSchema::Json(schema),
            strict: is_strict(tool, &line.model, losses),
        }));
        match (tool.cache, line.cache) {
            (None, _) => {}
            (Some(hint), Cache::All) => self.tools.push(Tool::CachePoint(CachePoint::from(hint))),
            (Some(_), Cache::Prompt | Cache::None) => losses.hint("cache_control"),
        }
    }
}

/// What is asked for, as far as the model takes it.
#[derive(Debug, Clone, Copy)]
enum Wish<'a> {
    /// Of these tools; of all when `None`.
    Auto {
        of: Option<&'a [String]>,
    },
    Any {
        of: Option<&'a [String]>,
    },
    Tool(&'a str),
    None,
}

// === impl Wish ===

impl<'a> Wish<'a> {
    fn new(request: &'a ir::Request, line: &Line, losses: &mut Losses) -> Self {
        let wish = match &request.tool_choice {
            None | Some(ir::ToolChoice::Auto) => Self::Auto { of: None },
            Some(ir::ToolChoice::None) => Self::None,
            Some(ir::ToolChoice::Required) => Self::Any { of: None },
            Some(ir::ToolChoice::Named(name)) => Self::named(name, std::slice::from_ref(name), line),
            Some(ir::ToolChoice::Allowed { names, required }) => match names.as_slice() {
                [name] if *required => Self::named(name, names, line),
                _ if *required => Self::Any { of: allowed(request) },
                _ => Self::Auto { of: allowed(request) },
            },
        };
        let is_refused = match wish {
            Self::Any { .. } => !line.any,
            Self::Tool(_) => !line.tool,
            Self::Auto { .. } | Self::None => false,
        };
        if is_refused {
            losses.meaning("tool_choice");
        }
        wish
    }

    fn named(name: &'a str, alone: &'a [String], line: &Line) -> Self {
        if line.any && !line.tool { Self::Any { of: Some(alone) } } else { Self::Tool(name) }
    }

    fn keeps(&self, name: &String) -> bool {
        match self {
            Self::Auto { of } | Self::Any { of } => of.is_none_or(|names| names.contains(name)),
            Self::Tool(_) => true,
            Self::None => false,
        }
    }
}

/// J1: the answer is a call, of the output tool or of a real one; a real tool asked for by name
/// wins.
fn with_output_tool<'a>(asked: Option<ToolChoice<'a>>, has_tools: bool, output: &str) -> ToolChoice<'a> {
    match asked {
        Some(ToolChoice::Tool { name }) => ToolChoice::Tool { name },
        Some(ToolChoice::Any {}) | None if has_tools => ToolChoice::Any {},
        Some(ToolChoice::Any {}) | None => ToolChoice::Tool { name: Cow::Owned(output.into()) },
    }
}
