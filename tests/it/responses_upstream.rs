//! OpenAI's chat clients on a model that is reached through Responses: the translation through the
//! whole gateway, and when it is chosen.

use serde_json::{Value, json};

use crate::support::{
    Gateway, Reply, Script, Upstream,
    gateway::provider,
    openai::{self, ask, completion},
    responses::{call, completed, created, failed, item, message, reasoning, response, says, text},
};

/// Knows no chat completions.
const PRO: &str = "oai/gpt-5-pro";
/// Refuses tools in chat completions.
const SOL: &str = "oai/gpt-6.1-sol";

async fn gateway(upstream: &Upstream) -> Gateway {
    Gateway::start(&format!("[retry]\nattempts = 1\n{}", provider("oai", "openai", upstream))).await
}

fn stream(events: Vec<String>) -> Script {
    Script::sse().frames(events).end()
}

fn weather() -> Value {
    json!([{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}])
}

/// R5, case 74: the client writes and reads chat completions, the upstream Responses.
#[tokio::test]
async fn a_chat_client_never_notices() {
    let upstream = Upstream::scripted([Script::json(200, &response("completed", &json!([message("hi")])))]).await;
    let asked = json!({"model": PRO, "reasoning_effort": "high", "max_tokens": 50, "seed": 1,
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"}]});
    let reply = gateway(&upstream).await.ask(&asked).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("x-sluis-dropped"), Some("seed"));
    let answer = reply.json();
    assert_eq!((&answer["object"], &answer["model"]), (&json!("chat.completion"), &json!(PRO)));
    assert_eq!(answer["choices"][0]["message"]["content"], "hi");
    assert_eq!((&answer["choices"][0]["finish_reason"], &answer["usage"]["total_tokens"]), (&json!("stop"), &json!(7)));
    let request = upstream.request(0);
    assert_eq!((request.path.as_str(), request.header("authorization")), ("/v1/responses", Some("Bearer sk-oai")));
    let body = request.json();
    assert_eq!((&body["model"], &body["store"]), (&json!("gpt-5-pro"), &json!(false)));
    assert_eq!((&body["reasoning"]["effort"], &body["max_output_tokens"]), (&json!("high"), &json!(50)));
    assert_eq!(body["input"][1], json!({"role": "user", "content": "hello"}));
}

/// Which dialect a request goes out in hangs on the model, and with some models on the request.
#[tokio::test]
async fn the_request_decides_where_the_model_does_not() {
    let pass = || Script::json(200, &completion("hi"));
    let translate = || Script::json(200, &response("completed", &json!([message("hi")])));
    let upstream = Upstream::scripted([pass(), translate(), pass(), translate(), pass()]).await;
    let gateway = gateway(&upstream).await;
    for (model, tools, effort, path) in [
        (SOL, false, None, "/v1/chat/completions"),
        (SOL, true, Some("none"), "/v1/responses"),
        ("oai/gpt-5.5", true, Some("none"), "/v1/chat/completions"),
        ("oai/gpt-5.5", true, None, "/v1/responses"),
        ("oai/gpt-5-mini", true, Some("low"), "/v1/chat/completions"),
    ] {
        let mut asked = ask(model, false);
        if tools {
            asked["tools"] = weather();
        }
        if let Some(effort) = effort {
            asked["reasoning_effort"] = effort.into();
        }
        let reply = gateway.ask(&asked).await;
        assert_eq!(reply.json()["choices"][0]["message"]["content"], "hi", "{asked}");
        assert_eq!(upstream.request(upstream.exchanges().len() - 1).path, path, "{asked}");
    }
}

/// S1, S5, T2: text and calls as chunks, usage last.
#[tokio::test]
async fn a_stream_becomes_chunks() {
    let mut events = vec![created(), text(0, "Let me "), text(0, "see.")];
    events.extend(item(1, &call("call_1", "weather", "{\"city\":\"Oslo\"}")));
    events.push(completed(&json!([message("Let me see."), call("call_1", "weather", "{\"city\":\"Oslo\"}")])));
    let upstream = Upstream::scripted([stream(events)]).await;
    let mut asked = ask(SOL, true);
    asked["tools"] = weather();
    asked["stream_options"] = json!({"include_usage": true});
    let reply = gateway(&upstream).await.ask(&asked).await;
    assert_eq!(reply.content(), "Let me see.");
    let chunks = reply.chunks();
    let calls: Vec<&Value> = chunks.iter().filter_map(|chunk| chunk.pointer("/choices/0/delta/tool_calls/0")).collect();
    assert_eq!((&calls[0]["id"], &calls[0]["index"], calls.len()), (&json!("call_1"), &json!(0), 2));
    assert_eq!(calls[1]["function"]["arguments"], "{\"city\":\"Oslo\"}");
    let last = chunks.last().unwrap();
    assert_eq!((&last["choices"], &last["usage"]["total_tokens"]), (&json!([]), &json!(7)));
    assert!(chunks.iter().any(|chunk| chunk.pointer("/choices/0/finish_reason") == Some(&json!("tool_calls"))));
    assert_eq!(upstream.request(0).json()["stream"], true);
}

/// R1: encrypted reasoning returns in its place, though the client kept only id, name and arguments.
#[tokio::test]
async fn encrypted_reasoning_is_put_back() {
    for is_stream in [false, true] {
        let output = [reasoning("gAAAA"), call("call_1", "weather", "{}")];
        let first =
            if is_stream { stream(says(&output)) } else { Script::json(200, &response("completed", &json!(output))) };
        let second = Script::json(200, &response("completed", &json!([message("sunny")])));
        let upstream = Upstream::scripted([first, second]).await;
        let gateway = gateway(&upstream).await;
        let mut asked = ask(SOL, is_stream);
        asked["tools"] = weather();
        assert_eq!(gateway.ask(&asked).await.status, 200);
        let called = json!({"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}});
        asked["stream"] = false.into();
        asked["messages"] = json!([
            {"role": "user", "content": "hello"},
            {"role": "assistant", "content": null, "tool_calls": [called]},
            {"role": "tool", "tool_call_id": "call_1", "content": "sun"},
        ]);
        let reply = gateway.ask(&asked).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let input = upstream.request(1).json()["input"].clone();
        assert_eq!(input[1], reasoning("gAAAA"), "{input}");
        assert_eq!((&input[2]["type"], &input[2]["call_id"]), (&json!("function_call"), &json!("call_1")));
        assert_eq!(input[3], json!({"type": "function_call_output", "call_id": "call_1", "output": "sun"}));
    }
}

/// E2: a failure before anything was said has its status, one after it is an error frame and no
/// finish.
#[tokio::test]
async fn failures_keep_their_words() {
    let late = vec![created(), text(0, "Half"), failed("server_error", "Something broke.")];
    let upstream = Upstream::scripted([stream(vec![failed("rate_limit_exceeded", "Slow down.")]), stream(late)]).await;
    let gateway = gateway(&upstream).await;
    let early = gateway.ask(&ask(PRO, true)).await;
    assert_eq!(early.status, 429, "{}", early.text());
    let error = &early.json()["error"];
    assert_eq!((&error["message"], &error["code"]), (&json!("Slow down."), &json!("rate_limit_exceeded")));
    let late = gateway.ask(&ask(PRO, true)).await;
    assert_eq!(late.status, 200);
    assert!(late.text().contains("Something broke.") && late.text().contains("Half"), "{}", late.text());
    assert!(!late.text().contains("\"finish_reason\":\"stop\""), "{}", late.text());
}

/// E1: a stream without its terminal event was cut.
#[tokio::test]
async fn a_cut_stream_is_an_error() {
    let upstream = Upstream::scripted([stream(vec![created(), text(0, "Half")])]).await;
    let reply = gateway(&upstream).await.ask(&ask(PRO, true)).await;
    assert!(reply.text().contains("upstream_stream_interrupted"), "{}", reply.text());
    assert!(reply.text().ends_with(openai::DONE));
}

/// Design section 6.2: what the dialect has no place for is refused by name.
#[tokio::test]
async fn what_has_no_place_is_refused() {
    let upstream = Upstream::scripted([]).await;
    let mut asked = ask(PRO, false);
    asked["stop"] = "x".into();
    let reply = gateway(&upstream).await.ask(&asked).await;
    assert_eq!((reply.status, &reply.json()["error"]["param"]), (400, &json!("stop")));
}

// === clients of Anthropic's dialect ===

async fn create(gateway: &Gateway, body: &Value) -> Reply {
    let headers = [("content-type", "application/json"), ("anthropic-version", "2023-06-01")];
    gateway.send("POST", "/v1/messages", &headers, body.to_string().as_bytes()).await.whole().await
}

/// E3, case 10: a failure after 200 is an error event, never a turn that ended well.
#[tokio::test]
async fn a_messages_client_hears_of_failures() {
    let failing = vec![created(), failed("server_error", "Something broke.")];
    let upstream = Upstream::scripted([stream(failing)]).await;
    let asked = json!({"model": PRO, "max_tokens": 64, "stream": true,
        "messages": [{"role": "user", "content": "hello"}]});
    let reply = create(&gateway(&upstream).await, &asked).await;
    assert!(reply.text().contains("event: error\n") && reply.text().contains("Something broke."), "{}", reply.text());
    assert!(!reply.text().contains("end_turn") && !reply.text().contains("message_delta"), "{}", reply.text());
}

/// R1: encrypted reasoning travels through a Messages client as the signature of its thinking.
#[tokio::test]
async fn a_messages_client_carries_encrypted_reasoning() {
    let output = json!([reasoning("gAAAA"), call("call_1", "weather", "{\"city\":\"Oslo\"}")]);
    let first = Script::json(200, &response("completed", &output));
    let second = Script::json(200, &response("completed", &json!([message("sunny")])));
    let upstream = Upstream::scripted([first, second]).await;
    let gateway = gateway(&upstream).await;
    let tool = json!({"name": "weather", "input_schema": {"type": "object"}});
    let mut asked = json!({"model": SOL, "max_tokens": 64, "tools": [tool],
        "messages": [{"role": "user", "content": "hello"}]});
    let answer = create(&gateway, &asked).await.json();
    assert_eq!((&answer["stop_reason"], &answer["content"][1]["type"]), (&json!("tool_use"), &json!("tool_use")));
    let result = json!([{"type": "tool_result", "tool_use_id": answer["content"][1]["id"], "content": "sun"}]);
    asked["messages"] = json!([
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": answer["content"]},
        {"role": "user", "content": result},
    ]);
    let reply = create(&gateway, &asked).await;
    assert_eq!(reply.json()["content"][0]["text"], "sunny", "{}", reply.text());
    let input = upstream.request(1).json()["input"].clone();
    assert_eq!((&input[1], &input[2]["type"]), (&reasoning("gAAAA"), &json!("function_call")), "{input}");
    assert_eq!(input[3], json!({"type": "function_call_output", "call_id": "call_1", "output": "sun"}));
}
