//! Any bytes as a Responses request, and as all that an endpoint with a store reads of one: nothing
//! panics.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sluis::wire::{
    ClientDialect,
    openai_responses::{
        OpenAiResponses,
        client::{Probe, events, input_items, output_items, unseal, with_history},
    },
};

fuzz_target!(|data: &[u8]| {
    let body = Bytes::copy_from_slice(data);
    let _ = Probe::of(data);
    let _ = with_history(&body, &[], |_| None);
    let _ = input_items(data, "x");
    let _ = (output_items(data), events(&body), OpenAiResponses.made_by(data));
    if let Ok(request) = OpenAiResponses.decode(data) {
        let _ = unseal(&request, "a/b");
    }
});
