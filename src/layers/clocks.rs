//! Three of the four clocks of a call (design section 6.4; rule O1): first event, idle, total.
//! The connect clock is the transport's, who alone knows when a connection stands.
//!
//! The innermost layer, so that each try has its own first-event clock. Around the response future,
//! which resolves at the first event or with a whole answer, runs whichever of first event and
//! total ends sooner; a whole answer has a first-event clock only where the operator set one. Around the body of a stream run idle and total, in one wrapper with one
//! timer. The idle clock runs only while we wait for the upstream: the inner stream is polled
//! first and a frame stops it, so a slow client is never taken for an idle upstream. A mere sign of
//! life stops it too, and goes no further. When a clock
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
            let deadlines = &call.target.policy.deadlines;
            let first = if call.stream { Some(deadlines.first_event) } else { deadlines.whole };
            let (until, clock) = sooner(now, first.unwrap_or(Duration::MAX), Clock::FirstEvent, deadline);
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
        loop {
            match inner.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    this.last = Last::Frame;
                    if !frame.is_sign() {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                    if this.deadline <= Instant::now() {
                        return this.expire(Clock::Total);
                    }
                }
                Poll::Ready(end) => {
                    this.inner = None;
                    return Poll::Ready(end);
                }
                Poll::Pending => {
                    return match this.poll_silence(cx) {
                        Poll::Ready(clock) => this.expire(clock),
                        Poll::Pending => Poll::Pending,
                    };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, atomic::Ordering};

    use futures_util::{StreamExt, stream};
    use tokio::time::{advance, sleep};
    use tower::ServiceExt;

    use super::*;
    use crate::layers::mock::{self, Step, Upstream};

    const SECOND: Duration = Duration::from_secs(1);

    async fn run(call: Call, step: Step) -> Result<Reply> {
        ClocksLayer.layer(Upstream::new([step])).oneshot(call).await
    }

    async fn timed(call: Call, frames: Frames) -> Frames {
        mock::frames(run(call, Step::Stream(frames)).await.unwrap())
    }

    fn clock<T>(result: Result<T>) -> Option<Clock> {
        let error = result.err()?;
        if let Error::Timeout(clock) = error { Some(clock) } else { None }
    }

    fn about(since: Instant, expected: Duration) -> bool {
        (expected..=expected + Duration::from_millis(2)).contains(&since.elapsed())
    }

    /// O1, regression 62: silence before the first event ends with the clock that is named so.
    #[tokio::test(start_paused = true)]
    async fn silence_ends_with_the_first_event_clock() {
        let started = Instant::now();
        let upstream = Upstream::new([Step::Silence]);
        let result = ClocksLayer.layer(upstream.clone()).oneshot(mock::call(mock::deadlines(2, 60))).await;
        assert_eq!(clock(result), Some(Clock::FirstEvent));
        assert!(about(started, 2 * SECOND));
        assert_eq!(upstream.live.load(Ordering::SeqCst), 0, "the exchange is dropped");
    }

    /// O1: a whole answer is under the first-event clock to its last byte, where one is set.
    #[tokio::test(start_paused = true)]
    async fn a_whole_answer_has_the_first_event_clock_that_was_set() {
        let call = || {
            let mut policy = mock::deadlines(60, 60);
            policy.deadlines.whole = Some(2 * SECOND);
            Call { stream: false, ..mock::call(policy) }
        };
        assert!(run(call(), Step::Whole(Duration::from_millis(1900))).await.is_ok());
        assert_eq!(clock(run(call(), Step::Whole(Duration::from_millis(2100))).await), Some(Clock::FirstEvent));
    }

    /// O1: a model that thinks for minutes before its whole answer is not cut off by a default.
    #[tokio::test(start_paused = true)]
    async fn a_whole_answer_has_else_only_the_total_clock() {
        let call = || Call { stream: false, ..mock::call(mock::deadlines(60, 60)) };
        assert!(run(call(), Step::Whole(300 * SECOND)).await.is_ok());
        assert_eq!(clock(run(call(), Step::Whole(601 * SECOND)).await), Some(Clock::Total));
    }

    /// O1: the total clock, when it ends sooner.
    #[tokio::test(start_paused = true)]
    async fn the_total_clock_runs_over_the_response() {
        let mut call = mock::call(mock::deadlines(60, 60));
        call.deadline = Instant::now() + SECOND;
        let started = Instant::now();
        assert_eq!(clock(run(call, Step::Silence).await), Some(Clock::Total));
        assert!(about(started, SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn no_exchange_begins_after_the_deadline() {
        let mut call = mock::call(mock::deadlines(60, 60));
        call.deadline = Instant::now();
        let upstream = Upstream::new([]);
        assert_eq!(clock(ClocksLayer.layer(upstream).oneshot(call).await), Some(Clock::Total));
    }

    /// O1, regression 62: an event a second is no silence, however long it goes on.
    #[tokio::test(start_paused = true)]
    async fn a_steady_stream_is_not_cut() {
        let frames = mock::paced([SECOND; 60], mock::ended());
        let items: Vec<_> = timed(mock::call(mock::deadlines(60, 5)), frames).await.collect().await;
        assert_eq!(items.len(), 60);
        assert!(items.iter().all(Result::is_ok));
    }

    /// O1: whoever sends comments, or a long event piece by piece, is not silent; nobody hears of it.
    #[tokio::test(start_paused = true)]
    async fn signs_of_life_are_no_silence() {
        let signs = stream::iter([3 * SECOND; 20]).then(|pause| async move {
            sleep(pause).await;
            Ok(Frame::SIGN)
        });
        let frames: Frames = Box::pin(signs.chain(mock::paced([SECOND], mock::silent())));
        let mut frames = timed(mock::call(mock::deadlines(60, 5)), frames).await;
        let started = Instant::now();
        assert!(!frames.next().await.unwrap().unwrap().is_sign());
        assert!(about(started, 61 * SECOND));
        assert_eq!(clock(frames.next().await.unwrap()), Some(Clock::Idle));
    }

    /// O1, regression 62: silence in mid-stream ends with the idle clock, counted from the frame
    /// before it, and the exchange with it.
    #[tokio::test(start_paused = true)]
    async fn silence_in_mid_stream_ends_with_the_idle_clock() {
        let live = Arc::default();
        let frames = mock::watched(mock::paced([SECOND, 4 * SECOND, 3 * SECOND], mock::silent()), &live);
        let mut frames = timed(mock::call(mock::deadlines(60, 5)), frames).await;
        for _ in 0..3 {
            assert!(frames.next().await.unwrap().is_ok());
        }
        let since = Instant::now();
        assert_eq!(clock(frames.next().await.unwrap()), Some(Clock::Idle));
        assert!(about(since, 5 * SECOND));
        assert_eq!(live.load(Ordering::SeqCst), 0, "the exchange is dropped with the error");
        assert!(frames.next().await.is_none());
    }

    /// O1: the idle clock is the upstream's, not the client's.
    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_no_idle_upstream() {
        let frames = mock::paced([SECOND; 4], mock::ended());
        let mut frames = timed(mock::call(mock::deadlines(60, 5)), frames).await;
        for _ in 0..4 {
            sleep(50 * SECOND).await;
            assert!(frames.next().await.unwrap().is_ok());
        }
        assert!(frames.next().await.is_none());
    }

    /// O1: a client that sleeps through the idle clock still gets what came in time.
    #[tokio::test(start_paused = true)]
    async fn a_frame_beats_an_expired_idle_clock() {
        let frames = mock::paced([SECOND, SECOND], mock::silent());
        let mut frames = timed(mock::call(mock::deadlines(60, 5)), frames).await;
        assert!(frames.next().await.unwrap().is_ok());
        let mut second = tokio_test::task::spawn(frames);
        assert!(second.enter(|cx, frames| frames.poll_next(cx)).is_pending());
        advance(30 * SECOND).await;
        let polled = second.enter(|cx, frames| frames.poll_next(cx));
        assert!(matches!(polled, Poll::Ready(Some(Ok(_)))));
        assert!(second.enter(|cx, frames| frames.poll_next(cx)).is_pending(), "silence begins now");
    }

    /// O1: the total clock runs over the body, whether its upstream is silent or talks.
    #[tokio::test(start_paused = true)]
    async fn the_total_clock_runs_over_the_body() {
        let talking = || mock::paced([SECOND; 100], mock::ended());
        let chatter: fn() -> Frames = || Box::pin(stream::repeat_with(|| Ok(mock::frame())));
        for (frames, pause) in [(mock::silent(), 0), (talking(), 0), (chatter(), 1)] {
            let mut call = mock::call(mock::deadlines(60, 60));
            let started = Instant::now();
            call.deadline = started + 10 * SECOND;
            let mut frames = timed(call, frames).await;
            let error = loop {
                match frames.next().await.unwrap() {
                    Ok(_) => sleep(pause * SECOND).await,
                    Err(error) => break error,
                }
            };
            assert!(matches!(error, Error::Timeout(Clock::Total)));
            assert!(about(started, 10 * SECOND));
            assert!(frames.next().await.is_none());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_upstreams_own_end_and_errors_pass() {
        let call = mock::call(mock::deadlines(60, 5));
        let mut frames = timed(call.clone(), mock::cut()).await;
        assert!(matches!(frames.next().await, Some(Err(Error::Interrupted { .. }))));
        assert!(frames.next().await.is_none());
        let failed = run(call, Step::Fail(Error::ShuttingDown)).await;
        assert!(matches!(failed, Err(Error::ShuttingDown)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_endless_clock_never_ends() {
        let mut policy = mock::deadlines(60, 60);
        policy.deadlines.first_event = Duration::MAX;
        policy.deadlines.idle = Duration::MAX;
        let mut frames = timed(mock::call(policy), mock::paced([300 * SECOND], mock::ended())).await;
        assert!(frames.next().await.unwrap().is_ok());
    }

    /// The timer is not moved by frames: it stands where the first wait put it until it fires.
    #[tokio::test(start_paused = true)]
    async fn frames_do_not_touch_the_timer() {
        let inner = mock::paced([SECOND; 3], mock::silent());
        let deadline = Instant::now() + 600 * SECOND;
        let armed = Instant::now() + 5 * SECOND;
        let timed = Timed { inner: Some(inner), idle: 5 * SECOND, deadline, last: Last::Nothing, timer: None };
        let mut timed = Box::pin(timed);
        for _ in 0..3 {
            assert!(timed.next().await.unwrap().is_ok());
            assert_eq!(timed.timer.as_ref().unwrap().deadline(), armed);
        }
    }
}
