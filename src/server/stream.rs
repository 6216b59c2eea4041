//! The body of a streamed answer: the answer's bytes, keep-alives where nothing came, and an error
//! frame where it failed.
//!
//! The body owns what it waits for, be it the answer (when the head had to go out before it, rule
//! S6) or its stream, so that a client that leaves drops everything behind it (rule D1). A
//! keep-alive goes out only between two items of the stream, which are whole events (rule S7). No
//! task and no channel: the connection's poll pulls the upstream's bytes, and a client that does
//! not read stops them.
//!
//! Cost per event: no allocation, no copy, one reading of the clock, one atomic load. The timer is
//! set again only when it has fired, not per event.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::Frame;
use tokio::time::{Instant, Sleep, sleep_until};
use uuid::Uuid;

use super::lifecycle::Watch;
use crate::{
    call::{Answer, AnswerBody, ByteStream, Failure},
    error::Error,
    telemetry::InFlight,
    wire::{ClientDialect, Minder},
};

/// The answer to come, and with it all the work behind it.
pub(super) type Pending = Pin<Box<dyn Future<Output = Result<Answer, Failure>> + Send>>;

pub(super) struct EventStream {
    source: Source,
    terms: Terms,
    /// Where the dialect wants its streams minded.
    minder: Option<Box<dyn Minder>>,
    /// Fires when the interval may have passed.
    timer: Pin<Box<Sleep>>,
}

/// Where the bytes come from.
pub(super) enum Source {
    /// The head has gone out before the answer was there.
    Waiting(Pending),
    Live(ByteStream),
    Done,
}

/// How a stream treats its client.
pub(super) struct Terms {
    pub dialect: &'static dyn ClientDialect,
    /// The call, as an error names it.
    pub id: Uuid,
    /// No silence is longer.
    pub interval: Duration,
    /// When the client was last sent anything; at first, its request's arrival or its head.
    pub quiet_since: Instant,
    pub cut: Watch,
    /// Counts this call as long as the body lives.
    #[expect(dead_code, reason = "held for its drop")]
    pub in_flight: InFlight,
}

// === impl EventStream ===

impl EventStream {
    pub(super) fn new(source: Source, terms: Terms) -> Self {
        let timer = Box::pin(sleep_until(terms.quiet_since + terms.interval));
        let minder = terms.dialect.minder(terms.id);
        Self { source, terms, minder, timer }
    }

    /// The next bytes of the answer; `None` at its end.
    fn poll_source(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        loop {
            match &mut self.source {
                Source::Done => return Poll::Ready(None),
                Source::Live(stream) => match ready!(stream.as_mut().poll_next(context)) {
                    Some(Ok(bytes)) if bytes.is_empty() => {}
                    item => return Poll::Ready(item),
                },
                Source::Waiting(pending) => match ready!(pending.as_mut().poll(context)) {
                    Ok(Answer { body: AnswerBody::Stream(stream), .. }) => self.source = Source::Live(stream),
                    Ok(Answer { body: AnswerBody::Whole(_), .. }) => {
                        let message = "a whole answer to a call that asked for a stream".into();
                        return Poll::Ready(Some(Err(Error::Internal { message })));
                    }
                    Err(failure) => return Poll::Ready(Some(Err(failure.error))),
                },
            }
        }
    }

    /// Ready when the client has heard nothing for the interval.
    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(context));
            let now = Instant::now();
            let due = self.terms.quiet_since + self.terms.interval;
            if now >= due {
                self.timer.as_mut().reset(now + self.terms.interval);
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(due);
        }
    }

    fn send(&mut self, bytes: Bytes) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.terms.quiet_since = Instant::now();
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn fail(&mut self, error: &Error) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.source = Source::Done;
        let frame = match &mut self.minder {
            Some(minder) => minder.error_frame(error),
            None => self.terms.dialect.error_frame(error, self.terms.id),
        };
        self.send(frame)
    }
}

