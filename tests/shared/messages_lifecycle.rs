//! Judges a Messages stream by the vendor's description of it, and puts its message together as the
//! vendor's SDKs do. Knows nothing of how the gateway writes one.
//!
//! Source: "Streaming messages" (platform.claude.com/docs, read November 2026).

use serde_json::{Map, Value};

/// What a stream told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// The message as far as it came.
    pub(crate) message: Value,
    /// The `error` of an error event.
    pub(crate) error: Option<Value>,
    /// `message_stop` has come.
    pub(crate) complete: bool,
    pub(crate) pings: usize,
    /// The names of all events but pings, in order.
    pub(crate) events: Vec<String>,
}

#[derive(Default)]
struct Judge {
    told: Told,
    open: Option<Open>,
    closed: usize,
    stopped: bool,
    /// Arguments were cut off, which only some ends explain.
    cut: bool,
}

struct Open {
    block: Map<String, Value>,
    json: String,
    signed: bool,
}

/// Reads a whole stream. The error is a sentence on what is wrong with it.
pub(crate) fn judge(stream: &str) -> Result<Told, String> {
    let mut judge = Judge::default();
    for event in stream.split_inclusive("\n\n") {
        let event = event.strip_suffix("\n\n").ok_or_else(|| format!("an event without an end: {event:?}"))?;
        let (name, data) = event
            .strip_prefix("event: ")
            .and_then(|rest| rest.split_once("\ndata: "))
            .ok_or_else(|| format!("no named event of one data line: {event:?}"))?;
        if data.contains(['\n', '\r']) {
            return Err(format!("data of several lines: {event:?}"));
        }
        let data: Value = serde_json::from_str(data).map_err(|error| format!("{error}: {event:?}"))?;
        if data["type"] != name {
            return Err(format!("the name is not the type: {event:?}"));
        }
        judge.event(name, &data).map_err(|why| format!("{why}: {event:?}"))?;
    }
    Ok(judge.told)
}

impl Judge {
    fn event(&mut self, name: &str, data: &Value) -> Result<(), String> {
        if self.told.complete || self.told.error.is_some() {
            return Err("an event after the end".into());
        }
        if name == "ping" {
            self.told.pings += 1;
            return Ok(());
        }
        self.told.events.push(name.to_owned());
        match name {
            "error" => {
                let error = &data["error"];
                need(error["type"].is_string() && error["message"].is_string(), "an error without type or message")?;
                self.told.error = Some(error.clone());
                Ok(())
            }
            "message_start" => self.start(&data["message"]),
            _ if self.told.message.is_null() => Err("an event before message_start".into()),
            "content_block_start" => self.block_start(data),
            "content_block_delta" => self.block_delta(data),
            "content_block_stop" => self.block_stop(data),
            "message_delta" => self.message_delta(data),
            "message_stop" => {
                need(self.stopped && self.open.is_none(), "message_stop before message_delta or within a block")?;
                self.told.complete = true;
                Ok(())
            }
            _ => Err("an unknown event".into()),
        }
    }

    fn start(&mut self, message: &Value) -> Result<(), String> {
        need(self.told.message.is_null(), "a second message_start")?;
        let is_text = |key: &str| message[key].as_str().is_some_and(|text| !text.is_empty());
        need(is_text("id") && is_text("model"), "a message without id or model")?;
        need(message["type"] == "message" && message["role"] == "assistant", "no assistant's message")?;
        need(message["content"] == Value::Array(Vec::new()), "content at the start")?;
        need(message["stop_reason"].is_null(), "a stop reason at the start")?;
        let usage = &message["usage"];
        need(usage["input_tokens"].is_u64() && usage["output_tokens"].is_u64(), "no usage at the start")?;
        self.told.message = message.clone();
        Ok(())
    }

