//! Whatever an embedding model's vendor answers, and whatever a client asks of it, is read or refused
//! (rules N1, M2).
#![no_main]

use http::HeaderMap;
use libfuzzer_sys::fuzz_target;
use sluis::wire::{
    count,
    embeddings::{Format, openai},
    json::Object,
};

const FORMATS: [Format; 9] = [
    Format::OpenAi,
    Format::Gemini,
    Format::VertexPredict,
    Format::VertexEmbed,
    Format::Cohere,
    Format::BedrockCohere,
    Format::Ollama,
    Format::Titan,
    Format::Nova,
];

fuzz_target!(|data: &[u8]| {
    let _ = count::read(data);
    let request = openai::request(data).ok();
    for format in FORMATS {
        if let Some(request) = &request
            && let Ok(part) = format.encode(request, &request.inputs, "m")
        {
            assert!(Object::parse(&part.body).is_ok(), "{format:?}");
        }
        let _ = format.decode(&HeaderMap::new(), data);
    }
});
