//! The canonical request.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// A conversation and how to continue it.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The model as the client named it.
    pub model: String,
    /// In the order of the conversation; system messages stay where they stood.
    pub messages: Vec<Message>,
    pub tools: Vec<Tool>,
    pub tool_choice: Option<ToolChoice>,
    /// `Some(false)` asks for at most one tool call per turn.
    pub parallel_tool_calls: Option<bool>,
    /// Upper bound of generated tokens, reasoning included where the model counts it.
    pub max_tokens: Option<u64>,
    pub sampling: Sampling,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    pub output: Output,
    pub reasoning: Reasoning,
    /// Thoughts are welcome where the model has some. No reason to fail where it has none, and of no
    /// weight beside `reasoning`.
    pub thoughts_welcome: bool,
    /// How wordy the answer should be (`low`, `medium`, `high`).
    pub verbosity: Option<String>,
    /// The end user's opaque id.
    pub user: Option<String>,
    pub metadata: BTreeMap<String, String>,
    pub service_tier: Option<String>,
    /// Routing hint for the vendor's prompt cache.
    pub cache_key: Option<String>,
    /// A cache breakpoint for the whole prompt.
    pub cache: Option<CacheHint>,
    pub stream: bool,
    /// The tools were given in the deprecated words (`functions`), and the calls are expected in
    /// them.
    pub legacy_functions: bool,
    /// Fields of the client's dialect that have no place here, by their wire name, as they were
    /// written. An upstream dialect takes what it knows; the rest is a loss that is refused or
    /// reported, never silent (design section 6.2).
    pub extra: BTreeMap<String, Box<RawValue>>,
}

/// One turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub role: Role,
    pub blocks: Vec<Block>,
    /// The participant's name, where a dialect has one.
    pub name: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    System,
    /// OpenAI's newer word for `System`; kept apart so that a same-dialect answer can say it back.
    Developer,
    User,
    Assistant,
}

/// A piece of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    Text {
        text: String,
        cache: Option<CacheHint>,
    },
    Image {
        source: Source,
        /// OpenAI's `detail`.
        detail: Option<String>,
        cache: Option<CacheHint>,
    },
    /// A PDF or another document.
    Document {
        source: Source,
        name: Option<String>,
        cache: Option<CacheHint>,
    },
    Audio {
        /// Base64, as it came.
        data: String,
        format: String,
    },
    /// The model's own refusal, replayed.
    Refusal {
        text: String,
    },
    /// The model's reasoning with its proof of origin. One without text may be the proof of the tool
    /// call after it or of the text before it; its mark says so. The signature must go back byte for byte
    /// and in the same order to the dialect that made it (rule R1).
    Reasoning {
        text: String,
        signature: Option<String>,
    },
    /// Reasoning that only its vendor can read.
    RedactedReasoning {
        data: String,
    },
    ToolCall {
        id: String,
        name: String,
        /// JSON text exactly as the model wrote it; may be empty or invalid.
        arguments: String,
        /// A free-form (`custom`) tool's call: `arguments` is then plain text.
        kind: ToolKind,
        cache: Option<CacheHint>,
    },
    /// What a tool returned; lives in a `User` message, results of one turn together (rule T4).
    ToolResult {
        id: String,
        content: Vec<Block>,
        is_error: bool,
        cache: Option<CacheHint>,
    },
}

/// Where media comes from. Data is never decoded on the way (rule L5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Url(String),
    /// Base64 text with its media type.
    Base64 {
        media_type: String,
        data: String,
    },
    /// Plain text of a document.
    Text(String),
    /// An id in the vendor's file store.
    File(String),
}

/// "The prompt up to here is worth caching."
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheHint {
    pub ttl: Option<CacheTtl>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheTtl {
    FiveMinutes,
    OneHour,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ToolKind {
    #[default]
    Function,
    /// Free-form text in, described by an optional grammar.
    Custom,
}

/// A tool the model may call.
#[derive(Debug, Clone)]
pub struct Tool {
    pub name: String,
    pub description: Option<String>,
    /// JSON Schema of the arguments as it was written, key order included (rule C1). `None` means
    /// no arguments. For a custom tool: its `format`.
    pub schema: Option<Box<RawValue>>,
    pub strict: Option<bool>,
    pub kind: ToolKind,
    pub cache: Option<CacheHint>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    Auto,
    None,
    /// Any tool, but one.
    Required,
    Named(String),
    /// Only these tools; `required` when one must be called.
    Allowed {
        names: Vec<String>,
        required: bool,
    },
}

/// How tokens are drawn.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sampling {
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<u64>,
    pub seed: Option<i64>,
    pub presence_penalty: Option<f64>,
    pub frequency_penalty: Option<f64>,
    /// How many answers; `None` is one.
    pub n: Option<u64>,
    pub logprobs: bool,
    pub top_logprobs: Option<u64>,
}

/// The shape the answer must have.
#[derive(Debug, Clone, Default)]
pub enum Output {
    #[default]
    Text,
    /// Any JSON object.
    JsonObject,
    JsonSchema {
        name: String,
        description: Option<String>,
        schema: Box<RawValue>,
        strict: Option<bool>,
    },
}

/// How much the model should think.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reasoning {
    pub effort: Option<Effort>,
    /// A budget in tokens, for dialects that count them.
    pub budget_tokens: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

// === impl Request ===

impl Request {
    /// How much to think, of a model that does so only when it is asked to.
    pub fn reasoning_on_demand(&self) -> Reasoning {
        if self.thoughts_welcome && self.reasoning == Reasoning::default() {
            return Reasoning { effort: Some(Effort::Medium), budget_tokens: None };
        }
        self.reasoning.clone()
    }

    /// A field without a place here, as it was written; `null` is absence.
    pub fn extra_field(&self, name: &str) -> Option<&RawValue> {
        self.extra.get(name).map(AsRef::as_ref).filter(|value| value.get() != "null")
    }
}

// === impl Message ===

impl Message {
    pub fn new(role: Role, blocks: Vec<Block>) -> Self {
        Self { role, blocks, name: None }
    }
}

// === impl Block ===

impl Block {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into(), cache: None }
    }

    /// The id of the call whose result this is; `None` for what is no result.
    pub fn answers(&self) -> Option<&str> {
        if let Self::ToolResult { id, .. } = self { Some(id) } else { None }
    }
}

// === impl Effort ===

impl Effort {
    /// The common spelling; every dialect that has the level spells it so.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Xhigh => "xhigh",
            Self::Max => "max",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::None, Self::Minimal, Self::Low, Self::Medium, Self::High, Self::Xhigh, Self::Max]
            .into_iter()
            .find(|effort| effort.as_str() == text)
    }
}
