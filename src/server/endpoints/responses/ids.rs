//! Ids, and what they tell.
//!
//! An answer that is kept here has an id of ours. One that its upstream keeps has an id that names
//! the upstream and holds its id, so that any gateway of the same configuration finds the way back
//! without asking a store (rule P4). Such an id is signed for the key it was made for: another key
//! cannot use it, and nobody can make one up that leads elsewhere. What it may name is a configured
//! provider, never a host.
//!
//! Encrypted reasoning is of use to its maker only, so it carries its maker's name as well.
//!
//! Pure. The signature is HMAC-SHA-256 (RFC 2104), cut to 12 bytes.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use memchr::memmem;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// In front of everything that an upstream keeps.
const KEPT_THERE: &str = "resp_at1";
/// In front of what an upstream has encrypted.
const SEAL: &str = "at1.";
const TAG: usize = 12;
const FIELD: &str = "\"encrypted_content\"";

/// A signing key; the first of a list signs, all of them are believed.
pub type IdKey = [u8; 32];

/// Where an id leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Into the store, if anywhere.
    Here,
    There(There),
}

/// An answer that an upstream keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct There {
    pub provider: String,
    /// The upstream's own id.
    pub id: String,
    tag: [u8; TAG],
}

/// An id for something that is kept here: `resp_`, `conv_`, `msg_` and so on.
pub(super) fn fresh(prefix: &str) -> String {
    format!("{prefix}{}", Uuid::now_v7().simple())
}

/// The id of what `provider` keeps under `id`, for this caller.
pub(super) fn wrap(key: &IdKey, caller: &str, provider: &str, id: &str) -> String {
    let mut payload = tag(key, caller, provider, id).to_vec();
    payload.extend_from_slice(provider.as_bytes());
    payload.push(0);
    payload.extend_from_slice(id.as_bytes());
    format!("{KEPT_THERE}{}", URL_SAFE_NO_PAD.encode(payload))
}

/// Reads an id. One that only looks as if it led elsewhere leads here, where there is nothing.
pub(super) fn place(id: &str) -> Place {
    id.strip_prefix(KEPT_THERE).and_then(read).map_or(Place::Here, Place::There)
}

fn read(text: &str) -> Option<There> {
    let payload = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (tag, rest) = payload.split_first_chunk::<TAG>()?;
    let (provider, id) = std::str::from_utf8(rest).ok()?.split_once('\0')?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let is_id = !id.is_empty() && id.chars().all(is_plain) && !id.contains("..");
    is_id.then(|| There { provider: provider.into(), id: id.into(), tag: *tag })
}

// === impl There ===

impl There {
    /// Whether the id was made for this caller.
    pub(super) fn is_for(&self, caller: &str, keys: &[IdKey]) -> bool {
        keys.iter().any(|key| {
            let expected = tag(key, caller, &self.provider, &self.id);
            // No early end: the time taken tells nothing.
            expected.iter().zip(&self.tag).fold(0, |differs, (one, two)| differs | (one ^ two)) == 0
        })
    }
}

fn tag(key: &IdKey, caller: &str, provider: &str, id: &str) -> [u8; TAG] {
    let hash = |pad: u8, parts: &[&[u8]]| -> [u8; 32] {
        let mut block = [pad; 64];
        block.iter_mut().zip(key).for_each(|(to, from)| *to ^= from);
        let mut hash = Sha256::new();
        hash.update(block);
        parts.iter().for_each(|part| hash.update(part));
        hash.finalize().into()
    };
    let inner = hash(0x36, &[caller.as_bytes(), &[0], provider.as_bytes(), &[0], id.as_bytes()]);
    let whole = hash(0x5c, &[&inner]);
    let mut tag = [0; TAG];
    tag.iter_mut().zip(whole).for_each(|(to, from)| *to = from);
    tag
}

/// Writes the maker's name in front of everything encrypted in an answer's JSON. `None` when there
/// is nothing.
pub(super) fn seal(json: &str, provider: &str) -> Option<String> {
    let mut out = String::new();
    let mut from = 0;
    for (start, value) in encrypted(json) {
        if value.is_empty() || value.starts_with(SEAL) {
            continue;
        }
        out.push_str(json.get(from..start)?);
        out.push_str(SEAL);
        out.push_str(&URL_SAFE_NO_PAD.encode(provider));
        out.push('.');
        from = start;
    }
    if from == 0 {
        return None;
    }
    out.push_str(json.get(from..)?);
    Some(out)
}

