//! What a call costs: disjoint counts times the rates of a model (rule C3).
//!
//! Pure: the day is an argument. Rates come from `models.csv`, what a flat rate cannot say (long
//! prompts, announced changes) from `price_rules.csv`, and an operator's own word beats both.
//!
//! Cost of a sum: a dozen multiplications; the rules of a model are found once, when its route is
//! made.

use std::{
    sync::LazyLock,
    time::{Duration, SystemTime},
};

pub use crate::call::{Price, Prices};
use crate::ir::Usage;

/// A day in seconds.
const DAY: u64 = 86_400;
/// A write that lives an hour costs so many times the plain input where no price of its own is
/// known (price pages of Anthropic and Bedrock, read November 2026).
const HOUR_WRITE: f64 = 2.0;

static RULES: LazyLock<Vec<Rule>> =
    LazyLock::new(|| lines(include_str!("price_rules.csv")).filter_map(Rule::parse).collect());

/// How one model is charged.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tariff {
    prices: Prices,
    rules: Vec<&'static Rule>,
}

/// Other factors for some of a model's calls.
#[derive(Debug, PartialEq)]
struct Rule {
    provider: &'static str,
    model: &'static str,
    /// Holds for prompts of more tokens than this.
    over_prompt: u64,
    /// Holds from this day on, counted from 1970-01-01.
    since: u64,
    input: f64,
    output: f64,
}

// === impl Tariff ===

impl Tariff {
    /// The table's tariff of a model, under the vendor and the name of its row.
    pub fn of(provider: &str, model: &str, prices: Prices) -> Self {
        let rules = RULES.iter().filter(|rule| rule.is_for(provider, model)).collect();
        Self { prices, rules }
    }

    /// An operator's own prices, which hold as they are; where they are silent, `far`'s prices.
    pub fn fixed(own: Prices, far: Option<Self>) -> Self {
        Self { prices: own.over(far.map_or(Prices::default(), |far| far.prices)), rules: Vec::new() }
    }

    /// Nothing is charged.
    pub fn free() -> Self {
        Self { prices: Prices { input: Some(0.0), output: Some(0.0), ..Prices::default() }, rules: Vec::new() }
    }

    /// The flat rates.
    pub fn prices(&self) -> Prices {
        self.prices
    }

    fn factors(&self, prompt: u64, today: u64) -> (f64, f64) {
        let holding = self.rules.iter().filter(|rule| prompt > rule.over_prompt && today >= rule.since);
        holding.fold((1.0, 1.0), |(input, output), rule| (input * rule.input, output * rule.output))
    }
}

impl Price for Tariff {
    fn cost(&self, usage: &Usage, now: SystemTime) -> Option<f64> {
        let (on_input, on_output) = self.factors(usage.prompt(), day(now));
        let prices = &self.prices;
        let text_in = usage.input.saturating_sub(usage.audio_input);
        let text_out = usage.output.saturating_sub(usage.audio_output);
        let hour_write = prices.cache_write_1h.or(prices.input.map(|input| input * HOUR_WRITE));
        let asked = [
            (text_in, prices.input),
            (usage.audio_input, prices.audio_input),
            (usage.cache_read, prices.cached_input.or(prices.input)),
            (usage.cache_write, prices.cache_write.or(prices.input)),
            (usage.cache_write_1h, hour_write),
        ];
        let made = [(text_out, prices.output), (usage.audio_output, prices.audio_output)];
        Some((sum(asked)? * on_input + sum(made)? * on_output) / 1e6)
    }
}

/// Tokens times rates; a rate that is missing matters only where there are tokens.
fn sum<const N: usize>(parts: [(u64, Option<f64>); N]) -> Option<f64> {
    parts
        .into_iter()
        .filter(|(tokens, _)| *tokens > 0)
        .try_fold(0.0, |sum, (tokens, rate)| Some(sum + tokens as f64 * rate?))
}

fn day(now: SystemTime) -> u64 {
    now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs() / DAY
}

/// The lines of a table: neither comment nor heading.
pub(super) fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).skip(1)
}

// === impl Rule ===

impl Rule {
    fn parse(line: &'static str) -> Option<Self> {
        let mut cells = line.split(',');
        let mut cell = || cells.next();
        let rule = Self {
            provider: cell()?,
            model: cell()?,
            over_prompt: or_zero(cell()?, |text| text.parse().ok())?,
            since: or_zero(cell()?, days)?,
            input: cell()?.parse().ok()?,
            output: cell()?.parse().ok()?,
        };
        cell().is_none().then_some(rule)
    }

