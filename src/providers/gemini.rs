//! Google Gemini by its own dialect: the model in the path, the key in a header of its own, never in
//! the address, where logs would show it.
//!
//! The vendor's OpenAI-compatible endpoint is one of `type = "openai-compatible"` like any other.
//!
//! Facts: the API reference and "Using Gemini API keys" (ai.google.dev, read November 2026).

use std::{borrow::Cow, time::SystemTime};

use bytes::Bytes;

use super::{Ask, Credential, EmbeddingOffer, Provider, catalogue::Row, compatible, segment};
use crate::{
    call::{Dialect, ProviderSettings},
    error::{Result, UpstreamError},
    wire::{
        count::{self, CountOffer},
        embeddings::Format,
    },
};

/// Texts that one request may hold.
const EMBEDDING_BATCH: usize = 100;

#[derive(Debug, Clone, Copy)]
pub struct Gemini {
    pub row: &'static Row,
}

impl Provider for Gemini {
    fn name(&self) -> &str {
        &self.row.name
    }

    fn speaks(&self, model: &str) -> &'static [Dialect] {
        self.row.dialects(model)
    }

    fn path(&self, ask: &Ask<'_>) -> Result<Cow<'static, str>> {
        path(ask.model, ask.stream)
    }

    /// More than there are, so that nothing is left for a second page.
    fn models_path(&self) -> Option<&'static str> {
        Some("models?pageSize=1000")
    }

    fn sign(&self, with: Option<&Credential>, _now: SystemTime, request: &mut http::Request<Bytes>) -> Result<()> {
        compatible::sign(self.row.auth, with, request)
    }

    fn counting(&self, model: &str) -> Option<CountOffer> {
        let path = resource(model).ok()? + ":countTokens";
        Some(CountOffer { format: count::Format::Gemini, path: path.into() })
    }

    fn embeddings(&self, model: &str, _settings: &ProviderSettings) -> Option<EmbeddingOffer> {
        let path = resource(model).ok()? + ":batchEmbedContents";
        Some(EmbeddingOffer { format: Format::Gemini, path: path.into(), batch: EMBEDDING_BATCH })
    }

    fn refine(&self, error: UpstreamError) -> UpstreamError {
        compatible::refine(&self.row.errors, error)
    }
}

/// The path of a call, behind the version.
pub fn path(model: &str, stream: bool) -> Result<Cow<'static, str>> {
    let verb = if stream { ":streamGenerateContent?alt=sse" } else { ":generateContent" };
    Ok((resource(model)? + verb).into())
}

/// A model as a resource. `models/` before an id may be left out; a tuned model's id begins with
/// `tunedModels/`.
fn resource(model: &str) -> Result<String> {
    let (kind, id) = match model.split_once('/') {
        Some((kind @ ("models" | "tunedModels"), id)) => (kind, id),
        Some(_) | None => ("models", model),
    };
    Ok([kind, "/", &segment(id)?].concat())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::providers::{
        self,
        tests::{ask, credential},
    };

    #[test]
    fn the_model_is_in_the_path_and_the_key_in_a_header() {
        let provider = providers::provider("gemini").unwrap();
        assert_eq!(provider.speaks("gemini-3.8-flash"), &[Dialect::Gemini]);
        let path = |model: &str, stream| provider.path(&ask(Dialect::Gemini, model, stream)).unwrap().into_owned();
        assert_eq!(path("gemini-3.8-flash", false), "models/gemini-3.8-flash:generateContent");
        assert_eq!(path("models/gemini-3.8-flash", true), "models/gemini-3.8-flash:streamGenerateContent?alt=sse");
        assert_eq!(path("tunedModels/mine-1", false), "tunedModels/mine-1:generateContent");
        let offer = provider.embeddings("gemini-embedding-2", &crate::call::ProviderSettings::default()).unwrap();
        assert_eq!((offer.format, &*offer.path), (Format::Gemini, "models/gemini-embedding-2:batchEmbedContents"));

        let mut request = http::Request::new(Bytes::new());
        provider.sign(Some(&credential("AIza-1")), UNIX_EPOCH, &mut request).unwrap();
        assert_eq!(request.headers()["x-goog-api-key"], "AIza-1");
        assert!(request.headers()["x-goog-api-key"].is_sensitive());
        assert!(!request.headers().contains_key("authorization"));
    }

    /// X3.
    #[test]
    fn a_model_id_leads_nowhere_else() {
        assert_eq!(path("x?key=y#z", false).unwrap(), "models/x%3Fkey%3Dy%23z:generateContent");
        assert_eq!(path("models/../files", false).unwrap(), "models/..%2Ffiles:generateContent");
        assert!(path("..", false).is_err() && path("models/", false).is_err());
    }
}
