//! Embeddings from one target: the inputs in as many requests as the vendor needs, their vectors
//! joined in order (rule N1).
//!
//! An OpenAI-speaking vendor gets the client's own bytes with the model replaced, and its answer
//! goes back as it came, unless the vectors are in the other encoding. Cost of that path: one
//! borrowed reading of the answer for its counts.

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use http::HeaderMap;

use super::{Readied, Walk};
use crate::{
    call::{Dialect, Reply, ReplyBody, Tally},
    error::{Error, Result},
    ir::{EmbeddingRequest, Embeddings, Usage},
    routing::{
        prepare::{self, Prepared, Source, WayBack},
        table::Route,
    },
    wire::{
        self, Loss, Weight,
        embeddings::{Format, openai},
        json,
    },
};

/// Requests of one call that are under way together.
const AT_ONCE: usize = 4;
/// What only a client of Google's asks for, and a vendor of OpenAI's dialect knows nothing of.
const GOOGLES: [&str; 2] = ["task_type", "title"];

/// What one target is asked.
#[derive(Debug)]
pub(super) struct Parts {
    format: Format,
    request: EmbeddingRequest,
    /// In the order of the inputs.
    all: Vec<Prepared>,
    /// Fields that were dropped.
    dropped: Vec<String>,
}

// === impl Source ===

impl Source {
    /// Writes the requests for `route`. Fails with a 400 naming the field when the target cannot
    /// carry what the client asked for.
    pub(super) fn embeddings(&mut self, route: &Route) -> Result<Parts> {
        let (provider, model) = (route.upstream.provider, &*route.target.model);
        let Some(offer) = provider.embeddings(route.model(), &route.upstream.config.settings) else {
            let message = format!("{} makes no embeddings.", route.target.label);
            return Err(Error::invalid(message, "model", "model_not_supported"));
        };
        let dialect = provider.speaks(&route.base, &route.upstream.config.settings).first().copied();
        let dialect = dialect.ok_or_else(|| Error::Internal { message: format!("{model}: no dialect") })?;
        let request = openai::request(&self.inbound.body)?;
        let mut parts = Parts { format: offer.format, request, all: Vec::new(), dropped: Vec::new() };
        let mut losses = Vec::new();
        for inputs in parts.request.inputs.chunks(offer.batch.max(1)) {
            let is_whole = inputs.len() == parts.request.inputs.len();
            let mut body = if is_whole && offer.format == Format::OpenAi {
                self.inbound.body.clone()
            } else {
                let part = offer.format.encode(&parts.request, inputs, model)?;
                losses.extend(part.losses);
                part.body
            };
            if offer.format == Format::OpenAi {
                let mut edits = json::Object::parse(&body)?.edit();
                prepare::name(route, &mut edits);
                losses.extend(provider.adjust_embeddings(&mut edits));
                if self.inbound.dialect == Dialect::Gemini {
                    let lost = GOOGLES.into_iter().filter(|field| edits.remove(field));
                    losses.extend(lost.map(|field| Loss { field: field.into(), weight: Weight::Hint }));
                }
                body = edits.into_bytes(&body);
            }
            let request = self.request_to(route, dialect, &offer.path, body, HeaderMap::new())?;
            parts.all.push(Prepared {
                dialect,
                request,
                way_back: WayBack::Passthrough { memory: None },
                dropped: Vec::new(),
            });
        }
        parts.dropped = self.weigh(losses, &route.target.label)?;
        Ok(parts)
    }
}

// === impl Walk ===

impl Walk {
    /// Asks one target for all vectors.
    pub(super) async fn embed(&mut self, route: &Route, parts: Parts) -> Result<Readied> {
        let mut asking = Vec::with_capacity(parts.all.len());
        for part in &parts.all {
            asking.push(self.try_keys(route, part));
        }
        let replies: Vec<Reply> = stream::iter(asking).buffered(AT_ONCE).try_collect().await?;
        let request_id = replies.first().and_then(|reply| wire::upstream_error::request_id(&reply.head.headers));
        let replies = replies.into_iter().map(whole).collect::<Result<Vec<_>>>()?;
        let readied = self.join(&parts, route, &replies)?;
        self.notes.dropped = parts.dropped;
        self.notes.upstream_request_id = request_id;
        Ok(readied)
    }

    fn join(&self, parts: &Parts, route: &Route, replies: &[(HeaderMap, Bytes)]) -> Result<Readied> {
        let (wanted, count) = (parts.request.encoding, parts.request.inputs.len());
        if let ([(_, body)], Format::OpenAi) = (replies, parts.format)
            && let Some(usage) = openai::passes(body, wanted, count)
        {
            return Ok(Readied::Whole(body.clone(), Tally { usage, ..Tally::default() }));
        }
        let mut all = joined(parts.format, replies)?;
        if all.vectors.len() != count {
            let message = format!("The upstream answered with {} embeddings for {count} inputs.", all.vectors.len());
            return Err(Error::BadReply { message });
        }
        parts.format.settle(&mut all, &parts.request, &route.base);
        // Where a vendor counts nothing, the client is told the estimate that the call is charged.
        let tally = Tally { usage: all.usage, ..Tally::default() };
        let estimate = || Usage { input: self.source.inbound.estimate.prompt, ..Usage::default() };
        all.usage = Some(all.usage.unwrap_or_else(estimate));
        Ok(Readied::Whole(openai::answer(&all, wanted, &self.source.inbound.model)?, tally))
    }
}

/// The vectors of all parts in order; counts only when every part has them.
fn joined(format: Format, replies: &[(HeaderMap, Bytes)]) -> Result<Embeddings> {
    let mut all = Embeddings { vectors: Vec::new(), usage: Some(Usage::default()) };
    for (headers, body) in replies {
        let read = format.decode(headers, body)?;
        all.vectors.extend(read.vectors);
        all.usage = all.usage.zip(read.usage).map(|(so_far, more)| Usage {
            input: so_far.input.saturating_add(more.input),
            cache_read: so_far.cache_read.saturating_add(more.cache_read),
            ..so_far
        });
    }
    Ok(all)
}

fn whole(reply: Reply) -> Result<(HeaderMap, Bytes)> {
    match reply.body {
        ReplyBody::Whole(bytes) => Ok((reply.head.headers, bytes)),
        ReplyBody::Frames(_) => Err(Error::BadReply { message: "The upstream streamed embeddings.".into() }),
    }
}
