//! What the built-in model says: a pure function of the question.

use std::fmt::Write as _;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    MAX_TOKENS,
    directives::{Directives, TABLE},
    request::{Asked, Choice, Output, Tool, Turn},
    schema,
};

/// Calls in one turn.
const MOST_CALLS: usize = 16;
/// A longer word is several tokens.
const LONGEST_PIECE: usize = 12;
/// What a message costs beside its text.
const TOKENS_PER_MESSAGE: usize = 3;

/// One answer; every choice of it is the same.
#[derive(Debug)]
pub(super) struct Reply {
    /// The text, token by token. Empty when there are calls.
    pub(super) text: Vec<String>,
    pub(super) calls: Vec<ToolCall>,
    pub(super) finish: &'static str,
    pub(super) prompt_tokens: usize,
}

#[derive(Debug)]
pub(super) struct ToolCall {
    pub(super) id: String,
    pub(super) name: String,
    /// Takes plain text in place of JSON.
    pub(super) custom: bool,
    /// The arguments, token by token.
    pub(super) input: Vec<String>,
}

impl Reply {
    /// Completion tokens of one choice.
    pub(super) fn tokens(&self) -> usize {
        self.text.len() + self.calls.iter().map(|call| call.input.len()).sum::<usize>()
    }
}

/// Decides on the answer. `id` makes the ids of calls unlike those of other answers.
pub(super) fn plan(asked: &Asked, directives: &Directives, id: &str) -> Reply {
    let prompt_tokens = asked.turns.iter().map(|turn| TOKENS_PER_MESSAGE + pieces(&turn.text).count()).sum();
    let calls = calls(asked, id);
    let limit = asked.max_tokens.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(MAX_TOKENS).min(MAX_TOKENS);
    let mut reply = if calls.is_empty() {
        let text = stopped(text(asked, directives), &asked.stop);
        Reply { text: pieces(&text).take(limit + 1).map(Into::into).collect(), calls, finish: "stop", prompt_tokens }
    } else {
        Reply { text: Vec::new(), calls, finish: "tool_calls", prompt_tokens }
    };
    if reply.tokens() > limit {
        shorten(&mut reply, limit);
        reply.finish = "length";
    }
    reply
}

fn shorten(reply: &mut Reply, limit: usize) {
    reply.text.truncate(limit);
    let mut left = limit;
    reply.calls.retain_mut(|call| {
        let begun = left > 0;
        call.input.truncate(left);
        left -= call.input.len();
        begun
    });
}

// === tools ===

fn calls(asked: &Asked, id: &str) -> Vec<ToolCall> {
    // A result is answered in words, even where a call is demanded: else a loop would never end.
    if asked.turns.last().is_some_and(|turn| turn.role == "tool") {
        return Vec::new();
    }
    let named = named(asked);
    let chosen = match &asked.choice {
        Choice::None => Vec::new(),
        Choice::Auto => named,
        Choice::Required if named.is_empty() => asked.tools.iter().take(1).collect(),
        Choice::Required => named,
        Choice::Named(name) => asked.tools.iter().filter(|tool| tool.name == *name).take(1).collect(),
    };
    let most = if asked.parallel { MOST_CALLS } else { 1 };
    chosen.into_iter().take(most).enumerate().map(|(index, tool)| call(asked, tool, id, index)).collect()
}

/// The tools the prompt names after the word "call", in the order it names them.
fn named(asked: &Asked) -> Vec<&Tool> {
    let mut calling = false;
    let mut found = Vec::new();
    for word in asked.prompt.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))) {
        let word = word.trim_matches('.');
        if let Some(tool) = asked.tools.iter().find(|tool| calling && tool.name == word) {
            found.push(tool);
        }
        calling |= word.eq_ignore_ascii_case("call");
    }
    found
}

fn call(asked: &Asked, tool: &Tool, id: &str, index: usize) -> ToolCall {
    let input = match &tool.schema {
        Some(schema) => arguments(schema).to_string(),
        None => asked.prompt.clone(),
    };
    ToolCall {
        id: call_id(id, index),
        name: tool.name.clone(),
        custom: tool.schema.is_none(),
        input: pieces(&input).map(Into::into).collect(),
    }
}

/// Arguments are always an object (rule T1).
fn arguments(schema: &Value) -> Value {
    let value = schema::fill(schema);
    if value.is_object() { value } else { json!({}) }
}

fn call_id(id: &str, index: usize) -> String {
    let digest = Sha256::digest(format!("{id}/{index}"));
    digest.iter().take(12).fold(String::from("call_"), |mut out, byte| {
        // Writing to a string does not fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

// === text ===

fn text(asked: &Asked, directives: &Directives) -> String {
    if asked.turns.last().is_some_and(|turn| turn.role == "tool") {
        return quote_results(&asked.turns);
    }
    match &asked.output {
        Output::JsonSchema(schema) => schema::fill(schema).to_string(),
        Output::JsonObject => json!({"echo": asked.prompt}).to_string(),
        Output::Text => match directives.words {
            Some(count) => words(&asked.prompt, count),
            None if asked.prompt.is_empty() || asked.prompt.eq_ignore_ascii_case("help") => help(),
            None => asked.prompt.clone(),
        },
    }
}

/// A sentence for each result at the end of the conversation.
fn quote_results(turns: &[Turn]) -> String {
    let first = turns.iter().rposition(|turn| turn.role != "tool").map_or(0, |index| index + 1);
    let results = turns.iter().skip(first);
    let sentences: Vec<String> = results
        .map(|result| {
            let calls = turns.iter().rev().flat_map(|turn| &turn.calls);
            let name = calls.into_iter().find(|(id, _)| *id == result.call_id).map_or("A tool", |(_, name)| name);
            format!("{name} answered: {}", result.text)
        })
        .collect();
    sentences.join("\n")
}

/// The prompt's words over and over, `count` in all.
fn words(prompt: &str, count: usize) -> String {
    let source = if prompt.is_empty() { "echo" } else { prompt };
    source.split_whitespace().cycle().take(count).collect::<Vec<_>>().join(" ")
}

/// What can be asked for, in the model's own words.
pub(super) fn help() -> String {
    let mut out = String::from(
        "I am builtin/echo, a model without a mind: I repeat the last user message. \
         Offer me tools and write `call NAME` to have one called; give me a JSON schema and I fill it. \
         These directives anywhere in the last user message change how I answer:\n",
    );
    for (example, meaning) in TABLE {
        // Writing to a string does not fail.
        let _ = writeln!(out, "[[{example}]] {meaning}");
    }
    out.trim_end().into()
}

/// The text up to the first stop text.
fn stopped(mut text: String, stop: &[String]) -> String {
    let stops = stop.iter().filter(|stop| !stop.is_empty());
    if let Some(end) = stops.filter_map(|stop| text.find(stop.as_str())).min() {
        text.truncate(end);
    }
    text
}

/// The text in tokens: a word with the white space before it, long words in several pieces.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let word = rest.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len());
        let (_, tail) = rest.split_at_checked(word)?;
        let length = tail
            .char_indices()
            .enumerate()
            .find(|(count, (_, c))| *count == LONGEST_PIECE || c.is_whitespace())
            .map_or(tail.len(), |(_, (index, _))| index);
        let (piece, after) = rest.split_at_checked(word + length)?;
        rest = after;
        Some(piece)
    })
}
