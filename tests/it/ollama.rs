//! OpenAI's clients on an Ollama upstream: JSON lines through the whole gateway. The provider's
//! address ends in `/v1`, as configurations for the server's OpenAI layer have it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Gateway, Script, Upstream, gateway::provider, openai::ask};

const MODEL: &str = "ollama/qwen3:4b";

async fn gateway(upstream: &Upstream) -> Gateway {
    Gateway::start(&format!("[retry]\nattempts = 1\n{}", provider("ollama", "ollama", upstream))).await
}

/// A line of an answer (docs of ollama/ollama, "Chat", read November 2026).
fn line(message: &Value) -> String {
    json!({"model": "qwen3:4b", "created_at": "2026-08-21T10:00:00.1Z", "message": message, "done": false}).to_string()
        + "\n"
}

fn says(text: &str) -> String {
    line(&json!({"role": "assistant", "content": text}))
}

fn done() -> String {
    json!({"model": "qwen3:4b", "created_at": "2026-08-21T10:00:00.2Z", "message": {"role": "assistant", "content": ""},
        "done": true, "done_reason": "stop", "prompt_eval_count": 5, "eval_count": 2})
    .to_string()
        + "\n"
}

/// S9: text and thinking come through, however the bytes are cut, and the counts at the end.
#[tokio::test]
async fn text_and_thinking_stream() {
    let thought = line(&json!({"role": "assistant", "content": "", "thinking": "Hm"}));
    let script = Script::ndjson().slowly(thought + &says("H\u{e9}llo \u{1F30D}") + &done()).end();
    let upstream = Upstream::scripted([script]).await;
    let gateway = gateway(&upstream).await;
    let mut asked = ask(MODEL, true);
    asked["stream_options"] = json!({"include_usage": true});
    asked["reasoning_effort"] = "low".into();
    asked["num_ctx"] = 8192.into();
    let reply = gateway.ask(&asked).await;
    assert_eq!((reply.status, reply.content().as_str()), (200, "H\u{e9}llo \u{1F30D}"));
    let chunks = reply.chunks();
    assert!(chunks.iter().any(|chunk| chunk.pointer("/choices/0/delta/reasoning_content") == Some(&json!("Hm"))));
    assert_eq!(chunks.last().unwrap()["usage"]["total_tokens"], 7);
    let request = upstream.request(0);
    assert_eq!((request.path.as_str(), request.header("authorization")), ("/api/chat", Some("Bearer sk-ollama")));
    let body = request.json();
    assert_eq!((&body["model"], &body["stream"], &body["think"]), (&json!("qwen3:4b"), &json!(true), &json!("low")));
    assert_eq!(body["options"], json!({"num_ctx": 8192}));
}

/// S5, case 5: each line reaches the client when it came.
#[tokio::test]
async fn lines_are_not_gathered() {
    let pause = Duration::from_millis(100);
    let script = (0..8).fold(Script::ndjson(), |script, n| script.frame(says(&n.to_string())).wait(pause));
    let upstream = Upstream::scripted([script.frame(done()).end()]).await;
    let gateway = gateway(&upstream).await;
    let mut client = gateway.chat(&ask(MODEL, true)).await;
    let mut answer = client.answer().await;
    let first = answer.until("\"0\"").await;
    let last = answer.until("\"7\"").await;
    assert!(last - first >= pause * 6, "{:?}", last - first);
    answer.whole().await;
}

