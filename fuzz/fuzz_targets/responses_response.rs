//! Any bytes as a whole Responses answer, and as an error: nothing panics.

#![no_main]

use http::{HeaderMap, StatusCode};
use libfuzzer_sys::fuzz_target;
use sluis::wire::{Memo, UpstreamDialect, openai_responses::OpenAiResponses};

fuzz_target!(|data: &[u8]| {
    let _ = OpenAiResponses.accepts_whole(data);
    let _ = OpenAiResponses.decode(data, &Memo::default());
    let _ = OpenAiResponses.error(StatusCode::BAD_REQUEST, &HeaderMap::new(), data);
});
