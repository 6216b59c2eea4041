//! Any bytes as the frames of a Cohere stream: nothing panics, and no end is invented.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sluis::{
    framing::Frame,
    wire::{Memo, UpstreamDialect, cohere::Cohere},
};

fuzz_target!(|data: &[u8]| {
    let memo = Memo { custom_tools: vec!["sql".into()], ..Memo::default() };
    for memo in [Memo::default(), memo] {
        let mut decoder = Cohere.decoder(memo);
        let mut events = Vec::new();
        for line in data.split(|byte| *byte == b'\n') {
            let frame = Frame { raw: None, event: None, data: Bytes::copy_from_slice(line) };
            let _ = Cohere.accepts(&frame);
            if decoder.frame(&frame, &mut events).is_err() {
                return;
            }
        }
        let _ = decoder.finish(&mut events);
    }
});
