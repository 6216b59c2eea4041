//! Token counts as OpenAI and the vendors compatible with it write them.
//!
//! OpenAI's `prompt_tokens` holds the cached ones and its `completion_tokens` the reasoning ones
//! (API reference, "The chat completion object", read November 2026). Vendors keep the two names
//! and differ in the rest: where cached tokens stand, whether the sums hold them, and which sum
//! the total is. What each was seen to send stands beside the lines that read it.

use serde_json::{Map, Value};

use crate::ir;

/// Reads a `usage` object. `None` when it counts neither prompt nor completion.
pub fn usage(json: &str) -> Option<ir::Usage> {
    if let Some((counts, end)) = leading_usage(json.as_bytes())
        && end == json.len()
    {
        return Some(counts);
    }
    careful(json)
}

/// As whatever vendor writes it.
fn careful(json: &str) -> Option<ir::Usage> {
    let counts = Counts(serde_json::from_str(json).ok()?);
    let prompt = counts.at("prompt_tokens").or_else(|| counts.at("input_tokens"));
    let completion = counts.at("completion_tokens").or_else(|| counts.at("output_tokens"));
    if prompt.is_none() && completion.is_none() {
        return None;
    }
    let (prompt, completion) = (prompt.unwrap_or(0), completion.unwrap_or(0));
    let reasoning = counts.reasoning();
    let (cache_write, cache_write_1h) = counts.cache_writes();
    let cache_read = counts.cache_read();
    let output = counts.output(prompt, completion, reasoning);
    let input = outside(outside(prompt, cache_read), cache_write.saturating_add(cache_write_1h));
    Some(ir::Usage {
        input,
        cache_read,
        cache_write,
        cache_write_1h,
        output,
        reasoning: reasoning.min(output),
        audio_input: counts.audio("prompt_tokens_details").min(input),
        audio_output: counts.audio("completion_tokens_details").min(output),
    })
}

/// OpenAI's own object and nothing besides, at the start of `json`, and where it ends: the common
/// case, read without a parser.
pub fn leading_usage(json: &[u8]) -> Option<(ir::Usage, usize)> {
    let mut counts = OpenAiCounts::default();
    let mut cursor = Cursor { json, at: 0 };
    cursor.object(|cursor, key| match key {
        b"prompt_tokens" => cursor.count(&mut counts.prompt),
        b"completion_tokens" => cursor.count(&mut counts.completion),
        b"total_tokens" => cursor.count(&mut counts.total),
        b"prompt_tokens_details" => cursor.object(|cursor, key| match key {
            b"cached_tokens" => cursor.count(&mut counts.cached),
            b"audio_tokens" => cursor.count(&mut counts.audio_input),
            _ => None,
        }),
        b"completion_tokens_details" => cursor.object(|cursor, key| match key {
            b"reasoning_tokens" => cursor.count(&mut counts.reasoning),
            b"audio_tokens" => cursor.count(&mut counts.audio_output),
            b"accepted_prediction_tokens" | b"rejected_prediction_tokens" => cursor.count(&mut 0),
            _ => None,
        }),
        _ => None,
    })?;
    let adds_up = counts.prompt.checked_add(counts.completion) == Some(counts.total);
    (adds_up && counts.total > 0).then(|| (counts.into(), cursor.at))
}

#[derive(Default)]
struct OpenAiCounts {
    prompt: u64,
    completion: u64,
    total: u64,
    cached: u64,
    audio_input: u64,
    reasoning: u64,
    audio_output: u64,
}

/// Reads an object of counts; `None` from any step means that this is none.
struct Cursor<'a> {
    json: &'a [u8],
    at: usize,
}

struct Counts(Map<String, Value>);

// === impl OpenAiCounts ===

impl From<OpenAiCounts> for ir::Usage {
    fn from(counts: OpenAiCounts) -> Self {
        let input = outside(counts.prompt, counts.cached);
        Self {
            input,
            cache_read: counts.cached,
            cache_write: 0,
            cache_write_1h: 0,
            output: counts.completion,
            reasoning: counts.reasoning.min(counts.completion),
            audio_input: counts.audio_input.min(input),
            audio_output: counts.audio_output.min(counts.completion),
        }
    }
}

/// The part of `whole` that is not `part`. A part larger than its whole was not counted in it
/// (rule C4).
fn outside(whole: u64, part: u64) -> u64 {
    if part > whole { whole } else { whole - part }
}

// === impl Cursor ===

