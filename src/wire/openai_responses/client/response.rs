//! Writes a client's whole answer: what the events of its stream would have ended with, so that the
//! two never differ.

use bytes::{Bytes, BytesMut};

use super::encoder::Encoder;
use crate::{
    ir::{Annotation, Delta, Event, Response},
    wire::{
        Asked, StreamEncoder,
        json::{Object, push_string},
        translate,
    },
};

pub(super) fn encode(response: &Response, asked: &Asked) -> Bytes {
    let mut encoder = Encoder::new(asked.clone());
    let mut unread = BytesMut::new();
    for event in events(response) {
        encoder.event(&event, &mut unread);
        unread.clear();
    }
    let whole = encoder.end(&mut unread);
    let Some(tier) = &response.service_tier else { return whole.into() };
    let mut json = String::new();
    push_string(&mut json, tier);
    let object = std::str::from_utf8(&whole).ok().and_then(|text| Object::parse_str(text).ok());
    let mut edits = match object {
        Some(object) => object.edit(),
        None => return whole.into(),
    };
    edits.set("service_tier", json);
    edits.apply().into()
}

/// The events of an answer, each source right after the text it lies in.
fn events(response: &Response) -> Vec<Event> {
    let mut cited: Vec<Annotation> = response.annotations.clone();
    cited.sort_by_key(|annotation| std::cmp::Reverse(annotation.start));
    let mut chars = 0;
    let mut events = Vec::new();
    for event in translate::unfold(response) {
        if let Event::Delta { delta: Delta::Text(text), .. } = &event {
            chars += text.chars().count() as u64;
        }
        let is_text = matches!(event, Event::Delta { delta: Delta::Text(_), .. });
        if !matches!(event, Event::Annotation(_)) {
            events.push(event);
        }
        while is_text && cited.last().is_some_and(|annotation| annotation.start < chars) {
            events.extend(cited.pop().map(Event::Annotation));
        }
    }
    events
}
