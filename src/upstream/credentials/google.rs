//! Google's access tokens: from a key file (of a service account, of a user, of a federation), from
//! the file the `gcloud` tool leaves, or from the machine's metadata server.
//!
//! The file is read again at each fetch, so a key that was exchanged on the disk needs no restart.
//! Requests are our own, over the provider's own connections: then its `ca-file` holds for them,
//! their errors can be told without foreign words, and a test can play every server. Only the
//! signature is a library's.
//!
//! Source: Google's "Application Default Credentials", "Using OAuth 2.0 for server to server
//! applications", "Workload identity federation" and the formats of their files, read November 2026.

use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use secrecy::ExposeSecret;
use serde::Deserialize;

use super::{Fetched, Fetching, Source, Wire, oauth, signature};
use crate::{
    call::Google as Places,
    providers::{Credential, Grant, Token},
};

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const TOKEN_SERVER: &str = "https://oauth2.googleapis.com/token";
const METADATA_HOST: &str = "metadata.google.internal";
/// How long an assertion may be used, in seconds; the most that is allowed.
const ASSERTION_LIFE: u64 = 3600;

/// Fetches by what the places hold.
#[derive(Debug)]
pub(super) struct Google {
    places: Places,
}

/// A key file.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum KeyFile {
    ServiceAccount(Account),
    AuthorizedUser(User),
    ExternalAccount(External),
    ImpersonatedServiceAccount(Impersonated),
}

#[derive(Deserialize)]
pub(super) struct Account {
    pub(super) client_email: String,
    pub(super) private_key: String,
    private_key_id: Option<String>,
    pub(super) token_uri: Option<String>,
    project_id: Option<String>,
    quota_project_id: Option<String>,
}

#[derive(Deserialize)]
struct User {
    client_id: String,
    client_secret: String,
    refresh_token: String,
    token_uri: Option<String>,
    quota_project_id: Option<String>,
}

/// A workload of another identity provider.
#[derive(Deserialize)]
struct External {
    audience: String,
    subject_token_type: String,
    token_url: String,
    credential_source: Subject,
    service_account_impersonation_url: Option<String>,
    quota_project_id: Option<String>,
}

/// Where the other provider's token is.
#[derive(Deserialize)]
struct Subject {
    file: Option<String>,
    url: Option<String>,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
    format: Option<Format>,
}

#[derive(Deserialize)]
struct Format {
    #[serde(rename = "type")]
    kind: Option<String>,
    subject_token_field_name: Option<String>,
}

#[derive(Deserialize)]
struct Impersonated {
    service_account_impersonation_url: String,
    source_credentials: Box<KeyFile>,
    quota_project_id: Option<String>,
}

// === impl Google ===

impl Google {
    pub(super) fn new(places: Places) -> Self {
        Self { places }
    }

    async fn any(&self, by: &Wire<'_>) -> Result<Fetched, String> {
        if let Some(path) = &self.places.file {
            let file = read(path).await?.ok_or_else(|| format!("there is no credentials file {}", path.display()))?;
            return by_file(&file, by).await;
        }
        if let Some(path) = &self.places.well_known
            && let Some(file) = read(path).await?
        {
            return by_file(&file, by).await;
        }
        let host = self.places.metadata_host.as_deref().unwrap_or(METADATA_HOST);
        by_machine(host, by).await.map_err(|why| {
            format!(
                "{why}; off Google's machines name a key file with `credentials-file` or GOOGLE_APPLICATION_CREDENTIALS"
            )
        })
    }
}

impl Source for Google {
    fn fetch<'a>(&'a self, by: &'a Wire<'a>) -> Fetching<'a> {
        Box::pin(self.any(by))
    }
}

/// `None` where there is no such file.
async fn read(path: &Path) -> Result<Option<KeyFile>, String> {
    let text = match tokio::fs::read_to_string(path).await {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
    };
    // The parser's complaint may quote the file.
    let unknown = |_| format!("{} is no key file of a kind that is known", path.display());
    serde_json::from_str(&text).map(Some).map_err(unknown)
}

async fn by_file(file: &KeyFile, by: &Wire<'_>) -> Result<Fetched, String> {
    match file {
        KeyFile::ServiceAccount(account) => by_account(account, by).await,
        KeyFile::AuthorizedUser(user) => by_user(user, by).await,
        KeyFile::ExternalAccount(external) => by_federation(external, by).await,
        KeyFile::ImpersonatedServiceAccount(other) => {
            let own = Box::pin(by_file(&other.source_credentials, by)).await?;
            let bearer = own.credential.bearer().map_err(|error| error.to_string())?;
            let url = &other.service_account_impersonation_url;
            let (token, expires) = impersonate(url, bearer.expose_secret(), by).await?;
            Ok(fetched(token, expires, None, other.quota_project_id.clone(), "impersonated service account"))
        }
    }
}

/// A signed assertion for a token (RFC 7523).
async fn by_account(account: &Account, by: &Wire<'_>) -> Result<Fetched, String> {
    let server = safe(account.token_uri.as_deref().unwrap_or(TOKEN_SERVER))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let claims = serde_json::json!({
        "iss": account.client_email,
        "aud": server,
        "scope": SCOPE,
        "iat": now,
        "exp": now + ASSERTION_LIFE,
    });
    let assertion = signature::assertion(account, account.private_key_id.as_deref(), &claims)?;
    let grant = ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let answer = oauth::post(by, server, &[grant, ("assertion", &assertion)]).await?;
    let project = account.project_id.clone();
    Ok(of(answer, project, account.quota_project_id.clone(), "service account"))
}

