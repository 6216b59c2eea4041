//! What models cost, as the operator says it: `[prices."provider/model"]`.

/// USD per million tokens. `None` is unknown, never free.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Prices {
    pub input: Option<f64>,
    /// Read from a prompt cache. Unknown: as `input`, since a vendor without the discount charges
    /// the whole.
    pub cached_input: Option<f64>,
    /// Written to a prompt cache for its shortest lifetime. Unknown: as `input`.
    pub cache_write: Option<f64>,
    /// Written to a prompt cache for an hour. Unknown: twice `input`.
    pub cache_write_1h: Option<f64>,
    pub output: Option<f64>,
    /// Sound in. Unknown: a call with sound is unpriced.
    pub audio_input: Option<f64>,
    /// Sound out. Unknown: a call with sound is unpriced.
    pub audio_output: Option<f64>,
}

/// Prices by `provider/model`, or by its beginning and a `*`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PriceList(Vec<(String, Prices)>);

// === impl Prices ===

impl Prices {
    /// These, and `far` where these are silent.
    pub fn over(self, far: Self) -> Self {
        Self {
            input: self.input.or(far.input),
            cached_input: self.cached_input.or(far.cached_input),
            cache_write: self.cache_write.or(far.cache_write),
            cache_write_1h: self.cache_write_1h.or(far.cache_write_1h),
            output: self.output.or(far.output),
            audio_input: self.audio_input.or(far.audio_input),
            audio_output: self.audio_output.or(far.audio_output),
        }
    }
}

// === impl PriceList ===

impl PriceList {
    pub(super) fn new(all: Vec<(String, Prices)>) -> Self {
        Self(all)
    }

    /// The entry for a target, `provider/model`: its own, else the longest beginning that fits.
    pub fn of(&self, target: &str) -> Option<Prices> {
        self.entry(target).map(|(_, prices)| *prices)
    }

    /// The same with the name it was given under.
    pub(super) fn entry(&self, target: &str) -> Option<&(String, Prices)> {
        let beginning = |name: &str| name.strip_suffix('*').filter(|start| target.starts_with(start)).map(str::len);
        let own = self.0.iter().find(|(name, _)| name == target);
        own.or_else(|| {
            let fitting = self.0.iter().filter_map(|entry| Some((beginning(&entry.0)?, entry)));
            fitting.max_by_key(|(length, _)| *length).map(|(_, entry)| entry)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_entry_is_the_one() {
        let price = |input| Prices { input: Some(input), ..Prices::default() };
        let list = PriceList::new(
            [("lab/*", 1.0), ("lab/qwen*", 2.0), ("lab/qwen3", 3.0), ("other/x", 4.0)]
                .map(|(name, input)| (name.to_owned(), price(input)))
                .into(),
        );
        let of = |target: &str| list.of(target).and_then(|prices| prices.input);
        assert_eq!([of("lab/m"), of("lab/qwen2"), of("lab/qwen3")], [Some(1.0), Some(2.0), Some(3.0)]);
        assert_eq!([of("other/xy"), of("labs/m")], [None, None]);
    }
}
