//! `POST /v1beta/models/{model}:generateContent`, `:streamGenerateContent` and `:countTokens` (Gemini's
//! API reference, "Generating content" and "Counting tokens", read November 2026).
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

use super::{
    PlaceResult,
    exchange::{Endpoint, Exchange},
    refuse,
};
use crate::{
    error::Error,
    server::{Server, probe},
    telemetry,
    wire::gemini::{
        Gemini,
        client::{Listed, counted},
    },
};

static GENERATE: Endpoint =
    Endpoint { counted_as: telemetry::Endpoint::GenerateContent, dialect: &Gemini, probe: probe::generate_content };

/// To clients that take a stream as an array.
static LIST: Endpoint =
    Endpoint { counted_as: telemetry::Endpoint::GenerateContent, dialect: &Listed, probe: probe::generate_content };

static COUNT: Endpoint =
    Endpoint { counted_as: telemetry::Endpoint::CountTokens, dialect: &Gemini, probe: probe::count_contents };

pub(in crate::server) async fn call(
    State(server): State<Arc<Server>>,
    found: PlaceResult,
    request: Request,
) -> Response {
    let id = found.as_ref().ok().and_then(|Path(place)| place.id.as_deref());
    let Some(endpoint) = endpoint(id, request.uri()) else {
        let path = request.uri().path();
        let error = Error::RouteNotFound { method: request.method().to_string(), path: path.into() };
        return refuse(path, request.headers(), error);
    };
    let exchange = Exchange::begin(endpoint, server, request.headers());
    let inbound = exchange.read(found, request).await.and_then(|mut inbound| {
        if inbound.endpoint == telemetry::Endpoint::CountTokens {
            inbound.body = counted(&inbound.body)?;
        }
        Ok(inbound)
    });
    match inbound {
        Ok(inbound) => exchange.run(inbound).await,
        Err(error) => exchange.refuse(error),
    }
}

/// By the method behind the model's name; `None` for one that is not served.
fn endpoint(id: Option<&str>, uri: &Uri) -> Option<&'static Endpoint> {
    let (_, method) = probe::method(id).ok()?;
    match method {
        "generateContent" => Some(&GENERATE),
        "streamGenerateContent" if wants_events(uri.query()) => Some(&GENERATE),
        "streamGenerateContent" => Some(&LIST),
        "countTokens" => Some(&COUNT),
        _ => None,
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
        let leads = |id: &str, query: &str| {
            let uri = Uri::try_from(format!("/x?{query}")).unwrap();
            endpoint(Some(id), &uri)
                .map(|found| (found.counted_as.name(), found.dialect.stream_type().contains("event")))
        };
        let (generate, count) = ("generate_content", "count_tokens");
        assert_eq!(leads("lab/org/qwen3:4b:generateContent", ""), Some((generate, true)));
        assert_eq!(leads("m:streamGenerateContent", "key=x&alt=sse"), Some((generate, true)));
        assert_eq!(leads("m:streamGenerateContent", "$alt=sse"), Some((generate, true)));
        assert_eq!(leads("m:streamGenerateContent", "alt=json"), Some((generate, false)));
        assert_eq!(leads("m:countTokens", ""), Some((count, true)));
        for nowhere in ["m", "m:", ":generateContent", "m:predict", "m:generateContent:4b"] {
            assert_eq!(leads(nowhere, "alt=sse"), None, "{nowhere}");
        }
    }
}
