//! Streams from an upstream of the client's own dialect: framing, usage, keep-alives, flushing.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::support::{
    Gate, Gateway, Script, Upstream,
    gateway::{openai, provider},
    http,
    openai::{DONE, ask, c, chunk, completion, counts, error, event, finish, role, says, usage},
    until, within,
};

fn with_usage(model: &str) -> Value {
    let mut ask = ask(model, true);
    ask["stream_options"] = json!({"include_usage": true});
    ask
}

fn content(chunk: &Value) -> Option<&str> {
    chunk.pointer("/choices/0/delta/content").and_then(Value::as_str)
}

/// S1, case 2: the gateway asks for usage on its own account, and hides what the client did not
/// ask for.
#[tokio::test]
async fn usage_is_hidden_from_a_client_that_did_not_ask() {
    let upstream = Upstream::scripted([Script::sse().frames(says("hi")).end()]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    let reply = gateway.ask(&ask("up/m", true)).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.content(), "hi");
    for chunk in reply.chunks() {
        assert_ne!(chunk["choices"], json!([]), "no chunk without choices");
        assert!(chunk["usage"].is_null(), "no usage: {chunk}");
    }
    assert_eq!(upstream.request(0).json()["stream_options"]["include_usage"], true);
}

/// S1: a client that asks gets exactly one usage chunk, the last before `[DONE]`.
#[tokio::test]
async fn usage_comes_once_and_last_when_asked_for() {
    let upstream = Upstream::scripted([Script::sse().frames(says("hi")).end()]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    let chunks = gateway.ask(&with_usage("up/m")).await.chunks();
    let (last, before) = chunks.split_last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"], counts(5, 2));
    assert!(before.iter().all(|chunk| chunk["usage"].is_null()));
}

/// S1, case 3: usage that rides on the finish chunk is moved to a chunk of its own.
#[tokio::test]
async fn usage_on_the_finish_chunk_moves_to_its_own() {
    let mut finishing = chunk(&json!({}), Some("stop"));
    finishing["usage"] = counts(5, 2);
    let mut empty = chunk(&json!({}), None);
    empty["choices"] = json!([]);
    let script = Script::sse().frames([role(), c("hi"), event(&finishing), event(&empty), DONE.into()]).end();
    let upstream = Upstream::scripted([script]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    let chunks = gateway.ask(&with_usage("up/m")).await.chunks();
    let finish = chunks.iter().find(|chunk| chunk.pointer("/choices/0/finish_reason") == Some(&json!("stop")));
    assert!(finish.expect("a finish chunk")["usage"].is_null());
    let with_usage: Vec<_> = chunks.iter().filter(|chunk| !chunk["usage"].is_null()).collect();
    assert_eq!(with_usage.len(), 1);
    assert_eq!(with_usage[0]["choices"], json!([]));
    assert_eq!(with_usage[0]["usage"], counts(5, 2));
    assert_eq!(chunks.last(), with_usage.first().copied());
}

/// S2: what the gateway does not know passes, to the letter.
#[tokio::test]
async fn unknown_fields_of_a_chunk_pass_unchanged() {
    let odd = r#"data: {"zeta":1.50,"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"a","refusal":null,"annotations":[{"q":1e3}]},"finish_reason":null,"extra":{"n":12345678901234567890}}]}"#;
    let script = Script::sse().frames([odd, "\n\n", &finish("stop"), DONE]).end();
    let upstream = Upstream::scripted([script]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    let text = gateway.ask(&ask("up/m", true)).await.text();
    let kept = r#""choices":[{"index":0,"delta":{"content":"a","refusal":null,"annotations":[{"q":1e3}]},"finish_reason":null,"extra":{"n":12345678901234567890}}]}"#;
    assert!(text.contains(kept), "{text}");
    assert!(text.contains(r#"data: {"zeta":1.50,"id":"x","#), "{text}");
}

/// C1, P2: what the gateway does not know of a request passes upstream, to the letter; only the
/// model's name is another.
#[tokio::test]
async fn a_request_keeps_its_bytes_but_for_the_model() {
    let upstream = Upstream::scripted([Script::json(200, &completion("hi"))]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    let body = r#"{ "zeta" : 1.50, "model":"up/org/m:7b", "big": 12345678901234567890, "messages":[{"role":"user","content":"h\u00e9"}],"a":{"b":null}}"#;
    let headers = [("content-type", "application/json"), ("x-stainless-lang", "python"), ("openai-beta", "x=1")];
    let reply = gateway.send("POST", "/v1/chat/completions", &headers, body.as_bytes()).await.whole().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let request = upstream.request(0);
    assert_eq!(request.text(), body.replace("up/org/m:7b", "org/m:7b"));
    assert_eq!(request.method, "POST");
    assert_eq!(request.path, "/v1/chat/completions");
    assert_eq!(request.header("authorization"), Some("Bearer sk-up"));
    assert_eq!(request.header("x-stainless-lang"), None, "SDK noise stays here");
}

/// S5, case 5: each event reaches the client before the upstream says the next one. A gate and no
/// clock: a gateway that collects events would wait here for ever.
#[tokio::test]
async fn each_event_is_flushed_before_the_next() {
    let gate = Gate::closed();
    let mut script = Script::sse().frame(role());
    for number in 0..10 {
        script = script.gate(&gate).frame(c(&format!("<{number}>")));
    }
    let upstream = Upstream::scripted([script.gate(&gate).frames([&finish("stop"), DONE]).end()]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    let mut client = gateway.chat(&ask("up/m", true)).await;
    let mut answer = client.answer().await;
    answer.until("assistant").await;
    for number in 0..10 {
        gate.open();
        answer.until(&format!("<{number}>")).await;
    }
    gate.open();
    answer.until("[DONE]").await;
}

/// E1, case 6: a reset in mid-stream is an error frame and `[DONE]`, with no finish reason.
#[tokio::test]
async fn a_reset_after_content_becomes_an_error_frame() {
    let script = Script::sse().frames([c("a"), c("b")]).wait(Duration::from_millis(100)).cut();
    let upstream = Upstream::scripted([script]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    let reply = gateway.ask(&ask("up/m", true)).await;
    assert_eq!(reply.status, 200);
    let chunks = reply.chunks();
    assert_eq!(chunks.iter().filter_map(content).collect::<String>(), "ab");
    let errors: Vec<_> = chunks.iter().filter_map(|chunk| chunk.get("error")).collect();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0]["code"], "upstream_stream_interrupted");
    assert!(chunks.iter().all(|chunk| chunk.pointer("/choices/0/finish_reason").is_none_or(Value::is_null)));
}

/// E1: a clean end without a finish reason is no success either.
#[tokio::test]
async fn an_end_without_a_terminal_event_becomes_an_error_frame() {
    let upstream = Upstream::scripted([Script::sse().frames([role(), c("a")]).end()]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    let chunks = gateway.ask(&ask("up/m", true)).await.chunks();
    assert_eq!(chunks.last().unwrap()["error"]["code"], "upstream_stream_interrupted");
}

/// E1, case 7: a stream of no events is a 502, and a reason to fall back.
#[tokio::test]
async fn a_stream_without_events_is_a_502_or_a_fallback() {
    let empty = || Script::sse().end();
    let first = Upstream::scripted([empty(), empty()]).await;
    let second = Upstream::scripted([Script::sse().frames(says("second")).end()]).await;
    let config = format!(
        "{}{}[models.both]\ntargets = [\"up/m\", \"b/m\"]\n",
        openai(&first),
        provider("b", "openai-compatible", &second)
    );
    let gateway = Gateway::start(&config).await;
    let reply = gateway.ask(&ask("up/m", true)).await;
    assert_eq!(reply.status, 502);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    reply.error();
    let reply = gateway.ask(&ask("both", true)).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.content(), "second");
}

/// E2, case 8: an error in the first event has its own status, in one exchange.
#[tokio::test]
async fn an_error_in_the_first_event_becomes_a_status() {
    let error = json!({"error": {"message": "too long", "type": "BadRequestError", "code": 400}});
    let upstream = Upstream::scripted([Script::sse().frames([event(&error), DONE.into()]).end()]).await;
    let gateway = Gateway::start(&provider("up", "openai-compatible", &upstream)).await;
    let reply = gateway.ask(&ask("up/m", true)).await;
    assert_eq!(reply.status, 400, "{}", reply.text());
    assert_eq!(reply.error()["message"], "too long");
    assert_eq!(upstream.count(), 1);
}

/// E2: an error in a later event keeps message, type and code.
#[tokio::test]
async fn an_error_in_a_later_event_becomes_an_error_frame() {
    let error = json!({"error": {"message": "the engine died", "type": "engine_error", "code": "E7", "param": null}});
    let script = Script::sse().frames([role(), c("a"), event(&error), DONE.into()]).end();
    let upstream = Upstream::scripted([script]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    let chunks = gateway.ask(&ask("up/m", true)).await.chunks();
    let error = &chunks.last().unwrap()["error"];
    assert_eq!(error["message"], "the engine died");
    assert_eq!(error["type"], "engine_error");
    assert_eq!(error["code"], "E7");
}

/// E2, S8: a body under a wrong name is what it begins with, and a JSON object where an event should be
/// is one.
#[tokio::test]
async fn wrongly_named_bodies_are_understood() {
    let whole = completion("hi").to_string();
    let of = |media: &str, body: &str| Script::body(200, &[("content-type", media)], body.as_bytes());
    let scripts = [
        of("text/event-stream", &whole),
        of("text/plain", &whole),
        of("application/json", &format!("\n\n{}", says("hi").concat())),
        Script::sse().frame(event(&completion("hi"))).frame(DONE).end(),
    ];
    let count = scripts.len();
    let upstream = Upstream::scripted(scripts).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    for case in 0..count {
        let reply = gateway.ask(&with_usage("up/m")).await;
        assert_eq!((reply.status, reply.content().as_str()), (200, "hi"), "{case}: {}", reply.text());
        let chunks = reply.chunks();
        let used: Vec<_> = chunks.iter().filter(|chunk| !chunk["usage"].is_null()).collect();
        assert_eq!((used.len(), &used[0]["choices"]), (1, &json!([])), "{case}");
    }
}

/// S5: events that are called JSON are passed on one by one too.
#[tokio::test]
async fn wrongly_named_events_are_flushed() {
    let gate = Gate::closed();
    let script = Script::chunked(&[("content-type", "application/json")]).frame(c("a")).gate(&gate);
    let upstream = Upstream::scripted([script.frames(says("b")).end()]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    let mut client = gateway.chat(&ask("up/m", true)).await;
    let mut answer = client.answer().await;
    answer.until("\"a\"").await;
    gate.open();
    answer.until("[DONE]").await;
}

/// E2: an error without the form of an event keeps its words, as a status or as an error event.
#[tokio::test]
async fn errors_that_are_no_events_keep_their_words() {
    let bare = json!({"error": {"message": "too long", "type": "BadRequestError", "code": 400}}).to_string();
    let llama = "error: {\"code\":500,\"message\":\"no slot\",\"type\":\"server_error\"}\n\n";
    let upstream = Upstream::scripted([
        Script::sse().frame(&bare).end(),
        Script::sse().frame(c("a")).frame(&bare).end(),
        Script::sse().frame(llama).end(),
        Script::sse().frame(c("a")).frame(llama).end(),
    ])
    .await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    for (status, words) in [(400, "too long"), (500, "no slot")] {
        let reply = gateway.ask(&ask("up/m", true)).await;
        assert_eq!((reply.status, &reply.error()["message"]), (status, &json!(words)));
        let reply = gateway.ask(&ask("up/m", true)).await;
        let chunks = reply.chunks();
        assert_eq!((reply.status, &chunks[1]["error"]["message"]), (200, &json!(words)));
    }
}

/// S6, S7, case 15: a silent upstream is bridged by comment lines without a blank line.
#[tokio::test]
async fn silence_is_filled_with_comment_lines() {
    let gate = Gate::closed();
    let upstream = Upstream::scripted([Script::sse().gate(&gate).frames(says("ok")).end()]).await;
    let config = format!("{}[keep-alive]\ninterval = \"50ms\"\n", openai(&upstream));
    let gateway = Gateway::start(&config).await;
    let mut client = gateway.chat(&ask("up/m", true)).await;
    let mut answer = client.answer().await;
    assert_eq!(answer.status, 200);
    while answer.seen.iter().filter(|byte| **byte == b'\n').count() < 3 {
        answer.next().await;
    }
    let silence = String::from_utf8(answer.seen.clone()).unwrap();
    assert!(silence.split_terminator('\n').all(|line| line.starts_with(':')), "only comments: {silence:?}");
    gate.open();
    let reply = answer.whole().await;
    assert_eq!(reply.content(), "ok");
    assert!(!reply.text().contains("id:") && !reply.text().contains("retry:"));
}

/// S6, S7: between two events too, and only there.
#[tokio::test]
async fn keep_alives_stand_between_events_only() {
    let gate = Gate::closed();
    let half = c("half").trim_end().to_owned();
    let script = Script::sse().frame(role()).gate(&gate).frame(&half[..20]).gate(&gate).frame(&half[20..]);
    let script = script.frames(["\n\n", &finish("stop"), DONE]).end();
    let upstream = Upstream::scripted([script]).await;
    let gateway = Gateway::start(&format!("{}[keep-alive]\ninterval = \"50ms\"\n", openai(&upstream))).await;
    let mut client = gateway.chat(&ask("up/m", true)).await;
    let mut answer = client.answer().await;
    answer.until("\n:").await;
    gate.open();
    let comments = |seen: &[u8]| String::from_utf8_lossy(seen).matches("\n:").count();
    let before = comments(&answer.seen);
    while comments(&answer.seen) < before + 2 {
        answer.next().await;
    }
    gate.open();
    assert_eq!(answer.whole().await.content(), "half");
}

/// S6: the time it takes to send a large request is no silence, so a failure after it keeps its status.
#[tokio::test]
async fn a_slow_request_keeps_its_status() {
    let upstream = Upstream::scripted([Script::json(400, &error("no", "some_error", None))]).await;
    let gateway = Gateway::start(&format!("{}[keep-alive]\ninterval = \"500ms\"\n", openai(&upstream))).await;
    let body = ask("up/m", true).to_string();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let stream = TcpStream::connect(gateway.addr).await.unwrap();
    let (first, rest) = body.split_at(9);
    http::write(&stream, format!("{head}{first}").as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(800)).await;
    http::write(&stream, rest.as_bytes()).await.unwrap();
    let reader = http::Reader::default();
    let head = within("an answer", reader.head(&stream)).await.unwrap().unwrap();
    assert!(head.line.contains(" 400 "), "{}", head.line);
}

/// S6: a failure before the first keep-alive has its status, a later one is an error frame. The
/// second exchange is the free one of a connection that may have been stale (F7).
#[tokio::test]
async fn a_failure_after_keep_alives_is_an_error_frame() {
    let gate = Gate::closed();
    let upstream = Upstream::scripted([Script::default().gate(&gate).cut(), Script::dead()]).await;
    let gateway = Gateway::start(&format!("{}[keep-alive]\ninterval = \"50ms\"\n", openai(&upstream))).await;
    let mut client = gateway.chat(&ask("up/m", true)).await;
    let mut answer = client.answer().await;
    answer.until(":").await;
    gate.open();
    let chunks = answer.whole().await.chunks();
    assert_eq!(chunks.len(), 1);
    assert_eq!(chunks[0]["error"]["code"], "upstream_unreachable");
}

/// The text "Hi" and its end, as event streams of every legal spelling.
fn spellings() -> Vec<(&'static str, String)> {
    let events = [role(), c("H"), c("i"), finish("stop"), DONE.into()];
    let plain = events.concat();
    let of = |change: &dyn Fn(&str) -> String| events.iter().map(|event| change(event)).collect::<String>();
    vec![
        ("LF", plain.clone()),
        ("CRLF", plain.replace('\n', "\r\n")),
        ("CR", plain.replace('\n', "\r")),
        ("no space", plain.replace("data: ", "data:")),
        ("two data lines", plain.replace(r#","choices""#, "\ndata: ,\"choices\"")),
        ("ids, retries, comments", of(&|event| format!(": hello\nid: 7\nretry: 10\n{event}"))),
        ("a byte order mark", format!("\u{feff}{plain}")),
        ("no last blank line", plain.trim_end().to_owned()),
    ]
}

/// S8, case 18: one text, eight spellings.
#[tokio::test]
async fn every_spelling_of_an_event_stream_is_read() {
    let spellings = spellings();
    let scripts = spellings.iter().map(|(_, text)| Script::sse().frame(text).end());
    let upstream = Upstream::scripted(scripts).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    for (name, _) in spellings {
        let reply = gateway.ask(&ask("up/m", true)).await;
        assert_eq!(reply.status, 200, "{name}: {}", reply.text());
        assert_eq!(reply.content(), "Hi", "{name}");
        let fields = reply.text();
        assert!(fields.lines().all(|line| !line.starts_with("id:") && !line.starts_with("retry:")), "{name}: {fields}");
    }
}

/// S8: an HTTP/1.0 server ends its stream by closing; with a finish reason that is a proper end.
#[tokio::test]
async fn a_stream_that_ends_by_closing_is_whole_when_it_has_finished() {
    let script = Script::sse_http10().frames([": keepalive 1/1\n\n", &role(), &c("ok"), &finish("stop"), DONE]);
    let upstream = Upstream::scripted([script.clone().close(), script.close()]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    for _ in 0..2 {
        assert_eq!(gateway.ask(&ask("up/m", true)).await.content(), "ok");
    }
}

/// S9, case 19: writes that split characters anywhere change nothing.
#[tokio::test]
async fn characters_survive_any_split() {
    let text = "\u{4f60}\u{597d}\u{1f30d}";
    let event = c(text);
    let first = event.find('\u{4f60}').unwrap();
    let splits: Vec<_> = (first..=first + text.len()).collect();
    let scripts = splits.iter().map(|split| {
        let (head, tail) = event.as_bytes().split_at(*split);
        let parts = Script::sse().frame(head).wait(Duration::from_millis(5)).frame(tail);
        parts.frames([&finish("stop"), DONE]).end()
    });
    let upstream = Upstream::scripted(scripts).await;
    upstream.push(Script::sse().slowly([&event, &finish("stop"), DONE].concat()).end());
    let gateway = Gateway::start(&openai(&upstream)).await;
    for split in splits.iter().chain([&0]) {
        assert_eq!(gateway.ask(&ask("up/m", true)).await.content(), text, "split at {split}");
    }
}

async fn compressed(coding: &str, plain: &[u8]) -> Vec<u8> {
    use async_compression::tokio::bufread::{BrotliEncoder, GzipEncoder, ZstdEncoder};
    use tokio::io::AsyncReadExt;
    let mut out = Vec::new();
    let read = match coding {
        "gzip" => GzipEncoder::new(plain).read_to_end(&mut out).await,
        "br" => BrotliEncoder::new(plain).read_to_end(&mut out).await,
        "zstd" => ZstdEncoder::new(plain).read_to_end(&mut out).await,
        other => panic!("no coding {other}"),
    };
    read.expect("compression in memory");
    out
}

/// S10, case 21: a compressed answer arrives plain, and its head does not say otherwise.
#[tokio::test]
async fn compressed_answers_arrive_plain() {
    let codings = ["gzip", "br", "zstd"];
    let mut scripts = Vec::new();
    for coding in codings {
        let body = compressed(coding, completion("hi").to_string().as_bytes()).await;
        let headers = [("content-type", "application/json"), ("content-encoding", coding)];
        scripts.push(Script::body(200, &headers, &body));
        let stream = compressed(coding, says("hi").concat().as_bytes()).await;
        scripts.push(Script::sse_with(&[("content-encoding", coding)]).frame(stream).end());
    }
    let upstream = Upstream::scripted(scripts).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    for coding in codings {
        let reply = gateway.ask(&ask("up/m", false)).await;
        assert_eq!(reply.header("content-encoding"), None, "{coding}");
        assert_eq!(reply.json()["choices"][0]["message"]["content"], "hi", "{coding}");
        let reply = gateway.ask(&ask("up/m", true)).await;
        assert_eq!(reply.header("content-encoding"), None, "{coding}");
        assert_eq!(reply.content(), "hi", "{coding}");
    }
}

/// S10, case 21: decompression does not wait for the end of the stream.
#[tokio::test]
async fn a_compressed_stream_stays_incremental() {
    use async_compression::tokio::write::GzipEncoder;
    use tokio::io::AsyncWriteExt;
    let mut encoder = GzipEncoder::new(Vec::new());
    encoder.write_all([role(), c("first")].concat().as_bytes()).await.unwrap();
    encoder.flush().await.unwrap();
    let first = encoder.get_ref().clone();
    encoder.write_all([&finish("stop"), DONE].concat().as_bytes()).await.unwrap();
    encoder.shutdown().await.unwrap();
    let rest = encoder.into_inner().split_off(first.len());

    let gate = Gate::closed();
    let script = Script::sse_with(&[("content-encoding", "gzip")]).frame(first).gate(&gate).frame(rest).end();
    let upstream = Upstream::scripted([script]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    let mut client = gateway.chat(&ask("up/m", true)).await;
    let mut answer = client.answer().await;
    answer.until("first").await;
    gate.open();
    answer.until("[DONE]").await;
}

/// S11: a connection whose body was read to the end serves again, one that was left does not.
#[tokio::test]
async fn a_connection_is_reused_only_after_its_whole_body() {
    let whole = || Script::json(200, &completion("hi"));
    let stream = Script::sse().frames([role(), c("a")]).hang();
    let upstream = Upstream::scripted([whole(), whole(), stream, whole()]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    for _ in 0..2 {
        assert_eq!(gateway.ask(&ask("up/m", false)).await.status, 200);
    }
    let mut client = gateway.chat(&ask("up/m", true)).await;
    client.answer().await.until("\"a\"").await;
    drop(client);
    upstream.closed(2).await;
    assert_eq!(gateway.ask(&ask("up/m", false)).await.status, 200);
    let connections: Vec<_> = upstream.exchanges().iter().map(|exchange| exchange.connection).collect();
    assert_eq!(connections[0], connections[1], "a read body frees its connection");
    assert_ne!(connections[2], connections[3], "an abandoned one is closed");
}

/// Design 6.9: the head of an answer tells the call's story, and hides the vendor's.
#[tokio::test]
async fn the_head_tells_target_attempts_and_ids() {
    let headers = [("x-request-id", "req-up"), ("set-cookie", "a=b"), ("openai-organization", "secret-org")];
    let upstream = Upstream::scripted([Script::sse_with(&headers).frames(says("hi")).end()]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    let reply = gateway.chat_with(&[("x-request-id", "mine")], &ask("up/m", true)).await.whole().await;
    assert_eq!(reply.header("content-type").map(|value| value.starts_with("text/event-stream")), Some(true));
    assert_eq!(reply.header("x-sluis-target"), Some("up/m"));
    assert_eq!(reply.header("x-sluis-attempts"), Some("1"));
    assert_eq!(reply.header("x-upstream-request-id"), Some("req-up"));
    assert_eq!(reply.header("x-client-request-id"), Some("mine"));
    assert!(reply.header("x-request-id").is_some_and(|id| id != "mine" && id != "req-up"));
    assert_eq!(reply.header("set-cookie"), None);
    assert_eq!(reply.header("openai-organization"), None);
}

/// Usage also reaches the metrics when the client never sees it (case 2's other half).
#[tokio::test]
async fn hidden_usage_is_counted() {
    let upstream =
        Upstream::scripted([Script::sse().frames([c("hi"), finish("stop"), usage(5, 2), DONE.into()]).end()]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    gateway.ask(&ask("up/m", true)).await;
    until("the tokens in the metrics", async || {
        let prompt = gateway.metric("any", "sluis_tokens_total", "kind=\"prompt\"").await;
        let output = gateway.metric("any", "sluis_tokens_total", "kind=\"output\"").await;
        ((prompt, output) == (5.0, 2.0)).then_some(())
    })
    .await;
}
