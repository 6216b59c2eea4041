//! The fallback loop: one target after the other, and within a target one key after the other,
//! until one answers (design sections 6.3 and 6.5; rules F3, F5, F6).
//!
//! Only errors from before the first event come here, so falling back never repeats content. What
//! an error allows is its own verdict ([`Error::verdict`]); retrying the same target is the retry
//! layer's, which has given up when an error arrives.
//!
//! Cost per call: one load of the table, the plan (shared routes), the request's headers, and the
//! boxed futures of the layers.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use bytes::BytesMut;
use futures_util::stream;
use tokio::time::Instant;
use tower::{Service, ServiceExt, util::BoxCloneSyncService};

use super::{
    order::{InFlight, order},
    prepare::{Prepared, Source, WayBack, client},
    relay::RelayStream,
    replay::{Bounds, Remembering, Replay},
    table::{Route, Table},
};
use crate::{
    call::{
        Answer, AnswerBody, Attempts, Call, Dialect, End, Failure, Frames, Inbound, Limits, Notes, Reply, ReplyBody,
        Reservation, Tally,
    },
    error::{Error, Result, Verdict},
    ir,
    layers::{Limiters, Scope, Settlement},
    wire::{self, Asked, Memo, Relay, openai_chat, translate},
};

/// The service under admission: a client's call in, bytes in the client's dialect out.
#[derive(Debug, Clone)]
pub struct Dispatch {
    table: Arc<ArcSwap<Table>>,
    limiters: Arc<Limiters>,
    upstream: BoxCloneSyncService<Call, Reply, Error>,
    replay: Arc<Replay>,
}

/// One walk over the targets.
struct Walk {
    limiters: Arc<Limiters>,
    upstream: BoxCloneSyncService<Call, Reply, Error>,
    replay: Arc<Replay>,
    source: Source,
    settlement: Settlement,
    attempts: Attempts,
    notes: Notes,
}

/// Why a target did not answer, and whether another may be asked.
struct Refused {
    error: Error,
    /// The error is the client's own: nobody else is asked.
    is_final: bool,
}

// === impl Dispatch ===

impl Dispatch {
    pub fn new(
        table: Arc<ArcSwap<Table>>,
        limiters: Arc<Limiters>,
        upstream: BoxCloneSyncService<Call, Reply, Error>,
    ) -> Self {
        Self { table, limiters, upstream, replay: Arc::new(Replay::new(Bounds::default())) }
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
        let plan = match table.plan(&inbound.model, inbound.pinned.as_deref(), &inbound.caller) {
            Ok(plan) => plan,
            Err(error) => return Err(self.fail(error)),
        };
        let mut last = None;
        for route in order(plan) {
            match self.try_target(&route).await {
                Ok(answer) => return Ok(answer),
                Err(refused) => {
                    last = Some(refused.error);
                    if refused.is_final {
                        break;
                    }
                }
            }
        }
        let none = || Error::NoTarget { message: "No configured target serves this model.".into(), retry_after: None };
        Err(self.fail(last.unwrap_or_else(none)))
    }

