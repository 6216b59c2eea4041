//! What may be asked of a response afterwards: itself, its stream, its items, its end.
//!
//! Source: "Get a model response", "Delete a model response", "Cancel a response" and "List input
//! items" (OpenAI's API reference, read November 2026). A stream may be taken up again after any
//! event, as the guide "Background mode" has it; here that holds for every stored stream, also for
//! one without `background`, which however ends when its client leaves.

use std::{sync::Arc, time::Duration};

use async_stream::try_stream;
use axum::{
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use http::{HeaderMap, Method, request::Parts};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};
use tower::ServiceExt;
use uuid::Uuid;

use super::{
    ENDPOINT,
    fold::Event,
    ids::{self, Place},
    include::Include,
    items::{self, identified, output},
    not_found,
    page::{Query, list, page_of},
    passing::{There, last_event, last_kind},
    refuse_upgrade,
};
use crate::{
    call::{Answer, AnswerBody, ByteStream, Caller, Errand, Failure, Notes},
    dialect::Dialect,
    error::{Error, Result},
    framing::{DEFAULT_MAX_FRAME_BYTES, Framing},
    server::{
        Server, auth,
        endpoints::{PlaceResult, caller, exchange::Exchange, place},
    },
    store::{Item, Status, Store, Stored},
};

/// How often a stream that another process makes is looked at.
const LOOK: Duration = Duration::from_millis(300);
/// How long a cancellation waits for the answer to end.
const STOPPING: Duration = Duration::from_secs(2);

/// `GET /v1/responses`: nothing but a refused WebSocket.
pub(in crate::server) async fn upgrade(State(server): State<Arc<Server>>, request: Request) -> Response {
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let exchange = Exchange::begin(&ENDPOINT, server, request.headers());
    let refused = refuse_upgrade(request.headers());
    exchange.respond(Err(refused.err().unwrap_or(Error::MethodNotAllowed { method, path }).into()))
}

/// `GET /v1/responses/{id}`.
pub(in crate::server) async fn get(
    State(server): State<Arc<Server>>,
    found: PlaceResult,
    request: Request,
) -> Response {
    asked(server, found, request, Asked::Get).await
}

/// `DELETE /v1/responses/{id}`.
pub(in crate::server) async fn delete(
    State(server): State<Arc<Server>>,
    found: PlaceResult,
    request: Request,
) -> Response {
    asked(server, found, request, Asked::Delete).await
}

/// `POST /v1/responses/{id}/cancel`.
pub(in crate::server) async fn cancel(
    State(server): State<Arc<Server>>,
    found: PlaceResult,
    request: Request,
) -> Response {
    asked(server, found, request, Asked::Cancel).await
}

/// `GET /v1/responses/{id}/input_items`.
pub(in crate::server) async fn input_items(
    State(server): State<Arc<Server>>,
    found: PlaceResult,
    request: Request,
) -> Response {
    asked(server, found, request, Asked::Items).await
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Get,
    Delete,
    Cancel,
    Items,
}

/// A question, once it is clear who asks about what.
struct Question {
    asked: Asked,
    caller: Arc<Caller>,
    id: String,
    query: Query,
    /// As it was written, for whoever else reads it.
    raw_query: Option<String>,
    call: Uuid,
    /// The client's, without the key to the gateway.
    headers: HeaderMap,
}

async fn asked(server: Arc<Server>, found: PlaceResult, request: Request, asked: Asked) -> Response {
    let exchange = Exchange::begin(&ENDPOINT, Arc::clone(&server), request.headers());
    let (mut parts, _) = request.into_parts();
    let question = read(&server, found, &parts, asked, exchange.id()).map(|question| {
        let key_header = auth::presented(&parts.headers).map(|presented| presented.header);
        exchange.tidy(&mut parts.headers, key_header);
        Question { headers: parts.headers, ..question }
    });
    let answer = match question {
        Ok(question) => answer(&server, &question).await,
        Err(error) => Err(error.into()),
    };
    exchange.respond(answer)
}

