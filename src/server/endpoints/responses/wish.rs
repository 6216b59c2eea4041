//! What a request asks of the gateway's memory.
//!
//! Pure. Source: "Create a model response" (OpenAI's API reference, specification 2.3.0, read
//! November 2026).

use serde_json::{json, value::RawValue};

use super::{fold::array, items};
use crate::{
    error::{Error, Result},
    wire::json::Object,
};

/// The fields of a request that concern what came before it and what is kept of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wish {
    /// As the client wrote it; nothing said means yes, if it can be.
    pub store: Option<bool>,
    pub background: bool,
    pub previous: Option<String>,
    pub conversation: Option<String>,
    /// The items this turn brings, as they were written.
    pub items: Vec<String>,
}

// === impl Wish ===

impl Wish {
    pub(super) fn read(body: &[u8]) -> Result<Self> {
        let object = Object::parse(body)?;
        let wish = Self {
            store: flag(&object, "store")?,
            background: flag(&object, "background")?.unwrap_or(false),
            previous: text(&object, "previous_response_id")?,
            conversation: conversation(&object)?,
            items: items::raw(object.present("input"), "input")?,
        };
        if wish.previous.is_some() && wish.conversation.is_some() {
            let message = "`previous_response_id` and `conversation` cannot be used together.";
            return Err(Error::invalid(message, "previous_response_id", "mutually_exclusive_parameters"));
        }
        if wish.background && wish.store == Some(false) {
            let message = "A background response has to be stored: leave `store` out, or set it to true.";
            return Err(Error::invalid(message, "background", "invalid_value"));
        }
        Ok(wish)
    }

    /// Whether the call cannot be served without the store.
    pub(super) fn needs_store(&self) -> bool {
        self.store == Some(true) || self.background || self.previous.is_some() || self.conversation.is_some()
    }
}

/// The request for an upstream that remembers nothing: what came before in front of what is new, and
/// none of the fields that speak of memory.
pub(super) fn without_memory(body: &[u8], history: &[String], wish: &Wish, stream: bool) -> Result<String> {
    let mut edits = Object::parse(body)?.edit();
    for field in ["previous_response_id", "conversation", "background"] {
        edits.remove(field);
    }
    if edits.get("store") != Some("false") {
        edits.set("store", "false");
    }
    if stream && edits.get("stream") != Some("true") {
        edits.set("stream", "true");
    }
    // An input that is only this turn's stays as it was written, unless something in it was resolved.
    let is_as_written = edits
        .object()
        .present("input")
        .is_none_or(|input| items::raw(Some(input), "input").is_ok_and(|items| items == wish.items));
    if !history.is_empty() || !is_as_written {
        let all: Vec<&str> = history.iter().chain(&wish.items).map(String::as_str).collect();
        edits.set("input", array(&all));
    }
    // What nobody keeps for us has to come along, or the next turn could not be made.
    if let Some(include) = with_reasoning(edits.get("include")) {
        edits.set("include", include);
    }
    Ok(edits.apply())
}

/// `include` with encrypted reasoning in it; `None` when it is there already.
fn with_reasoning(include: Option<&str>) -> Option<String> {
    const REASONING: &str = "reasoning.encrypted_content";
    let mut all: Vec<String> = include.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    if all.iter().any(|one| one == REASONING) {
        return None;
    }
    all.push(REASONING.into());
    Some(json!(all).to_string())
}

/// The request for the upstream that keeps what it follows, under that upstream's own id.
pub(super) fn following(body: &[u8], previous: &str) -> Result<String> {
    let mut edits = Object::parse(body)?.edit();
    edits.set("previous_response_id", json!(previous).to_string());
    Ok(edits.apply())
}

