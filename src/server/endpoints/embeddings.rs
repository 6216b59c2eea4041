//! `POST /v1/embeddings` (OpenAI's API reference, "Create embeddings", read November 2026).

use super::exchange::Endpoint;
use crate::{server::probe, telemetry, wire::openai_chat::OpenAiChat};

/// Errors are those of every OpenAI endpoint.
pub(in crate::server) static ENDPOINT: Endpoint = Endpoint {
    counted_as: telemetry::Endpoint::Embeddings,
    dialect: &OpenAiChat,
    probe: |_, body| probe::embeddings(body),
};
