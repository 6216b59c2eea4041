//! Google's clients, on upstreams of their own dialect, of Anthropic's and of OpenAI's.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    Client, Gateway, Reply, Script, Upstream,
    anthropic::{self as ant, delta, message_start, start, stop, text},
    gateway::{anthropic, openai, provider},
    gemini as gem,
    gemini_stream::{Told, is_error, judge, judge_whole},
    openai::{self as chat, c, completion, finish, role},
};

const OWN: &str = "gem/gemini-3.8-flash";
const CLAUDE: &str = "ant/claude-haiku-4-5";
const OTHER: &str = "up/org/qwen3:4b";
/// The rule says 100 ms; the rest is what a crowded machine may add.
const SOON: Duration = Duration::from_secs(5);

fn hi() -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": "hello"}]}]})
}

fn gemini(upstream: &Upstream) -> String {
    format!("[retry]\nattempts = 1\n{}", provider("gem", "gemini", upstream))
}

async fn post(gateway: &Gateway, path: &str, body: &[u8]) -> Client {
    let headers = [("content-type", "application/json"), ("x-goog-api-client", "google-genai-sdk/3.6.1")];
    gateway.send("POST", path, &headers, body).await
}

async fn begin(gateway: &Gateway, model: &str, stream: bool, body: &Value) -> Client {
    let method = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    post(gateway, &format!("/v1beta/models/{model}:{method}"), body.to_string().as_bytes()).await
}

async fn generate(gateway: &Gateway, model: &str, body: &Value) -> Reply {
    begin(gateway, model, false, body).await.whole().await
}

async fn stream(gateway: &Gateway, model: &str, body: &Value) -> Reply {
    begin(gateway, model, true, body).await.whole().await
}

fn judged(reply: &Reply) -> Told {
    judge(&reply.text()).unwrap_or_else(|why| panic!("{why}\n{}", reply.text()))
}

/// Reads a stream that must be whole and without an error.
fn whole(reply: &Reply) -> Told {
    let told = judged(reply);
    assert!(told.complete(), "{}", reply.text());
    told
}

// === the same dialect on both sides ===

/// S2, P2: what the vendor says reaches its clients byte for byte, what they do not know included.
#[tokio::test]
async fn the_vendors_bytes_pass() {
    let mut events = gem::says("Hi");
    events.insert(1, gem::event(&json!({"candidates": [{"content": {"parts": [{"new": 1}]}}], "x": 1})));
    let answer = "{\n  \"candidates\": [{\"content\": {\"parts\": [{\"text\": \"\\u00e9\"}]}, \"finishReason\": \"STOP\", \"n\": 1.0e2}]\n}\n";
    let upstream = Upstream::scripted([
        Script::sse().frames(&events).end(),
        Script::body(200, &[("content-type", "application/json"), ("x-request-id", "req_up")], answer.as_bytes()),
        Script::sse().frames(&events).end(),
    ])
    .await;
    let gateway = Gateway::start(&gemini(&upstream)).await;
    let reply = stream(&gateway, OWN, &hi()).await;
    assert_eq!((reply.status, reply.text()), (200, events.concat()));
    let reply = generate(&gateway, OWN, &hi()).await;
    assert_eq!((reply.status, reply.text()), (200, answer.to_owned()));
    assert_eq!(reply.header("x-upstream-request-id"), Some("req_up"));
    let path = format!("/v1beta/models/{OWN}:streamGenerateContent");
    let reply = post(&gateway, &path, hi().to_string().as_bytes()).await.whole().await;
    let items: Vec<Value> = reply.json().as_array().unwrap().clone();
    let sent: Vec<Value> = events
        .iter()
        .map(|event| serde_json::from_str(event.trim().strip_prefix("data: ").unwrap()).unwrap())
        .collect();
    assert_eq!(items, sent);
    assert_eq!(upstream.request(2).path, "/v1/models/gemini-3.8-flash:streamGenerateContent?alt=sse");
}

