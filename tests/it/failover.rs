//! Other keys, other targets, and the four clocks.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    Gateway, Script, Upstream,
    gateway::{openai, provider},
    openai::{DONE, ask, c, completion, error, finish, role, says},
};

/// Two providers, and the name `both` for the one after the other.
fn both(first: &Upstream, second: &Upstream) -> String {
    format!(
        "[retry]\nattempts = 1\n{}{}[models.both]\ntargets = [\"a/m\", \"b/m\"]\n",
        provider("a", "openai-compatible", first),
        provider("b", "openai-compatible", second)
    )
}

fn two_keys(upstream: &Upstream) -> String {
    let one = "api-key = \"sk-up\"";
    openai(upstream).replace(one, "api-key = [\"sk-one\", \"sk-two\"]")
}

/// F3, case 55: a key with a rate limit makes way for the next at once, and stays away.
#[tokio::test]
async fn a_limited_key_makes_way_for_the_next_one() {
    let headers = [("content-type", "application/json"), ("retry-after", "60")];
    let limited = Script::body(429, &headers, error("slow down", "requests", None).to_string().as_bytes());
    let ok = || Script::json(200, &completion("hi"));
    let upstream = Upstream::scripted([limited, ok(), ok(), ok()]).await;
    let gateway = Gateway::start(&two_keys(&upstream)).await;
    let begun = Instant::now();
    for _ in 0..3 {
        assert_eq!(gateway.ask(&ask("up/m", false)).await.status, 200);
    }
    assert!(begun.elapsed() < Duration::from_secs(30), "no sleep");
    let keys: Vec<_> =
        upstream.exchanges().iter().map(|e| e.request.header("authorization").unwrap().to_owned()).collect();
    assert_eq!(keys.len(), 4);
    assert_ne!(keys[0], keys[1], "the other key is tried");
    assert!(keys[2..].iter().all(|key| *key == keys[1]), "the limited key rests: {keys:?}");
}

/// F3: a dead key costs no attempt, although only one is allowed.
#[tokio::test]
async fn a_dead_key_spends_no_attempt() {
    let dead = Script::json(401, &error("Incorrect API key", "invalid_request_error", Some("invalid_api_key")));
    let upstream = Upstream::scripted([dead, Script::sse().frames(says("hi")).end()]).await;
    let gateway = Gateway::start(&two_keys(&upstream)).await;
    let reply = gateway.ask(&ask("up/m", true)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.content(), "hi");
}

/// Case 58: what another target can cure moves on, the client's own mistake does not.
#[tokio::test]
async fn quota_moves_on_and_a_bad_request_returns() {
    let limit = error("You have reached your specified API usage limits.", "invalid_request_error", None);
    let moves = [(400, limit), (402, error("Payment required", "billing_error", None))];
    for (status, body) in moves {
        let first = Upstream::scripted([Script::json(status, &body)]).await;
        let ok = || Script::json(200, &completion("second"));
        let second = Upstream::scripted([ok(), ok()]).await;
        let gateway = Gateway::start(&both(&first, &second)).await;
        for _ in 0..2 {
            let reply = gateway.ask(&ask("both", false)).await;
            assert_eq!(reply.status, 200, "for {status}: {}", reply.text());
            assert_eq!(reply.header("x-sluis-target"), Some("b/m"));
        }
        assert_eq!(first.count(), 1, "the first is set aside");
    }
    let body = error("messages: required", "invalid_request_error", None);
    let first = Upstream::scripted([Script::json(400, &body)]).await;
    let second = Upstream::scripted([]).await;
    let gateway = Gateway::start(&both(&first, &second)).await;
    let reply = gateway.ask(&ask("both", false)).await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.error()["message"], "messages: required");
}

/// F5, case 59: a host that does not resolve is no reason to wait.
#[tokio::test]
async fn an_unresolved_host_falls_back() {
    let second = Upstream::scripted([Script::json(200, &completion("second"))]).await;
    let config = format!(
        "[retry]\nattempts = 1\n[providers.a]\ntype = \"openai-compatible\"\nbase-url = \"http://nowhere.invalid/v1\"\n\
         {}[models.both]\ntargets = [\"a/m\", \"b/m\"]\n",
        provider("b", "openai-compatible", &second)
    );
    let gateway = Gateway::start(&config).await;
    let reply = gateway.ask(&ask("both", false)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("x-sluis-attempts"), Some("2"));
}

/// F6: a fallback sees the request as the client made it, with its own model.
#[tokio::test]
async fn a_fallback_gets_the_same_request() {
    let busy = Script::json(503, &error("busy", "overloaded", None));
    let first = Upstream::scripted([busy]).await;
    let second = Upstream::scripted([Script::sse().frames(says("second")).end()]).await;
    let gateway = Gateway::start(&both(&first, &second).replace("b/m", "b/other")).await;
    let reply = gateway.ask(&ask("both", true)).await;
    assert_eq!(reply.content(), "second");
    let (mut asked, other) = (first.request(0).json(), second.request(0).json());
    assert_eq!(other["model"], "other");
    asked["model"] = json!("other");
    assert_eq!(asked, other);
}

