//! What a listed item shows only when it is asked for: `include` in a query.
//!
//! Pure. Source: "List input items" and "List items" (OpenAI's API reference, specification 2.3.0, read
//! November 2026). The SDKs write the name in three ways: `include`, `include[]` and `include[0]`.
//! Deliberately absent: answers, which are shown as they were told when they were made.

use serde_json::{Map, Value, json, value::RawValue};

use super::page::Query;
use crate::{
    error::{Error, Result},
    store::{Item, Listed},
    wire::json::Object,
};

/// A field that is left out of an item unless it is asked for.
#[derive(Debug)]
struct Extra {
    /// The word that asks for it.
    word: &'static str,
    /// The type of item it belongs to.
    item: &'static str,
    place: Place,
    /// What stands for it otherwise; `None` for nothing at all.
    blank: Option<fn() -> Value>,
}

#[derive(Debug)]
enum Place {
    Field(&'static str),
    /// A field of the object that the first one holds.
    Below(&'static str, &'static str),
    /// A field of the parts of this type.
    Part(&'static str, &'static str),
}

const EXTRAS: [Extra; 8] = [
    extra("file_search_call.results", "file_search_call", Place::Field("results"), Some(|| Value::Null)),
    extra("web_search_call.results", "web_search_call", Place::Field("results"), None),
    extra("web_search_call.action.sources", "web_search_call", Place::Below("action", "sources"), None),
    extra("message.input_image.image_url", "message", Place::Part("input_image", "image_url"), None),
    extra("computer_call_output.output.image_url", "computer_call_output", Place::Below("output", "image_url"), None),
    extra("code_interpreter_call.outputs", "code_interpreter_call", Place::Field("outputs"), Some(|| Value::Null)),
    extra("reasoning.encrypted_content", "reasoning", Place::Field("encrypted_content"), None),
    extra("message.output_text.logprobs", "message", Place::Part("output_text", "logprobs"), Some(|| json!([]))),
];

const fn extra(word: &'static str, item: &'static str, place: Place, blank: Option<fn() -> Value>) -> Extra {
    Extra { word, item, place, blank }
}

/// What a query asks to be shown.
#[derive(Debug, Default)]
pub(super) struct Include(Vec<String>);

// === impl Include ===

impl Include {
    pub(super) fn read(query: &Query) -> Result<Self> {
        let words = query.all("include");
        match words.iter().position(|word| EXTRAS.iter().all(|extra| extra.word != word)) {
            None => Ok(Self(words)),
            Some(at) => Err(refused(words.get(at).map_or("", String::as_str), at)),
        }
    }

    /// A page of items as it is shown.
    pub(super) fn page(&self, listed: Listed) -> Listed {
        let shown = |item: Item| Item { json: self.item(item.json), ..item };
        Listed { items: listed.items.into_iter().map(shown).collect(), ..listed }
    }

    /// One item as it is shown. Byte for byte as it is kept where nothing is left out.
    pub(super) fn item(&self, text: String) -> String {
        let kind = Object::parse_str(&text).ok().and_then(|object| object.get("type").map(RawValue::get));
        let kind = kind.unwrap_or_default().trim_matches('"');
        let hidden = |extra: &&Extra| extra.item == kind && !self.0.iter().any(|word| word == extra.word);
        let mut hidden = EXTRAS.iter().filter(hidden).peekable();
        if hidden.peek().is_none() {
            return text;
        }
        let Ok(mut item) = serde_json::from_str::<Map<String, Value>>(&text) else { return text };
        // Not `any`: each of them is to be left out.
        let left_out = hidden.filter(|extra| extra.leave_out(&mut item)).count();
        if left_out == 0 { text } else { Value::Object(item).to_string() }
    }
}

// === impl Extra ===

impl Extra {
    /// Tells whether there was anything to leave out.
    fn leave_out(&self, item: &mut Map<String, Value>) -> bool {
        match self.place {
            Place::Field(field) => self.blank_out(item, field),
            Place::Below(holder, field) => {
                item.get_mut(holder).and_then(Value::as_object_mut).is_some_and(|below| self.blank_out(below, field))
            }
            Place::Part(kind, field) => {
                let Some(parts) = item.get_mut("content").and_then(Value::as_array_mut) else { return false };
                let parts = parts.iter_mut().filter_map(Value::as_object_mut);
                let those = parts.filter(|part| part.get("type").and_then(Value::as_str) == Some(kind));
                those.filter_map(|part| self.blank_out(part, field).then_some(())).count() > 0
            }
        }
    }

