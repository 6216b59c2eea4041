//! The content of a client's message: a string, or an array of typed parts.
//!
//! Media stays as it came: a data URL is cut into media type and base64 text, never decoded
//! (rule L5), and its data is copied once.

use super::request::cache_hint;
use crate::{
    error::{Error, Result},
    ir::{Block, CacheHint, Source},
    wire::read::{Node, Record, Shape},
};

const PART_TYPES: &[&str] = &["text", "image_url", "input_audio", "file", "refusal"];

/// Appends the blocks of one message's content. An empty string is no block.
pub(super) fn decode(node: &Node<'_, '_>, blocks: &mut Vec<Block>) -> Result<()> {
    if node.shape() == Shape::String {
        let text = node.string()?;
        if !text.is_empty() {
            blocks.push(Block::text(text));
        }
        return Ok(());
    }
    for (index, raw) in node.list_or("a string or an array of content parts")?.into_iter().enumerate() {
        blocks.push(part(&node.item(index, raw))?);
    }
    Ok(())
}

/// Gives a message's own cache breakpoint to its last block.
pub(super) fn mark(blocks: &mut [Block], hint: Option<CacheHint>) {
    let (Some(hint), Some(block)) = (hint, blocks.last_mut()) else { return };
    match block {
        Block::Text { cache, .. }
        | Block::Image { cache, .. }
        | Block::Document { cache, .. }
        | Block::ToolCall { cache, .. }
        | Block::ToolResult { cache, .. } => _ = cache.get_or_insert(hint),
        Block::Audio { .. } | Block::Refusal { .. } | Block::Reasoning { .. } | Block::RedactedReasoning { .. } => {}
    }
}

fn part(node: &Node<'_, '_>) -> Result<Block> {
    let part = node.record()?;
    if part.get("type").is_none() && part.get("role").is_some() {
        let message = format!(
            "Invalid value for '{}': this is a message, with a role of its own, and no content part. \
             Messages cannot be nested.",
            node.path()
        );
        return Err(Error::invalid(message, node.path().to_string(), "invalid_value"));
    }
    let kind = part.require("type")?;
    match &*kind.str()? {
        "text" => Ok(Block::Text { text: part.require("text")?.string()?, cache: cache_hint(&part)? }),
        "image_url" => image(&part),
        "input_audio" => audio(&part.require("input_audio")?.record()?),
        "file" => file(&part),
        "refusal" => Ok(Block::Refusal { text: part.require("refusal")?.string()? }),
        other => Err(kind.path().unsupported(other, PART_TYPES)),
    }
}

/// The object form, or the bare string that some clients and Mistral's SDK send.
fn image(part: &Record<'_, '_>) -> Result<Block> {
    let node = part.require("image_url")?;
    let cache = cache_hint(part)?;
    if node.shape() == Shape::String {
        return Ok(Block::Image { source: source(&node.str()?), detail: None, cache });
    }
    let image = node.record_or("an object or a string")?;
    let source = source(&image.require("url")?.str()?);
    Ok(Block::Image { source, detail: image.string("detail")?, cache })
}

fn audio(audio: &Record<'_, '_>) -> Result<Block> {
    Ok(Block::Audio { data: audio.require("data")?.string()?, format: audio.require("format")?.string()? })
}

fn file(part: &Record<'_, '_>) -> Result<Block> {
    let node = part.require("file")?;
    let file = node.record()?;
    let name = file.string("filename")?;
    let cache = cache_hint(part)?;
    if let Some(id) = file.string("file_id")? {
        return Ok(Block::Document { source: Source::File(id), name, cache });
    }
    let data = file.require("file_data")?;
    let text = data.str()?;
    // Bare base64 has no type of its own, and the type it has by far most often is PDF.
    let source = if text.contains(':') {
        source(&text)
    } else {
        Source::Base64 { media_type: "application/pdf".into(), data: text.into_owned() }
    };
    Ok(Block::Document { source, name, cache })
}

/// A base64 data URL becomes its parts; every other URL stays one.
pub(super) fn source(url: &str) -> Source {
    base64_parts(url).unwrap_or_else(|| Source::Url(url.to_owned()))
}

fn base64_parts(url: &str) -> Option<Source> {
    let scheme = url.get(..5)?;
    if !scheme.eq_ignore_ascii_case("data:") {
        return None;
    }
    let (head, data) = url.get(5..)?.split_once(',')?;
    let media_type = head.strip_suffix(";base64")?.split(';').next()?;
    let media_type = if media_type.is_empty() { "text/plain" } else { media_type };
    Some(Source::Base64 { media_type: media_type.to_ascii_lowercase(), data: data.to_owned() })
}
