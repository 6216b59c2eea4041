//! The canonical form: what every dialect converts to and from.
//!
//! Block-structured, because the richest dialect is. Nothing here has a wire name, and nothing
//! here knows a vendor: opaque data that must come back unchanged (signatures, encrypted
//! reasoning) is carried as it is, tagged with the dialect that understands it.

mod embedding;
mod event;
mod request;
mod response;
mod usage;

pub use embedding::{EmbeddingInput, EmbeddingRequest, Embeddings, Encoding, Vector};
pub use event::{Delta, Event, Opening};
pub use request::{
    Block, CacheHint, CacheTtl, Effort, Message, Output, Reasoning, Request, Role, Sampling, Source, Tool, ToolChoice,
    ToolKind,
};
pub use response::{Annotation, Finish, Logprob, Lost, Response};
pub use usage::Usage;
