//! What changes the store: one function per kind of change, each inside a transaction that the
//! [queue](super::queue) opens for many of them together.

use super::{
    db::{Tx, execute, fetch_in},
    record::{Append, Begin, Chunk, Conversation, Finish, Item},
};

/// A response that is read or built upon counts as used at most this often, in milliseconds.
const TOUCH_EVERY: i64 = 24 * 3600 * 1000;

/// A change.
#[derive(Debug)]
pub(super) enum Change {
    Begin(Box<Begin>),
    /// A response that waited is being made.
    Progress {
        id: String,
        response: String,
    },
    Log {
        id: String,
        chunk: Chunk,
    },
    Finish(Box<Finish>),
    /// Asks the producer of a response to stop, wherever it runs.
    Stop {
        owner: String,
        id: String,
    },
    Delete {
        owner: String,
        id: String,
    },
    Converse {
        owner: String,
        conversation: Conversation,
        items: Vec<Item>,
    },
    Describe {
        owner: String,
        id: String,
        metadata: String,
    },
    Forget {
        owner: String,
        id: String,
    },
    Append(Append),
    Remove {
        owner: String,
        conversation: String,
        item: String,
    },
}

/// Makes the change. The answer is how many of what was meant were there: 0 when there was nothing
/// to change.
pub(super) async fn apply(tx: &mut Tx, change: &Change, process: &str, now: i64) -> Result<u64, sqlx::Error> {
    match change {
        Change::Begin(begun) => begin(tx, begun, process, now).await,
        Change::Progress { id, response } => progress(tx, id, response).await,
        Change::Log { id, chunk } => log(tx, id, chunk).await,
        Change::Finish(finish) => end(tx, finish, now).await,
        Change::Stop { owner, id } => {
            execute!(tx, "UPDATE responses SET stopping = 1 WHERE id = $1 AND owner = $2", id, owner)
        }
        Change::Delete { owner, id } => execute!(tx, "DELETE FROM responses WHERE id = $1 AND owner = $2", id, owner),
        Change::Converse { owner, conversation, items } => converse(tx, owner, conversation, items, now).await,
        Change::Describe { owner, id, metadata } => execute!(
            tx,
            "UPDATE conversations SET metadata = $3, touched = $4 WHERE id = $1 AND owner = $2",
            id,
            owner,
            metadata,
            now
        ),
        Change::Forget { owner, id } => {
            execute!(tx, "DELETE FROM conversations WHERE id = $1 AND owner = $2", id, owner)
        }
        Change::Append(append) => self::append(tx, append, now).await,
        Change::Remove { owner, conversation, item } => remove(tx, owner, conversation, item).await,
    }
}

/// About as many bytes as the change adds.
pub(super) fn size(change: &Change) -> usize {
    let items = |items: &[Item]| items.iter().map(|item| item.json.len()).sum::<usize>();
    match change {
        Change::Begin(begin) => begin.input.len() + begin.response.len(),
        Change::Progress { response, .. } => response.len(),
        Change::Log { chunk, .. } => chunk.data.len(),
        Change::Finish(finish) => {
            let events = finish.events.as_ref().map_or(0, |chunk| chunk.data.len());
            finish.response.len() + events + finish.append.as_ref().map_or(0, |append| items(&append.items))
        }
        Change::Converse { conversation, items: all, .. } => conversation.metadata.len() + items(all),
        Change::Append(append) => items(&append.items),
        Change::Describe { metadata, .. } => metadata.len(),
        Change::Stop { .. } | Change::Delete { .. } | Change::Forget { .. } | Change::Remove { .. } => 0,
    }
}

async fn begin(tx: &mut Tx, begun: &Begin, process: &str, now: i64) -> Result<u64, sqlx::Error> {
    let process = (!begun.status.is_final()).then_some(process);
    let count = execute!(
        tx,
        "INSERT INTO responses (id, owner, model, status, background, created, touched, process, stopping, previous, \
         conversation, upto, size) VALUES ($1, $2, $3, $4, $5, $6, $6, $7, 0, $8, $9, $10, $11)",
        &begun.id,
        &begun.owner,
        &begun.model,
        begun.status.as_str(),
        i64::from(begun.background),
        now,
        process,
        begun.previous.as_deref(),
        begun.conversation.as_deref(),
        begun.upto,
        length(begun.input.len() + begun.response.len())
    )?;
    execute!(
        tx,
        "INSERT INTO bodies (id, input, response) VALUES ($1, $2, $3)",
        &begun.id,
        &begun.input,
        &begun.response
    )?;
    if let Some(previous) = &begun.previous {
        // What a living conversation builds on does not grow old.
        execute!(
            tx,
            "WITH RECURSIVE chain (id, previous) AS (\
                 SELECT id, previous FROM responses WHERE id = $1 \
                 UNION SELECT r.id, r.previous FROM responses r JOIN chain c ON r.id = c.previous) \
             UPDATE responses SET touched = $2 WHERE touched < $3 AND id IN (SELECT id FROM chain)",
            previous,
            now,
            now - TOUCH_EVERY
        )?;
    }
    if let Some(append) = &begun.append {
        self::append(tx, append, now).await?;
    }
    Ok(count)
}

