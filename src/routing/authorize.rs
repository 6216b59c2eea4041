//! Whose credential goes on a request: one of the gateway's, or the client's own where the provider
//! is configured so (design section 6.10, rule A4).
//!
//! The client's own is sent as it came, in the header it came in, and is marked so that nothing
//! prints it (rule X4). The key to the gateway was taken out before and goes nowhere.

use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, header::AUTHORIZATION};
use secrecy::ExposeSecret;

use super::table::Route;
use crate::{
    error::{Error, Result, UpstreamError, Whose},
    providers::Credential,
};

/// The headers in which clients carry credentials.
const CARRIERS: [HeaderName; 4] = [
    AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
];

/// Signs a request for `route`, whose client sent `headers`.
pub(super) fn authorize(
    route: &Route,
    with: Option<&Credential>,
    headers: &HeaderMap,
    request: &mut http::Request<Bytes>,
) -> Result<()> {
    let upstream = &route.upstream;
    if upstream.takes_the_clients_credential() {
        hand_on(headers, request.headers_mut())?;
    }
    upstream.provider.sign(with, SystemTime::now(), request)
}

/// An error as the one whose credential it was shall hear it. Some upstreams quote the credential they
/// were sent; the operator's is blotted out (rule X4).
pub(super) fn addressed(route: &Route, with: Option<&Credential>, error: Error) -> Error {
    let Error::Upstream(mut error) = error else { return error };
    if route.upstream.takes_the_clients_credential() {
        return UpstreamError { credential: Whose::Clients, ..*error }.into();
    }
    for secret in with.map(|with| with.grant.secrets()).into_iter().flatten() {
        error.blot(secret.expose_secret());
    }
    Error::Upstream(error)
}

/// An error in mid-answer, without the keys that its upstream may quote.
pub(super) fn unquoted(route: &Route, error: Error) -> Error {
    let Error::Upstream(mut error) = error else { return error };
    route.upstream.config.api_keys.iter().for_each(|key| error.blot(key.expose_secret()));
    Error::Upstream(error)
}

/// Whether another token may be taken where this one was not.
pub(super) fn is_unauthorized(error: &Error) -> bool {
    matches!(error, Error::Upstream(error) if error.status == http::StatusCode::UNAUTHORIZED)
}

fn hand_on(from: &HeaderMap, to: &mut HeaderMap) -> Result<()> {
    let mut found = false;
    for name in CARRIERS {
        if let Some(value) = from.get(&name) {
            let mut value = value.clone();
            value.set_sensitive(true);
            to.insert(name, value);
            found = true;
        }
    }
    if found {
        return Ok(());
    }
    let message = "This provider is called with the client's own credential: send it as `Authorization` or \
                   `x-api-key`, and the key to the gateway as `x-sluis-key`.";
    Err(Error::Unauthenticated { message: message.into() })
}
