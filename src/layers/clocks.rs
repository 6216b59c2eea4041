//! Three of the four clocks of a call (design section 6.4; rule O1): first event, idle, total.
//! The connect clock is the transport's, who alone knows when a connection stands.
//!
//! The innermost layer, so that each try has its own first-event clock. Around the response future,
//! which resolves at the first event or with a whole answer, runs whichever of first event and
//! total ends sooner. Around the body of a stream run idle and total, in one wrapper with one
//! timer. The idle clock runs only while we wait for the upstream: the inner stream is polled
//! first and a frame stops it, so a slow client is never taken for an idle upstream. When a clock
//! runs out, the exchange is dropped at once, the error is the last item and the body ends.
//!
//! Cost: one virtual call and one reading of the time per event. The timer is made when the stream
//! first has to wait and is not moved by frames; when it fires, it is compared with the moment the
//! present wait began and armed anew.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{Stream, future::BoxFuture};
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use tower::{Layer, Service};

use crate::{
    call::{Call, Frames, Reply, ReplyBody},
    error::{Clock, Error, Result},
    framing::Frame,
};

/// Puts [`Clocks`] around a service.
#[derive(Debug, Clone, Copy, Default)]
pub struct ClocksLayer;

/// See the module's doc.
#[derive(Debug, Clone)]
pub struct Clocks<S> {
    inner: S,
}

/// A stream under the idle and the total clock.
struct Timed {
    /// `None` once the stream has ended, by itself or by a clock.
    inner: Option<Frames>,
    idle: Duration,
    deadline: Instant,
    last: Last,
    timer: Option<Pin<Box<Sleep>>>,
}

/// What the last poll of the upstream gave.
#[derive(Clone, Copy)]
enum Last {
    Nothing,
    Frame,
    /// It is being waited for since then.
    Wait(Instant),
}

// === impl ClocksLayer ===

impl<S> Layer<S> for ClocksLayer {
    type Service = Clocks<S>;

    fn layer(&self, inner: S) -> Clocks<S> {
        Clocks { inner }
    }
}

// === impl Clocks ===

impl<S> Service<Call> for Clocks<S>
where
    S: Service<Call, Response = Reply, Error = Error> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Reply;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Reply>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let clone = self.inner.clone();
        let mut ready = mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let (deadline, idle) = (call.deadline, call.target.policy.deadlines.idle);
            let now = Instant::now();
            if deadline <= now {
                return Err(Error::Timeout(Clock::Total));
            }
            let (until, clock) = sooner(now, call.target.policy.deadlines.first_event, Clock::FirstEvent, deadline);
            let answered = timeout_at(until, ready.call(call)).await;
            let mut reply = answered.map_err(|_| Error::Timeout(clock))??;
            if let ReplyBody::Frames(frames) = &mut reply.body {
                let inner = mem::replace(frames, Box::pin(futures_util::stream::empty()));
                *frames = Box::pin(Timed { inner: Some(inner), idle, deadline, last: Last::Nothing, timer: None });
            }
            Ok(reply)
        })
    }
}

/// When `clock`, started at `from`, or the total clock ends, and which of them that is.
fn sooner(from: Instant, lasts: Duration, clock: Clock, deadline: Instant) -> (Instant, Clock) {
    match from.checked_add(lasts) {
        Some(until) if until < deadline => (until, clock),
        _ => (deadline, Clock::Total),
    }
}

// === impl Timed ===

impl Timed {
    /// The clock that has run out while the upstream is silent, if one has.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<Clock> {
        let now = Instant::now();
        let since = match self.last {
            Last::Wait(since) => since,
            Last::Nothing | Last::Frame => now,
        };
        self.last = Last::Wait(since);
        let (until, clock) = sooner(since, self.idle, Clock::Idle, self.deadline);
        if until <= now {
            return Poll::Ready(clock);
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        // Waits begin ever later, so the timer never fires after `until`, only before.
        while timer.as_mut().poll(cx).is_ready() {
            if timer.deadline() >= until {
                return Poll::Ready(clock);
            }
            timer.as_mut().reset(until);
        }
        Poll::Pending
    }

    fn expire(&mut self, clock: Clock) -> Poll<Option<Result<Frame>>> {
        self.inner = None;
        Poll::Ready(Some(Err(Error::Timeout(clock))))
    }
}

impl Stream for Timed {
    type Item = Result<Frame>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(inner) = &mut this.inner else { return Poll::Ready(None) };
        // While the upstream keeps ahead of the client there is no silence and no timer to tell
        // of the total clock.
        if matches!(this.last, Last::Frame) && this.deadline <= Instant::now() {
            return this.expire(Clock::Total);
        }
        match inner.as_mut().poll_next(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.last = Last::Frame;
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(end) => {
                this.inner = None;
                Poll::Ready(end)
            }
            Poll::Pending => match this.poll_silence(cx) {
                Poll::Ready(clock) => this.expire(clock),
                Poll::Pending => Poll::Pending,
            },
        }
    }
}
