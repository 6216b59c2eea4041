//! The gateway as its clients meet it: over real sockets, against a scripted upstream that says
//! every byte. One module per subject; each test names the field rules it proves.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may panic: that is how it fails; and it starts servers of its own"
)]

mod support;

mod anthropic;
mod bedrock;
mod clouds;
mod cohere;
mod completions;
mod config_reload;
mod counting;
mod disconnect;
mod drain;
mod embeddings;
mod errors;
mod failover;
mod first_minute;
mod gemini;
mod gemini_client;
mod harness;
mod limits;
mod matrix;
mod messages;
mod ollama;
#[cfg(target_os = "linux")]
mod pressure;
mod protocols;
mod reasoning_back;
mod responses;
mod responses_rows;
mod responses_upstream;
mod security;
mod streaming;
mod telemetry;
mod think_tags;
mod unshown;
