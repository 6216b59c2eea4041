//! `POST /v1/completions`, the legacy form: bytes through where the upstream has it, else a chat.

use serde_json::{Value, json};

use crate::support::{
    Gateway, Reply, Script, Upstream,
    anthropic::{self as ant, message_start, text},
    gateway::{anthropic, openai, provider},
    openai::{DONE, counts, error, event},
};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];
const CLAUDE: &str = "ant/claude-haiku-4-5";

async fn create(gateway: &Gateway, body: &Value) -> Reply {
    gateway.send("POST", "/v1/completions", &JSON, body.to_string().as_bytes()).await.whole().await
}

fn ask(model: &str, stream: bool) -> Value {
    json!({"model": model, "prompt": "Once upon", "stream": stream})
}

/// A chunk as OpenAI writes it.
fn chunk(text: &str, finish: Option<&str>) -> Value {
    json!({
        "id": "cmpl-up", "object": "text_completion", "created": 1_795_000_000, "model": "m-2026",
        "choices": [{"text": text, "index": 0, "logprobs": null, "finish_reason": finish}],
    })
}

fn usage() -> String {
    let mut chunk = chunk("", None);
    chunk["choices"] = json!([]);
    chunk["usage"] = counts(5, 2);
    event(&chunk)
}

/// S2, C1: the client's bytes reach an upstream that has the endpoint, and its bytes the client.
#[tokio::test]
async fn bytes_go_through() {
    let odd = r#"{ "id":"cmpl-1","object":"text_completion","odd":1.0e2,"choices":[{"text":" a","index":0,"logprobs":{"tokens":[" a"]},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}"#;
    let upstream =
        Upstream::scripted([Script::body(200, &JSON, odd.as_bytes()), Script::body(200, &JSON, odd.as_bytes())]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    let body = r#"{"prompt":[[1,2.0],[3]],"model":"up/m","suffix":"é","echo":true,"logprobs":3,"best_of":2,"new_field":{"x":1.0}}"#;
    let reply = gateway.send("POST", "/completions", &JSON, body.as_bytes()).await.whole().await;
    assert_eq!((reply.status, reply.text().as_str()), (200, odd));
    assert_eq!(reply.header("x-sluis-target"), Some("up/m"));
    let asked = upstream.request(0);
    assert_eq!((asked.path.as_str(), asked.text()), ("/v1/completions", body.replace("up/m", "m")));
    let pinned = r#"{"prompt":"p","model":"m"}"#;
    let reply = gateway.send("POST", "/up/v1/completions", &JSON, pinned.as_bytes()).await.whole().await;
    assert_eq!((reply.status, upstream.request(1).text()), (200, pinned.to_owned()));
    assert_eq!(gateway.metric("", "sluis_requests_total", "endpoint=\"completions\"").await, 2.0);
    assert_eq!(gateway.metric("", "sluis_tokens_total", "endpoint=\"completions\"").await, 8.0);
}

/// Of a chat the answer is a completion, its id included.
#[tokio::test]
async fn a_translated_answer_has_an_id_of_its_own_form() {
    let answer = ant::message(&json!([{"type": "text", "text": "there was"}]), "end_turn");
    let upstream = Upstream::scripted([Script::json(200, &answer)]).await;
    let gateway = Gateway::start(&anthropic(&upstream)).await;
    let answer = create(&gateway, &ask(CLAUDE, false)).await.json();
    assert!(answer["id"].as_str().unwrap().starts_with("cmpl-"), "{answer}");
}

/// S1, S2, S4: a stream passes as it is; the counts are asked for, and told only to who asked.
#[tokio::test]
async fn a_stream_goes_through() {
    let events = [event(&chunk("Once", None)), event(&chunk("", Some("length"))), usage(), DONE.into()];
    let script = || Script::sse().frames(&events).end();
    let upstream = Upstream::scripted([script(), script()]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    let reply = create(&gateway, &ask("up/m", true)).await;
    assert_eq!((reply.status, reply.text()), (200, [&events[..2], &events[3..]].concat().concat()));
    assert_eq!(upstream.request(0).json()["stream_options"], json!({"include_usage": true}));
    let mut asks = ask("up/m", true);
    asks["stream_options"] = json!({"include_usage": true});
    assert_eq!(create(&gateway, &asks).await.text(), events.concat());
}

/// E1, E2, M2: whatever breaks is an error, before the answer with its status, within it in band.
#[tokio::test]
async fn what_breaks_is_told() {
    let told = error("too busy", "server_error", None);
    let begun = event(&chunk("Once", None));
    let upstream = Upstream::scripted([
        Script::sse().frame(&begun).cut(),
        Script::sse().frame(&begun).end(),
        Script::sse().frame(&begun).frame(event(&told)).end(),
        Script::sse().frame(event(&told)).end(),
        Script::json(400, &error("no such suffix", "invalid_request_error", None)),
        Script::json(200, &json!({"choices": []})),
    ])
    .await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    for message in ["", "", "too busy"] {
        let text = create(&gateway, &ask("up/m", true)).await.text();
        let rest = text.strip_prefix(&begun).unwrap_or_else(|| panic!("{text}"));
        assert!(rest.starts_with("data: {\"error\":{\"message\":\"") && rest.ends_with(DONE), "{rest}");
        assert!(rest.contains(message) && !rest.contains("finish_reason"), "{rest}");
    }
    for (stream, status) in [(true, 502), (false, 400), (false, 502)] {
        assert_eq!(create(&gateway, &ask("up/m", stream)).await.status, status);
    }
}

/// An upstream without the endpoint is asked as a chat, and its text comes back, thinking left out.
#[tokio::test]
async fn elsewhere_it_is_a_chat() {
    let content =
        json!([{"type": "thinking", "thinking": "Hm.", "signature": "S"}, {"type": "text", "text": " a time"}]);
    let upstream = Upstream::scripted([
        Script::json(200, &ant::message(&content, "max_tokens")),
        Script::sse().frames(ant::says(" a time")).end(),
        Script::sse()
            .frames([vec![message_start(&json!({"input_tokens": 1, "output_tokens": 1}))], text(0, " a")].concat())
            .cut(),
    ])
    .await;
    let gateway = Gateway::start(&anthropic(&upstream)).await;
    let mut body = ask(CLAUDE, false);
    body["max_tokens"] = json!(9);
    body["stop"] = json!("END");
    let reply = create(&gateway, &body).await;
    let whole = reply.json();
    assert_eq!((reply.status, &whole["object"], &whole["model"]), (200, &json!("text_completion"), &json!(CLAUDE)));
    let choice = json!([{"text": " a time", "index": 0, "logprobs": null, "finish_reason": "length"}]);
    assert_eq!((&whole["choices"], whole["usage"]["total_tokens"].is_u64()), (&choice, true));
    let asked = upstream.request(0);
    let turn = &asked.json()["messages"][0];
    assert_eq!((asked.path.as_str(), &turn["role"]), ("/v1/messages", &json!("user")));
    assert!(turn.to_string().contains("Once upon"), "{turn}");
    assert_eq!((&asked.json()["max_tokens"], &asked.json()["stop_sequences"]), (&json!(9), &json!(["END"])));

    let mut body = ask(CLAUDE, true);
    body["stream_options"] = json!({"include_usage": true});
    let streamed = create(&gateway, &body).await.text();
    let chunks: Vec<Value> =
        streamed.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
    let said: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["text"].as_str()).collect();
    assert_eq!((said.as_str(), streamed.ends_with(DONE)), (" a time", true), "{streamed}");
    assert!(chunks.iter().all(|chunk| chunk["object"] == "text_completion"), "{streamed}");
    let [.., last, counts] = chunks.as_slice() else { panic!("{streamed}") };
    assert_eq!((&last["choices"][0]["finish_reason"], &counts["choices"]), (&json!("stop"), &json!([])));
    assert!(counts["usage"]["prompt_tokens"].is_u64(), "{counts}");

    // E1: what breaks there is told here.
    let broken = create(&gateway, &ask(CLAUDE, true)).await.text();
    assert!(broken.contains("\"code\":\"upstream_stream_interrupted\"") && broken.ends_with(DONE), "{broken}");
}

/// M1: what no chat can say is refused by name, and reaches nobody.
#[tokio::test]
async fn what_a_chat_cannot_say_is_refused() {
    let upstream = Upstream::scripted([]).await;
    let gateway = Gateway::start(&anthropic(&upstream)).await;
    for (field, value) in [
        ("suffix", json!("x")),
        ("echo", json!(true)),
        ("logprobs", json!(1)),
        ("n", json!(2)),
        ("best_of", json!(3)),
        ("prompt", json!(["a", "b"])),
        ("prompt", json!([1, 2])),
    ] {
        let mut body = ask(CLAUDE, false);
        body[field] = value;
        let reply = create(&gateway, &body).await;
        assert_eq!((reply.status, &reply.json()["error"]["param"]), (400, &json!(field)));
    }
    assert_eq!(upstream.count(), 0);
}

/// OpenAI's last models of prompts are reached by clients of prompts only; its others are chats.
#[tokio::test]
async fn openais_models_of_prompts() {
    let whole = json!({"choices": [{"text": "x", "index": 0, "logprobs": null, "finish_reason": "stop"}], "object": "text_completion"});
    let chat = crate::support::openai::completion("y");
    let upstream = Upstream::scripted([Script::json(200, &whole), Script::json(200, &chat)]).await;
    let gateway = Gateway::start(&provider("openai", "openai", &upstream)).await;
    assert_eq!(create(&gateway, &ask("openai/davinci-002", false)).await.text(), whole.to_string());
    assert_eq!(create(&gateway, &ask("openai/gpt-5-mini", false)).await.json()["choices"][0]["text"], "y");
    assert_eq!(upstream.request(1).path, "/v1/chat/completions");
    let reply = gateway.ask(&crate::support::openai::ask("openai/davinci-002", false)).await;
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!("model_not_supported")));
}

/// The built-in model answers, without a key or a network.
#[tokio::test]
async fn the_built_in_model_answers() {
    let gateway = Gateway::start("").await;
    let reply = create(&gateway, &ask("builtin/echo", false)).await;
    assert!(reply.json()["choices"][0]["text"].as_str().unwrap().contains("Once upon"), "{}", reply.text());
    let streamed = create(&gateway, &ask("builtin/echo", true)).await.text();
    assert!(streamed.contains("\"object\":\"text_completion\"") && streamed.ends_with(DONE), "{streamed}");
}
