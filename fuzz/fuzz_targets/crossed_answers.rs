//! Whatever an upstream of any dialect answers, whole or streamed, each client's dialect tells it in JSON, and
//! the grammar of events holds on the way.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use sluis::{
    call::Dialect,
    framing::Frame,
    wire::{
        self, Asked, Memo,
        translate::{Grammar, fold, unfold},
    },
};

const CLIENTS: [Dialect; 5] =
    [Dialect::OpenAiChat, Dialect::OpenAiCompletions, Dialect::OpenAiResponses, Dialect::Anthropic, Dialect::Gemini];

const UPSTREAMS: [Dialect; 8] = [
    Dialect::OpenAiChat,
    Dialect::OpenAiCompletions,
    Dialect::OpenAiResponses,
    Dialect::Anthropic,
    Dialect::Gemini,
    Dialect::Cohere,
    Dialect::Ollama,
    Dialect::BedrockConverse,
];

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (from, to, data) = input;
    let upstream = wire::upstream(UPSTREAMS[usize::from(from) % UPSTREAMS.len()]);
    let Some(client) = wire::client(CLIENTS[usize::from(to) % CLIENTS.len()]) else { return };
    let asked = || Asked { model: "m".into(), include_usage: true, id: "chatcmpl-1".into(), ..Asked::default() };
    let memo = Memo { think_tags: from & 128 != 0, custom_tools: vec!["f".into()], ..Memo::default() };

    if let Ok(answer) = upstream.decode(data, &memo) {
        let whole = client.encode(&answer, &asked());
        assert!(serde_json::from_slice::<serde_json::Value>(&whole).is_ok(), "{}", String::from_utf8_lossy(&whole));
        tell(client, asked(), &unfold(&answer));
    }

    let mut decoder = upstream.decoder(memo);
    let mut events = Vec::new();
    let lines = data.split(|byte| *byte == b'\n').map(Bytes::copy_from_slice);
    let mut frames = lines.map(|data| Frame { raw: None, event: None, data });
    if frames.all(|frame| decoder.frame(&frame, &mut events).is_ok()) && decoder.finish(&mut events).is_ok() {
        tell(client, asked(), &events);
        let _ = client.encode(&fold(events), &asked());
    }
});

fn tell(client: &dyn wire::ClientDialect, asked: Asked, events: &[sluis::ir::Event]) {
    let mut grammar = Grammar::default();
    let mut encoder = client.encoder(asked);
    let mut out = BytesMut::new();
    for event in events {
        grammar.check(event);
        encoder.event(event, &mut out);
    }
    encoder.finish(&mut out);
    assert!(std::str::from_utf8(&out).is_ok());
}
