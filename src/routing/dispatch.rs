//! The fallback loop: one target after the other, and within a target one key after the other,
//! until one answers (design sections 6.3 and 6.5; rules F3, F5, F6).
//!
//! Only errors from before the first event come here, so falling back never repeats content. What
//! an error allows is its own verdict ([`Error::verdict`]); retrying the same target is the retry
//! layer's, which has given up when an error arrives.
//!
//! When no target answers, the client gets the one error that helps it most: its own mistake where
//! an upstream named one; else the first target's failure that time may cure; and only where no
//! target could ever have served the call, the first reason why. So a dead fallback never hides
//! that the primary was merely busy.
//!
//! Cost per call: one load of the table, the plan (shared routes), the request's headers, and the
//! boxed futures of the layers.

mod count;
mod embed;

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use tokio::time::Instant;
use tower::{Service, ServiceExt, util::BoxCloneSyncService};

use super::{
    authorize::{addressed, authorize, is_unauthorized},
    dropped,
    order::{InFlight, order},
    prepare::{Prepared, Source, WayBack, client},
    relay::RelayStream,
    replay::{Bounds, Memory, Remembering, Replay, said::Overhearing},
    table::{Plan, Route, Table},
};
use crate::{
    call::{
        Answer, AnswerBody, Attempts, Call, Dialect, End, Expects, Failure, Frames, Inbound, Limits, Notes, Reply,
        ReplyBody, Reservation, Tally,
    },
    error::{Class, Error, Result, Verdict},
    ir,
    layers::{Limiters, Scope, Settlement},
    providers::Credential,
    telemetry::Endpoint,
    upstream::{
        credentials::{Lent, Wire},
        transport::Clients,
    },
    wire::{self, Asked, ClientDialect, Memo, Relay, translate},
};

/// Thirty years: no call lasts so long.
const NEVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// The service under admission: a client's call in, bytes in the client's dialect out.
#[derive(Debug, Clone)]
pub struct Dispatch {
    table: Arc<ArcSwap<Table>>,
    limiters: Arc<Limiters>,
    clients: Arc<Clients>,
    upstream: BoxCloneSyncService<Call, Reply, Error>,
    replay: Arc<Replay>,
}

/// One walk over the targets.
struct Walk {
    limiters: Arc<Limiters>,
    clients: Arc<Clients>,
    upstream: BoxCloneSyncService<Call, Reply, Error>,
    replay: Arc<Replay>,
    source: Source,
    settlement: Settlement,
    attempts: Attempts,
    notes: Notes,
}

/// Why a target did not answer, and what that is worth to the client.
struct Refused {
    error: Error,
    worth: Worth,
    /// Nobody else is asked.
    is_final: bool,
}

/// How much an error helps the client, compared with another target's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    /// This target cannot serve it, now or later.
    Unfit,
    /// The target may serve it another time.
    Passing,
    /// It is the client's own, whoever is asked.
    Own,
}

/// What one target is asked.
enum Request {
    Answer(Prepared),
    Embeddings(embed::Parts),
    Count(count::Count),
}

/// An accepted reply in the client's dialect.
enum Readied {
    Whole(Bytes, Tally),
    Stream(Frames, Box<dyn Relay>),
}

// === impl Dispatch ===

impl Dispatch {
    pub fn new(
        table: Arc<ArcSwap<Table>>,
        limiters: Arc<Limiters>,
        clients: Arc<Clients>,
        upstream: BoxCloneSyncService<Call, Reply, Error>,
    ) -> Self {
        Self { table, limiters, clients, upstream, replay: Arc::new(Replay::new(Bounds::default())) }
    }
}

impl Service<Inbound> for Dispatch {
    type Response = Answer;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut inbound: Inbound) -> Self::Future {
        let settlement = Settlement::new(&mut inbound);
        let walk = Walk {
            limiters: Arc::clone(&self.limiters),
            clients: Arc::clone(&self.clients),
            upstream: self.upstream.clone(),
            attempts: settlement.attempts(),
            settlement,
            source: Source::new(inbound, Arc::clone(&self.replay)),
            replay: Arc::clone(&self.replay),
            notes: Notes::default(),
        };
        Box::pin(walk.run(self.table.load_full()))
    }
}

