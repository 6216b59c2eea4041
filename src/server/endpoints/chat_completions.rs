//! `POST /v1/chat/completions`: reads the call, hands it to the front service and answers in
//! OpenAI's form (API reference, "Create chat completion", read November 2026).
//!
//! A streamed call is a race: the head waits for the answer, so that a failure keeps its status
//! and a fallback stays possible, but not longer than the keep-alive interval, counted from the
//! call's arrival (design section 6.3, rule S6).
//!
//! Cost per request: one boxed future for a stream; the body's bytes are shared all the way.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use http::HeaderMap;
use tokio::time::{Instant, sleep_until};
use tower::ServiceExt;

use super::{PlaceResult, caller, place};
use crate::{
    call::{Answer, AnswerBody, Dialect, Failure, Inbound, Notes, Reservation},
    error::{Error, Result},
    server::{
        Server, Settings, auth, extract, probe,
        respond::{self, Arrival, X_CLIENT_REQUEST_ID},
        stream::{EventStream, Pending, Source, Terms},
    },
    telemetry::{self, Ended, InFlight, Outcome},
    wire::ClientDialect,
};

use crate::telemetry::CHAT_COMPLETIONS as ENDPOINT;
/// A shorter interval would be a busy loop.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// A call on its way, with what its response needs.
struct Exchange {
    server: Arc<Server>,
    arrival: Arrival,
    dialect: &'static dyn ClientDialect,
    settings: Settings,
    in_flight: InFlight,
}

pub(in crate::server) async fn create(
    State(server): State<Arc<Server>>,
    found: PlaceResult,
    request: Request,
) -> Response {
    let arrival = Arrival::new(request.headers());
    let exchange = Exchange {
        dialect: server.openai,
        settings: server.directory.settings(),
        in_flight: InFlight::begin(ENDPOINT),
        arrival,
        server,
    };
    match exchange.read(found, request).await {
        Ok(inbound) if inbound.stream => exchange.stream(inbound).await,
        Ok(inbound) => exchange.unary(inbound).await,
        Err(error) => exchange.refuse(error),
    }
}

// === impl Exchange ===

impl Exchange {
    /// Everything that is checked before anybody is asked anything.
    async fn read(&self, found: PlaceResult, request: Request) -> Result<Inbound> {
        let (mut parts, body) = request.into_parts();
        let place = place(&self.server, found, &parts.method, parts.uri.path())?;
        if self.server.lifecycle.is_draining() {
            return Err(Error::ShuttingDown);
        }
        let caller = caller(&self.server, &parts.headers)?;
        let body = extract::json_body(&parts.headers, body, self.settings.body_limit).await?;
        let probe = probe::chat(&body)?;
        let strict = parts.headers.get("x-sluis-strict").is_some_and(|value| value == "true");
        let model_limits = self.server.directory.model_limits(&probe.model);
        self.tidy(&mut parts.headers);
        Ok(Inbound {
            id: self.arrival.id,
            dialect: Dialect::OpenAiChat,
            caller,
            model: probe.model,
            stream: probe.stream,
            include_usage: probe.include_usage,
            strict,
            pinned: place.provider,
            body,
            headers: parts.headers,
            estimate: probe.estimate,
            model_limits,
            reservation: Reservation::default(),
            client_request_id: self.arrival.client_id_text(),
            started: self.arrival.at,
        })
    }

    /// The key to the gateway goes no further (rule X4); the client's id does, once it is clean.
    fn tidy(&self, headers: &mut HeaderMap) {
        if let Some(header) = auth::presented(headers).map(|presented| presented.header) {
            headers.remove(header);
        }
        headers.remove(&X_CLIENT_REQUEST_ID);
        if let Some(id) = &self.arrival.client_id {
            headers.insert(&X_CLIENT_REQUEST_ID, id.clone());
        }
    }

    async fn unary(self, inbound: Inbound) -> Response {
        let front = self.server.front.clone();
        let answer = tokio::select! {
            answer = front.oneshot(inbound) => answer,
            () = self.server.lifecycle.cut_off() => Err(Error::ShuttingDown.into()),
        };
        self.respond(answer)
    }

    async fn stream(self, inbound: Inbound) -> Response {
        let by = self.arrival.at + self.interval();
        let mut pending: Pending = Box::pin(self.server.front.clone().oneshot(inbound));
        let answer = tokio::select! {
            biased;
            answer = &mut pending => answer,
            () = self.server.lifecycle.cut_off() => Err(Error::ShuttingDown.into()),
            // The interval has passed without an answer: 200, and what comes is for the body.
            () = sleep_until(by) => {
                let since = self.arrival.at;
                return self.event_stream(&Notes::default(), Source::Waiting(pending), since);
            }
        };
        self.respond(answer)
    }

    fn respond(self, answer: Result<Answer, Failure>) -> Response {
        match answer {
            Err(failure) => respond::failure(&self.arrival, self.dialect, &failure),
            Ok(Answer { notes, body: AnswerBody::Whole(bytes) }) => respond::json(&self.arrival, &notes, bytes),
            Ok(Answer { notes, body: AnswerBody::Stream(stream) }) => {
                self.event_stream(&notes, Source::Live(stream), Instant::now())
            }
        }
    }

    /// The head of a stream, sent now; the rest is its body's.
    fn event_stream(self, notes: &Notes, source: Source, quiet_since: Instant) -> Response {
        let terms = Terms {
            dialect: self.dialect,
            interval: self.interval(),
            quiet_since,
            cut: self.server.lifecycle.watch_cut(),
            in_flight: self.in_flight,
        };
        respond::event_stream(&self.arrival, notes, Body::new(EventStream::new(source, terms)))
    }

    fn interval(&self) -> Duration {
        self.settings.keep_alive.max(SHORTEST_INTERVAL)
    }

    /// A call that reached nobody still ends once, here (design section 6.8).
    fn refuse(self, error: Error) -> Response {
        telemetry::record(&Ended {
            id: self.arrival.id,
            endpoint: ENDPOINT,
            key: "none".into(),
            model_label: "none".into(),
            model: String::new(),
            target: None,
            stream: false,
            attempts: 0,
            status: error.status().as_u16(),
            outcome: Outcome::Failed,
            error: Some(error.label()),
            detail: error.detail().map(Into::into),
            first_event: None,
            duration: self.arrival.at.elapsed(),
            usage: None,
            estimated: false,
            client_request_id: self.arrival.client_id_text(),
        });
        respond::failure(&self.arrival, self.dialect, &error.into())
    }
}

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
        assert!(rest.contains(": keepalive\n") && rest.contains("error:bad_upstream_response"), "{rest}");
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
