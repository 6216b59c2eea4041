//! The parts of an answer, one after the other, whole or in pieces.
//!
//! Thoughts are shown where they were asked for (`includeThoughts`); shown or not, what proves them
//! rides on the part behind them ([`super::thoughts`]). A signature that Google itself gave goes back
//! to what it is of. An answer that was asked for within an object comes without it ([`super::wrapped`]).
//!
//! Cost per piece of text: the part, which borrows it. Reasoning is kept until the part that carries it.

use std::borrow::Cow;

use super::{
    answer::{Blob, File, Part},
    config::Manner,
    thoughts::{self, Thought},
    wrapped::Unwrap,
};
use crate::{
    ir::Source,
    wire::{
        Asked,
        sealed::{Proof, seal},
        signature::{self, Signed},
    },
};

#[derive(Debug)]
pub(super) struct Speech {
    manner: Manner,
    target: String,
    model: String,
    /// Since the last part that carried some.
    thoughts: Vec<Thought>,
    /// Google's own, of the call that comes next.
    google: Option<String>,
}

// === impl Speech ===

impl Speech {
    pub(super) fn new(asked: &Asked) -> Self {
        Self {
            manner: Manner::of(&asked.request),
            target: asked.target.to_string(),
            model: asked.model.clone(),
            thoughts: Vec::new(),
            google: None,
        }
    }

    /// A piece of the answer's text.
    pub(super) fn text<'a>(&mut self, text: &'a str) -> Option<Part<'a>> {
        let text = match &mut self.manner.unwrap {
            Some(unwrap) => Cow::Owned(unwrap.push(text)),
            None => Cow::Borrowed(text),
        };
        self.say(text)
    }

    /// A piece of text that is none of the answer.
    pub(super) fn say<'a>(&mut self, text: impl Into<Cow<'a, str>>) -> Option<Part<'a>> {
        let text = text.into();
        (!text.is_empty()).then(|| Part { thought_signature: self.carried(), ..Part::text(text) })
    }

    /// A piece of reasoning, as it is shown.
    pub(super) fn thought<'a>(&self, text: &'a str) -> Option<Part<'a>> {
        (self.manner.shows_thoughts && !text.is_empty()).then(|| Part { thought: true, ..Part::text(text) })
    }

    /// Reasoning has ended.
    pub(super) fn think(&mut self, text: Cow<'_, str>, signature: Option<&str>) -> Option<Part<'static>> {
        match signature.map(|tagged| (tagged, signature::read(tagged))) {
            Some((_, Some((Signed::Call, own)))) => self.google = Some(own.to_owned()),
            Some((_, Some((Signed::Part, own)))) => return Some(signed(false, own)),
            Some((_, Some((Signed::Thought, own)))) => return self.manner.shows_thoughts.then(|| signed(true, own)),
            Some((tagged, None)) => {
                let proof = Some(seal(Proof::Signature(tagged), &self.target, &self.model));
                self.thoughts.push(Thought { text: Some(text.into_owned()), proof });
            }
            None if text.is_empty() => {}
            None => self.thoughts.push(Thought { text: Some(text.into_owned()), proof: None }),
        }
        None
    }

    pub(super) fn redacted(&mut self, data: &str) {
        let proof = Some(seal(Proof::Redacted(data), &self.target, &self.model));
        self.thoughts.push(Thought { text: None, proof });
    }

    /// The signature of the call that comes now.
    pub(super) fn sign(&mut self) -> Option<String> {
        self.google.take().or_else(|| self.carried())
    }

    /// An image; one that is neither data nor at an address has no place here.
    pub(super) fn image<'a>(&mut self, source: &'a Source) -> Option<Part<'a>> {
        let part = match source {
            Source::Base64 { media_type, data } => {
                Part { inline_data: Some(Blob { mime_type: media_type, data }), ..Part::default() }
            }
            Source::Url(uri) => Part { file_data: Some(File { file_uri: uri }), ..Part::default() },
            Source::Text(_) | Source::File(_) => return None,
        };
        Some(Part { thought_signature: self.carried(), ..part })
    }

    /// What is left to be carried when nothing more comes.
    pub(super) fn last(&mut self) -> Option<Part<'static>> {
        let kept = self.manner.unwrap.as_mut().map(Unwrap::finish).unwrap_or_default();
        if let Some(part) = self.say(kept) {
            return Some(part);
        }
        self.sign().map(|signature| signed(false, &signature))
    }

    fn carried(&mut self) -> Option<String> {
        thoughts::sign(&std::mem::take(&mut self.thoughts), self.manner.shows_thoughts)
    }
}

/// A signature alone.
fn signed(thought: bool, signature: &str) -> Part<'static> {
    Part { thought, thought_signature: Some(signature.to_owned()), ..Part::text("") }
}