/// T1, T2, T3: whole calls with objects for arguments, without ids, streamed and not.
#[tokio::test]
async fn tool_calls_are_made_whole() {
    let call = |city: &str| json!({"function": {"name": "weather", "arguments": {"city": city}}});
    let message = json!({"role": "assistant", "content": "", "tool_calls": [call("Oslo"), call("Rome")]});
    let whole = json!({"model": "m", "created_at": "t", "message": message, "done": true, "done_reason": "stop"});
    let upstream =
        Upstream::scripted([Script::ndjson().frame(line(&message)).frame(done()).end(), Script::json(200, &whole)])
            .await;
    let gateway = gateway(&upstream).await;
    let mut asked = ask(MODEL, true);
    asked["tools"] = json!([{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]);
    let chunks = gateway.ask(&asked).await.chunks();
    let pieces: Vec<&Value> =
        chunks.iter().filter_map(|chunk| chunk.pointer("/choices/0/delta/tool_calls")?.as_array()).flatten().collect();
    let of = |index: u64, path: &str| -> String {
        let own = pieces.iter().filter(|piece| piece["index"] == index);
        own.filter_map(|piece| piece.pointer(path)?.as_str()).collect()
    };
    assert_eq!(
        (of(0, "/function/arguments"), of(1, "/function/arguments")),
        ("{\"city\":\"Oslo\"}".into(), "{\"city\":\"Rome\"}".into())
    );
    assert!(of(0, "/id").starts_with("call_") && of(0, "/id") != of(1, "/id"));
    asked["stream"] = false.into();
    let answer = gateway.ask(&asked).await.json();
    let choice = &answer["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["tool_calls"][1]["function"]["arguments"], "{\"city\":\"Rome\"}");
    // The client's next turn: objects again, and the tool by its name.
    let id = &choice["message"]["tool_calls"][0]["id"];
    upstream.push(Script::json(200, &whole));
    asked["messages"] = json!([{"role": "user", "content": "?"}, choice["message"],
        {"role": "tool", "tool_call_id": id, "content": "cold"}]);
    assert_eq!(gateway.ask(&asked).await.status, 200);
    let body = upstream.request(2).json();
    assert_eq!(body["messages"][1]["tool_calls"][0]["function"]["arguments"], json!({"city": "Oslo"}));
    assert_eq!(body["messages"][2]["tool_name"], "weather");
}

/// E2, M1: errors before the first word have their status, whether the head said so or a line.
#[tokio::test]
async fn errors_before_the_answer_keep_their_status() {
    let missing = Script::json(404, &json!({"error": "model 'qwen3:4b' not found"}));
    let crashed = Script::ndjson().frame("{\"error\":\"model runner has unexpectedly stopped\"}\n").end();
    let whole = Script::json(200, &json!({"error": "model runner has unexpectedly stopped"}));
    let empty = Script::ndjson().end();
    let upstream = Upstream::scripted([missing, crashed, whole, empty]).await;
    let gateway = gateway(&upstream).await;
    for (stream, status, says) in [
        (true, 404, "not found"),
        (true, 500, "unexpectedly"),
        (false, 500, "unexpectedly"),
        (true, 502, "without a single"),
    ] {
        let reply = gateway.ask(&ask(MODEL, stream)).await;
        assert_eq!(reply.status, status, "{}", reply.text());
        assert!(reply.error()["message"].as_str().unwrap().contains(says), "{}", reply.text());
    }
}

/// E1, E2, case 6: what breaks in mid-stream is an error after what came, and never an end.
#[tokio::test]
async fn errors_in_mid_stream_are_told() {
    let begun = || Script::ndjson().frame(says("Hel"));
    let error = begun().frame("{\"error\":\"CUDA error\"}\n").end();
    let upstream = Upstream::scripted([error, begun().end(), begun().cut()]).await;
    let gateway = gateway(&upstream).await;
    for code in ["server_error", "upstream_stream_interrupted", "upstream_stream_interrupted"] {
        let reply = gateway.ask(&ask(MODEL, true)).await;
        assert_eq!(reply.status, 200);
        let chunks = reply.chunks();
        let error = &chunks.last().unwrap()["error"];
        assert_eq!(error["code"], code, "{}", reply.text());
        assert!(chunks.iter().all(|chunk| chunk.pointer("/choices/0/finish_reason").is_none_or(Value::is_null)));
        assert_eq!(chunks.first().unwrap()["object"], "chat.completion.chunk");
    }
}

/// D1, case 11: a client that leaves stops the model.
#[tokio::test]
async fn leaving_aborts_the_upstream() {
    let upstream = Upstream::scripted([Script::ndjson().frame(says("Hel")).hang(), Script::silent()]).await;
    let gateway = gateway(&upstream).await;
    for (index, seen) in [Some("Hel"), None].into_iter().enumerate() {
        let mut client = gateway.chat(&ask(MODEL, true)).await;
        upstream.asked(index).await;
        if let Some(seen) = seen {
            client.answer().await.until(seen).await;
        }
        let left = Instant::now();
        drop(client);
        assert!(upstream.closed(index).await.duration_since(left) < Duration::from_secs(5));
    }
}

/// N2, T6: what the server cannot do is refused by name and reaches it not.
#[tokio::test]
async fn what_cannot_be_carried_is_refused() {
    let upstream = Upstream::scripted([]).await;
    let gateway = gateway(&upstream).await;
    let image = json!([{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]);
    let tool = json!([{"type": "function", "function": {"name": "f"}}]);
    for (asked, param) in [
        (json!({"model": MODEL, "messages": [{"role": "user", "content": image}]}), "messages[].content[].image_url"),
        (
            json!({"model": MODEL, "tools": tool, "tool_choice": "required", "messages": [{"role": "user", "content": "?"}]}),
            "tool_choice",
        ),
    ] {
        let reply = gateway.ask(&asked).await;
        assert_eq!((reply.status, &reply.error()["param"]), (400, &json!(param)), "{}", reply.text());
    }
}

/// A server that answers a stream request at once, as it does when it only loads a model.
#[tokio::test]
async fn a_load_is_an_empty_answer() {
    let load = json!({"model": "m", "created_at": "t", "message": {"role": "assistant", "content": ""},
        "done": true, "done_reason": "load"});
    let upstream = Upstream::scripted([Script::json(200, &load)]).await;
    let gateway = gateway(&upstream).await;
    let reply = gateway.ask(&ask(MODEL, true)).await;
    assert_eq!((reply.status, reply.content().as_str()), (200, ""));
    assert_eq!(reply.chunks().last().unwrap().pointer("/choices/0/finish_reason"), Some(&json!("stop")));
}
