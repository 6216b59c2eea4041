//! An answer on its way into the store, event by event.
//!
//! What a client has seen is kept (the promise of the store): the response is there before its first
//! event goes out, and whole before its last one does. In between, events are written in the
//! background, a few at a time; what a crash takes of them is lost to resumption only.
//!
//! The events stay as they are, except for what only the gateway knows: the response's id, what it
//! follows, and that it is kept.

use std::{sync::Arc, time::Duration};

use async_stream::stream;
use bytes::Bytes;
use serde_json::{Value, json, value::RawValue};
use tokio::time::{Instant, timeout};

use super::{
    fold::{Event, Fold, Why, array, failed},
    ids, items,
    live::Live,
    memory::Memory,
    passing::{Events, last_event, written},
};
use crate::{
    call::ByteStream,
    error::{Error, Result},
    framing::Frame,
    server::Lifecycle,
    store::{Append, Begin, Chunk, Finish, Item, Status},
    wire::json::Object,
};

/// Events wait for so long, or until there are so many bytes of them.
const EVERY: Duration = Duration::from_millis(250);
const CHUNK: usize = 64 * 1024;

/// What is kept of a call, whatever its answer will be.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub id: String,
    pub owner: Arc<str>,
    pub model: String,
    pub background: bool,
    pub previous: Option<String>,
    pub conversation: Option<String>,
    /// How much of the conversation it has read.
    pub upto: i64,
    /// The items this turn brought, as they are kept.
    pub input: Vec<Item>,
    /// The call fails if it cannot be kept.
    pub must: bool,
}

/// A plan that is being carried out. Dropped before its end, the response is kept as cancelled.
#[derive(Debug)]
pub(super) struct Recording {
    plan: Plan,
    memory: Memory,
    pub live: Arc<Live>,
    /// Whose bytes these are, if they are a target's own.
    maker: Option<String>,
    stage: Stage,
    fold: Fold,
    /// The response object as it was told last.
    response: String,
    /// The sequence number of the next event.
    next: i64,
    /// How many events of ours stand before those to come.
    inserted: i64,
    chunk: Option<Chunk>,
    /// When events were written last. The first is written at once.
    written: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing has been told yet.
    New,
    /// The store has it.
    Open,
    /// It has ended, or is not kept after all.
    Over,
}

// === impl Plan ===

impl Plan {
    /// A response object with what only the gateway knows.
    pub(super) fn dress(&self, response: &str, stored: bool) -> String {
        let Ok(object) = Object::parse_str(response) else { return response.to_owned() };
        let mut edits = object.edit();
        edits.set("id", json!(self.id).to_string());
        edits.set("previous_response_id", json!(self.previous).to_string());
        edits.set("store", stored.to_string());
        edits.set("background", self.background.to_string());
        if let Some(conversation) = &self.conversation {
            edits.set("conversation", json!({ "id": conversation }).to_string());
        }
        edits.apply()
    }

    pub(super) fn begin(&self, status: Status, response: &str) -> Begin {
        Begin {
            id: self.id.clone(),
            owner: self.owner.to_string(),
            model: self.model.clone(),
            status,
            background: self.background,
            previous: self.previous.clone(),
            conversation: self.conversation.clone(),
            upto: self.upto,
            input: array(&self.input.iter().map(|item| item.json.as_str()).collect::<Vec<_>>()),
            response: response.to_owned(),
            append: None,
        }
    }

    /// What this turn adds to its conversation.
    fn append(&self, status: Status, response: &str) -> Option<Append> {
        let conversation = self.conversation.clone()?;
        let is_said = match status {
            Status::Completed | Status::Incomplete => true,
            Status::Queued | Status::InProgress | Status::Failed | Status::Cancelled => false,
        };
        is_said.then(|| {
            let items = self.input.iter().cloned().chain(items::kept(&items::output(response))).collect();
            Append { owner: self.owner.to_string(), conversation, items }
        })
    }

