//! A client that does not read (rule B1): nothing piles up between it and the upstream.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::net::{TcpListener, TcpStream};

use crate::support::{
    Gateway,
    http::{Reader, write},
    openai::{DONE, ask, c, finish},
    until,
};

/// What one write of the upstream holds, about.
const PIECE: usize = 64 << 10;
const PIECES: usize = 1024;

/// An upstream that streams 64 MiB as fast as it is let, and counts the pieces it got rid of.
async fn torrent(sent: Arc<AtomicUsize>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, sent.clone()));
        }
    });
    addr
}

async fn answer(stream: TcpStream, sent: Arc<AtomicUsize>) {
    let reader = Reader::default();
    let Ok(Some(head)) = reader.head(&stream).await else { return };
    // The gateway asks for the list of models as well, and gets a close.
    if head.line.starts_with("GET") || reader.body(&head, true).all(&stream).await.is_err() {
        return;
    }
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    if write(&stream, head.as_bytes()).await.is_err() {
        return;
    }
    let piece = c(&"x".repeat(PIECE));
    for _ in 0..PIECES {
        if write(&stream, piece.as_bytes()).await.is_err() {
            return;
        }
        sent.fetch_add(1, Ordering::SeqCst);
    }
    let _ = write(&stream, format!("{}{DONE}", finish("stop")).as_bytes()).await;
}

/// Case 14, B1: the client reads nothing, so the upstream's writes block and the gateway's memory
/// stays what it was; once the client reads, all of it comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_stops_its_upstream() {
    let sent = Arc::new(AtomicUsize::new(0));
    let addr = torrent(sent.clone()).await;
    let provider = format!("[providers.up]\ntype = \"openai-compatible\"\nbase-url = \"http://{addr}/v1\"\n");
    let gateway = Gateway::start(&provider).await;
    assert_eq!(gateway.ask(&ask("builtin/echo", true)).await.status, 200, "warm");
    let before = gateway.resident();

    let mut client = gateway.chat(&ask("up/m", true)).await;
    until("the upstream to stream", async || (sent.load(Ordering::SeqCst) > 0).then_some(())).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let stuck = sent.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(sent.load(Ordering::SeqCst), stuck, "the upstream's write blocks");
    // What went is in the buffers of two sockets, which belong to the system.
    assert!(stuck < PIECES / 2, "{stuck} pieces went");
    let grown = gateway.resident().saturating_sub(before);
    println!("{grown} bytes more while stuck, {stuck} pieces went");
    assert!(grown < 8 << 20, "{grown} bytes more, {stuck} pieces went");

    let mut answer = client.answer().await;
    assert_eq!(answer.status, 200);
    let mut length = 0;
    while let Some(piece) = answer.next().await {
        length += piece.len();
        answer.seen.clear();
    }
    assert!(length > PIECE * PIECES, "{length}");
    assert_eq!(sent.load(Ordering::SeqCst), PIECES);
    let grown = gateway.resident().saturating_sub(before);
    println!("{grown} bytes more at the end");
    assert!(grown < PIECE * PIECES / 4, "{grown} bytes more at the end");
}
