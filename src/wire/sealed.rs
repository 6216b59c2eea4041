//! Reasoning that must come back unchanged, wrapped for the way through a client.
//!
//! A client of OpenAI's Responses keeps `encrypted_content` as it is and sends it back, one of Gemini's
//! `thoughtSignature`. So what an upstream of any dialect wants back (a signature, redacted thinking)
//! travels in it, with the target that made it and the model name it was asked for by: signatures hold
//! for one target only (rules R1, P4). Nothing in it is secret, and nothing in it is trusted: the
//! target's own proof is inside.
//!
//! `sluis1.KIND.TARGET.MODEL.PROOF`: `s` for a signature or `r` for redacted reasoning, two names as
//! URL-safe base64, and the proof as it was.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use memchr::memmem;

use crate::{
    ir::{self, Block},
    wire::Origin,
};

const TAG: &str = "sluis1.";

/// What is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof<'a> {
    Signature(&'a str),
    Redacted(&'a str),
}

pub(crate) fn seal(proof: Proof<'_>, target: &str, model: &str) -> String {
    let (kind, proof) = match proof {
        Proof::Signature(text) => ('s', text),
        Proof::Redacted(text) => ('r', text),
    };
    let (target, model) = (URL_SAFE_NO_PAD.encode(target), URL_SAFE_NO_PAD.encode(model));
    format!("{TAG}{kind}.{target}.{model}.{proof}")
}

pub(crate) fn is_ours(text: &str) -> bool {
    open(text).is_some()
}

pub(crate) fn is_redacted(text: &str) -> bool {
    matches!(open(text), Some((_, Proof::Redacted(_))))
}

/// Whether a body holds anything sealed.
pub(crate) fn is_in(body: &[u8]) -> bool {
    memmem::find(body, TAG.as_bytes()).is_some()
}

/// Who made the last sealed reasoning in a request's body, found without reading the body.
pub(crate) fn origin(body: &[u8]) -> Option<Origin> {
    let at = memmem::rfind(body, TAG.as_bytes())?;
    let rest = body.get(at..)?;
    let mut dots = memchr::memchr_iter(b'.', rest);
    let end = dots.nth(3)?;
    let head = std::str::from_utf8(rest.get(..=end)?).ok()?;
    open(head).map(|(origin, _)| origin)
}

/// Takes the wrapping off what `target` made, and the proof off what another did, which would refuse
/// it. `None` when nothing is wrapped.
pub fn unseal(request: &ir::Request, target: &str) -> Option<ir::Request> {
    let sealed = |block: &Block| match block {
        Block::Reasoning { signature: Some(text), .. } | Block::RedactedReasoning { data: text } => is_ours(text),
        Block::Reasoning { signature: None, .. }
        | Block::Text { .. }
        | Block::Image { .. }
        | Block::Document { .. }
        | Block::Audio { .. }
        | Block::Refusal { .. }
        | Block::ToolCall { .. }
        | Block::ToolResult { .. } => false,
    };
    if !request.messages.iter().any(|message| message.blocks.iter().any(sealed)) {
        return None;
    }
    let mut request = request.clone();
    for message in &mut request.messages {
        message.blocks = std::mem::take(&mut message.blocks)
            .into_iter()
            .filter_map(|block| if sealed(&block) { unwrapped(block, target) } else { Some(block) })
            .collect();
    }
    Some(request)
}

fn unwrapped(block: Block, target: &str) -> Option<Block> {
    let (text, sealed) = match block {
        Block::Reasoning { text, signature } => (text, signature?),
        Block::RedactedReasoning { data } => (String::new(), data),
        other @ (Block::Text { .. }
        | Block::Image { .. }
        | Block::Document { .. }
        | Block::Audio { .. }
        | Block::Refusal { .. }
        | Block::ToolCall { .. }
        | Block::ToolResult { .. }) => return Some(other),
    };
    match open(&sealed) {
        Some((origin, Proof::Signature(proof))) if origin.target == target => {
            Some(Block::Reasoning { text, signature: Some(proof.to_owned()) })
        }
        Some((origin, Proof::Redacted(proof))) if origin.target == target => {
            Some(Block::RedactedReasoning { data: proof.to_owned() })
        }
        Some(_) | None => (!text.is_empty()).then_some(Block::Reasoning { text, signature: None }),
    }
}

fn open(text: &str) -> Option<(Origin, Proof<'_>)> {
    let mut fields = text.strip_prefix(TAG)?.splitn(4, '.');
    let kind = fields.next()?;
    let name = |field: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(field).ok()?).ok();
    let origin = Origin { target: name(fields.next()?)?, model: name(fields.next()?)? };
    let proof = fields.next()?;
    match kind {
        "s" => Some((origin, Proof::Signature(proof))),
        "r" => Some((origin, Proof::Redacted(proof))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(blocks: Vec<Block>) -> ir::Request {
        ir::Request { messages: vec![ir::Message::new(ir::Role::Assistant, blocks)], ..ir::Request::default() }
    }

    /// P4: only who made it gets it back; to another it is reasoning without a proof, or nothing.
    #[test]
    fn a_proof_returns_to_its_maker_only() {
        let signature = Some(seal(Proof::Signature("a.b=="), "ant/c", "fast"));
        let blocks = vec![
            Block::Reasoning { text: "hm".into(), signature },
            Block::RedactedReasoning { data: seal(Proof::Redacted("R"), "ant/c", "fast") },
            Block::text("t"),
        ];
        let request = request(blocks);
        let own = unseal(&request, "ant/c").unwrap();
        assert_eq!(
            own.messages[0].blocks,
            [
                Block::Reasoning { text: "hm".into(), signature: Some("a.b==".into()) },
                Block::RedactedReasoning { data: "R".into() },
                Block::text("t"),
            ]
        );
        let other = unseal(&request, "ant/d").unwrap();
        let expected = [Block::Reasoning { text: "hm".into(), signature: None }, Block::text("t")];
        assert_eq!(other.messages[0].blocks, expected);
        assert!(unseal(&own, "ant/c").is_none(), "nothing is left to open");
    }

    #[test]
    fn the_last_origin_is_found_in_the_bytes() {
        let first = seal(Proof::Signature("x"), "a/b", "m");
        let last = seal(Proof::Redacted("{\"y\":1}"), "c/d.e", "fast");
        let body = serde_json::json!({"input": [first, {"encrypted_content": last}], "z": "sluis"}).to_string();
        let found = origin(body.as_bytes()).unwrap();
        assert_eq!((found.target.as_str(), found.model.as_str()), ("c/d.e", "fast"));
        for body in ["", "sluis1.", "sluis1.s.!.!.", "sluis1.x.YQ.YQ.z", "{\"a\":\"sluis1\"}"] {
            assert_eq!(origin(body.as_bytes()), None, "{body}");
        }
    }

    proptest! {
        /// R1: whatever an upstream signs with comes back byte for byte.
        #[test]
        fn any_proof_survives(proof in ".{0,60}", target in ".{0,20}", model in ".{0,20}", redacted in any::<bool>()) {
            let wrapped = if redacted { Proof::Redacted(&proof) } else { Proof::Signature(&proof) };
            let sealed = seal(wrapped, &target, &model);
            prop_assert_eq!(open(&sealed), Some((Origin { target: target.clone(), model: model.clone() }, wrapped)));
            let body = serde_json::to_string(&sealed).unwrap();
            prop_assert_eq!(origin(body.as_bytes()), Some(Origin { target, model }));
            prop_assert_eq!(is_redacted(&sealed), redacted);
        }
    }
}
