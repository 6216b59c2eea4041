//! Token counts in disjoint buckets, so that no dialect's subset is ever added twice (rule C4).

/// What a call used. Every token stands in exactly one bucket, except that `reasoning` and
/// `audio_output` tell how many of `output`, and `audio_input` how many of `input` were such.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Prompt tokens that were neither read from nor written to a cache.
    pub input: u64,
    pub cache_read: u64,
    /// Written to a cache that lives five minutes (or the vendor's only lifetime).
    pub cache_write: u64,
    /// Written to a cache that lives an hour.
    pub cache_write_1h: u64,
    /// All generated tokens, reasoning included.
    pub output: u64,
    /// The part of `output` that was reasoning.
    pub reasoning: u64,
    /// The part of `input` that was sound.
    pub audio_input: u64,
    /// The part of `output` that was sound.
    pub audio_output: u64,
}

// === impl Usage ===

impl Usage {
    /// All prompt tokens, cached or not: OpenAI's `prompt_tokens`.
    pub fn prompt(&self) -> u64 {
        [self.cache_read, self.cache_write, self.cache_write_1h].into_iter().fold(self.input, u64::saturating_add)
    }

    pub fn total(&self) -> u64 {
        self.prompt().saturating_add(self.output)
    }
}
