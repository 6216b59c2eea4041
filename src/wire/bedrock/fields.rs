//! A model's own fields (`additionalModelRequestFields`), and what else of a request has no place in
//! the common form.
//!
//! | effort | Claude | Nova 2 | gpt-oss | Qwen, GLM, Kimi, DeepSeek, ... |
//! |---|---|---|---|---|
//! | none | as the Anthropic dialect | `disabled` | `low`, reported | left out, reported |
//! | minimal, low | as there | `low` | `low` | `low` |
//! | medium | as there | `medium` | `medium` | `high` |
//! | high and more | as there | `high` | `high` | `high` |
//!
//! Models that always reason take no effort, and those that never do none but `none`: another wish is
//! reported lost. Nova 2 at `high` takes neither bounds nor sampling parameters beside it.
//!
//! A client may give `additionalModelRequestFields` itself, for what an operator knows of a model
//! that this page does not; its members win.
//!
//! Source: "Inference parameters and responses" by vendor (docs.aws.amazon.com/bedrock, read
//! November 2026).

use serde_json::{Map, Value, json, value::RawValue};

use super::{
    body::{Body, InferenceConfig, Metadata, Paths, Tier},
    models::{Line, Reasoning, TopK},
};
use crate::{
    ir::{self, Effort},
    wire::{
        anthropic::{request::Sampled, thinking::Plan},
        losses::{Losses, is_default},
    },
};

/// The service's bounds on a request's metadata.
const METADATA_ENTRIES: usize = 16;
const METADATA_LENGTH: usize = 256;

/// Claude's thinking as the Anthropic dialect plans it.
pub(super) fn think(plan: &Plan<'_>, fields: &mut Map<String, Value>) {
    if let Some(thinking) = plan.thinking.as_ref().and_then(|thinking| serde_json::to_value(thinking).ok()) {
        fields.insert("thinking".into(), thinking);
    }
    if let Some(effort) = plan.effort {
        fields.insert("output_config".into(), json!({"effort": effort}));
    }
}

/// Another model's effort.
pub(super) fn reason(
    reasoning: &ir::Reasoning,
    line: &Line,
    inference: &mut InferenceConfig<'_>,
    fields: &mut Map<String, Value>,
    losses: &mut Losses,
) {
    let budget = reasoning.budget_tokens.map(|budget| if budget == 0 { Effort::None } else { Effort::Medium });
    let Some(effort) = reasoning.effort.or(budget) else { return };
    let level = effort.clamp(Effort::Low, Effort::High);
    match (line.reasoning, effort) {
        (Reasoning::Nova, Effort::None) => {
            fields.insert("reasoningConfig".into(), json!({"type": "disabled"}));
        }
        (Reasoning::Nova, _) => {
            let config = json!({"type": "enabled", "maxReasoningEffort": level.as_str()});
            fields.insert("reasoningConfig".into(), config);
            if level == Effort::High {
                without_bounds(inference, losses);
            }
        }
        (Reasoning::Effort, _) => {
            if effort == Effort::None {
                losses.hint("reasoning_effort");
            }
            fields.insert("reasoning_effort".into(), level.as_str().into());
        }
        (Reasoning::Flat, Effort::Minimal | Effort::Low) => {
            fields.insert("reasoning_config".into(), "low".into());
        }
        (Reasoning::Flat, Effort::Medium | Effort::High | Effort::Xhigh | Effort::Max) => {
            fields.insert("reasoning_config".into(), "high".into());
        }
        // Planned elsewhere, or what happens anyway.
        (Reasoning::Claude, _) | (Reasoning::Never, Effort::None) => {}
        (Reasoning::Flat | Reasoning::Fixed | Reasoning::Never, _) => losses.hint("reasoning_effort"),
    }
}

fn without_bounds(inference: &mut InferenceConfig<'_>, losses: &mut Losses) {
    for (field, is_given) in [
        ("max_tokens", inference.max_tokens.take().is_some()),
        ("temperature", inference.temperature.take().is_some()),
        ("top_p", inference.top_p.take().is_some()),
    ] {
        if is_given {
            losses.hint(field);
        }
    }
}

