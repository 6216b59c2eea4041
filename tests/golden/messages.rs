//! Every fixture as a client of Messages gets it: no snapshots, but the rules of that dialect.

use std::collections::VecDeque;

use serde_json::Value;
use sluis::{
    call::Dialect,
    wire::{self, Asked, ClientDialect, Relay, translate},
};
use uuid::Uuid;

use crate::{fixtures, messages_lifecycle::judge, responses::accepted, text};

fn client() -> &'static dyn ClientDialect {
    wire::client(Dialect::Anthropic).unwrap()
}

fn asked() -> Asked {
    let id = client().answer_id(Uuid::nil());
    Asked { model: "public".into(), id, created: 1, prompt_estimate: 7, ..Asked::default() }
}

/// A1, T8, E1, E3: streams of every vendor, whole and cut, pass the rules of a Messages stream; one
/// that failed ends in an error event and in nothing that looks like an end.
#[test]
fn every_stream_passes_the_rules_of_messages() {
    let mut seen = 0;
    for fixture in fixtures::all() {
        let Some(stream) = fixture.read("stream.sse") else { continue };
        let Some(frames) = accepted(&fixture, &stream) else { continue };
        seen += 1;
        let decoder = fixture.upstream().decoder(fixture.memo());
        let mut relay = translate::Translate::new(decoder, client().encoder(asked()));
        let mut out = VecDeque::new();
        let mut end = Ok(());
        for frame in frames {
            end = end.and_then(|()| relay.frame(frame, &mut out));
        }
        end = end.and_then(|()| relay.finish(&mut out));
        let mut heard: Vec<_> = out.into_iter().collect();
        heard.extend(end.as_ref().err().map(|error| client().error_frame(error, Uuid::nil())));
        let whole = text(&heard.concat()).to_owned();
        let told = judge(&whole).unwrap_or_else(|why| panic!("{fixture:?}: {why}\n{whole}"));
        assert_eq!((told.complete, told.error.is_some()), (end.is_ok(), end.is_err()), "{fixture:?}\n{whole}");
        assert!(end.is_ok() || !whole.contains("message_delta"), "{fixture:?}");
        assert_eq!(told.pings, 0);
        assert!(!told.events.is_empty() && told.message["model"] == "public" || end.is_err(), "{fixture:?}");
    }
    assert!(seen > 50, "{seen}");
}

/// A5, M1: whole answers have the members that the vendor's always have, and no empty text.
#[test]
fn every_answer_is_a_message() {
    for fixture in fixtures::all() {
        let Some(body) = fixture.read("response.json") else { continue };
        let Ok(answer) = fixture.upstream().decode(&body, &fixture.memo()) else { continue };
        let written: Value = serde_json::from_slice(&client().encode(&answer, &asked())).unwrap();
        assert_eq!((&written["type"], &written["role"]), (&"message".into(), &"assistant".into()), "{fixture:?}");
        assert!(written["stop_reason"].is_string() && written["usage"]["output_tokens"].is_u64(), "{fixture:?}");
        for block in written["content"].as_array().unwrap() {
            assert!(block["type"] != "text" || block["text"] != "", "{fixture:?}");
            assert!(block["type"] != "tool_use" || block["input"].is_object(), "{fixture:?}");
            assert!(block["type"] != "thinking" || block["signature"].is_string(), "{fixture:?}");
        }
    }
}
