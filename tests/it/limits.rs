//! A key's limits on one instance (rules Q1, Q2, F8).

use serde_json::json;

use crate::support::{
    Gate, Gateway, Script, Upstream, anthropic as claude,
    gateway::{anthropic, openai},
    openai::{ask, completion, counts},
    until, within,
};

const KEY: &str = "sk-ci-0123456789abcdef";

fn limited(upstream: &Upstream, limits: &str) -> String {
    format!("{}[keys.ci]\nsecret = \"{KEY}\"\nlimits = {{ {limits} }}\n", openai(upstream))
}

/// Q1, case 47: tokens are reserved at admission and settled at the end.
#[tokio::test]
async fn tokens_are_reserved_and_settled() {
    let gate = Gate::closed();
    let mut answer = completion("hi");
    answer["usage"] = counts(10, 10);
    let json = answer.to_string();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", json.len());
    let held = |_| Script::default().gate(&gate).raw(format!("{head}{json}"));
    let upstream = Upstream::scripted((0..2).map(held)).await;
    let gateway = Gateway::start(&limited(&upstream, "tokens-per-minute = 1000")).await;
    // 400 of answer at most and a short prompt: two reservations fit into 1000, three do not.
    let mut asked = ask("up/m", false);
    asked["max_tokens"] = json!(400);
    let mut replies = tokio::task::JoinSet::new();
    for _ in 0..5 {
        let auth = format!("Bearer {KEY}");
        let client = gateway.chat_with(&[("authorization", &auth)], &asked).await;
        replies.spawn(client.whole());
    }
    // Two are held by the upstream, so the first to be answered are the refused.
    for _ in 0..3 {
        let reply = within("a refusal", replies.join_next()).await.unwrap().unwrap();
        assert_eq!(reply.status, 429, "{}", reply.text());
        let wait: u64 = reply.header("retry-after").expect("retry-after").parse().expect("seconds");
        assert!((1..=60).contains(&wait), "{wait}");
        assert_eq!(reply.error()["code"], "rate_limit_exceeded");
    }
    gate.open();
    gate.open();
    while let Some(reply) = replies.join_next().await {
        assert_eq!(reply.unwrap().status, 200);
    }
    upstream.push(Script::json(200, &completion("hi")));
    let next = until("the settlement", async || {
        let reply = gateway.ask_as(KEY, &asked).await;
        (reply.status == 200).then_some(reply)
    })
    .await;
    assert_eq!(next.header("x-ratelimit-limit-tokens"), Some("1000"));
}

/// Q2: a slot comes back whatever ends the call, and a refusal takes none.
#[tokio::test]
async fn slots_come_back_however_a_call_ends() {
    let failing = Script::json(500, &json!({"error": {"message": "x"}}));
    let ok = || Script::json(200, &completion("hi"));
    let upstream = Upstream::scripted([Script::dead(), Script::dead(), failing, ok(), ok()]).await;
    let gateway = Gateway::start(&limited(&upstream, "concurrent = 1")).await;
    for status in [502, 500, 200, 200] {
        let reply = gateway.ask_as(KEY, &ask("up/m", false)).await;
        assert_eq!(reply.status, status, "{}", reply.text());
    }
}

/// F8: an answer tells what is left of the limits, and the refusal tells when to come back.
#[tokio::test]
async fn limits_are_told() {
    let upstream = Upstream::scripted([Script::json(200, &completion("hi"))]).await;
    let gateway = Gateway::start(&limited(&upstream, "requests-per-minute = 1")).await;
    let reply = gateway.ask_as(KEY, &ask("up/m", false)).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("x-ratelimit-limit-requests"), Some("1"));
    assert_eq!(reply.header("x-ratelimit-remaining-requests"), Some("0"));
    assert!(reply.header("x-ratelimit-reset-requests").is_some());
    let reply = gateway.ask_as(KEY, &ask("up/m", false)).await;
    assert_eq!(reply.status, 429);
    let wait: u64 = reply.header("retry-after").expect("retry-after").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(reply.header("x-ratelimit-remaining-requests"), Some("0"));
    assert_eq!(reply.error()["type"], "rate_limit_error");
}

