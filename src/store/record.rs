//! What is kept, as the rest of the house sees it. JSON stays text: nothing here reads it.

use std::fmt;

/// How far an answer has come, in OpenAI's words (API reference, "The response object", read
/// November 2026).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Queued,
    InProgress,
    Completed,
    Failed,
    Cancelled,
    Incomplete,
}

/// A response as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub id: String,
    /// The name of the key that made it.
    pub owner: String,
    pub status: Status,
    pub background: bool,
    /// The response it follows.
    pub previous: Option<String>,
    /// The conversation it belongs to.
    pub conversation: Option<String>,
    /// The items this turn brought, a JSON array.
    pub input: String,
    /// The whole response object, as it stands.
    pub response: String,
    /// The process that is producing it.
    pub process: Option<String>,
}

/// A response that begins.
#[derive(Debug, Clone)]
pub struct Begin {
    pub id: String,
    pub owner: String,
    pub model: String,
    pub status: Status,
    pub background: bool,
    pub previous: Option<String>,
    pub conversation: Option<String>,
    /// How many of the conversation's places it has read.
    pub upto: i64,
    pub input: String,
    pub response: String,
    /// What goes into its conversation, where it is whole already.
    pub append: Option<Append>,
}

/// A response that ends, and what ends with it.
#[derive(Debug, Clone)]
pub struct Finish {
    pub id: String,
    pub status: Status,
    pub response: String,
    /// Its last events.
    pub events: Option<Chunk>,
    /// What goes into its conversation.
    pub append: Option<Append>,
}

/// Items for a conversation.
#[derive(Debug, Clone)]
pub struct Append {
    pub owner: String,
    pub conversation: String,
    pub items: Vec<Item>,
}

/// One item, as JSON, and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub id: String,
    pub json: String,
}

/// Some events of one stream, as they were sent, by their sequence numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    pub first: i64,
    pub last: i64,
    pub data: String,
}

/// One turn of a chain of responses, for the model to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    pub id: String,
    /// A JSON array of items.
    pub input: String,
    /// The response object; its `output` is the turn's answer.
    pub response: String,
    pub status: Status,
}

/// What a response knows of what came before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chain {
    /// What the first turn's conversation held when it began.
    pub items: Vec<Item>,
    /// From the first to the last.
    pub turns: Vec<Turn>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    pub id: String,
    /// Unix seconds.
    pub created: i64,
    /// A JSON object.
    pub metadata: String,
    /// The place of the next item.
    pub next: i64,
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The id of the item before the first one wanted.
    pub after: Option<String>,
    pub limit: usize,
    pub newest_first: bool,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub items: Vec<Item>,
    pub has_more: bool,
}

/// Why a list could not be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// What the list belongs to.
    Whole,
    /// The item it was to begin after.
    After,
}

// === impl Status ===

impl Status {
    const ALL: [Self; 6] =
        [Self::Queued, Self::InProgress, Self::Completed, Self::Failed, Self::Cancelled, Self::Incomplete];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Incomplete => "incomplete",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether nothing more will come.
    pub fn is_final(self) -> bool {
        match self {
            Self::Queued | Self::InProgress => false,
            Self::Completed | Self::Failed | Self::Cancelled | Self::Incomplete => true,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
