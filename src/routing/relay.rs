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
use futures_util::Stream;
use tokio::time::Sleep;

use super::order::InFlight;
use crate::{
    call::{End, Frames},
    error::{Error, Result},
    layers::Settlement,
    wire::Relay,
};

/// How long the upstream's body may take to end after its terminal event, so that its connection
/// can be used again (rule S11). Whoever is slower is closed instead.
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
                        Poll::Ready(Some(Ok(_))) => continue,
                        // Whatever happens now, the client has its whole answer.
                        Poll::Ready(Some(Err(_)) | None) => {
                            this.state = State::Closed;
                            continue;
                        }
                        Poll::Pending => {}
                    }
                    let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(TRAILING)));
                    ready!(timer.as_mut().poll(cx));
                    this.state = State::Closed;
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
