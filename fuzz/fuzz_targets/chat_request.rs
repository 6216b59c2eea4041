//! Any request body is read or refused, and what was read can be written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluis::wire::{ClientDialect, Facts, UpstreamDialect, openai_chat::OpenAiChat};

fuzz_target!(|body: &[u8]| {
    if let Ok(request) = ClientDialect::decode(&OpenAiChat, body) {
        let facts = Facts { model: "m", ..Facts::default() };
        let _ = UpstreamDialect::encode(&OpenAiChat, &request, &facts);
    }
});
