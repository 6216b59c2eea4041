//! Any body of a Messages client is read or refused, what was read can be written, and what passes
//! stays JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluis::wire::{
    ClientDialect, Facts, UpstreamDialect, anthropic::Anthropic, count, json::Object, openai_chat::OpenAiChat,
};

fuzz_target!(|body: &[u8]| {
    if let Ok(request) = ClientDialect::decode(&Anthropic, body) {
        let facts = Facts { model: "claude-haiku-4-5", ..Facts::default() };
        let _ = UpstreamDialect::encode(&OpenAiChat, &request, &facts);
        let _ = UpstreamDialect::encode(&Anthropic, &request, &facts);
        let _ = count::guess(&request);
    }
    if let Ok(object) = Object::parse(body) {
        let mut edits = object.edit();
        Anthropic.pass_on(&mut edits);
        let passed = edits.apply();
        assert!(Object::parse(passed.as_bytes()).is_ok(), "{passed}");
    }
});
