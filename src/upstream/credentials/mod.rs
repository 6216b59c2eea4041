//! What authorizes requests to a provider: keys that take turns ([`KeyRing`]), or a token that is
//! fetched, kept and fetched again before it expires ([`Kept`]).
//!
//! A source is asked by the call that needs it, never before: nothing is fetched at the start, and
//! readiness does not wait for it. Which source a provider has is the configuration's to say; here
//! is how each is asked.

#[cfg(feature = "bedrock")]
mod aws;
mod entra;
mod google;
mod kept;
mod oauth;
mod ring;
mod signature;

#[cfg(test)]
mod tests;

use std::{fmt, future::Future, pin::Pin, time::SystemTime};

pub use self::{
    kept::Kept,
    ring::{KeyRing, Lent},
};
use super::transport::Clients;
use crate::{
    call::{Aws, Connection, Credentials},
    providers::Credential,
};

/// A place where credentials are fetched.
pub trait Source: Send + Sync + fmt::Debug {
    /// Fetches one, once, without patience of its own: whoever asks sets the clock. The error is a
    /// sentence for the operator's log and holds nothing secret and no foreign words.
    fn fetch<'a>(&'a self, by: &'a Wire<'a>) -> Fetching<'a>;
}

/// A fetch under way.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Fetched, String>> + Send + 'a>>;

/// How a source reaches others, if it must.
#[derive(Debug, Clone, Copy)]
pub struct Wire<'a> {
    pub clients: &'a Clients,
    pub connection: &'a Connection,
}

/// A fetched credential.
#[derive(Debug)]
pub struct Fetched {
    pub credential: Credential,
    /// `None`: it does not expire.
    pub expires: Option<SystemTime>,
}

/// The source that a provider's configuration asks for; `None` where keys, or the client's own
/// credentials, do.
pub fn source(from: &Credentials) -> Option<Box<dyn Source>> {
    match from {
        Credentials::Google(places) => Some(Box::new(google::Google::new(places.clone()))),
        Credentials::Entra(places) => Some(Box::new(entra::Entra::new(places.clone()))),
        Credentials::Aws(from) => Some(aws(from)),
        Credentials::Keys | Credentials::Client => None,
    }
}

#[cfg(feature = "bedrock")]
fn aws(from: &Aws) -> Box<dyn Source> {
    Box::new(aws::Chain::new(from.clone()))
}

#[cfg(not(feature = "bedrock"))]
fn aws(_: &Aws) -> Box<dyn Source> {
    Box::new(Absent)
}

/// Stands for a source that this binary was built without.
#[cfg(not(feature = "bedrock"))]
#[derive(Debug)]
struct Absent;

#[cfg(not(feature = "bedrock"))]
impl Source for Absent {
    fn fetch<'a>(&'a self, _by: &'a Wire<'a>) -> Fetching<'a> {
        Box::pin(async { Err("this binary was built without the feature `bedrock`; use an API key".into()) })
    }
}
