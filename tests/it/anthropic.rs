//! OpenAI's clients on an Anthropic upstream: the translation through the whole gateway.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{
    Gateway, Script, Upstream,
    anthropic::{delta, end, event, message, message_start, says, start, stop, text, tool},
    gateway::{anthropic, provider},
    openai::ask,
};

const MODEL: &str = "ant/claude-haiku-4-5";

async fn gateway(upstream: &Upstream) -> Gateway {
    Gateway::start(&anthropic(upstream)).await
}

fn counts(input: u64, output: u64) -> Value {
    json!({"input_tokens": input, "output_tokens": output})
}

fn stream(parts: impl IntoIterator<Item = Vec<String>>, reason: &str, usage: &Value) -> Script {
    let blocks = parts.into_iter().flatten();
    Script::sse().frame(message_start(usage)).frames(blocks).frames(end(reason, usage)).end()
}

/// What a client has put together of the tool calls of a stream: by index, the id, name and
/// arguments, each concatenated as the SDKs do it.
fn calls(chunks: &[Value]) -> BTreeMap<u64, [String; 3]> {
    let mut calls: BTreeMap<u64, [String; 3]> = BTreeMap::new();
    for piece in chunks.iter().filter_map(|chunk| chunk.pointer("/choices/0/delta/tool_calls")?.as_array()).flatten() {
        let call = calls.entry(piece["index"].as_u64().expect("an index")).or_default();
        for (slot, path) in ["/id", "/function/name", "/function/arguments"].into_iter().enumerate() {
            call[slot].push_str(piece.pointer(path).and_then(Value::as_str).unwrap_or_default());
        }
    }
    calls
}

fn finish(chunks: &[Value]) -> Vec<&str> {
    chunks.iter().filter_map(|chunk| chunk.pointer("/choices/0/finish_reason")?.as_str()).collect()
}

/// S1, case 1: one usage chunk at the end, `usage: null` before it.
#[tokio::test]
async fn usage_comes_once_and_last() {
    let upstream = Upstream::scripted([stream([text(0, "ab")], "end_turn", &counts(5, 2))]).await;
    let gateway = gateway(&upstream).await;
    let mut asked = ask(MODEL, true);
    asked["stream_options"] = json!({"include_usage": true});
    let reply = gateway.ask(&asked).await;
    assert_eq!(reply.content(), "ab");
    let chunks = reply.chunks();
    let (last, before) = chunks.split_last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["prompt_tokens"], 5);
    assert_eq!(last["usage"]["completion_tokens"], 2);
    assert_eq!(last["usage"]["total_tokens"], 7);
    for chunk in before {
        assert_eq!(chunk.get("usage"), Some(&Value::Null), "{chunk}");
        assert_eq!(chunk["object"], "chat.completion.chunk");
        assert_eq!(chunk["model"], MODEL);
        assert_eq!(chunk["id"], last["id"]);
    }
    assert_eq!(finish(&chunks), ["stop"]);
}

/// What goes out is a Messages request under Anthropic's own headers.
#[tokio::test]
async fn the_request_is_anthropics() {
    let upstream =
        Upstream::scripted([Script::json(200, &message(&json!([{"type": "text", "text": "hi"}]), "end_turn"))]).await;
    let gateway = gateway(&upstream).await;
    let asked = json!({"model": MODEL, "max_tokens": 50, "messages": [
        {"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"}]});
    let reply = gateway.ask(&asked).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let answer = reply.json();
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["choices"][0]["message"]["content"], "hi");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert_eq!(answer["usage"]["total_tokens"], 7);
    let request = upstream.request(0);
    assert_eq!(request.path, "/v1/messages");
    assert_eq!(request.header("x-api-key"), Some("sk-ant"));
    assert_eq!(request.header("authorization"), None);
    assert!(request.header("anthropic-version").is_some());
    let body = request.json();
    assert_eq!(body["model"], "claude-haiku-4-5");
    assert_eq!(body["max_tokens"], 50);
    assert!(body["system"].to_string().contains("be brief"));
    assert_eq!(body["messages"].as_array().map(Vec::len), Some(1));
}

