//! Ollama: its own dialect, on a machine nearby or in its cloud.
//!
//! The address is the server's root. One that ends in `/v1`, as the server's OpenAI layer has it, is
//! taken for the same server, so that a configuration written for that layer goes on working. Its
//! list of models is asked in OpenAI's form, which the server has as well.
//!
//! Facts: docs of ollama/ollama, "Authentication" and "API" (read November 2026).

use std::{borrow::Cow, time::SystemTime};

use bytes::Bytes;

use super::{Ask, Credential, EmbeddingOffer, Model, Provider, catalogue::Row, compatible};
use crate::{
    call::{Dialect, ProviderSettings},
    error::{Result, UpstreamError},
    wire::embeddings::Format,
};

/// The server has no bound; this one keeps a request small.
const BATCH: usize = 512;

#[derive(Debug, Clone, Copy)]
pub struct Ollama {
    pub row: &'static Row,
}

impl Provider for Ollama {
    fn name(&self) -> &str {
        &self.row.name
    }

    fn speaks(&self, model: &str, settings: &ProviderSettings) -> &'static [Dialect] {
        self.row.dialects(model, settings)
    }

    fn root<'a>(&self, base_url: &'a str) -> &'a str {
        let root = base_url.trim_end_matches('/');
        ["/v1", "/api"].into_iter().find_map(|layer| root.strip_suffix(layer)).unwrap_or(root)
    }

    fn path(&self, _: &Ask<'_>) -> Result<Cow<'static, str>> {
        Ok("api/chat".into())
    }

    fn embeddings(&self, _model: Model<'_>, _settings: &ProviderSettings) -> Option<EmbeddingOffer> {
        Some(EmbeddingOffer { format: Format::Ollama, path: "api/embed".into(), batch: BATCH })
    }

    fn models_path(&self) -> Option<&'static str> {
        Some("v1/models")
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
    fn the_address_is_the_servers_root() {
        for name in ["ollama", "ollama-cloud"] {
            let provider = providers::provider(name).unwrap();
            assert_eq!(provider.speaks("qwen3:4b", &ProviderSettings::default()), &[Dialect::Ollama]);
            assert_eq!(provider.path(&ask(Dialect::Ollama, "qwen3:4b", true)).unwrap(), "api/chat");
            for url in ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/", "http://h:1/api"] {
                assert_eq!(provider.root(url), "http://h:1", "{url}");
            }
            assert_eq!(provider.root("http://h/ollama/v1"), "http://h/ollama");
        }
        assert_eq!(providers::provider("openai").unwrap().root("https://h/v1/"), "https://h/v1");
    }

    /// The cloud asks for a key, a server nearby takes one that a proxy before it may want.
    #[test]
    fn a_key_travels_as_a_bearer() {
        let mut request = http::Request::new(bytes::Bytes::new());
        let provider = providers::provider("ollama-cloud").unwrap();
        provider.sign(Some(&credential("k")), std::time::UNIX_EPOCH, &mut request).unwrap();
        assert_eq!(request.headers()["authorization"], "Bearer k");
        let known = providers::known();
        let of = |name: &str| known.iter().find(|known| known.name == name).unwrap();
        assert!(of("ollama-cloud").needs_key && !of("ollama").needs_key);
        assert_eq!(of("ollama-cloud").key_env, ["OLLAMA_API_KEY"]);
    }
}
