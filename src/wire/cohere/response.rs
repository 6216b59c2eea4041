//! A whole answer.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    answer::{self, Citation, Counts, Likely},
    error,
};
use crate::{
    error::{Error, Result},
    ir::{Annotation, Block, Response},
    wire::Memo,
};

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(default)]
    id: String,
    finish_reason: Option<String>,
    #[serde(borrow)]
    message: Message<'a>,
    #[serde(default)]
    usage: Option<Counts>,
    #[serde(default)]
    logprobs: Option<Vec<Likely>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(default)]
    tool_plan: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<Call>>,
    #[serde(default, borrow)]
    content: Option<&'a RawValue>,
    #[serde(default)]
    citations: Option<Vec<Citation>>,
}

#[derive(Deserialize)]
struct Call {
    #[serde(default)]
    id: String,
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    #[serde(default)]
    arguments: Option<String>,
}

#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    thinking: Option<String>,
}

pub(super) fn decode(body: &[u8], memo: &Memo) -> Result<Response> {
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|why| match error::read_in_band(body) {
        Some(error) => error.into(),
        None => unusable(&why),
    })?;
    let message = answer.message;
    let mut blocks = Vec::new();
    // Where each part's text begins in the joined one, in characters.
    let mut bases: Vec<u64> = Vec::new();
    let mut chars = 0;
    for part in parts(message.content)? {
        bases.push(chars);
        if let Some(text) = part.thinking.filter(|text| !text.is_empty()) {
            blocks.push(Block::Reasoning { text, signature: None });
        }
        if let Some(text) = part.text.filter(|text| !text.is_empty()) {
            chars += text.chars().count() as u64;
            blocks.push(Block::text(text));
        }
    }
    if let Some(text) = message.tool_plan.filter(|text| !text.is_empty()) {
        blocks.push(Block::Reasoning { text, signature: None });
    }
    let calls = message.tool_calls.unwrap_or_default();
    let finish = answer::finish(answer.finish_reason.as_deref(), !calls.is_empty(), None)?;
    for Call { id, function } in calls {
        let (name, kind) = answer::called(function.name, memo);
        let arguments = answer::arguments(function.arguments.as_deref().unwrap_or_default(), kind);
        blocks.push(Block::ToolCall { id, name, arguments, kind, cache: None });
    }
    let base = |citation: &Citation| usize::try_from(citation.content_index).ok().and_then(|at| bases.get(at).copied());
    let citations = message.citations.unwrap_or_default();
    let annotations: Vec<Annotation> =
        citations.iter().flat_map(|citation| citation.annotations(base(citation).unwrap_or_default())).collect();
    Ok(Response {
        id: answer.id,
        model: String::new(),
        created: 0,
        blocks,
        annotations,
        logprobs: answer.logprobs.unwrap_or_default().into_iter().filter_map(Likely::logprob).collect(),
        finish,
        stop_sequence: None,
        usage: answer.usage.and_then(|counts| counts.usage()),
        lost: Vec::new(),
        service_tier: None,
    })
}

/// The parts of a content, which may be one string.
fn parts(content: Option<&RawValue>) -> Result<Vec<Part>> {
    let json = content.map_or("null", RawValue::get);
    if json.starts_with('"') {
        let text = serde_json::from_str(json).map_err(|error| unusable(&error))?;
        return Ok(vec![Part { text: Some(text), thinking: None }]);
    }
    let parts: Option<Vec<Part>> = serde_json::from_str(json).map_err(|error| unusable(&error))?;
    Ok(parts.unwrap_or_default())
}

fn unusable(error: &serde_json::Error) -> Error {
    Error::BadReply { message: format!("The upstream's answer is no chat response of Cohere's: {error}.") }
}
