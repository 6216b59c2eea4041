//! Vendors besides OpenAI that speak Responses: whose bytes pass, who remembers, and what is put as a chat
//! after all.

use serde_json::{Value, json};

use crate::support::{
    Gateway, Reply, Script, Upstream,
    gateway::provider,
    openai::completion,
    responses::{message, reasoning, response, says},
    until,
};

async fn gateway(kind: &str, upstream: &Upstream) -> Gateway {
    Gateway::start(&format!("[retry]\nattempts = 1\n{}", provider("row", kind, upstream))).await
}

async fn create(gateway: &Gateway, body: &Value) -> Reply {
    let reply = gateway.send_json("k", "POST", "/v1/responses", body).await.whole().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply
}

fn answer() -> Script {
    Script::json(200, &response("completed", &json!([reasoning("gAAA"), message("hi")])))
}

/// P2, P4: a vendor that keeps its answers gets the client's bytes, and its ids lead back to it.
#[tokio::test]
async fn vendors_that_keep_their_answers_do() {
    for kind in ["xai", "fireworks"] {
        let upstream =
            Upstream::scripted([answer(), Script::sse().frames(says(&[message("ho")])).end(), answer()]).await;
        let gateway = gateway(kind, &upstream).await;
        let body = r#"{"model":"row/m","new_field":1.50,"tools":[{"type":"x_search"}],"input":"hi"}"#;
        let headers = [("content-type", "application/json")];
        let first = gateway.send("POST", "/v1/responses", &headers, body.as_bytes()).await.whole().await.json();
        assert_eq!(upstream.request(0).text(), body.replace("row/m", "m"), "{kind}");
        let id = first["id"].as_str().unwrap().to_owned();
        assert!(id.starts_with("resp_at1"), "{id}");
        let follow = json!({"model": "row/m", "input": "and?", "previous_response_id": id, "stream": true});
        create(&gateway, &follow).await;
        assert_eq!(upstream.request(1).json()["previous_response_id"], "resp_up");
        let reply = gateway.send_json("k", "GET", &format!("/v1/responses/{id}"), &Value::Null).await.whole().await;
        assert_eq!((reply.status, upstream.request(2).path.as_str()), (200, "/v1/responses/resp_up"));
    }
}

/// Where the vendor keeps nothing the gateway does, and tells it everything, in bytes that it takes: with an id
/// on what was said before. What a message was (`phase`) is said again.
#[tokio::test]
async fn where_a_vendor_keeps_nothing_the_gateway_does() {
    let mut said = message("hi");
    said["phase"] = "final_answer".into();
    let whole = response("completed", &json!([reasoning("gAAA"), said]));
    let upstream =
        Upstream::scripted([Script::json(200, &whole), Script::sse().frames(says(&[message("ho")])).end()]).await;
    let gateway = gateway("openrouter", &upstream).await;
    let first = create(&gateway, &json!({"model": "row/v/m", "input": "hello"})).await.json();
    assert_eq!((&first["store"], &first["output"][1]["phase"]), (&json!(true), &json!("final_answer")));
    let follow = json!({"model": "row/v/m", "input": "and?", "previous_response_id": first["id"], "stream": true});
    let reply = create(&gateway, &follow).await;
    assert!(reply.text().contains("\"ho\"") && reply.header("x-sluis-dropped").is_none());
    let asked = upstream.request(1);
    assert_eq!(asked.path, "/v1/responses");
    let body = asked.json();
    assert_eq!((&body["store"], body.get("previous_response_id")), (&json!(false), None));
    let input = body["input"].as_array().unwrap();
    assert_eq!(input[1], json!({"type": "reasoning", "summary": [], "encrypted_content": "gAAA", "id": "rs_1"}));
    let expected = json!({"type": "message", "role": "assistant", "phase": "final_answer", "id": "msg_2",
        "status": "completed", "content": message("hi")["content"]});
    assert_eq!(input[2], expected);
    assert_eq!(input.len(), 4, "{body}");
}

/// The few fields that a vendor does not take are left out, and named where they said anything.
#[tokio::test]
async fn fields_that_a_vendor_does_not_take_are_left_out() {
    let upstream = Upstream::scripted([answer()]).await;
    let gateway = gateway("groq", &upstream).await;
    let body =
        json!({"model": "row/openai/gpt-oss-20b", "input": "hello", "prompt_cache_key": "s", "temperature": 0.5});
    let reply = create(&gateway, &body).await;
    assert_eq!(reply.header("x-sluis-dropped"), Some("prompt_cache_key"));
    let expected = json!({"model": "openai/gpt-oss-20b", "input": "hello", "temperature": 0.5});
    assert_eq!(upstream.request(0).json(), expected);
}

/// A kind of tool that only OpenAI's Responses have goes as a chat, which the gateway remembers even where the
/// vendor would have: nothing is lost of either.
#[tokio::test]
async fn a_tool_that_the_vendor_has_not_goes_as_a_chat() {
    let called = json!({"id": "chatcmpl-up", "object": "chat.completion", "created": 1, "model": "m", "choices": [{
        "index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", "content": null, "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "patch", "arguments": "{\"input\":\"x\"}"}}]}}]});
    for kind in ["xai", "fireworks", "openrouter", "groq"] {
        let upstream = Upstream::scripted([Script::json(200, &called), Script::json(200, &completion("done"))]).await;
        let gateway = gateway(kind, &upstream).await;
        let tools = json!([{"type": "custom", "name": "patch"}]);
        let first = create(&gateway, &json!({"model": "row/m", "input": "hello", "tools": tools})).await.json();
        assert_eq!(upstream.request(0).path, "/v1/chat/completions", "{kind}");
        assert_eq!(
            (&first["output"][0]["type"], &first["output"][0]["input"]),
            (&json!("custom_tool_call"), &json!("x"))
        );
        let result = json!([{"type": "custom_tool_call_output", "call_id": "call_1", "output": "ok"}]);
        let follow = json!({"model": "row/m", "input": result, "tools": tools, "previous_response_id": first["id"]});
        let second = create(&gateway, &follow).await.json();
        assert_eq!(second["output"][0]["content"][0]["text"], "done");
        assert_eq!(upstream.request(1).json()["messages"].as_array().unwrap().len(), 3, "{kind}");
    }
}

