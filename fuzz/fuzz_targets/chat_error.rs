//! Any error body gives a sentence.
#![no_main]

use http::{HeaderMap, StatusCode};
use libfuzzer_sys::fuzz_target;
use sluis::wire::{UpstreamDialect, openai_chat::OpenAiChat};

fuzz_target!(|body: &[u8]| {
    let error = UpstreamDialect::error(&OpenAiChat, StatusCode::BAD_GATEWAY, &HeaderMap::new(), body);
    assert!(!error.message.is_empty());
});
