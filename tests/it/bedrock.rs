//! OpenAI's clients on Amazon Bedrock: the translation through the whole gateway, over binary
//! streams.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    Gateway, Script, Upstream,
    bedrock::{answer, bedrock, chunk, delta, end, event, exception, says, start, stop, stream, text, tool},
    openai::ask,
    until,
};

const MODEL: &str = "aws/us.anthropic.claude-haiku-4-5-20251001-v1:0";

/// What the rule allows a crowded machine to add.
const SOON: Duration = Duration::from_secs(5);

async fn gateway(upstream: &Upstream) -> Gateway {
    Gateway::start(&bedrock(upstream)).await
}

fn finish(chunks: &[Value]) -> Vec<&str> {
    chunks.iter().filter_map(|chunk| chunk.pointer("/choices/0/finish_reason")?.as_str()).collect()
}

/// S1: a whole binary stream as chunks, the counts last.
#[tokio::test]
async fn a_stream_is_told_in_chunks() {
    let upstream = Upstream::scripted([stream().frames(says("Hi there")).end()]).await;
    let mut asked = ask(MODEL, true);
    asked["stream_options"] = json!({"include_usage": true});
    let reply = gateway(&upstream).await.ask(&asked).await;
    assert_eq!(reply.content(), "Hi there");
    let chunks = reply.chunks();
    assert_eq!(finish(&chunks), ["stop"]);
    let (last, before) = chunks.split_last().unwrap();
    assert_eq!((&last["choices"], &last["usage"]["total_tokens"]), (&json!([]), &json!(7)));
    assert!(before.iter().all(|chunk| chunk["usage"].is_null()));
    assert_eq!(reply.header("x-upstream-request-id"), Some("req-up"));
    let request = upstream.request(0);
    assert_eq!(request.path, "/model/us.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse-stream");
    assert_eq!(request.header("authorization"), Some("Bearer ABSK-up"));
    assert!(request.json().get("model").is_none() && request.json().get("stream").is_none());
}

/// The same unary, and the id of an ARN in the path.
#[tokio::test]
async fn an_answer_is_a_completion() {
    let upstream = Upstream::scripted([Script::json(200, &answer(&json!([{"text": "Hi"}]), "max_tokens"))]).await;
    let arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc";
    let answer = gateway(&upstream).await.ask(&ask(&format!("aws/{arn}"), false)).await.json();
    assert_eq!(answer["choices"][0]["message"]["content"], "Hi");
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
    assert_eq!(answer["usage"]["total_tokens"], 7);
    let path = upstream.request(0).path;
    let escaped = "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fabc";
    assert_eq!(path, format!("/model/{escaped}/converse"));
}

