//! A chat client's request as the fixture's provider gets it, byte for byte, and as either dialect
//! writes it from the canonical form.

use std::fmt::Write;

use bytes::Bytes;
use sluis::{
    call::Dialect,
    error::Result,
    wire::{self, Encoded, Facts, Loss, Weight, json},
};

use crate::{Page, client, fixtures::Fixture, invariants, text, told};

pub(crate) fn write(fixture: &Fixture, request: &Bytes, page: &mut Page) {
    if fixture.dialect() == Dialect::OpenAiChat {
        page.part(&format!("request, passed on to {}", fixture.provider), &passed(fixture, request));
    }
    if fixture.dialect() == Dialect::OpenAiResponses {
        page.part("request, written as Responses", &translated(fixture, Dialect::OpenAiResponses, request));
    }
    page.part("request, written for OpenAI", &translated(fixture, Dialect::OpenAiChat, request));
    page.part("request, written for Anthropic", &translated(fixture, Dialect::Anthropic, request));
    if !matches!(fixture.dialect(), Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::Anthropic) {
        let title = format!("request, written for {}", fixture.provider);
        page.part(&title, &translated(fixture, fixture.dialect(), request));
    }
}

fn passed(fixture: &Fixture, request: &Bytes) -> String {
    let object = json::Object::parse(request).unwrap();
    let asks = |key: &str| object.get(key).map(|value| value.get().trim_matches('"').to_owned()).unwrap_or_default();
    let (model, stream) = (asks("model"), asks("stream") == "true");
    let facts = Facts { model: &model, stream, ..Facts::default() };
    let mut edits = object.edit();
    let losses = fixture.vendor().adjust(Dialect::OpenAiChat, &facts, &mut edits);
    let body = edits.into_bytes(request);
    invariants::request(text(&body), Some(&model));
    let body = if body == request { "as it came" } else { text(&body) };
    format!("{}\n{}", body.trim_end(), lost(&losses))
}

fn translated(fixture: &Fixture, dialect: Dialect, request: &[u8]) -> String {
    match encode(fixture, dialect, request) {
        Ok((model, Encoded { body, headers, losses, .. })) => {
            // Their models stand in the path, and Gemini's messages are contents. What is refused goes nowhere.
            let is_refused = losses.iter().any(|loss| loss.weight == Weight::Meaning);
            if dialect != Dialect::Gemini && !is_refused {
                invariants::request(text(&body), (dialect != Dialect::BedrockConverse).then_some(model.as_str()));
            }
            let mut out = String::new();
            for (name, value) in &headers {
                writeln!(out, "{name}: {}", value.to_str().unwrap()).unwrap();
            }
            format!("{out}{}\n{}", text(&body), lost(&losses))
        }
        Err(error) => told(&error),
    }
}

fn encode(fixture: &Fixture, dialect: Dialect, request: &[u8]) -> Result<(String, Encoded)> {
    let request = client().decode(request)?;
    let model = fixture.model(dialect, &request.model);
    let has_custom_tools = fixture.vendor().has_custom_tools();
    let facts = Facts { model: &model, stream: request.stream, has_custom_tools, ..Facts::default() };
    let encoded = wire::upstream(dialect).encode(&request, &facts)?;
    Ok((model, encoded))
}

fn lost(losses: &[Loss]) -> String {
    losses.iter().map(|loss| format!("lost: {} ({:?})\n", loss.field, loss.weight)).collect()
}
