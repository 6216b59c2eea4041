//! A tool call's arguments for vendors that take an object and no text (rule T3).

use serde::Serialize;
use serde_json::value::RawValue;

use crate::ir::ToolKind;

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Arguments<'a> {
    /// Byte for byte as the model wrote it.
    Object(&'a RawValue),
    Empty {},
    /// What the model wrote was no JSON object.
    Broken {
        _raw: &'a str,
    },
    /// A custom tool's text.
    Text {
        input: &'a str,
    },
}

// === impl Arguments ===

impl<'a> Arguments<'a> {
    pub(crate) fn of(kind: ToolKind, written: &'a str) -> Self {
        if kind == ToolKind::Custom {
            return Self::Text { input: written };
        }
        match serde_json::from_str::<&RawValue>(written) {
            Ok(value) if value.get().starts_with('{') => Self::Object(value),
            Ok(_) | Err(_) if written.trim().is_empty() => Self::Empty {},
            Ok(_) | Err(_) => Self::Broken { _raw: written },
        }
    }
}
