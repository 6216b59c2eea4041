//! Limits the live exchanges of one target (rule Q2).
//!
//! Stands inside retry, so that a call that waits out a backoff holds no slot, and outside the
//! clocks, so that waiting in our own queue is not taken for an upstream's silence. The permit is
//! taken before the exchange and moves into the body of a stream: it comes back with the last
//! frame, the first error or the drop, whichever is first. (tower's own concurrency limit gives
//! it back with the head.) A whole answer has been read by the time it is here.
//!
//! The queue is first come, first served and bounded in time: after the target's first-event
//! deadline a call that still has no slot moves on (`NoTarget`), since a target that is full for
//! so long serves it no better than one that is silent. The total clock runs while it waits.
//!
//! Cost: one virtual call per event, and nothing at all for targets without slots.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{Stream, future::BoxFuture};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, timeout_at},
};
use tower::{Layer, Service};

use crate::{
    call::{Call, Frames, Reply, ReplyBody},
    error::{Clock, Error, Result},
    framing::Frame,
};

/// Puts [`Slots`] around a service.
#[derive(Debug, Clone, Copy, Default)]
pub struct SlotsLayer;

/// See the module's doc.
#[derive(Debug, Clone)]
pub struct Slots<S> {
    inner: S,
}

/// A stream that holds its slot. Field order: the exchange ends before its slot is free.
struct Held {
    live: Option<(Frames, OwnedSemaphorePermit)>,
}

// === impl SlotsLayer ===

impl<S> Layer<S> for SlotsLayer {
    type Service = Slots<S>;

    fn layer(&self, inner: S) -> Slots<S> {
        Slots { inner }
    }
}

// === impl Slots ===

impl<S> Service<Call> for Slots<S>
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
        if call.target.slots.is_none() {
            return Box::pin(ready.call(call));
        }
        Box::pin(async move {
            let permit = acquire(&call).await?;
            let mut reply = ready.call(call).await?;
            if let (ReplyBody::Frames(frames), Some(permit)) = (&mut reply.body, permit) {
                let inner = mem::replace(frames, Box::pin(futures_util::stream::empty()));
                *frames = Box::pin(Held { live: Some((inner, permit)) });
            }
            Ok(reply)
        })
    }
}

async fn acquire(call: &Call) -> Result<Option<OwnedSemaphorePermit>> {
    let Some(slots) = call.target.slots.clone() else { return Ok(None) };
    let patience = Instant::now().checked_add(call.target.policy.deadlines.first_event);
    let until = patience.map_or(call.deadline, |patience| patience.min(call.deadline));
    match timeout_at(until, slots.acquire_owned()).await {
        Ok(Ok(permit)) => Ok(Some(permit)),
        Ok(Err(_)) => Err(Error::ShuttingDown),
        Err(_) if until == call.deadline => Err(Error::Timeout(Clock::Total)),
        Err(_) => Err(Error::NoTarget {
            message: format!("All slots of {} stayed taken.", call.target.label),
            retry_after: None,
        }),
    }
}

// === impl Held ===

impl Stream for Held {
    type Item = Result<Frame>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some((frames, _)) = &mut self.live else { return Poll::Ready(None) };
        let polled = frames.as_mut().poll_next(cx);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.live = None;
        }
        polled
    }
}