/// F6: after the first content nothing is tried again.
#[tokio::test]
async fn nothing_is_tried_after_content() {
    let first =
        Upstream::scripted([Script::sse().frames([role(), c("a")]).wait(Duration::from_millis(100)).cut()]).await;
    let second = Upstream::scripted([]).await;
    let gateway = Gateway::start(&both(&first, &second)).await;
    let reply = gateway.ask(&ask("both", true)).await;
    assert_eq!(reply.chunks().last().unwrap()["error"]["code"], "upstream_stream_interrupted");
}

/// F7, case 61: a kept connection that the upstream has closed is not the client's trouble, and
/// not an attempt either.
#[tokio::test]
async fn a_stale_connection_is_invisible() {
    let ok = || Script::json(200, &completion("hi")).close();
    let upstream = Upstream::scripted([ok(), ok(), ok()]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    for _ in 0..3 {
        assert_eq!(gateway.ask(&ask("up/m", false)).await.status, 200);
    }
    assert_eq!(upstream.count(), 3, "each was handled once");
}

/// F7: the same when the connection dies under the request.
#[tokio::test]
async fn a_connection_that_dies_under_the_request_is_retried_once() {
    let ok = || Script::json(200, &completion("hi"));
    let upstream = Upstream::scripted([ok(), Script::default().close(), ok()]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    for _ in 0..2 {
        assert_eq!(gateway.ask(&ask("up/m", false)).await.status, 200);
    }
}

/// A configuration with one clock set to `time`.
fn clock(upstream: &Upstream, name: &str, time: &str) -> String {
    format!("{}[deadlines]\n{name} = \"{time}\"\n", openai(upstream))
}

/// O1, case 62: the first-event clock, streaming or not.
#[tokio::test]
async fn the_first_event_clock() {
    let upstream = Upstream::scripted([Script::silent(), Script::silent()]).await;
    let gateway = Gateway::start(&clock(&upstream, "first-event", "200ms")).await;
    for stream in [true, false] {
        let reply = gateway.ask(&ask("up/m", stream)).await;
        assert_eq!(reply.status, 504);
        assert_eq!(reply.error()["code"], "timeout_first_event");
        assert_eq!(reply.header("x-should-retry"), Some("false"));
    }
    upstream.closed(1).await;
}

/// O1, case 62: a slow first event is a reason to fall back.
#[tokio::test]
async fn the_first_event_clock_falls_back() {
    let first = Upstream::scripted([Script::silent()]).await;
    let second = Upstream::scripted([Script::sse().frames(says("second")).end()]).await;
    let config = format!("{}[deadlines]\nfirst-event = \"2s\"\n", both(&first, &second));
    let gateway = Gateway::start(&config).await;
    assert_eq!(gateway.ask(&ask("both", true)).await.content(), "second");
}

/// O1, case 62: the idle clock counts from event to event and lets a steady stream be, and one that
/// sends comments or a long event piece by piece.
#[tokio::test]
async fn the_idle_clock() {
    let pause = Duration::from_millis(400);
    let mut steady = Script::sse().frame(role());
    for _ in 0..6 {
        steady = steady.wait(pause).frame(c("a"));
    }
    let steady = steady.frames([&finish("stop"), DONE]).end();
    let mut thinking = Script::sse().frame(c("b"));
    for _ in 0..6 {
        thinking = thinking.wait(pause).frame(": PROCESSING\n\n");
    }
    let last = c("c");
    for piece in last.as_bytes().chunks(last.len() / 6) {
        thinking = thinking.wait(pause).frame(piece);
    }
    let thinking = thinking.frames([&finish("stop"), DONE]).end();
    let silent = Script::sse().frames([role(), c("a")]).hang();
    let upstream = Upstream::scripted([steady, thinking, silent]).await;
    let gateway = Gateway::start(&clock(&upstream, "idle", "2s")).await;
    assert_eq!(gateway.ask(&ask("up/m", true)).await.content(), "aaaaaa");
    assert_eq!(gateway.ask(&ask("up/m", true)).await.content(), "bc");
    let chunks = gateway.ask(&ask("up/m", true)).await.chunks();
    assert_eq!(chunks.last().unwrap()["error"]["code"], "timeout_idle");
    upstream.closed(2).await;
}

/// O1: the total clock covers attempts and streams together.
#[tokio::test]
async fn the_total_clock() {
    let steady = Script::sse().frame(role()).repeat(c("a"), Duration::from_millis(50));
    let upstream = Upstream::scripted([Script::silent(), steady]).await;
    let gateway = Gateway::start(&clock(&upstream, "total", "2s")).await;
    let reply = gateway.ask(&ask("up/m", false)).await;
    assert_eq!(reply.status, 504);
    assert_eq!(reply.error()["code"], "timeout_total");
    let chunks = gateway.ask(&ask("up/m", true)).await.chunks();
    assert_eq!(chunks.last().unwrap()["error"]["code"], "timeout_total");
    let finished = chunks.iter().any(|chunk| chunk.pointer("/choices/0/finish_reason").is_some_and(Value::is_string));
    assert!(!finished, "no invented end");
}
