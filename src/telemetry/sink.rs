//! Log lines on their way to a sink that may be slow: one buffer, and a thread that writes it out.
//!
//! Whoever logs never waits for the sink, and in a crowd not even for the thread: it is woken by the
//! first line after a silence, writes all that has gathered, and looks again a moment later. A
//! queue of single lines, which wakes its reader for each of them, took as long as finding the
//! call's target and admitting it together. What the buffer has no room for is dropped and counted
//! (rule B3).
//!
//! Cost: per line a short lock and one copy; per moment one write.

use std::{
    io, mem,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

/// Lines gather so long before the next write.
const MOMENT: Duration = Duration::from_millis(10);
/// At the end, for what still waits.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// A buffer that a burst has grown beyond this is not kept.
const USUAL_BYTES: usize = 256 * 1024;

/// Takes whole lines, one `write` each. Clones share the buffer.
#[derive(Debug, Clone)]
pub(super) struct Sink(Arc<Shared>);

/// Ends the thread when dropped, after what still waits has been written, or a second.
#[derive(Debug)]
pub(super) struct Writing(Arc<Shared>);

/// How many lines were lost.
#[derive(Debug, Clone)]
pub struct Dropped(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    limit: usize,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<u8>,
    /// The thread has nothing to do and waits to be told.
    is_idle: bool,
    /// No more lines will come.
    is_over: bool,
    has_ended: bool,
}

/// A sink before `out`, in which `limit` bytes may wait.
pub(super) fn start(out: impl io::Write + Send + 'static, limit: usize) -> io::Result<(Sink, Writing)> {
    let shared =
        Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), limit, dropped: AtomicU64::new(0) });
    let writer = Arc::clone(&shared);
    thread::Builder::new().name("sluis-log".into()).spawn(move || writer.write_out(out))?;
    Ok((Sink(Arc::clone(&shared)), Writing(shared)))
}

// === impl Sink ===

impl Sink {
    pub(super) fn dropped(&self) -> Dropped {
        Dropped(Arc::clone(&self.0))
    }
}

impl io::Write for &Sink {
    /// Never fails and never takes a part of a line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

// === impl Writing ===

impl Drop for Writing {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_over = true;
        self.0.changed.notify_all();
        drop(self.0.changed.wait_timeout_while(state, LAST_WORDS, |state| !state.has_ended));
    }
}

// === impl Dropped ===

impl Dropped {
    pub fn lines(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }
}

// === impl Shared ===

impl Shared {
    /// A poisoned lock is taken all the same: nothing under it stops half-way.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut state = self.state();
        if state.lines.len() + line.len() > self.limit {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        state.lines.extend_from_slice(line);
        if mem::take(&mut state.is_idle) {
            self.changed.notify_all();
        }
    }

    /// The thread's whole life. A sink that fails loses its lines; there is nobody to tell.
    fn write_out(&self, mut out: impl io::Write) {
        let mut lines = Vec::new();
        while self.wait_for(&mut lines) {
            let _ = out.write_all(&lines);
            let _ = out.flush();
            lines.clear();
            lines.shrink_to(USUAL_BYTES);
            self.gather();
        }
        self.state().has_ended = true;
        self.changed.notify_all();
    }

    /// Waits for lines and takes them, leaving an empty buffer. `false` when no more will come.
    fn wait_for(&self, lines: &mut Vec<u8>) -> bool {
        let mut state = self.state();
        while state.lines.is_empty() {
            if state.is_over {
                return false;
            }
            state.is_idle = true;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.is_idle = false;
        mem::swap(&mut state.lines, lines);
        true
    }

    /// Lets lines gather.
    fn gather(&self) {
        drop(self.changed.wait_timeout_while(self.state(), MOMENT, |state| !state.is_over));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A sink that takes nothing until it is opened.
    #[derive(Clone, Default)]
    struct Gate(Arc<Inside>);

    #[derive(Default)]
    struct Inside {
        is_open: Mutex<bool>,
        opened: Condvar,
        taken: Mutex<String>,
    }

    impl Gate {
        fn open(&self) {
            *self.0.is_open.lock().unwrap() = true;
            self.0.opened.notify_all();
        }

        fn taken(&self) -> String {
            self.0.taken.lock().unwrap().clone()
        }

        fn lines(&self) -> u64 {
            self.taken().lines().count() as u64
        }
    }

    impl io::Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            drop(self.0.opened.wait_while(self.0.is_open.lock().unwrap(), |is_open| !*is_open).unwrap());
            self.0.taken.lock().unwrap().push_str(std::str::from_utf8(bytes).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn log(sink: &Sink, line: &str) {
        let mut to = sink;
        to.write_all(line.as_bytes()).unwrap();
    }

    /// Regression 53: a blocked sink stops nobody, and what is lost is counted to the line.
    #[test]
    fn a_blocked_sink_costs_lines_and_no_time() {
        let gate = Gate::default();
        let (sink, writing) = start(gate.clone(), 10_000).unwrap();
        for _ in 0..20_000 {
            log(&sink, "twenty bytes in all\n");
        }
        let dropped = sink.dropped().lines();
        // What waits, and as much again in the write that is stuck.
        assert!((20_000 - 1000..20_000).contains(&dropped), "{dropped}");
        gate.open();
        drop(writing);
        assert_eq!(gate.lines() + dropped, 20_000);
    }

    /// Lines of many threads stay whole and none is lost at the end.
    #[test]
    fn every_line_is_written_whole() {
        let gate = Gate::default();
        gate.open();
        let (sink, writing) = start(gate.clone(), 1 << 20).unwrap();
        thread::scope(|scope| {
            for thread in 0..4 {
                let sink = &sink;
                scope.spawn(move || (0..500).for_each(|line| log(sink, &format!("{thread} {line} end\n"))));
            }
        });
        drop(writing);
        assert_eq!((gate.lines(), sink.dropped().lines()), (2000, 0));
        assert!(gate.taken().lines().all(|line| line.split(' ').count() == 3 && line.ends_with(" end")));
    }

    /// A sink that never takes anything does not hold up the end of the process for long.
    #[test]
    fn the_end_does_not_wait_for_a_blocked_sink_for_ever() {
        let gate = Gate::default();
        let (sink, writing) = start(gate.clone(), 1000).unwrap();
        log(&sink, "never\n");
        drop(writing);
        assert_eq!(gate.taken(), "");
        gate.open();
    }
}