/// `top_k`, where the model has a place for it.
pub(super) fn top_k(sampled: Sampled, line: &Line, fields: &mut Map<String, Value>, losses: &mut Losses) {
    let Some(top_k) = sampled.top_k else { return };
    match line.top_k {
        TopK::TopK => {
            fields.insert("top_k".into(), top_k.into());
        }
        TopK::Nova => {
            fields.insert("inferenceConfig".into(), json!({"topK": top_k}));
        }
        TopK::None => losses.hint("top_k"),
    }
}

/// Metadata and tier, which have a place in the common form.
pub(super) fn label<'a>(request: &'a ir::Request, body: &mut Body<'a>, losses: &mut Losses) {
    let fits = |text: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || ":_@$#=/+,-.".contains(c);
        text.len() <= METADATA_LENGTH && text.chars().all(allowed)
    };
    let pairs = request.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let pairs = pairs.filter(|(key, value)| !key.is_empty() && fits(key) && fits(value)).take(METADATA_ENTRIES);
    let pairs: std::collections::BTreeMap<_, _> = pairs.collect();
    if pairs.len() < request.metadata.len() {
        losses.hint("metadata");
    }
    if !pairs.is_empty() {
        body.request_metadata = Some(Metadata::Pairs(pairs));
    }
    match request.service_tier.as_deref() {
        None | Some("auto") => {}
        Some(kind @ ("default" | "flex" | "priority" | "reserved")) => body.service_tier = Some(Tier::Named { kind }),
        Some(_) => losses.hint("service_tier"),
    }
    if request.user.is_some() {
        losses.hint("user");
    }
}

/// Fields of other dialects: the service's own travel on, the rest is a loss by name.
pub(super) fn carry<'a>(request: &'a ir::Request, line: &Line, body: &mut Body<'a>, losses: &mut Losses) {
    let is_claude = line.reasoning == Reasoning::Claude;
    for (field, value) in &request.extra {
        let value: &'a RawValue = value;
        match field.as_str() {
            _ if is_default(field, value.get()) => {}
            "guardrailConfig" | "guardrail_config" => body.guardrail_config = Some(value),
            "performanceConfig" | "performance_config" => body.performance_config = Some(value),
            "promptVariables" | "prompt_variables" => body.prompt_variables = Some(value),
            "requestMetadata" | "request_metadata" => body.request_metadata = Some(Metadata::Raw(value)),
            "serviceTier" => body.service_tier = Some(Tier::Raw(value)),
            "additionalModelResponseFieldPaths" | "additional_model_response_field_paths" => {
                body.additional_model_response_field_paths = Some(Paths::Raw(value));
            }
            // Read elsewhere.
            "additionalModelRequestFields" | "additional_model_request_fields" | "top_k" => {}
            "thinking" if is_claude => {}
            "betas" | "anthropic_beta" if is_claude => insert(body, "anthropic_beta", value, losses),
            "context_management" if is_claude => insert(body, "context_management", value, losses),
            // A hint for the whole prompt, read by the encoder.
            "cache_control" => {}
            "audio" | "modalities" | "moderation" | "web_search_options" => losses.meaning(field),
            _ => losses.hint(field),
        }
    }
    own(request, body, losses);
}

fn insert(body: &mut Body<'_>, field: &str, value: &RawValue, losses: &mut Losses) {
    match serde_json::from_str(value.get()) {
        Ok(value) => {
            body.additional_model_request_fields.insert(field.into(), value);
        }
        Err(_) => losses.hint(field),
    }
}

/// What the client says of the model's fields itself.
fn own(request: &ir::Request, body: &mut Body<'_>, losses: &mut Losses) {
    for field in ["additionalModelRequestFields", "additional_model_request_fields"] {
        let Some(value) = request.extra.get(field).filter(|value| value.get() != "null") else { continue };
        match serde_json::from_str::<Map<String, Value>>(value.get()) {
            Ok(fields) => body.additional_model_request_fields.extend(fields),
            Err(_) => losses.hint(field),
        }
    }
}