/// E1: text in a block that nobody began is text, and not an empty answer.
#[tokio::test]
async fn text_without_a_beginning_is_told() {
    let bare = vec![delta(0, &json!({"type": "text_delta", "text": "hi"})), stop(0)];
    let upstream = Upstream::scripted([stream([bare], "end_turn", &counts(5, 2))]).await;
    let reply = gateway(&upstream).await.ask(&ask(MODEL, true)).await;
    assert_eq!(reply.content(), "hi", "{}", reply.text());
}

/// T1, case 24: a call without arguments has the arguments `{}`.
#[tokio::test]
async fn a_call_without_arguments_has_empty_ones() {
    let upstream = Upstream::scripted([stream([tool(0, "toolu_1", "now", &[])], "tool_use", &counts(5, 2))]).await;
    let chunks = gateway(&upstream).await.ask(&ask(MODEL, true)).await.chunks();
    let calls = calls(&chunks);
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[&0], ["toolu_1", "now", "{}"]);
    assert_eq!(finish(&chunks), ["tool_calls"]);
}

/// T2, case 25: parallel calls count 0, 1 and say id and name once.
#[tokio::test]
async fn parallel_calls_count_from_zero() {
    let first = tool(1, "toolu_1", "weather", &["", "{\"city\":", "\"Oslo\"}"]);
    let second = tool(2, "toolu_2", "weather", &["", "{\"city\":", "\"Rome\"}"]);
    let upstream =
        Upstream::scripted([stream([text(0, "Let me see."), first, second], "tool_use", &counts(5, 2))]).await;
    let reply = gateway(&upstream).await.ask(&ask(MODEL, true)).await;
    let chunks = reply.chunks();
    let calls = calls(&chunks);
    assert_eq!(calls[&0], ["toolu_1", "weather", "{\"city\":\"Oslo\"}"]);
    assert_eq!(calls[&1], ["toolu_2", "weather", "{\"city\":\"Rome\"}"]);
    assert_eq!(reply.content(), "Let me see.");
    assert_eq!(finish(&chunks), ["tool_calls"]);
}

