//! One call's request in the words of one target.
//!
//! Same dialect on both sides: the client's bytes with named edits ([`crate::wire::json`]).
//! Different dialects: through the canonical form, decoded at most once per call.
//!
//! Cost of the byte path: one borrowed pass over the body and one copy of it, none when nothing
//! differs.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Uri, header};

use super::{
    replay::{Owner, Replay},
    table::Route,
};
use crate::{
    call::{Dialect, Inbound},
    error::{Error, Result},
    ir,
    wire::{self, ClientDialect, Facts, Loss, Memo, Weight, json},
};

/// The client's request, ready to be written for any target.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) inbound: Inbound,
    decoded: Option<ir::Request>,
    replay: Arc<Replay>,
}

/// A request for one target, unsigned.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) dialect: Dialect,
    pub(super) request: http::Request<Bytes>,
    pub(super) way_back: WayBack,
    /// Fields that were dropped, for `x-sluis-dropped`.
    pub(super) dropped: Vec<String>,
}

/// How the answer returns.
#[derive(Debug)]
pub(super) enum WayBack {
    Passthrough,
    /// `owner` where the answer's reasoning is to be remembered.
    Translate {
        memo: Memo,
        owner: Option<Owner>,
    },
}

// === impl Source ===

impl Source {
    pub(super) fn new(inbound: Inbound, replay: Arc<Replay>) -> Self {
        Self { inbound, decoded: None, replay }
    }

    /// Writes the request for `route`. Fails with a 400 naming the field when the target cannot
    /// carry what the client asked for.
    pub(super) fn prepare(&mut self, route: &Route) -> Result<Prepared> {
        let provider = route.upstream.provider;
        let model = &route.target.model;
        let facts = Facts {
            model,
            stream: self.inbound.stream,
            max_output_tokens: route.facts.and_then(|facts| facts.max_output_tokens),
        };
        let speaks = provider.speaks(model);
        let dialect = if speaks.contains(&self.inbound.dialect) { Some(&self.inbound.dialect) } else { speaks.first() };
        let dialect = *dialect.ok_or_else(|| Error::Internal { message: format!("{model}: no dialect") })?;

        let mut written = if dialect == self.inbound.dialect {
            self.pass(route, dialect, &facts)?
        } else {
            self.translate(route, dialect, &facts)?
        };
        let dropped = self.weigh(std::mem::take(&mut written.losses), &route.target.label)?;
        let request = self.request(route, dialect, written.body, written.headers)?;
        Ok(Prepared { dialect, request, way_back: written.way_back, dropped })
    }

    fn pass(&self, route: &Route, dialect: Dialect, facts: &Facts<'_>) -> Result<Written> {
        let mut edits = json::Object::parse(&self.inbound.body)?.edit();
        let mut model = String::with_capacity(facts.model.len() + 2);
        json::push_string(&mut model, facts.model);
        if edits.get("model") != Some(&model) {
            edits.set("model", model);
        }
        let losses = route.upstream.provider.adjust(dialect, facts, &mut edits);
        let body = edits.into_bytes(&self.inbound.body);
        Ok(Written { body, headers: HeaderMap::new(), way_back: WayBack::Passthrough, losses })
    }

    fn translate(&mut self, route: &Route, dialect: Dialect, facts: &Facts<'_>) -> Result<Written> {
        let upstream = wire::upstream(dialect);
        let owner = upstream.wants_reasoning_back().then(|| self.owner(route));
        let replay = Arc::clone(&self.replay);
        let request = self.decoded()?;
        let encoded = match &owner {
            Some(owner) => upstream.encode(&replay.restore(owner, request), facts)?,
            None => upstream.encode(request, facts)?,
        };
        let mut losses = encoded.losses;
        let mut edits = json::Object::parse(&encoded.body)?.edit();
        losses.extend(route.upstream.provider.adjust(dialect, facts, &mut edits));
        let body = edits.into_bytes(&encoded.body);
        let way_back = WayBack::Translate { memo: encoded.memo, owner };
        Ok(Written { body, headers: encoded.headers, way_back, losses })
    }

    fn owner(&self, route: &Route) -> Owner {
        Owner { caller: Arc::clone(&self.inbound.caller.name), target: Arc::clone(&route.target.label) }
    }

    /// The request in canonical form.
    pub(super) fn decoded(&mut self) -> Result<&ir::Request> {
        if self.decoded.is_none() {
            self.decoded = Some(client(self.inbound.dialect)?.decode(&self.inbound.body)?);
        }
        self.decoded.as_ref().ok_or_else(|| Error::Internal { message: "the request was not decoded".into() })
    }

    /// Refuses what would change the meaning, and in strict mode any loss; names the rest.
    fn weigh(&self, losses: Vec<Loss>, target: &str) -> Result<Vec<String>> {
        let refused = losses.iter().find(|loss| self.inbound.strict || loss.weight == Weight::Meaning);
        if let Some(loss) = refused {
            let message = format!("`{}` is not supported by {target}.", loss.field);
            return Err(Error::invalid(message, &loss.field, "unsupported_parameter"));
        }
        let mut dropped: Vec<String> = losses.into_iter().map(|loss| loss.field).collect();
        dropped.dedup();
        Ok(dropped)
    }

    fn request(&self, route: &Route, dialect: Dialect, body: Bytes, extra: HeaderMap) -> Result<http::Request<Bytes>> {
        let upstream = &route.upstream;
        let path = upstream.provider.path(dialect, &route.target.model, self.inbound.stream);
        let uri = Uri::try_from(format!("{}/{path}", upstream.base_url)).map_err(|_| {
            // The model id is the only part a client has a say in (rule X3).
            Error::invalid("The model id holds characters that no URL can.", "model", "invalid_value")
        })?;
        let mut request = http::Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.reserve(8);
        headers.extend(extra);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("sluis/", env!("CARGO_PKG_VERSION"))));
        // Compressed event streams arrive in lumps; a server that compresses unasked is still read.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        self.forward(route, dialect, headers);
        for (name, value) in &route.headers {
            headers.insert(name, value.clone());
        }
        Ok(request)
    }

    /// The few client headers that travel on, by dialect and vendor (design section 6.9).
    fn forward(&self, route: &Route, dialect: Dialect, headers: &mut HeaderMap) {
        let names: &[&str] = match dialect {
            Dialect::OpenAiChat if &*route.target.kind == "openai" => &["openai-beta", "traceparent", "tracestate"],
            Dialect::OpenAiChat => &["traceparent", "tracestate"],
            Dialect::Anthropic => &["anthropic-beta", "traceparent", "tracestate"],
        };
        for name in names {
            for value in self.inbound.headers.get_all(*name) {
                headers.append(*name, value.clone());
            }
        }
    }
}

/// The client side of a call's dialect.
pub(super) fn client(dialect: Dialect) -> Result<&'static dyn ClientDialect> {
    wire::client(dialect).ok_or_else(|| Error::Internal { message: "no client speaks this dialect".into() })
}

struct Written {
    body: Bytes,
    headers: HeaderMap,
    way_back: WayBack,
    losses: Vec<Loss>,
}
