//! Fields that are the vendor's own travel on, under either spelling, at the top level or where the
//! vendor's OpenAI-compatible endpoint has them (`extra_body.google`). The rest is a loss by name.
//!
//! Source: "OpenAI compatibility" and the API reference (ai.google.dev, read November 2026).

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::value::{RawValue, to_raw_value};

use super::{
    body::{Body, Thinking},
    tools,
};
use crate::{
    ir,
    wire::{
        Host,
        losses::{Losses, is_default},
    },
};

/// Takes what the vendor knows.
pub(super) fn carry<'a>(request: &'a ir::Request, host: Host, body: &mut Body<'a>, losses: &mut Losses) {
    for (field, value) in &request.extra {
        let value: &'a RawValue = value;
        if is_default(field, value.get()) || is_read_elsewhere(field) || own(field, value, host, body) {
            continue;
        }
        match field.as_str() {
            "google" => google(field, value, host, body, losses),
            "extra_body" => extra_body(value, host, body, losses),
            "modalities" => modalities(value, body, losses),
            "audio" => losses.meaning(field),
            _ => losses.hint(field),
        }
    }
}

/// A field of the vendor's own; false for any other.
fn own<'a>(field: &str, value: &'a RawValue, host: Host, body: &mut Body<'a>) -> bool {
    let config = &mut body.generation_config;
    match field {
        "safety_settings" | "safetySettings" => body.safety_settings = Some(value),
        "cached_content" | "cachedContent" => body.cached_content = Some(value),
        "labels" if host == Host::Cloud => body.labels = Some(Cow::Borrowed(value)),
        "model_armor_config" | "modelArmorConfig" if host == Host::Cloud => body.model_armor_config = Some(value),
        "thinking_config" | "thinkingConfig" => config.thinking_config = Some(Thinking::Raw(value)),
        "response_modalities" | "responseModalities" => config.response_modalities = Some(Cow::Borrowed(value)),
        "speech_config" | "speechConfig" => config.speech_config = Some(value),
        "image_config" | "imageConfig" => config.image_config = Some(value),
        "media_resolution" | "mediaResolution" => config.media_resolution = Some(value),
        "audio_timestamp" | "audioTimestamp" if host == Host::Cloud => config.audio_timestamp = Some(value),
        "routing_config" | "routingConfig" if host == Host::Cloud => config.routing_config = Some(value),
        "enable_enhanced_civic_answers" | "enableEnhancedCivicAnswers" if host == Host::Vendor => {
            config.enable_enhanced_civic_answers = Some(value);
        }
        "retrieval_config" | "retrievalConfig" => body.tool_config.retrieval_config = Some(value),
        _ => return false,
    }
    true
}

/// `extra_body`, as a key of the body; what is not Google's in it is not meant for here.
fn extra_body<'a>(value: &'a RawValue, host: Host, body: &mut Body<'a>, losses: &mut Losses) {
    let Some(members) = members(value) else { return losses.hint("extra_body") };
    for (field, value) in members {
        if field == "google" {
            google("extra_body.google", value, host, body, losses);
        } else {
            losses.hint(&format!("extra_body.{field}"));
        }
    }
}

fn google<'a>(path: &str, value: &'a RawValue, host: Host, body: &mut Body<'a>, losses: &mut Losses) {
    let Some(members) = members(value) else { return losses.hint(path) };
    for (field, value) in members {
        if value.get() != "null" && !own(&field, value, host, body) {
            losses.hint(&format!("{path}.{field}"));
        }
    }
}

fn members(value: &RawValue) -> Option<BTreeMap<Cow<'_, str>, &RawValue>> {
    serde_json::from_str(value.get()).ok()
}

/// OpenAI's word for what an answer may be made of. Sound has no way back to a chat client.
fn modalities(value: &RawValue, body: &mut Body<'_>, losses: &mut Losses) {
    let asked: Vec<String> = serde_json::from_str(value.get()).unwrap_or_default();
    let known = asked.iter().all(|modality| matches!(modality.as_str(), "text" | "image"));
    if !known || asked.is_empty() {
        return losses.meaning("modalities");
    }
    let asked: Vec<String> = asked.iter().map(|modality| modality.to_ascii_uppercase()).collect();
    body.generation_config.response_modalities = to_raw_value(&asked).ok().map(Cow::Owned);
}

/// By the encoder, or with the tools.
fn is_read_elsewhere(field: &str) -> bool {
    matches!(field, "top_k" | "thinking" | "web_search_options") || tools::is_tool(field)
}
