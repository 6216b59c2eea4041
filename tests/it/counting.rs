//! How many tokens a prompt has: asked of whoever would answer it, where it counts (rule A2).

use serde_json::{Value, json};

use crate::support::{Gateway, Reply, Script, Upstream, gateway::provider, openai::error, responses::response};

/// One try each, so that a script says all that is asked.
async fn gateway(upstream: &Upstream) -> Gateway {
    Gateway::start(&format!("[retry]\nattempts = 1\n{}", provider("oai", "openai", upstream))).await
}

async fn ask(gateway: &Gateway, path: &str, body: &Value) -> Reply {
    gateway.send_json("k", "POST", path, body).await.whole().await
}

fn counted(tokens: u64) -> Script {
    Script::json(200, &json!({"object": "response.input_tokens", "input_tokens": tokens}))
}

/// OpenAI counts, for its own clients and for Anthropic's, and is told nothing but the prompt.
#[tokio::test]
async fn openai_counts_for_every_client() {
    let upstream = Upstream::scripted([counted(11), counted(12)]).await;
    let gateway = gateway(&upstream).await;
    let body = json!({"model": "oai/gpt-5-mini", "input": "hello", "instructions": "brief", "max_output_tokens": 20,
        "metadata": {"a": "b"}, "store": false});
    let reply = ask(&gateway, "/v1/responses/input_tokens", &body).await;
    assert_eq!((reply.status, reply.json()), (200, json!({"object": "response.input_tokens", "input_tokens": 11})));
    assert_eq!(reply.header("x-sluis-estimate"), None);
    let asked = upstream.request(0);
    assert_eq!(asked.path, "/v1/responses/input_tokens");
    assert_eq!(asked.json(), json!({"model": "gpt-5-mini", "input": "hello", "instructions": "brief"}));

    let body = json!({"model": "oai/gpt-5-mini", "system": "brief", "messages": [{"role": "user", "content": "hello"}],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}]});
    let reply = ask(&gateway, "/v1/messages/count_tokens", &body).await;
    assert_eq!((reply.status, reply.json()), (200, json!({"input_tokens": 12})));
    let asked = upstream.request(1);
    assert_eq!((asked.path.as_str(), &asked.json()["tools"][0]["name"]), ("/v1/responses/input_tokens", &json!("f")));
    assert!(asked.json().get("store").is_none(), "{}", asked.json());
}

/// What it keeps itself is counted by it, under its own id.
#[tokio::test]
async fn what_an_upstream_keeps_is_counted_there() {
    let upstream = Upstream::scripted([Script::json(200, &response("completed", &json!([]))), counted(40)]).await;
    let gateway = gateway(&upstream).await;
    let first = ask(&gateway, "/v1/responses", &json!({"model": "oai/gpt-5-mini", "input": "hello"})).await.json();
    let body = json!({"model": "oai/gpt-5-mini", "input": "and?", "previous_response_id": first["id"]});
    let reply = ask(&gateway, "/v1/responses/input_tokens", &body).await;
    assert_eq!((reply.status, &reply.json()["input_tokens"]), (200, &json!(40)));
    let expected = json!({"model": "gpt-5-mini", "input": "and?", "previous_response_id": "resp_up"});
    assert_eq!(upstream.request(1).json(), expected);
}

/// A server without a counter is no reason to fail: the answer is a guess, and says so. A model that is
/// not there is one.
#[tokio::test]
async fn a_server_without_a_counter_is_guessed_for() {
    let upstream = Upstream::scripted([
        Script::json(404, &error("Not Found", "invalid_request_error", None)),
        Script::json(404, &error("No such model.", "invalid_request_error", Some("model_not_found"))),
    ])
    .await;
    let gateway = gateway(&upstream).await;
    let body = json!({"model": "oai/gpt-5-mini", "input": "hello"});
    let reply = ask(&gateway, "/v1/responses/input_tokens", &body).await;
    assert_eq!((reply.status, reply.header("x-sluis-estimate")), (200, Some("true")));
    assert!(reply.json()["input_tokens"].as_u64().unwrap() > 0);
    let reply = ask(&gateway, "/v1/responses/input_tokens", &body).await;
    assert_eq!((reply.status, reply.error()["code"].clone()), (404, json!("model_not_found")));
}

/// What no one else could count is refused rather than counted in part.
#[tokio::test]
async fn a_part_of_a_prompt_is_not_counted_for_the_whole() {
    let upstream = Upstream::scripted([
        Script::json(200, &response("completed", &json!([]))),
        Script::json(404, &error("Not Found", "invalid_request_error", None)),
    ])
    .await;
    let gateway = gateway(&upstream).await;
    let first = ask(&gateway, "/v1/responses", &json!({"model": "oai/gpt-5-mini", "input": "hello"})).await.json();
    let body = json!({"model": "oai/gpt-5-mini", "input": "and?", "previous_response_id": first["id"]});
    let reply = ask(&gateway, "/v1/responses/input_tokens", &body).await;
    assert_eq!((reply.status, reply.error()["param"].clone()), (400, json!("previous_response_id")));
}