    /// Keeps a whole answer, and tells it as it is kept.
    pub(super) async fn keep_whole(&self, memory: &Memory, body: &str) -> Result<String> {
        let dressed = self.dress(body, true);
        let status = status_of(&dressed).unwrap_or(Status::Completed);
        let begin = Begin { append: self.append(status, &dressed), ..self.begin(status, &dressed) };
        match memory.store.begin(begin).await {
            Ok(()) => Ok(dressed),
            Err(error) if self.must => Err(error),
            Err(_) => Ok(self.dress(body, false)),
        }
    }
}

fn status_of(response: &str) -> Option<Status> {
    let object = Object::parse_str(response).ok()?;
    Status::parse(object.get("status")?.get().trim_matches('"'))
}

// === impl Recording ===

impl Recording {
    pub(super) fn new(plan: Plan, memory: Memory) -> Self {
        let live = Live::new(plan.background);
        memory.live.insert(&plan.id, &live);
        Self {
            plan,
            memory,
            live,
            maker: None,
            stage: Stage::New,
            fold: Fold::default(),
            response: "{}".into(),
            next: 0,
            inserted: 0,
            chunk: None,
            written: None,
        }
    }

    /// The same for a response that the store has already, as it was told there.
    pub(super) fn begun(plan: Plan, memory: Memory, response: String) -> Self {
        let mut recording = Self::new(plan, memory);
        (recording.stage, recording.response) = (Stage::Open, response);
        recording
    }

    pub(super) fn lifecycle(&self) -> Lifecycle {
        self.memory.lifecycle.clone()
    }

    /// Records a stream as it passes. `maker` is the target's provider when the bytes are its own.
    pub(super) fn stream(mut self, inner: ByteStream, maker: Option<String>) -> ByteStream {
        self.maker = maker;
        let mut events = Events::new(inner);
        Box::pin(stream! {
            while let Some(event) = self.next(&mut events).await {
                let taken = match event {
                    Ok(Some(frame)) => self.take(&frame).await,
                    Ok(None) => Ok(self.still_here()),
                    Err(error) => {
                        self.fail(&error).await;
                        Err(error)
                    }
                };
                let is_last = taken.is_err();
                yield taken;
                if is_last {
                    return;
                }
            }
            if let Err(error) = self.ended().await {
                yield Err(error);
            }
        })
    }

    /// Records a stream for nobody but the store and those who watch.
    pub(super) async fn follow(&mut self, inner: ByteStream, maker: Option<String>) -> Result<()> {
        self.maker = maker;
        let mut events = Events::new(inner);
        while let Some(event) = self.next(&mut events).await {
            match event? {
                Some(frame) => _ = self.take(&frame).await?,
                None => _ = self.still_here(),
            }
        }
        self.ended().await
    }

    /// The next event; `None` in its place when there was silence for so long that whoever listens
    /// should be told that this goes on (rule S6). Not before the first event: until then there is
    /// nothing to say.
    async fn next(&self, events: &mut Events) -> Option<Result<Option<Frame>>> {
        let silence = self.memory.silence;
        if self.next == 0 {
            return events.next().await.map(|event| event.map(Some));
        }
        match timeout(silence, events.next()).await {
            Ok(event) => event.map(|event| event.map(Some)),
            Err(_) => Some(Ok(None)),
        }
    }

    /// A sign of life: an event like any other, numbered and kept, so that a number always means the
    /// same event, whoever watches and whenever.
    fn still_here(&mut self) -> Bytes {
        let number = self.next;
        self.next += 1;
        self.inserted += 1;
        let bytes = last_event("response.in_progress", number, &self.response);
        self.live.push(number, &bytes);
        self.log(number, &bytes);
        bytes
    }

    /// A stream that said nothing final has broken off.
    async fn ended(&mut self) -> Result<()> {
        if self.stage != Stage::Open {
            return Ok(());
        }
        let error = Error::Interrupted { message: "The answer ended without its last event.".into() };
        self.fail(&error).await;
        Err(error)
    }

