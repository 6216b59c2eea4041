//! What each line of models takes: the capability table.
//!
//! A request that one line serves is a 400 on the next, so the encoder asks here instead of
//! knowing versions. Ids are read leniently (`claude-sonnet-4-5-20250929`,
//! `us.anthropic.claude-opus-4-6-v1:0`, `anthropic/claude-opus-5.5`). A Claude nobody has heard of
//! is taken for the newest line; a model of another name stands behind somebody's
//! Messages-compatible endpoint and is taken for the oldest.
//!
//! Sources: the vendor's model migration guides, "Extended thinking", "Adaptive thinking",
//! "Effort", "Structured outputs" and "Mid-conversation system messages" (platform.claude.com/docs,
//! read November 2026).

use std::borrow::Cow;

use crate::ir::Effort;

/// What one model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Model {
    /// Answered by the vendor's own models, and so by its newest API version.
    pub claude: bool,
    pub thinking: Thinking,
    pub rest: Rest,
    /// `temperature`, `top_p`, `top_k`.
    pub sampling: bool,
    /// `temperature` and `top_p` exclude one another.
    pub one_sampler: bool,
    /// `tool_choice` `any` and `tool`.
    pub forced_choice: bool,
    /// `output_config.format` and strict tools.
    pub structured: bool,
    /// `role: "system"` within `messages`.
    pub mid_system: bool,
    /// The highest effort but `max`.
    pub top_effort: Effort,
    /// The longest tool name.
    pub name_limit: usize,
    /// `max_tokens` when neither the client nor the catalogue names one.
    pub max_output: u64,
}

/// How thinking is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thinking {
    /// `enabled` with a budget in tokens.
    Budget,
    /// `adaptive`, steered by `output_config.effort`.
    Adaptive,
}

/// What "do not think" is spelled like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// `disabled`.
    Disabled,
    /// `between_tools`: not before the answer, but between tool calls.
    BetweenTools,
    /// It cannot be stopped; the lowest effort is the nearest.
    Never,
}

const OLD: Model = Model {
    claude: true,
    thinking: Thinking::Budget,
    rest: Rest::Disabled,
    sampling: true,
    one_sampler: false,
    forced_choice: true,
    structured: false,
    mid_system: false,
    top_effort: Effort::High,
    name_limit: 64,
    max_output: 4096,
};

const FOUR_FIVE: Model = Model { one_sampler: true, structured: true, name_limit: 128, max_output: 64_000, ..OLD };
const FOUR_SIX: Model = Model { thinking: Thinking::Adaptive, ..FOUR_FIVE };
const FOUR_SEVEN: Model = Model { sampling: false, top_effort: Effort::Xhigh, max_output: 128_000, ..FOUR_SIX };
const FOUR_EIGHT: Model = Model { mid_system: true, ..FOUR_SEVEN };
const NEWEST: Model = Model { rest: Rest::Never, forced_choice: false, ..FOUR_EIGHT };

/// The line a model id belongs to.
pub fn model(id: &str) -> Model {
    let is_lower = !id.bytes().any(|byte| byte.is_ascii_uppercase());
    let id = if is_lower { Cow::Borrowed(id) } else { Cow::Owned(id.to_ascii_lowercase()) };
    let Some(at) = id.find("claude") else {
        return Model { claude: false, max_output: 8192, ..OLD };
    };
    let (family, version) = parse(id.get(at..).unwrap_or_default());
    match (family, version) {
        (_, Some((..=2, _))) => OLD,
        (_, Some((3, 7))) => Model { max_output: 64_000, ..OLD },
        (_, Some((3, 5..))) => Model { max_output: 8192, ..OLD },
        (_, Some((3, _))) => OLD,
        ("opus", Some((4, 0))) => Model { max_output: 32_000, ..OLD },
        ("opus", Some((4, 1))) => Model { one_sampler: true, max_output: 32_000, ..OLD },
        (_, Some((4, ..=4))) => Model { max_output: 64_000, ..OLD },
        (_, Some((4, 5))) => FOUR_FIVE,
        ("opus", Some((4, 6))) => Model { max_output: 128_000, ..FOUR_SIX },
        (_, Some((4, 6))) => FOUR_SIX,
        (_, Some((4, 7))) => FOUR_SEVEN,
        (_, Some((4, _))) => FOUR_EIGHT,
        ("sonnet", Some((5, ..=4))) => FOUR_SEVEN,
        ("opus", Some((5, ..=4))) => FOUR_EIGHT,
        ("haiku", Some((5, _))) => FOUR_EIGHT,
        ("sonnet", Some((5, _))) => Model { rest: Rest::BetweenTools, ..NEWEST },
        ("opus" | "fable" | "mythos", Some((5, _))) => NEWEST,
        _ => Model { max_output: 64_000, ..NEWEST },
    }
}

