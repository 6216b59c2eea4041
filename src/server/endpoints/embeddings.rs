//! `POST /v1/embeddings` (OpenAI's API reference, "Create embeddings", read November 2026).

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
    wire::openai_chat::OpenAiChat,
};

/// Errors are those of every OpenAI endpoint.
static ENDPOINT: Endpoint = Endpoint {
    counted_as: telemetry::Endpoint::Embeddings,
    dialect: &OpenAiChat,
    probe: |_, body| probe::embeddings(body),
};

pub(in crate::server) async fn create(
    State(server): State<Arc<Server>>,
    found: PlaceResult,
    request: Request,
) -> Response {
    exchange::answer(&ENDPOINT, server, found, request).await
}
