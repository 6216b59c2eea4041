//! The way back of a stream: upstream frames in, client bytes out.
//!
//! Cost per event: one poll of the frames, one call of the relay, one queue slot. Nothing is
//! spawned; the client's poll pulls the upstream's bytes, and dropping the stream ends the call.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::time::Sleep;

use super::{authorize::unquoted, order::InFlight};
use crate::{
    call::{End, Frames},
    error::{Error, Result},
    layers::Settlement,
    wire::Relay,
};

/// How long the upstream's body may take to end after its terminal event, so that its connection
/// can be used again (rule S11). Whoever is slower, or has more to say, is closed instead.
const TRAILING: Duration = Duration::from_millis(250);

/// A stream of client bytes. Fails at most once, last.
pub(super) struct RelayStream {
    frames: Frames,
    relay: Box<dyn Relay>,
    ready: VecDeque<Bytes>,
    state: State,
    settlement: Settlement,
    in_flight: Option<InFlight>,
}

enum State {
    Open,
    /// The answer is complete; only the end of the upstream's body is awaited.
    Trailing(Option<Pin<Box<Sleep>>>),
    Failed(Error),
    Closed,
}

// === impl RelayStream ===

impl RelayStream {
    pub(super) fn new(frames: Frames, relay: Box<dyn Relay>, settlement: Settlement, in_flight: InFlight) -> Self {
        Self {
            frames,
            relay,
            ready: VecDeque::with_capacity(2),
            state: State::Open,
            settlement,
            in_flight: Some(in_flight),
        }
    }

    fn take(&mut self, item: Option<Result<crate::framing::Frame>>) {
        let ended = item.is_none();
        let taken = match item {
            Some(Ok(frame)) => self.relay.frame(frame, &mut self.ready),
            Some(Err(error)) => Err(error),
            None => self.relay.finish(&mut self.ready),
        };
        self.state = match taken {
            Err(error) => {
                let error = match &self.in_flight {
                    Some(in_flight) => unquoted(in_flight.route(), error),
                    None => error,
                };
                self.close();
                self.end(&End::Failed(error.clone()));
                State::Failed(error)
            }
            Ok(()) if ended || self.relay.is_done() => {
                // Before the last bytes go out, so that a client that has them finds its slot free.
                self.end(&End::Finished);
                if ended { State::Closed } else { State::Trailing(None) }
            }
            Ok(()) => State::Open,
        };
    }

    /// Ends the exchange with the upstream at once, whoever still holds this stream.
    fn close(&mut self) {
        self.frames = Box::pin(stream::empty());
        self.state = State::Closed;
    }

    fn end(&mut self, end: &End) {
        self.settlement.end(end, self.relay.tally());
        self.in_flight = None;
    }
}

impl Stream for RelayStream {
    type Item = Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(bytes) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(bytes)));
            }
            match &mut this.state {
                State::Open => {
                    let item = ready!(this.frames.as_mut().poll_next(cx));
                    this.take(item);
                }
                State::Trailing(timer) => {
                    match this.frames.as_mut().poll_next(cx) {
                        // Whatever comes now, the client has its whole answer.
                        Poll::Ready(_) => {
                            this.close();
                            continue;
                        }
                        Poll::Pending => {}
                    }
                    let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(TRAILING)));
                    ready!(timer.as_mut().poll(cx));
                    this.close();
                }
                State::Failed(_) => {
                    if let State::Failed(error) = std::mem::replace(&mut this.state, State::Closed) {
                        return Poll::Ready(Some(Err(error)));
                    }
                }
                State::Closed => return Poll::Ready(None),
            }
        }
    }
}

impl Drop for RelayStream {
    fn drop(&mut self) {
        self.end(&End::Canceled);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::{FutureExt, StreamExt};
    use tokio::time::Instant;

    use super::*;
    use crate::{
        call::Reservation,
        routing::{
            order::InFlight,
            testing::{caller, cut, ended, hello, silent, streamed, table},
        },
        telemetry::testing::Lines,
        wire::openai_chat::Passthrough,
    };

    const TEXT: &str = "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\
        \"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"abcdefgh\"},\"finish_reason\":null}]}\n\n";
    const FINISH: &str = "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\
        \"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

    /// Counts how many of it live.
    struct Alive(Frames, std::sync::Arc<AtomicUsize>);

    impl Drop for Alive {
        fn drop(&mut self) {
            self.1.fetch_sub(1, Ordering::SeqCst);
        }
    }

    impl Stream for Alive {
        type Item = Result<crate::framing::Frame>;
        fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            self.0.as_mut().poll_next(cx)
        }
    }

    struct Case {
        stream: RelayStream,
        upstream: std::sync::Arc<AtomicUsize>,
        settled: std::sync::Arc<std::sync::Mutex<Vec<u64>>>,
    }

