//! Images, documents and search results as clients send them. Data is moved, never decoded (rule
//! L5).
//!
//! Source: "Vision", "PDF support", "Citations", "Search results" (platform.claude.com/docs, read
//! November 2026).

use super::request::{Extra, cache, note};
use crate::{
    error::Result,
    ir::{Block, Source},
    wire::read::{Node, Record, Shape},
};

const IMAGE: &[&str] = &["base64", "url", "file"];
const DOCUMENT: &[&str] = &["base64", "text", "content", "url", "file"];
const PATH: &str = "messages[].content[]";

pub(super) fn image(block: &Record<'_, '_>, extra: &mut Extra) -> Result<Block> {
    note(block, PATH, &["transformations"], extra);
    let source = source(&block.require("source")?, IMAGE)?;
    Ok(Block::Image { source, detail: None, cache: cache(block)? })
}

pub(super) fn document(block: &Record<'_, '_>, extra: &mut Extra) -> Result<Block> {
    note(block, PATH, &["context"], extra);
    cited(block, extra)?;
    let source = source(&block.require("source")?, DOCUMENT)?;
    Ok(Block::Document { source, name: block.string("title")?, cache: cache(block)? })
}

/// Title, address and text, as words: no other dialect has a block for it.
pub(super) fn search_result(block: &Record<'_, '_>, extra: &mut Extra) -> Result<Block> {
    cited(block, extra)?;
    let content = block.require("content")?;
    let mut lines: Vec<String> = [block.string("title")?, block.string("source")?].into_iter().flatten().collect();
    lines.push(joined(&content)?);
    Ok(Block::Text { text: lines.join("\n"), cache: cache(block)? })
}

/// Citations that were asked for; other targets do not cite.
fn cited(block: &Record<'_, '_>, extra: &mut Extra) -> Result<()> {
    let Some(node) = block.get("citations") else { return Ok(()) };
    if node.record()?.bool("enabled")? == Some(true) {
        note(block, PATH, &["citations"], extra);
    }
    Ok(())
}

fn source(node: &Node<'_, '_>, kinds: &[&str]) -> Result<Source> {
    let source = node.record()?;
    let kind = source.require("type")?;
    let word = kind.str()?;
    match &*word {
        _ if !kinds.contains(&&*word) => Err(kind.path().unsupported(&word, kinds)),
        "base64" => Ok(Source::Base64 {
            media_type: source.require("media_type")?.string()?,
            data: source.require("data")?.string()?,
        }),
        "url" => Ok(Source::Url(source.require("url")?.string()?)),
        "file" => Ok(Source::File(source.require("file_id")?.string()?)),
        "text" => Ok(Source::Text(source.require("data")?.string()?)),
        _ => Ok(Source::Text(joined(&source.require("content")?)?)),
    }
}

/// A string, or the text of text blocks.
fn joined(node: &Node<'_, '_>) -> Result<String> {
    if node.shape() == Shape::String {
        return node.string();
    }
    let mut texts = Vec::new();
    for (at, raw) in node.list_or("a string or an array of text blocks")?.into_iter().enumerate() {
        texts.push(node.item(at, raw).record()?.require("text")?.string()?);
    }
    Ok(texts.join("\n"))
}
