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

use super::limits::{Admission, Limiters, Scope};
use crate::call::{Answer, Failure, Inbound};

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
