//! What the models of each vendor take through Converse: the capability table.
//!
//! The API is one, but what stands behind it is not: who takes a forced tool call, a schema for the
//! answer, a cache point or an effort differs by vendor and generation, and asking for more is a
//! 400. Ids are read with and without a region (`us.anthropic.claude-opus-4-8`), and within the ARNs
//! that hold one. Of an ARN that hides its model (an application's inference profile, a provisioned
//! model) nothing is known; it is asked for what most models take, and says itself what it refuses.
//!
//! Sources: "Supported models and model features", "ToolChoice", "Structured outputs", "Prompt
//! caching" and the pages on inference parameters (docs.aws.amazon.com/bedrock, read November
//! 2026).

use crate::{ir::Effort, wire::anthropic::models as claude};

/// What one model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// What the parts shared with the Anthropic dialect ask. For other vendors' models it is filled
    /// in as far as it means something.
    pub model: claude::Model,
    pub reasoning: Reasoning,
    pub top_k: TopK,
    /// `toolChoice.any`.
    pub any: bool,
    /// `toolChoice.tool`.
    pub tool: bool,
    pub cache: Cache,
    /// `toolResult.status`, and images in results.
    pub rich_results: bool,
    /// Ids of tool calls have nine letters or digits.
    pub nine: bool,
}

/// How reasoning is asked for, in `additionalModelRequestFields`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reasoning {
    /// Anthropic's own fields.
    Claude,
    /// `reasoningConfig`, with three levels.
    Nova,
    /// `reasoning_effort`, with three levels and never off.
    Effort,
    /// `reasoning_config`, `low` or `high`.
    Flat,
    /// It always reasons, or nobody knows how to ask.
    Fixed,
    /// It never does.
    Never,
}

/// Where `top_k` goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopK {
    TopK,
    /// `inferenceConfig.topK`, among the model's own fields.
    Nova,
    None,
}

/// Where cache points may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cache {
    None,
    /// After system texts and within messages, with the one lifetime there is.
    Prompt,
    /// After tools as well, and for an hour if asked.
    All,
}

/// Another vendor's model, as the shared parts see it.
const OTHER: claude::Model = claude::Model {
    claude: false,
    thinking: claude::Thinking::Budget,
    rest: claude::Rest::Disabled,
    sampling: true,
    one_sampler: false,
    forced_choice: false,
    structured: false,
    mid_system: false,
    top_effort: Effort::High,
    name_limit: NAME_LIMIT,
    max_output: 4096,
};

const NAME_LIMIT: usize = 64;

const PLAIN: Line = Line {
    model: OTHER,
    reasoning: Reasoning::Never,
    top_k: TopK::None,
    any: false,
    tool: false,
    cache: Cache::None,
    rich_results: false,
    nine: false,
};

/// An open model of 2025 or later: nothing is documented against it.
const OPEN: Line = Line { reasoning: Reasoning::Fixed, any: true, tool: true, ..PLAIN };

const UNKNOWN: Line = Line { cache: Cache::All, rich_results: true, ..OPEN };

const NOVA: Line =
    Line { reasoning: Reasoning::Never, top_k: TopK::Nova, cache: Cache::Prompt, rich_results: true, ..OPEN };

/// What the model of this id takes.
pub fn line(id: &str) -> Line {
    let id = id.to_ascii_lowercase();
    let mut line = by_vendor(&id);
    line.model.forced_choice &= line.any && line.tool;
    line
}

fn by_vendor(id: &str) -> Line {
    let (vendor, name) = parse(id);
    let structured = |line: Line| Line { model: claude::Model { structured: true, ..line.model }, ..line };
    let line = match vendor {
        "anthropic" => return of_claude(name),
        "amazon" if name.starts_with("nova-2") => Line { reasoning: Reasoning::Nova, ..NOVA },
        "amazon" if name.starts_with("nova") => NOVA,
        "mistral" if is_new_mistral(name) => structured(Line { nine: true, ..OPEN }),
        "mistral" => Line { any: name.contains("large"), nine: true, ..PLAIN },
        "openai" => structured(Line { reasoning: Reasoning::Effort, ..OPEN }),
        "deepseek" if name.starts_with("r1") => Line { reasoning: Reasoning::Fixed, ..PLAIN },
        "deepseek" | "qwen" | "zai" | "google" | "nvidia" => structured(Line { reasoning: Reasoning::Flat, ..OPEN }),
        "moonshot" | "moonshotai" if name.contains("thinking") => structured(OPEN),
        "moonshot" | "moonshotai" => structured(Line { reasoning: Reasoning::Flat, ..OPEN }),
        "minimax" | "xai" => OPEN,
        "amazon" | "ai21" | "cohere" | "meta" | "writer" => PLAIN,
        _ => UNKNOWN,
    };
    Line { model: claude::Model { forced_choice: true, ..line.model }, ..line }
}

