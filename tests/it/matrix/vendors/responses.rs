//! A vendor of OpenAI's Responses ("Create a model response", "Streaming events", specification
//! 2.3.0, read November 2026).

use serde_json::{Value, json};

use super::{
    Vendor, bytes,
    chat::{OPEN, choice},
    in_order, provider,
};
use crate::{
    matrix::neutral::{
        Call, Finish, Heard, Part, Say, Settings, THOUGHT, Trouble, USAGE, list, parsed, returned, word, words,
    },
    support::{Script, upstream::Request},
};

pub(super) struct Responses;

/// Events with their numbers.
#[derive(Default)]
struct Events(Vec<String>);

impl Vendor for Responses {
    fn name(&self) -> &'static str {
        "OpenAI Responses"
    }

    fn config(&self, base: &str) -> String {
        provider("oai", "openai", &format!("{base}/oai/v1"))
    }

    fn model(&self, _: &str, _: bool) -> &'static str {
        "oai/gpt-5-pro"
    }

    fn whole(&self, say: &Say) -> Value {
        response(say, status(say), &items(say))
    }

    fn events(&self, say: &Say) -> Vec<Vec<u8>> {
        let mut events = Events::default();
        events.push(json!({"type": "response.created", "response": response(say, "in_progress", &[])}));
        events.push(json!({"type": "response.in_progress", "response": response(say, "in_progress", &[])}));
        let items = items(say);
        for (at, item) in items.iter().enumerate() {
            let mut begun = item.clone();
            begun["status"] = "in_progress".into();
            for (key, empty) in [("content", json!([])), ("summary", json!([])), ("arguments", json!(""))] {
                if begun.get(key).is_some() {
                    begun[key] = empty;
                }
            }
            events.push(json!({"type": "response.output_item.added", "output_index": at, "item": begun}));
            let place = json!({"item_id": item["id"], "output_index": at});
            match item["type"].as_str().expect("a type") {
                "message" => events.text(&place, &say.text.expect("a text"), item),
                "reasoning" => events.summary(&place, item),
                _ => events.arguments(&place, item),
            }
            events.push(json!({"type": "response.output_item.done", "output_index": at, "item": item}));
        }
        events
            .push(json!({"type": format!("response.{}", status(say)), "response": response(say, status(say), &items)}));
        bytes(events.0)
    }

    fn failure(&self, words: &str) -> Vec<u8> {
        let mut response = response(&Say::default(), "failed", &[]);
        response["error"] = json!({"code": "server_error", "message": words});
        let failed = json!({"type": "response.failed", "sequence_number": 5, "response": response});
        format!("event: response.failed\ndata: {failed}\n\n").into_bytes()
    }

    fn refusal(&self, trouble: Trouble, words: &str) -> Script {
        OPEN.refusal(trouble, words)
    }

    fn overflow(&self) -> &'static str {
        OPEN.overflow()
    }

    fn heard(&self, request: &Request) -> Heard {
        assert!(request.path.ends_with("/v1/responses"), "{}", request.path);
        let body = request.json();
        let before = &body["previous_response_id"];
        assert!(
            before.is_null() || before.as_str().is_some_and(|id| id.starts_with("resp_0") || id.starts_with("resp_1")),
            "P4: {before}"
        );
        let mut heard = Heard {
            system: word(&body, "/instructions"),
            tools: list(&body, "/tools").iter().map(|tool| word(tool, "/name")).collect(),
            schema: body.pointer("/text/format/schema").cloned(),
            thinking: body.pointer("/reasoning/effort").is_some(),
            settings: Settings {
                max_tokens: body["max_output_tokens"].as_u64(),
                temperature: body["temperature"].as_f64(),
                choice: choice(&body["tool_choice"], "/name"),
                stop: Vec::new(),
            },
            ..Heard::default()
        };
        for item in list(&body, "/input") {
            match (item["type"].as_str().unwrap_or("message"), item["role"].as_str()) {
                ("message", Some("user")) => heard.user(content(&item["content"])),
                ("message", Some("assistant")) => heard.model(content(&item["content"])),
                ("message", _) => heard.system += &words(content(&item["content"])),
                ("reasoning", _) => {
                    let summary = list(&item, "/summary").iter().map(|part| word(part, "/text")).collect::<String>();
                    heard.model(
                        Part::thought(&summary).into_iter().chain(Part::proof(&word(&item, "/encrypted_content"))),
                    );
                }
                ("function_call", _) => {
                    let arguments = parsed(item["arguments"].as_str().expect("T3: a string"));
                    let call = Call { id: word(&item, "/call_id"), name: word(&item, "/name"), arguments };
                    heard.model([Part::Call(call)]);
                }
                ("function_call_output", _) => {
                    heard.user(returned(&word(&item, "/call_id"), content(&item["output"])));
                }
                (other, _) => panic!("an item nobody sent: {other}"),
            }
        }
        heard
    }

    /// R1: the item as it came.
    fn replayed(&self, say: &Say, kept: bool) -> Vec<Part> {
        let reasoning = [Part::Thought(THOUGHT.concat()), Part::Proof(say.proof(0))];
        in_order(reasoning.into_iter().filter(|_| say.is_proven(kept)), say, "call_")
    }
}

