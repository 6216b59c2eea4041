//! Canonical requests, written: what the server gets, and what is reported lost.

use proptest::prelude::*;
use serde_json::{Value, json, value::RawValue};

use super::Ollama;
use crate::{
    ir::{Block, Effort, Message, Output, Reasoning, Request, Role, Source, Tool, ToolChoice, ToolKind},
    wire::{Encoded, Facts, UpstreamDialect, Weight},
};

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.into()).unwrap()
}

fn tool(name: &str) -> Tool {
    Tool {
        name: name.into(),
        description: None,
        schema: Some(raw(r#"{ "type":"object", "properties":{"z":{},"a":{}} }"#)),
        strict: None,
        kind: ToolKind::Function,
        cache: None,
    }
}

fn asking(blocks: Vec<Block>) -> Request {
    Request { messages: vec![Message::new(Role::User, blocks)], ..Request::default() }
}

fn hi() -> Request {
    asking(vec![Block::text("Hi")])
}

fn encode(request: &Request, model: &str) -> Encoded {
    Ollama.encode(request, &Facts { model, stream: request.stream, ..Facts::default() }).unwrap()
}

fn body(encoded: &Encoded) -> Value {
    serde_json::from_slice(&encoded.body).unwrap()
}

fn losses(encoded: &Encoded, weight: Weight) -> Vec<&str> {
    encoded.losses.iter().filter(|loss| loss.weight == weight).map(|loss| loss.field.as_str()).collect()
}

/// R5: efforts and budgets as `think` says them.
#[test]
fn effort_is_spelled_as_the_model_takes_it() {
    for (effort, budget, usual, gpt_oss) in [
        (None, None, json!(null), json!(null)),
        (Some(Effort::None), None, json!(false), json!("low")),
        (Some(Effort::Minimal), None, json!("low"), json!("low")),
        (Some(Effort::Low), None, json!("low"), json!("low")),
        (Some(Effort::Medium), None, json!("medium"), json!("medium")),
        (Some(Effort::High), None, json!("high"), json!("high")),
        (Some(Effort::Xhigh), None, json!("max"), json!("high")),
        (Some(Effort::Max), None, json!("max"), json!("high")),
        (None, Some(0), json!(false), json!("low")),
        (None, Some(4096), json!("medium"), json!("medium")),
        (None, Some(100_000), json!("high"), json!("high")),
    ] {
        let request = Request { reasoning: Reasoning { effort, budget_tokens: budget }, ..hi() };
        assert_eq!(body(&encode(&request, "qwen3:4b"))["think"], usual, "{effort:?} {budget:?}");
        let encoded = encode(&request, "hf.co/unsloth/gpt-oss-20b-GGUF");
        assert_eq!(body(&encoded)["think"], gpt_oss, "{effort:?} {budget:?}");
        let off = effort == Some(Effort::None) || budget == Some(0);
        assert_eq!(losses(&encoded, Weight::Hint), if off { vec!["reasoning_effort"] } else { vec![] });
    }
    let mut request = Request { reasoning: Reasoning { effort: Some(Effort::Low), budget_tokens: None }, ..hi() };
    request.extra.insert("think".into(), raw("true"));
    assert_eq!(body(&encode(&request, "m"))["think"], json!(true), "the client's own word counts");
}

/// T6: every choice maps or is refused by name.
#[test]
fn every_tool_choice_maps_or_is_refused() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    for (choice, sent, refused) in [
        (None, 2, false),
        (Some(ToolChoice::Auto), 2, false),
        (Some(ToolChoice::None), 0, false),
        (Some(ToolChoice::Required), 2, true),
        (Some(ToolChoice::Named("a".into())), 2, true),
        (Some(ToolChoice::Allowed { names: names(&["b"]), required: false }), 1, false),
        (Some(ToolChoice::Allowed { names: names(&["b"]), required: true }), 1, true),
    ] {
        for parallel in [None, Some(true), Some(false)] {
            let tools = vec![tool("a"), tool("b")];
            let request = Request { tools, tool_choice: choice.clone(), parallel_tool_calls: parallel, ..hi() };
            let encoded = encode(&request, "m");
            let tools = body(&encoded)["tools"].as_array().map_or(0, Vec::len);
            assert_eq!(tools, sent, "{choice:?}");
            assert_eq!(losses(&encoded, Weight::Meaning) == ["tool_choice"], refused, "{choice:?}");
            let dropped = losses(&encoded, Weight::Hint) == ["parallel_tool_calls"];
            assert_eq!(dropped, parallel == Some(false) && sent > 0, "{choice:?} {parallel:?}");
        }
    }
}

/// J1, J2: the grammar alone, or the words beside tools.
#[test]
fn response_format_is_never_ignored() {
    let schema = || Output::JsonSchema { name: "n".into(), description: None, schema: raw("{\"a\":1}"), strict: None };
    let request = Request { output: Output::JsonObject, ..hi() };
    assert_eq!(body(&encode(&request, "m"))["format"], "json");
    let request = Request { output: schema(), ..hi() };
    assert_eq!(body(&encode(&request, "m"))["format"], json!({"a": 1}));
    let request = Request { output: schema(), tools: vec![tool("a")], ..hi() };
    let encoded = encode(&request, "m");
    assert_eq!(losses(&encoded, Weight::Hint), ["response_format"]);
    let (written, first) = (body(&encoded), body(&encoded)["messages"][0].clone());
    assert!(written.get("format").is_none());
    assert!(first["role"] == "system" && first["content"].as_str().unwrap().ends_with("{\"a\":1}"), "{first}");
    let none = Request { tool_choice: Some(ToolChoice::None), ..request };
    assert_eq!(body(&encode(&none, "m"))["format"], json!({"a": 1}), "no tool can be called");
}

/// N2: what the server cannot read is refused by name, and nothing is fetched.
#[test]
fn media_is_base64_or_refused() {
    let image = |source| Block::Image { source, detail: None, cache: None };
    let document = |source| Block::Document { source, name: None, cache: None };
    let base64 = |media_type: &str| Source::Base64 { media_type: media_type.into(), data: "aMOp".into() };
    for (block, expected) in [
        (image(base64("image/png")), json!({"role": "user", "content": "", "images": ["aMOp"]})),
        (document(base64("image/png")), json!({"role": "user", "content": "", "images": ["aMOp"]})),
        (
            Block::Audio { data: "UklG".into(), format: "wav".into() },
            json!({"role": "user", "content": "", "images": ["UklG"]}),
        ),
        (document(base64("text/csv")), json!({"role": "user", "content": "hé"})),
        (document(Source::Text("t".into())), json!({"role": "user", "content": "t"})),
    ] {
        let encoded = encode(&asking(vec![block]), "m");
        assert_eq!(body(&encoded)["messages"][0], expected);
        assert!(encoded.losses.is_empty());
    }
    for (block, field) in [
        (image(Source::Url("https://h/a.png".into())), "messages[].content[].image_url"),
        (image(Source::File("file_1".into())), "messages[].content[].image_url"),
        (document(base64("application/pdf")), "messages[].content[].file"),
        (document(Source::Url("https://h/a.pdf".into())), "messages[].content[].file"),
    ] {
        assert_eq!(losses(&encode(&asking(vec![block]), "m"), Weight::Meaning), [field]);
    }
}

/// Parameters of the run, wherever the client writes them: `options` counts most.
#[test]
fn options_are_gathered() {
    let mut request = Request { max_tokens: Some(9), stop: vec!["END".into()], ..hi() };
    request.sampling.temperature = Some(0.5);
    request.sampling.seed = Some(-1);
    for (name, value) in [
        ("options", r#"{"num_ctx": 8192, "temperature": 1.0, "mirostat": 2, "num_gpu": null}"#),
        ("num_ctx", "4096"),
        ("min_p", "0.05"),
        ("repetition_penalty", "1.1"),
        ("keep_alive", "-1"),
        ("truncate", "false"),
        ("made_up", "1"),
        ("logit_bias", "{}"),
        ("modalities", r#"["audio"]"#),
    ] {
        request.extra.insert(name.into(), raw(value));
    }
    let encoded = encode(&request, "m");
    let body = body(&encoded);
    let expected = json!({"num_ctx": 8192, "temperature": 1.0, "mirostat": 2, "min_p": 0.05, "repeat_penalty": 1.1,
        "num_predict": 9, "seed": -1, "stop": ["END"]});
    assert_eq!(body["options"], expected);
    assert_eq!((&body["keep_alive"], &body["truncate"]), (&json!(-1), &json!(false)));
    assert_eq!(
        (losses(&encoded, Weight::Hint), losses(&encoded, Weight::Meaning)),
        (vec!["made_up"], vec!["modalities"])
    );
}

/// C1: schemas keep their bytes, and what a turn adds changes nothing before it.
#[test]
fn equal_prefixes_give_equal_bytes() {
    let first = Request { tools: vec![tool("a")], ..hi() };
    let mut second = first.clone();
    second.messages.push(Message::new(Role::Assistant, vec![Block::text("Hello")]));
    let (first, second) = (encode(&first, "m").body, encode(&second, "m").body);
    assert_eq!(second[..first.len() - 2], first[..first.len() - 2]);
    assert!(std::str::from_utf8(&first).unwrap().contains(r#"{ "type":"object", "properties":{"z":{},"a":{}} }"#));
}

/// T3, T4: calls carry objects, and each result follows with its tool's name.
#[test]
fn a_tool_turn_is_replayed() {
    let call = |id: &str, name: &str, arguments: &str| Block::ToolCall {
        id: id.into(),
        name: name.into(),
        arguments: arguments.into(),
        kind: ToolKind::Function,
        cache: None,
    };
    let result = |id: &str, text: &str| Block::ToolResult {
        id: id.into(),
        content: vec![Block::text(text)],
        is_error: false,
        cache: None,
    };
    let thought = Block::Reasoning { text: "Hm".into(), signature: None };
    let request = Request {
        messages: vec![
            Message::new(Role::Assistant, vec![thought, call("1", "a", "{ \"x\":1.0 }"), call("2", "b", "nonsense")]),
            Message::new(Role::User, vec![result("1", "A"), result("2", "B"), Block::text("So?")]),
        ],
        ..Request::default()
    };
    let expected = json!([
        {"role": "assistant", "content": "", "thinking": "Hm", "tool_calls": [
            {"id": "1", "function": {"index": 0, "name": "a", "arguments": {"x": 1.0}}},
            {"id": "2", "function": {"index": 1, "name": "b", "arguments": {"_raw": "nonsense"}}}]},
        {"role": "tool", "content": "A", "tool_name": "a", "tool_call_id": "1"},
        {"role": "tool", "content": "B", "tool_name": "b", "tool_call_id": "2"},
        {"role": "user", "content": "So?"},
    ]);
    assert_eq!(body(&encode(&request, "m"))["messages"], expected);
}

proptest! {
    /// T3: whatever a model wrote as arguments, the server gets an object.
    #[test]
    fn any_arguments_become_an_object(arguments in ".{0,20}") {
        let call = Block::ToolCall {
            id: "1".into(), name: "f".into(), arguments, kind: ToolKind::Function, cache: None,
        };
        let request = Request { messages: vec![Message::new(Role::Assistant, vec![call])], ..Request::default() };
        let body = body(&encode(&request, "m"));
        prop_assert!(body["messages"][0]["tool_calls"][0]["function"]["arguments"].is_object());
    }
}