// === impl Walk ===

impl Walk {
    async fn run(mut self, table: Arc<Table>) -> Result<Answer, Failure> {
        let inbound = &self.source.inbound;
        let planned = table.plan(&inbound.model, inbound.pinned.as_deref(), &inbound.caller);
        let plan = match planned.and_then(|plan| self.bound(plan)) {
            Ok(plan) => plan,
            Err(error) => return Err(self.fail(error)),
        };
        let mut best: Option<Refused> = None;
        for route in order(plan) {
            let refused = match self.try_target(&route).await {
                Ok(answer) => return Ok(answer),
                Err(refused) => refused,
            };
            let is_final = refused.is_final;
            if best.as_ref().is_none_or(|best| best.worth < refused.worth) {
                best = Some(refused);
            }
            if is_final {
                break;
            }
        }
        let none = || Error::NoTarget { message: "No configured target serves this model.".into(), retry_after: None };
        Err(self.fail(best.map_or_else(none, |best| best.error)))
    }

    /// P4: a request that sends back the reasoning of one target, under the name it was made for, is
    /// for that target and no other. Under another name the client has changed its mind, and the
    /// reasoning is left out.
    fn bound(&self, mut plan: Plan) -> Result<Plan> {
        let inbound = &self.source.inbound;
        if let Some(origin) = &inbound.origin {
            // Whoever else is asked knows nothing of what the call builds on.
            plan.routes.retain(|route| route.target.provider == *origin);
        }
        let origin = client(inbound.dialect)?.made_by(&inbound.body);
        let Some(origin) = origin.filter(|origin| origin.model == inbound.model) else { return Ok(plan) };
        plan.routes.retain(|route| *route.target.label == *origin.target);
        if plan.routes.is_empty() {
            let message = format!(
                "The reasoning in this request was made by `{}`, which serves `{}` no longer. Send the conversation \
                 without its reasoning items.",
                origin.target, origin.model
            );
            return Err(Error::NoTarget { message, retry_after: None });
        }
        Ok(plan)
    }

    /// Asks one target, within its provider's own limits.
    async fn try_target(&mut self, route: &Arc<Route>) -> Result<Answer, Refused> {
        // Another target may be able to carry what this one cannot, or have room.
        let unfit = |error| Refused { error, worth: Worth::Unfit, is_final: false };
        let full = |error| Refused { error, worth: Worth::Passing, is_final: false };
        let prepared = self.prepare(route).map_err(unfit)?;
        let reservation = self.reserve(route).map_err(full)?;
        self.notes.target = Some(Arc::clone(&route.target.label));
        self.settlement.target(&route.target.label, &route.metrics, route.price());

        let in_flight = InFlight::new(Arc::clone(route));
        let began = Instant::now();
        match self.ask(route, prepared).await {
            Ok(readied) => {
                route.load.first_event(began.elapsed());
                self.count_dropped(route);
                self.settlement.hold(reservation);
                Ok(self.answer(readied, in_flight))
            }
            Err(error) => {
                reservation.settle(0);
                let refused = Refused::from(error);
                if !refused.is_final {
                    route.load.failed();
                }
                Err(refused)
            }
        }
    }

    fn prepare(&mut self, route: &Route) -> Result<Request> {
        Ok(match self.source.inbound.endpoint {
            Endpoint::ChatCompletions
            | Endpoint::Completions
            | Endpoint::Messages
            | Endpoint::Responses
            | Endpoint::GenerateContent => Request::Answer(self.source.prepare(route)?),
            Endpoint::Embeddings => Request::Embeddings(self.source.embeddings(route)?),
            Endpoint::CountTokens => Request::Count(self.source.count(route)?),
        })
    }