async fn progress(tx: &mut Tx, id: &str, response: &str) -> Result<u64, sqlx::Error> {
    let sql = "UPDATE responses SET status = 'in_progress' WHERE id = $1 AND status = 'queued'";
    let count = execute!(tx, sql, id)?;
    if count > 0 {
        execute!(tx, "UPDATE bodies SET response = $2 WHERE id = $1", id, response)?;
    }
    Ok(count)
}

async fn log(tx: &mut Tx, id: &str, chunk: &Chunk) -> Result<u64, sqlx::Error> {
    let size = length(chunk.data.len());
    let count = execute!(tx, "UPDATE responses SET size = size + $2 WHERE id = $1", id, size)?;
    if count == 0 {
        return Ok(0);
    }
    execute!(
        tx,
        "INSERT INTO events (response, first, last, data) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        id,
        chunk.first,
        chunk.last,
        &chunk.data
    )
}

async fn end(tx: &mut Tx, finish: &Finish, now: i64) -> Result<u64, sqlx::Error> {
    // Whatever came first stays: an answer ends once.
    let count = execute!(
        tx,
        "UPDATE responses SET status = $2, touched = $3, process = NULL, size = size + $4 \
         WHERE id = $1 AND status IN ('queued', 'in_progress')",
        &finish.id,
        finish.status.as_str(),
        now,
        length(finish.response.len())
    )?;
    if count == 0 {
        return Ok(0);
    }
    execute!(tx, "UPDATE bodies SET response = $2 WHERE id = $1", &finish.id, &finish.response)?;
    if let Some(chunk) = &finish.events {
        log(tx, &finish.id, chunk).await?;
    }
    if let Some(append) = &finish.append {
        // A conversation that was deleted meanwhile takes nothing more.
        self::append(tx, append, now).await?;
    }
    Ok(count)
}

async fn converse(
    tx: &mut Tx,
    owner: &str,
    conversation: &Conversation,
    items: &[Item],
    now: i64,
) -> Result<u64, sqlx::Error> {
    let count = execute!(
        tx,
        "INSERT INTO conversations (id, owner, created, touched, metadata, next, size) VALUES ($1, $2, $3, $4, $5, 0, $6)",
        &conversation.id,
        owner,
        conversation.created,
        now,
        &conversation.metadata,
        length(conversation.metadata.len())
    )?;
    let append = Append { owner: owner.into(), conversation: conversation.id.clone(), items: items.to_vec() };
    self::append(tx, &append, now).await?;
    Ok(count)
}

async fn append(tx: &mut Tx, append: &Append, now: i64) -> Result<u64, sqlx::Error> {
    let size = append.items.iter().map(|item| item.json.len()).sum();
    // Takes the places and the row's lock in one, so that two turns never share a place.
    let taken = fetch_in!(
        tx,
        (i64,),
        "UPDATE conversations SET next = next + $3, touched = $4, size = size + $5 WHERE id = $1 AND owner = $2 \
         RETURNING next",
        &append.conversation,
        &append.owner,
        length(append.items.len()),
        now,
        length(size)
    )?;
    let Some((next,)) = taken.first() else { return Ok(0) };
    let first = next - length(append.items.len());
    for (place, item) in (first..).zip(&append.items) {
        execute!(
            tx,
            "INSERT INTO items (conversation, place, id, item) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            &append.conversation,
            place,
            &item.id,
            &item.json
        )?;
    }
    Ok(1)
}

async fn remove(tx: &mut Tx, owner: &str, conversation: &str, item: &str) -> Result<u64, sqlx::Error> {
    execute!(
        tx,
        "DELETE FROM items WHERE conversation = $1 AND id = $3 \
         AND EXISTS (SELECT 1 FROM conversations WHERE id = $1 AND owner = $2)",
        conversation,
        owner,
        item
    )
}

fn length(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
