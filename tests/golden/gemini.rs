//! Every fixture as a client of Gemini's dialect gets it: no snapshots, but the rules of that dialect.

use std::collections::VecDeque;

use bytes::Bytes;
use serde_json::{Value, json};
use sluis::{
    call::Dialect,
    error::Error,
    wire::{self, Asked, ClientDialect, Relay, translate},
};
use uuid::Uuid;

use crate::{
    fixtures,
    gemini_stream::{is_error, judge, judge_whole},
    responses::accepted,
    text,
};

fn client() -> &'static dyn ClientDialect {
    wire::client(Dialect::Gemini).unwrap()
}

fn asked() -> Asked {
    let request =
        json!({"contents": [], "generationConfig": {"thinkingConfig": {"includeThoughts": true}}}).to_string();
    let id = client().answer_id(Uuid::nil());
    Asked { model: "public".into(), id, request: request.into(), target: "up/m".into(), ..Asked::default() }
}

/// T1, T2, R4, E1: streams of every vendor pass the rules of a Gemini stream; one that failed ends in an
/// error and in nothing that looks like an end.
#[test]
fn every_stream_passes_the_rules_of_gemini() {
    let mut seen = 0;
    for fixture in fixtures::all() {
        let Some(stream) = fixture.stream() else { continue };
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
        let mut heard: Vec<Bytes> = out.into_iter().collect();
        heard.extend(end.as_ref().err().map(|error| client().error_frame(error, Uuid::nil())));
        let whole = text(&heard.concat()).to_owned();
        let told = judge(&whole).unwrap_or_else(|why| panic!("{fixture:?}: {why}\n{whole}"));
        assert_eq!((told.complete(), told.error.is_some()), (end.is_ok(), end.is_err()), "{fixture:?}\n{whole}");
        assert!(end.is_err() || told.model == "public", "{fixture:?}");
        assert_eq!(told.signs_of_life, 0);
        if let Some(answer) = fixture.read("response.json").filter(|_| end.is_ok()) {
            let answer = fixture.upstream().decode(&answer, &fixture.memo()).unwrap();
            let answer: Value = serde_json::from_slice(&client().encode(&answer, &asked())).unwrap();
            let told_whole = judge_whole(&answer).unwrap();
            assert_eq!((&told.text, &told.finish), (&told_whole.text, &told_whole.finish), "R4: {fixture:?}");
            assert_eq!(told.calls.len(), told_whole.calls.len(), "R4: {fixture:?}");
        }
    }
    assert!(seen > 50, "{seen}");
}

/// R1: what an answer says, a client can send back, and it is read as it was.
#[test]
fn every_answer_goes_round() {
    let mut seen = 0;
    for fixture in fixtures::all() {
        let Some(body) = fixture.read("response.json") else { continue };
        let Ok(answer) = fixture.upstream().decode(&body, &fixture.memo()) else { continue };
        seen += 1;
        let written: Value = serde_json::from_slice(&client().encode(&answer, &asked())).unwrap();
        let told = judge_whole(&written).unwrap_or_else(|why| panic!("{fixture:?}: {why}\n{written}"));
        assert!(told.complete(), "{fixture:?}");
        if told.blocked.is_some() {
            continue;
        }
        let body = json!({"contents": [{"parts": [{"text": "x"}]}, written["candidates"][0]["content"]]});
        let request = client().decode(body.to_string().as_bytes()).unwrap_or_else(|why| panic!("{fixture:?}: {why:?}"));
        let replayed = &request.messages.last().unwrap().blocks;
        let calls = |blocks: &[sluis::ir::Block]| {
            let call = |block: &sluis::ir::Block| matches!(block, sluis::ir::Block::ToolCall { .. });
            blocks.iter().filter(|block| call(block)).count()
        };
        assert_eq!(calls(replayed), calls(&answer.blocks), "{fixture:?}");
    }
    assert!(seen > 50, "{seen}");
}

/// M1: every vendor's errors in the vendor's form.
#[test]
fn every_error_is_one() {
    for fixture in fixtures::all() {
        let Some(error) = fixture.read("error.json") else { continue };
        let error = fixture.upstream().error(fixture.status(), &http::HeaderMap::new(), &error);
        let error = Error::from(fixture.vendor().refine(error));
        let body: Value = serde_json::from_slice(&client().error(&error, Uuid::nil())).unwrap();
        is_error(&body).unwrap_or_else(|why| panic!("{fixture:?}: {why}\n{body}"));
        assert_eq!(body["error"]["code"], error.status().as_u16(), "{fixture:?}");
    }
}
