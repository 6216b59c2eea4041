//! Amazon Bedrock's Converse (Bedrock Runtime API reference, "Converse", "ConverseStream", read
//! November 2026). Its client of Anthropic's dialect asks for a model behind an inference profile,
//! whose maker nobody can tell: Claude under its own name is reached in its own dialect.

use serde_json::{Value, json};

use super::{Vendor, chat::stop, in_order};
use crate::{
    matrix::neutral::{
        Call, Choice, FAILED, Finish, Heard, Part, Say, Settings, THOUGHT, TOOL, Trouble, USAGE, WRITTEN, list, pieces,
        returned, word,
    },
    support::{Script, bedrock as aws, upstream::Request},
};

pub(super) struct Converse;

impl Vendor for Converse {
    fn name(&self) -> &'static str {
        "Bedrock Converse"
    }

    fn config(&self, base: &str) -> String {
        format!(
            "[providers.aws]\ntype = \"bedrock\"\nregion = \"eu-west-1\"\nbase-url = \"{base}/aws\"\napi-key = \"ABSK-aws\"\n"
        )
    }

    fn model(&self, client: &str, schema: bool) -> &'static str {
        match (client, schema) {
            ("Anthropic Messages", true) => "aws/zai.glm-5",
            ("Anthropic Messages", false) => {
                "aws/arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc"
            }
            _ => "aws/us.anthropic.claude-haiku-4-5-20251001-v1:0",
        }
    }

    fn head(&self) -> Script {
        aws::stream()
    }

    fn whole(&self, say: &Say) -> Value {
        let mut content = Vec::new();
        if say.thinks {
            content.extend(reasoning(say).map(|reasoning| json!({ "reasoningContent": reasoning })));
        }
        if say.text.is_some() {
            content.push(json!({"text": say.whole_text()}));
        }
        let made = say.made("tooluse_");
        content.extend(
            made.iter()
                .map(|call| json!({"toolUse": {"toolUseId": call.id, "name": call.name, "input": call.arguments}})),
        );
        json!({"output": {"message": {"role": "assistant", "content": content}}, "stopReason": reason(say),
            "usage": usage(), "metrics": {"latencyMs": 9}})
    }

    fn events(&self, say: &Say) -> Vec<Vec<u8>> {
        let mut events = vec![aws::start()];
        let mut index = 0;
        let mut block = |begun: Option<Value>, deltas: Vec<Value>| {
            let begun = begun.map(|start| json!({"contentBlockIndex": index, "start": start}));
            events.extend(begun.map(|begun| aws::event("contentBlockStart", &begun)));
            events.extend(deltas.iter().map(|piece| aws::delta(index, piece)));
            events.push(aws::stop(index));
            index += 1;
        };
        if say.thinks {
            let reasons = |key: &str, value: &str| json!({"reasoningContent": {key: value}});
            let words = THOUGHT.map(|piece| reasons("text", piece));
            block(None, words.into_iter().chain([reasons("signature", &say.proof(0))]).collect());
            block(None, vec![reasons("redactedContent", &say.proof(1))]);
            block(None, vec![reasons("signature", &say.proof(2))]);
        }
        if let Some(pieces) = say.text {
            block(None, pieces.map(|piece| json!({ "text": piece })).into());
        }
        for call in say.made("tooluse_") {
            let begun = json!({"toolUse": {"toolUseId": call.id, "name": call.name}});
            let pieces = Some(pieces(&call)).filter(|pieces| !pieces.is_empty()).unwrap_or_else(|| vec![String::new()]);
            block(Some(begun), pieces.iter().map(|piece| json!({"toolUse": {"input": piece}})).collect());
        }
        events.push(aws::event("messageStop", &json!({"stopReason": reason(say)})));
        events.push(aws::event("metadata", &json!({"usage": usage(), "metrics": {"latencyMs": 9}})));
        events
    }

    fn failure(&self, words: &str) -> Vec<u8> {
        aws::exception("modelStreamErrorException", words)
    }

    fn refusal(&self, trouble: Trouble, words: &str) -> Script {
        refusal(trouble, words)
    }

    fn maker(&self) -> &'static str {
        "Anthropic"
    }

    fn overflow(&self) -> &'static str {
        "Input is too long for requested model."
    }

    fn wait(&self) -> Option<&'static str> {
        None
    }

    fn heard(&self, request: &Request) -> Heard {
        assert!(request.path.contains("/converse"), "{}", request.path);
        let body = request.json();
        let tools = list(&body, "/toolConfig/tools");
        let schema = body.pointer("/outputConfig/textFormat/structure/jsonSchema/schema").and_then(Value::as_str);
        let own = &body["additionalModelRequestFields"];
        let mut heard = Heard {
            system: list(&body, "/system").iter().map(|block| word(block, "/text")).collect(),
            tools: tools.iter().map(|tool| word(tool, "/toolSpec/name")).filter(|name| !name.is_empty()).collect(),
            schema: schema.map(|schema| serde_json::from_str(schema).expect("JSON in a string")),
            thinking: own.get("thinking").is_some_and(|thinking| thinking["type"] != "disabled"),
            settings: Settings {
                max_tokens: body["inferenceConfig"]["maxTokens"].as_u64(),
                temperature: body["inferenceConfig"]["temperature"].as_f64(),
                choice: match &body["toolConfig"]["toolChoice"] {
                    choice if choice.get("any").is_some() => Some(Choice::Any),
                    choice if choice["tool"]["name"] == TOOL => Some(Choice::Named),
                    _ => None,
                },
                stop: stop(&body, "/inferenceConfig/stopSequences"),
            },
            ..Heard::default()
        };
        for message in list(&body, "/messages") {
            let parts: Vec<Part> = list(&message, "/content").iter().flat_map(part).collect();
            match message["role"].as_str().expect("a role") {
                "user" => heard.user(parts),
                "assistant" => heard.model(parts),
                other => panic!("nobody's role: {other}"),
            }
        }
        heard
    }

    fn counts_reasoning(&self) -> bool {
        false
    }

    /// R1, case 34 on Bedrock.
    fn replayed(&self, say: &Say, kept: bool) -> Vec<Part> {
        let reasoning = reasoning(say).into_iter().flat_map(|block| thought(&block));
        in_order(reasoning.filter(|_| say.is_proven(kept)), say, "tooluse_")
    }
}

