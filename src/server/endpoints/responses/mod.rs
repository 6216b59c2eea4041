//! `/v1/responses` and `/v1/conversations`: answers that outlive their call, for any provider.
//!
//! Who remembers is decided before a call, by its model: where every target keeps its own answers
//! (OpenAI and those like it), they do, and ids lead back to them without a store (rule P4);
//! everywhere else the gateway does, and upstreams are told everything each time. `store: false`
//! asks for neither, and then nothing here touches the call.
//!
//! [`mod@create`] decides and calls; [`recording`] keeps an answer as it passes; [`retrieve`] and
//! [`conversations`] are what may be asked afterwards. Pure parts: [`wish`] (what a request asks),
//! [`items`], [`ids`], [`fold`] (what a cut answer had said), [`page`] and
//! [`mod@include`] (what a list shows).

mod background;
mod compact;
mod conversations;
mod create;
mod fold;
mod ids;
mod include;
mod input_tokens;
mod items;
mod live;
mod memory;
mod page;
mod passing;
mod recording;
mod retrieve;
#[cfg(test)]
mod tests;
mod wish;

use http::HeaderMap;

pub(in crate::server) use self::{
    compact::compact,
    conversations::{add_items, create_conversation, delete_conversation, delete_item, get_conversation, get_item},
    conversations::{list_items, update_conversation},
    create::create,
    input_tokens::input_tokens,
    retrieve::{cancel, delete, get, input_items, upgrade},
};
pub use self::{
    ids::IdKey,
    memory::{Memory, Worker},
};
use super::exchange::Endpoint;
use crate::{call::Notes, error::Error, server::probe, telemetry, wire::openai_responses::OpenAiResponses};

static ENDPOINT: Endpoint = Endpoint {
    counted_as: telemetry::Endpoint::Responses,
    dialect: &OpenAiResponses,
    probe: |_, body| probe::responses(body),
};

/// The provider whose own bytes an answer is.
fn maker(notes: &Notes) -> Option<String> {
    let (provider, _) = notes.target.as_deref()?.split_once('/')?;
    notes.passed.then(|| provider.to_owned())
}

/// A WebSocket is refused at once, so that clients that try it first lose no time (rule P3).
fn refuse_upgrade(headers: &HeaderMap) -> Result<(), Error> {
    let asked = headers.get(http::header::UPGRADE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if asked.eq_ignore_ascii_case("websocket") {
        let message = "There is no WebSocket here: POST the request, with `stream` for events.";
        return Err(Error::UpgradeRefused { message: message.into() });
    }
    Ok(())
}

/// What is not there, or is another key's.
fn not_found(what: &str, id: &str) -> Error {
    let id: String = id.chars().take(128).collect();
    Error::NotFound { message: format!("{what} with id '{id}' not found.") }
}