impl<'a> Cursor<'a> {
    /// An object, `member` reading each value.
    fn object(&mut self, mut member: impl FnMut(&mut Self, &[u8]) -> Option<()>) -> Option<()> {
        self.expect(b'{')?;
        loop {
            let key = self.key()?;
            self.expect(b':')?;
            member(self, key)?;
            match self.next()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    fn key(&mut self) -> Option<&'a [u8]> {
        self.expect(b'"')?;
        let rest = self.json.get(self.at..)?;
        let length = rest.iter().position(|byte| *byte == b'"')?;
        self.at += length + 1;
        rest.get(..length)
    }

    fn count(&mut self, into: &mut u64) -> Option<()> {
        let first = self.next()?;
        let mut count = digit(first)?;
        while let Some(more) = self.json.get(self.at).copied().and_then(digit) {
            count = count.checked_mul(10)?.checked_add(more)?;
            self.at += 1;
        }
        *into = count;
        let after = self.json.get(self.at)?;
        matches!(after, b',' | b'}' | b' ' | b'\n' | b'\r' | b'\t').then_some(())
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// The next byte that is no white space.
    fn next(&mut self) -> Option<u8> {
        loop {
            let byte = *self.json.get(self.at)?;
            self.at += 1;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
        }
    }
}

fn digit(byte: u8) -> Option<u64> {
    byte.is_ascii_digit().then(|| u64::from(byte - b'0'))
}

// === impl Counts ===

impl Counts {
    fn at(&self, key: &str) -> Option<u64> {
        self.0.get(key).and_then(count)
    }

    fn within(&self, object: &str, key: &str) -> Option<u64> {
        self.0.get(object)?.get(key).and_then(count)
    }

    fn cache_read(&self) -> u64 {
        self.within("prompt_tokens_details", "cached_tokens")
            // DeepSeek.
            .or_else(|| self.at("prompt_cache_hit_tokens"))
            // Together, Moonshot.
            .or_else(|| self.at("cached_tokens"))
            // Mistral, under two names.
            .or_else(|| self.at("num_cached_tokens"))
            .or_else(|| self.within("prompt_token_details", "cached_tokens"))
            // DigitalOcean.
            .or_else(|| self.at("cache_read_input_tokens"))
            .or_else(|| self.within("input_tokens_details", "cached_tokens"))
            .unwrap_or(0)
    }

    /// Tokens written to a short-lived cache, and to one that lives an hour.
    fn cache_writes(&self) -> (u64, u64) {
        let hour = self.within("cache_creation", "ephemeral_1h_input_tokens").unwrap_or(0);
        let all = self
            // OpenRouter.
            .within("prompt_tokens_details", "cache_write_tokens")
            // DashScope.
            .or_else(|| self.within("prompt_tokens_details", "cache_creation_input_tokens"))
            .or_else(|| self.at("cache_creation_input_tokens"))
            // DigitalOcean.
            .or_else(|| self.at("cache_created_input_tokens"))
            .unwrap_or(hour);
        (all.saturating_sub(hour), hour)
    }

    fn audio(&self, details: &str) -> u64 {
        self.within(details, "audio_tokens").unwrap_or(0)
    }

    fn reasoning(&self) -> u64 {
        self.within("completion_tokens_details", "reasoning_tokens")
            // SGLang, Perplexity.
            .or_else(|| self.at("reasoning_tokens"))
            .or_else(|| self.within("output_tokens_details", "reasoning_tokens"))
            .unwrap_or(0)
    }

    /// xAI and Gemini leave reasoning out of the completion; only the total shows it.
    fn output(&self, prompt: u64, completion: u64, reasoning: u64) -> u64 {
        let with_reasoning = completion.saturating_add(reasoning);
        let total = self.at("total_tokens");
        if total == Some(prompt.saturating_add(with_reasoning)) { with_reasoning } else { completion }
    }
}

/// A count; some vendors write it as a float.
fn count(value: &Value) -> Option<u64> {
    const LARGEST: f64 = 9_007_199_254_740_992.0;
    value.as_u64().or_else(|| value.as_f64().filter(|count| (0.0..LARGEST).contains(count)).map(|count| count as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(json: &str) -> [u64; 6] {
        let usage = usage(json).unwrap();
        [usage.input, usage.cache_read, usage.cache_write, usage.cache_write_1h, usage.output, usage.reasoning]
    }

    /// C2, C4: OpenAI's own form, subsets taken out of their sums.
    #[test]
    fn openai() {
        let json = r#"{"prompt_tokens":10,"completion_tokens":7,"total_tokens":17,
            "prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":3}}"#;
        assert_eq!(counts(json), [6, 4, 0, 0, 7, 3]);
    }

    proptest::proptest! {
        /// The quick look and the careful one agree, wherever the quick one says anything.
        #[test]
        fn quick_and_careful_agree(
            prompt in 0_u64..50, completion in 0_u64..50, wrong in 0_u64..2, more in 0_u64..60, pretty: bool, cut in 0_usize..400,
        ) {
            let json = serde_json::json!({
                "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion + wrong,
                "prompt_tokens_details": {"cached_tokens": more / 2, "audio_tokens": more % 7},
                "completion_tokens_details": {"reasoning_tokens": more / 3, "rejected_prediction_tokens": 0},
            });
            let text = if pretty { serde_json::to_string_pretty(&json).unwrap() } else { json.to_string() };
            let quick = leading_usage(text.as_bytes());
            proptest::prop_assert_eq!(quick.is_some(), wrong == 0 && prompt + completion > 0);
            if let Some((counts, end)) = quick {
                proptest::prop_assert_eq!(end, text.len());
                proptest::prop_assert_eq!(Some(counts), careful(&text));
            }
            let cut = cut.min(text.len() - 1);
            proptest::prop_assert_eq!(leading_usage(&text.as_bytes()[..cut]), None);
        }
    }

    /// C3: sound is told apart, whoever else has a say in the object.
    #[test]
    fn sound() {
        for more in ["", r#","queue_time":0.1"#] {
            let json = format!(
                r#"{{"prompt_tokens":10,"completion_tokens":7,"total_tokens":17{more},
                "prompt_tokens_details":{{"cached_tokens":4,"audio_tokens":5}},"completion_tokens_details":{{"audio_tokens":6}}}}"#
            );
            let usage = usage(&json).unwrap();
            assert_eq!((usage.input, usage.audio_input, usage.output, usage.audio_output), (6, 5, 7, 6), "{json}");
        }
    }

