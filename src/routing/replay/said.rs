//! Reasoning that a vendor signs nothing of, and wants back all the same, as a text (rule R3).
//!
//! A chat says it in `reasoning_content`, which most clients drop. It is put back into the very words
//! of the request, so that bytes may pass on both ways: into each turn that called tools and lacks it, for
//! some models also into those that follow before the next question, and into no other place. What is not
//! known stays as it is; a vendor's own rules say what then.
//!
//! A turn is found by its calls. Some vendors count them (`functions.search:0`), so that an id says nothing
//! of whose it is, and an answer has none: those are known by the conversation before them as well, to the
//! byte. Nobody finds what was thought of another's.
//!
//! Cost, for models that want it and no others: per request a hash of its messages and a parse of the
//! turns that lack their reasoning; per answer that passes a parse of its own, event by event.

use std::{
    collections::{VecDeque, hash_map::RandomState},
    fmt,
    hash::{BuildHasher, Hasher},
    sync::{Arc, LazyLock, PoisonError},
};

use bytes::Bytes;
use tokio::time::Instant;

use super::{Form, Memory, Owner, Piece, Remembering, Replay, Turn};
use crate::{
    error::Result,
    framing::Frame,
    ir::{Block, Event},
    wire::{
        Relay, StreamDecoder, Tally,
        json::{Edits, Object, array, push_string},
    },
};

/// Of this process alone, so that nobody can make two conversations look the same.
static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// The shortest end of an id that is drawn and not counted.
const DRAWN: usize = 8;

/// A turn that lacks its reasoning, and by what it is known: its calls, or what it says.
struct Lacking {
    at: usize,
    known_as: Vec<String>,
}

/// A conversation, as far as what comes after it is known by it.
#[derive(Debug, Clone, Copy)]
pub(super) struct After {
    hash: u64,
    /// A tool was called since the last question, and the answer to that is wanted back too.
    in_loop: bool,
}

// === impl Replay ===

impl Replay {
    /// Puts the reasoning that is known back into the messages of a chat: into calls of tools, and
    /// `throughout` into the answers they led to. Tells how that of the answer to come is to be kept.
    pub(in crate::routing) fn say_again(&self, owner: Owner, throughout: bool, body: &mut Edits<'_>) -> Memory {
        let messages = body.get("messages").unwrap_or_default();
        let (lacking, after) = read(messages, throughout);
        let found = self.said(&owner, lacking);
        let said = |index: usize| found.iter().find(|(at, _)| *at == index).map(|(_, text)| text);
        let new = (!found.is_empty()).then(|| {
            array::map(messages, |index, message| {
                let mut message = Object::parse_str(message).ok()?.edit();
                message.set("reasoning_content", quoted(said(index)?));
                Some(message.apply())
            })
        });
        if let Some(new) = new.flatten() {
            body.set("messages", new);
        }
        Memory { owner, form: Form::Said(after) }
    }

    /// What was said before the calls of these turns, where it is known.
    fn said(&self, owner: &Owner, lacking: Vec<Lacking>) -> Vec<(usize, String)> {
        if lacking.is_empty() {
            return Vec::new();
        }
        let now = Instant::now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |Lacking { at, known_as }: Lacking| {
            let turn = known_as.iter().find_map(|call| kept.touch(owner, call, now, self.bounds.age))?;
            known_as.iter().all(|call| turn.calls(call)).then(|| (at, turn.text()))
        };
        lacking.into_iter().filter_map(known).collect()
    }
}

// === impl Turn ===

impl Turn {
    /// As it comes back after this conversation where reasoning is a text, and whether there is any.
    pub(super) fn said(self, after: After) -> (Self, bool) {
        let bytes = self.0.iter().map(|piece| if let Piece::Text(bytes) = piece { *bytes } else { 0 }).sum();
        let answer = (after.in_loop && self.first_call().is_none()).then(|| Piece::Call(answer(bytes, after)));
        let pieces = self.0.into_iter().filter_map(|piece| match piece {
            Piece::Reasoning(Block::Reasoning { text, .. }) if !text.is_empty() => {
                Some(Piece::Reasoning(Block::Reasoning { text, signature: None }))
            }
            Piece::Call(id) => Some(Piece::Call(call(&id, after))),
            Piece::Reasoning(_) | Piece::Text(_) => None,
        });
        let turn = Self(pieces.chain(answer).collect());
        let thinks = turn.0.iter().any(|piece| matches!(piece, Piece::Reasoning(_)));
        (turn, thinks)
    }

