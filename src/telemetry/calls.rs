//! The end of a call, told once to the log and to the metrics (design section 6.8).
//!
//! Cost: per call one log line, and with a kept [`CallMetrics`] about seven atomic additions;
//! without one as many lookups in the registry, each one small list of labels. Nothing per event.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use metrics::{Counter, Gauge, Histogram, Label, SharedString, counter, histogram};
use uuid::Uuid;

use super::metrics::{
    CALL_DURATION, CALLS_TOTAL, COST_TOTAL, DROPPED_FIELDS, FIRST_EVENT, TOKENS_TOTAL, UNPRICED_TOTAL,
};

/// All that is told of a call that has ended.
#[derive(Debug, Clone)]
pub struct Ended {
    pub id: Uuid,
    /// Such as `chat_completions`.
    pub endpoint: &'static str,
    /// The caller's configured name.
    pub key: Arc<str>,
    /// The model as the configuration names it, or `other` (rule L4).
    pub model_label: Arc<str>,
    /// The model as the client named it; for the log only.
    pub model: String,
    /// `provider/model` of the last target tried.
    pub target: Option<Arc<str>>,
    pub stream: bool,
    /// Upstream exchanges, all targets together.
    pub attempts: u32,
    /// What the client was told; 499 by custom when it had left.
    pub status: u16,
    pub outcome: Outcome,
    /// The error's label.
    pub error: Option<&'static str>,
    /// What an operator should know of the error; never a client's or an upstream's words.
    pub detail: Option<String>,
    /// From arrival to the first event.
    pub first_event: Option<Duration>,
    /// From arrival to the end.
    pub duration: Duration,
    pub usage: Option<Tokens>,
    /// What `usage` cost in USD; `None` where a price is missing, which is not nothing (rule C5).
    pub cost_usd: Option<f64>,
    /// `usage` is our guess, not the provider's count.
    pub estimated: bool,
    /// What of the answer the client was not shown, by names of a fixed set.
    pub lost: Option<String>,
    /// As the client named the call, cleaned.
    pub client_request_id: Option<String>,
}

/// How a call ended. A client that leaves is no failure (rule D2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Finished,
    Failed,
    Canceled,
}

/// Plain counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    pub prompt: u64,
    /// Of `prompt`.
    pub cached: u64,
    pub output: u64,
    /// Of `output`.
    pub reasoning: u64,
}

/// Counts a call as in flight until it is dropped.
#[must_use]
pub struct InFlight(Gauge);

/// The metrics of one place, each looked up when it is first needed. Who serves many calls keeps
/// one per model and target; who does not uses [`record`].
pub struct CallMetrics {
    labels: [Label; 3],
    /// Finished with status 200, which nearly all calls are.
    answered: OnceLock<Counter>,
    durations: [OnceLock<Histogram>; 3],
    first_event: OnceLock<Histogram>,
    tokens: [OnceLock<Counter>; 4],
    cost: OnceLock<Counter>,
    unpriced: OnceLock<Counter>,
}

/// Writes the one line and counts.
pub fn record(ended: &Ended) {
    CallMetrics::new(ended.endpoint, &ended.model_label, ended.target.as_ref()).record(ended);
}

fn log(ended: &Ended) {
    let usage = ended.usage.unwrap_or_default();
    // The level must be known where the line is written.
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                target: "sluis::call",
                id = %ended.id,
                endpoint = ended.endpoint,
                key = &*ended.key,
                model = ended.model,
                upstream = ended.target.as_deref(),
                stream = ended.stream,
                attempts = ended.attempts,
                status = ended.status,
                outcome = ended.outcome.name(),
                error = ended.error,
                detail = ended.detail,
                first_event_ms = ended.first_event.map(millis),
                duration_ms = millis(ended.duration),
                prompt_tokens = usage.prompt,
                cached_tokens = some(usage.cached),
                output_tokens = usage.output,
                reasoning_tokens = some(usage.reasoning),
                cost_usd = ended.cost_usd,
                unpriced = ended.is_unpriced().then_some(true),
                estimated = ended.estimated.then_some(true),
                lost = ended.lost,
                client_request_id = ended.client_request_id,
                "call"
            )
        };
    }
    match ended.outcome {
        // A request that was wrong is the client's news, not the operator's.
        Outcome::Failed if ended.status >= 500 => line!(warn),
        Outcome::Finished | Outcome::Failed | Outcome::Canceled => line!(info),
    }
}

