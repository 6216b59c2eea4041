//! Tools and the choice among them (rule T6).
//!
//! | `functionCallingConfig` | canonical |
//! |---|---|
//! | `AUTO`, nothing | auto |
//! | `ANY` | any; with one name that tool, with more any of them |
//! | `NONE` | none |
//! | `VALIDATED` | auto, or auto among the names; tools are strict where their schema allows it |
//!
//! Of the tools that Google runs, a search goes by the name OpenAI's clients know it under, so that a
//! target with a search of its own may do it; the others are reported as lost.
//!
//! Source: "Tool", "FunctionDeclaration" and "ToolConfig" (ai.google.dev/api, read November 2026).

use serde_json::value::RawValue;

use super::{
    fields::{Extra, Fields, camel, each, texts},
    schema::{self, Objects},
};
use crate::{
    error::Result,
    ir::{Request, Tool, ToolChoice, ToolKind},
    wire::{
        read::{Node, Shape},
        tight::takes_strict,
    },
};

const MODES: &[&str] = &["AUTO", "ANY", "NONE", "VALIDATED"];
const DECLARATION: &[&str] = &["name", "description", "parameters", "parametersJsonSchema"];

pub(super) fn decode(root: &Fields<'_, '_>, extra: &mut Extra) -> Result<Vec<Tool>> {
    let mut tools = Vec::new();
    let Some(node) = root.get("tools") else { return Ok(tools) };
    let mut others = 0;
    each(&node, |node| {
        let tool = Fields::of(&node)?;
        if let Some(functions) = tool.get("functionDeclarations") {
            each(&functions, |node| {
                tools.push(declared(&Fields::of(&node)?, extra)?);
                Ok(())
            })?;
        }
        for (key, value) in tool.members() {
            match &*camel(key) {
                "functionDeclarations" => {}
                _ if value.text() == "null" => {}
                "googleSearch" | "googleSearchRetrieval" => own("web_search_options", "{}", extra),
                name => {
                    own(&format!("tools[{others}]"), &own_tool(name), extra);
                    others += 1;
                }
            }
        }
        Ok(())
    })?;
    Ok(tools)
}

/// A tool that its vendor runs, as OpenAI's clients would write one.
fn own_tool(name: &str) -> String {
    let mut kind = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            kind.push('_');
        }
        kind.push(c.to_ascii_lowercase());
    }
    format!("{{\"type\":{}}}", crate::wire::json::string(&kind))
}

fn own(field: &str, json: &str, extra: &mut Extra) {
    if let Ok(value) = RawValue::from_string(json.into()) {
        extra.insert(field.into(), value);
    }
}

fn declared(function: &Fields<'_, '_>, extra: &mut Extra) -> Result<Tool> {
    function.note("tools[].functionDeclarations[]", DECLARATION, extra);
    let schema = match (function.get("parametersJsonSchema"), function.get("parameters")) {
        (Some(node), _) => Some(plain(&node)?),
        (None, Some(node)) => Some(schema::convert(&node, Objects::Open)?),
        (None, None) => None,
    };
    Ok(Tool {
        name: function.require("name")?.string()?,
        description: function.string("description")?.filter(|text| !text.is_empty()),
        schema,
        strict: None,
        kind: ToolKind::Function,
        cache: None,
    })
}

fn plain(node: &Node<'_, '_>) -> Result<Box<RawValue>> {
    if node.shape() == Shape::Object { Ok(node.raw().to_owned()) } else { Err(node.mistyped("an object")) }
}

/// Reads which tools may be called, for those that `request` has.
pub(super) fn choice(root: &Fields<'_, '_>, request: &mut Request, extra: &mut Extra) -> Result<()> {
    let Some(node) = root.get("toolConfig") else { return Ok(()) };
    let config = Fields::of(&node)?;
    // Says only how Google tells of its own tools.
    config.note("toolConfig", &["functionCallingConfig", "includeServerSideToolInvocations"], extra);
    let Some(node) = config.get("functionCallingConfig") else { return Ok(()) };
    let calling = Fields::of(&node)?;
    calling.note("toolConfig.functionCallingConfig", &["mode", "allowedFunctionNames"], extra);
    let mode = calling.word("mode")?;
    if request.tools.is_empty() {
        return Ok(());
    }
    let mut names = calling.get("allowedFunctionNames").map_or(Ok(Vec::new()), |node| texts(&node))?;
    request.tool_choice = match mode.as_deref() {
        None => None,
        Some("AUTO") => Some(ToolChoice::Auto),
        Some("NONE") => Some(ToolChoice::None),
        Some("ANY") if names.len() > 1 => Some(ToolChoice::Allowed { names, required: true }),
        Some("ANY") => Some(names.pop().map_or(ToolChoice::Required, ToolChoice::Named)),
        Some("VALIDATED") => {
            for tool in &mut request.tools {
                let is_tight = tool.schema.as_ref().is_some_and(|schema| takes_strict(schema));
                tool.strict = is_tight.then_some(true);
            }
            (!names.is_empty()).then_some(ToolChoice::Allowed { names, required: false })
        }
        Some(other) => return Err(calling.path().unsupported(other, MODES)),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn googles_own_tools_have_the_names_that_openais_clients_know() {
        for (name, written) in [("codeExecution", "code_execution"), ("urlContext", "url_context"), ("x\"", "x\\\"")] {
            assert_eq!(own_tool(name), format!("{{\"type\":\"{written}\"}}"));
        }
    }
}