impl http_body::Body for EventStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if !matches!(this.source, Source::Done) && this.terms.cut.has_come(context) {
            return this.fail(&Error::ShuttingDown);
        }
        match this.poll_source(context) {
            Poll::Ready(Some(Ok(bytes))) => {
                let bytes = match &mut this.minder {
                    Some(minder) => minder.sends(bytes),
                    None => bytes,
                };
                this.send(bytes)
            }
            Poll::Ready(Some(Err(error))) => this.fail(&error),
            Poll::Ready(None) => {
                this.source = Source::Done;
                match this.minder.as_mut().map(|minder| minder.ends()).filter(|last| !last.is_empty()) {
                    Some(last) => this.send(last),
                    None => Poll::Ready(None),
                }
            }
            Poll::Pending => {
                ready!(this.poll_silence(context));
                let sign = match &mut this.minder {
                    Some(minder) => minder.keep_alive(),
                    None => this.terms.dialect.keep_alive(),
                };
                this.send(sign)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.source, Source::Done)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Waiting(_) => "Waiting",
            Self::Live(_) => "Live",
            Self::Done => "Done",
        })
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream").field("source", &self.source).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use async_stream::stream;
    use http_body::Body;
    use http_body_util::BodyExt;
    use tokio::time::sleep;

    use super::*;
    use crate::{
        call::Notes,
        server::{Lifecycle, testing::dialect},
        telemetry::{Endpoint, Metrics},
    };

    const INTERVAL: Duration = Duration::from_secs(15);

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Sends each text after its pause.
    fn paced(items: &'static [(u64, &'static str)]) -> ByteStream {
        Box::pin(stream! {
            for (pause, text) in items {
                sleep(ms(*pause)).await;
                yield Ok(Bytes::from_static(text.as_bytes()));
            }
        })
    }

    fn body(source: Source, lifecycle: &Lifecycle) -> EventStream {
        let terms = Terms {
            dialect: dialect(),
            id: Uuid::nil(),
            interval: INTERVAL,
            quiet_since: Instant::now(),
            cut: lifecycle.watch_cut(),
            in_flight: Metrics::disabled().call_begins(Endpoint::Messages),
        };
        EventStream::new(source, terms)
    }

    fn live(stream: ByteStream, lifecycle: &Lifecycle) -> EventStream {
        body(Source::Live(stream), lifecycle)
    }

    fn early(pending: Pending) -> EventStream {
        body(Source::Waiting(pending), &Lifecycle::default())
    }

    /// All frames with their times in seconds.
    async fn collect(mut body: impl Body<Data = Bytes, Error = Infallible> + Unpin) -> Vec<(f32, String)> {
        let start = Instant::now();
        let mut frames = Vec::new();
        while let Some(frame) = body.frame().await {
            let data = frame.unwrap().into_data().unwrap();
            frames.push((start.elapsed().as_secs_f32(), String::from_utf8(data.to_vec()).unwrap()));
        }
        frames
    }

    /// An error frame by its code, anything else as it is.
    fn brief(text: &str) -> &str {
        ["bad_upstream_response", "upstream_stream_interrupted", "shutting_down"]
            .into_iter()
            .find(|code| text.contains(&format!("\"code\":\"{code}\"")))
            .unwrap_or(text)
    }

    fn texts(frames: &[(f32, String)]) -> Vec<&str> {
        frames.iter().map(|(_, text)| brief(text)).collect()
    }

    /// S6, S7: a keep-alive whenever the interval has passed since the last byte, between items.
    #[tokio::test(start_paused = true)]
    async fn silence_is_filled_between_items() {
        let body = live(paced(&[(0, "a"), (14_000, "b"), (31_000, "c"), (1_000, "d")]), &Lifecycle::default());
        let frames = collect(body).await;
        assert_eq!(texts(&frames), ["a", "b", ": keepalive\n", ": keepalive\n", "c", "d"]);
        let times: Vec<_> = frames.iter().map(|(time, _)| time.round() as u32).collect();
        assert_eq!(times, [0, 14, 29, 44, 45, 46]);
    }

    /// S6: the wait for an answer is counted from the request, and its stream follows.
    #[tokio::test(start_paused = true)]
    async fn an_early_stream_waits_with_keep_alives_and_goes_on() {
        let pending: Pending = Box::pin(async {
            sleep(ms(40_000)).await;
            Ok(Answer { notes: Notes::default(), body: AnswerBody::Stream(paced(&[(0, "a")])) })
        });
        let frames = collect(early(pending)).await;
        assert_eq!(texts(&frames), [": keepalive\n", ": keepalive\n", "a"]);
        assert_eq!(frames[0].0.round(), 15.0);
    }

    /// E1, E2: after the head a failure is an error frame, and nothing follows it.
    #[tokio::test(start_paused = true)]
    async fn failures_are_frames_once_the_head_is_out() {
        let pending: Pending = Box::pin(async {
            sleep(ms(16_000)).await;
            Err(Error::BadReply { message: "no".into() }.into())
        });
        assert_eq!(texts(&collect(early(pending)).await), [": keepalive\n", "bad_upstream_response"]);

        let broken = Box::pin(stream! {
            yield Ok(Bytes::from_static(b"a"));
            yield Err(Error::Interrupted { message: "gone".into() });
            yield Ok(Bytes::from_static(b"never"));
        });
        let frames = collect(live(broken, &Lifecycle::default())).await;
        assert_eq!(texts(&frames), ["a", "upstream_stream_interrupted"]);
    }

    /// K5: at the cut an open stream says why it ends, without waiting for its upstream.
    #[tokio::test(start_paused = true)]
    async fn the_cut_ends_a_stream_with_a_frame() {
        let lifecycle = Lifecycle::default();
        let body = live(paced(&[(0, "a"), (3_600_000, "never")]), &lifecycle);
        let cut = async {
            sleep(ms(5_000)).await;
            lifecycle.cut();
        };
        let (frames, ()) = tokio::join!(collect(body), cut);
        assert_eq!(texts(&frames), ["a", "shutting_down"]);
        assert_eq!(frames[1].0.round(), 5.0);
    }

    #[tokio::test]
    async fn the_end_is_known_at_once() {
        let mut body = live(Box::pin(futures_util::stream::iter([Ok(Bytes::new())])), &Lifecycle::default());
        assert!(!body.is_end_stream());
        assert!(body.frame().await.is_none());
        assert!(body.is_end_stream());
    }
}
