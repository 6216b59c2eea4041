//! One call at one endpoint, whatever its dialect: reads it, hands it to the front service and
//! answers in the client's own form.
//!
//! A streamed call is a race: the head waits for the answer, so that a failure keeps its status
//! and a fallback stays possible, but not longer than the keep-alive interval, counted from the
//! moment the whole request was there (design section 6.3, rule S6).
//!
//! An endpoint is an [`Endpoint`] and a route; one that does more before or after the call takes
//! the steps of an [`Exchange`] one by one.
//!
//! Cost per request: one boxed future for a stream; the body's bytes are shared all the way.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
    routing::{MethodRouter, post},
};
use http::{HeaderMap, HeaderName, request::Parts};
use tokio::time::{Instant, sleep_until};
use tower::ServiceExt;

use super::{Place, PlaceResult, place};
use crate::{
    call::{Answer, AnswerBody, Caller, Failure, Inbound, Notes, Reservation},
    error::{Error, Result},
    server::{
        Server, Settings, auth, extract,
        probe::{Head, Probe},
        respond::{self, Arrival, X_CLIENT_REQUEST_ID},
        stream::{EventStream, Pending, Source, Terms},
    },
    telemetry::{self, Ended, InFlight, Outcome},
    wire::ClientDialect,
};

/// Refuses what is lossy otherwise (design section 6.2).
static X_SLUIS_STRICT: HeaderName = HeaderName::from_static("x-sluis-strict");
/// A shorter interval would be a busy loop.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// What one endpoint does differently from the others.
pub(in crate::server) struct Endpoint {
    pub counted_as: telemetry::Endpoint,
    /// What its clients speak, errors and keep-alives included.
    pub dialect: &'static dyn ClientDialect,
    /// Reads the head fields of a body, and refuses one that no upstream need see.
    pub probe: fn(&Head<'_>, &[u8]) -> Result<Probe>,
}

/// A call on its way, with what its response needs.
pub(super) struct Exchange {
    endpoint: &'static Endpoint,
    server: Arc<Server>,
    arrival: Arrival,
    settings: Settings,
    in_flight: InFlight,
}

/// The route of an endpoint.
pub(in crate::server) fn route(endpoint: &'static Endpoint) -> MethodRouter<Arc<Server>> {
    post(move |State(server): State<Arc<Server>>, found: PlaceResult, request: Request| {
        answer(endpoint, server, found, request)
    })
}

/// The whole way of a call.
async fn answer(endpoint: &'static Endpoint, server: Arc<Server>, found: PlaceResult, request: Request) -> Response {
    let exchange = Exchange::begin(endpoint, server, request.headers());
    match exchange.read(found, request).await {
        Ok(inbound) => exchange.run(inbound).await,
        Err(error) => exchange.refuse(error),
    }
}

// === impl Exchange ===

impl Exchange {
    pub(super) fn begin(endpoint: &'static Endpoint, server: Arc<Server>, headers: &HeaderMap) -> Self {
        Self {
            arrival: Arrival::new(headers),
            settings: server.directory.settings(),
            in_flight: server.metrics.call_begins(endpoint.counted_as),
            endpoint,
            server,
        }
    }

    /// Everything that is checked before anybody is asked anything.
    pub(super) async fn read(&self, found: PlaceResult, request: Request) -> Result<Inbound> {
        let (mut parts, body) = request.into_parts();
        let limit = self.settings.body_limit;
        let (place, caller, key_header) = match self.admitted(found, &parts) {
            Ok(admitted) => admitted,
            Err(error) => return Err(extract::refused(&parts.headers, body, limit, error).await),
        };
        let body = extract::json_body(&parts.headers, body, limit).await?;
        let head = Head { headers: &parts.headers, id: place.id.as_deref() };
        let probe = (self.endpoint.probe)(&head, &body)?;
        let strict = parts.headers.get(&X_SLUIS_STRICT).is_some_and(|value| value == "true");
        let model_limits = self.server.directory.model_limits(&probe.model);
        self.tidy(&mut parts.headers, key_header);
        Ok(Inbound {
            id: self.arrival.id,
            dialect: self.endpoint.dialect.dialect(),
            endpoint: self.endpoint.counted_as,
            caller,
            model: probe.model,
            stream: probe.stream,
            include_usage: probe.include_usage,
            strict,
            pinned: place.provider,
            origin: None,
            body,
            headers: parts.headers,
            estimate: probe.estimate,
            model_limits,
            reservation: Reservation::default(),
            client_request_id: self.arrival.client_id_text(),
            started: self.arrival.at,
        })
    }

