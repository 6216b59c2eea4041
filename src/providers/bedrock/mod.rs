//! Amazon Bedrock: every vendor's models behind one address per region.
//!
//! Requests go to Converse, whichever vendor the model is of; a client of Anthropic's dialect gets
//! its bytes through to Claude by InvokeModel, whose body is a Messages request with a few changes.
//! A Bedrock API key travels as a bearer token; else requests are signed ([`sigv4`]) with the keys
//! of AWS's usual places. The model's id, which may be an ARN, is one segment of the path, with `:`
//! and `/` escaped: the signature covers the path as it is sent.
//!
//! Deliberately absent: the list of models, which is another service's on another host, and the
//! newer endpoint that speaks OpenAI's and Anthropic's dialects ([`mantle`]).
//!
//! Facts: Bedrock Runtime API reference, "API keys", "Anthropic Claude Messages API"
//! (docs.aws.amazon.com/bedrock, read November 2026).

mod claude;
pub mod mantle;
mod sigv4;

use std::{borrow::Cow, time::SystemTime};

use bytes::Bytes;
use http::StatusCode;

use super::{Ask, Credential, EmbeddingOffer, Grant, Model, Provider, catalogue::Row, compatible};
use crate::{
    call::{Dialect, ProviderSettings},
    error::{Error, Result, UpstreamError},
    wire::{Facts, Loss, bedrock::models, embeddings::Format, json::Edits},
};

const SERVICE: &str = "bedrock";

/// Texts that one request to a model of Cohere may hold.
const COHERE_BATCH: usize = 96;

#[derive(Debug, Clone, Copy)]
pub struct Bedrock {
    pub row: &'static Row,
}

impl Provider for Bedrock {
    fn name(&self) -> &str {
        &self.row.name
    }

    fn speaks(&self, model: &str, _settings: &ProviderSettings) -> &'static [Dialect] {
        match models::line(model).reasoning {
            models::Reasoning::Claude => &[Dialect::BedrockConverse, Dialect::Anthropic],
            models::Reasoning::Nova
            | models::Reasoning::Effort
            | models::Reasoning::Flat
            | models::Reasoning::Fixed
            | models::Reasoning::Never => &[Dialect::BedrockConverse],
        }
    }

    fn path(&self, ask: &Ask<'_>) -> Result<Cow<'static, str>> {
        let operation = match (ask.dialect, ask.stream) {
            (Dialect::Anthropic, true) => "invoke-with-response-stream",
            (Dialect::Anthropic, false) => "invoke",
            (_, true) => "converse-stream",
            (_, false) => "converse",
        };
        Ok(format!("model/{}/{operation}", segment(ask.model)?).into())
    }

    /// The list is another service's.
    fn models_path(&self) -> Option<&'static str> {
        None
    }

    fn sign(&self, with: Option<&Credential>, now: SystemTime, request: &mut http::Request<Bytes>) -> Result<()> {
        sign(self.row, SERVICE, with, now, request)
    }

    /// By InvokeModel, in the words of the model's maker.
    fn embeddings(&self, model: Model<'_>, _settings: &ProviderSettings) -> Option<EmbeddingOffer> {
        let makes = |name: &str| model.base.contains(name);
        let (format, batch) = match () {
            () if makes("amazon.titan-embed") => (Format::Titan, 1),
            () if makes("amazon.nova") && makes("embeddings") => (Format::Nova, 1),
            () if makes("cohere.embed") => (Format::BedrockCohere, COHERE_BATCH),
            () => return None,
        };
        Some(EmbeddingOffer { format, path: format!("model/{}/invoke", segment(model.id).ok()?).into(), batch })
    }

    fn adjusts(&self, dialect: Dialect) -> bool {
        dialect == Dialect::Anthropic
    }

    fn adjust(&self, dialect: Dialect, _facts: &Facts<'_>, body: &mut Edits<'_>) -> Vec<Loss> {
        if dialect == Dialect::Anthropic {
            claude::adjust(body);
        }
        Vec::new()
    }

    fn takes_beta(&self, flag: &str) -> bool {
        claude::takes_beta(flag)
    }

    fn complete(&self, dialect: Dialect, request: &mut http::Request<Bytes>) -> Result<Vec<Loss>> {
        if dialect == Dialect::Anthropic {
            claude::complete(request)?;
        }
        Ok(Vec::new())
    }

    fn refine(&self, error: UpstreamError) -> UpstreamError {
        renewable(compatible::refine(&self.row.errors, error))
    }
}

