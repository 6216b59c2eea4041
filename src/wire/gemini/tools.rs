//! Tools and the choice among them (rule T6).
//!
//! | asked | sent |
//! |---|---|
//! | nothing, `auto` | nothing; `VALIDATED` where a tool is strict |
//! | `none` | `NONE`; the tools stay, for the prompt cache |
//! | `required` | `ANY` |
//! | a tool | `ANY` with its name |
//! | allowed and required | `ANY` with the names |
//! | allowed | `VALIDATED` with the names |
//!
//! All functions stand in one list, in the client's order; the vendor's own tools follow. Custom tools
//! become functions of one string; a grammar is shown to the model but not enforced. "At most one
//! call" has no counterpart: where a call may be made, that is reported.
//!
//! Source: "Function calling", "Grounding with Google Search", "Code execution" and "URL context"
//! (ai.google.dev/gemini-api/docs, read November 2026).

use std::borrow::Cow;

use serde_json::value::{RawValue, to_raw_value};

use super::{
    body::{Calling, Function, Nothing, Tool, ToolConfig},
    models::Model,
    schema::{self, JSON_SCHEMA, Table},
};
use crate::{
    error::{Error, Result},
    ir::{self, ToolChoice, ToolKind},
    wire::{Host, losses::Losses, names::Names},
};

/// The tool part of a request.
#[derive(Debug, Default)]
pub(super) struct Tools<'a> {
    pub tools: Vec<Tool<'a>>,
    pub config: ToolConfig<'a>,
}

/// What tools are written for.
#[derive(Debug, Clone, Copy)]
pub(super) struct For<'f> {
    pub model: &'f Model,
    pub host: Host,
    /// The words of schemas where the line knows no JSON Schema.
    pub subset: &'static Table,
}

// === impl Tools ===

impl<'a> Tools<'a> {
    pub(super) fn new(request: &'a ir::Request, of: For<'_>, names: &'a Names, losses: &mut Losses) -> Result<Self> {
        let mut functions = Vec::with_capacity(request.tools.len());
        for (place, tool) in request.tools.iter().enumerate() {
            functions.push(write(tool, place, of, names, losses)?);
        }
        let mut own = own(request, losses);
        let has_functions = !functions.is_empty();
        let mut config =
            ToolConfig { function_calling_config: choice(request, names, losses), ..ToolConfig::default() };
        if has_functions && !own.is_empty() {
            if !of.model.mixed_tools {
                losses.meaning("web_search_options");
            }
            config.include_server_side_tool_invocations = of.host == Host::Vendor;
            let validated = || Calling { mode: "VALIDATED", allowed_function_names: Vec::new() };
            config.function_calling_config.get_or_insert_with(validated);
        }
        let mut tools = Vec::with_capacity(own.len() + 1);
        if has_functions {
            tools.push(Tool::FunctionDeclarations(functions));
        }
        tools.append(&mut own);
        Ok(Self { tools, config })
    }

    pub(super) fn has_functions(&self) -> bool {
        self.tools.iter().any(|tool| matches!(tool, Tool::FunctionDeclarations(_)))
    }
}

fn choice<'a>(request: &'a ir::Request, names: &'a Names, losses: &mut Losses) -> Option<Calling<'a>> {
    let asked = request.tool_choice.as_ref().unwrap_or(&ToolChoice::Auto);
    let needs_tools = match asked {
        ToolChoice::Auto | ToolChoice::None => false,
        ToolChoice::Required | ToolChoice::Named(_) => true,
        ToolChoice::Allowed { required, .. } => *required,
    };
    if request.tools.is_empty() {
        if needs_tools {
            losses.meaning("tool_choice");
        }
        return None;
    }
    if request.parallel_tool_calls == Some(false) && *asked != ToolChoice::None && !request.legacy_functions {
        losses.hint("parallel_tool_calls");
    }
    let calling = |mode| Calling { mode, allowed_function_names: Vec::new() };
    match asked {
        ToolChoice::Auto => request.tools.iter().any(|tool| tool.strict == Some(true)).then(|| calling("VALIDATED")),
        ToolChoice::None => Some(calling("NONE")),
        ToolChoice::Required => Some(calling("ANY")),
        ToolChoice::Named(name) => Some(Calling { mode: "ANY", allowed_function_names: vec![names.wire(name)] }),
        ToolChoice::Allowed { names: allowed, required } => Some(Calling {
            mode: if *required { "ANY" } else { "VALIDATED" },
            allowed_function_names: allowed.iter().map(|name| names.wire(name)).collect(),
        }),
    }
}