    /// Takes one event: keeps what has to be kept, and gives back what the client gets.
    async fn take(&mut self, frame: &Frame) -> Result<Bytes> {
        let Some(event) = Event::parse(&frame.data) else { return Ok(written(None, &frame.data)) };
        // Numbers rise, whatever the upstream counts: a stream is taken up again by them (rule P1).
        let number = event.sequence_number.map_or(self.next, |number| (number + self.inserted).max(self.next));
        self.next = number + 1;
        self.fold.take(&event);
        let end = event.end();
        if let Some(response) = event.response {
            self.response = self.dressed(response, end);
        }
        if self.stage == Stage::New {
            self.open().await?;
        } else if number == 0 && self.plan.background && event.response.is_some() {
            self.memory.store.progress(&self.plan.id, self.response.clone());
        }
        let mut bytes = self.rewritten(&event, &frame.data, number);
        match end {
            Some(status) => {
                if !self.end(status, number, &bytes).await {
                    // Told, but not kept: the client shall know.
                    self.response = self.plan.dress(&self.response, false);
                    bytes = self.rewritten(&event, &frame.data, number);
                }
                self.live.push(number, &bytes);
                self.close();
            }
            None => {
                self.live.push(number, &bytes);
                self.log(number, &bytes);
            }
        }
        Ok(bytes)
    }

    /// The response object of an event, as the client shall see it.
    fn dressed(&self, response: &RawValue, end: Option<Status>) -> String {
        let mut text = response.get().to_owned();
        if let Some(maker) = &self.maker {
            text = ids::seal(&text, maker).unwrap_or(text);
        }
        let dressed = self.plan.dress(&text, self.stage != Stage::Over);
        // Some leave it to the reader to gather the items.
        if end.is_some() && items::output(&dressed).is_empty() && !self.fold.is_empty() {
            let Ok(object) = Object::parse_str(&dressed) else { return dressed };
            let mut edits = object.edit();
            edits.set("output", array(&self.fold.output()));
            return edits.apply();
        }
        dressed
    }

    /// The event as it goes out.
    fn rewritten(&self, event: &Event<'_>, data: &[u8], number: i64) -> Bytes {
        let text = String::from_utf8_lossy(data);
        let sealed = self.maker.as_ref().and_then(|maker| ids::seal(&text, maker));
        let text = sealed.as_deref().unwrap_or(&text);
        let is_numbered = event.sequence_number == Some(number);
        if event.response.is_none() && is_numbered {
            return written(Some(&event.kind), text.as_bytes());
        }
        let Ok(object) = Object::parse_str(text) else { return written(Some(&event.kind), text.as_bytes()) };
        let mut edits = object.edit();
        if event.response.is_some() {
            edits.set("response", self.response.clone());
        }
        if !is_numbered {
            edits.set("sequence_number", number.to_string());
        }
        written(Some(&event.kind), edits.apply().as_bytes())
    }

    /// Gives the response to the store, before anybody hears of it.
    async fn open(&mut self) -> Result<()> {
        match self.memory.store.begin(self.plan.begin(Status::InProgress, &self.response)).await {
            Ok(()) => {
                self.stage = Stage::Open;
                Ok(())
            }
            Err(error) if self.plan.must => Err(error),
            Err(_) => {
                self.stage = Stage::Over;
                self.response = self.plan.dress(&self.response, false);
                Ok(())
            }
        }
    }

    fn log(&mut self, number: i64, bytes: &Bytes) {
        if self.stage != Stage::Open {
            return;
        }
        let text = String::from_utf8_lossy(bytes);
        match &mut self.chunk {
            Some(chunk) => {
                chunk.last = number;
                chunk.data.push_str(&text);
            }
            None => self.chunk = Some(Chunk { first: number, last: number, data: text.into_owned() }),
        }
        let is_due = self.chunk.as_ref().is_some_and(|chunk| chunk.data.len() >= CHUNK);
        if is_due || self.written.is_none_or(|at| at.elapsed() >= EVERY) {
            self.written = Some(Instant::now());
            if let Some(chunk) = self.chunk.take() {
                self.memory.store.log(&self.plan.id, chunk);
            }
        }
    }

