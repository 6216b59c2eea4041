//! Canonical requests, written: what the vendor gets, and what is reported lost.

use serde_json::{Value, json, value::RawValue};

use super::Cohere;
use crate::{
    ir::{Block, Effort, Message, Output, Reasoning, Request, Role, Source, Tool, ToolChoice, ToolKind},
    wire::{Encoded, Facts, Loss, UpstreamDialect, Weight},
};

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.into()).unwrap()
}

fn tool(name: &str) -> Tool {
    let schema = r#"{ "type":"object", "properties":{"z":{},"a":{}}, "required":["z"] }"#;
    Tool {
        name: name.into(),
        description: None,
        schema: Some(raw(schema)),
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

fn encode(request: &Request) -> Encoded {
    Cohere.encode(request, &Facts { model: "command-a-03-2025", stream: request.stream, ..Facts::default() }).unwrap()
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&encode(request).body).unwrap()
}

fn losses(request: &Request, weight: Weight) -> Vec<String> {
    encode(request).losses.into_iter().filter(|loss| loss.weight == weight).map(|loss| loss.field).collect()
}

/// T6: every choice maps; a named tool is the only one that is sent.
#[test]
fn every_tool_choice_maps() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    for (choice, sent, word) in [
        (None, 2, json!(null)),
        (Some(ToolChoice::Auto), 2, json!(null)),
        (Some(ToolChoice::None), 2, json!("NONE")),
        (Some(ToolChoice::Required), 2, json!("REQUIRED")),
        (Some(ToolChoice::Named("a".into())), 1, json!("REQUIRED")),
        (Some(ToolChoice::Allowed { names: names(&["b"]), required: false }), 1, json!(null)),
        (Some(ToolChoice::Allowed { names: names(&["b"]), required: true }), 1, json!("REQUIRED")),
    ] {
        let request = Request { tools: vec![tool("a"), tool("b")], tool_choice: choice.clone(), ..hi() };
        let body = body(&request);
        assert_eq!((body["tools"].as_array().map(Vec::len), &body["tool_choice"]), (Some(sent), &word), "{choice:?}");
        assert!(encode(&request).losses.is_empty());
    }
    let named = Request { tools: vec![tool("a")], tool_choice: Some(ToolChoice::Named("b".into())), ..hi() };
    assert_eq!(losses(&named, Weight::Meaning), ["tool_choice"]);
    let one = Request { tools: vec![tool("a")], parallel_tool_calls: Some(false), ..hi() };
    assert_eq!(losses(&one, Weight::Hint), ["parallel_tool_calls"]);
}

/// Strictness is one switch, and wants a required parameter of each tool.
#[test]
fn strictness_is_one_switch() {
    let strict = |tool: Tool| Tool { strict: Some(true), ..tool };
    let request = Request { tools: vec![strict(tool("a")), tool("b")], ..hi() };
    assert_eq!(body(&request)["strict_tools"], true);
    let bare = Tool { schema: None, ..tool("b") };
    let request = Request { tools: vec![strict(tool("a")), bare], ..hi() };
    assert!(body(&request).get("strict_tools").is_none());
    assert_eq!(losses(&request, Weight::Hint), ["tools[].function.strict"]);
    assert_eq!(body(&request)["tools"][1]["function"]["parameters"], json!({"type": "object", "properties": {}}));
}

/// J1, J2: the vendor's own, or words beside tools and documents.
#[test]
fn response_format_is_never_ignored() {
    let schema = || Output::JsonSchema { name: "n".into(), description: None, schema: raw("{\"a\":1}"), strict: None };
    assert_eq!(
        body(&Request { output: Output::JsonObject, ..hi() })["response_format"],
        json!({"type": "json_object"})
    );
    let request = Request { output: schema(), ..hi() };
    assert_eq!(body(&request)["response_format"], json!({"type": "json_object", "json_schema": {"a": 1}}));
    let mut documented = request.clone();
    documented.extra.insert("documents".into(), raw("[\"text\"]"));
    for request in [Request { tools: vec![tool("a")], ..request }, documented] {
        let body = body(&request);
        assert!(body.get("response_format").is_none());
        assert!(body["messages"][0]["content"].as_str().unwrap().ends_with("{\"a\":1}"), "{body}");
        assert_eq!(losses(&request, Weight::Hint), ["response_format"]);
    }
}

