//! The content of a message or of a tool's result: a string, or an array of typed parts.
//!
//! Media stays as it came: a data URL is cut into media type and base64 text, never decoded
//! (rule L5), and its data is copied once.

use crate::{
    error::{Error, Result},
    ir::{Block, CacheHint, CacheTtl, Source},
    wire::read::{Node, Record, Shape},
};

const PART_TYPES: &[&str] =
    &["input_text", "input_image", "input_file", "input_audio", "output_text", "refusal", "reasoning_text"];

/// Appends the blocks of one content. An empty string is no block.
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

fn part(node: &Node<'_, '_>) -> Result<Block> {
    let part = node.record()?;
    let kind = part.require("type")?;
    let cache = cache_hint(&part)?;
    match &*kind.str()? {
        "input_text" | "output_text" | "text" => Ok(Block::Text { text: part.require("text")?.string()?, cache }),
        "refusal" => Ok(Block::Refusal { text: part.require("refusal")?.string()? }),
        "input_image" => image(&part, cache),
        "input_file" => file(&part, cache),
        "input_audio" => audio(&part),
        other => Err(kind.path().unsupported(other, PART_TYPES)),
    }
}

/// `prompt_cache_breakpoint: {"mode":"explicit","ttl":"30m"|"12h"}`. A ttl longer than an hour asks
/// for the longest there is.
fn cache_hint(part: &Record<'_, '_>) -> Result<Option<CacheHint>> {
    let Some(node) = part.get("prompt_cache_breakpoint") else { return Ok(None) };
    let ttl = node.record()?.string("ttl")?;
    Ok(Some(CacheHint { ttl: ttl.map(|_| CacheTtl::OneHour) }))
}

/// A URL, or an id in the vendor's store. Some clients send chat completions' object for the URL.
fn image(part: &Record<'_, '_>, cache: Option<CacheHint>) -> Result<Block> {
    let detail = part.string("detail")?;
    if let Some(id) = part.string("file_id")? {
        return Ok(Block::Image { source: Source::File(id), detail, cache });
    }
    let node = part.require("image_url")?;
    let url = match node.shape() {
        Shape::Object => node.record()?.require("url")?.string()?,
        Shape::Null | Shape::Bool | Shape::Number | Shape::String | Shape::Array => node.string()?,
    };
    Ok(Block::Image { source: source(&url), detail, cache })
}

fn file(part: &Record<'_, '_>, cache: Option<CacheHint>) -> Result<Block> {
    let name = part.string("filename")?;
    let source = if let Some(id) = part.string("file_id")? {
        Source::File(id)
    } else if let Some(url) = part.string("file_url")? {
        Source::Url(url)
    } else {
        let data = part.require("file_data")?.string()?;
        // Bare base64 has no type of its own, and the type it has by far most often is PDF.
        if data.contains(':') { source(&data) } else { Source::Base64 { media_type: "application/pdf".into(), data } }
    };
    Ok(Block::Document { source, name, cache })
}

fn audio(part: &Record<'_, '_>) -> Result<Block> {
    let node = part.require("input_audio")?;
    let audio = node.record()?;
    Ok(Block::Audio { data: audio.require("data")?.string()?, format: audio.require("format")?.string()? })
}

/// A base64 data URL becomes its parts; every other URL stays one.
fn source(url: &str) -> Source {
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

/// What is missing where something of this kind was expected.
pub(super) fn unusable(node: &Node<'_, '_>, why: &str) -> Error {
    Error::invalid(why, node.path().to_string(), "invalid_value")
}
