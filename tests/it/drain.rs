//! A signal: not ready at once, open streams end in peace up to a limit (rule K5, case 81).

use crate::support::{
    Gate, Gateway, Script, Upstream,
    gateway::openai,
    openai::{DONE, ask, c, finish, role},
    until,
};

fn stream(gate: &Gate) -> Script {
    Script::sse().frames([role(), c("a")]).gate(gate).frames([&c("b"), &finish("stop"), DONE]).end()
}

/// K5: an open stream is finished, then the process ends well.
#[tokio::test]
async fn open_streams_end_in_peace() {
    for signal in ["TERM", "INT"] {
        let gate = Gate::closed();
        let upstream = Upstream::scripted([stream(&gate)]).await;
        let mut gateway = Gateway::start(&openai(&upstream)).await;
        let mut client = gateway.chat(&ask("up/m", true)).await;
        let mut answer = client.answer().await;
        answer.until("\"a\"").await;
        gateway.signal(signal);
        // Whoever asks now is told no, or finds the door shut.
        until("the door to close", async || {
            let probe = std::net::TcpStream::connect(gateway.addr);
            if probe.is_err() {
                return Some(());
            }
            drop(probe);
            unready(&gateway).await.then_some(())
        })
        .await;
        gate.open();
        assert_eq!(answer.whole().await.content(), "ab");
        drop(client);
        let status = gateway.exit().await;
        assert_eq!(status.code(), Some(0), "after SIG{signal}:\n{}", gateway.log());
    }
}

/// Whether `/readyz` says 503, or the connection is closed instead of answered.
async fn unready(gateway: &Gateway) -> bool {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let Ok(mut stream) = tokio::net::TcpStream::connect(gateway.addr).await else { return true };
    let _ = stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n").await;
    let mut said = String::new();
    let _ = stream.read_to_string(&mut said).await;
    !said.starts_with("HTTP/1.1 200")
}

/// K5: at the drain limit the rest get an error frame, and the process still ends well.
#[tokio::test]
async fn the_drain_limit_ends_the_rest_with_an_error_frame() {
    let upstream = Upstream::scripted([Script::sse().frames([role(), c("a")]).hang()]).await;
    let mut gateway = Gateway::start(&format!("{}[server]\ndrain = \"300ms\"\n", openai(&upstream))).await;
    let mut client = gateway.chat(&ask("up/m", true)).await;
    let mut answer = client.answer().await;
    answer.until("\"a\"").await;
    gateway.signal("TERM");
    let chunks = answer.whole().await.chunks();
    assert_eq!(chunks.last().unwrap()["error"]["code"], "shutting_down");
    drop(client);
    assert_eq!(gateway.exit().await.code(), Some(0));
    upstream.closed(0).await;
}

/// K5: with nothing open the end is at once.
#[tokio::test]
async fn an_idle_gateway_ends_at_once() {
    let mut gateway = Gateway::start("").await;
    gateway.signal("TERM");
    assert_eq!(gateway.exit().await.code(), Some(0));
}
