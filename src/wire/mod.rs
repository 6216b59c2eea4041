//! Dialects: wire formats as clients and upstreams speak them, each converted to and from the
//! canonical form, and nothing else. Pure: no clock, no socket, no environment.
//!
//! A dialect is a folder. What a vendor does differently within a dialect is `providers/`.
//!
//! [`Relay`] is the way back of a stream, one per call: either the bytes pass
//! ([`ClientDialect::relay`]) or they are decoded and encoded ([`translate::Translate`]).

pub mod anthropic;
mod arguments;
pub mod bedrock;
mod blocks;
pub mod cohere;
pub mod count;
pub mod embeddings;
mod function;
pub mod gemini;
mod ids;
pub mod json;
mod losses;
mod names;
pub mod ollama;
pub mod openai_chat;
pub mod openai_completions;
pub mod openai_responses;
mod prompted;
pub mod read;
mod results;
pub mod sealed;
pub mod signature;
mod spelled;
mod tight;
pub mod translate;
pub mod upstream_error;

use std::{
    borrow::Cow,
    collections::{HashMap, VecDeque},
    sync::{Arc, LazyLock},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use memchr::memmem::Finder;
use uuid::Uuid;

use self::json::Edits;

pub use crate::call::Tally;
use crate::{
    call::Dialect,
    error::{Error, Result, UpstreamError},
    framing::{Frame, Framing},
    ir,
};

/// The dialect as vendors speak it.
pub fn upstream(dialect: Dialect) -> &'static dyn UpstreamDialect {
    match dialect {
        Dialect::OpenAiChat => &openai_chat::OpenAiChat,
        Dialect::OpenAiCompletions => &openai_completions::OpenAiCompletions,
        Dialect::OpenAiResponses => &openai_responses::OpenAiResponses,
        Dialect::Anthropic => &anthropic::Anthropic,
        Dialect::Ollama => &ollama::Ollama,
        Dialect::Gemini => &gemini::Gemini,
        Dialect::Cohere => &cohere::Cohere,
        Dialect::BedrockConverse => &bedrock::Converse,
    }
}

/// The dialect as clients speak it; `None` where no client does.
pub fn client(dialect: Dialect) -> Option<&'static dyn ClientDialect> {
    match dialect {
        Dialect::OpenAiChat => Some(&openai_chat::OpenAiChat),
        Dialect::OpenAiCompletions => Some(&openai_completions::OpenAiCompletions),
        Dialect::OpenAiResponses => Some(&openai_responses::OpenAiResponses),
        Dialect::Anthropic => Some(&anthropic::Anthropic),
        Dialect::Gemini => Some(&gemini::Gemini),
        Dialect::Ollama | Dialect::Cohere | Dialect::BedrockConverse => None,
    }
}

/// A wire format as clients speak it.
pub trait ClientDialect: Send + Sync {
    fn dialect(&self) -> Dialect;
    /// Reads a request. Where a dialect names the model in the path, or says there whether to stream,
    /// its body has neither, and both are left empty. Anything malformed is an `Error::Invalid` that names the field; a field
    /// the canonical form has no place for goes to `ir::Request::extra`.
    fn decode(&self, body: &[u8]) -> Result<ir::Request>;
    /// Writes a whole answer.
    fn encode(&self, response: &ir::Response, asked: &Asked) -> Bytes;
    /// Writes a stream.
    fn encoder(&self, asked: Asked) -> Box<dyn StreamEncoder>;
    /// The way back of a stream whose upstream speaks this dialect too: the bytes pass.
    fn relay(&self, asked: &Asked) -> Box<dyn Relay>;
    /// The same for a whole answer: judged, counted, and otherwise passed on. A success without a
    /// usable answer is an error (rules E2, M2).
    fn pass(&self, body: &Bytes) -> Result<(Bytes, Tally)>;
    /// The body of an error response to the call of this id.
    fn error(&self, error: &Error, id: Uuid) -> Bytes;
    /// The error as the end of a stream that has begun: the error event, then whatever this
    /// dialect's clients need to stop waiting.
    fn error_frame(&self, error: &Error, id: Uuid) -> Bytes;
    /// What may be sent between two events so that nobody thinks the stream dead (rule S7).
    fn keep_alive(&self) -> Bytes;
    /// Minds the stream of the call of this id, where signs of life and errors must fit what was
    /// sent before them; otherwise they are always the same.
    fn minder(&self, id: Uuid) -> Option<Box<dyn Minder>> {
        let _ = id;
        None
    }
    /// The media type of its streams.
    fn stream_type(&self) -> &'static str {
        "text/event-stream; charset=utf-8"
    }
    /// What an upstream of this dialect must not see of a request whose bytes pass.
    fn pass_on(&self, body: &mut Edits<'_>) {
        let _ = body;
    }
    /// Who made the reasoning that a request sends back, where this dialect's clients carry that
    /// along (rule P4).
    fn made_by(&self, body: &[u8]) -> Option<Origin> {
        let _ = body;
        None
    }
    /// A lost field, named by its encoder as OpenAI's chat has it, in the words of this dialect's requests.
    fn spelled<'a>(&self, field: &'a str) -> Cow<'a, str> {
        field.into()
    }
    /// Whether an answer can show this image.
    fn shows_image(&self, source: &ir::Source) -> bool {
        matches!(source, ir::Source::Url(_) | ir::Source::Base64 { .. })
    }
    /// An id for an answer that came without one.
    fn answer_id(&self, call: Uuid) -> String;
}