    fn block_start(&mut self, data: &Value) -> Result<(), String> {
        need(self.open.is_none(), "a block within a block")?;
        need(!self.stopped, "a block after message_delta")?;
        need(data["index"] == self.closed, "an index out of order")?;
        let block = data["content_block"].as_object().ok_or("no block")?;
        let is = |key: &str, value: &str| block.get(key).is_some_and(|found| found == value);
        let is_text = |key: &str| block.get(key).is_some_and(Value::is_string);
        let fits = match block.get("type").and_then(Value::as_str) {
            Some("text") => is("text", ""),
            Some("thinking") => is("thinking", "") && is("signature", ""),
            Some("redacted_thinking") => is_text("data"),
            Some("tool_use") => {
                is_text("id") && is_text("name") && block.get("input") == Some(&Value::Object(Map::new()))
            }
            Some(other) => other.starts_with("server_tool") || other.ends_with("_tool_result"),
            None => false,
        };
        need(fits, "a block that does not start as its type does")?;
        self.open = Some(Open { block: block.clone(), json: String::new(), signed: false });
        Ok(())
    }

    fn block_delta(&mut self, data: &Value) -> Result<(), String> {
        need(data["index"] == self.closed, "a delta of another block")?;
        let open = self.open.as_mut().ok_or("a delta outside a block")?;
        let kind = open.block["type"].as_str().unwrap_or_default().to_owned();
        let delta = &data["delta"];
        let text = |key: &str| delta[key].as_str().ok_or_else(|| format!("a delta without {key}"));
        match (kind.as_str(), delta["type"].as_str().unwrap_or_default()) {
            ("text", "text_delta") => push(&mut open.block, "text", text("text")?),
            ("text", "citations_delta") => {
                need(delta["citation"]["type"].is_string(), "a citation without a type")?;
                let citations = open.block.entry("citations").or_insert_with(|| Value::Array(Vec::new()));
                citations.as_array_mut().ok_or("citations that are no list")?.push(delta["citation"].clone());
            }
            ("thinking", "thinking_delta") => {
                need(!open.signed, "thinking after its signature")?;
                push(&mut open.block, "thinking", text("thinking")?);
            }
            ("thinking", "signature_delta") => {
                need(!std::mem::replace(&mut open.signed, true), "two signatures")?;
                open.block.insert("signature".into(), text("signature")?.into());
            }
            ("tool_use" | "server_tool_use", "input_json_delta") => open.json.push_str(text("partial_json")?),
            (kind, delta) => return Err(format!("a {delta} in a block of {kind}")),
        }
        Ok(())
    }

    fn block_stop(&mut self, data: &Value) -> Result<(), String> {
        need(data["index"] == self.closed, "the end of another block")?;
        let mut open = self.open.take().ok_or("the end of no block")?;
        match open.block["type"].as_str() {
            Some("tool_use") if !open.json.is_empty() => match serde_json::from_str::<Value>(&open.json) {
                Ok(input) => {
                    need(input.is_object(), "arguments that are no object")?;
                    open.block.insert("input".into(), input);
                }
                Err(_) => self.cut = true,
            },
            Some("thinking") => need(open.signed, "thinking without a signature")?,
            Some("text") => need(open.block["text"] != "", "an empty text block")?,
            _ => {}
        }
        self.told.message["content"].as_array_mut().ok_or("no content")?.push(Value::Object(open.block));
        self.closed += 1;
        Ok(())
    }

    fn message_delta(&mut self, data: &Value) -> Result<(), String> {
        need(self.open.is_none(), "message_delta within a block")?;
        need(data["usage"]["output_tokens"].is_u64(), "message_delta without usage")?;
        let reason = &data["delta"]["stop_reason"];
        need(reason.is_string(), "message_delta without a stop reason")?;
        let may_cut = ["max_tokens", "refusal", "model_context_window_exceeded"];
        need(!self.cut || may_cut.iter().any(|cause| reason == cause), "arguments that are no JSON")?;
        for key in ["stop_reason", "stop_sequence"] {
            self.told.message[key] = data["delta"][key].clone();
        }
        let usage = data["usage"].as_object().ok_or("no usage")?;
        for (key, value) in usage {
            self.told.message["usage"][key] = value.clone();
        }
        self.stopped = true;
        Ok(())
    }
}

fn push(block: &mut Map<String, Value>, key: &str, piece: &str) {
    if let Some(Value::String(text)) = block.get_mut(key) {
        text.push_str(piece);
    }
}

fn need(holds: bool, else_wrong: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(else_wrong.to_owned()) }
}
