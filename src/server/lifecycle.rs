//! Where the process stands between its start and its end (rule K5).
//!
//! Three steps, each taken once and none taken back: **drain** (not ready any more, no new calls,
//! open ones go on), **cut** (the drain limit has passed: streams say so in their dialect and
//! end) and **close** (whatever is still open is dropped).
//!
//! Cost: a stream reads one atomic per poll; the lock inside a token is taken only when its task
//! changes (see [`Cut::has_come`]).

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Waker},
};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// A shared handle; clones are the same lifecycle.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    ready: AtomicBool,
    drain: CancellationToken,
    is_cut: AtomicBool,
    cut: CancellationToken,
    close: CancellationToken,
}

/// A stream's view of the cut.
pub(super) struct Cut {
    lifecycle: Lifecycle,
    waiting: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Who will be woken by `waiting`.
    registered: Option<Waker>,
}

// === impl Lifecycle ===

impl Lifecycle {
    /// Says that the listener is open and the configuration loaded.
    pub fn set_ready(&self) {
        self.0.ready.store(true, Ordering::Release);
    }

    /// Whether new calls are welcome, for `/readyz`.
    pub fn is_ready(&self) -> bool {
        self.0.ready.load(Ordering::Acquire) && !self.is_draining()
    }

    /// Begins the end; what a termination signal calls. `/readyz` answers 503 from here on.
    pub fn drain(&self) {
        self.0.drain.cancel();
    }

    pub fn is_draining(&self) -> bool {
        self.0.drain.is_cancelled()
    }

    /// Waits for [`Self::drain`]. Cancel-safe.
    pub async fn draining(&self) {
        self.0.drain.cancelled().await;
    }

    /// Ends open streams with an error frame.
    pub fn cut(&self) {
        self.0.is_cut.store(true, Ordering::Release);
        self.0.cut.cancel();
    }

    /// Waits for [`Self::cut`]. Cancel-safe.
    pub async fn cut_off(&self) {
        self.0.cut.cancelled().await;
    }

    pub(super) fn close(&self) {
        self.0.close.cancel();
    }

    pub(super) async fn closed(&self) {
        self.0.close.cancelled().await;
    }

    pub(super) fn watch_cut(&self) -> Cut {
        Cut { lifecycle: self.clone(), waiting: Box::pin(self.0.cut.clone().cancelled_owned()), registered: None }
    }
}

// === impl Cut ===

impl Cut {
    /// Whether the cut has come; if not, the task of `context` is woken when it does.
    pub(super) fn has_come(&mut self, context: &mut Context<'_>) -> bool {
        if !self.registered.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            self.registered = Some(context.waker().clone());
            if self.waiting.as_mut().poll(context).is_ready() {
                return true;
            }
        }
        self.lifecycle.0.is_cut.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cut").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// K5: draining makes the process not ready at once, and for good.
    #[test]
    fn draining_ends_readiness() {
        let lifecycle = Lifecycle::default();
        assert!(!lifecycle.is_ready());
        lifecycle.set_ready();
        assert!(lifecycle.is_ready());
        lifecycle.drain();
        lifecycle.set_ready();
        assert!(!lifecycle.is_ready());
    }

    #[test]
    fn the_cut_wakes_a_waiting_stream_once_registered() {
        let lifecycle = Lifecycle::default();
        let mut cut = lifecycle.watch_cut();
        let mut task = tokio_test::task::spawn(());
        assert!(!task.enter(|context, _| cut.has_come(context)));
        assert!(!task.enter(|context, _| cut.has_come(context)));
        assert!(!task.is_woken());
        lifecycle.cut();
        assert!(task.is_woken());
        assert!(task.enter(|context, _| cut.has_come(context)));
    }
}
