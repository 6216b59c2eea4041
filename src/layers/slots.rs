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

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        time::Duration,
    };

    use futures_util::{StreamExt, future::join_all};
    use tokio::{sync::Semaphore, time::timeout};
    use tower::{ServiceExt, service_fn};

    use super::*;
    use crate::{
        error::Verdict,
        layers::mock::{self, Step, Upstream},
    };

    const SECOND: Duration = Duration::from_secs(1);

    fn one_slot() -> (Arc<Semaphore>, Call) {
        let slots = Arc::new(Semaphore::new(1));
        (Arc::clone(&slots), mock::call_with_slots(mock::deadlines(60, 60), Some(slots)))
    }

    async fn stream(call: Call, frames: Frames) -> Frames {
        mock::frames(SlotsLayer.layer(Upstream::new([Step::Stream(frames)])).oneshot(call).await.unwrap())
    }

    /// Q2: the slot lasts as long as the stream and comes back with its last frame.
    #[tokio::test(start_paused = true)]
    async fn a_stream_holds_its_slot_to_the_last_frame() {
        let (slots, call) = one_slot();
        let mut frames = stream(call, mock::paced([SECOND, SECOND], mock::ended())).await;
        for _ in 0..2 {
            assert_eq!(slots.available_permits(), 0);
            assert!(frames.next().await.unwrap().is_ok());
        }
        assert_eq!(slots.available_permits(), 0);
        assert!(frames.next().await.is_none());
        assert_eq!(slots.available_permits(), 1, "before the body is dropped");
        assert!(frames.next().await.is_none(), "an ended stream stays ended");
    }

    /// Q2: whatever ends the exchange gives the slot back.
    #[tokio::test(start_paused = true)]
    async fn a_slot_comes_back_after_a_cut_a_drop_and_a_failure() {
        let (slots, call) = one_slot();
        let mut frames = stream(call.clone(), mock::cut()).await;
        assert!(frames.next().await.unwrap().is_err());
        assert_eq!(slots.available_permits(), 1, "cut");
        assert!(frames.next().await.is_none());

        let frames = stream(call.clone(), mock::silent()).await;
        assert_eq!(slots.available_permits(), 0);
        drop(frames);
        assert_eq!(slots.available_permits(), 1, "body dropped");

        let failing = Upstream::new([Step::Fail(Error::ShuttingDown)]);
        assert!(SlotsLayer.layer(failing).oneshot(call.clone()).await.is_err());
        assert_eq!(slots.available_permits(), 1, "failed");

        let silent = SlotsLayer.layer(Upstream::new([Step::Silence])).oneshot(call.clone());
        assert!(timeout(SECOND, silent).await.is_err());
        assert_eq!(slots.available_permits(), 1, "future dropped");

        let whole = Upstream::new([Step::Whole(SECOND)]);
        assert!(SlotsLayer.layer(whole).oneshot(call).await.is_ok());
        assert_eq!(slots.available_permits(), 1, "whole answer");
    }

    #[tokio::test(start_paused = true)]
    async fn the_exchange_ends_before_its_slot_is_free() {
        let (slots, call) = one_slot();
        let live = Arc::default();
        let frames = stream(call, mock::watched(mock::silent(), &live)).await;
        assert_eq!(live.load(Ordering::SeqCst), 1);
        drop(frames);
        assert_eq!((live.load(Ordering::SeqCst), slots.available_permits()), (0, 1));
    }

    #[tokio::test(start_paused = true)]
    #[expect(clippy::disallowed_methods, reason = "a test may spawn")]
    async fn the_next_in_line_gets_the_slot() {
        let (slots, call) = one_slot();
        let frames = stream(call.clone(), mock::silent()).await;
        let upstream = Upstream::new([Step::Whole(Duration::ZERO)]);
        let waiting = tokio::spawn(SlotsLayer.layer(upstream.clone()).oneshot(call));
        tokio::time::sleep(SECOND).await;
        assert_eq!(upstream.tries.lock().unwrap().len(), 0);
        drop(frames);
        assert!(waiting.await.unwrap().is_ok());
        assert_eq!(slots.available_permits(), 1);
    }

    /// A full target is as good as a silent one: after its first-event deadline the call moves on.
    #[tokio::test(start_paused = true)]
    async fn a_wait_without_end_moves_on() {
        let (slots, call) = one_slot();
        let _held = slots.try_acquire().unwrap();
        let started = Instant::now();
        let error = SlotsLayer.layer(Upstream::new([])).oneshot(call).await.unwrap_err();
        assert!(matches!(error, Error::NoTarget { .. }));
        assert_eq!(error.verdict(), Verdict::MoveOn { key_bound: false });
        assert_eq!(started.elapsed().as_secs(), 60);
    }

    /// O1: the total clock runs in the queue as well.
    #[tokio::test(start_paused = true)]
    async fn waiting_counts_against_the_total_deadline() {
        let (slots, mut call) = one_slot();
        let _held = slots.try_acquire().unwrap();
        call.deadline = Instant::now() + 3 * SECOND;
        let started = Instant::now();
        let error = SlotsLayer.layer(Upstream::new([])).oneshot(call).await.unwrap_err();
        assert!(matches!(error, Error::Timeout(Clock::Total)));
        assert_eq!(started.elapsed().as_secs(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_target_without_slots_is_not_limited() {
        let call = mock::call(mock::deadlines(60, 60));
        let mut frames = stream(call, mock::paced([SECOND], mock::ended())).await;
        assert!(frames.next().await.unwrap().is_ok());
        assert!(frames.next().await.is_none());
    }

    /// Q2: never more than N in flight, and all N back in the end, however the calls end.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[expect(clippy::disallowed_methods, reason = "a test may spawn")]
    async fn many_tasks_never_pass_the_limit() {
        let slots = Arc::new(Semaphore::new(3));
        let call = mock::call_with_slots(mock::deadlines(60, 60), Some(Arc::clone(&slots)));
        let (live, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let number = AtomicUsize::new(0);
        let service = {
            let (live, most, number) = (Arc::clone(&live), Arc::clone(&most), Arc::new(number));
            service_fn(move |_: Call| {
                let number = number.fetch_add(1, Ordering::SeqCst);
                let frames = mock::watched(some_end(number), &live);
                most.fetch_max(live.load(Ordering::SeqCst), Ordering::SeqCst);
                async move {
                    tokio::task::yield_now().await;
                    if number.is_multiple_of(5) {
                        return Err(Error::ShuttingDown);
                    }
                    let head = http::Response::new(()).into_parts().0;
                    Ok(Reply { head, body: ReplyBody::Frames(frames) })
                }
            })
        };
        let layered = SlotsLayer.layer(service);
        let tasks = (0..200).map(|n: usize| {
            let call = layered.clone().oneshot(call.clone());
            tokio::spawn(async move {
                let Ok(reply) = call.await else { return };
                let mut frames = mock::frames(reply);
                // Some clients leave after the first frame.
                while let Some(Ok(_)) = frames.next().await {
                    tokio::task::yield_now().await;
                    if n.is_multiple_of(3) {
                        break;
                    }
                }
            })
        });
        assert!(join_all(tasks).await.iter().all(Result::is_ok));
        assert_eq!(most.load(Ordering::SeqCst), 3);
        assert_eq!((slots.available_permits(), live.load(Ordering::SeqCst)), (3, 0));
    }

    fn some_end(number: usize) -> Frames {
        let end = if number.is_multiple_of(2) { mock::ended() } else { mock::cut() };
        mock::paced([Duration::ZERO; 3], end)
    }
}
