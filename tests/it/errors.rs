//! What a failure looks like: status, body and headers, and how many exchanges it cost.

use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::support::{
    Gateway, Reply, Script, Upstream,
    gateway::{anthropic, openai, provider},
    http,
    openai::{ask, completion, error},
    until, within,
};

/// Retries without a wait worth the name.
const QUICK: &str = "[retry]\nattempts = 3\nbackoff = { base = \"1ms\", max = \"2ms\" }\n";

fn quick(upstream: &Upstream) -> String {
    format!("{QUICK}{}", provider("up", "openai-compatible", upstream))
}

/// F1, case 54: the client's own mistakes cost one exchange.
#[tokio::test]
async fn the_clients_own_errors_are_not_retried() {
    let statuses = [400, 404, 413, 422];
    let script = |status| Script::json(status, &error("as it came", "some_error", Some("some_code")));
    let upstream = Upstream::scripted(statuses.map(script)).await;
    let gateway = Gateway::start(&quick(&upstream)).await;
    for (index, status) in statuses.into_iter().enumerate() {
        let reply = gateway.ask(&ask("up/m", false)).await;
        assert_eq!(reply.status, status);
        assert_eq!(reply.error()["message"], "as it came");
        assert_eq!(reply.error()["type"], "some_error");
        assert_eq!(reply.error()["code"], "some_code");
        assert_eq!(upstream.count(), index + 1, "one exchange for {status}");
    }
}

/// F1, case 54: bad credentials are the operator's: 502, one exchange, no retry by the SDK.
#[tokio::test]
async fn refused_credentials_are_a_502() {
    let statuses = [401, 403];
    let script = |status| Script::json(status, &error("Incorrect API key", "invalid_request_error", None));
    let upstream = Upstream::scripted(statuses.map(script)).await;
    let gateway = Gateway::start(&quick(&upstream)).await;
    for status in statuses {
        let reply = gateway.ask(&ask("up/m", false)).await;
        assert_eq!(reply.status, 502, "for {status}");
        assert_eq!(reply.error()["code"], "upstream_credentials");
        assert_eq!(reply.header("x-should-retry"), Some("false"));
    }
    assert_eq!(upstream.count(), 2);
}

/// F1, case 54: what may pass is tried as often as configured, and then told as it is.
#[tokio::test]
async fn passing_errors_are_tried_as_often_as_configured() {
    let statuses = [(408, 408), (429, 429), (500, 500), (502, 502), (503, 503), (504, 504), (529, 503)];
    for (status, told) in statuses {
        let script = Script::json(status, &error("busy", "some_error", None));
        let upstream = Upstream::scripted(vec![script; 3]).await;
        let gateway = Gateway::start(&quick(&upstream)).await;
        let reply = gateway.ask(&ask("up/m", false)).await;
        assert_eq!(reply.status, told, "for {status}: {}", reply.text());
        assert_eq!(reply.error()["message"], "busy");
        assert_eq!(upstream.count(), 3, "three exchanges for {status}");
        assert_eq!(reply.header("x-sluis-attempts"), Some("3"), "for {status}");
    }
}

