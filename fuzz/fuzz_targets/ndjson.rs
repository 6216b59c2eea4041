//! Any cut of the bytes gives the same lines, within the limit (rules S8, S9).
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sluis::framing::{Frame, ndjson::Framer};

const LIMIT_BYTES: usize = 1 << 20;

fn frames(bytes: &Bytes, step: usize) -> Vec<Frame> {
    let mut framer = Framer::new(LIMIT_BYTES);
    let mut frames = Vec::new();
    for from in (0..bytes.len()).step_by(step) {
        framer.push(bytes.slice(from..bytes.len().min(from + step)));
        frames.extend(framer.by_ref().flatten());
    }
    frames.extend(framer.finish());
    frames
}

fuzz_target!(|input: (u8, &[u8])| {
    let (step, bytes) = input;
    let bytes = Bytes::copy_from_slice(bytes);
    let whole = frames(&bytes, bytes.len().max(1));
    assert_eq!(whole, frames(&bytes, usize::from(step).max(1)));
    assert!(whole.iter().all(|frame| frame.data.len() <= LIMIT_BYTES));
});
