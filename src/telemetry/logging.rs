//! Log lines to standard error, through a bounded queue that drops rather than waits.
//!
//! A sink that blocks, such as a full pipe, costs lines and never a request its time; the lost
//! ones are counted (rule B3, regression 53).

use std::{
    io::{self, IsTerminal},
    panic,
};

use tracing::Subscriber;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, filter::ParseError, fmt, util::SubscriberInitExt};

use super::line::Line;

/// Lines that wait for a slow sink; at some 400 bytes each, under 4 MiB.
const QUEUE_LINES: usize = 8192;

/// Lines written to the sink at once, in bytes.
const SINK_BUFFER: usize = 32 * 1024;

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
    dropped: ErrorCounter,
    _worker: WorkerGuard,
}

/// Starts logging, for the whole process and once.
///
/// `filter` is a level for our own lines (`debug`), or directives as `tracing-subscriber` reads
/// them; without it we log at `info`. Libraries are held at `warn` unless a directive names them:
/// at `trace` some print headers. A panic is logged by its place alone, since its message may
/// quote a request.
pub fn log_to_stderr(filter: Option<&str>, format: Format) -> Result<Logs, String> {
    let filter = parse(filter).map_err(|error| format!("the log filter is wrong: {error}"))?;
    // The log's thread flushes when its queue is empty: a lone line at once, a burst in one write.
    let (writer, logs) = queue(io::BufWriter::with_capacity(SINK_BUFFER, io::stderr()));
    let color = io::stderr().is_terminal();
    subscriber(filter, format, color, writer)
        .try_init()
        .map_err(|error| format!("logging cannot be started: {error}"))?;
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a bug: panicked");
    }));
    Ok(logs)
}

// === impl Logs ===

impl Logs {
    /// Counts the lines the sink was too slow for.
    pub fn dropped(&self) -> ErrorCounter {
        self.dropped.clone()
    }
}

fn queue(sink: impl io::Write + Send + 'static) -> (NonBlocking, Logs) {
    let (writer, worker) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(QUEUE_LINES)
        .thread_name("sluis-log")
        .finish(sink);
    let dropped = writer.error_counter();
    (writer, Logs { dropped, _worker: worker })
}

fn parse(filter: Option<&str>) -> Result<EnvFilter, ParseError> {
    let directives = match filter.map(str::trim).filter(|filter| !filter.is_empty()) {
        None => "warn,sluis=info".into(),
        Some(level) if level.bytes().all(|byte| byte.is_ascii_alphanumeric()) => format!("warn,sluis={level}"),
        Some(directives) => format!("warn,sluis=info,{directives}"),
    };
    EnvFilter::try_new(directives)
}

fn subscriber(
    filter: EnvFilter,
    format: Format,
    color: bool,
    writer: NonBlocking,
) -> Box<dyn Subscriber + Send + Sync> {
    let builder = fmt().with_env_filter(filter).with_writer(writer).with_ansi(color);
    match format {
        Format::Text if color => Box::new(builder.compact().finish()),
        Format::Text | Format::Json => Box::new(builder.event_format(Line(format)).finish()),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Condvar, Mutex},
        time::{Duration, Instant},
    };

    use super::*;

    /// A sink that takes nothing until it is opened, and then counts lines.
    #[derive(Clone, Default)]
    struct Gate(Arc<(Mutex<(bool, usize)>, Condvar)>);

    impl Gate {
        fn open(&self) {
            self.0.0.lock().unwrap().0 = true;
            self.0.1.notify_all();
        }

        fn lines(&self) -> usize {
            self.0.0.lock().unwrap().1
        }
    }

    impl io::Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let (lock, opened) = &*self.0;
            let mut state = opened.wait_while(lock.lock().unwrap(), |state| !state.0).unwrap();
            state.1 += bytes.iter().filter(|byte| **byte == b'\n').count();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Regression 53: a blocked sink slows nobody down, and what is lost is counted to the line.
    #[test]
    fn a_blocked_sink_costs_lines_and_no_time() {
        let gate = Gate::default();
        let (writer, logs) = queue(gate.clone());
        let subscriber = subscriber(parse(None).unwrap(), Format::Json, false, writer);
        let start = Instant::now();
        tracing::subscriber::with_default(subscriber, || {
            for number in 0..20_000 {
                tracing::info!(target: "sluis", number, "line");
            }
        });
        assert!(start.elapsed() < Duration::from_secs(5));
        let dropped = logs.dropped().dropped_lines();
        assert!(dropped >= 20_000 - QUEUE_LINES - 2, "{dropped}");
        gate.open();
        drop(logs);
        assert_eq!(gate.lines() + dropped, 20_000);
    }

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
