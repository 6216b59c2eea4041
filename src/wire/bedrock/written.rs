//! Canonical requests, written: what the service gets, and what is reported lost.

use proptest::prelude::*;
use serde_json::{Value, json, value::RawValue};

use super::Converse;
use crate::{
    ir::{
        Block, CacheHint, CacheTtl, Effort, Message, Output, Reasoning, Request, Role, Source, Tool, ToolChoice,
        ToolKind,
    },
    wire::{Encoded, Facts, UpstreamDialect, Weight},
};

const CLAUDE: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";
const NEWEST: &str = "global.anthropic.claude-opus-5-5";
const NOVA: &str = "amazon.nova-pro-v1:0";
const NOVA_2: &str = "us.amazon.nova-2-lite-v1:0";
const LLAMA: &str = "us.meta.llama4-scout-17b-instruct-v1:0";
const MISTRAL: &str = "mistral.mistral-large-2402-v1:0";

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
    let (id, name, arguments) = (id.into(), name.into(), arguments.into());
    Block::ToolCall { id, name, arguments, kind: ToolKind::Function, cache: None }
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
    Converse.encode(request, &Facts { model, stream: request.stream, ..Facts::default() }).unwrap()
}

fn text(encoded: &Encoded) -> &str {
    std::str::from_utf8(&encoded.body).unwrap()
}

fn body(encoded: &Encoded) -> Value {
    serde_json::from_slice(&encoded.body).unwrap()
}

fn losses(encoded: &Encoded, weight: Weight) -> Vec<&str> {
    encoded.losses.iter().filter(|loss| loss.weight == weight).map(|loss| loss.field.as_str()).collect()
}

/// A conversation with everything in it, as one snapshot of bytes. T4, A5, R1, C1.
#[test]
fn a_rich_conversation() {
    let image = Source::Base64 { media_type: "image/png".into(), data: "iVBORw0=".into() };
    let pdf = Source::Base64 { media_type: "application/pdf".into(), data: "JVBE".into() };
    let shown = Source::Url("s3://bucket/cat.jpeg".into());
    let cache = |ttl| Some(CacheHint { ttl });
    let mut request = asking([
        message(Role::System, [Block::Text { text: "Be brief.".into(), cache: cache(None) }]),
        message(Role::Developer, [Block::text("Speak Dutch.")]),
        message(
            Role::User,
            [
                Block::text("Look."),
                Block::Image { source: image, detail: Some("auto".into()), cache: None },
                Block::Document { source: pdf, name: Some("Q3 report.pdf".into()), cache: cache(None) },
            ],
        ),
        message(Role::User, [Block::text("And?")]),
        message(
            Role::Assistant,
            [
                thought("Hm.", Some("EqQB+/=")),
                Block::RedactedReasoning { data: "Emw=".into() },
                Block::text(""),
                call("tooluse_1", "weather", "{\"city\": \"Rome\",  \"n\":1.0}"),
                call("call 2", "weather", ""),
                call("call_3", "weather", "{broken"),
            ],
        ),
        message(
            Role::User,
            [
                Block::ToolResult {
                    id: "call_3".into(),
                    content: vec![
                        Block::Text { text: "C".into(), cache: cache(None) },
                        Block::Image { source: shown, detail: None, cache: None },
                    ],
                    is_error: true,
                    cache: None,
                },
                Block::text("Well?"),
                result("tooluse_1", "A"),
                result("call 2", " "),
            ],
        ),
    ]);
    request.tools = vec![
        tool("weather"),
        Tool { schema: None, description: Some(String::new()), cache: cache(Some(CacheTtl::OneHour)), ..tool("now") },
    ];
    request.tool_choice = Some(ToolChoice::Auto);
    request.parallel_tool_calls = Some(false);
    request.sampling.temperature = Some(0.5);
    request.sampling.top_k = Some(40);
    request.stop = vec!["END".into()];
    request.max_tokens = Some(512);
    request.metadata = [("team".to_owned(), "a".to_owned())].into();
    request.service_tier = Some("flex".into());
    request.stream = true;
    let encoded = encode(&request, CLAUDE);
    assert_eq!(encoded.losses, []);
    assert!(encoded.headers.is_empty());
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

/// T6: every choice, with and without parallel calls, for models that take a forced call in one
/// form, in both and in none.
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
    for (model, effort) in
        [(CLAUDE, None), (CLAUDE, Some(Effort::High)), (NEWEST, None), (NOVA, None), (MISTRAL, None), (LLAMA, None)]
    {
        for choice in &choices {
            for parallel in [None, Some(false)] {
                let mut request = asking([user("Hi")]);
                request.tools = vec![tool("a"), tool("b")];
                request.tool_choice = choice.clone();
                request.parallel_tool_calls = parallel;
                request.reasoning.effort = effort;
                let encoded = encode(&request, model);
                let body = body(&encoded);
                let tools = body["toolConfig"]["tools"].as_array().into_iter().flatten();
                let names: Vec<_> = tools.map(|tool| tool["toolSpec"]["name"].clone()).collect();
                table.push_str(&format!(
                    "{model} effort {effort:?} parallel {parallel:?} {choice:?}\n    -> {} tools {} fields {} lost {:?} refused {:?}\n",
                    body["toolConfig"]["toolChoice"],
                    Value::Array(names),
                    body["additionalModelRequestFields"],
                    losses(&encoded, Weight::Hint),
                    losses(&encoded, Weight::Meaning),
                ));
            }
        }
    }
    insta::assert_snapshot!(table);
}

