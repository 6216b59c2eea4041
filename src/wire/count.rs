//! How many tokens a prompt has: in vendors' words where they count, else by a guess.
//!
//! The guess is made with the tokenizer of OpenAI's newer models over everything the model reads:
//! instructions, tools, messages. Other vendors' tokenizers make more tokens of the same text, and
//! each adds a frame around turns and tools, so a quarter is put on top: a client that shortens its
//! conversation a little early is better off than one whose prompt is refused (rule A2).
//!
//! Cost of the guess: one pass of the tokenizer over the text, the first mebibyte of it exactly;
//! the tokenizer's tables are unpacked once, at the first guess (a tenth of a second, 36 MiB from then on).
//!
//! Sources: "Count tokens" (platform.claude.com/docs), "countTokens" (ai.google.dev/api), "Get input token
//! counts" (OpenAI's API reference, specification 2.3.0), "Vision" and "PDF support" of the first two
//! (all read November 2026).

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use serde::Deserialize;

use super::json;
use crate::{
    dialect::Dialect,
    error::{Error, Result},
    ir::{Block, Request, Source},
};

/// A vendor's way to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The request itself, at another path.
    Anthropic,
    /// The request within another one, that names the model once more.
    Gemini,
    /// A request of OpenAI's Responses without what has no part in the prompt.
    OpenAi,
}

/// What OpenAI counts of; other fields are refused there.
const OPENAI: [&str; 12] = [
    "model",
    "input",
    "previous_response_id",
    "conversation",
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning",
    "text",
    "truncation",
    "personality",
];

/// Where a vendor counts for a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountOffer {
    pub format: Format,
    /// What follows the base URL.
    pub path: Cow<'static, str>,
}

#[derive(Deserialize)]
struct Counted {
    #[serde(alias = "totalTokens")]
    input_tokens: u64,
}

/// Text that is counted exactly, in bytes; the rest at the smallest rate there is.
const EXACT: usize = 1 << 20;
const BYTES_PER_TOKEN: usize = 3;
/// What stands around a turn, a tool and the whole.
const PER_TURN: u64 = 6;
const PER_TOOL: u64 = 16;
const PER_PROMPT: u64 = 16;
/// An image of a megapixel and more; a document's page is about 50 kB of base64.
const IMAGE: u64 = 1600;
const PAGE: u64 = 3000;
const PAGE_BYTES: u64 = 50_000;

// === impl CountOffer ===

impl CountOffer {
    /// The question, made of a request for an answer.
    pub fn question(&self, request: &Bytes) -> Bytes {
        match self.format {
            Format::Anthropic => request.clone(),
            Format::Gemini => {
                let model = self.path.strip_suffix(":countTokens").unwrap_or(&self.path);
                let mut out = BytesMut::with_capacity(request.len() + model.len() + 48);
                out.extend_from_slice(b"{\"generateContentRequest\":{\"model\":");
                json::line(&model, &mut out);
                out.extend_from_slice(b",");
                out.extend_from_slice(request.trim_ascii().strip_prefix(b"{").unwrap_or_default());
                out.extend_from_slice(b"}");
                out.freeze()
            }
            Format::OpenAi => {
                let Ok(object) = json::Object::parse(request) else { return request.clone() };
                let is_other = |key: &&str| !OPENAI.contains(key);
                let others: Vec<&str> = object.members().iter().map(|member| &*member.key).filter(is_other).collect();
                let others: Vec<String> = others.into_iter().map(str::to_owned).collect();
                let mut edits = object.edit();
                for other in &others {
                    edits.remove(other);
                }
                edits.into_bytes(request)
            }
        }
    }
}

// === impl Format ===

impl Format {
    /// The dialect that a question must be written in; `None` for the one the model is asked in anyway.
    pub fn dialect(self) -> Option<Dialect> {
        match self {
            Self::OpenAi => Some(Dialect::OpenAiResponses),
            Self::Anthropic | Self::Gemini => None,
        }
    }
}

/// Reads a vendor's count.
pub fn read(body: &[u8]) -> Result<u64> {
    let counted: Counted = serde_json::from_slice(body)
        .map_err(|error| Error::BadReply { message: format!("The upstream's success is no count: {error}.") })?;
    Ok(counted.input_tokens)
}

