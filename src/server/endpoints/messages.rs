//! `POST /v1/messages` and `POST /v1/messages/count_tokens` (Anthropic's API reference, "Create a
//! Message" and "Count tokens", read November 2026).
//!
//! Agents add `?beta=true` to the path; the query says nothing here.

use super::exchange::Endpoint;
use crate::{server::probe, telemetry, wire::anthropic::Anthropic};

pub(in crate::server) static ENDPOINT: Endpoint = Endpoint {
    counted_as: telemetry::Endpoint::Messages,
    dialect: &Anthropic,
    probe: |head, body| probe::messages(head.headers, body),
};

pub(in crate::server) static COUNT_TOKENS: Endpoint = Endpoint {
    counted_as: telemetry::Endpoint::CountTokens,
    dialect: &Anthropic,
    probe: |head, body| probe::count_tokens(head.headers, body),
};
