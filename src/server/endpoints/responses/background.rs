//! Answers that nobody waits for: each a call like any other, admitted, charged and recorded, only
//! that its client is the store.

use tokio::sync::Semaphore;

use super::{maker, recording::Recording};
use crate::{
    call::{Answer, AnswerBody},
    error::{Error, Result},
    server::stream::Pending,
    telemetry::InFlight,
};

/// One of them, ready to be made.
pub(super) struct Job {
    /// Nothing happens before it is polled.
    pub pending: Pending,
    pub recording: Recording,
    /// Counts the call as long as it lives.
    pub in_flight: InFlight,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("recording", &self.recording).finish_non_exhaustive()
    }
}

// === impl Job ===

impl Job {
    /// Makes the answer when there is room; ends early when somebody stops it, or when the process
    /// ends.
    pub(super) async fn run(self, room: &Semaphore) {
        let Self { pending, mut recording, in_flight: _in_flight } = self;
        let (stop, lifecycle) = (recording.live.stop.clone(), recording.lifecycle());
        let made = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            () = lifecycle.cut_off() => None,
            made = make(pending, &mut recording, room) => Some(made),
        };
        match made {
            Some(Ok(())) => {}
            Some(Err(error)) => recording.fail(&error).await,
            None if stop.is_cancelled() => recording.cancel().await,
            None => recording.interrupt().await,
        }
    }
}

async fn make(pending: Pending, recording: &mut Recording, room: &Semaphore) -> Result<()> {
    let _room = room.acquire().await;
    let Answer { notes, body } = pending.await.map_err(|failure| failure.error)?;
    match body {
        AnswerBody::Stream(stream) => recording.follow(stream, maker(&notes)).await,
        AnswerBody::Whole(_) => {
            Err(Error::Internal { message: "a whole answer to a call that asked for a stream".into() })
        }
    }
}
