//! Admits a client's call, or refuses it with 429, before any work is done for it.
//!
//! The outermost layer, once per client call whatever tries and fallbacks follow. It takes one
//! request, the estimated tokens and a slot from the limits of the caller's key and of the model
//! name, from all or from none: a refused call changes no counter (rule Q2). What was taken
//! travels in `Inbound::reservation`; whoever serves the call keeps it to the end of the body, so
//! slots last as long as the answer and tokens are settled once (rule Q1). Refused or served, the
//! limits' state goes into the notes (rule F8).
//!
//! Bodies pass untouched. Nothing waits here: what cannot be had now is
//! refused with the time at which it can.
//!
//! Cost: nothing where nothing is limited; otherwise one short lock and a few small allocations
//! per call.

use std::{
    mem,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use tower::{Layer, Service};

use super::{
    limits::{Admission, Limiters, Scope},
    settlement::Settlement,
};
use crate::call::{Answer, End, Failure, Inbound, Tally};

/// Puts [`Admit`] around a service.
#[derive(Debug, Clone)]
pub struct AdmitLayer {
    limiters: Arc<Limiters>,
}

/// See the module's doc.
#[derive(Debug, Clone)]
pub struct Admit<S> {
    inner: S,
    limiters: Arc<Limiters>,
}

// === impl AdmitLayer ===

impl AdmitLayer {
    /// The limiters outlive the layer, so that a new configuration finds what is in use.
    pub fn new(limiters: Arc<Limiters>) -> Self {
        Self { limiters }
    }
}

impl<S> Layer<S> for AdmitLayer {
    type Service = Admit<S>;

    fn layer(&self, inner: S) -> Admit<S> {
        Admit { inner, limiters: Arc::clone(&self.limiters) }
    }
}

// === impl Admit ===

impl<S> Service<Inbound> for Admit<S>
where
    S: Service<Inbound, Response = Answer, Error = Failure> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Answer;
    type Error = Failure;
    type Future = BoxFuture<'static, Result<Answer, Failure>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut inbound: Inbound) -> Self::Future {
        let clone = self.inner.clone();
        let mut ready = mem::replace(&mut self.inner, clone);
        if inbound.caller.limits.is_empty() && inbound.model_limits.is_empty() {
            return Box::pin(ready.call(inbound));
        }
        let Admission { verdict, limits } = admit(&self.limiters, &inbound);
        match verdict {
            Ok(reservation) => inbound.reservation = reservation,
            Err(error) => {
                Settlement::new(&mut inbound).end(&End::Failed(error.clone()), &Tally::default());
                let mut failure = Failure::from(error);
                failure.notes.limits = limits;
                return Box::pin(async { Err(failure) });
            }
        }
        let served = ready.call(inbound);
        Box::pin(async move {
            match served.await {
                Ok(mut answer) => {
                    answer.notes.limits = limits;
                    Ok(answer)
                }
                Err(mut failure) => {
                    failure.notes.limits = limits;
                    Err(failure)
                }
            }
        })
    }
}

fn admit(limiters: &Limiters, inbound: &Inbound) -> Admission {
    let key = || (Scope::Key(Arc::clone(&inbound.caller.name)), inbound.caller.limits);
    let model = || (Scope::Model(inbound.model.as_str().into()), inbound.model_limits);
    let key = (!inbound.caller.limits.is_empty()).then(key);
    let model = (!inbound.model_limits.is_empty()).then(model);
    let tokens = inbound.estimate.prompt.saturating_add(inbound.estimate.output);
    limiters.admit(key.into_iter().chain(model), tokens)
}

#[cfg(test)]
mod tests {
    use std::{sync::Mutex, time::Duration};

    use tokio::time::advance;
    use tower::{ServiceExt, service_fn, util::BoxCloneSyncService};

    use super::*;
    use crate::{
        call::{AnswerBody, Caller, Estimate, Limits, Notes, Reservation},
        error::{Clock, Error},
        layers::mock,
    };

    /// A dispatcher that keeps what it was given, as one does that still streams.
    #[derive(Clone, Default)]
    struct Streaming(Arc<Mutex<Vec<Reservation>>>);

    type Stack = BoxCloneSyncService<Inbound, Answer, Failure>;

    impl Streaming {
        fn stack(&self) -> Stack {
            let kept = Arc::clone(&self.0);
            let serve = move |mut inbound: Inbound| {
                kept.lock().unwrap().push(mem::take(&mut inbound.reservation));
                async { Ok(Answer { notes: Notes::default(), body: AnswerBody::Whole(bytes::Bytes::new()) }) }
            };
            BoxCloneSyncService::new(AdmitLayer::new(Arc::default()).layer(service_fn(serve)))
        }

        fn settle_all(&self, actual: u64) {
            for reservation in self.0.lock().unwrap().drain(..) {
                reservation.settle(actual);
            }
        }
    }

    fn tokens(limit: u32) -> Limits {
        Limits { tokens_per_minute: Some(limit), ..Limits::default() }
    }

    async fn send(stack: &Stack, caller: &Arc<Caller>, prompt: u64, output: u64) -> Result<Answer, Failure> {
        stack.clone().oneshot(mock::inbound(caller, "fast", Estimate { prompt, output })).await
    }