/// R5, C5: what an ARN hides the configuration may tell: the model is asked to think in its own words and
/// its price is known, and Anthropic's clients get their bytes through.
#[tokio::test]
async fn the_model_behind_an_arn_can_be_named() {
    let arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc";
    let whole = Script::json(200, &answer(&json!([{"text": "Hi"}]), "end_turn"));
    let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "Hi"}], "usage": {"input_tokens": 5, "output_tokens": 2}});
    let upstream = Upstream::scripted([whole, Script::json(200, &message)]).await;
    let base = "us.anthropic.claude-haiku-4-5-20251001-v1:0";
    let config = format!("{}[providers.aws.base-models]\n\"{arn}\" = \"{base}\"\n", bedrock(&upstream));
    let gateway = Gateway::start(&config).await;
    let mut asked = ask(&format!("aws/{arn}"), false);
    (asked["reasoning_effort"], asked["max_tokens"]) = ("low".into(), 9000.into());
    assert_eq!(gateway.ask(&asked).await.status, 200);
    let sent = upstream.request(0);
    let escaped = "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fabc";
    assert_eq!(sent.path, format!("/model/{escaped}/converse"));
    assert_eq!(sent.json()["additionalModelRequestFields"]["thinking"]["type"], "enabled");
    let body = json!({"model": format!("aws/{arn}"), "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]});
    let reply = gateway.send_json("k", "POST", "/v1/messages", &body).await.whole().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(upstream.request(1).path, format!("/model/{escaped}/invoke"));
    until("both lines", async || (gateway.log().matches("cost_usd=").count() == 2).then_some(())).await;
    let listed = gateway.send_json("k", "GET", "/v1/models", &Value::Null).await.whole().await.json();
    let listed = listed["data"].as_array().unwrap().iter().find(|model| model["id"] == format!("aws/{arn}")).cloned();
    assert!(listed.expect("the profile")["context_window"].is_u64());
}

/// S5, case 5: every message of a binary stream reaches the client as it comes.
#[tokio::test]
async fn each_event_is_passed_on_at_once() {
    let pause = Duration::from_millis(100);
    let words: Vec<String> = (0..10).map(|count| format!("w{count} ")).collect();
    let slow = words.iter().fold(stream().frame(start()), |script, word| script.frame(text(word)).wait(pause));
    let upstream = Upstream::scripted([slow.frame(stop(0)).frames(end("end_turn")).end()]).await;
    let gateway = gateway(&upstream).await;
    let mut client = gateway.chat(&ask(MODEL, true)).await;
    let mut answer = client.answer().await;
    let first = answer.until("w0 ").await;
    let last = answer.until("w9 ").await;
    assert!(last - first >= pause * 8, "spread over {:?}", last - first);
    answer.whole().await;
}

/// S9: a stream whose every byte is a write of its own says the same.
#[tokio::test]
async fn cuts_in_mid_frame_do_not_matter() {
    let bytes = says("\u{4f60}\u{597d}\u{1F30D}").concat();
    let upstream = Upstream::scripted([stream().slowly(bytes).end()]).await;
    assert_eq!(gateway(&upstream).await.ask(&ask(MODEL, true)).await.content(), "\u{4f60}\u{597d}\u{1F30D}");
}

/// T4, case 29: the results of parallel calls are one user turn, in the order of the calls.
#[tokio::test]
async fn tool_results_become_one_turn() {
    let upstream = Upstream::scripted([Script::json(200, &answer(&json!([{"text": "ok"}]), "end_turn"))]).await;
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "weather", "arguments": "{}"}});
    let asked = json!({"model": MODEL,
    "tools": [{"type": "function", "function": {"name": "weather"}}],
    "messages": [
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": null, "tool_calls": [call("tooluse_A"), call("tooluse_B")]},
        {"role": "tool", "tool_call_id": "tooluse_B", "content": "warm"},
        {"role": "tool", "tool_call_id": "tooluse_A", "content": "cold"},
    ]});
    let reply = gateway(&upstream).await.ask(&asked).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let body = upstream.request(0).json();
    assert_eq!(body["messages"].as_array().map(Vec::len), Some(3), "{body}");
    let result = |id: &str, text: &str| json!({"toolResult": {"toolUseId": id, "content": [{"text": text}]}});
    assert_eq!(body["messages"][2]["content"], json!([result("tooluse_A", "cold"), result("tooluse_B", "warm")]));
}

/// T5, case 30: a history of tools without tools is told in words.
#[tokio::test]
async fn tool_history_without_tools_is_told() {
    let upstream = Upstream::scripted([Script::json(200, &answer(&json!([{"text": "ok"}]), "end_turn"))]).await;
    let call = json!({"id": "tooluse_A", "type": "function",
        "function": {"name": "weather", "arguments": "{\"city\":\"Oslo\"}"}});
    let asked = json!({"model": MODEL, "messages": [
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": null, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "tooluse_A", "content": "cold"},
    ]});
    let reply = gateway(&upstream).await.ask(&asked).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(reply.header("x-sluis-dropped").is_some());
    let sent = upstream.request(0).text();
    for word in ["weather", "Oslo", "cold"] {
        assert!(sent.contains(word), "{sent}");
    }
    assert!(!sent.contains("toolUse") && !sent.contains("toolResult") && !sent.contains("toolConfig"), "{sent}");
}

