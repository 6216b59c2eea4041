//! Anthropic's clients, on upstreams of their own dialect and of OpenAI's.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    Client, Gateway, Reply, Script, Upstream,
    anthropic::{self as ant, delta, end, error, event, message_start, start, stop, text, tool},
    gateway::{anthropic, openai, provider},
    messages_lifecycle::judge,
    openai::{self as chat, c, chunk, completion, finish, role},
};

const CLAUDE: &str = "ant/claude-haiku-4-5";
const OTHER: &str = "up/m";
/// The rule says 100 ms; the rest is what a crowded machine may add.
const SOON: Duration = Duration::from_secs(5);

fn ask(model: &str, stream: bool) -> Value {
    json!({"model": model, "max_tokens": 64, "stream": stream, "messages": [{"role": "user", "content": "hello"}]})
}

async fn send(gateway: &Gateway, headers: &[(&str, &str)], body: &Value) -> Client {
    let mut all = vec![("content-type", "application/json"), ("anthropic-version", "2023-06-01")];
    all.extend_from_slice(headers);
    gateway.send("POST", "/v1/messages?beta=true", &all, body.to_string().as_bytes()).await
}

async fn create(gateway: &Gateway, body: &Value) -> Reply {
    send(gateway, &[], body).await.whole().await
}

/// Reads a stream that must be whole and without an error, and returns its message.
fn message(stream: &str) -> Value {
    let told = judge(stream).unwrap_or_else(|why| panic!("{why}\n{stream}"));
    assert!(told.complete && told.error.is_none(), "{stream}");
    told.message
}

/// The whole configuration: both upstreams, one try each.
fn both(claude: &Upstream, other: &Upstream) -> String {
    format!("{}{}", anthropic(claude), provider("up", "openai-compatible", other))
}

// === the same dialect on both sides ===

/// S2, P2: what the vendor says reaches its clients byte for byte, what they do not know included.
#[tokio::test]
async fn the_vendors_bytes_pass() {
    let mut events = ant::says("Hi");
    events.insert(1, event(&json!({"type": "ping"})));
    events.insert(2, event(&json!({"type": "new_event", "x": 1})));
    let whole = r#"{ "id":"msg_up","type":"message","content":[{"type":"new","n":1.0e2}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":2}}"#;
    let upstream = Upstream::scripted([
        Script::sse().frames(&events).end(),
        Script::body(200, &[("content-type", "application/json"), ("request-id", "req_up")], whole.as_bytes()),
    ])
    .await;
    let gateway = Gateway::start(&anthropic(&upstream)).await;
    let reply = create(&gateway, &ask(CLAUDE, true)).await;
    assert_eq!((reply.status, reply.text()), (200, events.concat()));
    assert_eq!(reply.header("x-request-id"), reply.header("request-id"));
    let reply = create(&gateway, &ask(CLAUDE, false)).await;
    assert_eq!((reply.status, reply.text()), (200, whole.to_owned()));
    assert_eq!(reply.header("x-upstream-request-id"), Some("req_up"));
}