    /// Q1, regression 47, on one instance.
    #[tokio::test(start_paused = true)]
    async fn parallel_calls_reserve_what_they_may_use() {
        let (dispatcher, caller) = (Streaming::default(), mock::caller("ci", tokens(100)));
        let stack = dispatcher.stack();
        let calls = (0..5).map(|_| send(&stack, &caller, 10, 40));
        let (admitted, refused): (Vec<_>, Vec<_>) =
            futures_util::future::join_all(calls).await.into_iter().partition(Result::is_ok);
        assert_eq!((admitted.len(), refused.len()), (2, 3));
        for failure in refused.into_iter().filter_map(Result::err) {
            let wait = failure.error.retry_after().unwrap().as_secs();
            assert!((1..=60).contains(&wait), "{wait}");
            assert_eq!(failure.notes.limits[0].remaining, 0);
        }
        dispatcher.settle_all(20);
        let answer = send(&stack, &caller, 10, 40).await.unwrap();
        assert_eq!(answer.notes.limits[0].remaining, 10, "60 came back, 50 are taken");
    }

    /// Regression 48: each limit has a window of its own. The bucket leaks, so half of it is back
    /// after half a minute, which a call for the whole limit does not yet fit in.
    #[tokio::test(start_paused = true)]
    async fn requests_do_not_hold_tokens_back() {
        let limits = Limits { requests_per_minute: Some(500), ..tokens(200) };
        let (dispatcher, caller) = (Streaming::default(), mock::caller("ci", limits));
        let stack = dispatcher.stack();
        assert!(send(&stack, &caller, 100, 100).await.is_ok());
        dispatcher.settle_all(200);
        advance(Duration::from_secs(30)).await;
        for _ in 0..400 {
            let refused = send(&stack, &caller, 100, 100).await.unwrap_err();
            assert_eq!(refused.error.status(), 429);
            assert_eq!(refused.error.retry_after(), Some(Duration::from_secs(30)));
        }
        advance(Duration::from_secs(31)).await;
        let answer = send(&stack, &caller, 100, 100).await.unwrap();
        let left: Vec<_> = answer.notes.limits.iter().map(|state| (state.name, state.remaining)).collect();
        assert_eq!(left, [("requests", 499), ("tokens", 0)], "the refused ones cost no request");
    }

    #[tokio::test(start_paused = true)]
    async fn key_and_model_limits_both_count() {
        let (dispatcher, caller) = (Streaming::default(), mock::caller("ci", tokens(1000)));
        let stack = dispatcher.stack();
        let call = |caller, model: &str, limits| {
            let mut inbound = mock::inbound(caller, model, Estimate { prompt: 60, output: 0 });
            inbound.model_limits = limits;
            stack.clone().oneshot(inbound)
        };
        assert!(call(&caller, "fast", tokens(100)).await.is_ok());
        let other = mock::caller("other", Limits::default());
        let refused = call(&other, "fast", tokens(100)).await.unwrap_err();
        assert!(matches!(refused.error, Error::RateLimited { whose, .. } if whose == "model \"fast\""));
        assert!(call(&other, "big", tokens(100)).await.is_ok());
    }

    /// F8: a failure further in tells the limits as well.
    #[tokio::test(start_paused = true)]
    async fn failures_carry_the_limits_and_give_slots_back() {
        let limits = Limits { concurrent: Some(1), ..tokens(100) };
        let caller = mock::caller("ci", limits);
        let fail = |_: Inbound| async { Err::<Answer, _>(Failure::from(Error::Timeout(Clock::Total))) };
        let stack = AdmitLayer::new(Arc::default()).layer(service_fn(fail));
        for left in [90, 80] {
            let inbound = mock::inbound(&caller, "fast", Estimate { prompt: 10, output: 0 });
            let failure = stack.clone().oneshot(inbound).await.unwrap_err();
            assert!(matches!(failure.error, Error::Timeout(Clock::Total)));
            assert_eq!(failure.notes.limits[0].remaining, left, "not settled, the estimate stays charged");
        }
    }

    /// Q2: a call dropped on its way gives its slot back.
    #[tokio::test(start_paused = true)]
    async fn a_dropped_call_gives_its_slot_back() {
        let caller = mock::caller("ci", Limits { concurrent: Some(1), ..Limits::default() });
        let hang = |inbound: Inbound| async move {
            let _kept = inbound;
            std::future::pending::<Result<Answer, Failure>>().await
        };
        let stack = AdmitLayer::new(Arc::default()).layer(service_fn(hang));
        for _ in 0..3 {
            let call = stack.clone().oneshot(mock::inbound(&caller, "fast", Estimate::default()));
            let ended = tokio::time::timeout(Duration::from_secs(1), call).await;
            assert!(ended.is_err(), "admitted, and silent until it is dropped");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_limits_nothing_is_kept_or_told() {
        let limiters = Arc::new(Limiters::new());
        let serve = |inbound: Inbound| async move {
            let mut notes = Notes::default();
            notes.dropped.push(format!("{:?}", inbound.reservation));
            Ok::<_, Failure>(Answer { notes, body: AnswerBody::Whole(bytes::Bytes::new()) })
        };
        let stack = AdmitLayer::new(Arc::clone(&limiters)).layer(service_fn(serve));
        let caller = Arc::new(Caller::anonymous());
        let answer = stack.oneshot(mock::inbound(&caller, "fast", Estimate::default())).await.unwrap();
        assert!(answer.notes.limits.is_empty());
        assert_eq!(answer.notes.dropped, ["Reservation { permits: 0, settlements: 0 }"]);
        let mut known = 0;
        limiters.retain(|_, _| {
            known += 1;
            true
        });
        assert_eq!(known, 0);
    }
}
