//! What a model made and its client has no words for: told by name, in the head where that has not gone out, and
//! in the call's log line and a metric always.

use serde_json::{Value, json};

use crate::support::{
    Gateway, Reply, Script, Upstream,
    gateway::provider,
    gemini,
    openai::{DONE, chunk, completion, event, finish},
    responses::{self, message, response},
    until,
};

const PNG: &str = "iVBORw0KGgo=";

fn asked(path: &str, model: &str, stream: bool) -> Value {
    match path {
        "/v1/responses" => json!({"model": model, "input": "draw", "stream": stream, "store": false}),
        "/v1/completions" => json!({"model": model, "prompt": "draw", "stream": stream}),
        _ => json!({"model": model, "max_tokens": 64, "stream": stream,
            "messages": [{"role": "user", "content": "draw"}]}),
    }
}

async fn ask(gateway: &Gateway, path: &str, model: &str, stream: bool) -> Reply {
    let reply = gateway.send_json("k", "POST", path, &asked(path, model, stream)).await.whole().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply
}

/// An image in a chat's answer, as OpenRouter and others write it.
fn drawn() -> Value {
    let mut whole = completion("Here.");
    whole["choices"][0]["message"]["images"] =
        json!([{"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{PNG}")}}]);
    whole
}

fn drawn_in_pieces() -> Vec<String> {
    let images =
        json!([{"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{PNG}")}, "index": 0}]);
    vec![
        event(&chunk(&json!({"role": "assistant", "content": "Here."}), None)),
        event(&chunk(&json!({ "images": images }), None)),
        finish("stop"),
        DONE.into(),
    ]
}

/// Anthropic's clients and those of the legacy completions have no images in answers; the others show them.
#[tokio::test]
async fn an_image_is_shown_or_named() {
    for (path, shows) in [("/v1/messages", false), ("/v1/completions", false), ("/v1/responses", true)] {
        let upstream =
            Upstream::scripted([Script::json(200, &drawn()), Script::sse().frames(drawn_in_pieces()).end()]).await;
        // Groq has no completions, and its Responses pass as they are.
        let kind = if path == "/v1/completions" { "mistral" } else { "cerebras" };
        let gateway = Gateway::start(&provider("up", kind, &upstream)).await;
        for stream in [false, true] {
            let reply = ask(&gateway, path, "up/m", stream).await;
            let text = reply.text();
            assert!(text.contains("Here."), "{text}");
            assert_eq!(text.contains(PNG), shows, "{path} {text}");
            let told = reply.header("x-sluis-dropped") == Some("answer.images");
            assert_eq!(told, !shows && !stream, "a stream's head has gone out before: {path}");
        }
        let count = if shows { 0.0 } else { 2.0 };
        assert_eq!(gateway.metric("", "sluis_dropped_fields_total", "field=\"answer.images\"").await, count, "{path}");
        if !shows {
            let is_logged = || gateway.log().matches("lost=\"answer.images\"").count() == 2;
            until("both lines", async || is_logged().then_some(())).await;
        }
    }
}

/// Gemini's image models, for Anthropic's clients.
#[tokio::test]
async fn geminis_image_is_named() {
    let parts = json!([{"text": "Here."}, {"inlineData": {"mimeType": "image/png", "data": PNG}}]);
    let upstream = Upstream::scripted([Script::json(200, &gemini::answer(&parts, "STOP"))]).await;
    let gateway = Gateway::start(&provider("gem", "gemini", &upstream)).await;
    let reply = ask(&gateway, "/v1/messages", "gem/gemini-3-flash", false).await;
    assert_eq!(reply.header("x-sluis-dropped"), Some("answer.images"));
    assert_eq!(reply.json()["content"], json!([{"type": "text", "text": "Here."}]));
}

