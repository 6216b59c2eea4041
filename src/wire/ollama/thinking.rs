//! How much to think, as `think` says it.
//!
//! | effort | `think` | gpt-oss |
//! |---|---|---|
//! | none | `false` | `low`, reported: it cannot be switched off |
//! | minimal, low | `low` | `low` |
//! | medium | `medium` | `medium` |
//! | high | `high` | `high` |
//! | xhigh, max | `max` | `high`, all it has |
//!
//! A model that thinks either way takes a level for `true`; one that cannot think at all answers
//! anything but `false` with a 400, which reaches the client as it came (rule R5). Without a word
//! from the client nothing is sent, and the server thinks where the model can. Source: `ThinkValue` in
//! `api/types.go` and the server's OpenAI layer (ollama/ollama, read November 2026).

use super::body::Think;
use crate::{
    ir::{self, Effort},
    wire::losses::Losses,
};

pub(super) fn think<'a>(request: &'a ir::Request, model: &str, losses: &mut Losses) -> Option<Think<'a>> {
    if let Some(raw) = request.extra_field("think") {
        return Some(Think::Raw(raw));
    }
    let effort = request.reasoning.effort.or(request.reasoning.budget_tokens.map(usual))?;
    let has_max = !is_gpt_oss(model);
    Some(match effort {
        Effort::None if is_gpt_oss(model) => {
            losses.hint("reasoning_effort");
            Think::Level("low")
        }
        Effort::None => Think::Switch(false),
        Effort::Minimal | Effort::Low => Think::Level("low"),
        Effort::Medium => Think::Level("medium"),
        Effort::Xhigh | Effort::Max if has_max => Think::Level("max"),
        Effort::High | Effort::Xhigh | Effort::Max => Think::Level("high"),
    })
}

/// The effort a budget is usual for; the server counts none.
fn usual(budget: u64) -> Effort {
    match budget {
        0 => Effort::None,
        1..=2048 => Effort::Low,
        2049..=8192 => Effort::Medium,
        _ => Effort::High,
    }
}

/// The name stands after a namespace, as in `hf.co/org/gpt-oss-20b-GGUF`, or alone.
fn is_gpt_oss(model: &str) -> bool {
    model.rsplit('/').next().is_some_and(|name| name.starts_with("gpt-oss"))
}
