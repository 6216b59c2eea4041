//! What has to differ in a client's bytes on their way to an upstream of this dialect: empty text,
//! which the vendor refuses on replay (rule A5), and reasoning that somebody else signed, which it
//! refuses as well. Every other byte stays (rules C1, P2), and a request without them is not read.
//!
//! Reasoning goes from a turn all or nothing: what another model thought is no part of this one's
//! thoughts.

use memchr::memmem;
use serde_json::value::RawValue;

use super::signature;
use crate::wire::{
    json::{Edits, Object},
    read::Shape,
};

/// Removes from `body` what the vendor would refuse.
pub(super) fn mend(body: &mut Edits<'_>) {
    let Some(messages) = body.object().present("messages").map(RawValue::get) else { return };
    if !may_need(messages.as_bytes()) {
        return;
    }
    let Ok(turns) = serde_json::from_str::<Vec<&RawValue>>(messages) else { return };
    let mended: Vec<Option<String>> = turns.iter().map(|turn| mended(turn.get())).collect();
    let differs = mended.iter().zip(&turns).any(|(mended, turn)| mended.as_deref() != Some(turn.get()));
    if differs {
        let kept: Vec<&str> = mended.iter().flatten().map(String::as_str).collect();
        body.set("messages", format!("[{}]", kept.join(",")));
    }
}

/// A quick look that errs on the side of reading.
fn may_need(messages: &[u8]) -> bool {
    let mut texts = memmem::find_iter(messages, b"\"text\"");
    let empty = texts.any(|at| {
        let value = messages.get(at + 6..).unwrap_or_default().trim_ascii_start();
        value.strip_prefix(b":").is_some_and(|value| value.trim_ascii_start().starts_with(b"\"\""))
    });
    let foreign = |mark: &[u8]| memmem::find(messages, mark).is_some();
    empty || foreign(b"thinking\"") && foreign(b"signature\"") && foreign(b":") || foreign(b"redacted_thinking")
}

/// A turn as it may go on; `None` when nothing of it is left.
fn mended(turn: &str) -> Option<String> {
    let same = || Some(turn.to_owned());
    let Ok(object) = Object::parse_str(turn) else { return same() };
    let Some(content) = object.present("content").filter(|content| Shape::of(content.get()) == Shape::Array) else {
        return same();
    };
    let Ok(blocks) = serde_json::from_str::<Vec<&RawValue>>(content.get()) else { return same() };
    let kinds: Vec<Kind> = blocks.iter().map(|block| Kind::of(block.get())).collect();
    let drops_thoughts = kinds.contains(&Kind::ForeignThought);
    let goes = |kind: &Kind| match kind {
        Kind::EmptyText | Kind::ForeignThought => true,
        Kind::Thought => drops_thoughts,
        Kind::Other => false,
    };
    if !kinds.iter().any(goes) {
        return same();
    }
    let kept: Vec<&str> =
        blocks.iter().zip(&kinds).filter(|(_, kind)| !goes(kind)).map(|(block, _)| block.get()).collect();
    if kept.is_empty() {
        return None;
    }
    let content = format!("[{}]", kept.join(","));
    let mut edits = object.edit();
    edits.set("content", content);
    Some(edits.apply())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    EmptyText,
    Thought,
    ForeignThought,
    Other,
}

impl Kind {
    fn of(block: &str) -> Self {
        let Ok(object) = Object::parse_str(block) else { return Self::Other };
        let text = |key: &str| object.present(key).and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
        let thought = |proof: Option<String>| match proof {
            Some(proof) if signature::is_foreign(&proof) => Self::ForeignThought,
            Some(_) | None => Self::Thought,
        };
        match text("type").as_deref() {
            Some("text") if text("text").is_some_and(|text| text.is_empty()) => Self::EmptyText,
            Some("thinking") => thought(text("signature")),
            Some("redacted_thinking") => thought(text("data")),
            Some(_) | None => Self::Other,
        }
    }
}
