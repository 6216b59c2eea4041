//! Azure OpenAI: OpenAI's dialects at a resource of the operator's own, under the names of
//! deployments, and with its own header for the key or a token of Entra's.
//!
//! Two surfaces. The newer one (`/openai/v1`) is OpenAI's own but for the deployment's name as the
//! model; it serves other vendors' models as well. The older one has the deployment in the path and
//! wants a dated `api-version` with every request; setting one chooses it. A version that is a word
//! (`preview`) belongs to the newer one.
//!
//! What Azure does differently in a stream (a first chunk about the prompt's filters, later ones
//! without a delta) is mended by the dialect's own way back, which knows no vendor (rule S3).
//!
//! Source: "Azure OpenAI REST API reference", "API version lifecycle", "Content filtering" and
//! "Content streaming" (learn.microsoft.com, read November 2026).

use std::{borrow::Cow, time::SystemTime};

use bytes::Bytes;

use super::{Ask, Credential, EmbeddingOffer, Model, Provider, catalogue::Row, compatible::Compatible, segment};
use crate::{
    call::{Dialect, ProviderSettings},
    error::{Result, UpstreamError},
    wire::{
        Facts, Loss,
        json::{Edits, Object},
    },
};

#[derive(Debug, Clone, Copy)]
pub struct Azure {
    pub row: &'static Row,
}

// === impl Azure ===

impl Azure {
    fn openai(&self) -> Compatible {
        Compatible { row: self.row }
    }
}

impl Provider for Azure {
    fn name(&self) -> &str {
        &self.row.name
    }

    /// However the operator wrote it: the resource, its `/openai`, or the newer surface.
    fn root<'a>(&self, base_url: &'a str) -> &'a str {
        let root = base_url.trim_end_matches('/');
        let root = root.strip_suffix("/v1").unwrap_or(root);
        root.strip_suffix("/openai").unwrap_or(root)
    }

    fn speaks(&self, model: &str, settings: &ProviderSettings) -> &'static [Dialect] {
        self.row.dialects(model, settings)
    }

    fn reroute(&self, dialect: Dialect, model: &str, body: &Object<'_>) -> Option<Dialect> {
        self.openai().reroute(dialect, model, body)
    }

    fn path(&self, ask: &Ask<'_>) -> Result<Cow<'static, str>> {
        let what = self.openai().path(ask)?;
        let is_deployed = ask.dialect == Dialect::OpenAiChat;
        path(&what, is_deployed.then_some(ask.model), ask.settings)
    }

    fn wire_model<'a>(&self, model: &'a str, settings: &'a ProviderSettings) -> Cow<'a, str> {
        settings.deployment(model).into()
    }

    /// The resource lists base models, not its deployments.
    fn models_path(&self) -> Option<&'static str> {
        None
    }

    fn sign(&self, with: Option<&Credential>, now: SystemTime, request: &mut http::Request<Bytes>) -> Result<()> {
        self.openai().sign(with, now, request)
    }

    fn adjusts(&self, dialect: Dialect) -> bool {
        self.openai().adjusts(dialect)
    }

    fn adjust(&self, dialect: Dialect, facts: &Facts<'_>, body: &mut Edits<'_>) -> Vec<Loss> {
        self.openai().adjust(dialect, facts, body)
    }

    fn is_bare(&self) -> bool {
        self.openai().is_bare()
    }

    fn has_custom_tools(&self) -> bool {
        self.openai().has_custom_tools()
    }

    fn embeddings(&self, model: Model<'_>, settings: &ProviderSettings) -> Option<EmbeddingOffer> {
        let offer = self.openai().embeddings(model, settings)?;
        let path = path(&offer.path, Some(model.id), settings).ok()?;
        Some(EmbeddingOffer { path, ..offer })
    }

    fn adjust_embeddings(&self, body: &mut Edits<'_>) -> Vec<Loss> {
        self.openai().adjust_embeddings(body)
    }

    fn refine(&self, error: UpstreamError) -> UpstreamError {
        self.openai().refine(error)
    }
}

