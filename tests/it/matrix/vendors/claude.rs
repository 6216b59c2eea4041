//! Anthropic's dialect ("Create a Message", "Streaming messages", "Extended thinking"), at
//! Anthropic's own address, on Vertex AI by `rawPredict` and on Bedrock by `InvokeModel`, where each
//! event travels in a binary message (all read November 2026).

use serde_json::{Value, json};

use super::{
    Vendor,
    bedrock::{Converse, refusal as aws_refusal},
    chat::stop as stops,
    gemini::refusal as google_refusal,
    in_order, provider,
};
use crate::{
    matrix::neutral::{
        Call, Choice, FAILED, Finish, Heard, Part, Say, Settings, THOUGHT, TOOL, Trouble, USAGE, WRITTEN, list, pieces,
        returned, word, words,
    },
    support::{
        Script,
        anthropic::{delta, end, error, event, message_start, start, stop},
        bedrock,
        upstream::Request,
    },
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Anthropic,
    Vertex,
    Bedrock,
}

pub(super) struct Claude(Place);

pub(super) const ANTHROPIC: Claude = Claude(Place::Anthropic);
pub(super) const VERTEX: Claude = Claude(Place::Vertex);
pub(super) const BEDROCK: Claude = Claude(Place::Bedrock);

impl Vendor for Claude {
    fn name(&self) -> &'static str {
        match self.0 {
            Place::Anthropic => "Anthropic",
            Place::Vertex => "Claude on Vertex AI",
            Place::Bedrock => "Claude on Bedrock",
        }
    }

    fn config(&self, base: &str) -> String {
        match self.0 {
            Place::Anthropic => provider("ant", "anthropic", &format!("{base}/ant/v1")),
            // The providers of Gemini and Converse.
            Place::Vertex | Place::Bedrock => String::new(),
        }
    }

    fn model(&self, _: &str, _: bool) -> &'static str {
        match self.0 {
            Place::Anthropic => "ant/claude-haiku-4-5",
            Place::Vertex => "vertex/claude-haiku-4-5@20251001",
            Place::Bedrock => "aws/us.anthropic.claude-haiku-4-5-20251001-v1:0",
        }
    }

    fn head(&self) -> Script {
        if self.0 == Place::Bedrock { bedrock::stream() } else { Script::sse() }
    }

    fn whole(&self, say: &Say) -> Value {
        let mut content = Vec::new();
        if say.thinks {
            content.extend(thinking(say));
        }
        if say.text.is_some() {
            content.push(json!({"type": "text", "text": say.whole_text()}));
        }
        let made = say.made("toolu_");
        content.extend(
            made.iter()
                .map(|call| json!({"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments})),
        );
        json!({"id": say.id("msg_", 0), "type": "message", "role": "assistant", "model": "claude-x", "content": content,
            "stop_reason": reason(say), "stop_sequence": null, "usage": usage(USAGE.output)})
    }

    fn events(&self, say: &Say) -> Vec<Vec<u8>> {
        let events = stream(say).into_iter();
        match self.0 {
            Place::Anthropic | Place::Vertex => events.map(String::into_bytes).collect(),
            Place::Bedrock => events.map(|event| bedrock::chunk(&data(&event))).collect(),
        }
    }

    fn begun(&self, say: &Say) -> Vec<Vec<u8>> {
        let piece = say.text.expect("a text")[0];
        let at = stream(say).iter().position(|event| event.contains(piece)).expect("a first piece");
        let mut events = self.events(say);
        events.truncate(at + 1);
        events
    }

    fn failure(&self, words: &str) -> Vec<u8> {
        match self.0 {
            Place::Anthropic | Place::Vertex => event(&error("api_error", words)).into_bytes(),
            Place::Bedrock => bedrock::exception("modelStreamErrorException", words),
        }
    }

    fn refusal(&self, trouble: Trouble, words: &str) -> Script {
        let kind = match (self.0, trouble) {
            (Place::Bedrock, _) => return aws_refusal(trouble, words),
            (Place::Vertex, Trouble::Key) => return google_refusal(401, "UNAUTHENTICATED", words, &json!([])),
            (_, Trouble::Busy) => "rate_limit_error",
            (_, Trouble::Wrong | Trouble::Overflow) => "invalid_request_error",
            (_, Trouble::Key) => "authentication_error",
            (_, Trouble::Missing) => "not_found_error",
            (_, Trouble::Overloaded) => "overloaded_error",
            (_, Trouble::Down) => "api_error",
        };
        let status = if trouble == Trouble::Overloaded { 529 } else { trouble.status() };
        let body = error(kind, words).to_string();
        Script::body(status, &[("content-type", "application/json"), ("retry-after", "7")], body.as_bytes())
    }

    fn maker(&self) -> &'static str {
        "Anthropic"
    }

    fn overflow(&self) -> &'static str {
        match self.0 {
            Place::Anthropic | Place::Vertex => "prompt is too long: 210000 tokens > 200000 maximum",
            Place::Bedrock => Converse.overflow(),
        }
    }

    fn wait(&self) -> Option<&'static str> {
        (self.0 != Place::Bedrock).then_some("7")
    }

    fn heard(&self, request: &Request) -> Heard {
        let (path, body) = (&request.path, request.json());
        match self.0 {
            Place::Anthropic => {
                assert!(path.ends_with("/v1/messages") && body["model"] == "claude-haiku-4-5", "{path}")
            }
            Place::Vertex => {
                assert!(path.contains("awPredict") && body["anthropic_version"] == "vertex-2023-10-16", "{path}")
            }
            Place::Bedrock => {
                assert!(path.contains("/invoke") && body["anthropic_version"] == "bedrock-2023-05-31", "{path}")
            }
        }
        read(&body)
    }

    /// R1, case 34: blocks in their order, the redacted one and the one without text included.
    fn replayed(&self, say: &Say, kept: bool) -> Vec<Part> {
        let reasoning = thinking(say).into_iter().flat_map(|block| part(&block));
        in_order(reasoning.filter(|_| say.is_proven(kept)), say, "toolu_")
    }
}

