//! Whatever comes in the legacy dialect, from clients or upstreams, is read or refused, and a stream
//! has one end.
#![no_main]

use std::collections::VecDeque;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sluis::{
    framing::sse::Framer,
    wire::{Asked, ClientDialect, Memo, UpstreamDialect, openai_completions::OpenAiCompletions},
};

fuzz_target!(|input: (bool, &[u8])| {
    let (include_usage, bytes) = input;
    let _ = ClientDialect::decode(&OpenAiCompletions, bytes);
    let _ = UpstreamDialect::decode(&OpenAiCompletions, bytes, &Memo::default());
    let bytes = Bytes::copy_from_slice(bytes);
    let _ = OpenAiCompletions.pass(&bytes);

    let mut framer = Framer::new(1 << 20);
    framer.push(bytes);
    let mut frames: Vec<_> = framer.by_ref().flatten().collect();
    frames.extend(framer.finish());
    let mut decoder = OpenAiCompletions.decoder(Memo::default());
    let mut relay = OpenAiCompletions.relay(&Asked { include_usage, ..Asked::default() });
    let (mut events, mut out) = (Vec::new(), VecDeque::new());
    let mut result = Ok(());
    for frame in frames {
        let _ = decoder.frame(&frame, &mut events);
        result = result.and_then(|()| relay.frame(frame, &mut out));
    }
    let result = result.and_then(|()| relay.finish(&mut out));
    let done = out.iter().filter(|event| event.starts_with(b"data: [DONE]")).count();
    assert_eq!(done, usize::from(result.is_ok()));
});
