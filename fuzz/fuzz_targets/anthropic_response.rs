//! Any bytes as an Anthropic answer or error body: nothing panics, and an error has a sentence.

#![no_main]

use http::{HeaderMap, StatusCode};
use libfuzzer_sys::fuzz_target;
use sluis::wire::{Memo, UpstreamDialect, anthropic::Anthropic};

fuzz_target!(|data: &[u8]| {
    let _ = Anthropic.decode(data, &Memo::default());
    let error = Anthropic.error(StatusCode::BAD_REQUEST, &HeaderMap::new(), data);
    assert!(!error.message.is_empty());
});
