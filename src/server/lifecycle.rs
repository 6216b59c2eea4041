//! Where the process stands between its start and its end (rule K5).
//!
//! Three steps, each taken once and none taken back: **drain** (not ready any more, no new calls,
//! open ones go on), **cut** (the drain limit has passed: streams say so in their dialect and
//! end) and **close** (whatever is still open is dropped).
//!
//! Cost: a watching task reads one atomic per poll; the lock inside a token is taken only when its
//! waker changes (see [`Watch::has_come`]).

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
    drain: Step,
    cut: Step,
    close: Step,
}

/// Taken once and never taken back.
#[derive(Debug, Clone, Default)]
struct Step {
    taken: Arc<AtomicBool>,
    token: CancellationToken,
}

/// A task's view of a step: as cheap to ask as an atomic is to read.
pub(super) struct Watch {
    taken: Arc<AtomicBool>,
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
        self.0.drain.take();
    }

    pub fn is_draining(&self) -> bool {
        self.0.drain.is_taken()
    }

    /// Waits for [`Self::drain`]. Cancel-safe.
    pub async fn draining(&self) {
        self.0.drain.token.cancelled().await;
    }

    /// Ends open streams with an error frame.
    pub fn cut(&self) {
        self.0.cut.take();
    }

    /// Waits for [`Self::cut`]. Cancel-safe.
    pub async fn cut_off(&self) {
        self.0.cut.token.cancelled().await;
    }

    /// Drops what is still open.
    pub(super) fn close(&self) {
        self.0.close.take();
    }

    pub(super) fn watch_drain(&self) -> Watch {
        self.0.drain.watch()
    }

    pub(super) fn watch_cut(&self) -> Watch {
        self.0.cut.watch()
    }

    pub(super) fn watch_close(&self) -> Watch {
        self.0.close.watch()
    }
}

// === impl Step ===

impl Step {
    fn take(&self) {
        // The flag first: whoever the token wakes reads it.
        self.taken.store(true, Ordering::Release);
        self.token.cancel();
    }

    fn is_taken(&self) -> bool {
        self.taken.load(Ordering::Acquire)
    }

    fn watch(&self) -> Watch {
        let waiting = Box::pin(self.token.clone().cancelled_owned());
        Watch { taken: Arc::clone(&self.taken), waiting, registered: None }
    }
}

// === impl Watch ===

impl Watch {
    /// Whether the step has been taken; if not, the task of `context` is woken when it is.
    pub(super) fn has_come(&mut self, context: &mut Context<'_>) -> bool {
        if !self.registered.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            self.registered = Some(context.waker().clone());
            if self.waiting.as_mut().poll(context).is_ready() {
                return true;
            }
        }
        self.taken.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
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
    fn a_step_wakes_whoever_watches() {
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
