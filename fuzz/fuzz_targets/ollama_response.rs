//! Any bytes as an Ollama answer or error body: nothing panics, and an error has a sentence.

#![no_main]

use http::{HeaderMap, StatusCode};
use libfuzzer_sys::fuzz_target;
use sluis::wire::{Memo, UpstreamDialect, ollama::Ollama};

fuzz_target!(|data: &[u8]| {
    let _ = Ollama.decode(data, &Memo::default());
    let error = Ollama.error(StatusCode::BAD_REQUEST, &HeaderMap::new(), data);
    assert!(!error.message.is_empty());
});
