//! `/v1/responses` and `/v1/conversations` through the whole gateway: memory for upstreams that have
//! none, ids that lead back to those that have, and what survives a crash.

use serde_json::{Value, json};

use crate::support::{
    Gate, Gateway, Reply, Script, Upstream,
    anthropic::says as claude_says,
    gateway::{anthropic, openai, provider},
    openai::{DONE, c, completion, finish, says, usage},
    responses::{self, message, reasoning, response},
    until,
};

const KEYS: &str = "[keys.ci]\nsecret = { env = \"CI\" }\n[keys.other]\nsecret = { env = \"OTHER\" }\n";
const ENV: &[(&str, &str)] = &[("CI", "sk-ci"), ("OTHER", "sk-other")];

fn hello(model: &str, more: &Value) -> Value {
    let mut body = json!({"model": model, "input": "hello"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// A stream of chat completions that is held after its first word.
fn held(gate: &Gate) -> Script {
    Script::sse().frames([c("one")]).gate(gate).frames([&c(" two"), &finish("stop"), &usage(5, 2), DONE]).end()
}

async fn ask(gateway: &Gateway, method: &str, path: &str, body: &Value) -> Reply {
    gateway.send_json("sk-ci", method, path, body).await.whole().await
}

async fn create(gateway: &Gateway, body: &Value) -> Value {
    let reply = ask(gateway, "POST", "/v1/responses", body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

async fn get(gateway: &Gateway, path: &str) -> Value {
    let reply = ask(gateway, "GET", path, &Value::Null).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

async fn ended(gateway: &Gateway, id: &Value, status: &str) -> Value {
    let path = format!("/v1/responses/{}", id.as_str().unwrap());
    until(status, async || Some(get(gateway, &path).await).filter(|value| value["status"] == status)).await
}

fn events(reply: &Reply) -> Vec<Value> {
    reply.data().iter().filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
}

fn numbers(events: &[Value]) -> Vec<i64> {
    events.iter().map(|event| event["sequence_number"].as_i64().unwrap()).collect()
}

fn text(response: &Value) -> &str {
    let message = response["output"].as_array().unwrap().iter().find(|item| item["type"] == "message").unwrap();
    message["content"][0]["text"].as_str().unwrap()
}

/// The roles and texts of a chat request.
fn turns(request: &Value) -> Vec<String> {
    let messages = request["messages"].as_array().unwrap().iter();
    messages.map(|message| format!("{}: {}", message["role"].as_str().unwrap(), said(&message["content"]))).collect()
}

fn said(content: &Value) -> String {
    match content.as_array() {
        Some(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        None => content.as_str().unwrap_or_default().to_owned(),
    }
}

/// Turn after turn on an upstream that knows nothing of memory, then on another vendor's.
#[tokio::test]
async fn turns_build_on_each_other_across_vendors() {
    let chat = Upstream::scripted([
        Script::json(200, &completion("I am one.")),
        Script::sse().frames(says("I am two.")).end(),
        Script::json(200, &completion("I am four.")),
    ])
    .await;
    let claude = Upstream::scripted([Script::sse().frames(claude_says("I am three.")).end()]).await;
    let config = format!("{}{}", openai(&chat), provider("ant", "anthropic", &claude));
    let gateway = Gateway::start(&config).await;

    let first = create(&gateway, &hello("up/m", &json!({"instructions": "count"}))).await;
    assert_eq!((text(&first), &first["store"], &first["status"]), ("I am one.", &json!(true), &json!("completed")));
    let follow = hello("up/m", &json!({"input": "and?", "previous_response_id": first["id"], "stream": true}));
    let stream = events(&ask(&gateway, "POST", "/v1/responses", &follow).await);
    let second = &stream.last().unwrap()["response"];
    assert_eq!(text(second), "I am two.");
    assert!(stream.iter().all(|event| event.get("response").is_none_or(|said| said["id"] == second["id"])));
    assert_eq!(second["previous_response_id"], first["id"]);
    assert_eq!(numbers(&stream), (0..i64::try_from(stream.len()).unwrap()).collect::<Vec<_>>());
    let follow = hello("ant/claude-x", &json!({"input": "so?", "previous_response_id": second["id"], "stream": true}));
    let stream = events(&ask(&gateway, "POST", "/v1/responses", &follow).await);
    let third = &stream.last().unwrap()["response"];
    let fourth =
        create(&gateway, &hello("up/m", &json!({"input": "then?", "previous_response_id": third["id"]}))).await;

    assert_eq!(turns(&chat.request(0).json()), ["system: count", "user: hello"]);
    let told = ["user: hello", "assistant: I am one.", "user: and?"];
    assert_eq!(turns(&chat.request(1).json()), told);
    let messages = claude.request(0).json()["messages"].clone();
    assert_eq!(messages.as_array().unwrap().len(), 5, "{messages}");
    assert_eq!(said(&messages[3]["content"]), "I am two.");
    assert_eq!(turns(&chat.request(2).json())[5..], ["assistant: I am three.", "user: then?"]);
    assert!(chat.request(2).json().get("previous_response_id").is_none());

    let fourth_path = format!("/v1/responses/{}", fourth["id"].as_str().unwrap());
    assert_eq!(get(&gateway, &fourth_path).await, fourth);
    let items = get(&gateway, &format!("{fourth_path}/input_items")).await;
    assert_eq!(items["data"][0]["content"][0]["text"], "then?");
    assert_eq!(ask(&gateway, "DELETE", &fourth_path, &Value::Null).await.status, 200);
    assert_eq!(ask(&gateway, "GET", &fourth_path, &Value::Null).await.error()["code"], "not_found");
}

#[tokio::test]
async fn conversations_go_on() {
    let upstream =
        Upstream::scripted([Script::json(200, &completion("yes")), Script::sse().frames(says("no")).end()]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    let start = json!({"items": [{"role": "user", "content": "zero"}], "metadata": {"topic": "x"}});
    let conversation = ask(&gateway, "POST", "/v1/conversations", &start).await.json();
    let id = &conversation["id"];
    create(&gateway, &hello("up/m", &json!({"conversation": id}))).await;
    let body = hello("up/m", &json!({"conversation": {"id": id}, "input": "again", "stream": true}));
    let stream = events(&ask(&gateway, "POST", "/v1/responses", &body).await);
    assert_eq!(stream.last().unwrap()["response"]["conversation"], json!({"id": id}));
    assert_eq!(
        turns(&upstream.request(1).json()),
        ["user: zero", "user: hello", "assistant: yes", "user: again"].map(str::to_owned)
    );
    let path = format!("/v1/conversations/{}/items?order=asc", id.as_str().unwrap());
    let items = get(&gateway, &path).await;
    let texts: Vec<String> = items["data"].as_array().unwrap().iter().map(|item| said(&item["content"])).collect();
    assert_eq!(texts, ["zero", "hello", "yes", "again", "no"]);
}

/// Each key has its own, and knows of no other.
#[tokio::test]
async fn what_is_kept_is_its_keys_own() {
    let upstream = Upstream::scripted([Script::json(200, &completion("secret"))]).await;
    let gateway = Gateway::start_with(&format!("{}{KEYS}", openai(&upstream)), ENV).await;
    let response = create(&gateway, &hello("up/m", &json!({}))).await;
    let id = response["id"].as_str().unwrap();
    let conversation = ask(&gateway, "POST", "/v1/conversations", &json!({})).await.json();
    let conversation_path = format!("/v1/conversations/{}", conversation["id"].as_str().unwrap());
    for (method, path) in [
        ("GET", format!("/v1/responses/{id}")),
        ("DELETE", format!("/v1/responses/{id}")),
        ("GET", format!("/v1/responses/{id}/input_items")),
        ("POST", format!("/v1/responses/{id}/cancel")),
        ("GET", conversation_path.clone()),
        ("DELETE", conversation_path.clone()),
        ("GET", format!("{conversation_path}/items")),
    ] {
        let reply = gateway.send_json("sk-other", method, &path, &Value::Null).await.whole().await;
        assert_eq!(
            (reply.status, reply.error()["type"].clone()),
            (404, json!("invalid_request_error")),
            "{method} {path}"
        );
    }
    let follow = hello("up/m", &json!({"previous_response_id": id}));
    let reply = gateway.send_json("sk-other", "POST", "/v1/responses", &follow).await.whole().await;
    assert_eq!((reply.status, reply.error()["code"].clone()), (400, json!("previous_response_not_found")));
}

/// The stream of a background response is left in the middle and taken up again, by its numbers.
#[tokio::test]
async fn a_stream_is_left_and_taken_up_again() {
    let gate = Gate::closed();
    let upstream = Upstream::scripted([held(&gate)]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    let body = hello("up/m", &json!({"stream": true, "background": true}));
    let mut client = gateway.send_json("k", "POST", "/v1/responses", &body).await;
    let mut answer = client.answer().await;
    answer.until("\"one\"").await;
    let seen = String::from_utf8(answer.seen.clone()).unwrap();
    drop(client);
    let first: Value =
        serde_json::from_str(seen.lines().find_map(|line| line.strip_prefix("data: ")).unwrap()).unwrap();
    let id = first["response"]["id"].as_str().unwrap().to_owned();
    let delta = seen.split("data: ").find(|data| data.contains("\"one\"")).unwrap();
    let delta: Value = serde_json::from_str(delta.split("\n\n").next().unwrap()).unwrap();
    let number = delta["sequence_number"].as_i64().unwrap();

    let path = format!("/v1/responses/{id}?stream=true&starting_after={number}");
    let mut client = gateway.send_json("k", "GET", &path, &Value::Null).await;
    let mut answer = client.answer().await;
    assert_eq!(answer.status, 200);
    gate.open();
    let rest = events(&{
        answer.until("response.completed").await;
        answer.whole().await
    });
    drop(client);
    assert_eq!(rest[0]["sequence_number"], number + 1);
    assert_eq!(text(&rest.last().unwrap()["response"]), "one two");
    let again = events(&ask(&gateway, "GET", &path, &Value::Null).await);
    assert_eq!(again, rest, "afterwards it is the same");
    let all = events(&ask(&gateway, "GET", &format!("/v1/responses/{id}?stream=true"), &Value::Null).await);
    assert_eq!(all[0], first);
    assert_eq!(numbers(&all), (0..i64::try_from(all.len()).unwrap()).collect::<Vec<_>>());
}

#[tokio::test]
async fn background_responses_are_polled_and_cancelled() {
    let gate = Gate::closed();
    let endless = Script::sse().frames([c("endless")]).hang();
    let upstream = Upstream::scripted([held(&gate), endless]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    let queued = create(&gateway, &hello("up/m", &json!({"background": true}))).await;
    assert_eq!((&queued["status"], &queued["background"]), (&json!("queued"), &json!(true)));
    ended(&gateway, &queued["id"], "in_progress").await;
    gate.open();
    assert_eq!(text(&ended(&gateway, &queued["id"], "completed").await), "one two");
    until("its line", async || gateway.log().contains("endpoint=\"responses\"").then_some(())).await;

    let queued = create(&gateway, &hello("up/m", &json!({"background": true}))).await;
    ended(&gateway, &queued["id"], "in_progress").await;
    upstream.request(1);
    let path = format!("/v1/responses/{}/cancel", queued["id"].as_str().unwrap());
    let cancelled = ask(&gateway, "POST", &path, &Value::Null).await.json();
    assert_eq!(cancelled["status"], "cancelled");
    upstream.closed(1).await;
}

/// D1, case 11: without `background` a client that leaves ends its answer, and what came is kept.
#[tokio::test]
async fn a_client_that_leaves_ends_its_answer() {
    let upstream = Upstream::scripted([Script::sse().frames([c("half")]).hang()]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    let mut client = gateway.send_json("k", "POST", "/v1/responses", &hello("up/m", &json!({"stream": true}))).await;
    let mut answer = client.answer().await;
    answer.until("\"half\"").await;
    let seen = String::from_utf8(answer.seen.clone()).unwrap();
    let left = std::time::Instant::now();
    drop(client);
    let closed = upstream.closed(0).await;
    // Unit tests hold the 100 ms; here a busy machine has room.
    assert!(closed.duration_since(left) < std::time::Duration::from_secs(1));
    let first: Value =
        serde_json::from_str(seen.lines().find_map(|line| line.strip_prefix("data: ")).unwrap()).unwrap();
    let kept = ended(&gateway, &first["response"]["id"], "cancelled").await;
    assert_eq!((text(&kept), &kept["output"][0]["status"]), ("half", &json!("incomplete")));
}

/// K5: at the drain limit a background response is kept as incomplete.
#[tokio::test]
async fn a_stop_keeps_what_had_come() {
    let upstream = Upstream::scripted([Script::sse().frames([c("half")]).hang()]).await;
    let config = format!("{}[server]\ndrain = \"300ms\"\n[store]\npath = \"s.db\"\n", openai(&upstream));
    let mut gateway = Gateway::start(&config).await;
    let queued = create(&gateway, &hello("up/m", &json!({"background": true}))).await;
    ended(&gateway, &queued["id"], "in_progress").await;
    gateway.signal("TERM");
    assert_eq!(gateway.exit().await.code(), Some(0));
    let gateway = gateway.started_again(&config).await;
    let kept = get(&gateway, &format!("/v1/responses/{}", queued["id"].as_str().unwrap())).await;
    assert_eq!(
        (&kept["status"], &kept["incomplete_details"]["reason"]),
        (&json!("incomplete"), &json!("gateway_shutdown"))
    );
    assert_eq!(text(&kept), "half");
}

/// K5: what ends during the drain is kept whole, and what the drain limit cuts off as incomplete.
#[tokio::test]
async fn open_streams_are_kept_to_their_end() {
    for is_cut in [false, true] {
        let gate = Gate::closed();
        let script = if is_cut { Script::sse().frames([c("one")]).hang() } else { held(&gate) };
        let upstream = Upstream::scripted([script]).await;
        let drain = if is_cut { "300ms" } else { "20s" };
        let config = format!("{}[server]\ndrain = \"{drain}\"\n[store]\npath = \"s.db\"\n", openai(&upstream));
        let mut gateway = Gateway::start(&config).await;
        let mut client =
            gateway.send_json("k", "POST", "/v1/responses", &hello("up/m", &json!({"stream": true}))).await;
        let mut answer = client.answer().await;
        answer.until("\"one\"").await;
        gateway.signal("TERM");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        gate.open();
        let stream = events(&answer.whole().await);
        drop(client);
        assert_eq!(gateway.exit().await.code(), Some(0));
        let gateway = gateway.started_again(&config).await;
        let kept = get(&gateway, &format!("/v1/responses/{}", stream[0]["response"]["id"].as_str().unwrap())).await;
        let expected = if is_cut { ("incomplete", "one") } else { ("completed", "one two") };
        assert_eq!((kept["status"].as_str().unwrap(), text(&kept)), expected);
    }
}

/// `kill -9` in mid-answer: what had been told is there, what was under way is marked, nothing else
/// has changed, and the conversation goes on.
#[tokio::test]
async fn a_crash_loses_nothing_that_was_told() {
    let slow = || Script::sse().frames([c("half")]).hang();
    let upstream = Upstream::scripted([
        Script::json(200, &completion("whole")),
        Script::sse().frames(says("streamed")).end(),
        slow(),
        slow(),
        Script::json(200, &completion("after")),
    ])
    .await;
    let config = openai(&upstream);
    let gateway = Gateway::start(&config).await;
    let whole = create(&gateway, &hello("up/m", &json!({}))).await;
    let conversation =
        ask(&gateway, "POST", "/v1/conversations", &json!({"items": [{"role": "user", "content": "x"}]})).await.json();
    let body = hello("up/m", &json!({"conversation": conversation["id"], "stream": true}));
    let streamed = events(&ask(&gateway, "POST", "/v1/responses", &body).await);
    let streamed = streamed.last().unwrap()["response"].clone();
    let background = create(&gateway, &hello("up/m", &json!({"background": true}))).await;
    ended(&gateway, &background["id"], "in_progress").await;
    let mut client = gateway.send_json("k", "POST", "/v1/responses", &hello("up/m", &json!({"stream": true}))).await;
    let mut answer = client.answer().await;
    answer.until("\"half\"").await;
    let seen = String::from_utf8(answer.seen.clone()).unwrap();
    let told: Value = serde_json::from_str(seen.lines().find_map(|line| line.strip_prefix("data: ")).unwrap()).unwrap();

    let gateway = gateway.killed_and_started_again(&config).await;
    drop(client);
    for kept in [&whole, &streamed] {
        assert_eq!(&get(&gateway, &format!("/v1/responses/{}", kept["id"].as_str().unwrap())).await, kept);
    }
    for id in [&background["id"], &told["response"]["id"]] {
        let failed = ended(&gateway, id, "failed").await;
        assert_eq!(failed["error"]["code"], "server_error");
        let path = format!("/v1/responses/{}?stream=true", id.as_str().unwrap());
        let replayed = events(&ask(&gateway, "GET", &path, &Value::Null).await);
        assert_eq!(replayed.last().unwrap()["type"], "response.failed");
    }
    let path = format!("/v1/conversations/{}/items?order=asc", conversation["id"].as_str().unwrap());
    let items = get(&gateway, &path).await;
    let texts: Vec<String> = items["data"].as_array().unwrap().iter().map(|item| said(&item["content"])).collect();
    assert_eq!(texts, ["x", "hello", "streamed"]);
    let follow = hello("up/m", &json!({"previous_response_id": streamed["id"], "input": "go on"}));
    assert_eq!(text(&create(&gateway, &follow).await), "after");
    assert_eq!(
        turns(&upstream.request(4).json()),
        ["user: x", "user: hello", "assistant: streamed", "user: go on"].map(str::to_owned)
    );
}

/// What is above the limit is forgotten, the least recently used first.
#[tokio::test]
async fn what_is_too_old_is_forgotten() {
    let upstream = Upstream::scripted([Script::json(200, &completion("old"))]).await;
    let config = format!("{}[store]\npath = \"s.db\"\nretention = \"10ms\"\n", openai(&upstream));
    let gateway = Gateway::start(&config).await;
    let response = create(&gateway, &hello("up/m", &json!({}))).await;
    // The sweep at the next start finds it.
    let gateway = gateway.killed_and_started_again(&config).await;
    let path = format!("/v1/responses/{}", response["id"].as_str().unwrap());
    until("it to be forgotten", async || (ask(&gateway, "GET", &path, &Value::Null).await.status == 404).then_some(()))
        .await;
}

/// P2, P4, cases 68 and 69: an upstream that keeps its answers gets the client's bytes, and its ids
/// lead back from any gateway, to it and nobody else.
#[tokio::test]
async fn ids_lead_back_to_whoever_keeps_the_answer() {
    let whole = |id: &str| {
        let mut whole = response("completed", &json!([reasoning("gAAA"), message("hi")]));
        whole["id"] = id.into();
        Script::json(200, &whole)
    };
    let deleted = Script::json(200, &json!({"id": "resp_a", "object": "response", "deleted": true}));
    let listed = Script::json(200, &json!({"object": "list", "data": [], "has_more": false}));
    let upstream = Upstream::scripted([
        whole("resp_a"),
        Script::sse().frames(responses::says(&[reasoning("gBBB"), message("ho")])).end(),
        whole("resp_a"),
        listed,
        deleted,
        whole("resp_c"),
    ])
    .await;
    let other = Upstream::scripted([]).await;
    let providers =
        format!("[retry]\nattempts = 1\n{}{}", provider("oai", "openai", &upstream), provider("two", "openai", &other));
    let both =
        format!("{providers}[models.m]\ntargets = [\"oai/gpt-x\", \"two/gpt-x\"]\n[store]\nenabled = false\n{KEYS}");
    let gateway = Gateway::start_with(&both, ENV).await;
    let body = r#"{"model":"m","new_field":1.50,"input":[{"type":"additional_tools","tools":[{"type":"custom"},{"type":"namespace"}]}]}"#;
    let headers = [("content-type", "application/json"), ("authorization", "Bearer sk-ci")];
    let reply = gateway.send("POST", "/v1/responses", &headers, body.as_bytes()).await.whole().await;
    assert_eq!(upstream.request(0).body, body.replace("\"m\"", "\"gpt-x\"").into_bytes());
    let first = reply.json();
    let id = first["id"].as_str().unwrap().to_owned();
    assert_ne!(id, "resp_a");

    // Another gateway that asks the other one first, and shares nothing with the first.
    let turned = both.replace("[\"oai/gpt-x\", \"two/gpt-x\"]", "[\"two/gpt-x\", \"oai/gpt-x\"]");
    let second = Gateway::start_with(&turned, ENV).await;
    let follow = hello("m", &json!({"previous_response_id": id, "stream": true}));
    let stream = events(&ask(&second, "POST", "/v1/responses", &follow).await);
    assert_eq!(upstream.request(1).json()["previous_response_id"], "resp_a");
    let ids: Vec<&Value> = stream.iter().filter_map(|event| event.pointer("/response/id")).collect();
    assert!(ids.len() >= 2 && ids.iter().all(|one| *one == ids[0]) && *ids[0] != "resp_up", "{ids:?}");
    let path = format!("/v1/responses/{id}");
    assert_eq!(get(&second, &path).await["id"], json!(id));
    get(&second, &format!("{path}/input_items?limit=3")).await;
    assert_eq!(upstream.request(3).path, "/v1/responses/resp_a/input_items?limit=3");
    assert_eq!(ask(&second, "DELETE", &path, &Value::Null).await.status, 200);
    assert_eq!(
        (upstream.request(4).method.as_str(), upstream.request(4).path.as_str()),
        ("DELETE", "/v1/responses/resp_a")
    );
    // Another key's id is no id.
    let reply = second.send_json("sk-other", "GET", &path, &Value::Null).await.whole().await;
    assert_eq!(reply.status, 404);
    // Encrypted reasoning finds its maker as well.
    let sealed = stream.iter().find(|event| event["type"] == "response.output_item.done").unwrap()["item"].clone();
    assert_ne!(sealed["encrypted_content"], "gBBB");
    let stateless = json!({"model": "m", "store": false, "input": [sealed, {"role": "user", "content": "so"}]});
    create(&second, &stateless).await;
    assert_eq!(upstream.request(5).json()["input"][0]["encrypted_content"], "gBBB");

    // Its keeper is gone: that is said, and nobody else is asked.
    let alone = format!("{}[models.m]\ntargets = [\"two/gpt-x\"]\n{KEYS}", provider("two", "openai", &other));
    let third = Gateway::start_with(&alone, ENV).await;
    for (body, code) in [(&follow, "previous_response_origin_gone"), (&stateless, "reasoning_origin_gone")] {
        let reply = ask(&third, "POST", "/v1/responses", body).await;
        assert_eq!((reply.status, reply.error()["code"].clone()), (400, json!(code)));
    }
    assert!(ask(&third, "GET", &path, &Value::Null).await.error()["message"].as_str().unwrap().contains("`oai`"));
}

/// Thinking of Anthropic's that a client never sees comes back to it, turn after turn (R1).
#[tokio::test]
async fn thinking_survives_in_the_store() {
    let upstream = Upstream::scripted([
        Script::json(
            200,
            &json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x",
            "content": [{"type": "thinking", "thinking": "hm", "signature": "SIG"}, {"type": "text", "text": "a"}],
            "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 5, "output_tokens": 2}}),
        ),
        Script::sse().frames(claude_says("b")).end(),
    ])
    .await;
    let gateway = Gateway::start(&anthropic(&upstream)).await;
    let first = create(&gateway, &hello("ant/claude-x", &json!({}))).await;
    let follow = hello("ant/claude-x", &json!({"previous_response_id": first["id"], "stream": true}));
    ask(&gateway, "POST", "/v1/responses", &follow).await;
    let content = upstream.request(1).json()["messages"][1]["content"].clone();
    assert_eq!(content[0], json!({"type": "thinking", "thinking": "hm", "signature": "SIG"}));
}

/// What a turn builds on is counted with it, and a guess is marked as one.
#[tokio::test]
async fn tokens_are_counted_with_what_came_before() {
    let upstream = Upstream::scripted([Script::json(200, &completion("word ".repeat(200).as_str()))]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    let first = create(&gateway, &hello("up/m", &json!({}))).await;
    let count = async |more: &Value| {
        let reply = ask(&gateway, "POST", "/v1/responses/input_tokens", &hello("up/m", more)).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.json()["object"], "response.input_tokens");
        reply.json()["input_tokens"].as_u64().unwrap()
    };
    let alone = count(&json!({})).await;
    let after = count(&json!({"previous_response_id": first["id"]})).await;
    assert!(alone > 0 && after > alone + 150, "{alone} {after}");
}

/// P3: a WebSocket is refused at once.
#[tokio::test]
async fn a_websocket_is_refused() {
    let gateway = Gateway::start("").await;
    let headers = [("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13")];
    let reply = gateway.send("GET", "/v1/responses", &headers, b"").await.whole().await;
    assert_eq!((reply.status, reply.error()["code"].clone()), (426, json!("websocket_not_supported")));
}

/// B1, B3, case 52: with the database down a gateway is ready and serves all that needs no memory.
#[tokio::test]
async fn a_database_that_is_down_stops_nobody_else() {
    let answers = [Script::json(200, &completion("chat")), Script::json(200, &completion("response"))];
    let upstream = Upstream::scripted(answers).await;
    let store = "[store]\nurl = { env = \"DB\" }\n";
    let env = [("DB", "postgres://nobody:canary@127.0.0.1:1/none")];
    let gateway = Gateway::start_with(&format!("{}{store}", openai(&upstream)), &env).await;
    until("the store to be known as down", async || gateway.log().contains("the store cannot be opened").then_some(()))
        .await;
    let chat = json!({"model": "up/m", "messages": [{"role": "user", "content": "hello"}]});
    assert_eq!(gateway.ask(&chat).await.status, 200);
    assert_eq!(create(&gateway, &hello("up/m", &json!({}))).await["store"], false);
    let insists = ask(&gateway, "POST", "/v1/responses", &hello("up/m", &json!({"store": true}))).await;
    assert_eq!((insists.status, insists.error()["code"].clone()), (503, json!("store_unavailable")));
    assert_eq!(gateway.metric("k", "sluis_store_up", "").await, 0.0);
    assert_eq!(gateway.log().matches("the store").count(), 1, "one line per change");
    assert!(!gateway.log().contains("canary"));
}
