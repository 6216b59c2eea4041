//! The way in: changes wait in a bounded queue, and one writer commits as many of them together as
//! are there, so that a busy gateway waits for the disk once and not once per answer.
//!
//! Whoever needs to know gets the outcome after the commit, never before. Whoever stops waiting has
//! given its change up, except for the end of an answer: that is kept until the store takes it, so
//! that an outage delays it and does not lose it.

use std::{collections::VecDeque, time::Duration};

use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    State,
    db::Db,
    keeper::now,
    write::{Change, apply, size},
};

/// Changes that wait at most.
pub(super) const WAITING: usize = 4096;
/// Changes and bytes of one commit, about.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 8 << 20;
/// Longer than this no commit takes.
const PATIENCE: Duration = Duration::from_secs(5);
/// Ends of answers that wait for a store that is down.
const KEPT: usize = 1024;
const PAUSE: Duration = Duration::from_millis(250);

/// A change on its way.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) change: Change,
    /// Who waits for it.
    pub(super) done: Option<oneshot::Sender<Result<u64, Failed>>>,
}

/// Why a change was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failed {
    /// The store does not answer.
    Down,
    /// The store answered, and refused this one.
    Refused,
}

/// Commits what comes until nobody can send any more, or until `stop` and what had come by then.
pub(super) async fn write(
    mut jobs: mpsc::Receiver<Job>,
    mut state: watch::Receiver<State>,
    doubt: &Notify,
    process: &str,
    stop: &CancellationToken,
) {
    let mut kept: VecDeque<Job> = VecDeque::new();
    let mut batch = Vec::new();
    loop {
        if kept.is_empty() {
            let job = tokio::select! {
                biased;
                job = jobs.recv() => job,
                () = stop.cancelled() => {
                    jobs.close();
                    jobs.recv().await
                }
            };
            let Some(job) = job else { return };
            batch.push(job);
        } else {
            batch.extend(kept.drain(..));
        }
        // The first change is what opens the store; it waits for that as long as its sender does.
        let Some(db) = opened(&mut state).await else { return };
        gather(&mut jobs, &mut batch);
        batch.retain(is_wanted);
        let Some(db) = db else {
            put_back(&mut batch, &mut kept);
            if wait(&mut jobs, &mut batch).await.is_none() && kept.is_empty() {
                return;
            }
            continue;
        };
        if commit(&db, &mut batch, process).await == Err(Failed::Down) {
            doubt.notify_one();
            put_back(&mut batch, &mut kept);
            tokio::time::sleep(PAUSE).await;
        }
        if jobs.is_closed() && jobs.is_empty() {
            // One more try is all that a stopping process can give.
            batch.extend(kept.drain(..));
            let _ = commit(&db, &mut batch, process).await;
            return;
        }
    }
}

/// The store once it has been opened, if it is up; `None` when it never will be.
async fn opened(state: &mut watch::Receiver<State>) -> Option<Option<Db>> {
    let state = state.wait_for(|state| !matches!(state, State::Opening)).await.ok()?;
    Some(state.db())
}

/// Lets time pass while the store is down, and answers whoever asks meanwhile.
async fn wait(jobs: &mut mpsc::Receiver<Job>, batch: &mut Vec<Job>) -> Option<()> {
    if let Ok(job) = timeout(PAUSE, jobs.recv()).await {
        batch.push(job?);
    }
    Some(())
}

/// What is there, up to the bounds of one commit.
fn gather(jobs: &mut mpsc::Receiver<Job>, batch: &mut Vec<Job>) {
    let mut bytes: usize = batch.iter().map(|job| size(&job.change)).sum();
    while batch.len() < BATCH && bytes < BATCH_BYTES {
        let Ok(job) = jobs.try_recv() else { return };
        bytes += size(&job.change);
        batch.push(job);
    }
}

/// A change whose sender has gone is not made: it was told that it had failed.
fn is_wanted(job: &Job) -> bool {
    matches!(job.change, Change::Finish(_)) || job.done.as_ref().is_none_or(|done| !done.is_closed())
}

/// Tells everybody that the store is down, and keeps what must not be lost.
fn put_back(batch: &mut Vec<Job>, kept: &mut VecDeque<Job>) {
    for mut job in batch.drain(..) {
        if let Some(done) = job.done.take() {
            let _ = done.send(Err(Failed::Down));
        }
        if matches!(job.change, Change::Finish(_)) && kept.len() < KEPT {
            kept.push_back(job);
        }
    }
}

/// Commits a batch; where one change spoils it, each by itself.
async fn commit(db: &Db, batch: &mut Vec<Job>, process: &str) -> Result<(), Failed> {
    if batch.is_empty() {
        return Ok(());
    }
    match together(db, batch, process).await {
        Ok(counts) => {
            for (job, count) in batch.drain(..).zip(counts) {
                answer(job, Ok(count));
            }
            return Ok(());
        }
        Err(Failed::Down) => return Err(Failed::Down),
        Err(Failed::Refused) => {}
    }
    let mut rest = std::mem::take(batch).into_iter();
    while let Some(job) = rest.next() {
        match together(db, std::slice::from_ref(&job), process).await {
            Ok(counts) => answer(job, Ok(counts.first().copied().unwrap_or_default())),
            Err(Failed::Refused) => answer(job, Err(Failed::Refused)),
            Err(Failed::Down) => {
                batch.push(job);
                batch.extend(rest);
                return Err(Failed::Down);
            }
        }
    }
    Ok(())
}

async fn together(db: &Db, batch: &[Job], process: &str) -> Result<Vec<u64>, Failed> {
    let work = async {
        let mut tx = db.begin().await?;
        let mut counts = Vec::with_capacity(batch.len());
        for job in batch {
            counts.push(apply(&mut tx, &job.change, process, now()).await?);
        }
        tx.commit().await?;
        Ok(counts)
    };
    match timeout(PATIENCE, work).await {
        Ok(Ok(counts)) => Ok(counts),
        Ok(Err(error)) => Err(Failed::of(&error)),
        Err(_) => Err(Failed::Down),
    }
}

fn answer(job: Job, outcome: Result<u64, Failed>) {
    if outcome == Err(Failed::Refused) {
        tracing::debug!("the store refused a change");
    }
    if let Some(done) = job.done {
        let _ = done.send(outcome);
    }
}

// === impl Failed ===

impl Failed {
    /// Whether a change or the store itself is at fault.
    pub(super) fn of(error: &sqlx::Error) -> Self {
        let sqlx::Error::Database(error) = error else { return Self::Down };
        // A constraint speaks of one change; anything else (the disk is full, the server is going
        // down) would be the same for the next.
        let is_constraint = error.is_unique_violation()
            || error.is_foreign_key_violation()
            || error.is_check_violation()
            || matches!(error.kind(), sqlx::error::ErrorKind::NotNullViolation)
            // A text that PostgreSQL cannot hold (class 22, data exception).
            || error.code().is_some_and(|code| code.len() == 5 && code.starts_with("22"));
        if is_constraint { Self::Refused } else { Self::Down }
    }
}
