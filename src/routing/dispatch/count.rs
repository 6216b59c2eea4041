//! The tokens of a prompt: counted by the vendor that would answer it, where it counts, else guessed
//! (rule A2). A guess asks nobody.

use http::{StatusCode, Uri};

use super::{Readied, Walk};
use crate::{
    call::{Dialect, ReplyBody, Tally},
    error::{Error, Result},
    routing::{
        prepare::{Prepared, Source},
        table::Route,
    },
    wire::{
        count::{self, CountOffer, Format},
        json::Object,
    },
};

/// What one target is asked; nothing, where there is only a guess.
#[derive(Debug)]
pub(super) struct Count(Option<(Prepared, Format)>);

// === impl Source ===

impl Source {
    /// Writes the question for `route`, out of the request whose prompt is meant.
    pub(super) fn count(&mut self, route: &Route) -> Result<Count> {
        let Some(offer) = route.upstream.provider.counting(route.model(), &route.upstream.config.settings) else {
            return Ok(Count(None));
        };
        let CountOffer { format, ref path } = offer;
        let prepared = match self.prepare_in(route, format.dialect()) {
            // What the counter's dialect has no words for is no part of the prompt; the call itself may be
            // made in another.
            Err(_) if format.dialect().is_some_and(|dialect| dialect != self.inbound.dialect) => {
                return Ok(Count(None));
            }
            prepared => prepared?,
        };
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
        let Some((prepared, format)) = count.0 else { return self.guess() };
        let reply = match self.try_keys(route, &prepared).await {
            Err(error) if format == Format::OpenAi && has_no_counter(&error) => return self.guess(),
            reply => reply?,
        };
        let ReplyBody::Whole(body) = reply.body else {
            return Err(Error::BadReply { message: "The upstream streamed a count.".into() });
        };
        let tokens = count::read(&body)?;
        let asked = self.source.inbound.dialect;
        let is_native = match format {
            Format::Anthropic => asked == Dialect::Anthropic,
            Format::Gemini => asked == Dialect::Gemini,
            Format::OpenAi => false,
        };
        let answer = if is_native { body } else { count::answer(tokens, asked) };
        Ok(Readied::Whole(answer, Tally::default()))
    }

    fn guess(&mut self) -> Result<Readied> {
        let kept_there = Object::parse(&self.source.inbound.body)?.present("previous_response_id").is_some();
        if kept_there {
            let message = "This provider keeps the previous response and does not count it.";
            return Err(Error::invalid(message, "previous_response_id", "unsupported_value"));
        }
        let tokens = count::guess(self.source.decoded()?);
        self.notes.estimated = true;
        let answer = count::answer(tokens, self.source.inbound.dialect);
        Ok(Readied::Whole(answer, Tally::default()))
    }
}

/// Whether the server has no such path, as what stands in for OpenAI may well have not: that is no reason
/// to fail a question that a guess answers.
fn has_no_counter(error: &Error) -> bool {
    let Error::Upstream(error) = error else { return false };
    let is_no_path = [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED, StatusCode::NOT_IMPLEMENTED];
    is_no_path.contains(&error.status) && error.code.as_deref() != Some("model_not_found")
}
