//! OpenAI's clients on Gemini's own dialect: the translation through the whole gateway.

use std::{
    collections::{BTreeMap, HashSet},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{
    Gateway, Script, Upstream,
    gateway::provider,
    gemini::{answer, call, end, error, event, says, text},
    openai::ask,
};

const MODEL: &str = "gem/gemini-3.8-flash";

async fn gateway(upstream: &Upstream) -> Gateway {
    Gateway::start(&format!("[retry]\nattempts = 1\n{}", provider("gem", "gemini", upstream))).await
}

fn finish(chunks: &[Value]) -> Vec<&str> {
    chunks.iter().filter_map(|chunk| chunk.pointer("/choices/0/finish_reason")?.as_str()).collect()
}

/// The tool calls of a stream by index, as SDKs put them together from id, type, function and all
/// else that comes with them.
fn calls(chunks: &[Value]) -> BTreeMap<u64, Value> {
    let mut calls: BTreeMap<u64, Value> = BTreeMap::new();
    for piece in chunks.iter().filter_map(|chunk| chunk.pointer("/choices/0/delta/tool_calls")?.as_array()).flatten() {
        let call = calls.entry(piece["index"].as_u64().expect("an index")).or_insert_with(|| json!({}));
        let arguments = [&call["function"]["arguments"], &piece["function"]["arguments"]];
        let arguments: String = arguments.into_iter().filter_map(Value::as_str).collect();
        for key in ["id", "type", "extra_content"] {
            if let Some(value) = piece.get(key) {
                assert!(call.get(key).is_none(), "T2: {key} comes once");
                call[key] = value.clone();
            }
        }
        if let Some(name) = piece.pointer("/function/name") {
            call["function"] = json!({ "name": name });
        }
        call["function"]["arguments"] = arguments.into();
    }
    calls
}

/// A follow-up with the message and the results of all its calls, in another order.
fn replay(message: &Value) -> Value {
    let calls = message["tool_calls"].as_array().expect("calls");
    let result =
        |call: &Value| json!({"role": "tool", "tool_call_id": call["id"], "content": call["function"]["arguments"]});
    let mut messages = vec![json!({"role": "user", "content": "hello"}), message.clone()];
    messages.extend(calls.iter().rev().map(result));
    json!({"model": MODEL, "messages": messages, "tools": [{"type": "function", "function": {"name": "weather"}}]})
}

/// What goes out is Gemini's own, key in the header and model in the path.
#[tokio::test]
async fn the_request_is_geminis() {
    let upstream = Upstream::scripted([
        Script::json(200, &answer(&json!([{"text": "hi"}]), "STOP")),
        Script::sse().frames(says("hi")).end(),
    ])
    .await;
    let gateway = gateway(&upstream).await;
    let asked = json!({"model": MODEL, "max_tokens": 50, "reasoning_effort": "low", "messages": [
        {"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"}]});
    let reply = gateway.ask(&asked).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let got = reply.json();
    assert_eq!((&got["choices"][0]["message"]["content"], &got["usage"]["total_tokens"]), (&json!("hi"), &json!(7)));
    assert!(got["id"].as_str().unwrap().starts_with("chatcmpl-") && got["model"] == MODEL, "{got}");
    let request = upstream.request(0);
    assert_eq!(request.path, "/v1/models/gemini-3.8-flash:generateContent");
    assert_eq!((request.header("x-goog-api-key"), request.header("authorization")), (Some("sk-gem"), None));
    let body = request.json();
    assert_eq!(body["systemInstruction"], json!({"parts": [{"text": "be brief"}]}));
    assert_eq!(body["generationConfig"]["maxOutputTokens"], 50);
    assert_eq!(body["generationConfig"]["thinkingConfig"], json!({"includeThoughts": true, "thinkingLevel": "low"}));
    assert_eq!(body.get("model"), None);

    assert_eq!(gateway.ask(&ask(MODEL, true)).await.content(), "hi");
    let path = upstream.request(1).path;
    assert_eq!(path, "/v1/models/gemini-3.8-flash:streamGenerateContent?alt=sse");
}

/// X3: a model's name is a name and leads nowhere else.
#[tokio::test]
async fn a_model_id_is_no_path() {
    let upstream = Upstream::scripted([Script::json(200, &answer(&json!([{"text": "hi"}]), "STOP"))]).await;
    let gateway = gateway(&upstream).await;
    let reply = gateway.ask(&ask("gem/models/../x?key=y#z", false)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(!upstream.request(0).path.contains(['?', '#']) && !upstream.request(0).path.contains("/../"));
}

/// S1: one usage chunk at the end, where it was asked for.
#[tokio::test]
async fn usage_comes_once_and_last() {
    let upstream = Upstream::scripted([Script::sse().frames(says("ab")).end()]).await;
    let mut asked = ask(MODEL, true);
    asked["stream_options"] = json!({"include_usage": true});
    let chunks = gateway(&upstream).await.ask(&asked).await.chunks();
    let (last, before) = chunks.split_last().unwrap();
    assert_eq!((&last["choices"], &last["usage"]["total_tokens"]), (&json!([]), &json!(7)));
    assert!(before.iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)));
    assert_eq!(finish(&chunks), ["stop"]);
}