/// Takes the makers' names out of a request again. `None` when there is none in it.
pub(super) fn unseal(json: &str) -> Option<(String, Vec<String>)> {
    let mut out = String::new();
    let mut makers: Vec<String> = Vec::new();
    let mut from = 0;
    for (start, value) in encrypted(json) {
        let Some((maker, original)) = value.strip_prefix(SEAL).and_then(|rest| rest.split_once('.')) else { continue };
        let Some(maker) = URL_SAFE_NO_PAD.decode(maker).ok().and_then(|maker| String::from_utf8(maker).ok()) else {
            continue;
        };
        out.push_str(json.get(from..start)?);
        from = start + value.len() - original.len();
        if !makers.contains(&maker) {
            makers.push(maker);
        }
    }
    out.push_str(json.get(from..)?);
    (!makers.is_empty()).then_some((out, makers))
}

/// Every encrypted text of a JSON document: where it begins, and what it is.
///
/// Inside of a JSON string the quotes would be escaped, so what is found is a member and no text of
/// anybody's.
fn encrypted(json: &str) -> impl Iterator<Item = (usize, &str)> {
    let finder = memmem::find_iter(json.as_bytes(), FIELD);
    finder.filter_map(|at| {
        let rest = json.get(at + FIELD.len()..)?;
        let value = rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
        let start = json.len() - value.len();
        // What is encrypted is base64 and the like: nothing in it is escaped.
        Some((start, value.split('"').next()?))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: IdKey = [7; 32];

    /// P4: an id leads back to its upstream, for its own key only.
    #[test]
    fn an_id_leads_back_for_its_key_alone() {
        let id = wrap(&KEY, "ci", "openai", "resp_abc123");
        assert!(id.starts_with("resp_") && !id.contains("openai") && id.len() < 80, "{id}");
        let Place::There(there) = place(&id) else { panic!("{id}") };
        assert_eq!((&*there.provider, &*there.id), ("openai", "resp_abc123"));
        assert!(there.is_for("ci", &[[1; 32], KEY]));
        assert!(!there.is_for("other", &[KEY]) && !there.is_for("ci", &[[1; 32]]) && !there.is_for("ci", &[]));
    }

    /// X3: nothing in an id can choose a path at the upstream.
    #[test]
    fn an_id_is_only_an_id() {
        for id in ["", "../models", "a/b", "a?b", "a b", "..", "a%2fb"] {
            assert_eq!(place(&wrap(&KEY, "ci", "openai", id)), Place::Here, "{id}");
        }
        for id in ["", "resp_", "resp_at1", "resp_at1####", "resp_0199", "conv_x"] {
            assert_eq!(place(id), Place::Here, "{id}");
        }
    }

    #[test]
    fn what_is_encrypted_carries_its_maker() {
        let json = r#"{"item":{"encrypted_content": "gAAA==","x":1.0},"text":"\"encrypted_content\":\"no\"","encrypted_content":null}"#;
        let sealed = seal(json, "open-ai").unwrap();
        assert!(sealed.contains(r#""encrypted_content": "at1."#) && sealed.contains(r#".gAAA==""#), "{sealed}");
        assert_eq!(seal(&sealed, "other"), None, "what is sealed stays sealed");
        assert_eq!(unseal(&sealed).unwrap(), (json.into(), vec!["open-ai".into()]));
        assert_eq!(unseal(json), None);
        assert_eq!(seal(r#"{"text":"encrypted_content"}"#, "a"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_sealed_and_unsealed(text in ".*", provider in "[a-z-]{1,12}", value in "[A-Za-z0-9+/=_-]{1,40}") {
            let json = serde_json::json!({"a": text, "encrypted_content": value, "b": {"encrypted_content": value}});
            let json = json.to_string();
            let sealed = seal(&json, &provider).unwrap();
            prop_assert_eq!(unseal(&sealed).unwrap(), (json, vec![provider]));
        }

        #[test]
        fn no_id_is_too_odd(text in ".*") {
            place(&text);
            place(&format!("{KEPT_THERE}{text}"));
            let _ = (seal(&text, "a"), unseal(&text));
        }
    }
}
