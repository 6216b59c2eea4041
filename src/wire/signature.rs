//! Google's thought signatures, as the canonical form carries them.
//!
//! Google signs parts of an answer, a tool call or a text, where other vendors sign reasoning. In the
//! canonical form such a signature is a [`Block::Reasoning`] without text that stands before the call
//! or behind the text it is of, so that every client dialect carries it with what it has for signed
//! reasoning. Its mark says whose it is and what it is of: other vendors refuse a proof that is not
//! theirs, and one part's proof is none for another.
//!
//! Source: "Thought signatures" (ai.google.dev/gemini-api/docs, read November 2026).

use std::borrow::Cow;

use crate::ir::{Block, Request};

/// What a signature is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// The tool call that comes next.
    Call,
    /// The text or image before it.
    Part,
    /// The reasoning it stands in.
    Thought,
}

// === impl Signed ===

impl Signed {
    const ALL: [Self; 3] = [Self::Call, Self::Part, Self::Thought];

    /// No vendor's own signature has a colon in it.
    fn mark(self) -> &'static str {
        match self {
            Self::Call => "google:call:",
            Self::Part => "google:part:",
            Self::Thought => "google:thought:",
        }
    }

    /// The signature as the canonical form has it.
    pub fn tag(self, signature: &str) -> String {
        [self.mark(), signature].concat()
    }

    /// The block that carries it.
    pub fn block(self, signature: &str) -> Block {
        Block::Reasoning { text: String::new(), signature: Some(self.tag(signature)) }
    }
}

/// A signature of Google's, as Google wrote it; `None` for another vendor's.
pub fn read(tagged: &str) -> Option<(Signed, &str)> {
    Signed::ALL.into_iter().find_map(|signed| Some((signed, tagged.strip_prefix(signed.mark())?)))
}

/// The same of a block.
pub fn of(block: &Block) -> Option<(Signed, &str)> {
    match block {
        Block::Reasoning { signature: Some(signature), .. } => read(signature),
        Block::Reasoning { signature: None, .. }
        | Block::Text { .. }
        | Block::Image { .. }
        | Block::Document { .. }
        | Block::Audio { .. }
        | Block::Refusal { .. }
        | Block::RedactedReasoning { .. }
        | Block::ToolCall { .. }
        | Block::ToolResult { .. } => None,
    }
}

/// Whether it is reasoning that Claude would refuse, wherever it is served: without a proof, or with
/// another vendor's, which has a colon in it as none of Claude's has.
pub fn is_unproven(block: &Block) -> bool {
    let is_foreign = |proof: &str| proof.is_empty() || proof.contains(':');
    match block {
        Block::Reasoning { signature, .. } => signature.as_deref().is_none_or(is_foreign),
        Block::RedactedReasoning { data } => is_foreign(data),
        Block::Text { .. }
        | Block::Image { .. }
        | Block::Document { .. }
        | Block::Audio { .. }
        | Block::Refusal { .. }
        | Block::ToolCall { .. }
        | Block::ToolResult { .. } => false,
    }
}

/// Whether the block is nothing but a signature of a call or a part.
pub fn is_tied(block: &Block) -> bool {
    matches!(of(block), Some((Signed::Call | Signed::Part, _)))
}

/// The request without Google's signatures, for a vendor that would refuse them.
pub fn stripped(request: &Request) -> Cow<'_, Request> {
    let mut blocks = request.messages.iter().flat_map(|message| &message.blocks);
    if !blocks.any(|block| of(block).is_some()) {
        return Cow::Borrowed(request);
    }
    let mut request = request.clone();
    for message in &mut request.messages {
        message.blocks.retain(|block| !is_tied(block));
        for block in &mut message.blocks {
            if of(block).is_some()
                && let Block::Reasoning { signature, .. } = block
            {
                *signature = None;
            }
        }
    }
    Cow::Owned(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Message, Role};

    /// R2: what is tagged is read again, and nothing of another vendor is.
    #[test]
    fn a_mark_tells_whose_it_is() {
        for signed in Signed::ALL {
            assert_eq!(read(&signed.tag("Eq4B+/==")), Some((signed, "Eq4B+/==")));
            assert_eq!(of(&signed.block("S")), Some((signed, "S")));
        }
        for other in ["", "Eq4B", "google", "google:new:S", "call:S"] {
            assert_eq!(read(other), None, "{other}");
        }
        assert!(is_tied(&Signed::Call.block("S")) && !is_tied(&Signed::Thought.block("S")));
        assert!(!is_tied(&Block::Reasoning { text: String::new(), signature: Some("S".into()) }));
    }

    /// R1: what Claude signed is Claude's, and neither Google's nor an item of OpenAI's is.
    #[test]
    fn proofs_of_others_are_none() {
        let signed = |signature: &str| Block::Reasoning { text: "a".into(), signature: Some(signature.into()) };
        assert!(!is_unproven(&signed("EvYB+/==")) && !is_unproven(&Block::text("a:b")));
        assert!(!is_unproven(&Block::RedactedReasoning { data: "Eq==".into() }));
        for other in ["", "google:call:S", r#"{"type":"reasoning"}"#] {
            assert!(is_unproven(&signed(other)), "{other}");
        }
    }

    /// R1: another vendor's proofs stay where they are.
    #[test]
    fn only_googles_are_taken_out() {
        let own = Block::Reasoning { text: "a".into(), signature: Some("S".into()) };
        let thought = Block::Reasoning { text: "b".into(), signature: Some(Signed::Thought.tag("S")) };
        let blocks = vec![own.clone(), thought, Block::text("x"), Signed::Part.block("P"), Signed::Call.block("C")];
        let request = Request { messages: vec![Message::new(Role::Assistant, blocks)], ..Request::default() };
        let unsigned = Block::Reasoning { text: "b".into(), signature: None };
        assert_eq!(stripped(&request).messages[0].blocks, [own.clone(), unsigned, Block::text("x")]);
        let other = Request { messages: vec![Message::new(Role::Assistant, vec![own])], ..Request::default() };
        assert!(matches!(stripped(&other), Cow::Borrowed(_)));
    }
}
