//! `POST /v1/responses/input_tokens`: how many tokens a request would read, everything before it
//! included. Exact where the vendor counts; else a guess, marked in the head, with the tokenizer of
//! OpenAI's newer models. What an upstream keeps under an id of its own only that upstream can count.
//!
//! Source: "Get input token counts" (OpenAI's API reference, specification 2.3.0, read November
//! 2026).

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
};
use serde::Deserialize;
use tower::ServiceExt;

use super::{
    ENDPOINT, compact, create,
    ids::{self, Place},
    items,
    wish::{self, Wish},
};
use crate::{
    call::{Answer, AnswerBody, Estimate, Failure, Inbound},
    error::{Error, Result},
    server::{
        Server,
        endpoints::{PlaceResult, exchange::Exchange},
    },
    telemetry,
};

#[derive(Deserialize)]
struct Counted {
    input_tokens: u64,
}

pub(in crate::server) async fn input_tokens(
    State(server): State<Arc<Server>>,
    found: PlaceResult,
    request: Request,
) -> Response {
    let exchange = Exchange::begin(&ENDPOINT, Arc::clone(&server), request.headers());
    let inbound = match exchange.read(found, request).await {
        Ok(inbound) => inbound,
        Err(error) => return exchange.refuse(error),
    };
    match question(&server, inbound).await {
        Ok(inbound) => exchange.serve(false, Box::pin(count(server, inbound))).await,
        Err(error) => exchange.refuse(error),
    }
}

/// The request as it would be told to an upstream that remembers nothing.
async fn question(server: &Server, mut inbound: Inbound) -> Result<Inbound> {
    inbound.body = compact::expanded(&inbound.body)?;
    let mut wish = Wish::read(&inbound.body)?;
    match wish.previous.as_deref().map(|id| (id, ids::place(id))) {
        Some((id, Place::There(there))) => create::follow(server, &mut inbound, id, &there)?,
        Some((_, Place::Here)) | None => {
            let history = create::history(server, &inbound.caller.name, &wish).await?.0;
            wish.items = items::resolved(&wish.items, &history)?;
            let history: Vec<String> = history.iter().map(|item| items::said_again(&item.json)).collect();
            inbound.body = wish::without_memory(&inbound.body, &history, &wish, false)?.into();
        }
    }
    create::unseal(server, &mut inbound)?;
    inbound.endpoint = telemetry::Endpoint::CountTokens;
    inbound.stream = false;
    // Nothing is generated, so no tokens are charged.
    inbound.estimate = Estimate::default();
    Ok(inbound)
}

async fn count(server: Arc<Server>, inbound: Inbound) -> Result<Answer, Failure> {
    let Answer { notes, body } = server.front.clone().oneshot(inbound).await?;
    let counted = match &body {
        AnswerBody::Whole(bytes) => serde_json::from_slice::<Counted>(bytes).ok(),
        AnswerBody::Stream(_) => None,
    };
    match counted {
        Some(Counted { input_tokens }) => {
            let text = format!(r#"{{"object":"response.input_tokens","input_tokens":{input_tokens}}}"#);
            Ok(Answer { notes, body: AnswerBody::Whole(text.into()) })
        }
        None => Err(Failure { error: Error::BadReply { message: "The answer is no count.".into() }, notes }),
    }
}
