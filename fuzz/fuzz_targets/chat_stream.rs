//! Any lines, taken for the data of events, pass the decoder and the encoder.
#![no_main]

use std::collections::VecDeque;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sluis::{
    framing::Frame,
    wire::{Asked, ClientDialect, Memo, Relay, UpstreamDialect, openai_chat::OpenAiChat, translate::Translate},
};

fuzz_target!(|text: &[u8]| {
    let mut relay = Translate::new(OpenAiChat.decoder(Memo::default()), OpenAiChat.encoder(Asked::default()));
    let mut out = VecDeque::new();
    for line in text.split(|byte| *byte == b'\n') {
        let frame = Frame { raw: None, event: None, data: Bytes::copy_from_slice(line) };
        if relay.frame(frame, &mut out).is_err() {
            return;
        }
    }
    let _ = relay.finish(&mut out);
});
