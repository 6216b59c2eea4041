//! Why an answer ended (rule S4).
//!
//! Source: "FinishReason" and "BlockReason" (ai.google.dev/api, read November 2026), with Vertex AI's
//! additions.

use crate::{error::Error, ir::Finish};

/// What a reason means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    Is(Finish),
    /// The model tried to call a tool and failed: no answer, and another try may give one.
    BadCall,
}

/// The vendor has no word for an end in tool calls. Words not known, which come with every release,
/// are an end like any other.
pub(super) fn reason(wire: &str, calls: bool) -> Reason {
    match wire {
        "MAX_TOKENS" => Reason::Is(Finish::Length),
        "SAFETY"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "RECITATION"
        | "LANGUAGE"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "MODEL_ARMOR"
        | "JAILBREAK" => Reason::Is(Finish::ContentFilter),
        "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" | "TOO_MANY_TOOL_CALLS" => Reason::BadCall,
        _ if calls => Reason::Is(Finish::ToolCalls),
        _ => Reason::Is(Finish::Stop),
    }
}

/// What is said of a call that went wrong.
pub(super) fn bad_call(wire: &str, message: Option<&str>) -> Error {
    let message = message.filter(|text| !text.is_empty()).unwrap_or("The model failed to call a tool.");
    Error::BadReply { message: format!("{message} ({wire})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S4, regression case 26: STOP with calls means calls; length and filters always win.
    #[test]
    fn every_reason_has_its_finish() {
        for (wire, calls, expected) in [
            ("STOP", false, Reason::Is(Finish::Stop)),
            ("STOP", true, Reason::Is(Finish::ToolCalls)),
            ("MAX_TOKENS", true, Reason::Is(Finish::Length)),
            ("SAFETY", true, Reason::Is(Finish::ContentFilter)),
            ("RECITATION", false, Reason::Is(Finish::ContentFilter)),
            ("IMAGE_SAFETY", false, Reason::Is(Finish::ContentFilter)),
            ("MALFORMED_FUNCTION_CALL", false, Reason::BadCall),
            ("NO_IMAGE", false, Reason::Is(Finish::Stop)),
            ("OTHER", false, Reason::Is(Finish::Stop)),
            ("FINISH_REASON_UNSPECIFIED", true, Reason::Is(Finish::ToolCalls)),
            ("SOMETHING_NEW", false, Reason::Is(Finish::Stop)),
        ] {
            assert_eq!(reason(wire, calls), expected, "{wire} {calls}");
        }
    }
}