/// Writes a count in the words of a client's dialect.
pub fn answer(tokens: u64, dialect: Dialect) -> Bytes {
    if dialect == Dialect::Gemini {
        return format!(r#"{{"totalTokens":{tokens}}}"#).into();
    }
    format!(r#"{{"input_tokens":{tokens}}}"#).into()
}

/// A guess that is rather too high than too low.
pub fn guess(request: &Request) -> u64 {
    let mut guess = Guess::default();
    for message in &request.messages {
        guess.tokens += PER_TURN;
        guess.blocks(&message.blocks);
    }
    for tool in &request.tools {
        guess.tokens += PER_TOOL;
        guess.text(&tool.name);
        guess.text(tool.description.as_deref().unwrap_or_default());
        guess.text(tool.schema.as_ref().map_or("", |schema| schema.get()));
    }
    let sum = guess.tokens + PER_PROMPT;
    sum + sum.div_ceil(4)
}

#[derive(Default)]
struct Guess {
    tokens: u64,
    /// Bytes of text counted so far.
    counted: usize,
}

// === impl Guess ===

impl Guess {
    fn text(&mut self, text: &str) {
        if self.counted + text.len() > EXACT {
            self.tokens += text.len().div_ceil(BYTES_PER_TOKEN) as u64;
            return;
        }
        self.counted += text.len();
        // The vocabulary is in the binary, so there is one.
        let rate = || text.len().div_ceil(BYTES_PER_TOKEN);
        self.tokens += tiktoken::get_encoding("o200k_base").map_or_else(rate, |tokenizer| tokenizer.count(text)) as u64;
    }

    fn blocks(&mut self, blocks: &[Block]) {
        for block in blocks {
            match block {
                Block::Text { text, .. } | Block::Refusal { text } | Block::Reasoning { text, .. } => self.text(text),
                Block::Image { .. } => self.tokens += IMAGE,
                Block::Document { source: Source::Text(text), .. } => self.text(text),
                Block::Document { source: Source::Base64 { data, .. }, .. } | Block::Audio { data, .. } => {
                    self.tokens += (data.len() as u64).div_ceil(PAGE_BYTES) * PAGE;
                }
                Block::Document { source: Source::Url(_) | Source::File(_), .. } => self.tokens += PAGE,
                // Encrypted reasoning is about as long as what it hides.
                Block::RedactedReasoning { data } => self.tokens += data.len() as u64 / 6,
                Block::ToolCall { name, arguments, .. } => {
                    self.tokens += PER_TURN;
                    self.text(name);
                    self.text(arguments);
                }
                Block::ToolResult { content, .. } => {
                    self.tokens += PER_TURN;
                    self.blocks(content);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Message, Role, Tool, ToolKind};

    fn of(blocks: Vec<Block>) -> Request {
        Request { messages: vec![Message::new(Role::User, blocks)], ..Request::default() }
    }

    #[test]
    fn openai_is_asked_for_nothing_but_the_prompt() {
        let offer = CountOffer { format: Format::OpenAi, path: "responses/input_tokens".into() };
        let request = r#"{"store":false,"model":"m","x":1,"input":[{"n":1.50}],"max_output_tokens":9,"tools":[]}"#;
        let asked = offer.question(&Bytes::from(request));
        assert_eq!(asked, r#"{"model":"m","input":[{"n":1.50}],"tools":[]}"#);
        let bare = Bytes::from(r#"{"model":"m","input":"hi"}"#);
        assert_eq!(offer.question(&bare), bare);
        assert_eq!(read(br#"{"object":"response.input_tokens","input_tokens":11}"#).unwrap(), 11);
    }

    /// A2: everything the model reads is counted, with the margin that is promised.
    #[test]
    fn a_guess_covers_all_that_is_read() {
        let words = "The quick brown fox jumps over the lazy dog. ".repeat(100);
        let text = guess(&of(vec![Block::text(words.clone())]));
        // A word is a token here, and so is the full stop.
        assert!((1250..1400).contains(&text), "{text}");
        let schema = format!(r#"{{"type":"object","description":"{words}"}}"#);
        let schema = serde_json::value::RawValue::from_string(schema).unwrap();
        let tool = Tool {
            name: "f".into(),
            description: None,
            schema: Some(schema),
            strict: None,
            kind: ToolKind::Function,
            cache: None,
        };
        let with_tool = Request { tools: vec![tool], ..of(vec![Block::text(words.clone())]) };
        assert!(guess(&with_tool) > 2 * text);
        let result =
            Block::ToolResult { id: "a".into(), content: vec![Block::text(words)], is_error: false, cache: None };
        assert!(guess(&of(vec![result])) >= text);
        let image = Block::Image { source: Source::Url("https://i.test".into()), detail: None, cache: None };
        assert!(guess(&of(vec![image])) >= 2000);
    }

    /// However long the text, the guess is quick and not too low.
    #[test]
    fn a_long_text_is_guessed_by_size() {
        let long = "word ".repeat(600_000);
        let begun = std::time::Instant::now();
        assert!(guess(&of(vec![Block::text(long)])) > 600_000);
        assert!(begun.elapsed() < std::time::Duration::from_secs(5));
    }

    #[test]
    fn vendors_are_asked_in_their_words() {
        let offer = CountOffer { format: Format::Gemini, path: "models/g:countTokens".into() };
        let question = offer.question(&Bytes::from_static(br#"{"contents":[1.0]}"#));
        assert_eq!(question, r#"{"generateContentRequest":{"model":"models/g","contents":[1.0]}}"#);
        assert_eq!(read(br#"{"totalTokens":7,"x":1}"#).unwrap(), 7);
        assert_eq!(read(br#"{"input_tokens":8}"#).unwrap(), 8);
        assert!(read(b"{}").is_err() && read(b"null").is_err());
        assert_eq!(answer(9, Dialect::Anthropic), r#"{"input_tokens":9}"#);
        assert_eq!(answer(9, Dialect::Gemini), r#"{"totalTokens":9}"#);
    }
}
