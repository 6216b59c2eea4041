//! Whatever request a client of any dialect sends, every upstream dialect writes it as JSON or refuses it,
//! and so do the vendors' own rules (rules S2, C1).
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluis::{
    call::Dialect,
    providers::PROVIDERS,
    wire::{self, Facts, Host, count, json::Object, sealed::unseal, signature},
};

const CLIENTS: [Dialect; 5] =
    [Dialect::OpenAiChat, Dialect::OpenAiCompletions, Dialect::OpenAiResponses, Dialect::Anthropic, Dialect::Gemini];

/// A model or two of each dialect, where what is written differs most.
const UPSTREAMS: [(Dialect, &str); 13] = [
    (Dialect::OpenAiChat, "gpt-5-mini"),
    (Dialect::OpenAiCompletions, "gpt-3.5-turbo-instruct"),
    (Dialect::OpenAiResponses, "gpt-5-pro"),
    (Dialect::Anthropic, "claude-haiku-4-5"),
    (Dialect::Anthropic, "claude-opus-5-5"),
    (Dialect::Gemini, "gemini-2.0-flash"),
    (Dialect::Gemini, "gemini-3.8-flash"),
    (Dialect::Cohere, "command-a-plus-05-2026"),
    (Dialect::Cohere, "command-r-08-2024"),
    (Dialect::Ollama, "qwen3:8b"),
    (Dialect::BedrockConverse, "us.anthropic.claude-haiku-4-5-20251001-v1:0"),
    (Dialect::BedrockConverse, "openai.gpt-oss-120b-1:0"),
    (Dialect::BedrockConverse, "us.meta.llama4-scout-17b-instruct-v1:0"),
];

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (client, kinds, body) = input;
    let dialect = CLIENTS[usize::from(client) % CLIENTS.len()];
    adjust(dialect, kinds, body);
    let Some(client) = wire::client(dialect) else { return };
    let Ok(request) = client.decode(body) else { return };
    let _ = count::guess(&request);
    let unsealed = unseal(&request, "a/b");
    let request = unsealed.as_ref().unwrap_or(&request);
    let stripped = signature::stripped(request);
    for (dialect, model) in UPSTREAMS {
        let host = if kinds & 1 == 0 { Host::Vendor } else { Host::Cloud };
        let facts = Facts { model, host, is_bare: kinds & 2 == 0, stream: kinds & 4 == 0, ..Facts::default() };
        let Ok(encoded) = wire::upstream(dialect).encode(&stripped, &facts) else { continue };
        assert!(Object::parse(&encoded.body).is_ok(), "{dialect:?}: {}", String::from_utf8_lossy(&encoded.body));
        adjust(dialect, kinds, &encoded.body);
    }
});

/// One vendor's own rules.
fn adjust(dialect: Dialect, kinds: u8, body: &[u8]) {
    let provider = &PROVIDERS[usize::from(kinds) % PROVIDERS.len()];
    let Ok(object) = Object::parse(body) else { return };
    let model = ["deepseek-v4", "kimi-k3", "glm-5.3", "gpt-oss-120b"][usize::from(kinds) % 4];
    let mut edits = object.edit();
    provider.adjust(dialect, &Facts { model, stream: kinds & 4 == 0, ..Facts::default() }, &mut edits);
    let text = edits.apply();
    assert!(Object::parse(text.as_bytes()).is_ok(), "{}: {text}", provider.name());
}
