//! Vendors that speak OpenAI's chat dialect and differ by data: one row of the catalogue each.
//!
//! Every rule edits only what it names (rule S2): a request that breaks none reaches the vendor
//! byte for byte, unknown fields included. What has to be left out is reported, and what changes
//! the meaning of the answer is reported as such. Deliberately absent: guesses about fields a
//! vendor silently ignores, and OpenAI's rules for sampling of reasoning models, where the
//! vendor's own 400 says it best.
//!
//! Cost: a lookup per rule in the members that are already parsed; the messages are parsed only
//! for rows with a rule about messages.

mod fields;
mod losses;
mod messages;
mod output;
mod responses;
mod tool_ids;

#[cfg(test)]
mod tests;

use std::{borrow::Cow, time::SystemTime};

use bytes::Bytes;
use http::{HeaderValue, header::AUTHORIZATION};
use secrecy::ExposeSecret;

pub use self::fields::ask_for_usage;
use self::{losses::Losses, messages::Rules};
use super::{
    Ask, Credential, EmbeddingOffer, Grant, Model, Provider,
    catalogue::{Auth, Choice, ErrorRule, ModelQuirks, Quirks, ReasoningBack, Row},
    gemini,
};
use crate::{
    call::{Dialect, ProviderSettings},
    error::{Error, Result, UpstreamError},
    wire::{
        Facts, Loss,
        count::{self, CountOffer},
        embeddings::Format,
        json::{Edits, Object},
    },
};

/// The most inputs of one request at OpenAI (API reference, "Create embeddings", read November
/// 2026), which those compatible with it are taken to share.
const OPENAI_BATCH: usize = 2048;

/// A vendor that is a row.
#[derive(Debug, Clone, Copy)]
pub struct Compatible {
    pub row: &'static Row,
}

impl Provider for Compatible {
    fn name(&self) -> &str {
        &self.row.name
    }

    fn speaks(&self, model: &str, settings: &ProviderSettings) -> &'static [Dialect] {
        self.row.dialects(model, settings)
    }

    fn reroute(&self, dialect: Dialect, model: &str, body: &Object<'_>) -> Option<Dialect> {
        let responses = self.row.responses();
        match dialect {
            Dialect::OpenAiChat => responses.is_needed(model, body).then_some(Dialect::OpenAiResponses),
            Dialect::OpenAiResponses => responses::is_better_a_chat(responses, body).then_some(Dialect::OpenAiChat),
            Dialect::OpenAiCompletions
            | Dialect::Anthropic
            | Dialect::Ollama
            | Dialect::Gemini
            | Dialect::Cohere
            | Dialect::BedrockConverse => None,
        }
    }

    fn path(&self, ask: &Ask<'_>) -> Result<Cow<'static, str>> {
        Ok(match ask.dialect {
            Dialect::OpenAiChat => self.row.chat_path.as_deref().unwrap_or("chat/completions").into(),
            Dialect::OpenAiCompletions => self.row.completions_path().into(),
            Dialect::OpenAiResponses => "responses".into(),
            Dialect::Anthropic => "messages".into(),
            Dialect::Ollama => "api/chat".into(),
            Dialect::Gemini => return gemini::path(ask.model, ask.stream),
            Dialect::Cohere => "v2/chat".into(),
            // No row of this kind speaks it.
            Dialect::BedrockConverse => "converse".into(),
        })
    }

    fn sign(&self, with: Option<&Credential>, _now: SystemTime, request: &mut http::Request<Bytes>) -> Result<()> {
        sign(self.row.auth, with, request)
    }

    fn is_bare(&self) -> bool {
        self.row.quirks.bare
    }

    fn has_custom_tools(&self) -> bool {
        self.row.quirks.custom_tools
    }

    fn reasoning_back(&self, model: &str) -> Option<ReasoningBack> {
        self.row.model_quirks(model).find_map(|quirks| quirks.reasoning_back)
    }

    fn adjusts(&self, dialect: Dialect) -> bool {
        let has_rules = || responses::has_rules(self.row.responses());
        dialect == Dialect::OpenAiChat || (dialect == Dialect::OpenAiResponses && has_rules())
    }

    fn adjust(&self, dialect: Dialect, facts: &Facts<'_>, body: &mut Edits<'_>) -> Vec<Loss> {
        match dialect {
            Dialect::OpenAiChat => adjust(self.row, facts, body),
            Dialect::OpenAiCompletions => adjust_completions(&self.row.quirks, facts, body),
            Dialect::OpenAiResponses => {
                let mut losses = Losses::default();
                responses::adjust(self.row.responses(), body, &mut losses);
                losses.into_vec()
            }
            Dialect::Anthropic | Dialect::Ollama | Dialect::Gemini | Dialect::Cohere | Dialect::BedrockConverse => {
                Vec::new()
            }
        }
    }

    fn embeddings(&self, _model: Model<'_>, _settings: &ProviderSettings) -> Option<EmbeddingOffer> {
        let quirks = &self.row.embeddings;
        (!quirks.none).then(|| EmbeddingOffer {
            format: Format::OpenAi,
            path: "embeddings".into(),
            batch: quirks.batch.unwrap_or(OPENAI_BATCH),
        })
    }

    fn adjust_embeddings(&self, body: &mut Edits<'_>) -> Vec<Loss> {
        let quirks = &self.row.embeddings;
        let mut losses = Losses::default();
        fields::drop_fields(&quirks.drop, body, &mut losses);
        fields::rename(&quirks.rename, body);
        for (field, value) in &quirks.default {
            if body.get(field).is_none() {
                body.set(field, fields::quoted(value));
            }
        }
        losses.into_vec()
    }

    fn keeps_responses(&self, body: &Object<'_>) -> bool {
        responses::are_kept(self.row.responses(), body)
    }

    fn counting(&self, model: Model<'_>, settings: &ProviderSettings) -> Option<CountOffer> {
        let is_there =
            self.row.responses().counts && self.speaks(model.base, settings).contains(&Dialect::OpenAiResponses);
        is_there.then(|| CountOffer { format: count::Format::OpenAi, path: "responses/input_tokens".into() })
    }

    fn refine(&self, error: UpstreamError) -> UpstreamError {
        refine(&self.row.errors, error)
    }
}