/// The same format as vendors speak it.
pub trait UpstreamDialect: Send + Sync {
    /// Writes a request for `facts`' model. What it cannot carry is named in `Encoded::losses`.
    fn encode(&self, request: &ir::Request, facts: &Facts<'_>) -> Result<Encoded>;
    /// Reads a whole answer. A success without a usable body is `Error::BadReply`, an error object
    /// under a success status is `Error::Upstream` (rules E2, M2).
    fn decode(&self, body: &[u8], memo: &Memo) -> Result<ir::Response>;
    fn decoder(&self, memo: Memo) -> Box<dyn StreamDecoder>;
    /// How its streams are cut into the frames that `decoder` and `accepts` take.
    fn framing(&self) -> Framing {
        Framing::Sse
    }
    /// Reads an error response. Never fails: whatever the body is, there is a sentence to say.
    fn error(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> UpstreamError;
    /// Whether the reasoning of a turn with tool calls must come back, signatures and all, when the
    /// turn is replayed (rule R1).
    fn wants_reasoning_back(&self) -> bool {
        false
    }
    /// Whether the error is that a proof of reasoning came back which is none of this model's, so that
    /// the request may be asked once more without any (rule R2).
    fn refuses_proof(&self, error: &UpstreamError) -> bool {
        let _ = error;
        false
    }
    /// Judges a frame while the response head is still held: `Ok(true)` proves that the upstream
    /// has accepted the request, `Ok(false)` is a ping or the like, and an error event, or an end
    /// without a single event, is an error (rules E1, E2).
    fn accepts(&self, frame: &Frame) -> Result<bool>;
    /// Judges a whole answer while it can still be tried again: an error object under a success
    /// status, or a body that is no answer, is an error (rules E2, M2). A body that holds the word
    /// nowhere has no error object and is left to `decode`.
    fn accepts_whole(&self, body: &[u8]) -> Result<()> {
        let is_object = body.trim_ascii_start().starts_with(b"{");
        if is_object && ERROR.find(body).is_none() {
            return Ok(());
        }
        self.decode(body, &Memo::default()).map(drop)
    }
    /// The same for a body that is no model's answer, such as embeddings.
    fn accepts_document(&self, body: &[u8]) -> Result<()> {
        let object = json::Object::parse(body)
            .map_err(|_| Error::BadReply { message: "The upstream's answer is no JSON object.".into() })?;
        match object.present("error") {
            // What the dialect reads out of it is the error; an answer that it takes for whole is none.
            Some(_) => self.decode(body, &Memo::default()).map(drop),
            None => Ok(()),
        }
    }
}

/// Made once, for [`UpstreamDialect::accepts_whole`].
static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"error\""));

/// Reads a stream, frame by frame.
pub trait StreamDecoder: Send {
    /// An unknown event is skipped; a broken known one or an error event is an error.
    fn frame(&mut self, frame: &Frame, out: &mut Vec<ir::Event>) -> Result<()>;
    /// The upstream's bytes have ended. `Error::Interrupted` when no terminal event had come.
    fn finish(&mut self, out: &mut Vec<ir::Event>) -> Result<()>;
    /// Whether the terminal frame has passed, so that nothing more needs to be read.
    fn is_done(&self) -> bool {
        false
    }
}

/// Writes a stream, event by event.
pub trait StreamEncoder: Send {
    fn event(&mut self, event: &ir::Event, out: &mut BytesMut);
    /// The stream has ended well: whatever was held back, and the terminal event.
    fn finish(&mut self, out: &mut BytesMut);
}

/// Stands between one stream and its client, for what is not the answer's own: signs of life and the
/// end that failed. It sees all that is sent, because some dialects number their events.
pub trait Minder: Send {
    /// Whole events on their way to the client; what comes back is sent.
    fn sends(&mut self, bytes: Bytes) -> Bytes;
    /// As [`ClientDialect::keep_alive`].
    fn keep_alive(&mut self) -> Bytes;
    /// As [`ClientDialect::error_frame`].
    fn error_frame(&mut self, error: &Error) -> Bytes;
    /// The answer has ended well: what is still to be sent, once. Nothing, when asked again.
    fn ends(&mut self) -> Bytes {
        Bytes::new()
    }
}