    /// C4: the places and sums of the compatible vendors.
    #[test]
    fn vendors() {
        for (vendor, json, expected) in [
            (
                "xai",
                r#"{"prompt_tokens":12,"completion_tokens":1,"total_tokens":303,"completion_tokens_details":{"reasoning_tokens":290}}"#,
                [12, 0, 0, 0, 291, 290],
            ),
            (
                "deepseek",
                r#"{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11,"prompt_cache_hit_tokens":5,"prompt_cache_miss_tokens":4}"#,
                [4, 5, 0, 0, 2, 0],
            ),
            ("together", r#"{"prompt_tokens":9,"completion_tokens":2,"cached_tokens":3}"#, [6, 3, 0, 0, 2, 0]),
            (
                "mistral",
                r#"{"prompt_tokens":9,"completion_tokens":2,"num_cached_tokens":3,"prompt_audio_seconds":null}"#,
                [6, 3, 0, 0, 2, 0],
            ),
            (
                "mistral",
                r#"{"prompt_tokens":9,"completion_tokens":2,"prompt_token_details":{"cached_tokens":3}}"#,
                [6, 3, 0, 0, 2, 0],
            ),
            (
                "openrouter",
                r#"{"prompt_tokens":9,"completion_tokens":2,"cost":0.1,"prompt_tokens_details":{"cached_tokens":1,"cache_write_tokens":5}}"#,
                [3, 1, 5, 0, 2, 0],
            ),
            (
                "digitalocean",
                r#"{"prompt_tokens":9,"completion_tokens":2,"cache_read_input_tokens":4,"cache_created_input_tokens":3,"cache_creation":{"ephemeral_1h_input_tokens":1}}"#,
                [2, 4, 2, 1, 2, 0],
            ),
            (
                "cached outside the prompt",
                r#"{"prompt_tokens":3,"completion_tokens":2,"cached_tokens":8}"#,
                [3, 8, 0, 0, 2, 0],
            ),
            (
                "sglang",
                r#"{"prompt_tokens":3,"completion_tokens":9,"total_tokens":12,"reasoning_tokens":4}"#,
                [3, 0, 0, 0, 9, 4],
            ),
            (
                "nulls and floats",
                r#"{"prompt_tokens":3.0,"completion_tokens":2,"prompt_tokens_details":null,"total_tokens":null}"#,
                [3, 0, 0, 0, 2, 0],
            ),
        ] {
            assert_eq!(counts(json), expected, "{vendor}");
        }
    }

    #[test]
    fn what_counts_nothing_is_no_usage() {
        for json in ["null", "{}", "[]", "7", "", r#"{"queue_time":0.1}"#, r#"{"prompt_tokens":"x"}"#] {
            assert_eq!(usage(json), None, "{json}");
        }
    }
}