/// Where something is asked. `deployed`: of this model's deployment, where the older surface has
/// one in the path.
fn path(what: &str, deployed: Option<&str>, settings: &ProviderSettings) -> Result<Cow<'static, str>> {
    let version = settings.api_version.as_deref();
    Ok(match (version.filter(|version| is_dated(version)), version, deployed) {
        (Some(version), _, Some(model)) => {
            let name = segment(settings.deployment(model))?;
            format!("openai/deployments/{name}/{what}?api-version={version}").into()
        }
        (Some(version), _, None) => format!("openai/{what}?api-version={version}").into(),
        (None, Some(version), _) => format!("openai/v1/{what}?api-version={version}").into(),
        (None, None, _) => format!("openai/v1/{what}").into(),
    })
}

fn is_dated(version: &str) -> bool {
    version.starts_with(|first: char| first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::providers::{Grant, Token, provider, tests::credential};

    fn settings(version: Option<&str>) -> ProviderSettings {
        ProviderSettings {
            api_version: version.map(Into::into),
            deployments: [("gpt-5".to_owned(), "prod gpt".to_owned())].into(),
            ..ProviderSettings::default()
        }
    }

    fn path(dialect: Dialect, model: &str, version: Option<&str>) -> String {
        let settings = settings(version);
        provider("azure")
            .unwrap()
            .path(&Ask { dialect, model, stream: true, settings: &settings })
            .unwrap()
            .into_owned()
    }

    #[test]
    fn a_dated_version_chooses_the_deployments() {
        let chat = Dialect::OpenAiChat;
        assert_eq!(path(chat, "gpt-5", None), "openai/v1/chat/completions");
        assert_eq!(path(chat, "gpt-5", Some("preview")), "openai/v1/chat/completions?api-version=preview");
        let dated = Some("2024-10-21");
        assert_eq!(path(chat, "gpt-5", dated), "openai/deployments/prod%20gpt/chat/completions?api-version=2024-10-21");
        assert_eq!(path(chat, "o3", dated), "openai/deployments/o3/chat/completions?api-version=2024-10-21");
        assert_eq!(path(Dialect::OpenAiResponses, "gpt-5", dated), "openai/responses?api-version=2024-10-21");
        assert_eq!(path(Dialect::OpenAiResponses, "gpt-5", None), "openai/v1/responses");
        let offer = provider("azure").unwrap().embeddings("gpt-5".into(), &settings(dated)).unwrap();
        assert_eq!(offer.path, "openai/deployments/prod%20gpt/embeddings?api-version=2024-10-21");
    }

    /// X3: a model is never more than one segment.
    #[test]
    fn a_model_stays_in_its_place() {
        let path = path(Dialect::OpenAiChat, "../../evil?x=", Some("2024-10-21"));
        assert_eq!(path, "openai/deployments/..%2F..%2Fevil%3Fx%3D/chat/completions?api-version=2024-10-21");
    }

    #[test]
    fn a_model_has_its_deployments_name_in_the_body() {
        let settings = settings(None);
        let azure = provider("azure").unwrap();
        assert_eq!(azure.wire_model("gpt-5", &settings), "prod gpt");
        assert_eq!(azure.wire_model("o3", &settings), "o3");
    }

    #[test]
    fn the_address_is_taken_however_it_is_written() {
        let azure = provider("azure").unwrap();
        for written in
            ["https://r.openai.azure.com", "https://r.openai.azure.com/openai", "https://r.openai.azure.com/openai/v1"]
        {
            assert_eq!(azure.root(written), "https://r.openai.azure.com");
        }
        assert_eq!(azure.root("https://apim.test/front/openai/"), "https://apim.test/front");
    }

    #[test]
    fn a_key_has_its_own_header_and_a_token_is_borne() {
        let signed = |with: &Credential| {
            let mut request = http::Request::new(Bytes::new());
            provider("azure").unwrap().sign(Some(with), UNIX_EPOCH, &mut request).unwrap();
            request
        };
        let request = signed(&credential("key"));
        assert_eq!(request.headers()["api-key"], "key");
        assert!(!request.headers().contains_key("authorization"));
        let token = Token { token: "ey".into(), project: None, quota_project: None };
        let request = signed(&Credential { grant: Grant::Token(token), label: "t".into() });
        assert_eq!(request.headers()["authorization"], "Bearer ey");
        assert!(!request.headers().contains_key("api-key") && request.headers()["authorization"].is_sensitive());
    }
}
