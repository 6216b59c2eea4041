//! OpenAI's clients on a Cohere upstream: the translation through the whole gateway.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Gateway, Script, Upstream, gateway::provider, openai::ask};

const MODEL: &str = "cohere/command-a-03-2025";

async fn gateway(upstream: &Upstream) -> Gateway {
    Gateway::start(&format!("[retry]\nattempts = 1\n{}", provider("cohere", "cohere", upstream))).await
}

/// An event of a stream (docs.cohere.com, "Streaming", read November 2026).
fn event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap())
}

fn start() -> String {
    event(&json!({"type": "message-start", "id": "c-1", "delta": {"message": {"role": "assistant"}}}))
}

fn text(text: &str) -> String {
    event(&json!({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": text}}}}))
}

fn end(reason: &str) -> String {
    let usage = json!({"billed_units": {"input_tokens": 1, "output_tokens": 2}, "tokens": {"input_tokens": 5.0, "output_tokens": 2.0}});
    event(&json!({"type": "message-end", "delta": {"finish_reason": reason, "usage": usage}}))
}

/// S9: text comes through, however the bytes are cut, and the counts at the end.
#[tokio::test]
async fn text_streams() {
    let script = Script::sse().slowly(start() + &text("H\u{e9}llo ") + &text("\u{1F30D}") + &end("COMPLETE")).end();
    let upstream = Upstream::scripted([script]).await;
    let gateway = gateway(&upstream).await;
    let mut asked = ask(MODEL, true);
    asked["stream_options"] = json!({"include_usage": true});
    asked["safety_mode"] = "STRICT".into();
    let reply = gateway.ask(&asked).await;
    assert_eq!((reply.status, reply.content().as_str()), (200, "H\u{e9}llo \u{1F30D}"));
    assert_eq!(reply.chunks().last().unwrap()["usage"]["total_tokens"], 7);
    let request = upstream.request(0);
    assert_eq!((request.path.as_str(), request.header("authorization")), ("/v2/chat", Some("Bearer sk-cohere")));
    let body = request.json();
    assert_eq!((&body["model"], &body["safety_mode"]), (&json!("command-a-03-2025"), &json!("STRICT")));
}

/// T1, T2, T6, T7: parallel calls with a plan, a name that has to be mapped, and the turn after.
#[tokio::test]
async fn tool_calls_are_made_whole() {
    let asked_tool = json!({"type": "function", "function": {"name": "get.weather", "parameters": {"type": "object"}}});
    let upstream = Upstream::scripted([]).await;
    let gateway = gateway(&upstream).await;
    let mut asked = ask(MODEL, false);
    asked["tools"] = json!([asked_tool]);
    asked["tool_choice"] = "required".into();
    let hello =
        json!({"id": "c", "finish_reason": "COMPLETE", "message": {"content": [{"type": "text", "text": "hi"}]}});
    upstream.push(Script::json(200, &hello));
    assert_eq!(gateway.ask(&asked).await.status, 200);
    let sent = upstream.request(0).json();
    let wire = sent["tools"][0]["function"]["name"].clone();
    assert_eq!(sent["tool_choice"], "REQUIRED");

    let call = |kind: &str, index: u64, function: Value| {
        event(&json!({"type": format!("tool-call-{kind}"), "index": index, "delta": {"message": {"tool_calls":
            {"id": format!("w_{index}"), "type": "function", "function": function}}}}))
    };
    let plan = event(&json!({"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I look."}}}));
    let begin = |index| call("start", index, json!({"name": wire, "arguments": ""}));
    let piece = |index, text: &str| call("delta", index, json!({ "arguments": text }));
    let done = |index: u64| event(&json!({"type": "tool-call-end", "index": index}));
    let frames = [
        start(),
        plan,
        begin(0),
        piece(0, "{\"city\":"),
        piece(0, "\"Oslo\"}"),
        done(0),
        begin(1),
        done(1),
        end("TOOL_CALL"),
    ];
    upstream.push(Script::sse().frames(frames).end());
    asked["stream"] = true.into();
    let chunks = gateway.ask(&asked).await.chunks();
    let pieces: Vec<&Value> =
        chunks.iter().filter_map(|chunk| chunk.pointer("/choices/0/delta/tool_calls")?.as_array()).flatten().collect();
    let of = |index: u64, path: &str| -> String {
        let own = pieces.iter().filter(|piece| piece["index"] == index);
        own.filter_map(|piece| piece.pointer(path)?.as_str()).collect()
    };
    for (index, arguments) in [(0, "{\"city\":\"Oslo\"}"), (1, "{}")] {
        assert_eq!(
            (of(index, "/function/name"), of(index, "/function/arguments")),
            ("get.weather".into(), arguments.into())
        );
        assert_eq!(of(index, "/id"), format!("w_{index}"));
    }
    assert!(chunks.iter().any(|chunk| chunk.pointer("/choices/0/delta/reasoning_content") == Some(&json!("I look."))));
    assert!(chunks.iter().any(|chunk| chunk.pointer("/choices/0/finish_reason") == Some(&json!("tool_calls"))));
}

/// E2, M1: errors before the first word have their status, whether the head said so or an event.
#[tokio::test]
async fn errors_before_the_answer_keep_their_status() {
    let failed = event(&json!({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "no capacity"}}));
    let whole = json!({"id": "c", "finish_reason": "ERROR", "message": {"content": []}});
    let upstream = Upstream::scripted([
        Script::json(400, &json!({"message": "too many tokens: 9"})),
        Script::json(401, &json!({"message": "invalid api token"})),
        Script::sse().frame(failed).end(),
        Script::json(200, &whole),
        Script::sse().end(),
    ])
    .await;
    let gateway = gateway(&upstream).await;
    for (stream, status, code) in [
        (false, 400, "context_length_exceeded"),
        (true, 502, "upstream_credentials"),
        (true, 500, "server_error"),
        (false, 500, "server_error"),
        (true, 502, "bad_upstream_response"),
    ] {
        let reply = gateway.ask(&ask(MODEL, stream)).await;
        assert_eq!((reply.status, &reply.error()["code"]), (status, &json!(code)), "{}", reply.text());
    }
}

/// E1, E2, case 6: what breaks in mid-stream is an error after what came, and never an end.
#[tokio::test]
async fn errors_in_mid_stream_are_told() {
    let begun = || Script::sse().frames([start(), text("Hel")]);
    let failed =
        event(&json!({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "generation failed"}}));
    let upstream = Upstream::scripted([begun().frame(failed).end(), begun().end(), begun().cut()]).await;
    let gateway = gateway(&upstream).await;
    for code in ["server_error", "upstream_stream_interrupted", "upstream_stream_interrupted"] {
        let reply = gateway.ask(&ask(MODEL, true)).await;
        assert_eq!(reply.status, 200);
        let chunks = reply.chunks();
        assert_eq!(chunks.last().unwrap()["error"]["code"], code, "{}", reply.text());
        assert!(chunks.iter().all(|chunk| chunk.pointer("/choices/0/finish_reason").is_none_or(Value::is_null)));
    }
}

/// D1, case 11: a client that leaves takes the upstream along.
#[tokio::test]
async fn leaving_aborts_the_upstream() {
    let upstream = Upstream::scripted([Script::sse().frames([start(), text("Hel")]).hang(), Script::silent()]).await;
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