/// An image that OpenAI's own tool made reaches the clients of a chat, and is named to Anthropic's.
#[tokio::test]
async fn an_image_of_responses_is_shown_or_named() {
    let drawn = json!({"id": "ig_1", "type": "image_generation_call", "status": "completed", "result": PNG,
        "output_format": "webp"});
    let whole = response("completed", &json!([drawn, message("Here.")]));
    let upstream = Upstream::scripted([
        Script::json(200, &whole),
        Script::json(200, &whole),
        Script::sse().frames(responses::says(&[drawn, message("Here.")])).end(),
    ])
    .await;
    let gateway = Gateway::start(&provider("oai", "openai", &upstream)).await;
    let reply = ask(&gateway, "/v1/messages", "oai/gpt-5-pro", false).await;
    assert_eq!(reply.header("x-sluis-dropped"), Some("answer.images"));
    let url = format!("data:image/webp;base64,{PNG}");
    let reply = ask(&gateway, "/v1/chat/completions", "oai/gpt-5-pro", false).await;
    let message = reply.json()["choices"][0]["message"].clone();
    assert_eq!((&message["content"], &message["images"][0]["image_url"]["url"]), (&json!("Here."), &json!(url)));
    let reply = ask(&gateway, "/v1/chat/completions", "oai/gpt-5-pro", true).await;
    assert_eq!(reply.text().matches(&url).count(), 1, "{}", reply.text());
}

/// No dialect but OpenAI's chat has a voice, and there the bytes pass: elsewhere the words of it are shown, and the
/// sound is named.
#[tokio::test]
async fn a_voice_is_named_and_its_words_are_shown() {
    let audio = json!({"id": "audio_1", "data": "UklGRg==", "expires_at": 1_795_000_000, "transcript": "Aye."});
    let mut whole = completion("");
    whole["choices"][0]["message"]["content"] = Value::Null;
    whole["choices"][0]["message"]["audio"] = audio;
    let piece = |delta: Value| event(&chunk(&json!({ "audio": delta }), None));
    let pieces = [
        piece(json!({"id": "audio_1", "transcript": "A"})),
        piece(json!({"transcript": "ye."})),
        piece(json!({"data": "UklGRg=="})),
        finish("stop"),
        DONE.into(),
    ];
    for path in ["/v1/messages", "/v1/responses"] {
        let upstream = Upstream::scripted([Script::json(200, &whole), Script::sse().frames(&pieces).end()]).await;
        let gateway = Gateway::start(&provider("up", "cerebras", &upstream)).await;
        let reply = ask(&gateway, path, "up/m", false).await;
        assert_eq!(reply.header("x-sluis-dropped"), Some("answer.audio"), "{path}");
        assert!(reply.text().contains("\"Aye.\""), "{}", reply.text());
        let reply = ask(&gateway, path, "up/m", true).await;
        assert!(reply.text().contains("\"ye.\"") && !reply.text().contains("UklGRg"), "{}", reply.text());
        assert_eq!(gateway.metric("", "sluis_dropped_fields_total", "field=\"answer.audio\"").await, 2.0, "{path}");
    }
    let upstream = Upstream::scripted([Script::json(200, &whole)]).await;
    let gateway = Gateway::start(&provider("up", "cerebras", &upstream)).await;
    let reply = ask(&gateway, "/v1/chat/completions", "up/m", false).await;
    assert_eq!(
        (reply.json()["choices"][0]["message"]["audio"]["data"].clone(), reply.header("x-sluis-dropped")),
        (json!("UklGRg=="), None)
    );

    let parts = json!([{"text": "Aye."}, {"inlineData": {"mimeType": "audio/L16", "data": "AA=="}}]);
    let upstream = Upstream::scripted([Script::json(200, &gemini::answer(&parts, "STOP"))]).await;
    let gateway = Gateway::start(&provider("gem", "gemini", &upstream)).await;
    let reply = ask(&gateway, "/v1/chat/completions", "gem/gemini-3-flash", false).await;
    assert_eq!(reply.header("x-sluis-dropped"), Some("answer.audio"));
}