/// C1, P2, X4: a request's bytes pass, unknown fields and both spellings included; the key does not.
#[tokio::test]
async fn a_clients_bytes_pass() {
    let answer = gem::answer(&json!([{"text": "hi"}]), "STOP");
    let upstream = Upstream::scripted([Script::json(200, &answer), Script::json(200, &answer)]).await;
    let gateway = Gateway::start(&gemini(&upstream)).await;
    let body = r#"{ "new_field":1.0e2, "contents":[{"parts":[{"text":"\u00e9","thought_signature":"S"}]}], "generation_config":{"topK":40.0}}"#;
    let headers = [("content-type", "application/json"), ("x-goog-api-key", "mine"), ("x-goog-api-client", "x")];
    let path = format!("/v1beta/models/{OWN}:generateContent?key=mine");
    let reply = gateway.send("POST", &path, &headers, body.as_bytes()).await.whole().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let request = upstream.request(0);
    assert_eq!(
        (request.path.as_str(), request.text()),
        ("/v1/models/gemini-3.8-flash:generateContent", body.to_owned())
    );
    assert_eq!((request.header("x-goog-api-key"), request.header("x-goog-api-client")), (Some("sk-gem"), None));
    let named = body.replacen("{ ", "{\"model\":\"models/x\",", 1);
    let reply =
        post(&gateway, "/gem/v1beta/models/gemini-3.8-flash:generateContent", named.as_bytes()).await.whole().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(upstream.request(1).text(), body.replacen("{ ", "{", 1), "the path names the model");
    assert_eq!(gateway.metric("", "sluis_requests_total", "endpoint=\"generate_content\"").await, 2.0);
    assert_eq!(gateway.metric("", "sluis_tokens_total", "kind=\"output\"").await, 4.0);
}

/// E1, E2: whatever breaks a stream of the vendor's, its client gets an error and no end.
#[tokio::test]
async fn a_broken_stream_ends_in_an_error() {
    let overloaded = gem::event(&gem::error(503, "UNAVAILABLE", "Overloaded.", &json!([])));
    let upstream = Upstream::scripted([
        Script::sse().frame(gem::text("Hi")).cut(),
        Script::sse().frame(gem::text("Hi")).end(),
        Script::sse().frame(gem::text("Hi")).frame(&overloaded).end(),
        Script::sse().frame(&overloaded).end(),
        Script::sse().frame(gem::text("Hi")).frame(&overloaded).end(),
    ])
    .await;
    let gateway = Gateway::start(&gemini(&upstream)).await;
    for code in [502, 502, 503] {
        let reply = stream(&gateway, OWN, &hi()).await;
        let last = reply.text();
        let (last, bare) = last.rsplit("data: ").next().unwrap().split_once("\r\n\r\n").unwrap();
        assert_eq!(last, bare.trim_end(), "where older SDKs look");
        let error: Value = serde_json::from_str(last).unwrap();
        is_error(&error).unwrap();
        assert_eq!((reply.status, &error["error"]["code"]), (200, &json!(code)), "{}", reply.text());
    }
    let reply = stream(&gateway, OWN, &hi()).await;
    assert_eq!((reply.status, &reply.json()["error"]["status"]), (503, &json!("UNAVAILABLE")));
    let path = format!("/v1beta/models/{OWN}:streamGenerateContent");
    let items = post(&gateway, &path, hi().to_string().as_bytes()).await.whole().await.json();
    assert_eq!((items.as_array().unwrap().len(), &items[1]["error"]["code"]), (2, &json!(503)));
}

/// M1: each of the vendor's errors keeps its status, its name and its words.
#[tokio::test]
async fn errors_keep_status_and_words() {
    let info = json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "WHY"}]);
    let cases = [
        (400, "INVALID_ARGUMENT", 400),
        (403, "PERMISSION_DENIED", 502),
        (404, "NOT_FOUND", 404),
        (429, "RESOURCE_EXHAUSTED", 429),
        (500, "INTERNAL", 500),
        (503, "UNAVAILABLE", 503),
        (504, "DEADLINE_EXCEEDED", 504),
    ];
    let script = |(code, name, _): &(u16, &str, u16)| Script::json(*code, &gem::error(*code, name, "Words.", &info));
    let upstream = Upstream::scripted(cases.iter().map(script)).await;
    let gateway = Gateway::start(&gemini(&upstream)).await;
    for (_, name, expected) in cases {
        let reply = generate(&gateway, OWN, &hi()).await;
        let error = &reply.json()["error"];
        let name = if expected == 502 { "INTERNAL" } else { name };
        assert_eq!((reply.status, &error["code"], &error["status"]), (expected, &json!(expected), &json!(name)));
        assert!(error["message"].as_str().unwrap().contains("Words."), "{error}");
        assert_eq!(error["details"][0]["reason"] == "WHY", expected != 502, "{error}");
    }
}