/// Three kinds of reasoning, as case 34 has them.
fn thinking(say: &Say) -> [Value; 3] {
    [
        json!({"type": "thinking", "thinking": THOUGHT.concat(), "signature": say.proof(0)}),
        json!({"type": "redacted_thinking", "data": say.proof(1)}),
        json!({"type": "thinking", "thinking": "", "signature": say.proof(2)}),
    ]
}

fn stream(say: &Say) -> Vec<String> {
    let mut events = vec![message_start(&usage(1)), event(&json!({"type": "ping"}))];
    let mut index = 0;
    let mut block = |begun: &Value, deltas: Vec<Value>| {
        events.push(start(index, begun));
        events.extend(deltas.iter().map(|piece| delta(index, piece)));
        events.push(stop(index));
        index += 1;
    };
    if say.thinks {
        let signed = |number| json!({"type": "signature_delta", "signature": say.proof(number)});
        let empty = json!({"type": "thinking", "thinking": "", "signature": ""});
        let words = THOUGHT.map(|piece| json!({"type": "thinking_delta", "thinking": piece}));
        block(&empty, words.into_iter().chain([signed(0)]).collect());
        block(&thinking(say)[1], Vec::new());
        block(&empty, vec![signed(2)]);
    }
    if let Some(pieces) = say.text {
        let pieces = pieces.map(|piece| json!({"type": "text_delta", "text": piece}));
        block(&json!({"type": "text", "text": ""}), pieces.into());
    }
    for call in say.made("toolu_") {
        let piece = |piece: String| json!({"type": "input_json_delta", "partial_json": piece});
        let begun = json!({"type": "tool_use", "id": call.id, "name": call.name, "input": {}});
        block(&begun, std::iter::once(String::new()).chain(pieces(&call)).map(piece).collect());
    }
    events.extend(end(reason(say), &usage(USAGE.output)));
    events
}

