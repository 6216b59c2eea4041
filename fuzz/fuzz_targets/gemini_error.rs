//! Any bytes as a Gemini error body: there is a sentence to say.

#![no_main]

use http::{HeaderMap, StatusCode};
use libfuzzer_sys::fuzz_target;
use sluis::wire::{UpstreamDialect, gemini::Gemini};

fuzz_target!(|data: &[u8]| {
    let error = Gemini.error(StatusCode::BAD_REQUEST, &HeaderMap::new(), data);
    assert!(!error.message.is_empty());
});
