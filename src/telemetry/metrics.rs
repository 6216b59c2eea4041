//! Prometheus: names, units, buckets, and the text `/metrics` shows.

use std::{
    sync::{Arc, OnceLock},
    thread,
    time::Duration,
};

use metrics::{Gauge, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::{Endpoint, InFlight, sink::Dropped};

/// Calls that have ended, by `endpoint`, `model`, `target`, `outcome` and `status`.
pub const CALLS_TOTAL: &str = "sluis_requests_total";
/// From a call's arrival to its end, by `endpoint`, `model`, `target` and `outcome`.
pub const CALL_DURATION: &str = "sluis_request_duration_seconds";
/// From a call's arrival to the first event for its client, by `endpoint`, `model` and `target`.
pub const FIRST_EVENT: &str = "sluis_first_event_seconds";
/// By `endpoint`, `model`, `target` and `kind`: `prompt`, `cached` (part of it), `output`, `reasoning` (part of it).
pub const TOKENS_TOTAL: &str = "sluis_tokens_total";
/// What calls cost in billionths of a US dollar, by `endpoint`, `model` and `target`.
pub(super) const COST_TOTAL: &str = "sluis_cost_nanousd_total";
/// Calls that used tokens of a model without a known price, by `endpoint`, `model` and `target`.
pub(super) const UNPRICED_TOTAL: &str = "sluis_unpriced_requests_total";
/// Calls that have begun and not ended, by `endpoint`.
pub const CALLS_IN_FLIGHT: &str = "sluis_requests_in_flight";
/// Reloads of the configuration, by `result`: `applied`, or `refused` with the old one still in force.
pub const RELOADS_TOTAL: &str = "sluis_config_reloads_total";
/// Request fields that were left out for a target, by `field` and `target`.
pub const DROPPED_FIELDS: &str = "sluis_dropped_fields_total";
/// 1 while the store answers, 0 while it does not; absent until it is first needed.
pub const STORE_UP: &str = "sluis_store_up";
pub const LOG_LINES_DROPPED: &str = "sluis_log_lines_dropped_total";

/// In seconds: from a local model's first token to the longest reasoning.
const BUCKETS: [f64; 16] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 600.0];
/// Samples wait in a list until they are put into their buckets.
const UPKEEP: Duration = Duration::from_secs(5);

/// A handle to all that has been counted.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
    log_lines_dropped: Option<Dropped>,
    /// Looked up when a call first needs one.
    in_flight: Arc<[OnceLock<Gauge>; Endpoint::ALL.len()]>,
}

/// Counts a reload of the configuration.
pub fn reloaded(applied: bool) {
    counter!(RELOADS_TOTAL, "result" => if applied { "applied" } else { "refused" }).increment(1);
}

/// Tells whether the store answers.
pub fn store_up(is_up: bool) {
    gauge!(STORE_UP).set(if is_up { 1.0 } else { 0.0 });
}

// === impl Metrics ===

impl Metrics {
    /// Starts counting, for the whole process and once. `log_lines_dropped` is
    /// [`Logs::dropped`](super::Logs::dropped).
    pub fn install(log_lines_dropped: Option<Dropped>) -> Result<Self, String> {
        let recorder = recorder()?;
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|error| format!("metrics cannot be started: {error}"))?;
        describe();
        let upkeep = handle.clone();
        thread::Builder::new()
            .name("sluis-metrics".into())
            .spawn(move || {
                loop {
                    thread::sleep(UPKEEP);
                    upkeep.run_upkeep();
                }
            })
            .map_err(|error| format!("metrics cannot be started: {error}"))?;
        Ok(Self::new(handle, log_lines_dropped))
    }

    /// A handle to nothing, for a process that counts nothing.
    pub fn disabled() -> Self {
        Self::new(PrometheusBuilder::new().build_recorder().handle(), None)
    }

    fn new(handle: PrometheusHandle, log_lines_dropped: Option<Dropped>) -> Self {
        Self { handle, log_lines_dropped, in_flight: Arc::default() }
    }

    /// A call of this endpoint is in flight until what comes back is dropped.
    pub fn call_begins(&self, endpoint: Endpoint) -> InFlight {
        let gauge = || gauge!(CALLS_IN_FLIGHT, "endpoint" => endpoint.name());
        // Every endpoint has a place.
        InFlight::begin(
            self.in_flight.get(endpoint as usize).map_or_else(gauge, |kept| kept.get_or_init(gauge).clone()),
        )
    }

    /// Everything, in Prometheus' text format. Holds no lock that a call would wait for.
    pub fn render(&self) -> String {
        if let Some(dropped) = &self.log_lines_dropped {
            counter!(LOG_LINES_DROPPED).absolute(dropped.lines());
        }
        self.handle.render()
    }

    #[cfg(test)]
    pub(crate) fn local() -> (PrometheusRecorder, Self) {
        let recorder = recorder().unwrap();
        let handle = recorder.handle();
        (recorder, Self::new(handle, None))
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn recorder() -> Result<PrometheusRecorder, String> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &BUCKETS)
        .map_err(|error| format!("metrics cannot be started: {error}"))?;
    Ok(builder.build_recorder())
}

fn describe() {
    describe_counter!(CALLS_TOTAL, Unit::Count, "Calls that have ended.");
    describe_histogram!(CALL_DURATION, Unit::Seconds, "From a call's arrival to its end.");
    describe_histogram!(FIRST_EVENT, Unit::Seconds, "From a call's arrival to its first event.");
    describe_counter!(
        TOKENS_TOTAL,
        Unit::Count,
        "Tokens of ended calls; cached is part of prompt, reasoning of output."
    );
    describe_gauge!(CALLS_IN_FLIGHT, Unit::Count, "Calls that have begun and not ended.");
    describe_counter!(COST_TOTAL, Unit::Count, "What ended calls cost, in billionths of a US dollar.");
    describe_counter!(UNPRICED_TOTAL, Unit::Count, "Ended calls that used tokens of a model without a known price.");
    describe_counter!(DROPPED_FIELDS, Unit::Count, "Request fields that were left out for a target.");
    describe_gauge!(STORE_UP, "Whether the store answers.");
    describe_counter!(LOG_LINES_DROPPED, Unit::Count, "Log lines lost to a slow sink.");
}