/// T1, T2: calls count from zero, and one without arguments has empty ones.
#[tokio::test]
async fn calls_are_put_together() {
    let calls = [tool(0, "tooluse_A", "now", &[""]), tool(1, "tooluse_B", "weather", &["{\"city\":", "\"Oslo\"}"])];
    let frames = [vec![start()], calls.concat(), end("tool_use")].concat();
    let upstream = Upstream::scripted([stream().frames(frames).end()]).await;
    let chunks = gateway(&upstream).await.ask(&ask(MODEL, true)).await.chunks();
    let mut seen = [String::new(), String::new()];
    for call in chunks.iter().filter_map(|chunk| chunk.pointer("/choices/0/delta/tool_calls")?.as_array()).flatten() {
        let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
        seen[index].push_str(call["function"]["arguments"].as_str().unwrap_or_default());
    }
    assert_eq!(seen, ["{}", "{\"city\":\"Oslo\"}"]);
    assert_eq!(finish(&chunks), ["tool_calls"]);
}

/// R1, case 34: signed reasoning comes back with the client's next turn, kept by the client or not.
#[tokio::test]
async fn reasoning_survives_a_round_trip() {
    let reasoned = json!([
        {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "S1=="}}},
        {"reasoningContent": {"redactedContent": "RDE="}},
        {"reasoningContent": {"reasoningText": {"text": "", "signature": "S2=="}}},
        {"toolUse": {"toolUseId": "tooluse_1", "name": "now", "input": {}}},
    ]);
    let noon = || Script::json(200, &answer(&json!([{"text": "noon"}]), "end_turn"));
    let upstream = Upstream::scripted([Script::json(200, &answer(&reasoned, "tool_use")), noon(), noon()]).await;
    let gateway = gateway(&upstream).await;
    let message = gateway.ask(&ask(MODEL, false)).await.json()["choices"][0]["message"].clone();
    let mut bare = message.clone();
    bare.as_object_mut().unwrap().retain(|key, _| matches!(key.as_str(), "role" | "content" | "tool_calls"));
    for (index, message) in [(1, message), (2, bare)] {
        let asked = json!({"model": MODEL, "tools": [{"type": "function", "function": {"name": "now"}}], "messages": [
            {"role": "user", "content": "what time is it?"}, message,
            {"role": "tool", "tool_call_id": "tooluse_1", "content": "noon"},
        ]});
        let reply = gateway.ask(&asked).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(upstream.request(index).json()["messages"][1]["content"], reasoned, "request {index}");
    }
}

/// E2: an exception before anything was said has its HTTP status, and is tried again elsewhere.
#[tokio::test]
async fn an_exception_first_is_a_status() {
    for (name, status, code) in [
        ("throttlingException", 429, json!("rate_limit_exceeded")),
        ("validationException", 400, json!("context_length_exceeded")),
        ("serviceUnavailableException", 503, json!("server_is_overloaded")),
        ("internalServerException", 500, json!("server_error")),
    ] {
        let script = stream().frame(exception(name, "Input is too long for requested model.")).end();
        let upstream = Upstream::scripted([script]).await;
        let reply = gateway(&upstream).await.ask(&ask(MODEL, true)).await;
        assert_eq!((reply.status, &reply.error()["code"]), (status, &code), "{name}");
        assert_eq!(reply.error()["message"], "Input is too long for requested model.");
    }
}

