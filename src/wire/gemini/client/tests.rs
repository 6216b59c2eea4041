//! What a client of this dialect asks, and what it gets.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{super::Gemini, Listed, counted};
use crate::{
    call::Dialect,
    error::{Error, Result, UpstreamError},
    framing::Frame,
    ir::{
        Annotation, Block, Delta, Effort, Event, Finish, Logprob, Opening, Output, Request, Response, Role, Source,
        ToolChoice, ToolKind, Usage,
    },
    wire::{self, Asked, ClientDialect, Facts, UpstreamDialect, json::Object, sealed::unseal, translate},
};

const CLIENT: &dyn ClientDialect = &Gemini;
const TARGET: &str = "ant/claude-haiku-4-5";

fn decode(body: &Value) -> Result<Request> {
    CLIENT.decode(body.to_string().as_bytes())
}

fn of(body: &Value) -> Request {
    decode(body).unwrap()
}

fn hi(extra: &Value) -> Value {
    let mut body = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

fn asked(shows: bool) -> Asked {
    let request = hi(&json!({"generationConfig": {"thinkingConfig": {"includeThoughts": shows}}})).to_string();
    Asked {
        model: "public".into(),
        id: "ours".into(),
        request: request.into(),
        target: TARGET.into(),
        ..Asked::default()
    }
}

fn answer(blocks: Vec<Block>) -> Response {
    Response {
        id: String::new(),
        model: "m".into(),
        created: 0,
        blocks,
        annotations: Vec::new(),
        logprobs: Vec::new(),
        finish: Finish::Stop,
        stop_sequence: None,
        usage: None,
        lost: Vec::new(),
        service_tier: None,
    }
}

fn encode(response: &Response, asked: &Asked) -> Value {
    serde_json::from_slice(&CLIENT.encode(response, asked)).unwrap()
}

/// The chunks of the answer as a stream.
fn chunks(response: &Response, asked: Asked) -> Vec<Value> {
    let mut encoder = CLIENT.encoder(asked);
    let mut out = BytesMut::new();
    for event in translate::unfold(response) {
        encoder.event(&event, &mut out);
    }
    encoder.finish(&mut out);
    let text = String::from_utf8(out.to_vec()).unwrap();
    text.split_terminator("\r\n\r\n")
        .map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap())
        .collect()
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

fn reasoning(text: &str, signature: Option<&str>) -> Block {
    Block::Reasoning { text: text.into(), signature: signature.map(Into::into) }
}

// === requests ===

/// Every field of `generationConfig` that has a place is put there, under either spelling.
#[test]
fn a_configuration_is_read_in_both_spellings() {
    let camel = json!({"generationConfig": {
        "temperature": 0.5, "topP": 0.9, "topK": 40.0, "maxOutputTokens": 100, "stopSequences": ["END"],
        "candidateCount": 2, "seed": 7, "presencePenalty": 0.1, "frequencyPenalty": 0.2, "responseLogprobs": true,
        "logprobs": 3, "responseMimeType": "application/json", "responseModalities": ["TEXT"],
        "thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": true},
    }, "serviceTier": "standard", "labels": {"team": "a"}});
    let snake = json!({"generation_config": {
        "temperature": 0.5, "top_p": 0.9, "top_k": 40, "max_output_tokens": "100", "stop_sequences": ["END"],
        "candidate_count": 2, "seed": 7, "presence_penalty": 0.1, "frequency_penalty": 0.2, "response_logprobs": true,
        "logprobs": 3, "response_mime_type": "application/json", "response_modalities": ["TEXT"],
        "thinking_config": {"thinking_level": "low", "include_thoughts": true},
    }, "service_tier": "SERVICE_TIER_STANDARD", "labels": {"team": "a"}});
    for body in [camel, snake] {
        let request = of(&hi(&body));
        let sampling = &request.sampling;
        assert_eq!((sampling.temperature, sampling.top_p, sampling.top_k), (Some(0.5), Some(0.9), Some(40)));
        assert_eq!((sampling.n, sampling.seed, sampling.presence_penalty), (Some(2), Some(7), Some(0.1)));
        assert_eq!((sampling.logprobs, sampling.top_logprobs, sampling.frequency_penalty), (true, Some(3), Some(0.2)));
        assert_eq!((request.max_tokens, request.stop.as_slice()), (Some(100), &["END".to_owned()][..]));
        assert_eq!(request.reasoning.effort, Some(Effort::Low));
        assert!(matches!(request.output, Output::JsonObject));
        assert_eq!((request.service_tier.as_deref(), request.metadata["team"].as_str()), (Some("default"), "a"));
        assert!(request.extra.is_empty(), "{:?}", request.extra);
    }
}

