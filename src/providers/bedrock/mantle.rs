//! Bedrock's newer endpoint, which speaks other vendors' dialects: OpenAI's for open models and
//! OpenAI's own, Anthropic's for Claude.
//!
//! Models have neither a region nor a version in their ids here (`anthropic.claude-opus-4-8`,
//! `openai.gpt-oss-120b`). Which prefix of the path a model is served under depends on its vendor.
//!
//! Facts: "Bedrock Mantle" and "OpenAI-compatible APIs" (docs.aws.amazon.com/bedrock, read November
//! 2026). Structured outputs are refused under Anthropic's dialect there; the service's own 400 says
//! so.

use std::{borrow::Cow, time::SystemTime};

use bytes::Bytes;
use http::HeaderValue;

use super::{Ask, Credential, Provider, Row, compatible};
use crate::{
    call::{Dialect, ProviderSettings},
    error::{Result, UpstreamError},
    providers::compatible::Compatible,
    wire::{
        Facts, Loss,
        json::{Edits, Object},
    },
};

const SERVICE: &str = "bedrock-mantle";

const VERSION: &str = "anthropic-version";
const DEFAULT_VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");

#[derive(Debug, Clone, Copy)]
pub struct Mantle {
    pub row: &'static Row,
}

impl Mantle {
    fn compatible(self) -> Compatible {
        Compatible { row: self.row }
    }
}

impl Provider for Mantle {
    fn name(&self) -> &str {
        &self.row.name
    }

    /// Its Responses, which take no more than its chat does, where the operator wants them asked.
    fn speaks(&self, model: &str, settings: &ProviderSettings) -> &'static [Dialect] {
        match &settings.responses {
            _ if model.starts_with("anthropic.") => &[Dialect::Anthropic],
            Some(chosen) if chosen.has(model) => &[Dialect::OpenAiChat, Dialect::OpenAiResponses],
            Some(_) | None => &[Dialect::OpenAiChat],
        }
    }

    fn reroute(&self, dialect: Dialect, model: &str, body: &Object<'_>) -> Option<Dialect> {
        self.compatible().reroute(dialect, model, body)
    }

    fn path(&self, ask: &Ask<'_>) -> Result<Cow<'static, str>> {
        // OpenAI's own models, but not those it gave away.
        let is_openais = ask.model.starts_with("openai.gpt-") && !ask.model.starts_with("openai.gpt-oss");
        if ask.dialect == Dialect::Anthropic {
            return Ok("anthropic/v1/messages".into());
        }
        let what = self.compatible().path(ask)?;
        Ok(if is_openais { format!("openai/v1/{what}") } else { format!("v1/{what}") }.into())
    }

    fn models_path(&self) -> Option<&'static str> {
        Some("v1/models")
    }

    fn sign(&self, with: Option<&Credential>, now: SystemTime, request: &mut http::Request<Bytes>) -> Result<()> {
        if request.uri().path().ends_with("/messages") {
            request.headers_mut().entry(VERSION).or_insert(DEFAULT_VERSION);
        }
        super::sign(self.row, SERVICE, with, now, request)
    }

    fn adjusts(&self, dialect: Dialect) -> bool {
        self.compatible().adjusts(dialect)
    }

    fn adjust(&self, dialect: Dialect, facts: &Facts<'_>, body: &mut Edits<'_>) -> Vec<Loss> {
        self.compatible().adjust(dialect, facts, body)
    }

    fn refine(&self, error: UpstreamError) -> UpstreamError {
        super::renewable(compatible::refine(&self.row.errors, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        call::Chosen,
        providers::{self, tests::ask},
    };

    #[test]
    fn the_prefix_follows_the_models_vendor() {
        let mantle = providers::provider("bedrock-mantle").unwrap();
        for (model, dialect, path) in [
            ("anthropic.claude-opus-4-8", Dialect::Anthropic, "anthropic/v1/messages"),
            ("openai.gpt-5.5", Dialect::OpenAiChat, "openai/v1/chat/completions"),
            ("openai.gpt-oss-120b", Dialect::OpenAiChat, "v1/chat/completions"),
            ("zai.glm-5", Dialect::OpenAiChat, "v1/chat/completions"),
        ] {
            assert_eq!(mantle.speaks(model, &ProviderSettings::default()), [dialect]);
            assert_eq!(mantle.path(&ask(dialect, model, true)).unwrap(), path);
        }
        let all = ProviderSettings { responses: Some(Chosen::All), ..ProviderSettings::default() };
        assert_eq!(mantle.speaks("openai.gpt-5.5", &all), [Dialect::OpenAiChat, Dialect::OpenAiResponses]);
        assert_eq!(mantle.speaks("anthropic.claude-opus-4-8", &all), [Dialect::Anthropic]);
        assert_eq!(mantle.path(&ask(Dialect::OpenAiResponses, "openai.gpt-5.5", true)).unwrap(), "openai/v1/responses");
    }
}
