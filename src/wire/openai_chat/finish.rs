//! Finish reasons, both ways.
//!
//! OpenAI knows `stop`, `length`, `tool_calls`, `content_filter` and the older `function_call`
//! (API reference, "The chat completion object"). The others are what compatible vendors'
//! references and recorded traffic show, read November 2026.

use crate::ir::Finish;

/// What a wire reason means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    Is(Finish),
    /// An old-style function call; the same end as `tool_calls` under its own name.
    FunctionCall,
    /// DeepSeek ran out of capacity: an error before any output, a cut after it.
    OutOfCapacity,
    /// The answer was broken off: `error` (OpenRouter, Mistral, Fireworks), `abort` (SGLang),
    /// `network_error` (Z.ai).
    Failure,
    /// Not known: an end like any other.
    Unknown,
}

/// The meaning of a reason. An empty one is none at all and must not come here.
pub(super) fn reason(wire: &str) -> Reason {
    match wire {
        "stop" | "eos" | "eos_token" | "end_turn" => Reason::Is(Finish::Stop),
        "stop_sequence" => Reason::Is(Finish::StopSequence),
        "length" | "model_length" | "max_tokens" | "model_context_window_exceeded" => Reason::Is(Finish::Length),
        "tool_calls" | "tool_use" => Reason::Is(Finish::ToolCalls),
        "content_filter" | "sensitive" | "safety" | "recitation" => Reason::Is(Finish::ContentFilter),
        "function_call" => Reason::FunctionCall,
        "insufficient_system_resource" => Reason::OutOfCapacity,
        "error" | "abort" | "network_error" => Reason::Failure,
        _ => Reason::Unknown,
    }
}

/// Reads a finish reason.
pub(super) fn decode(wire: &str) -> Finish {
    match reason(wire) {
        Reason::Is(finish) => finish,
        Reason::FunctionCall => Finish::ToolCalls,
        Reason::OutOfCapacity => Finish::Length,
        Reason::Failure | Reason::Unknown => Finish::Stop,
    }
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

/// Writes a finish reason, a call's in the older words if `legacy`. A refusal without words of its
/// own is `content_filter`: `stop` would pass an answer that was cut for a complete one.
pub(in crate::wire) fn encode(finish: Finish, has_calls: bool, legacy: bool) -> &'static str {
    match settle(finish, has_calls) {
        Finish::Stop | Finish::StopSequence | Finish::Paused => "stop",
        Finish::Length => "length",
        Finish::ToolCalls if legacy => "function_call",
        Finish::ToolCalls => "tool_calls",
        Finish::ContentFilter | Finish::Refusal => "content_filter",
    }
}

/// What a client whose bytes pass shall read, and what it means. OpenAI's own words pass, whatever
/// was sent before them, except for a stop after tool calls; so do those nobody knows.
pub(in crate::wire) fn mend(wire: &str, has_calls: bool) -> (&str, Finish) {
    let finish = decode(wire);
    let settled = settle(finish, has_calls);
    match reason(wire) {
        Reason::Is(Finish::ToolCalls) => ("tool_calls", finish),
        Reason::FunctionCall if !has_calls => (wire, finish),
        Reason::Failure | Reason::Unknown => (wire, settled),
        Reason::Is(_) | Reason::FunctionCall | Reason::OutOfCapacity => (encode(finish, has_calls, false), settled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S4: the map for bytes that pass, without and after tool calls.
    #[test]
    fn reasons() {
        for (wire, alone, after_tools) in [
            ("stop", "stop", "tool_calls"),
            ("eos", "stop", "tool_calls"),
            ("end_turn", "stop", "tool_calls"),
            ("stop_sequence", "stop", "tool_calls"),
            ("length", "length", "length"),
            ("model_length", "length", "length"),
            ("max_tokens", "length", "length"),
            ("insufficient_system_resource", "length", "length"),
            ("content_filter", "content_filter", "content_filter"),
            ("sensitive", "content_filter", "content_filter"),
            ("tool_use", "tool_calls", "tool_calls"),
            ("function_call", "function_call", "tool_calls"),
            ("whatever", "whatever", "whatever"),
        ] {
            assert_eq!((mend(wire, false).0, mend(wire, true).0), (alone, after_tools), "{wire}");
        }
        assert_eq!(mend("whatever", true).1, Finish::ToolCalls);
        assert_eq!(mend("function_call", false).1, Finish::ToolCalls);
    }
}
