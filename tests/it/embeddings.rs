//! `POST /v1/embeddings`: encodings, digits, batches and failures (rule N1).

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::support::{
    Gateway, Reply, Script, Upstream,
    gateway::{anthropic, openai, provider},
    openai::error,
};

async fn embed(gateway: &Gateway, body: &Value) -> Reply {
    let headers = [("content-type", "application/json")];
    gateway.send("POST", "/v1/embeddings", &headers, body.to_string().as_bytes()).await.whole().await
}

/// An answer whose vectors tell the place of their text.
fn answer(embeddings: &[Value]) -> Value {
    let data: Vec<Value> = embeddings
        .iter()
        .enumerate()
        .map(|(index, embedding)| json!({"object": "embedding", "index": index, "embedding": embedding}))
        .collect();
    let tokens = data.len();
    json!({"object": "list", "data": data, "model": "m", "usage": {"prompt_tokens": tokens, "total_tokens": tokens}})
}

/// N1, S2, regression 66: what needs no change has none, digits and absent fields included.
#[tokio::test]
async fn bytes_go_through() {
    let odd = r#"{"object":"list","odd":1.0e2,"data":[{"object":"embedding","index":0,"embedding":[-0.023421520367264748]}],"model":"m","usage":{"prompt_tokens":3,"total_tokens":3}}"#;
    let upstream =
        Upstream::scripted([Script::body(200, &[("content-type", "application/json")], odd.as_bytes())]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    let body = json!({"input": ["a"], "model": "up/m", "new_field": {"x": 1}});
    let reply = embed(&gateway, &body).await;
    assert_eq!((reply.status, reply.text().as_str()), (200, odd));
    assert_eq!(reply.header("x-sluis-target"), Some("up/m"));
    let asked = upstream.request(0);
    assert_eq!(asked.path, "/v1/embeddings");
    assert_eq!(asked.json(), json!({"input": ["a"], "model": "m", "new_field": {"x": 1}}));
    assert!(gateway.metric("", "sluis_tokens_total", "endpoint=\"embeddings\"").await >= 3.0);
}

/// N1, regression 66: the answer is in the encoding asked for, whatever the upstream answers in.
#[tokio::test]
async fn the_answer_is_in_the_encoding_asked_for() {
    let floats = answer(&[json!([1.0, 2.0])]);
    let base64 = answer(&[json!("AACAPwAAAEA=")]);
    let scripts = [Script::json(200, &floats), Script::json(200, &base64), Script::json(200, &base64)];
    let upstream = Upstream::scripted(scripts).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    let ask = |format| json!({"input": "a", "model": "up/m", "encoding_format": format});
    let reply = embed(&gateway, &ask("base64")).await.json();
    let bytes = STANDARD.decode(reply["data"][0]["embedding"].as_str().unwrap()).unwrap();
    assert_eq!(bytes, [1.0f32.to_le_bytes(), 2.0f32.to_le_bytes()].concat());
    assert_eq!(reply["model"], "up/m");
    let reply = embed(&gateway, &ask("float")).await;
    assert_eq!(reply.json()["data"][0]["embedding"], json!([1, 2]));
    let reply = embed(&gateway, &ask("base64")).await;
    assert_eq!(reply.text(), base64.to_string(), "nothing to change");
}

/// N1: more inputs than one request may hold are sent in several and joined in order.
#[tokio::test]
async fn a_large_batch_is_split_and_joined() {
    let part = |from: u32, count: u32| {
        let vectors: Vec<Value> = (from..from + count).map(|place| json!([place])).collect();
        Script::json(200, &answer(&vectors))
    };
    let upstream = Upstream::scripted([part(0, 2048), part(2048, 2)]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    let texts: Vec<String> = (0..2050).map(|place| format!("text {place}")).collect();
    let reply = embed(&gateway, &json!({"input": texts, "model": "up/m"})).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let reply = reply.json();
    let sizes: Vec<usize> = (0..2).map(|at| upstream.request(at).json()["input"].as_array().unwrap().len()).collect();
    let mut sorted = sizes.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [2, 2048]);
    let data = reply["data"].as_array().unwrap();
    assert_eq!(data.len(), 2050);
    assert!(data.iter().enumerate().all(|(at, item)| item["index"] == at));
    assert_eq!(reply["usage"]["prompt_tokens"], 2050);
}

/// M1, M2, F1: failures are those of every other endpoint.
#[tokio::test]
async fn failures_keep_their_status() {
    let scripts = [
        Script::json(400, &error("too many tokens", "invalid_request_error", None)),
        Script::json(200, &json!({"error": {"message": "overloaded", "code": 503}})),
        Script::body(200, &[("content-type", "text/html")], b"<html>"),
        Script::json(200, &answer(&[json!([1]), json!([2])])),
    ];
    let upstream = Upstream::scripted(scripts).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    for (status, message) in [(400, "too many"), (503, "overloaded"), (502, ""), (502, "2 embeddings for 1")] {
        let reply = embed(&gateway, &json!({"input": "a", "model": "up/m"})).await;
        assert_eq!(reply.status, status, "{}", reply.text());
        assert!(reply.error()["message"].as_str().unwrap().contains(message), "{}", reply.text());
    }
    for (body, param) in [(json!({"model": "up/m"}), "input"), (json!({"model": "up/m", "input": []}), "input")] {
        let reply = embed(&gateway, &body).await;
        assert_eq!((reply.status, &reply.error()["param"]), (400, &json!(param)));
    }
}

/// F5: a target without embeddings is passed over; where it is the only one, it is said so.
#[tokio::test]
async fn a_target_without_embeddings_is_passed_over() {
    let without = Upstream::scripted([]).await;
    let with = Upstream::scripted([Script::json(200, &answer(&[json!([1])]))]).await;
    let names = "[models.both]\ntargets = [\"ant/m\", \"up/m\"]\n";
    let config = format!("{}{}{names}", anthropic(&without), provider("up", "openai-compatible", &with));
    let gateway = Gateway::start(&config).await;
    let reply = embed(&gateway, &json!({"input": "a", "model": "both"})).await;
    assert_eq!((reply.status, reply.header("x-sluis-target")), (200, Some("up/m")));
    let reply = embed(&gateway, &json!({"input": "a", "model": "ant/m"})).await;
    assert_eq!((reply.status, &reply.error()["code"]), (400, &json!("model_not_supported")));
}

/// I1: without a key there is a model to try a client with.
#[tokio::test]
async fn the_builtin_model_embeds() {
    let gateway = Gateway::start_bare(&[]).await;
    let reply =
        embed(&gateway, &json!({"input": ["a b", "a b", "c"], "model": "builtin/echo", "dimensions": 16})).await;
    let data = reply.json()["data"].clone();
    assert_eq!(data[0]["embedding"], data[1]["embedding"]);
    assert_ne!(data[0]["embedding"], data[2]["embedding"]);
    assert_eq!(data[0]["embedding"].as_array().unwrap().len(), 16);
}