/// R5: efforts as budgets.
#[test]
fn effort_is_a_budget() {
    for (effort, budget, expected) in [
        (None, None, json!(null)),
        (Some(Effort::None), None, json!({"type": "disabled"})),
        (None, Some(0), json!({"type": "disabled"})),
        (Some(Effort::Low), None, json!({"type": "enabled", "token_budget": 1024})),
        (Some(Effort::High), None, json!({"type": "enabled", "token_budget": 16000})),
        (Some(Effort::Max), None, json!({"type": "enabled"})),
        (None, Some(77), json!({"type": "enabled", "token_budget": 77})),
    ] {
        let request = Request { reasoning: Reasoning { effort, budget_tokens: budget }, ..hi() };
        assert_eq!(body(&request)["thinking"], expected, "{effort:?} {budget:?}");
    }
}

/// Sampling goes within the vendor's bounds, and what moved is reported.
#[test]
fn sampling_is_bounded() {
    let mut request = Request { stop: vec!["a".into()], max_tokens: Some(9), ..hi() };
    let sampling = &mut request.sampling;
    (sampling.temperature, sampling.top_p, sampling.top_k, sampling.seed) = (Some(1.5), Some(1.0), Some(900), Some(-1));
    (sampling.presence_penalty, sampling.frequency_penalty) = (Some(0.5), Some(-0.5));
    sampling.logprobs = true;
    let written = body(&request);
    assert_eq!(
        (&written["temperature"], &written["p"], &written["k"], &written["frequency_penalty"]),
        (&json!(1.0), &json!(0.99), &json!(500), &json!(0.0))
    );
    assert_eq!(
        (&written["stop_sequences"], &written["logprobs"], &written["max_tokens"]),
        (&json!(["a"]), &json!(true), &json!(9))
    );
    assert!(written.get("seed").is_none() && written.get("presence_penalty").is_none());
    let hints = ["temperature", "frequency_penalty", "presence_penalty", "top_k", "seed"];
    assert_eq!(losses(&request, Weight::Hint), hints);
    request.stop = vec!["x".into(); 6];
    request.sampling.n = Some(2);
    request.sampling.top_logprobs = Some(1);
    assert_eq!(losses(&request, Weight::Meaning), ["stop", "n", "top_logprobs"]);
}

