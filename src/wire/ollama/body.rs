//! The request as it stands on the wire, in the order it is written: `messages` last, so that equal
//! prefixes of a conversation give equal bytes (rule C1). Schemas, arguments and options keep the
//! bytes they came with.
//!
//! Source: `ChatRequest`, `Message` and `Options` in `api/types.go` of ollama/ollama (read November
//! 2026).

use std::borrow::Cow;

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;

use crate::wire::{arguments::Arguments, function::Tool};

#[derive(Debug, Default, Serialize)]
pub(super) struct Body<'a> {
    pub model: &'a str,
    /// Always said: the server's default is to stream.
    pub stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub think: Option<Think<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncate: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shift: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub logprobs: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_logprobs: Option<u64>,
    #[serde(skip_serializing_if = "Options::is_empty")]
    pub options: Options<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool<'a>>,
    pub messages: Vec<Message<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Think<'a> {
    /// As the client wrote it.
    Raw(&'a RawValue),
    Switch(bool),
    Level(&'static str),
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Format<'a> {
    /// `"json"`: any object.
    Any(&'static str),
    Schema(&'a RawValue),
}

/// Parameters of the model's run, each once, in the order they were added.
#[derive(Debug, Default)]
pub(super) struct Options<'a>(Vec<(Cow<'a, str>, Cow<'a, RawValue>)>);

#[derive(Debug, Default, Serialize)]
pub(super) struct Message<'a> {
    pub role: &'static str,
    /// Always there, and always a string.
    pub content: Cow<'a, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub thinking: Cow<'a, str>,
    /// Bare base64.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<Call<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<&'a str>,
}

#[derive(Debug, Serialize)]
pub(super) struct Call<'a> {
    pub id: &'a str,
    pub function: Called<'a>,
}

#[derive(Debug, Serialize)]
pub(super) struct Called<'a> {
    pub index: usize,
    pub name: &'a str,
    pub arguments: Arguments<'a>,
}

// === impl Options ===

impl<'a> Options<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds an option unless it is there already.
    pub(super) fn add(&mut self, name: impl Into<Cow<'a, str>>, value: Cow<'a, RawValue>) {
        let name = name.into();
        if !self.0.iter().any(|(added, _)| *added == name) {
            self.0.push((name, value));
        }
    }

    /// Adds a value of ours, if there is one.
    pub(super) fn set(&mut self, name: &'static str, value: Option<impl Serialize>) {
        // Numbers and texts always have a JSON form.
        if let Some(json) = value.and_then(|value| serde_json::value::to_raw_value(&value).ok()) {
            self.add(name, Cow::Owned(json));
        }
    }
}

impl Serialize for Options<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, &**value)?;
        }
        map.end()
    }
}
