//! One part of a content. Data is moved, never decoded (rule L5), and references stay references
//! (rule N2). Sound by reference and moving pictures have no place in the canonical form: they are
//! refused, since what a user shows is never left out in silence.
//!
//! Source: "Part" (ai.google.dev/api, read November 2026).

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{
    fields::{Fields, each, is},
    thoughts::standard,
};
use crate::{
    error::{Error, Result},
    ir::{Block, Source},
    wire::{
        json::Object,
        read::{Node, Path, Shape},
    },
};

/// Members that are read, here or with the whole turn.
pub(super) const KNOWN: &[&str] = &[
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
    "thought",
    "thoughtSignature",
    "mediaResolution",
];
/// Those of them of which a part has one.
const DATA: &[&str] = &["text", "inlineData", "fileData", "functionCall", "functionResponse"];

/// What a part is.
#[derive(Debug)]
pub(super) enum Kind {
    Text(String),
    Media(Block),
    Call(Call),
    Outcome(Outcome),
    /// The field has no place in the canonical form.
    Lost(&'static str),
}

#[derive(Debug)]
pub(super) struct Call {
    pub id: Option<String>,
    pub name: String,
    pub arguments: String,
}

#[derive(Debug)]
pub(super) struct Outcome {
    pub id: Option<String>,
    pub name: String,
    pub content: Vec<Block>,
    pub is_error: bool,
}

pub(super) fn kind(part: &Fields<'_, '_>) -> Result<Kind> {
    if let Some(text) = part.string("text")? {
        return Ok(Kind::Text(text));
    }
    if let Some(node) = part.get("functionCall") {
        return call(&Fields::of(&node)?).map(Kind::Call);
    }
    if let Some(node) = part.get("functionResponse") {
        return outcome(&Fields::of(&node)?).map(Kind::Outcome);
    }
    if let Some(node) = part.get("inlineData") {
        return inline(&Fields::of(&node)?, detail(part)?).map(Kind::Media);
    }
    if let Some(node) = part.get("fileData") {
        return file(&Fields::of(&node)?, detail(part)?).map(Kind::Media);
    }
    // What ran on Google's side is told as it is shown to other clients.
    if let Some(node) = part.get("executableCode") {
        let code = Fields::of(&node)?;
        let language = code.word("language")?.unwrap_or_default().to_ascii_lowercase();
        let code = code.string("code")?.unwrap_or_default();
        return Ok(Kind::Text(format!("\n```{language}\n{}\n```\n", code.trim_end())));
    }
    if let Some(node) = part.get("codeExecutionResult") {
        let output = Fields::of(&node)?.string("output")?.unwrap_or_default();
        return Ok(Kind::Text(format!("\n```\n{}\n```\n", output.trim_end())));
    }
    match ["toolCall", "toolResponse"].into_iter().find(|name| part.get(name).is_some()) {
        Some(name) => Ok(Kind::Lost(name)),
        // A signature alone stands with an empty text, which some SDKs leave out.
        None if part.get("thoughtSignature").is_some() => Ok(Kind::Text(String::new())),
        None => Err(nothing(part.path())),
    }
}

fn nothing(path: &Path<'_>) -> Error {
    let message = format!("The part '{path}' holds none of {}.", DATA.join(", "));
    Error::invalid(message, path.to_string(), "invalid_value")
}

fn call(call: &Fields<'_, '_>) -> Result<Call> {
    let arguments = match call.get("args") {
        None => "{}".into(),
        Some(args) if args.shape() == Shape::Object => args.raw().get().to_owned(),
        Some(args) => return Err(args.mistyped("an object")),
    };
    Ok(Call { id: call.string("id")?.filter(|id| !id.is_empty()), name: call.require("name")?.string()?, arguments })
}

fn outcome(outcome: &Fields<'_, '_>) -> Result<Outcome> {
    let (mut content, is_error) = match outcome.get("response") {
        None => (Vec::new(), false),
        Some(node) => returned(&node)?,
    };
    if let Some(parts) = outcome.get("parts") {
        each(&parts, |node| {
            match kind(&Fields::of(&node)?)? {
                Kind::Text(text) => content.push(Block::text(text)),
                Kind::Media(block) => content.push(block),
                Kind::Call(_) | Kind::Outcome(_) | Kind::Lost(_) => return Err(nothing(node.path())),
            }
            Ok(())
        })?;
    }
    let id = outcome.string("id")?.filter(|id| !id.is_empty());
    Ok(Outcome { id, name: outcome.require("name")?.string()?, content, is_error })
}

/// `output` and `error` have a meaning where they stand alone; any other object is the result itself.
fn returned(node: &Node<'_, '_>) -> Result<(Vec<Block>, bool)> {
    if node.shape() != Shape::Object {
        return Err(node.mistyped("an object"));
    }
    let object = Object::parse_str(node.raw().get()).map_err(|_| node.mistyped("an object"))?;
    let (value, is_error) = match object.members() {
        [only] if only.key == "output" => (only.value, false),
        [only] if only.key == "error" => (only.value, true),
        _ => (node.raw(), false),
    };
    let text = said(value);
    Ok((if text.is_empty() { Vec::new() } else { vec![Block::text(text)] }, is_error))
}

fn said(value: &RawValue) -> String {
    match Shape::of(value.get()) {
        Shape::String => serde_json::from_str(value.get()).unwrap_or_default(),
        Shape::Null => String::new(),
        Shape::Bool | Shape::Number | Shape::Array | Shape::Object => value.get().to_owned(),
    }
}

/// How closely an image shall be looked at, in OpenAI's words.
fn detail(part: &Fields<'_, '_>) -> Result<Option<String>> {
    let Some(node) = part.get("mediaResolution") else { return Ok(None) };
    let level = Fields::of(&node)?.word("level")?.unwrap_or_default();
    Ok(match level.strip_prefix("MEDIA_RESOLUTION_").unwrap_or(&level) {
        "LOW" => Some("low".into()),
        "HIGH" | "ULTRA_HIGH" => Some("high".into()),
        _ => None,
    })
}

fn inline(blob: &Fields<'_, '_>, detail: Option<String>) -> Result<Block> {
    let media_type = blob.require("mimeType")?.string()?;
    let data = blob.require("data")?;
    let data = match standard(&data.str()?) {
        Cow::Borrowed(as_it_is) => as_it_is.to_owned(),
        Cow::Owned(changed) => changed,
    };
    match media_type.split_once('/') {
        Some(("image", _)) => Ok(Block::Image { source: Source::Base64 { media_type, data }, detail, cache: None }),
        Some(("audio", format)) => {
            let format = format.split(';').next().unwrap_or_default();
            let format = format.strip_prefix("x-").unwrap_or(format);
            let format = if format == "mpeg" { "mp3" } else { format }.to_owned();
            Ok(Block::Audio { data, format })
        }
        Some(("video", _)) => Err(unseen(blob.path(), "Moving pictures")),
        _ => {
            let name = blob.string("displayName")?;
            Ok(Block::Document { source: Source::Base64 { media_type, data }, name, cache: None })
        }
    }
}

fn file(file: &Fields<'_, '_>, detail: Option<String>) -> Result<Block> {
    let uri = file.require("fileUri")?.string()?;
    let media_type = file.string("mimeType")?.unwrap_or_default();
    let is_web = ["http://", "https://"].into_iter().any(|scheme| uri.starts_with(scheme));
    // What Google's own store holds has an address that only Google's key opens.
    let is_googles = uri.contains("generativelanguage.googleapis.com/");
    let source = if is_web && !is_googles { Source::Url(uri) } else { Source::File(uri) };
    match media_type.split('/').next() {
        Some("image") => Ok(Block::Image { source, detail, cache: None }),
        Some("video") => Err(unseen(file.path(), "Moving pictures")),
        Some("audio") => Err(unseen(file.path(), "Sound by reference")),
        _ => Ok(Block::Document { source, name: file.string("displayName")?, cache: None }),
    }
}

fn unseen(path: &Path<'_>, what: &str) -> Error {
    Error::invalid(format!("{what} can be read by Google's models only."), path.to_string(), "unsupported_parameter")
}

/// Whether a member is one that holds a signature.
pub(super) fn is_signature(key: &str) -> bool {
    is(key, "thoughtSignature")
}