    async fn ask(&mut self, route: &Route, request: Request) -> Result<Readied> {
        match request {
            Request::Answer(prepared) => {
                let error = match self.try_keys(route, &prepared).await {
                    Ok(reply) => return self.ready(reply, prepared),
                    Err(error) => error,
                };
                if !refuses_proof(&prepared, &error) {
                    return Err(error);
                }
                let Some(prepared) = self.source.prepare_without_proofs(route, &prepared)? else { return Err(error) };
                let reply = self.try_keys(route, &prepared).await?;
                self.ready(reply, prepared)
            }
            Request::Embeddings(parts) => self.embed(route, parts).await,
            Request::Count(count) => self.count(route, count).await,
        }
    }

    /// One key after the other, while the error hangs on the key (rule F3).
    async fn try_keys(&self, route: &Route, prepared: &Prepared) -> Result<Reply> {
        let keys = &route.upstream.keys;
        let mut turns: VecDeque<Option<usize>> = keys.turns(Instant::now()).into_iter().map(Some).collect();
        if turns.is_empty() {
            turns.push_back(None);
        }
        loop {
            let turn = turns.pop_front().flatten();
            let error = match self.try_key(route, prepared, turn, !turns.is_empty()).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            if let Some(key) = turn {
                keys.rest(key, &error, Instant::now());
            }
            let is_key_bound = match error.verdict() {
                Verdict::Again { key_bound, .. } | Verdict::MoveOn { key_bound } => key_bound,
                Verdict::Return => false,
            };
            if !is_key_bound || turns.is_empty() {
                return Err(error);
            }
        }
    }

    /// One key. A fetched one that is refused may have been revoked before its time: it is fetched
    /// anew, once.
    async fn try_key(&self, route: &Route, prepared: &Prepared, key: Option<usize>, rotates: bool) -> Result<Reply> {
        let lent = self.lend(route, key).await?;
        let call = self.call(route, prepared, lent.as_deref(), rotates)?;
        let error = match self.upstream.clone().oneshot(call).await {
            Ok(reply) => return Ok(reply),
            Err(error) => addressed(route, lent.as_deref(), error),
        };
        let Some((key, lent)) = key.zip(lent).filter(|_| is_unauthorized(&error)) else { return Err(error) };
        if !route.upstream.keys.forgot(key, &lent) {
            return Err(error);
        }
        let lent = self.lend(route, Some(key)).await?;
        let call = self.call(route, prepared, lent.as_deref(), rotates)?;
        self.upstream.clone().oneshot(call).await.map_err(|error| addressed(route, lent.as_deref(), error))
    }