/// The vendor's own fields travel on; others are named.
#[test]
fn extras_are_carried_or_named() {
    let mut request = hi();
    for (name, value) in [
        ("documents", r#"["text", {"id":"d1","data":{"text":"t"}}]"#),
        ("citation_options", r#"{"mode":"FAST"}"#),
        ("safety_mode", "\"OFF\""),
        ("priority", "0"),
        ("strict_tools", "true"),
        ("k", "5"),
        ("p", "0.5"),
        ("made_up", "1"),
        ("modalities", r#"["audio"]"#),
    ] {
        request.extra.insert(name.into(), raw(value));
    }
    let body = body(&request);
    assert_eq!(body["documents"], json!(["text", {"id": "d1", "data": {"text": "t"}}]));
    assert_eq!((&body["citation_options"], &body["safety_mode"]), (&json!({"mode": "FAST"}), &json!("OFF")));
    assert_eq!(
        (&body["k"], &body["p"], &body["strict_tools"], &body["priority"]),
        (&json!(5), &json!(0.5), &json!(true), &json!(0))
    );
    assert_eq!(losses(&request, Weight::Hint), ["made_up"]);
    assert_eq!(losses(&request, Weight::Meaning), ["modalities"]);
}

/// N2: addresses pass, data becomes data URLs, text documents become documents.
#[test]
fn media_is_carried_or_refused() {
    let image = |source| Block::Image { source, detail: None, cache: None };
    let document = |source| Block::Document { source, name: Some("T".into()), cache: None };
    let base64 = |media_type: &str| Source::Base64 { media_type: media_type.into(), data: "aMOp".into() };
    let seen = asking(vec![image(Source::Url("https://h/a.png".into())), image(base64("image/png")), Block::text("?")]);
    let url = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
    let expected = json!([url("https://h/a.png"), url("data:image/png;base64,aMOp"), {"type": "text", "text": "?"}]);
    assert_eq!(body(&seen)["messages"][0]["content"], expected);
    let told = asking(vec![document(base64("text/plain")), document(Source::Text("t".into())), Block::text("?")]);
    let documents = json!([{"id": "document_1", "data": {"title": "T", "text": "hé"}}, {"id": "document_2", "data": {"title": "T", "text": "t"}}]);
    assert_eq!(
        (&body(&told)["documents"], &body(&told)["messages"]),
        (&documents, &json!([{"role": "user", "content": "?"}]))
    );
    for (block, field) in [
        (image(Source::File("f".into())), "messages[].content[].image_url"),
        (document(base64("application/pdf")), "messages[].content[].file"),
        (Block::Audio { data: "a".into(), format: "wav".into() }, "messages[].content[].input_audio"),
    ] {
        assert_eq!(losses(&asking(vec![Block::text("?"), block]), Weight::Meaning), [field]);
    }
}

/// T4, T7, A5, R1: a tool turn with its plan, names that fit, results in their order.
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
    let thought = |text: &str| Block::Reasoning { text: text.into(), signature: None };
    let request = Request {
        tools: vec![tool("a.b-c"), tool("g")],
        messages: vec![
            Message::new(Role::Developer, vec![Block::text("S"), Block::text("")]),
            Message::new(Role::User, vec![Block::text("")]),
            Message::new(Role::User, vec![Block::text("Q")]),
            Message::new(
                Role::Assistant,
                vec![thought("Plan."), call("1", "a.b-c", "{ \"x\":1 }"), call("2", "g", "")],
            ),
            Message::new(Role::User, vec![result("1", "A"), result("2", "B")]),
            Message::new(Role::Assistant, vec![thought("Hm."), Block::text("Done.")]),
        ],
        ..Request::default()
    };
    let body = body(&request);
    let wire = body["tools"][0]["function"]["name"].as_str().unwrap().to_owned();
    assert!(wire.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{wire}");
    assert_eq!(encode(&request).memo.tool_names[&wire], "a.b-c");
    let function = |name: &str, arguments: &str| json!({"name": name, "arguments": arguments});
    let expected = json!([
        {"role": "system", "content": "S"},
        {"role": "user", "content": "Q"},
        {"role": "assistant", "tool_plan": "Plan.", "tool_calls": [
            {"id": "1", "type": "function", "function": function(&wire, "{ \"x\":1 }")},
            {"id": "2", "type": "function", "function": function("g", "{}")}]},
        {"role": "tool", "tool_call_id": "1", "content": "A"},
        {"role": "tool", "tool_call_id": "2", "content": "B"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Done."}]},
    ]);
    assert_eq!(body["messages"], expected);
    assert!(Cohere.encode(&asking(vec![Block::text("")]), &Facts::default()).is_err(), "nothing to say");
}

/// T4, N2: what a tool shows is shown behind its results, to models that see; the others are told of it, and so
/// is whoever asked.
#[test]
fn images_in_results_follow_them() {
    let shows = |id: &str, text: Option<&str>| {
        let image = Block::Image { source: Source::Url("https://h/a.png".into()), detail: None, cache: None };
        let content = text.map(Block::text).into_iter().chain([image]).collect();
        Block::ToolResult { id: id.into(), content, is_error: false, cache: None }
    };
    let blocks = vec![shows("1", Some("A")), shows("2", None), Block::text("So?")];
    let request = Request { messages: vec![Message::new(Role::User, blocks)], ..Request::default() };
    let sent = |model: &'static str| {
        let encoded = Cohere.encode(&request, &Facts { model, ..Facts::default() }).unwrap();
        let body: Value = serde_json::from_slice(&encoded.body).unwrap();
        (body["messages"].clone(), encoded.losses)
    };
    let image = json!({"type": "image_url", "image_url": {"url": "https://h/a.png"}});
    let seen = json!([
        {"role": "tool", "tool_call_id": "1", "content": "A"},
        {"role": "tool", "tool_call_id": "2", "content": "[shown below]"},
        {"role": "user", "content": [image, image, {"type": "text", "text": "So?"}]},
    ]);
    for model in ["command-a-vision-07-2025", "command-a-plus-05-2026", "a-model-of-tomorrow"] {
        assert_eq!(sent(model), (seen.clone(), vec![]), "{model}");
    }
    let words = json!({"type": "text", "text": "[an image, which you cannot see]"});
    let told = json!([
        {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "A"}, words]},
        {"role": "tool", "tool_call_id": "2", "content": "[an image, which you cannot see]"},
        {"role": "user", "content": "So?"},
    ]);
    let loss = Loss { field: "messages[].content[].image_url".into(), weight: Weight::Hint };
    assert_eq!(sent("command-r-08-2024"), (told, vec![loss]));
}

/// C1: schemas keep their bytes, and what a turn adds changes nothing before it.
#[test]
fn equal_prefixes_give_equal_bytes() {
    let first = Request { tools: vec![tool("a")], ..hi() };
    let mut second = first.clone();
    second.messages.push(Message::new(Role::Assistant, vec![Block::text("Hello")]));
    let (first, second) = (encode(&first).body, encode(&second).body);
    assert_eq!(second[..first.len() - 2], first[..first.len() - 2]);
    assert!(
        std::str::from_utf8(&first)
            .unwrap()
            .contains(r#"{ "type":"object", "properties":{"z":{},"a":{}}, "required":["z"] }"#)
    );
}
