//! `POST /v1beta/models/{model}:METHOD` for `generateContent`, `streamGenerateContent`, `countTokens`,
//! `embedContent` and `batchEmbedContents` (Gemini's API reference, "Generating content", "Counting
//! tokens" and "Embeddings", read November 2026).
//!
//! The path says what the body of other dialects does: the model, and whether the answer is streamed. A
//! stream is one of events with `alt=sse`, as the vendor's SDKs ask for it, else a JSON array.
//!
//! Deliberately absent: a key in the address (`?key=`), which would stand in every log on the way; the
//! vendor's files, caches and batches.

use std::sync::Arc;

use axum::{
    extract::{Path, Request, State},
    response::Response,
};
use http::Uri;
use tower::ServiceExt;

use super::{
    PlaceResult,
    exchange::{Endpoint, Exchange},
    refuse_unread,
};
use crate::{
    call::{Answer, AnswerBody, Failure, Inbound},
    error::Error,
    server::{Server, probe},
    telemetry,
    wire::gemini::{
        Gemini,
        client::{Listed, counted, embed},
    },
};

static GENERATE: Endpoint =
    Endpoint { counted_as: telemetry::Endpoint::GenerateContent, dialect: &Gemini, probe: probe::generate_content };

/// To clients that take a stream as an array.
static LIST: Endpoint =
    Endpoint { counted_as: telemetry::Endpoint::GenerateContent, dialect: &Listed, probe: probe::generate_content };

static COUNT: Endpoint =
    Endpoint { counted_as: telemetry::Endpoint::CountTokens, dialect: &Gemini, probe: probe::count_contents };

static EMBED: Endpoint =
    Endpoint { counted_as: telemetry::Endpoint::Embeddings, dialect: &Gemini, probe: probe::embed_contents };

/// What a path asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Generate,
    Stream { as_array: bool },
    Count,
    Embed { is_batch: bool },
}

pub(in crate::server) async fn call(
    State(server): State<Arc<Server>>,
    found: PlaceResult,
    request: Request,
) -> Response {
    let id = found.as_ref().ok().and_then(|Path(place)| place.id.as_deref());
    let Some(method) = Method::of(id, request.uri()) else {
        let error = Error::RouteNotFound { method: request.method().to_string(), path: request.uri().path().into() };
        return refuse_unread(&server, request, error).await;
    };
    let exchange = Exchange::begin(method.endpoint(), Arc::clone(&server), request.headers());
    let inbound = exchange.read(found, request).await.and_then(|mut inbound| {
        match method {
            Method::Generate | Method::Stream { .. } => {}
            Method::Count => inbound.body = counted(&inbound.body)?,
            Method::Embed { is_batch: false } => inbound.body = embed::one(&inbound.body, &inbound.model)?,
            Method::Embed { is_batch: true } => inbound.body = embed::many(&inbound.body, &inbound.model)?,
        }
        Ok(inbound)
    });
    match (inbound, method) {
        (Ok(inbound), Method::Embed { is_batch }) => {
            exchange.serve(false, Box::pin(embedded(server, inbound, is_batch))).await
        }
        (Ok(inbound), Method::Generate | Method::Stream { .. } | Method::Count) => exchange.run(inbound).await,
        (Err(error), _) => exchange.refuse(error),
    }
}

/// What comes back is in OpenAI's form, as the question was.
async fn embedded(server: Arc<Server>, inbound: Inbound, is_batch: bool) -> Result<Answer, Failure> {
    let Answer { notes, body } = server.front.clone().oneshot(inbound).await?;
    let AnswerBody::Whole(bytes) = body else {
        return Err(Failure { error: Error::Internal { message: "embeddings were streamed".into() }, notes });
    };
    match embed::answer(&bytes, is_batch) {
        Ok(bytes) => Ok(Answer { notes, body: AnswerBody::Whole(bytes) }),
        Err(error) => Err(Failure { error, notes }),
    }
}

// === impl Method ===

impl Method {
    /// By what stands behind the model's name; `None` for what is not served.
    fn of(id: Option<&str>, uri: &Uri) -> Option<Self> {
        let (_, method) = probe::method(id).ok()?;
        match method {
            "generateContent" => Some(Self::Generate),
            "streamGenerateContent" => Some(Self::Stream { as_array: !wants_events(uri.query()) }),
            "countTokens" => Some(Self::Count),
            "embedContent" => Some(Self::Embed { is_batch: false }),
            "batchEmbedContents" => Some(Self::Embed { is_batch: true }),
            _ => None,
        }
    }

    fn endpoint(self) -> &'static Endpoint {
        match self {
            Self::Generate | Self::Stream { as_array: false } => &GENERATE,
            Self::Stream { as_array: true } => &LIST,
            Self::Count => &COUNT,
            Self::Embed { .. } => &EMBED,
        }
    }
}

/// The vendor takes its parameters with a dollar sign as well.
fn wants_events(query: Option<&str>) -> bool {
    query.unwrap_or_default().split('&').any(|pair| matches!(pair, "alt=sse" | "$alt=sse" | "%24alt=sse"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The method is what follows the last colon, the form of a stream what the query says.
    #[test]
    fn paths_lead_to_their_endpoints() {
        let leads = |id: &str, query: &str| Method::of(Some(id), &Uri::try_from(format!("/x?{query}")).unwrap());
        for (id, query, method) in [
            ("lab/org/qwen3:4b:generateContent", "", Method::Generate),
            ("m:streamGenerateContent", "key=x&alt=sse", Method::Stream { as_array: false }),
            ("m:streamGenerateContent", "$alt=sse", Method::Stream { as_array: false }),
            ("m:streamGenerateContent", "alt=json", Method::Stream { as_array: true }),
            ("m:countTokens", "", Method::Count),
            ("m:embedContent", "", Method::Embed { is_batch: false }),
            ("m:batchEmbedContents", "", Method::Embed { is_batch: true }),
        ] {
            assert_eq!(leads(id, query), Some(method), "{id} {query}");
        }
        let form = |as_array| Method::Stream { as_array }.endpoint().dialect.stream_type();
        assert!(form(true).starts_with("application/json") && form(false).starts_with("text/event-stream"));
        for nowhere in ["m", "m:", ":generateContent", "m:predict", "m:generateContent:4b"] {
            assert_eq!(leads(nowhere, "alt=sse"), None, "{nowhere}");
        }
    }
}