async fn by_user(user: &User, by: &Wire<'_>) -> Result<Fetched, String> {
    let server = safe(user.token_uri.as_deref().unwrap_or(TOKEN_SERVER))?;
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", &user.client_id),
        ("client_secret", &user.client_secret),
        ("refresh_token", &user.refresh_token),
    ];
    let answer = oauth::post(by, server, &form).await?;
    let quota = user.quota_project_id.clone();
    Ok(of(answer, quota.clone(), quota, "user"))
}

/// Another provider's token for one of Google's (RFC 8693).
async fn by_federation(external: &External, by: &Wire<'_>) -> Result<Fetched, String> {
    let subject = external.credential_source.token(by).await?;
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("audience", &external.audience),
        ("scope", SCOPE),
        ("subject_token_type", &external.subject_token_type),
        ("subject_token", &subject),
    ];
    let answer = oauth::post(by, safe(&external.token_url)?, &form).await?;
    let quota = external.quota_project_id.clone();
    let Some(url) = &external.service_account_impersonation_url else {
        return Ok(of(answer, None, quota, "federation"));
    };
    let (token, expires) = impersonate(url, answer.into_token().expose_secret(), by).await?;
    Ok(fetched(token, expires, None, quota, "federated service account"))
}

async fn by_machine(host: &str, by: &Wire<'_>) -> Result<Fetched, String> {
    let root = format!("http://{host}/computeMetadata/v1");
    let flavor = [("metadata-flavor", "Google")];
    let url = format!("{root}/instance/service-accounts/default/token");
    let answer = oauth::token(&oauth::get(by, &url, &flavor).await?, &url)?;
    let project = oauth::get(by, &format!("{root}/project/project-id"), &flavor).await.ok();
    let project = project.and_then(|body| String::from_utf8(body.to_vec()).ok()).map(|text| text.trim().to_owned());
    Ok(of(answer, project.filter(|text| !text.is_empty()), None, "metadata server"))
}

/// A service account's token for one who may act as it.
async fn impersonate(url: &str, bearer: &str, by: &Wire<'_>) -> Result<(secrecy::SecretString, SystemTime), String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        access_token: String,
        expire_time: String,
    }
    let body = serde_json::json!({"scope": [SCOPE]}).to_string();
    let body = oauth::post_json(by, safe(url)?, bearer, body).await?;
    let answer: Answer =
        serde_json::from_slice(&body).map_err(|_| "the impersonation answered without a token".to_owned())?;
    let expires = humantime::parse_rfc3339_weak(&answer.expire_time)
        .map_err(|_| "the impersonation answered without a time".to_owned())?;
    Ok((answer.access_token.into(), expires))
}

fn of(answer: oauth::Answer, project: Option<String>, quota_project: Option<String>, label: &str) -> Fetched {
    let expires = answer.expires();
    fetched(answer.into_token(), expires, project, quota_project, label)
}

fn fetched(
    token: secrecy::SecretString,
    expires: SystemTime,
    project: Option<String>,
    quota_project: Option<String>,
    label: &str,
) -> Fetched {
    let grant = Grant::Token(Token { token, project, quota_project });
    Fetched { credential: Credential { grant, label: format!("token of the {label}") }, expires: Some(expires) }
}

fn safe(address: &str) -> Result<&str, String> {
    if oauth::is_safe(address) { Ok(address) } else { Err("the key file names a token server without TLS".into()) }
}

// === impl Subject ===

impl Subject {
    async fn token(&self, by: &Wire<'_>) -> Result<String, String> {
        let text = match (&self.file, &self.url) {
            (Some(file), _) => {
                let read = tokio::fs::read_to_string(file).await;
                read.map_err(|error| format!("the subject token's file cannot be read: {error}"))?
            }
            (None, Some(url)) => {
                let wrong = "the subject token's headers cannot be used";
                let mut headers = Vec::with_capacity(self.headers.len());
                for (name, value) in &self.headers {
                    headers.push((http::HeaderName::try_from(name).map_err(|_| wrong.to_owned())?, value.as_str()));
                }
                let body = oauth::get_with(by, safe(url)?, headers).await?;
                String::from_utf8(body.to_vec()).map_err(|_| "the subject token is no text".to_owned())?
            }
            (None, None) => {
                return Err("the federation's source is of a kind that is not supported (file and url are)".into());
            }
        };
        self.pick(&text)
    }

    /// The token in the text, which may be a field of JSON.
    fn pick(&self, text: &str) -> Result<String, String> {
        let Some(format) = self.format.as_ref().filter(|format| format.kind.as_deref() == Some("json")) else {
            return Ok(text.trim().to_owned());
        };
        let field = format.subject_token_field_name.as_deref().unwrap_or("access_token");
        let value: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        let token = value.get(field).and_then(|token| token.as_str());
        token.map(ToOwned::to_owned).ok_or_else(|| "the subject token is not where the file says".to_owned())
    }
}