/// Family and version of what follows the vendor's prefix: `claude-3-5-sonnet-20241022` as well as
/// `claude-opus-4-8@latest`. Dates and revisions are told from versions by their length.
fn parse(id: &str) -> (&str, Option<(u32, u32)>) {
    let mut family = "";
    let (mut major, mut minor) = (None, None);
    let is_separator = |c: char| matches!(c, '-' | '.' | '@' | ':' | '_' | '/');
    for part in id.split(is_separator).skip(1) {
        let number = part.parse::<u32>().ok().filter(|_| part.len() <= 2);
        match (number, major, minor) {
            (Some(_), None, _) => major = number,
            (Some(_), Some(_), None) => minor = number,
            (None, ..) if family.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphabetic()) => family = part,
            (Some(_) | None, ..) => break,
        }
    }
    (family, major.map(|major| (major, minor.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_in_every_spelling() {
        for (id, expected) in [
            ("claude-3-5-sonnet-20241022", ("sonnet", Some((3, 5)))),
            ("claude-3-opus-latest", ("opus", Some((3, 0)))),
            ("claude-sonnet-4-20250514", ("sonnet", Some((4, 0)))),
            ("claude-sonnet-4-5-20250929", ("sonnet", Some((4, 5)))),
            ("claude-opus-4-6-v1:0", ("opus", Some((4, 6)))),
            ("claude-opus-5.5", ("opus", Some((5, 5)))),
            ("claude-haiku-5-5@20260922", ("haiku", Some((5, 5)))),
            ("claude-2.1", ("", Some((2, 1)))),
            ("claude-next", ("next", None)),
            ("claude", ("", None)),
        ] {
            assert_eq!(parse(id), expected, "{id}");
        }
    }

    /// The vendor's table, line by line.
    #[test]
    fn every_line_has_its_rules() {
        let brief = |id: &str| {
            let model = model(id);
            (model.thinking, model.rest, model.sampling, model.forced_choice, model.structured, model.mid_system)
        };
        use {Rest::*, Thinking::*};
        for (id, expected) in [
            ("claude-opus-4-1", (Budget, Disabled, true, true, false, false)),
            ("claude-haiku-4-5", (Budget, Disabled, true, true, true, false)),
            ("us.anthropic.claude-sonnet-4-6", (Adaptive, Disabled, true, true, true, false)),
            ("claude-opus-4-7", (Adaptive, Disabled, false, true, true, false)),
            ("claude-opus-4-8", (Adaptive, Disabled, false, true, true, true)),
            ("claude-sonnet-5", (Adaptive, Disabled, false, true, true, false)),
            ("claude-opus-5", (Adaptive, Disabled, false, true, true, true)),
            ("claude-haiku-5-5", (Adaptive, Disabled, false, true, true, true)),
            ("claude-sonnet-5-5", (Adaptive, BetweenTools, false, false, true, true)),
            ("claude-opus-5-5", (Adaptive, Never, false, false, true, true)),
            ("claude-fable-5-1", (Adaptive, Never, false, false, true, true)),
            ("claude-unheard-of-9", (Adaptive, Never, false, false, true, true)),
            ("MiniMax-M3", (Budget, Disabled, true, true, false, false)),
        ] {
            assert_eq!(brief(id), expected, "{id}");
        }
        assert!(!model("MiniMax-M3").claude);
    }
}
