//! A client that leaves takes its upstream exchange with it (rules D1, D2, D3).

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{
    Gateway, Script, Upstream,
    gateway::{anthropic, openai},
    openai::{ask, c, completion, role},
    until,
};

/// The rule says 100 ms; the rest is what a crowded machine may add.
const SOON: Duration = Duration::from_secs(5);

const KEY: &str = "sk-ci-0123456789abcdef";

/// Leaves after `until` came (or once the upstream was asked), and checks that the upstream sees it.
async fn leave(gateway: &Gateway, upstream: &Upstream, ask: &Value, seen: Option<&str>) {
    let index = upstream.count();
    let mut client = gateway.chat(ask).await;
    upstream.asked(index).await;
    if let Some(seen) = seen {
        client.answer().await.until(seen).await;
    }
    let left = Instant::now();
    drop(client);
    let noticed = upstream.closed(index).await.duration_since(left);
    assert!(noticed < SOON, "the upstream saw it after {noticed:?}");
}

/// D1, case 11: in mid-stream.
#[tokio::test]
async fn leaving_in_mid_stream_aborts_the_upstream() {
    let upstream = Upstream::scripted([Script::sse().frames([role(), c("a"), c("b"), c("c")]).hang()]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    leave(&gateway, &upstream, &ask("up/m", true), Some("\"c\"")).await;
}

/// D1, case 12: before the first byte, streaming or not.
#[tokio::test]
async fn leaving_before_the_first_byte_aborts_the_upstream() {
    let upstream = Upstream::scripted([Script::silent(), Script::silent()]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    for stream in [true, false] {
        leave(&gateway, &upstream, &ask("up/m", stream), None).await;
    }
}

/// D1: after keep-alives have begun, the attempt behind them is aborted too.
#[tokio::test]
async fn leaving_during_keep_alives_aborts_the_upstream() {
    let upstream = Upstream::scripted([Script::silent()]).await;
    let gateway = Gateway::start(&format!("{}[keep-alive]\ninterval = \"50ms\"\n", openai(&upstream))).await;
    leave(&gateway, &upstream, &ask("up/m", true), Some(":")).await;
}

/// D1: a half-sent unary answer is no reason to stay.
#[tokio::test]
async fn leaving_within_a_unary_answer_aborts_the_upstream() {
    let half = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"id\":";
    let upstream = Upstream::scripted([Script::default().raw(half).hang()]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    leave(&gateway, &upstream, &ask("up/m", false), None).await;
}

/// D1 on a translated route.
#[tokio::test]
async fn leaving_a_translated_stream_aborts_the_upstream() {
    use crate::support::anthropic::{message_start, text};
    let start = message_start(&serde_json::json!({"input_tokens": 1, "output_tokens": 1}));
    let script = Script::sse().frame(start).frames(text(0, "hello")).hang();
    let upstream = Upstream::scripted([script, Script::silent()]).await;
    let gateway = Gateway::start(&anthropic(&upstream)).await;
    leave(&gateway, &upstream, &ask("ant/claude-x", true), Some("hello")).await;
    leave(&gateway, &upstream, &ask("ant/claude-x", false), None).await;
}

/// D1, D2, D3, case 11: the slot is free again, the outcome is its own, and it counts once.
#[tokio::test]
async fn a_leaver_frees_its_slot_and_is_counted_as_canceled() {
    let upstream = Upstream::scripted([
        Script::sse().frames([role(), c("abcdefgh abcdefgh")]).hang(),
        Script::json(200, &completion("hi")),
    ])
    .await;
    let key = format!("[keys.ci]\nsecret = \"{KEY}\"\nlimits = {{ concurrent = 1 }}\n");
    let gateway = Gateway::start(&format!("{}{key}", openai(&upstream))).await;
    let auth = ("authorization", &*format!("Bearer {KEY}"));
    let mut client = gateway.chat_with(&[auth], &ask("up/m", true)).await;
    client.answer().await.until("abcdefgh").await;
    assert_eq!(gateway.ask_as(KEY, &ask("up/m", false)).await.status, 429, "the slot is taken");
    drop(client);
    upstream.closed(0).await;
    until("the slot to come back", async || {
        let reply = gateway.ask_as(KEY, &ask("up/m", false)).await;
        (reply.status == 200).then_some(())
    })
    .await;
    until("the cancel in the metrics", async || (calls(&gateway, "outcome=\"canceled\"").await == 1.0).then_some(()))
        .await;
    let (failed, refused) = ("outcome=\"failed\"", "outcome=\"failed\",status=\"429\"");
    assert_eq!(calls(&gateway, failed).await, calls(&gateway, refused).await, "only the refused ones failed");
    assert!(gateway.metric(KEY, "sluis_tokens_total", "kind=\"output\"").await > 2.0, "what was read is counted too");
}

async fn calls(gateway: &Gateway, labels: &str) -> f64 {
    gateway.metric(KEY, "sluis_requests_total", labels).await
}

/// D2: leaving cools down no target: the next call still goes there first.
#[tokio::test]
async fn leaving_cools_down_no_target() {
    let mut scripts = vec![Script::silent(); 5];
    scripts.push(Script::json(200, &completion("hi")));
    let upstream = Upstream::scripted(scripts).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    for _ in 0..5 {
        leave(&gateway, &upstream, &ask("up/m", false), None).await;
    }
    assert_eq!(gateway.ask(&ask("up/m", false)).await.status, 200);
}
