//! What the lines of models take, read from the model's id.
//!
//! | line | thinking | signatures | JSON Schema | JSON output beside tools |
//! |---|---|---|---|---|
//! | Gemini 2.0 and older, Gemma 3 | none | no | no | no |
//! | Gemini 2.5 | a budget | kept | yes | no |
//! | Gemini 3 and newer, Gemma 4 (no thinking) | a level | wanted | yes | yes |
//!
//! An id of no known line is taken for the newest, since those come faster than releases of ours.
//!
//! Source: "Gemini models", "Thinking", "Structured output" and the release notes up to Gemini 4
//! (ai.google.dev/gemini-api/docs, read November 2026).

use crate::ir::Effort;

/// How a line is told to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thinking {
    /// It does not, and refuses to be told.
    Never,
    /// In tokens. `off` where none at all is taken.
    Budget { least: u64, most: u64, off: bool },
    /// In levels, from the lowest. It cannot be switched off.
    Levels(&'static [Effort]),
}

/// A line of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Model {
    pub thinking: Thinking,
    /// A replayed tool call without a signature is refused (rule R2).
    pub signatures: bool,
    /// Tools and output are described in JSON Schema; older lines know a subset of OpenAPI's.
    pub json_schema: bool,
    /// JSON output and function tools may be asked for at once.
    pub output_with_tools: bool,
    /// Function tools and the vendor's own may be offered at once.
    pub mixed_tools: bool,
    /// It takes system instructions.
    pub system: bool,
    /// An image may be asked to be seen in low or high resolution.
    pub resolution: bool,
    /// A tool's result may hold images.
    pub rich_results: bool,
}

const TWO_LEVELS: &[Effort] = &[Effort::Low, Effort::High];
const THREE_LEVELS: &[Effort] = &[Effort::Low, Effort::Medium, Effort::High];
const FROM_MINIMAL: &[Effort] = &[Effort::Minimal, Effort::Low, Effort::Medium, Effort::High];
const UP_TO_XHIGH: &[Effort] = &[Effort::Low, Effort::Medium, Effort::High, Effort::Xhigh];

const OLD: Model = Model {
    thinking: Thinking::Never,
    signatures: false,
    json_schema: false,
    output_with_tools: false,
    mixed_tools: false,
    system: true,
    resolution: false,
    rich_results: false,
};
const TWO_FIVE: Model = Model { json_schema: true, ..OLD };
const NEW: Model = Model {
    thinking: Thinking::Levels(THREE_LEVELS),
    signatures: true,
    json_schema: true,
    output_with_tools: true,
    mixed_tools: true,
    system: true,
    resolution: true,
    rich_results: true,
};

/// The line a model id belongs to; a path before the id says nothing.
pub fn model(id: &str) -> Model {
    let id = id.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let words: Vec<&str> = id.split('-').collect();
    let has = |word: &str| words.contains(&word);
    let version = words.iter().find_map(|word| version(word));
    if has("gemma") {
        return match version {
            Some((4.., _)) => Model { thinking: Thinking::Never, signatures: false, ..NEW },
            Some(_) | None => Model { system: false, ..OLD },
        };
    }
    let line = match version {
        Some((..=1, _) | (2, ..=4)) => OLD,
        Some((2, _)) => Model { thinking: budget(&words), ..TWO_FIVE },
        Some(version) => Model { thinking: Thinking::Levels(levels(version, &words)), ..NEW },
        None => NEW,
    };
    let speaks = ["tts", "embedding", "live", "native"].into_iter().any(has);
    let draws_only = has("image") && matches!(version, Some((..=2, _)));
    if speaks || draws_only { Model { thinking: Thinking::Never, ..line } } else { line }
}

fn budget(words: &[&str]) -> Thinking {
    if words.contains(&"pro") {
        Thinking::Budget { least: 128, most: 32_768, off: false }
    } else if words.contains(&"lite") {
        Thinking::Budget { least: 512, most: 24_576, off: true }
    } else {
        Thinking::Budget { least: 1, most: 24_576, off: true }
    }
}

fn levels(version: (u32, u32), words: &[&str]) -> &'static [Effort] {
    let has = |word: &str| words.contains(&word);
    match version {
        (3, 0) if has("pro") => TWO_LEVELS,
        (3, 0) => FROM_MINIMAL,
        (3, ..=6) if has("lite") || has("flash") => FROM_MINIMAL,
        (4, _) if has("hydrogen") => UP_TO_XHIGH,
        _ => THREE_LEVELS,
    }
}

/// `2.5` or `3`; a revision or a date is none.
fn version(word: &str) -> Option<(u32, u32)> {
    let (major, minor) = word.split_once('.').unwrap_or((word, "0"));
    if major.len() > 2 || minor.len() > 2 || word.starts_with('0') {
        return None;
    }
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vendor's table, line by line.
    #[test]
    fn every_line_thinks_its_own_way() {
        use Thinking::*;
        for (id, thinking) in [
            ("gemini-2.5-pro", Budget { least: 128, most: 32_768, off: false }),
            ("gemini-2.5-flash", Budget { least: 1, most: 24_576, off: true }),
            ("models/gemini-2.5-flash-lite", Budget { least: 512, most: 24_576, off: true }),
            ("gemini-2.5-flash-preview-09-2025", Budget { least: 1, most: 24_576, off: true }),
            ("gemini-2.5-flash-image", Never),
            ("gemini-2.5-flash-preview-tts", Never),
            ("gemini-2.0-flash-001", Never),
            ("gemini-3-pro-preview", Levels(TWO_LEVELS)),
            ("gemini-3.1-pro-preview", Levels(THREE_LEVELS)),
            ("gemini-3-flash-preview", Levels(FROM_MINIMAL)),
            ("gemini-3.1-flash-lite", Levels(FROM_MINIMAL)),
            ("gemini-3.6-flash", Levels(FROM_MINIMAL)),
            ("gemini-3.8-flash", Levels(THREE_LEVELS)),
            ("gemini-flash-latest", Levels(THREE_LEVELS)),
            ("gemini-4-argon", Levels(THREE_LEVELS)),
            ("google/gemini-4-hydrogen", Levels(UP_TO_XHIGH)),
            ("somebody-s-tuned-one", Levels(THREE_LEVELS)),
            ("gemma-4-31b-it", Never),
            ("gemma-3-27b-it", Never),
        ] {
            assert_eq!(model(id).thinking, thinking, "{id}");
        }
    }

    #[test]
    fn generations_differ_in_what_they_take() {
        let brief = |id: &str| {
            let model = model(id);
            [model.signatures, model.json_schema, model.output_with_tools, model.system]
        };
        assert_eq!(brief("gemini-2.0-flash"), [false, false, false, true]);
        assert_eq!(brief("gemini-2.5-pro"), [false, true, false, true]);
        assert_eq!(brief("gemini-3.5-flash"), [true, true, true, true]);
        assert_eq!(brief("gemma-3-27b-it"), [false, false, false, false]);
        assert_eq!(brief("gemma-4-31b-it"), [false, true, true, true]);
    }
}
