//! `POST /v1/completions`, the legacy form (OpenAI's API reference, "Create completion", read
//! November 2026).

use super::exchange::Endpoint;
use crate::{server::probe, telemetry, wire::openai_completions::OpenAiCompletions};

pub(in crate::server) static ENDPOINT: Endpoint = Endpoint {
    counted_as: telemetry::Endpoint::Completions,
    dialect: &OpenAiCompletions,
    probe: |_, body| probe::completions(body),
};