/// C1, P2, A3, A5: a request's bytes pass but for the model and what the vendor would refuse; its
/// version and flags travel, the SDK's noise does not, and nothing is added.
#[tokio::test]
async fn a_clients_bytes_pass() {
    let answer = ant::message(&json!([{"type": "text", "text": "hi"}]), "end_turn");
    let upstream = Upstream::scripted([Script::json(200, &answer), Script::json(200, &answer)]).await;
    let gateway = Gateway::start(&anthropic(&upstream)).await;
    let body = r#"{"new_field":1.0,"messages":[{"role":"assistant","content":[{"type":"text","text":""},{"type":"text","text":"a"}]},{"content":"é","role":"user"}],"model":"ant/claude-haiku-4-5","max_tokens":9}"#;
    let headers = [
        ("content-type", "application/json"),
        ("anthropic-version", "2026-10-21"),
        ("anthropic-beta", "context-1m-2025-08-07, new-flag"),
        ("x-stainless-lang", "python"),
        ("x-api-key", "mine"),
    ];
    let reply = gateway.send("POST", "/v1/messages?beta=true", &headers, body.as_bytes()).await.whole().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let request = upstream.request(0);
    assert_eq!(request.path, "/v1/messages");
    let expected = body.replace(r#"{"type":"text","text":""},"#, "").replace("ant/claude", "claude");
    assert_eq!(request.text(), expected);
    assert_eq!(request.header("anthropic-version"), Some("2026-10-21"));
    assert_eq!(request.header("anthropic-beta"), Some("context-1m-2025-08-07, new-flag"));
    assert_eq!((request.header("x-api-key"), request.header("x-stainless-lang")), (Some("sk-ant"), None));
    create(&gateway, &ask(CLAUDE, false)).await;
    assert_eq!(upstream.request(1).header("anthropic-beta"), None, "none is added");
}

/// C2, regression 41: the counts in the log are the last ones, not the sum.
#[tokio::test]
async fn the_last_counts_are_the_calls() {
    let usage = |output: u64| json!({"input_tokens": 9, "cache_read_input_tokens": 1, "output_tokens": output});
    let events = [vec![message_start(&usage(1))], text(0, "Hi"), end("end_turn", &usage(16))].concat();
    let upstream = Upstream::scripted([Script::sse().frames(events).end()]).await;
    let gateway = Gateway::start(&anthropic(&upstream)).await;
    create(&gateway, &ask(CLAUDE, true)).await;
    for (kind, count) in [("prompt", 10.0), ("cached", 1.0), ("output", 16.0)] {
        let labels = format!("kind=\"{kind}\"");
        assert_eq!(gateway.metric("", "sluis_tokens_total", &labels).await, count, "{kind}");
    }
    assert_eq!(gateway.metric("", "sluis_requests_total", "endpoint=\"messages\"").await, 1.0);
}

/// R1, regression 34: a turn of thinking and calls comes back to the vendor as it said it.
#[tokio::test]
async fn a_thinking_loop_is_replayed_whole() {
    let content = json!([
        {"type": "thinking", "thinking": "Hm.", "signature": "S1=="},
        {"type": "redacted_thinking", "data": "D1"},
        {"type": "thinking", "thinking": "", "signature": "S2"},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1.0}},
    ]);
    let answer = ant::message(&content, "tool_use");
    let upstream = Upstream::scripted([Script::json(200, &answer), Script::json(200, &answer)]).await;
    let gateway = Gateway::start(&anthropic(&upstream)).await;
    let told = create(&gateway, &ask(CLAUDE, false)).await.json();
    let mut replay = ask(CLAUDE, false);
    replay["messages"] = json!([
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": told["content"]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "x"}]},
    ]);
    create(&gateway, &replay).await;
    assert_eq!(upstream.request(1).json()["messages"][1]["content"], content);
}

/// E1, E2, E3: whatever breaks a stream of the vendor's, its client gets an error event and no end.
#[tokio::test]
async fn a_broken_stream_ends_in_an_error() {
    let begun = || [vec![message_start(&json!({"input_tokens": 1, "output_tokens": 1}))], text(0, "Hi")].concat();
    let overloaded = event(&error("overloaded_error", "Overloaded"));
    let upstream = Upstream::scripted([
        Script::sse().frames(begun()).cut(),
        Script::sse().frames(begun()).end(),
        Script::sse().frames(begun()).frame(&overloaded).end(),
        Script::sse().frame(&overloaded).end(),
    ])
    .await;
    let gateway = Gateway::start(&anthropic(&upstream)).await;
    for kind in ["api_error", "api_error", "overloaded_error"] {
        let reply = create(&gateway, &ask(CLAUDE, true)).await;
        let told = judge(&reply.text()).unwrap();
        assert_eq!((reply.status, told.complete), (200, false));
        assert_eq!(told.error.unwrap()["type"], kind);
        assert!(!told.events.contains(&"message_delta".to_owned()));
    }
    let reply = create(&gateway, &ask(CLAUDE, true)).await;
    assert_eq!((reply.status, &reply.json()["error"]["type"]), (529, &json!("overloaded_error")));
}

