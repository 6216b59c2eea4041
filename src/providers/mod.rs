//! Vendors: what one does differently from the dialect it speaks. Pure data and a few hooks; the
//! socket is `upstream/`, the wire format `wire/`.
//!
//! A vendor that differs only by address, key variable and flags is a row of `catalogue.toml`
//! ([`compatible::Compatible`]); a file here is for behaviour.

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use secrecy::SecretString;

use crate::{
    call::Dialect,
    error::{Result, UpstreamError},
    wire::{Facts, Loss, json::Edits},
};

/// A vendor.
pub trait Provider: Send + Sync + fmt::Debug {
    /// The catalogue's name for it (`type` in the configuration).
    fn name(&self) -> &str;
    /// The dialects it takes for this model, the preferred first. A client of one of them gets its
    /// bytes through.
    fn speaks(&self, model: &str) -> &'static [Dialect];
    /// What follows the base URL.
    fn path(&self, dialect: Dialect, model: &str, stream: bool) -> Cow<'static, str>;
    /// Puts the credential on a request. `None` when none is configured (local servers).
    fn sign(&self, with: Option<&Credential>, request: &mut http::Request<Bytes>) -> Result<()>;
    /// The vendor's own rules for a request body of `dialect`: renamed, clamped and refused
    /// fields. Returns what it had to leave out. Values it does not touch keep their bytes.
    fn adjust(&self, dialect: Dialect, facts: &Facts<'_>, body: &mut Edits<'_>) -> Vec<Loss> {
        let _ = (dialect, facts, body);
        Vec::new()
    }
    /// Corrects the reading of an error by the vendor's own codes.
    fn refine(&self, error: UpstreamError) -> UpstreamError {
        error
    }
}

/// One key of a provider.
#[derive(Debug, Clone)]
pub struct Credential {
    pub secret: SecretString,
    /// Which of the provider's keys it is, as the log names it: its place in the list. Nothing
    /// derived from the secret, not even a hash, is ever written anywhere (rule X4).
    pub label: String,
}

// === impl Credential ===

impl Credential {
    /// The key at `place` (from 1) of a provider's list.
    pub fn new(place: usize, secret: SecretString) -> Self {
        Self { secret, label: format!("key {place}") }
    }
}
