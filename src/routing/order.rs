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
    let now = Instant::now();
    match plan.strategy {
        Strategy::Ordered => {}
        Strategy::Weighted => weighted(&mut routes, &mut rand::rng()),
        Strategy::LeastBusy => routes.sort_by_key(|route| route.load.in_flight.load(Ordering::Relaxed)),
        Strategy::Fastest => fastest(&mut routes),
        Strategy::Cheapest => routes.sort_by(|a, b| price(a).total_cmp(&price(b))),
    }
    // Whoever was told to stay away is asked last, but asked: by then nobody else is left.
    routes.sort_by_cached_key(|route| route.upstream.keys.is_resting(now));
    routes
}

/// A route never tried sorts first, so that it gets measured; one passed over is thought a little
/// quicker each time, so that a slow one is looked at again now and then.
fn fastest(routes: &mut [Arc<Route>]) {
    routes.sort_by_key(|route| route.load.first_event_us.load(Ordering::Relaxed));
    for route in routes.iter().skip(1) {
        let before = route.load.first_event_us.load(Ordering::Relaxed);
        if before > 0 {
            route.load.first_event_us.store((before - before / 64).max(1), Ordering::Relaxed);
        }
    }
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
    let prices = route.prices();
    let typical = prices.input.zip(prices.output).map(|(input, output)| 3.0 * input + output);
    typical.unwrap_or(f64::INFINITY)
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

    /// Where the work is done.
    pub(super) fn route(&self) -> &Route {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.load.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::{SeedableRng, rngs::StdRng};

    use super::*;
    use crate::{
        error::Error,
        routing::testing::{caller, status, table},
    };

    fn plan(strategy: &str, targets: &str) -> Plan {
        let text = format!(
            "[providers.openai]\napi-key = \"sk-a\"\n[providers.anthropic]\napi-key = \"sk-b\"\n\
             [providers.lab]\ntype = \"openai-compatible\"\nbase-url = \"http://127.0.0.1:1/v1\"\n\
             [models.m]\nstrategy = \"{strategy}\"\ntargets = [{targets}]\n"
        );
        table(&text).plan("m", None, &caller(&["*"])).unwrap()
    }

    fn again(plan: &Plan) -> Plan {
        Plan { strategy: plan.strategy, routes: plan.routes.clone() }
    }

    fn models(routes: &[Arc<Route>]) -> Vec<&str> {
        routes.iter().map(|route| &*route.target.model).collect()
    }

    fn ordered(plan: &Plan) -> Vec<String> {
        models(&order(again(plan))).into_iter().map(ToOwned::to_owned).collect()
    }

    const ABC: &str = r#""lab/a", "lab/b", "lab/c""#;

    /// Three to one, and no target is lost or asked twice.
    #[test]
    fn weights_are_the_chance_of_the_first_place() {
        let plan = plan(
            "weighted",
            r#"{ to = "lab/a", weight = 6 }, { to = "lab/b", weight = 3 }, { to = "lab/c", weight = 1 }"#,
        );
        let mut rng = StdRng::seed_from_u64(7);
        let mut first = BTreeMap::new();
        for _ in 0..10_000 {
            let mut routes = plan.routes.clone();
            weighted(&mut routes, &mut rng);
            *first.entry(models(&routes)[0].to_owned()).or_insert(0_u32) += 1;
            let mut all = models(&routes);
            all.sort_unstable();
            assert_eq!(all, ["a", "b", "c"]);
        }
        for (model, expected) in [("a", 6000), ("b", 3000), ("c", 1000)] {
            assert!(first[model].abs_diff(expected) < 200, "{first:?}");
        }
    }

    #[test]
    fn the_least_busy_is_first() {
        let plan = plan("least-busy", ABC);
        let busy = [0, 0, 1].map(|at| InFlight::new(Arc::clone(&plan.routes[at])));
        assert_eq!(ordered(&plan), ["c", "b", "a"]);
        drop(busy);
        assert_eq!(ordered(&plan), ["a", "b", "c"]);
    }

    #[test]
    fn the_fastest_is_first_and_the_rest_is_not_forgotten() {
        let plan = plan("fastest", ABC);
        let load = |at: usize| &plan.routes[at].load;
        load(0).first_event(Duration::from_millis(300));
        load(1).first_event(Duration::from_millis(100));
        assert_eq!(ordered(&plan), ["c", "b", "a"], "what was never measured is");
        load(2).failed();
        let mut firsts = Vec::new();
        for _ in 0..2000 {
            load(1).first_event(Duration::from_millis(100));
            firsts.push(ordered(&plan).swap_remove(0));
        }
        assert_eq!(firsts[0], "b");
        assert!(firsts.contains(&"a".into()) && firsts.contains(&"c".into()), "each has another chance");
        assert!(firsts.iter().take(60).all(|model| model == "b"), "but not soon");
    }

    #[test]
    fn the_cheapest_is_first_and_unknown_prices_last() {
        let plan = plan("cheapest", r#""lab/free", "openai/gpt-5", "openai/gpt-5-mini""#);
        assert_eq!(ordered(&plan), ["gpt-5-mini", "gpt-5", "free"]);
    }

    /// F2, regression 58: a provider that said it has no money or no room is asked last for as long
    /// as it rests, also when it has but one key.
    #[tokio::test(start_paused = true)]
    async fn who_rests_comes_last() {
        let plan = plan("ordered", r#""openai/a", "lab/b", "anthropic/c""#);
        assert_eq!(ordered(&plan), ["a", "b", "c"]);
        plan.routes[0].upstream.keys.rest(0, &status(402), Instant::now());
        assert_eq!(ordered(&plan), ["b", "c", "a"]);
        plan.routes[2].upstream.keys.rest(0, &Error::ShuttingDown, Instant::now());
        assert_eq!(ordered(&plan), ["b", "c", "a"]);
        tokio::time::advance(Duration::from_secs(301)).await;
        assert_eq!(ordered(&plan), ["a", "b", "c"]);
    }
}
