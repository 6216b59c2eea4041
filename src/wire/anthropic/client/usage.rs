//! Counts on the wire: disjoint buckets here as in the canonical form, while other dialects count
//! the cached tokens among the prompt's (rule C4).

use serde::Serialize;

use crate::{
    ir::{Block, Usage},
    wire::Asked,
};

/// Generated text is about four bytes to a token, when nobody counted.
const BYTES_PER_TOKEN: u64 = 4;

#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Counts {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    cache_creation: CacheCreation,
    output_tokens: u64,
    output_tokens_details: Details,
    server_tool_use: Option<()>,
    service_tier: &'static str,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct CacheCreation {
    ephemeral_5m_input_tokens: u64,
    ephemeral_1h_input_tokens: u64,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Details {
    thinking_tokens: u64,
}

// === impl Counts ===

impl Counts {
    pub(super) fn of(usage: &Usage) -> Self {
        Self {
            input_tokens: usage.input,
            cache_creation_input_tokens: usage.cache_write.saturating_add(usage.cache_write_1h),
            cache_read_input_tokens: usage.cache_read,
            cache_creation: CacheCreation {
                ephemeral_5m_input_tokens: usage.cache_write,
                ephemeral_1h_input_tokens: usage.cache_write_1h,
            },
            output_tokens: usage.output,
            output_tokens_details: Details { thinking_tokens: usage.reasoning },
            server_tool_use: None,
            service_tier: "standard",
        }
    }

    /// What is told where the upstream told nothing, or nothing yet: clients show these numbers and
    /// compact by them, so zero would be the worse answer.
    pub(super) fn guessed(asked: &Asked, output_bytes: u64) -> Self {
        let output = output_bytes.div_ceil(BYTES_PER_TOKEN).max(1);
        Self::of(&Usage { input: asked.prompt_estimate, output, ..Usage::default() })
    }
}

/// Bytes of generated text.
pub(super) fn text_bytes(blocks: &[Block]) -> u64 {
    let bytes = |block: &Block| match block {
        Block::Text { text, .. } | Block::Refusal { text } | Block::Reasoning { text, .. } => text.len(),
        Block::ToolCall { arguments, .. } => arguments.len(),
        Block::Image { .. }
        | Block::Document { .. }
        | Block::Audio { .. }
        | Block::RedactedReasoning { .. }
        | Block::ToolResult { .. } => 0,
    };
    blocks.iter().map(bytes).sum::<usize>() as u64
}
