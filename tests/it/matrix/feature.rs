//! What a client wants to get through, and what stands in the way.

/// What a client wants to get through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Feature {
    Text,
    System,
    Tool,
    Parallel,
    /// Tools whose names not every vendor takes.
    Names,
    /// A result with an image, and one that is an error.
    Results,
    Thinking,
    /// The same with a client that does not keep the reasoning.
    Forgotten,
    /// Begun at another vendor.
    Moved,
    Image,
    Document,
    Schema,
    Settings,
    /// Which tools may be called, and whether one must.
    Choice,
    /// Ends because the tokens are used up, or a policy says so.
    CutOff,
    /// What the best known agent of the dialect sends.
    Agent,
    Refused,
    /// Another vendor was asked first.
    Fallback,
    Broken,
    Cancel,
    KeepAlive,
}

// === impl Feature ===

impl Feature {
    pub(super) const ALL: [Self; 21] = [
        Self::Text,
        Self::System,
        Self::Tool,
        Self::Parallel,
        Self::Names,
        Self::Results,
        Self::Thinking,
        Self::Forgotten,
        Self::Moved,
        Self::Image,
        Self::Document,
        Self::Schema,
        Self::Settings,
        Self::Choice,
        Self::CutOff,
        Self::Agent,
        Self::Refused,
        Self::Fallback,
        Self::Broken,
        Self::Cancel,
        Self::KeepAlive,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::System => "system",
            Self::Tool => "tool",
            Self::Parallel => "parallel tools",
            Self::Names => "tool names",
            Self::Results => "tool results",
            Self::Thinking => "thinking",
            Self::Forgotten => "thinking forgotten",
            Self::Moved => "moved",
            Self::Image => "image",
            Self::Document => "document",
            Self::Schema => "schema",
            Self::Settings => "settings",
            Self::Choice => "tool choice",
            Self::CutOff => "cut off",
            Self::Agent => "agent",
            Self::Refused => "refused",
            Self::Fallback => "fallback",
            Self::Broken => "broken",
            Self::Cancel => "cancel",
            Self::KeepAlive => "keep-alive",
        }
    }

    /// Streamed or not.
    pub(super) fn modes(self) -> &'static [bool] {
        match self {
            Self::Broken | Self::KeepAlive => &[true],
            Self::Text
            | Self::System
            | Self::Tool
            | Self::Parallel
            | Self::Names
            | Self::Results
            | Self::Fallback
            | Self::Thinking
            | Self::Forgotten
            | Self::Moved
            | Self::Image
            | Self::Document
            | Self::Schema
            | Self::Settings
            | Self::Choice
            | Self::CutOff
            | Self::Agent
            | Self::Refused
            | Self::Cancel => &[false, true],
        }
    }
}
