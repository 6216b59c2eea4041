//! Custom tools for servers that have functions only, which is nearly every one but OpenAI's: a function of
//! one string, whose text is taken out of the call again. Its grammar is shown to the model and not enforced.
//!
//! Source: "Create chat completion", custom tools (OpenAI's API reference); the references of the vendors in
//! the catalogue, none of which has them (November 2026).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{json, value::RawValue};

use crate::{
    ir::{self, Block, ToolKind},
    wire::{Loss, Weight, function},
};

/// The request with functions for its custom tools. Cost where it has none: a look at its tools and blocks.
pub(super) fn as_functions<'a>(request: &'a ir::Request, losses: &mut Vec<Loss>) -> Cow<'a, ir::Request> {
    let is_call = |block: &Block| matches!(block, Block::ToolCall { kind: ToolKind::Custom, .. });
    let has_tools = request.tools.iter().any(|tool| tool.kind == ToolKind::Custom);
    if !has_tools && !request.messages.iter().any(|turn| turn.blocks.iter().any(is_call)) {
        return Cow::Borrowed(request);
    }
    let mut request = request.clone();
    for tool in request.tools.iter_mut().filter(|tool| tool.kind == ToolKind::Custom) {
        if let Some(format) = tool.schema.as_deref().filter(|format| format.get().contains("grammar")) {
            losses.push(Loss { field: "tools[].custom.format".into(), weight: Weight::Hint });
            tool.description = Some(function::with_format(tool.description.as_deref().unwrap_or_default(), format));
        }
        (tool.kind, tool.schema) = (ToolKind::Function, RawValue::from_string(function::TEXT.into()).ok());
    }
    for block in request.messages.iter_mut().flat_map(|turn| &mut turn.blocks) {
        if let Block::ToolCall { arguments, kind: kind @ ToolKind::Custom, .. } = block {
            (*arguments, *kind) = (json!({"input": arguments}).to_string(), ToolKind::Function);
        }
    }
    Cow::Owned(request)
}

/// The text of a custom tool's call that came as a function's; as it came when it is no such object.
pub(super) fn text(arguments: String) -> String {
    #[derive(Deserialize)]
    struct Input {
        input: String,
    }
    serde_json::from_str::<Input>(&arguments).map_or(arguments, |arguments| arguments.input)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::wire::{
        ClientDialect, Encoded, Facts, Memo, UpstreamDialect, openai_chat::OpenAiChat,
        openai_responses::OpenAiResponses, translate,
    };

    fn encoded(has_custom_tools: bool, format: &Value) -> (Value, Encoded) {
        let body = json!({"model": "m", "tool_choice": {"type": "custom", "name": "patch"},
            "tools": [{"type": "custom", "name": "patch", "description": "Edits.", "format": format}],
            "input": [{"role": "user", "content": "?"},
                {"type": "custom_tool_call", "call_id": "1", "name": "patch", "input": "say \"é\""},
                {"type": "custom_tool_call_output", "call_id": "1", "output": "ok"}]});
        let request = ClientDialect::decode(&OpenAiResponses, body.to_string().as_bytes()).unwrap();
        let encoded =
            UpstreamDialect::encode(&OpenAiChat, &request, &Facts { model: "m", has_custom_tools, ..Facts::default() })
                .unwrap();
        (serde_json::from_slice(&encoded.body).unwrap(), encoded)
    }

    #[test]
    fn a_custom_tool_is_a_function_where_there_are_no_others() {
        let grammar = json!({"type": "grammar", "syntax": "lark", "definition": "start: x"});
        let (body, encoded) = encoded(false, &grammar);
        let tool = &body["tools"][0];
        assert_eq!((&tool["type"], &tool["function"]["name"]), (&json!("function"), &json!("patch")));
        assert_eq!(tool["function"]["parameters"]["required"], json!(["input"]));
        assert!(tool["function"]["description"].as_str().unwrap().contains("start: x"), "{tool}");
        assert_eq!(body["tool_choice"], json!({"type": "function", "function": {"name": "patch"}}));
        let call = &body["messages"][1]["tool_calls"][0]["function"];
        assert_eq!(call["arguments"], r#"{"input":"say \"é\""}"#);
        assert_eq!(encoded.losses, [Loss { field: "tools[].custom.format".into(), weight: Weight::Hint }]);
        assert_eq!(encoded.memo.custom_tools, ["patch"]);
    }

    #[test]
    fn it_stays_one_where_they_are_known() {
        let (body, encoded) = encoded(true, &json!({"type": "text"}));
        assert_eq!(body["tools"][0]["custom"]["name"], "patch");
        assert_eq!(body["tool_choice"], json!({"type": "custom", "custom": {"name": "patch"}}));
        assert_eq!(body["messages"][1]["tool_calls"][0]["custom"]["input"], "say \"é\"");
        assert!(encoded.losses.is_empty());
    }

    /// T1, T3: the text is taken out of the object, streamed in pieces or whole; what is no such object is text.
    #[test]
    fn the_text_is_taken_out_of_the_call() {
        let memo = || Memo { custom_tools: vec!["patch".into()], ..Memo::default() };
        let told = |pieces: &[&str]| {
            let mut decoder = OpenAiChat.decoder(memo());
            let mut events = Vec::new();
            let head = json!({"index": 0, "id": "1", "function": {"name": "patch", "arguments": ""}});
            let piece = |text: &&str| json!({"index": 0, "function": {"arguments": text}});
            let calls = std::iter::once(head).chain(pieces.iter().map(piece));
            let chunk = |call: Value| json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}).to_string();
            let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}).to_string();
            for data in calls.map(chunk).chain([end]) {
                let frame = crate::framing::Frame { raw: None, event: None, data: data.into() };
                decoder.frame(&frame, &mut events).unwrap();
            }
            translate::fold(events).blocks
        };
        let call = |arguments: &str| {
            vec![Block::ToolCall {
                id: "1".into(),
                name: "patch".into(),
                arguments: arguments.into(),
                kind: ToolKind::Custom,
                cache: None,
            }]
        };
        assert_eq!(told(&["{\"inp", "ut\":\"a\\n", "b\"}"]), call("a\nb"));
        assert_eq!(told(&["*** Be", "gin"]), call("*** Begin"));
        assert_eq!(told(&[]), call(""));
        let whole = json!({"choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "patch", "arguments": {"input": "x"}}}]}}]});
        assert_eq!(
            UpstreamDialect::decode(&OpenAiChat, whole.to_string().as_bytes(), &memo()).unwrap().blocks,
            call("x")
        );
    }
}
