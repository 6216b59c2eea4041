//! Any bytes as Bedrock's events, wrapped events, answers and errors: nothing panics, and no end is
//! invented.

#![no_main]

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use libfuzzer_sys::fuzz_target;
use sluis::{
    framing::Frame,
    wire::{
        Memo, UpstreamDialect,
        bedrock::{Converse, chunks},
    },
};

fuzz_target!(|data: &[u8]| {
    let emulated = Memo { output_tool: Some("json_response".into()), ..Memo::default() };
    for memo in [Memo::default(), emulated] {
        let _ = Converse.decode(data, &memo);
        let mut decoder = Converse.decoder(memo);
        let mut events = Vec::new();
        for line in data.split(|byte| *byte == b'\n') {
            let (name, payload) = line.split_at(line.iter().position(|byte| *byte == b' ').unwrap_or(line.len()));
            let event = Some(Bytes::copy_from_slice(name));
            let frame = Frame { raw: None, event, data: Bytes::copy_from_slice(payload) };
            let _ = Converse.accepts(&frame);
            let _ = chunks::unwrap(&frame);
            if decoder.frame(&frame, &mut events).is_err() {
                return;
            }
        }
        let _ = decoder.finish(&mut events);
    }
    assert!(!Converse.error(StatusCode::BAD_REQUEST, &HeaderMap::new(), data).message.is_empty());
});