    async fn lend<'a>(&self, route: &'a Route, key: Option<usize>) -> Result<Option<Lent<'a>>> {
        let Some(key) = key else { return Ok(None) };
        let wire = Wire { clients: &self.clients, connection: &route.target.connection };
        route.upstream.keys.credential(key, &wire, self.deadline(route)).await
    }

    /// The total clock of the call, by this route's rules.
    fn deadline(&self, route: &Route) -> Instant {
        after(self.source.inbound.started, route.target.policy.deadlines.total)
    }

    /// The provider's requests and tokens per minute; its concurrency is the slots layer's.
    fn reserve(&self, route: &Route) -> Result<Reservation> {
        let limits = Limits { concurrent: None, ..route.upstream.config.limits };
        if limits.is_empty() {
            return Ok(Reservation::default());
        }
        let estimate = self.source.inbound.estimate;
        let scope = Scope::Provider(Arc::clone(&route.target.provider));
        self.limiters.admit([(scope, limits)], estimate.prompt.saturating_add(estimate.output)).verdict
    }

    /// The exchange under one key.
    fn call(&self, route: &Route, prepared: &Prepared, with: Option<&Credential>, rotates: bool) -> Result<Call> {
        let mut request = prepared.request.clone();
        let inbound = &self.source.inbound;
        authorize(route, with, &inbound.headers, &mut request)?;
        Ok(Call {
            id: inbound.id,
            target: Arc::clone(&route.target),
            dialect: prepared.dialect,
            expects: expects(inbound.endpoint),
            stream: inbound.stream,
            request,
            deadline: self.deadline(route),
            rotates,
            attempts: self.attempts.clone(),
        })
    }

    /// Reads an accepted reply for the client. A whole answer that is none is still this target's
    /// failure, so nothing of the call is settled here.
    fn ready(&mut self, reply: Reply, prepared: Prepared) -> Result<Readied> {
        let upstream_request_id = wire::upstream_error::request_id(&reply.head.headers);
        let (dialect, way_back) = (prepared.dialect, prepared.way_back);
        let passed = matches!(way_back, WayBack::Passthrough { .. });
        let readied = match (reply.body, way_back) {
            (ReplyBody::Frames(frames), way_back) => Readied::Stream(frames, self.relay(dialect, way_back)?),
            (ReplyBody::Whole(bytes), WayBack::Passthrough { memory }) if !self.source.inbound.stream => {
                if let Some(memory) = memory
                    && let Ok(response) = wire::upstream(dialect).decode(&bytes, &Memo::default())
                {
                    self.replay.remember(&memory, &response);
                }
                let (bytes, tally) = client(dialect)?.pass(&bytes)?;
                Readied::Whole(bytes, tally)
            }
            (ReplyBody::Whole(bytes), WayBack::Passthrough { memory }) => {
                self.whole(&wire::upstream(dialect).decode(&bytes, &Memo::default())?, memory.as_ref())?
            }
            (ReplyBody::Whole(bytes), WayBack::Translate { memo, memory }) => {
                self.whole(&wire::upstream(dialect).decode(&bytes, &memo)?, memory.as_ref())?
            }
        };
        self.notes.dropped = prepared.dropped;
        self.notes.passed = passed;
        self.notes.upstream_request_id = upstream_request_id;
        Ok(readied)
    }

    /// Hands the client its answer, and the call's end to whoever sees it.
    fn answer(&mut self, readied: Readied, in_flight: InFlight) -> Answer {
        self.settlement.first_event();
        let body = match readied {
            Readied::Stream(frames, relay) => {
                let stream = RelayStream::new(frames, relay, self.settlement.take(), in_flight);
                AnswerBody::Stream(Box::pin(stream))
            }
            Readied::Whole(bytes, tally) => {
                self.settlement.end(&End::Finished, &tally);
                // The head has not gone out yet: it tells.
                self.notes.dropped.extend(tally.lost.iter().map(|lost| lost.name().into()));
                if self.source.inbound.stream {
                    AnswerBody::Stream(Box::pin(stream::iter([Ok(bytes)])))
                } else {
                    AnswerBody::Whole(bytes)
                }
            }
        };
        Answer { notes: self.notes(), body }
    }

    fn relay(&mut self, dialect: Dialect, way_back: WayBack) -> Result<Box<dyn Relay>> {
        let client = client(self.source.inbound.dialect)?;
        let (memo, memory) = match way_back {
            WayBack::Passthrough { memory } => return Ok(self.pass_on(client, dialect, memory)),
            WayBack::Translate { memo, memory } => (memo, memory),
        };
        let decoder = wire::upstream(dialect).decoder(memo);
        let decoder = match memory {
            Some(memory) => Box::new(Remembering::new(decoder, Arc::clone(&self.replay), memory)),
            None => decoder,
        };
        let asked = self.asked_in_full(client)?;
        Ok(Box::new(translate::Translate::new(decoder, client.encoder(asked)).for_client(client)))
    }

    fn pass_on(&self, client: &dyn ClientDialect, dialect: Dialect, memory: Option<Memory>) -> Box<dyn Relay> {
        let relay = client.relay(&self.asked(client));
        let Some(memory) = memory else { return relay };
        let decoder = wire::upstream(dialect).decoder(Memo::default());
        Box::new(Overhearing::new(relay, decoder, Arc::clone(&self.replay), memory))
    }

    /// A whole answer through the canonical form; as a stream when the client asked for one and
    /// the upstream did not stream.
    fn whole(&mut self, response: &ir::Response, memory: Option<&Memory>) -> Result<Readied> {
        if let Some(memory) = memory {
            self.replay.remember(memory, response);
        }
        let client = client(self.source.inbound.dialect)?;
        let asked = self.asked_in_full(client)?;
        let tally = tally(response, client);
        if !self.source.inbound.stream {
            return Ok(Readied::Whole(client.encode(response, &asked), tally));
        }
        let mut encoder = client.encoder(asked);
        let mut out = BytesMut::new();
        for event in translate::unfold(response) {
            encoder.event(&event, &mut out);
        }
        encoder.finish(&mut out);
        Ok(Readied::Whole(out.freeze(), tally))
    }

    /// What an encoder must know, beyond what the byte path does: it takes the decoded request.
    fn asked_in_full(&mut self, client: &dyn ClientDialect) -> Result<Asked> {
        Ok(Asked { legacy_functions: self.source.decoded()?.legacy_functions, ..self.asked(client) })
    }

    fn asked(&self, client: &dyn ClientDialect) -> Asked {
        let inbound = &self.source.inbound;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Asked {
            model: inbound.model.clone(),
            include_usage: inbound.include_usage,
            id: client.answer_id(inbound.id),
            created: now.as_secs(),
            prompt_estimate: inbound.estimate.prompt,
            legacy_functions: false,
            request: inbound.body.clone(),
            target: self.notes.target.clone().unwrap_or_default(),
        }
    }

    fn count_dropped(&self, route: &Route) {
        if !self.notes.dropped.is_empty() {
            let metrics = route.metrics.of(self.source.inbound.endpoint);
            self.notes.dropped.iter().for_each(|field| metrics.dropped(dropped::label(field)));
        }
    }

    fn fail(&mut self, error: Error) -> Failure {
        self.settlement.end(&End::Failed(error.clone()), &Tally::default());
        Failure { error, notes: self.notes() }
    }

    fn notes(&mut self) -> Notes {
        Notes { attempts: self.attempts.count(), ..std::mem::take(&mut self.notes) }
    }
}

