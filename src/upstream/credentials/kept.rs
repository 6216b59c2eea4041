//! A fetched credential, kept until it is nearly out of date.
//!
//! Whoever needs one fetches it, one call at a time: the others wait for that call's result, the
//! good and the bad. Shortly before the end of its life one call renews it while the others still
//! use the old one. A failure is told once to everybody who waited, and for a moment to whoever
//! comes next, so that a dead token server is not asked by every call.
//!
//! Dropping a waiting call is safe: if it was the one that fetched, the next takes its place.
//!
//! Cost per call with a fresh credential: one load of a pointer and one reading of the clock.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwapOption;
use tokio::{
    sync::{Mutex as AsyncMutex, MutexGuard},
    time::{Instant, timeout_at},
};

use super::{Fetched, Source, Wire};
use crate::{
    error::{Clock, Error, Result, UpstreamError},
    providers::Credential,
};

/// How long one fetch may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// A credential is renewed when so much of its life is left, or a fifth of it if that is less.
const EARLY: Duration = Duration::from_secs(300);
/// After a failure nobody asks again for this long, while the old credential still serves.
const EARLY_REST: Duration = Duration::from_secs(30);
/// After a failure nobody asks again for this long.
const REST: Duration = Duration::from_secs(2);

/// One source with what it gave last.
#[derive(Debug)]
pub struct Kept {
    /// How the log names it: the provider.
    name: String,
    source: Box<dyn Source>,
    current: ArcSwapOption<Held>,
    /// Held by the one call that fetches.
    turn: AsyncMutex<()>,
    failure: Mutex<Option<Failure>>,
}

#[derive(Debug)]
struct Held {
    credential: Arc<Credential>,
    /// From when on it should be renewed.
    stale: Option<Instant>,
    /// From when on it is of no use.
    dead: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Failure {
    at: Instant,
}

// === impl Kept ===

impl Kept {
    pub fn new(name: impl Into<String>, source: Box<dyn Source>) -> Self {
        let (current, turn, failure) = (ArcSwapOption::empty(), AsyncMutex::new(()), Mutex::new(None));
        Self { name: name.into(), source, current, turn, failure }
    }

    /// A credential that is good now. Waits for a fetch where there is none, up to `deadline` and
    /// to ten seconds of its own. Cancel-safe.
    pub async fn get(&self, by: &Wire<'_>, deadline: Instant) -> Result<Arc<Credential>> {
        let now = Instant::now();
        let held = self.current.load_full().filter(|held| !held.is_dead(now));
        let Some(held) = held else {
            let turn = timeout_at(deadline, self.turn.lock()).await;
            let turn = turn.map_err(|_| Error::Timeout(Clock::Total))?;
            return self.fetch_unless_done(by, now, deadline, turn).await;
        };
        if held.is_stale(now) && !self.has_failed_since(now.checked_sub(EARLY_REST)) {
            // Whoever does not get the turn uses what there is.
            if let Ok(turn) = self.turn.try_lock() {
                let renewed = self.fetch_unless_done(by, now, deadline, turn).await;
                return Ok(renewed.unwrap_or_else(|_| Arc::clone(&held.credential)));
            }
        }
        Ok(Arc::clone(&held.credential))
    }

    /// Fetches once and keeps nothing, for whoever wants to know whether it can be done.
    ///
    /// # Errors
    /// Why it cannot, for the operator.
    pub async fn try_once(&self, by: &Wire<'_>) -> Result<(), String> {
        self.source.fetch(by).await.map(drop)
    }

    /// Forgets a credential that was refused, so that the next call fetches another. One that has
    /// been replaced meanwhile is left alone.
    pub fn forget(&self, refused: &Arc<Credential>) {
        self.current.rcu(|held| held.clone().filter(|held| !Arc::ptr_eq(&held.credential, refused)));
    }

    /// Fetches, unless another call has done so, or failed to, since this one began to wait.
    async fn fetch_unless_done(
        &self,
        by: &Wire<'_>,
        since: Instant,
        deadline: Instant,
        turn: MutexGuard<'_, ()>,
    ) -> Result<Arc<Credential>> {
        let now = Instant::now();
        if let Some(held) = self.current.load_full().filter(|held| !held.is_stale(now)) {
            return Ok(Arc::clone(&held.credential));
        }
        if self.has_failed_since(since.checked_sub(REST)) {
            return Err(missing());
        }
        let patience = deadline.min(now + PATIENCE);
        let fetched = timeout_at(patience, self.source.fetch(by)).await;
        let outcome = match fetched {
            Ok(Ok(fetched)) => Ok(self.keep(fetched)),
            // The call's own clock says nothing of the source.
            Err(_) if patience == deadline => return Err(Error::Timeout(Clock::Total)),
            Err(_) => Err(format!("nothing came within {} s", PATIENCE.as_secs())),
            Ok(Err(why)) => Err(why),
        };
        drop(turn);
        outcome.map_err(|why| self.fail(&why))
    }

    fn keep(&self, fetched: Fetched) -> Arc<Credential> {
        let credential = Arc::new(fetched.credential);
        let life = fetched.expires.map(|at| at.duration_since(SystemTime::now()).unwrap_or_default());
        let now = Instant::now();
        let held = Held {
            credential: Arc::clone(&credential),
            stale: life.and_then(|life| now.checked_add(life - EARLY.min(life / 5))),
            dead: life.and_then(|life| now.checked_add(life)),
        };
        self.current.store(Some(Arc::new(held)));
        let failed_before = self.failure().take().is_some();
        if failed_before {
            tracing::info!(provider = self.name, label = credential.label, "credentials are there again");
        }
        credential
    }

    fn fail(&self, why: &str) -> Error {
        let first = self.failure().replace(Failure { at: Instant::now() }).is_none();
        if first {
            tracing::warn!(provider = self.name, why, "no credentials could be fetched");
        } else {
            tracing::debug!(provider = self.name, why, "still no credentials");
        }
        missing()
    }

    fn has_failed_since(&self, moment: Option<Instant>) -> bool {
        self.failure().is_some_and(|failure| moment.is_none_or(|moment| failure.at >= moment))
    }

    fn failure(&self) -> std::sync::MutexGuard<'_, Option<Failure>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the client hears. The log says why, once.
fn missing() -> Error {
    let mut error = UpstreamError::no_credential("The gateway could not get credentials for the upstream.");
    // A provider is not set aside for longer than its source is left alone.
    error.retry_after = Some(REST);
    error.into()
}

// === impl Held ===

impl Held {
    fn is_stale(&self, now: Instant) -> bool {
        self.stale.is_some_and(|at| at <= now)
    }

    fn is_dead(&self, now: Instant) -> bool {
        self.dead.is_some_and(|at| at <= now)
    }
}

#[cfg(test)]
mod tests;
