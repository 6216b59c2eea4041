//! What the store does by itself: it opens, comes back after an outage, tells who is alive, ends
//! what dead processes left open, and forgets what is old or too much.
//!
//! One task of the process runs all of it, so nothing here is on a call's way.

use std::{
    fs::{self, File},
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{
    sync::{Notify, mpsc, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Settings, State,
    db::{Db, execute, fetch, fetch_in},
    queue::{self, Job},
    read,
};
use crate::{config::StorePlace, telemetry};

/// How often a shared store is told that this process lives.
const BEAT: Duration = if cfg!(test) { Duration::from_millis(200) } else { Duration::from_secs(5) };
/// Who has not been seen for so long is dead.
const DEAD_AFTER: Duration = if cfg!(test) { Duration::from_secs(2) } else { Duration::from_secs(20) };
/// How often a store that is down is tried again.
const AGAIN: Duration = Duration::from_millis(500);
/// How often what is old is looked for.
const SWEEP: Duration = Duration::from_secs(60);
/// Responses or conversations forgotten in one step.
const STEP: i64 = 200;
/// Longer than this nothing here waits.
const PATIENCE: Duration = Duration::from_secs(5);
/// A shared store that is silent for so long is down.
const SHARED_PATIENCE: Duration = Duration::from_secs(1);

/// The store's own work.
pub struct Keeper {
    pub(super) settings: Settings,
    pub(super) jobs: mpsc::Receiver<Job>,
    pub(super) state: watch::Sender<State>,
    pub(super) wanted: watch::Receiver<bool>,
    /// Somebody found the store silent and wants it looked at.
    pub(super) doubt: Arc<Notify>,
    pub(super) stops: mpsc::Sender<String>,
    pub(super) process: String,
    /// Held as long as the file is ours.
    pub(super) lock: Option<File>,
    /// Makes of an unfinished response object and its events what is kept when its process died.
    pub(super) close: CloseUnfinished,
}

/// Turns the object of an unfinished response, and the events that were kept of it, into the object
/// of a failed one. The store reads no JSON itself.
pub type CloseUnfinished = fn(response: &str, events: &str) -> String;

// === impl Keeper ===

impl Keeper {
    /// Runs until `stop`, or until the last handle to the store is dropped. What was given to the
    /// store until then is written.
    pub async fn run(mut self, stop: CancellationToken) {
        let (_, empty) = mpsc::channel(1);
        let jobs = std::mem::replace(&mut self.jobs, empty);
        let process = self.process.clone();
        let state = self.state.subscribe();
        let doubt = Arc::clone(&self.doubt);
        tokio::select! {
            () = queue::write(jobs, state, &doubt, &process, &stop) => {}
            () = self.tend() => {}
        }
        let db = self.state.borrow().db();
        if let Some(db) = db {
            let _ = timeout(PATIENCE, self.leave(&db)).await;
        }
    }

    /// Says good-bye, so that nobody waits for this process's answers.
    async fn leave(&self, db: &Db) {
        let _ = bury(db, std::slice::from_ref(&self.process), self.close).await;
        db.close().await;
    }

    async fn tend(&mut self) {
        if self.may_wait() {
            // Nobody has asked for anything yet, and there is nothing to bring in order.
            let _ = self.wanted.wait_for(|wanted| *wanted).await;
        }
        let db = self.open().await;
        let mut swept: Option<Instant> = None;
        let is_shared = matches!(self.settings.place, StorePlace::Postgres(_));
        let patience = if is_shared { SHARED_PATIENCE } else { PATIENCE };
        loop {
            let is_up = match timeout(patience, self.beat(&db, is_shared)).await {
                Ok(Ok(())) => true,
                Ok(Err(error)) => {
                    tracing::debug!(%error, "the store refused its keeper");
                    false
                }
                Err(_) => false,
            };
            self.set(if is_up { State::Up(db.clone()) } else { State::Down });
            if is_up && swept.is_none_or(|at| at.elapsed() >= SWEEP) {
                swept = Some(Instant::now());
                if let Err(error) = sweep(&db, &self.settings).await {
                    tracing::debug!(%error, "the store could not be swept");
                }
            }
            let pause = if is_up { BEAT } else { AGAIN };
            // A call that found the store silent wants it looked at.
            let _ = timeout(pause, self.doubt.notified()).await;
        }
    }

    /// Whether opening may wait until somebody needs the store: a file that is not there yet holds
    /// nothing that was left open.
    fn may_wait(&self) -> bool {
        match &self.settings.place {
            StorePlace::Off | StorePlace::Memory => true,
            StorePlace::File(path) => !path.exists(),
            StorePlace::Postgres(_) => false,
        }
    }

    /// Opens the store, however long that takes.
    async fn open(&mut self) -> Db {
        loop {
            match timeout(PATIENCE, self.try_open()).await {
                Ok(Ok(db)) => return db,
                Ok(Err(error)) => self.set_down(&error.to_string()),
                Err(_) => self.set_down("it does not answer"),
            }
            sleep(AGAIN).await;
        }
    }

    async fn try_open(&mut self) -> Result<Db, sqlx::Error> {
        match self.settings.place.clone() {
            StorePlace::Off | StorePlace::Memory => Db::memory().await,
            StorePlace::File(path) => {
                if self.lock.is_none() {
                    match lock(&path) {
                        Ok(lock) => self.lock = Some(lock),
                        Err(why) => {
                            // Serving matters more than remembering.
                            let path = path.display();
                            tracing::warn!("answers are kept in memory only: {path}: {why}");
                            return Db::memory().await;
                        }
                    }
                }
                Db::file(&path).await
            }
            #[cfg(feature = "postgres")]
            StorePlace::Postgres(url) => Db::postgres(secrecy::ExposeSecret::expose_secret(&url)).await,
            #[cfg(not(feature = "postgres"))]
            StorePlace::Postgres(_) => Err(sqlx::Error::Configuration("this binary has no PostgreSQL in it".into())),
        }
    }

    /// Tells that this process lives, ends what the dead left open, and hears whom to stop.
    async fn beat(&self, db: &Db, is_shared: bool) -> Result<(), sqlx::Error> {
        let now = now();
        let mut tx = db.begin().await?;
        execute!(
            &mut tx,
            "INSERT INTO processes (id, seen) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET seen = $2",
            &self.process,
            now
        )?;
        tx.commit().await?;
        let dead_before = if is_shared { now - millis(DEAD_AFTER) } else { i64::MAX };
        let dead = fetch!(
            db,
            (String,),
            "SELECT DISTINCT r.process FROM responses r LEFT JOIN processes p ON p.id = r.process \
             WHERE r.process IS NOT NULL AND r.process <> $1 AND (p.seen IS NULL OR p.seen < $2)",
            &self.process,
            dead_before
        )?;
        let dead: Vec<String> = dead.into_iter().map(|(id,)| id).collect();
        bury(db, &dead, self.close).await?;
        let stopping =
            fetch!(db, (String,), "SELECT id FROM responses WHERE process = $1 AND stopping = 1", &self.process)?;
        for (id,) in stopping {
            let _ = self.stops.try_send(id);
        }
        Ok(())
    }

    /// One log line per change (rule B2).
    fn set(&self, state: State) {
        let is_up = matches!(state, State::Up(_));
        let was = self.state.send_replace(state);
        match (was, is_up) {
            (State::Up(_), true) | (State::Down, false) => {}
            (State::Opening | State::Down, true) => {
                telemetry::store_up(true);
                tracing::info!("the store is open");
            }
            (State::Opening | State::Up(_), false) => {
                telemetry::store_up(false);
                tracing::error!("the store does not answer; calls that need none go on");
            }
        }
    }

    /// An engine's own message never holds the password of the URL.
    fn set_down(&self, why: &str) {
        if !matches!(self.state.send_replace(State::Down), State::Down) {
            telemetry::store_up(false);
            tracing::error!("the store cannot be opened: {why}; calls that need none go on");
        }
    }
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// A lock beside the file: two processes that each took the other for dead would end each other's
/// answers. The system drops it with the process.
fn lock(path: &Path) -> Result<File, String> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = File::create(name).map_err(|error| error.to_string())?;
    file.try_lock().map_err(|error| match error {
        fs::TryLockError::WouldBlock => "another gateway uses it".to_owned(),
        fs::TryLockError::Error(error) => error.to_string(),
    })?;
    Ok(file)
}

/// Ends the answers of processes that are gone: failed, with a reason, and with what is known.
async fn bury(db: &Db, dead: &[String], close: CloseUnfinished) -> Result<(), sqlx::Error> {
    for process in dead {
        let left = fetch!(
            db,
            (String, String),
            "SELECT r.id, b.response FROM responses r JOIN bodies b ON b.id = r.id WHERE r.process = $1",
            process
        )?;
        for (id, response) in left {
            let mut events = String::new();
            let mut after = -1;
            loop {
                let chunks = read::events(db, &id, after).await?;
                let Some(last) = chunks.last() else { break };
                after = last.last;
                chunks.iter().for_each(|chunk| events.push_str(&chunk.data));
            }
            let closed = close(&response, &events);
            let mut tx = db.begin().await?;
            let sql = "UPDATE responses SET status = 'failed', process = NULL WHERE id = $1 AND process = $2";
            if execute!(&mut tx, sql, &id, process)? > 0 {
                execute!(&mut tx, "UPDATE bodies SET response = $2 WHERE id = $1", &id, &closed)?;
            }
            tx.commit().await?;
        }
        let mut tx = db.begin().await?;
        execute!(&mut tx, "DELETE FROM processes WHERE id = $1", process)?;
        tx.commit().await?;
    }
    Ok(())
}

/// Forgets what is too old, then the least recently used of what is too much.
pub(super) async fn sweep(db: &Db, settings: &Settings) -> Result<(), sqlx::Error> {
    let oldest = now().saturating_sub(millis(settings.retention));
    while forget(db, "", oldest, i64::MAX).await? > 0 {}
    shrink(db, "", bytes(settings.max_bytes)).await?;
    if let Some(limit) = settings.max_bytes_per_key {
        let owners = fetch!(db, (String,), "SELECT owner FROM responses UNION SELECT owner FROM conversations")?;
        for (owner,) in owners {
            shrink(db, &owner, bytes(limit)).await?;
        }
    }
    Ok(())
}

/// Forgets until no more than `limit` bytes are left, of one key or (`""`) of all.
async fn shrink(db: &Db, owner: &str, limit: i64) -> Result<(), sqlx::Error> {
    loop {
        let excess = total(db, owner).await?.saturating_sub(limit);
        if excess <= 0 || forget(db, owner, i64::MAX, excess).await? == 0 {
            return Ok(());
        }
    }
}

/// Bytes kept, of one key or (`""`) of all.
async fn total(db: &Db, owner: &str) -> Result<i64, sqlx::Error> {
    let rows = fetch!(
        db,
        (i64,),
        "SELECT CAST(COALESCE((SELECT SUM(size) FROM responses WHERE $1 = '' OR owner = $1), 0) \
         + COALESCE((SELECT SUM(size) FROM conversations WHERE $1 = '' OR owner = $1), 0) AS BIGINT)",
        owner
    )?;
    Ok(rows.first().map_or(0, |(total,)| *total))
}

/// Forgets a few of those least recently used before a time, until `enough` bytes are freed; never
/// an answer that is being made. Tells how many.
async fn forget(db: &Db, owner: &str, before: i64, enough: i64) -> Result<usize, sqlx::Error> {
    let mut tx = db.begin().await?;
    let oldest = fetch_in!(
        &mut tx,
        (String, i64, i64),
        "SELECT id, size, kind FROM (\
             SELECT id, size, touched, CAST(0 AS BIGINT) AS kind FROM responses \
             WHERE process IS NULL AND touched < $1 AND ($2 = '' OR owner = $2) \
             UNION ALL SELECT id, size, touched, CAST(1 AS BIGINT) AS kind FROM conversations \
             WHERE touched < $1 AND ($2 = '' OR owner = $2)) AS old ORDER BY touched LIMIT $3",
        before,
        owner,
        STEP
    )?;
    let (mut count, mut freed) = (0, 0_i64);
    for (id, size, kind) in &oldest {
        if freed >= enough {
            break;
        }
        let sql =
            if *kind == 0 { "DELETE FROM responses WHERE id = $1" } else { "DELETE FROM conversations WHERE id = $1" };
        execute!(&mut tx, sql, id)?;
        count += 1;
        freed = freed.saturating_add(*size);
    }
    tx.commit().await?;
    Ok(count)
}

/// Milliseconds since 1970.
pub(super) fn now() -> i64 {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn bytes(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
