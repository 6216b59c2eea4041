//! Streams as the chat client gets them, fed whole and byte by byte.

use std::{
    collections::{HashMap, VecDeque},
    fmt::Write,
};

use bytes::Bytes;
use sluis::{
    call::Dialect,
    error::Error,
    framing::{DEFAULT_MAX_FRAME_BYTES, Frame},
    ir::{Block, Response},
    wire::{Relay, Tally, openai_chat::Passthrough, translate},
};

use crate::{Page, answers::counted, asked, client, fixtures::Fixture, invariants, text, told, without_made_up_ids};

/// What a client got.
#[derive(Debug, Default)]
struct Heard {
    /// The bytes, an error frame included.
    text: String,
    /// What ended the stream early.
    error: Option<Error>,
    /// That error came while the response head was still held.
    is_held: bool,
    tally: Tally,
}

pub(crate) fn write(fixture: &Fixture, stream: &Bytes, page: &mut Page) {
    if fixture.dialect() == Dialect::OpenAiChat {
        let passed = [true, false].map(|usage| hear(fixture, stream, usage, passthrough));
        let [asked, unasked] = &passed;
        page.part("stream, passed on, usage asked for", &shown(asked, stream));
        page.part("stream, passed on, usage not asked for", &shown(unasked, stream));
        invariants::same_but_usage(&asked.text, &unasked.text);
    }
    let [asked, unasked] = [true, false].map(|usage| hear(fixture, stream, usage, translated));
    page.part("stream, translated, usage asked for", &shown(&asked, b""));
    invariants::same_but_usage(&asked.text, &unasked.text);
    if let Some(response) = fixture.read("response.json").filter(|_| asked.error.is_none()) {
        let mut whole = fixture.upstream().decode(&response, &fixture.memo()).unwrap();
        let streamed = folded(fixture, stream);
        // Counts that were not asked for do not come in a stream.
        whole.usage = whole.usage.filter(|_| streamed.usage.is_some());
        assert_eq!(essence(streamed), essence(whole), "{fixture:?}");
    }
}

fn passthrough(_: &Fixture, usage: bool) -> Box<dyn Relay> {
    Box::new(Passthrough::new(usage).standing_in(&asked(usage)))
}

fn translated(fixture: &Fixture, usage: bool) -> Box<dyn Relay> {
    let decoder = fixture.upstream().decoder(fixture.memo());
    Box::new(translate::Translate::new(decoder, client().encoder(asked(usage))))
}

/// S8, S9: however the bytes are cut, the client hears the same.
fn hear(fixture: &Fixture, stream: &Bytes, usage: bool, relay: fn(&Fixture, bool) -> Box<dyn Relay>) -> Heard {
    let whole = heard(fixture, frames(fixture, stream, stream.len()), relay(fixture, usage));
    let bytes = heard(fixture, frames(fixture, stream, 1), relay(fixture, usage));
    assert_eq!(whole.text, bytes.text, "{fixture:?}");
    assert_eq!(counted(&whole.tally), counted(&bytes.tally), "{fixture:?}");
    invariants::stream(&whole.text, whole.error.is_none(), usage);
    whole
}

pub(crate) fn frames(fixture: &Fixture, stream: &Bytes, piece: usize) -> Vec<Frame> {
    let mut framer = fixture.upstream().framing().framer(DEFAULT_MAX_FRAME_BYTES);
    let mut frames = Vec::new();
    for piece in stream.chunks(piece) {
        framer.push(Bytes::copy_from_slice(piece));
        frames.extend(framer.by_ref().map(|frame| frame.unwrap()));
    }
    frames.extend(framer.finish());
    frames
}

/// The transport's way: nothing is sent before the upstream has accepted the request.
fn heard(fixture: &Fixture, frames: Vec<Frame>, mut relay: Box<dyn Relay>) -> Heard {
    let mut out = VecDeque::new();
    let mut is_held = true;
    let mut end = Ok(());
    for frame in frames {
        if is_held {
            match fixture.upstream().accepts(&frame) {
                Ok(false) => continue,
                Ok(true) => is_held = false,
                Err(error) => return Heard { error: Some(fixture.refined(error)), is_held, ..Heard::default() },
            }
        }
        end = end.and_then(|()| relay.frame(frame, &mut out));
    }
    assert!(!is_held, "{fixture:?}: nothing was accepted");
    end = end.and_then(|()| relay.finish(&mut out));
    assert_eq!(relay.is_done(), end.is_ok() || relay.is_done(), "{fixture:?}");
    let mut heard: String = out.iter().map(|bytes| text(bytes)).collect();
    if let Err(error) = &end {
        heard.push_str(text(&client().error_frame(error, uuid::Uuid::nil())));
    }
    let heard = without_made_up_ids(&heard);
    Heard { text: heard, error: end.err(), is_held, tally: relay.tally().clone() }
}

/// The client's events. One that came from the upstream as it is, is named by its place there, and
/// what all chunks begin with alike is written once.
fn shown(heard: &Heard, stream: &[u8]) -> String {
    if heard.is_held {
        return heard.error.as_ref().map(told).unwrap_or_default();
    }
    let upstream: HashMap<&str, usize> = text(stream).split_inclusive("\n\n").zip(1..).collect();
    let mut head = "";
    let mut out = String::new();
    for event in heard.text.split_inclusive("\n\n") {
        let (this, rest) = event.find("\"choices\":").map_or(("", event), |at| event.split_at(at));
        match upstream.get(event) {
            Some(place) => writeln!(out, "event {place} as it came"),
            None if this == head && !head.is_empty() => writeln!(out, "... {}", rest.trim_end()),
            None => writeln!(out, "{}", event.trim_end()),
        }
        .unwrap();
        if !upstream.contains_key(event) && !this.is_empty() {
            head = this;
        }
    }
    out + &counted(&heard.tally)
}

fn folded(fixture: &Fixture, stream: &Bytes) -> Response {
    let mut decoder = fixture.upstream().decoder(fixture.memo());
    let mut events = Vec::new();
    for frame in frames(fixture, stream, stream.len()) {
        decoder.frame(&frame, &mut events).unwrap();
    }
    decoder.finish(&mut events).unwrap();
    translate::fold(events)
}

/// R4: what a stream and a whole answer have to say alike.
fn essence(mut answer: Response) -> String {
    for block in &mut answer.blocks {
        if let Block::ToolCall { id, arguments, .. } = block {
            *arguments = arguments.split_whitespace().collect();
            id.truncate(if id.len() > 28 { 5 } else { id.len() });
        }
    }
    format!("{:#?}{:#?}{:?}{:?}", answer.blocks, answer.annotations, answer.finish, answer.usage)
}
