//! Models that want what they thought before a tool call back, as a text (rule R3), and clients that keep
//! only what OpenAI's reference knows.

use serde_json::{Value, json};

use crate::support::{
    Gateway, Script, Upstream,
    gateway::provider,
    openai::{DONE, chunk, completion, event, role},
};

const MODEL: &str = "ds/deepseek-flash";
const ID: &str = "call_00_x3Fb9aPq2LmZ";

async fn gateway(upstream: &Upstream) -> Gateway {
    let others = provider("lab", "openai-compatible", upstream);
    Gateway::start(&format!("[retry]\nattempts = 1\n{}{others}", provider("ds", "deepseek", upstream))).await
}

/// An answer that thinks and calls a tool, whole or streamed.
fn thinks(stream: bool, said: &str, id: &str) -> Script {
    let call = json!({"index": 0, "id": id, "type": "function", "function": {"name": "weather", "arguments": "{}"}});
    if !stream {
        let mut answer = completion("");
        answer["choices"][0]["message"] =
            json!({"role": "assistant", "content": null, "reasoning_content": said, "tool_calls": [call]});
        answer["choices"][0]["finish_reason"] = "tool_calls".into();
        return Script::json(200, &answer);
    }
    let (one, other) = said.split_at(2);
    let deltas =
        [json!({"reasoning_content": one}), json!({"reasoning_content": other}), json!({"tool_calls": [call]})];
    let chunks = deltas.iter().map(|delta| event(&chunk(delta, None)));
    let end = [event(&chunk(&json!({}), Some("tool_calls"))), DONE.into()];
    Script::sse().frames([role()].into_iter().chain(chunks).chain(end)).end()
}

fn says(text: &str) -> Script {
    Script::json(200, &completion(text))
}

async fn send(gateway: &Gateway, path: &str, body: &str) -> Value {
    let reply =
        gateway.send("POST", path, &[("content-type", "application/json")], body.as_bytes()).await.whole().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    if reply.text().starts_with("data:") { Value::Null } else { reply.json() }
}

/// R3, S2, C1: what the client has dropped is put back on the byte path; nothing else differs, and other
/// targets get the very bytes.
#[tokio::test]
async fn what_was_thought_comes_back_among_the_clients_bytes() {
    for stream in [false, true] {
        let upstream =
            Upstream::scripted([thinks(stream, "Hm, \"so\".", ID), says("cold"), says("cold"), says("?")]).await;
        let gateway = gateway(&upstream).await;
        let first = format!(r#"{{"model":"{MODEL}","stream":{stream},"messages":[{{"role":"user","content":"hi"}}]}}"#);
        send(&gateway, "/v1/chat/completions", &first).await;
        let then = |model: &str, id: &str, said: &str| {
            format!(
                r#"{{ "x":1.0e2, "model":"{model}","messages":[{{"role":"user","content":"hi"}}, {{"role":"assistant", "content":null,"tool_calls":[{{"id":"{id}","type":"function","function":{{"name":"weather","arguments":"{{}}"}}}}]{said}}},
                {{"role":"tool","tool_call_id":"{id}","content":"\u00e9"}}]}}"#
            )
        };
        let bare = |id: &str| then(MODEL, id, "");
        send(&gateway, "/v1/chat/completions", &bare(ID)).await;
        let known = then("deepseek-flash", ID, r#","reasoning_content":"Hm, \"so\".""#);
        assert_eq!(upstream.request(1).text(), known, "streamed: {stream}");
        send(&gateway, "/v1/chat/completions", &bare("call_00_forgotten12")).await;
        let unknown = then("deepseek-flash", "call_00_forgotten12", r#","reasoning_content":"""#);
        assert_eq!(upstream.request(2).text(), unknown);
        send(&gateway, "/v1/chat/completions", &then("lab/m", ID, "")).await;
        assert_eq!(upstream.request(3).text(), then("m", ID, ""));
    }
}