/// M1, M3, regression 63: each of the vendor's errors has its status and type, and its words.
#[tokio::test]
async fn errors_keep_status_and_words() {
    let cases = [
        (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", 400),
        (401, "authentication_error", "invalid x-api-key", 502),
        (403, "permission_error", "No.", 502),
        (404, "not_found_error", "model: foo", 404),
        (413, "request_too_large", "Too large.", 413),
        (429, "rate_limit_error", "Slow down.", 429),
        (500, "api_error", "Internal server error", 500),
        (529, "overloaded_error", "Overloaded", 529),
    ];
    let upstream =
        Upstream::scripted(cases.iter().map(|(status, kind, words, _)| Script::json(*status, &error(kind, words))))
            .await;
    let gateway = Gateway::start(&anthropic(&upstream)).await;
    for (_, kind, words, expected) in cases {
        let reply = create(&gateway, &ask(CLAUDE, false)).await;
        let body = reply.json();
        let kind = if expected == 502 { "api_error" } else { kind };
        assert_eq!((reply.status, &body["type"], &body["error"]["type"]), (expected, &json!("error"), &json!(kind)));
        assert!(body["error"]["message"].as_str().unwrap().contains(words), "{body}");
        assert_eq!(body["request_id"].as_str(), reply.header("request-id"));
    }
}

// === translated ===

/// A1, T2, T8: reasoning, text and parallel calls of a chat upstream become blocks, one at a time.
#[tokio::test]
async fn a_chat_stream_becomes_blocks() {
    let piece = |index: u64, id: Option<&str>, json: &str| {
        let mut function = json!({"arguments": json});
        let mut call = json!({"index": index});
        if let Some(id) = id {
            function["name"] = "f".into();
            call["id"] = id.into();
            call["type"] = "function".into();
        }
        call["function"] = function;
        chat::event(&chunk(&json!({"tool_calls": [call]}), None))
    };
    let reasons = chat::event(&chunk(&json!({"reasoning_content": "Hm."}), None));
    let frames = [
        role(),
        reasons,
        c("Let me"),
        c(" see"),
        piece(0, Some("call_a"), "{\"x\":"),
        piece(1, Some("call_b"), "{\"y\""),
        piece(0, None, "1}"),
        piece(1, None, ":2}"),
        finish("tool_calls"),
        chat::usage(10, 4),
        chat::DONE.into(),
    ];
    let upstream = Upstream::scripted([Script::sse().frames(frames).end()]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    let reply = create(&gateway, &ask(OTHER, true)).await;
    let message = message(&reply.text());
    assert_eq!(message["model"], OTHER);
    assert_eq!(
        message["content"],
        json!([
            {"type": "thinking", "thinking": "Hm.", "signature": "sluis:unsigned"},
            {"type": "text", "text": "Let me see"},
            {"type": "tool_use", "id": "call_a", "name": "f", "input": {"x": 1}, "caller": {"type": "direct"}},
            {"type": "tool_use", "id": "call_b", "name": "f", "input": {"y": 2}, "caller": {"type": "direct"}},
        ])
    );
    assert_eq!((&message["stop_reason"], &message["usage"]["output_tokens"]), (&json!("tool_use"), &json!(4)));
    assert_eq!(message["usage"]["input_tokens"], 10, "C4");
}

/// An answer has an id of the form that its client's dialect has, whatever form its upstream's had; the
/// upstream's own where the bytes pass.
#[tokio::test]
async fn an_answer_has_an_id_of_its_clients_form() {
    let claude = Upstream::scripted([
        Script::json(200, &ant::message(&json!([{"type": "text", "text": "hi"}]), "end_turn")),
        Script::sse().frames(ant::says("Hi")).end(),
        Script::json(200, &ant::message(&json!([{"type": "text", "text": "hi"}]), "end_turn")),
    ])
    .await;
    let other = Upstream::scripted([
        Script::json(200, &completion("hi")),
        Script::sse().frames(chat::says("Hi")).end(),
        Script::json(200, &completion("hi")),
    ])
    .await;
    let gateway = Gateway::start(&both(&claude, &other)).await;
    for (path, model, form, is_theirs) in [
        ("/v1/messages", OTHER, "msg_", false),
        ("/v1/chat/completions", CLAUDE, "chatcmpl-", false),
        ("/v1/messages", CLAUDE, "msg_", true),
        ("/v1/chat/completions", OTHER, "chatcmpl-", true),
    ] {
        for stream in [false, true].into_iter().take(if is_theirs { 1 } else { 2 }) {
            let reply = gateway.send_json("k", "POST", path, &ask(model, stream)).await.whole().await;
            let text = reply.text();
            let start = text.split(&format!("\"id\":\"{form}")).nth(1).unwrap_or_else(|| panic!("{text}"));
            let id = start.split('"').next().unwrap();
            assert_eq!(id == "up", is_theirs, "{text}");
            // One id for all that is told of an answer; the call's own, so that the log knows it.
            assert_eq!(text.matches(&format!("\"id\":\"{form}{id}\"")).count(), text.matches("\"id\":").count());
            let call = reply.header("x-request-id").unwrap().replace('-', "");
            assert!(is_theirs || id == call, "{id} {call}");
        }
    }
}

/// C4: clients see how large the prompt is from the start.
#[tokio::test]
async fn the_start_tells_an_estimate() {
    let upstream = Upstream::scripted([Script::sse().frames(chat::says("Hi")).end()]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    let mut body = ask(OTHER, true);
    body["system"] = "word ".repeat(1000).into();
    let text = create(&gateway, &body).await.text();
    let first: Value =
        text.lines().nth(1).and_then(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).unwrap();
    assert!(first["message"]["usage"]["input_tokens"].as_u64().unwrap() > 1000, "{first}");
    assert_eq!(message(&text)["usage"]["input_tokens"], 5);
}

/// T3, T4: a tool loop on a chat upstream, and reasoning that nobody there asks back for.
#[tokio::test]
async fn a_tool_loop_is_translated() {
    let upstream = Upstream::scripted([Script::json(200, &completion("done"))]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    let body = json!({"model": OTHER, "max_tokens": 64, "system": "S", "mcp_servers": [{"name": "m"}],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
        "messages": [
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "sluis:unsigned"},
                {"type": "tool_use", "id": "a", "name": "f", "input": {"z": 1.0, "b": 2}},
                {"type": "tool_use", "id": "b", "name": "f", "input": {}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "A"}]},
                {"type": "tool_result", "tool_use_id": "b", "content": "bad", "is_error": true},
                {"type": "text", "text": "so?"}]}]});
    let reply = create(&gateway, &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.json()["content"], json!([{"type": "text", "text": "done"}]));
    assert!(reply.header("x-sluis-dropped").unwrap().contains("mcp_servers"));
    let sent = upstream.request(0).json();
    let messages = sent["messages"].as_array().unwrap();
    let roles: Vec<&str> = messages.iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool", "tool", "user"]);
    assert_eq!(messages[2]["tool_calls"][0]["function"]["arguments"], r#"{"z":1.0,"b":2}"#);
    assert!(messages[2].get("thinking_blocks").is_none(), "{}", messages[2]);
    assert_eq!((&messages[3]["tool_call_id"], &messages[4]["content"]), (&json!("a"), &json!("Error: bad")));
    assert_eq!((&sent["tool_choice"], &sent["parallel_tool_calls"]), (&json!("required"), &json!(false)));
}

