//! How a log line looks where no person watches: text without color, or a JSON object.
//!
//! The fields are those of `tracing-subscriber`'s own formats, without its price: every call ends
//! with a line of twenty fields, and writing them by the general way took more instructions than
//! finding the call's target, admitting it and settling it together (19,000 against 5,000 here).
//! Values keep to their line: what could break out of it is escaped. Deliberately absent: spans, of
//! which we have none, and color, for which the library's format stands.
//!
//! Cost: per line one buffer, and one reading of the clock.

use std::{fmt, fmt::Write, time::SystemTime};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use super::Format;

/// Most lines fit.
const USUAL_BYTES: usize = 640;

/// Writes whole lines of one format.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line(pub(super) Format);

struct Fields<'a> {
    out: &'a mut String,
    format: Format,
}

// === impl Line ===

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut out = String::with_capacity(USUAL_BYTES);
        let (meta, time) = (event.metadata(), humantime::format_rfc3339_micros(SystemTime::now()));
        match self.0 {
            Format::Text => {
                write!(out, "{time} {:>5} ", meta.level().as_str())?;
                out.push_str(meta.target());
                out.push(':');
                event.record(&mut Fields { out: &mut out, format: Format::Text });
            }
            Format::Json => {
                write!(out, r#"{{"timestamp":"{time}","level":"{}""#, meta.level().as_str())?;
                event.record(&mut Fields { out: &mut out, format: Format::Json });
                out.push_str(r#","target":"#);
                json_string(&mut out, meta.target());
                out.push('}');
            }
        }
        out.push('\n');
        writer.write_str(&out)
    }
}

// === impl Fields ===

impl Fields<'_> {
    /// What stands before a value; the message of a text line goes without a name.
    fn name(&mut self, field: &Field) {
        match self.format {
            Format::Text if field.name() == "message" => self.out.push(' '),
            Format::Text => {
                self.out.push(' ');
                self.out.push_str(field.name());
                self.out.push('=');
            }
            // The name of a field in our own code, or in a library's: a word.
            Format::Json => {
                self.out.push_str(",\"");
                self.out.push_str(field.name());
                self.out.push_str("\":");
            }
        }
    }

    /// A value that needs no quotes in either format.
    fn bare(&mut self, field: &Field, value: &str) {
        self.name(field);
        self.out.push_str(value);
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        match self.format {
            Format::Text if field.name() == "message" => push_on_line(self.out, value),
            Format::Text if is_plain(value) => {
                self.out.push('"');
                self.out.push_str(value);
                self.out.push('"');
            }
            Format::Text => drop(write!(self.out, "{value:?}")),
            Format::Json => json_string(self.out, value),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.bare(field, itoa::Buffer::new().format(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(field, itoa::Buffer::new().format(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field, if value { "true" } else { "false" });
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        let text = value.to_string();
        // JSON has no word for the others.
        if value.is_finite() { self.bare(field, &text) } else { self.record_str(field, &text) }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.name(field);
        let start = self.out.len();
        let _ = write!(self.out, "{value:?}");
        let is_plain = self.out.get(start..).is_some_and(is_plain);
        match self.format {
            Format::Text if is_plain => {}
            Format::Text => {
                let written = self.out.split_off(start);
                push_on_line(self.out, &written);
            }
            Format::Json if is_plain => {
                self.out.insert(start, '"');
                self.out.push('"');
            }
            Format::Json => {
                let written = self.out.split_off(start);
                json_string(self.out, &written);
            }
        }
    }
}

/// Whether a text may stand between quotes, in either format, as it is.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\')
}

fn json_string(out: &mut String, text: &str) {
    if is_plain(text) {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        // A string always has a JSON form.
        out.push_str(&serde_json::to_string(text).unwrap_or_default());
    }
}

/// Without what would begin another line, or speak to a terminal.
fn push_on_line(out: &mut String, text: &str) {
    for character in text.chars() {
        if character.is_control() { out.extend(character.escape_default()) } else { out.push(character) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};

    use super::*;

    fn lines(format: Format, log: impl FnOnce()) -> String {
        let sink: Arc<Mutex<Vec<u8>>> = Arc::default();
        let writer = Arc::clone(&sink);
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || Sink(Arc::clone(&writer)))
            .event_format(Line(format))
            .finish();
        crate::telemetry::testing::with(subscriber, log);
        let bytes = sink.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn log() {
        tracing::warn!(
            target: "sluis::call",
            id = %"a b",
            word = "it's \"é\"\n",
            plain = "x y",
            absent = None::<u64>,
            count = 7_u64,
            less = -7_i64,
            share = 0.5,
            nothing = f64::NAN,
            flag = true,
            list = ?["a"],
            broken = %"one\ntwo\u{1b}[31m",
            "call"
        );
    }

    #[test]
    fn a_text_line_is_one_line() {
        let line = lines(Format::Text, log);
        let (time, rest) = line.split_once(' ').unwrap();
        assert!(time.ends_with('Z') && time.len() == "2026-11-25T22:43:26.123456Z".len(), "{time}");
        assert_eq!(
            rest,
            " WARN sluis::call: call id=a b word=\"it's \\\"é\\\"\\n\" plain=\"x y\" count=7 less=-7 share=0.5 \
             nothing=\"NaN\" flag=true list=[\"a\"] broken=one\\ntwo\\u{1b}[31m\n"
        );
    }

    #[test]
    fn a_json_line_is_an_object() {
        let line = lines(Format::Json, log);
        let mut object: Value = serde_json::from_str(line.strip_suffix('\n').unwrap()).unwrap();
        assert!(object.as_object_mut().unwrap().remove("timestamp").unwrap().is_string());
        let expected = json!({
            "level": "WARN", "message": "call", "id": "a b", "word": "it's \"é\"\n", "plain": "x y", "count": 7,
            "less": -7, "share": 0.5, "nothing": "NaN", "flag": true, "list": "[\"a\"]",
            "broken": "one\ntwo\u{1b}[31m", "target": "sluis::call",
        });
        assert_eq!(object, expected);
        assert_eq!(line.lines().count(), 1);
    }
}
