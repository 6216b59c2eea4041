//! What the endpoints remember with: the store, the answers that are being made, and the way to the
//! task that makes those nobody waits for.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{background::Job, fold::close_unfinished, live::Registry};
use crate::{
    server::Lifecycle,
    store::{Keeper, Settings, Store},
};

/// Background responses that wait for their turn.
const WAITING: usize = 1024;
/// How long the store may take to write what is left when the process ends.
const FAREWELL: Duration = Duration::from_secs(5);

/// A handle; clones are the same memory.
#[derive(Debug, Clone)]
pub struct Memory {
    pub(super) store: Store,
    pub(super) live: Registry,
    pub(super) jobs: mpsc::Sender<Job>,
    pub(super) lifecycle: Lifecycle,
    /// After so much silence a stream says that it goes on.
    pub(super) silence: Duration,
}

/// The work behind a [`Memory`] that belongs to no call: the store's own, and background responses.
#[derive(Debug)]
pub struct Worker {
    keeper: Keeper,
    stops: mpsc::Receiver<String>,
    jobs: mpsc::Receiver<Job>,
    at_once: usize,
    live: Registry,
}

// === impl Memory ===

impl Memory {
    /// Makes a memory and the work behind it, which somebody has to run. Touches no disk. No stream
    /// that is kept is silent for `keep_alive`.
    pub fn new(settings: Settings, lifecycle: Lifecycle, keep_alive: Duration) -> (Self, Worker) {
        let at_once = settings.background;
        let (store, keeper, stops) = Store::new(settings, close_unfinished);
        let (sender, jobs) = mpsc::channel(WAITING);
        let memory = Self { store, live: Registry::default(), jobs: sender, lifecycle, silence: keep_alive * 9 / 10 };
        let live = memory.live.clone();
        (memory, Worker { keeper, stops, jobs, at_once, live })
    }
}

// === impl Worker ===

impl Worker {
    /// Runs until `stop`, then ends what is left: background responses go on until the lifecycle
    /// cuts them off, and everything that was to be kept is written.
    pub async fn run(self, stop: CancellationToken) {
        let closing = CancellationToken::new();
        let (keeper, stops) = (self.keeper, self.stops);
        let keeping = keeper.run(closing.clone());
        let working = async {
            work(self.jobs, self.at_once, stop, hear(stops, self.live)).await;
            closing.cancel();
        };
        let mut keeping = std::pin::pin!(keeping);
        tokio::select! {
            () = &mut keeping => {}
            () = working => {
                let _ = timeout(FAREWELL, keeping).await;
            }
        }
    }
}

/// Stops what others want stopped.
async fn hear(mut stops: mpsc::Receiver<String>, live: Registry) {
    while let Some(id) = stops.recv().await {
        if let Some(live) = live.get(&id) {
            live.stop.cancel();
        }
    }
    std::future::pending().await
}

/// Makes the answers that nobody waits for, so many at once.
async fn work(
    mut jobs: mpsc::Receiver<Job>,
    at_once: usize,
    stop: CancellationToken,
    hearing: impl Future<Output = ()>,
) {
    let room = Arc::new(Semaphore::new(at_once));
    let mut running = JoinSet::new();
    let mut hearing = std::pin::pin!(hearing);
    loop {
        tokio::select! {
            job = jobs.recv() => {
                let Some(job) = job else { break };
                let room = Arc::clone(&room);
                // A task of its own: it belongs to the process, since its client may be gone.
                running.spawn(async move { job.run(&room).await });
            }
            Some(_) = running.join_next() => {}
            () = &mut hearing => {}
            () = stop.cancelled() => break,
        }
    }
    jobs.close();
    while let Some(job) = jobs.recv().await {
        let room = Arc::clone(&room);
        running.spawn(async move { job.run(&room).await });
    }
    // Each ends itself at the cut; nobody waits for longer than that takes.
    while running.join_next().await.is_some() {}
}