fn write<'a>(
    tool: &'a ir::Tool,
    place: usize,
    of: For<'_>,
    names: &'a Names,
    losses: &mut Losses,
) -> Result<Function<'a>> {
    if tool.cache.is_some() {
        losses.hint("tools[].cache_control");
    }
    let description = Cow::Borrowed(tool.description.as_deref().unwrap_or_default());
    let (description, schema) = match (tool.kind, tool.schema.as_deref()) {
        (ToolKind::Function, Some(schema)) => (description, Some(Cow::Borrowed(schema))),
        (ToolKind::Function, None) => (description, None),
        (ToolKind::Custom, Some(format)) if format.get().contains("grammar") => {
            losses.hint("tools[].custom.format");
            let format = format!("{description}\nFormat of the input: {format}");
            (Cow::Owned(format.trim_start().to_owned()), free_text().map(Cow::Owned))
        }
        (ToolKind::Custom, _) => (description, free_text().map(Cow::Owned)),
    };
    let schema = schema.filter(|schema| schema::has_properties(schema));
    let schema = schema.map(|schema| fitted(schema, place, of, losses)).transpose()?;
    let mut function =
        Function { name: names.wire(&tool.name), description, parameters: None, parameters_json_schema: None };
    if of.model.json_schema {
        function.parameters_json_schema = schema;
    } else {
        function.parameters = schema;
    }
    Ok(function)
}

/// T9.
fn fitted<'a>(schema: Cow<'a, RawValue>, place: usize, of: For<'_>, losses: &mut Losses) -> Result<Cow<'a, RawValue>> {
    let table = if of.model.json_schema { &JSON_SCHEMA } else { of.subset };
    let too_large = || {
        let param = format!("tools[{place}].function.parameters");
        Error::invalid(
            format!("The schema in '{param}' is too large when its references are resolved."),
            param,
            "invalid_value",
        )
    };
    let (fitted, lossy) = match schema {
        Cow::Borrowed(schema) => {
            let fitted = schema::fit(schema, table).ok_or_else(too_large)?;
            (fitted.schema, fitted.lossy)
        }
        Cow::Owned(schema) => {
            let fitted = schema::fit(&schema, table).ok_or_else(too_large)?;
            (Cow::Owned(fitted.schema.into_owned()), fitted.lossy)
        }
    };
    if lossy {
        losses.hint("tools[].function.parameters");
    }
    Ok(fitted)
}

/// A custom tool's one argument.
fn free_text() -> Option<Box<RawValue>> {
    to_raw_value(&serde_json::json!({
        "type": "object", "properties": { "input": { "type": "string" } }, "required": ["input"]
    }))
    .ok()
}

/// The vendor's own tools, in the words of OpenAI's clients: `web_search_options`, and entries of
/// `tools` that are neither functions nor custom tools.
fn own(request: &ir::Request, losses: &mut Losses) -> Vec<Tool<'static>> {
    let mut search = false;
    let mut others = Vec::new();
    for (field, value) in &request.extra {
        if field == "web_search_options" {
            search = true;
            if !value.get().trim_matches(['{', '}', ' ', '\n']).is_empty() {
                losses.hint("web_search_options");
            }
            continue;
        }
        if !is_tool(field) {
            continue;
        }
        match kind(value).as_deref() {
            Some("web_search" | "web_search_preview" | "google_search") => search = true,
            Some("code_execution" | "code_interpreter") => others.push(Tool::CodeExecution(Nothing {})),
            Some("url_context") => others.push(Tool::UrlContext(Nothing {})),
            Some("google_maps") => others.push(Tool::GoogleMaps(Nothing {})),
            Some(_) | None => losses.hint(field),
        }
    }
    let search = search.then_some(Tool::GoogleSearch(Nothing {}));
    search.into_iter().chain(others).collect()
}

/// Whether a field that the client's dialect set apart is an entry of `tools`.
pub(super) fn is_tool(field: &str) -> bool {
    field.strip_prefix("tools[").is_some_and(|rest| rest.ends_with(']'))
}

fn kind(tool: &RawValue) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Kind {
        r#type: String,
    }
    serde_json::from_str::<Kind>(tool.get()).ok().map(|kind| kind.r#type)
}
