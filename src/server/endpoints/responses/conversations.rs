//! `/v1/conversations` and their items (OpenAI's API reference, "Conversations", read November
//! 2026). A conversation is always the gateway's: it belongs to no model and to no provider.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    extract::{Request, State},
    response::Response,
};
use http::request::Parts;
use serde_json::{json, value::RawValue};

use super::{
    ENDPOINT, ids,
    include::Include,
    items, not_found,
    page::{Query, list},
};
use crate::{
    call::{Answer, AnswerBody, Caller, Notes},
    error::{Error, Result},
    server::{
        Server,
        endpoints::{Place, PlaceResult, caller, exchange::Exchange, place},
        extract,
    },
    store::{Append, Conversation, Item, Listed, Missing, Store},
    wire::json::Object,
};

/// Items that one request may bring.
const AT_ONCE: usize = 20;
/// Pairs of metadata, and the longest key and value of one.
const PAIRS: usize = 16;
const LONGEST_KEY: usize = 64;
const LONGEST_VALUE: usize = 512;

/// Makes a route's function of what it asks.
macro_rules! route {
    ($name:ident, $asked:expr) => {
        pub(in crate::server) async fn $name(
            State(server): State<Arc<Server>>,
            found: PlaceResult,
            request: Request,
        ) -> Response {
            asked(server, found, request, $asked).await
        }
    };
}

route!(create_conversation, Asked::Create);
route!(get_conversation, Asked::Get);
route!(update_conversation, Asked::Update);
route!(delete_conversation, Asked::Delete);
route!(add_items, Asked::AddItems);
route!(list_items, Asked::ListItems);
route!(get_item, Asked::GetItem);
route!(delete_item, Asked::DeleteItem);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Create,
    Get,
    Update,
    Delete,
    AddItems,
    ListItems,
    GetItem,
    DeleteItem,
}

async fn asked(server: Arc<Server>, found: PlaceResult, request: Request, asked: Asked) -> Response {
    let exchange = Exchange::begin(&ENDPOINT, Arc::clone(&server), request.headers());
    let answer = answer(&server, found, request, asked).await;
    exchange.respond(match answer {
        Ok(body) => Ok(Answer { notes: Notes::default(), body: AnswerBody::Whole(body.into()) }),
        Err(error) => Err(error.into()),
    })
}

async fn answer(server: &Server, found: PlaceResult, request: Request, asked: Asked) -> Result<String> {
    let (parts, body) = request.into_parts();
    let limit = server.directory.settings().body_limit;
    let (place, caller) = match admitted(server, found, &parts) {
        Ok(admitted) => admitted,
        Err(error) => return Err(extract::refused(&parts.headers, body, limit, error).await),
    };
    let store = &server.memory.store;
    let body = match asked {
        Asked::Create | Asked::Update | Asked::AddItems => extract::json_body(&parts.headers, body, limit).await?,
        Asked::Get | Asked::Delete | Asked::ListItems | Asked::GetItem | Asked::DeleteItem => bytes::Bytes::new(),
    };
    let query = Query::parse(parts.uri.query());
    let include = Include::read(&query)?;
    let of = Of { store, caller: &caller, place: &place };
    match asked {
        Asked::Create => of.create(&body).await,
        Asked::Get => Ok(shown(&of.conversation().await?)),
        Asked::Update => of.update(&body).await,
        Asked::Delete => of.delete().await,
        Asked::AddItems => Ok(list(&include.page(of.add(&body).await?))),
        Asked::ListItems => Ok(list(&include.page(of.list(&query).await?))),
        Asked::GetItem => Ok(include.item(of.item().await?.json)),
        Asked::DeleteItem => of.delete_item().await,
    }
}

/// What is known before a body is read.
fn admitted(server: &Server, found: PlaceResult, parts: &Parts) -> Result<(Place, Arc<Caller>)> {
    let place = place(server, found, &parts.method, parts.uri.path())?;
    let caller = caller(server, &parts.headers)?;
    if !server.memory.store.is_on() {
        return Err(not_found("Conversation", place.id.as_deref().unwrap_or("")));
    }
    Ok((place, caller))
}

/// A key's conversation.
struct Of<'a> {
    store: &'a Store,
    caller: &'a Caller,
    place: &'a Place,
}

// === impl Of ===

