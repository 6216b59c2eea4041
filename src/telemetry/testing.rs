//! The log lines of a test, complete even while other tests run in the same process.
//!
//! `tracing` decides once for each place that logs whether anybody listens, and while the process
//! has only one subscriber it asks only the thread that came there first. A test elsewhere that
//! has no subscriber would so silence the place for everybody. A second subscriber that is never
//! dropped makes it ask all of them, wherever the place is reached first.

use std::{
    io,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use tracing::{Dispatch, Level, dispatcher, subscriber::NoSubscriber};

/// Never dropped; two, so that there is never only one.
static OTHERS: LazyLock<[Dispatch; 2]> = LazyLock::new(|| [(); 2].map(|()| Dispatch::new(NoSubscriber::new())));

/// What one thread logs at any level while the guard lives.
#[derive(Debug)]
pub(crate) struct Lines {
    sink: Sink,
    _guard: dispatcher::DefaultGuard,
}

/// Runs with a subscriber of this thread alone.
pub(crate) fn with<T>(subscriber: impl tracing::Subscriber + Send + Sync + 'static, run: impl FnOnce() -> T) -> T {
    LazyLock::force(&OTHERS);
    tracing::subscriber::with_default(subscriber, run)
}

#[derive(Debug, Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// Lines for people.
    pub(crate) fn listen() -> Self {
        Self::start(|sink| fmt(sink).finish().into())
    }

    /// One JSON object per line.
    pub(crate) fn listen_json() -> Self {
        Self::start(|sink| fmt(sink).json().finish().into())
    }

    /// What was logged so far.
    pub(crate) fn text(&self) -> String {
        let bytes = self.sink.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        String::from_utf8(bytes).unwrap()
    }

    fn start(subscriber: impl FnOnce(Sink) -> Dispatch) -> Self {
        LazyLock::force(&OTHERS);
        let sink = Sink::default();
        let guard = dispatcher::set_default(&subscriber(sink.clone()));
        Self { sink, _guard: guard }
    }
}

type Builder = tracing_subscriber::fmt::SubscriberBuilder<
    tracing_subscriber::fmt::format::DefaultFields,
    tracing_subscriber::fmt::format::Format,
    tracing_subscriber::filter::LevelFilter,
    Box<dyn Fn() -> Sink + Send + Sync>,
>;

fn fmt(sink: Sink) -> Builder {
    let writer: Box<dyn Fn() -> Sink + Send + Sync> = Box::new(move || sink.clone());
    tracing_subscriber::fmt().with_max_level(Level::TRACE).with_ansi(false).with_writer(writer)
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A place that another thread reaches first, where nobody listens, is heard all the same.
    #[test]
    fn a_place_reached_first_by_somebody_else_is_heard() {
        let say = || tracing::info!("heard");
        let lines = Lines::listen();
        std::thread::spawn(say).join().unwrap();
        say();
        assert_eq!(lines.text().matches("heard").count(), 1);
    }
}
