//! Whatever an upstream streams, the client gets well-formed events, and one end (rules S1, E1).
#![no_main]

use std::collections::VecDeque;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sluis::{
    framing::sse::Framer,
    wire::{
        Relay, UpstreamDialect,
        openai_chat::{OpenAiChat, Passthrough, unary},
    },
};

fuzz_target!(|input: (bool, &[u8])| {
    let (include_usage, bytes) = input;
    let bytes = Bytes::copy_from_slice(bytes);
    let _ = unary(&bytes);

    let mut framer = Framer::new(1 << 20);
    framer.push(bytes);
    let mut frames: Vec<_> = framer.by_ref().flatten().collect();
    frames.extend(framer.finish());
    let mut relay = Passthrough::new(include_usage);
    let mut out = VecDeque::new();
    let mut result = Ok(());
    for frame in frames {
        let _ = OpenAiChat.accepts(&frame);
        result = result.and_then(|()| relay.frame(frame, &mut out));
    }
    let result = result.and_then(|()| relay.finish(&mut out));
    for event in &out {
        assert!(event.starts_with(b"data: ") && event.ends_with(b"\n\n"));
        assert_eq!(event.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count(), 2);
    }
    let done = out.iter().filter(|event| event.starts_with(b"data: [DONE]")).count();
    assert_eq!(done, usize::from(result.is_ok()));
});