/// E1, E2: an exception, a bad checksum, a cut in mid-frame and an end without a stop reason end the
/// client's stream with an error and no finish.
#[tokio::test]
async fn what_breaks_after_the_first_event_is_an_error_frame() {
    let begun = || stream().frames([start(), text("a")]);
    let mut bad = text("b");
    let last = bad.len() - 1;
    bad[last] ^= 1;
    let cut = text("b")[..40].to_vec();
    for (script, code) in [
        (begun().frame(exception("throttlingException", "Too many tokens.")).end(), "rate_limit_exceeded"),
        (begun().frame(exception("modelStreamErrorException", "Oops.")).end(), "server_error"),
        (begun().frame(bad).end(), "bad_upstream_response"),
        (begun().frame(cut.clone()).end(), "upstream_stream_interrupted"),
        (begun().frame(cut).cut(), "upstream_stream_interrupted"),
        (begun().end(), "upstream_stream_interrupted"),
    ] {
        let upstream = Upstream::scripted([script]).await;
        let reply = gateway(&upstream).await.ask(&ask(MODEL, true)).await;
        assert_eq!(reply.status, 200);
        let chunks = reply.chunks();
        assert!(finish(&chunks).is_empty(), "{}", reply.text());
        assert_eq!(chunks.last().unwrap()["error"]["code"], code, "{}", reply.text());
        assert!(reply.text().contains("\"a\""));
    }
}

/// D1, case 11: a client that leaves takes the binary stream along.
#[tokio::test]
async fn leaving_aborts_the_upstream() {
    let upstream = Upstream::scripted([stream().frames([start(), text("a"), text("b")]).hang()]).await;
    let gateway = gateway(&upstream).await;
    let mut client = gateway.chat(&ask(MODEL, true)).await;
    client.answer().await.until("\"b\"").await;
    let left = Instant::now();
    drop(client);
    assert!(upstream.closed(0).await.duration_since(left) < SOON);
}

/// M1, M3, F1: errors by the header that tells their type.
#[tokio::test]
async fn errors_are_told_by_their_type() {
    for (status, kind, message, expected, code) in [
        (400, "ValidationException", "The text field is blank.", 400, Value::Null),
        (
            400,
            "ValidationException:http://x/",
            "Input is too long for requested model.",
            400,
            json!("context_length_exceeded"),
        ),
        (400, "ServiceQuotaExceededException", "Quota.", 429, json!("insufficient_quota")),
        (403, "AccessDeniedException", "No access.", 502, json!("upstream_credentials")),
        (404, "ResourceNotFoundException", "Gone.", 404, json!("model_not_found")),
        (429, "ThrottlingException", "Too many requests.", 429, json!("rate_limit_exceeded")),
        (424, "ModelErrorException", "Failed.", 502, json!("server_error")),
    ] {
        let body = json!({ "message": message }).to_string();
        let headers = [("content-type", "application/json"), ("x-amzn-errortype", kind)];
        let upstream = Upstream::scripted([Script::body(status, &headers, body.as_bytes())]).await;
        let reply = gateway(&upstream).await.ask(&ask(MODEL, false)).await;
        assert_eq!((reply.status, &reply.error()["code"]), (expected, &code), "{kind}: {}", reply.text());
        assert!(reply.error()["message"].as_str().unwrap().contains(message));
    }
}

/// E2, M2: another service's answer under a success status is none.
#[tokio::test]
async fn a_wrong_path_is_no_answer() {
    let body = json!({"Output": {"__type": "com.amazon.coral.service#UnknownOperationException"}, "Version": "1.0"});
    let upstream = Upstream::scripted([Script::json(200, &body)]).await;
    let reply = gateway(&upstream).await.ask(&ask(MODEL, false)).await;
    assert_eq!((reply.status, &reply.error()["code"]), (502, &json!("bad_upstream_response")));
}