/// Puts a key, or a signature, on a request.
fn sign(
    row: &Row,
    service: &str,
    with: Option<&Credential>,
    now: SystemTime,
    request: &mut http::Request<Bytes>,
) -> Result<()> {
    match with.map(|credential| &credential.grant) {
        Some(Grant::Aws(keys)) => sigv4::sign(keys, service, now, request),
        Some(Grant::Key(_) | Grant::Token(_)) | None => compatible::sign(row.auth, with, request),
    }
}

/// Keys that ran out are refused as forbidden, where others say unauthorized; new ones help alike.
fn renewable(error: UpstreamError) -> UpstreamError {
    match error.kind.as_deref() {
        Some("ExpiredTokenException" | "UnrecognizedClientException") => {
            UpstreamError { status: StatusCode::UNAUTHORIZED, ..error }
        }
        _ => error,
    }
}

/// A model's id as one segment of the path. Stricter than an address needs: what is escaped here is
/// what the signature's own rules escape, so that both agree on the path.
fn segment(model: &str) -> Result<String> {
    if model.is_empty() || model == "." || model == ".." {
        return Err(Error::invalid("The model id makes no usable address.", "model", "invalid_value"));
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    let escape = |byte: u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    Ok(model.bytes().map(escape).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::{
        self,
        tests::{ask, credential},
    };

    fn bedrock() -> &'static dyn Provider {
        providers::provider("bedrock").unwrap()
    }

    /// X3: ids and ARNs are one segment, escaped once.
    #[test]
    fn a_models_maker_decides_how_it_embeds() {
        let offer = |model: &str| bedrock().embeddings(model.into(), &ProviderSettings::default());
        let titan = offer("amazon.titan-embed-text-v2:0").unwrap();
        assert_eq!((titan.format, &*titan.path), (Format::Titan, "model/amazon.titan-embed-text-v2%3A0/invoke"));
        assert_eq!(
            offer("us.cohere.embed-v4:0").map(|offer| (offer.format, offer.batch)),
            Some((Format::BedrockCohere, 96))
        );
        assert_eq!(offer("amazon.nova-2-multimodal-embeddings-v1:0").map(|offer| offer.format), Some(Format::Nova));
        assert_eq!(offer("amazon.nova-pro-v1:0"), None);
    }

    #[test]
    fn paths_name_the_model_and_the_operation() {
        let haiku = "us.anthropic.claude-haiku-4-5-20251001-v1:0";
        let arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123";
        for (dialect, model, stream, expected) in [
            (Dialect::BedrockConverse, haiku, false, "model/us.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse"),
            (Dialect::BedrockConverse, "zai.glm-5", true, "model/zai.glm-5/converse-stream"),
            (Dialect::Anthropic, "anthropic.claude-opus-4-8", false, "model/anthropic.claude-opus-4-8/invoke"),
            (
                Dialect::Anthropic,
                "anthropic.claude-opus-4-8",
                true,
                "model/anthropic.claude-opus-4-8/invoke-with-response-stream",
            ),
            (
                Dialect::BedrockConverse,
                arn,
                false,
                "model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fabc123/converse",
            ),
            (Dialect::BedrockConverse, "../x?y#z%2e", false, "model/..%2Fx%3Fy%23z%252e/converse"),
        ] {
            assert_eq!(bedrock().path(&ask(dialect, model, stream)).unwrap(), expected);
        }
        for model in ["", ".", ".."] {
            assert!(bedrock().path(&ask(Dialect::BedrockConverse, model, false)).is_err());
        }
    }

    #[test]
    fn claude_speaks_its_own_dialect_too() {
        assert_eq!(
            bedrock().speaks("us.anthropic.claude-opus-4-8", &ProviderSettings::default()),
            [Dialect::BedrockConverse, Dialect::Anthropic]
        );
        assert_eq!(bedrock().speaks("amazon.nova-pro-v1:0", &ProviderSettings::default()), [Dialect::BedrockConverse]);
        assert_eq!(bedrock().models_path(), None);
    }

    /// X4: an API key is a bearer token, and marked as a secret.
    #[test]
    fn a_key_travels_as_a_bearer_token() {
        let mut request = http::Request::new(Bytes::new());
        bedrock().sign(Some(&credential("ABSK-1")), SystemTime::UNIX_EPOCH, &mut request).unwrap();
        assert_eq!(request.headers()["authorization"], "Bearer ABSK-1");
        assert!(request.headers()["authorization"].is_sensitive());
        assert!(!request.headers().contains_key("x-amz-date"));
    }

    #[test]
    fn expired_keys_may_be_fetched_anew() {
        for (kind, status) in [("ExpiredTokenException", 401), ("AccessDeniedException", 403)] {
            let error = UpstreamError { kind: Some(kind.into()), ..UpstreamError::new(StatusCode::FORBIDDEN, "No.") };
            assert_eq!(bedrock().refine(error).status.as_u16(), status);
        }
    }
}
