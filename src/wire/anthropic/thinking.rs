//! How much to think: effort and budgets as the model's line takes them, and the room `max_tokens`
//! must leave for it.
//!
//! | effort | budget lines (up to 4.5) | adaptive lines (4.6 and newer) |
//! |---|---|---|
//! | none | `disabled` | `disabled`, `between_tools` or, where thinking never stops, effort `low` |
//! | minimal | 1,024 | `low` |
//! | low | 2,048 | `low` |
//! | medium | 8,192 | `medium` |
//! | high | 16,384 | `high` |
//! | xhigh | 24,576 | `xhigh`, on 4.6 `high` |
//! | max | 32,000 | `max` |
//!
//! A budget the client named itself goes the other way by the same figures. Thinking with a budget
//! excludes a forced tool call, and needs its own blocks back in an open tool turn; where either
//! stands against it, it is switched off and reported. Source: "Extended thinking" and "Effort" of
//! the vendor's docs (platform.claude.com/docs, read November 2026).

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    body::{Thinking, ThinkingKind},
    models::{self, Model, Rest},
};
use crate::{
    ir::{Effort, Reasoning},
    wire::losses::Losses,
};

/// The vendor's smallest budget.
const LEAST: u64 = 1024;

/// What is asked of the model.
#[derive(Debug, Default)]
pub(crate) struct Plan<'a> {
    pub thinking: Option<Thinking<'a>>,
    pub effort: Option<&'static str>,
    pub max_tokens: u64,
}

/// What else in the request bears on thinking.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Around {
    /// A tool call is forced.
    pub forced: bool,
    /// The last turn's tool calls came without the thinking that led to them.
    pub bare_tool_turn: bool,
    /// The asked `max_tokens`.
    pub asked: Option<u64>,
    /// The largest `max_tokens` of the model.
    pub limit: u64,
}

#[derive(Deserialize)]
struct Given {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    budget_tokens: u64,
}

// === impl Plan ===

impl<'a> Plan<'a> {
    pub(crate) fn new(reasoning: &Reasoning, model: &Model, around: Around, losses: &mut Losses) -> Self {
        let asked_nothing = *reasoning == Reasoning::default();
        match model.thinking {
            _ if asked_nothing => Self::silent(around),
            models::Thinking::Adaptive => Self::adaptive(reasoning, model, around, losses),
            models::Thinking::Budget => Self::budget(reasoning, around, losses),
        }
    }

    /// The client wrote Anthropic's own `thinking`: it passes as it is.
    pub(crate) fn given(raw: &'a RawValue, around: Around, losses: &mut Losses) -> Self {
        let given = serde_json::from_str::<Given>(raw.get()).ok().filter(|given| given.kind == "enabled");
        if given.is_some() && around.forced {
            losses.meaning("tool_choice");
        }
        let asked = around.max_tokens();
        let max_tokens = match given {
            Some(given) if asked <= given.budget_tokens => given.budget_tokens.saturating_add(asked),
            Some(_) | None => asked,
        };
        Self { thinking: Some(Thinking::Raw(raw)), effort: None, max_tokens }
    }

    /// Whether the answer is thought about, as far as the request says.
    pub(crate) fn thinks(&self) -> bool {
        match &self.thinking {
            None => false,
            Some(Thinking::Raw(raw)) => {
                !serde_json::from_str::<Given>(raw.get()).is_ok_and(|given| given.kind == "disabled")
            }
            Some(Thinking::Set(ThinkingKind::Disabled)) => false,
            Some(Thinking::Set(
                ThinkingKind::Enabled { .. } | ThinkingKind::Adaptive { .. } | ThinkingKind::BetweenTools,
            )) => true,
        }
    }

    fn silent(around: Around) -> Self {
        Self { max_tokens: around.max_tokens(), ..Self::default() }
    }

    fn set(kind: ThinkingKind, max_tokens: u64) -> Self {
        Self { thinking: Some(Thinking::Set(kind)), effort: None, max_tokens }
    }

    fn adaptive(reasoning: &Reasoning, model: &Model, around: Around, losses: &mut Losses) -> Self {
        let effort = reasoning.effort.unwrap_or_else(|| effort_of(reasoning.budget_tokens.unwrap_or_default()));
        let max_tokens = around.max_tokens();
        // Else the newer lines leave the text of their thinking out, and the client who asked for
        // effort would wait through a silence.
        let adaptive = ThinkingKind::Adaptive { display: "summarized" };
        if effort > Effort::None {
            return Self { effort: Some(effort_name(effort, model)), ..Self::set(adaptive, max_tokens) };
        }
        match model.rest {
            Rest::Disabled => Self::set(ThinkingKind::Disabled, max_tokens),
            Rest::BetweenTools => Self::set(ThinkingKind::BetweenTools, max_tokens),
            Rest::Never => {
                losses.hint("reasoning_effort");
                Self { effort: Some("low"), max_tokens, ..Self::default() }
            }
        }
    }

    fn budget(reasoning: &Reasoning, around: Around, losses: &mut Losses) -> Self {
        let asked = around.max_tokens();
        let budget = match (reasoning.budget_tokens, reasoning.effort) {
            (_, Some(Effort::None)) | (Some(0), _) => return Self::set(ThinkingKind::Disabled, asked),
            (Some(tokens), _) => tokens.max(LEAST),
            (None, effort) => budget_of(effort.unwrap_or(Effort::Medium)),
        };
        let (budget, max_tokens) = fit(budget, asked, around.limit.max(asked));
        if around.forced || around.bare_tool_turn || max_tokens <= budget {
            losses.hint("reasoning_effort");
            return Self::set(ThinkingKind::Disabled, asked);
        }
        Self::set(ThinkingKind::Enabled { budget_tokens: budget }, max_tokens)
    }
}

