//! The canonical request to a Converse request.
//!
//! Each subject has its file; this one asks them in the order they depend on each other and keeps
//! the account of what was lost, by the name the OpenAI client gave it. The model's id is not in the
//! body: it is part of the path, which is the provider's.
//!
//! Source: "Converse" of the Bedrock Runtime API reference (docs.aws.amazon.com/bedrock, read
//! November 2026).

use std::borrow::Cow;

use http::HeaderMap;
use serde_json::value::RawValue;

use super::{
    body::{Block, Body, InferenceConfig, JsonSchema, OutputConfig, Paths, Structure, TextFormat, ToolConfig},
    fields,
    ids::Ids,
    models::{self, Line, Reasoning},
    tools::Tools,
    turns::{self, Writer},
};
use crate::{
    error::{Error, Result},
    ir::{self, CacheHint, CacheTtl},
    wire::{
        Encoded, Facts,
        anthropic::{
            output::{INSTRUCTION, Shape},
            request::{memo, plan, refuse, sampled, stops, tool_ids, tool_names},
            thinking::{Around, Plan},
        },
        json,
        losses::Losses,
        names::{Names, Rule},
    },
};

pub(super) fn encode(request: &ir::Request, facts: &Facts<'_>) -> Result<Encoded> {
    let line = models::line(facts.model);
    let mut losses = Losses::default();
    let mut names = Names::new(Rule::usual(line.model.name_limit), tool_names(request));
    let ids = Ids::new(&line, tool_ids(request));
    let shape = Shape::new(&request.output, &line.model, &mut names, &mut losses);
    let tools = Tools::new(request, &line, &names, &shape, &mut losses);
    let writer = Writer { line: &line, tools: &names, ids: &ids, told: tools.tools.is_empty(), losses: &mut losses };
    let mut conversation = writer.conversation(&request.messages, whole_cache(request))?;
    if conversation.messages.is_empty() && !losses.refuse() {
        return Err(Error::invalid("The conversation holds no text.", "messages", "empty_array"));
    }
    if matches!(shape, Shape::Instruction) {
        conversation.system.push(Block::text(INSTRUCTION));
    }
    let around = Around {
        forced: tools.is_forced(),
        bare_tool_turn: turns::ends_in_bare_tool_turn(&conversation.messages),
        asked: request.max_tokens,
        limit: facts.max_output_tokens.unwrap_or(line.model.max_output),
    };
    let mut body = Body { system: conversation.system, messages: conversation.messages, ..Body::default() };
    infer(request, &line, around, &mut body, &mut losses);
    body.output_config = output_config(&request.output, &shape);
    if tools.one_at_a_time {
        let choice = serde_json::json!({"type": "auto", "disable_parallel_tool_use": true});
        body.additional_model_request_fields.insert("tool_choice".into(), choice);
    }
    if !tools.tools.is_empty() {
        body.tool_config = Some(ToolConfig { tools: tools.tools, tool_choice: tools.choice });
    }
    fields::label(request, &mut body, &mut losses);
    refuse(request, &mut losses);
    fields::carry(request, &line, &mut body, &mut losses);
    let body = json::body(&body)?;
    let memo = memo(request, names, shape);
    Ok(Encoded { body, headers: HeaderMap::new(), memo, losses: losses.into_vec() })
}

/// Bounds, sampling and reasoning.
fn infer<'a>(request: &'a ir::Request, line: &Line, around: Around, body: &mut Body<'a>, losses: &mut Losses) {
    let fields = &mut body.additional_model_request_fields;
    let is_claude = line.reasoning == Reasoning::Claude;
    let plan = if is_claude { plan(request, &line.model, around, losses) } else { Plan::default() };
    let sampled = sampled(request, &line.model, plan.thinks(), losses);
    let budgeted = plan.thinks() && plan.max_tokens > 0;
    body.inference_config = InferenceConfig {
        // A6: what is left out is the model's maximum.
        max_tokens: request.max_tokens.or(budgeted.then_some(plan.max_tokens)).map(|asked| asked.max(plan.max_tokens)),
        temperature: sampled.temperature,
        top_p: sampled.top_p,
        stop_sequences: stops(&request.stop, losses),
    };
    fields::top_k(sampled, line, fields, losses);
    if is_claude {
        fields::think(&plan, fields);
        if !body.inference_config.stop_sequences.is_empty() {
            body.additional_model_response_field_paths = Some(Paths::Fixed(["/stop_sequence"]));
        }
    } else {
        fields::reason(&request.reasoning, line, &mut body.inference_config, fields, losses);
    }
}

fn output_config<'a>(output: &'a ir::Output, shape: &Shape<'a>) -> Option<OutputConfig<'a>> {
    let (Shape::Native(schema), ir::Output::JsonSchema { name, description, .. }) = (shape, output) else {
        return None;
    };
    let schema = match schema {
        Cow::Borrowed(schema) => Cow::Borrowed(schema.get()),
        Cow::Owned(schema) => Cow::Owned(schema.get().to_owned()),
    };
    let schema = JsonSchema { name, description: description.as_deref(), schema };
    Some(OutputConfig { text_format: TextFormat { kind: "json_schema", structure: Structure::JsonSchema(schema) } })
}

/// A cache breakpoint for the whole prompt, perhaps in Anthropic's own words.
fn whole_cache(request: &ir::Request) -> Option<CacheHint> {
    let given = request.extra.get("cache_control").filter(|raw| raw.get() != "null");
    let hint = |raw: &RawValue| CacheHint { ttl: raw.get().contains("\"1h\"").then_some(CacheTtl::OneHour) };
    request.cache.or_else(|| given.map(|raw| hint(raw)))
}