impl Of<'_> {
    fn owner(&self) -> &str {
        &self.caller.name
    }

    fn id(&self) -> &str {
        self.place.id.as_deref().unwrap_or_default()
    }

    fn item_id(&self) -> &str {
        self.place.item.as_deref().unwrap_or_default()
    }

    fn none(&self) -> Error {
        not_found("Conversation", self.id())
    }

    async fn conversation(&self) -> Result<Conversation> {
        self.store.conversation(self.owner(), self.id()).await?.ok_or_else(|| self.none())
    }

    async fn create(&self, body: &[u8]) -> Result<String> {
        // A conversation may begin with nothing at all.
        let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
        let object = Object::parse(body)?;
        let items = brought(&object)?;
        let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let conversation = Conversation {
            id: ids::fresh("conv_"),
            created: i64::try_from(created).unwrap_or(i64::MAX),
            metadata: metadata(&object)?.unwrap_or_else(|| "{}".into()),
            next: 0,
        };
        let shown = shown(&conversation);
        self.store.converse(self.owner(), conversation, items).await?;
        Ok(shown)
    }

    async fn update(&self, body: &[u8]) -> Result<String> {
        let metadata = metadata(&Object::parse(body)?)?.ok_or_else(|| {
            Error::invalid("Missing required parameter: `metadata`.", "metadata", "missing_required_parameter")
        })?;
        if !self.store.describe(self.owner(), self.id(), metadata).await? {
            return Err(self.none());
        }
        Ok(shown(&self.conversation().await?))
    }

    async fn delete(&self) -> Result<String> {
        if !self.store.forget(self.owner(), self.id()).await? {
            return Err(self.none());
        }
        Ok(json!({"id": self.id(), "object": "conversation.deleted", "deleted": true}).to_string())
    }

    async fn add(&self, body: &[u8]) -> Result<Listed> {
        let items = brought(&Object::parse(body)?)?;
        if items.is_empty() {
            return Err(Error::invalid("Missing required parameter: `items`.", "items", "missing_required_parameter"));
        }
        let append = Append { owner: self.owner().into(), conversation: self.id().into(), items: items.clone() };
        if !self.store.append(append).await? {
            return Err(self.none());
        }
        Ok(Listed { items, has_more: false })
    }

    async fn list(&self, query: &Query) -> Result<Listed> {
        let page = query.page()?;
        match self.store.items(self.owner(), self.id(), &page).await? {
            Ok(listed) => Ok(listed),
            Err(Missing::Whole) => Err(self.none()),
            Err(Missing::After) => Err(not_found("Item", page.after.as_deref().unwrap_or_default())),
        }
    }

    async fn item(&self) -> Result<Item> {
        let item = self.store.item(self.owner(), self.id(), self.item_id()).await?;
        item.ok_or_else(|| not_found("Item", self.item_id()))
    }

    /// Gives the conversation, as OpenAI does.
    async fn delete_item(&self) -> Result<String> {
        let conversation = self.conversation().await?;
        if !self.store.remove(self.owner(), self.id(), self.item_id()).await? {
            return Err(not_found("Item", self.item_id()));
        }
        Ok(shown(&conversation))
    }
}

fn shown(conversation: &Conversation) -> String {
    let Conversation { id, created, metadata, .. } = conversation;
    format!(r#"{{"id":"{id}","object":"conversation","created_at":{created},"metadata":{metadata}}}"#)
}

/// The items of a request, in the form in which they are kept.
fn brought(object: &Object<'_>) -> Result<Vec<Item>> {
    let items = items::kept(&items::raw(object.present("items"), "items")?);
    if items.len() > AT_ONCE {
        let message = format!("`items` may hold up to {AT_ONCE} items.");
        return Err(Error::invalid(message, "items", "array_above_max_length"));
    }
    Ok(items)
}

/// Up to 16 pairs of short texts, as they were written.
fn metadata(object: &Object<'_>) -> Result<Option<String>> {
    let Some(value) = object.present("metadata") else { return Ok(None) };
    let wrong = |message: &str| Error::invalid(message, "metadata", "invalid_type");
    let pairs = Object::parse_str(value.get()).map_err(|_| wrong("`metadata` must be an object."))?;
    let is_short = |value: &RawValue| {
        let text = serde_json::from_str::<String>(value.get()).ok();
        text.is_some_and(|text| text.chars().count() <= LONGEST_VALUE)
    };
    let fits = pairs.members().len() <= PAIRS
        && pairs.members().iter().all(|pair| pair.key.chars().count() <= LONGEST_KEY && is_short(pair.value));
    if !fits {
        let message = format!(
            "`metadata` may hold {PAIRS} pairs, with keys of up to {LONGEST_KEY} and texts of up to {LONGEST_VALUE} characters."
        );
        return Err(Error::invalid(message, "metadata", "invalid_value"));
    }
    Ok(Some(value.get().to_owned()))
}
