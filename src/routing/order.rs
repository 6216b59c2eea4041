//! In what order the targets of a name are tried.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use rand::Rng;
use tokio::time::Instant;

use super::table::{Plan, Route};
use crate::config::Strategy;

/// What a route's recent calls tell about it.
#[derive(Debug, Default)]
pub struct Load {
    in_flight: AtomicU32,
    /// Smoothed time to the first event, in microseconds; 0 until the first call.
    first_event_us: AtomicU64,
}

/// Counts one call in flight on a route until it is dropped.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Route>);

/// The routes of a plan, the first choice first.
pub(super) fn order(plan: Plan) -> Vec<Arc<Route>> {
    let mut routes = plan.routes;
    if routes.len() < 2 {
        return routes;
    }
    match plan.strategy {
        Strategy::Ordered => {}
        Strategy::Weighted => weighted(&mut routes, &mut rand::rng()),
        Strategy::LeastBusy => routes.sort_by_key(|route| route.load.in_flight.load(Ordering::Relaxed)),
        // A route never tried sorts first, so that it gets measured.
        Strategy::Fastest => routes.sort_by_key(|route| route.load.first_event_us.load(Ordering::Relaxed)),
        Strategy::Cheapest => routes.sort_by(|a, b| price(a).total_cmp(&price(b))),
    }
    // Whoever has just refused all keys is asked only when nobody else is left (rule F3).
    let now = Instant::now();
    routes.sort_by_cached_key(|route| route.upstream.keys.is_resting(now));
    routes
}

/// A random order in which each next one is drawn by weight. A weight of 0 comes last.
fn weighted(routes: &mut [Arc<Route>], rng: &mut impl Rng) {
    for place in 0..routes.len() {
        let Some(rest) = routes.get_mut(place..) else { return };
        let total: u64 = rest.iter().map(|route| u64::from(route.weight)).sum();
        if total == 0 {
            return;
        }
        let mut draw = rng.random_range(0..total);
        let chosen = rest.iter().position(|route| {
            let weight = u64::from(route.weight);
            let here = draw < weight;
            draw = draw.saturating_sub(weight);
            here
        });
        // The rest keeps its configured order behind the chosen one.
        if let Some(chosen) = chosen
            && let Some(head) = rest.get_mut(..=chosen)
        {
            head.rotate_right(1);
        }
    }
}

/// What a typical exchange costs: three prompt tokens to one generated. Unknown prices come last.
fn price(route: &Route) -> f64 {
    let facts = route.facts.and_then(|facts| Some(3.0 * facts.prices.input? + facts.prices.output?));
    facts.unwrap_or(f64::INFINITY)
}

// === impl Load ===

impl Load {
    /// Notes a first event that came after `took`.
    pub(super) fn first_event(&self, took: Duration) {
        let sample = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        let before = self.first_event_us.load(Ordering::Relaxed);
        let after = if before == 0 { sample } else { before - before / 4 + sample / 4 };
        self.first_event_us.store(after.max(1), Ordering::Relaxed);
    }

    /// Notes a failure, so that "fastest" does not stick to a target that fails fast.
    pub(super) fn failed(&self) {
        self.first_event(Duration::from_secs(30));
    }
}

// === impl InFlight ===

impl InFlight {
    pub(super) fn new(route: Arc<Route>) -> Self {
        route.load.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(route)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.load.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
