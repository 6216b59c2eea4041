//! The few fields of a request that the gateway needs before any work is done.
//!
//! Everything else is left for the upstream to judge, so that a field of tomorrow works today.
//! What is checked here reaches no upstream when it is wrong (design section 6.6).
//!
//! Cost: one borrowed pass over the body ([`Object::parse`], which also proves it to be JSON), a
//! second one at `memchr` speed over its bytes for the estimate; one `String` for the model.

use std::sync::LazyLock;

use http::HeaderMap;
use memchr::{memchr, memmem, memmem::Finder};
use serde_json::value::RawValue;

use crate::{
    call::Estimate,
    error::{Error, Result},
    wire::json::Object,
};

/// What an answer is taken to be when the client sets no maximum, in tokens.
const DEFAULT_OUTPUT: u64 = 1024;
/// Bytes per token of prose and JSON, roughly.
const BYTES_PER_TOKEN: u64 = 4;
/// An attached image or file, in tokens: about a picture of a megapixel.
const ATTACHMENT: u64 = 1000;

/// What a request says beside its body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head<'a> {
    pub headers: &'a HeaderMap,
    /// What the path names, where it names something.
    pub id: Option<&'a str>,
}

/// The head fields of a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Probe {
    pub model: String,
    pub stream: bool,
    pub include_usage: bool,
    pub estimate: Estimate,
}

/// Reads the head fields of a chat completion request (API reference, "Create chat completion",
/// read November 2026).
pub(super) fn chat(body: &[u8]) -> Result<Probe> {
    let object = Object::parse(body)?;
    let model = model(&object)?;
    turns(&object)?;
    Ok(Probe {
        model,
        stream: flag(&object, "stream")?,
        include_usage: include_usage(&object)?,
        estimate: Estimate { prompt: prompt_tokens(body, in_data_url), output: output_tokens(&object) },
    })
}

/// Reads the head fields of a legacy completion request (API reference, "Create completion", read
/// November 2026). Servers take prompts in more forms than the reference has, so it is theirs to judge.
pub(super) fn completions(body: &[u8]) -> Result<Probe> {
    let object = Object::parse(body)?;
    Ok(Probe {
        model: model(&object)?,
        stream: flag(&object, "stream")?,
        include_usage: include_usage(&object)?,
        estimate: Estimate { prompt: prompt_tokens(body, in_data_url), output: output_tokens(&object) },
    })
}

/// Reads the head fields of an embeddings request (API reference, "Create embeddings", read November
/// 2026). What the input holds is read where it is embedded.
pub(super) fn embeddings(body: &[u8]) -> Result<Probe> {
    let object = Object::parse(body)?;
    let model = model(&object)?;
    object.present("input").ok_or_else(|| missing("input"))?;
    let estimate = Estimate { prompt: prompt_tokens(body, in_data_url), output: 0 };
    Ok(Probe { model, stream: false, include_usage: false, estimate })
}

/// Reads the head fields of a message request (Anthropic's API reference, "Create a Message" and "API
/// versioning", read November 2026).
pub(super) fn messages(headers: &HeaderMap, body: &[u8]) -> Result<Probe> {
    let object = Object::parse(body)?;
    let model = model(&object)?;
    turns(&object)?;
    of_version(headers, &object)?;
    Ok(Probe {
        model,
        stream: flag(&object, "stream")?,
        include_usage: true,
        estimate: Estimate { prompt: prompt_tokens(body, in_source), output: output_tokens(&object) },
    })
}

/// Reads the head fields of a question for a prompt's tokens ("Count tokens", read November 2026).
/// Nothing is generated, so no tokens are charged.
pub(super) fn count_tokens(headers: &HeaderMap, body: &[u8]) -> Result<Probe> {
    let object = Object::parse(body)?;
    let model = model(&object)?;
    turns(&object)?;
    of_version(headers, &object)?;
    Ok(Probe { model, stream: false, include_usage: false, estimate: Estimate::default() })
}

/// The later version of the interface refuses to be told how to draw tokens. The vendor says so
/// itself; other targets' clients hear the same.
fn of_version(headers: &HeaderMap, object: &Object<'_>) -> Result<()> {
    if headers.get("anthropic-version").is_none_or(|version| version != "2026-10-21") {
        return Ok(());
    }
    match ["temperature", "top_p", "top_k"].into_iter().find(|field| object.get(field).is_some()) {
        Some(field) => {
            let message = format!("{field}: not supported with anthropic-version 2026-10-21.");
            Err(Error::invalid(message, field, "unsupported_parameter"))
        }
        None => Ok(()),
    }
}

