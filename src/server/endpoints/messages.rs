//! `POST /v1/messages` and `POST /v1/messages/count_tokens` (Anthropic's API reference, "Create a
//! Message" and "Count tokens", read November 2026).
//!
//! Agents add `?beta=true` to the path; the query says nothing here.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
};

use super::{
    PlaceResult,
    exchange::{self, Endpoint},
};
use crate::{
    server::{Server, probe},
    telemetry,
    wire::anthropic::Anthropic,
};

static ENDPOINT: Endpoint =
    Endpoint { counted_as: telemetry::Endpoint::Messages, dialect: &Anthropic, probe: probe::messages };

static COUNT: Endpoint =
    Endpoint { counted_as: telemetry::Endpoint::CountTokens, dialect: &Anthropic, probe: probe::count_tokens };

pub(in crate::server) async fn count_tokens(
    State(server): State<Arc<Server>>,
    found: PlaceResult,
    request: Request,
) -> Response {
    exchange::answer(&COUNT, server, found, request).await
}

pub(in crate::server) async fn create(
    State(server): State<Arc<Server>>,
    found: PlaceResult,
    request: Request,
) -> Response {
    exchange::answer(&ENDPOINT, server, found, request).await
}