/// E1, E3, regression 10: a chat upstream that fails, at once or later, is never an empty answer.
#[tokio::test]
async fn a_failing_chat_upstream_is_an_error() {
    let failed = chat::event(&chat::error("The engine died.", "server_error", None));
    let overflow = chat::error(
        "This model's maximum context length is 8192 tokens.",
        "invalid_request_error",
        Some("context_length_exceeded"),
    );
    let upstream = Upstream::scripted([
        Script::sse().frames([role(), c("Hi")]).frame(&failed).end(),
        Script::sse().frames([role(), c("Hi")]).cut(),
        Script::sse().frame(&failed).end(),
        Script::json(400, &overflow),
    ])
    .await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    for _ in 0..2 {
        let reply = create(&gateway, &ask(OTHER, true)).await;
        let told = judge(&reply.text()).unwrap();
        assert!(told.error.is_some() && !told.complete, "{}", reply.text());
        assert!(!reply.text().contains("end_turn"), "{}", reply.text());
    }
    let reply = create(&gateway, &ask(OTHER, true)).await;
    assert!(reply.status >= 500 && reply.json()["error"]["message"] == "The engine died.", "{}", reply.text());
    let reply = create(&gateway, &ask(OTHER, true)).await;
    let body = reply.json();
    assert_eq!((reply.status, &body["error"]["type"]), (400, &json!("invalid_request_error")));
    assert!(body["error"]["message"].as_str().unwrap().starts_with("prompt is too long"), "M3: {body}");
}

