//! Calls and upstreams for the tests of the layers.

use std::{
    collections::VecDeque,
    future::pending,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, future::BoxFuture, stream};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep},
};
use tower::Service;
use uuid::Uuid;

use crate::{
    call::{
        Attempts, Call, Caller, Connection, Dialect, Estimate, Expects, Frames, Inbound, Limits, Reply, ReplyBody,
        Reservation, Target,
    },
    config::{Deadlines, Policy},
    error::{Error, Result},
    framing::Frame,
    telemetry::Endpoint,
};

/// A call with ten minutes to live.
pub(super) fn call(policy: Policy) -> Call {
    call_with_slots(policy, None)
}

pub(super) fn call_with_slots(policy: Policy, slots: Option<Arc<Semaphore>>) -> Call {
    let target = Target {
        label: "lab/model".into(),
        provider: "lab".into(),
        kind: "openai".into(),
        model: "model".into(),
        policy,
        connection: Connection { connect_timeout: Duration::from_secs(2), http2_prior_knowledge: false, ca_file: None },
        slots,
    };
    Call {
        id: Uuid::nil(),
        target: Arc::new(target),
        dialect: Dialect::OpenAiChat,
        expects: Expects::Answer,
        stream: true,
        request: http::Request::new(Bytes::new()),
        deadline: Instant::now() + Duration::from_secs(600),
        rotates: false,
        attempts: Attempts::default(),
    }
}

pub(super) fn deadlines(first_event: u64, idle: u64) -> Policy {
    let seconds = Duration::from_secs;
    Policy {
        deadlines: Deadlines { first_event: seconds(first_event), idle: seconds(idle), ..Deadlines::default() },
        ..Policy::default()
    }
}

/// A client's call that is thought to cost so many tokens.
pub(super) fn inbound(caller: &Arc<Caller>, model: &str, estimate: Estimate) -> Inbound {
    Inbound {
        id: Uuid::nil(),
        dialect: Dialect::OpenAiChat,
        endpoint: Endpoint::ChatCompletions,
        caller: Arc::clone(caller),
        model: model.into(),
        stream: false,
        include_usage: false,
        strict: false,
        pinned: None,
        origin: None,
        body: Bytes::new(),
        headers: http::HeaderMap::new(),
        estimate,
        model_limits: Limits::default(),
        reservation: Reservation::default(),
        client_request_id: None,
        started: Instant::now(),
    }
}

pub(super) fn caller(name: &str, limits: Limits) -> Arc<Caller> {
    Arc::new(Caller { name: name.into(), models: vec!["*".into()], limits })
}

/// What the upstream does about one try.
pub(super) enum Step {
    Fail(Error),
    /// After so long a whole answer.
    Whole(Duration),
    /// At once a head with this body.
    Stream(Frames),
    Silence,
}

/// An upstream that goes through its steps, one for each try, whichever clone is asked.
#[derive(Clone)]
pub(super) struct Upstream {
    steps: Arc<Mutex<VecDeque<Step>>>,
    /// When each try came.
    pub(super) tries: Arc<Mutex<Vec<Instant>>>,
    /// Exchanges whose future is alive.
    pub(super) live: Arc<AtomicUsize>,
    /// Only a service that was asked whether it is ready may be called.
    ready: bool,
}

impl Upstream {
    pub(super) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self {
            steps: Arc::new(Mutex::new(steps.into_iter().collect())),
            tries: Arc::default(),
            live: Arc::default(),
            ready: false,
        }
    }

    /// When each try came, from the first on.
    pub(super) fn times(&self) -> Vec<Duration> {
        let tries = self.tries.lock().unwrap();
        tries.iter().map(|at| *at - tries[0]).collect()
    }
}

struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Service<Call> for Upstream {
    type Response = Reply;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Reply>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Call) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called without being ready");
        self.tries.lock().unwrap().push(Instant::now());
        let step = self.steps.lock().unwrap().pop_front().expect("a try more than the script has");
        let alive = Alive::new(&self.live);
        Box::pin(async move {
            let _alive = alive;
            match step {
                Step::Fail(error) => Err(error),
                Step::Whole(after) => {
                    sleep(after).await;
                    Ok(reply(ReplyBody::Whole(Bytes::new())))
                }
                Step::Stream(frames) => Ok(reply(ReplyBody::Frames(frames))),
                Step::Silence => pending().await,
            }
        })
    }
}

fn reply(body: ReplyBody) -> Reply {
    Reply { head: http::Response::new(()).into_parts().0, body }
}

pub(super) fn frame() -> Frame {
    Frame { raw: None, event: None, data: Bytes::from_static(b"{}") }
}

/// Frames, each after its pause, then what `end` says.
pub(super) fn paced(pauses: impl IntoIterator<Item = Duration>, end: Frames) -> Frames {
    let pauses: Vec<_> = pauses.into_iter().collect();
    let frames = stream::iter(pauses).then(|pause| async move {
        sleep(pause).await;
        Ok(frame())
    });
    Box::pin(frames.chain(end))
}

pub(super) fn ended() -> Frames {
    Box::pin(stream::empty())
}

pub(super) fn silent() -> Frames {
    Box::pin(stream::pending())
}

pub(super) fn cut() -> Frames {
    Box::pin(stream::iter([Err(Error::Interrupted { message: "cut".into() })]))
}

/// The stream of a reply.
pub(super) fn frames(reply: Reply) -> Frames {
    match reply.body {
        ReplyBody::Frames(frames) => frames,
        ReplyBody::Whole(_) => panic!("a whole answer instead of a stream"),
    }
}

/// Counts its drop, as the end of an exchange does.
struct Watched {
    frames: Frames,
    _alive: Alive,
}

/// Frames whose life is counted in `live`.
pub(super) fn watched(frames: Frames, live: &Arc<AtomicUsize>) -> Frames {
    Box::pin(Watched { frames, _alive: Alive::new(live) })
}

impl stream::Stream for Watched {
    type Item = Result<Frame>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.frames.as_mut().poll_next(cx)
    }
}