/// Reads the head fields of a Responses request (API reference, "Create a model response", read
/// November 2026). What it builds on may stand in for its input.
pub(super) fn responses(body: &[u8]) -> Result<Probe> {
    let object = Object::parse(body)?;
    let model = model(&object)?;
    let is_there = |name| object.present(name).is_some();
    if !["input", "previous_response_id", "conversation", "prompt"].into_iter().any(is_there) {
        return Err(missing("input"));
    }
    let output = object.present("max_output_tokens").and_then(|value| value.get().parse::<u64>().ok());
    Ok(Probe {
        model,
        stream: flag(&object, "stream")?,
        include_usage: false,
        estimate: Estimate { prompt: prompt_tokens(body, in_data_url), output: output.unwrap_or(DEFAULT_OUTPUT) },
    })
}

/// Reads the head fields of Gemini's calls ("Generating content", ai.google.dev/api, read November
/// 2026), whose model and method are what the path names: `MODEL:METHOD`.
pub(super) fn generate_content(head: &Head<'_>, body: &[u8]) -> Result<Probe> {
    let (model, method) = method(head.id)?;
    let object = Object::parse(body)?;
    let contents = member(&object, &["contents"]).ok_or_else(|| missing("contents"))?;
    if contents.get().trim_start_matches(['[', ' ', '\n', '\r', '\t']).starts_with(']') {
        return Err(Error::invalid("`contents` must hold at least one content.", "contents", "empty_array"));
    }
    let output = member(&object, &["generationConfig", "generation_config"]);
    Ok(Probe {
        model,
        stream: method == "streamGenerateContent",
        include_usage: true,
        estimate: Estimate {
            prompt: prompt_tokens(body, in_source),
            output: output.and_then(max_output_tokens).unwrap_or(DEFAULT_OUTPUT),
        },
    })
}

/// The same for a question for a prompt's tokens ("Counting tokens", read November 2026), which may be
/// a whole request within another. Nothing is generated, so no tokens are charged.
pub(super) fn count_contents(head: &Head<'_>, body: &[u8]) -> Result<Probe> {
    let (model, _) = method(head.id)?;
    let object = Object::parse(body)?;
    member(&object, &["contents", "generateContentRequest", "generate_content_request"])
        .ok_or_else(|| missing("contents"))?;
    Ok(Probe { model, stream: false, include_usage: false, estimate: Estimate::default() })
}

/// Reads the head fields of Gemini's questions for embeddings ("Embeddings", read November 2026). What
/// they hold is read where it is embedded.
pub(super) fn embed_contents(head: &Head<'_>, body: &[u8]) -> Result<Probe> {
    let (model, _) = method(head.id)?;
    Object::parse(body)?;
    let estimate = Estimate { prompt: prompt_tokens(body, in_source), output: 0 };
    Ok(Probe { model, stream: false, include_usage: false, estimate })
}

/// The model a path names, and what is asked of it. Models have colons too: the last one decides.
pub(super) fn method(id: Option<&str>) -> Result<(String, &str)> {
    let (model, method) = id.and_then(|id| id.rsplit_once(':')).unwrap_or_default();
    if model.trim().is_empty() {
        return Err(Error::invalid("The path names no model.", "model", "invalid_value"));
    }
    Ok((model.to_owned(), method))
}

fn member<'a>(object: &Object<'a>, names: &[&str]) -> Option<&'a RawValue> {
    names.iter().find_map(|name| object.present(name))
}

fn max_output_tokens(config: &RawValue) -> Option<u64> {
    let config = Object::parse_str(config.get()).ok()?;
    let number = |names: &[&str]| member(&config, names).and_then(|value| value.get().parse::<u64>().ok());
    let each = number(&["maxOutputTokens", "max_output_tokens"])?;
    Some(each.saturating_mul(number(&["candidateCount", "candidate_count"]).unwrap_or(1).max(1)))
}

