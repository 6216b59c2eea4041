//! The canonical request to a request of `/api/chat`.
//!
//! Each subject has its file; this one keeps the account of what was lost, by the name the OpenAI
//! client gave it. Sampling that the client leaves out is left to the model's own defaults, which
//! its author chose for it.
//!
//! JSON output is the server's own (`format`), except beside tools: the grammar would leave the
//! model no way to call one (ollama/ollama#8095). There the shape is asked for in words, and named
//! as no longer enforced (rules J1, J2).

use std::borrow::Cow;

use super::{
    body::{Body, Format, Message, Options},
    extras, thinking,
    tools::Tools,
    turns::Writer,
};
use crate::{
    error::Result,
    ir::{self, Output, ToolKind},
    wire::{Encoded, Facts, Memo, json, losses::Losses, prompted},
};

pub(super) fn encode(request: &ir::Request, facts: &Facts<'_>) -> Result<Encoded> {
    let mut losses = Losses::default();
    let tools = Tools::new(request, &mut losses);
    let mut messages = Writer::new(&mut losses).conversation(&request.messages)?;
    let format = match prompted::json_output(&request.output).filter(|_| !tools.is_empty()) {
        Some(instruction) => {
            losses.hint("response_format");
            instruct(&mut messages, instruction);
            None
        }
        None => format(&request.output),
    };
    let mut body = Body {
        model: facts.model,
        stream: facts.stream,
        think: thinking::think(request, facts.model, &mut losses),
        format,
        logprobs: request.sampling.logprobs,
        top_logprobs: request.sampling.top_logprobs.filter(|_| request.sampling.logprobs),
        options: options(request, &mut losses),
        tools: tools.into_vec(),
        messages,
        ..Body::default()
    };
    refuse(request, &mut losses);
    extras::carry(request, &mut body, &mut losses);
    let body = json::body(&body)?;
    let custom = request.tools.iter().filter(|tool| tool.kind == ToolKind::Custom);
    let memo = Memo { custom_tools: custom.map(|tool| tool.name.clone()).collect(), ..Memo::default() };
    Ok(Encoded { body, memo, losses: losses.into_vec(), ..Encoded::default() })
}

/// The client's own `options` first: whoever writes them knows the server.
fn options<'a>(request: &'a ir::Request, losses: &mut Losses) -> Options<'a> {
    let mut options = Options::default();
    extras::options(request, &mut options, losses);
    let sampling = &request.sampling;
    options.set("num_predict", request.max_tokens);
    options.set("temperature", sampling.temperature);
    options.set("top_p", sampling.top_p);
    options.set("top_k", sampling.top_k);
    options.set("seed", sampling.seed);
    options.set("presence_penalty", sampling.presence_penalty);
    options.set("frequency_penalty", sampling.frequency_penalty);
    options.set("stop", Some(&request.stop).filter(|stop| !stop.is_empty()));
    options
}

fn format(output: &Output) -> Option<Format<'_>> {
    match output {
        Output::Text => None,
        Output::JsonObject => Some(Format::Any("json")),
        Output::JsonSchema { schema, .. } => Some(Format::Schema(schema)),
    }
}

/// At the end of the first message when that is a system message, else in one of its own.
fn instruct(messages: &mut Vec<Message<'_>>, instruction: String) {
    match messages.first_mut().filter(|first| first.role == "system") {
        Some(first) => first.content = Cow::Owned(format!("{}\n\n{instruction}", first.content)),
        None => {
            messages.insert(0, Message { role: "system", content: Cow::Owned(instruction), ..Message::default() });
        }
    }
}

/// Names what has no counterpart.
fn refuse(request: &ir::Request, losses: &mut Losses) {
    let sampling = &request.sampling;
    if sampling.n.is_some_and(|n| n > 1) {
        losses.meaning("n");
    }
    let tier = request.service_tier.as_deref();
    for (field, lost) in [
        ("verbosity", request.verbosity.is_some()),
        ("user", request.user.is_some()),
        ("metadata", !request.metadata.is_empty()),
        ("service_tier", tier.is_some_and(|tier| !matches!(tier, "auto" | "default"))),
        ("prompt_cache_key", request.cache_key.is_some()),
        ("cache_control", request.cache.is_some()),
    ] {
        if lost {
            losses.hint(field);
        }
    }
}