/// T5, regression case 30: a history of tools without tools, or with none allowed, is told.
#[test]
fn tool_history_without_tools_is_told() {
    let mut request = asking([
        user("Weather?"),
        message(Role::Assistant, [thought("Hm", Some("S")), call("c1", "weather", r#"{"city":"Rome"}"#)]),
        message(Role::User, [result("c1", "Sunny.")]),
    ]);
    let told = json!([
        {"role": "user", "content": [{"text": "Weather?"}]},
        {"role": "assistant", "content": [{"text": "[Called the tool weather with {\"city\":\"Rome\"}]"}]},
        {"role": "user", "content": [{"text": "[The tool returned]"}, {"text": "Sunny."}]},
    ]);
    for choice in [None, Some(ToolChoice::None)] {
        request.tools = choice.iter().map(|_| tool("weather")).collect();
        request.tool_choice = choice;
        let encoded = encode(&request, CLAUDE);
        assert_eq!(losses(&encoded, Weight::Hint), ["messages[].tool_calls"]);
        assert_eq!((&body(&encoded)["messages"], &body(&encoded)["toolConfig"]), (&told, &Value::Null));
    }
}

/// T7: names and ids that do not fit are mapped apart; those of Mistral's models have nine places.
#[test]
fn names_and_ids_fit() {
    let turn = |id: &str| {
        let mut request = asking([
            user("Hi"),
            message(Role::Assistant, [call(id, "a.b/get", "{}")]),
            message(Role::User, [result(id, "x")]),
        ]);
        request.tools = vec![tool("a.b/get"), tool("a_b_get")];
        request
    };
    let encoded = encode(&turn("tooluse_x.y:z"), CLAUDE);
    let wire = body(&encoded)["toolConfig"]["tools"][0]["toolSpec"]["name"].as_str().unwrap().to_owned();
    assert_eq!(encoded.memo.tool_names, [(wire.clone(), "a.b/get".into())].into());
    assert_eq!(body(&encoded)["messages"][1]["content"][0]["toolUse"]["name"], wire);
    assert_eq!(body(&encoded)["messages"][1]["content"][0]["toolUse"]["toolUseId"], "tooluse_x.y:z");
    let body = body(&encode(&turn("tooluse_x.y:z"), MISTRAL));
    let id = body["messages"][1]["content"][0]["toolUse"]["toolUseId"].as_str().unwrap();
    assert!(id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
    assert_eq!(body["messages"][2]["content"][0]["toolResult"]["toolUseId"], id);
}

/// R1: reasoning of a turn goes back whole or not at all, and a budget then rests.
#[test]
fn unsigned_reasoning_is_left_out_of_its_turn() {
    let mut request = asking([
        user("Weather?"),
        message(Role::Assistant, [thought("Hm", None), call("c1", "weather", "{}")]),
        message(Role::User, [result("c1", "Sunny.")]),
    ]);
    request.tools = vec![tool("weather")];
    request.reasoning = Reasoning { effort: Some(Effort::High), budget_tokens: None };
    let encoded = encode(&request, CLAUDE);
    assert_eq!(losses(&encoded, Weight::Hint), ["messages[].reasoning_content", "reasoning_effort"]);
    assert_eq!(body(&encoded)["messages"][1]["content"].as_array().unwrap().len(), 1);
    assert_eq!(body(&encoded)["additionalModelRequestFields"]["thinking"], json!({"type": "disabled"}));
}

/// R5, A6: effort as each family takes it, or its loss; a budget has room beside the answer.
#[test]
fn effort_reaches_every_family() {
    let mut table = String::new();
    for model in [
        CLAUDE,
        "anthropic.claude-opus-4-6-v1",
        NEWEST,
        NOVA_2,
        "openai.gpt-oss-120b-1:0",
        "zai.glm-5",
        "us.deepseek.r1-v1:0",
        LLAMA,
    ] {
        for effort in [Effort::None, Effort::Low, Effort::Medium, Effort::Max] {
            let mut request = asking([user("Hi")]);
            request.reasoning.effort = Some(effort);
            request.max_tokens = Some(1000);
            request.sampling.temperature = Some(0.5);
            let encoded = encode(&request, model);
            let body = body(&encoded);
            table.push_str(&format!(
                "{model} {}\n    -> {} {} lost {:?}\n",
                effort.as_str(),
                body["inferenceConfig"],
                body["additionalModelRequestFields"],
                losses(&encoded, Weight::Hint),
            ));
        }
    }
    insta::assert_snapshot!(table);
    let request = asking([user("Hi")]);
    assert!(body(&encode(&request, CLAUDE))["inferenceConfig"].is_null(), "the service's own maximum");
}

/// J1, J2: the schema is native where the model has it, else a tool is forced, else refused.
#[test]
fn json_schema_is_native_or_a_tool() {
    let schema = r#"{ "type":"object","properties":{"n":{"type":"integer"}},"additionalProperties":false }"#;
    let output = Output::JsonSchema { name: "x".into(), description: None, schema: raw(schema), strict: Some(true) };
    let mut request = Request { output, tools: vec![tool("get_weather")], ..asking([user("Hi")]) };
    for model in [CLAUDE, NEWEST, "openai.gpt-oss-120b-1:0"] {
        let native = body(&encode(&request, model));
        let format = &native["outputConfig"]["textFormat"];
        assert_eq!(
            *format,
            json!({"type": "json_schema", "structure": {"jsonSchema": {"name": "x", "schema": schema}}})
        );
        assert!(native["toolConfig"]["toolChoice"].is_null());
    }
    for model in [NOVA, "anthropic.claude-3-haiku-20240307-v1:0"] {
        let emulated = encode(&request, model);
        assert_eq!(emulated.memo.output_tool.as_deref(), Some("json_response"));
        let config = body(&emulated)["toolConfig"].clone();
        assert_eq!(
            (&config["toolChoice"], &config["tools"][1]["toolSpec"]["name"]),
            (&json!({"any": {}}), &json!("json_response"))
        );
    }
    assert_eq!(losses(&encode(&request, LLAMA), Weight::Meaning), ["response_format.json_schema.schema"]);
    request.tools.clear();
    let alone = encode(&request, NOVA);
    assert_eq!(body(&alone)["toolConfig"]["toolChoice"], json!({"tool": {"name": "json_response"}}));
    request.output = Output::JsonObject;
    let loose = encode(&request, LLAMA);
    assert_eq!(losses(&loose, Weight::Hint), ["response_format"]);
    assert!(body(&loose)["system"][0]["text"].as_str().unwrap().contains("JSON object"));
}

/// C1: cache points where the model takes them, and their loss elsewhere.
#[test]
fn cache_hints_become_points() {
    let hint = Some(CacheHint { ttl: Some(CacheTtl::OneHour) });
    let mut request = asking([
        message(Role::System, [Block::Text { text: "S".into(), cache: hint }]),
        message(Role::User, [Block::Text { text: "Hi".into(), cache: None }]),
    ]);
    request.tools = vec![Tool { cache: hint, ..tool("a") }];
    request.cache = Some(CacheHint { ttl: Some(CacheTtl::FiveMinutes) });
    let point = json!({"cachePoint": {"type": "default"}});
    let hour = json!({"cachePoint": {"type": "default", "ttl": "1h"}});
    for (model, system, tools, lost) in [
        (CLAUDE, &hour, &hour, &[][..]),
        (NOVA, &point, &Value::Null, &["cache_control", "cache_control.ttl"][..]),
        (LLAMA, &Value::Null, &Value::Null, &["cache_control"][..]),
    ] {
        let encoded = encode(&request, model);
        let body = body(&encoded);
        assert_eq!((&body["system"][1], &body["toolConfig"]["tools"][1]), (system, tools), "{model}");
        let last = if model == LLAMA { &Value::Null } else { &point };
        assert_eq!(&body["messages"][0]["content"][1], last, "{model}");
        assert_eq!(losses(&encoded, Weight::Hint), lost, "{model}");
    }
}

/// The service's own fields travel, and a client's word on the model's fields is the last.
#[test]
fn own_fields_travel() {
    let mut request = asking([user("Hi")]);
    for (field, value) in [
        ("guardrailConfig", r#"{"guardrailIdentifier":"gr-1","guardrailVersion":"1"}"#),
        ("performanceConfig", r#"{"latency":"optimized"}"#),
        ("requestMetadata", r#"{"team":"a"}"#),
        ("serviceTier", r#"{"type":"priority"}"#),
        ("betas", r#"["context-1m-2025-08-07"]"#),
        ("additionalModelRequestFields", r#"{"top_k":5,"x":{"y":1}}"#),
        ("additionalModelResponseFieldPaths", r#"["/a"]"#),
    ] {
        request.extra.insert(field.into(), raw(value));
    }
    request.sampling.top_k = Some(7);
    let encoded = encode(&request, CLAUDE);
    assert_eq!(encoded.losses, []);
    insta::assert_snapshot!(text(&encoded));
}

/// Design section 6.2: every field that has no place is named as the client spelled it.
#[test]
fn losses_are_named() {
    let mut request = asking([user("Hi")]);
    request.sampling.temperature = Some(1.7);
    request.sampling.seed = Some(1);
    request.sampling.n = Some(2);
    request.sampling.logprobs = true;
    request.sampling.top_k = Some(4);
    request.stop = vec!["\n".into(), "END".into()];
    request.verbosity = Some("low".into());
    request.service_tier = Some("scale".into());
    request.user = Some("u".into());
    request.metadata = [("k".to_owned(), "na\u{ef}ve".to_owned())].into();
    for (field, value) in [
        ("logit_bias", "{\"5\":1}"),
        ("store", "false"),
        ("made_up", "1"),
        ("web_search_options", "{}"),
        ("thinking", "{\"type\":\"enabled\",\"budget_tokens\":2000}"),
        ("betas", "[]"),
    ] {
        request.extra.insert(field.into(), raw(value));
    }
    let encoded = encode(&request, LLAMA);
    assert_eq!(losses(&encoded, Weight::Meaning), ["n", "logprobs", "web_search_options"]);
    assert_eq!(
        losses(&encoded, Weight::Hint),
        [
            "temperature",
            "stop",
            "top_k",
            "metadata",
            "service_tier",
            "user",
            "seed",
            "verbosity",
            "betas",
            "logit_bias",
            "made_up",
            "thinking"
        ]
    );
    assert_eq!(body(&encoded)["inferenceConfig"], json!({"temperature": 1.0, "stopSequences": ["END"]}));
}

/// T4, N2: images within results where the model takes them there, behind their result elsewhere.
#[test]
fn images_in_results_reach_every_model() {
    let image = Block::Image {
        source: Source::Base64 { media_type: "image/png".into(), data: "AAAA".into() },
        detail: None,
        cache: None,
    };
    let shows = Block::ToolResult { id: "call_0001".into(), content: vec![image], is_error: false, cache: None };
    let mut request = asking([
        user("Hi"),
        message(Role::Assistant, [call("call_0001", "weather", "{}"), call("call_0002", "weather", "{}")]),
        message(Role::User, [shows, result("call_0002", "B"), Block::text("So?")]),
    ]);
    request.tools = vec![tool("weather")];
    let sent = |model: &str| {
        let encoded = encode(&request, model);
        assert_eq!(encoded.losses, [], "{model}");
        body(&encoded)["messages"][2]["content"].clone()
    };
    let image = json!({"image": {"format": "png", "source": {"bytes": "AAAA"}}});
    let result = |id: &str, content: Value| json!({"toolResult": {"toolUseId": id, "content": [content]}});
    let (second, words) = (result("call_0002", json!({"text": "B"})), json!({"text": "So?"}));
    for model in [CLAUDE, NOVA, "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc"] {
        assert_eq!(sent(model), json!([result("call_0001", image.clone()), second, words]), "{model}");
    }
    for model in [LLAMA, "openai.gpt-5.5", "qwen.qwen3-vl-235b-a22b"] {
        let first = result("call_0001", json!({"text": "[shown below]"}));
        assert_eq!(sent(model), json!([first, second, image, words]), "{model}");
    }
}

/// A5, and alternation: nothing but white space is nothing; a conversation of nothing is refused.
#[test]
fn turns_alternate_and_hold_something() {
    let encoded = encode(
        &asking([
            user("A"),
            message(Role::Assistant, [Block::text(""), Block::text(" \n")]),
            message(Role::System, [Block::text("S")]),
            user("B"),
        ]),
        CLAUDE,
    );
    assert_eq!(body(&encoded)["messages"].as_array().unwrap().len(), 1);
    assert_eq!(body(&encoded)["system"], json!([{"text": "S"}]));
    assert_eq!(losses(&encoded, Weight::Hint), ["messages[].role"]);
    let only = body(&encode(&asking([message(Role::System, [Block::text("S")])]), CLAUDE));
    assert_eq!((&only["messages"][0]["role"], &only["system"]), (&json!("user"), &Value::Null));
    let error = Converse.encode(&asking([user(" ")]), &Facts { model: CLAUDE, ..Facts::default() }).unwrap_err();
    assert_eq!(error.kind().param.as_deref(), Some("messages"));
}

proptest! {
    /// R1: reasoning of any text and signature of a model (none has a colon) stands in the request byte for byte, in order.
    #[test]
    fn signed_reasoning_is_replayed(blocks in proptest::collection::vec((".{0,20}", "[^:]{1,20}", any::<bool>()), 1..6)) {
        let block = |(text, proof, redacted): &(String, String, bool)| {
            if *redacted { Block::RedactedReasoning { data: proof.clone() } } else { thought(text, Some(proof)) }
        };
        let mut turn: Vec<Block> = blocks.iter().map(block).collect();
        turn.push(call("c1", "weather", "{}"));
        let mut request = asking([user("Hi"), message(Role::Assistant, turn), message(Role::User, [result("c1", "x")])]);
        request.tools = vec![tool("weather")];
        let encoded = encode(&request, NEWEST);
        let wire = |(text, proof, redacted): &(String, String, bool)| {
            let content = if *redacted {
                json!({"redactedContent": proof})
            } else {
                json!({"reasoningText": {"text": text, "signature": proof}})
            };
            json!({"reasoningContent": content})
        };
        let expected: Vec<Value> = blocks.iter().map(wire).collect();
        let body = body(&encoded);
        prop_assert_eq!(&body["messages"][1]["content"].as_array().unwrap()[..blocks.len()], &expected[..]);
        prop_assert!(encoded.losses.is_empty());
    }

    /// T3: any arguments become an object.
    #[test]
    fn any_arguments_become_an_object(arguments in "\\PC{0,30}|\\{\"a\": ?[0-9.e]{1,4}\\}") {
        let mut request = asking([user("Hi"), message(Role::Assistant, [call("c1", "weather", &arguments)])]);
        request.tools = vec![tool("weather")];
        let encoded = encode(&request, NOVA);
        prop_assert!(body(&encoded)["messages"][1]["content"][0]["toolUse"]["input"].is_object());
    }
}