/// F8: Anthropic's clients are told under the names that their vendor gives them, and an upstream's own limits
/// reach nobody while there are some of the key's.
#[tokio::test]
async fn limits_are_told_to_anthropics_clients_in_their_words() {
    let told = [("content-type", "application/json"), ("anthropic-ratelimit-requests-limit", "4000")];
    let whole = claude::message(&json!([{"type": "text", "text": "hi"}]), "end_turn").to_string();
    let upstream = Upstream::scripted([Script::body(200, &told, whole.as_bytes())]).await;
    let key = format!("[keys.ci]\nsecret = \"{KEY}\"\nlimits = {{ requests-per-minute = 1 }}\n");
    let gateway = Gateway::start(&format!("{}{key}", anthropic(&upstream))).await;
    let asked =
        json!({"model": "ant/claude-haiku-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "?"}]});
    for status in [200, 429] {
        let reply = gateway.send_json(KEY, "POST", "/v1/messages", &asked).await.whole().await;
        assert_eq!(reply.status, status, "{}", reply.text());
        assert_eq!(reply.header("anthropic-ratelimit-requests-limit"), Some("1"));
        assert_eq!(reply.header("anthropic-ratelimit-requests-remaining"), Some("0"));
        let reset = reply.header("anthropic-ratelimit-requests-reset").expect("a reset");
        assert!(reset.starts_with("20") && reset.ends_with('Z'), "{reset}");
        assert_eq!(reply.header("x-ratelimit-limit-requests"), Some("1"));
        assert_eq!(reply.header("retry-after").is_some(), status == 429);
        assert_eq!(reply.header("retry-after-ms").is_some(), status == 429);
    }
}

/// F8: with no limits of ours, an upstream's refusal tells its own; its answers tell nothing of them.
#[tokio::test]
async fn an_upstreams_limits_are_told_with_its_refusal_only() {
    let json = ("content-type", "application/json");
    let (limit, reset) =
        (("anthropic-ratelimit-tokens-limit", "80000"), ("anthropic-ratelimit-tokens-reset", "2026-11-26T12:00:00Z"));
    let whole = claude::message(&json!([{"type": "text", "text": "hi"}]), "end_turn").to_string();
    let refusal = claude::error("rate_limit_error", "Slow down.").to_string();
    let busy = || Script::body(429, &[json, limit, reset, ("retry-after", "7")], refusal.as_bytes());
    let upstream = Upstream::scripted([Script::body(200, &[json, limit, reset], whole.as_bytes()), busy()]).await;
    let gateway = Gateway::start(&anthropic(&upstream)).await;
    let asked =
        json!({"model": "ant/claude-haiku-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "?"}]});
    let reply = gateway.send_json("k", "POST", "/v1/messages", &asked).await.whole().await;
    assert_eq!((reply.status, reply.header(limit.0)), (200, None));
    let reply = gateway.send_json("k", "POST", "/v1/messages", &asked).await.whole().await;
    assert_eq!((reply.status, reply.header(limit.0), reply.header(reset.0)), (429, Some("80000"), Some(reset.1)));
    assert_eq!((reply.header("retry-after"), reply.header("retry-after-ms")), (Some("7"), Some("7000")));
    assert_eq!(reply.header("x-should-retry"), None, "its SDK retries when the time has come");

    let upstream = Upstream::scripted([busy()]).await;
    let gateway = Gateway::start(&anthropic(&upstream)).await;
    let reply = gateway.send_json("k", "POST", "/v1/chat/completions", &asked).await.whole().await;
    assert_eq!((reply.status, reply.header(limit.0)), (429, None));
    assert_eq!(reply.header("x-ratelimit-limit-tokens"), Some("80000"));
}

/// Q1: one key's limit is not another's.
#[tokio::test]
async fn limits_are_the_keys_own() {
    let ok = || Script::json(200, &completion("hi"));
    let upstream = Upstream::scripted([ok(), ok()]).await;
    let other = "[keys.other]\nsecret = \"sk-other-0123456789abcdef\"\n";
    let gateway = Gateway::start(&format!("{}{other}", limited(&upstream, "requests-per-minute = 1"))).await;
    assert_eq!(gateway.ask_as(KEY, &ask("up/m", false)).await.status, 200);
    assert_eq!(gateway.ask_as(KEY, &ask("up/m", false)).await.status, 429);
    assert_eq!(gateway.ask_as("sk-other-0123456789abcdef", &ask("up/m", false)).await.status, 200);
}
