//! The one end of a call (design section 6.8): log line, metrics, settled tokens and freed slots all
//! hang on it. Whoever holds the [`Settlement`] ends it; dropping it unended means that the client
//! left.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    call::{Attempts, Dialect, End, Estimate, Inbound, Price, Reservation, Tally},
    ir,
    telemetry::{self, CallMetrics, Ended, Endpoint, Outcome, PlaceMetrics, Tokens},
};

/// The model's label where its name is the client's invention (rule L4).
const OTHER: &str = "other";

/// Characters of a model's name that are logged.
const LONGEST_NAME: usize = 256;

/// Generated text is about four bytes to a token, when nobody counted.
const BYTES_PER_TOKEN: u64 = 4;

/// What is known of a call while it runs.
#[derive(Debug)]
pub struct Settlement {
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    id: Uuid,
    endpoint: Endpoint,
    dialect: Dialect,
    key: Arc<str>,
    model: String,
    label: Arc<str>,
    target: Option<Arc<str>>,
    metrics: Option<Arc<CallMetrics>>,
    price: Option<Arc<dyn Price>>,
    stream: bool,
    attempts: Attempts,
    estimate: Estimate,
    reservation: Reservation,
    started: Instant,
    first_event: Option<Duration>,
    client_request_id: Option<String>,
}

// === impl Settlement ===

impl Settlement {
    /// Takes the reservation out of the call: from now on its end is this one's.
    pub fn new(inbound: &mut Inbound) -> Self {
        Self {
            open: Some(Open {
                id: inbound.id,
                endpoint: inbound.endpoint,
                dialect: inbound.dialect,
                key: Arc::clone(&inbound.caller.name),
                model: shortened(&inbound.model),
                label: if inbound.model_limits.is_empty() { OTHER.into() } else { inbound.model.as_str().into() },
                target: None,
                metrics: None,
                price: None,
                stream: inbound.stream,
                attempts: Attempts::default(),
                estimate: inbound.estimate,
                reservation: std::mem::take(&mut inbound.reservation),
                started: inbound.started,
                first_event: None,
                client_request_id: inbound.client_request_id.clone(),
            }),
        }
    }

    /// Hands the end over, to whoever carries the answer's body.
    pub fn take(&mut self) -> Self {
        Self { open: self.open.take() }
    }

    /// A provider's share of the reservation, settled with the call.
    pub fn hold(&mut self, reservation: Reservation) {
        if let Some(open) = &mut self.open {
            open.reservation.join(reservation);
        }
    }

    /// The target now tried, where its calls are counted and how they are charged.
    pub fn target(&mut self, target: &Arc<str>, metrics: &PlaceMetrics, price: Option<Arc<dyn Price>>) {
        if let Some(open) = &mut self.open {
            open.target = Some(Arc::clone(target));
            open.metrics = Some(metrics.of(open.endpoint));
            open.price = price;
        }
    }

    pub fn attempts(&self) -> Attempts {
        self.open.as_ref().map(|open| open.attempts.clone()).unwrap_or_default()
    }

    /// The answer has begun.
    pub fn first_event(&mut self) {
        if let Some(open) = &mut self.open {
            open.first_event = Some(open.started.elapsed());
        }
    }

    /// Ends the call. Further ends change nothing.
    pub fn end(&mut self, end: &End, tally: &Tally) {
        let Some(open) = self.open.take() else { return };
        let (usage, estimated) = open.usage(end, tally);
        open.reservation.settle(usage.map_or(0, |usage| usage.total()));
        let cost_usd = usage.and_then(|usage| open.price.as_ref()?.cost(&usage, SystemTime::now()));
        let (outcome, error, status) = match end {
            End::Finished => (Outcome::Finished, None, 200),
            End::Canceled => (Outcome::Canceled, None, 499),
            End::Failed(error) if open.first_event.is_some() && open.stream => {
                (Outcome::Failed, Some(error.label()), 200)
            }
            End::Failed(error) => (Outcome::Failed, Some(error.label()), error.status_in(open.dialect).as_u16()),
        };
        let detail = match end {
            End::Failed(error) => error.detail().map(Into::into),
            End::Finished | End::Canceled => None,
        };
        if let Some(metrics) = &open.metrics {
            tally.lost.iter().for_each(|lost| metrics.dropped(lost.name()));
        }
        let lost: Vec<&str> = tally.lost.iter().map(|lost| lost.name()).collect();
        let ended = Ended {
            id: open.id,
            endpoint: open.endpoint.name(),
            key: open.key,
            model_label: open.label,
            model: open.model,
            target: open.target,
            stream: open.stream,
            attempts: open.attempts.count(),
            status,
            outcome,
            error,
            detail,
            first_event: open.first_event,
            duration: open.started.elapsed(),
            usage: usage.map(tokens),
            cost_usd,
            estimated,
            lost: (!lost.is_empty()).then(|| lost.join(",")),
            client_request_id: open.client_request_id,
        };
        match open.metrics {
            Some(metrics) => metrics.record(&ended),
            None => telemetry::record(&ended),
        }
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        self.end(&End::Canceled, &Tally::default());
    }
}

// === impl Open ===

impl Open {
    /// The provider's counts; else an estimate of what it must have spent, marked as such (D3).
    /// A call that no upstream took, or that failed before any output, has spent nothing.
    fn usage(&self, end: &End, tally: &Tally) -> (Option<ir::Usage>, bool) {
        if tally.usage.is_some() {
            return (tally.usage, false);
        }
        let silent = tally.output_bytes == 0 && !matches!(end, End::Finished);
        if self.attempts.count() == 0 || (silent && matches!(end, End::Failed(_))) {
            return (None, false);
        }
        let output = tally.output_bytes.div_ceil(BYTES_PER_TOKEN);
        (Some(ir::Usage { input: self.estimate.prompt, output, ..ir::Usage::default() }), true)
    }
}

fn tokens(usage: ir::Usage) -> Tokens {
    Tokens { prompt: usage.prompt(), cached: usage.cache_read, output: usage.output, reasoning: usage.reasoning }
}

/// A name fit for a log line, however long the client made it.
fn shortened(name: &str) -> String {
    name.chars().take(LONGEST_NAME).collect()
}