    /// What is known before the body is read, and which header the caller's key stands in.
    fn admitted(&self, found: PlaceResult, parts: &Parts) -> Result<(Place, Arc<Caller>, Option<&'static HeaderName>)> {
        let place = place(&self.server, found, &parts.method, parts.uri.path())?;
        if self.server.lifecycle.is_draining() {
            return Err(Error::ShuttingDown);
        }
        let presented = auth::presented(&parts.headers);
        let caller = self.server.directory.caller(presented.map(|presented| presented.key))?;
        Ok((place, caller, presented.map(|presented| presented.header)))
    }

    /// The key to the gateway goes no further (rule X4); the client's id does, once it is clean.
    pub(super) fn tidy(&self, headers: &mut HeaderMap, key_header: Option<&HeaderName>) {
        if let Some(header) = key_header {
            headers.remove(header);
        }
        headers.remove(&X_CLIENT_REQUEST_ID);
        if let Some(id) = &self.arrival.client_id {
            headers.insert(&X_CLIENT_REQUEST_ID, id.clone());
        }
    }

    /// Has the call served, and answers.
    pub(super) async fn run(self, inbound: Inbound) -> Response {
        let is_stream = inbound.stream;
        let served = self.server.front.clone().oneshot(inbound);
        if is_stream { self.stream(Box::pin(served)).await } else { self.unary(served).await }
    }

    /// Answers with what the endpoint itself makes of the call.
    pub(super) async fn serve(self, is_stream: bool, served: Pending) -> Response {
        if is_stream { self.stream(served).await } else { self.unary(served).await }
    }

    /// The call's id.
    pub(super) fn id(&self) -> uuid::Uuid {
        self.arrival.id
    }

    async fn unary(self, served: impl Future<Output = Result<Answer, Failure>>) -> Response {
        let answer = tokio::select! {
            biased;
            answer = served => answer,
            () = self.server.lifecycle.cut_off() => Err(Error::ShuttingDown.into()),
        };
        self.respond(answer)
    }

    async fn stream(self, mut pending: Pending) -> Response {
        // A client that is still sending waits for nothing.
        let since = Instant::now();
        let by = since + self.interval();
        let answer = tokio::select! {
            biased;
            answer = &mut pending => answer,
            () = self.server.lifecycle.cut_off() => Err(Error::ShuttingDown.into()),
            // The interval has passed without an answer: 200, and what comes is for the body.
            () = sleep_until(by) => {
                return self.event_stream(&Notes::default(), Source::Waiting(pending), since);
            }
        };
        self.respond(answer)
    }

    pub(super) fn respond(self, answer: Result<Answer, Failure>) -> Response {
        match answer {
            Err(failure) => respond::failure(&self.arrival, self.endpoint.dialect, &failure),
            Ok(Answer { notes, body: AnswerBody::Whole(bytes) }) => {
                respond::json(&self.arrival, self.endpoint.dialect.dialect(), &notes, bytes)
            }
            Ok(Answer { notes, body: AnswerBody::Stream(stream) }) => {
                self.event_stream(&notes, Source::Live(stream), Instant::now())
            }
        }
    }

    /// The head of a stream, sent now; the rest is its body's.
    fn event_stream(self, notes: &Notes, source: Source, quiet_since: Instant) -> Response {
        let terms = Terms {
            dialect: self.endpoint.dialect,
            id: self.arrival.id,
            interval: self.interval(),
            quiet_since,
            cut: self.server.lifecycle.watch_cut(),
            in_flight: self.in_flight,
        };
        let body = Body::new(EventStream::new(source, terms));
        respond::event_stream(&self.arrival, self.endpoint.dialect, notes, body)
    }

    fn interval(&self) -> Duration {
        self.settings.keep_alive.max(SHORTEST_INTERVAL)
    }

    /// A call that reached nobody still ends once, here (design section 6.8).
    pub(super) fn refuse(self, error: Error) -> Response {
        let Endpoint { counted_as, dialect, .. } = self.endpoint;
        telemetry::record(&Ended {
            id: self.arrival.id,
            endpoint: counted_as.name(),
            key: "none".into(),
            model_label: "none".into(),
            model: String::new(),
            target: None,
            stream: false,
            attempts: 0,
            status: error.status_in(dialect.dialect()).as_u16(),
            outcome: Outcome::Failed,
            error: Some(error.label()),
            detail: error.detail().map(Into::into),
            first_event: None,
            duration: self.arrival.at.elapsed(),
            usage: None,
            cost_usd: None,
            estimated: false,
            lost: None,
            client_request_id: self.arrival.client_id_text(),
        });
        respond::failure(&self.arrival, *dialect, &error.into())
    }
}