// === translated ===

/// T1, T2, C4, S4: reasoning, text and parallel calls of a chat upstream become parts, each call whole.
#[tokio::test]
async fn a_chat_stream_becomes_parts() {
    let piece = |index: u64, id: Option<&str>, json: &str| {
        let mut call = json!({"index": index, "function": {"arguments": json}});
        if let Some(id) = id {
            call["function"]["name"] = "f".into();
            call["id"] = id.into();
            call["type"] = "function".into();
        }
        chat::event(&chat::chunk(&json!({"tool_calls": [call]}), None))
    };
    let frames = [
        role(),
        chat::event(&chat::chunk(&json!({"reasoning_content": "Hm."}), None)),
        c("Let me"),
        c(" see"),
        piece(0, Some("call_a"), "{\"x\":"),
        piece(1, Some("call_b"), ""),
        piece(0, None, "1}"),
        finish("tool_calls"),
        chat::usage(10, 4),
        chat::DONE.into(),
    ];
    let scripts = [(); 2].map(|()| Script::sse().frames(frames.clone()).end());
    let upstream = Upstream::scripted(scripts).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    let mut body = hi();
    body["generationConfig"] = json!({"thinkingConfig": {"includeThoughts": true}});
    let told = whole(&stream(&gateway, OTHER, &body).await);
    assert_eq!((told.thoughts.as_str(), told.text.as_str()), ("Hm.", "Let me see"));
    assert_eq!(
        told.calls,
        [json!({"id": "call_a", "name": "f", "args": {"x": 1}}), json!({"id": "call_b", "name": "f", "args": {}})]
    );
    assert_eq!((told.model.as_str(), told.finish.as_deref()), (OTHER, Some("STOP")));
    let usage = told.usage.unwrap();
    assert_eq!((&usage["promptTokenCount"], &usage["candidatesTokenCount"]), (&json!(10), &json!(4)));
    let sent = upstream.request(0).json();
    assert_eq!(
        (&sent["model"], &sent["stream"], &sent["reasoning_effort"]),
        (&json!("org/qwen3:4b"), &json!(true), &Value::Null)
    );
    let path = "/v1beta/models/up%2Forg%2Fqwen3%3A4b:streamGenerateContent";
    let reply = post(&gateway, path, hi().to_string().as_bytes()).await.whole().await;
    assert!(reply.header("content-type").unwrap().starts_with("application/json"));
    let items = reply.json();
    assert!(items.as_array().unwrap().len() == 3 && !items.to_string().contains("Hm."), "nobody asked: {items}");
    assert_eq!(items.as_array().unwrap().last().unwrap()["candidates"][0]["finishReason"], "STOP");
}

