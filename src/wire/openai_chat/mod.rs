//! OpenAI chat completions.

pub mod in_band;
pub mod passthrough;
pub mod usage;

pub use in_band::in_band_error;
pub use passthrough::{Passthrough, accepts, unary};
pub use usage::usage;
