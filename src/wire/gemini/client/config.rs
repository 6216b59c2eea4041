//! `generationConfig`: how tokens are drawn, in what shape to answer, how much to think.
//!
//! | `thinkingConfig` | canonical |
//! |---|---|
//! | `thinkingLevel` | the effort of that name |
//! | `thinkingBudget` | the budget; 0 is effort `none` |
//! | a budget of -1, which leaves it to the model, or `includeThoughts` alone | thoughts are welcome |
//!
//! Whether thoughts are shown is the answer's business ([`super::speech`]).
//!
//! Source: "GenerationConfig", "Structured output" and "Thinking" (ai.google.dev, read November 2026).

use serde_json::value::RawValue;

use super::{
    fields::{Extra, Fields, texts},
    schema::{self, Objects},
    wrapped::{self, Unwrap},
};
use crate::{
    error::{Error, Result},
    ir::{Effort, Output, Reasoning, Request, Sampling},
    wire::{
        json::Document,
        read::{Node, Shape},
        tight::takes_strict,
    },
};

const PATH: &str = "generationConfig";
const KNOWN: &[&str] = &[
    "temperature",
    "topP",
    "topK",
    "maxOutputTokens",
    "stopSequences",
    "candidateCount",
    "seed",
    "presencePenalty",
    "frequencyPenalty",
    "responseLogprobs",
    "logprobs",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "responseModalities",
    "thinkingConfig",
];
/// The schema's name, which other dialects demand and this one does not have.
const SCHEMA_NAME: &str = "response";
const MEDIA_TYPES: &[&str] = &["text/plain", "application/json", "text/x.enum"];
const MODALITIES: &[&str] = &["TEXT", "IMAGE"];
const LEVELS: &[&str] = &["minimal", "low", "medium", "high", "xhigh"];

pub(super) fn decode(config: &Fields<'_, '_>, request: &mut Request, extra: &mut Extra) -> Result<()> {
    config.note(PATH, KNOWN, extra);
    let logprobs = config.bool("responseLogprobs")?.unwrap_or(false);
    request.max_tokens = config.count("maxOutputTokens")?;
    request.stop = config.get("stopSequences").map_or(Ok(Vec::new()), |node| texts(&node))?;
    request.sampling = Sampling {
        temperature: config.number("temperature")?,
        top_p: config.number("topP")?,
        // SDKs write it as a number with a fraction.
        top_k: config.number("topK")?.filter(|number| *number >= 0.0).map(|number| number as u64),
        seed: config.get("seed").map(|node| node.signed()).transpose()?,
        presence_penalty: config.number("presencePenalty")?,
        frequency_penalty: config.number("frequencyPenalty")?,
        n: config.count("candidateCount")?,
        logprobs,
        top_logprobs: config.count("logprobs")?.filter(|_| logprobs),
    };
    request.output = output(config)?;
    modalities(config, extra)?;
    if let Some(node) = config.get("thinkingConfig") {
        let thinking = Fields::of(&node)?;
        request.reasoning = reasoning(&thinking, extra)?;
        let leaves_it = thinking.get("thinkingBudget").is_some() && request.reasoning == Reasoning::default();
        request.thoughts_welcome = leaves_it || thinking.bool("includeThoughts")? == Some(true);
    }
    Ok(())
}

/// What of a request decides how its answer is written.
#[derive(Debug, Default)]
pub(super) struct Manner {
    /// The client wants to see the model's thoughts.
    pub shows_thoughts: bool,
    /// The answer comes within an object.
    pub unwrap: Option<Unwrap>,
}

// === impl Manner ===

impl Manner {
    /// A request that cannot be read has been refused before it got an answer.
    pub(super) fn of(body: &[u8]) -> Self {
        Self::read(body).unwrap_or_default()
    }

    fn read(body: &[u8]) -> Option<Self> {
        let document = Document::parse(body).ok()?;
        let root = Fields::root(&document);
        let config = root.get("generationConfig")?;
        let config = Fields::of(&config).ok()?;
        let shows = |node: Node<'_, '_>| Fields::of(&node).ok()?.bool("includeThoughts").ok()?;
        let schema = schema(&config).ok()?;
        let is_wrapped = schema.is_some_and(|schema| wrapped::wrap(&schema).is_some());
        let is_word = media(&config).ok()? == Media::Word;
        Some(Self {
            shows_thoughts: config.get("thinkingConfig").and_then(shows).unwrap_or(false),
            unwrap: is_wrapped.then(|| Unwrap::new(is_word)),
        })
    }
}

