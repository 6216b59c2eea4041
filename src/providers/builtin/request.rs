//! What the built-in model reads of a request, with the 400 that names what is wrong.

use http::StatusCode;
use serde_json::Value;

use super::{MODEL, Refusal, directives::Directives};

/// More answers at once would only repeat themselves.
const MOST_CHOICES: u64 = 4;

#[derive(Debug)]
pub(super) struct Asked {
    pub(super) model: String,
    pub(super) turns: Vec<Turn>,
    /// The last user message, directives taken out.
    pub(super) prompt: String,
    pub(super) tools: Vec<Tool>,
    pub(super) choice: Choice,
    pub(super) parallel: bool,
    pub(super) output: Output,
    pub(super) max_tokens: Option<u64>,
    pub(super) n: u64,
    pub(super) stop: Vec<String>,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
}

#[derive(Debug)]
pub(super) struct Turn {
    pub(super) role: String,
    pub(super) text: String,
    /// Ids and names of an assistant's calls.
    pub(super) calls: Vec<(String, String)>,
    /// The call a tool message answers.
    pub(super) call_id: String,
}

#[derive(Debug)]
pub(super) struct Tool {
    pub(super) name: String,
    /// `None` for a tool that takes plain text.
    pub(super) schema: Option<Value>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Auto,
    None,
    Required,
    Named(String),
}

#[derive(Debug)]
pub(super) enum Output {
    Text,
    JsonObject,
    JsonSchema(Value),
}

type Read<T> = Result<T, Refusal>;

impl Asked {
    pub(super) fn read(body: &[u8]) -> Read<(Self, Directives)> {
        let body: Value = serde_json::from_slice(body).map_err(|_| Refusal {
            status: StatusCode::BAD_REQUEST,
            message: "We could not parse the JSON body of your request.".into(),
            kind: "invalid_request_error",
            code: Some("invalid_json"),
            param: None,
        })?;
        let turns = turns(&body)?;
        let last = turns.iter().rev().find(|turn| turn.role == "user").map_or("", |turn| &turn.text);
        let (directives, prompt) = Directives::take(last)?;
        let tools = tools(&body)?;
        let asked = Self {
            model: model(&body)?,
            choice: choice(&body, &tools)?,
            turns,
            prompt,
            tools,
            parallel: flag(&body, "parallel_tool_calls")?.unwrap_or(true),
            output: output(&body)?,
            max_tokens: match positive(&body, "max_completion_tokens")? {
                None => positive(&body, "max_tokens")?,
                some => some,
            },
            n: choices(&body)?,
            stop: stop(&body)?,
            stream: flag(&body, "stream")?.unwrap_or(false),
            include_usage: body.pointer("/stream_options/include_usage") == Some(&Value::Bool(true)),
        };
        Ok((asked, directives))
    }
}

fn model(body: &Value) -> Read<String> {
    match member(body, "model") {
        None => Err(missing("model")),
        Some(Value::String(model)) if model == MODEL => Ok(model.clone()),
        Some(Value::String(model)) => Err(Refusal {
            status: StatusCode::NOT_FOUND,
            ..Refusal::invalid(
                format!("The model `{model}` does not exist; there is `{MODEL}`."),
                "model",
                "model_not_found",
            )
        }),
        Some(_) => Err(wrong_type("model", "a string")),
    }
}

fn turns(body: &Value) -> Read<Vec<Turn>> {
    let messages = match member(body, "messages") {
        None => return Err(missing("messages")),
        Some(Value::Array(messages)) => messages,
        Some(_) => return Err(wrong_type("messages", "an array")),
    };
    if messages.is_empty() {
        return Err(Refusal::invalid(
            "'messages' is too short - it needs at least one.",
            "messages",
            "array_below_min_length",
        ));
    }
    messages.iter().enumerate().map(|(index, message)| turn(index, message)).collect()
}

fn turn(index: usize, message: &Value) -> Read<Turn> {
    let role = member(message, "role").and_then(Value::as_str).unwrap_or_default();
    if !matches!(role, "system" | "developer" | "user" | "assistant" | "tool" | "function") {
        let param = format!("messages[{index}].role");
        return Err(Refusal::invalid(format!("Invalid value: '{role}'."), param, "invalid_value"));
    }
    let call_id = text_of(message, "tool_call_id");
    if role == "tool" && call_id.is_empty() {
        return Err(missing(&format!("messages[{index}].tool_call_id")));
    }
    let calls = member(message, "tool_calls").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let name = |call: &Value| {
        let inner = member(call, "function").or_else(|| member(call, "custom"));
        inner.map(|inner| text_of(inner, "name")).unwrap_or_default()
    };
    Ok(Turn {
        role: role.into(),
        text: content(index, member(message, "content"))?,
        calls: calls.iter().map(|call| (text_of(call, "id"), name(call))).collect(),
        call_id,
    })
}