/// Everything a request holds reaches a chat upstream in its words, and what has no place is named.
#[tokio::test]
async fn a_request_is_translated() {
    let upstream = Upstream::scripted([Script::json(200, &completion("done"))]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    let body = json!({
        "system_instruction": {"parts": {"text": "S"}},
        "contents": [
            {"role": "user", "parts": [{"text": "q"}, {"inlineData": {"mimeType": "image/png", "data": "iVBO-_8"}}]},
            {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"z": 1.0}}}, {"functionCall": {"name": "f", "args": {}}}]},
            {"role": "user", "parts": [
                {"functionResponse": {"name": "f", "response": {"output": "A"}}},
                {"functionResponse": {"name": "f", "response": {"error": "bad"}}}]},
        ],
        "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT", "properties": {"z": {"type": "NUMBER", "nullable": true}}}}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
        "generationConfig": {"maxOutputTokens": 9, "temperature": 0.5, "stopSequences": ["END"],
            "responseMimeType": "application/json", "responseSchema": {"type": "ARRAY", "items": {"type": "STRING"}}},
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
    });
    let reply = generate(&gateway, OTHER, &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let told = judge_whole(&reply.json()).unwrap();
    assert_eq!((told.text.as_str(), told.finish.as_deref()), ("done", Some("STOP")));
    assert_eq!(reply.header("x-sluis-dropped"), Some("safetySettings"));
    let sent = upstream.request(0).json();
    let messages = sent["messages"].as_array().unwrap();
    let roles: Vec<&str> = messages.iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool", "tool"]);
    assert_eq!(messages[1]["content"][1]["image_url"]["url"], "data:image/png;base64,iVBO+/8=");
    let calls = &messages[2]["tool_calls"];
    assert_eq!(calls[0]["function"]["arguments"], r#"{"z":1.0}"#);
    assert_eq!((&messages[3]["tool_call_id"], &messages[4]["tool_call_id"]), (&calls[0]["id"], &calls[1]["id"]));
    assert_eq!((&messages[3]["content"], &messages[4]["content"]), (&json!("A"), &json!("Error: bad")));
    assert_eq!(
        sent["tools"][0]["function"]["parameters"],
        json!({"type": "object", "properties": {"z": {"type": ["number", "null"]}}})
    );
    assert_eq!((&sent["tool_choice"], &sent["temperature"]), (&json!("required"), &json!(0.5)));
    let schema = &sent["response_format"]["json_schema"]["schema"];
    assert_eq!(schema["properties"]["value"], json!({"type": "array", "items": {"type": "string"}}), "{schema}");
    let refused = json!({"contents": hi()["contents"], "cachedContent": "cachedContents/a"});
    let reply = generate(&gateway, OTHER, &refused).await;
    assert_eq!((reply.status, &reply.json()["error"]["status"]), (400, &json!("INVALID_ARGUMENT")));
    let mut strict = hi();
    strict["safetySettings"] = json!([{"category": "HARM_CATEGORY_HARASSMENT"}]);
    let headers = [("content-type", "application/json"), ("x-sluis-strict", "true")];
    let path = format!("/v1beta/models/{OTHER}:generateContent");
    let reply = gateway.send("POST", &path, &headers, strict.to_string().as_bytes()).await.whole().await;
    assert_eq!((reply.status, upstream.count()), (400, 1), "{}", reply.text());
}

/// R1, regression 34: Claude's thinking survives a tool loop, whether thoughts are shown, and whether a
/// client keeps them: signatures and redacted blocks come back in order and to the letter.
#[tokio::test]
async fn claudes_thinking_goes_round() {
    let usage = json!({"input_tokens": 1, "output_tokens": 1});
    let thinking = json!({"type": "thinking", "thinking": "", "signature": ""});
    let events = [
        vec![message_start(&usage), start(0, &thinking)],
        vec![
            delta(0, &json!({"type": "thinking_delta", "thinking": "Hm."})),
            delta(0, &json!({"type": "signature_delta", "signature": "S1+/=="})),
            stop(0),
            start(1, &json!({"type": "redacted_thinking", "data": "D1"})),
            stop(1),
        ],
        ant::tool(2, "toolu_1", "f", &["{\"a\":", "1}"]),
        ant::end("tool_use", &usage),
    ]
    .concat();
    let expected = json!([
        {"type": "thinking", "thinking": "Hm.", "signature": "S1+/=="},
        {"type": "redacted_thinking", "data": "D1"},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
    ]);
    for (shows, keeps) in [(true, true), (true, false), (false, true)] {
        let done = ant::message(&json!([{"type": "text", "text": "hi"}]), "end_turn");
        let upstream = Upstream::scripted([Script::sse().frames(&events).end(), Script::json(200, &done)]).await;
        let gateway = Gateway::start(&anthropic(&upstream)).await;
        let mut body = json!({"contents": hi()["contents"], "tools": [{"functionDeclarations": [{"name": "f"}]}],
            "generationConfig": {"thinkingConfig": {"thinkingBudget": 2048, "includeThoughts": shows}}});
        let told = whole(&stream(&gateway, CLAUDE, &body).await);
        assert_eq!((told.thoughts.as_str(), told.calls.len()), (if shows { "Hm." } else { "" }, 1));
        assert_eq!(upstream.request(0).json()["thinking"]["budget_tokens"], 2048);
        let mut parts = told.parts.clone();
        parts.retain(|part| keeps || part["thought"].is_null());
        // Each chunk's content on its own, as an SDK's chat keeps them.
        let contents = body["contents"].as_array_mut().unwrap();
        contents.extend(parts.iter().map(|part| json!({"role": "model", "parts": [part]})));
        let result = json!({"functionResponse": {"id": "toolu_1", "name": "f", "response": {"output": "x"}}});
        contents.push(json!({"role": "user", "parts": [result]}));
        // Another process: nothing but what the client sent is known.
        let gateway = Gateway::start(&anthropic(&upstream)).await;
        let reply = generate(&gateway, CLAUDE, &body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let sent = upstream.request(1).json();
        assert_eq!(sent["messages"][1]["content"], expected, "shows {shows}, keeps {keeps}");
    }
}

/// R2: a conversation that began with another vendor may go on with Google, whose own check of
/// signatures is told so.
#[tokio::test]
async fn a_conversation_may_move_to_the_vendor() {
    let thinking = json!([{"type": "thinking", "thinking": "Hm.", "signature": "S1"},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}]);
    let claude = Upstream::scripted([Script::json(200, &ant::message(&thinking, "tool_use"))]).await;
    let own = Upstream::scripted([Script::json(200, &gem::answer(&json!([{"text": "hi"}]), "STOP"))]).await;
    let gateway = Gateway::start(&format!("{}{}", anthropic(&claude), provider("gem", "gemini", &own))).await;
    let told = generate(&gateway, CLAUDE, &hi()).await.json();
    let content = &told["candidates"][0]["content"];
    let mut body = hi();
    body["contents"].as_array_mut().unwrap().push(content.clone());
    generate(&gateway, OWN, &body).await;
    let sent = own.request(0).json();
    let mut expected = content["parts"][0].clone();
    expected["thoughtSignature"] = "skip_thought_signature_validator".into();
    assert_eq!(sent["contents"][1]["parts"], json!([expected]));
}

/// E1, E2: an upstream of another dialect that fails, at once or later, is never an empty answer.
#[tokio::test]
async fn a_failing_upstream_is_an_error() {
    let failed = chat::event(&chat::error("The engine died.", "server_error", None));
    let upstream = Upstream::scripted([
        Script::sse().frames([role(), c("Hi")]).frame(&failed).end(),
        Script::sse().frames([role(), c("Hi")]).cut(),
        Script::sse().frame(&failed).end(),
        Script::json(429, &chat::error("Slow down.", "rate_limit_error", Some("rate_limit_exceeded"))),
    ])
    .await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    for code in [502, 502] {
        let told = judged(&stream(&gateway, OTHER, &hi()).await);
        assert_eq!((told.text.as_str(), told.finish.as_deref()), ("Hi", None));
        assert_eq!(told.error.unwrap()["code"], code);
    }
    let reply = stream(&gateway, OTHER, &hi()).await;
    is_error(&reply.json()).unwrap();
    assert!(reply.status >= 500 && reply.json()["error"]["message"] == "The engine died.", "{}", reply.text());
    let reply = stream(&gateway, OTHER, &hi()).await;
    assert_eq!((reply.status, &reply.json()["error"]["status"]), (429, &json!("RESOURCE_EXHAUSTED")));
}

/// S6, S7: a silent upstream is bridged with what the SDKs pass over, before the answer and within it,
/// in both forms of a stream.
#[tokio::test]
async fn silence_is_bridged() {
    let pause = Duration::from_millis(400);
    let [first, rest] = [chat::says("Hi")[..2].to_vec(), chat::says("Hi")[2..].to_vec()];
    let slow = || Script::sse().wait(pause).frames(first.clone()).wait(pause).frames(rest.clone()).end();
    let other = Upstream::scripted([slow(), slow()]).await;
    let own = Upstream::scripted([Script::sse().wait(pause).frames(gem::says("Hi")).end()]).await;
    let config = format!("{}{}[keep-alive]\ninterval = \"100ms\"\n", openai(&other), provider("gem", "gemini", &own));
    let gateway = Gateway::start(&config).await;
    for model in [OTHER, OWN] {
        let told = whole(&stream(&gateway, model, &hi()).await);
        assert!(told.signs_of_life >= 2 && told.text == "Hi", "{told:?}");
    }
    let path = format!("/v1beta/models/{OTHER}:streamGenerateContent");
    let reply = post(&gateway, &path, hi().to_string().as_bytes()).await.whole().await;
    assert!(reply.text().starts_with("\r\n\r\n") && reply.json().is_array(), "{}", reply.text());
}

/// D1, D2, regressions 11 and 12: a client that leaves, at any time, takes its upstream along.
#[tokio::test]
async fn a_client_that_leaves_aborts_the_upstream() {
    let own =
        Upstream::scripted([Script::sse().frame(gem::text("hello")).hang(), Script::silent(), Script::silent()]).await;
    let begun = [vec![message_start(&json!({"input_tokens": 1, "output_tokens": 1}))], text(0, "hello")].concat();
    let claude = Upstream::scripted([Script::sse().frames(begun).hang(), Script::silent()]).await;
    let gateway = Gateway::start(&format!("{}{}", anthropic(&claude), provider("gem", "gemini", &own))).await;
    for (upstream, model, streams, seen) in [
        (&own, OWN, true, Some("hello")),
        (&own, OWN, true, None),
        (&own, OWN, false, None),
        (&claude, CLAUDE, true, Some("hello")),
        (&claude, CLAUDE, false, None),
    ] {
        let index = upstream.count();
        let mut client = begin(&gateway, model, streams, &hi()).await;
        upstream.asked(index).await;
        if let Some(seen) = seen {
            client.answer().await.until(seen).await;
        }
        let left = Instant::now();
        drop(client);
        let noticed = upstream.closed(index).await.duration_since(left);
        assert!(noticed < SOON, "{model} {streams}: {noticed:?}");
    }
    assert_eq!(gateway.metric("", "sluis_requests_total", "outcome=\"failed\"").await, 0.0);
}

/// F6: a fallback over dialects: the vendor is down, another model answers.
#[tokio::test]
async fn another_dialect_can_be_the_fallback() {
    let own = Upstream::scripted([Script::json(503, &gem::error(503, "UNAVAILABLE", "x", &json!([])))]).await;
    let claude = Upstream::scripted([Script::sse().frames(ant::says("Hi")).end()]).await;
    let config = format!(
        "{}{}[models.m]\ntargets = [\"{OWN}\", \"{CLAUDE}\"]\n",
        anthropic(&claude),
        provider("gem", "gemini", &own)
    );
    let gateway = Gateway::start(&config).await;
    let reply = stream(&gateway, "m", &hi()).await;
    assert_eq!((whole(&reply).text.as_str(), reply.header("x-sluis-target")), ("Hi", Some(CLAUDE)));
}

// === the endpoint ===

/// Design section 4: the paths, the key, and errors of every kind in Google's form.
#[tokio::test]
async fn paths_and_refusals_are_googles() {
    let config = "[keys.ci]\nsecret = \"sk-ci-0123456789abcdef\"\nmodels = [\"builtin/*\"]\n";
    let gateway = Gateway::start(config).await;
    let send = async |verb: &str, path: &str, headers: &[(&str, &str)], body: &str| {
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        gateway.send(verb, path, &all, body.as_bytes()).await.whole().await
    };
    let key = ("x-goog-api-key", "sk-ci-0123456789abcdef");
    let body = hi().to_string();
    for (path, key) in [
        ("/v1beta/models/builtin/echo:generateContent", key),
        ("/v1beta/models/builtin%2Fecho:generateContent?alt=json", ("authorization", "Bearer sk-ci-0123456789abcdef")),
        ("/v1/models/builtin/echo:generateContent", key),
        ("/builtin/v1beta/models/echo:generateContent", ("x-sluis-key", "sk-ci-0123456789abcdef")),
    ] {
        let reply = send("POST", path, &[key], &body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert!(judge_whole(&reply.json()).unwrap().complete(), "{}", reply.text());
    }
    let at = "/v1beta/models/builtin/echo:generateContent";
    for (verb, path, headers, body, status, name) in [
        ("POST", at, &[][..], body.as_str(), 401, "UNAUTHENTICATED"),
        (
            "POST",
            "/v1beta/models/builtin/echo:generateContent?key=sk-ci-0123456789abcdef",
            &[],
            &body,
            401,
            "UNAUTHENTICATED",
        ),
        ("POST", at, &[key], "{", 400, "INVALID_ARGUMENT"),
        ("POST", at, &[key], "{}", 400, "INVALID_ARGUMENT"),
        ("POST", at, &[key], r#"{"contents":[]}"#, 400, "INVALID_ARGUMENT"),
        ("POST", at, &[key], r#"{"contents":[{"parts":[{}]}]}"#, 400, "INVALID_ARGUMENT"),
        ("POST", "/v1beta/models/builtin/none:generateContent", &[key], &body, 404, "NOT_FOUND"),
        ("POST", "/v1beta/models/builtin/echo:predict", &[key], &body, 404, "NOT_FOUND"),
        ("POST", "/v1beta/models/:generateContent", &[key], &body, 404, "NOT_FOUND"),
        ("POST", "/v1beta/cachedContents", &[key], &body, 404, "NOT_FOUND"),
        ("POST", "/nobody/v1beta/models/echo:generateContent", &[key], &body, 404, "NOT_FOUND"),
        ("GET", "/v1beta/files", &[key], "", 404, "NOT_FOUND"),
        ("GET", "/v1beta/models/builtin/none", &[key], "", 404, "NOT_FOUND"),
        ("GET", "/v1beta/models?pageSize=x", &[key], "", 400, "INVALID_ARGUMENT"),
        ("PUT", at, &[key], &body, 405, "UNIMPLEMENTED"),
    ] {
        let reply = send(verb, path, headers, body).await;
        let told = reply.json();
        is_error(&told).unwrap_or_else(|why| panic!("{path}: {why}: {told}"));
        assert_eq!((reply.status, &told["error"]["status"]), (status, &json!(name)), "{verb} {path} {body}");
        let id = reply.header("x-request-id").unwrap();
        assert!(told["error"]["details"].to_string().contains(id), "{told}");
    }
    assert!(!gateway.log().contains("sk-ci-0123456789abcdef"), "X4");
}

/// K7: the models of a key in Google's form, page by page, and each of them by its name; at OpenAI's path
/// too, for whoever says to be Google's client.
#[tokio::test]
async fn models_are_listed_in_googles_form() {
    let gateway = Gateway::start("[models.fast]\ntargets = [\"builtin/echo\"]\n").await;
    let get = async |path: &str| {
        let headers = [("x-goog-api-client", "google-genai-sdk/3.6.1")];
        gateway.send("GET", path, &headers, b"").await.whole().await.json()
    };
    let list = get("/v1beta/models").await;
    let names: Vec<&str> =
        list["models"].as_array().unwrap().iter().map(|model| model["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"models/fast") && names.contains(&"models/builtin/echo"), "{names:?}");
    assert_eq!(list.get("nextPageToken"), None);
    let page = get("/v1beta/models?pageSize=1").await;
    let token = page["nextPageToken"].as_str().unwrap().replace('/', "%2F");
    let next = get(&format!("/v1beta/models?pageSize=1&pageToken={token}")).await;
    assert_eq!([&page["models"][0]["name"], &next["models"][0]["name"]].map(|name| name.as_str().unwrap()), names[..2]);
    let model = get("/v1beta/models/builtin/echo").await;
    assert_eq!((&model["name"], &model["displayName"]), (&json!("models/builtin/echo"), &json!("builtin/echo")));
    assert_eq!(model["supportedGenerationMethods"], json!(["generateContent", "countTokens"]));
    assert_eq!(get("/builtin/v1beta/models/echo").await, model);
    assert_eq!(get("/v1/models/builtin/echo").await, model);
    let openais = gateway.send("GET", "/v1/models", &[], b"").await.whole().await.json();
    assert_eq!(openais["object"], "list");
}

/// A2, regression 71: whoever would answer counts where it can, in its own words; elsewhere a guess is
/// marked as one. A request within another is counted like one by itself.
#[tokio::test]
async fn prompts_are_counted() {
    let counted = br#"{ "totalTokens": 77, "promptTokensDetails":[{"modality":"TEXT","tokenCount":77}] }"#;
    let json = [("content-type", "application/json")];
    let own = Upstream::scripted([Script::body(200, &json, counted), Script::body(200, &json, counted)]).await;
    let claude = Upstream::scripted([Script::json(200, &json!({"input_tokens": 12}))]).await;
    let gateway = Gateway::start(&format!("{}{}", anthropic(&claude), provider("gem", "gemini", &own))).await;
    let count = async |model: &str, body: &Value| {
        post(&gateway, &format!("/v1beta/models/{model}:countTokens"), body.to_string().as_bytes()).await.whole().await
    };
    let mut request = hi();
    request["systemInstruction"] = json!({"parts": [{"text": "Be brief."}]});
    let mut named = request.clone();
    named["model"] = "models/gemini-3.8-flash".into();
    let wrapped = json!({ "generateContentRequest": named });
    for (at, body) in [&request, &wrapped].into_iter().enumerate() {
        let reply = count(OWN, body).await;
        assert_eq!((reply.status, reply.body.as_slice()), (200, &counted[..]), "{}", reply.text());
        let asked = own.request(at);
        assert_eq!(asked.path, "/v1/models/gemini-3.8-flash:countTokens");
        let mut expected = named.clone();
        expected["model"] = "models/gemini-3.8-flash".into();
        assert_eq!(asked.json()["generateContentRequest"], expected);
    }
    let reply = count(CLAUDE, &wrapped).await;
    assert_eq!((reply.json(), reply.header("x-sluis-estimate")), (json!({"totalTokens": 12}), None));
    let sent = claude.request(0).json();
    assert_eq!(
        (&claude.request(0).path, &sent["system"][0]["text"]),
        (&"/v1/messages/count_tokens".to_owned(), &json!("Be brief."))
    );
    let reply = count("builtin/echo", &request).await;
    assert_eq!(reply.header("x-sluis-estimate"), Some("true"));
    assert!(reply.json()["totalTokens"].as_u64().unwrap() > 10);
    let reply = count("builtin/echo", &json!({})).await;
    assert_eq!(reply.json()["error"]["status"], "INVALID_ARGUMENT");
}

/// N1: texts in Google's form, to Google as to others; digits stay, and what has no place is named.
#[tokio::test]
async fn texts_are_embedded() {
    let own =
        Upstream::scripted([Script::json(200, &json!({"embeddings": [{"values": [0.5]}, {"values": [1.5]}]}))]).await;
    let vectors = br#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[-0.0,1.50]}],"model":"m","usage":{"prompt_tokens":3,"total_tokens":3}}"#;
    let other = Upstream::scripted([Script::body(200, &[("content-type", "application/json")], vectors)]).await;
    let gateway = Gateway::start(&format!("{}{}", openai(&other), provider("gem", "gemini", &own))).await;
    let part = |text: &str| json!({"content": {"parts": [{"text": text}]}, "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 2});
    let batch = json!({"requests": [part("a"), part("b")]});
    let path = "/v1beta/models/gem/gemini-embedding-2:batchEmbedContents";
    let reply = post(&gateway, path, batch.to_string().as_bytes()).await.whole().await;
    assert_eq!(reply.json()["embeddings"], json!([{"values": [0.5]}, {"values": [1.5]}]), "{}", reply.text());
    let sent = own.request(0);
    assert_eq!(sent.path, "/v1/models/gemini-embedding-2:batchEmbedContents");
    let expected = json!({"model": "models/gemini-embedding-2", "content": {"parts": [{"text": "b"}]}, "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 2});
    assert_eq!(sent.json()["requests"][1], expected);
    let path = "/v1beta/models/up/m:embedContent";
    let reply = post(&gateway, path, part("a").to_string().as_bytes()).await.whole().await;
    assert_eq!(reply.text(), r#"{"embedding":{"values":[-0.0,1.50]},"usageMetadata":{"promptTokenCount":3}}"#);
    assert_eq!(reply.header("x-sluis-dropped"), Some("taskType"));
    assert_eq!(other.request(0).text(), r#"{"model":"m","input":["a"],"dimensions":2}"#);
    let reply = post(&gateway, path, b"{}").await.whole().await;
    assert_eq!((reply.status, &reply.json()["error"]["status"]), (400, &json!("INVALID_ARGUMENT")));
    assert_eq!(gateway.metric("", "sluis_requests_total", "endpoint=\"embeddings\"").await, 3.0);
}