    fn blank_out(&self, object: &mut Map<String, Value>, field: &str) -> bool {
        match (self.blank, object.get_mut(field)) {
            (_, None) => false,
            (Some(blank), Some(value)) => {
                let blank = blank();
                *value != blank && std::mem::replace(value, blank) != Value::Null
            }
            (None, Some(_)) => object.shift_remove(field).is_some(),
        }
    }
}

fn refused(word: &str, at: usize) -> Error {
    let word: String = word.chars().take(128).collect();
    let all: Vec<String> = EXTRAS.iter().map(|extra| format!("'{}'", extra.word)).collect();
    let (last, others) = all.split_last().map_or(("", Vec::new()), |(last, others)| (last.as_str(), others.to_vec()));
    let message = format!("Invalid value: '{word}'. Supported values are: {}, and {last}.", others.join(", "));
    Error::invalid(message, format!("include[{at}]"), "invalid_value")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn include(query: &str) -> Result<Include> {
        Include::read(&Query::parse(Some(query)))
    }

    #[test]
    fn the_words_are_read_however_they_are_written() {
        for query in [
            "include=reasoning.encrypted_content&include=message.output_text.logprobs",
            "include[]=reasoning.encrypted_content&x=y&include%5B%5D=message.output_text.logprobs",
            "include[0]=reasoning.encrypted_content&include[1]=message.output_text.logprobs",
        ] {
            assert_eq!(include(query).unwrap().0, ["reasoning.encrypted_content", "message.output_text.logprobs"]);
        }
        assert!(include("includes=x&include_obfuscation=false&include=").unwrap().0.is_empty());
    }

    #[test]
    fn a_word_that_nobody_knows_is_refused_by_its_place() {
        let error = include("include[]=reasoning.encrypted_content&include[]=the.moon").unwrap_err();
        let kind = error.kind();
        assert_eq!((kind.param.as_deref(), kind.code.as_deref()), (Some("include[1]"), Some("invalid_value")));
        let message = error.message();
        assert!(message.starts_with("Invalid value: 'the.moon'. Supported values are: 'file_search_call.results', "));
        assert!(message.ends_with(", and 'message.output_text.logprobs'."), "{message}");
    }

    #[test]
    fn each_field_is_shown_to_those_who_ask_for_it() {
        let items = [
            ("file_search_call.results", json!({"type": "file_search_call", "results": [1]}), json!(null)),
            ("web_search_call.results", json!({"type": "web_search_call", "results": [1]}), Value::Null),
            (
                "web_search_call.action.sources",
                json!({"type": "web_search_call", "action": {"sources": [1]}}),
                json!({}),
            ),
            (
                "message.input_image.image_url",
                json!({"type": "message", "content": [{"type": "input_image", "image_url": "data:x"}]}),
                json!([{"type": "input_image"}]),
            ),
            (
                "computer_call_output.output.image_url",
                json!({"type": "computer_call_output", "output": {"image_url": "data:x"}}),
                json!({}),
            ),
            ("code_interpreter_call.outputs", json!({"type": "code_interpreter_call", "outputs": [1]}), json!(null)),
            ("reasoning.encrypted_content", json!({"type": "reasoning", "encrypted_content": "g"}), Value::Null),
            (
                "message.output_text.logprobs",
                json!({"type": "message", "content": [{"type": "output_text", "logprobs": [1]}]}),
                json!([{"type": "output_text", "logprobs": []}]),
            ),
        ];
        assert_eq!(items.len(), EXTRAS.len());
        for (word, item, without) in items {
            let text = item.to_string();
            assert_eq!(include(&format!("include[]={word}")).unwrap().item(text.clone()), text, "{word}");
            let shown: Value = serde_json::from_str(&Include::default().item(text)).unwrap();
            let field = item.as_object().unwrap().keys().nth(1).unwrap();
            assert_eq!(shown.get(field).cloned().unwrap_or_default(), without, "{word}");
        }
    }

    #[test]
    fn an_item_without_any_of_it_keeps_its_bytes() {
        for item in [
            r#"{"type":"message","n":1.50,"content":[{"type":"output_text","logprobs":[]}]}"#,
            r#"{"type":"message","content":"é"}"#,
            r#"{"type":"file_search_call","results":null}"#,
            r#"{"type":"function_call","encrypted_content":"x", "a":1e2}"#,
            "[]",
        ] {
            assert_eq!(Include::default().item(item.to_owned()), item);
        }
    }
}
