//! Google Gemini by its own dialect: the model in the path, the key in a header of its own, never in
//! the address, where logs would show it.
//!
//! The vendor's OpenAI-compatible endpoint is one of `type = "openai-compatible"` like any other.
//!
//! Facts: the API reference and "Using Gemini API keys" (ai.google.dev, read November 2026).

use std::{borrow::Cow, time::SystemTime};

use bytes::Bytes;

use super::{Ask, Credential, EmbeddingOffer, Model, Provider, catalogue::Row, compatible, segment};
use crate::{
    call::{Dialect, ProviderSettings},
    error::{Result, UpstreamError},
    wire::{
        Facts, Loss, Weight,
        count::{self, CountOffer},
        embeddings::Format,
        json::Edits,
    },
};

/// Members of a request that only Vertex AI knows, in either spelling.
const CLOUDS: &[&str] = &["labels", "modelArmorConfig", "model_armor_config"];
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

    fn speaks(&self, model: &str, settings: &ProviderSettings) -> &'static [Dialect] {
        self.row.dialects(model, settings)
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

    fn counting(&self, model: Model<'_>, _settings: &ProviderSettings) -> Option<CountOffer> {
        let path = resource(model.id).ok()? + ":countTokens";
        Some(CountOffer { format: count::Format::Gemini, path: path.into() })
    }

    fn embeddings(&self, model: Model<'_>, _settings: &ProviderSettings) -> Option<EmbeddingOffer> {
        let path = resource(model.id).ok()? + ":batchEmbedContents";
        Some(EmbeddingOffer { format: Format::Gemini, path: path.into(), batch: EMBEDDING_BATCH })
    }

    /// What only Vertex AI takes is refused here with the whole request.
    fn adjust(&self, dialect: Dialect, _: &Facts<'_>, body: &mut Edits<'_>) -> Vec<Loss> {
        if dialect == Dialect::Gemini { leave_out(CLOUDS, body) } else { Vec::new() }
    }

    fn refine(&self, error: UpstreamError) -> UpstreamError {
        compatible::refine(&self.row.errors, error)
    }
}

/// Takes members out of a body, and names them.
pub(super) fn leave_out(names: &[&str], body: &mut Edits<'_>) -> Vec<Loss> {
    let gone = names.iter().filter(|name| body.remove(name));
    gone.map(|name| Loss { field: (*name).into(), weight: Weight::Hint }).collect()
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
        assert_eq!(provider.speaks("gemini-3.8-flash", &ProviderSettings::default()), &[Dialect::Gemini]);
        let path = |model: &str, stream| provider.path(&ask(Dialect::Gemini, model, stream)).unwrap().into_owned();
        assert_eq!(path("gemini-3.8-flash", false), "models/gemini-3.8-flash:generateContent");
        assert_eq!(path("models/gemini-3.8-flash", true), "models/gemini-3.8-flash:streamGenerateContent?alt=sse");
        assert_eq!(path("tunedModels/mine-1", false), "tunedModels/mine-1:generateContent");
        let offer =
            provider.embeddings("gemini-embedding-2".into(), &crate::call::ProviderSettings::default()).unwrap();
        assert_eq!((offer.format, &*offer.path), (Format::Gemini, "models/gemini-embedding-2:batchEmbedContents"));

        let mut request = http::Request::new(Bytes::new());
        provider.sign(Some(&credential("AIza-1")), UNIX_EPOCH, &mut request).unwrap();
        assert_eq!(request.headers()["x-goog-api-key"], "AIza-1");
        assert!(request.headers()["x-goog-api-key"].is_sensitive());
        assert!(!request.headers().contains_key("authorization"));
    }

    /// P2: what only the other of Google's hosts takes is left out and named; all else stays.
    #[test]
    fn what_only_the_cloud_takes_is_left_out() {
        let body = r#"{"labels":{"a":"b"},"contents":[1.0],"model_armor_config":{}}"#;
        let mut edits = crate::wire::json::Object::parse(body.as_bytes()).unwrap().edit();
        let provider = providers::provider("gemini").unwrap();
        let losses = provider.adjust(Dialect::Gemini, &Facts::default(), &mut edits);
        let names: Vec<&str> = losses.iter().map(|loss| loss.field.as_str()).collect();
        assert_eq!((edits.apply().as_str(), names), (r#"{"contents":[1.0]}"#, vec!["labels", "model_armor_config"]));
    }

    /// X3.
    #[test]
    fn a_model_id_leads_nowhere_else() {
        assert_eq!(path("x?key=y#z", false).unwrap(), "models/x%3Fkey%3Dy%23z:generateContent");
        assert_eq!(path("models/../files", false).unwrap(), "models/..%2Ffiles:generateContent");
        assert!(path("..", false).is_err() && path("models/", false).is_err());
    }
}