/// F1, case 54: a broken connection and a passing error are healed by the next try.
#[tokio::test]
async fn a_retry_heals() {
    let busy = Script::json(503, &error("busy", "overloaded", None));
    let upstream = Upstream::scripted([Script::dead(), busy, Script::json(200, &completion("hi"))]).await;
    let gateway = Gateway::start(&quick(&upstream)).await;
    let reply = gateway.ask(&ask("up/m", false)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

/// F1: nobody listens there.
#[tokio::test]
async fn a_refused_connection_is_a_502() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let config =
        format!("{QUICK}[providers.up]\ntype = \"openai-compatible\"\nbase-url = \"http://127.0.0.1:{port}/v1\"\n");
    let gateway = Gateway::start(&config).await;
    let reply = gateway.ask(&ask("up/m", false)).await;
    assert_eq!(reply.status, 502);
    assert_eq!(reply.error()["code"], "upstream_unreachable");
    assert_eq!(reply.header("x-sluis-attempts"), Some("3"));
    until("the cause in the log", async || gateway.log().contains("could not be reached").then_some(())).await;
}

/// A fault of the operator's is no secret from the operator, and none of the client's business.
#[tokio::test]
async fn an_internal_error_is_explained_in_the_log_alone() {
    let config = format!(
        "{QUICK}[providers.up]\ntype = \"openai-compatible\"\nbase-url = \"https://127.0.0.1:1/v1\"\nca-file = \"missing.pem\"\n"
    );
    let gateway = Gateway::start(&config).await;
    let reply = gateway.ask(&ask("up/m", false)).await;
    assert_eq!((reply.status, reply.error()["code"].as_str()), (500, Some("internal_error")));
    assert!(!reply.text().contains("missing.pem"), "{}", reply.text());
    until("the cause in the log", async || gateway.log().contains("missing.pem").then_some(())).await;
}

/// F4, F8, case 55: with one key, a long Retry-After is handed to the client and not waited for.
#[tokio::test]
async fn a_long_retry_after_reaches_the_client_at_once() {
    let headers = [("content-type", "application/json"), ("retry-after", "60"), ("x-ratelimit-limit-requests", "7")];
    let body = error("slow down", "requests", Some("rate_limit_exceeded")).to_string();
    let upstream = Upstream::scripted([Script::body(429, &headers, body.as_bytes())]).await;
    let gateway = Gateway::start(&quick(&upstream)).await;
    let reply = gateway.ask(&ask("up/m", false)).await;
    assert_eq!(reply.status, 429);
    assert_eq!(reply.header("retry-after"), Some("60"));
    assert_eq!(reply.header("x-ratelimit-limit-requests"), Some("7"));
    assert_eq!(upstream.count(), 1);
}

/// F4: a short Retry-After is waited for.
#[tokio::test]
async fn a_short_retry_after_is_obeyed() {
    let headers = [("content-type", "application/json"), ("retry-after", "1")];
    let body = error("slow down", "requests", None).to_string();
    let upstream =
        Upstream::scripted([Script::body(429, &headers, body.as_bytes()), Script::json(200, &completion("hi"))]).await;
    let gateway = Gateway::start(&quick(&upstream)).await;
    let begun = std::time::Instant::now();
    assert_eq!(gateway.ask(&ask("up/m", false)).await.status, 200);
    assert!(begun.elapsed().as_millis() >= 950, "it came back after {:?}", begun.elapsed());
}

/// F1: no credit is no rate limit, although it has its status: one exchange, no retry by the SDK.
#[tokio::test]
async fn exhausted_quota_is_not_retried() {
    let body = error("You exceeded your current quota", "insufficient_quota", Some("insufficient_quota"));
    let upstream = Upstream::scripted([Script::json(429, &body)]).await;
    let gateway = Gateway::start(&quick(&upstream)).await;
    let reply = gateway.ask(&ask("up/m", false)).await;
    assert_eq!(reply.status, 429);
    assert_eq!(reply.error()["code"], "insufficient_quota");
    assert_eq!(reply.header("x-should-retry"), Some("false"));
    assert_eq!(upstream.count(), 1);
}

/// M2, case 64: a success that is none.
#[tokio::test]
async fn a_success_without_a_usable_body_is_a_502() {
    let html = b"<html><body>maintenance</body></html>".as_slice();
    let error = br#"{"error":{"code":502,"message":"no engine"}}"#.as_slice();
    for body in [error, b"null", b"", html, b"{", b"[]"] {
        let script = Script::body(200, &[("content-type", "application/json")], body);
        let upstream = Upstream::scripted([script]).await;
        let gateway = Gateway::start(&openai(&upstream)).await;
        let reply = gateway.ask(&ask("up/m", false)).await;
        let said = String::from_utf8_lossy(body);
        assert_eq!(reply.status, 502, "for {said:?}: {}", reply.text());
        assert!(!reply.error()["message"].as_str().unwrap().contains("<html"), "no page is handed on");
    }
}

/// M1, case 63: Anthropic's statuses as an OpenAI client knows them.
#[tokio::test]
async fn anthropic_errors_speak_openai() {
    let cases = [
        (400, "invalid_request_error", 400),
        (401, "authentication_error", 502),
        (403, "permission_error", 502),
        (404, "not_found_error", 404),
        (413, "request_too_large", 413),
        (429, "rate_limit_error", 429),
        (500, "api_error", 500),
        (529, "overloaded_error", 503),
    ];
    let script = |(status, kind, _): (u16, &str, u16)| {
        Script::json(status, &crate::support::anthropic::error(kind, "the vendor's words"))
    };
    let upstream = Upstream::scripted(cases.map(script)).await;
    let gateway = Gateway::start(&anthropic(&upstream)).await;
    for (status, _, told) in cases {
        let reply = gateway.ask(&ask("ant/claude-x", false)).await;
        assert_eq!(reply.status, told, "for {status}: {}", reply.text());
        assert!(reply.error()["message"].as_str().unwrap().contains("the vendor's words"), "{}", reply.text());
        assert_ne!(reply.error()["param"], "None");
    }
}

/// M3: the overflow of each dialect has OpenAI's code, on which clients compact.
#[tokio::test]
async fn context_overflow_has_its_code() {
    let openai_body = error(
        "This model's maximum context length is 10 tokens.",
        "invalid_request_error",
        Some("context_length_exceeded"),
    );
    let first = Upstream::scripted([Script::json(400, &openai_body)]).await;
    let body =
        crate::support::anthropic::error("invalid_request_error", "prompt is too long: 300000 tokens > 200000 maximum");
    let second = Upstream::scripted([Script::json(400, &body)]).await;
    let gateway = Gateway::start(&format!("{}{}", openai(&first), provider("ant", "anthropic", &second))).await;
    for model in ["up/m", "ant/claude-x"] {
        let reply = gateway.ask(&ask(model, true)).await;
        assert_eq!(reply.status, 400);
        assert_eq!(reply.error()["code"], "context_length_exceeded");
    }
}

async fn refused(gateway: &Gateway, body: &[u8]) -> Reply {
    let headers = [("content-type", "application/json")];
    gateway.send("POST", "/v1/chat/completions", &headers, body).await.whole().await
}

/// Design 6.6: what is no request names its fault and reaches no upstream.
#[tokio::test]
async fn malformed_requests_name_the_fault_and_reach_no_upstream() {
    let upstream = Upstream::scripted([]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    let cases: [(&[u8], Value); 4] = [
        (b"{", Value::Null),
        (br#"{"messages":[{"role":"user","content":"x"}]}"#, json!("model")),
        (br#"{"model":"up/m"}"#, json!("messages")),
        (br#"{"model":7,"messages":[]}"#, json!("model")),
    ];
    for (body, param) in cases {
        let reply = refused(&gateway, body).await;
        assert_eq!(reply.status, 400, "{}", reply.text());
        assert_eq!(reply.error()["type"], "invalid_request_error");
        if !param.is_null() {
            assert_eq!(reply.error()["param"], param);
        }
    }
    let reply = gateway.ask(&ask("up", false)).await;
    assert_eq!(reply.status, 404);
    assert_eq!(reply.error()["code"], "model_not_found");
    assert_eq!(reply.error()["param"], "model");
}

/// M1: an unknown path and a wrong verb answer in the dialect of the path, never with nothing.
#[tokio::test]
async fn unknown_routes_have_an_error_body() {
    let gateway = Gateway::start("").await;
    let reply = gateway.get("/v1/nothing").await;
    assert_eq!(reply.status, 404);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    reply.error();
    let reply = gateway.get("/v1/chat/completions").await;
    assert_eq!(reply.status, 405);
    reply.error();
}

/// M1: an error's words are told although its body broke off, is as long as the request it quotes, or
/// came in a coding that nobody knows.
#[tokio::test]
async fn odd_error_bodies_keep_what_they_say() {
    let kind = [("content-type", "application/json")];
    let broken = error("no", "some_error", Some("some_code")).to_string();
    let head = format!("HTTP/1.1 400 Bad\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", 999);
    let quoting = error(&"x".repeat(300_000), "some_error", Some("some_code"));
    let upstream = Upstream::scripted([
        Script::default().raw(format!("{head}{broken}")).close(),
        Script::json(422, &quoting),
        Script::body(429, &[kind[0], ("content-encoding", "rot13"), ("retry-after", "7")], b"abc"),
    ])
    .await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    for status in [400, 422] {
        let reply = gateway.ask(&ask("up/m", false)).await;
        assert_eq!((reply.status, &reply.error()["code"]), (status, &json!("some_code")));
    }
    let reply = gateway.ask(&ask("up/m", false)).await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("7")));
}

/// L5, case 23: the body limit, with and without a content-length.
#[tokio::test]
async fn too_large_a_body_is_a_413() {
    let upstream = Upstream::scripted([Script::json(200, &completion("hi"))]).await;
    let gateway = Gateway::start(&format!("{}[server]\nbody-limit = \"1MiB\"\n", openai(&upstream))).await;
    let of = |size: usize| {
        let mut ask = ask("up/m", false);
        ask["messages"][0]["content"] = "x".repeat(size).into();
        ask.to_string().into_bytes()
    };
    let kib = 1024;
    assert_eq!(refused(&gateway, &of(1000 * kib)).await.status, 200, "within the limit");
    let reply = refused(&gateway, &of(1100 * kib)).await;
    assert_eq!(reply.status, 413);
    assert_eq!(reply.error()["code"], "request_too_large");

    let body = of(1100 * kib);
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n\
                transfer-encoding: chunked\r\n\r\n";
    let chunked = [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
    let reply = crate::support::Client::send(gateway.addr, head, &chunked).await.whole().await;
    assert_eq!(reply.status, 413);
    assert_eq!(reply.error()["code"], "request_too_large");
}

/// M1, L5: whoever writes everything before it reads gets to read why it was refused, and not a broken
/// connection, which SDKs would try again.
#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_writing() {
    let keys = "[keys.k]\nsecret = \"known\"\n[server]\nbody-limit = \"1MiB\"\n";
    let gateway = Gateway::start(keys).await;
    let body = vec![b' '; 8 << 20];
    for (status, method, path, key, media) in [
        (401, "POST", "/v1/chat/completions", "unknown", "application/json"),
        (401, "POST", "/v1/conversations", "unknown", "application/json"),
        (404, "POST", "/nobody/v1/chat/completions", "known", "application/json"),
        (404, "POST", "/v1/nothing", "known", "application/json"),
        (404, "POST", "/v1beta/models/m:nothing", "known", "application/json"),
        (405, "PUT", "/v1/chat/completions", "known", "application/json"),
        (413, "POST", "/v1/chat/completions", "known", "application/json"),
        (415, "POST", "/v1/chat/completions", "known", "text/plain"),
    ] {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: {media}\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        let stream = TcpStream::connect(gateway.addr).await.unwrap();
        let written = within("all to be written", http::write(&stream, &[head.as_bytes(), &body].concat())).await;
        written.unwrap_or_else(|error| panic!("{status} {method} {path}: {error}"));
        let reader = http::Reader::default();
        let head = within("an answer", reader.head(&stream)).await.unwrap().unwrap();
        assert!(head.line.contains(&format!(" {status} ")), "{method} {path}: {}", head.line);
    }
}

/// P3: a compressed request is understood.
#[tokio::test]
async fn a_compressed_request_is_understood() {
    use async_compression::tokio::bufread::ZstdEncoder;
    use tokio::io::AsyncReadExt;
    let upstream = Upstream::scripted([Script::json(200, &completion("hi"))]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    let plain = ask("up/m", false).to_string();
    let mut body = Vec::new();
    ZstdEncoder::new(plain.as_bytes()).read_to_end(&mut body).await.unwrap();
    let headers = [("content-type", "application/json"), ("content-encoding", "zstd")];
    let reply = gateway.send("POST", "/v1/chat/completions", &headers, &body).await.whole().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(upstream.request(0).json()["model"], "m");
    assert_eq!(upstream.request(0).header("content-encoding"), None);
}

/// E2, F1: an error under a success status means what the vendor's own code means, in place of an
/// answer and at the beginning of a stream.
#[tokio::test]
async fn vendor_codes_hold_in_band() {
    let error = |code: &str| json!({"error": {"code": code, "message": "as it came"}});
    let upstream = Upstream::scripted([]).await;
    let config = format!("[retry]\nattempts = 1\n{}", provider("zai", "zai", &upstream));
    let gateway = Gateway::start(&config).await;
    for (code, status, retry) in [("1302", 429, None), ("1113", 429, Some("false")), ("1261", 400, Some("false"))] {
        for stream in [false, true] {
            upstream.push(if stream {
                Script::sse().frame(crate::support::openai::event(&error(code))).end()
            } else {
                Script::json(200, &error(code))
            });
            let reply = gateway.ask(&ask("zai/glm-4.6", stream)).await;
            assert_eq!(reply.status, status, "{code} {}", reply.text());
            assert_eq!(reply.error()["message"], "as it came");
            assert_eq!(reply.header("x-should-retry"), retry, "{code}");
        }
    }
}

/// M1: the words of another dialect become OpenAI's, before and in the stream; the message stays.
#[tokio::test]
async fn foreign_errors_speak_openais_words() {
    let upstream = Upstream::scripted([]).await;
    let gateway = Gateway::start(&anthropic(&upstream)).await;
    for (status, kind, told, told_kind, code) in [
        (400, "invalid_request_error", 400, "invalid_request_error", Value::Null),
        (401, "authentication_error", 502, "server_error", json!("upstream_credentials")),
        (404, "not_found_error", 404, "invalid_request_error", json!("model_not_found")),
        (413, "request_too_large", 413, "invalid_request_error", json!("request_too_large")),
        (429, "rate_limit_error", 429, "rate_limit_error", json!("rate_limit_exceeded")),
        (500, "api_error", 500, "server_error", json!("server_error")),
        (504, "timeout_error", 504, "server_error", json!("upstream_timeout")),
        (529, "overloaded_error", 503, "service_unavailable_error", json!("server_is_overloaded")),
    ] {
        upstream.push(Script::json(status, &crate::support::anthropic::error(kind, "as it came")));
        let reply = gateway.ask(&ask("ant/claude-haiku-4-5", false)).await;
        assert_eq!(reply.status, told, "{kind}");
        assert_eq!((&reply.error()["type"], &reply.error()["code"]), (&json!(told_kind), &code), "{kind}");
        assert!(reply.error()["message"].as_str().is_some_and(|message| message.ends_with("as it came")), "{kind}");
    }
    let overloaded = crate::support::anthropic::event(&crate::support::anthropic::error("overloaded_error", "Busy."));
    let mut events = crate::support::anthropic::says("hi");
    events.truncate(3);
    upstream.push(Script::sse().frames(events).frame(&overloaded).end());
    let reply = gateway.ask(&ask("ant/claude-haiku-4-5", true)).await;
    let error = reply.chunks().last().unwrap()["error"].clone();
    assert_eq!(error["type"], "service_unavailable_error");
    assert_eq!((&error["code"], &error["message"]), (&json!("server_is_overloaded"), &json!("Busy.")));
}
