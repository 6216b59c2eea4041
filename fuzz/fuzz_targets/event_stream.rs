//! Any cut of the bytes gives the same frames, within the limit (rules S8, S9).
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sluis::framing::{BadFrame, Frame, event_stream::Framer};

const LIMIT_BYTES: usize = 1 << 20;

fn frames(bytes: &Bytes, step: usize) -> Vec<Result<Frame, BadFrame>> {
    let mut framer = Framer::new(LIMIT_BYTES);
    let mut frames = Vec::new();
    for from in (0..bytes.len()).step_by(step) {
        framer.push(bytes.slice(from..bytes.len().min(from + step)));
        frames.extend(framer.by_ref());
    }
    frames
}

/// Writes right checksums over what stands where they belong, so that more than they is tried.
fn seal(bytes: &mut [u8]) {
    let Some((prelude, _)) = bytes.split_at_mut_checked(12) else { return };
    let crc = crc32fast::hash(&prelude[..8]);
    prelude[8..].copy_from_slice(&crc.to_be_bytes());
    let total = u32::from_be_bytes([prelude[0], prelude[1], prelude[2], prelude[3]]) as usize;
    if let Some(message) = bytes.get_mut(..total)
        && total >= 16
    {
        let crc = crc32fast::hash(&message[..total - 4]);
        message[total - 4..].copy_from_slice(&crc.to_be_bytes());
    }
}

fuzz_target!(|input: (u8, bool, &[u8])| {
    let (step, sealed, bytes) = input;
    let mut bytes = bytes.to_vec();
    if sealed {
        seal(&mut bytes);
    }
    let bytes = Bytes::from(bytes);
    let whole = frames(&bytes, bytes.len().max(1));
    assert_eq!(whole, frames(&bytes, usize::from(step).max(1)));
    assert!(whole.iter().flatten().all(|frame| frame.data.len() <= LIMIT_BYTES));
});
