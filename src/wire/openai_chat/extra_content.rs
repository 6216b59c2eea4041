//! `extra_content.google.thought_signature`: where Google's own chat endpoint puts the signature of a
//! tool call or of a message's text, and wants it back (rule R2).
//!
//! Source: "Thought signatures", section on OpenAI compatibility (ai.google.dev/gemini-api/docs, read
//! November 2026); LiteLLM's older place for the same, `provider_specific_fields`, is read too.

use serde::Serialize;

use crate::{
    ir::Block,
    wire::{
        read::Record,
        signature::{self, Signed},
    },
};

#[derive(Clone, Copy, Serialize)]
pub(super) struct ExtraContent<'a> {
    google: Google<'a>,
}

#[derive(Clone, Copy, Serialize)]
struct Google<'a> {
    thought_signature: &'a str,
}

// === impl ExtraContent ===

impl<'a> ExtraContent<'a> {
    pub(super) fn of(signature: &'a str) -> Self {
        Self { google: Google { thought_signature: signature } }
    }

    /// What a block tells of the call after it, or of the text before it.
    pub(super) fn tied(block: &'a Block) -> Option<(Signed, Self)> {
        let (signed, signature) = signature::of(block).filter(|(signed, _)| *signed != Signed::Thought)?;
        Some((signed, Self::of(signature)))
    }
}

/// The signature of a call or of a message.
pub(super) fn read(holder: &Record<'_, '_>) -> Option<String> {
    text(&["extra_content", "google", "thought_signature"], holder)
        .or_else(|| text(&["provider_specific_fields", "thought_signature"], holder))
}

/// A text at the end of a path; whatever else is there says nothing.
fn text(path: &[&str], record: &Record<'_, '_>) -> Option<String> {
    let (key, rest) = path.split_first()?;
    let node = record.get(key)?;
    if rest.is_empty() {
        return node.string().ok().filter(|text| !text.is_empty());
    }
    text(rest, &node.record().ok()?)
}
