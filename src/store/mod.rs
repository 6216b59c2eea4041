//! What outlives a call: stored answers with their events, and conversations.
//!
//! Nothing here is needed to serve a request that asks for no memory (rule B3). [`Store`] is a
//! handle that never waits to be made; its [`Keeper`] opens the store behind it, and until that has
//! happened, or while the store is down, whoever needs it gets an honest 503 within the deadline
//! (rules B1, B2) and everybody else notices nothing.
//!
//! Two engines, one set of queries ([`db`]): an embedded SQLite file, and PostgreSQL where several
//! gateways share what they remember. Changes go through one queue ([`queue`]) and are durable when
//! their outcome is told; questions go straight to the engine ([`read`]).
//!
//! JSON is text here: what a response looks like is the endpoints' business. Deliberately absent:
//! keys, budgets and the ledger, and anything that a call without memory would touch.

mod db;
mod keeper;
mod queue;
mod read;
mod record;
#[cfg(test)]
mod tests;
mod write;

use std::{fmt, sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    time::timeout,
};
use uuid::Uuid;

use self::{
    db::Db,
    queue::{Failed, Job, WAITING},
    write::{Change, size},
};
pub use self::{
    keeper::{CloseUnfinished, Keeper},
    record::{Append, Begin, Chain, Chunk, Conversation, Finish, Item, Listed, Missing, Page, Status, Stored, Turn},
};
pub use crate::config::{Store as Settings, StorePlace};
use crate::error::{Error, Result};

/// How long a call waits for a store that is shared, and so may hang (rule B2).
const SHARED_DEADLINE: Duration = Duration::from_millis(50);
/// What a large answer may take more: a millisecond for so many bytes.
const BYTES_PER_MS: usize = 64 * 1024;
/// How long a call waits for the file on this machine's disk.
const LOCAL_DEADLINE: Duration = Duration::from_secs(2);
/// Answers that others want stopped, on their way to whoever makes them.
const STOPS: usize = 256;

/// A handle to the store; clones are the same store.
#[derive(Clone)]
pub struct Store {
    jobs: mpsc::Sender<Job>,
    state: watch::Receiver<State>,
    wanted: Arc<watch::Sender<bool>>,
    doubt: Arc<Notify>,
    deadline: Duration,
    is_on: bool,
    process: Arc<str>,
}

/// Whether the store answers.
#[derive(Debug, Clone)]
enum State {
    Opening,
    Up(Db),
    Down,
}

// === impl Store ===

impl Store {
    /// Makes the handle, the keeper that somebody has to run, and the ids of answers that another
    /// process wants stopped here. Neither waits nor touches a disk.
    pub fn new(settings: Settings, close: CloseUnfinished) -> (Self, Keeper, mpsc::Receiver<String>) {
        let (jobs, waiting) = mpsc::channel(WAITING);
        let (opened, state) = watch::channel(State::Opening);
        let (wanted, asked) = watch::channel(false);
        let (stops, stopping) = mpsc::channel(STOPS);
        let process: Arc<str> = Uuid::now_v7().simple().to_string().into();
        let doubt = Arc::new(Notify::new());
        let store = Self {
            jobs,
            state,
            wanted: Arc::new(wanted),
            doubt: Arc::clone(&doubt),
            deadline: match settings.place {
                StorePlace::Postgres(_) => SHARED_DEADLINE,
                StorePlace::Off | StorePlace::Memory | StorePlace::File(_) => LOCAL_DEADLINE,
            },
            is_on: !matches!(settings.place, StorePlace::Off),
            process: Arc::clone(&process),
        };
        let process = process.to_string();
        let keeper =
            Keeper { settings, jobs: waiting, state: opened, wanted: asked, doubt, stops, process, lock: None, close };
        (store, keeper, stopping)
    }

    /// Whether the operator wants anything kept.
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// Whether the store is known to be down; one that has not been opened yet is not.
    pub fn is_down(&self) -> bool {
        matches!(*self.state.borrow(), State::Down)
    }

    /// Waits until the store is open, but not for long.
    pub async fn ready(&self) -> Result<()> {
        self.ask(async |_| Ok(())).await
    }

    /// Whether an answer is being made by this process.
    pub fn is_ours(&self, process: &str) -> bool {
        *self.process == *process
    }

    // === responses ===

    /// Keeps a response that begins. Once this has returned, a crash leaves it behind as failed.
    pub async fn begin(&self, begin: Begin) -> Result<()> {
        let id = begin.id.clone();
        let owner = begin.owner.clone();
        let begun = self.change(Change::Begin(Box::new(begin))).await;
        if begun.is_err() {
            // It may yet be written after all, and nobody would end it.
            self.later(Change::Delete { owner, id });
        }
        begun.map(drop)
    }

    /// Tells that a response that waited is being made.
    pub fn progress(&self, id: &str, response: String) {
        self.later(Change::Progress { id: id.into(), response });
    }

    /// Keeps some of a stream's events, if it can: what is lost here is lost to resumption only.
    pub fn log(&self, id: &str, chunk: Chunk) {
        self.later(Change::Log { id: id.into(), chunk });
    }

    /// Ends a response. Once this has returned, the answer is on the disk. It is written as soon as
    /// the store is back where it returns an error.
    pub async fn finish(&self, finish: Finish) -> Result<()> {
        self.change(Change::Finish(Box::new(finish))).await.map(drop)
    }

    /// Ends a response without waiting, for those who cannot.
    pub fn finish_later(&self, finish: Finish) {
        self.later(Change::Finish(Box::new(finish)));
    }

    /// A key's response.
    pub async fn response(&self, owner: &str, id: &str) -> Result<Option<Stored>> {
        self.ask(async |db| read::response(&db, owner, id).await).await
    }