    /// A stream of these events whose settled tokens and live upstream can be seen.
    fn case(text: &str, end: Frames) -> Case {
        let upstream = std::sync::Arc::new(AtomicUsize::new(1));
        let crate::call::ReplyBody::Frames(frames) = streamed(text, end).body else { unreachable!() };
        let frames: Frames = Box::pin(Alive(frames, std::sync::Arc::clone(&upstream)));
        let settled = std::sync::Arc::default();
        let mut inbound = hello("builtin/echo", true);
        let sink: std::sync::Arc<std::sync::Mutex<Vec<u64>>> = std::sync::Arc::clone(&settled);
        let mut reservation = Reservation::default();
        reservation.on_settle(Box::new(move |tokens| sink.lock().unwrap().push(tokens)));
        inbound.reservation = reservation;
        let mut settlement = Settlement::new(&mut inbound);
        settlement.attempts().add();
        settlement.first_event();
        let route = table("").plan("builtin/echo", None, &caller(&["*"])).unwrap().routes.swap_remove(0);
        let relay = Box::new(Passthrough::new(false));
        let stream = RelayStream::new(frames, relay, settlement, InFlight::new(route));
        Case { stream, upstream, settled }
    }

    impl Case {
        fn settled(&self) -> Vec<u64> {
            self.settled.lock().unwrap().clone()
        }

        fn upstream(&self) -> usize {
            self.upstream.load(Ordering::SeqCst)
        }
    }

    /// Q2: whoever has the last bytes finds the call settled.
    #[tokio::test(start_paused = true)]
    async fn a_call_is_settled_before_its_last_bytes() {
        let lines = Lines::listen_json();
        let mut case = case(&format!("{TEXT}{FINISH}"), silent());
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"[DONE]\n\n") {
            assert!(case.settled().is_empty());
            bytes.extend_from_slice(&case.stream.next().await.unwrap().unwrap());
        }
        assert_eq!(case.settled(), [12], "10 estimated and two for eight bytes");
        assert_eq!(lines.text().lines().count(), 1);
        assert!(lines.text().contains("\"outcome\":\"finished\"") && lines.text().contains("\"estimated\":true"));
    }

    /// S11: the upstream's own end is awaited for its connection's sake, and not for long; one that
    /// goes on talking is closed at once.
    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_body_is_awaited_for_a_moment() {
        for (text, end, wait) in [
            (format!("{TEXT}{FINISH}"), ended(), Duration::ZERO),
            (format!("{TEXT}{FINISH}"), cut(), Duration::ZERO),
            (format!("{TEXT}{FINISH}{TEXT}{TEXT}"), silent(), Duration::ZERO),
            (format!("{TEXT}{FINISH}"), silent(), TRAILING),
        ] {
            let mut case = case(&text, end);
            let started = Instant::now();
            let items: Vec<_> = case.stream.by_ref().collect().await;
            assert!(items.iter().all(Result::is_ok), "{items:?}");
            let whole: Vec<u8> = items.into_iter().flat_map(|bytes| bytes.unwrap()).collect();
            assert!(whole.ends_with(b"data: [DONE]\n\n"), "nothing follows");
            assert!(started.elapsed() >= wait && started.elapsed() <= wait + Duration::from_millis(2));
            assert!(case.stream.next().await.is_none());
            assert_eq!(case.settled().len(), 1);
        }
    }

    /// D1, D3: a client that leaves ends the exchange, and what came until then is charged.
    #[tokio::test(start_paused = true)]
    async fn a_client_that_leaves_cancels() {
        let lines = Lines::listen_json();
        let mut case = case(TEXT, silent());
        assert!(case.stream.next().await.unwrap().is_ok());
        assert!(case.stream.next().now_or_never().is_none());
        drop(case.stream);
        assert_eq!((case.upstream.load(Ordering::SeqCst), case.settled.lock().unwrap().clone()), (0, vec![12]));
        let line = lines.text();
        assert!(line.contains("\"outcome\":\"canceled\"") && line.contains("\"output_tokens\":2"), "{line}");
        assert_eq!(line.lines().count(), 1);
    }

    /// E1: a stream that breaks off is an error after what came, once, and holds nothing any more.
    #[tokio::test(start_paused = true)]
    async fn a_broken_stream_fails_last() {
        for end in [cut(), ended()] {
            let lines = Lines::listen_json();
            let mut case = case(TEXT, end);
            assert!(case.stream.next().await.unwrap().is_ok());
            assert!(matches!(case.stream.next().await, Some(Err(Error::Interrupted { .. }))));
            assert_eq!((case.upstream(), case.settled()), (0, vec![12]));
            assert!(case.stream.next().await.is_none());
            drop(case);
            assert!(lines.text().contains("\"outcome\":\"failed\""), "{}", lines.text());
            assert_eq!(lines.text().lines().count(), 1);
        }
    }

    /// D3: the text of an error is no output.
    #[tokio::test(start_paused = true)]
    async fn an_error_event_is_not_charged() {
        let error = "data: {\"error\":{\"message\":\"a very long message indeed, of many words\",\"code\":500}}\n\n";
        let mut case = case(&format!("{TEXT}{error}"), ended());
        let items: Vec<_> = case.stream.by_ref().collect().await;
        assert!(matches!(items.last(), Some(Err(Error::Upstream(_)))), "{items:?}");
        assert_eq!(case.settled(), [12]);
    }
}