    fn is_for(&self, provider: &str, model: &str) -> bool {
        let fits = match self.model.strip_suffix('*') {
            Some(start) => model.starts_with(start),
            None => model == self.model,
        };
        fits && provider == self.provider
    }
}

/// An empty cell is zero.
fn or_zero(cell: &str, read: impl FnOnce(&str) -> Option<u64>) -> Option<u64> {
    if cell.is_empty() { Some(0) } else { read(cell) }
}

/// A day as a count from 1970-01-01.
fn days(text: &str) -> Option<u64> {
    let midnight = humantime::parse_rfc3339(&format!("{text}T00:00:00Z")).ok()?;
    Some(day(midnight))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::models;

    fn on(date: &str) -> SystemTime {
        humantime::parse_rfc3339(&format!("{date}T12:00:00Z")).unwrap()
    }

    fn cost(kind: &str, model: &str, usage: Usage) -> Option<f64> {
        models::facts(kind, model).unwrap().tariff().cost(&usage, on("2026-11-25"))
    }

    fn near(cost: Option<f64>, expected: f64) {
        let cost = cost.unwrap();
        assert!((cost - expected).abs() < 1e-12, "{cost} is not {expected}");
    }

    /// C3, regression 43: a cache write is charged once, at its own rate.
    #[test]
    fn every_bucket_has_its_rate() {
        let usage = Usage { input: 3, cache_write: 12_304, output: 550, ..Usage::default() };
        near(cost("anthropic", "claude-sonnet-4-5", usage), 0.054_399);
        let usage = Usage { input: 1000, cache_read: 2000, cache_write_1h: 100, output: 10, ..Usage::default() };
        near(cost("anthropic", "claude-sonnet-4-5", usage), (3000.0 + 600.0 + 600.0 + 150.0) / 1e6);
    }

    /// C3: reasoning is output already and is not charged again.
    #[test]
    fn reasoning_is_charged_once() {
        let usage = Usage { output: 100, reasoning: 90, ..Usage::default() };
        near(cost("openai", "gpt-5", usage), 0.001);
    }

    #[test]
    fn a_long_prompt_moves_the_whole_call() {
        let usage = |input| Usage { input, output: 1000, ..Usage::default() };
        near(cost("gemini", "gemini-2.5-pro", usage(200_000)), 0.25 + 0.01);
        near(cost("gemini", "gemini-2.5-pro", usage(200_001)), 200_001.0 * 2.5 / 1e6 + 0.015);
        let mixed = Usage { input: 1, cache_read: 272_000, output: 1000, ..Usage::default() };
        near(cost("openai", "gpt-5.4", mixed), (2.5 + 272_000.0 * 0.25) * 2.0 / 1e6 + 0.015 * 1.5);
    }

    #[test]
    fn an_announced_change_holds_from_its_day_on() {
        let tariff = models::facts("gemini", "gemini-4-argon").unwrap().tariff();
        let usage = Usage { input: 1_000_000, ..Usage::default() };
        near(tariff.cost(&usage, on("2026-11-30")), 2.0);
        near(tariff.cost(&usage, on("2026-12-01")), 4.0);
    }

    /// C5: what has no price costs an unknown sum, not nothing.
    #[test]
    fn a_missing_rate_is_no_price() {
        let tokens = Usage { input: 1, output: 1, ..Usage::default() };
        assert_eq!(Tariff::default().cost(&tokens, on("2026-11-25")), None);
        assert_eq!(Tariff::default().cost(&Usage::default(), on("2026-11-25")), Some(0.0));
        let sound = Usage { input: 5, audio_input: 5, ..Usage::default() };
        assert_eq!(cost("openai", "gpt-5", sound), None);
        near(cost("zai", "glm-4.7-flash", tokens), 0.0);
    }

    #[test]
    fn an_operators_price_beats_the_table_and_its_rules() {
        let table = models::facts("gemini", "gemini-2.5-pro").unwrap().tariff();
        let own = Prices { input: Some(1.0), ..Prices::default() };
        let usage = Usage { input: 1_000_000, output: 100_000, ..Usage::default() };
        near(Tariff::fixed(own, Some(table)).cost(&usage, on("2026-11-25")), 2.0);
    }

    #[test]
    fn every_rule_is_read_and_fits_a_model() {
        assert_eq!(RULES.len(), lines(include_str!("price_rules.csv")).count());
        for rule in RULES.iter() {
            assert!(models::of_provider(rule.provider).any(|row| rule.is_for(row.provider, row.model)), "{rule:?}");
        }
    }
}