fn read(server: &Server, found: PlaceResult, parts: &Parts, asked: Asked, call: Uuid) -> Result<Question> {
    let place = place(server, found, &parts.method, parts.uri.path())?;
    let caller = caller(server, &parts.headers)?;
    let id = place.id.unwrap_or_default();
    let raw_query = parts.uri.query().map(Into::into);
    Ok(Question {
        asked,
        caller,
        id,
        query: Query::parse(parts.uri.query()),
        raw_query,
        call,
        headers: HeaderMap::new(),
    })
}

async fn answer(server: &Server, question: &Question) -> Result<Answer, Failure> {
    match ids::place(&question.id) {
        Place::There(there) => elsewhere(server, question, &there).await,
        Place::Here => Ok(Answer { notes: Notes::default(), body: here(server, question).await? }),
    }
}

// === what an upstream keeps ===

async fn elsewhere(server: &Server, question: &Question, there: &ids::There) -> Result<Answer, Failure> {
    let provider = &there.provider;
    if !server.directory.has_provider(provider) {
        let message = format!("This response is kept by `{provider}`, which is not configured any more.");
        return Err(Error::NotFound { message }.into());
    }
    let keys = server.directory.id_keys(provider);
    let key = keys.first().filter(|_| there.is_for(&question.caller.name, &keys));
    let Some(key) = key else { return Err(not_found("Response", &question.id).into()) };
    let (method, below) = match question.asked {
        Asked::Get => (Method::GET, ""),
        Asked::Delete => (Method::DELETE, ""),
        Asked::Cancel => (Method::POST, "/cancel"),
        Asked::Items => (Method::GET, "/input_items"),
    };
    let errand = Errand {
        id: question.call,
        provider: provider.as_str().into(),
        dialect: Dialect::OpenAiResponses,
        method,
        path: format!("/{}{below}", there.id),
        query: question.raw_query.clone(),
        headers: question.headers.clone(),
        stream: question.asked == Asked::Get && question.query.flag("stream")?,
    };
    let Answer { notes, body } = server.errands.clone().oneshot(errand).await?;
    let wrap = There { key: *key, caller: Arc::clone(&question.caller.name), provider: provider.clone() };
    let body = match body {
        AnswerBody::Whole(bytes) => AnswerBody::Whole(wrap.body(&String::from_utf8_lossy(&bytes)).into()),
        AnswerBody::Stream(stream) => AnswerBody::Stream(wrap.stream(stream)),
    };
    Ok(Answer { notes, body })
}

// === what is kept here ===

async fn here(server: &Server, question: &Question) -> Result<AnswerBody> {
    let (store, owner, id) = (&server.memory.store, &*question.caller.name, &question.id);
    let none = || not_found("Response", id);
    if !store.is_on() {
        return Err(none());
    }
    let stored = store.response(owner, id).await?.ok_or_else(none)?;
    let include = Include::read(&question.query)?;
    match question.asked {
        Asked::Get if question.query.flag("stream")? => {
            let after = question.query.number("starting_after")?.unwrap_or(-1);
            replay(server, stored, after).await.map(AnswerBody::Stream)
        }
        Asked::Get => Ok(whole(stored.response)),
        Asked::Delete => {
            store.delete(owner, id).await?;
            if let Some(live) = server.memory.live.get(id) {
                live.stop.cancel();
            }
            Ok(whole(json!({"id": id, "object": "response", "deleted": true}).to_string()))
        }
        Asked::Cancel => stop(server, stored).await.map(whole),
        Asked::Items => {
            let page = question.query.page()?;
            let read = input(store, &stored).await?;
            let listed = page_of(read, &page).ok_or_else(|| not_found("Item", page.after.as_deref().unwrap_or("")))?;
            Ok(whole(list(&include.page(listed))))
        }
    }
}