/// The shape of the answer, and how it comes back.
fn output(config: &Fields<'_, '_>) -> Result<Output> {
    let Some(schema) = schema(config)? else {
        return Ok(if media(config)? == Media::Json { Output::JsonObject } else { Output::Text });
    };
    media(config)?;
    let schema = wrapped::wrap(&schema).unwrap_or(schema);
    // Google wants the media type beside the schema; who gives only the schema means it all the same.
    let strict = takes_strict(&schema).then_some(true);
    Ok(Output::JsonSchema { name: SCHEMA_NAME.into(), description: None, schema, strict })
}

fn schema(config: &Fields<'_, '_>) -> Result<Option<Box<RawValue>>> {
    match (config.get("responseJsonSchema"), config.get("responseSchema")) {
        (Some(node), _) if node.shape() == Shape::Object => Ok(Some(node.raw().to_owned())),
        (Some(node), _) => Err(node.mistyped("an object")),
        (None, Some(node)) => schema::convert(&node, Objects::Closed).map(Some),
        (None, None) => Ok(None),
    }
}

/// What the answer's text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Media {
    Text,
    Json,
    /// A word that a schema allows, without quotes.
    Word,
}

fn media(config: &Fields<'_, '_>) -> Result<Media> {
    let Some(node) = config.get("responseMimeType") else { return Ok(Media::Text) };
    match &*node.str()? {
        "" | "text/plain" => Ok(Media::Text),
        "application/json" => Ok(Media::Json),
        "text/x.enum" => Ok(Media::Word),
        other => Err(node.path().unsupported(other, MEDIA_TYPES)),
    }
}

/// What the answer may be made of, in OpenAI's word. Sound has no way back.
fn modalities(config: &Fields<'_, '_>, extra: &mut Extra) -> Result<()> {
    let Some(node) = config.get("responseModalities") else { return Ok(()) };
    let asked: Vec<String> = texts(&node)?.into_iter().map(|word| word.to_ascii_uppercase()).collect();
    if let Some(other) = asked.iter().find(|word| !MODALITIES.contains(&word.as_str())) {
        return Err(node.path().unsupported(other, MODALITIES));
    }
    if asked.iter().any(|word| word == "IMAGE") {
        let asked: Vec<String> = asked.into_iter().map(|word| word.to_ascii_lowercase()).collect();
        extra.extend(serde_json::value::to_raw_value(&asked).ok().map(|asked| ("modalities".to_owned(), asked)));
    }
    Ok(())
}

fn reasoning(config: &Fields<'_, '_>, extra: &mut Extra) -> Result<Reasoning> {
    config.note("generationConfig.thinkingConfig", &["includeThoughts", "thinkingBudget", "thinkingLevel"], extra);
    let (budget, level) = (config.get("thinkingBudget"), config.word("thinkingLevel")?);
    if let (Some(budget), Some(_)) = (&budget, &level) {
        let message = "`thinkingBudget` and `thinkingLevel` cannot be set both.";
        return Err(Error::invalid(message, budget.path().to_string(), "invalid_value"));
    }
    let of = |effort| Reasoning { effort: Some(effort), budget_tokens: None };
    if let Some(level) = level.map(|level| level.to_ascii_lowercase()) {
        let effort = Effort::parse(level.strip_prefix("thinking_level_").unwrap_or(&level));
        return effort.map(of).ok_or_else(|| config.path().unsupported(&level, LEVELS));
    }
    match budget.map(|node| signed(&node)).transpose()? {
        Some(0) => Ok(of(Effort::None)),
        Some(budget) => match u64::try_from(budget) {
            Ok(tokens) => Ok(Reasoning { effort: None, budget_tokens: Some(tokens) }),
            Err(_) => Ok(Reasoning::default()),
        },
        None => Ok(Reasoning::default()),
    }
}

fn signed(node: &Node<'_, '_>) -> Result<i64> {
    match node.shape() {
        Shape::String => node.str()?.parse().map_err(|_| node.mistyped("an integer")),
        Shape::Null | Shape::Bool | Shape::Number | Shape::Array | Shape::Object => node.signed(),
    }
}
