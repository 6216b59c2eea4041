//! How requests to a provider are authorized, as the operator said or left open.

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// A way a kind of provider may take its credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialKind {
    /// A key that stays the same.
    Key,
    /// Google's access tokens.
    Google,
    /// AWS's chain of credentials.
    Aws,
    /// Microsoft Entra's access tokens.
    Entra,
}

/// Where a provider's credentials come from. Shows no secret.
#[derive(Debug, Clone, Default)]
pub enum Credentials {
    /// The provider's keys, perhaps none.
    #[default]
    Keys,
    /// The client brings its own, beside its key to the gateway (design section 6.10).
    Client,
    Google(Google),
    Aws(Aws),
    Entra(Entra),
}

/// Where Google's access tokens come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Google {
    /// A key file of a service account, of a user or of a federation. `None`: the file of the
    /// `gcloud` tool if there is one, else the machine's metadata server.
    pub file: Option<PathBuf>,
    /// The file the `gcloud` tool writes.
    pub well_known: Option<PathBuf>,
    /// Host of the metadata server, when it is not the usual one.
    pub metadata_host: Option<String>,
}

/// Where AWS's keys come from: its own order of places, from the environment to the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aws {
    /// The profile of its files. `None`: `AWS_PROFILE`, else the default one.
    pub profile: Option<String>,
    /// What requests are signed for.
    pub region: String,
}

/// Where Microsoft Entra's access tokens come from: a client secret if there is one, else a
/// federated token, else the machine's managed identity.
#[derive(Debug, Clone, Default)]
pub struct Entra {
    pub tenant: Option<String>,
    pub client: Option<String>,
    pub secret: Option<SecretString>,
    /// A file with a token of another issuer that Entra trusts.
    pub token_file: Option<PathBuf>,
    /// Where Entra is, without a slash at its end. `None`: the public cloud.
    pub authority: Option<String>,
    /// What the token is for. `None`: the provider's own.
    pub scope: Option<String>,
    /// The machine's identity service, when it is not the usual one.
    pub identity_host: Option<String>,
}

// === impl CredentialKind ===

impl CredentialKind {
    /// Its name in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Google => "google",
            Self::Aws => "aws",
            Self::Entra => "entra",
        }
    }
}

// === impl Credentials, Entra: equality, for what outlives a reload ===

impl PartialEq for Credentials {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Keys, Self::Keys) | (Self::Client, Self::Client) => true,
            (Self::Aws(one), Self::Aws(other)) => one == other,
            (Self::Google(one), Self::Google(other)) => one == other,
            (Self::Entra(one), Self::Entra(other)) => one == other,
            (Self::Keys | Self::Client | Self::Aws(_) | Self::Google(_) | Self::Entra(_), _) => false,
        }
    }
}

impl PartialEq for Entra {
    fn eq(&self, other: &Self) -> bool {
        let secret = |entra: &Self| entra.secret.as_ref().map(|secret| secret.expose_secret().to_owned());
        secret(self) == secret(other)
            && self.tenant == other.tenant
            && self.client == other.client
            && self.token_file == other.token_file
            && self.authority == other.authority
            && self.scope == other.scope
            && self.identity_host == other.identity_host
    }
}

// === impl Credentials ===

impl Credentials {
    /// Its name in the file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Keys => "key",
            Self::Client => "client",
            Self::Google(_) => "google",
            Self::Aws(_) => "aws",
            Self::Entra(_) => "entra",
        }
    }
}
