//! AWS's usual places for keys, asked in AWS's order: the environment, the profile files (roles,
//! sign-on and processes included), a web identity, the container's endpoint, the machine's metadata
//! service.
//!
//! The order and every protocol in it are AWS's own crate's. It reads the environment and the files
//! by itself, anew for each fetch, so that keys that were written meanwhile are found.
//!
//! Source: "Standardized credential providers" (docs.aws.amazon.com/sdkref, read November 2026).

use std::sync::OnceLock;

use aws_config::{Region, default_provider::credentials::DefaultCredentialsChain, provider_config::ProviderConfig};
use aws_credential_types::provider::{ProvideCredentials, error::CredentialsError};
use aws_smithy_http_client::tls;

use super::{Fetched, Fetching, Source, Wire};
use crate::{
    call::Aws,
    providers::{AwsKeys, Credential, Grant},
};

/// The chain of one provider.
#[derive(Debug)]
pub(super) struct Chain {
    from: Aws,
    /// For web identities, roles and sign-on; made when first needed.
    provider: OnceLock<ProviderConfig>,
}

// === impl Chain ===

impl Chain {
    pub(super) fn new(from: Aws) -> Self {
        Self { from, provider: OnceLock::new() }
    }

    fn provider(&self) -> ProviderConfig {
        let made = || {
            let ring = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
            let client = aws_smithy_http_client::Builder::new().tls_provider(ring).build_https();
            ProviderConfig::without_region().with_http_client(client)
        };
        self.provider.get_or_init(made).clone()
    }

    async fn ask(&self) -> Result<Fetched, String> {
        let region = Region::new(self.from.region.clone());
        let mut chain = DefaultCredentialsChain::builder().configure(self.provider()).region(region);
        if let Some(profile) = &self.from.profile {
            chain = chain.profile_name(profile);
        }
        let keys = chain.build().await.provide_credentials().await.map_err(|error| sentence(&error).to_owned())?;
        let grant = Grant::Aws(AwsKeys {
            access_key: keys.access_key_id().to_owned(),
            secret_key: keys.secret_access_key().into(),
            session_token: keys.session_token().map(Into::into),
            region: self.from.region.clone(),
        });
        Ok(Fetched { credential: Credential { grant, label: "AWS keys".into() }, expires: keys.expiry() })
    }
}

impl Source for Chain {
    fn fetch<'a>(&'a self, _by: &'a Wire<'a>) -> Fetching<'a> {
        Box::pin(self.ask())
    }
}

/// What went wrong, in words of our own: the crate's may quote what it read.
fn sentence(error: &CredentialsError) -> &'static str {
    match error {
        CredentialsError::CredentialsNotLoaded(_) => {
            "none of AWS's usual places has keys (environment, profile files, web identity, container, machine)"
        }
        CredentialsError::ProviderTimedOut(_) => "the place that has AWS's keys did not answer in time",
        CredentialsError::InvalidConfiguration(_) => "AWS's profile files or variables are not valid",
        CredentialsError::ProviderError(_) => "the place that has AWS's keys refused to give them",
        CredentialsError::Unhandled(_) | _ => "AWS's keys could not be fetched",
    }
}