/// J1: an answer in a schema from a model that has none of its own.
#[tokio::test]
async fn an_emulated_schema_is_content() {
    let frames = [vec![start()], tool(0, "tooluse_J", "json_response", &["{\"n\"", ":3}"]), end("tool_use")].concat();
    let upstream = Upstream::scripted([stream().frames(frames).end()]).await;
    let mut asked = ask("aws/amazon.nova-pro-v1:0", true);
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": false});
    asked["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
    let reply = gateway(&upstream).await.ask(&asked).await;
    assert_eq!((reply.content().as_str(), finish(&reply.chunks())), ("{\"n\":3}", vec!["stop"]));
    assert_eq!(upstream.request(0).json()["toolConfig"]["toolChoice"], json!({"tool": {"name": "json_response"}}));
}

/// S2: events nobody has told us of are passed over, and so is reasoning's shape kept apart.
#[tokio::test]
async fn reasoning_is_no_content() {
    let frames = [
        vec![
            event("somethingNew", &json!({"x": 1})),
            start(),
            delta(0, &json!({"reasoningContent": {"text": "Hm."}})),
            delta(0, &json!({"reasoningContent": {"signature": "S=="}})),
            stop(0),
            delta(1, &json!({"text": "Hi"})),
            stop(1),
        ],
        end("end_turn"),
    ];
    let upstream = Upstream::scripted([stream().frames(frames.concat()).end()]).await;
    let reply = gateway(&upstream).await.ask(&ask(MODEL, true)).await;
    assert_eq!(reply.content(), "Hi");
    let chunks = reply.chunks();
    let deltas = chunks.iter().filter_map(|chunk| chunk.pointer("/choices/0/delta/reasoning_content")?.as_str());
    assert_eq!(deltas.collect::<String>(), "Hm.");
}

/// Keys of AWS's usual places: nothing is fetched at the start, the container's endpoint is asked by
/// the first call, and every request is signed. X4: none of it is in the log.
#[tokio::test]
async fn requests_are_signed_with_the_containers_keys() {
    let keys = json!({"AccessKeyId": "AKIDUP", "SecretAccessKey": "canary-secret", "Token": "canary-token",
        "Expiration": "2099-01-01T00:00:00Z"});
    let place = Upstream::scripted([Script::json(200, &keys)]).await;
    let said = || stream().frames(says("Hi")).end();
    let upstream = Upstream::scripted([said(), said()]).await;
    let config = format!(
        "[retry]\nattempts = 1\n[providers.aws]\ntype = \"bedrock\"\nregion = \"eu-west-1\"\nbase-url = \"{}\"\n",
        upstream.url("")
    );
    let from = place.url("/keys");
    let env = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", from.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "let-me-in"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    let gateway = Gateway::start_with(&config, &env).await;
    assert_eq!(place.count(), 0, "asked before it was needed");
    for index in 0..2 {
        assert_eq!(gateway.ask(&ask(MODEL, true)).await.content(), "Hi");
        let request = upstream.request(index);
        let authorization = request.header("authorization").unwrap();
        assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDUP/"), "{authorization}");
        assert!(
            authorization.contains(
                "/eu-west-1/bedrock/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token,"
            ),
            "{authorization}"
        );
        assert_eq!(request.header("x-amz-security-token"), Some("canary-token"));
    }
    assert_eq!(place.count(), 1, "kept for the next call");
    assert_eq!(place.request(0).header("authorization"), Some("let-me-in"));
    assert!(!gateway.log().contains("canary"), "{}", gateway.log());
}

/// X4: where there are no keys the client hears that the gateway's credentials are missing, and the
/// gateway is ready all the same.
#[tokio::test]
async fn without_keys_the_gateway_is_ready_and_says_so() {
    let upstream = Upstream::scripted([]).await;
    let config =
        format!("[providers.aws]\ntype = \"bedrock\"\nregion = \"eu-west-1\"\nbase-url = \"{}\"\n", upstream.url(""));
    let gateway = Gateway::start_with(&config, &[("AWS_EC2_METADATA_DISABLED", "true")]).await;
    let reply = gateway.ask(&ask(MODEL, false)).await;
    assert_eq!((reply.status, &reply.error()["code"]), (502, &json!("upstream_credentials")));
    let told = async || gateway.log().contains("none of AWS's usual places has keys").then_some(());
    until("the reason in the log", told).await;
}

// === Anthropic's clients: their bytes pass by InvokeModel ===

async fn create(gateway: &Gateway, headers: &[(&str, &str)], body: &Value) -> crate::support::Reply {
    let mut all = vec![("content-type", "application/json"), ("anthropic-version", "2023-06-01")];
    all.extend_from_slice(headers);
    gateway.send("POST", "/v1/messages", &all, body.to_string().as_bytes()).await.whole().await
}

fn asks(model: &str, stream: bool) -> Value {
    json!({"model": model, "max_tokens": 64, "stream": stream, "messages": [{"role": "user", "content": "hello"}],
        "metadata": {"new_field": 1.5}})
}

/// S2, A3: a Messages request keeps what it says; model and stream are in the path, version and flags
/// in the body, and flags the service does not know stay behind.
#[tokio::test]
async fn a_messages_request_passes() {
    let own = r#"{ "id":"msg_up","type":"message","content":[{"type":"new","n":1.0e2}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":2}}"#;
    let upstream =
        Upstream::scripted([Script::body(200, &[("content-type", "application/json")], own.as_bytes())]).await;
    let flags = [("anthropic-beta", "context-1m-2025-08-07,message-threads-2026-08-12")];
    let reply = create(&gateway(&upstream).await, &flags, &asks(MODEL, false)).await;
    assert_eq!((reply.status, reply.text()), (200, own.to_owned()));
    let request = upstream.request(0);
    assert_eq!(request.path, "/model/us.anthropic.claude-haiku-4-5-20251001-v1%3A0/invoke");
    assert_eq!((request.header("anthropic-beta"), request.header("anthropic-version")), (None, None));
    let expected = json!({"max_tokens": 64, "messages": [{"role": "user", "content": "hello"}],
        "metadata": {"new_field": 1.5}, "anthropic_version": "bedrock-2023-05-31",
        "anthropic_beta": ["context-1m-2025-08-07"]});
    assert_eq!(request.json(), expected);
}

/// S2, E3: a model's own events are unwrapped from the binary stream and written as Anthropic writes
/// them; an exception among them is an error event.
#[tokio::test]
async fn a_messages_stream_is_unwrapped() {
    let owns = [
        json!({"type": "message_start", "message": {"id": "msg_up", "type": "message", "role": "assistant",
            "model": "claude-x", "content": [], "usage": {"input_tokens": 5, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}),
        json!({"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 5}}),
    ];
    let whole = stream().frames(owns.iter().map(chunk)).end();
    let broken = stream().frames(owns[..3].iter().map(chunk)).frame(exception("throttlingException", "Slow.")).end();
    let refused = stream().frame(exception("validationException", "prompt is too long: 9 > 8")).end();
    let upstream = Upstream::scripted([whole, broken, refused]).await;
    let gateway = gateway(&upstream).await;

    let reply = create(&gateway, &[], &asks(MODEL, true)).await;
    let said: Vec<String> =
        owns.iter().map(|own| format!("event: {}\ndata: {own}\n\n", own["type"].as_str().unwrap())).collect();
    assert_eq!((reply.status, reply.text()), (200, said.concat()));
    assert!(upstream.request(0).path.ends_with("/invoke-with-response-stream"));

    let reply = create(&gateway, &[], &asks(MODEL, true)).await;
    assert!(reply.text().starts_with(&said[..3].concat()), "{}", reply.text());
    assert!(reply.text().contains("event: error") && !reply.text().contains("message_stop"), "{}", reply.text());

    let reply = create(&gateway, &[], &asks(MODEL, true)).await;
    assert_eq!((reply.status, &reply.json()["error"]["type"]), (400, &json!("invalid_request_error")));
    assert!(reply.text().contains("prompt is too long"));
}

/// R1, case 34: Anthropic's clients on a model that only Converse serves; and the way from one vendor's
/// endpoint to the other keeps the signed blocks.
#[tokio::test]
async fn messages_reach_other_models_by_converse() {
    let upstream = Upstream::scripted([stream().frames(says("Hi")).end()]).await;
    let reply = create(&gateway(&upstream).await, &[], &asks("aws/amazon.nova-pro-v1:0", true)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(reply.text().contains("event: message_stop") && reply.text().contains("Hi"), "{}", reply.text());
    assert_eq!(upstream.request(0).path, "/model/amazon.nova-pro-v1%3A0/converse-stream");
}
