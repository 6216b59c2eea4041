//! What every dialect's error responses have in common: waiting times, limit headers, request ids
//! and the meaning of a message's words.
//!
//! The shape of an error body is each dialect's own business and is not read here. Nothing here
//! looks at a clock: an HTTP date is counted from the response's own `date`.

use std::time::Duration;

use http::{HeaderMap, HeaderName, StatusCode};

use crate::error::Class;

/// A wait nobody means: longer ones are taken for this, so that no arithmetic on them overflows.
const LONGEST_WAIT: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long the upstream asks to wait: `retry-after-ms` in milliseconds, else `retry-after` in
/// seconds (fractions are seen) or as an HTTP date (RFC 9110 section 10.2.3; OpenAI's SDKs read the
/// same two headers in the same order, November 2026).
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    number(headers, "retry-after-ms")
        .map(|milliseconds| milliseconds / 1000.0)
        .or_else(|| number(headers, "retry-after"))
        .map(wait)
        .or_else(|| until_date(headers))
}

/// The headers that tell limits, as OpenAI and Anthropic name them, for the client of a 429 (rule F8).
pub fn limit_headers(headers: &HeaderMap) -> HeaderMap {
    let is_limit = |name: &HeaderName| {
        ["x-ratelimit-", "anthropic-ratelimit-"].iter().any(|start| name.as_str().starts_with(start))
    };
    headers.iter().filter(|(name, _)| is_limit(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The upstream's name for the exchange, as OpenAI, Anthropic, DeepSeek and Mistral spell it.
pub fn request_id(headers: &HeaderMap) -> Option<String> {
    static NAMES: [HeaderName; 5] = [
        HeaderName::from_static("x-request-id"),
        HeaderName::from_static("request-id"),
        HeaderName::from_static("x-amzn-requestid"),
        HeaderName::from_static("x-deepseek-request-id"),
        HeaderName::from_static("mistral-correlation-id"),
    ];
    NAMES.iter().find_map(|name| headers.get(name)?.to_str().ok()).map(Into::into)
}

/// What a message means by its words, for the vendors whose status or code does not say it. The
/// phrases are whole enough that a request's own text, quoted in a message, rarely holds one.
///
/// Sources: vendors' error pages and recorded answers of OpenAI, Anthropic, vLLM, llama.cpp, TGI,
/// Gemini, Together and Azure, read November 2026.
pub fn class_by_words(message: &str) -> Option<Class> {
    let message = message.to_ascii_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| message.contains(phrase));
    WORDS.iter().find(|(_, phrases)| says(phrases)).map(|(class, _)| *class)
}

/// What is said of an error whose body says nothing (empty, HTML).
pub fn neutral_message(status: StatusCode) -> String {
    format!("The upstream answered {status} without a usable message.")
}

const WORDS: &[(Class, &[&str])] = &[
    (
        Class::ContextLength,
        &[
            "prompt is too long",
            "prompt too long",
            "prompt exceeds max length",
            "input is too long",
            "input length and `max_tokens` exceed context limit",
            "context_length_exceeded",
            "maximum context length",
            "maximum model length",
            "exceeds the context",
            "exceed the context",
            "exceeds the available context",
            "exceed context limit",
            "context length exceeded",
            "context window exceed",
            "longer than the model's context",
            "input token count exceeds",
            "must have less than",
            "`inputs` tokens + `max_new_tokens` must be",
            "reduce the length of the messages",
        ],
    ),
    (
        Class::Quota,
        &[
            "api usage limits",
            "exceeded your current quota",
            "exceeded_current_quota",
            "insufficient_quota",
            "insufficient quota",
            "credit balance",
            "insufficient credit",
            "insufficient balance",
            "not enough credits",
            "out of credits",
            "requires more credits",
            "billing hard limit",
            "spend limit",
            "spending limit",
            "monthly included credits",
            "account is not active",
        ],
    ),
    (
        Class::ContentPolicy,
        &[
            "content policy",
            "content_policy",
            "content management policy",
            "content filtering policy",
            "flagged by moderation",
            "flagged input",
            "requires moderation",
            "rejected by the safety system",
            "rejected as a result of our safety system",
            "violating our usage polic",
            "considered high risk",
        ],
    ),
    (
        Class::Credentials,
        &[
            "incorrect api key",
            "invalid api key",
            "api key not valid",
            "api key is invalid",
            "invalid x-api-key",
            "invalid authentication",
        ],
    ),
    (
        Class::Overloaded,
        &["overloaded", "model is loading", "loading model", "no capacity", "at capacity", "over capacity"],
    ),
];

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim).filter(|value| !value.is_empty())
}