fn model(object: &Object<'_>) -> Result<String> {
    let value = object.present("model").ok_or_else(|| missing("model"))?;
    let model: String = serde_json::from_str(value.get()).map_err(|_| wrong_type("model", "a string"))?;
    if model.trim().is_empty() {
        return Err(Error::invalid("`model` must not be empty.", "model", "invalid_value"));
    }
    Ok(model)
}

fn turns(object: &Object<'_>) -> Result<()> {
    let value = object.present("messages").ok_or_else(|| missing("messages"))?;
    let Some(inside) = value.get().strip_prefix('[') else {
        return Err(wrong_type("messages", "an array"));
    };
    if inside.trim_start().starts_with(']') {
        return Err(Error::invalid("`messages` must hold at least one message.", "messages", "empty_array"));
    }
    Ok(())
}

fn include_usage(object: &Object<'_>) -> Result<bool> {
    let Some(options) = object.present("stream_options") else { return Ok(false) };
    let options = Object::parse_str(options.get()).map_err(|_| wrong_type("stream_options", "an object"))?;
    flag(&options, "include_usage").map_err(|_| wrong_type("stream_options.include_usage", "a boolean"))
}

fn flag(object: &Object<'_>, name: &'static str) -> Result<bool> {
    match object.present(name).map(RawValue::get) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(wrong_type(name, "a boolean")),
    }
}

/// The asked maximum, for each of the `n` choices. A value that is no number is the upstream's to
/// refuse.
fn output_tokens(object: &Object<'_>) -> u64 {
    let number = |name| object.present(name).and_then(|value| value.get().parse::<u64>().ok());
    let each = number("max_completion_tokens").or_else(|| number("max_tokens")).unwrap_or(DEFAULT_OUTPUT);
    each.saturating_mul(number("n").unwrap_or(1).max(1))
}

/// A guess by size, base64 payloads left out (rule L5): those that `payload` finds the start of.
fn prompt_tokens(body: &[u8], payload: fn(&[u8]) -> Option<usize>) -> u64 {
    let mut text = body.len();
    let mut attachments = 0;
    let mut rest = body;
    while let Some(at) = payload(rest) {
        rest = rest.get(at..).unwrap_or_default();
        // A JSON string ends at its quote; base64 has nothing to escape.
        let payload = memchr(b'"', rest).unwrap_or(rest.len());
        rest = rest.get(payload..).unwrap_or_default();
        text -= payload;
        attachments += 1;
    }
    text as u64 / BYTES_PER_TOKEN + attachments * ATTACHMENT
}

/// Inside a data URL.
fn in_data_url(text: &[u8]) -> Option<usize> {
    // Made once: to make a searcher takes longer than to search a short body.
    static MARK: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(";base64,"));
    MARK.find(text).map(|at| at + MARK.needle().len())
}

/// The `data` of a source. One that is as short as that may be text.
fn in_source(text: &[u8]) -> Option<usize> {
    const KEY: &[u8] = b"\"data\"";
    const SHORT: usize = 1024;
    memmem::find_iter(text, KEY).find_map(|at| {
        let value = text.get(at + KEY.len()..)?.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        let payload = value.strip_prefix(b"\"")?;
        let start = payload.get(..SHORT)?;
        start
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+/-_=".contains(byte))
            .then(|| text.len() - payload.len())
    })
}

fn missing(name: &'static str) -> Error {
    Error::invalid(format!("Missing required parameter: `{name}`."), name, "missing_required_parameter")
}

