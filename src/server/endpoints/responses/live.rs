//! Answers that are being made by this process: whoever asks for one sees its events as they come,
//! and may stop it.
//!
//! Cost per event and watcher: one lock held for a push or a few clones, never across an await.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_stream::stream;
use bytes::Bytes;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{call::ByteStream, error::Error};

/// Bytes of events kept of one answer while it is being made. Of a longer one only the store has
/// all.
const KEPT: usize = 64 << 20;

/// One answer that is being made.
pub(super) struct Live {
    log: Mutex<Log>,
    news: watch::Sender<()>,
    /// Whether it goes on when its client leaves, and so may be stopped by name.
    pub background: bool,
    pub stop: CancellationToken,
}

#[derive(Default)]
struct Log {
    /// With their sequence numbers, which rise.
    events: Vec<(i64, Bytes)>,
    bytes: usize,
    is_over: bool,
    overflowed: bool,
}

/// All of them, by id.
#[derive(Debug, Clone, Default)]
pub(super) struct Registry(Arc<Mutex<HashMap<String, Arc<Live>>>>);

// === impl Live ===

impl Live {
    pub(super) fn new(background: bool) -> Arc<Self> {
        let news = watch::Sender::new(());
        Arc::new(Self { log: Mutex::default(), news, background, stop: CancellationToken::new() })
    }

    pub(super) fn push(&self, number: i64, event: &Bytes) {
        {
            let mut log = lock(&self.log);
            if log.bytes + event.len() > KEPT {
                log.overflowed = true;
                log.events.clear();
            } else {
                log.bytes += event.len();
                log.events.push((number, event.clone()));
            }
        }
        self.news.send_replace(());
    }

    /// Nothing more will come.
    pub(super) fn end(&self) {
        lock(&self.log).is_over = true;
        self.news.send_replace(());
    }

    /// The events after the one of this number, as they come, to the end.
    pub(super) fn watch(self: Arc<Self>, after: i64) -> ByteStream {
        let mut news = self.news.subscribe();
        let mut after = after;
        Box::pin(stream! {
            loop {
                news.borrow_and_update();
                let (events, is_over, overflowed) = {
                    let log = lock(&self.log);
                    let from = log.events.partition_point(|(number, _)| *number <= after);
                    (log.events.get(from..).unwrap_or_default().to_vec(), log.is_over, log.overflowed)
                };
                if overflowed {
                    let message = "This answer is too long to be watched; ask for it when it is complete.";
                    yield Err(Error::Interrupted { message: message.into() });
                    return;
                }
                for (number, event) in events {
                    after = number;
                    yield Ok(event);
                }
                if is_over || news.changed().await.is_err() {
                    return;
                }
            }
        })
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("background", &self.background).finish_non_exhaustive()
    }
}

// === impl Registry ===

impl Registry {
    pub(super) fn insert(&self, id: &str, live: &Arc<Live>) {
        lock(&self.0).insert(id.to_owned(), Arc::clone(live));
    }

    pub(super) fn remove(&self, id: &str) {
        lock(&self.0).remove(id);
    }

    pub(super) fn get(&self, id: &str) -> Option<Arc<Live>> {
        lock(&self.0).get(id).cloned()
    }
}

/// What a panic leaves behind here is whole: no change takes two steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt};

    use super::*;

    fn event(number: i64) -> Bytes {
        Bytes::from(format!("data: {number}\n\n"))
    }

    #[tokio::test]
    async fn watchers_see_what_was_and_what_comes() {
        let live = Live::new(true);
        live.push(0, &event(0));
        live.push(1, &event(1));
        let mut late = Arc::clone(&live).watch(0);
        let mut early = Arc::clone(&live).watch(-1);
        assert_eq!(early.next().await.unwrap().unwrap(), event(0));
        assert_eq!(late.next().await.unwrap().unwrap(), event(1));
        assert!(late.next().now_or_never().is_none());
        live.push(2, &event(2));
        assert_eq!(late.next().await.unwrap().unwrap(), event(2));
        live.end();
        assert!(late.next().await.is_none());
        assert_eq!(early.map(|event| event.unwrap()).collect::<Vec<_>>().await, [event(1), event(2)]);
    }

    #[tokio::test]
    async fn what_is_too_long_is_not_kept() {
        let live = Live::new(true);
        let big = Bytes::from(vec![b'x'; KEPT / 2 + 1]);
        live.push(0, &big);
        live.push(1, &big);
        assert!(live.watch(-1).next().await.unwrap().is_err());
    }
}
