//! Fields of other dialects: a few are the vendor's own and travel on, the rest is a loss by name.
//!
//! Beta flags are only ever those the client asked for in `betas` (rule A3).

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderValue};
use serde_json::value::RawValue;

use super::body::{Body, Cache};
use crate::{
    ir,
    wire::losses::{Losses, is_default},
};

/// Takes what the vendor knows under the same name.
pub(super) fn carry<'a>(request: &'a ir::Request, body: &mut Body<'a>, losses: &mut Losses) {
    for (field, value) in &request.extra {
        let value: &'a RawValue = value;
        match field.as_str() {
            _ if is_default(field, value.get()) => {}
            "container" => body.container = Some(value),
            "context_management" => body.context_management = Some(value),
            "diagnostics" => body.diagnostics = Some(value),
            "inference_geo" => body.inference_geo = Some(value),
            "mcp_servers" => body.mcp_servers = Some(value),
            "speed" => body.speed = Some(value),
            "cache_control" if request.cache.is_none() => body.cache_control = Some(Cache::Raw(value)),
            // Read elsewhere: by the encoder, by `betas` below.
            "thinking" | "top_k" | "betas" | "safety_identifier" => {}
            "audio" | "modalities" | "moderation" | "web_search_options" => losses.meaning(field),
            _ => losses.hint(field),
        }
    }
}

/// The beta flags the client asked for, as the header the vendor reads.
pub(super) fn betas(extra: &BTreeMap<String, Box<RawValue>>, headers: &mut HeaderMap, losses: &mut Losses) {
    let Some(value) = extra.get("betas").filter(|value| value.get() != "null") else { return };
    let flags: Option<Vec<String>> = serde_json::from_str(value.get()).ok();
    match flags.map(|flags| HeaderValue::from_str(&flags.join(","))) {
        Some(Ok(flags)) if !flags.is_empty() => {
            headers.insert("anthropic-beta", flags);
        }
        Some(Ok(_)) => {}
        Some(Err(_)) | None => losses.hint("betas"),
    }
}
