//! `POST /v1/chat/completions` (OpenAI's API reference, "Create chat completion", read November
//! 2026). The tests here are those of every [`super::exchange`].

use super::exchange::Endpoint;
use crate::{server::probe, telemetry, wire::openai_chat::OpenAiChat};

pub(in crate::server) static ENDPOINT: Endpoint = Endpoint {
    counted_as: telemetry::Endpoint::ChatCompletions,
    dialect: &OpenAiChat,
    probe: |_, body| probe::chat(body),
};

#[cfg(test)]
mod tests {
    use std::{
        sync::Arc,
        time::{Duration, Instant},
    };

    use async_stream::stream;
    use bytes::Bytes;
    use http_body_util::{BodyExt, Full};
    use hyper_util::{client::legacy::Client, rt::TokioExecutor};
    use tokio::{
        io::AsyncWriteExt,
        sync::Notify,
        time::{sleep, timeout},
    };

    use crate::{
        call::{Answer, Failure, Inbound, Notes},
        error::{Error, UpstreamError},
        server::testing::{STREAM, UNARY, chat, front, read_until, start, streamed, whole},
    };

    /// Tells when it is dropped.
    struct Guard(Arc<Notify>);

    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }

    #[tokio::test]
    async fn a_whole_answer_is_passed_on() {
        let server = start(front(|_| async {
            let notes = Notes { target: Some("lab/qwen".into()), attempts: 2, ..Notes::default() };
            Ok(Answer { notes, ..whole(r#"{"id":1.0e2}"#) })
        }));
        let answer = server.chat(UNARY).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(r#"{"id":1.0e2}"#), "{answer}");
        assert!(answer.contains("x-sluis-target: lab/qwen") && answer.contains("x-sluis-attempts: 2"), "{answer}");
    }

    /// S5, S7: the events come as they are, at once, under the right head.
    #[tokio::test]
    async fn a_stream_is_passed_on_event_by_event() {
        let read = Arc::new(Notify::new());
        let seen = Arc::clone(&read);
        let server = start(front(move |_| {
            let seen = Arc::clone(&seen);
            async move {
                Ok(streamed(Box::pin(stream! {
                    yield Ok(Bytes::from_static(b"data: 1\n\n"));
                    seen.notified().await;
                    yield Ok(Bytes::from_static(b"data: 2\n\n"));
                })))
            }
        }));
        let mut connection = server.connect().await;
        connection.write_all(chat("/v1/chat/completions", "", STREAM).as_bytes()).await.unwrap();
        let head = read_until(&mut connection, "data: 1\n\n").await;
        read.notify_one();
        for header in
            ["content-type: text/event-stream; charset=utf-8", "cache-control: no-cache", "x-accel-buffering: no"]
        {
            assert!(head.contains(header), "{head}");
        }
        read_until(&mut connection, "data: 2\n\n\r\n0\r\n\r\n").await;
    }

    /// Design section 6.3: a failure before the interval has its own status, streamed or not.
    #[tokio::test]
    async fn a_quick_failure_keeps_its_status() {
        let server = start(front(|_| async {
            Err::<Answer, Failure>(UpstreamError::new(http::StatusCode::TOO_MANY_REQUESTS, "slow down").into())
        }));
        for body in [UNARY, STREAM] {
            let answer = server.chat(body).await;
            assert!(answer.starts_with("HTTP/1.1 429 ") && answer.contains("retry-after: 1\r\n"), "{answer}");
            assert!(answer.contains("slow down"), "{answer}");
        }
    }

    /// S6: after the interval the head goes out with keep-alives, and a failure is a frame.
    #[tokio::test]
    async fn a_slow_failure_is_an_early_head_and_a_frame() {
        let server = start(front(|_| async {
            sleep(Duration::from_millis(700)).await;
            Err::<Answer, Failure>(Error::BadReply { message: "no".into() }.into())
        }));
        let begun = Instant::now();
        let mut connection = server.connect().await;
        connection.write_all(chat("/v1/chat/completions", "", STREAM).as_bytes()).await.unwrap();
        let head = read_until(&mut connection, ": keepalive\n").await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
        let rest = read_until(&mut connection, "0\r\n\r\n").await;
        assert!(rest.contains(": keepalive\n") && rest.contains("\"code\":\"bad_upstream_response\""), "{rest}");
    }

    /// A unary call is waited for, however long it takes.
    #[tokio::test]
    async fn a_slow_whole_answer_keeps_its_status() {
        let server = start(front(|_| async {
            sleep(Duration::from_millis(500)).await;
            Err::<Answer, Failure>(Error::BadReply { message: "no".into() }.into())
        }));
        assert!(server.chat(UNARY).await.starts_with("HTTP/1.1 502 "));
    }

    /// D1, regressions 11 and 12: whatever the phase, a client that closes drops the work behind
    /// its call within 100 ms.
    #[tokio::test]
    async fn a_client_that_leaves_drops_everything() {
        let dropped = Arc::new(Notify::new());
        let begun = Arc::new(Notify::new());
        let (gone, here) = (Arc::clone(&dropped), Arc::clone(&begun));
        let server = start(front(move |inbound: Inbound| {
            let guard = Guard(Arc::clone(&gone));
            let here = Arc::clone(&here);
            async move {
                here.notify_one();
                if inbound.model != "streams" {
                    sleep(Duration::from_secs(30)).await;
                }
                Ok(streamed(Box::pin(stream! {
                    let _guard = guard;
                    yield Ok(Bytes::from_static(b"data: 1\n\n"));
                    sleep(Duration::from_secs(30)).await;
                })))
            }
        }));
        let streams = STREAM.replace("fast", "streams");
        for (body, wait_for) in
            [(UNARY, None), (STREAM, None), (STREAM, Some(": keepalive")), (&streams, Some("data: 1"))]
        {
            let mut connection = server.connect().await;
            connection.write_all(chat("/v1/chat/completions", "", body).as_bytes()).await.unwrap();
            begun.notified().await;
            if let Some(text) = wait_for {
                read_until(&mut connection, text).await;
            }
            drop(connection);
            let left = timeout(Duration::from_millis(100), dropped.notified()).await;
            assert!(left.is_ok(), "{body} {wait_for:?}");
        }
    }

    /// D1 on HTTP/2: a stream that is reset takes its call along, the connection stays.
    #[tokio::test]
    async fn a_reset_stream_drops_its_call() {
        let dropped = Arc::new(Notify::new());
        let gone = Arc::clone(&dropped);
        let server = start(front(move |_| {
            let guard = Guard(Arc::clone(&gone));
            async move {
                Ok(streamed(Box::pin(stream! {
                    let _guard = guard;
                    yield Ok(Bytes::from_static(b"data: 1\n\n"));
                    sleep(Duration::from_secs(30)).await;
                })))
            }
        }));
        let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
        for _ in 0..2 {
            let request = http::Request::post(format!("http://{}/v1/chat/completions", server.address))
                .header("authorization", "Bearer secret")
                .header("content-type", "application/json")
                .body(Full::new(Bytes::from_static(STREAM.as_bytes())))
                .unwrap();
            let mut answer = client.request(request).await.unwrap();
            answer.body_mut().frame().await.unwrap().unwrap();
            drop(answer);
            assert!(timeout(Duration::from_millis(100), dropped.notified()).await.is_ok());
        }
    }
}
