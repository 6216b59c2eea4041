//! Log lines to standard error, through a bounded buffer that drops rather than waits (`sink`).
//!
//! A sink that blocks, such as a full pipe, costs lines and never a request its time; the lost
//! ones are counted (rule B3, regression 53).

use std::{
    io::{self, IsTerminal},
    panic,
};

use tracing::Subscriber;
use tracing_subscriber::{
    filter::{ParseError, Targets},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use super::{
    line::Line,
    sink::{self, Dropped, Sink, Writing},
};

/// What may wait for a slow sink: about five thousand lines.
const WAITING_BYTES: usize = 2 * 1024 * 1024;

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people, in color on a terminal.
    Text,
    /// One JSON object per line.
    Json,
}

/// Keeps the log's thread alive. Dropping it writes what still waits, for a second at most.
#[derive(Debug)]
pub struct Logs {
    dropped: Dropped,
    _writing: Writing,
}

/// Starts logging, for the whole process and once.
///
/// `filter` is a level for our own lines (`debug`), or levels by module (`info,sluis::routing=debug`);
/// without it we log at `info`. Libraries are held at `warn` unless they are named: at `trace` some
/// print headers. A panic is logged by its place alone, since its message may
/// quote a request.
pub fn log_to_stderr(filter: Option<&str>, format: Format) -> Result<Logs, String> {
    let filter = parse(filter).map_err(|error| format!("the log filter is wrong: {error}"))?;
    let unstarted = |error: &dyn std::fmt::Display| format!("logging cannot be started: {error}");
    let (sink, writing) = sink::start(io::stderr(), WAITING_BYTES).map_err(|error| unstarted(&error))?;
    let logs = Logs { dropped: sink.dropped(), _writing: writing };
    let color = io::stderr().is_terminal();
    subscriber(filter, format, color, sink).try_init().map_err(|error| unstarted(&error))?;
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a bug: panicked");
    }));
    Ok(logs)
}

// === impl Logs ===

impl Logs {
    /// Counts the lines the sink was too slow for.
    pub fn dropped(&self) -> Dropped {
        self.dropped.clone()
    }
}

fn parse(filter: Option<&str>) -> Result<Targets, ParseError> {
    let directives: String = match filter.map(str::trim).filter(|filter| !filter.is_empty()) {
        None => "warn,sluis=info".into(),
        Some(level) if level.bytes().all(|byte| byte.is_ascii_alphanumeric()) => format!("warn,sluis={level}"),
        Some(directives) => format!("warn,sluis=info,{directives}"),
    };
    directives.parse()
}

fn subscriber(filter: Targets, format: Format, color: bool, sink: Sink) -> Box<dyn Subscriber + Send + Sync> {
    let (lines, layer) = (tracing_subscriber::registry().with(filter), fmt::layer().with_writer(sink));
    match format {
        Format::Text if color => Box::new(lines.with(layer.compact())),
        Format::Text | Format::Json => Box::new(lines.with(layer.event_format(Line(format)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_level_of_ours_or_directives() {
        for (given, expected) in [
            (None, "sluis=info,warn"),
            (Some(" "), "sluis=info,warn"),
            (Some("trace"), "sluis=trace,warn"),
            (Some("hyper=debug"), "sluis=info,hyper=debug,warn"),
        ] {
            let mut parts: Vec<_> = expected.split(',').map(String::from).collect();
            let filter = parse(given).unwrap().to_string();
            let mut found: Vec<_> = filter.split(',').map(String::from).collect();
            parts.sort();
            found.sort();
            assert_eq!(found, parts, "{given:?}");
        }
        assert!(parse(Some("sluis=loud")).is_err());
    }
}
