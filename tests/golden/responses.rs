//! Every fixture as a client of Responses gets it: no snapshots, but the rules of that dialect, which
//! are stricter than any other's.

use std::collections::VecDeque;

use bytes::Bytes;
use serde_json::Value;
use sluis::{
    call::Dialect,
    framing::Frame,
    wire::{self, Asked, ClientDialect, Relay, translate},
};
use uuid::Uuid;

use crate::{
    fixtures::{self, Fixture},
    lifecycle::{check, check_response},
    streams::frames,
    text,
};

fn client() -> &'static dyn ClientDialect {
    wire::client(Dialect::OpenAiResponses).unwrap()
}

fn asked() -> Asked {
    let id = client().answer_id(Uuid::nil());
    Asked { model: "public".into(), id, created: 1, target: "up/model".into(), ..Asked::default() }
}

/// P1, R4: streams of every vendor, whole and cut, pass the rules of a Responses stream; one that
/// failed ends as that dialect's do.
#[test]
fn every_stream_passes_the_rules_of_responses() {
    let mut seen = 0;
    for fixture in fixtures::all() {
        let Some(stream) = fixture.read("stream.sse") else { continue };
        let Some(frames) = accepted(&fixture, &stream) else { continue };
        seen += 1;
        let decoder = fixture.upstream().decoder(fixture.memo());
        let mut relay = translate::Translate::new(decoder, client().encoder(asked()));
        let mut minder = client().minder(Uuid::nil()).unwrap();
        let mut out = VecDeque::new();
        let mut end = Ok(());
        for frame in frames {
            end = end.and_then(|()| relay.frame(frame, &mut out));
        }
        end = end.and_then(|()| relay.finish(&mut out));
        let mut heard: Vec<Bytes> = out.into_iter().map(|bytes| minder.sends(bytes)).collect();
        heard.extend(end.as_ref().err().map(|error| minder.error_frame(error)));
        let whole = text(&heard.concat()).to_owned();
        let checked = std::panic::catch_unwind(|| check(&whole)).unwrap_or_else(|_| panic!("{fixture:?}: {whole}"));
        assert_eq!(checked.response["status"] == "failed", end.is_err(), "{fixture:?}");
        assert!(!checked.events.is_empty());
    }
    assert!(seen > 50, "{seen}");
}

/// P1: so do the whole answers.
#[test]
fn every_answer_passes_the_rules_of_responses() {
    for fixture in fixtures::all() {
        let Some(body) = fixture.read("response.json") else { continue };
        let Ok(answer) = fixture.upstream().decode(&body, &fixture.memo()) else { continue };
        let written: Value = serde_json::from_slice(&client().encode(&answer, &asked())).unwrap();
        check_response(&written);
    }
}

/// The frames of a stream from the one on that proves it accepted; `None` when it is refused.
pub(crate) fn accepted(fixture: &Fixture, stream: &Bytes) -> Option<Vec<Frame>> {
    let mut frames = frames(fixture, stream, stream.len()).into_iter();
    while let Some(frame) = frames.next() {
        if fixture.upstream().accepts(&frame).ok()? {
            return Some(std::iter::once(frame).chain(frames).collect());
        }
    }
    None
}
