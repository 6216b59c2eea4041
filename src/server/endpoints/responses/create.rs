//! `POST /v1/responses` (OpenAI's API reference, "Create a model response", read November 2026).

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::value::RawValue;
use tower::ServiceExt;

use super::{
    ENDPOINT,
    background::Job,
    compact,
    ids::{self, Place},
    items, maker, not_found,
    passing::{There, sealed},
    recording::{Plan, Recording, queued},
    refuse_upgrade,
    wish::{self, Wish},
};
use crate::{
    call::{Answer, AnswerBody, Failure, Inbound, Notes},
    error::{Error, Result},
    server::{
        Server,
        endpoints::{PlaceResult, exchange::Exchange},
        probe::Head,
        stream::Pending,
    },
    store::{Item, Status},
    wire::json::Object,
};

pub(in crate::server) async fn create(
    State(server): State<Arc<Server>>,
    found: PlaceResult,
    request: Request,
) -> Response {
    let exchange = Exchange::begin(&ENDPOINT, Arc::clone(&server), request.headers());
    if let Err(error) = refuse_upgrade(request.headers()) {
        return exchange.refuse(error);
    }
    let inbound = match exchange.read(found, request).await {
        Ok(inbound) => inbound,
        Err(error) => return exchange.refuse(error),
    };
    match prepare(&server, inbound).await {
        Ok(Prepared { inbound, keeper: Keeper::Here(plan) }) if plan.background => {
            background(exchange, &server, inbound, plan).await
        }
        Ok(prepared) => {
            let is_stream = prepared.inbound.stream;
            exchange.serve(is_stream, Box::pin(call(server, prepared))).await
        }
        Err(error) => exchange.refuse(error),
    }
}

/// A call that knows everything it builds on.
struct Prepared {
    inbound: Inbound,
    keeper: Keeper,
}

/// Who keeps the answer.
enum Keeper {
    Nobody,
    /// Its upstream, under an id that leads back.
    There,
    Here(Plan),
}

// === before the call ===

/// Decides who remembers, and tells the call what came before it.
async fn prepare(server: &Server, mut inbound: Inbound) -> Result<Prepared> {
    inbound.body = compact::expanded(&inbound.body)?;
    let wish = Wish::read(&inbound.body)?;
    let reach = server.directory.reach(&inbound.caller, &inbound.model, inbound.pinned.as_deref(), &inbound.body);
    let follows = wish.previous.as_deref().map(|id| (id, ids::place(id)));
    if let Some((id, Place::There(there))) = &follows {
        follow(server, &mut inbound, id, there)?;
        unseal(server, &mut inbound)?;
        return Ok(Prepared { inbound, keeper: Keeper::There });
    }
    let is_kept_there = !reach.is_empty() && reach.iter().all(|target| target.keeps);
    if is_kept_there && follows.is_none() && wish.conversation.is_none() {
        unseal(server, &mut inbound)?;
        let keeper = if wish.store == Some(false) { Keeper::Nobody } else { Keeper::There };
        return Ok(Prepared { inbound, keeper });
    }
    let keeper = here(server, &mut inbound, wish).await?;
    unseal(server, &mut inbound)?;
    Ok(Prepared { inbound, keeper })
}

/// Goes on from a response that its upstream keeps: that upstream is asked, by its own id for it.
pub(super) fn follow(server: &Server, inbound: &mut Inbound, id: &str, there: &ids::There) -> Result<()> {
    let provider = &there.provider;
    if !server.directory.has_provider(provider) {
        let message = format!("The previous response was made by `{provider}`, which is not configured any more.");
        return Err(Error::invalid(message, "previous_response_id", "previous_response_origin_gone"));
    }
    if !there.is_for(&inbound.caller.name, &server.directory.id_keys(provider)) {
        return Err(unknown(id));
    }
    let reach = server.directory.reach(&inbound.caller, &inbound.model, inbound.pinned.as_deref(), &inbound.body);
    if !reach.iter().any(|target| *target.provider == **provider) {
        let message = format!("The previous response is kept by `{provider}`, which does not serve this model.");
        return Err(Error::invalid(message, "model", "previous_response_elsewhere"));
    }
    inbound.origin = Some(provider.as_str().into());
    inbound.body = wish::following(&inbound.body, &there.id)?.into();
    Ok(())
}

