//! `POST /v1/completions`, the legacy form (OpenAI's API reference, "Create completion", read
//! November 2026).

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
    wire::openai_completions::OpenAiCompletions,
};

static ENDPOINT: Endpoint = Endpoint {
    counted_as: telemetry::Endpoint::Completions,
    dialect: &OpenAiCompletions,
    probe: |_, body| probe::completions(body),
};

pub(in crate::server) async fn create(
    State(server): State<Arc<Server>>,
    found: PlaceResult,
    request: Request,
) -> Response {
    exchange::answer(&ENDPOINT, server, found, request).await
}
