//! A whole answer or one chunk of a stream, as tolerantly read as compatible servers demand: every
//! field may be missing, null or of another type (vendors' references and recorded traffic, read
//! November 2026). A chunk's `delta` and an answer's `message` have the same fields.
//!
//! Cost: text is copied once, into the event that carries it; content of unknown type stays
//! borrowed until its kind is known.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    in_band::in_band_error,
    lenient::{Count, Text},
};
use crate::{
    error::{Error, Result},
    wire::read::Shape,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Chunk<'a> {
    pub(super) id: Text,
    pub(super) model: Text,
    pub(super) created: Count,
    #[serde(borrow)]
    pub(super) choices: Option<Vec<Choice<'a>>>,
    pub(super) usage: Option<&'a RawValue>,
    pub(super) service_tier: Text,
    x_groq: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
    base_resp: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Choice<'a> {
    pub(super) index: Count,
    #[serde(borrow)]
    pub(super) delta: Option<Said<'a>>,
    #[serde(borrow)]
    pub(super) message: Option<Said<'a>>,
    pub(super) finish_reason: Text,
    #[serde(borrow)]
    pub(super) logprobs: Option<&'a RawValue>,
    /// Moonshot.
    usage: Option<&'a RawValue>,
}

/// What the model said: a `delta` or a `message`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Said<'a> {
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
    pub(super) refusal: Text,
    pub(super) reasoning_content: Text,
    pub(super) reasoning: Text,
    #[serde(borrow)]
    pub(super) reasoning_details: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) thinking_blocks: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) tool_calls: Option<Vec<Call<'a>>>,
    #[serde(borrow)]
    pub(super) function_call: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) annotations: Option<&'a RawValue>,
    /// OpenRouter.
    #[serde(borrow)]
    pub(super) images: Option<&'a RawValue>,
    /// What the model speaks, with its words.
    pub(super) audio: Option<Audio>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Call<'a> {
    pub(super) index: Count,
    pub(super) id: Text,
    #[serde(borrow)]
    pub(super) function: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) custom: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Audio {
    pub(super) transcript: Text,
}

/// A called tool's name and a piece of its arguments.
#[derive(Debug, Default)]
pub(super) struct Called {
    pub(super) name: String,
    pub(super) arguments: String,
    /// It was called as a custom tool, with text.
    pub(super) is_custom: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Function<'a> {
    name: Text,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

/// One part of content that is an array, one entry of `reasoning_details` or `thinking_blocks`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Part<'a> {
    pub(super) r#type: Text,
    pub(super) text: Text,
    pub(super) summary: Text,
    pub(super) data: Text,
    pub(super) signature: Text,
    pub(super) refusal: Text,
    /// A string, or Mistral's list of text parts.
    #[serde(borrow)]
    thinking: Option<&'a RawValue>,
}

// === impl Chunk ===

impl<'a> Chunk<'a> {
    /// Reads a chunk or an answer; an error in its place, or within it, is that error (rules E2,
    /// M2).
    pub(super) fn parse(data: &'a [u8]) -> Result<Self> {
        let Ok(chunk) = serde_json::from_slice::<Self>(data) else {
            return Err(broken(data));
        };
        if chunk.may_be_error()
            && let Some(error) = in_band_error(data)
        {
            return Err(error.into());
        }
        Ok(chunk)
    }

    /// The only choice that can be translated.
    pub(super) fn choice(&self) -> Option<&Choice<'a>> {
        self.choices.iter().flatten().find(|choice| choice.index.0.unwrap_or_default() == 0)
    }

    /// The usage object, wherever it stands (Groq, Moonshot).
    pub(super) fn usage(&self) -> Option<&'a RawValue> {
        #[derive(Deserialize)]
        struct Groq<'a> {
            #[serde(borrow)]
            usage: Option<&'a RawValue>,
        }
        let in_groq = || serde_json::from_str::<Groq<'a>>(self.x_groq?.get()).ok()?.usage;
        self.usage.or_else(in_groq).or_else(|| self.choice()?.usage)
    }

    fn may_be_error(&self) -> bool {
        self.choices.is_none() || self.error.is_some() || self.base_resp.is_some() || self.x_groq.is_some()
    }
}

fn broken(data: &[u8]) -> Error {
    in_band_error(data).map_or_else(
        || Error::BadReply { message: "The upstream's answer is not a chat completion.".into() },
        Into::into,
    )
}

// === impl Call ===

impl Call<'_> {
    pub(super) fn called(&self) -> Called {
        let called = self.function.or(self.custom).map(Called::parse).unwrap_or_default();
        Called { is_custom: self.function.is_none(), ..called }
    }
}

// === impl Called ===

impl Called {
    /// An object, or a bare name (Fireworks' type allows it).
    pub(super) fn parse(raw: &RawValue) -> Self {
        if let Ok(name) = serde_json::from_str(raw.get()) {
            return Self { name, ..Self::default() };
        }
        let function: Function<'_> = serde_json::from_str(raw.get()).unwrap_or_default();
        let arguments = function.arguments.or(function.input).map(json_text).unwrap_or_default();
        Self { name: function.name.0, arguments, is_custom: false }
    }
}

/// A string's text, or an object as it was written (rule T3).
fn json_text(raw: &RawValue) -> String {
    match Shape::of(raw.get()) {
        Shape::String => serde_json::from_str(raw.get()).unwrap_or_default(),
        Shape::Null => String::new(),
        Shape::Bool | Shape::Number | Shape::Array | Shape::Object => raw.get().to_owned(),
    }
}

// === impl Part ===

impl<'a> Part<'a> {
    pub(super) fn list(raw: &'a RawValue) -> Vec<Self> {
        serde_json::from_str(raw.get()).unwrap_or_default()
    }

    pub(super) fn thinking(&self) -> String {
        let Some(raw) = self.thinking else { return String::new() };
        match serde_json::from_str(raw.get()) {
            Ok(text) => text,
            Err(_) => Part::list(raw).into_iter().map(|part| part.text.0).collect(),
        }
    }
}