/// S6, S7: a silent upstream is bridged with pings, before the message and within it, and the
/// stream stays valid.
#[tokio::test]
async fn silence_is_bridged_with_pings() {
    let pause = Duration::from_millis(400);
    let [first, rest] = [chat::says("Hi")[..2].to_vec(), chat::says("Hi")[2..].to_vec()];
    let chat_script = Script::sse().wait(pause).frames(first).wait(pause).frames(rest).end();
    let other = Upstream::scripted([chat_script]).await;
    let claude = Upstream::scripted([Script::sse().wait(pause).frames(ant::says("Hi")).end()]).await;
    let gateway = Gateway::start(&format!("{}[keep-alive]\ninterval = \"100ms\"\n", both(&claude, &other))).await;
    for model in [OTHER, CLAUDE] {
        let reply = create(&gateway, &ask(model, true)).await;
        let told = judge(&reply.text()).unwrap();
        assert!(told.pings >= 2 && told.complete, "{}", reply.text());
        assert_eq!(told.message["content"][0]["text"], "Hi");
    }
}

/// D1, D2, regressions 11 and 12: a client that leaves, at any time, takes its upstream along.
#[tokio::test]
async fn a_client_that_leaves_aborts_the_upstream() {
    let begun = [vec![message_start(&json!({"input_tokens": 1, "output_tokens": 1}))], text(0, "hello")].concat();
    let claude = Upstream::scripted([Script::sse().frames(begun).hang(), Script::silent(), Script::silent()]).await;
    let other = Upstream::scripted([Script::sse().frames([role(), c("hello")]).hang(), Script::silent()]).await;
    let gateway = Gateway::start(&both(&claude, &other)).await;
    for (upstream, model, stream, seen) in [
        (&claude, CLAUDE, true, Some("hello")),
        (&claude, CLAUDE, true, None),
        (&claude, CLAUDE, false, None),
        (&other, OTHER, true, Some("hello")),
        (&other, OTHER, false, None),
    ] {
        let index = upstream.count();
        let mut client = send(&gateway, &[], &ask(model, stream)).await;
        upstream.asked(index).await;
        if let Some(seen) = seen {
            client.answer().await.until(seen).await;
        }
        let left = Instant::now();
        drop(client);
        let noticed = upstream.closed(index).await.duration_since(left);
        assert!(noticed < SOON, "{model} {stream}: {noticed:?}");
    }
    assert_eq!(gateway.metric("", "sluis_requests_total", "outcome=\"failed\"").await, 0.0);
}

/// F6: a fallback over dialects: the vendor is down, another model answers.
#[tokio::test]
async fn another_dialect_can_be_the_fallback() {
    let claude = Upstream::scripted([Script::json(529, &error("overloaded_error", "Overloaded"))]).await;
    let other = Upstream::scripted([Script::sse().frames(chat::says("Hi")).end()]).await;
    let config = format!("{}[models.m]\ntargets = [\"{CLAUDE}\", \"{OTHER}\"]\n", both(&claude, &other));
    let gateway = Gateway::start(&config).await;
    let reply = create(&gateway, &ask("m", true)).await;
    assert_eq!(message(&reply.text())["content"][0]["text"], "Hi");
    assert_eq!(reply.header("x-sluis-target"), Some(OTHER));
}

