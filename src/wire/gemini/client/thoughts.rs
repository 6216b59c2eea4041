//! Other vendors' proofs of reasoning in the one place that this dialect's clients send back: the
//! `thoughtSignature` of a part (rule R1).
//!
//! Google's clients may leave thoughts out of a conversation, but must return the signature of a call
//! or a text. So the part that follows reasoning carries all of it, text and proof, whether or not it
//! was shown. What a signature holds is bytes, and SDKs write them anew in another alphabet of base64;
//! so what must come back to the letter stands inside: `sluis1.g.` and a list, as base64. The proof in
//! it is sealed for the target that made it ([`crate::wire::sealed`]).

use std::borrow::Cow;

use base64::{
    Engine,
    alphabet::STANDARD as ALPHABET,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use serde::{Deserialize, Serialize};

use crate::ir::Block;

/// Of nine bytes, so that its base64 is always the same.
const TAG: &str = "sluis1.g.";
/// The tag in base64.
pub(super) const MARK: &str = "c2x1aXMxLmcu";

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// One piece of reasoning. Without text it is redacted reasoning, where it has a proof.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Thought {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
}

/// What a part's signature says of the thoughts before it; `None` where the client has seen all there
/// is to say, or there is nothing.
pub(super) fn sign(thoughts: &[Thought], are_shown: bool) -> Option<String> {
    thoughts.iter().find(|thought| thought.proof.is_some() || !are_shown)?;
    let list = serde_json::to_string(thoughts).ok()?;
    Some(STANDARD.encode([TAG, &list].concat()))
}

/// The thoughts behind a signature of ours; `None` for Google's own.
pub(super) fn open(signature: &str) -> Option<Vec<Block>> {
    let bytes = LENIENT.decode(standard(signature.strip_prefix(MARK)?).trim_end_matches('=')).ok()?;
    let thoughts: Vec<Thought> = serde_json::from_slice(&bytes).ok()?;
    Some(thoughts.into_iter().filter_map(Thought::into_block).collect())
}

/// Base64 in the alphabet that all vendors read; Google takes the one for addresses as well, and its
/// Python SDK writes it. Nothing is decoded (rule L5).
pub(super) fn standard(base64: &str) -> Cow<'_, str> {
    if !base64.contains(['-', '_']) && base64.len().is_multiple_of(4) {
        return base64.into();
    }
    let mut out = base64.replace('-', "+").replace('_', "/");
    while !out.len().is_multiple_of(4) {
        out.push('=');
    }
    out.into()
}

// === impl Thought ===

impl Thought {
    fn into_block(self) -> Option<Block> {
        match (self.text, self.proof) {
            (Some(text), signature) => Some(Block::Reasoning { text, signature }),
            (None, Some(data)) => Some(Block::RedactedReasoning { data }),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE;
    use proptest::prelude::*;

    use super::*;

    fn thought(text: Option<&str>, proof: Option<&str>) -> Thought {
        Thought { text: text.map(Into::into), proof: proof.map(Into::into) }
    }

    #[test]
    fn googles_own_are_left_alone() {
        for own in ["", "Eq4B+/==", "skip_thought_signature_validator", "c2x1aXMxLmcu", "c2x1aXMxLmcuW10x"] {
            assert_eq!(open(own), None, "{own}");
        }
        assert_eq!(sign(&[thought(Some("a"), None)], true), None, "nothing to prove");
        assert!(sign(&[thought(Some("a"), None)], false).is_some() && sign(&[], false).is_none());
        assert_eq!(STANDARD.encode(TAG), MARK);
    }

    #[test]
    fn the_alphabet_is_changed_and_nothing_else() {
        for (from, to) in [("QUJD", "QUJD"), ("QU-_", "QU+/"), ("QUI", "QUI="), ("-_8", "+/8="), ("", "")] {
            assert_eq!(standard(from), to);
        }
    }

    proptest! {
        /// R1: text and proof come back byte for byte, in whatever alphabet an SDK writes them.
        #[test]
        fn thoughts_survive_an_sdk(texts in proptest::collection::vec((proptest::option::of(".{0,20}"), ".{0,20}"), 1..4), pads in any::<bool>()) {
            let all: Vec<Thought> = texts.iter().map(|(text, proof)| thought(text.as_deref(), Some(proof))).collect();
            let signature = sign(&all, true).unwrap();
            prop_assert!(signature.starts_with(MARK));
            let mut again = URL_SAFE.encode(STANDARD.decode(&signature).unwrap());
            if !pads {
                again.truncate(again.trim_end_matches('=').len());
            }
            let blocks: Vec<Block> = all.into_iter().filter_map(Thought::into_block).collect();
            prop_assert_eq!(open(&again), Some(blocks));
        }
    }
}