/// The rules in an order in which none undoes another: words before switches, top-level drops
/// before what they would hide, messages before what is put in front of them.
pub(super) fn adjust(row: &Row, facts: &Facts<'_>, body: &mut Edits<'_>) -> Vec<Loss> {
    let quirks = &row.quirks;
    let of_model: Vec<&ModelQuirks> = row.model_quirks(facts.model).collect();
    let mut losses = Losses::default();

    fields::max_tokens(quirks.max_tokens, facts.model, body);
    fields::drop_fields(&quirks.drop, body, &mut losses);
    for quirks in &of_model {
        fields::drop_fields(&quirks.drop, body, &mut losses);
        fields::values(&quirks.values, body);
    }
    let effort_off = of_model.iter().find_map(|quirks| quirks.effort_off).unwrap_or(quirks.effort_off);
    fields::effort_off(effort_off, body, &mut losses);

    fields::without_tools(body);
    let choices: Option<&[Choice]> =
        of_model.iter().map(|quirks| quirks.tool_choice.as_slice()).find(|choices| !choices.is_empty());
    fields::tool_choice(choices.unwrap_or(&quirks.tool_choice), body, &mut losses);
    if quirks.strip_strict {
        fields::strip_strict(body, &mut losses);
    }

    fields::values(&quirks.values, body);
    fields::clamp(&quirks.clamp, body, &mut losses);
    fields::rename(&quirks.rename, body);
    fields::stop(quirks, body, &mut losses);
    if quirks.logprobs_number {
        fields::logprobs_number(body);
    }
    ask_for_usage(quirks.stream_usage, facts.stream, body);

    let reasoning_back = of_model.iter().find_map(|quirks| quirks.reasoning_back);
    messages::rewrite(Rules::of(quirks, reasoning_back), body, &mut losses);
    messages::order(quirks.order, body);
    output::adjust(quirks, body, &mut losses);
    losses.into_vec()
}

/// The few rules that hold for a legacy completion as well.
fn adjust_completions(quirks: &Quirks, facts: &Facts<'_>, body: &mut Edits<'_>) -> Vec<Loss> {
    let mut losses = Losses::default();
    fields::stop(quirks, body, &mut losses);
    ask_for_usage(quirks.stream_usage, facts.stream, body);
    losses.into_vec()
}

/// Puts the key where the vendor looks for it. The header is marked so that nothing prints it.
pub(super) fn sign(auth: Auth, with: Option<&Credential>, request: &mut http::Request<Bytes>) -> Result<()> {
    let Some(with) = with else { return Ok(()) };
    let secret = with.bearer()?.expose_secret();
    let unusable = |_| Error::Internal {
        message: format!("The credential `{}` holds characters that no header may carry.", with.label),
    };
    let (name, value) = match auth {
        // A token is borne, whatever the vendor's own header for keys is.
        Auth::None | Auth::XApiKey | Auth::ApiKey | Auth::XGoogApiKey if matches!(with.grant, Grant::Token(_)) => {
            (AUTHORIZATION, HeaderValue::try_from(format!("Bearer {secret}")))
        }
        Auth::None => return Ok(()),
        Auth::ApiKey => (http::HeaderName::from_static("api-key"), HeaderValue::try_from(secret)),
        Auth::Bearer => (AUTHORIZATION, HeaderValue::try_from(format!("Bearer {secret}"))),
        Auth::XApiKey => (http::HeaderName::from_static("x-api-key"), HeaderValue::try_from(secret)),
        Auth::XGoogApiKey => (http::HeaderName::from_static("x-goog-api-key"), HeaderValue::try_from(secret)),
    };
    let mut value = value.map_err(unusable)?;
    value.set_sensitive(true);
    request.headers_mut().insert(name, value);
    Ok(())
}

/// Classes an error by the first rule that fits.
pub(super) fn refine(rules: &[ErrorRule], mut error: UpstreamError) -> UpstreamError {
    if let Some(rule) = rules.iter().find(|rule| rule.fits(&error)) {
        error.class = rule.class;
    }
    error
}

// === impl ErrorRule ===

impl ErrorRule {
    fn fits(&self, error: &UpstreamError) -> bool {
        let holds = |words: &[String], word: &Option<String>| {
            words.is_empty() || word.as_ref().is_some_and(|word| words.contains(word))
        };
        self.status.is_none_or(|status| error.status.as_u16() == status)
            && holds(&self.codes, &error.code)
            && holds(&self.types, &error.kind)
            && (self.says.is_empty() || {
                let message = error.message.to_ascii_lowercase();
                self.says.iter().any(|text| message.contains(text))
            })
    }
}