/// An id, or an object that holds one.
fn conversation(object: &Object<'_>) -> Result<Option<String>> {
    let Some(value) = object.present("conversation") else { return Ok(None) };
    if value.get().starts_with('{') {
        let inner = Object::parse_str(value.get()).map_err(|_| wrong("conversation", "an id or an object"))?;
        return match text(&inner, "id") {
            Ok(Some(id)) => Ok(Some(id)),
            Ok(None) | Err(_) => Err(wrong("conversation.id", "a string")),
        };
    }
    text(object, "conversation")
}

fn text(object: &Object<'_>, name: &'static str) -> Result<Option<String>> {
    let read = |value: &RawValue| serde_json::from_str(value.get()).map_err(|_| wrong(name, "a string"));
    let text: Option<String> = object.present(name).map(read).transpose()?;
    Ok(text.filter(|text| !text.is_empty()))
}

fn flag(object: &Object<'_>, name: &'static str) -> Result<Option<bool>> {
    let read = |value: &RawValue| serde_json::from_str(value.get()).map_err(|_| wrong(name, "a boolean"));
    object.present(name).map(read).transpose()
}

fn wrong(name: &'static str, expected: &str) -> Error {
    Error::invalid(format!("Invalid type for `{name}`: it must be {expected}."), name, "invalid_type")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(body: &str) -> Result<Wish> {
        Wish::read(body.as_bytes())
    }

    #[test]
    fn what_is_asked_is_read() {
        let asked = wish(r#"{"store":true,"background":true,"previous_response_id":"r","input":"hi"}"#).unwrap();
        assert_eq!((asked.store, asked.background, asked.previous.as_deref()), (Some(true), true, Some("r")));
        assert_eq!(asked.items.len(), 1);
        for conversation in [r#""c""#, r#"{"id":"c"}"#] {
            let asked = wish(&format!(r#"{{"conversation":{conversation}}}"#)).unwrap();
            assert_eq!((asked.conversation.as_deref(), asked.needs_store()), (Some("c"), true));
        }
        let nothing = wish(r#"{"store":null,"previous_response_id":null,"conversation":null}"#).unwrap();
        assert_eq!((nothing.needs_store(), nothing), (false, Wish::default()));
        assert!(!wish(r#"{"store":false}"#).unwrap().needs_store());
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (body, param) in [
            (r#"{"store":1}"#, "store"),
            (r#"{"background":"yes"}"#, "background"),
            (r#"{"background":true,"store":false}"#, "background"),
            (r#"{"previous_response_id":7}"#, "previous_response_id"),
            (r#"{"previous_response_id":"r","conversation":"c"}"#, "previous_response_id"),
            (r#"{"conversation":{}}"#, "conversation.id"),
            (r#"{"conversation":[]}"#, "conversation"),
            (r#"{"input":{}}"#, "input"),
        ] {
            assert_eq!(wish(body).unwrap_err().kind().param.as_deref(), Some(param), "{body}");
        }
    }

    /// P2: what the upstream gets differs in the named fields and in nothing else.
    #[test]
    fn an_upstream_without_memory_is_told_everything() {
        let body = r#"{"x":1.50,"previous_response_id":"r","input":[{"role":"user","content":"\u00e9"}],"include":["a"],"background":true}"#;
        let asked = wish(body).unwrap();
        let told = without_memory(body.as_bytes(), &["{\"old\":1}".into()], &asked, true).unwrap();
        assert_eq!(
            told,
            r#"{"x":1.50,"input":[{"old":1},{"role":"user","content":"\u00e9"}],"include":["a","reasoning.encrypted_content"],"store":false,"stream":true}"#
        );
        let plain = r#"{"input":"hi","store":false,"include":["reasoning.encrypted_content"]}"#;
        assert_eq!(without_memory(plain.as_bytes(), &[], &wish(plain).unwrap(), false).unwrap(), plain);
        assert_eq!(
            following(br#"{"previous_response_id":"a","n":1.0}"#, "b").unwrap(),
            r#"{"previous_response_id":"b","n":1.0}"#
        );
    }
}