/// The gateway remembers, if it is asked to and can.
async fn here(server: &Server, inbound: &mut Inbound, wish: Wish) -> Result<Keeper> {
    let memory = &server.memory;
    if wish.store == Some(false) && !wish.needs_store() {
        return Ok(Keeper::Nobody);
    }
    if !memory.store.is_on() || (memory.store.is_down() && !wish.needs_store()) {
        if let Some(id) = &wish.previous {
            return Err(unknown(id));
        }
        if let Some(id) = &wish.conversation {
            return Err(not_found("Conversation", id));
        }
        if wish.needs_store() {
            let field = if wish.background { "background" } else { "store" };
            return Err(Error::invalid("This gateway stores nothing.", field, "unsupported_value"));
        }
        // Nobody keeps it, and the answer says so.
        inbound.body = wish::without_memory(&inbound.body, &[], &wish, false)?.into();
        return Ok(Keeper::Nobody);
    }
    if wish.needs_store() {
        // Before any work that would be lost.
        memory.store.ready().await?;
    }
    let owner = Arc::clone(&inbound.caller.name);
    let (history, upto) = history(server, &owner, &wish).await?;
    let mut wish = wish;
    wish.items = items::resolved(&wish.items, &history)?;
    let history: Vec<String> = history.iter().map(|item| items::said_again(&item.json)).collect();
    inbound.body = wish::without_memory(&inbound.body, &history, &wish, wish.background)?.into();
    if inbound.body.len() as u64 > server.directory.settings().body_limit {
        return Err(Error::BodyTooLarge { limit_bytes: server.directory.settings().body_limit });
    }
    inbound.estimate = (ENDPOINT.probe)(&Head { headers: &inbound.headers, id: None }, &inbound.body)?.estimate;
    let plan = Plan {
        // As whoever else speaks for this call names its answer.
        id: ENDPOINT.dialect.answer_id(inbound.id),
        owner,
        model: inbound.model.clone(),
        background: wish.background,
        must: wish.needs_store(),
        input: items::kept(&wish.items),
        previous: wish.previous,
        conversation: wish.conversation,
        upto,
    };
    let is_kept = wish.store != Some(false) || plan.conversation.is_some();
    Ok(if is_kept { Keeper::Here(plan) } else { Keeper::Nobody })
}

/// What came before, and how much of the conversation that is.
pub(super) async fn history(server: &Server, owner: &str, wish: &Wish) -> Result<(Vec<Item>, i64)> {
    let store = &server.memory.store;
    if let Some(id) = &wish.previous {
        let chain = store.chain(owner, id).await?.map_err(|missing| unknown(&missing))?;
        if let Some(turn) = chain.turns.iter().find(|turn| !turn.status.is_final()) {
            let message = format!("The previous response '{}' is not complete yet.", turn.id);
            return Err(Error::invalid(message, "previous_response_id", "previous_response_in_progress"));
        }
        return Ok((items::history(&chain), 0));
    }
    if let Some(id) = &wish.conversation {
        let conversation = store.conversation(owner, id).await?.ok_or_else(|| not_found("Conversation", id))?;
        let kept = store.items_upto(owner, id, conversation.next).await?;
        return Ok((kept, conversation.next));
    }
    Ok((Vec::new(), 0))
}

fn unknown(id: &str) -> Error {
    let id: String = id.chars().take(128).collect();
    let message = format!("Previous response with id '{id}' not found.");
    Error::invalid(message, "previous_response_id", "previous_response_not_found")
}

/// P4: encrypted reasoning goes back to its maker, and to nobody else.
pub(super) fn unseal(server: &Server, inbound: &mut Inbound) -> Result<()> {
    let Ok(text) = std::str::from_utf8(&inbound.body) else { return Ok(()) };
    let Some((plain, makers)) = ids::unseal(text) else { return Ok(()) };
    let reach = server.directory.reach(&inbound.caller, &inbound.model, inbound.pinned.as_deref(), &inbound.body);
    let serves = |maker: &&String| reach.iter().any(|target| *target.provider == ***maker);
    let wanted = |maker: &&String| inbound.origin.as_ref().is_none_or(|origin| **origin == ***maker);
    // The latest decides: what came before it has been said to it already.
    let Some(maker) = makers.iter().rev().filter(wanted).find(serves) else {
        if let Some(gone) = makers.iter().find(|maker| !server.directory.has_provider(maker)) {
            let message =
                format!("Encrypted reasoning in `input` was made by `{gone}`, which is not configured any more.");
            return Err(Error::invalid(message, "input", "reasoning_origin_gone"));
        }
        // Another model was chosen: it can read none of it.
        inbound.body = without_foreign(text, None)?.into();
        return Ok(());
    };
    inbound.body = if makers.len() == 1 { plain.into() } else { without_foreign(text, Some(maker))?.into() };
    inbound.origin = Some(maker.as_str().into());
    Ok(())
}

