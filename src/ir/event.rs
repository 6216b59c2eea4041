//! The canonical stream: `Start (Open Delta* Close)* Usage* Finish`.
//!
//! Blocks are told apart by index and may overlap, because in the chat dialect they do. Indices
//! count 0, 1, 2 over the whole answer. A later `Usage` replaces an earlier one field by field;
//! the decoder has merged them already, so each carries the full counts so far (rule C2).

use super::{Annotation, Finish, Logprob, Lost, Source, ToolKind, Usage};

#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Once, first.
    Start {
        id: String,
        model: String,
        created: u64,
    },
    Open {
        index: u32,
        block: Opening,
    },
    Delta {
        index: u32,
        delta: Delta,
    },
    Close {
        index: u32,
    },
    Annotation(Annotation),
    /// Of the tokens of the text so far that none had been told of; never empty.
    Logprobs(Vec<Logprob>),
    Usage(Usage),
    /// The model made something that has no place here; once for each kind.
    Lost(Lost),
    /// Once; only `Usage` may follow.
    Finish {
        reason: Finish,
        stop_sequence: Option<String>,
    },
}

/// What kind of block begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    Text,
    Reasoning,
    /// Complete at once; no deltas follow.
    RedactedReasoning {
        data: String,
    },
    ToolCall {
        id: String,
        name: String,
        /// A custom tool's arguments are plain text.
        kind: ToolKind,
    },
    Refusal,
    /// An image the model made. Complete at once; no deltas follow.
    Image {
        source: Source,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delta {
    Text(String),
    Reasoning(String),
    /// The whole signature of a reasoning block, once, last.
    Signature(String),
    /// A piece of a tool call's JSON text, or of a custom tool's plain one.
    Arguments(String),
    Refusal(String),
}
