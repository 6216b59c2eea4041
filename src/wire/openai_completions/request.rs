//! A client's legacy request, read as a chat of one user message.
//!
//! A chat can only answer a prompt, so what asks for the prompt's continuation itself is refused by
//! name: `suffix`, `echo`, `logprobs` (whose form counts the text's own tokens), `best_of` and `n`
//! above one, several prompts at once, and prompts of tokens, whose tokenizer only the client knows.
//! Their values that ask for nothing are taken.
//!
//! `max_tokens` is carried where it is given. Where it is not, OpenAI's legacy models stop at 16
//! tokens; a chat model is not made to, because one that thinks would not come to a word.

use crate::{
    error::{Error, Result},
    ir::{self, Block, Message, Role},
    wire::{
        json::Document,
        openai_chat::request::{model, stop},
        read::{Node, Record, Shape},
    },
};

/// Members that have a place in the canonical form, that are refused, or that concern only the gateway.
const KNOWN: [&str; 18] = [
    "model",
    "prompt",
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "user",
    "stream",
    "stream_options",
    "suffix",
    "echo",
    "logprobs",
    "best_of",
    "n",
];

pub(super) fn decode(body: &[u8]) -> Result<ir::Request> {
    let document = Document::parse(body)?;
    let root = Record::of(&document);
    refuse(&root)?;
    Ok(ir::Request {
        model: model(&root)?,
        messages: vec![Message::new(Role::User, vec![Block::text(prompt(&root.require("prompt")?)?)])],
        max_tokens: root.count("max_tokens")?,
        sampling: ir::Sampling {
            temperature: root.number("temperature")?,
            top_p: root.number("top_p")?,
            top_k: root.count("top_k")?,
            seed: root.get("seed").map(|node| node.signed()).transpose()?,
            presence_penalty: root.number("presence_penalty")?,
            frequency_penalty: root.number("frequency_penalty")?,
            ..ir::Sampling::default()
        },
        stop: root.get("stop").map_or(Ok(Vec::new()), |node| stop(&node))?,
        user: root.string("user")?,
        stream: root.bool("stream")?.unwrap_or(false),
        extra: root.others(&KNOWN),
        ..ir::Request::default()
    })
}

/// Refuses what no chat can answer.
fn refuse(root: &Record<'_, '_>) -> Result<()> {
    let asks = [
        ("suffix", root.string("suffix")?.is_some_and(|suffix| !suffix.is_empty())),
        ("echo", root.bool("echo")?.unwrap_or(false)),
        ("logprobs", root.get("logprobs").is_some_and(|node| node.raw().get() != "false")),
        ("best_of", root.count("best_of")?.is_some_and(|count| count > 1)),
        ("n", root.count("n")?.is_some_and(|count| count > 1)),
    ];
    match asks.into_iter().find(|(_, asked)| *asked) {
        Some((field, _)) => {
            let message =
                format!("`{field}` needs a model that has the completions endpoint itself; this one has only chat.");
            Err(Error::invalid(message, field, "unsupported_parameter"))
        }
        None => Ok(()),
    }
}

/// The prompt, alone or alone in an array.
fn prompt(node: &Node<'_, '_>) -> Result<String> {
    let expected = "a string";
    if node.shape() == Shape::String {
        return node.string();
    }
    let prompts = node.list_or(expected)?;
    match prompts.as_slice() {
        [only] if Shape::of(only.text()) == Shape::String => node.item(0, *only).string(),
        prompts => {
            let is_text = !prompts.is_empty() && prompts.iter().all(|prompt| Shape::of(prompt.text()) == Shape::String);
            let what = if is_text { "several prompts at once" } else { "a prompt that is no text" };
            let message = format!(
                "`prompt`: {what} needs a model that has the completions endpoint itself; this one has only chat."
            );
            Err(Error::invalid(message, "prompt", "invalid_value"))
        }
    }
}