impl Events {
    fn push(&mut self, mut event: Value) {
        event["sequence_number"] = self.0.len().into();
        self.0.push(format!("event: {}\ndata: {event}\n\n", event["type"].as_str().expect("a type")));
    }

    fn at(&mut self, name: &str, place: &Value, members: &Value) {
        let mut event = place.clone();
        event["type"] = format!("response.{name}").into();
        event.as_object_mut().expect("an object").extend(members.as_object().cloned().expect("members"));
        self.push(event);
    }

    fn text(&mut self, place: &Value, pieces: &[&str], item: &Value) {
        let part = &item["content"][0];
        let mut empty = part.clone();
        empty["text"] = "".into();
        self.at("content_part.added", place, &json!({"content_index": 0, "part": empty}));
        for piece in pieces {
            self.at("output_text.delta", place, &json!({"content_index": 0, "delta": piece, "logprobs": []}));
        }
        self.at("output_text.done", place, &json!({"content_index": 0, "text": part["text"], "logprobs": []}));
        self.at("content_part.done", place, &json!({"content_index": 0, "part": part}));
    }

    fn summary(&mut self, place: &Value, item: &Value) {
        let part = &item["summary"][0];
        self.at(
            "reasoning_summary_part.added",
            place,
            &json!({"summary_index": 0, "part": {"type": "summary_text", "text": ""}}),
        );
        for piece in THOUGHT {
            self.at("reasoning_summary_text.delta", place, &json!({"summary_index": 0, "delta": piece}));
        }
        self.at("reasoning_summary_text.done", place, &json!({"summary_index": 0, "text": part["text"]}));
        self.at("reasoning_summary_part.done", place, &json!({"summary_index": 0, "part": part}));
    }

    fn arguments(&mut self, place: &Value, item: &Value) {
        self.at("function_call_arguments.delta", place, &json!({"delta": item["arguments"]}));
        self.at("function_call_arguments.done", place, &json!({"arguments": item["arguments"]}));
    }
}

fn items(say: &Say) -> Vec<Value> {
    let mut items = Vec::new();
    if say.thinks {
        let summary = json!([{"type": "summary_text", "text": THOUGHT.concat()}]);
        items.push(
            json!({"id": say.id("rs_", 0), "type": "reasoning", "summary": summary, "encrypted_content": say.proof(0)}),
        );
    }
    if say.text.is_some() {
        let part = json!({"type": "output_text", "text": say.whole_text(), "annotations": [], "logprobs": []});
        items.push(json!({"id": say.id("msg_", 0), "type": "message", "status": status(say), "role": "assistant", "content": [part]}));
    }
    for (number, call) in say.made("call_").iter().enumerate() {
        items.push(
            json!({"id": say.id("fc_", number), "type": "function_call", "status": "completed", "call_id": call.id,
            "name": call.name, "arguments": call.arguments.to_string()}),
        );
    }
    items
}

fn status(say: &Say) -> &'static str {
    if say.cut.is_some() { "incomplete" } else { "completed" }
}

/// An answer with all it has on the wire.
fn response(say: &Say, status: &str, output: &[Value]) -> Value {
    let (is_done, is_over) = (status == "completed", status == "completed" || status == "incomplete");
    let details = match say.cut.filter(|_| is_over) {
        Some(Finish::Length) => json!({"reason": "max_output_tokens"}),
        Some(Finish::Filter) => json!({"reason": "content_filter"}),
        Some(Finish::Stop | Finish::Calls) | None => Value::Null,
    };
    let usage = json!({
        "input_tokens": USAGE.prompt, "input_tokens_details": {"cached_tokens": USAGE.cached},
        "output_tokens": USAGE.output, "output_tokens_details": {"reasoning_tokens": USAGE.reasoning},
        "total_tokens": USAGE.prompt + USAGE.output});
    json!({
        "id": say.id("resp_", 0), "object": "response", "created_at": 1_795_000_000, "status": status, "background": false,
        "completed_at": if is_done { json!(1_795_000_001) } else { Value::Null }, "error": null,
        "incomplete_details": details, "instructions": null, "max_output_tokens": null, "max_tool_calls": null,
        "model": "m-2026", "output": output, "parallel_tool_calls": true, "previous_response_id": null,
        "presence_penalty": 0.0, "frequency_penalty": 0.0, "prompt_cache_key": null,
        "reasoning": {"effort": null, "summary": null}, "safety_identifier": null, "service_tier": "default",
        "store": false, "temperature": 1.0, "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [],
        "top_logprobs": 0, "top_p": 1.0, "truncation": "disabled", "user": null, "metadata": {},
        "usage": if is_over { usage } else { Value::Null },
    })
}

/// A string, or parts.
fn content(content: &Value) -> Vec<Part> {
    let Some(parts) = content.as_array() else {
        return Part::text(content.as_str().unwrap_or_default()).into_iter().collect();
    };
    let part = |part: &Value| match part["type"].as_str().expect("a type") {
        "input_text" | "output_text" => Part::Text(word(part, "/text")),
        "input_image" => Part::url(&word(part, "/image_url")),
        "input_file" => Part::url(&word(part, "/file_data")),
        other => panic!("a part nobody sent: {other}"),
    };
    parts.iter().map(part).collect()
}