    pub async fn status(&self, owner: &str, id: &str) -> Result<Option<Status>> {
        self.ask(async |db| read::status(&db, owner, id).await).await
    }

    /// Everything up to and with a response; the id of the one that is missing where there is none,
    /// or where what it builds on has been forgotten.
    pub async fn chain(&self, owner: &str, id: &str) -> Result<Result<Chain, String>> {
        self.ask(async |db| read::chain(&db, owner, id).await).await
    }

    /// The next few chunks of a stream after the event `after`, from -1. The caller has proven that
    /// the response is the key's.
    pub async fn events(&self, id: &str, after: i64) -> Result<Vec<Chunk>> {
        self.ask(async |db| read::events(&db, id, after).await).await
    }

    /// Whether there was one to delete.
    pub async fn delete(&self, owner: &str, id: &str) -> Result<bool> {
        self.found(Change::Delete { owner: owner.into(), id: id.into() }).await
    }

    /// Asks whoever makes the answer to stop; it may be another process.
    pub async fn stop(&self, owner: &str, id: &str) -> Result<bool> {
        self.found(Change::Stop { owner: owner.into(), id: id.into() }).await
    }

    // === conversations ===

    pub async fn converse(&self, owner: &str, conversation: Conversation, items: Vec<Item>) -> Result<()> {
        self.change(Change::Converse { owner: owner.into(), conversation, items }).await.map(drop)
    }

    pub async fn conversation(&self, owner: &str, id: &str) -> Result<Option<Conversation>> {
        self.ask(async |db| read::conversation(&db, owner, id).await).await
    }

    /// Replaces a conversation's metadata. Whether there is such a conversation.
    pub async fn describe(&self, owner: &str, id: &str, metadata: String) -> Result<bool> {
        self.found(Change::Describe { owner: owner.into(), id: id.into(), metadata }).await
    }

    /// Deletes a conversation and its items; responses made in it stay. Whether there was one.
    pub async fn forget(&self, owner: &str, id: &str) -> Result<bool> {
        self.found(Change::Forget { owner: owner.into(), id: id.into() }).await
    }

    /// Adds items at the end. Whether there is such a conversation.
    pub async fn append(&self, append: Append) -> Result<bool> {
        self.found(Change::Append(append)).await
    }

    /// All items below a place, in order.
    pub async fn items_upto(&self, owner: &str, id: &str, upto: i64) -> Result<Vec<Item>> {
        self.ask(async |db| read::items_upto(&db, owner, id, upto).await).await
    }

    pub async fn items(&self, owner: &str, id: &str, page: &Page) -> Result<Result<Listed, Missing>> {
        self.ask(async |db| read::items(&db, owner, id, page).await).await
    }

    pub async fn item(&self, owner: &str, conversation: &str, id: &str) -> Result<Option<Item>> {
        self.ask(async |db| read::item(&db, owner, conversation, id).await).await
    }

    /// Whether there was such an item.
    pub async fn remove(&self, owner: &str, conversation: &str, item: &str) -> Result<bool> {
        let change = Change::Remove { owner: owner.into(), conversation: conversation.into(), item: item.into() };
        self.found(change).await
    }

    // === the way there ===

    async fn found(&self, change: Change) -> Result<bool> {
        Ok(self.change(change).await? > 0)
    }

    /// Makes a change and waits for its commit, but not for long.
    async fn change(&self, change: Change) -> Result<u64> {
        let patience = self.deadline + Duration::from_millis((size(&change) / BYTES_PER_MS) as u64);
        self.want();
        if self.is_down() {
            // The end of an answer is kept for later, whatever its sender is told.
            if matches!(change, Change::Finish(_)) {
                self.later(change);
            }
            return Err(unavailable());
        }
        let (done, outcome) = oneshot::channel();
        self.jobs.try_send(Job { change, done: Some(done) }).map_err(|_| unavailable())?;
        match timeout(patience, outcome).await {
            Ok(Ok(Ok(count))) => Ok(count),
            Ok(Ok(Err(Failed::Refused))) => {
                Err(Error::Internal { message: "the store refused what was to be kept".into() })
            }
            Ok(Ok(Err(Failed::Down)) | Err(_)) | Err(_) => {
                self.doubt.notify_one();
                Err(unavailable())
            }
        }
    }

    /// Makes a change some time, if there is room for it to wait.
    fn later(&self, change: Change) {
        self.want();
        if self.jobs.try_send(Job { change, done: None }).is_err() {
            tracing::debug!("the store's queue is full; a change was dropped");
        }
    }

    /// Asks a question, but does not wait long for the answer.
    async fn ask<T>(&self, question: impl AsyncFnOnce(Db) -> sqlx::Result<T>) -> Result<T> {
        self.want();
        let asked = async {
            let mut state = self.state.clone();
            let db = state.wait_for(|state| !matches!(state, State::Opening)).await.ok()?.db()?;
            Some(question(db).await)
        };
        match timeout(self.deadline, asked).await {
            Ok(Some(Ok(answer))) => Ok(answer),
            Ok(None) => Err(unavailable()),
            Ok(Some(Err(_))) | Err(_) => {
                self.doubt.notify_one();
                Err(unavailable())
            }
        }
    }

    fn want(&self) {
        self.wanted.send_if_modified(|wanted| !std::mem::replace(wanted, true));
    }
}

fn unavailable() -> Error {
    Error::StoreUnavailable
}

// === impl State ===

impl State {
    fn db(&self) -> Option<Db> {
        match self {
            Self::Up(db) => Some(db.clone()),
            Self::Opening | Self::Down => None,
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("is_on", &self.is_on).field("process", &self.process).finish_non_exhaustive()
    }
}