fn wrong_type(name: &'static str, expected: &str) -> Error {
    Error::invalid(format!("Invalid type for `{name}`: it must be {expected}."), name, "invalid_type")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_head_fields_are_read() {
        let probe = chat(
            br#"{"stream":true,"x":{"model":"no"},"messages":[{"role":"user"}],"model":"a/b:c",
                "stream_options":{"include_usage":true},"max_tokens":5,"max_completion_tokens":7,"n":2}"#,
        )
        .unwrap();
        assert_eq!((probe.model.as_str(), probe.stream, probe.include_usage), ("a/b:c", true, true));
        assert_eq!(probe.estimate.output, 14);
        let probe = chat(br#"{"model":"m","messages":[{}],"stream":null,"stream_options":null}"#).unwrap();
        assert_eq!((probe.stream, probe.include_usage, probe.estimate.output), (false, false, 1024));
    }

    /// Design section 6.6: what is wrong is refused here, and the field is named.
    #[test]
    fn a_wrong_head_is_refused_by_name() {
        for (body, param, code) in [
            (r#"{"messages":[{}]}"#, Some("model"), "missing_required_parameter"),
            (r#"{"model":null,"messages":[{}]}"#, Some("model"), "missing_required_parameter"),
            (r#"{"model":7,"messages":[{}]}"#, Some("model"), "invalid_type"),
            (r#"{"model":" ","messages":[{}]}"#, Some("model"), "invalid_value"),
            (r#"{"model":"m"}"#, Some("messages"), "missing_required_parameter"),
            (r#"{"model":"m","messages":"hi"}"#, Some("messages"), "invalid_type"),
            (r#"{"model":"m","messages":[ ]}"#, Some("messages"), "empty_array"),
            (r#"{"model":"m","messages":[{}],"stream":"yes"}"#, Some("stream"), "invalid_type"),
            (r#"{"model":"m","messages":[{}],"stream_options":1}"#, Some("stream_options"), "invalid_type"),
            ("[]", None, "invalid_json"),
            ("", None, "invalid_json"),
            (r#"{"model":"m","messages":[{}]"#, None, "invalid_json"),
        ] {
            let kind = chat(body.as_bytes()).unwrap_err().kind();
            assert_eq!((kind.param.as_deref(), kind.code.as_deref()), (param, Some(code)), "{body}");
        }
    }

    /// Anthropic's two living versions: the later one refuses to be told how to draw tokens.
    #[test]
    fn versions_differ_in_sampling() {
        let version = |value: &'static str| {
            HeaderMap::from_iter([("anthropic-version".parse().unwrap(), value.parse().unwrap())])
        };
        let body = |field: &str| format!(r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user"}}]{field}}}"#);
        for field in ["temperature", "top_p", "top_k"] {
            let text = body(&format!(r#","{field}":1"#));
            assert_eq!(messages(&version("2023-06-01"), text.as_bytes()).unwrap().estimate.output, 9);
            assert!(messages(&HeaderMap::new(), text.as_bytes()).is_ok());
            let kind = messages(&version("2026-10-21"), text.as_bytes()).unwrap_err().kind();
            assert_eq!(kind.param.as_deref(), Some(field));
        }
        assert!(messages(&version("2026-10-21"), body("").as_bytes()).is_ok());
    }

    /// L5: so does that of a source, however it is spaced, while a document's text is text.
    #[test]
    fn sources_are_left_out_too() {
        let estimate = |data: &str, gap: &str| {
            let body = format!(r#"{{"model":"m","messages":[{{"content":[{{"source":{{"data":{gap}"{data}"}}}}]}}]}}"#);
            messages(&HeaderMap::new(), body.as_bytes()).unwrap().estimate.prompt
        };
        let long = "QUJD".repeat(100_000);
        assert!(estimate(&long, "").abs_diff(estimate(&long[..2000], " ")) <= 1);
        assert!(estimate(&long, "") < 2000 && estimate(&"some words ".repeat(10_000), "") > 20_000);
    }

    /// L5: a payload counts as an attachment, not as text.
    #[test]
    fn base64_is_left_out_of_the_estimate() {
        let short = br#"{"model":"m","messages":[{"content":[{"url":"data:image/png;base64,"}]}]}"#;
        let payload = "QUJD".repeat(100_000);
        let long =
            format!(r#"{{"model":"m","messages":[{{"content":[{{"url":"data:image/png;base64,{payload}"}}]}}]}}"#);
        assert_eq!(chat(short).unwrap().estimate, chat(long.as_bytes()).unwrap().estimate);
        assert!(chat(short).unwrap().estimate.prompt >= 1000);
    }

    #[test]
    fn an_absurd_maximum_does_not_overflow() {
        let body = format!(r#"{{"model":"m","messages":[{{}}],"max_tokens":{},"n":9}}"#, u64::MAX);
        assert_eq!(chat(body.as_bytes()).unwrap().estimate.output, u64::MAX);
    }

    proptest! {
        #[test]
        fn no_bytes_can_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200), marks in 0..4usize) {
            let mut text = body.clone();
            for _ in 0..marks {
                text.extend_from_slice(b";base64,");
                text.extend_from_slice(&body);
            }
            let _ = chat(&text);
            prop_assert!(prompt_tokens(&text, in_data_url) <= text.len() as u64 / 4 + text.len() as u64 * ATTACHMENT);
        }
    }
}