    fn finished(&mut self, status: Status) -> Finish {
        Finish {
            id: self.plan.id.clone(),
            status,
            response: self.response.clone(),
            events: self.chunk.take(),
            append: self.plan.append(status, &self.response),
        }
    }

    /// Keeps the whole answer. Whether it is kept.
    async fn end(&mut self, status: Status, number: i64, bytes: &Bytes) -> bool {
        if self.stage != Stage::Open {
            return true;
        }
        self.log(number, bytes);
        self.stage = Stage::Over;
        let finish = self.finished(status);
        self.memory.store.finish(finish).await.is_ok()
    }

    /// Ends it as failed, with what came until then.
    pub(super) async fn fail(&mut self, error: &Error) {
        self.response = failed(&self.fold, &self.response, error);
        self.end_as(Status::Failed, "response.failed").await;
    }

    /// Ends it because somebody asked for that.
    pub(super) async fn cancel(&mut self) {
        self.response = self.fold.close(&self.response, Status::Cancelled, Why::Nothing);
        self.end_as(Status::Cancelled, "response.cancelled").await;
    }

    /// Ends it because the process does.
    pub(super) async fn interrupt(&mut self) {
        self.response = self.fold.close(&self.response, Status::Incomplete, Why::Reason(SHUTDOWN));
        self.end_as(Status::Incomplete, "response.incomplete").await;
    }

    async fn end_as(&mut self, status: Status, kind: &str) {
        if self.stage == Stage::Open {
            let number = self.next;
            let bytes = last_event(kind, number, &self.response);
            self.end(status, number, &bytes).await;
            self.live.push(number, &bytes);
        }
        self.close();
    }

    fn close(&mut self) {
        self.stage = Stage::Over;
        self.memory.live.remove(&self.plan.id);
        self.live.end();
    }
}

/// Why an answer ends when its gateway does.
const SHUTDOWN: &str = "gateway_shutdown";

impl Drop for Recording {
    fn drop(&mut self) {
        if self.stage == Stage::Open {
            let (status, why) = if self.memory.lifecycle.is_draining() {
                (Status::Incomplete, Why::Reason(SHUTDOWN))
            } else {
                (Status::Cancelled, Why::Nothing)
            };
            self.response = self.fold.close(&self.response, status, why);
            let finish = self.finished(status);
            self.memory.store.finish_later(finish);
        }
        self.close();
    }
}

/// The object of a response that has not begun, from what was asked for.
pub(super) fn queued(plan: &Plan, body: &[u8], created: u64) -> String {
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let or = |name: &str, default: Value| match asked.get(name) {
        None | Some(Value::Null) => default,
        Some(value) => value.clone(),
    };
    let mut object = json!({
        "id": plan.id, "object": "response", "created_at": created, "completed_at": null, "status": "queued",
        "background": true, "error": null, "incomplete_details": null,
        "instructions": or("instructions", Value::Null), "max_output_tokens": or("max_output_tokens", Value::Null),
        "max_tool_calls": or("max_tool_calls", Value::Null), "model": plan.model, "output": [],
        "parallel_tool_calls": or("parallel_tool_calls", true.into()), "previous_response_id": plan.previous,
        "presence_penalty": 0.0, "frequency_penalty": 0.0, "prompt_cache_key": or("prompt_cache_key", Value::Null),
        "reasoning": or("reasoning", json!({"effort": null, "summary": null})),
        "safety_identifier": or("safety_identifier", Value::Null), "service_tier": or("service_tier", "auto".into()),
        "store": true, "temperature": or("temperature", 1.0.into()),
        "text": or("text", json!({"format": {"type": "text"}})), "tool_choice": or("tool_choice", "auto".into()),
        "tools": or("tools", json!([])), "top_logprobs": or("top_logprobs", 0.into()),
        "top_p": or("top_p", 1.0.into()), "truncation": or("truncation", "disabled".into()), "usage": null,
        "user": or("user", Value::Null), "metadata": or("metadata", json!({})),
    });
    if let (Some(conversation), Some(members)) = (&plan.conversation, object.as_object_mut()) {
        members.insert("conversation".into(), json!({ "id": conversation }));
    }
    object.to_string()
}