/// Whether the target found a proof of reasoning that is none of its own.
fn refuses_proof(prepared: &Prepared, error: &Error) -> bool {
    matches!(error, Error::Upstream(error) if wire::upstream(prepared.dialect).refuses_proof(error))
}

/// What an endpoint takes for an upstream's answer.
fn expects(endpoint: Endpoint) -> Expects {
    match endpoint {
        Endpoint::ChatCompletions
        | Endpoint::Completions
        | Endpoint::Messages
        | Endpoint::Responses
        | Endpoint::GenerateContent => Expects::Answer,
        Endpoint::Embeddings | Endpoint::CountTokens => Expects::Document,
    }
}

/// A moment after another; one too far away for the clock to tell is as good as never.
fn after(start: Instant, lasts: Duration) -> Instant {
    start.checked_add(lasts).unwrap_or_else(|| start + NEVER)
}

/// The counts of a whole answer.
fn tally(response: &ir::Response, client: &dyn ClientDialect) -> Tally {
    let bytes = |block: &ir::Block| match block {
        ir::Block::Text { text, .. } | ir::Block::Refusal { text } | ir::Block::Reasoning { text, .. } => text.len(),
        ir::Block::ToolCall { arguments, .. } => arguments.len(),
        ir::Block::Image { .. }
        | ir::Block::Document { .. }
        | ir::Block::Audio { .. }
        | ir::Block::RedactedReasoning { .. }
        | ir::Block::ToolResult { .. } => 0,
    };
    let is_hidden = |block: &ir::Block| matches!(block, ir::Block::Image { source, .. } if !client.shows_image(source));
    let mut tally = Tally {
        usage: response.usage,
        output_bytes: response.blocks.iter().map(bytes).sum::<usize>() as u64,
        finish: Some(response.finish),
        lost: response.lost.clone(),
    };
    if response.blocks.iter().any(is_hidden) {
        tally.lose(ir::Lost::Images);
    }
    tally
}

// === impl Refused ===

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        let is_unfit = if let Error::Upstream(upstream) = &error {
            matches!(upstream.class, Class::NotFound | Class::Credentials | Class::Quota)
        } else {
            matches!(error, Error::Internal { .. })
        };
        let is_final = error.verdict() == Verdict::Return;
        let worth = match (is_unfit, is_final) {
            (true, _) => Worth::Unfit,
            (false, true) => Worth::Own,
            (false, false) => Worth::Passing,
        };
        Self { error, worth, is_final }
    }
}

#[cfg(test)]
mod tests;
