//! What is asked of the store. Every question carries the key that asks; what belongs to another
//! key is not there.

use super::{
    db::{Db, fetch},
    record::{Chain, Chunk, Conversation, Item, Listed, Missing, Page, Status, Stored, Turn},
};

/// Turns in a chain. A longer one counts as broken: its beginning is not forgotten in silence.
const LONGEST_CHAIN: i64 = 10_000;

type StoredRow = (String, String, String, i64, Option<String>, Option<String>, String, String, Option<String>);

pub(super) async fn response(db: &Db, owner: &str, id: &str) -> Result<Option<Stored>, sqlx::Error> {
    let rows = fetch!(
        db,
        StoredRow,
        "SELECT r.id, r.owner, r.status, r.background, r.previous, r.conversation, b.input, b.response, r.process \
         FROM responses r JOIN bodies b ON b.id = r.id WHERE r.id = $1 AND r.owner = $2",
        id,
        owner
    )?;
    Ok(rows.into_iter().next().map(|row| {
        let (id, owner, status, background, previous, conversation, input, response, process) = row;
        let status = Status::parse(&status).unwrap_or(Status::Failed);
        Stored { id, owner, status, background: background != 0, previous, conversation, input, response, process }
    }))
}

/// Whether a response has ended; `None` when it is gone.
pub(super) async fn status(db: &Db, owner: &str, id: &str) -> Result<Option<Status>, sqlx::Error> {
    let rows = fetch!(db, (String,), "SELECT status FROM responses WHERE id = $1 AND owner = $2", id, owner)?;
    Ok(rows.first().and_then(|(status,)| Status::parse(status)))
}

/// Everything up to and with the response `id`; the id that is missing where the chain is broken.
pub(super) async fn chain(db: &Db, owner: &str, id: &str) -> Result<Result<Chain, String>, sqlx::Error> {
    let rows = fetch!(
        db,
        (String, Option<String>, String, String, String, Option<String>, i64),
        "WITH RECURSIVE chain (id, depth) AS (\
             SELECT id, CAST(0 AS BIGINT) FROM responses WHERE id = $1 AND owner = $2 \
             UNION ALL SELECT p.id, c.depth + 1 FROM chain c JOIN responses r ON r.id = c.id \
             JOIN responses p ON p.id = r.previous WHERE p.owner = $2 AND c.depth < $3) \
         SELECT r.id, r.previous, r.status, b.input, b.response, r.conversation, r.upto \
         FROM chain c JOIN responses r ON r.id = c.id JOIN bodies b ON b.id = c.id ORDER BY c.depth DESC",
        id,
        owner,
        LONGEST_CHAIN
    )?;
    let Some((_, previous, _, _, _, conversation, upto)) = rows.first() else { return Ok(Err(id.into())) };
    if let Some(previous) = previous {
        return Ok(Err(previous.clone()));
    }
    let items = match conversation {
        Some(conversation) => items_upto(db, owner, conversation, *upto).await?,
        None => Vec::new(),
    };
    let turns = rows.into_iter().map(|(id, _, status, input, response, _, _)| {
        let status = Status::parse(&status).unwrap_or(Status::Failed);
        Turn { id, input, response, status }
    });
    Ok(Ok(Chain { items, turns: turns.collect() }))
}

/// The next few chunks of a stream, after the event `after`.
pub(super) async fn events(db: &Db, id: &str, after: i64) -> Result<Vec<Chunk>, sqlx::Error> {
    let rows = fetch!(
        db,
        (i64, i64, String),
        "SELECT first, last, data FROM events WHERE response = $1 AND last > $2 ORDER BY first LIMIT 16",
        id,
        after
    )?;
    Ok(rows.into_iter().map(|(first, last, data)| Chunk { first, last, data }).collect())
}

pub(super) async fn conversation(db: &Db, owner: &str, id: &str) -> Result<Option<Conversation>, sqlx::Error> {
    let rows = fetch!(
        db,
        (String, i64, String, i64),
        "SELECT id, created, metadata, next FROM conversations WHERE id = $1 AND owner = $2",
        id,
        owner
    )?;
    let found = rows.into_iter().next();
    Ok(found.map(|(id, created, metadata, next)| Conversation { id, created, metadata, next }))
}

/// A conversation's items below a place, from the first.
pub(super) async fn items_upto(db: &Db, owner: &str, id: &str, upto: i64) -> Result<Vec<Item>, sqlx::Error> {
    let rows = fetch!(
        db,
        (String, String),
        "SELECT i.id, i.item FROM items i JOIN conversations c ON c.id = i.conversation \
         WHERE c.id = $1 AND c.owner = $2 AND i.place < $3 ORDER BY i.place",
        id,
        owner,
        upto
    )?;
    Ok(rows.into_iter().map(|(id, json)| Item { id, json }).collect())
}

/// A part of a conversation.
pub(super) async fn items(db: &Db, owner: &str, id: &str, page: &Page) -> Result<Result<Listed, Missing>, sqlx::Error> {
    if conversation(db, owner, id).await?.is_none() {
        return Ok(Err(Missing::Whole));
    }
    let from = match &page.after {
        Some(after) => match place(db, id, after).await? {
            Some(place) => place,
            None => return Ok(Err(Missing::After)),
        },
        None if page.newest_first => i64::MAX,
        None => -1,
    };
    // One more than asked for tells whether there is more.
    let limit = i64::try_from(page.limit).unwrap_or(i64::MAX).saturating_add(1);
    let rows = if page.newest_first {
        let sql = "SELECT id, item FROM items WHERE conversation = $1 AND place < $2 ORDER BY place DESC LIMIT $3";
        fetch!(db, (String, String), sql, id, from, limit)?
    } else {
        let sql = "SELECT id, item FROM items WHERE conversation = $1 AND place > $2 ORDER BY place LIMIT $3";
        fetch!(db, (String, String), sql, id, from, limit)?
    };
    let mut items: Vec<Item> = rows.into_iter().map(|(id, json)| Item { id, json }).collect();
    let has_more = items.len() > page.limit;
    items.truncate(page.limit);
    Ok(Ok(Listed { items, has_more }))
}

pub(super) async fn item(db: &Db, owner: &str, conversation: &str, id: &str) -> Result<Option<Item>, sqlx::Error> {
    let rows = fetch!(
        db,
        (String, String),
        "SELECT i.id, i.item FROM items i JOIN conversations c ON c.id = i.conversation \
         WHERE c.id = $1 AND c.owner = $2 AND i.id = $3",
        conversation,
        owner,
        id
    )?;
    Ok(rows.into_iter().next().map(|(id, json)| Item { id, json }))
}

async fn place(db: &Db, conversation: &str, id: &str) -> Result<Option<i64>, sqlx::Error> {
    let rows = fetch!(db, (i64,), "SELECT place FROM items WHERE conversation = $1 AND id = $2", conversation, id)?;
    Ok(rows.first().map(|(place,)| *place))
}
