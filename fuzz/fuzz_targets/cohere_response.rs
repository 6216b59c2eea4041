//! Any bytes as a Cohere answer or error body: nothing panics, and an error has a sentence.

#![no_main]

use http::{HeaderMap, StatusCode};
use libfuzzer_sys::fuzz_target;
use sluis::wire::{Memo, UpstreamDialect, cohere::Cohere};

fuzz_target!(|data: &[u8]| {
    let _ = Cohere.decode(data, &Memo::default());
    let error = Cohere.error(StatusCode::BAD_REQUEST, &HeaderMap::new(), data);
    assert!(!error.message.is_empty());
});