/// All that a response has read, what it builds on included; its own items alone where some of that is
/// forgotten.
async fn input(store: &Store, stored: &Stored) -> Result<Vec<Item>> {
    if let Ok(chain) = store.chain(&stored.owner, &stored.id).await? {
        return Ok(items::read(chain));
    }
    let own = output(&format!(r#"{{"output":{}}}"#, stored.input));
    Ok(own.iter().map(|item| identified(item)).collect())
}

fn whole(text: String) -> AnswerBody {
    AnswerBody::Whole(text.into())
}

/// Stops a background response, wherever it is made, and gives what became of it.
async fn stop(server: &Server, stored: Stored) -> Result<String> {
    let store = &server.memory.store;
    if !stored.background {
        let message = "Only background responses can be cancelled; closing the connection ends any other.";
        return Err(Error::Invalid { message: message.into(), param: None, code: None });
    }
    if stored.status.is_final() {
        return Ok(stored.response);
    }
    match server.memory.live.get(&stored.id) {
        Some(live) => live.stop.cancel(),
        None => _ = store.stop(&stored.owner, &stored.id).await?,
    }
    let ended = async {
        loop {
            let now = store.response(&stored.owner, &stored.id).await?;
            match now {
                Some(now) if !now.status.is_final() => sleep(Duration::from_millis(20)).await,
                Some(now) => return Ok(now.response),
                None => return Err(not_found("Response", &stored.id)),
            }
        }
    };
    match timeout(STOPPING, ended).await {
        Ok(ended) => ended,
        // Its maker has been told; the object says that it has not ended yet.
        Err(_) => Ok(stored.response),
    }
}

/// The events of a response after the one of a number, to its end.
async fn replay(server: &Server, stored: Stored, after: i64) -> Result<ByteStream> {
    if let Some(live) = server.memory.live.get(&stored.id) {
        return Ok(live.watch(after));
    }
    let store = server.memory.store.clone();
    // Whatever broke off was a stream, for what does not stream is kept only when it is whole.
    let may_be_whole = !stored.background && matches!(stored.status, Status::Completed | Status::Incomplete);
    if may_be_whole && store.events(&stored.id, -1).await?.is_empty() {
        let message = "This response cannot be streamed: it was not created with `stream`.";
        return Err(Error::invalid(message, "stream", "invalid_value"));
    }
    Ok(from_store(store, stored, after))
}

/// The events that the store has, and those it will have while another process makes the answer.
fn from_store(store: Store, stored: Stored, after: i64) -> ByteStream {
    Box::pin(try_stream! {
        let Stored { id, owner, .. } = stored;
        let (mut read, mut is_over) = (after, false);
        let mut heard = Instant::now();
        loop {
            // First whether it has ended, then what it said: the other way round the end would be lost.
            let now = store.response(&owner, &id).await?.ok_or_else(|| not_found("Response", &id))?;
            loop {
                let chunks = store.events(&id, read).await?;
                let Some(last) = chunks.last().map(|chunk| chunk.last) else { break };
                for (number, event, is_last) in chunks.iter().flat_map(|chunk| cut(&chunk.data)) {
                    if number > read {
                        is_over |= is_last;
                        yield event;
                    }
                }
                read = read.max(last);
                heard = Instant::now();
            }
            if is_over {
                return;
            }
            if now.status.is_final() {
                // Its maker died, or could not say it.
                yield last_event(last_kind(now.status), read + 1, &now.response);
                return;
            }
            sleep(if heard.elapsed() < LOOK { LOOK / 3 } else { LOOK }).await;
        }
    })
}

/// The events of a text, each with its number, and whether it is the last one.
fn cut(data: &str) -> Vec<(i64, Bytes, bool)> {
    let mut framer = Framing::Sse.framer(DEFAULT_MAX_FRAME_BYTES);
    framer.push(Bytes::copy_from_slice(data.as_bytes()));
    let mut events = Vec::new();
    while let Some(Ok(frame)) = framer.next() {
        let Some(event) = Event::parse(&frame.data) else { continue };
        let text = [b"event: ", event.kind.as_bytes(), b"\ndata: ", &*frame.data, b"\n\n"].concat();
        events.push((event.sequence_number.unwrap_or(i64::MAX), text.into(), event.end().is_some()));
    }
    events
}