/// A content as text; a part that is none is named in brackets.
fn content(index: usize, content: Option<&Value>) -> Read<String> {
    match content {
        None => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Array(parts)) => {
            let texts: Vec<String> = parts
                .iter()
                .map(|part| match text_of(part, "type").as_str() {
                    "text" => text_of(part, "text"),
                    other => format!("[{other}]"),
                })
                .collect();
            Ok(texts.join("\n"))
        }
        Some(_) => Err(wrong_type(&format!("messages[{index}].content"), "a string or an array")),
    }
}

fn tools(body: &Value) -> Read<Vec<Tool>> {
    let tools = match member(body, "tools") {
        None => return Ok(Vec::new()),
        Some(Value::Array(tools)) => tools,
        Some(_) => return Err(wrong_type("tools", "an array")),
    };
    tools.iter().enumerate().map(|(index, tool)| read_tool(index, tool)).collect()
}

fn read_tool(index: usize, tool: &Value) -> Read<Tool> {
    let (kind, schema) = match member(tool, "function") {
        Some(function) => ("function", Some(member(function, "parameters").cloned().unwrap_or_default())),
        None => ("custom", None),
    };
    let name = member(tool, kind).map(|inner| text_of(inner, "name")).unwrap_or_default();
    if name.is_empty() {
        return Err(missing(&format!("tools[{index}].function.name")));
    }
    Ok(Tool { name, schema })
}

fn choice(body: &Value, tools: &[Tool]) -> Read<Choice> {
    let unknown = |name: &str| {
        Refusal::invalid(format!("Tool choice '{name}' not found in 'tools'."), "tool_choice", "invalid_value")
    };
    match member(body, "tool_choice") {
        None => Ok(Choice::Auto),
        Some(Value::String(word)) => match word.as_str() {
            "auto" => Ok(Choice::Auto),
            "none" => Ok(Choice::None),
            "required" if !tools.is_empty() => Ok(Choice::Required),
            other => Err(unknown(other)),
        },
        Some(object) => {
            let inner = member(object, "function").or_else(|| member(object, "custom"));
            let Some(inner) = inner else { return Err(wrong_type("tool_choice", "a string or a named tool")) };
            let name = text_of(inner, "name");
            if tools.iter().any(|tool| tool.name == name) { Ok(Choice::Named(name)) } else { Err(unknown(&name)) }
        }
    }
}

fn output(body: &Value) -> Read<Output> {
    let Some(format) = member(body, "response_format") else { return Ok(Output::Text) };
    match text_of(format, "type").as_str() {
        "text" => Ok(Output::Text),
        "json_object" => Ok(Output::JsonObject),
        "json_schema" => match format.pointer("/json_schema/schema") {
            Some(schema) => Ok(Output::JsonSchema(schema.clone())),
            None => Err(missing("response_format.json_schema.schema")),
        },
        other => Err(Refusal::invalid(format!("Invalid value: '{other}'."), "response_format.type", "invalid_value")),
    }
}

fn choices(body: &Value) -> Read<u64> {
    let n = positive(body, "n")?.unwrap_or(1);
    if n > MOST_CHOICES {
        let message = format!("Invalid 'n': at most {MOST_CHOICES} answers at once.");
        return Err(Refusal::invalid(message, "n", "integer_above_max_value"));
    }
    Ok(n)
}

fn stop(body: &Value) -> Read<Vec<String>> {
    match member(body, "stop") {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text.clone()]),
        Some(Value::Array(texts)) => texts
            .iter()
            .map(|text| {
                text.as_str().map(Into::into).ok_or_else(|| wrong_type("stop", "a string or an array of strings"))
            })
            .collect(),
        Some(_) => Err(wrong_type("stop", "a string or an array of strings")),
    }
}

fn positive(body: &Value, field: &str) -> Read<Option<u64>> {
    match member(body, field) {
        None => Ok(None),
        Some(value) => match value.as_u64() {
            Some(number) if number >= 1 => Ok(Some(number)),
            _ if value.is_number() => {
                let message = format!("Invalid '{field}': a whole number of at least 1 is needed.");
                Err(Refusal::invalid(message, field, "integer_below_min_value"))
            }
            _ => Err(wrong_type(field, "an integer")),
        },
    }
}

fn flag(body: &Value, field: &str) -> Read<Option<bool>> {
    match member(body, field) {
        None => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(wrong_type(field, "a boolean")),
    }
}

/// A member that is there and not null.
fn member<'a>(object: &'a Value, key: &str) -> Option<&'a Value> {
    object.get(key).filter(|value| !value.is_null())
}

fn text_of(object: &Value, key: &str) -> String {
    object.get(key).and_then(Value::as_str).unwrap_or_default().into()
}

fn missing(param: &str) -> Refusal {
    Refusal::invalid(format!("Missing required parameter: '{param}'."), param, "missing_required_parameter")
}

fn wrong_type(param: &str, expected: &str) -> Refusal {
    Refusal::invalid(format!("Invalid type for '{param}': expected {expected}."), param, "invalid_type")
}
