//! What does not work as everything else does, and why. Each is asserted as it is declared.

use super::{clients::STORING, feature::Feature};

/// How a cell ends, with the reason that users are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Works,
    /// There is nothing to write it in.
    NoPlace(&'static str),
    /// 400, and nobody is asked.
    Refused(&'static str),
    /// It works, but beside tools the vendor is told of the schema in words.
    InWords(&'static str),
    /// It works, but the vendor is not asked to think.
    Unasked(&'static str),
    /// It works, but not for what a vendor keeps itself: that is refused.
    Tied(&'static str),
    /// It works, and the vendor itself knows what came before.
    Kept,
    /// It works, but the vendor gets its calls back without what was thought before them.
    Unproven(&'static str),
}

pub(super) fn verdict(client: &str, vendor: &str, feature: Feature) -> Verdict {
    match (client, vendor, feature) {
        // OpenAI has their own dialect for them.
        ("OpenAI Responses" | STORING, "OpenAI's own chat", _) => Verdict::NoPlace(""),
        (_, "Claude on Bedrock", _) if client != "Anthropic Messages" => {
            Verdict::NoPlace("other clients than Anthropic's reach it through Converse")
        }
        (
            "OpenAI completions",
            _,
            Feature::System
            | Feature::Tool
            | Feature::Parallel
            | Feature::Names
            | Feature::Results
            | Feature::Thinking
            | Feature::Forgotten
            | Feature::Moved
            | Feature::Image
            | Feature::Document
            | Feature::Schema
            | Feature::Choice,
        ) => Verdict::NoPlace("a completion has a prompt, a text and no place for more"),
        (STORING, "OpenAI Responses", Feature::Tool | Feature::Parallel | Feature::Thinking | Feature::Forgotten) => {
            Verdict::Kept
        }
        (STORING, _, Feature::Moved) if vendor != "OpenAI Responses" => {
            Verdict::Tied("what OpenAI stores itself goes on there alone, and the error says so")
        }
        (_, _, Feature::Forgotten) if is_same(client, vendor) && vendor != "DeepSeek chat" => {
            Verdict::Unproven("the client's bytes pass, and nobody adds what it has not kept")
        }
        ("Anthropic Messages", "Bedrock Converse", Feature::Thinking | Feature::Forgotten) => Verdict::Unasked(
            "Claude under its own name is reached in its own dialect; how to ask an inference profile \
                              that hides its model to think nobody knows, unless `base-models` says which it is \
                              (what it thought unasked goes back to it)",
        ),
        (_, "Cohere" | "Ollama", Feature::Document) => Verdict::Refused("it reads none"),
        (_, "Cohere" | "Ollama", Feature::Schema) => Verdict::InWords(
            "beside tools it takes none, so the model is told of it in words, and `response_format` named in `x-sluis-dropped`",
        ),
        ("OpenAI chat" | "OpenAI completions", _, Feature::Agent) => {
            // Their agents send what the other features tell of.
            Verdict::NoPlace("")
        }
        ("OpenAI chat", _, Feature::Results) => Verdict::NoPlace("a result is a text, and no error"),
        (_, "OpenAI Responses", Feature::Settings) if client != "OpenAI Responses" && client != STORING => {
            Verdict::Refused("texts that end an answer are refused, since it knows none")
        }
        (_, "Ollama", Feature::Choice) => Verdict::Refused("it cannot be made to call a tool"),
        _ => Verdict::Works,
    }
}

/// Whether the client's bytes pass.
pub(super) fn is_same(client: &str, vendor: &str) -> bool {
    matches!(
        (client, vendor),
        ("OpenAI chat", "OpenAI chat" | "DeepSeek chat" | "OpenAI's own chat")
            | ("OpenAI Responses" | STORING, "OpenAI Responses")
            | ("Gemini", "Gemini" | "Gemini on Vertex AI")
            | ("Anthropic Messages", "Anthropic" | "Claude on Vertex AI" | "Claude on Bedrock")
    )
}

impl Verdict {
    pub(super) fn reason(self) -> Option<&'static str> {
        match self {
            Self::Works | Self::Kept | Self::NoPlace("") => None,
            Self::NoPlace(reason)
            | Self::Refused(reason)
            | Self::InWords(reason)
            | Self::Unasked(reason)
            | Self::Tied(reason)
            | Self::Unproven(reason) => Some(reason),
        }
    }
}
