//! Cohere: its own dialect, under version 2 of its API; its list of models is version 1's.
//!
//! The address is the API's root. One with a version, or the vendor's OpenAI layer, at its end is
//! taken for the same. Private deployments have other hosts and the same paths.
//!
//! Facts: "Chat" and "List models" of the vendor's API reference (docs.cohere.com, read November
//! 2026).

use std::{borrow::Cow, time::SystemTime};

use bytes::Bytes;

use super::{Ask, Credential, EmbeddingOffer, Model, Provider, catalogue::Row, compatible};
use crate::{
    call::{Dialect, ProviderSettings},
    error::{Result, UpstreamError},
    wire::embeddings::Format,
};

/// The most inputs of one embeddings request.
const BATCH: usize = 96;

#[derive(Debug, Clone, Copy)]
pub struct Cohere {
    pub row: &'static Row,
}

impl Provider for Cohere {
    fn name(&self) -> &str {
        &self.row.name
    }

    fn speaks(&self, model: &str, settings: &ProviderSettings) -> &'static [Dialect] {
        self.row.dialects(model, settings)
    }

    fn root<'a>(&self, base_url: &'a str) -> &'a str {
        let root = base_url.trim_end_matches('/');
        ["/compatibility/v1", "/v1", "/v2"].into_iter().find_map(|version| root.strip_suffix(version)).unwrap_or(root)
    }

    fn path(&self, _: &Ask<'_>) -> Result<Cow<'static, str>> {
        Ok("v2/chat".into())
    }

    fn embeddings(&self, _model: Model<'_>, _settings: &ProviderSettings) -> Option<EmbeddingOffer> {
        Some(EmbeddingOffer { format: Format::Cohere, path: "v2/embed".into(), batch: BATCH })
    }

    fn models_path(&self) -> Option<&'static str> {
        Some("v1/models?endpoint=chat&page_size=1000")
    }

    fn sign(&self, with: Option<&Credential>, _: SystemTime, request: &mut http::Request<Bytes>) -> Result<()> {
        compatible::sign(self.row.auth, with, request)
    }

    fn refine(&self, error: UpstreamError) -> UpstreamError {
        compatible::refine(&self.row.errors, error)
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        call::{Dialect, ProviderSettings},
        providers::{
            self,
            tests::{ask, credential},
        },
    };

    #[test]
    fn the_address_is_the_apis_root() {
        let provider = providers::provider("cohere").unwrap();
        assert_eq!(provider.speaks("command-a-03-2025", &ProviderSettings::default()), &[Dialect::Cohere]);
        assert_eq!(provider.path(&ask(Dialect::Cohere, "m", true)).unwrap(), "v2/chat");
        for url in ["https://h", "https://h/", "https://h/v2", "https://h/v1/", "https://h/compatibility/v1"] {
            assert_eq!(provider.root(url), "https://h", "{url}");
        }
        let mut request = http::Request::new(bytes::Bytes::new());
        provider.sign(Some(&credential("k")), std::time::UNIX_EPOCH, &mut request).unwrap();
        assert_eq!(request.headers()["authorization"], "Bearer k");
    }
}
