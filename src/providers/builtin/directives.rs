//! What a prompt can tell the model to do, as `[[name=value]]` in the last user message.
//!
//! Only the names of [`TABLE`] are directives; any other text in double brackets is text.

use std::time::Duration;

use http::StatusCode;

use super::{MAX_TOKENS, Refusal};

/// No pause is longer, so that a typo does not hold a connection for a day.
const LONGEST: Duration = Duration::from_secs(600);

/// Name with an example, and what it does. The model's own help and the docs show it.
pub(super) const TABLE: &[(&str, &str)] = &[
    ("delay=500ms", "waits before the first event"),
    ("interval=20ms", "waits between events"),
    ("words=200", "answers with that many words"),
    ("fail=429", "answers with that status, 400 to 599"),
    ("retry-after=2", "adds that header, in seconds, to a failure"),
    ("cut=3", "breaks the connection off after 3 events (in the middle of an answer that does not stream)"),
    ("error-after=3", "sends an error event after 3 events (a 500 when the answer does not stream)"),
];

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Directives {
    pub(super) delay: Duration,
    pub(super) interval: Duration,
    pub(super) words: Option<usize>,
    pub(super) fail: Option<StatusCode>,
    pub(super) retry_after: Option<u32>,
    pub(super) cut: Option<usize>,
    pub(super) error_after: Option<usize>,
}

impl Directives {
    /// Takes the directives out of a text; what is left is trimmed.
    pub(super) fn take(text: &str) -> Result<(Self, String), Refusal> {
        let mut directives = Self::default();
        let mut rest = String::with_capacity(text.len());
        let mut left = text;
        while let Some((before, after)) = left.split_once("[[") {
            rest.push_str(before);
            let inner = after.split_once("]]");
            let known = inner.and_then(|(inner, tail)| Some((inner.split_once('=')?, tail)));
            let Some(((name, value), tail)) = known.filter(|((name, _), _)| is_known(name.trim())) else {
                rest.push_str("[[");
                left = after;
                continue;
            };
            directives.set(name.trim(), value.trim())?;
            left = tail;
        }
        rest.push_str(left);
        Ok((directives, rest.trim().into()))
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Refusal> {
        let wrong = || {
            let message =
                format!("The directive [[{name}={value}]] has a value that builtin/echo does not understand.");
            Refusal::invalid(message, "messages", "invalid_value")
        };
        let count = || value.parse::<usize>().map_err(|_| wrong());
        let pause = || humantime::parse_duration(value).map(|pause| pause.min(LONGEST)).map_err(|_| wrong());
        match name {
            "delay" => self.delay = pause()?,
            "interval" => self.interval = pause()?,
            "words" => self.words = Some(count()?.min(MAX_TOKENS)),
            "retry-after" => self.retry_after = Some(value.parse().map_err(|_| wrong())?),
            "cut" => self.cut = Some(count()?),
            "error-after" => self.error_after = Some(count()?),
            _ => {
                let status = value.parse().ok().filter(|status| (400..600).contains(status));
                self.fail = Some(status.and_then(|status| StatusCode::from_u16(status).ok()).ok_or_else(wrong)?);
            }
        }
        Ok(())
    }
}

fn is_known(name: &str) -> bool {
    TABLE.iter().any(|(example, _)| example.split_once('=').is_some_and(|(known, _)| known == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_leave_the_text() {
        let (directives, text) =
            Directives::take("a [[delay=1s]] b [[wiki]] [[x=1]] [[ cut = 3 ]][[fail=503]] c [[").unwrap();
        assert_eq!(text, "a  b [[wiki]] [[x=1]]  c [[");
        assert_eq!(directives.delay, Duration::from_secs(1));
        assert_eq!((directives.cut, directives.fail), (Some(3), Some(StatusCode::SERVICE_UNAVAILABLE)));
    }

    /// Each line of the table is understood, so help and docs never promise too much.
    #[test]
    fn every_example_of_the_table_is_understood() {
        for (example, _) in TABLE {
            let (directives, text) = Directives::take(&format!("[[{example}]]")).unwrap();
            assert_ne!(directives, Directives::default(), "{example}");
            assert_eq!(text, "");
            let (name, _) = example.split_once('=').unwrap();
            assert!(Directives::take(&format!("[[{name}=nonsense]]")).is_err(), "{name}");
        }
        assert!(Directives::take("[[fail=200]]").is_err());
    }

    #[test]
    fn values_are_bounded() {
        let (directives, _) = Directives::take("[[delay=9days]][[words=99999999]]").unwrap();
        assert_eq!((directives.delay, directives.words), (LONGEST, Some(MAX_TOKENS)));
    }
}