fn number(headers: &HeaderMap, name: &str) -> Option<f64> {
    text(headers, name)?.parse().ok().filter(|value: &f64| value.is_finite() && *value >= 0.0)
}

fn wait(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).map_or(LONGEST_WAIT, |wait| wait.min(LONGEST_WAIT))
}

fn until_date(headers: &HeaderMap) -> Option<Duration> {
    let date = |name| httpdate::parse_http_date(text(headers, name)?).ok();
    let until = date("retry-after")?;
    Some(until.duration_since(date("date")?).unwrap_or_default().min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    /// F4: every spelling of the wait is read, the more precise one first.
    #[test]
    fn waits_are_read_in_every_spelling() {
        let wait = |pairs: &[_]| retry_after(&headers(pairs)).map(|wait| wait.as_millis());
        assert_eq!(wait(&[("retry-after", "2"), ("retry-after-ms", "1500")]), Some(1500));
        assert_eq!(wait(&[("retry-after", " 0.25 ")]), Some(250));
        assert_eq!(wait(&[("retry-after", "60"), ("retry-after-ms", "soon")]), Some(60_000));
        let date = [("date", "Sun, 06 Nov 1994 08:49:00 GMT"), ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")];
        assert_eq!(wait(&date), Some(37_000));
        assert_eq!(wait(&[("date", date[1].1), ("retry-after", date[0].1)]), Some(0), "a date gone by");
        for nonsense in ["", "-1", "NaN", "inf", "tomorrow"] {
            assert_eq!(wait(&[("retry-after", nonsense)]), None, "{nonsense}");
        }
        assert_eq!(retry_after(&headers(&[("retry-after", "1e300")])), Some(LONGEST_WAIT));
    }

    /// F8.
    #[test]
    fn limit_headers_are_kept_and_others_are_not() {
        let limits =
            [("x-ratelimit-limit-requests", "5"), ("anthropic-ratelimit-tokens-reset", "2026-11-22T00:00:00Z")];
        let mut all = headers(&[("set-cookie", "a=b"), ("x-request-id", "req_1")]);
        all.extend(headers(&limits));
        assert_eq!(limit_headers(&all), headers(&limits));
        assert_eq!(request_id(&all).as_deref(), Some("req_1"));
        assert_eq!(request_id(&headers(&[("request-id", "r")])).as_deref(), Some("r"));
        assert_eq!(request_id(&HeaderMap::new()), None);
    }

    /// M3, and regression case 58: overflow and exhausted money are told by their words.
    #[test]
    fn words_tell_the_class() {
        for (message, class) in [
            ("prompt is too long: 210000 tokens > 200000 maximum", Some(Class::ContextLength)),
            ("This model's maximum context length is 8192 tokens. However, you", Some(Class::ContextLength)),
            ("the request exceeds the available context size. try increasing it", Some(Class::ContextLength)),
            ("You have reached your specified API usage limits. You will regain", Some(Class::Quota)),
            ("Your credit balance is too low to access the API.", Some(Class::Quota)),
            ("Output blocked by content filtering policy", Some(Class::ContentPolicy)),
            ("Incorrect API key provided: sk-1.", Some(Class::Credentials)),
            ("Overloaded", Some(Class::Overloaded)),
            ("messages: Field required", None),
            ("Invalid value: 'quota'. Supported values are: 'a'", None),
            ("", None),
        ] {
            assert_eq!(class_by_words(message), class, "{message}");
        }
    }
}