// === impl Around ===

impl Around {
    fn max_tokens(&self) -> u64 {
        self.asked.unwrap_or(self.limit)
    }
}

/// A6: the answer keeps the room that was asked for it; where the model's limit forbids that, the
/// budget gives way.
fn fit(budget: u64, asked: u64, limit: u64) -> (u64, u64) {
    if asked > budget {
        return (budget, asked);
    }
    let max_tokens = asked.saturating_add(budget).min(limit);
    if max_tokens > budget { (budget, max_tokens) } else { ((max_tokens / 2).max(LEAST), max_tokens) }
}

fn budget_of(effort: Effort) -> u64 {
    match effort {
        Effort::None => 0,
        Effort::Minimal => LEAST,
        Effort::Low => 2048,
        Effort::Medium => 8192,
        Effort::High => 16_384,
        Effort::Xhigh => 24_576,
        Effort::Max => 32_000,
    }
}

fn effort_of(budget: u64) -> Effort {
    match budget {
        0 => Effort::None,
        1..=2048 => Effort::Low,
        2049..=8192 => Effort::Medium,
        8193..=16_384 => Effort::High,
        _ => Effort::Xhigh,
    }
}

fn effort_name(effort: Effort, model: &Model) -> &'static str {
    if effort == Effort::Max { effort.as_str() } else { effort.clamp(Effort::Low, model.top_effort).as_str() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AROUND: Around = Around { forced: false, bare_tool_turn: false, asked: Some(1000), limit: 64_000 };

    fn plan(id: &str, effort: Effort, around: Around) -> (String, u64, usize) {
        let mut losses = Losses::default();
        let reasoning = Reasoning { effort: Some(effort), budget_tokens: None };
        let plan = Plan::new(&reasoning, &models::model(id), around, &mut losses);
        let thinking = plan.thinking.map(|thinking| serde_json::to_string(&thinking).unwrap()).unwrap_or_default();
        (format!("{thinking} {}", plan.effort.unwrap_or("-")), plan.max_tokens, losses.into_vec().len())
    }

    /// R5: every effort reaches every line, or its loss is reported.
    #[test]
    fn effort_is_spelled_as_the_line_takes_it() {
        let summarized = r#"{"type":"adaptive","display":"summarized"}"#;
        for (id, effort, thinking, losses) in [
            ("claude-haiku-4-5", Effort::Low, r#"{"type":"enabled","budget_tokens":2048} -"#.to_owned(), 0),
            ("claude-haiku-4-5", Effort::None, r#"{"type":"disabled"} -"#.to_owned(), 0),
            ("claude-opus-4-6", Effort::Minimal, format!("{summarized} low"), 0),
            ("claude-opus-4-6", Effort::Xhigh, format!("{summarized} high"), 0),
            ("claude-opus-4-8", Effort::Xhigh, format!("{summarized} xhigh"), 0),
            ("claude-opus-4-8", Effort::Max, format!("{summarized} max"), 0),
            ("claude-opus-5", Effort::None, r#"{"type":"disabled"} -"#.to_owned(), 0),
            ("claude-sonnet-5-5", Effort::None, r#"{"type":"between_tools"} -"#.to_owned(), 0),
            ("claude-opus-5-5", Effort::None, " low".to_owned(), 1),
        ] {
            let (got, _, lost) = plan(id, effort, AROUND);
            assert_eq!((got, lost), (thinking, losses), "{id} {effort:?}");
        }
    }

    /// A6: the answer has room beside the budget, and the model's limit is kept.
    #[test]
    fn max_tokens_stands_above_the_budget() {
        assert_eq!(plan("claude-haiku-4-5", Effort::Medium, AROUND).1, 9192);
        assert_eq!(plan("claude-haiku-4-5", Effort::Medium, Around { asked: Some(9000), ..AROUND }).1, 9000);
        assert_eq!(plan("claude-haiku-4-5", Effort::Medium, Around { asked: None, ..AROUND }).1, 64_000);
        let small = Around { asked: None, limit: 4096, ..AROUND };
        assert_eq!(
            plan("claude-haiku-4-5", Effort::Max, small),
            (r#"{"type":"enabled","budget_tokens":2048} -"#.into(), 4096, 0)
        );
        let tiny = Around { asked: Some(10), limit: 1000, ..AROUND };
        assert_eq!(plan("claude-haiku-4-5", Effort::Low, tiny), (r#"{"type":"disabled"} -"#.into(), 10, 1));
        assert_eq!(plan("claude-haiku-4-5", Effort::Max, Around { asked: Some(u64::MAX), ..AROUND }).1, u64::MAX);
    }

    /// T6: a forced call or a tool turn without its thinking switches a budget off, and says so.
    #[test]
    fn what_excludes_a_budget_switches_it_off() {
        for around in [Around { forced: true, ..AROUND }, Around { bare_tool_turn: true, ..AROUND }] {
            assert_eq!(plan("claude-haiku-4-5", Effort::High, around), (r#"{"type":"disabled"} -"#.into(), 1000, 1));
            assert_eq!(plan("claude-opus-4-7", Effort::High, around).2, 0);
        }
    }
}
