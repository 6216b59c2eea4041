//! Microsoft Entra's access tokens: for an application with a secret, for a workload with a
//! federated token, or for the managed identity of the machine.
//!
//! Source: "OAuth 2.0 client credentials flow", "Workload identity federation" and "How to use
//! managed identities on a virtual machine to acquire an access token" (learn.microsoft.com, read
//! November 2026).

use secrecy::ExposeSecret;

use super::{Fetched, Fetching, Source, Wire, oauth};
use crate::{
    call::Entra as Places,
    providers::{Credential, Grant, Token},
};

const AUTHORITY: &str = "https://login.microsoftonline.com";
/// What Azure's models want a token for.
const SCOPE: &str = "https://cognitiveservices.azure.com/.default";
const IDENTITY_HOST: &str = "http://169.254.169.254";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Fetches by what the places hold.
#[derive(Debug)]
pub(super) struct Entra {
    places: Places,
}

// === impl Entra ===

impl Entra {
    pub(super) fn new(places: Places) -> Self {
        Self { places }
    }

    async fn any(&self, by: &Wire<'_>) -> Result<Fetched, String> {
        let places = &self.places;
        if let Some(secret) = &places.secret {
            return self.by_client(&[("client_secret", secret.expose_secret())], "application", by).await;
        }
        if let Some(path) = &places.token_file {
            let read = tokio::fs::read_to_string(path).await;
            let text = read.map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
            let own = [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", text.trim())];
            return self.by_client(&own, "workload", by).await;
        }
        self.by_machine(by).await.map_err(|why| {
            format!(
                "{why}; off Azure's machines give a key, or AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET"
            )
        })
    }

    async fn by_client(&self, own: &[(&str, &str)], label: &str, by: &Wire<'_>) -> Result<Fetched, String> {
        let places = &self.places;
        let (Some(tenant), Some(client)) = (&places.tenant, &places.client) else {
            return Err("tenant and client are not both known".into());
        };
        let authority = places.authority.as_deref().unwrap_or(AUTHORITY);
        if !oauth::is_safe(authority) {
            return Err("the authority is without TLS".into());
        }
        let url = format!("{authority}/{}/oauth2/v2.0/token", oauth::escape(tenant));
        let mut form = vec![("grant_type", "client_credentials"), ("client_id", client), ("scope", self.scope())];
        form.extend(own);
        Ok(of(oauth::post(by, &url, &form).await?, label))
    }

    /// The machine's identity service takes the name of the resource, not a scope of it.
    async fn by_machine(&self, by: &Wire<'_>) -> Result<Fetched, String> {
        let host = self.places.identity_host.as_deref().unwrap_or(IDENTITY_HOST).trim_end_matches('/');
        let resource = self.scope().trim_end_matches("/.default");
        let mut query = vec![("api-version", "2018-02-01"), ("resource", resource)];
        query.extend(self.places.client.as_deref().map(|client| ("client_id", client)));
        let url = format!("{host}/metadata/identity/oauth2/token?{}", oauth::encode(&query));
        let answer = oauth::token(&oauth::get(by, &url, &[("metadata", "true")]).await?, &url)?;
        Ok(of(answer, "managed identity"))
    }

    fn scope(&self) -> &str {
        self.places.scope.as_deref().unwrap_or(SCOPE)
    }
}

impl Source for Entra {
    fn fetch<'a>(&'a self, by: &'a Wire<'a>) -> Fetching<'a> {
        Box::pin(self.any(by))
    }
}

fn of(answer: oauth::Answer, label: &str) -> Fetched {
    let expires = answer.expires();
    let grant = Grant::Token(Token { token: answer.into_token(), project: None, quota_project: None });
    Fetched { credential: Credential { grant, label: format!("token of the {label}") }, expires: Some(expires) }
}
