//! A whole answer.
//!
//! Blocks are told apart by their tag before they are read: those of server-side tools, and those
//! not yet invented, are passed over. Arguments keep the bytes they came with.

use super::{
    answer::{self, Called, Citation, Counts, StopDetails},
    error,
};
use crate::{
    error::{Error, Result},
    ir::{Annotation, Block, Response, ToolKind},
    wire::{Memo, json::Document, read::Record},
};

/// What has been read of the content.
#[derive(Default)]
struct Content {
    blocks: Vec<Block>,
    annotations: Vec<Annotation>,
    /// Characters of text so far.
    chars: u64,
    calls: bool,
    /// The answer came as a call (rule J1).
    output: Option<String>,
}

pub(super) fn decode(body: &[u8], memo: &Memo) -> Result<Response> {
    read(body, memo).map_err(|why| match error::read_in_band(body) {
        Some(error) => error.into(),
        None => Error::BadReply { message: format!("The upstream's answer is no message: {}", why.message()) },
    })
}

fn read(body: &[u8], memo: &Memo) -> Result<Response> {
    let document = Document::parse(body)?;
    let message = Record::of(&document);
    let list = message.require("content")?;
    let mut content = Content::default();
    for (index, raw) in list.list()?.into_iter().enumerate() {
        content.read(&list.item(index, raw).record()?, memo)?;
    }
    let stop_reason = message.string("stop_reason")?;
    if stop_reason.as_deref() == Some("refusal")
        && let Some(StopDetails { explanation: Some(text) }) = message.parsed("stop_details", "an object")?
    {
        content.blocks.push(Block::Refusal { text });
    }
    let finish = answer::finish(stop_reason.as_deref(), content.calls);
    let usage: Option<Counts> = message.parsed("usage", "an object")?;
    let (blocks, annotations) = content.settle();
    Ok(Response {
        id: message.string("id")?.unwrap_or_default(),
        model: message.string("model")?.unwrap_or_default(),
        created: 0,
        blocks,
        annotations,
        logprobs: Vec::new(),
        finish,
        stop_sequence: message.string("stop_sequence")?,
        usage: usage.as_ref().map(Counts::usage),
        lost: Vec::new(),
        service_tier: usage.and_then(|counts| counts.service_tier),
    })
}

// === impl Content ===

impl Content {
    fn read(&mut self, block: &Record<'_, '_>, memo: &Memo) -> Result<()> {
        match &*block.require("type")?.str()? {
            "text" => self.text(block)?,
            "thinking" => {
                let text = block.string("thinking")?.unwrap_or_default();
                let signature = block.string("signature")?.filter(|signature| !signature.is_empty());
                self.blocks.push(Block::Reasoning { text, signature });
            }
            "redacted_thinking" => {
                self.blocks.push(Block::RedactedReasoning { data: block.require("data")?.string()? });
            }
            "tool_use" => self.tool_use(block, memo)?,
            _ => {}
        }
        Ok(())
    }

    fn text(&mut self, block: &Record<'_, '_>) -> Result<()> {
        let text = block.require("text")?.string()?;
        let citations: Vec<Citation> = block.parsed("citations", "an array")?.unwrap_or_default();
        let start = self.chars;
        self.chars += text.chars().count() as u64;
        let end = self.chars;
        let cited = citations.into_iter().filter_map(Citation::into_web);
        self.annotations.extend(cited.map(|(url, title)| Annotation { url, title, start, end }));
        if !text.is_empty() {
            self.blocks.push(Block::text(text));
        }
        Ok(())
    }

    fn tool_use(&mut self, block: &Record<'_, '_>, memo: &Memo) -> Result<()> {
        let input = block.get("input").map_or("{}", |input| input.raw().get());
        match answer::called(&block.require("name")?.str()?, memo) {
            Called::Output => self.output = Some(input.to_owned()),
            Called::Tool { name, kind } => {
                self.calls = true;
                let arguments = match kind {
                    ToolKind::Function => input.to_owned(),
                    ToolKind::Custom => answer::custom_text(input),
                };
                let id = block.require("id")?.string()?;
                self.blocks.push(Block::ToolCall { id, name, arguments, kind, cache: None });
            }
        }
        Ok(())
    }

    /// J1: where the answer came as a call, it is all the text there is.
    fn settle(mut self) -> (Vec<Block>, Vec<Annotation>) {
        if let Some(output) = self.output {
            self.blocks.retain(|block| !matches!(block, Block::Text { .. }));
            self.blocks.push(Block::text(output));
            self.annotations.clear();
        }
        (self.blocks, self.annotations)
    }
}