fn of_claude(name: &str) -> Line {
    let model = claude::Model { name_limit: NAME_LIMIT, ..claude::model(name) };
    Line {
        model,
        reasoning: Reasoning::Claude,
        top_k: TopK::TopK,
        any: model.forced_choice,
        tool: model.forced_choice,
        cache: Cache::All,
        rich_results: true,
        nine: false,
    }
}

/// The generation that came to Bedrock with structured outputs.
fn is_new_mistral(name: &str) -> bool {
    ["mistral-large-3", "ministral", "magistral", "devstral", "voxtral"].iter().any(|start| name.starts_with(start))
}

/// Vendor and model of an id: what stands before the first dot, but for a region, and what after.
fn parse(id: &str) -> (&str, &str) {
    let id = id.rsplit('/').next().unwrap_or(id);
    let Some((first, rest)) = id.split_once('.') else { return ("", id) };
    let is_region = matches!(first, "us" | "eu" | "apac" | "jp" | "au" | "ca" | "us-gov" | "global");
    if is_region { rest.split_once('.').unwrap_or(("", rest)) } else { (first, rest) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_in_every_spelling() {
        for (id, expected) in [
            ("anthropic.claude-opus-4-8", ("anthropic", "claude-opus-4-8")),
            ("us.anthropic.claude-haiku-4-5-20251001-v1:0", ("anthropic", "claude-haiku-4-5-20251001-v1:0")),
            ("us-gov.amazon.nova-pro-v1:0", ("amazon", "nova-pro-v1:0")),
            ("deepseek.v3.2", ("deepseek", "v3.2")),
            ("arn:aws:bedrock:us-east-1:1:inference-profile/eu.amazon.nova-lite-v1:0", ("amazon", "nova-lite-v1:0")),
            ("arn:aws:bedrock:us-east-1::foundation-model/zai.glm-5", ("zai", "glm-5")),
            ("arn:aws:bedrock:us-east-1:1:application-inference-profile/abc", ("", "abc")),
        ] {
            assert_eq!(parse(id), expected, "{id}");
        }
    }

    /// T6, J2: who takes a forced call, a schema, an effort, a cache point.
    #[test]
    fn every_vendor_has_its_rules() {
        let brief = |id: &str| {
            let line = line(id);
            (line.reasoning, line.any, line.tool, line.model.structured, line.cache)
        };
        use Reasoning::*;
        for (id, expected) in [
            ("us.anthropic.claude-haiku-4-5-20251001-v1:0", (Claude, true, true, true, Cache::All)),
            ("anthropic.claude-3-haiku-20240307-v1:0", (Claude, true, true, false, Cache::All)),
            ("global.anthropic.claude-opus-5-5", (Claude, false, false, true, Cache::All)),
            ("amazon.nova-pro-v1:0", (Never, true, true, false, Cache::Prompt)),
            ("us.amazon.nova-2-lite-v1:0", (Nova, true, true, false, Cache::Prompt)),
            ("amazon.titan-text-express-v1", (Never, false, false, false, Cache::None)),
            ("openai.gpt-oss-120b-1:0", (Effort, true, true, true, Cache::None)),
            ("mistral.mistral-large-2402-v1:0", (Never, true, false, false, Cache::None)),
            ("mistral.mistral-large-3-675b-instruct", (Fixed, true, true, true, Cache::None)),
            ("us.meta.llama4-scout-17b-instruct-v1:0", (Never, false, false, false, Cache::None)),
            ("us.deepseek.r1-v1:0", (Fixed, false, false, false, Cache::None)),
            ("qwen.qwen3-vl-235b-a22b", (Flat, true, true, true, Cache::None)),
            ("arn:aws:bedrock:us-east-1:1:provisioned-model/xyz", (Fixed, true, true, false, Cache::All)),
        ] {
            assert_eq!(brief(id), expected, "{id}");
        }
        assert!(!line("mistral.mistral-large-2402-v1:0").model.forced_choice);
        assert!(line("amazon.nova-pro-v1:0").model.forced_choice);
        assert!(!line("anthropic.claude-opus-5-5").model.forced_choice);
    }
}