/// R5: every way to ask for thought arrives.
#[test]
fn thinking_is_asked_for_in_many_ways() {
    for (config, effort, budget, welcome) in [
        (json!({"thinkingBudget": 0}), Some(Effort::None), None, false),
        (json!({"thinkingBudget": 2048}), None, Some(2048), false),
        (json!({"thinkingBudget": -1}), None, None, true),
        (json!({"thinkingLevel": "HIGH"}), Some(Effort::High), None, false),
        (json!({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}), None, None, false),
        (json!({"includeThoughts": true}), None, None, true),
        (json!({"includeThoughts": false}), None, None, false),
    ] {
        let request = of(&hi(&json!({"generationConfig": {"thinkingConfig": config}})));
        assert_eq!((request.reasoning.effort, request.reasoning.budget_tokens), (effort, budget), "{config}");
        assert_eq!(request.thoughts_welcome, welcome, "{config}");
        // Claude thinks only when it is asked to.
        assert_eq!(request.reasoning_on_demand().effort == Some(Effort::Medium), welcome, "{config}");
    }
    let both = json!({"thinkingBudget": 1, "thinkingLevel": "LOW"});
    assert!(decode(&hi(&json!({"generationConfig": {"thinkingConfig": both}}))).is_err());
}

/// J1: schemas of both kinds; what Google closes without saying so is closed.
#[test]
fn answers_may_be_given_a_shape() {
    let shape = |config: Value| of(&hi(&json!({"generationConfig": config}))).output;
    let schema = json!({"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "required": ["a"]});
    let Output::JsonSchema { schema, strict, .. } =
        shape(json!({"responseMimeType": "application/json", "responseSchema": schema}))
    else {
        panic!("no schema")
    };
    assert_eq!(strict, Some(true));
    assert_eq!(
        schema.get(),
        r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#
    );
    let plain = json!({"type": "object", "x": 1});
    let Output::JsonSchema { schema, strict, .. } = shape(json!({"response_json_schema": plain})) else {
        panic!("no schema")
    };
    assert_eq!((schema.get().to_owned(), strict), (plain.to_string(), None));
}

/// J2: who asks for JSON without a schema gets it from those too who want to be told so in words.
#[test]
fn json_is_asked_for_in_words_too() {
    let told = |body: Value| {
        let request = of(&body);
        let system = request.messages.first().filter(|message| message.role == Role::System);
        system.map(|message| message.blocks.len())
    };
    let config = || json!({"responseMimeType": "application/json"});
    assert_eq!(told(hi(&json!({"generationConfig": config()}))), Some(1));
    let instruction = json!({"parts": [{"text": "Be brief."}]});
    assert_eq!(told(hi(&json!({"generationConfig": config(), "systemInstruction": instruction}))), Some(2));
    let asked = json!({"parts": [{"text": "Answer in JSON."}]});
    assert_eq!(told(hi(&json!({"generationConfig": config(), "systemInstruction": asked}))), Some(1));
    assert_eq!(told(hi(&json!({}))), None);
}

/// J1: what is no object comes within one from other vendors, and without it to the client.
#[test]
fn lists_and_words_come_out_of_their_object() {
    let list = json!({"responseMimeType": "application/json", "responseSchema": {"type": "ARRAY", "items": {"type": "STRING"}}});
    let word = json!({"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING", "enum": ["up", "down"]}});
    for (config, said, heard) in [
        (&list, r#"{"value":["a","b"]}"#, r#"["a","b"]"#),
        (&word, r#"{"value": "up"}"#, "up"),
        (&word, "I will not.", "I will not."),
    ] {
        let body = hi(&json!({"generationConfig": config}));
        let Output::JsonSchema { schema, strict, .. } = of(&body).output else { panic!("no schema") };
        assert!(schema.get().starts_with(r#"{"type":"object","properties":{"value":"#) && strict == Some(true));
        let asked = || Asked { request: body.to_string().into(), ..asked(false) };
        let answer = answer(vec![Block::text(said), Block::Refusal { text: " No.".into() }]);
        let text = |answer: &Value| {
            let parts = answer["candidates"][0]["content"]["parts"].as_array().unwrap().clone();
            parts.iter().map(|part| part["text"].as_str().unwrap().to_owned()).collect::<String>()
        };
        assert_eq!(text(&encode(&answer, &asked())), format!("{heard} No."));
        assert_eq!(chunks(&answer, asked()).iter().map(text).collect::<String>(), format!("{heard} No."));
    }
}

/// T4, T6: functions in either form, their calls by id or by name, results in order.
#[test]
fn tools_go_round() {
    let body = json!({
        "systemInstruction": {"parts": {"text": "Be brief."}},
        "contents": [
            {"parts": {"text": "Weather?"}},
            {"role": "model", "parts": [
                {"functionCall": {"name": "f", "args": {"city": "Oslo"}}, "thoughtSignature": "Eq4B"},
                {"functionCall": {"name": "f", "args": {"city": "Rome"}}},
                {"functionCall": {"id": "id1", "name": "g"}},
            ]},
            {"role": "user", "parts": [
                {"functionResponse": {"id": "id1", "name": "g", "response": {"error": "no"}}},
                {"functionResponse": {"name": "f", "response": {"output": "-3"}}},
            ]},
            {"role": "function", "parts": [{"functionResponse": {"name": "f", "response": {"temp": 21.50}}}]},
        ],
        "tools": [
            {"functionDeclarations": [
                {"name": "f", "description": "d", "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}}},
                {"name": "g", "parametersJsonSchema": {"type": "object", "x": 1}},
            ]},
            {"googleSearch": {}, "code_execution": {}},
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
    });
    let request = of(&body);
    let roles: Vec<Role> = request.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::User], "results are one turn");
    assert_eq!(
        request.messages[2].blocks,
        [
            crate::wire::signature::Signed::Call.block("Eq4B"),
            call("call_gemini_0", "f", r#"{"city":"Oslo"}"#),
            call("call_gemini_1", "f", r#"{"city":"Rome"}"#),
            call("id1", "g", "{}"),
        ]
    );
    let results: Vec<(String, String, bool)> = request.messages[3]
        .blocks
        .iter()
        .map(|block| {
            let Block::ToolResult { id, content, is_error, .. } = block else { panic!("{block:?}") };
            let Some(Block::Text { text, .. }) = content.first() else { panic!("{content:?}") };
            (id.clone(), text.clone(), *is_error)
        })
        .collect();
    let expected = [("call_gemini_0", "-3", false), ("call_gemini_1", r#"{"temp":21.5}"#, false), ("id1", "no", true)];
    assert_eq!(results, expected.map(|(id, text, is_error)| (id.to_owned(), text.to_owned(), is_error)));
    assert_eq!(request.tool_choice, Some(ToolChoice::Named("f".into())));
    let schemas: Vec<&str> = request.tools.iter().map(|tool| tool.schema.as_ref().unwrap().get()).collect();
    assert_eq!(schemas, [r#"{"type":"object","properties":{"city":{"type":"string"}}}"#, r#"{"type":"object","x":1}"#]);
    let extra: Vec<String> = request.extra.iter().map(|(field, value)| format!("{field}={value}")).collect();
    assert_eq!(extra, [r#"tools[0]={"type":"code_execution"}"#, "web_search_options={}"]);
}

#[test]
fn the_choice_of_tools_is_read() {
    let functions = json!([{"functionDeclarations": [{"name": "f"}, {"name": "g"}]}]);
    let choice = |calling: Value| {
        of(&hi(&json!({"tools": functions, "toolConfig": {"functionCallingConfig": calling}}))).tool_choice
    };
    let names = || vec!["f".to_owned(), "g".to_owned()];
    assert_eq!(choice(json!({"mode": "AUTO"})), Some(ToolChoice::Auto));
    assert_eq!(choice(json!({"mode": "none"})), Some(ToolChoice::None));
    assert_eq!(choice(json!({"mode": "ANY"})), Some(ToolChoice::Required));
    assert_eq!(choice(json!({"mode": "MODE_UNSPECIFIED"})), None);
    assert_eq!(
        choice(json!({"mode": "ANY", "allowed_function_names": ["f", "g"]})),
        Some(ToolChoice::Allowed { names: names(), required: true })
    );
    assert_eq!(
        choice(json!({"mode": "VALIDATED", "allowedFunctionNames": ["f", "g"]})),
        Some(ToolChoice::Allowed { names: names(), required: false })
    );
}

/// L5, N2: data stays base64, in the alphabet that all vendors read; references stay references.
#[test]
fn media_are_moved() {
    let parts = json!([
        {"inlineData": {"mimeType": "image/png", "data": "iVBO-_8"}, "mediaResolution": {"level": "MEDIA_RESOLUTION_HIGH"}},
        {"inline_data": {"mime_type": "audio/mpeg", "data": "QUJD"}},
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBE", "displayName": "a.pdf"}},
        {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://i.test/a.jpg"}},
        {"fileData": {"mimeType": "application/pdf", "fileUri": "gs://bucket/a.pdf"}},
    ]);
    let request = of(&json!({"contents": [{"role": "user", "parts": parts}]}));
    let base64 = |media_type: &str, data: &str| Source::Base64 { media_type: media_type.into(), data: data.into() };
    let expected = vec![
        Block::Image { source: base64("image/png", "iVBO+/8="), detail: Some("high".into()), cache: None },
        Block::Audio { data: "QUJD".into(), format: "mp3".into() },
        Block::Document { source: base64("application/pdf", "JVBE"), name: Some("a.pdf".into()), cache: None },
        Block::Image { source: Source::Url("https://i.test/a.jpg".into()), detail: None, cache: None },
        Block::Document { source: Source::File("gs://bucket/a.pdf".into()), name: None, cache: None },
    ];
    assert_eq!(request.messages[0].blocks, expected);
    for part in [
        json!({"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}}),
        json!({"fileData": {"mimeType": "video/mp4", "fileUri": "https://v.test/a.mp4"}}),
        json!({"fileData": {"mimeType": "audio/wav", "fileUri": "gs://a/b"}}),
        json!({}),
    ] {
        let refused = decode(&json!({"contents": [{"parts": [{"text": "a"}, part]}]})).unwrap_err();
        assert!(refused.kind().param.unwrap().starts_with("contents[0].parts[1]"), "{refused:?}");
    }
}

/// What has no place is named by its path, and what would change the meaning is refused.
#[test]
fn losses_have_names() {
    let request = of(&hi(&json!({
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
        "generation_config": {"speech_config": {"a": 1}, "media_resolution": "MEDIA_RESOLUTION_LOW", "enableEnhancedCivicAnswers": false},
        "tool_config": {"retrieval_config": {"languageCode": "de"}},
        "tools": [{"functionDeclarations": [{"name": "f", "behavior": "BLOCKING", "response": {"type": "STRING"}}]}],
        "made_up": 1,
    })));
    let names: Vec<&str> = request.extra.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "$.madeUp",
            "generationConfig.mediaResolution",
            "generationConfig.speechConfig",
            "safetySettings",
            "toolConfig.retrievalConfig",
            "tools[].functionDeclarations[].behavior",
            "tools[].functionDeclarations[].response",
        ]
    );
    for (body, param) in [
        (json!({"cachedContent": "cachedContents/a"}), "cachedContent"),
        (json!({"generationConfig": {"responseModalities": ["AUDIO"]}}), "generationConfig.responseModalities"),
        (json!({"generationConfig": {"responseMimeType": "text/csv"}}), "generationConfig.responseMimeType"),
        (json!({"generationConfig": {"temperature": []}}), "generationConfig.temperature"),
        (json!({"toolConfig": 5}), "toolConfig"),
    ] {
        assert_eq!(decode(&hi(&body)).unwrap_err().kind().param.as_deref(), Some(param), "{body}");
    }
    let orphan = json!({"contents": [{"parts": [{"functionResponse": {"name": "f", "response": {}}}]}]});
    assert_eq!(decode(&orphan).unwrap_err().kind().param.as_deref(), Some("contents[0].parts[0]"));
}

/// A client that streamed keeps each chunk as a content: together they are one turn.
#[test]
fn chunks_that_were_kept_are_one_turn() {
    let model = |part: Value| json!({"role": "model", "parts": [part]});
    let request = of(&json!({"contents": [
        {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]},
        model(json!({"text": "H", "thought": true})), model(json!({"text": "m.", "thought": true})),
        model(json!({"text": "Hel"})), model(json!({"text": "lo"})), model(json!({"text": "", "thoughtSignature": "S"})),
        model(json!({"text": ""})),
        {"role": "user", "parts": [{"text": "c"}]},
    ]}));
    let turns: Vec<&[Block]> = request.messages.iter().map(|message| message.blocks.as_slice()).collect();
    let signed = crate::wire::signature::Signed::Part.block("S");
    assert_eq!(
        turns,
        [
            &[Block::text("a"), Block::text("b")][..],
            &[reasoning("Hm.", None), Block::text("Hello"), signed],
            &[Block::text("c")],
        ]
    );
}

#[test]
fn a_count_may_be_asked_for_in_two_forms() {
    let plain = Bytes::from_static(br#"{"contents":[1.0]}"#);
    assert_eq!(counted(&plain).unwrap(), plain);
    let wrapped = Bytes::from_static(br#"{"generateContentRequest": {"model":"models/m","contents":[1.0]}}"#);
    assert_eq!(counted(&wrapped).unwrap(), r#"{"model":"models/m","contents":[1.0]}"#);
}

// === answers ===

/// C4, S4, T1: a whole answer in Google's words and with Google's way of counting.
#[test]
fn an_answer_is_written_whole() {
    let usage = Usage { input: 5, cache_read: 3, output: 12, reasoning: 4, ..Usage::default() };
    let response = Response {
        annotations: vec![Annotation { url: "https://a.example".into(), title: Some("A".into()), start: 0, end: 1 }],
        logprobs: vec![
            Logprob { token: "H".into(), logprob: -0.5, bytes: None, top: Vec::new() },
            Logprob { token: "i".into(), logprob: -1.5, bytes: None, top: Vec::new() },
        ],
        usage: Some(usage),
        finish: Finish::ToolCalls,
        ..answer(vec![Block::text("Hi"), call("c1", "f", ""), call("c2", "g", "{\"a\": 1.0}"), call("c3", "h", "{bad")])
    };
    let written = encode(&response, &asked(false));
    let candidate = &written["candidates"][0];
    assert_eq!(
        candidate["content"],
        json!({"role": "model", "parts": [
            {"text": "Hi"},
            {"functionCall": {"id": "c1", "name": "f", "args": {}}},
            {"functionCall": {"id": "c2", "name": "g", "args": {"a": 1.0}}},
            {"functionCall": {"id": "c3", "name": "h", "args": {"_raw": "{bad"}}},
        ]})
    );
    assert_eq!((&candidate["finishReason"], &candidate["index"]), (&json!("STOP"), &json!(0)));
    assert_eq!(candidate["groundingMetadata"]["groundingChunks"][0]["web"]["uri"], "https://a.example");
    assert_eq!(candidate["avgLogprobs"], -1.0);
    assert_eq!(candidate["logprobsResult"]["chosenCandidates"][1], json!({"token": "i", "logProbability": -1.5}));
    assert_eq!(
        written["usageMetadata"],
        json!({"promptTokenCount": 8, "cachedContentTokenCount": 3, "candidatesTokenCount": 8, "thoughtsTokenCount": 4, "totalTokenCount": 20})
    );
    assert_eq!((&written["modelVersion"], &written["responseId"]), (&json!("public"), &json!("ours")));
}

/// R4: a stream says what the whole answer does, each chunk an answer of its own.
#[test]
fn a_stream_says_the_same() {
    let image = Source::Base64 { media_type: "image/png".into(), data: "iVBO".into() };
    let response = Response {
        usage: Some(Usage { input: 1, output: 2, ..Usage::default() }),
        finish: Finish::Length,
        ..answer(vec![
            reasoning("Hm.", Some("SIG+/==")),
            Block::text("Hi"),
            Block::Refusal { text: "No.".into() },
            Block::Image { source: image, detail: None, cache: None },
            call("c1", "f", "{}"),
        ])
    };
    for shows in [false, true] {
        let whole = encode(&response, &asked(shows));
        let chunks = chunks(&response, asked(shows));
        let parts = |answer: &Value| answer["candidates"][0]["content"]["parts"].as_array().unwrap().clone();
        let streamed: Vec<Value> = chunks.iter().flat_map(&parts).collect();
        assert_eq!(streamed, parts(&whole));
        assert_eq!(streamed.iter().any(|part| part["thought"] == true), shows);
        let last = chunks.last().unwrap();
        assert!(parts(last)[0]["functionCall"].is_object(), "calls come with the end");
        assert_eq!(last["candidates"][0]["finishReason"], "MAX_TOKENS");
        assert_eq!(last["usageMetadata"], whole["usageMetadata"]);
        assert!(chunks.iter().all(|chunk| chunk["responseId"] == "ours" && chunk["modelVersion"] == "public"));
        assert!(chunks[..chunks.len() - 1].iter().all(|chunk| chunk["candidates"][0]["finishReason"].is_null()));
    }
}

/// R1, regression 34: what another vendor signed comes back in order and to the letter, whether or not
/// thoughts were shown or kept, and to its maker only.
#[test]
fn foreign_reasoning_goes_round() {
    let blocks = vec![
        reasoning("First. \u{4f60}", Some("S1+/==")),
        Block::RedactedReasoning { data: "D1".into() },
        reasoning("", Some("S2")),
        call("c1", "f", "{\"a\":1}"),
        reasoning("Then.", Some("S3")),
        Block::text("Done."),
    ];
    for (shows, keeps, streams) in [(true, true, false), (true, false, false), (false, true, true), (true, true, true)]
    {
        let asked = asked(shows);
        let contents: Vec<Value> = if streams {
            chunks(&answer(blocks.clone()), asked)
                .iter()
                .map(|chunk| chunk["candidates"][0]["content"].clone())
                .collect()
        } else {
            vec![encode(&answer(blocks.clone()), &asked)["candidates"][0]["content"].clone()]
        };
        let mut contents = Value::from(contents);
        if !keeps {
            for content in contents.as_array_mut().unwrap() {
                content["parts"].as_array_mut().unwrap().retain(|part| part["thought"].is_null());
            }
        }
        let request = of(&json!({"contents": contents}));
        assert_eq!(request.messages.len(), 1);
        let own = unseal(&request, TARGET).unwrap();
        assert_eq!(own.messages[0].blocks, blocks, "shows {shows}, keeps {keeps}, streams {streams}");
        let other = unseal(&request, "other/m").unwrap();
        let expected = [
            reasoning("First. \u{4f60}", None),
            call("c1", "f", "{\"a\":1}"),
            reasoning("Then.", None),
            Block::text("Done."),
        ];
        assert_eq!(other.messages[0].blocks, expected);
    }
}

/// R2: Google's own signatures survive a translated way, each with what it is of.
#[test]
fn googles_signatures_go_round() {
    let parts = json!([
        {"text": "Hm.", "thought": true}, {"text": "a", "thoughtSignature": "S0=="},
        {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "S1"}, {"functionCall": {"name": "g", "args": {}}},
    ]);
    let body = json!({"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}]});
    let up: &dyn UpstreamDialect = &Gemini;
    let response = up.decode(body.to_string().as_bytes(), &wire::Memo::default()).unwrap();
    let told = encode(&response, &asked(true));
    let request = of(&json!({"contents": [{"parts": {"text": "x"}}, told["candidates"][0]["content"]]}));
    let facts = Facts { model: "gemini-3.8-flash", ..Facts::default() };
    let sent: Value = serde_json::from_slice(&up.encode(&request, &facts).unwrap().body).unwrap();
    let signatures: Vec<&Value> =
        sent["contents"][1]["parts"].as_array().unwrap().iter().map(|part| &part["thoughtSignature"]).collect();
    assert_eq!(signatures, [&json!("S0=="), &json!("S1"), &Value::Null]);
}

/// S4: every end has its word, and a prompt that got no answer says so.
#[test]
fn every_end_has_its_word() {
    for (finish, word) in [
        (Finish::Stop, "STOP"),
        (Finish::StopSequence, "STOP"),
        (Finish::ToolCalls, "STOP"),
        (Finish::Length, "MAX_TOKENS"),
        (Finish::ContentFilter, "SAFETY"),
        (Finish::Refusal, "SAFETY"),
        (Finish::Paused, "OTHER"),
    ] {
        let response = Response { finish, ..answer(vec![Block::text("x")]) };
        assert_eq!(encode(&response, &asked(false))["candidates"][0]["finishReason"], word);
        assert_eq!(chunks(&response, asked(false)).last().unwrap()["candidates"][0]["finishReason"], word);
    }
    let nothing = Response { finish: Finish::ContentFilter, ..answer(Vec::new()) };
    for written in [encode(&nothing, &asked(false)), chunks(&nothing, asked(false)).remove(0)] {
        assert!(written["promptFeedback"]["blockReason"].is_string() && written.get("candidates").is_none());
    }
}

/// Blocks that overlap come out whole, and a call that was never closed as well.
#[test]
fn overlapping_blocks_come_out_whole() {
    let mut encoder = CLIENT.encoder(asked(false));
    let mut out = BytesMut::new();
    let tool = |id: &str| Opening::ToolCall { id: id.into(), name: "f".into(), kind: ToolKind::Function };
    let argue = |index, text: &str| Event::Delta { index, delta: Delta::Arguments(text.into()) };
    for event in [
        Event::Start { id: "r1".into(), model: String::new(), created: 0 },
        Event::Open { index: 0, block: Opening::Text },
        Event::Open { index: 1, block: tool("a") },
        argue(1, "{\"x\""),
        Event::Open { index: 2, block: tool("b") },
        argue(2, "{}"),
        Event::Delta { index: 0, delta: Delta::Text("t".into()) },
        argue(1, ":1}"),
        Event::Close { index: 2 },
        Event::Close { index: 0 },
    ] {
        encoder.event(&event, &mut out);
    }
    encoder.finish(&mut out);
    let text = String::from_utf8(out.to_vec()).unwrap();
    let order: Vec<usize> =
        ["\"t\"", "\"id\":\"b\"", "\"args\":{\"x\":1}"].iter().map(|it| text.find(it).unwrap()).collect();
    assert!(order.is_sorted() && text.contains("\"responseId\":\"r1\""), "{text}");
}

// === the same dialect on both sides ===

fn frame(data: &str) -> Frame {
    Frame { raw: None, event: None, data: Bytes::copy_from_slice(data.as_bytes()) }
}

/// S2, C2, D3: a stream passes as it is, and is counted.
#[test]
fn a_stream_passes() {
    let chunks = [
        r#"{"candidates":[{"content":{"parts":[{"text":"Hi","new":1.0}],"role":"model"}}],"usageMetadata":{"promptTokenCount":5}}"#,
        r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f"}}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":2,"thoughtsTokenCount":3}}"#,
        r#"{"x":1}"#,
    ];
    let mut relay = CLIENT.relay(&asked(false));
    let mut out = VecDeque::new();
    for chunk in chunks {
        relay.frame(frame(chunk), &mut out).unwrap();
    }
    relay.finish(&mut out).unwrap();
    let text: Vec<u8> = out.into_iter().flatten().collect();
    assert_eq!(String::from_utf8(text).unwrap(), chunks.map(|chunk| format!("data: {chunk}\r\n\r\n")).concat());
    let tally = relay.tally();
    assert_eq!(tally.usage, Some(Usage { input: 9, output: 5, reasoning: 3, ..Usage::default() }));
    assert_eq!((tally.finish, tally.output_bytes), (Some(Finish::ToolCalls), 2 + 12));
}

/// E1, E2: an error is one, and so is an end without a reason.
#[test]
fn a_broken_stream_is_no_answer() {
    let mut relay = CLIENT.relay(&asked(false));
    let mut out = VecDeque::new();
    relay.frame(frame(r#"{"candidates":[{"content":{"parts":[{"text":"Hi"}]}}]}"#), &mut out).unwrap();
    assert!(matches!(relay.finish(&mut out), Err(Error::Interrupted { .. })));
    let error = r#"{"error":{"code":503,"message":"Overloaded.","status":"UNAVAILABLE"}}"#;
    assert!(matches!(relay.frame(frame(error), &mut out), Err(Error::Upstream(_))));
    assert!(matches!(relay.frame(frame("{"), &mut out), Err(Error::BadReply { .. })));
    assert_eq!(out.len(), 1);
}

/// M2: a whole answer passes when it is one.
#[test]
fn a_whole_answer_is_judged() {
    let pass = |body: &str| CLIENT.pass(&Bytes::copy_from_slice(body.as_bytes()));
    let body =
        "{ \"candidates\": [{\"content\": {\"parts\": [{\"text\": \"Hi\"}]}, \"finishReason\": \"MAX_TOKENS\"}]}\n";
    let (bytes, tally) = pass(body).unwrap();
    assert_eq!((&bytes[..], tally.finish), (body.as_bytes(), Some(Finish::Length)));
    assert_eq!(pass(r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#).unwrap().1.finish, Some(Finish::ContentFilter));
    for none in ["{}", "null", "{", r#"{"candidates":[]}"#, r#"{"candidates":[{}]}"#] {
        assert!(matches!(pass(none), Err(Error::BadReply { .. })), "{none}");
    }
    assert!(matches!(
        pass(r#"[{"error":{"code":429,"message":"x","status":"RESOURCE_EXHAUSTED"}}]"#),
        Err(Error::Upstream(_))
    ));
}

/// C1, P2, R2: what Google would refuse goes, every other byte stays.
#[test]
fn a_request_is_mended() {
    let passed = |body: &str| {
        let mut edits = Object::parse(body.as_bytes()).unwrap().edit();
        CLIENT.pass_on(&mut edits);
        String::from_utf8(edits.into_bytes(&Bytes::copy_from_slice(body.as_bytes())).to_vec()).unwrap()
    };
    let clean = r#"{ "x":1.0e2, "contents":[{"parts":[{"text":"\u00e9","thoughtSignature":"Eq4B"}]}]}"#;
    assert_eq!(passed(clean), clean);
    assert_eq!(passed(r#"{"model":"models/m","contents":[]}"#), r#"{"contents":[]}"#);
    let sealed = encode(
        &answer(vec![reasoning("a", Some("S")), call("c", "f", "{}"), reasoning("b", Some("T"))]),
        &asked(false),
    );
    let parts = sealed["candidates"][0]["content"]["parts"].to_string();
    let body = format!(
        r#"{{"contents":[{{"role":"user","parts":[{{"text":"x"}}]}},{{"role":"model","parts":{parts}}},{{"parts":[{{"text":"","thought_signature":{}}}]}}],"y":1.50}}"#,
        sealed["candidates"][0]["content"]["parts"][0]["thoughtSignature"]
    );
    assert_eq!(
        passed(&body),
        r#"{"contents":[{"role":"user","parts":[{"text":"x"}]},{"role":"model","parts":[{"functionCall":{"id":"c","name":"f","args":{}},"thoughtSignature":"skip_thought_signature_validator"}]}],"y":1.50}"#
    );
}

// === errors, and the other form of a stream ===

/// M1: the number, its name, the words, and what a machine needs.
#[test]
fn errors_are_googles() {
    let told = |error: &Error| -> Value { serde_json::from_slice(&CLIENT.error(error, Uuid::nil())).unwrap() };
    let invalid = told(&Error::invalid("No.", "contents[0]", "invalid_value"));
    assert_eq!(
        invalid["error"],
        json!({"code": 400, "message": "No.", "status": "INVALID_ARGUMENT", "details": [
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "INVALID_VALUE", "domain": "sluis"},
            {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"field": "contents[0]", "description": "No."}]},
            {"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": Uuid::nil().to_string()},
        ]})
    );
    let upstream = |status: u16| {
        let mut error = UpstreamError::new(StatusCode::from_u16(status).unwrap(), "words");
        error.retry_after = Some(std::time::Duration::from_millis(1500));
        Error::from(error)
    };
    for (error, code, status) in [
        (Error::Unauthenticated { message: "x".into() }, 401, "UNAUTHENTICATED"),
        (Error::ModelNotFound { model: "x".into(), near: Vec::new() }, 404, "NOT_FOUND"),
        (Error::BodyTooLarge { limit_bytes: 1 }, 413, "INVALID_ARGUMENT"),
        (Error::BadReply { message: "x".into() }, 502, "UNAVAILABLE"),
        (Error::Timeout(crate::error::Clock::Idle), 504, "DEADLINE_EXCEEDED"),
        (Error::Internal { message: "x".into() }, 500, "INTERNAL"),
        (upstream(429), 429, "RESOURCE_EXHAUSTED"),
        (upstream(503), 503, "UNAVAILABLE"),
        (upstream(401), 502, "INTERNAL"),
    ] {
        let told = told(&error);
        assert_eq!((&told["error"]["code"], &told["error"]["status"]), (&json!(code), &json!(status)), "{error:?}");
    }
    let retry = told(&upstream(429))["error"]["details"].to_string();
    assert!(retry.contains(r#""retryDelay":"1.5s""#), "{retry}");
    let mut own = UpstreamError::new(StatusCode::TOO_MANY_REQUESTS, "Quota.");
    own.dialect = Some(Dialect::Gemini);
    own.kind = Some("RESOURCE_EXHAUSTED".into());
    own.code = Some("RATE_LIMIT_EXCEEDED".into());
    let own = told(&own.into());
    assert_eq!(own["error"]["details"][0]["reason"], "RATE_LIMIT_EXCEEDED");
    assert!(CLIENT.error_frame(&Error::ShuttingDown, Uuid::nil()).starts_with(b"data: {\"error\":"));
}

/// S7: without `alt=sse` the same stream is one JSON array, however quiet it was and however it ends.
#[test]
fn a_stream_may_be_an_array() {
    let mut minder = Listed.minder(Uuid::nil()).unwrap();
    let mut out = minder.keep_alive().to_vec();
    out.extend(minder.sends(Bytes::from_static(b"data: {\"a\":1}\r\n\r\ndata: {\"b\":2}\n\n")));
    out.extend(minder.keep_alive());
    out.extend(minder.sends(Bytes::from_static(b"data: {\"c\":3}\r\n\r\n")));
    let (mut good, mut bad) = (out.clone(), out);
    good.extend(minder.ends());
    assert_eq!(serde_json::from_slice::<Value>(&good).unwrap(), json!([{"a": 1}, {"b": 2}, {"c": 3}]));
    assert!(minder.ends().is_empty(), "it ends once");
    let mut minder = Listed.minder(Uuid::nil()).unwrap();
    minder.sends(Bytes::from_static(b"data: 1\n\n"));
    bad.extend(minder.error_frame(&Error::ShuttingDown));
    let told: Value = serde_json::from_slice(&bad).unwrap();
    assert_eq!((told.as_array().unwrap().len(), &told[3]["error"]["code"]), (4, &json!(503)));
    assert!(minder.ends().is_empty());
    assert_eq!(Listed.minder(Uuid::nil()).unwrap().ends(), "[]\r\n");
    let alone: Value = serde_json::from_slice(&Listed.error_frame(&Error::ShuttingDown, Uuid::nil())).unwrap();
    assert_eq!(alone.as_array().unwrap().len(), 1);
    assert!(
        Listed.stream_type().starts_with("application/json") && Gemini.stream_type().starts_with("text/event-stream")
    );
}

mod arbitrary {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]
        /// Whatever a request is, it is read or refused; so is what an upstream says.
        #[test]
        fn any_bytes_are_read_or_refused(body in "[ -~]{0,60}", parts in r#"(\{"(text|thought|functionCall|inlineData|functionResponse)":("x"|true|\{\}|\[\])\},?){0,3}"#) {
            let _ = CLIENT.decode(body.as_bytes());
            let _ = CLIENT.decode(format!("{{\"contents\":[{{\"parts\":[{parts}]}}]}}").as_bytes());
            let _ = CLIENT.pass(&Bytes::from(body.clone()));
            let _ = CLIENT.relay(&asked(true)).frame(frame(&body), &mut VecDeque::new());
        }
    }
}
