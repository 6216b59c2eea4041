//! A kept connection, and a body that gives it back.
//!
//! A connection of HTTP/1.1 serves one exchange at a time, so the exchange carries it and moves it
//! itself: no task of its own, no wake-up from one task to another per event, and whoever drops the
//! exchange closes the socket at once (rule D1). It goes back to its pool only when the answer was
//! read to its end (rule S11). A connection of HTTP/2 is shared and has a task (`connect`).
//!
//! Cost per piece of an answer: one turn of the connection; the bytes are the socket's. A task for
//! each connection, as hyper-util's client has it, takes two more wake-ups and turns.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http::{Request, Response};
use http_body::Frame;
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1, http2},
};
use tokio::time::Instant;

use super::{
    connect::{Plain, Sent},
    pool::Pool,
};

/// A connection of HTTP/1.1.
pub(super) struct Link {
    send: http1::SendRequest<Sent>,
    /// `None` once it has ended.
    connection: Option<Box<Plain>>,
    bell: Arc<Bell>,
    /// Rings the bell.
    waker: Waker,
    pub(super) used: Instant,
}

/// Wakes the task that carries a connection, but not for what this task itself does to it: the two
/// ends of hyper's channels wake each other, and here both are polled by one hand.
#[derive(Default)]
struct Bell {
    task: AtomicWaker,
    is_busy: AtomicBool,
    has_rung: AtomicBool,
}

/// A share of a connection of HTTP/2.
#[derive(Clone)]
pub(super) struct Share {
    send: http2::SendRequest<Sent>,
    /// One for each exchange, and one that is the pool's.
    users: Arc<()>,
    pub(super) used: Instant,
}

/// An answer's body. Dropped before its end it closes the connection, or resets its stream.
pub(super) struct Body {
    incoming: Incoming,
    held: Held,
}

enum Held {
    Link(Link, Arc<Pool>),
    #[expect(dead_code, reason = "held so that it is counted")]
    Share(Share),
    Nothing,
}

type Answered = Result<Response<Body>, TrySendError<Request<Sent>>>;

// === impl Bell ===

impl Bell {
    /// Runs `work` on the connection. What rings meanwhile is passed on only if the work has to
    /// wait; else whoever asked for it asks again.
    fn quietly<T>(&self, cx: &Context<'_>, work: impl FnOnce() -> Poll<T>) -> Poll<T> {
        self.task.register(cx.waker());
        self.has_rung.store(false, Ordering::SeqCst);
        self.is_busy.store(true, Ordering::SeqCst);
        let done = work();
        self.is_busy.store(false, Ordering::SeqCst);
        if done.is_pending() && self.has_rung.swap(false, Ordering::SeqCst) {
            cx.waker().wake_by_ref();
        }
        done
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // First the mark, then the question: whoever stops being busy asks in the other order.
        self.has_rung.store(true, Ordering::SeqCst);
        if !self.is_busy.load(Ordering::SeqCst) {
            self.task.wake();
        }
    }
}

// === impl Link ===

impl Link {
    pub(super) fn new(send: http1::SendRequest<Sent>, connection: Box<Plain>) -> Self {
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(Arc::clone(&bell));
        Self { send, connection: Some(connection), bell, waker, used: Instant::now() }
    }

    /// Sends a request and waits for the answer's head. A request that was not sent, because the
    /// connection had been closed meanwhile, comes back in the error.
    pub(super) async fn ask(mut self, request: Request<Sent>, pool: &Arc<Pool>) -> Answered {
        let Self { send, connection, bell, waker, .. } = &mut self;
        // The task that had the connection before is not to hear of it.
        bell.task.take();
        let mut answer = pin!(send.try_send_request(request));
        let response = poll_fn(|cx| {
            bell.quietly(cx, || {
                turn(connection, waker);
                answer.as_mut().poll(&mut Context::from_waker(Waker::noop()))
            })
        });
        let response = response.await?;
        Ok(response.map(|incoming| Body { incoming, held: Held::Link(self, Arc::clone(pool)) }))
    }

    /// Whether it can take a request, as far as is known.
    pub(super) fn is_fit(&self) -> bool {
        self.send.is_ready()
    }

    /// Looks whether the other side has closed it.
    pub(super) fn is_open(&mut self) -> bool {
        turn(&mut self.connection, Waker::noop());
        self.connection.is_some()
    }
}

/// Lets a connection read and write what it can.
fn turn(connection: &mut Option<Box<Plain>>, waker: &Waker) {
    let polled = |connection: &mut Box<Plain>| Pin::new(&mut **connection).poll(&mut Context::from_waker(waker));
    if connection.as_mut().is_some_and(|connection| polled(connection).is_ready()) {
        // Dropped, it tells whoever waits for it.
        *connection = None;
    }
}

// === impl Share ===

impl Share {
    pub(super) fn new(send: http2::SendRequest<Sent>) -> Self {
        Self { send, users: Arc::new(()), used: Instant::now() }
    }

    pub(super) fn users(&self) -> usize {
        Arc::strong_count(&self.users) - 1
    }

    pub(super) fn is_open(&self) -> bool {
        !self.send.is_closed()
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.users, &other.users)
    }

    /// See [`Link::ask`].
    pub(super) async fn ask(mut self, request: Request<Sent>) -> Answered {
        let response = self.send.try_send_request(request).await?;
        Ok(response.map(|incoming| Body { incoming, held: Held::Share(self) }))
    }
}

// === impl Body ===

impl Body {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let incoming = &mut self.incoming;
        let Held::Link(link, _) = &mut self.held else { return http_body::Body::poll_frame(Pin::new(incoming), cx) };
        let Link { connection, bell, waker, .. } = link;
        bell.quietly(cx, || {
            // Nothing but a turn brings more, so what is waited for need not wake anybody.
            let unwoken = &mut Context::from_waker(Waker::noop());
            let polled = http_body::Body::poll_frame(Pin::new(&mut *incoming), unwoken);
            if polled.is_ready() {
                return polled;
            }
            turn(connection, waker);
            http_body::Body::poll_frame(Pin::new(incoming), unwoken)
        })
    }

    /// The answer has been read to its end.
    fn give_back(&mut self) {
        let Held::Link(mut link, pool) = std::mem::replace(&mut self.held, Held::Nothing) else { return };
        link.bell.task.take();
        if !link.is_fit() {
            turn(&mut link.connection, &link.waker);
        }
        if link.is_fit() && link.connection.is_some() {
            link.used = Instant::now();
            pool.keep(link);
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let polled = this.poll(cx);
        match &polled {
            Poll::Ready(None) => this.give_back(),
            Poll::Ready(Some(Err(_))) => this.held = Held::Nothing,
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        polled
    }
}