/// A field that is mostly nothing is left out of the line then: writing fields is most of its cost.
fn some(count: u64) -> Option<u64> {
    (count > 0).then_some(count)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Counters are whole numbers.
fn nanos(usd: f64) -> u64 {
    (usd * 1e9).round() as u64
}

// === impl Ended ===

impl Ended {
    /// Tokens were used and nobody knows what they cost.
    fn is_unpriced(&self) -> bool {
        self.cost_usd.is_none() && self.usage.is_some_and(|usage| usage.prompt > 0 || usage.output > 0)
    }
}

// === impl CallMetrics ===

impl CallMetrics {
    /// All three come from the configuration or the code, never from a request (rule L4).
    pub fn new(endpoint: &'static str, model: &Arc<str>, target: Option<&Arc<str>>) -> Self {
        let target = target.map_or(SharedString::const_str("none"), |target| Arc::clone(target).into());
        Self {
            labels: [
                Label::from_static_parts("endpoint", endpoint),
                Label::new("model", Arc::clone(model)),
                Label::new("target", target),
            ],
            answered: OnceLock::new(),
            durations: Default::default(),
            first_event: OnceLock::new(),
            tokens: Default::default(),
            cost: OnceLock::new(),
            unpriced: OnceLock::new(),
        }
    }

    /// Writes the one line and counts. `ended` must be of this place.
    pub fn record(&self, ended: &Ended) {
        log(ended);
        self.count(ended);
    }

    /// Counts a field that the target, or the client, had no place for. `field` is one of a fixed set.
    pub fn dropped(&self, field: &'static str) {
        let [_, _, target] = &self.labels;
        counter!(DROPPED_FIELDS, vec![Label::from_static_parts("field", field), target.clone()]).increment(1);
    }

    fn count(&self, ended: &Ended) {
        let outcome = Label::from_static_parts("outcome", ended.outcome.name());
        if ended.outcome == Outcome::Finished && ended.status == 200 {
            self.answered.get_or_init(|| self.calls(&outcome, 200)).increment(1);
        } else {
            self.calls(&outcome, ended.status).increment(1);
        }
        let [finished, failed, canceled] = &self.durations;
        let duration = match ended.outcome {
            Outcome::Finished => finished,
            Outcome::Failed => failed,
            Outcome::Canceled => canceled,
        };
        duration.get_or_init(|| histogram!(CALL_DURATION, self.with([outcome]))).record(ended.duration);
        if let Some(time) = ended.first_event {
            self.first_event.get_or_init(|| histogram!(FIRST_EVENT, self.with([]))).record(time);
        }
        self.count_tokens(ended.usage.unwrap_or_default());
        if let Some(cost) = ended.cost_usd {
            let counter = || counter!(COST_TOTAL, self.with([]));
            self.cost.get_or_init(counter).increment(nanos(cost));
        } else if ended.is_unpriced() {
            self.unpriced.get_or_init(|| counter!(UNPRICED_TOTAL, self.with([]))).increment(1);
        }
    }

    fn count_tokens(&self, usage: Tokens) {
        let counts = [
            ("prompt", usage.prompt),
            ("cached", usage.cached),
            ("output", usage.output),
            ("reasoning", usage.reasoning),
        ];
        for (handle, (kind, count)) in self.tokens.iter().zip(counts) {
            if count > 0 {
                let counter = || counter!(TOKENS_TOTAL, self.with([Label::from_static_parts("kind", kind)]));
                handle.get_or_init(counter).increment(count);
            }
        }
    }

    fn calls(&self, outcome: &Label, status: u16) -> Counter {
        counter!(CALLS_TOTAL, self.with([outcome.clone(), Label::new("status", status.to_string())]))
    }

    fn with<const N: usize>(&self, more: [Label; N]) -> Vec<Label> {
        self.labels.iter().cloned().chain(more).collect()
    }
}

impl std::fmt::Debug for CallMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallMetrics").field("labels", &self.labels).finish_non_exhaustive()
    }
}

// === impl Outcome ===

impl Outcome {
    pub fn name(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }
}

// === impl InFlight ===

