//! Ids for tool calls that came without one of their own.

use sha2::{Digest, Sha256};

/// An id of OpenAI's shape, the same each time the same answer is read. `seed` tells the answer
/// from others; `at` is the call's place in the choice.
pub(crate) fn tool_call(seed: &str, choice: u64, at: usize) -> String {
    let place = Sha256::new().chain_update(choice.to_le_bytes()).chain_update(at.to_le_bytes());
    let digest = place.chain_update(seed).finalize();
    let hex: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    format!("call_{hex}")
}