    /// Asks one target, within its provider's own limits.
    async fn try_target(&mut self, route: &Arc<Route>) -> Result<Answer, Refused> {
        // Another target may be able to carry what this one cannot, or have room.
        let other = |error| Refused { error, is_final: false };
        let prepared = self.source.prepare(route).map_err(other)?;
        let reservation = self.reserve(route).map_err(other)?;
        self.notes.target = Some(Arc::clone(&route.target.label));
        self.settlement.target(&route.target.label, &route.metrics);

        let in_flight = InFlight::new(Arc::clone(route));
        let began = Instant::now();
        match self.try_keys(route, &prepared).await {
            Ok(reply) => {
                route.load.first_event(began.elapsed());
                self.settlement.hold(reservation);
                Ok(self.answer(reply, prepared, in_flight)?)
            }
            Err(error) => {
                route.load.failed();
                reservation.settle(0);
                Err(error.into())
            }
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
            let call = self.call(route, prepared, turn, !turns.is_empty())?;
            let error = match self.upstream.clone().oneshot(call).await {
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
    fn call(&self, route: &Route, prepared: &Prepared, key: Option<usize>, rotates: bool) -> Result<Call> {
        let mut request = prepared.request.clone();
        let credential = key.and_then(|key| route.upstream.keys.credential(key));
        route.upstream.provider.sign(credential, &mut request)?;
        let inbound = &self.source.inbound;
        Ok(Call {
            id: inbound.id,
            target: Arc::clone(&route.target),
            dialect: prepared.dialect,
            stream: inbound.stream,
            request,
            deadline: inbound.started + route.target.policy.deadlines.total,
            rotates,
            attempts: self.attempts.clone(),
        })
    }

    /// Turns an accepted reply into the client's bytes and ends the call with them.
    fn answer(&mut self, reply: Reply, prepared: Prepared, in_flight: InFlight) -> Result<Answer> {
        self.settlement.first_event();
        self.notes.dropped = prepared.dropped;
        self.notes.upstream_request_id = wire::upstream_error::request_id(&reply.head.headers);
        let body = match (reply.body, prepared.way_back) {
            (ReplyBody::Frames(frames), way_back) => self.stream(frames, prepared.dialect, way_back, in_flight)?,
            (ReplyBody::Whole(bytes), WayBack::Passthrough) if !self.source.inbound.stream => {
                let (bytes, tally) = openai_chat::unary(&bytes)?;
                self.finish(&tally);
                AnswerBody::Whole(bytes)
            }
            (ReplyBody::Whole(bytes), WayBack::Passthrough) => {
                let response = wire::upstream(prepared.dialect).decode(&bytes, &Memo::default())?;
                self.whole(&response)?
            }
            (ReplyBody::Whole(bytes), WayBack::Translate { memo, owner }) => {
                let response = wire::upstream(prepared.dialect).decode(&bytes, &memo)?;
                if let Some(owner) = owner {
                    self.replay.remember(&owner, &response);
                }
                self.whole(&response)?
            }
        };
        Ok(Answer { notes: self.notes(), body })
    }

    fn stream(
        &mut self,
        frames: Frames,
        dialect: Dialect,
        way_back: WayBack,
        in_flight: InFlight,
    ) -> Result<AnswerBody> {
        let relay: Box<dyn Relay> = match way_back {
            WayBack::Passthrough => {
                Box::new(openai_chat::Passthrough::new(self.source.inbound.include_usage).standing_in(&self.asked()))
            }
            WayBack::Translate { memo, owner } => {
                let decoder = wire::upstream(dialect).decoder(memo);
                let decoder = match owner {
                    Some(owner) => Box::new(Remembering::new(decoder, Arc::clone(&self.replay), owner)),
                    None => decoder,
                };
                let asked = self.asked_in_full()?;
                Box::new(translate::Translate::new(decoder, client(self.source.inbound.dialect)?.encoder(asked)))
            }
        };
        let stream = RelayStream::new(frames, relay, self.settlement.take(), in_flight);
        Ok(AnswerBody::Stream(Box::pin(stream)))
    }

    /// A whole answer through the canonical form; as a stream when the client asked for one and
    /// the upstream did not stream.
    fn whole(&mut self, response: &ir::Response) -> Result<AnswerBody> {
        let client = client(self.source.inbound.dialect)?;
        let asked = self.asked_in_full()?;
        self.finish(&tally(response));
        if !self.source.inbound.stream {
            return Ok(AnswerBody::Whole(client.encode(response, &asked)));
        }
        let mut encoder = client.encoder(asked);
        let mut out = BytesMut::new();
        for event in translate::unfold(response) {
            encoder.event(&event, &mut out);
        }
        encoder.finish(&mut out);
        Ok(AnswerBody::Stream(Box::pin(stream::iter([Ok(out.freeze())]))))
    }

    /// What an encoder must know, beyond what the byte path does: it takes the decoded request.
    fn asked_in_full(&mut self) -> Result<Asked> {
        Ok(Asked { legacy_functions: self.source.decoded()?.legacy_functions, ..self.asked() })
    }

    fn asked(&self) -> Asked {
        let inbound = &self.source.inbound;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Asked {
            model: inbound.model.clone(),
            include_usage: inbound.include_usage,
            id: format!("chatcmpl-{}", inbound.id.simple()),
            created: now.as_secs(),
            legacy_functions: false,
        }
    }

    fn finish(&mut self, tally: &Tally) {
        self.settlement.end(&End::Finished, tally);
    }

    fn fail(&mut self, error: Error) -> Failure {
        self.settlement.end(&End::Failed(error.clone()), &Tally::default());
        Failure { error, notes: self.notes() }
    }

    fn notes(&mut self) -> Notes {
        Notes { attempts: self.attempts.count(), ..std::mem::take(&mut self.notes) }
    }
}

/// The counts of a whole answer.
fn tally(response: &ir::Response) -> Tally {
    let bytes = |block: &ir::Block| match block {
        ir::Block::Text { text, .. } | ir::Block::Refusal { text } | ir::Block::Reasoning { text, .. } => text.len(),
        ir::Block::ToolCall { arguments, .. } => arguments.len(),
        ir::Block::Image { .. }
        | ir::Block::Document { .. }
        | ir::Block::Audio { .. }
        | ir::Block::RedactedReasoning { .. }
        | ir::Block::ToolResult { .. } => 0,
    };
    Tally {
        usage: response.usage,
        output_bytes: response.blocks.iter().map(bytes).sum::<usize>() as u64,
        finish: Some(response.finish),
    }
}

// === impl Refused ===

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { is_final: error.verdict() == Verdict::Return, error }
    }
}
