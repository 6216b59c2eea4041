//! The tokens of a prompt: counted by the vendor that would answer it, where it counts, else guessed
//! (rule A2). A guess asks nobody.

use http::Uri;

use super::{Readied, Walk};
use crate::{
    call::{ReplyBody, Tally},
    error::{Error, Result},
    routing::{
        prepare::{Prepared, Source},
        table::Route,
    },
    wire::count::{self, CountOffer, Format},
};

/// What one target is asked; nothing, where there is only a guess.
#[derive(Debug)]
pub(super) struct Count(Option<(Prepared, Format)>);

// === impl Source ===

impl Source {
    /// Writes the question for `route`, out of the request whose prompt is meant.
    pub(super) fn count(&mut self, route: &Route) -> Result<Count> {
        let Some(offer) = route.upstream.provider.counting(&route.target.model) else { return Ok(Count(None)) };
        let prepared = self.prepare(route)?;
        let CountOffer { format, ref path } = offer;
        let (mut head, body) = prepared.request.into_parts();
        head.uri = Uri::try_from(format!("{}/{path}", route.upstream.base_url))
            .map_err(|_| Error::invalid("The model id holds characters that no URL can.", "model", "invalid_value"))?;
        let request = http::Request::from_parts(head, offer.question(&body));
        Ok(Count(Some((Prepared { request, ..prepared }, format))))
    }
}

// === impl Walk ===

impl Walk {
    pub(super) async fn count(&mut self, route: &Route, count: Count) -> Result<Readied> {
        let Some((prepared, format)) = count.0 else {
            let tokens = count::guess(self.source.decoded()?);
            self.notes.estimated = true;
            return Ok(Readied::Whole(count::answer(tokens), Tally::default()));
        };
        let reply = self.try_keys(route, &prepared).await?;
        let ReplyBody::Whole(body) = reply.body else {
            return Err(Error::BadReply { message: "The upstream streamed a count.".into() });
        };
        let tokens = count::read(&body)?;
        let answer = match format {
            Format::Anthropic => body,
            Format::Gemini => count::answer(tokens),
        };
        Ok(Readied::Whole(answer, Tally::default()))
    }
}