/// Nobody but Responses upstreams can be told whether a message was a comment or the answer: that is named.
#[tokio::test]
async fn a_phase_is_named_where_it_cannot_be_said() {
    let upstream = Upstream::scripted([Script::json(200, &completion("hi")), answer()]).await;
    let config =
        format!("{}{}", provider("chat", "openai-compatible", &upstream), provider("row", "openai", &upstream));
    let gateway = Gateway::start(&config).await;
    let input =
        json!([{"role": "assistant", "content": "hm", "phase": "commentary"}, {"role": "user", "content": "so?"}]);
    let reply = create(&gateway, &json!({"model": "chat/m", "input": input, "store": false})).await;
    assert_eq!(reply.header("x-sluis-dropped"), Some("input[].phase"));
    let reply = create(&gateway, &json!({"model": "row/m", "input": input, "store": false})).await;
    assert_eq!((reply.header("x-sluis-dropped"), &upstream.request(1).json()["input"]), (None, &input));
}

/// A background answer is made and kept here where the vendor, keeper though it is, has none.
#[tokio::test]
async fn what_is_made_in_the_background_is_the_gateways() {
    for (kind, is_theirs) in [("xai", false), ("fireworks", false), ("openai", true)] {
        let made = if is_theirs {
            Script::json(200, &response("queued", &json!([])))
        } else {
            Script::sse().frames(says(&[message("ho")])).end()
        };
        let upstream = Upstream::scripted([made]).await;
        let gateway = gateway(kind, &upstream).await;
        let asked = json!({"model": "row/m", "input": "hi", "background": true});
        let queued = create(&gateway, &asked).await.json();
        assert_eq!(queued["status"], "queued", "{kind}");
        until("the question", async || (upstream.count() == 1).then_some(())).await;
        let body = upstream.request(0).json();
        assert_eq!(body.get("background").is_some(), is_theirs, "{kind} {body}");
        if !is_theirs {
            let path = format!("/v1/responses/{}", queued["id"].as_str().unwrap());
            until("the answer", async || {
                let reply = gateway.send_json("k", "GET", &path, &Value::Null).await.whole().await;
                reply.text().contains("\"ho\"").then_some(())
            })
            .await;
        }
    }
}

/// P2: a server that only the operator knows to speak Responses gets the client's bytes, for the models it
/// speaks them for; what was said before gets the id that such servers want, and the gateway remembers.
#[tokio::test]
async fn a_server_of_ones_own_may_speak_responses() {
    for (kind, set) in [("openai-compatible", "true"), ("vllm", "[\"*oss*\"]")] {
        let upstream = Upstream::scripted([
            answer(),
            Script::sse().frames(says(&[message("ho")])).end(),
            Script::json(200, &completion("by chat")),
        ])
        .await;
        let config = format!("{}responses = {set}\n", provider("lab", kind, &upstream));
        let gateway = Gateway::start(&config).await;
        let body =
            r#"{"model":"lab/gpt-oss-20b","new_field":1.50, "tools":[{"type":"mcp"}],"input":"hi","store":false}"#;
        let headers = [("content-type", "application/json")];
        let reply = gateway.send("POST", "/v1/responses", &headers, body.as_bytes()).await.whole().await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let sent = upstream.request(0);
        assert_eq!((sent.path.as_str(), sent.text()), ("/v1/responses", body.replace("lab/", "")));

        let said = json!([{"type": "reasoning", "summary": []}, {"role": "user", "content": "and?"}]);
        let streamed = create(&gateway, &json!({"model": "lab/gpt-oss-20b", "input": said, "stream": true})).await;
        assert!(streamed.text().contains("\"ho\""), "{}", streamed.text());
        assert_eq!(upstream.request(1).json()["input"][0], json!({"type": "reasoning", "summary": [], "id": "rs_0"}));

        let tools = if set == "true" { json!([{"type": "custom", "name": "patch"}]) } else { json!([]) };
        let model = if set == "true" { "lab/gpt-oss-20b" } else { "lab/other" };
        create(&gateway, &json!({"model": model, "input": "hi", "tools": tools})).await;
        assert_eq!(upstream.request(2).path, "/v1/chat/completions", "{kind}");
    }
}

/// A vendor's address may be a front of one's own that has no Responses.
#[tokio::test]
async fn responses_can_be_kept_from_a_vendor() {
    let upstream = Upstream::scripted([Script::json(200, &completion("by chat"))]).await;
    let gateway = Gateway::start(&format!("{}responses = false\n", provider("row", "xai", &upstream))).await;
    let reply = create(&gateway, &json!({"model": "row/m", "input": "hi"})).await.json();
    assert_eq!(upstream.request(0).path, "/v1/chat/completions");
    // And what the vendor would have kept the gateway does.
    let path = format!("/v1/responses/{}", reply["id"].as_str().unwrap());
    let kept = gateway.send_json("k", "GET", &path, &Value::Null).await.whole().await;
    assert_eq!((kept.status, upstream.count()), (200, 1), "{}", kept.text());
}
