//! How much to think: efforts and budgets as the model's line takes them (rule R5).
//!
//! | effort | budget lines (2.5) | level lines (3 and newer) |
//! |---|---|---|
//! | none | 0, on Pro its least | the lowest |
//! | minimal | 1,024 | `minimal`, or the lowest |
//! | low | 1,024 | `low` |
//! | medium | 8,192 | `medium`, or `high` |
//! | high | 24,576 | `high` |
//! | xhigh, max | the most | `xhigh`, or `high` |
//!
//! The figures are those of the vendor's own OpenAI-compatible endpoint. A budget the client named
//! goes to a level by the same figures. Where thinking cannot be switched off, that is reported.
//! Whoever asks for thinking gets its summary (`includeThoughts`).
//!
//! Source: "Thinking" and "OpenAI compatibility" (ai.google.dev/gemini-api/docs, read November 2026).

use super::{
    body::{Thinking, ThinkingConfig},
    models::{self, Model},
};
use crate::{
    ir::{Effort, Reasoning},
    wire::losses::Losses,
};

pub(super) fn plan(reasoning: &Reasoning, model: &Model, losses: &mut Losses) -> Option<Thinking<'static>> {
    if *reasoning == Reasoning::default() {
        return None;
    }
    let config = match model.thinking {
        models::Thinking::Never => {
            if reasoning.effort != Some(Effort::None) {
                losses.hint("reasoning_effort");
            }
            return None;
        }
        models::Thinking::Budget { least, most, off } => {
            let budget = match wanted_budget(reasoning, most) {
                0 if off => 0,
                0 => {
                    losses.hint("reasoning_effort");
                    least
                }
                budget => budget.clamp(least, most),
            };
            ThinkingConfig {
                include_thoughts: !asks_none(reasoning),
                thinking_budget: Some(budget),
                thinking_level: None,
            }
        }
        models::Thinking::Levels(levels) => {
            if asks_none(reasoning) {
                losses.hint("reasoning_effort");
            }
            let level = level(wanted_effort(reasoning), levels);
            ThinkingConfig {
                include_thoughts: !asks_none(reasoning),
                thinking_budget: None,
                thinking_level: Some(level),
            }
        }
    };
    Some(Thinking::Set(config))
}

fn asks_none(reasoning: &Reasoning) -> bool {
    wanted_effort(reasoning) == Effort::None
}

fn wanted_budget(reasoning: &Reasoning, most: u64) -> u64 {
    match (reasoning.effort, reasoning.budget_tokens) {
        (Some(Effort::None), _) => 0,
        (_, Some(budget)) => budget,
        (Some(Effort::Minimal | Effort::Low), None) => 1024,
        (Some(Effort::Medium) | None, None) => 8192,
        (Some(Effort::High), None) => 24_576,
        (Some(Effort::Xhigh | Effort::Max), None) => most,
    }
}

fn wanted_effort(reasoning: &Reasoning) -> Effort {
    let usual = |budget| match budget {
        0 => Effort::None,
        1..=1024 => Effort::Low,
        1025..=8192 => Effort::Medium,
        _ => Effort::High,
    };
    reasoning.effort.or(reasoning.budget_tokens.map(usual)).unwrap_or(Effort::Medium)
}

/// The level itself, or the next one up; at the top the highest there is.
fn level(effort: Effort, levels: &[Effort]) -> &'static str {
    let up = levels.iter().find(|level| **level >= effort);
    up.or(levels.last()).copied().unwrap_or(Effort::High).as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(id: &str, reasoning: &Reasoning) -> (String, usize) {
        let mut losses = Losses::default();
        let plan = plan(reasoning, &models::model(id), &mut losses);
        (serde_json::to_string(&plan).unwrap(), losses.into_vec().len())
    }

    /// R5: every effort reaches every line, or its loss is reported.
    #[test]
    fn effort_is_spelled_as_the_line_takes_it() {
        let thoughts = |knob: &str| format!(r#"{{"includeThoughts":true,{knob}}}"#);
        for (id, effort, expected, losses) in [
            ("gemini-2.5-flash", Effort::None, r#"{"thinkingBudget":0}"#.into(), 0),
            ("gemini-2.5-pro", Effort::None, r#"{"thinkingBudget":128}"#.into(), 1),
            ("gemini-2.5-flash-lite", Effort::Low, thoughts(r#""thinkingBudget":1024"#), 0),
            ("gemini-2.5-pro", Effort::Medium, thoughts(r#""thinkingBudget":8192"#), 0),
            ("gemini-2.5-pro", Effort::High, thoughts(r#""thinkingBudget":24576"#), 0),
            ("gemini-2.5-pro", Effort::Max, thoughts(r#""thinkingBudget":32768"#), 0),
            ("gemini-3-pro-preview", Effort::Medium, thoughts(r#""thinkingLevel":"high""#), 0),
            ("gemini-3-pro-preview", Effort::Minimal, thoughts(r#""thinkingLevel":"low""#), 0),
            ("gemini-3-flash-preview", Effort::Minimal, thoughts(r#""thinkingLevel":"minimal""#), 0),
            ("gemini-3.8-flash", Effort::None, r#"{"thinkingLevel":"low"}"#.into(), 1),
            ("gemini-3.8-flash", Effort::Xhigh, thoughts(r#""thinkingLevel":"high""#), 0),
            ("gemini-4-hydrogen", Effort::Max, thoughts(r#""thinkingLevel":"xhigh""#), 0),
            ("gemini-2.0-flash", Effort::High, "null".into(), 1),
            ("gemini-2.0-flash", Effort::None, "null".into(), 0),
        ] {
            let reasoning = Reasoning { effort: Some(effort), budget_tokens: None };
            assert_eq!(planned(id, &reasoning), (expected, losses), "{id} {effort:?}");
        }
        assert_eq!(planned("gemini-2.5-pro", &Reasoning::default()), ("null".into(), 0));
    }

    #[test]
    fn budgets_reach_every_line() {
        for (id, budget, expected) in [
            ("gemini-2.5-pro", 50, r#"{"includeThoughts":true,"thinkingBudget":128}"#),
            ("gemini-2.5-flash", 100_000, r#"{"includeThoughts":true,"thinkingBudget":24576}"#),
            ("gemini-3.8-flash", 4096, r#"{"includeThoughts":true,"thinkingLevel":"medium"}"#),
            ("gemini-3.8-flash", 20_000, r#"{"includeThoughts":true,"thinkingLevel":"high"}"#),
        ] {
            let reasoning = Reasoning { effort: None, budget_tokens: Some(budget) };
            assert_eq!(planned(id, &reasoning), (expected.into(), 0), "{id} {budget}");
        }
    }
}
