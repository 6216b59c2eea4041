//! Finish reasons, both ways. Vendors' spellings are those seen in recorded traffic and in their
//! references, read November 2026.

use crate::ir::Finish;

/// Reads a finish reason. What no vendor is known to say is an end like any other.
pub(super) fn decode(reason: &str) -> Finish {
    match reason {
        "length" | "model_length" | "max_tokens" | "model_context_window_exceeded" | "insufficient_system_resource" => {
            Finish::Length
        }
        "tool_calls" | "function_call" | "tool_use" => Finish::ToolCalls,
        "content_filter" | "sensitive" | "safety" | "recitation" => Finish::ContentFilter,
        "stop_sequence" => Finish::StopSequence,
        _ => Finish::Stop,
    }
}

/// Whether a finish reason tells of a failure (OpenRouter, SGLang, Z.ai).
pub(super) fn is_failure(reason: &str) -> bool {
    matches!(reason, "error" | "abort" | "network_error")
}

/// What the finish is, given what was really sent: `stop` with tool calls means tool calls, and
/// tool calls without any mean `stop`; running out of tokens and filters always win (rule S4).
pub(super) fn settle(finish: Finish, has_calls: bool) -> Finish {
    match finish {
        Finish::Stop | Finish::StopSequence | Finish::Paused if has_calls => Finish::ToolCalls,
        Finish::ToolCalls if !has_calls => Finish::Stop,
        Finish::Stop
        | Finish::StopSequence
        | Finish::Length
        | Finish::ToolCalls
        | Finish::ContentFilter
        | Finish::Refusal
        | Finish::Paused => finish,
    }
}

/// Writes a finish reason. A refusal without words of its own is `content_filter`: `stop` would
/// pass an answer that was cut for a complete one.
pub(super) fn encode(finish: Finish, has_calls: bool) -> &'static str {
    match settle(finish, has_calls) {
        Finish::Stop | Finish::StopSequence | Finish::Paused => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::ContentFilter | Finish::Refusal => "content_filter",
    }
}