/// R1: another model's reasoning is no proof to the vendor, and is not sent to it.
#[tokio::test]
async fn a_conversation_may_move_to_the_vendor() {
    let answer = ant::message(&json!([{"type": "text", "text": "hi"}]), "end_turn");
    let upstream = Upstream::scripted([Script::json(200, &answer)]).await;
    let gateway = Gateway::start(&anthropic(&upstream)).await;
    let mut body = ask(CLAUDE, false);
    body["messages"] = json!([
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "sluis:unsigned"}, {"type": "text", "text": "a"}]},
        {"role": "user", "content": "and?"}]);
    create(&gateway, &body).await;
    assert_eq!(upstream.request(0).json()["messages"][1]["content"], json!([{"type": "text", "text": "a"}]));
}

// === the endpoint ===

/// Design section 4: the three forms of the path, and errors of every kind in Anthropic's form.
#[tokio::test]
async fn paths_and_refusals_are_anthropics() {
    let config = "[keys.ci]\nsecret = \"sk-ci-0123456789abcdef\"\nmodels = [\"builtin/*\"]\n";
    let gateway = Gateway::start(config).await;
    let post = async |path: &str, headers: &[(&str, &str)], body: &str| {
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        gateway.send("POST", path, &all, body.as_bytes()).await.whole().await
    };
    let body = ask("builtin/echo", false).to_string();
    for (path, key) in [
        ("/v1/messages", ("x-api-key", "sk-ci-0123456789abcdef")),
        ("/messages?beta=true", ("authorization", "Bearer sk-ci-0123456789abcdef")),
        ("/builtin/v1/messages", ("x-sluis-key", "sk-ci-0123456789abcdef")),
    ] {
        let reply = post(path, &[key], &body).await;
        assert_eq!((reply.status, &reply.json()["role"]), (200, &json!("assistant")), "{}", reply.text());
    }
    let key = ("x-api-key", "sk-ci-0123456789abcdef");
    let sampled = body.replace("\"stream\"", "\"temperature\":1,\"stream\"");
    for (path, headers, body, status, kind) in [
        ("/v1/messages", &[][..], body.as_str(), 401, "authentication_error"),
        ("/v1/messages", &[("x-api-key", "no")], &body, 401, "authentication_error"),
        ("/v1/messages", &[key], "{", 400, "invalid_request_error"),
        ("/v1/messages", &[key], r#"{"messages":[{}]}"#, 400, "invalid_request_error"),
        ("/v1/messages", &[key], &body.replace("echo", "none"), 404, "not_found_error"),
        ("/v1/messages", &[key, ("anthropic-version", "2026-10-21")], &sampled, 400, "invalid_request_error"),
        ("/v1/messages/batches", &[key], &body, 404, "not_found_error"),
        ("/nobody/v1/messages", &[key], &body, 404, "not_found_error"),
    ] {
        let reply = post(path, headers, body).await;
        let told = reply.json();
        assert_eq!(
            (reply.status, &told["type"], &told["error"]["type"]),
            (status, &json!("error"), &json!(kind)),
            "{path} {body}"
        );
        assert_eq!(told["request_id"].as_str(), reply.header("request-id"), "{path}");
    }
    let wrong = gateway.send("GET", "/v1/messages", &[key], b"").await.whole().await;
    assert_eq!((wrong.status, &wrong.json()["type"]), (405, &json!("error")));
}

/// A2, regression 71: the vendor counts where it can, in its own bytes.
#[tokio::test]
async fn the_vendor_counts_its_own_prompts() {
    let counted = Script::body(200, &[("content-type", "application/json")], br#"{ "input_tokens":123 }"#);
    let gemini_counts = Script::json(200, &json!({"totalTokens": 77}));
    let claude = Upstream::scripted([counted, Script::json(404, &error("not_found_error", "model: x"))]).await;
    let gemini = Upstream::scripted([gemini_counts]).await;
    let gateway = Gateway::start(&format!("{}{}", anthropic(&claude), provider("g", "gemini", &gemini))).await;
    let count = async |model: &str| {
        let headers =
            [("content-type", "application/json"), ("anthropic-version", "2026-10-21"), ("anthropic-beta", "b")];
        let body =
            json!({"model": model, "system": "S", "messages": [{"role": "user", "content": "hello"}]}).to_string();
        gateway.send("POST", "/v1/messages/count_tokens?beta=true", &headers, body.as_bytes()).await.whole().await
    };
    let reply = count(CLAUDE).await;
    assert_eq!((reply.status, reply.text().as_str()), (200, r#"{ "input_tokens":123 }"#));
    assert_eq!(reply.header("x-sluis-estimate"), None);
    let asked = claude.request(0);
    assert_eq!((asked.path.as_str(), asked.header("anthropic-beta")), ("/v1/messages/count_tokens", Some("b")));
    assert_eq!(asked.json()["model"], "claude-haiku-4-5");
    assert_eq!(count(CLAUDE).await.status, 404);
    let reply = count("g/gemini-3-flash").await;
    assert_eq!((reply.status, reply.json()), (200, json!({"input_tokens": 77})), "{}", reply.text());
    let asked = gemini.request(0);
    assert!(asked.path.ends_with("models/gemini-3-flash:countTokens"), "{}", asked.path);
    assert_eq!(asked.json()["generateContentRequest"]["model"], "models/gemini-3-flash");
    assert!(asked.text().contains("hello"), "{}", asked.text());
}

/// A2, regression 71: elsewhere a marked guess, of instructions and tools as well; nobody is asked.
#[tokio::test]
async fn other_prompts_are_guessed() {
    let upstream = Upstream::scripted([]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    let count = async |body: &Value| {
        let headers = [("content-type", "application/json")];
        gateway.send("POST", "/v1/messages/count_tokens", &headers, body.to_string().as_bytes()).await.whole().await
    };
    let mut body = json!({"model": OTHER, "messages": [{"role": "user", "content": "hello"}]});
    let reply = count(&body).await;
    assert_eq!((reply.status, reply.header("x-sluis-estimate")), (200, Some("true")), "{}", reply.text());
    let tokens = |reply: &Reply| reply.json()["input_tokens"].as_u64().unwrap();
    let bare = tokens(&reply);
    body["system"] = "word ".repeat(1000).into();
    let with_system = tokens(&count(&body).await);
    body["tools"] = json!([{"name": "f", "input_schema": {"type": "object", "description": "word ".repeat(1000)}}]);
    let with_tools = tokens(&count(&body).await);
    assert!(with_system > bare + 1000 && with_tools > with_system + 1000, "{bare} {with_system} {with_tools}");
    assert_eq!(upstream.count(), 0);
    body["model"] = "none".into();
    let reply = count(&body).await;
    assert_eq!((reply.status, &reply.json()["error"]["type"]), (404, &json!("not_found_error")));
}

/// A4, regression 73: the client's own token goes up untouched, with no key of ours beside it; what
/// the vendor says of it is the client's to hear.
#[tokio::test]
async fn a_clients_own_token_passes() {
    let answer = ant::message(&json!([{"type": "text", "text": "hi"}]), "end_turn");
    let refusal = error("authentication_error", "OAuth token has expired.");
    let upstream = Upstream::scripted([Script::json(200, &answer), Script::json(401, &refusal)]).await;
    let base = upstream.url("/v1");
    let config = format!(
        "[keys.ci]\nsecret = \"sk-ci-0123456789abcdef\"\n[providers.ant]\ntype = \"anthropic\"\n\
         base-url = \"{base}\"\ncredentials = \"client\"\n"
    );
    let gateway = Gateway::start(&config).await;
    let headers = [("x-sluis-key", "sk-ci-0123456789abcdef"), ("authorization", "Bearer sk-ant-oat-X")];
    let reply = send(&gateway, &headers, &ask(CLAUDE, false)).await.whole().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let request = upstream.request(0);
    assert_eq!(request.header("authorization"), Some("Bearer sk-ant-oat-X"));
    assert_eq!((request.header("x-api-key"), request.header("x-sluis-key")), (None, None));
    let reply = send(&gateway, &headers, &ask(CLAUDE, false)).await.whole().await;
    assert_eq!((reply.status, &reply.json()["error"]["type"]), (401, &json!("authentication_error")));
}

/// The list of models in the form of whoever asks.
#[tokio::test]
async fn models_are_listed_in_both_forms() {
    let gateway = Gateway::start("").await;
    let version = [("anthropic-version", "2023-06-01")];
    let list = gateway.send("GET", "/v1/models?limit=1000", &version, b"").await.whole().await.json();
    assert_eq!((&list["data"][0]["type"], &list["has_more"]), (&json!("model"), &json!(false)), "{list}");
    assert_eq!(list["data"][0]["id"], list["first_id"]);
    let one = gateway.send("GET", "/v1/models/builtin/echo", &version, b"").await.whole().await.json();
    assert_eq!(
        (&one["type"], &one["id"], &one["lifecycle"]),
        (&json!("model"), &json!("builtin/echo"), &json!("active"))
    );
    let missing = gateway.send("GET", "/v1/models/none", &version, b"").await.whole().await;
    assert_eq!((missing.status, &missing.json()["error"]["type"]), (404, &json!("not_found_error")));
    assert_eq!(gateway.get("/v1/models").await.json()["object"], "list");
}

/// A3: signed thinking with nothing shown, as newer models stream it, passes.
#[tokio::test]
async fn omitted_thinking_passes() {
    let thinking = [
        start(0, &json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, &json!({"type": "signature_delta", "signature": "S1"})),
        stop(0),
    ];
    let counts = json!({"input_tokens": 1, "output_tokens": 1});
    let events = [
        vec![message_start(&counts)],
        thinking.to_vec(),
        tool(1, "toolu_1", "f", &["", "{}"]),
        end("tool_use", &counts),
    ];
    let upstream = Upstream::scripted([Script::sse().frames(events.concat()).end()]).await;
    let gateway = Gateway::start(&anthropic(&upstream)).await;
    let told = message(&create(&gateway, &ask(CLAUDE, true)).await.text());
    assert_eq!(told["content"][0], json!({"type": "thinking", "thinking": "", "signature": "S1"}));
}

/// What is lost or refused is named as the client wrote it, whatever it is called where it has no place.
#[tokio::test]
async fn losses_have_the_names_that_the_client_wrote() {
    let answer = || Script::json(200, &ant::message(&json!([{"type": "text", "text": "hi"}]), "end_turn"));
    let claude = Upstream::scripted([answer()]).await;
    let other = Upstream::scripted([Script::json(200, &completion("hi"))]).await;
    let gateway = Gateway::start(&both(&claude, &other)).await;
    let body = json!({"model": CLAUDE, "text": {"verbosity": "low"}, "store": false,
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"},
            {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "low"}]}]});
    let reply = gateway.send_json("k", "POST", "/v1/responses", &body).await.whole().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("x-sluis-dropped"), Some("input[].content[].detail,text.verbosity"));
    let metric = gateway.metric("", "sluis_dropped_fields_total", "field=\"verbosity\"").await;
    assert_eq!(metric, 1.0, "counted under one name, whoever wrote it");
    let body = json!({"model": OTHER, "input": "hi", "store": false, "include": ["next.month"]});
    let reply = gateway.send_json("k", "POST", "/v1/responses", &body).await.whole().await;
    assert_eq!((reply.status, reply.header("x-sluis-dropped")), (200, Some("include[]")), "{}", reply.text());
    let mut warms = ask(OTHER, false);
    warms["max_tokens"] = 0.into();
    let reply = create(&gateway, &warms).await;
    assert!(reply.status == 400 && reply.text().contains("`max_tokens`: 0"), "{}", reply.text());
    let file = json!({"type": "input_file", "file_url": "https://example.com/a.pdf"});
    let body = json!({"model": OTHER, "store": false, "input": [{"role": "user", "content": [file]}]});
    let reply = gateway.send_json("k", "POST", "/v1/responses", &body).await.whole().await;
    assert_eq!((reply.status, reply.error()["param"].clone()), (400, json!("input[].content")));
    let mut strict = ask(OTHER, false);
    strict["n"] = 2.into();
    strict["container"] = "c".into();
    let reply = send(&gateway, &[("x-sluis-strict", "true")], &strict).await.whole().await;
    assert!(reply.status == 400 && reply.text().contains("`container`"), "{}", reply.text());
}