/// An error, with its type in a header.
pub(super) fn refusal(trouble: Trouble, words: &str) -> Script {
    let kind = match trouble {
        Trouble::Busy => "ThrottlingException",
        Trouble::Wrong | Trouble::Overflow => "ValidationException",
        Trouble::Key => "UnrecognizedClientException",
        Trouble::Missing => "ResourceNotFoundException",
        Trouble::Overloaded => "ServiceUnavailableException",
        Trouble::Down => "InternalServerException",
    };
    let status = if trouble == Trouble::Key { 403 } else { trouble.status() };
    let headers = [("content-type", "application/json"), ("x-amzn-errortype", kind)];
    Script::body(status, &headers, json!({ "message": words }).to_string().as_bytes())
}

fn reasoning(say: &Say) -> [Value; 3] {
    [
        json!({"reasoningText": {"text": THOUGHT.concat(), "signature": say.proof(0)}}),
        json!({"redactedContent": say.proof(1)}),
        json!({"reasoningText": {"text": "", "signature": say.proof(2)}}),
    ]
}

fn thought(reasoning: &Value) -> Vec<Part> {
    let words = Part::thought(&word(reasoning, "/reasoningText/text"));
    let proof = Part::proof(&word(reasoning, "/reasoningText/signature"));
    words.into_iter().chain(proof).chain(Part::proof(&word(reasoning, "/redactedContent"))).collect()
}

/// A union of exactly one member.
fn part(block: &Value) -> Vec<Part> {
    let members = block.as_object().expect("an object");
    assert_eq!(members.len(), 1, "{block}");
    let text = |path: &str| word(block, path);
    match members.keys().next().expect("a member").as_str() {
        "text" => {
            assert!(!text("/text").trim().is_empty(), "A5: a blank text is refused: {block}");
            vec![Part::Text(text("/text"))]
        }
        "image" => vec![Part::Image(format!("image/{}", text("/image/format")), text("/image/source/bytes"))],
        "cachePoint" => Vec::new(),
        "document" => {
            assert!(!text("/document/name").is_empty(), "{block}");
            let media_type = format!("application/{}", text("/document/format"));
            vec![Part::media(&media_type, &text("/document/source/bytes"))]
        }
        "reasoningContent" => thought(&block["reasoningContent"]),
        "toolUse" => {
            let arguments = block["toolUse"]["input"].clone();
            assert!(arguments.is_object(), "T3: {block}");
            vec![Part::Call(Call { id: text("/toolUse/toolUseId"), name: text("/toolUse/name"), arguments })]
        }
        "toolResult" => {
            let mut parts: Vec<Part> = list(block, "/toolResult/content").iter().flat_map(part).collect();
            if block["toolResult"]["status"] == "error" {
                parts.insert(0, Part::Text(FAILED.into()));
            }
            returned(&text("/toolResult/toolUseId"), parts)
        }
        other => panic!("a block nobody sent: {other}"),
    }
}

/// C4: disjoint counts.
fn usage() -> Value {
    json!({"inputTokens": USAGE.prompt - USAGE.cached - WRITTEN, "cacheReadInputTokens": USAGE.cached, "cacheWriteInputTokens": WRITTEN,
        "outputTokens": USAGE.output, "totalTokens": USAGE.prompt + USAGE.output})
}

fn reason(say: &Say) -> &'static str {
    match say.finish() {
        Finish::Stop => "end_turn",
        Finish::Calls => "tool_use",
        Finish::Length => "max_tokens",
        Finish::Filter => "guardrail_intervened",
    }
}
