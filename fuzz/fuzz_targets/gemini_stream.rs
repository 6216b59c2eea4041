//! Any bytes as the frames of a Gemini stream: nothing panics, and the grammar of events holds.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sluis::{
    framing::Frame,
    wire::{Memo, UpstreamDialect, gemini::Gemini, translate::Grammar},
};

fuzz_target!(|data: &[u8]| {
    let memo = Memo { custom_tools: vec!["f".into()], ..Memo::default() };
    let mut decoder = Gemini.decoder(memo);
    let mut events = Vec::new();
    let lines = data.split(|byte| *byte == b'\n').map(Bytes::copy_from_slice);
    let mut frames = lines.map(|data| Frame { raw: None, event: None, data });
    if frames.all(|frame| decoder.frame(&frame, &mut events).is_ok()) {
        let _ = decoder.finish(&mut events);
    }
    let mut grammar = Grammar::default();
    events.iter().for_each(|event| grammar.check(event));
});
