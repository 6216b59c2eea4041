//! The signature of reasoning that came without one.
//!
//! This dialect's clients want one with every thinking block, and send the block back with it. The
//! gateway signs with a word of its own, which it knows again and takes off; an upstream never sees
//! it. Signatures of other vendors travel as their dialect has marked them. A mark has a colon in
//! it, which no signature of this vendor has: so a block can be told that this vendor would refuse.

/// Stands where nobody signed.
pub(super) const OWN: &str = "sluis:unsigned";

/// Whether the gateway signed it itself, or nobody did.
pub(super) fn is_own(signature: &str) -> bool {
    signature.is_empty() || signature == OWN
}

/// Whether somebody other than this vendor signed.
pub(super) fn is_foreign(signature: &str) -> bool {
    signature.contains(':')
}