/// T4: the results of parallel calls are one user turn, in the order of the calls.
#[tokio::test]
async fn tool_results_become_one_turn() {
    let upstream =
        Upstream::scripted([Script::json(200, &message(&json!([{"type": "text", "text": "hi"}]), "end_turn"))]).await;
    let call = |id: &str, city: &str| json!({"id": id, "type": "function", "function": {"name": "weather", "arguments": format!("{{\"city\":\"{city}\"}}")}});
    let asked = json!({"model": MODEL,
    "tools": [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}],
    "messages": [
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": null, "tool_calls": [call("toolu_1", "Oslo"), call("toolu_2", "Rome")]},
        {"role": "tool", "tool_call_id": "toolu_1", "content": "cold"},
        {"role": "tool", "tool_call_id": "toolu_2", "content": "warm"},
    ]});
    let reply = gateway(&upstream).await.ask(&asked).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let body = upstream.request(0).json();
    assert_eq!(body["messages"].as_array().map(Vec::len), Some(3), "{body}");
    assert_eq!(body["messages"][1]["content"][1]["input"], json!({"city": "Rome"}));
    let results = body["messages"][2]["content"].as_array().expect("blocks");
    let ids: Vec<_> = results.iter().map(|block| block["tool_use_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["toolu_1", "toolu_2"]);
}

/// The message of a unary answer, or what the deltas of a stream add up to.
fn thinking_extras(reply: &crate::support::Reply) -> Value {
    let chunks = reply.chunks();
    let mut message = json!({"role": "assistant", "content": reply.content()});
    let calls: Vec<_> = calls(&chunks).into_values().map(|[id, name, arguments]| {
        json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
    }).collect();
    message["tool_calls"] = calls.into();
    let deltas = chunks.iter().filter_map(|chunk| chunk.pointer("/choices/0/delta/thinking_blocks")?.as_array());
    message["thinking_blocks"] = deltas.flatten().cloned().collect::<Vec<_>>().into();
    message
}

fn thinking_content() -> Value {
    json!([
        {"type": "thinking", "thinking": "Hm, hm.", "signature": "S1=="},
        {"type": "redacted_thinking", "data": "D1=="},
        {"type": "thinking", "thinking": "", "signature": "S2=="},
        {"type": "tool_use", "id": "toolu_1", "name": "now", "input": {}},
    ])
}

/// The follow-up of a client that sends back the message it got.
fn replay(message: &Value) -> Value {
    json!({"model": MODEL,
    "tools": [{"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}],
    "messages": [
        {"role": "user", "content": "what time is it?"}, message,
        {"role": "tool", "tool_call_id": "toolu_1", "content": "noon"},
    ]})
}

/// R1, case 34: thinking blocks and their signatures survive the client's second turn, unary.
#[tokio::test]
async fn thinking_survives_a_round_trip() {
    let noon = || Script::json(200, &message(&json!([{"type": "text", "text": "noon"}]), "end_turn"));
    let upstream = Upstream::scripted([Script::json(200, &message(&thinking_content(), "tool_use")), noon()]).await;
    let gateway = gateway(&upstream).await;
    let answer = gateway.ask(&ask(MODEL, false)).await.json();
    let message = &answer["choices"][0]["message"];
    assert_eq!(message["reasoning_content"], "Hm, hm.");
    let reply = gateway.ask(&replay(message)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(upstream.request(1).json()["messages"][1]["content"], thinking_content());
}

/// R1, R4, case 34: the same from a stream.
#[tokio::test]
async fn streamed_thinking_survives_a_round_trip() {
    let thinking = |index: u64, words: &str, signature: &str| {
        let mut events = vec![start(index, &json!({"type": "thinking", "thinking": "", "signature": ""}))];
        if !words.is_empty() {
            events.push(delta(index, &json!({"type": "thinking_delta", "thinking": words})));
        }
        events.push(delta(index, &json!({"type": "signature_delta", "signature": signature})));
        events.push(stop(index));
        events
    };
    let redacted = vec![start(1, &json!({"type": "redacted_thinking", "data": "D1=="})), stop(1)];
    let blocks = [thinking(0, "Hm, hm.", "S1=="), redacted, thinking(2, "", "S2=="), tool(3, "toolu_1", "now", &[])];
    let noon = Script::json(200, &message(&json!([{"type": "text", "text": "noon"}]), "end_turn"));
    let upstream = Upstream::scripted([stream(blocks, "tool_use", &counts(5, 2)), noon]).await;
    let gateway = gateway(&upstream).await;
    let first = gateway.ask(&ask(MODEL, true)).await;
    let said: String = first
        .chunks()
        .iter()
        .filter_map(|chunk| chunk.pointer("/choices/0/delta/reasoning_content")?.as_str().map(str::to_owned))
        .collect();
    assert_eq!(said, "Hm, hm.");
    let reply = gateway.ask(&replay(&thinking_extras(&first))).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(upstream.request(1).json()["messages"][1]["content"], thinking_content());
}

/// What a client keeps that knows only OpenAI's reference.
fn plain(message: &Value) -> Value {
    json!({"role": "assistant", "content": message["content"], "tool_calls": message["tool_calls"]})
}

/// R1, case 34: a client that keeps only ids, names and arguments gets its thinking put back,
/// streamed or not; another key or another model does not get it.
#[tokio::test]
async fn thinking_survives_a_client_that_does_not_know_it() {
    let noon = || Script::json(200, &message(&json!([{"type": "text", "text": "noon"}]), "end_turn"));
    let thinks = Script::json(200, &message(&thinking_content(), "tool_use"));
    let upstream = Upstream::scripted([thinks]).await;
    let config = format!(
        "{}[keys.a]\nsecret = \"sk-a-0123456789abcdef\"\n[keys.b]\nsecret = \"sk-b-0123456789abcdef\"\n",
        anthropic(&upstream)
    );
    let gateway = Gateway::start(&config).await;
    let (a, b) = ("sk-a-0123456789abcdef", "sk-b-0123456789abcdef");
    let answer = gateway.ask_as(a, &ask(MODEL, false)).await.json();
    let again = replay(&plain(&answer["choices"][0]["message"]));
    let mut elsewhere = again.clone();
    elsewhere["model"] = json!("ant/claude-sonnet-4-5");
    let bare = json!([{"type": "tool_use", "id": "toolu_1", "name": "now", "input": {}}]);
    for (key, asked, expected) in [
        (a, &again, thinking_content()),
        (b, &again, bare.clone()),
        (a, &elsewhere, bare),
        (a, &again, thinking_content()),
    ] {
        upstream.push(noon());
        let reply = gateway.ask_as(key, asked).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let sent = upstream.request(upstream.count() - 1).json();
        assert_eq!(sent["messages"][1]["content"], expected, "{key}");
    }

    let thinking = [
        start(0, &json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, &json!({"type": "thinking_delta", "thinking": "So."})),
        delta(0, &json!({"type": "signature_delta", "signature": "S9=="})),
        stop(0),
    ];
    let blocks = [thinking.to_vec(), text(1, "Wait."), tool(2, "toolu_1", "now", &[])];
    upstream.push(stream(blocks, "tool_use", &counts(5, 2)));
    let first = gateway.ask_as(a, &ask(MODEL, true)).await;
    upstream.push(noon());
    let reply = gateway.ask_as(a, &replay(&plain(&thinking_extras(&first)))).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let sent = upstream.request(upstream.count() - 1).json();
    assert_eq!(
        sent["messages"][1]["content"],
        json!([
            {"type": "thinking", "thinking": "So.", "signature": "S9=="},
            {"type": "text", "text": "Wait."},
            {"type": "tool_use", "id": "toolu_1", "name": "now", "input": {}},
        ])
    );
}

fn weather_schema(model: &str, stream: bool) -> Value {
    let mut asked = ask(model, stream);
    asked["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "weather", "strict": true, "schema": {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false}}});
    asked["tools"] = json!([{"type": "function", "function": {"name": "get_weather", "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}}}}}]);
    asked
}

/// J1, J2, case 38: a schema reaches the upstream, natively or as a tool whose call becomes the
/// content; a call of a real tool stays one.
#[tokio::test]
async fn a_schema_and_a_real_tool_stay_apart() {
    let upstream = Upstream::scripted([stream(
        [tool(0, "toolu_1", "get_weather", &["{\"city\":\"Oslo\"}"])],
        "tool_use",
        &counts(5, 2),
    )])
    .await;
    let gateway = gateway(&upstream).await;
    let reply = gateway.ask(&weather_schema(MODEL, true)).await;
    let chunks = reply.chunks();
    assert_eq!(calls(&chunks)[&0], ["toolu_1", "get_weather", "{\"city\":\"Oslo\"}"]);
    assert_eq!(reply.content(), "");
    assert_eq!(finish(&chunks), ["tool_calls"]);

    let asked = upstream.request(0).json();
    let tools = asked["tools"].as_array().expect("tools");
    assert!(tools.iter().any(|tool| tool["name"] == "get_weather"));
    let emulated = tools.iter().find(|tool| tool["name"] != "get_weather");
    assert!(
        emulated.is_some() || asked.pointer("/output_config/format/schema").is_some(),
        "the schema is lost: {asked}"
    );

    let object = "{\"city\":\"Oslo\"}";
    let blocks = emulated.map_or_else(
        || text(0, object),
        |emulated| tool(0, "toolu_2", emulated["name"].as_str().unwrap(), &["{\"city\":", "\"Oslo\"}"]),
    );
    let reason = if emulated.is_some() { "tool_use" } else { "end_turn" };
    upstream.push(stream([blocks], reason, &counts(5, 2)));
    let reply = gateway.ask(&weather_schema(MODEL, true)).await;
    assert_eq!(reply.content(), object);
    assert_eq!(finish(&reply.chunks()), ["stop"]);
    assert!(calls(&reply.chunks()).is_empty());
}

/// C2, C4, case 41: the cumulative counts of the end replace those of the start.
#[tokio::test]
async fn later_usage_replaces_earlier() {
    let first =
        json!({"input_tokens": 9, "cache_read_input_tokens": 1, "cache_creation_input_tokens": 0, "output_tokens": 1});
    let last =
        json!({"input_tokens": 9, "cache_read_input_tokens": 1, "cache_creation_input_tokens": 0, "output_tokens": 16});
    let script = Script::sse().frame(message_start(&first)).frames(text(0, "hi")).frames(end("end_turn", &last)).end();
    let upstream = Upstream::scripted([script]).await;
    let mut asked = ask(MODEL, true);
    asked["stream_options"] = json!({"include_usage": true});
    let chunks = gateway(&upstream).await.ask(&asked).await.chunks();
    let usage = &chunks.last().unwrap()["usage"];
    assert_eq!(usage["prompt_tokens"], 10);
    assert_eq!(usage["completion_tokens"], 16);
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 1);
}

/// A6, case 74: without a maximum of the client's the model's own goes out.
#[tokio::test]
async fn the_default_maximum_is_the_models() {
    let upstream = Upstream::scripted([Script::sse().frames(says("hi")).end()]).await;
    gateway(&upstream).await.ask(&ask(MODEL, true)).await;
    let maximum = upstream.request(0).json()["max_tokens"].as_u64().expect("max_tokens is always sent");
    assert!(maximum > 4096, "{maximum} would truncate");
}

/// A6, case 74: OpenAI's reasoning models want another field name.
#[tokio::test]
async fn a_reasoning_model_gets_max_completion_tokens() {
    use crate::support::openai::completion;
    let upstream = Upstream::scripted([Script::json(200, &completion("hi"))]).await;
    let gateway = Gateway::start(&provider("openai", "openai", &upstream)).await;
    let mut asked = ask("openai/gpt-5-mini", false);
    asked["max_tokens"] = json!(50);
    gateway.ask(&asked).await;
    let body = upstream.request(0).json();
    assert_eq!(body["max_completion_tokens"], 50);
    assert_eq!(body.get("max_tokens"), None);
}

/// S7: Anthropic's pings are no events of ours.
#[tokio::test]
async fn pings_do_not_disturb() {
    let mut events = says("hi");
    events.insert(1, event(&json!({"type": "ping"})));
    let upstream = Upstream::scripted([Script::sse().frames(events).end()]).await;
    let reply = gateway(&upstream).await.ask(&ask(MODEL, true)).await;
    assert_eq!(reply.content(), "hi");
}

/// E1, E2: an error event has a status before content and is a frame after it; so is a cut.
#[tokio::test]
async fn errors_in_a_stream_are_told() {
    let overloaded = event(&crate::support::anthropic::error("overloaded_error", "Overloaded"));
    let begin = message_start(&counts(5, 1));
    let upstream = Upstream::scripted([
        Script::sse().frame(&overloaded).end(),
        Script::sse().frame(&begin).frames(text(0, "a")).frame(&overloaded).end(),
        Script::sse().frame(&begin).frames(text(0, "a")).end(),
    ])
    .await;
    let gateway = gateway(&upstream).await;
    let reply = gateway.ask(&ask(MODEL, true)).await;
    assert_eq!(reply.status, 503, "{}", reply.text());
    for word in ["Overloaded", "upstream_stream_interrupted"] {
        let chunks = gateway.ask(&ask(MODEL, true)).await.chunks();
        assert!(finish(&chunks).is_empty(), "no invented end");
        let error = chunks.last().unwrap()["error"].to_string();
        assert!(error.contains(word), "{error}");
    }
}

/// Design 6.2: a field Anthropic has no place for is refused when it changes the meaning, dropped
/// and named when it does not, and refused in strict mode.
#[tokio::test]
async fn losses_are_named() {
    let upstream = Upstream::scripted([Script::sse().frames(says("hi")).end()]).await;
    let gateway = gateway(&upstream).await;
    let mut asked = ask(MODEL, true);
    asked["n"] = json!(2);
    let reply = gateway.ask(&asked).await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.error()["param"], "n");
    // A turn of nothing else is refused for what it holds, and not as empty.
    let mut asked = ask(MODEL, false);
    asked["messages"][0]["content"] = json!([{"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}]);
    let reply = gateway.ask(&asked).await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.error()["param"], "messages[].content[].input_audio");
    let mut asked = ask(MODEL, true);
    asked["seed"] = json!(7);
    let reply = gateway.ask(&asked).await;
    assert_eq!(reply.status, 200);
    assert!(reply.header("x-sluis-dropped").is_some_and(|names| names.contains("seed")), "{:?}", reply.head);
    let reply = gateway.chat_with(&[("x-sluis-strict", "true")], &asked).await.whole().await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.error()["param"], "seed");
}
