//! Anthropic: its own dialect, its own header for the key, and a version on every request.
//!
//! Facts: Anthropic platform documentation on versioning and headers (Nov 2026). The version is
//! the dialect's business, since it decides which fields are allowed; here is only the fallback
//! for a request that came without one, which the vendor would refuse.

use std::{borrow::Cow, time::SystemTime};

use bytes::Bytes;
use http::HeaderValue;

use super::{Ask, Credential, Model, Provider, catalogue::Row, compatible};
use crate::{
    call::{Dialect, ProviderSettings},
    error::{Result, UpstreamError},
    wire::count::{CountOffer, Format},
};

const VERSION: &str = "anthropic-version";
/// The version that takes every field the later one takes, and sampling parameters besides.
const DEFAULT_VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");

#[derive(Debug, Clone, Copy)]
pub struct Anthropic {
    pub row: &'static Row,
}

impl Provider for Anthropic {
    fn name(&self) -> &str {
        &self.row.name
    }

    fn speaks(&self, model: &str, settings: &ProviderSettings) -> &'static [Dialect] {
        self.row.dialects(model, settings)
    }

    fn path(&self, _ask: &Ask<'_>) -> Result<Cow<'static, str>> {
        Ok("messages".into())
    }

    fn counting(&self, _model: Model<'_>, _settings: &ProviderSettings) -> Option<CountOffer> {
        Some(CountOffer { format: Format::Anthropic, path: "messages/count_tokens".into() })
    }

    fn sign(&self, with: Option<&Credential>, _now: SystemTime, request: &mut http::Request<Bytes>) -> Result<()> {
        request.headers_mut().entry(VERSION).or_insert(DEFAULT_VERSION);
        compatible::sign(self.row.auth, with, request)
    }

    fn refine(&self, error: UpstreamError) -> UpstreamError {
        compatible::refine(&self.row.errors, error)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use crate::{
        call::{Dialect, ProviderSettings},
        providers::{
            self,
            tests::{ask, credential},
        },
    };

    #[test]
    fn requests_carry_key_and_version() {
        let provider = providers::provider("anthropic").unwrap();
        assert_eq!(provider.speaks("claude-haiku-4-5", &ProviderSettings::default()), &[Dialect::Anthropic]);
        assert_eq!(provider.path(&ask(Dialect::Anthropic, "m", true)).unwrap(), "messages");

        let mut request = http::Request::new(bytes::Bytes::new());
        provider.sign(Some(&credential("sk-ant-1")), UNIX_EPOCH, &mut request).unwrap();
        assert_eq!(request.headers()["x-api-key"], "sk-ant-1");
        assert_eq!(request.headers()["anthropic-version"], "2023-06-01");
        assert!(request.headers()["x-api-key"].is_sensitive());
        assert!(!request.headers().contains_key("authorization"));
    }

    /// A3: what the dialect decided is kept.
    #[test]
    fn a_version_that_is_set_stays() {
        let mut request = http::Request::new(bytes::Bytes::new());
        request.headers_mut().insert("anthropic-version", "2026-10-21".parse().unwrap());
        providers::provider("anthropic").unwrap().sign(None, UNIX_EPOCH, &mut request).unwrap();
        assert_eq!(request.headers()["anthropic-version"], "2026-10-21");
        assert!(!request.headers().contains_key("x-api-key"));
    }
}
