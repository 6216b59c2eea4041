//! What is known of models: windows, limits, prices, abilities. Seed data: an unknown model is
//! allowed and has no facts.
//!
//! Cost: the table is read on first use, in one pass that borrows its names, so that a start that
//! asks for nothing pays nothing; afterwards a lookup is one hash, and a few more for a dated name.

use std::{collections::HashMap, sync::LazyLock};

pub use super::prices::Prices;
use super::prices::{Tariff, lines};

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::parse(include_str!("models.csv")));

/// One model of one vendor. `None` is unknown, never zero and never "no".
#[derive(Debug, Clone, PartialEq)]
pub struct ModelFacts {
    /// The catalogue's name of the vendor.
    pub provider: &'static str,
    /// The vendor's own id.
    pub model: &'static str,
    /// Prompt and answer together, in tokens.
    pub context_window: Option<u64>,
    pub max_output_tokens: Option<u64>,
    pub prices: Prices,
    pub vision: Option<bool>,
    pub tools: Option<bool>,
    pub reasoning: Option<bool>,
    pub structured: Option<bool>,
    pub kind: ModelKind,
}

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ModelKind {
    Chat,
    Embedding,
    Rerank,
    Audio,
    Image,
}

#[derive(Debug)]
struct Table {
    rows: Vec<ModelFacts>,
    index: HashMap<(&'static str, &'static str), usize>,
}

/// Clouds that have another vendor's models under that vendor's names and prices.
const SAME_MODELS: [(&str, &str); 4] =
    [("azure", "openai"), ("azure-anthropic", "anthropic"), ("vertex", "gemini"), ("vertex", "anthropic")];
/// Bedrock's regions of a cross-region profile; the table has the prices of one, and they are alike.
const REGIONS: [&str; 7] = ["apac", "au", "ca", "eu", "jp", "us-gov", "us"];

/// The facts of a vendor's model. A dated or `latest` name falls back to the name without.
pub fn facts(kind: &str, model: &str) -> Option<&'static ModelFacts> {
    let model = model.strip_prefix("models/").unwrap_or(model);
    if kind == "bedrock" {
        return of_bedrock(model);
    }
    let others = SAME_MODELS.iter().filter(|(cloud, _)| *cloud == kind).map(|(_, vendor)| *vendor);
    std::iter::once(kind).chain(others).find_map(|kind| named(kind, model))
}

/// Whether there are facts of any model of this vendor or cloud.
pub fn knows_any(kind: &str) -> bool {
    SAME_MODELS.iter().any(|(cloud, _)| *cloud == kind) || of_provider(kind).next().is_some()
}

fn named(kind: &str, model: &str) -> Option<&'static ModelFacts> {
    TABLE.get(kind, model).or_else(|| TABLE.get(kind, undated(model)?))
}

/// A model by its id, or by the profile of a region, whole or as the end of an ARN. A region's
/// profile costs the same in each region, and so does the model without a profile.
fn of_bedrock(model: &str) -> Option<&'static ModelFacts> {
    let id = model.rsplit_once('/').map_or(model, |(_, id)| id);
    let (region, plain) = match id.split_once('.') {
        Some((region, plain)) if region == "global" || REGIONS.contains(&region) => (region, plain),
        Some(_) | None => ("", id),
    };
    let regional = || if region == "global" { None } else { TABLE.get("bedrock", &format!("us.{plain}")) };
    TABLE.get("bedrock", id).or_else(regional).or_else(|| TABLE.get("bedrock", plain))
}

/// All known models of a vendor, in the table's order.
pub fn of_provider(kind: &str) -> impl Iterator<Item = &'static ModelFacts> {
    TABLE.rows.iter().filter(move |facts| facts.provider == kind)
}

/// The name without its snapshot: `-20251001`, `-2025-10-01`, `@20251001` or `-latest`.
fn undated(model: &str) -> Option<&str> {
    if let Some(name) = model.strip_suffix("-latest") {
        return Some(name);
    }
    [9, 11].into_iter().find_map(|length| {
        let (name, date) = model.split_at_checked(model.len().checked_sub(length)?)?;
        is_date(date).then_some(name)
    })
}

fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digit = |index: &usize| bytes.get(*index).is_some_and(u8::is_ascii_digit);
    let dash = |index: &usize| bytes.get(*index) == Some(&b'-');
    match bytes.len() {
        9 => (dash(&0) || bytes.first() == Some(&b'@')) && (1..9).all(|index| digit(&index)),
        11 => [0, 5, 8].iter().all(dash) && [1, 2, 3, 4, 6, 7, 9, 10].iter().all(digit),
        _ => false,
    }
}

// === impl Table ===

impl Table {
    /// A line that cannot be read is left out; a test proves that there is none.
    fn parse(text: &'static str) -> Self {
        let rows: Vec<ModelFacts> = lines(text).filter_map(ModelFacts::parse).collect();
        let index = rows.iter().enumerate().map(|(index, facts)| ((facts.provider, facts.model), index)).collect();
        Self { rows, index }
    }

    fn get(&'static self, kind: &str, model: &str) -> Option<&'static ModelFacts> {
        self.rows.get(*self.index.get(&(kind, model))?)
    }
}

// === impl ModelFacts ===

impl ModelFacts {
    pub fn is_embedding(&self) -> bool {
        self.kind == ModelKind::Embedding
    }