/// Turns an upstream's frames into the client's bytes.
pub trait Relay: Send {
    /// Takes one frame and pushes what the client shall get for it: nothing, or whole events.
    /// An error is the stream's end; what was pushed before it is still to be sent.
    fn frame(&mut self, frame: Frame, out: &mut VecDeque<Bytes>) -> Result<()>;
    /// The upstream's bytes have ended. `Error::Interrupted` when the answer was not complete.
    fn finish(&mut self, out: &mut VecDeque<Bytes>) -> Result<()>;
    /// Whether the terminal event has passed, so that nothing more needs to be read.
    fn is_done(&self) -> bool;
    fn tally(&self) -> &Tally;
}

/// What the answer's encoder must know of the question.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The model as the client named it; the answer says it back.
    pub model: String,
    /// A usage chunk was asked for.
    pub include_usage: bool,
    /// Stands in for an id, when the upstream gives none, or one of another dialect's form.
    pub id: String,
    /// Unix seconds, when the upstream gives none.
    pub created: u64,
    /// How many tokens the prompt may have, for a dialect that tells before it knows.
    pub prompt_estimate: u64,
    /// The question was put in the older words ([`ir::Request::legacy_functions`]).
    pub legacy_functions: bool,
    /// The question as it was put, for dialects whose answers say it back.
    pub request: Bytes,
    /// `provider/model` of who answers.
    pub target: Arc<str>,
}

// === impl Asked ===

impl Asked {
    /// The id of an answer that its upstream gave this one: clients and their tools tell by its form
    /// what it is of (`msg_...`, `chatcmpl-...`), so one of another dialect's form is not shown to them.
    pub fn name_of<'a>(&'a self, given: &'a str) -> &'a str {
        let form = self.id.find(['-', '_']).and_then(|end| self.id.get(..=end)).unwrap_or_default();
        let is_ours = given.len() > form.len() && given.starts_with(form);
        if is_ours { given } else { &self.id }
    }
}

/// Who made what a client carries along for its maker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// `provider/model`.
    pub target: String,
    /// The model as the client named it.
    pub model: String,
}

/// What an upstream dialect may know of the model it writes for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts<'a> {
    /// The upstream's own id.
    pub model: &'a str,
    pub stream: bool,
    /// The model's largest `max_tokens`, where known (rule A6).
    pub max_output_tokens: Option<u64>,
    pub host: Host,
    /// It takes its dialect's own fields only, and refuses the ones that other vendors share.
    pub is_bare: bool,
    /// It has custom tools in chat completions, and not functions only.
    pub has_custom_tools: bool,
}

/// Who serves a dialect, where that makes a difference to what is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Host {
    /// The vendor whose dialect it is.
    #[default]
    Vendor,
    /// A cloud that has the vendor's models.
    Cloud,
}

/// A request on the wire.
#[derive(Debug, Default)]
pub struct Encoded {
    pub body: Bytes,
    /// Headers the dialect itself asks for (version, beta flags).
    pub headers: HeaderMap,
    pub memo: Memo,
    pub losses: Vec<Loss>,
}

/// A field that could not be carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// As the client spelled it, or as a chat has it ([`ClientDialect::spelled`]).
    pub field: String,
    pub weight: Weight,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// The answer would mean something else: refused with 400 naming the field.
    Meaning,
    /// A hint: dropped and reported, or refused in strict mode.
    Hint,
}

/// What the answer must remember of the request.
#[derive(Debug, Clone, Default)]
pub struct Memo {
    /// Tool names changed for the wire, as wire name to the client's name (rule T7).
    pub tool_names: HashMap<String, String>,
    /// JSON output is emulated by this tool; its arguments are the content (rule J1).
    pub output_tool: Option<String>,
    /// The custom tools, whose calls carry text and not JSON.
    pub custom_tools: Vec<String>,
    /// The upstream leaves reasoning in the text, between tags (rule R4).
    pub think_tags: bool,
}

// === impl Memo ===

impl Memo {
    /// The kind of a tool, by the client's name for it.
    pub fn kind_of(&self, name: &str) -> ir::ToolKind {
        if self.custom_tools.iter().any(|custom| custom == name) {
            ir::ToolKind::Custom
        } else {
            ir::ToolKind::Function
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answers_id_has_the_form_of_its_clients_dialect() {
        for (dialect, theirs, foreign) in [
            (Dialect::OpenAiChat, "chatcmpl-A", "msg_A"),
            (Dialect::OpenAiCompletions, "cmpl-A", "chatcmpl-A"),
            (Dialect::OpenAiResponses, "resp_A", "chatcmpl-A"),
            (Dialect::Anthropic, "msg_A", "gen-A"),
        ] {
            let asked = Asked { id: client(dialect).unwrap().answer_id(Uuid::nil()), ..Asked::default() };
            assert_eq!(asked.name_of(theirs), theirs);
            for given in [foreign, "", "A", theirs.trim_end_matches('A')] {
                assert_eq!(asked.name_of(given), asked.id, "{dialect:?} {given}");
            }
        }
    }
}
