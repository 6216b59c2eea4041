//! The canonical answer.

use super::{Block, Usage};

/// A whole answer. A stream of [`super::Event`]s folds into one, and one unfolds into events.
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    /// The upstream's id of the answer; empty when it gave none.
    pub id: String,
    /// The model that answered, as the upstream names it; empty when unknown.
    pub model: String,
    /// Unix seconds; 0 when the upstream gave none.
    pub created: u64,
    /// Text, reasoning, tool calls, images and refusals in the order the model made them.
    pub blocks: Vec<Block>,
    pub annotations: Vec<Annotation>,
    /// Of the tokens of its text, in order, where they were asked for and the upstream tells.
    pub logprobs: Vec<Logprob>,
    pub finish: Finish,
    /// The stop text that matched, where the dialect tells.
    pub stop_sequence: Option<String>,
    pub usage: Option<Usage>,
    /// What else the model made.
    pub lost: Vec<Lost>,
    pub service_tier: Option<String>,
}

/// A source the answer cites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    pub url: String,
    pub title: Option<String>,
    /// Character range in the joined text of the answer.
    pub start: u64,
    pub end: u64,
}

/// How likely a token of the answer was.
#[derive(Debug, Clone, PartialEq)]
pub struct Logprob {
    pub token: String,
    pub logprob: f64,
    /// The token's bytes where they are told; else they are those of `token`.
    pub bytes: Option<Vec<u8>>,
    /// The likeliest tokens at its place; theirs is empty.
    pub top: Vec<Logprob>,
}

/// Why the model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Finish {
    Stop,
    /// A stop text matched; dialects that cannot say so say `Stop`.
    StopSequence,
    /// Out of tokens: the asked maximum or the window.
    Length,
    ToolCalls,
    /// Cut or refused by a content policy.
    ContentFilter,
    /// The model refused in its own words.
    Refusal,
    /// A server-side tool loop paused; the turn may be sent back to go on.
    Paused,
}

/// What of an answer its client is not shown, because no words are there for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lost {
    Images,
    Audio,
    /// A film, or a file of any other kind.
    Files,
}

// === impl Lost ===

impl Lost {
    /// How it is named to clients and counted.
    pub fn name(self) -> &'static str {
        match self {
            Self::Images => "answer.images",
            Self::Audio => "answer.audio",
            Self::Files => "answer.files",
        }
    }
}