/// T2, S4, case 26: three calls of one name count 0, 1, 2 under ids of their own, and only a plain
/// stop becomes `tool_calls`.
#[tokio::test]
async fn parallel_calls_of_one_name_stay_apart() {
    for (reason, told) in [("STOP", "tool_calls"), ("MAX_TOKENS", "length"), ("SAFETY", "content_filter")] {
        let cities = ["Oslo", "Rome", "Bern"];
        let events = cities.map(|city| call("weather", &json!({"city": city}), None));
        let upstream = Upstream::scripted([Script::sse().frames(events).frame(end(reason)).end()]).await;
        let chunks = gateway(&upstream).await.ask(&ask(MODEL, true)).await.chunks();
        let calls = calls(&chunks);
        assert_eq!(calls.keys().copied().collect::<Vec<_>>(), [0, 1, 2]);
        let ids: HashSet<&str> = calls.values().map(|call| call["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), 3);
        for (call, city) in calls.values().zip(cities) {
            assert_eq!(call["function"], json!({"name": "weather", "arguments": format!("{{\"city\":\"{city}\"}}")}));
        }
        assert_eq!(finish(&chunks), [told]);
    }
}

/// R2, case 35: a call's signature goes out in `extra_content` and comes back, whether the client
/// keeps it or only id, name and arguments; streamed or not. T4: results in the order of the calls.
#[tokio::test]
async fn signatures_come_back() {
    let parts = json!([
        {"text": "Hm.", "thought": true},
        {"functionCall": {"name": "weather", "args": {"city": "Oslo"}}, "thoughtSignature": "SIG"},
        {"functionCall": {"name": "weather", "args": {"city": "Rome"}}},
    ]);
    let upstream = Upstream::scripted([]).await;
    let gateway = gateway(&upstream).await;
    for stream in [false, true] {
        upstream.push(if stream {
            let oslo = call("weather", &json!({"city": "Oslo"}), Some("SIG"));
            let rome = call("weather", &json!({"city": "Rome"}), None);
            Script::sse().frames([oslo, rome, end("STOP")]).end()
        } else {
            Script::json(200, &answer(&parts, "STOP"))
        });
        let reply = gateway.ask(&ask(MODEL, stream)).await;
        let calls: Vec<Value> = if stream {
            calls(&reply.chunks()).into_values().collect()
        } else {
            reply.json()["choices"][0]["message"]["tool_calls"].as_array().unwrap().clone()
        };
        assert_eq!(calls[0]["extra_content"], json!({"google": {"thought_signature": "SIG"}}));
        assert_eq!(calls[1].get("extra_content"), None);
        let mut bare = calls.clone();
        bare[0].as_object_mut().unwrap().remove("extra_content");
        for calls in [calls, bare] {
            upstream.push(Script::json(200, &answer(&json!([{"text": "cold"}]), "STOP")));
            let reply = gateway.ask(&replay(&json!({"role": "assistant", "content": null, "tool_calls": calls}))).await;
            assert_eq!(reply.status, 200, "{}", reply.text());
            let contents = &upstream.request(upstream.count() - 1).json()["contents"];
            assert_eq!(contents[1]["parts"], Value::from(parts.as_array().unwrap()[1..].to_vec()), "{stream}");
            let results: Vec<&Value> = contents[2]["parts"]
                .as_array()
                .unwrap()
                .iter()
                .map(|part| &part["functionResponse"]["response"]["output"]["city"])
                .collect();
            assert_eq!(results, ["Oslo", "Rome"]);
        }
    }
}

/// R2: a signature that another model made is done without, once; one that is refused again is told.
#[tokio::test]
async fn a_foreign_signature_is_done_without() {
    let refused = || Script::json(400, &error(400, "INVALID_ARGUMENT", "Corrupted thought signature.", &json!([])));
    let fine = Script::json(200, &answer(&json!([{"text": "cold"}]), "STOP"));
    let upstream = Upstream::scripted([refused(), fine, refused(), refused()]).await;
    let gateway = gateway(&upstream).await;
    let call = json!({"id": "c_1", "type": "function", "function": {"name": "weather", "arguments": "{}"},
        "extra_content": {"google": {"thought_signature": "FOREIGN"}}});
    let asked = replay(&json!({"role": "assistant", "content": null, "tool_calls": [call]}));
    let reply = gateway.ask(&asked).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let sent = |at: usize| upstream.request(at).json()["contents"][1]["parts"][0]["thoughtSignature"].clone();
    assert_eq!([sent(0), sent(1)], [json!("FOREIGN"), json!("skip_thought_signature_validator")]);
    assert_eq!(gateway.ask(&asked).await.status, 400);
    assert_eq!(upstream.count(), 4);
}

/// R1, R2: Anthropic's clients carry a signature as a thinking block before the call; one that drops it
/// is helped out.
#[tokio::test]
async fn signatures_survive_a_client_of_messages() {
    let parts = json!([{"functionCall": {"name": "weather", "args": {"city": "Oslo"}}, "thoughtSignature": "SIG"}]);
    let upstream = Upstream::scripted([Script::json(200, &answer(&parts, "STOP"))]).await;
    let gateway = gateway(&upstream).await;
    let create = async |messages: &Value| {
        let body = json!({"model": MODEL, "max_tokens": 64, "messages": messages,
            "tools": [{"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}]});
        let headers = [("content-type", "application/json")];
        let reply = gateway.send("POST", "/v1/messages", &headers, body.to_string().as_bytes()).await.whole().await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    };
    let said = create(&json!([{"role": "user", "content": "hello"}])).await["content"].clone();
    let kinds: Vec<&str> = said.as_array().unwrap().iter().map(|block| block["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["thinking", "tool_use"]);
    for content in [said.clone(), json!([said[1]])] {
        upstream.push(Script::json(200, &answer(&json!([{"text": "cold"}]), "STOP")));
        let result = json!({"type": "tool_result", "tool_use_id": said[1]["id"], "content": "4C"});
        let messages = json!([{"role": "user", "content": "hello"}, {"role": "assistant", "content": content},
            {"role": "user", "content": [result]}]);
        create(&messages).await;
        assert_eq!(upstream.request(upstream.count() - 1).json()["contents"][1]["parts"], parts);
    }
}

/// S9, case 19: text cut anywhere between two bytes arrives whole.
#[tokio::test]
async fn split_characters_arrive_whole() {
    let words = "\u{4f60}\u{597d}\u{1F30D}";
    let upstream = Upstream::scripted([Script::sse().slowly(says(words).concat()).end()]).await;
    assert_eq!(gateway(&upstream).await.ask(&ask(MODEL, true)).await.content(), words);
}

/// S5, case 5: each event is passed on when it comes.
#[tokio::test]
async fn events_are_not_held() {
    let gate = crate::support::Gate::closed();
    let script = Script::sse().frame(text("a")).gate(&gate).frame(text("b")).frame(end("STOP")).end();
    let upstream = Upstream::scripted([script]).await;
    let gateway = gateway(&upstream).await;
    let mut client = gateway.chat(&ask(MODEL, true)).await;
    let mut answer = client.answer().await;
    answer.until("\"content\":\"a\"").await;
    gate.open();
    answer.until("[DONE]").await;
}

/// D1, D2, case 11: a client that leaves takes the upstream's connection along.
#[tokio::test]
async fn a_client_that_leaves_is_followed() {
    let upstream = Upstream::scripted([Script::sse().repeat(text("a"), Duration::from_millis(20))]).await;
    let gateway = gateway(&upstream).await;
    let mut client = gateway.chat(&ask(MODEL, true)).await;
    client.answer().await.until("\"content\":\"a\"").await;
    let left = Instant::now();
    drop(client);
    let closed = upstream.closed(0).await;
    assert!(closed.saturating_duration_since(left) < Duration::from_millis(500), "the upstream talks to nobody");
    crate::support::until("the call's line", async || gateway.log().contains("canceled").then_some(())).await;
}

/// M1, M3, F3, case 54: errors by what they mean, not by their status.
#[tokio::test]
async fn errors_are_understood() {
    let key = json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]);
    let wait = json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.4s"}]);
    let none = json!([]);
    for (code, status, message, details, told, kind) in [
        (400, "INVALID_ARGUMENT", "Unknown name.", &none, 400, json!(null)),
        (400, "INVALID_ARGUMENT", "API key not valid.", &key, 502, json!("upstream_credentials")),
        (
            400,
            "INVALID_ARGUMENT",
            "The input token count (9) exceeds the maximum number of tokens allowed (8).",
            &none,
            400,
            json!("context_length_exceeded"),
        ),
        (404, "NOT_FOUND", "models/x is not found.", &none, 404, json!("model_not_found")),
        (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota.", &wait, 429, json!("rate_limit_exceeded")),
        (503, "UNAVAILABLE", "The model is overloaded.", &none, 503, json!("server_is_overloaded")),
    ] {
        let body = error(code, status, message, details);
        let script = Script::json(code, &if code == 429 { json!([body]) } else { body });
        let upstream = Upstream::scripted([script]).await;
        let reply = gateway(&upstream).await.ask(&ask(MODEL, true)).await;
        assert_eq!(reply.status, told, "{}", reply.text());
        assert_eq!(reply.error()["code"], kind, "{message}");
        assert!(reply.error()["message"].as_str().is_some_and(|text| text.contains(message)));
        if code == 429 {
            assert_eq!(reply.header("retry-after"), Some("35"), "F4");
        }
    }
}

/// E1, E2, case 6 and 8: an error event has a status before content and is a frame after it; an end
/// without a reason is none.
#[tokio::test]
async fn errors_in_a_stream_are_told() {
    let overloaded = event(&error(503, "UNAVAILABLE", "The model is overloaded.", &json!([])));
    let upstream = Upstream::scripted([
        Script::sse().frame(&overloaded).end(),
        Script::sse().frame(text("a")).frame(&overloaded).end(),
        Script::sse().frame(text("a")).end(),
    ])
    .await;
    let gateway = gateway(&upstream).await;
    let reply = gateway.ask(&ask(MODEL, true)).await;
    assert_eq!(reply.status, 503, "{}", reply.text());
    for word in ["The model is overloaded.", "upstream_stream_interrupted"] {
        let chunks = gateway.ask(&ask(MODEL, true)).await.chunks();
        assert!(finish(&chunks).is_empty(), "no invented end");
        assert!(chunks.last().unwrap()["error"].to_string().contains(word));
    }
}

/// E2: a call the model got wrong is tried again before anything was sent, streamed or not.
#[tokio::test]
async fn a_call_gone_wrong_is_tried_again() {
    let failed = json!({"candidates": [{"content": {}, "finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": "Bad call."}]});
    let upstream = Upstream::scripted([
        Script::sse().frame(event(&failed)).end(),
        Script::sse().frames(says("hi")).end(),
        Script::json(200, &failed),
        Script::json(200, &answer(&json!([{"text": "hi"}]), "STOP")),
    ])
    .await;
    let quick = "[retry]\nattempts = 2\nbackoff = { base = \"1ms\", max = \"2ms\" }\n";
    let gateway = Gateway::start(&format!("{quick}{}", provider("gem", "gemini", &upstream))).await;
    assert_eq!(gateway.ask(&ask(MODEL, true)).await.content(), "hi");
    assert_eq!(gateway.ask(&ask(MODEL, false)).await.json()["choices"][0]["message"]["content"], "hi");
}

/// A prompt that is blocked is an answer: a refusal by filter, streamed or not.
#[tokio::test]
async fn a_blocked_prompt_is_a_content_filter() {
    let blocked = json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 5}});
    let upstream = Upstream::scripted([Script::json(200, &blocked), Script::sse().frame(event(&blocked)).end()]).await;
    let gateway = gateway(&upstream).await;
    let whole = gateway.ask(&ask(MODEL, false)).await.json();
    let choice = &whole["choices"][0];
    assert_eq!((&choice["finish_reason"], &choice["message"]["content"]), (&json!("content_filter"), &Value::Null));
    assert!(choice["message"]["refusal"].as_str().is_some_and(|text| text.contains("PROHIBITED_CONTENT")));
    assert_eq!(finish(&gateway.ask(&ask(MODEL, true)).await.chunks()), ["content_filter"]);
}

/// Log probabilities reach the client in both forms.
#[tokio::test]
async fn logprobs_reach_the_client() {
    let token = |token: &str| json!({"token": token, "tokenId": 5, "logProbability": -0.25});
    let mut told = answer(&json!([{"text": "hi"}]), "STOP");
    told["candidates"][0]["logprobsResult"] =
        json!({"chosenCandidates": [token("hi")], "topCandidates": [{"candidates": [token("hi"), token("ho")]}]});
    let upstream = Upstream::scripted([Script::json(200, &told), Script::sse().frame(event(&told)).end()]).await;
    let gateway = gateway(&upstream).await;
    for stream in [false, true] {
        let mut asked = ask(MODEL, stream);
        (asked["logprobs"], asked["top_logprobs"]) = (json!(true), json!(2));
        let reply = gateway.ask(&asked).await;
        let told = if stream {
            let chunks = reply.chunks();
            chunks.iter().map(|chunk| chunk["choices"][0]["logprobs"].clone()).find(|told| !told.is_null()).unwrap()
        } else {
            reply.json()["choices"][0]["logprobs"].clone()
        };
        assert_eq!((&told["content"][0]["logprob"], &told["content"][0]["bytes"]), (&json!(-0.25), &json!([104, 105])));
        assert_eq!(told["content"][0]["top_logprobs"][1]["token"], "ho");
    }
    let config = &upstream.request(0).json()["generationConfig"];
    assert_eq!((&config["responseLogprobs"], &config["logprobs"]), (&json!(true), &json!(2)));
}

/// Design 6.2, R5, J2: what the model's line has no place for is refused by name, or dropped and named.
#[tokio::test]
async fn losses_are_named() {
    let upstream = Upstream::scripted([Script::sse().frames(says("hi")).end()]).await;
    let gateway = gateway(&upstream).await;
    let mut asked = ask("gem/gemini-2.5-pro", true);
    asked["tools"] = json!([{"type": "function", "function": {"name": "f"}}]);
    asked["response_format"] = json!({"type": "json_object"});
    let reply = gateway.ask(&asked).await;
    assert_eq!((reply.status, &reply.error()["param"]), (400, &json!("response_format")));
    let mut asked = ask(MODEL, true);
    (asked["logit_bias"], asked["reasoning_effort"]) = (json!({"1": 2}), json!("none"));
    let reply = gateway.ask(&asked).await;
    assert_eq!(reply.status, 200);
    let dropped = reply.header("x-sluis-dropped").unwrap_or_default();
    assert!(dropped.contains("logit_bias") && dropped.contains("reasoning_effort"), "{dropped}");
}
