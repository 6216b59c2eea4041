//! What the tests stand on: a scripted upstream, the real gateway, and a client that sees every
//! byte and when it came. Everything stays on 127.0.0.1, and every wait has a bound.

pub(crate) mod anthropic;
pub(crate) mod bedrock;
#[path = "../../shared/chat_invariants.rs"]
#[expect(dead_code, reason = "some of it is about requests and about pairs of streams, which other tests judge")]
pub(crate) mod chat_invariants;
pub(crate) mod client;
pub(crate) mod gateway;
pub(crate) mod gemini;
#[path = "../../shared/gemini_stream.rs"]
pub(crate) mod gemini_stream;
pub(crate) mod http;
#[path = "../../shared/messages_lifecycle.rs"]
pub(crate) mod messages_lifecycle;
pub(crate) mod openai;
pub(crate) mod responses;
#[path = "../../shared/responses_lifecycle.rs"]
pub(crate) mod responses_lifecycle;
pub(crate) mod upstream;

use std::{future::Future, time::Duration};

pub(crate) use client::{Client, Reply};
pub(crate) use gateway::Gateway;
pub(crate) use upstream::{Gate, Script, Upstream};

/// No wait of a test is longer: generous, because no clock of ours decides whether a test passes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for `future`, and fails the test with `what` when it does not come.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited {PATIENCE:?} for {what}"))
}

/// Asks again and again until `probe` gives something, and fails the test with `what` otherwise.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut probe: impl FnMut() -> F) -> T {
    let again = async {
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within(what, again).await
}
