//! The canonical request to a version 2 chat request.
//!
//! Each subject has its file; this one keeps the account of what was lost, by the name the OpenAI
//! client gave it. The vendor refuses what it does not know, so nothing is sent on a guess.
//!
//! JSON output is the vendor's own, except beside tools or documents, where the vendor refuses it:
//! there the shape is asked for in words, and named as no longer enforced (rules J1, J2).
//!
//! Source: "Chat" and "Reasoning" of the vendor's documentation (docs.cohere.com, read November 2026).

use super::{
    body::{Body, Content, Format, Message, Part, Thinking, Value},
    extras,
    tools::{self, Tools},
    turns::Writer,
};
use crate::{
    error::{Error, Result},
    ir::{self, Effort, Output, ToolKind},
    wire::{
        Encoded, Facts, Memo, json,
        losses::Losses,
        names::{Names, Rule},
        prompted,
    },
};

/// Letters, digits and `_`, no digit first.
const TOOL_NAME: Rule =
    Rule { limit: 64, fits: |at, byte| byte.is_ascii_alphabetic() || byte == b'_' || at > 0 && byte.is_ascii_digit() };

/// The vendor's most.
const STOPS: usize = 5;
const LARGEST_K: u64 = 500;

pub(super) fn encode(request: &ir::Request, facts: &Facts<'_>) -> Result<Encoded> {
    let mut losses = Losses::default();
    let names = Names::new(TOOL_NAME, tools::names(request));
    let tools = Tools::new(request, &names, &mut losses);
    let mut documents = extras::documents(request, &mut losses);
    let is_bare = tools.tools.is_empty() && documents.is_empty();
    let mut messages = Writer { model: facts.model, names: &names, documents: &mut documents, losses: &mut losses }
        .conversation(request)?;
    let instruction = prompted::json_output(&request.output).filter(|_| !(is_bare && documents.is_empty()));
    let response_format = match instruction {
        Some(instruction) => {
            losses.hint("response_format");
            instruct(&mut messages, instruction);
            None
        }
        None => format(&request.output),
    };
    if messages.is_empty() && !losses.refuse() {
        return Err(Error::invalid("The conversation holds no text.", "messages", "empty_array"));
    }
    let mut body = Body {
        model: facts.model,
        stream: facts.stream,
        max_tokens: request.max_tokens,
        logprobs: request.sampling.logprobs,
        thinking: thinking(&request.reasoning),
        response_format,
        tool_choice: tools.choice,
        strict_tools: tools.strict.then_some(Value::Set(true)),
        tools: tools.tools,
        documents,
        messages,
        ..Body::default()
    };
    sample(request, &mut body, &mut losses);
    refuse(request, &mut losses);
    extras::carry(request, &mut body, &mut losses);
    let body = json::body(&body)?;
    let custom = request.tools.iter().filter(|tool| tool.kind == ToolKind::Custom);
    let memo = Memo {
        custom_tools: custom.map(|tool| tool.name.clone()).collect(),
        tool_names: names.into_originals(),
        ..Memo::default()
    };
    Ok(Encoded { body, memo, losses: losses.into_vec(), ..Encoded::default() })
}

/// Sampling within the vendor's bounds: temperature and penalties from 0 to 1, one penalty at a time.
fn sample<'a>(request: &'a ir::Request, body: &mut Body<'a>, losses: &mut Losses) {
    let sampling = &request.sampling;
    let mut within = |field: &str, asked: Option<f64>, least: f64, most: f64| {
        let asked = asked?;
        let sent = asked.clamp(least, most);
        // All of the distribution, as near as the vendor has it.
        if sent != asked && !(field == "top_p" && asked == 1.0) {
            losses.hint(field);
        }
        Some(sent)
    };
    body.temperature = within("temperature", sampling.temperature, 0.0, 1.0);
    body.p = within("top_p", sampling.top_p, 0.01, 0.99).map(Value::Set);
    body.frequency_penalty =
        within("frequency_penalty", sampling.frequency_penalty.filter(|value| *value != 0.0), 0.0, 1.0);
    body.presence_penalty =
        within("presence_penalty", sampling.presence_penalty.filter(|value| *value != 0.0), 0.0, 1.0);
    if body.frequency_penalty.is_some() && body.presence_penalty.take().is_some() {
        losses.hint("presence_penalty");
    }
    body.k = sampling.top_k.map(|k| Value::Set(k.min(LARGEST_K)));
    if sampling.top_k.is_some_and(|k| k > LARGEST_K) {
        losses.hint("top_k");
    }
    body.seed = sampling.seed.filter(|seed| *seed >= 0);
    if body.seed != sampling.seed {
        losses.hint("seed");
    }
    body.stop_sequences = request.stop.get(..STOPS).unwrap_or(&request.stop);
    if request.stop.len() > STOPS {
        losses.meaning("stop");
    }
}

/// R5: efforts as the budgets they are usual for; a model that cannot think says so itself.
fn thinking(reasoning: &ir::Reasoning) -> Option<Thinking> {
    let enabled = |budget| Some(Thinking::Enabled { token_budget: Some(budget) });
    match (reasoning.effort, reasoning.budget_tokens) {
        (None, None) => None,
        (Some(Effort::None), _) | (None, Some(0)) => Some(Thinking::Disabled),
        (_, Some(budget)) => enabled(budget.max(1)),
        (Some(Effort::Minimal), None) => enabled(512),
        (Some(Effort::Low), None) => enabled(1024),
        (Some(Effort::Medium), None) => enabled(4096),
        (Some(Effort::High), None) => enabled(16_000),
        // As much as the model likes.
        (Some(Effort::Xhigh | Effort::Max), None) => Some(Thinking::Enabled { token_budget: None }),
    }
}

fn format(output: &Output) -> Option<Format<'_>> {
    match output {
        Output::Text => None,
        Output::JsonObject => Some(Format::JsonObject { json_schema: None }),
        Output::JsonSchema { schema, .. } => Some(Format::JsonObject { json_schema: Some(schema) }),
    }
}

/// After the last of the system messages that stand first, so that none of their bytes change.
fn instruct(messages: &mut Vec<Message<'_>>, instruction: String) {
    let at = messages.iter().take_while(|message| message.role == "system").count();
    let content = Content(vec![Part::Text { text: instruction.into() }]);
    messages.insert(at, Message { role: "system", content, ..Message::default() });
}

/// Names what has no counterpart.
fn refuse(request: &ir::Request, losses: &mut Losses) {
    let sampling = &request.sampling;
    for (field, lost) in [
        ("n", sampling.n.is_some_and(|n| n > 1)),
        ("top_logprobs", sampling.top_logprobs.is_some_and(|count| count > 0)),
    ] {
        if lost {
            losses.meaning(field);
        }
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
