//! Canonical requests, written: what the vendor gets, and what is reported lost.

use proptest::prelude::*;
use serde_json::{Value, json, value::RawValue};

use super::Anthropic;
use crate::{
    ir::{
        Block, CacheHint, CacheTtl, Effort, Message, Output, Reasoning, Request, Role, Source, Tool, ToolChoice,
        ToolKind,
    },
    wire::{Encoded, Facts, UpstreamDialect, Weight},
};

const CLASSIC: &str = "claude-haiku-4-5";
const NEWEST: &str = "claude-opus-5-5";

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.into()).unwrap()
}

fn tool(name: &str) -> Tool {
    Tool {
        name: name.into(),
        description: Some(format!("The {name}.")),
        schema: Some(raw(r#"{ "type":"object", "properties":{"z":{"type":"number"},"a":{}} }"#)),
        strict: None,
        kind: ToolKind::Function,
        cache: None,
    }
}

fn call(id: &str, name: &str, arguments: &str) -> Block {
    Block::ToolCall {
        id: id.into(),
        name: name.into(),
        arguments: arguments.into(),
        kind: ToolKind::Function,
        cache: None,
    }
}

fn result(id: &str, text: &str) -> Block {
    Block::ToolResult { id: id.into(), content: vec![Block::text(text)], is_error: false, cache: None }
}

fn thought(text: &str, signature: Option<&str>) -> Block {
    Block::Reasoning { text: text.into(), signature: signature.map(Into::into) }
}

fn message(role: Role, blocks: impl Into<Vec<Block>>) -> Message {
    Message::new(role, blocks.into())
}

fn user(text: &str) -> Message {
    message(Role::User, [Block::text(text)])
}

fn asking(messages: impl Into<Vec<Message>>) -> Request {
    Request { messages: messages.into(), ..Request::default() }
}

fn encode(request: &Request, model: &str) -> Encoded {
    Anthropic.encode(request, &Facts { model, stream: request.stream, ..Facts::default() }).unwrap()
}

fn body(encoded: &Encoded) -> Value {
    serde_json::from_slice(&encoded.body).unwrap()
}

fn text(encoded: &Encoded) -> &str {
    std::str::from_utf8(&encoded.body).unwrap()
}

fn losses(encoded: &Encoded, weight: Weight) -> Vec<&str> {
    encoded.losses.iter().filter(|loss| loss.weight == weight).map(|loss| loss.field.as_str()).collect()
}

/// A conversation with everything in it, as one snapshot of bytes.
#[test]
fn a_rich_conversation() {
    let image = Source::Base64 { media_type: "image/png".into(), data: "iVBORw0=".into() };
    let mut request = asking([
        message(Role::System, [Block::Text { text: "Be brief.".into(), cache: Some(CacheHint { ttl: None }) }]),
        message(Role::Developer, [Block::text("Speak Dutch.")]),
        message(
            Role::User,
            [Block::text("Look."), Block::Image { source: image, detail: Some("auto".into()), cache: None }],
        ),
        message(Role::User, [Block::text("And?")]),
        message(
            Role::Assistant,
            [
                thought("Hm.", Some("EqQB+/=")),
                Block::RedactedReasoning { data: "Emw".into() },
                Block::text(""),
                call("call_1", "weather", "{\"city\": \"Rome\",  \"n\":1.0}"),
                call("call 2", "weather", ""),
                call("call_3", "weather", "{broken"),
            ],
        ),
        message(Role::User, [result("call_3", "C"), Block::text("Well?"), result("call_1", "A"), result("call 2", "")]),
    ]);
    request.tools = vec![
        tool("weather"),
        Tool { schema: None, cache: Some(CacheHint { ttl: Some(CacheTtl::OneHour) }), ..tool("now") },
    ];
    request.tool_choice = Some(ToolChoice::Auto);
    request.parallel_tool_calls = Some(false);
    request.sampling.temperature = Some(0.5);
    request.stop = vec!["END".into()];
    request.user = Some("u-1".into());
    request.stream = true;
    let encoded = encode(&request, CLASSIC);
    assert_eq!(encoded.headers.get("anthropic-version").unwrap(), "2023-06-01");
    assert_eq!(encoded.losses, []);
    insta::assert_snapshot!(text(&encoded));
}

/// C1: an equal prefix gives equal bytes, up to where the conversations part.
#[test]
fn equal_prefixes_give_equal_bytes() {
    let mut request = asking([message(Role::System, [Block::text("S")]), user("One")]);
    request.tools = vec![tool("b"), tool("a")];
    let short = encode(&request, NEWEST);
    request.messages.extend([message(Role::Assistant, [Block::text("1")]), user("Two")]);
    let long = encode(&request, NEWEST);
    let shared = text(&short).strip_suffix("]}").unwrap();
    assert!(text(&long).starts_with(shared), "{}", text(&long));
    assert!(shared.find("\"b\"").unwrap() < shared.find("\"a\"").unwrap());
    assert!(shared.contains(r#"{ "type":"object", "properties":{"z":{"type":"number"},"a":{}} }"#));
}

/// T6: every choice, with and without parallel calls, on lines that take a forced call and that do
/// not.
#[test]
fn every_tool_choice_maps_or_is_refused() {
    let choices = [
        None,
        Some(ToolChoice::Auto),
        Some(ToolChoice::None),
        Some(ToolChoice::Required),
        Some(ToolChoice::Named("b".into())),
        Some(ToolChoice::Allowed { names: vec!["b".into()], required: true }),
        Some(ToolChoice::Allowed { names: vec!["b".into()], required: false }),
        Some(ToolChoice::Allowed { names: vec!["b".into(), "a".into()], required: true }),
        Some(ToolChoice::Allowed { names: vec![], required: true }),
    ];
    let mut table = String::new();
    for model in [CLASSIC, "claude-opus-4-7", NEWEST] {
        for effort in [None, Some(Effort::High)] {
            for choice in &choices {
                for parallel in [None, Some(false)] {
                    let mut request = asking([user("Hi")]);
                    request.tools = vec![tool("a"), tool("b")];
                    request.tool_choice = choice.clone();
                    request.parallel_tool_calls = parallel;
                    request.reasoning.effort = effort;
                    let encoded = encode(&request, model);
                    let body = body(&encoded);
                    let names: Vec<_> =
                        body["tools"].as_array().into_iter().flatten().map(|tool| tool["name"].clone()).collect();
                    table.push_str(&format!(
                        "{model} effort {effort:?} parallel {parallel:?} {choice:?}\n    -> {} tools {} thinking {} lost {:?} refused {:?}\n",
                        body["tool_choice"],
                        Value::Array(names),
                        body["thinking"],
                        losses(&encoded, Weight::Hint),
                        losses(&encoded, Weight::Meaning),
                    ));
                }
            }
        }
    }
    insta::assert_snapshot!(table);
}

/// A tool is asked for and there is none.
#[test]
fn a_forced_choice_without_tools_is_refused() {
    let request = Request { tool_choice: Some(ToolChoice::Required), ..asking([user("Hi")]) };
    assert_eq!(losses(&encode(&request, CLASSIC), Weight::Meaning), ["tool_choice"]);
    let request = Request { tool_choice: Some(ToolChoice::None), ..asking([user("Hi")]) };
    assert_eq!(encode(&request, CLASSIC).losses, []);
}

/// T5: a history of tools without tools is told in words.
#[test]
fn tool_history_without_tools_is_told() {
    let encoded = encode(
        &asking([
            user("Weather?"),
            message(Role::Assistant, [thought("Hm", Some("S")), call("c1", "weather", r#"{"city":"Rome"}"#)]),
            message(Role::User, [result("c1", "Sunny.")]),
        ]),
        CLASSIC,
    );
    assert_eq!(losses(&encoded, Weight::Hint), ["messages[].tool_calls"]);
    assert_eq!(
        body(&encoded)["messages"],
        json!([
            {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
            {"role": "assistant", "content": [
                {"type": "text", "text": "[Called the tool weather with {\"city\":\"Rome\"}]"}]},
            {"role": "user", "content": [
                {"type": "text", "text": "[The tool returned]"}, {"type": "text", "text": "Sunny."}]},
        ])
    );
}

/// R1: thinking of a turn goes back whole or not at all, and a budget then rests.
#[test]
fn unsigned_thinking_is_left_out_of_its_turn() {
    let mut request = asking([
        user("Weather?"),
        message(
            Role::Assistant,
            [thought("Hm", None), Block::RedactedReasoning { data: "D".into() }, call("c1", "weather", "{}")],
        ),
        message(Role::User, [result("c1", "Sunny.")]),
    ]);
    request.tools = vec![tool("weather")];
    request.reasoning = Reasoning { effort: Some(Effort::High), budget_tokens: None };
    let encoded = encode(&request, CLASSIC);
    assert_eq!(losses(&encoded, Weight::Hint), ["messages[].reasoning_content", "reasoning_effort"]);
    let body = body(&encoded);
    assert_eq!(body["messages"][1]["content"].as_array().unwrap().len(), 1);
    assert_eq!(body["thinking"], json!({"type": "disabled"}));
}

/// J1, regression case 38: the schema is native where the line has it, else a tool is forced, and
/// real tools stay tools.
#[test]
fn json_schema_is_native_or_a_tool() {
    let schema =
        r#"{ "type":"object","properties":{"n":{"type":"integer"}},"required":["n"],"additionalProperties":false }"#;
    let output = Output::JsonSchema { name: "x".into(), description: None, schema: raw(schema), strict: Some(true) };
    let mut request = Request { output, tools: vec![tool("get_weather")], ..asking([user("Hi")]) };
    let native = encode(&request, CLASSIC);
    assert!(
        text(&native).contains(&format!(r#""output_config":{{"format":{{"type":"json_schema","schema":{schema}}}}}"#))
    );
    assert_eq!((native.memo.output_tool.as_deref(), body(&native)["tool_choice"].is_null()), (None, true));

    let emulated = encode(&request, "claude-sonnet-4-20250514");
    assert_eq!(emulated.memo.output_tool.as_deref(), Some("json_response"));
    assert_eq!(body(&emulated)["tool_choice"], json!({"type": "any"}));
    assert_eq!(body(&emulated)["tools"][1]["name"], "json_response");
    assert!(body(&emulated)["output_config"].is_null());
    request.tool_choice = Some(ToolChoice::None);
    let forced = encode(&request, "claude-sonnet-4-20250514");
    assert_eq!(body(&forced)["tool_choice"], json!({"type": "tool", "name": "json_response"}));
}

/// J2: what cannot be enforced is said, and reported; what cannot even be said is refused.
#[test]
fn response_format_is_never_ignored() {
    let request = Request { output: Output::JsonObject, ..asking([user("Hi")]) };
    let encoded = encode(&request, NEWEST);
    assert_eq!(losses(&encoded, Weight::Hint), ["response_format"]);
    assert!(body(&encoded)["system"][0]["text"].as_str().unwrap().contains("JSON object"));
    let open = raw(r#"{"type":"object","additionalProperties":{"type":"string"}}"#);
    let output = Output::JsonSchema { name: "x".into(), description: None, schema: open, strict: None };
    let request = Request { output, ..asking([user("Hi")]) };
    assert_eq!(losses(&encode(&request, NEWEST), Weight::Meaning), ["response_format.json_schema.schema"]);
    assert!(encode(&request, CLASSIC).memo.output_tool.is_some());
}

/// A6, regression case 74: the catalogue's maximum, unless the client asked.
#[test]
fn max_tokens_is_the_models_maximum() {
    let request = asking([user("Hi")]);
    let max =
        |facts: Facts<'_>, request: &Request| body(&Anthropic.encode(request, &facts).unwrap())["max_tokens"].clone();
    let facts = Facts { model: CLASSIC, max_output_tokens: Some(12_345), ..Facts::default() };
    assert_eq!(max(facts, &request), 12_345);
    assert_eq!(max(Facts { max_output_tokens: None, ..facts }, &request), 64_000);
    assert_eq!(max(facts, &Request { max_tokens: Some(50), ..request }), 50);
}

/// Design section 6.2: every field that has no place is named as the client spelled it.
#[test]
fn losses_are_named() {
    let mut request = asking([user("Hi")]);
    request.sampling.temperature = Some(1.7);
    request.sampling.top_p = Some(0.9);
    request.sampling.seed = Some(1);
    request.sampling.presence_penalty = Some(0.0);
    request.sampling.frequency_penalty = Some(0.5);
    request.sampling.n = Some(2);
    request.sampling.logprobs = true;
    request.stop = vec!["\n".into(), "END".into()];
    request.verbosity = Some("low".into());
    request.service_tier = Some("flex".into());
    for (field, value) in [
        ("logit_bias", "{\"5\":1}"),
        ("store", "false"),
        ("prediction", "{}"),
        ("audio", "{}"),
        ("made_up", "1"),
        ("inference_geo", "\"eu\""),
        ("betas", "[\"compact-2026-01-12\",\"x\"]"),
        ("modalities", "[\"text\"]"),
    ] {
        request.extra.insert(field.into(), raw(value));
    }
    let encoded = encode(&request, CLASSIC);
    assert_eq!(losses(&encoded, Weight::Meaning), ["n", "logprobs", "audio"]);
    let hints = ["stop", "service_tier", "temperature", "top_p", "seed", "frequency_penalty", "verbosity"];
    let extras = ["logit_bias", "made_up", "prediction"];
    assert_eq!(losses(&encoded, Weight::Hint), [&hints[..], &extras[..]].concat());
    let body = body(&encoded);
    assert_eq!(
        (&body["temperature"], &body["top_p"], &body["inference_geo"]),
        (&json!(1.0), &Value::Null, &json!("eu"))
    );
    assert_eq!(body["stop_sequences"], json!(["END"]));
    assert_eq!(encoded.headers.get("anthropic-beta").unwrap(), "compact-2026-01-12,x");
}

/// Sampling parameters decide the version; lines that refuse them get neither.
#[test]
fn the_version_follows_the_sampling_parameters() {
    let mut request = asking([user("Hi")]);
    request.sampling.temperature = Some(0.2);
    for (model, version, losses) in
        [(CLASSIC, "2023-06-01", 0), ("claude-opus-4-7", "2026-10-21", 1), ("MiniMax-M3", "2023-06-01", 0)]
    {
        let encoded = encode(&request, model);
        assert_eq!(encoded.headers.get("anthropic-version").unwrap(), version);
        assert_eq!((encoded.losses.len(), body(&encoded)["temperature"].is_null()), (losses, losses == 1), "{model}");
    }
    request.sampling.temperature = None;
    assert_eq!(encode(&request, CLASSIC).headers.get("anthropic-version").unwrap(), "2026-10-21");
}

/// Later instructions keep their place where the vendor takes them there, and their words anywhere.
#[test]
fn later_system_messages_keep_their_place_or_their_words() {
    let messages = |last: Message| {
        asking([
            user("A"),
            message(Role::Assistant, [Block::text("B")]),
            user("C"),
            message(Role::System, [Block::text("S")]),
            last,
        ])
    };
    let reply = message(Role::Assistant, [Block::text("D")]);
    let kept = encode(&messages(reply.clone()), "claude-opus-4-8");
    assert_eq!((body(&kept)["messages"][3]["role"].clone(), kept.losses.len()), (json!("system"), 0));
    for (request, model) in [(messages(reply), CLASSIC), (messages(user("D")), "claude-opus-4-8")] {
        let moved = encode(&request, model);
        assert_eq!(body(&moved)["system"][0]["text"], "S");
        assert_eq!(losses(&moved, Weight::Hint), ["messages[].role"]);
    }
    let only = encode(&asking([message(Role::System, [Block::text("S")])]), CLASSIC);
    assert_eq!(body(&only)["messages"][0]["role"], "user");
    assert!(body(&only)["system"].is_null());
}

/// A5: nothing but white space is nothing; a conversation of nothing is refused here.
#[test]
fn empty_turns_are_left_out() {
    let encoded = encode(
        &asking([user("A"), message(Role::Assistant, [Block::text(""), Block::text(" \n")]), user("B")]),
        CLASSIC,
    );
    assert_eq!(body(&encoded)["messages"].as_array().unwrap().len(), 1);
    let nothing = asking([user(" ")]);
    let error = Anthropic.encode(&nothing, &Facts { model: CLASSIC, ..Facts::default() }).unwrap_err();
    assert_eq!(error.kind().param.as_deref(), Some("messages"));
}

#[test]
fn audio_is_refused_and_custom_tools_become_functions() {
    let audio = Block::Audio { data: "AA==".into(), format: "wav".into() };
    let mut request = asking([message(Role::User, [audio, Block::text("Hi")])]);
    let format = raw(r#"{"type":"grammar","grammar":{"syntax":"lark","definition":"start: \"a\""}}"#);
    request.tools = vec![Tool { kind: ToolKind::Custom, schema: Some(format), ..tool("patch") }];
    let encoded = encode(&request, CLASSIC);
    assert_eq!(losses(&encoded, Weight::Meaning), ["messages[].content[].input_audio"]);
    assert_eq!(losses(&encoded, Weight::Hint), ["tools[].custom.format"]);
    assert_eq!(encoded.memo.custom_tools, ["patch"]);
    let tool = &body(&encoded)["tools"][0];
    assert_eq!(
        tool["input_schema"],
        json!({"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]})
    );
    assert!(tool["description"].as_str().unwrap().contains("start:"));
}

proptest! {
    /// R1: thinking blocks of any text and signature stand in the request byte for byte, in order.
    /// A signature with a colon is another vendor's.
    #[test]
    fn signed_thinking_is_replayed(blocks in proptest::collection::vec((".{0,20}", "[^:]{1,20}", any::<bool>()), 1..6)) {
        let mut turn: Vec<Block> = blocks
            .iter()
            .map(|(text, signature, redacted)| {
                if *redacted { Block::RedactedReasoning { data: signature.clone() } } else { thought(text, Some(signature)) }
            })
            .collect();
        turn.push(call("c1", "weather", "{}"));
        let mut request = asking([user("Hi"), message(Role::Assistant, turn), message(Role::User, [result("c1", "x")])]);
        request.tools = vec![tool("weather")];
        let encoded = encode(&request, NEWEST);
        let expected: Vec<Value> = blocks
            .iter()
            .map(|(text, signature, redacted)| {
                if *redacted {
                    json!({"type": "redacted_thinking", "data": signature})
                } else {
                    json!({"type": "thinking", "thinking": text, "signature": signature})
                }
            })
            .collect();
        let body = body(&encoded);
        prop_assert_eq!(&body["messages"][1]["content"].as_array().unwrap()[..blocks.len()], &expected[..]);
        prop_assert!(encoded.losses.is_empty());
    }

    /// Any arguments become an object, and those that are one keep their bytes.
    #[test]
    fn any_arguments_become_an_object(arguments in "\\PC{0,30}|\\{\"a\": ?[0-9.e]{1,4}\\}") {
        let mut request = asking([user("Hi"), message(Role::Assistant, [call("c1", "weather", &arguments)])]);
        request.tools = vec![tool("weather")];
        let encoded = encode(&request, NEWEST);
        prop_assert!(body(&encoded)["messages"][1]["content"][0]["input"].is_object());
        if serde_json::from_str::<serde_json::Map<String, Value>>(&arguments).is_ok() {
            prop_assert!(text(&encoded).contains(arguments.trim()));
        }
    }
}
