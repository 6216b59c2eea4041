//! Whatever a client of Gemini's dialect sends, it is read or refused, and passed on as JSON.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sluis::{
    call::Dialect,
    wire::{self, Asked, json},
};

fuzz_target!(|data: &[u8]| {
    let Some(client) = wire::client(Dialect::Gemini) else { return };
    let _ = client.decode(data);
    let _ = client.pass(&Bytes::copy_from_slice(data));
    let _ = client.encoder(Asked { request: Bytes::copy_from_slice(data), ..Asked::default() });
    if let Ok(object) = json::Object::parse(data) {
        let mut edits = object.edit();
        client.pass_on(&mut edits);
        assert!(json::Object::parse(edits.apply().as_bytes()).is_ok());
    }
});