/// The JSON of an event.
fn data(event: &str) -> Value {
    let data = event.lines().find_map(|line| line.strip_prefix("data: ")).expect("data");
    serde_json::from_str(data).expect("JSON")
}

/// C4: disjoint counts.
fn usage(output: u64) -> Value {
    json!({"input_tokens": USAGE.prompt - USAGE.cached - WRITTEN, "cache_read_input_tokens": USAGE.cached,
        "cache_creation_input_tokens": WRITTEN, "output_tokens": output,
        "output_tokens_details": {"thinking_tokens": USAGE.reasoning.min(output)}})
}

fn reason(say: &Say) -> &'static str {
    match say.finish() {
        Finish::Stop => "end_turn",
        Finish::Calls => "tool_use",
        Finish::Length => "max_tokens",
        Finish::Filter => "refusal",
    }
}

fn read(body: &Value) -> Heard {
    let mut heard = Heard {
        system: said(&body["system"]),
        tools: list(body, "/tools").iter().map(|tool| word(tool, "/name")).collect(),
        schema: body.pointer("/output_config/format/schema").cloned(),
        thinking: body.pointer("/thinking/type").is_some_and(|kind| kind != "disabled"),
        settings: Settings {
            max_tokens: body["max_tokens"].as_u64(),
            temperature: body["temperature"].as_f64(),
            choice: match body.pointer("/tool_choice/type").and_then(Value::as_str) {
                Some("none") => Some(Choice::No),
                Some("any") => Some(Choice::Any),
                Some("tool") => (body["tool_choice"]["name"] == TOOL).then_some(Choice::Named),
                Some(_) | None => None,
            },
            stop: stops(body, "/stop_sequences"),
        },
        ..Heard::default()
    };
    for message in list(body, "/messages") {
        let parts = match message["content"].as_array() {
            Some(blocks) => blocks.iter().flat_map(part).collect(),
            None => vec![Part::Text(word(&message, "/content"))],
        };
        match message["role"].as_str().expect("a role") {
            "system" => heard.system += &words(parts),
            "user" => heard.user(parts),
            "assistant" => heard.model(parts),
            other => panic!("nobody's role: {other}"),
        }
    }
    heard
}

fn part(block: &Value) -> Vec<Part> {
    let text = |path: &str| word(block, path);
    match block["type"].as_str().expect("a type") {
        "text" => {
            assert!(!text("/text").trim().is_empty(), "A5: an empty text is refused: {block}");
            vec![Part::Text(text("/text"))]
        }
        "image" | "document" => vec![Part::media(&text("/source/media_type"), &text("/source/data"))],
        "thinking" => {
            assert!(block["thinking"].is_string() && block["signature"].is_string(), "{block}");
            Part::thought(&text("/thinking")).into_iter().chain(Part::proof(&text("/signature"))).collect()
        }
        "redacted_thinking" => vec![Part::Proof(text("/data"))],
        "tool_use" => {
            assert!(block["input"].is_object(), "T3: {block}");
            vec![Part::Call(Call { id: text("/id"), name: text("/name"), arguments: block["input"].clone() })]
        }
        "tool_result" => {
            let mut parts = match block["content"].as_array() {
                Some(blocks) => blocks.iter().flat_map(part).collect(),
                None => vec![Part::Text(text("/content"))],
            };
            if block["is_error"] == true {
                parts.insert(0, Part::Text(FAILED.into()));
            }
            returned(&text("/tool_use_id"), parts)
        }
        other => panic!("a block nobody sent: {other}"),
    }
}

/// A string, or blocks of text.
fn said(content: &Value) -> String {
    match content.as_array() {
        Some(blocks) => blocks.iter().map(|block| word(block, "/text")).collect(),
        None => content.as_str().unwrap_or_default().to_owned(),
    }
}
