//! Any bytes as the frames of a Responses stream: nothing panics, and no end is invented.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sluis::{
    framing::Frame,
    wire::{Memo, UpstreamDialect, openai_responses::OpenAiResponses},
};

fuzz_target!(|data: &[u8]| {
    let mut decoder = OpenAiResponses.decoder(Memo::default());
    let mut events = Vec::new();
    for line in data.split(|byte| *byte == b'\n') {
        let frame = Frame { raw: None, event: None, data: Bytes::copy_from_slice(line) };
        let _ = OpenAiResponses.accepts(&frame);
        if decoder.frame(&frame, &mut events).is_err() {
            return;
        }
    }
    let _ = decoder.finish(&mut events);
});
