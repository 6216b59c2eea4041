//! Whatever an upstream streams to a client of its own dialect, or answers whole, it passes, is mended or is an
//! error; and one that is no end is not made into one (rules S2, E1, E2).
#![no_main]

use std::collections::VecDeque;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sluis::{
    call::Dialect,
    framing::sse::Framer,
    wire::{self, Asked},
};

const DIALECTS: [Dialect; 5] =
    [Dialect::OpenAiChat, Dialect::OpenAiCompletions, Dialect::OpenAiResponses, Dialect::Anthropic, Dialect::Gemini];

fuzz_target!(|input: (u8, &[u8])| {
    let (dialect, data) = input;
    let dialect = DIALECTS[usize::from(dialect) % DIALECTS.len()];
    let Some(client) = wire::client(dialect) else { return };
    let upstream = wire::upstream(dialect);
    let bytes = Bytes::copy_from_slice(data);
    let _ = upstream.accepts_whole(data);
    let _ = upstream.accepts_document(data);
    // What passes as it came is the upstream's own, which is looked over and not read; what was mended was read.
    if let Ok((whole, _)) = client.pass(&bytes)
        && whole != data.trim_ascii()
    {
        assert!(serde_json::from_slice::<serde_json::Value>(&whole).is_ok(), "{dialect:?}: {whole:?}");
    }

    let mut framer = Framer::new(1 << 20);
    framer.push(bytes);
    let mut frames: Vec<_> = framer.by_ref().flatten().collect();
    frames.extend(framer.finish());
    let asked = Asked { model: "m".into(), id: "id-1".into(), target: "a/b".into(), ..Asked::default() };
    let mut relay = client.relay(&asked);
    let mut out = VecDeque::new();
    let mut result = Ok(());
    for frame in frames {
        let _ = upstream.accepts(&frame);
        if result.is_ok() {
            result = relay.frame(frame, &mut out);
        }
    }
    if result.is_ok() && relay.finish(&mut out).is_ok() {
        assert!(!out.is_empty(), "an end without an answer");
    }
    for event in &out {
        let is_whole = event.ends_with(b"\n\n") || event.ends_with(b"\r\n\r\n");
        assert!(is_whole, "{dialect:?}: {event:?}");
    }
});