/// The request without the reasoning of others than `maker`.
fn without_foreign(text: &str, maker: Option<&String>) -> Result<String> {
    let mut edits = Object::parse(text.as_bytes())?.edit();
    let input: Vec<&RawValue> = match edits.object().present("input") {
        Some(input) => serde_json::from_str(input.get()).unwrap_or_default(),
        None => Vec::new(),
    };
    let mut kept = Vec::with_capacity(input.len());
    for (index, item) in input.into_iter().enumerate() {
        match ids::unseal(item.get()) {
            None => kept.push(item.get().to_owned()),
            Some((plain, makers)) if makers.iter().all(|one| Some(one) == maker) => kept.push(plain),
            Some(_) if item.get().contains("\"compaction\"") => {
                let message = "A compaction can only be read by the provider that made it.";
                return Err(Error::invalid(message, format!("input[{index}]"), "invalid_value"));
            }
            Some(_) => {}
        }
    }
    edits.set("input", super::fold::array(&kept));
    Ok(edits.apply())
}

// === the call ===

/// Makes the call and sees that its answer is kept by whoever shall keep it.
async fn call(server: Arc<Server>, prepared: Prepared) -> Result<Answer, Failure> {
    let Prepared { inbound, keeper } = prepared;
    let caller = Arc::clone(&inbound.caller);
    let Answer { notes, body } = server.front.clone().oneshot(inbound).await?;
    let maker = maker(&notes);
    let body = match keeper {
        Keeper::Nobody => match maker {
            Some(maker) => nobodys(body, maker),
            None => body,
        },
        Keeper::There => {
            let key = maker.as_ref().and_then(|maker| server.directory.id_keys(maker).first().copied());
            match maker.zip(key) {
                Some((provider, key)) => theirs(body, There { key, caller: Arc::clone(&caller.name), provider }),
                None => body,
            }
        }
        Keeper::Here(plan) => match ours(&server, body, plan, maker).await {
            Ok(body) => body,
            Err(error) => return Err(Failure { error, notes }),
        },
    };
    Ok(Answer { notes, body })
}

fn nobodys(body: AnswerBody, maker: String) -> AnswerBody {
    match body {
        AnswerBody::Whole(bytes) => {
            let text = std::str::from_utf8(&bytes).ok();
            let sealed = text.and_then(|text| ids::seal(text, &maker));
            AnswerBody::Whole(sealed.map_or(bytes, Bytes::from))
        }
        AnswerBody::Stream(stream) => AnswerBody::Stream(sealed(stream, maker)),
    }
}

fn theirs(body: AnswerBody, there: There) -> AnswerBody {
    match body {
        AnswerBody::Whole(bytes) => AnswerBody::Whole(there.body(&String::from_utf8_lossy(&bytes)).into()),
        AnswerBody::Stream(stream) => AnswerBody::Stream(there.stream(stream)),
    }
}

/// Keeps the answer. A stream's first event is taken here, so that a store that fails has a status
/// of its own.
async fn ours(server: &Server, body: AnswerBody, plan: Plan, maker: Option<String>) -> Result<AnswerBody> {
    match body {
        AnswerBody::Whole(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let sealed = maker.and_then(|maker| ids::seal(&text, &maker));
            let kept = plan.keep_whole(&server.memory, sealed.as_deref().unwrap_or(&text)).await?;
            Ok(AnswerBody::Whole(kept.into()))
        }
        AnswerBody::Stream(inner) => {
            let mut recorded = Recording::new(plan, server.memory.clone()).stream(inner, maker);
            let first = match recorded.next().await {
                Some(first) => first?,
                None => return Err(Error::BadReply { message: "The answer has no event.".into() }),
            };
            Ok(AnswerBody::Stream(Box::pin(stream::iter([Ok(first)]).chain(recorded))))
        }
    }
}

// === in the background ===

/// Answers at once; the answer itself is made by the process, whoever stays to see it.
async fn background(exchange: Exchange, server: &Arc<Server>, mut inbound: Inbound, plan: Plan) -> Response {
    let wants_stream = std::mem::replace(&mut inbound.stream, true);
    let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let object = queued(&plan, &inbound.body, created);
    // A place among those that wait, before anything is promised.
    let Ok(place) = server.memory.jobs.clone().try_reserve_owned() else {
        let message = "Too many background responses are waiting.".into();
        return exchange.refuse(Error::NoTarget { message, retry_after: None });
    };
    if let Err(error) = server.memory.store.begin(plan.begin(Status::Queued, &object)).await {
        return exchange.refuse(error);
    }
    let recording = Recording::begun(plan, server.memory.clone(), object.clone());
    let live = Arc::clone(&recording.live);
    let pending: Pending = Box::pin(server.front.clone().oneshot(inbound));
    place.send(Job { pending, recording, in_flight: server.metrics.call_begins(ENDPOINT.counted_as) });
    let body = if wants_stream { AnswerBody::Stream(live.watch(-1)) } else { AnswerBody::Whole(object.into()) };
    exchange.respond(Ok(Answer { notes: Notes::default(), body }))
}
