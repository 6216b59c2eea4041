//! A client of OpenAI's legacy completions ("Create completion", specification 2.3.0, read November
//! 2026): a prompt in, text out, and no place for anything else.

use serde_json::{Value, json};

use super::{Client, chat::counts, openai_error, openai_expects};
use crate::matrix::neutral::{Ask, Finish, Told, Trouble, word};

pub(super) struct Completions;

impl Client for Completions {
    fn name(&self) -> &'static str {
        "OpenAI completions"
    }

    fn path(&self, _: &Ask) -> String {
        "/v1/completions".into()
    }

    fn request(&self, ask: &Ask) -> Value {
        let mut body =
            json!({"model": ask.model, "prompt": ask.question, "max_tokens": ask.settings.max_tokens.unwrap_or(4000)});
        if let Some(temperature) = ask.settings.temperature {
            body["temperature"] = temperature.into();
        }
        if !ask.settings.stop.is_empty() {
            body["stop"] = json!(ask.settings.stop);
        }
        if ask.stream {
            body["stream"] = true.into();
            body["stream_options"] = json!({"include_usage": true});
        }
        body
    }

    fn whole(&self, body: &Value) -> Told {
        read(body)
    }

    fn stream(&self, text: &str) -> Told {
        let mut told = Told::default();
        let rest = text.strip_suffix("data: [DONE]\n\n").unwrap_or_else(|| panic!("no end: {text}"));
        for event in rest.split_inclusive("\n\n") {
            let (alive, lines): (Vec<&str>, Vec<&str>) = event.lines().partition(|line| line.starts_with(": "));
            told.signs_of_life += alive.len();
            let [data, ""] = lines.as_slice() else { panic!("S7: no event of this dialect: {event:?}") };
            let chunk: Value = serde_json::from_str(data.strip_prefix("data: ").expect("data")).expect("JSON");
            assert!(told.failure.is_none() && told.usage.is_none(), "something follows the end: {text}");
            if chunk["error"].is_object() {
                assert_eq!(told.finish, None, "E1: a finish beside an error: {text}");
                told.failure = Some(openai_error(&chunk).1);
                continue;
            }
            let piece = read(&chunk);
            told.text.push_str(&piece.text);
            told.finish = told.finish.or(piece.finish);
            // S1: in a chunk of its own.
            assert!(piece.usage.is_none() || chunk["choices"] == json!([]), "{chunk}");
            told.usage = piece.usage;
        }
        assert!(told.failure.is_some() || told.finish.is_some(), "E1: neither a finish nor an error: {text}");
        told
    }

    fn forgetful(&self, turn: Value) -> Value {
        turn
    }

    fn agent(&self, _: &mut Value) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }

    fn error(&self, body: &Value) -> (String, String) {
        openai_error(body)
    }

    fn is_legacy(&self) -> bool {
        true
    }

    fn expects(&self, trouble: Trouble) -> (u16, &'static str) {
        openai_expects(trouble)
    }
}

/// An answer or a chunk: they have one form.
fn read(body: &Value) -> Told {
    assert_eq!(body["object"], "text_completion", "{body}");
    Told {
        text: word(body, "/choices/0/text"),
        finish: body["choices"][0]["finish_reason"].as_str().map(|finish| match finish {
            "stop" => Finish::Stop,
            "length" => Finish::Length,
            "content_filter" => Finish::Filter,
            other => panic!("finished with {other}"),
        }),
        usage: body["usage"].is_object().then(|| counts(&body["usage"])),
        ..Told::default()
    }
}
