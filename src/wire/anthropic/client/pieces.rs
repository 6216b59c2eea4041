//! The events of one block, each as the vendor writes it. SDKs pass over an event without its name.
//!
//! Source: "Streaming messages" (platform.claude.com/docs, read November 2026).

use bytes::BytesMut;
use serde::Serialize;

use super::{encoder::write, message::Citation, signature};
use crate::{ir::Annotation, wire::json};

#[derive(Serialize)]
struct Start<'a> {
    r#type: &'static str,
    index: u64,
    content_block: Opened<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Opened<'a> {
    Text { text: &'static str },
    Thinking { thinking: &'static str, signature: &'static str },
    RedactedThinking { data: &'a str },
    ToolUse { id: &'a str, name: &'a str, input: Empty, caller: super::message::Caller },
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
struct Cited<'a> {
    r#type: &'static str,
    index: u64,
    delta: CitationsDelta<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "citations_delta")]
struct CitationsDelta<'a> {
    citation: Citation<'a>,
}

pub(super) fn start_text(index: u64, out: &mut BytesMut) {
    start(index, Opened::Text { text: "" }, out);
}

pub(super) fn start_thinking(index: u64, out: &mut BytesMut) {
    start(index, Opened::Thinking { thinking: "", signature: "" }, out);
}

pub(super) fn start_redacted(index: u64, data: &str, out: &mut BytesMut) {
    start(index, Opened::RedactedThinking { data }, out);
}

pub(super) fn start_call(index: u64, id: &str, name: &str, out: &mut BytesMut) {
    let caller = super::message::Caller::Direct;
    start(index, Opened::ToolUse { id, name, input: Empty {}, caller }, out);
}

pub(super) fn text(index: u64, text: &str, out: &mut BytesMut) {
    delta(index, "{\"type\":\"text_delta\",\"text\":", text, out);
}

pub(super) fn thinking(index: u64, text: &str, out: &mut BytesMut) {
    delta(index, "{\"type\":\"thinking_delta\",\"thinking\":", text, out);
}

pub(super) fn arguments(index: u64, json: &str, out: &mut BytesMut) {
    delta(index, "{\"type\":\"input_json_delta\",\"partial_json\":", json, out);
}

/// Whole, once, and last: SDKs overwrite what they have.
pub(super) fn signature(index: u64, signature: Option<&str>, out: &mut BytesMut) {
    let signature = signature.unwrap_or(signature::OWN);
    delta(index, "{\"type\":\"signature_delta\",\"signature\":", signature, out);
}

pub(super) fn citation(index: u64, annotation: &Annotation, out: &mut BytesMut) {
    let delta = CitationsDelta { citation: Citation::of(annotation) };
    write("content_block_delta", &Cited { r#type: "content_block_delta", index, delta }, out);
}

pub(super) fn stop(index: u64, out: &mut BytesMut) {
    out.extend_from_slice(b"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":");
    json::line(&index, out);
    out.extend_from_slice(b"}\n\n");
}

fn start(index: u64, content_block: Opened<'_>, out: &mut BytesMut) {
    write("content_block_start", &Start { r#type: "content_block_start", index, content_block }, out);
}

/// The hot one: nothing is built but the bytes.
fn delta(index: u64, before: &str, text: &str, out: &mut BytesMut) {
    out.extend_from_slice(b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":");
    json::line(&index, out);
    out.extend_from_slice(b",\"delta\":");
    out.extend_from_slice(before.as_bytes());
    json::line(&text, out);
    out.extend_from_slice(b"}}\n\n");
}
