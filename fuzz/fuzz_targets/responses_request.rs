//! Any bytes as a Responses request, and as the events of a stream that is minded: nothing panics.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sluis::{
    error::Error,
    wire::{ClientDialect, openai_responses::OpenAiResponses, sealed::unseal},
};
use uuid::Uuid;

fuzz_target!(|data: &[u8]| {
    let _ = OpenAiResponses.made_by(data);
    if let Ok(request) = OpenAiResponses.decode(data) {
        let _ = unseal(&request, "a/b");
    }
    if let Some(mut minder) = OpenAiResponses.minder(Uuid::nil()) {
        let _ = minder.sends(Bytes::copy_from_slice(data));
        let _ = minder.keep_alive();
        let _ = minder.sends(Bytes::copy_from_slice(data));
        let _ = minder.error_frame(&Error::ShuttingDown);
    }
});
