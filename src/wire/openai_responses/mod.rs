//! OpenAI Responses, as OpenAI and a growing number of vendors speak it.
//!
//! An answer is a list of items (messages, calls, reasoning), and a stream tells how each item comes
//! to be. `upstream` writes requests and reads answers; [`client`] is the other side, and says what an
//! endpoint with a store builds on.
//!
//! Source: openai-openapi specification 2.3.0 (August 2026), the types and stream helpers of
//! openai-python 3.54 and openai-node 7.57, OpenAI's guides, and streams recorded by
//! pydantic/pydantic-ai's tests (read November 2026).

pub mod client;
mod upstream;

/// The dialect.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenAiResponses;