    /// How its calls are charged.
    pub fn tariff(&self) -> Tariff {
        Tariff::of(self.provider, self.model, self.prices)
    }

    fn parse(line: &'static str) -> Option<Self> {
        let mut cells = line.split(',');
        let mut cell = || cells.next();
        let facts = Self {
            provider: cell()?,
            model: cell()?,
            context_window: number(cell()?)?,
            max_output_tokens: number(cell()?)?,
            prices: Prices {
                input: number(cell()?)?,
                cached_input: number(cell()?)?,
                cache_write: number(cell()?)?,
                output: number(cell()?)?,
                ..Prices::default()
            },
            vision: number(cell()?)?,
            tools: number(cell()?)?,
            reasoning: number(cell()?)?,
            structured: number(cell()?)?,
            kind: ModelKind::parse(cell()?)?,
        };
        cell().is_none().then_some(facts)
    }
}

/// An empty cell is `Some(None)`, a broken one `None`.
fn number<T: std::str::FromStr>(cell: &str) -> Option<Option<T>> {
    if cell.is_empty() { Some(None) } else { cell.parse().ok().map(Some) }
}

// === impl ModelKind ===

impl ModelKind {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "chat" => Self::Chat,
            "embedding" => Self::Embedding,
            "rerank" => Self::Rerank,
            "audio" => Self::Audio,
            "image" => Self::Image,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_read_once() {
        let count = lines(include_str!("models.csv")).count();
        assert!(count > 240, "{count}");
        assert_eq!(TABLE.rows.len(), count);
        assert_eq!(TABLE.index.len(), count, "a model stands there twice");
        for facts in &TABLE.rows {
            let Prices { input, cached_input, cache_write, output, .. } = facts.prices;
            for price in [input, cached_input, cache_write, output].into_iter().flatten() {
                assert!((0.0..=200.0).contains(&price), "{} {}", facts.provider, facts.model);
            }
        }
    }

    /// A6: the limit a request gets when the client names none.
    #[test]
    fn a_model_is_found_with_and_without_its_date() {
        for name in ["claude-haiku-4-5", "claude-haiku-4-5-20251001", "claude-haiku-4-5@20251001"] {
            assert_eq!(facts("anthropic", name).unwrap().max_output_tokens, Some(64_000), "{name}");
        }
        assert_eq!(facts("openai", "gpt-5-mini-2025-08-07").unwrap().model, "gpt-5-mini");
        assert_eq!(facts("mistral", "mistral-large-2512").unwrap().model, "mistral-large-2512");
        assert_eq!(facts("mistral", "mistral-small-latest").unwrap().model, "mistral-small-latest");
        assert_eq!(facts("gemini", "models/gemini-2.5-pro").unwrap().model, "gemini-2.5-pro");
        for (kind, name, row) in [
            ("azure", "gpt-5-mini", "gpt-5-mini"),
            ("vertex", "gemini-2.5-pro", "gemini-2.5-pro"),
            ("vertex", "claude-opus-5@20260301", "claude-opus-5"),
            ("vertex", "claude-haiku-4-5@20251001", "claude-haiku-4-5@20251001"),
            ("bedrock", "eu.anthropic.claude-opus-5", "us.anthropic.claude-opus-5"),
            ("bedrock", "anthropic.claude-opus-5", "us.anthropic.claude-opus-5"),
            ("bedrock", "global.anthropic.claude-opus-5", "global.anthropic.claude-opus-5"),
            ("bedrock", "eu.amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0"),
            (
                "bedrock",
                "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.amazon.nova-lite-v1:0",
                "amazon.nova-lite-v1:0",
            ),
        ] {
            assert_eq!(facts(kind, name).unwrap().model, row, "{kind} {name}");
        }
        assert_eq!(facts("bedrock", "eu.nobody"), None);
        for name in ["", "x", "claude-haiku-4-5-2025100", "claude-haiku-4-5-2025-1001", "-20251001", "ä-20251001"] {
            assert_eq!(facts("anthropic", name), None, "{name}");
        }
    }

    /// C5: unknown is not free.
    #[test]
    fn an_unknown_price_is_none_and_a_free_one_zero() {
        assert_eq!(facts("openai", "gpt-6.2-sol").unwrap().prices.cached_input, None);
        assert_eq!(facts("zai", "glm-4.7-flash").unwrap().prices.input, Some(0.0));
        assert_eq!(facts("openai", "gpt-6.2-sol").unwrap().reasoning, Some(true));
        assert!(knows_any("azure-anthropic") && knows_any("bedrock") && !knows_any("openai-compatible"));
        assert!(facts("azure-anthropic", "claude-haiku-4-5").is_some());
    }

    #[test]
    fn a_provider_lists_its_models() {
        let names: Vec<_> = of_provider("anthropic").map(|facts| facts.model).collect();
        assert_eq!(names.len(), 14);
        assert_eq!(names.first(), Some(&"claude-fable-5-1"));
        assert_eq!(of_provider("nobody").count(), 0);
        assert!(of_provider("openai").any(|facts| facts.kind == ModelKind::Embedding));
    }
}