    fn text(&self) -> String {
        let texts = self.0.iter().filter_map(|piece| match piece {
            Piece::Reasoning(Block::Reasoning { text, .. }) => Some(text.as_str()),
            Piece::Reasoning(_) | Piece::Text(_) | Piece::Call(_) => None,
        });
        texts.collect()
    }
}

// === reading a conversation ===

/// The turns without their reasoning, and what the conversation comes to.
fn read(messages: &str, throughout: bool) -> (Vec<Lacking>, After) {
    let mut lacking = Vec::new();
    let mut hash = SEED.build_hasher();
    let mut in_loop = false;
    for (at, message) in array::elements(messages).unwrap_or_default().into_iter().enumerate() {
        let after = After { hash: hash.finish(), in_loop };
        let has_calls = memchr::memmem::find(message.get().as_bytes(), b"\"tool_calls\"").is_some();
        let turn = (has_calls || in_loop).then(|| Object::parse_str(message.get()).ok()).flatten();
        if let Some(turn) = turn {
            let role = turn.get("role").map_or("", |role| role.get());
            in_loop = throughout && role != "\"user\"" && (in_loop || turn.present("tool_calls").is_some());
            let known_as = lacks(&turn).then(|| calls(&turn, after).or_else(|| answers(&turn, after))).flatten();
            lacking.extend(known_as.map(|known_as| Lacking { at, known_as }));
        }
        hash.write(message.get().as_bytes());
        hash.write_usize(message.get().len());
    }
    (lacking, After { hash: hash.finish(), in_loop })
}

/// Whether it is a turn of the model's without its reasoning. A text that says nothing is what clients write
/// who have not kept it.
fn lacks(turn: &Object<'_>) -> bool {
    let is_said = turn.present("reasoning_content").is_some_and(|said| said.get() != "\"\"");
    !is_said && turn.get("role").is_some_and(|role| role.get() == "\"assistant\"")
}

/// The calls of a turn, as they are known here.
fn calls(turn: &Object<'_>, after: After) -> Option<Vec<String>> {
    let id = |call: &str| serde_json::from_str::<String>(Object::parse_str(call).ok()?.get("id")?.get()).ok();
    let calls = array::elements(turn.present("tool_calls")?.get())?;
    let calls: Vec<String> =
        calls.into_iter().map(|made| Some(call(&id(made.get())?, after))).collect::<Option<_>>()?;
    Some(calls).filter(|calls| !calls.is_empty())
}

/// What a turn says that calls nothing, as it is known here.
fn answers(turn: &Object<'_>, after: After) -> Option<Vec<String>> {
    if !after.in_loop || turn.present("tool_calls").is_some_and(|calls| calls.get() != "[]") {
        return None;
    }
    let length = |json: &str| serde_json::from_str::<String>(json).ok().map(|text| text.len());
    let part = |part: &str| length(Object::parse_str(part).ok()?.get("text")?.get());
    let content = turn.get("content")?.get();
    let bytes = length(content).or_else(|| array::elements(content)?.into_iter().map(|json| part(json.get())).sum())?;
    Some(vec![answer(bytes, after)])
}

/// By what a call after this conversation is found again.
fn call(id: &str, after: After) -> String {
    let end = id.rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    let is_drawn = end.len() >= DRAWN && end.bytes().any(|byte| byte.is_ascii_digit());
    if is_drawn { id.to_owned() } else { format!("{id} {:016x}", after.hash) }
}

/// By what an answer of so many bytes after this conversation is.
fn answer(bytes: usize, after: After) -> String {
    format!("{bytes} bytes {:016x}", after.hash)
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_string(&mut out, text);
    out
}

// === answers that pass ===

/// Passes a stream on, and notes its turn. A client that has the last bytes finds it noted.
pub(in crate::routing) struct Overhearing {
    inner: Box<dyn Relay>,
    /// `None` once it has heard what it does not understand: whoever reads the answer says so.
    ear: Option<Remembering>,
    events: Vec<Event>,
}

// === impl Overhearing ===

impl Overhearing {
    pub(in crate::routing) fn new(
        inner: Box<dyn Relay>,
        decoder: Box<dyn StreamDecoder>,
        replay: Arc<Replay>,
        memory: Memory,
    ) -> Self {
        Self { inner, ear: Some(Remembering::new(decoder, replay, memory)), events: Vec::new() }
    }

    fn hear(&mut self, listen: impl FnOnce(&mut Remembering, &mut Vec<Event>) -> Result<()>) {
        if let Some(ear) = &mut self.ear
            && listen(ear, &mut self.events).is_err()
        {
            self.ear = None;
        }
        self.events.clear();
    }
}