/// R3: DeepSeek wants what it thought of the answer as well, once it has called a tool; where nothing is known
/// an empty text stands for it.
#[tokio::test]
async fn answers_after_calls_get_theirs_back() {
    let mut answer = completion("It is cold.");
    answer["choices"][0]["message"]["reasoning_content"] = "4C is cold.".into();
    let upstream =
        Upstream::scripted([thinks(false, "Hm.", ID), Script::json(200, &answer), says("yes"), says("yes")]).await;
    let gateway = gateway(&upstream).await;
    let ask = async |messages: &Value| {
        let body = json!({"model": MODEL, "messages": messages}).to_string();
        let mut turn = send(&gateway, "/v1/chat/completions", &body).await["choices"][0]["message"].clone();
        turn.as_object_mut().unwrap().remove("reasoning_content");
        turn
    };
    let mut talk = json!([{"role": "user", "content": "hi"}]);
    let push = |talk: &mut Value, turn: Value| talk.as_array_mut().unwrap().push(turn);
    let call = ask(&talk).await;
    push(&mut talk, call);
    push(&mut talk, json!({"role": "tool", "tool_call_id": ID, "content": "4C"}));
    let answer = ask(&talk).await;
    push(&mut talk, answer);
    push(&mut talk, json!({"role": "user", "content": "sure?"}));
    ask(&talk).await;
    let said = |at: usize| {
        let body = upstream.request(at).json();
        let turns = body["messages"].as_array().unwrap().iter().filter(|message| message["role"] == "assistant");
        turns.map(|turn| turn["reasoning_content"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(said(2), ["Hm.", "4C is cold."]);
    talk[3]["content"] = "It is cold, they say.".into();
    ask(&talk).await;
    assert_eq!(said(3), ["Hm.", ""]);
}

/// R3: so it does to a client of another dialect that keeps no thinking.
#[tokio::test]
async fn what_was_thought_comes_back_from_other_dialects() {
    let upstream = Upstream::scripted([thinks(false, "Hm.", ID), says("cold")]).await;
    let gateway = gateway(&upstream).await;
    let ask = |messages: Value| {
        json!({"model": MODEL, "max_tokens": 64, "messages": messages,
        "tools": [{"name": "weather", "input_schema": {"type": "object"}}]})
        .to_string()
    };
    let said =
        send(&gateway, "/v1/messages", &ask(json!([{"role": "user", "content": "hi"}]))).await["content"].clone();
    let call = said.as_array().unwrap().iter().find(|block| block["type"] == "tool_use").expect("a call").clone();
    let result = json!({"type": "tool_result", "tool_use_id": call["id"], "content": "4C"});
    send(
        &gateway,
        "/v1/messages",
        &ask(json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]}])),
    )
    .await;
    assert_eq!(upstream.request(1).json()["messages"][1]["reasoning_content"], "Hm.");
}

/// R3: what a vendor that counts its calls thought is found by the conversation before it, round by round.
#[tokio::test]
async fn counted_calls_are_told_apart() {
    let upstream = Upstream::scripted([]).await;
    let gateway = Gateway::start(&provider("kimi", "moonshot", &upstream)).await;
    let ask = async |messages: &Value| {
        let body = json!({"model": "kimi/kimi-k3", "messages": messages}).to_string();
        send(&gateway, "/v1/chat/completions", &body).await
    };
    let mut talks: Vec<Value> =
        ["Ann", "Bob"].map(|who| json!([{"role": "user", "content": format!("I am {who}")}])).into();
    for round in 0..2 {
        for (talk, who) in talks.iter_mut().zip(["Ann", "Bob"]) {
            let id = format!("functions.weather:{round}");
            upstream.push(thinks(false, &format!("{who}, {round}"), &id));
            let mut turn = ask(talk).await["choices"][0]["message"].clone();
            turn.as_object_mut().unwrap().remove("reasoning_content");
            let result = json!({"role": "tool", "tool_call_id": id, "content": "4C"});
            talk.as_array_mut().unwrap().extend([turn, result]);
        }
    }
    for (talk, who) in talks.iter().zip(["Ann", "Bob"]) {
        upstream.push(says("cold"));
        ask(talk).await;
        let sent = upstream.request(upstream.count() - 1).json();
        let said = |at: usize| sent["messages"][at]["reasoning_content"].clone();
        assert_eq!([said(1), said(3)], [json!(format!("{who}, 0")), json!(format!("{who}, 1"))]);
    }
}
