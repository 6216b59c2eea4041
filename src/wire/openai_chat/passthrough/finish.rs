//! Finish reasons of compatible vendors, as OpenAI's.
//!
//! OpenAI knows `stop`, `length`, `tool_calls`, `content_filter` and the older `function_call`
//! (API reference, "The chat completion chunk object", read November 2026). The others are what
//! vendors' references and recorded traffic show.

use crate::ir;

/// What a wire reason means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    Finish(ir::Finish),
    /// An old-style function call; the same end as `tool_calls` under its own name.
    FunctionCall,
    /// DeepSeek ran out of capacity: an error before any output, a cut after it.
    OutOfCapacity,
    /// Not known: passed on as it is, counted as a stop.
    Unknown,
}

/// The meaning of a reason. An empty one is none at all and must not come here.
pub(super) fn reason(wire: &str) -> Reason {
    match wire {
        "stop" | "eos" | "eos_token" | "end_turn" | "stop_sequence" => Reason::Finish(ir::Finish::Stop),
        "length" | "model_length" | "max_tokens" | "model_context_window_exceeded" => {
            Reason::Finish(ir::Finish::Length)
        }
        "tool_calls" | "tool_use" => Reason::Finish(ir::Finish::ToolCalls),
        "function_call" => Reason::FunctionCall,
        "content_filter" | "sensitive" | "safety" | "recitation" => Reason::Finish(ir::Finish::ContentFilter),
        "insufficient_system_resource" => Reason::OutOfCapacity,
        _ => Reason::Unknown,
    }
}

/// What the client shall read, and what it means: a stop after tool calls is `tool_calls`, while
/// any other reason wins over them (rule S4).
pub(super) fn settle(wire: &str, called_tools: bool) -> (&str, ir::Finish) {
    let stop = if called_tools { ("tool_calls", ir::Finish::ToolCalls) } else { ("stop", ir::Finish::Stop) };
    match reason(wire) {
        Reason::Finish(ir::Finish::Length) | Reason::OutOfCapacity => ("length", ir::Finish::Length),
        Reason::Finish(ir::Finish::ContentFilter) => ("content_filter", ir::Finish::ContentFilter),
        Reason::Finish(ir::Finish::ToolCalls) => ("tool_calls", ir::Finish::ToolCalls),
        Reason::Finish(ir::Finish::Stop | ir::Finish::StopSequence | ir::Finish::Refusal | ir::Finish::Paused) => stop,
        Reason::FunctionCall if called_tools => stop,
        Reason::FunctionCall => ("function_call", ir::Finish::ToolCalls),
        Reason::Unknown => (wire, stop.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S4: the map, without and after tool calls.
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
            assert_eq!((settle(wire, false).0, settle(wire, true).0), (alone, after_tools), "{wire}");
        }
    }
}