impl Relay for Overhearing {
    fn frame(&mut self, frame: Frame, out: &mut VecDeque<Bytes>) -> Result<()> {
        self.hear(|ear, events| ear.frame(&frame, events));
        self.inner.frame(frame, out)
    }

    fn finish(&mut self, out: &mut VecDeque<Bytes>) -> Result<()> {
        self.hear(StreamDecoder::finish);
        self.inner.finish(out)
    }

    fn is_done(&self) -> bool {
        self.inner.is_done()
    }

    fn tally(&self) -> &Tally {
        self.inner.tally()
    }
}

impl fmt::Debug for Overhearing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overhearing").field("ear", &self.ear).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ir::Response,
        routing::replay::Bounds,
        wire::{self, Memo},
    };

    fn owner(caller: &str) -> Owner {
        Owner { caller: caller.into(), target: "deepseek/deepseek-flash".into() }
    }

    fn answer(text: &str, id: &str) -> Response {
        let body = format!(
            r#"{{"choices":[{{"message":{{"role":"assistant","content":"Let me see.","reasoning_content":{},"tool_calls":[
              {{"id":"{id}","type":"function","function":{{"name":"f","arguments":"{{}}"}}}}]}},"finish_reason":"tool_calls"}}]}}"#,
            quoted(text)
        );
        wire::upstream(crate::call::Dialect::OpenAiChat).decode(body.as_bytes(), &Memo::default()).unwrap()
    }

    /// The request after what is known has been put back, and how its answer is to be kept.
    fn again(replay: &Replay, caller: &str, messages: &str) -> (String, Memory) {
        throughout(replay, caller, messages, false)
    }

    fn throughout(replay: &Replay, caller: &str, messages: &str, throughout: bool) -> (String, Memory) {
        let body = format!(r#"{{"model":"m", "messages" : {messages},"n":1.0}}"#);
        let mut edits = Object::parse_str(&body).unwrap().edit();
        let memory = replay.say_again(owner(caller), throughout, &mut edits);
        let changed = edits.apply();
        let new =
            changed.strip_prefix(r#"{"model":"m", "messages" : "#).and_then(|rest| rest.strip_suffix(r#","n":1.0}"#));
        (new.expect("the rest is as it was").to_owned(), memory)
    }

    const DRAWN: &str = "call_00_x3Fb9aPq2LmZ";

    /// R3, S2, C1: what the client has dropped is put back where it is lacking, and no other byte differs.
    #[tokio::test]
    async fn what_was_said_is_said_again() {
        let replay = Replay::new(Bounds::default());
        let (_, memory) = again(&replay, "me", r#"[{"role":"user","content":"hi"}]"#);
        replay.remember(&memory, &answer("Hm \"é\".", DRAWN));
        let turn = |said: &str| {
            format!(
                r#"[{{"role":"user","content":"hi"}}, {{ "role":"assistant","tool_calls":[{{"id":"{DRAWN}"}}] {said}}},
                {{"role":"tool","tool_call_id":"{DRAWN}","content":"\u00e9 1.0"}}]"#
            )
        };
        let known = |said: &str| turn(said).replace(" }]", "}]");
        for (sent, expected) in [
            (turn(""), turn("").replace("] }", "] ,\"reasoning_content\":\"Hm \\\"é\\\".\"}")),
            (turn(r#","reasoning_content":null"#), known(r#","reasoning_content":"Hm \"é\".""#)),
            (turn(r#","reasoning_content":"""#), known(r#","reasoning_content":"Hm \"é\".""#)),
            (turn(r#","reasoning_content":"mine""#), turn(r#","reasoning_content":"mine""#)),
        ] {
            assert_eq!(again(&replay, "me", &sent).0, expected);
            assert_eq!(again(&replay, "you", &sent).0, sent, "nobody gets what is not theirs");
        }
        let other = r#"[{"role":"assistant","tool_calls":[{"id":"call_00_another0000"}]},{"role":"assistant","content":"\"tool_calls\""}]"#;
        assert_eq!(again(&replay, "me", other).0, other);
        let more = turn("").replace(r#"}] }"#, r#"},{"id":"call_01_ofAnother1"}] }"#);
        assert_eq!(again(&replay, "me", &more).0, more, "a turn that is not that one");
    }

    /// R3: a vendor that counts its calls gives the same id to everybody; what was thought is found by the
    /// conversation that led to it, and in no other.
    #[tokio::test]
    async fn counted_ids_are_known_by_their_conversation() {
        let replay = Replay::new(Bounds::default());
        let asked = |who: &str| format!(r#"{{"role":"user","content":"I am {who}"}}"#);
        for who in ["Ann", "Bob"] {
            let (_, memory) = again(&replay, "app", &format!("[{}]", asked(who)));
            replay.remember(&memory, &answer(&format!("It is {who}."), "functions.get_weather:0"));
        }
        let turn = r#"{"role":"assistant","content":null,"tool_calls":[{"id":"functions.get_weather:0"}]}"#;
        for who in ["Ann", "Bob"] {
            let sent = format!("[{}, {turn}]", asked(who));
            let said = turn.replace("]}", &format!("],\"reasoning_content\":\"It is {who}.\"}}"));
            assert_eq!(again(&replay, "app", &sent).0, format!("[{}, {said}]", asked(who)));
        }
        let sent = format!("[{}, {turn}]", asked("Eve"));
        assert_eq!(again(&replay, "app", &sent).0, sent);
    }

    /// R3: where a model wants it, so does what it thought of the answer that its calls led to, and nothing that it
    /// thought of another question.
    #[tokio::test]
    async fn answers_that_tools_led_to_get_theirs_back() {
        let replay = Replay::new(Bounds::default());
        let asked = r#"{"role":"user","content":"hi"}"#;
        let called = format!(
            r#"{{"role":"assistant","tool_calls":[{{"id":"{DRAWN}"}}]}},{{"role":"tool","tool_call_id":"{DRAWN}","content":"4C"}}"#
        );
        let mut cold = answer("So it is cold.", DRAWN);
        cold.blocks.retain(|block| !matches!(block, Block::ToolCall { .. }));
        for (before, is_kept) in [(format!("[{asked}]"), false), (format!("[{asked},{called}]"), true)] {
            let (_, memory) = throughout(&replay, "me", &before, true);
            replay.remember(&memory, &cold);
            assert_eq!(!replay.kept.lock().unwrap().by_call.is_empty(), is_kept, "{before}");
        }
        let said = |content: &str, reasoning: &str| {
            format!(r#"[{asked},{called},{{"role":"assistant","content":{content}{reasoning}}},{asked}]"#)
        };
        let known = r#","reasoning_content":"So it is cold.""#;
        for content in [r#""Let me see.""#, r#"[{"type":"text","text":"Let me "},{"type":"text","text":"see."}]"#] {
            assert_eq!(throughout(&replay, "me", &said(content, ""), true).0, said(content, known));
            assert_eq!(throughout(&replay, "me", &said(content, ""), false).0, said(content, ""), "not every model");
        }
        let other = said(r#""Something else.""#, "");
        assert_eq!(throughout(&replay, "me", &other, true).0, other);
        assert_eq!(throughout(&replay, "you", &said(r#""Let me see.""#, ""), true).0, said(r#""Let me see.""#, ""));
    }

    #[test]
    fn ids_are_drawn_or_counted() {
        for (id, drawn) in [
            (DRAWN, true),
            ("chatcmpl-tool-0123456789abcdef0123456789abcdef", true),
            ("functions.fetch20240101:0", false),
            ("call_1", false),
            ("get_weather", false),
            ("", false),
        ] {
            assert_eq!(call(id, After { hash: 1, in_loop: false }) == id, drawn, "{id}");
        }
    }

    /// What thinks nothing, or calls nothing, is not kept.
    #[tokio::test]
    async fn only_what_can_be_missed_is_kept() {
        let replay = Replay::new(Bounds::default());
        let (_, memory) = again(&replay, "me", "[]");
        let mut silent = answer("Hm.", DRAWN);
        silent.blocks.retain(|block| !matches!(block, Block::ToolCall { .. }));
        replay.remember(&memory, &silent);
        replay.remember(&memory, &answer("", DRAWN));
        assert!(replay.kept.lock().unwrap().by_call.is_empty());
    }

    /// A body that is no chat passes on as it is.
    #[tokio::test]
    async fn what_is_no_chat_is_left_alone() {
        let replay = Replay::new(Bounds::default());
        for messages in
            ["null", "{}", "\"tool_calls\"", r#"[1,{"tool_calls":1},{"tool_calls":[1]},{"tool_calls":[{"id":1}]}]"#]
        {
            assert_eq!(again(&replay, "me", messages).0, messages);
        }
        let mut none = Object::parse_str("{}").unwrap().edit();
        replay.say_again(owner("me"), true, &mut none);
        assert!(none.is_empty());
    }
}