impl InFlight {
    pub(super) fn begin(gauge: Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl std::fmt::Debug for InFlight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InFlight")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::telemetry::{Endpoint, Metrics, testing::Lines};

    fn ended(outcome: Outcome, status: u16) -> Ended {
        Ended {
            id: Uuid::now_v7(),
            endpoint: "chat_completions",
            key: "ci".into(),
            model_label: "fast".into(),
            model: "fast-as-asked".into(),
            target: Some("lab/qwen".into()),
            stream: true,
            attempts: 2,
            status,
            outcome,
            error: None,
            detail: None,
            first_event: Some(Duration::from_millis(300)),
            duration: Duration::from_secs(3),
            cost_usd: Some(0.000_25),
            usage: Some(Tokens { prompt: 5, cached: 2, output: 7, reasoning: 0 }),
            estimated: false,
            lost: None,
            client_request_id: None,
        }
    }

    /// C3, C5: what a call cost, and that nobody knows what it cost.
    #[test]
    fn a_cost_is_told_and_so_is_a_missing_price() {
        let (metrics, lines) = recorded(|| {
            record(&ended(Outcome::Finished, 200));
            record(&Ended { cost_usd: None, ..ended(Outcome::Finished, 200) });
            record(&Ended { cost_usd: None, usage: None, ..ended(Outcome::Failed, 400) });
        });
        assert_eq!((lines.matches("\"cost_usd\":0.00025").count(), lines.matches("\"unpriced\":true").count()), (1, 1));
        let value =
            |name: &str| metrics.lines().find(|line| line.starts_with(name)).unwrap().rsplit(' ').next().unwrap();
        assert_eq!((value("sluis_cost_nanousd_total{"), value("sluis_unpriced_requests_total{")), ("250000", "1"));
    }

    /// The metrics, the log lines.
    fn recorded(work: impl FnOnce()) -> (String, String) {
        let lines = Lines::listen_json();
        let (recorder, metrics) = Metrics::local();
        metrics::with_local_recorder(&recorder, work);
        let lines = lines.text();
        (metrics.render(), lines)
    }

    /// Design section 6.8: one line per call, and the numbers beside it.
    #[test]
    fn an_end_is_one_line_and_its_counts() {
        let (metrics, lines) = recorded(|| record(&ended(Outcome::Finished, 200)));
        assert_eq!(lines.lines().count(), 1, "{lines}");
        let line: serde_json::Value = serde_json::from_str(&lines).unwrap();
        let fields = &line["fields"];
        assert_eq!(
            (&fields["key"], &fields["duration_ms"], &fields["prompt_tokens"]),
            (&"ci".into(), &3000.into(), &5.into())
        );
        assert_eq!(fields.get("error"), None);
        for expected in [
            r#"sluis_requests_total{endpoint="chat_completions",model="fast",target="lab/qwen",outcome="finished",status="200"} 1"#,
            r#"sluis_tokens_total{endpoint="chat_completions",model="fast",target="lab/qwen",kind="cached"} 2"#,
            r#"sluis_first_event_seconds_bucket{endpoint="chat_completions",model="fast",target="lab/qwen",le="0.5"} 1"#,
            r#"sluis_request_duration_seconds_sum{endpoint="chat_completions",model="fast",target="lab/qwen",outcome="finished"} 3"#,
        ] {
            assert!(metrics.contains(expected), "{expected}\n{metrics}");
        }
    }

    /// D2: a client that left is counted apart from failures.
    #[test]
    fn a_cancel_is_no_failure() {
        let (metrics, lines) = recorded(|| record(&ended(Outcome::Canceled, 499)));
        assert!(metrics.contains(r#"outcome="canceled""#), "{metrics}");
        assert!(!metrics.contains("failed"), "{metrics}");
        assert!(lines.contains("\"INFO\""), "{lines}");
    }

    /// L4: what a client names a model is no label.
    #[test]
    fn labels_come_from_the_configuration_alone() {
        let (metrics, lines) = recorded(|| record(&ended(Outcome::Failed, 502)));
        assert!(!metrics.contains("fast-as-asked"), "{metrics}");
        assert!(lines.contains("fast-as-asked") && lines.contains("\"WARN\""), "{lines}");
    }

    #[test]
    fn calls_in_flight_rise_and_fall() {
        let name = r#"sluis_requests_in_flight{endpoint="messages"}"#;
        let (recorder, metrics) = Metrics::local();
        metrics::with_local_recorder(&recorder, || {
            let one = metrics.call_begins(Endpoint::Messages);
            let two = metrics.call_begins(Endpoint::Messages);
            drop(one);
            assert!(metrics.render().contains(&format!("{name} 1")));
            drop(two);
        });
        assert!(metrics.render().contains(&format!("{name} 0")));
    }

    /// Counting with kept handles stays far below what a call costs; the bound is loose, since this
    /// is no optimized build, and the best round counts, since the machine has other work too.
    #[test]
    fn counting_is_cheap() {
        let (recorder, metrics) = Metrics::local();
        let ended = ended(Outcome::Finished, 200);
        metrics::with_local_recorder(&recorder, || {
            let place = CallMetrics::new(ended.endpoint, &ended.model_label, ended.target.as_ref());
            let round = || {
                let start = Instant::now();
                (0..50).for_each(|_| place.count(&ended));
                start.elapsed() / 50
            };
            let each = (0..20).map(|_| round()).min().unwrap();
            println!("{each:?} per call");
            assert!(each < Duration::from_micros(50), "{each:?}");
        });
        let counted = r#"status="200"} 1000"#;
        assert!(metrics.render().contains(counted), "{}", metrics.render());
    }
}
