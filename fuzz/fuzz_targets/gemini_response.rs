//! Any bytes as a Gemini answer: nothing panics, whole or as the first frame of a stream.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sluis::{
    framing::Frame,
    wire::{Memo, UpstreamDialect, gemini::Gemini},
};

fuzz_target!(|data: &[u8]| {
    let _ = Gemini.decode(data, &Memo::default());
    let _ = Gemini.accepts_whole(data);
    let _ = Gemini.accepts(&Frame { raw: None, event: None, data: Bytes::copy_from_slice(data) });
});
